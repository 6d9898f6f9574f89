//! Host targets: analytic gradients, no allocation in the step.

mod activation;
mod blocks;
mod deep_linear;
mod deep_linear_benchmark;
mod elementary;
mod feed_forward;
mod gaussian_location;
mod linear_regression;
mod loss;
mod matrix_product;
mod normal_crossing;
mod one_hot_autoencoder;
mod quadratic;
mod quadratic_network;
mod radial;
mod samples;
mod tanh_unit;
mod two_component;
mod uniform_autoencoder;

pub use activation::Activation;
pub use deep_linear::{DeepLinear, DeepLinearError};
pub use deep_linear_benchmark::{BenchmarkClass, BenchmarkNetwork};
pub use feed_forward::{FeedForward, FeedForwardError};
pub use gaussian_location::GaussianLocation;
pub use linear_regression::LinearRegression;
pub use loss::{LabelError, Loss};
pub use normal_crossing::NormalCrossing;
pub use one_hot_autoencoder::{OneHotAutoencoder, OneHotAutoencoderError};
pub use quadratic::{LeastSquaresError, Quadratic};
pub use quadratic_network::{QuadraticNetwork, QuadraticNetworkError};
pub use radial::Radial;
pub use samples::SamplesError;
pub use tanh_unit::TanhUnit;
pub use two_component::TwoComponent;
pub use uniform_autoencoder::UniformAutoencoder;

/// Asserts that the gradient at `w` agrees with central differences of the loss to 1e-7.
#[cfg(test)]
fn gradient_check(target: &mut impl crate::Target, w: &[f64]) {
    use ndarray::Array2;
    let d = w.len();
    let mut row = Array2::from_shape_vec((1, d), w.to_vec()).expect("one row");
    let (mut grad, mut loss) = (Array2::zeros((1, d)), [0.0]);
    target.loss_and_grad(row.view(), crate::Batch::Full, grad.view_mut(), &mut loss);
    let mut again = [0.0];
    target.loss(row.view(), &mut again);
    approx::assert_relative_eq!(loss[0], again[0], max_relative = 1e-13);
    for i in 0..d {
        let h = 1e-5;
        let mut at = |delta: f64| {
            row[[0, i]] = w[i] + delta;
            target.loss(row.view(), &mut loss);
            row[[0, i]] = w[i];
            loss[0]
        };
        let difference = (at(h) - at(-h)) / (2.0 * h);
        approx::assert_relative_eq!(
            grad[[0, i]],
            difference,
            max_relative = 1e-7,
            epsilon = 1e-9
        );
    }
}

/// Asserts that the full loss is the mean of the samples' losses.
#[cfg(test)]
fn sample_losses_check(target: &mut impl crate::SampleLosses, w: &[f64]) {
    use ndarray::{Array2, ArrayView2};
    let row = ArrayView2::from_shape((1, w.len()), w).expect("one row");
    let (mut each, mut loss) = (Array2::zeros((1, target.n_samples())), [0.0]);
    target.sample_losses(row, each.view_mut());
    target.loss(row, &mut loss);
    approx::assert_relative_eq!(
        each.sum() / each.len() as f64,
        loss[0],
        max_relative = 1e-12
    );
}

/// Asserts that loss and gradient over a minibatch are those of a target made of its samples alone, and that a row in company has
/// the same bits as alone. `of` makes the target of some samples.
#[cfg(test)]
fn minibatch_check<T: crate::Target>(target: &mut T, w: &[f64], of: impl Fn(&[usize]) -> T) {
    use ndarray::{Array2, ArrayView2, Axis, s};
    let d = w.len();
    let batches = [[4usize, 1, 7, 2, 5, 0], [3, 8, 1, 6, 2, 7]];
    let indices = Array2::from_shape_fn((2, 6), |(i, j)| batches[i][j] as u32);
    let rows = Array2::from_shape_fn((2, d), |(i, j)| w[j] * (1.0 - 0.3 * i as f64));
    let (mut grad, mut loss) = (Array2::zeros((2, d)), [0.0; 2]);
    target.loss_and_grad(
        rows.view(),
        crate::Batch::Rows(indices.view()),
        grad.view_mut(),
        &mut loss,
    );
    for i in 0..2 {
        let row: ArrayView2<f64> = rows.slice(s![i..=i, ..]);
        let (mut one, mut value) = (Array2::zeros((1, d)), [0.0]);
        let batch = crate::Batch::Rows(indices.slice(s![i..=i, ..]));
        target.loss_and_grad(row, batch, one.view_mut(), &mut value);
        assert_eq!(
            (one.index_axis(Axis(0), 0), value[0]),
            (grad.row(i), loss[i])
        );
        let mut own = of(&batches[i]);
        own.loss_and_grad(row, crate::Batch::Full, one.view_mut(), &mut value);
        approx::assert_relative_eq!(value[0], loss[i], max_relative = 1e-12);
        let scale = grad.row(i).fold(0.0, |m: f64, g| m.max(g.abs()));
        for (a, b) in one.iter().zip(grad.row(i)) {
            approx::assert_relative_eq!(*a, *b, max_relative = 1e-11, epsilon = 1e-13 * scale);
        }
    }
}

/// Asserts that the target's own Hessian-vector products at `w` agree with differences of its gradient to 1e-8 of the
/// largest product, and that each row is answered by itself.
#[cfg(test)]
pub(crate) fn hessian_check(target: &mut impl crate::Target, w: &[f64]) {
    use ndarray::{Array2, s};
    let d = w.len();
    // unit vectors, and one that mixes them
    let n = d + 1;
    let rows = Array2::from_shape_fn((n, d), |(_, j)| w[j]);
    let vectors = Array2::from_shape_fn((n, d), |(i, j)| match i {
        0 => 0.5 - (j as f64).cos(),
        _ => f64::from(u8::from(i == j + 1)),
    });
    let (mut own, mut differences) = (Array2::zeros((n, d)), Array2::zeros((n, d)));
    target.hessian_vectors(rows.view(), vectors.view(), own.view_mut());
    crate::hessian::hessian_vectors_by_differences(
        target,
        rows.view(),
        vectors.view(),
        differences.view_mut(),
    );
    let scale = own.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
    approx::assert_abs_diff_eq!(own, differences, epsilon = 1e-8 * scale.max(0.1));
    for i in 0..n {
        let one = s![i..=i, ..];
        let mut alone = Array2::zeros((1, d));
        target.hessian_vectors(rows.slice(one), vectors.slice(one), alone.view_mut());
        assert_eq!(alone, own.slice(one), "row {i} depends on its neighbours");
    }
}
