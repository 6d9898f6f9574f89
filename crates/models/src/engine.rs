//! The faster engine for a network on a device.

use burn::tensor::Device;
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use slt_sampler::targets::{FeedForward, Loss};
use slt_sampler::{Batch, Residence, Target};

use crate::device::Precision;
use crate::inputs::Inputs;
use crate::network::{Network, NetworkError};
use crate::target::{NetworkTarget, checked};

/// The target of a network on a data set, on the engine that is the fastest there.
///
/// Rows are laid out alike, and losses and gradients agree to rounding.
#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "there are a few of them at a time"
)]
pub enum Engine {
    /// On the CPU, of a network that the host knows: gradients by hand.
    Host(FeedForward),
    /// Of any network, on any device: tensors.
    Tensor(NetworkTarget),
}

impl Engine {
    /// The target for the samples `x` and `y`: the host's where `device` is the CPU without libtorch and the network is an
    /// [`Mlp`](crate::Mlp), an [`EmbeddingMlp`](crate::EmbeddingMlp), a [`TiedAutoencoder`](crate::TiedAutoencoder) or a [`Transformer`](crate::Transformer).
    ///
    /// Shapes: `x`: `[n, n_inputs]`, or tokens `[n, length]`; `y`: `[n, n_outputs]`.
    ///
    /// # Errors
    /// As [`NetworkTarget::new`].
    pub fn new(
        network: impl Into<Network>,
        loss: Loss,
        precision: Precision,
        device: Device,
        x: impl Into<Inputs>,
        y: Array2<f64>,
    ) -> Result<Self, NetworkError> {
        let network = network.into();
        let (x, y) = checked(&network, loss, x.into(), y)?;
        if device == Device::flex()
            && let Some(host) = host(&network, loss, &x, &y)
        {
            return Ok(Self::Host(match precision {
                Precision::F32 => host.single_precision(),
                Precision::F64 => host,
            }));
        }
        let target = NetworkTarget::of_checked(network, loss, precision, device, x, y);
        Ok(Self::Tensor(target))
    }

    /// Share of the samples that a row gets right: see [`Loss::accuracy`].
    ///
    /// Shapes: `rows`: `[n_rows, d]`; returns `[n_rows]`.
    pub fn accuracy(&mut self, rows: ArrayView2<f64>) -> Vec<f64> {
        match self {
            Self::Host(target) => target.accuracy(rows),
            Self::Tensor(target) => target.accuracy(rows),
        }
    }

    fn target(&self) -> &dyn Target {
        match self {
            Self::Host(target) => target,
            Self::Tensor(target) => target,
        }
    }
}

/// The host's target in double precision, of what was checked, if the host knows the network.
fn host(network: &Network, loss: Loss, x: &Inputs, y: &Array2<f64>) -> Option<FeedForward> {
    let pairs = |x: &Array2<u32>| {
        x.rows()
            .into_iter()
            .map(|x| [x[0], x[1]])
            .collect::<Vec<_>>()
    };
    let target = match (network, x) {
        (Network::Mlp(mlp), Inputs::Reals(x)) => FeedForward::new(
            &mlp.widths,
            mlp.activation,
            mlp.bias,
            loss,
            x.view(),
            y.view(),
        ),
        (Network::TiedAutoencoder(tied), Inputs::Reals(x)) => {
            FeedForward::tied_autoencoder(tied.n_hidden, loss, x.view(), y.view())
        }
        (Network::EmbeddingMlp(e), Inputs::Tokens(x)) => {
            let sizes = [e.modulus, e.width, e.n_hidden];
            FeedForward::embedding(sizes, e.activation, loss, &pairs(x), y.view())
        }
        (Network::Transformer(t), Inputs::Tokens(x)) => {
            let sizes = [t.modulus, t.width, t.n_heads, t.n_layers, t.n_feedforward];
            FeedForward::transformer(sizes, t.activation, loss, &pairs(x), y.view())
        }
        _ => return None,
    };
    Some(target.expect("network and data were checked"))
}

impl Target for Engine {
    fn n_params(&self) -> usize {
        self.target().n_params()
    }

    fn n_samples(&self) -> usize {
        self.target().n_samples()
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        match self {
            Self::Host(target) => target.loss_and_grad(rows, batch, grad, loss),
            Self::Tensor(target) => target.loss_and_grad(rows, batch, grad, loss),
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        match self {
            Self::Host(target) => target.loss(rows, loss),
            Self::Tensor(target) => target.loss(rows, loss),
        }
    }

    fn gradient_precision(&self) -> f64 {
        self.target().gradient_precision()
    }

    fn n_rows_at_once(&self) -> usize {
        self.target().n_rows_at_once()
    }

    fn residence(&self) -> Option<&dyn Residence> {
        self.target().residence()
    }
}
