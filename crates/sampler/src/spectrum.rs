//! The spectrum of a Hessian, exact or estimated: what a sum `Σ f(h)` over its eigenvalues needs.
//!
//! For many parameters, stochastic Lanczos quadrature (Ubaru, Chen and Saad 2017, "Fast estimation of tr(f(A)) via stochastic
//! Lanczos quadrature", SIAM J. Matrix Anal. Appl. 38; for networks Ghorbani, Krishnan and Xiao 2019, arXiv:1901.10159):
//! for a vector `v` of random signs, `E[v' f(H) v] = Σ f(h)`, and [`lanczos`](crate::lanczos()) gives `v' f(H) v`. Each probe is one
//! independent replicate, so that the spread over probes is the standard error:
//! ```text
//! Var[v' f(H) v] = 2 Σ_{i != j} f(H)_ij² <= 2 Σ f(h)²
//! ```
//! (Hutchinson 1990). Relative to the sum of an `f` between 0 and 1 that is at most `√(2 / (P Σ f))` for `P` probes.
//! What the finite number of Lanczos steps leaves is not part of it and reported beside it, as the difference between the Gauss
//! rule and the Gauss-Radau rule with a node at or below the spectrum's lower end.

use ndarray::{Array2, ArrayView1};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use slt_stats::Estimate;

use crate::hessian::{HessianError, spectrum};
use crate::lanczos::{LanczosError, Nodes, Ritz, Tridiagonal, lanczos};
use crate::stream::{Purpose, rng};
use crate::target::Target;

/// How a spectrum is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probes {
    /// Random vectors, at least 2: the standard error has one degree of freedom less.
    pub n_probes: usize,
    /// Lanczos steps of each.
    pub n_steps: usize,
    /// Seed of the random signs.
    pub seed: u64,
    /// Stream of the random signs, one for each point whose spectrum is wanted.
    #[serde(default)]
    pub stream: u64,
}

impl Probes {
    /// Eight vectors of 30 steps: for networks of up to 240 parameters the spectrum is exact ([`Spectrum::of`]).
    pub fn new(seed: u64) -> Self {
        Self {
            n_probes: 8,
            n_steps: 30,
            seed,
            stream: 0,
        }
    }
}

/// Why a spectrum cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SpectrumError {
    /// One probe has no standard error.
    #[error("n_probes is {n_probes}, expected at least 2")]
    TooFewProbes {
        /// Number given.
        n_probes: usize,
    },
    /// An eigenvalue is not finite.
    #[error("eigenvalue {index} is {value}, expected a finite number")]
    Eigenvalue {
        /// Which one.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// The Hessian could not be had whole.
    #[error(transparent)]
    Hessian(#[from] HessianError),
    /// The Hessian could not be probed.
    #[error(transparent)]
    Lanczos(#[from] LanczosError),
}

/// A sum over eigenvalues, with what is not known of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SpectralSum {
    /// `Σ f(h)`.
    pub value: f64,
    /// Standard error from the spread of the probes; 0 for an exact spectrum.
    pub mcse: f64,
    /// What more Lanczos steps could still change: a bound where no eigenvalue is below 0 and `f` is like `h/(h + c)` or
    /// `1/(h + c)`, else an indication. 0 for an exact spectrum.
    pub truncation: f64,
    /// Probes, so that `mcse` has `n_probes - 1` degrees of freedom; 0 for an exact spectrum.
    pub n_probes: usize,
}

impl SpectralSum {
    /// The same sum in other units: all of it times `factor`.
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            value: factor * self.value,
            mcse: factor.abs() * self.mcse,
            truncation: factor.abs() * self.truncation,
            ..self
        }
    }
}

/// The eigenvalues of a Hessian, or random probes of their distribution.
///
/// ```
/// use ndarray::{array, Array1, Array2};
/// use slt_sampler::{Probes, Spectrum, targets::Quadratic};
///
/// let h = Array2::from_diag(&Array1::from_iter((0..500).map(|i| f64::from(i) / 100.0)));
/// let mut target = Quadratic::new(h, Array1::zeros(500), 0.0, 1000);
/// let probes = Probes { n_probes: 4, n_steps: 40, seed: 1, stream: 0 };
/// let spectrum = Spectrum::estimate(&mut target, Array1::zeros(500).view(), &probes)?;
/// // random signs make no error on a diagonal matrix: what is left is the steps'
/// let sum = spectrum.sum(|h| h / (h + 1.0));
/// let exact: f64 = (0..500).map(|i| f64::from(i) / 100.0).map(|h| h / (h + 1.0)).sum();
/// assert!((sum.value - exact).abs() < 1e-9 && sum.mcse < 1e-9);
/// # Ok::<(), slt_sampler::SpectrumError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    n_params: usize,
    smallest: Ritz,
    largest: Ritz,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Exact(Nodes),
    /// The Gauss and the Gauss-Radau rule of each probe.
    Probed(Vec<(Nodes, Nodes)>),
}

impl Spectrum {
    /// The spectrum with these eigenvalues.
    ///
    /// # Errors
    /// [`SpectrumError::Eigenvalue`] where one is not finite.
    ///
    /// # Panics
    /// If there is none.
    pub fn from_eigenvalues(mut eigenvalues: Vec<f64>) -> Result<Self, SpectrumError> {
        assert!(!eigenvalues.is_empty(), "a Hessian has an eigenvalue");
        let infinite = eigenvalues.iter().position(|h| !h.is_finite());
        if let Some(index) = infinite {
            let value = eigenvalues[index];
            return Err(SpectrumError::Eigenvalue { index, value });
        }
        eigenvalues.sort_by(f64::total_cmp);
        let exact = |value| Ritz {
            value,
            residual: 0.0,
        };
        Ok(Self {
            n_params: eigenvalues.len(),
            smallest: exact(eigenvalues[0]),
            largest: exact(eigenvalues[eigenvalues.len() - 1]),
            kind: Kind::Exact(Nodes::units(eigenvalues)),
        })
    }

    /// All eigenvalues of the Hessian at `w`, from `d` Hessian-vector products and LAPACK.
    ///
    /// Shapes: `w`: `[d]`.
    ///
    /// # Errors
    /// [`SpectrumError`] where a second derivative is not finite or LAPACK fails.
    pub fn exact<T: Target>(target: &mut T, w: ArrayView1<f64>) -> Result<Self, SpectrumError> {
        Self::from_eigenvalues(spectrum(target, w)?.to_vec())
    }

    /// The spectrum of the Hessian at `w` as random probes see it.
    ///
    /// Shapes: `w`: `[d]`. Cost and memory: those of [`lanczos`](crate::lanczos()) for `n_probes` starts.
    ///
    /// # Errors
    /// [`SpectrumError`] where there are fewer than 2 probes, no steps, or `w` or a product is not finite.
    pub fn estimate<T: Target>(
        target: &mut T,
        w: ArrayView1<f64>,
        probes: &Probes,
    ) -> Result<Self, SpectrumError> {
        let n_probes = probes.n_probes;
        if n_probes < 2 {
            return Err(SpectrumError::TooFewProbes { n_probes });
        }
        let mut signs = Array2::zeros((n_probes, w.len()));
        for (probe, mut row) in signs.rows_mut().into_iter().enumerate() {
            let mut rng = rng(probes.seed, Purpose::Probes, probes.stream, probe as u64);
            row.mapv_inplace(|_: f64| if rng.random::<bool>() { 1.0 } else { -1.0 });
        }
        let matrices = lanczos(target, w, signs.view(), probes.n_steps)?;
        let gauss = matrices
            .iter()
            .map(Tridiagonal::gauss)
            .collect::<Result<Vec<_>, _>>()?;
        let by_value = |a: &Ritz, b: &Ritz| a.value.total_cmp(&b.value);
        let smallest = gauss.iter().map(|g| g.smallest).min_by(by_value);
        let largest = gauss.iter().map(|g| g.largest).max_by(by_value);
        let smallest = smallest.expect("there are at least two probes");
        let largest = largest.expect("there are at least two probes");
        let node = if smallest.value < 0.0 {
            smallest.value - smallest.residual
        } else {
            0.0
        };
        let rules = gauss
            .into_iter()
            .zip(&matrices)
            .map(|(gauss, matrix)| Ok((gauss.nodes, matrix.radau(node)?)))
            .collect::<Result<_, LanczosError>>()?;
        Ok(Self {
            n_params: w.len(),
            smallest,
            largest,
            kind: Kind::Probed(rules),
        })
    }

    /// [`Spectrum::exact`] where that takes no more Hessian-vector products than [`Spectrum::estimate`] would, else the estimate.
    ///
    /// # Errors
    /// Those of the two.
    pub fn of<T: Target>(
        target: &mut T,
        w: ArrayView1<f64>,
        probes: &Probes,
    ) -> Result<Self, SpectrumError> {
        if w.len() <= probes.n_probes.saturating_mul(probes.n_steps) {
            Self::exact(target, w)
        } else {
            Self::estimate(target, w, probes)
        }
    }

    /// Number of eigenvalues, `d`.
    pub fn n_params(&self) -> usize {
        self.n_params
    }

    /// Whether all eigenvalues are known.
    pub fn is_exact(&self) -> bool {
        matches!(self.kind, Kind::Exact(_))
    }

    /// The smallest eigenvalue, or the smallest Ritz value over all probes: negative curvature is seen here.
    pub fn smallest(&self) -> Ritz {
        self.smallest
    }

    /// The largest eigenvalue, or the largest Ritz value over all probes.
    pub fn largest(&self) -> Ritz {
        self.largest
    }

    /// `Σ f(h)` over all eigenvalues. A value that is not finite makes the sum so.
    pub fn sum(&self, f: impl Fn(f64) -> f64) -> SpectralSum {
        let rules = match &self.kind {
            Kind::Exact(nodes) => {
                return SpectralSum {
                    value: nodes.sum(f),
                    mcse: 0.0,
                    truncation: 0.0,
                    n_probes: 0,
                };
            }
            Kind::Probed(rules) => rules,
        };
        let n_probes = rules.len();
        let gauss: Vec<f64> = rules.iter().map(|(gauss, _)| gauss.sum(&f)).collect();
        let mean = gauss.iter().sum::<f64>() / n_probes as f64;
        let radau = rules.iter().map(|(_, radau)| radau.sum(&f)).sum::<f64>() / n_probes as f64;
        SpectralSum {
            value: mean,
            // a sum that is not finite has no error
            mcse: Estimate::from_replicates(&gauss).map_or(f64::NAN, |estimate| estimate.mcse),
            truncation: (mean - radau).abs(),
            n_probes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanczos::symmetric;
    use crate::targets::{NormalCrossing, Quadratic};
    use approx::assert_relative_eq;
    use ndarray::{Array1, array};
    use proptest::prelude::*;

    fn quadratic(h: &[f64], seed: u64) -> Quadratic {
        Quadratic::new(symmetric(h, seed).0, Array1::zeros(h.len()), 0.0, 10)
    }

    fn probes(n_probes: usize, n_steps: usize, seed: u64) -> Probes {
        Probes {
            n_probes,
            n_steps,
            seed,
            stream: 0,
        }
    }

    fn estimate(target: &mut Quadratic, probes: Probes) -> Spectrum {
        let w = Array1::zeros(target.minimum().len());
        Spectrum::estimate(target, w.view(), &probes).unwrap()
    }

    fn ill_conditioned(d: usize) -> Vec<f64> {
        (0..d)
            .map(|i| 10f64.powf(4.0 * i as f64 / d as f64 - 3.0))
            .collect()
    }

    #[test]
    fn an_exact_spectrum_has_no_error() {
        let mut target = quadratic(&[3.0, -0.5, 1.0], 1);
        let spectrum = Spectrum::exact(&mut target, array![0.0, 1.0, 2.0].view()).unwrap();
        assert!(spectrum.is_exact());
        assert_eq!(spectrum.n_params(), 3);
        assert_relative_eq!(spectrum.smallest().value, -0.5, max_relative = 1e-13);
        assert_relative_eq!(spectrum.largest().value, 3.0, max_relative = 1e-13);
        let sum = spectrum.sum(|h| h * h);
        assert_relative_eq!(sum.value, 10.25, max_relative = 1e-13);
        assert_eq!((sum.mcse, sum.truncation, sum.n_probes), (0.0, 0.0, 0));
    }

    /// The variance over probes is Hutchinson's, `2 Σ_{i != j} f(H)_ij²`: by a z-test of both moments over many probes.
    #[test]
    fn probes_have_the_moments_of_hutchinson() {
        let h = ill_conditioned(20);
        let f = |h: f64| h / (h + 0.05);
        let (_, basis) = symmetric(&h, 5);
        let matrix = (&basis * &Array1::from_iter(h.iter().map(|&h| f(h)))).dot(&basis.t());
        let squares = matrix.iter().map(|x| x * x).sum::<f64>();
        let variance = 2.0 * (squares - matrix.diag().iter().map(|x| x * x).sum::<f64>());
        let exact: f64 = h.iter().map(|&h| f(h)).sum();
        for seed in [1, 2, 3] {
            let n = 1000;
            let sum = estimate(&mut quadratic(&h, 5), probes(n, 20, seed)).sum(f);
            let error = (variance / n as f64).sqrt();
            assert!(
                (sum.value - exact).abs() < 4.8 * error,
                "{sum:?}, expected {exact}"
            );
            // the relative error of a variance is about sqrt(1/2n), a little more for tails: 5 of them
            assert_relative_eq!(sum.mcse, error, max_relative = 0.12);
            assert!(sum.truncation < 1e-9, "{sum:?}");
        }
    }

    /// 95% intervals (Student, 15 degrees of freedom) over 250 seeds: 90% to 98% hold the truth.
    #[test]
    fn intervals_cover() {
        let student = 2.131_449_545_559_323;
        for (f, floor) in [(0.05, 0.0), (1.0, 0.0), (0.3, -0.02)] {
            let h: Vec<f64> = ill_conditioned(25).iter().map(|h| h + floor).collect();
            let exact: f64 = h.iter().map(|h| h / (h + f)).sum();
            let mut target = quadratic(&h, 6);
            let covered = (0..250)
                .map(|seed| estimate(&mut target, probes(16, 25, seed)).sum(|h| h / (h + f)))
                .filter(|sum| (sum.value - exact).abs() <= student * sum.mcse)
                .count();
            assert!((225..=245).contains(&covered), "{covered} of 250");
        }
    }

    /// Too few steps: the difference of the two rules covers what they leave out, beyond the noise of the probes.
    #[test]
    fn truncation_is_reported() {
        let h = ill_conditioned(60);
        let f = |h: f64| h / (h + 1e-3);
        let mut target = quadratic(&h, 7);
        let whole = estimate(&mut target, probes(4, 60, 1)).sum(f);
        for n_steps in [4, 8, 16] {
            let sum = estimate(&mut target, probes(4, n_steps, 1)).sum(f);
            let error = sum.value - whole.value;
            assert!(0.0 < error && error <= sum.truncation, "{sum:?}, {whole:?}");
            assert!(sum.truncation < 20.0 * error, "{sum:?}, {whole:?}");
        }
    }

    /// Negative curvature below the bulk is found, with a residual that holds.
    #[test]
    fn negative_curvature_is_found() {
        let mut h: Vec<f64> = (0..200).map(|i| f64::from(i) / 50.0).collect();
        h.push(-0.3);
        let spectrum = estimate(&mut quadratic(&h, 8), probes(2, 60, 1));
        let low = spectrum.smallest();
        assert!(!spectrum.is_exact());
        assert!(
            (low.value + 0.3).abs() <= low.residual + 1e-12 && low.residual < 1e-6,
            "{low:?}"
        );
        let high = spectrum.largest();
        assert!(high.value <= 3.98 + 1e-12 && high.value > 3.9, "{high:?}");
    }

    #[test]
    fn an_address_decides() {
        let mut target = quadratic(&ill_conditioned(20), 9);
        let one = estimate(&mut target, probes(3, 5, 1));
        assert_eq!(one, estimate(&mut target, probes(3, 5, 1)));
        let other = Probes {
            stream: 1,
            ..probes(3, 5, 1)
        };
        assert_ne!(one, estimate(&mut target, other));
        assert_ne!(one, estimate(&mut target, probes(3, 5, 2)));
        // more probes leave the first ones as they are
        let (Kind::Probed(three), Kind::Probed(five)) =
            (&one.kind, &estimate(&mut target, probes(5, 5, 1)).kind)
        else {
            panic!("both are probed")
        };
        assert_eq!(three[..], five[..3]);
    }

    #[test]
    fn the_cheaper_route_is_taken() {
        let mut target = quadratic(&ill_conditioned(20), 9);
        let w = Array1::zeros(20);
        for (n_steps, exact) in [(4, true), (3, false)] {
            let spectrum = Spectrum::of(&mut target, w.view(), &probes(5, n_steps, 1)).unwrap();
            assert_eq!(spectrum.is_exact(), exact);
            assert_eq!(spectrum.n_params(), 20);
        }
    }

    #[test]
    fn impossible_input_is_named() {
        let mut target = NormalCrossing::new(1.0, &[1, 1], 10);
        let mut message = |w: [f64; 2], n_probes, n_steps| {
            Spectrum::estimate(
                &mut target,
                array![w[0], w[1]].view(),
                &probes(n_probes, n_steps, 1),
            )
            .unwrap_err()
            .to_string()
        };
        assert!(message([1.0, 1.0], 1, 2).contains("n_probes is 1"));
        assert!(message([1.0, 1.0], 2, 0).contains("n_steps is 0"));
        assert!(message([1.0, f64::NAN], 2, 2).contains("coordinate 1 of the point is NaN"));
        let infinite = Spectrum::from_eigenvalues(vec![1.0, f64::INFINITY]);
        assert!(matches!(
            infinite,
            Err(SpectrumError::Eigenvalue { index: 1, .. })
        ));
        let nan = Spectrum::exact(&mut target, array![f64::NAN, 1.0].view());
        assert!(matches!(nan, Err(SpectrumError::Hessian(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// A sum of a random member lies within its error, at 1e-5 over all cases (Student, 31 degrees of freedom: 7.1).
        #[test]
        fn random_spectra(
            h in prop::collection::vec(prop_oneof![Just(0.0), 1e-3..0.1, 0.1..10.0, 10.0..1e3], 10..40),
            seed: u64, c in 0.1..10.0,
        ) {
            let f = |h: f64| h / (h + c);
            let exact: f64 = h.iter().map(|&h| f(h)).sum();
            let sum = estimate(&mut quadratic(&h, seed), probes(32, 12, seed)).sum(f);
            prop_assert!((sum.value - exact).abs() <= 7.1 * sum.mcse + sum.truncation + 1e-10);
            prop_assert!(sum.mcse <= 1.8 * (2.0 * h.iter().map(|&h| f(h).powi(2)).sum::<f64>() / 32.0).sqrt() + 1e-10);
        }
    }
}
