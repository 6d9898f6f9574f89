//! The law of `nβ(L − L(w*))` at finite n and localisation: what an exact sampler converges to.
//!
//! With `s = nβ`, `K = L − L(w*)` and the evidence `Z(s) = ∫ exp(−sK) φ(w) dw` under the normalised localisation (or
//! prior) `φ`, the mean is `E[sK] = −d log Z/d log s` and the variance `Var[sK] = d² log Z/d(log s)² + E[sK]`. As
//! `Z ~ C s^(−λ) (log s + c)^(m−1)`, both tend to λ, with `x = log s + c` the mean like `λ − (m − 1)/x` and the variance like
//! `λ − (m − 1)/x − (m − 1)/x²`.

use crate::{LearningCoefficient, NormalCrossingError};

/// Mean and variance of `nβ(L − L(w*))`, the log evidence, and the pair (λ, m) of the limit.
///
/// What the functions of the families return: [`monomial_law`](crate::monomial_law()), [`radial_law`](crate::radial_law()),
/// [`radial_product_law`](crate::radial_product_law()), [`box_law`](crate::box_law()),
/// [`reduced_rank_law`](crate::reduced_rank_law()).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FiniteLaw {
    pub(crate) mean: f64,
    pub(crate) variance: f64,
    pub(crate) log_evidence: f64,
    pub(crate) learning_coefficient: LearningCoefficient,
}

/// Why a law was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FiniteLawError {
    /// A parameter is not positive and finite.
    #[error("0 < {name} < infinity, got {value}")]
    NotPositive {
        /// Which parameter.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// There are no coordinates on which K depends.
    #[error("K depends on no coordinate, so that it has no zero")]
    NoZero,
    /// The exponents describe no normal crossing.
    #[error(transparent)]
    Exponents(#[from] NormalCrossingError),
    /// A width, dimension or exponent is outside the range in which the accuracy holds.
    #[error("{least} <= {name} <= {most}, got {value}")]
    Range {
        /// Which number.
        name: &'static str,
        /// Its value.
        value: u32,
        /// The least allowed.
        least: u32,
        /// The largest allowed.
        most: u32,
    },
    /// The one number on which the law depends is outside the range in which the accuracy holds.
    #[error("|log({name})| <= {most} is needed, got log = {log}")]
    Scale {
        /// Which number.
        name: &'static str,
        /// Its logarithm.
        log: f64,
        /// The largest absolute value allowed.
        most: f64,
    },
}

impl FiniteLaw {
    /// `E[nβ(L − L(w*))]`.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// `Var[nβ(L − L(w*))]` of one draw.
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// `log ∫ exp(−nβ(L − L(w*))) φ(w) dw` with `φ` normalised. At most 0.
    pub fn log_evidence(&self) -> f64 {
        self.log_evidence
    }

    /// The pair (λ, m) that mean and variance tend to.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        self.learning_coefficient
    }
}

impl FiniteLawError {
    /// The value, if it is positive and finite.
    pub(crate) fn positive(name: &'static str, value: f64) -> Result<f64, Self> {
        if 0.0 < value && value.is_finite() {
            Ok(value)
        } else {
            Err(Self::NotPositive { name, value })
        }
    }

    /// The logarithm, if its absolute value is not above `most`.
    pub(crate) fn scale(name: &'static str, log: f64, most: f64) -> Result<f64, Self> {
        if log.abs() <= most {
            Ok(log)
        } else {
            Err(Self::Scale { name, log, most })
        }
    }

    /// The value, if it is between the two.
    pub(crate) fn range(
        name: &'static str,
        value: u32,
        least: u32,
        most: u32,
    ) -> Result<u32, Self> {
        if (least..=most).contains(&value) {
            Ok(value)
        } else {
            Err(Self::Range {
                name,
                value,
                least,
                most,
            })
        }
    }
}
