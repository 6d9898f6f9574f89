//! One hidden tanh unit, `f(x) = w2 tanh(w1 x + b1) + b2`, under the mean squared error.

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

use super::samples::{self, SamplesError};
use crate::target::{Batch, SampleLosses, Target};

/// The mean squared error of `w2 tanh(w1 x + b1) + b2`; a row is `(w1, b1, w2, b2)`.
#[derive(Debug, Clone)]
pub struct TanhUnit {
    x: Vec<f64>,
    y: Vec<f64>,
}

impl TanhUnit {
    /// The target for the samples `(x, y)`.
    ///
    /// # Errors
    /// [`SamplesError`] where there are no samples, not one output for each input, or a value is not finite.
    pub fn new(x: Vec<f64>, y: Vec<f64>) -> Result<Self, SamplesError> {
        let (inputs, outputs) = (x.len(), y.len());
        if inputs != outputs {
            return Err(SamplesError::Lengths { inputs, outputs });
        }
        samples::check("input", &x, 1)?;
        samples::check("output", &y, 1)?;
        Ok(Self { x, y })
    }

    fn row(&self, w: &[f64; 4], samples: impl ExactSizeIterator<Item = usize>) -> (f64, [f64; 4]) {
        let n = samples.len() as f64;
        let [w1, b1, w2, b2] = *w;
        let (mut loss, mut grad) = (0.0, [0.0; 4]);
        for i in samples {
            let h = (w1 * self.x[i] + b1).tanh();
            let error = w2 * h + b2 - self.y[i];
            loss += error * error;
            let inner = error * w2 * (1.0 - h * h);
            grad[0] += inner * self.x[i];
            grad[1] += inner;
            grad[2] += error * h;
            grad[3] += error;
        }
        (loss / n, grad.map(|g| 2.0 * g / n))
    }

    fn squared_errors(&self, w: ArrayView1<f64>) -> impl Iterator<Item = f64> {
        let [w1, b1, w2, b2] = [w[0], w[1], w[2], w[3]];
        let error = move |(x, y): (&f64, &f64)| w2 * (w1 * x + b1).tanh() + b2 - y;
        self.x.iter().zip(&self.y).map(move |s| error(s).powi(2))
    }
}

impl Target for TanhUnit {
    fn n_params(&self) -> usize {
        4
    }

    fn n_samples(&self) -> usize {
        self.x.len()
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        batch: Batch,
        mut grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        let rows = rows.to_slice().expect("rows are contiguous").as_chunks().0;
        let grads = grad
            .as_slice_mut()
            .expect("gradients are contiguous")
            .as_chunks_mut()
            .0;
        for (i, ((w, g), loss)) in rows.iter().zip(grads).zip(loss).enumerate() {
            (*loss, *g) = match batch {
                Batch::Full => self.row(w, 0..self.x.len()),
                Batch::Rows(indices) => {
                    self.row(w, indices.row(i).into_iter().map(|&k| k as usize))
                }
            };
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        let n = self.x.len() as f64;
        for (w, loss) in rows.rows().into_iter().zip(loss) {
            *loss = self.squared_errors(w).sum::<f64>() / n;
        }
    }

    fn hessian_vectors(
        &mut self,
        rows: ArrayView2<f64>,
        vectors: ArrayView2<f64>,
        mut out: ArrayViewMut2<f64>,
    ) {
        let scale = 2.0 / self.x.len() as f64;
        for ((w, v), mut out) in rows
            .rows()
            .into_iter()
            .zip(vectors.rows())
            .zip(out.rows_mut())
        {
            out.fill(0.0);
            for (&x, &y) in self.x.iter().zip(&self.y) {
                let h = (w[0] * x + w[1]).tanh();
                let slope = 1.0 - h * h;
                let error = w[2] * h + w[3] - y;
                // along v: of the preactivation, of tanh, of its slope, of the output
                let du = v[0] * x + v[1];
                let dh = slope * du;
                let dslope = -2.0 * h * dh;
                let df = w[2] * dh + v[2] * h + v[3];
                let inner = df * w[2] * slope + error * (v[2] * slope + w[2] * dslope);
                out[0] += scale * inner * x;
                out[1] += scale * inner;
                out[2] += scale * (df * h + error * dh);
                out[3] += scale * df;
            }
        }
    }
}

impl SampleLosses for TanhUnit {
    fn sample_losses(&mut self, rows: ArrayView2<f64>, mut out: ArrayViewMut2<f64>) {
        for (w, mut out) in rows.rows().into_iter().zip(out.rows_mut()) {
            for (out, loss) in out.iter_mut().zip(self.squared_errors(w)) {
                *out = loss;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{gradient_check, hessian_check, sample_losses_check};
    use ndarray::array;

    fn target() -> TanhUnit {
        let x: Vec<f64> = (0..20).map(|i| -2.0 + 4.0 * f64::from(i) / 19.0).collect();
        let y = x.iter().map(|x| (3.0 * x).sin() + 0.3 * x).collect();
        TanhUnit::new(x, y).expect("samples")
    }

    #[test]
    fn derivatives_agree_with_differences() {
        gradient_check(&mut target(), &[0.7, -0.3, 1.2, 0.1]);
        gradient_check(&mut target(), &[-3.0, 0.4, 0.2, -0.5]);
        sample_losses_check(&mut target(), &[0.7, -0.3, 1.2, 0.1]);
        hessian_check(&mut target(), &[0.7, -0.3, 1.2, 0.1]);
        hessian_check(&mut target(), &[-3.0, 0.4, 0.2, -0.5]);
    }

    #[test]
    fn a_minibatch_is_the_mean_over_its_samples() {
        let mut all = target();
        let (x, y) = (
            [1, 5, 7].map(|i| all.x[i]).to_vec(),
            [1, 5, 7].map(|i| all.y[i]).to_vec(),
        );
        let rows = array![[0.7, -0.3, 1.2, 0.1]];
        let (mut part, mut whole) = (
            ndarray::Array2::zeros((1, 4)),
            ndarray::Array2::zeros((1, 4)),
        );
        let (mut a, mut b) = ([0.0], [0.0]);
        all.loss_and_grad(
            rows.view(),
            Batch::Rows(array![[1, 5, 7]].view()),
            part.view_mut(),
            &mut a,
        );
        let mut few = TanhUnit::new(x, y).expect("samples");
        few.loss_and_grad(rows.view(), Batch::Full, whole.view_mut(), &mut b);
        assert_eq!((a, part), (b, whole));
    }
}
