//! The theorems of arXiv 2603.01192 on quadratic networks, as the paper states them, and where they differ from what is true.
//!
//! Cullen, Estan-Ruiz, Danait & Li (2026): `d` inputs, `p` outputs, width `K`, units `(w·x)²`, addition modulo `p` from one-hot pairs (`d = 2p`).
//! Theorem numbers changed between v1/v2 and v3. What the functions below return is the paper's value; the truth is:
//!
//! - **Theorem 4.2 (v1), Corollary 4.2 (v3)**: right for inputs that see every quadratic form where the triple `(d, p, K)` is not defective (v3 assumes
//!   so). Scalar outputs are defective for every `1 < K < d`, and v1 has no such condition: [`QuadraticNetwork`](crate::QuadraticNetwork).
//! - **Corollary 5.4 (v3)**: `K(3p−1)/2` counts `2p` directions a unit. One-hot pairs see `2p − 1`: `K(3p−2)/2`, and at saturation `p³/2` in
//!   place of `p²(2p+1)/2`: [`ModularAddition`](crate::ModularAddition).
//! - **Corollary 5.3 (v3)** is a bracket; its upper end `pK/2` is the value, for generic weights, as long as `K <= n` training pairs (`K <= n − 1` for
//!   the centred loss): the squares of generic units are independent functions on the pairs. v1 states the lower end.
//! - The paper's late value exceeds its memorising one, `K(3p−1)/2 > pK/2`: the two are values of different models, and explain no fall of λ.

use num_rational::Rational64;

/// Why a theorem of the paper does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuadraticTheoremError {
    /// A size is outside `1..=MAX_SIZE`.
    #[error("sizes are 1 to {MAX_SIZE}, got {size}")]
    Size {
        /// The size given.
        size: u32,
    },
    /// The width is outside the theorem's regime.
    #[error("the theorem needs {least} <= K <= {most}, got K = {width}")]
    Regime {
        /// The least width that the theorem covers.
        least: u64,
        /// The largest width that the theorem covers.
        most: u64,
        /// K.
        width: u32,
    },
}

/// The largest size: below it all values fit 64 bits.
const MAX_SIZE: u32 = 1_000_000;

/// Theorem 4.1 of v1 (over-parameterised, `K >= d(d+1)/2`): `λ = p d(d+1)/4`.
///
/// # Errors
/// [`QuadraticTheoremError::Size`]; [`QuadraticTheoremError::Regime`] when `K < d(d+1)/2`.
pub fn theorem_4_1_v1(d: u32, p: u32, width: u32) -> Result<Rational64, QuadraticTheoremError> {
    let [d, p, _] = sizes([d, p, width])?;
    let forms = d * (d + 1) / 2;
    regime(forms, i64::from(MAX_SIZE), width)?;
    Ok(Rational64::new(p * forms, 2))
}

/// Theorem 4.2 of v1 (under-parameterised, `K < d(d+1)/2`, all units active): `λ = K(d+p−1)/2`.
///
/// With inactive units the paper puts the number of active ones for `K`.
///
/// # Errors
/// [`QuadraticTheoremError::Size`]; [`QuadraticTheoremError::Regime`] when `K >= d(d+1)/2`.
pub fn theorem_4_2_v1(d: u32, p: u32, width: u32) -> Result<Rational64, QuadraticTheoremError> {
    let [d, p, k] = sizes([d, p, width])?;
    regime(1, d * (d + 1) / 2 - 1, width)?;
    Ok(Rational64::new(k * (d + p - 1), 2))
}

/// Theorem 4.1 of v3: `λ = r/2`, `r` the dimension of the affine cone over the `K`-th secant variety of the one-unit functions.
///
/// Source: arXiv:2603.01192v3, theorem 4.1.
pub fn theorem_4_1_v3(secant_dimension: u32) -> Rational64 {
    Rational64::new(i64::from(secant_dimension), 2)
}

/// Corollary 4.2 of v3 (non-defective triples): `λ = min(K(p+d−1), p d(d+1)/2)/2`.
///
/// # Errors
/// [`QuadraticTheoremError::Size`].
///
/// Source: arXiv:2603.01192v3, corollary 4.2. It does not ask whether the triple is defective.
pub fn corollary_4_2_v3(d: u32, p: u32, width: u32) -> Result<Rational64, QuadraticTheoremError> {
    let [d, p, k] = sizes([d, p, width])?;
    Ok(Rational64::new(
        (k * (p + d - 1)).min(p * (d * (d + 1) / 2)),
        2,
    ))
}

/// Theorem 5.1 (the NTK regime): `λ = r/2`, `r` the rank of the Fisher information of the linearised model.
pub fn theorem_5_1(fisher_rank: u32) -> Rational64 {
    Rational64::new(i64::from(fisher_rank), 2)
}

/// Theorem 5.2 (the lazy regime, frozen random features): `λ = p min(l, K)/2`, `l` the dimension of the space of features.
///
/// # Errors
/// [`QuadraticTheoremError::Size`].
pub fn theorem_5_2(
    p: u32,
    feature_dimension: u32,
    width: u32,
) -> Result<Rational64, QuadraticTheoremError> {
    let [p, l, k] = sizes([p, feature_dimension, width])?;
    Ok(Rational64::new(p * l.min(k), 2))
}

/// Corollary 5.3 of v1 (memorising modular addition): `λ = p min(2p−1, K)/2`.
///
/// # Errors
/// [`QuadraticTheoremError::Size`].
pub fn corollary_5_3_v1(p: u32, width: u32) -> Result<Rational64, QuadraticTheoremError> {
    let [p, k] = sizes([p, width])?;
    Ok(Rational64::new(p * k.min(2 * p - 1), 2))
}

/// Corollary 5.3 of v3 (memorising modular addition, `2p−1 < K << p²`): `p(2p−1)/2 <= λ <= pK/2`, as (lower, upper).
///
/// # Errors
/// [`QuadraticTheoremError::Size`]; [`QuadraticTheoremError::Regime`] unless `2p − 1 < K < p²`.
pub fn corollary_5_3_v3(
    p: u32,
    width: u32,
) -> Result<(Rational64, Rational64), QuadraticTheoremError> {
    let [p, k] = sizes([p, width])?;
    regime(2 * p, p * p - 1, width)?;
    Ok((
        Rational64::new(p * (2 * p - 1), 2),
        Rational64::new(p * k, 2),
    ))
}

/// Corollary 5.4 of v3 (late solution of modular addition, `K(3p−1) < p²(2p+1)`): `λ = K(3p−1)/2`.
///
/// # Errors
/// [`QuadraticTheoremError::Size`]; [`QuadraticTheoremError::Regime`] unless `K(3p−1) < p²(2p+1)`.
pub fn corollary_5_4_v3(p: u32, width: u32) -> Result<Rational64, QuadraticTheoremError> {
    let [p, k] = sizes([p, width])?;
    let unit = 3 * p - 1;
    regime(1, (p * p * (2 * p + 1) - 1) / unit, width)?;
    Ok(Rational64::new(k * unit, 2))
}

fn sizes<const N: usize>(sizes: [u32; N]) -> Result<[i64; N], QuadraticTheoremError> {
    match sizes.iter().find(|s| !(1..=MAX_SIZE).contains(*s)) {
        Some(&size) => Err(QuadraticTheoremError::Size { size }),
        None => Ok(sizes.map(i64::from)),
    }
}

fn regime(least: i64, most: i64, width: u32) -> Result<(), QuadraticTheoremError> {
    if (least..=most).contains(&i64::from(width)) {
        return Ok(());
    }
    Err(QuadraticTheoremError::Regime {
        least: least as u64,
        most: most as u64,
        width,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        FieldMatrix, Known, ModularAddition, ModularLoss, PrimeField, QuadraticNetwork, Support,
    };

    fn half(n: i64) -> Rational64 {
        Rational64::new(n, 2)
    }

    #[test]
    fn as_the_paper_states_them() {
        assert_eq!(theorem_4_1_v1(3, 1, 6), Ok(half(6)));
        assert_eq!(theorem_4_1_v1(106, 53, 5671), Ok(half(300_563)));
        assert_eq!(theorem_4_2_v1(106, 53, 1024), Ok(half(161_792)));
        assert_eq!(theorem_4_1_v3(29), half(29));
        assert_eq!(corollary_4_2_v3(4, 3, 5), Ok(half(30)));
        assert_eq!(corollary_4_2_v3(106, 53, 5000), Ok(half(300_563)));
        assert_eq!(theorem_5_1(7), half(7));
        assert_eq!(theorem_5_2(53, 1122, 1024), Ok(half(54_272)));
        assert_eq!(theorem_5_2(53, 1122, 2048), Ok(half(53 * 1122)));
        assert_eq!(corollary_5_3_v1(53, 1024), Ok(half(5565)));
        assert_eq!(corollary_5_3_v1(53, 100), Ok(half(5300)));
        assert_eq!(corollary_5_3_v3(53, 1024), Ok((half(5565), half(54_272))));
        assert_eq!(corollary_5_4_v3(53, 1024), Ok(half(161_792)));
    }

    #[test]
    fn outside_the_regime() {
        let regime = |least, most, width| Err(QuadraticTheoremError::Regime { least, most, width });
        assert_eq!(theorem_4_1_v1(3, 2, 5), regime(6, 1_000_000, 5));
        assert_eq!(theorem_4_2_v1(3, 2, 6), regime(1, 5, 6));
        assert_eq!(theorem_4_2_v1(3, 2, 5), Ok(half(20)));
        assert_eq!(
            corollary_5_3_v3(5, 9).map(|bracket| bracket.0),
            regime(10, 24, 9)
        );
        assert!(corollary_5_3_v3(5, 10).is_ok() && corollary_5_3_v3(5, 24).is_ok());
        assert!(corollary_5_3_v3(5, 25).is_err());
        // 14 K < 275; at p = 3, K = 7: 8 · 7 = 56 < 63; 8 · 8 = 64.
        assert_eq!(corollary_5_4_v3(5, 19), Ok(half(266)));
        assert_eq!(corollary_5_4_v3(5, 20), regime(1, 19, 20));
        assert_eq!(corollary_5_4_v3(3, 8), regime(1, 7, 8));
        // At p = 2 the bound is whole, 5 K < 20; at p = 1, 2 K < 3.
        assert_eq!(corollary_5_4_v3(2, 4), regime(1, 3, 4));
        assert_eq!(corollary_5_4_v3(1, 2), regime(1, 1, 2));
        for size in [0, 1_000_001] {
            let error = Err(QuadraticTheoremError::Size { size });
            assert_eq!(theorem_4_1_v1(size, 1, 1), error);
            assert_eq!(theorem_4_2_v1(1, size, 1), error);
            assert_eq!(corollary_4_2_v3(1, 1, size), error);
            assert_eq!(theorem_5_2(1, size, 1), error);
            assert_eq!(corollary_5_3_v1(size, 1), error);
            assert_eq!(corollary_5_4_v3(1, size), error);
            assert!(corollary_5_3_v3(size, 1).is_err());
        }
    }

    /// Theorem 4.2 (v1) and corollary 4.2 (v3) hold where counting is right, and fail at the defective triples.
    #[test]
    fn rich_inputs() {
        for d in 1..7 {
            for p in 1..7 {
                for k in 1..=d * (d + 1) / 2 {
                    let network = QuadraticNetwork::new(d, p, k).unwrap();
                    let paper = corollary_4_2_v3(d, p, k).unwrap();
                    let truth = network.learning_coefficient().lambda().unwrap();
                    assert_eq!(paper == truth, network.expected_rank() == network.rank());
                    assert!(truth <= paper);
                    assert_eq!(truth, theorem_4_1_v3(network.rank() as u32));
                    // v1 has no minimum: it is too large wherever v3 is saturated, too.
                    match theorem_4_2_v1(d, p, k) {
                        Ok(v1) => assert!(v1 >= paper),
                        Err(_) => assert_eq!(theorem_4_1_v1(d, p, k), Ok(truth)),
                    }
                }
            }
        }
        // Scalar outputs: λ = 5/2 at d = 3, K = 2; v1 and v3 say 3.
        assert_eq!(theorem_4_2_v1(3, 1, 2), Ok(half(6)));
        assert_eq!(corollary_4_2_v3(3, 1, 2), Ok(half(6)));
        let truth = QuadraticNetwork::new(3, 1, 2)
            .unwrap()
            .learning_coefficient();
        assert_eq!(truth.lambda(), Some(half(5)));
    }

    /// Corollary 5.4: too large by K/2 on one-hot pairs, and its plateau is too high.
    #[test]
    fn one_hot_pairs() {
        for p in [3u32, 5, 7] {
            let truth = |k| {
                ModularAddition::new(p, k, ModularLoss::Squared, u64::from(p * p))
                    .unwrap()
                    .learning_coefficient()
            };
            let (size, k) = (i64::from(p), p);
            let excess = corollary_5_4_v3(p, k).unwrap() - truth(k).exact().unwrap().lambda();
            assert_eq!(excess, half(i64::from(k)));
            let wide = p * (2 * p + 1);
            assert_eq!(
                corollary_4_2_v3(2 * p, p, wide),
                Ok(half(size * size * (2 * size + 1)))
            );
            assert_eq!(truth(wide).lambda(), Some(half(size.pow(3))));
        }
        // The paper's own late value exceeds its memorising one.
        assert!(corollary_5_4_v3(53, 1024).unwrap() > corollary_5_3_v3(53, 1024).unwrap().1);
    }

    /// Corollary 5.3: the squares of generic frozen units are independent on the pairs, so the upper end is the value.
    #[test]
    fn frozen_features() {
        let (p, k) = (7u32, 20u32);
        let field = PrimeField::LARGE;
        for (n_pairs, expected) in [(49, 20), (20, 20), (12, 12)] {
            let features = FieldMatrix::from_fn(field, k as usize, n_pairs, |unit, pair| {
                let (a, b) = (pair * 3 % 49 / 7, pair * 3 % 49 % 7);
                let w = field.add(
                    field.coordinate((unit * 14 + a) as u64),
                    field.coordinate((unit * 14 + 7 + b) as u64),
                );
                field.multiply(w, w)
            });
            assert_eq!(features.rank(), expected);
        }
        let (lower, upper) = corollary_5_3_v3(p, k).unwrap();
        assert_eq!(theorem_5_2(p, 49, k), Ok(upper));
        assert_eq!(corollary_5_3_v1(p, k), Ok(lower));
        assert!(lower < upper);
    }

    /// Theorem 5.1 on a linearised network: the rank of its Jacobian.
    #[test]
    fn linearised() {
        let network = QuadraticNetwork::new(3, 2, 2).unwrap();
        let rank = network.jacobian_rank(&Support::QuadraticForms).unwrap();
        let known = network.learning_coefficient();
        assert_eq!(known.lambda(), Some(theorem_5_1(rank as u32)));
        assert!(matches!(known, Known::Exact(_)));
    }
}
