//! Normal crossings: `K = ∏ w_i^(2k_i)` with prior density proportional to `∏ |w_i|^(h_i)` near 0.
//!
//! The zeta function is a product of `∫ w^(2kz + h) dw`, each with its pole at `−(h + 1)/(2k)`, so
//! `λ = min_i (h_i + 1)/(2k_i)` over the coordinates with `k_i > 0`, and `m` counts the minimisers.
//! By resolution of singularities every analytic K has this form in local coordinates
//! (Watanabe 2009, *Algebraic Geometry and Statistical Learning Theory*, ch. 4).
//!
//! A regression function or a mean that is a monomial is one coordinate: `y = w^k x + noise`, and the normal distribution with mean `w^k`
//! and variance 1, have `K = c w^(2k)` at the truth 0, hence `(1/(2k), 1)`.

use num_rational::Rational64;

use crate::LearningCoefficient;

/// The germ `∏ w_i^(2k_i)` with prior `∏ |w_i|^(h_i)` at the origin.
///
/// ```
/// use slt_theory::NormalCrossing;
///
/// // The normal distribution with mean w³ and variance 1, against mean 0: K = w⁶/2.
/// let cubic = NormalCrossing::with_positive_prior(&[3])?;
/// assert_eq!(cubic.learning_coefficient().to_string(), "λ = 1/6, m = 1");
/// # Ok::<(), slt_theory::NormalCrossingError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalCrossing {
    half_exponents: Vec<u32>,
    prior_exponents: Vec<u32>,
}

/// Why exponents describe no normal crossing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NormalCrossingError {
    /// The two lists of exponents differ in length.
    #[error("{half_exponents} exponents k, but {prior_exponents} exponents h of the prior")]
    LengthMismatch {
        /// Length of `k`.
        half_exponents: usize,
        /// Length of `h`.
        prior_exponents: usize,
    },
    /// Every `k_i` is zero: K = 1 has no zero.
    #[error("all {n_coordinates} exponents k are zero, so that K has no zero")]
    NoZero {
        /// Number of coordinates.
        n_coordinates: usize,
    },
}

impl NormalCrossing {
    /// The germ with exponents `2k_i` of K and `h_i` of the prior.
    ///
    /// Shapes: `half_exponents`, `prior_exponents`: `[d]`.
    ///
    /// # Errors
    /// [`NormalCrossingError::LengthMismatch`] when the lengths differ;
    /// [`NormalCrossingError::NoZero`] when no `k_i` is positive.
    pub fn new(
        half_exponents: &[u32],
        prior_exponents: &[u32],
    ) -> Result<Self, NormalCrossingError> {
        if half_exponents.len() != prior_exponents.len() {
            return Err(NormalCrossingError::LengthMismatch {
                half_exponents: half_exponents.len(),
                prior_exponents: prior_exponents.len(),
            });
        }
        if half_exponents.iter().all(|&k| k == 0) {
            return Err(NormalCrossingError::NoZero {
                n_coordinates: half_exponents.len(),
            });
        }
        Ok(Self {
            half_exponents: half_exponents.to_vec(),
            prior_exponents: prior_exponents.to_vec(),
        })
    }

    /// The germ with a prior that is positive at the origin: all `h_i = 0`.
    ///
    /// # Errors
    /// [`NormalCrossingError::NoZero`] when no `k_i` is positive.
    pub fn with_positive_prior(half_exponents: &[u32]) -> Result<Self, NormalCrossingError> {
        Self::new(half_exponents, &vec![0; half_exponents.len()])
    }

    /// The poles `(h_i + 1)/(2k_i)` of the coordinates with `k_i > 0`, in their order: the rates of [`VolumeLaw`](crate::VolumeLaw).
    pub fn rates(&self) -> impl Iterator<Item = Rational64> {
        self.half_exponents
            .iter()
            .zip(&self.prior_exponents)
            .filter(|&(&k, _)| k > 0)
            .map(|(&k, &h)| Rational64::new(i64::from(h) + 1, 2 * i64::from(k)))
    }

    /// `λ = min_{k_i > 0} (h_i + 1)/(2k_i)`, `m` = the number of minimisers.
    ///
    /// Accuracy: exact.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let lambda = self
            .rates()
            .min()
            .expect("the constructor saw a positive k");
        let multiplicity = self.rates().map(|rate| u32::from(rate == lambda)).sum();
        LearningCoefficient::from_formula(lambda, multiplicity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regular;
    use proptest::prelude::*;

    #[test]
    fn worked_values() {
        let cases = [
            (&[1][..], &[0][..], (1, 2), 1),
            (&[1, 1], &[0, 0], (1, 2), 2),
            (&[1, 2], &[0, 0], (1, 4), 1),
            (&[2, 2], &[0, 0], (1, 4), 2),
            (&[1, 1, 1], &[0, 0, 0], (1, 2), 3),
            (&[1, 2], &[0, 1], (1, 2), 2),
            (&[1, 2], &[0, 3], (1, 2), 1),
            (&[3, 0], &[0, 0], (1, 6), 1),
        ];
        for (k, h, (numer, denom), m) in cases {
            assert_eq!(
                NormalCrossing::new(k, h).unwrap().learning_coefficient(),
                LearningCoefficient::new(Rational64::new(numer, denom), m).unwrap(),
                "k = {k:?}, h = {h:?}"
            );
        }
        assert_eq!(
            NormalCrossing::with_positive_prior(&[1])
                .unwrap()
                .learning_coefficient(),
            regular(1)
        );
    }

    /// Exponents of 32 bits: the rates are exact.
    #[test]
    fn large_exponents() {
        let large = NormalCrossing::new(&[u32::MAX, 1], &[0, u32::MAX]).unwrap();
        assert_eq!(
            large.learning_coefficient(),
            LearningCoefficient::new(Rational64::new(1, 2 * i64::from(u32::MAX)), 1).unwrap()
        );
        let prior = NormalCrossing::new(&[1], &[u32::MAX]).unwrap();
        let lambda = prior.learning_coefficient().lambda();
        assert_eq!(lambda, Rational64::from_integer(1 << 31));
    }

    #[test]
    fn impossible_exponents_are_refused() {
        assert_eq!(
            NormalCrossing::new(&[1, 2], &[0]),
            Err(NormalCrossingError::LengthMismatch {
                half_exponents: 2,
                prior_exponents: 1
            })
        );
        for k in [&[][..], &[0, 0][..]] {
            assert_eq!(
                NormalCrossing::with_positive_prior(k),
                Err(NormalCrossingError::NoZero {
                    n_coordinates: k.len()
                })
            );
        }
    }

    fn germ() -> impl Strategy<Value = Vec<(u32, u32)>> {
        (
            (1u32..6, 0u32..6),
            prop::collection::vec((0u32..6, 0u32..6), 0..6),
        )
            .prop_map(|(first, mut rest)| {
                rest.push(first);
                rest
            })
    }

    fn pair_of(exponents: &[(u32, u32)]) -> LearningCoefficient {
        let (k, h): (Vec<_>, Vec<_>) = exponents.iter().copied().unzip();
        NormalCrossing::new(&k, &h).unwrap().learning_coefficient()
    }

    proptest! {
        #[test]
        fn order_is_irrelevant(germ in germ().prop_flat_map(|g| (Just(g.clone()), Just(g).prop_shuffle()))) {
            prop_assert_eq!(pair_of(&germ.0), pair_of(&germ.1));
        }

        #[test]
        fn a_flat_coordinate_adds_nothing(germ in germ(), h in 0u32..6) {
            let mut longer = germ.clone();
            longer.push((0, h));
            prop_assert_eq!(pair_of(&longer), pair_of(&germ));
        }

        #[test]
        fn more_coordinates_are_an_independent_product(a in germ(), b in germ()) {
            let both = [a.clone(), b.clone()].concat();
            prop_assert_eq!(Ok(pair_of(&both)), pair_of(&a).independent_product(pair_of(&b)));
        }

        #[test]
        fn a_power_divides(germ in germ(), c in 1u32..6) {
            let powered: Vec<_> = germ.iter().map(|&(k, h)| (c * k, h)).collect();
            prop_assert_eq!(
                pair_of(&powered),
                pair_of(&germ).power(Rational64::from_integer(i64::from(c))).unwrap()
            );
        }

        #[test]
        fn at_most_half_the_dimension(germ in germ()) {
            let k: Vec<u32> = germ.iter().map(|&(k, _)| k).collect();
            let pair = NormalCrossing::with_positive_prior(&k).unwrap().learning_coefficient();
            prop_assert!(pair.lambda() <= regular(k.len() as u32).lambda());
        }
    }
}
