//! Host targets: analytic gradients, no allocation in the step.

mod normal_crossing;
mod quadratic;
mod tanh_unit;

pub use normal_crossing::NormalCrossing;
pub use quadratic::{LeastSquaresError, Quadratic};
pub use tanh_unit::TanhUnit;

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
