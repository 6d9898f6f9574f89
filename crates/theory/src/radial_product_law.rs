//! The exact law of the LLC estimator on products of powers of radii, monomials among them.
//!
//! `K = c ∏_i (|w_i|²)^(k_i)` with blocks `w_i ∈ R^(d_i)`, target `exp(−sK − γ/2 Σ |w_i|²)`, `s = nβ`. One-dimensional
//! blocks are the monomials `c ∏ w_i^(2k_i)`; a single block is the radial germ `c (|w|²)^k`; two blocks with `k = 1` and
//! `c = ½` are reduced-rank regression with one hidden unit and zero truth. A block of dimension `1 + h` acts as one variable
//! with the prior factor `|w|^h`.
//!
//! Derived here: under the localisation `γ|w_i|²/2` is a gamma variable of shape `d_i/2`, so that
//! `E[(|w_i|²)^(−k_i z)] = (γ/2)^(k_i z) Γ(d_i/2 − k_i z)/Γ(d_i/2)` and with `X = sc ∏ (2/γ)^(k_i)`
//! ```text
//! Z = (1/2πi) ∫ Γ(z) X^(−z) ∏_i Γ(d_i/2 − k_i z)/Γ(d_i/2) dz,
//! ```
//! with the moments of `sK` by Γ(z + 1), Γ(z + 2) in place of Γ(z). The law depends on X alone. The first pole is
//! `λ = min d_i/(2k_i)`, its order m the number of minimisers. For one variable with k = 2 the integral is
//! `K_{1/4}`, for one block with k = 2 a parabolic cylinder function, for `w₁²w₂²` it is `K₀`
//! ([`NormalCrossingLaw`](crate::NormalCrossingLaw)): the tests compare.

use num_complex::Complex64;
use num_rational::Rational64;

use crate::log_gamma::log_gamma;
use crate::mellin_barnes::{line_integral, mellin_barnes};
use crate::{FiniteLaw, FiniteLawError, LearningCoefficient};

/// The largest dimension of a block and the largest half-exponent.
const MOST: u32 = 1000;

/// The largest `|log X|`.
const MOST_LOG_SCALE: f64 = 1e4;

/// The law of `K = coefficient · ∏ w_i^(2k_i)` at nβ, with localisation γ at the origin.
///
/// Any number of variables; one with `k_i = 0` is flat and changes nothing.
///
/// Shapes: `half_exponents`: `[d]`, the `k_i`.
/// Domain: `k_i <= 1000`.   Accuracy: relative 1e-11.   Derived here; see the module.
///
/// ```
/// // K = w₁²w₂²w₃²/2 at n = 1000: half of λ = 1/2, for m = 3.
/// let n = 1000.0_f64;
/// let law = slt_theory::monomial_law(0.5, &[1, 1, 1], n / n.ln(), 1.0)?;
/// assert!((law.mean() - 0.2517).abs() < 5e-5);
/// assert_eq!(law.learning_coefficient().to_string(), "λ = 1/2, m = 3");
/// # Ok::<(), slt_theory::FiniteLawError>(())
/// ```
///
/// # Errors
/// [`FiniteLawError::NotPositive`] unless coefficient, nβ and γ are positive and finite; [`FiniteLawError::NoZero`] when no
/// `k_i` is positive; [`FiniteLawError::Range`] unless every `k_i <= 1000`; [`FiniteLawError::Scale`] unless `|log X| <= 1e4`.
pub fn monomial_law(
    coefficient: f64,
    half_exponents: &[u32],
    nbeta: f64,
    gamma: f64,
) -> Result<FiniteLaw, FiniteLawError> {
    let blocks: Vec<(u32, u32)> = half_exponents.iter().map(|&k| (1, k)).collect();
    radial_product_law(coefficient, &blocks, nbeta, gamma)
}

/// The law of `K = coefficient · (|w|²)^k`, `w ∈ R^dimension`, at nβ, with localisation γ at the origin.
///
/// Domain: `dimension, k <= 1000`.   Accuracy: relative 1e-11.   Derived here; see the module.
///
/// ```
/// // K = |w|⁴ in the plane: λ = 1/2, approached like 1/√s.
/// let law = slt_theory::radial_law(1.0, 2, 2, 1e8, 1.0)?;
/// assert!((law.mean() - 0.5).abs() < 1e-4);
/// # Ok::<(), slt_theory::FiniteLawError>(())
/// ```
///
/// # Errors
/// Those of [`radial_product_law`].
pub fn radial_law(
    coefficient: f64,
    dimension: u32,
    half_exponent: u32,
    nbeta: f64,
    gamma: f64,
) -> Result<FiniteLaw, FiniteLawError> {
    radial_product_law(coefficient, &[(dimension, half_exponent)], nbeta, gamma)
}

/// The law of `K = coefficient · ∏ (|w_i|²)^(k_i)`, `w_i ∈ R^(d_i)`, at nβ, with localisation γ at the origin.
///
/// Shapes: `blocks`: the pairs `(d_i, k_i)`.
/// Domain: `1 <= d_i <= 1000`, `k_i <= 1000`, `|log X| <= 1e4`.   Accuracy: relative 1e-11.   Derived here; see the module.
///
/// ```
/// // One hidden unit, 3 inputs, 2 outputs, zero truth: K = |b|²|a|²/2.
/// let law = slt_theory::radial_product_law(0.5, &[(3, 1), (2, 1)], 1e10, 1.0)?;
/// assert!((law.mean() - 1.0).abs() < 1e-4);
/// # Ok::<(), slt_theory::FiniteLawError>(())
/// ```
///
/// # Errors
/// [`FiniteLawError::NotPositive`] unless coefficient, nβ and γ are positive and finite; [`FiniteLawError::NoZero`] when no
/// `k_i` is positive; [`FiniteLawError::Range`] for a dimension or exponent, [`FiniteLawError::Scale`] for an X outside the
/// domain.
pub fn radial_product_law(
    coefficient: f64,
    blocks: &[(u32, u32)],
    nbeta: f64,
    gamma: f64,
) -> Result<FiniteLaw, FiniteLawError> {
    let nbeta = FiniteLawError::positive("nbeta", nbeta)?;
    let product = Product::new(coefficient, blocks, gamma)?;
    let log_x = FiniteLawError::scale("X", nbeta.ln() + product.log_scale, MOST_LOG_SCALE)?;
    Ok(mellin_barnes(
        log_x,
        product.learning_coefficient.lambda_f64(),
        product.learning_coefficient,
        |z| product.log_transform(z),
    ))
}

/// `log V(ε)`, the volume `V(ε) = P(K <= ε)` of `K = coefficient · ∏ (|w_i|²)^(k_i)` under `w ~ N(0, 1/γ)`.
///
/// Its integral is that of the module with 1/z in the place of Γ(z), as `1{K <= ε} = (1/2πi) ∫ (ε/K)^z dz/z`; the first pole gives
/// `V ~ c ε^λ (log 1/ε)^(m−1)`.
///
/// Shapes: `blocks`: the pairs `(d_i, k_i)`.
/// Domain: as [`radial_product_law`], with `X = ∏ (2/γ)^(k_i) c/ε`.   Accuracy: absolute 1e-11.   Derived here.
///
/// ```
/// // K = |w|²/2 in the plane is exponential: V(ε) = 1 - e^(-ε).
/// let log_volume = slt_theory::radial_product_log_volume(0.5, &[(2, 1)], 1e-3, 1.0)?;
/// assert!((log_volume - (-(-1e-3_f64).exp_m1()).ln()).abs() < 1e-11);
/// # Ok::<(), slt_theory::FiniteLawError>(())
/// ```
///
/// # Errors
/// Those of [`radial_product_law`], for ε in the place of nβ.
pub fn radial_product_log_volume(
    coefficient: f64,
    blocks: &[(u32, u32)],
    epsilon: f64,
    gamma: f64,
) -> Result<f64, FiniteLawError> {
    let epsilon = FiniteLawError::positive("epsilon", epsilon)?;
    let product = Product::new(coefficient, blocks, gamma)?;
    let log_x = FiniteLawError::scale("X", product.log_scale - epsilon.ln(), MOST_LOG_SCALE)?;
    let lambda = product.learning_coefficient.lambda_f64();
    Ok(line_integral(0.0, lambda, |z| {
        product.log_transform(z) - z * log_x - z.ln()
    }))
}

/// A product of powers of radii under its localisation.
struct Product {
    learning_coefficient: LearningCoefficient,
    /// `log(c ∏ (2/γ)^(k_i))`.
    log_scale: f64,
    /// `d_i/2`, `k_i` and `log Γ(d_i/2)`.
    factors: Vec<(f64, f64, f64)>,
}

impl Product {
    fn new(coefficient: f64, blocks: &[(u32, u32)], gamma: f64) -> Result<Self, FiniteLawError> {
        let coefficient = FiniteLawError::positive("coefficient", coefficient)?;
        let gamma = FiniteLawError::positive("gamma", gamma)?;
        for &(dimension, half_exponent) in blocks {
            FiniteLawError::range("dimension", dimension, 1, MOST)?;
            FiniteLawError::range("half-exponent", half_exponent, 0, MOST)?;
        }
        let rates = || {
            let poles = blocks.iter().filter(|block| block.1 > 0);
            poles.map(|&(dimension, k)| Rational64::new(dimension.into(), 2 * i64::from(k)))
        };
        let lambda = rates().min().ok_or(FiniteLawError::NoZero)?;
        let multiplicity = rates().map(|rate| u32::from(rate == lambda)).sum();
        let factors: Vec<(f64, f64, f64)> = blocks
            .iter()
            .map(|&(dimension, half_exponent)| {
                let shape = 0.5 * f64::from(dimension);
                let norm = log_gamma(Complex64::from(shape)).re;
                (shape, f64::from(half_exponent), norm)
            })
            .collect();
        let degree: f64 = factors.iter().map(|factor| factor.1).sum();
        Ok(Self {
            learning_coefficient: LearningCoefficient::from_formula(lambda, multiplicity),
            // 2/γ may overflow.
            log_scale: coefficient.ln() + degree * (2f64.ln() - gamma.ln()),
            factors,
        })
    }

    /// `Σ log Γ(d_i/2 − k_i z) − log Γ(d_i/2)`.
    fn log_transform(&self, z: Complex64) -> Complex64 {
        let factors = self.factors.iter();
        factors
            .map(|&(shape, k, norm)| log_gamma(shape - k * z) - norm)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture_moments::MixtureMoments;
    use crate::{
        LocalisedGaussian, NormalCrossing, NormalCrossingLaw, ReducedRank, regular, scaled_bessel_k,
    };
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    /// The law of `K = r^(2k) rest` by the trapezoidal rule over the radius r of one block of dimension d at γ = 1, in
    /// the variable `log r`: `conditional` gives log evidence, mean and variance at a coefficient `r^(2k)`.
    fn over_radius(
        (dimension, k): (u32, u32),
        step: f64,
        mut conditional: impl FnMut(f64) -> (f64, f64, f64),
    ) -> MixtureMoments {
        let d = f64::from(dimension);
        let mut moments = MixtureMoments::default();
        let log_norm = (1.0 - 0.5 * d) * 2f64.ln() - log_gamma((0.5 * d).into()).re;
        // exp(−r²/2) vanishes on the right, and r^d on the left, also of r^(−2k) = e^30.
        let mut log_r = 2.5 + 0.3 * d.ln();
        while log_r > -32.0 / d - 1.0 - 15.0 / f64::from(k) {
            let (log_evidence, mean, variance) = conditional((2.0 * f64::from(k) * log_r).exp());
            let log_weight = d * log_r - 0.5 * (2.0 * log_r).exp();
            moments.add(
                log_norm + step.ln() + log_weight + log_evidence,
                mean,
                variance,
            );
            log_r -= step;
        }
        moments
    }

    fn assert_agrees(law: &FiniteLaw, moments: &MixtureMoments) {
        assert_relative_eq!(law.mean(), moments.mean(), max_relative = 1e-10);
        assert_relative_eq!(law.variance(), moments.variance(), max_relative = 1e-10);
        assert_relative_eq!(
            law.log_evidence(),
            moments.log_weight(),
            max_relative = 1e-11,
            epsilon = 1e-12
        );
    }

    /// One block: sK is a number at each radius.
    #[test]
    fn one_block_by_quadrature() {
        for (dimension, k) in [
            (1, 1),
            (1, 2),
            (1, 3),
            (1, 5),
            (2, 2),
            (3, 1),
            (3, 2),
            (7, 3),
        ] {
            for x in [1e-6, 0.3, 50.0, 1e7] {
                let law = radial_law(x, dimension, k, 1.0, 1.0).unwrap();
                let quadrature = over_radius((dimension, k), 0.02 / f64::from(k), |r| {
                    (-x * r, x * r, 0.0)
                });
                assert_agrees(&law, &quadrature);
            }
        }
    }

    /// One block: a chi-square probability.
    #[test]
    fn volume_of_one_block() {
        use statrs::function::gamma::gamma_lr;
        for (dimension, k) in [(1, 1), (1, 3), (2, 1), (3, 2), (7, 1)] {
            for epsilon in [1e-12, 1e-5, 0.1, 20.0] {
                let radius = 2.0 * f64::powf(epsilon / 0.7, 1.0 / f64::from(k));
                let exact = gamma_lr(0.5 * f64::from(dimension), 0.5 * radius).ln();
                let volume =
                    radial_product_log_volume(0.7, &[(dimension, k)], epsilon, 2.0).unwrap();
                assert_relative_eq!(volume, exact, max_relative = 1e-10, epsilon = 1e-11);
            }
        }
    }

    /// The evidence is the Laplace transform of the volume, `Z(s) = ∫ V(ε) s e^(−sε) dε`; trapezoidal rule in `log sε`.
    #[test]
    fn evidence_is_the_laplace_transform_of_the_volume() {
        let products: [&[(u32, u32)]; 4] = [
            &[(1, 1), (1, 1)],
            &[(1, 1), (1, 2)],
            &[(1, 1); 3],
            &[(3, 1), (2, 1)],
        ];
        for blocks in products {
            for s in [1e2, 1e6] {
                let step = 0.05;
                let term = |i: i32| {
                    let log_u = step * f64::from(i);
                    let volume =
                        radial_product_log_volume(0.5, blocks, log_u.exp() / s, 1.0).unwrap();
                    step * (volume + log_u - log_u.exp()).exp()
                };
                let evidence: f64 = (-600..100).map(term).sum();
                let law = radial_product_law(0.5, blocks, s, 1.0).unwrap();
                assert_relative_eq!(evidence.ln(), law.log_evidence(), max_relative = 1e-8);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10))]

        /// A block more, by quadrature over its radius: with `one_block_by_quadrature` an induction over all products.
        #[test]
        fn one_block_more_by_quadrature(
            blocks in prop::collection::vec((1u32..5, 0u32..4), 1..3),
            last in (1u32..5, 1u32..4),
            first_exponent in 1u32..4,
            log_x in -8.0..30.0f64,
        ) {
            let mut blocks = blocks;
            blocks[0].1 = first_exponent;
            let x = log_x.exp();
            let quadrature = over_radius(last, 0.14 / f64::from(last.1), |r| {
                // A loss below 1e-14 is zero; its law would take long.
                let law = radial_product_law((r * x).max(1e-14), &blocks, 1.0, 1.0).unwrap();
                (law.log_evidence(), law.mean(), law.variance())
            });
            blocks.push(last);
            assert_agrees(&radial_product_law(1.0, &blocks, x, 1.0).unwrap(), &quadrature);
        }
    }

    /// `c|w|²` has d equal regular directions of Hessian 2c.
    #[test]
    fn squares_are_regular() {
        for (dimension, c, nbeta, gamma) in [
            (1, 0.5, 100.0, 3.0),
            (5, 2.0, 0.01, 7.0),
            (1000, 1.0, 30.0, 4.0),
        ] {
            let law = radial_law(c, dimension, 1, nbeta, gamma).unwrap();
            let gaussian =
                LocalisedGaussian::new(&vec![2.0 * c; dimension as usize], nbeta, gamma).unwrap();
            assert_relative_eq!(law.mean(), gaussian.mean(), max_relative = 1e-11);
            assert_relative_eq!(law.variance(), gaussian.variance(), max_relative = 1e-10);
            let log_evidence = -0.5 * f64::from(dimension) * (2.0 * c * nbeta / gamma).ln_1p();
            assert_relative_eq!(law.log_evidence(), log_evidence, max_relative = 1e-12);
            assert_eq!(law.learning_coefficient(), regular(dimension));
        }
    }

    /// `c w₁²w₂²` in Bessel form.
    #[test]
    fn two_variables_in_bessel_form() {
        for (c, nbeta, gamma) in [
            (0.5, 1e3 / 1e3_f64.ln(), 1.0),
            (1.0, 1e12, 0.3),
            (3.0, 2.0, 10.0),
        ] {
            let law = monomial_law(c, &[1, 1], nbeta, gamma).unwrap();
            let bessel = NormalCrossingLaw::new(c, nbeta, gamma).unwrap();
            assert_relative_eq!(law.mean(), bessel.mean(), max_relative = 1e-11);
            assert_relative_eq!(law.variance(), bessel.variance(), max_relative = 1e-11);
            assert_relative_eq!(law.log_evidence(), bessel.log_evidence(), epsilon = 1e-12);
        }
    }

    /// `c w⁴`: `∫ exp(−a w⁴ − b w²) dw = ½ √(b/a) e^(b²/8a) K_{1/4}(b²/8a)`, `a = cs`, `b = γ/2`, and
    /// `E[sK] = −∂ log Z/∂ log a` with `K_ν' = −(K_{ν−1} + K_{ν+1})/2`, `K_{−ν} = K_ν`.
    #[test]
    fn fourth_power_in_bessel_form() {
        for (c, nbeta, gamma) in [
            (1.0, 1e3 / 1e3_f64.ln(), 1.0),
            (0.5, 3.0, 5.0),
            (2.0, 1e6, 0.1),
        ] {
            let law = monomial_law(c, &[2], nbeta, gamma).unwrap();
            let (a, b) = (c * nbeta, 0.5 * gamma);
            let x = b * b / (8.0 * a);
            let k = scaled_bessel_k(0.25, x);
            let slope = -0.5 * (scaled_bessel_k(0.75, x) + scaled_bessel_k(1.25, x));
            // Relative to log a, both log √(b/a) and x fall.
            assert_relative_eq!(
                law.mean(),
                0.5 + x * (1.0 + slope / k),
                max_relative = 1e-10
            );
            let z = 0.5 * (b / a).sqrt() * k;
            let normalised = (z * (b / std::f64::consts::PI).sqrt()).ln();
            assert_relative_eq!(law.log_evidence(), normalised, epsilon = 1e-12);
        }
    }

    /// `w₁²w₂²w₃²`, one more layer over the K₀ of two variables; 0.2517 at n = 1000 (λ = ½, m = 3).
    #[test]
    fn three_variables_over_bessel() {
        let n = 1e3_f64;
        let law = monomial_law(0.5, &[1, 1, 1], n / n.ln(), 1.0).unwrap();
        assert!((law.mean() - 0.2517).abs() < 5e-5, "{}", law.mean());
        for s in [0.5, n / n.ln(), 1e9] {
            let law = monomial_law(0.5, &[1, 1, 1], s, 1.0).unwrap();
            let layer = over_radius((1, 1), 0.05, |r| {
                let bessel = NormalCrossingLaw::new(0.5 * r, s, 1.0).unwrap();
                (bessel.log_evidence(), bessel.mean(), bessel.variance())
            });
            assert_agrees(&law, &layer);
        }
    }

    /// `w₁²w₂^q`: Gaussian in w₁ at fixed w₂.
    #[test]
    fn square_times_power_over_a_gaussian() {
        for (k, s) in [(1, 144.0), (2, 144.0), (3, 1e6)] {
            let law = monomial_law(1.0, &[1, k], s, 1.0).unwrap();
            let layer = over_radius((1, k), 0.02, |r| {
                let gaussian = LocalisedGaussian::new(&[2.0 * r], s, 1.0).unwrap();
                (
                    -0.5 * (2.0 * r * s).ln_1p(),
                    gaussian.mean(),
                    gaussian.variance(),
                )
            });
            assert_agrees(&law, &layer);
        }
    }

    /// γ → ∞ or s → 0: `E[sK] → s E[K]`, `Var → s² Var[K]`, with the moments of w ~ N(0, 1/γ), without loss of digits.
    #[test]
    fn strong_localisation() {
        // K = 2 w₁² w₂⁴ with E w⁴ = 3, E w⁸ = 105 at γ = 1: E K = 6, E K² = 4·3·105.
        for (nbeta, gamma) in [(1e-12, 1.0), (1.0, 1e4)] {
            let law = monomial_law(2.0, &[1, 2], nbeta, gamma).unwrap();
            assert_relative_eq!(law.mean(), 6e-12, max_relative = 1e-9);
            assert_relative_eq!(law.variance(), (1260.0 - 36.0) * 1e-24, max_relative = 1e-9);
            assert_relative_eq!(law.log_evidence(), -6e-12, epsilon = 1e-14);
        }
    }

    /// The pole of order m leaves `E = λ − (m − 1)/(log X + c) + …`, for two terms of the same k with
    /// `c = γ_E + log 4` at one dimension, as `NormalCrossingLaw::asymptotic_mean` has it.
    #[test]
    fn large_s() {
        let law = monomial_law(1.0, &[1, 1], 1e100, 2.0).unwrap();
        let bessel = NormalCrossingLaw::new(1.0, 1e100, 2.0).unwrap();
        assert_relative_eq!(law.mean(), bessel.asymptotic_mean(), max_relative = 1e-11);
        // m = 1: power corrections only.
        let law = monomial_law(1.0, &[1, 2], 1e60, 1.0).unwrap();
        assert_relative_eq!(law.mean(), 0.25, max_relative = 1e-11);
        assert_relative_eq!(law.variance(), 0.25, max_relative = 1e-11);
    }

    #[test]
    fn pairs() {
        let pair = |blocks: &[(u32, u32)]| {
            radial_product_law(1.0, blocks, 1.0, 1.0)
                .unwrap()
                .learning_coefficient()
        };
        for k in [&[1][..], &[1, 1], &[1, 2], &[2, 2], &[3, 0, 1], &[1, 1, 1]] {
            let blocks: Vec<_> = k.iter().map(|&k| (1, k)).collect();
            let expected = NormalCrossing::with_positive_prior(k)
                .unwrap()
                .learning_coefficient();
            assert_eq!(pair(&blocks), expected);
        }
        // The radial germ (|w|²)^k has d/(2k).
        assert_eq!(
            pair(&[(3, 2)]),
            regular(3).power(Rational64::from_integer(2)).unwrap()
        );
        // One hidden unit with zero truth.
        for (m, n) in [(3, 2), (2, 2), (1, 5)] {
            let expected = ReducedRank::new(m, n, 1, 0).unwrap().learning_coefficient();
            assert_eq!(pair(&[(m, 1), (n, 1)]), expected);
        }
    }

    #[test]
    fn impossible_input_is_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let refused = |result| matches!(result, Err(FiniteLawError::NotPositive { .. }));
            assert!(refused(monomial_law(bad, &[1], 1.0, 1.0)));
            assert!(refused(monomial_law(1.0, &[1], bad, 1.0)));
            assert!(refused(monomial_law(1.0, &[1], 1.0, bad)));
        }
        for exponents in [&[][..], &[0, 0]] {
            assert_eq!(
                monomial_law(1.0, exponents, 1.0, 1.0),
                Err(FiniteLawError::NoZero)
            );
        }
        for (dimension, k, name) in [
            (0, 1, "dimension"),
            (1001, 1, "dimension"),
            (1, 1001, "half-exponent"),
        ] {
            let error = radial_law(1.0, dimension, k, 1.0, 1.0).unwrap_err();
            assert!(
                matches!(error, FiniteLawError::Range { name: named, .. } if named == name),
                "{error}"
            );
        }
        // 2/gamma overflows, X does not.
        assert!(radial_law(1.0, 1, 1, f64::MAX, 5e-324).is_ok());
        for gamma in [5e-324, f64::MAX] {
            let error = radial_law(1.0, 1, 20, 1.0, gamma).unwrap_err();
            assert!(matches!(error, FiniteLawError::Scale { .. }), "{error}");
        }
        assert!(radial_law(1.0, 1000, 1000, 1.0, 1.0).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// `E = −∂ log Z/∂ log s` and `Var = E − ∂E/∂ log s`, by differences of sixth order.
        #[test]
        fn derivatives_of_the_evidence(
            blocks in prop::collection::vec((1u32..20, 1u32..5), 1..5),
            log_s in -10.0..40.0f64,
            gamma in 0.1..10.0,
        ) {
            let at = |shift: f64| radial_product_law(1.0, &blocks, (log_s + shift).exp(), gamma).unwrap();
            let h = 0.05;
            let slope = |value: &dyn Fn(&FiniteLaw) -> f64| {
                let difference = |i: f64| value(&at(i * h)) - value(&at(-i * h));
                (45.0 * difference(1.0) - 9.0 * difference(2.0) + difference(3.0)) / (60.0 * h)
            };
            let law = at(0.0);
            let scale = law.learning_coefficient().lambda_f64();
            prop_assert!((law.mean() + slope(&|law| law.log_evidence())).abs() < 1e-6 * scale);
            prop_assert!((law.variance() - law.mean() + slope(&|law| law.mean())).abs() < 1e-6 * scale);
        }

        /// s, c and γ enter by one number alone; the order of the blocks and flat blocks do not matter.
        #[test]
        fn one_scale(
            blocks in prop::collection::vec((1u32..6, 1u32..4), 1..4), flat in 1u32..6,
            log_s in -5.0..40.0f64, log_gamma in -5.0..5.0f64,
        ) {
            let degree: u32 = blocks.iter().map(|block| block.1).sum();
            let one = radial_product_law(1.0, &blocks, log_s.exp(), 1.0).unwrap();
            let log_c = f64::from(degree) * log_gamma;
            let mut other = blocks;
            other.reverse();
            other.push((flat, 0));
            let other = radial_product_law(log_c.exp(), &other, log_s.exp(), log_gamma.exp()).unwrap();
            prop_assert!((one.mean() / other.mean() - 1.0).abs() < 1e-11);
            prop_assert!((one.variance() / other.variance() - 1.0).abs() < 1e-10);
            prop_assert_eq!(one.learning_coefficient(), other.learning_coefficient());
        }

        /// Between 0 and λ, and increasing in s.
        #[test]
        fn bounded_by_lambda_and_increasing(
            blocks in prop::collection::vec((1u32..6, 1u32..4), 1..4), log_s in -20.0..200.0f64,
        ) {
            let mean = |log_s: f64| radial_product_law(1.0, &blocks, log_s.exp(), 1.0).unwrap();
            let lambda = mean(0.0).learning_coefficient().lambda_f64();
            prop_assert!(0.0 < mean(log_s).mean());
            prop_assert!(mean(log_s).mean() < lambda * (1.0 + 1e-12));
            prop_assert!(mean(log_s).mean() <= mean(log_s + 0.5).mean() * (1.0 + 1e-12));
        }
    }
}
