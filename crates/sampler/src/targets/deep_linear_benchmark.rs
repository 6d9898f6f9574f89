//! Random deep linear networks of the published benchmark of the local learning coefficient (Lau, Furman, Wang, Murfet and Wei 2023,
//! arXiv:2308.12108, table 1): random depth and widths, each weight matrix reduced to a random rank with probability 1/2, inputs uniform
//! on `[-10, 10]`, noiseless outputs, mean squared error over samples and outputs.
//!
//! What the paper leaves open is fixed here: depths and widths are uniform over the stated ranges, ends included; entries are normal of
//! variance `2 / (n_inputs + n_outputs)` of their matrix; a reduced rank is uniform over `1 ..= min(n_inputs, n_outputs)`, and the matrix
//! is its best approximation of that rank.

use std::ops::RangeInclusive;

use ndarray::{Array1, Array2, s};
use ndarray_linalg::{JobSvd, SVDDC};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::noise;
use crate::stream::{Purpose, rng};
use crate::targets::{DeepLinear, LeastSquaresError};

/// A class of the benchmark, named by the size that its networks may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BenchmarkClass {
    /// 2 to 5 layers of 5 to 50.
    #[serde(rename = "1K")]
    OneThousand,
    /// 2 to 10 layers of 5 to 100.
    #[serde(rename = "10K")]
    TenThousand,
    /// 2 to 10 layers of 50 to 500.
    #[serde(rename = "100K")]
    HundredThousand,
    /// 5 to 20 layers of 100 to 1000.
    #[serde(rename = "1M")]
    OneMillion,
}

impl BenchmarkClass {
    fn ranges(self) -> (RangeInclusive<usize>, RangeInclusive<usize>) {
        match self {
            Self::OneThousand => (2..=5, 5..=50),
            Self::TenThousand => (2..=10, 5..=100),
            Self::HundredThousand => (2..=10, 50..=500),
            Self::OneMillion => (5..=20, 100..=1000),
        }
    }

    /// Samples in the published runs of the class.
    pub fn n_samples(self) -> usize {
        match self {
            Self::OneThousand | Self::TenThousand => 100_000,
            Self::HundredThousand | Self::OneMillion => 1_000_000,
        }
    }

    /// The network of this class at (seed, stream).
    ///
    /// # Errors
    /// [`LeastSquaresError::Lapack`] where a matrix could not be reduced.
    pub fn draw(self, seed: u64, stream: u64) -> Result<BenchmarkNetwork, LeastSquaresError> {
        let mut rng = rng(seed, Purpose::Initialisation, stream, 0);
        let (depths, range) = self.ranges();
        let depth = rng.random_range(depths);
        let widths: Vec<usize> = (0..=depth)
            .map(|_| rng.random_range(range.clone()))
            .collect();
        let d: usize = widths.windows(2).map(|w| w[0] * w[1]).sum();
        let mut normals = vec![0.0; d.next_multiple_of(64)];
        noise::fill(seed, Purpose::Initialisation, stream, 0, &mut normals);
        let (mut product, mut layer_ranks) = (Array2::eye(widths[0]), Vec::with_capacity(depth));
        let (mut w, mut normals) = (Vec::with_capacity(d), normals.into_iter());
        for k in widths.windows(2) {
            let sd = (2.0 / (k[0] + k[1]) as f64).sqrt();
            let next = || sd * f64::from(normals.next().expect("one for each weight"));
            let mut layer = Array2::from_shape_simple_fn((k[1], k[0]), next);
            let mut own = k[0].min(k[1]);
            if rng.random_bool(0.5) {
                own = rng.random_range(1..=own);
                layer = reduced(&layer, own)?;
            }
            layer_ranks.push(own);
            product = layer.dot(&product);
            w.extend(layer.iter());
        }
        Ok(BenchmarkNetwork {
            widths,
            w: w.into(),
            product,
            layer_ranks,
        })
    }
}

/// The best approximation of this rank.
fn reduced(matrix: &Array2<f64>, rank: usize) -> Result<Array2<f64>, LeastSquaresError> {
    let (u, singular, vt) = matrix.svddc(JobSvd::Some)?;
    let u = u.expect("left vectors are asked for");
    let vt = vt.expect("right vectors are asked for");
    let scaled = &u.slice(s![.., ..rank]) * &singular.slice(s![..rank]);
    Ok(scaled.dot(&vt.slice(s![..rank, ..])))
}

/// A network of the benchmark: what is to be sampled around, and what is needed to know its learning coefficient.
///
/// ```
/// use slt_sampler::{Target, targets::BenchmarkClass};
///
/// let network = BenchmarkClass::OneThousand.draw(1, 7)?;
/// let (mut target, mut loss) = (network.expected_target(100_000), [1.0]);
/// target.loss(network.w.view().insert_axis(ndarray::Axis(0)), &mut loss);
/// assert!(loss[0] < 1e-25);
/// # Ok::<(), slt_sampler::targets::LeastSquaresError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BenchmarkNetwork {
    /// From input to output.
    pub widths: Vec<usize>,
    /// The true parameters, a row of [`DeepLinear`].
    pub w: Array1<f64>,
    /// The product of its matrices, shape `[n_outputs, n_inputs]`.
    pub product: Array2<f64>,
    /// Ranks of the matrices, from input to output.
    pub layer_ranks: Vec<usize>,
}

impl BenchmarkNetwork {
    /// The rank of the product: the smallest of the matrices' ranks, almost surely.
    pub fn rank(&self) -> usize {
        *self.layer_ranks.iter().min().expect("there is a layer")
    }

    fn factor(&self) -> f64 {
        1.0 / self.product.nrows() as f64
    }

    /// The expected loss, `E[x x'] = (100/3) I`, posing as `n_samples` samples.
    ///
    /// # Panics
    /// If `n_samples` is zero.
    pub fn expected_target(&self, n_samples: usize) -> DeepLinear {
        let moment = Array2::eye(self.widths[0]) * (100.0 / 3.0);
        let target = DeepLinear::from_moments(
            &self.widths,
            moment.view(),
            self.product.view(),
            self.factor(),
            n_samples,
        );
        target.expect("a network of the benchmark is well formed")
    }

    /// The loss on `n_samples` inputs drawn at (seed, stream).
    ///
    /// # Panics
    /// If `n_samples` is zero.
    pub fn sampled_target(&self, n_samples: usize, seed: u64, stream: u64) -> DeepLinear {
        let mut rng = rng(seed, Purpose::Data, stream, 0);
        let x = Array2::from_shape_simple_fn((n_samples, self.widths[0]), || {
            rng.random_range(-10.0..=10.0)
        });
        DeepLinear::noiseless(&self.widths, x.view(), self.product.view(), self.factor())
            .expect("a network of the benchmark is well formed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;
    use ndarray::Axis;
    use ndarray_linalg::SVD;

    #[test]
    fn networks_are_as_published() {
        let class = BenchmarkClass::OneThousand;
        let (mut reduced, mut layers) = (0, 0);
        for stream in 0..40 {
            let network = class.draw(3, stream).expect("drawn");
            assert!((3..=6).contains(&network.widths.len()));
            assert!(network.widths.iter().all(|w| (5..=50).contains(w)));
            let rank = |matrix: &Array2<f64>| {
                let (_, singular, _) = matrix.svd(false, false).expect("a decomposition");
                singular
                    .iter()
                    .filter(|s| **s > 1e-10 * singular[0])
                    .count()
            };
            assert_eq!(rank(&network.product), network.rank(), "stream {stream}");
            let mut at = 0;
            for (k, &own) in network.widths.windows(2).zip(&network.layer_ranks) {
                let layer = network.w.slice(s![at..at + k[0] * k[1]]).to_owned();
                at += k[0] * k[1];
                let layer = layer.into_shape_with_order((k[1], k[0])).expect("a layer");
                layers += 1;
                assert_eq!(rank(&layer), own);
                reduced += usize::from(own < k[0].min(k[1]));
            }
            assert_eq!(at, network.w.len());
        }
        // a rank drawn for half of them, and rarely the full one
        assert!(
            (2 * layers..4 * layers).contains(&(6 * reduced)),
            "{reduced} of {layers}"
        );
    }

    #[test]
    fn an_address_decides() {
        let draw = |seed, stream| {
            BenchmarkClass::TenThousand
                .draw(seed, stream)
                .expect("drawn")
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    /// The sampled loss tends to the expected one, and both vanish at the true parameters.
    #[test]
    fn the_samples_have_the_expected_moments() {
        let network = BenchmarkClass::OneThousand.draw(5, 0).expect("drawn");
        let (mut expected, mut sampled) = (
            network.expected_target(10),
            network.sampled_target(20_000, 1, 0),
        );
        let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
        let mut rows = network
            .w
            .broadcast((2, network.w.len()))
            .expect("rows")
            .to_owned();
        rows.index_axis_mut(Axis(0), 1).mapv_inplace(|w| 0.9 * w);
        expected.loss(rows.view(), &mut a);
        sampled.loss(rows.view(), &mut b);
        assert!(a[0] < 1e-25 && b[0] < 1e-25 && a[1] > 1e-3);
        // six standard deviations: x^2 has one of 0.9 of its mean, over 20 000 samples
        approx::assert_relative_eq!(a[1], b[1], max_relative = 0.04);
    }
}
