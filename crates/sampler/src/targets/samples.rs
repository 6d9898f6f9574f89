//! What the samples of a target must be.

/// Why samples are refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SamplesError {
    /// There are none.
    #[error("there are no samples; expected at least one")]
    Empty,
    /// Inputs and outputs do not go together.
    #[error("{inputs} inputs for {outputs} outputs; expected as many")]
    Lengths {
        /// Inputs given.
        inputs: usize,
        /// Outputs given.
        outputs: usize,
    },
    /// A number is not finite.
    #[error("{name} of sample {sample} is {value}; expected a finite number")]
    NotFinite {
        /// Input or output.
        name: &'static str,
        /// Which sample.
        sample: usize,
        /// Its value.
        value: f64,
    },
}

/// Whether there are samples, of `width` finite numbers each.
pub(super) fn check<'a>(
    name: &'static str,
    values: impl IntoIterator<Item = &'a f64>,
    width: usize,
) -> Result<(), SamplesError> {
    let mut n_values = 0;
    for (i, &value) in values.into_iter().enumerate() {
        if !value.is_finite() {
            let sample = i / width;
            return Err(SamplesError::NotFinite {
                name,
                sample,
                value,
            });
        }
        n_values = i + 1;
    }
    if n_values == 0 {
        return Err(SamplesError::Empty);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{GaussianLocation, TanhUnit, TwoComponent};
    use ndarray::{Array2, array};

    #[test]
    fn bad_samples_are_named() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mixture = TwoComponent::new(vec![0.0, bad]).expect_err("refused");
            assert_eq!(
                mixture.to_string(),
                format!("input of sample 1 is {bad}; expected a finite number")
            );
            let location = GaussianLocation::new(array![[0.0, 1.0], [2.0, 3.0], [4.0, bad]]);
            assert!(matches!(
                location.expect_err("refused"),
                SamplesError::NotFinite { sample: 2, .. }
            ));
            let unit = |x: f64, y: f64| TanhUnit::new(vec![0.5, x], vec![1.0, y]);
            let message = |unit: Result<_, SamplesError>| unit.expect_err("refused").to_string();
            assert!(message(unit(bad, 1.0)).starts_with("input of sample 1 is "));
            assert!(message(unit(1.0, bad)).starts_with("output of sample 1 is "));
        }
        assert_eq!(
            TwoComponent::new(vec![]).expect_err("refused"),
            SamplesError::Empty
        );
        for shape in [(0, 2), (2, 0), (0, 0)] {
            let location = GaussianLocation::new(Array2::zeros(shape));
            assert_eq!(location.expect_err("refused"), SamplesError::Empty);
        }
        assert_eq!(
            TanhUnit::new(vec![], vec![]).expect_err("refused"),
            SamplesError::Empty
        );
        assert_eq!(
            TanhUnit::new(vec![1.0], vec![])
                .expect_err("refused")
                .to_string(),
            "1 inputs for 0 outputs; expected as many"
        );
    }
}
