//! The losses of networks on tensors.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use slt_sampler::targets::Loss;

/// Mean loss of every row, shape `[n_rows, 1, 1]`, of outputs and labels `[n_rows, n, n_outputs]`.
pub(crate) fn mean(loss: Loss, outputs: Tensor<3>, y: Tensor<3>) -> Tensor<3> {
    let halved = |errors: Tensor<3>| errors.square().sum_dim(2).mean_dim(1) * 0.5;
    match loss {
        Loss::MeanSquaredError => (outputs - y).square().mean_dim(2).mean_dim(1),
        Loss::HalvedSquaredError => halved(outputs - y),
        Loss::CentredSquaredError => {
            let errors = outputs - y;
            halved(errors.clone() - errors.mean_dim(1))
        }
        Loss::CrossEntropy => (log_softmax(outputs, 2) * y).sum_dim(2).mean_dim(1).neg(),
        // ln(1 + e^f) - y f without overflow, by max(f, 0) = (f + |f|)/2, whose slope at 0 is the right one
        Loss::BinaryCrossEntropy => {
            let size = outputs.clone().abs();
            let each = outputs * (y.neg() + 0.5) + size.clone() * 0.5 + size.neg().exp().log1p();
            each.mean_dim(2).mean_dim(1)
        }
    }
}
