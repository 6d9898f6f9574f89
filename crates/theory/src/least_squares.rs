//! Linear regression: the loss is exactly quadratic, so the LLC estimator's law is exact.
//!
//! `L(w) = (c/n) |y − Xw|²` with a scale `c` (1: mean square; ½: Gaussian log loss at unit variance) has
//! Hessian `H = (2c/n) X'X` everywhere. With its eigenvectors V and the gradient at any anchor,
//! `V'∇L = (2c/n) V'X'(Xw* − y)`, the target is a [`LocalisedGaussian`]. The anchor need not be the
//! minimum; centring at the true weights instead of the fitted ones biases the estimate low by
//! `nβ (L(w_true) − L(w_fit))`.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use ndarray_linalg::{Eigh, UPLO};

use crate::{LocalisedGaussian, LocalisedGaussianError};

/// A linear regression problem with the eigen-decomposition of its Hessian.
#[derive(Clone, Debug)]
pub struct LeastSquares {
    inputs: Array2<f64>,
    targets: Array1<f64>,
    scale: f64,
    eigenvalues: Array1<f64>,
    eigenvectors: Array2<f64>,
}

/// Why data describe no least-squares problem.
#[derive(Debug, thiserror::Error)]
pub enum LeastSquaresError {
    /// There are no samples or no parameters.
    #[error("a regression needs samples and parameters, got {n_samples} and {n_parameters}")]
    Empty {
        /// n.
        n_samples: usize,
        /// d.
        n_parameters: usize,
    },
    /// The scale is not positive and finite.
    #[error("the scale of a loss is positive and finite, got {scale}")]
    Scale {
        /// c.
        scale: f64,
    },
    /// An input or target is not finite.
    #[error("sample {index} has an input or target that is not finite")]
    NotFinite {
        /// Which sample.
        index: usize,
    },
    /// LAPACK failed to diagonalise the Hessian.
    #[error("the eigenvalues of the Hessian were not found")]
    Eigenvalues(#[from] ndarray_linalg::error::LinalgError),
}

impl LeastSquares {
    /// The problem `L(w) = (scale/n) |targets − inputs w|²`.
    ///
    /// Eigenvalues below `max(n, d) · 2⁻⁵² · h_max` are those of a rank-deficient `X'X` in rounded
    /// arithmetic and are set to exactly zero, so that they neither attract nor repel.
    ///
    /// Shapes: `inputs`: `[n, d]`; `targets`: `[n]`.
    ///
    /// # Errors
    /// [`LeastSquaresError::Empty`] when `n` or `d` is 0; [`LeastSquaresError::Scale`] unless
    /// `0 < scale < ∞`; [`LeastSquaresError::NotFinite`] when a datum is not finite;
    /// [`LeastSquaresError::Eigenvalues`] when LAPACK reports failure.
    ///
    /// # Panics
    /// If `targets` has not one entry for each row of `inputs`.
    pub fn new(
        inputs: ArrayView2<'_, f64>,
        targets: ArrayView1<'_, f64>,
        scale: f64,
    ) -> Result<Self, LeastSquaresError> {
        let (n_samples, n_parameters) = inputs.dim();
        assert_eq!(
            targets.len(),
            n_samples,
            "one target for each row of inputs"
        );
        if n_samples == 0 || n_parameters == 0 {
            return Err(LeastSquaresError::Empty {
                n_samples,
                n_parameters,
            });
        }
        if !(0.0 < scale && scale.is_finite()) {
            return Err(LeastSquaresError::Scale { scale });
        }
        for (index, (row, target)) in inputs.rows().into_iter().zip(targets).enumerate() {
            if !(target.is_finite() && row.iter().all(|x| x.is_finite())) {
                return Err(LeastSquaresError::NotFinite { index });
            }
        }
        let hessian = inputs.t().dot(&inputs) * (2.0 * scale / n_samples as f64);
        let (mut eigenvalues, eigenvectors) = hessian.eigh(UPLO::Lower)?;
        let largest = eigenvalues.fold(0.0, |largest: f64, h| largest.max(h.abs()));
        let rounding = n_samples.max(n_parameters) as f64 * f64::EPSILON * largest;
        eigenvalues.mapv_inplace(|h| if h.abs() <= rounding { 0.0 } else { h });
        Ok(Self {
            inputs: inputs.to_owned(),
            targets: targets.to_owned(),
            scale,
            eigenvalues,
            eigenvectors,
        })
    }

    /// The eigenvalues of `H = (2c/n) X'X`, ascending. Shapes: returns `[d]`.
    pub fn eigenvalues(&self) -> ArrayView1<'_, f64> {
        self.eigenvalues.view()
    }

    /// `L(w) = (c/n) |y − Xw|²`. Shapes: `weights`: `[d]`. Units: per sample.
    ///
    /// # Panics
    /// If the length of `weights` is not d.
    pub fn loss(&self, weights: ArrayView1<'_, f64>) -> f64 {
        let residual = &self.targets - &self.inputs.dot(&weights);
        self.scale * residual.dot(&residual) / self.targets.len() as f64
    }

    /// The minimum of least norm, `X⁺ y`. Shapes: returns `[d]`.
    ///
    /// Two Newton steps with the pseudo-inverse of H; the second removes most of the error that the
    /// squared condition number of `X'X` leaves in the first.
    pub fn minimum(&self) -> Array1<f64> {
        let mut weights = Array1::zeros(self.inputs.ncols());
        for _ in 0..2 {
            let mut step = self.gradient_in_eigenbasis(weights.view());
            step.zip_mut_with(&self.eigenvalues, |g, &h| {
                *g = if h == 0.0 { 0.0 } else { *g / h };
            });
            weights -= &self.eigenvectors.dot(&step);
        }
        weights
    }

    /// The target `exp(−nβL(w) − γ/2 |w − anchor|²)` of the LLC estimator, with an arbitrary anchor.
    ///
    /// Shapes: `anchor`: `[d]`.
    ///
    /// # Errors
    /// Those of [`LocalisedGaussian::new`]: in particular
    /// [`LocalisedGaussianError::NotConfining`] when X is rank-deficient and `gamma = 0`; and
    /// [`LocalisedGaussianError::Gradient`] when the anchor is not finite.
    ///
    /// # Panics
    /// If the length of `anchor` is not d.
    pub fn localised(
        &self,
        anchor: ArrayView1<'_, f64>,
        nbeta: f64,
        gamma: f64,
    ) -> Result<LocalisedGaussian, LocalisedGaussianError> {
        let mut gradient = self.gradient_in_eigenbasis(anchor);
        // Xv = 0 along a null direction, so that a finite residual has no slope there.
        gradient.zip_mut_with(&self.eigenvalues, |g, &h| {
            if h == 0.0 && g.is_finite() {
                *g = 0.0;
            }
        });
        LocalisedGaussian::new(&self.eigenvalues.to_vec(), nbeta, gamma)?
            .with_gradient(&gradient.to_vec())
    }

    /// `V'∇L(w)`. Shapes: returns `[d]`.
    fn gradient_in_eigenbasis(&self, weights: ArrayView1<'_, f64>) -> Array1<f64> {
        let residual = self.inputs.dot(&weights) - &self.targets;
        let gradient =
            self.inputs.t().dot(&residual) * (2.0 * self.scale / self.targets.len() as f64);
        self.eigenvectors.t().dot(&gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use ndarray::{Axis, array, concatenate};
    use ndarray_linalg::{Inverse, Solve};
    use proptest::prelude::*;

    /// By hand: X = (1, 2)', y = (1, 1)', mean square. H = 5, minimum 3/5, least loss 1/10.
    #[test]
    fn one_parameter_by_hand() {
        let problem =
            LeastSquares::new(array![[1.0], [2.0]].view(), array![1.0, 1.0].view(), 1.0).unwrap();
        assert_relative_eq!(problem.eigenvalues()[0], 5.0, max_relative = 1e-15);
        assert_relative_eq!(problem.minimum()[0], 0.6, max_relative = 1e-15);
        assert_relative_eq!(
            problem.loss(problem.minimum().view()),
            0.1,
            max_relative = 1e-14
        );
        // nβ = 3, γ = 1, at the minimum: ½ · 15/16. At the anchor 0: a = 16, μ = 9/16,
        // 3 · [½·5·(μ² + 1/16) − 3μ] with gradient −3.
        let at_minimum = problem
            .localised(problem.minimum().view(), 3.0, 1.0)
            .unwrap();
        assert_relative_eq!(at_minimum.mean(), 15.0 / 32.0, max_relative = 1e-14);
        let at_zero = problem.localised(array![0.0].view(), 3.0, 1.0).unwrap();
        let mu: f64 = 9.0 / 16.0;
        assert_relative_eq!(
            at_zero.mean(),
            3.0 * (2.5 * (mu * mu + 1.0 / 16.0) - 3.0 * mu),
            max_relative = 1e-14
        );
    }

    #[test]
    fn rank_deficient_inputs() {
        // Two equal columns and n < d.
        let x = array![[1.0, 1.0, 0.3], [2.0, 2.0, -0.7]];
        let y = array![1.0, -1.0];
        let problem = LeastSquares::new(x.view(), y.view(), 0.5).unwrap();
        assert_eq!(problem.eigenvalues()[0], 0.0);
        let minimum = problem.minimum();
        assert_relative_eq!(minimum[0], minimum[1], max_relative = 1e-12);
        assert!(problem.loss(minimum.view()) < 1e-28);
        assert!(matches!(
            problem.localised(minimum.view(), 1.0, 0.0),
            Err(LocalisedGaussianError::NotConfining { index: 0, .. })
        ));
        let strong = problem.localised(minimum.view(), 1e9, 1.0).unwrap();
        assert_relative_eq!(strong.mean(), 1.0, max_relative = 1e-7);
    }

    #[test]
    fn impossible_input_is_refused() {
        let (x, y) = (array![[1.0], [2.0]], array![1.0, 1.0]);
        for scale in [0.0, -1.0, f64::NAN] {
            assert!(matches!(
                LeastSquares::new(x.view(), y.view(), scale),
                Err(LeastSquaresError::Scale { .. })
            ));
        }
        assert!(matches!(
            LeastSquares::new(x.view(), array![1.0, f64::NAN].view(), 1.0),
            Err(LeastSquaresError::NotFinite { index: 1 })
        ));
        assert!(matches!(
            LeastSquares::new(Array2::zeros((0, 2)).view(), Array1::zeros(0).view(), 1.0),
            Err(LeastSquaresError::Empty { .. })
        ));
        let problem = LeastSquares::new(x.view(), y.view(), 1.0).unwrap();
        assert!(matches!(
            problem.localised(array![f64::NAN].view(), 1.0, 1.0),
            Err(LocalisedGaussianError::Gradient { .. })
        ));
    }

    fn data() -> impl Strategy<Value = (Array2<f64>, Array1<f64>, Array1<f64>)> {
        (2usize..12, 1usize..5).prop_flat_map(|(n, d)| {
            let numbers = |len| prop::collection::vec(-2.0..2.0, len);
            (numbers(n * d), numbers(n), numbers(d)).prop_map(move |(x, y, w)| {
                (
                    Array2::from_shape_vec((n, d), x).unwrap(),
                    Array1::from_vec(y),
                    Array1::from_vec(w),
                )
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The ridge form, without eigenvectors: `P = nβH + γI`, `μ = P⁻¹(nβ(2c/n)X'y + γ anchor)`,
        /// `E = nβ[tr(HP⁻¹)/2 + L(μ) − L(anchor)]`.
        #[test]
        fn agrees_with_the_ridge_form(
            (x, y, anchor) in data(), nbeta in 0.5..50.0, gamma in 0.1..20.0, scale in 0.2..2.0,
        ) {
            let (n, d) = x.dim();
            let problem = LeastSquares::new(x.view(), y.view(), scale).unwrap();
            let per_sample = 2.0 * scale / n as f64;
            let hessian = x.t().dot(&x) * per_sample;
            let precision: Array2<f64> = &hessian * nbeta + Array2::<f64>::eye(d) * gamma;
            let pull: Array1<f64> = x.t().dot(&y) * (nbeta * per_sample) + &anchor * gamma;
            let mu = precision.solve(&pull).unwrap();
            let trace = hessian.dot(&precision.inv().unwrap()).diag().sum();
            let ridge = nbeta * (0.5 * trace + problem.loss(mu.view()) - problem.loss(anchor.view()));
            let law = problem.localised(anchor.view(), nbeta, gamma).unwrap();
            let scale = 1.0 + nbeta * problem.loss(anchor.view());
            prop_assert!((law.mean() - ridge).abs() < 1e-12 * scale, "{} {}", law.mean(), ridge);
        }

        /// No other point has a smaller loss, and the slope at the minimum is zero.
        #[test]
        fn the_minimum_is_least((x, y, other) in data()) {
            let problem = LeastSquares::new(x.view(), y.view(), 1.0).unwrap();
            let minimum = problem.minimum();
            let least = problem.loss(minimum.view());
            prop_assert!(least <= problem.loss(other.view()) + 1e-12);
            let slope = problem.gradient_in_eigenbasis(minimum.view());
            prop_assert!(slope.iter().all(|g| g.abs() < 1e-9));
        }

        /// A column of zeros is a flat direction.
        #[test]
        fn a_column_of_zeros_adds_nothing((x, y, anchor) in data(), extra in -3.0..3.0) {
            let wider = concatenate![Axis(1), x, Array2::zeros((x.nrows(), 1))];
            let further = concatenate![Axis(0), anchor, array![extra]];
            let mean = |x: &Array2<f64>, anchor: &Array1<f64>| {
                LeastSquares::new(x.view(), y.view(), 1.0)
                    .unwrap()
                    .localised(anchor.view(), 7.0, 2.0)
                    .unwrap()
                    .mean()
            };
            let (narrow, wide) = (mean(&x, &anchor), mean(&wider, &further));
            prop_assert!((narrow - wide).abs() < 1e-11 * (1.0 + narrow.abs()));
        }
    }
}
