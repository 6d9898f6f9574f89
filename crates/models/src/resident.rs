//! Chains that stay on the device: rows, anchors and scales are tensors there, and only samples' indices and losses travel.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{Distribution, Tensor};
use ndarray::{Array2, ArrayView2};
use rand::Rng;
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::{Arrival, Batch, Dynamics, Residence, Residents, Row, RowNoise, Seen, Target};

use crate::device::is_gpu;
use crate::target::{NetworkTarget, download};

/// Tensors for each parameter of the network, shapes `[n_rows, rows, columns]`.
type Parameters = Vec<Tensor<3>>;

impl Residence for NetworkTarget {
    /// On a GPU, as many as have room beside their gradients, and beside what one forward pass over all samples needs; elsewhere few, so that all
    /// threads have some.
    fn capacity(&self) -> usize {
        if !is_gpu(self.device()) {
            return 4;
        }
        // numbers: 8 GiB in single precision
        let room: usize = 1 << 31;
        let widths: usize = self.segments().iter().map(|(_, [_, width])| width).sum();
        let row = 8 * self.n_params() + 4 * self.n_samples() * widths;
        (room / row).max(1)
    }

    fn take_in(&self, arrival: &Arrival) -> Box<dyn Residents> {
        let noise = match is_gpu(self.device()) {
            true => Noise::of_device(arrival),
            false => Noise::of_host(arrival),
        };
        Box::new(DeviceRows::new(self, arrival, noise))
    }
}

/// Where the normals of a step come from.
enum Noise {
    /// Those that chains on the host have, row by row.
    OfHost(Vec<RowNoise>),
    /// The device's generator, which makes them in place; seeded at every step by the seed of the chains, the stream of the first row and the step.
    OfDevice {
        seed: u64,
        first_stream: u64,
        _turn: MutexGuard<'static, ()>,
    },
}

impl Noise {
    fn of_host(arrival: &Arrival) -> Self {
        let d = arrival.anchors.ncols();
        let of = |row: &Row| RowNoise::new(arrival.seed, row.stream, d);
        Self::OfHost(arrival.rows.iter().map(of).collect())
    }

    /// A program has one GPU, with one generator and one memory: ensembles take turns, each for as long as it lives.
    fn of_device(arrival: &Arrival) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        Self::OfDevice {
            seed: arrival.seed,
            first_stream: arrival.rows[0].stream,
            _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Rows on a device, as distances from their anchors: in single precision a step is rounded by that, not by the weight.
struct DeviceRows {
    target: NetworkTarget,
    anchors: Parameters,
    away: Parameters,
    scale: Option<Parameters>,
    noise: Noise,
    /// Factors of a step for each row, shapes `[n_rows, 1, 1]`.
    factors: Factors,
}

struct Factors {
    /// `ε nβ / 2`.
    gradient: Tensor<3>,
    /// `ε γ / 2`.
    anchor: Tensor<3>,
    /// `√(ε T)`.
    noise: Tensor<3>,
    /// `nβ / 4`: what turns the two above into [`Seen::excess`].
    excess: Tensor<3>,
}

impl DeviceRows {
    fn new(target: &NetworkTarget, arrival: &Arrival, noise: Noise) -> Self {
        let upload = |rows: ArrayView2<f64>| target.upload(rows.as_standard_layout().view());
        let starts = arrival.starts.unwrap_or(arrival.anchors);
        let each = |of: fn(&Dynamics) -> f64| {
            let values = arrival.rows.iter().map(|row| of(&row.dynamics));
            target.of_rows(values.collect())
        };
        Self {
            anchors: upload(arrival.anchors),
            away: upload((&starts - &arrival.anchors).view()),
            scale: arrival.scale.map(upload),
            noise,
            factors: Factors {
                gradient: each(|law| 0.5 * law.step_size() * law.nbeta()),
                anchor: each(|law| 0.5 * law.step_size() * law.gamma()),
                noise: each(|law| (law.step_size() * law.temperature()).sqrt()),
                excess: each(|law| 0.25 * law.nbeta()),
            },
            target: target.clone(),
        }
    }

    fn parameters(&self) -> Parameters {
        let both = self.anchors.iter().zip(&self.away);
        both.map(|(anchor, away)| anchor.clone() + away.clone())
            .collect()
    }

    /// The normals of a step.
    fn normals(&mut self, step: u64) -> Parameters {
        match &mut self.noise {
            Noise::OfHost(rows) => {
                let d = self.target.n_params();
                let mut normals = Array2::zeros((rows.len(), d));
                for (row, mut to) in rows.iter_mut().zip(normals.rows_mut()) {
                    row.for_step(step, |at, xi| {
                        let to = to.iter_mut().skip(at);
                        to.zip(xi).for_each(|(to, &xi)| *to = f64::from(xi));
                    });
                }
                self.target.upload(normals.view())
            }
            Noise::OfDevice {
                seed, first_stream, ..
            } => {
                let device = self.target.device();
                let dtype = self.target.precision().dtype();
                device.seed(rng(*seed, Purpose::Noise, *first_stream, step).next_u64());
                let normal = Distribution::Normal(0.0, 1.0);
                let of = |away: &Tensor<3>| Tensor::random(away.shape(), normal, (device, dtype));
                self.away.iter().map(of).collect()
            }
        }
    }
}

impl Residents for DeviceRows {
    fn step(&mut self, batch: Batch, step: u64, seen: Option<&mut Seen>) {
        let (loss, gradients) = self.target.gradients(self.parameters(), batch);
        let normals = self.normals(step);
        let Factors {
            gradient,
            anchor,
            noise,
            excess,
        } = &self.factors;
        let mut products = Vec::new();
        for (i, (g, xi)) in gradients.into_iter().zip(normals).enumerate() {
            let scaled = |x: Tensor<3>| match &self.scale {
                Some(scale) => x * scale[i].clone(),
                None => x,
            };
            let away = &mut self.away[i];
            let drift = g.clone() * gradient.clone() + away.clone() * anchor.clone();
            let drift = scaled(drift);
            if seen.is_some() {
                products.push(scaled(g) * drift.clone());
            }
            *away = away.clone() + scaled(xi * noise.clone() - drift);
        }
        if let Some(seen) = seen {
            download(loss, &mut seen.loss);
            download(sums(products) * excess.clone(), &mut seen.excess);
        }
    }

    fn losses(&mut self, loss: &mut [f64]) {
        download(self.target.mean_loss(&self.parameters()), loss);
    }

    fn distances(&mut self, distance: &mut [f64]) {
        let squares = self.away.iter().map(|away| away.clone().square());
        download(sums(squares).sqrt(), distance);
    }

    fn rows(&self) -> Array2<f64> {
        let mut rows = Array2::zeros((self.away[0].dims()[0], self.target.n_params()));
        self.target
            .download_rows(self.parameters(), rows.view_mut());
        rows
    }
}

/// Sums over all parameters, `[n_rows, 1, 1]`.
fn sums(parameters: impl IntoIterator<Item = Tensor<3>>) -> Tensor<3> {
    let each = parameters.into_iter().map(|x| x.sum_dim(2).sum_dim(1));
    each.reduce(|a, b| a + b).expect("a network has parameters")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceKind, Loss, Mlp};
    use ndarray::{Array2, s};
    use slt_sampler::targets::Activation;

    const N_ROWS: usize = 8;

    /// Where chains without a drift to speak of are after `n_steps` steps of variance 4, with the device's noise.
    fn random_walk(seed: u64, first_stream: u64, n_steps: u64) -> Array2<f64> {
        let network = Mlp {
            widths: vec![20, 30, 2],
            activation: Activation::Tanh,
            bias: true,
        };
        let kind = match cfg!(feature = "tch") {
            true => DeviceKind::Tch,
            false => DeviceKind::Cpu,
        };
        let device = kind.open().expect("it is built in");
        let (x, y) = (Array2::<f64>::zeros((3, 20)), Array2::zeros((3, 2)));
        let loss = Loss::MeanSquaredError;
        let target = NetworkTarget::new(network, loss, crate::Precision::F32, device, x, y)
            .expect("they fit");
        let anchors = Array2::zeros((N_ROWS, target.n_params()));
        let law = Dynamics::new(4.0, 1e-30, 0.0).expect("valid");
        let arrival = Arrival {
            anchors: anchors.view(),
            starts: None,
            scale: None,
            rows: &Row::many(first_stream, N_ROWS, law),
            seed,
        };
        let mut rows = DeviceRows::new(&target, &arrival, Noise::of_device(&arrival));
        for step in 0..n_steps {
            rows.step(Batch::Full, step, None);
        }
        rows.rows()
    }

    /// How far moments are from those of independent standard normals, in standard errors.
    fn deviations(rows: &Array2<f64>) -> [(&'static str, f64); 4] {
        let n = rows.len() as f64;
        let moment = |power: i32| rows.mapv(|x| x.powi(power)).sum() / n;
        let beside = &rows.slice(s![1.., ..]) * &rows.slice(s![..-1, ..]);
        [
            ("mean", moment(1) * n.sqrt()),
            ("variance", (moment(2) - 1.0) * (n / 2.0).sqrt()),
            ("fourth moment", (moment(4) - 3.0) * (n / 96.0).sqrt()),
            (
                "rows beside each other",
                beside.sum() / (beside.len() as f64).sqrt(),
            ),
        ]
    }

    /// After some steps rows are normal with a variance of 4 for each: no step is like another, no row like another. A tenth more is noticed.
    #[test]
    fn noise_of_a_device_is_normal() {
        for seed in [1, 2, 3] {
            for n_steps in [1, 25] {
                let rows = random_walk(seed, 5, n_steps) / (4.0 * n_steps as f64).sqrt();
                for (what, z) in deviations(&rows) {
                    assert!(z.abs() < 5.0, "{what} after {n_steps} steps: z = {z}");
                }
                let defects = deviations(&(rows * 1.1));
                assert!(defects.iter().any(|(_, z)| z.abs() > 5.0), "{defects:?}");
            }
        }
    }

    /// Its address alone decides it, whatever else draws from the device between.
    #[test]
    fn noise_of_a_device_is_addressed() {
        let first = random_walk(1, 5, 3);
        assert_eq!(first, random_walk(1, 5, 3));
        assert_ne!(first, random_walk(2, 5, 3));
        assert_ne!(first, random_walk(1, 6, 3));
    }
}
