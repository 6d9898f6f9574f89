//! What a row samples, and in what steps.

/// The density `exp(-(nbeta L(w) + gamma/2 |w - w*|^2) / temperature)` of one row, and the step in which it is sampled.
///
/// Rows of one ensemble may differ in all of these: a sweep over settings is one ensemble.
/// Units: `L` in nats; `step_size` is ε (drift ε/2, noise variance ε · temperature).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dynamics {
    step_size: f64,
    nbeta: f64,
    gamma: f64,
    temperature: f64,
}

/// Why a [`Dynamics`] cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DynamicsError {
    /// The step size is not a positive number.
    #[error("step_size is {0}; expected a positive number")]
    StepSize(f64),
    /// The inverse temperature is not a positive number.
    #[error("nbeta is {0}; expected a positive number (the default is n / ln n)")]
    Nbeta(f64),
    /// Too few samples for the default inverse temperature.
    #[error("there are {0} samples; nbeta = n / ln n needs at least 2")]
    Samples(usize),
    /// The localisation strength is negative or not a number.
    #[error("gamma is {0}; expected zero or a positive number")]
    Gamma(f64),
    /// The temperature is negative or not a number.
    #[error("temperature is {0}; expected zero or a positive number")]
    Temperature(f64),
}

impl Dynamics {
    /// Steps of `step_size` at inverse temperature `nbeta` (n times β) and localisation `gamma`, at temperature 1.
    ///
    /// # Errors
    /// [`DynamicsError`] unless `0 < step_size`, `0 < nbeta` and `0 <= gamma`, all finite.
    pub fn new(step_size: f64, nbeta: f64, gamma: f64) -> Result<Self, DynamicsError> {
        if !(0.0 < step_size && step_size.is_finite()) {
            return Err(DynamicsError::StepSize(step_size));
        }
        if !(0.0 < nbeta && nbeta.is_finite()) {
            return Err(DynamicsError::Nbeta(nbeta));
        }
        if !(0.0 <= gamma && gamma.is_finite()) {
            return Err(DynamicsError::Gamma(gamma));
        }
        Ok(Self {
            step_size,
            nbeta,
            gamma,
            temperature: 1.0,
        })
    }

    /// The settings of a sweep: every combination, with `nbetas` running fastest and `step_sizes` slowest, at temperature 1. One
    /// [`estimate`](crate::estimate) runs them all as rows of one ensemble.
    ///
    /// ```
    /// use slt_sampler::Dynamics;
    ///
    /// let grid = Dynamics::grid(&[1e-5, 1e-4], &[1.0, 10.0, 100.0], &[50.0])?;
    /// assert_eq!(grid.len(), 6);
    /// assert_eq!((grid[4].step_size(), grid[4].gamma()), (1e-4, 10.0));
    /// # Ok::<(), slt_sampler::DynamicsError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn grid(
        step_sizes: &[f64],
        gammas: &[f64],
        nbetas: &[f64],
    ) -> Result<Vec<Self>, DynamicsError> {
        let mut all = Vec::with_capacity(step_sizes.len() * gammas.len() * nbetas.len());
        for &step_size in step_sizes {
            for &gamma in gammas {
                for &nbeta in nbetas {
                    all.push(Self::new(step_size, nbeta, gamma)?);
                }
            }
        }
        Ok(all)
    }

    /// The same at another step size.
    ///
    /// # Errors
    /// [`DynamicsError::StepSize`] unless it is positive.
    pub fn with_step_size(self, step_size: f64) -> Result<Self, DynamicsError> {
        let new = Self::new(step_size, self.nbeta, self.gamma)?;
        Ok(Self {
            temperature: self.temperature,
            ..new
        })
    }

    /// The same with the whole exponent divided by `temperature`: the noise alone changes. At 0 there is none, and every
    /// kernel descends.
    ///
    /// # Errors
    /// [`DynamicsError::Temperature`] unless it is zero or positive.
    pub fn with_temperature(self, temperature: f64) -> Result<Self, DynamicsError> {
        if !(0.0 <= temperature && temperature.is_finite()) {
            return Err(DynamicsError::Temperature(temperature));
        }
        Ok(Self {
            temperature,
            ..self
        })
    }

    /// ε.
    pub fn step_size(&self) -> f64 {
        self.step_size
    }

    /// The inverse temperature times the number of samples, `nβ`.
    pub fn nbeta(&self) -> f64 {
        self.nbeta
    }

    /// The localisation strength γ.
    pub fn gamma(&self) -> f64 {
        self.gamma
    }

    /// The temperature of the whole exponent.
    pub fn temperature(&self) -> f64 {
        self.temperature
    }
}

/// The field's default `nβ = n / ln n` for `n` samples.
///
/// # Errors
/// [`DynamicsError::Samples`] unless `n >= 2`.
pub fn default_nbeta(n: usize) -> Result<f64, DynamicsError> {
    if n < 2 {
        return Err(DynamicsError::Samples(n));
    }
    Ok(n as f64 / (n as f64).ln())
}

/// One row of an ensemble: whose random numbers it uses, and what it does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Number of the row's random streams.
    pub stream: u64,
    /// What it samples, and in what steps.
    pub dynamics: Dynamics,
}

impl Row {
    /// Rows with streams `from, from + 1, …` that all do the same.
    pub fn many(from: u64, n_rows: usize, dynamics: Dynamics) -> Vec<Self> {
        (from..from + n_rows as u64)
            .map(|stream| Self { stream, dynamics })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_inverse_temperature() {
        let nbeta = default_nbeta(100).expect("samples enough");
        approx::assert_relative_eq!(nbeta, 21.714_724_095_162_59, max_relative = 1e-15);
        for n in [0, 1] {
            let message = default_nbeta(n).expect_err("refused").to_string();
            assert_eq!(
                message,
                format!("there are {n} samples; nbeta = n / ln n needs at least 2")
            );
        }
    }

    #[test]
    fn refused_settings_are_named() {
        let message = |step_size, nbeta, gamma| {
            Dynamics::new(step_size, nbeta, gamma)
                .expect_err("refused")
                .to_string()
        };
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(message(bad, 1.0, 1.0).starts_with("step_size is "));
            assert!(message(1.0, bad, 1.0).starts_with("nbeta is "));
            if bad != 0.0 {
                assert!(message(1.0, 1.0, bad).starts_with("gamma is "));
                let hot = Dynamics::new(1.0, 1.0, 1.0)
                    .expect("valid")
                    .with_temperature(bad);
                let message = hot.expect_err("refused").to_string();
                assert!(message.starts_with("temperature is "));
            }
        }
        let valid = Dynamics::new(0.1, 2.0, 0.0).expect("gamma may be zero");
        let cold = valid.with_temperature(0.0).expect("so may the temperature");
        let shorter = cold.with_step_size(0.05).expect("valid");
        assert_eq!((shorter.step_size(), shorter.nbeta()), (0.05, 2.0));
        assert_eq!((shorter.gamma(), shorter.temperature()), (0.0, 0.0));
        assert_eq!(
            valid.with_step_size(-0.2),
            Err(DynamicsError::StepSize(-0.2))
        );
        assert_eq!(
            Row::many(3, 2, valid)[1],
            Row {
                stream: 4,
                dynamics: valid
            }
        );
    }
}
