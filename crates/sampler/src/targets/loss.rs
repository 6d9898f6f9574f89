//! What a network is trained for: the loss of its outputs, its derivative, and how often they are right.

use multiversion::multiversion;
use ndarray::{ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use super::elementary::Elementary;

/// The loss of outputs `f` for labels `y`; a mean over samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `(f - y)^2`, its mean over outputs.
    MeanSquaredError,
    /// `(f - y)^2 / 2`, its sum over outputs.
    HalvedSquaredError,
    /// The same with the mean over the samples of the batch taken off the errors `f - y` of each output.
    ///
    /// Source: Cullen et al. (2026), arXiv:2603.01192v3, section 3 (their projector along samples).
    CentredSquaredError,
    /// `-sum_c y_c ln softmax(f)_c` for logits `f` and the probabilities `y` of classes, one-hot for a class. Units: nats.
    CrossEntropy,
    /// `-y ln σ(f) - (1 - y) ln(1 - σ(f))` for a label `y` in `[0, 1]` and a logit `f`, its mean over outputs. Units: nats.
    BinaryCrossEntropy,
}

/// Labels that a loss is not made for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the labels of sample {sample} are {got:?}; expected {expected}")]
pub struct LabelError {
    /// Which sample.
    pub sample: usize,
    /// Its labels.
    pub got: Vec<f64>,
    /// What the loss needs.
    pub expected: &'static str,
}

impl Loss {
    /// Refuses labels that the loss is not made for.
    ///
    /// Shapes: `y`: `[n, n_outputs]`.
    ///
    /// # Errors
    /// [`LabelError`] names the first sample.
    pub fn check(self, y: ArrayView2<f64>) -> Result<(), LabelError> {
        let within = |y: ArrayView1<f64>| y.iter().all(|y| (0.0..=1.0).contains(y));
        let refuse = |right: &dyn Fn(ArrayView1<f64>) -> bool, expected| match y
            .rows()
            .into_iter()
            .position(|labels| !right(labels))
        {
            None => Ok(()),
            Some(sample) => Err(LabelError {
                sample,
                got: y.row(sample).to_vec(),
                expected,
            }),
        };
        match self {
            Self::MeanSquaredError | Self::HalvedSquaredError | Self::CentredSquaredError => Ok(()),
            Self::CrossEntropy => refuse(
                &|y| within(y) && (y.sum() - 1.0).abs() < 1e-9,
                "probabilities, which sum to 1",
            ),
            Self::BinaryCrossEntropy => refuse(&within, "numbers from 0 to 1"),
        }
    }

    /// Share of right answers: where the largest output is the largest label's (halved squared error, cross-entropy), or of outputs on
    /// the label's side (of 0 for the logits of the binary cross-entropy, of 1/2 for the mean squared error).
    ///
    /// Shapes: `outputs`, `y`: `[n, n_outputs]`.
    pub fn accuracy(self, outputs: ArrayView2<f64>, y: ArrayView2<f64>) -> f64 {
        let share = |right: usize, of: usize| right as f64 / of as f64;
        let sides = |threshold: f64| {
            let pairs = outputs.iter().zip(&y);
            let right = pairs.filter(|&(&f, &y)| (f > threshold) == (y > 0.5));
            share(right.count(), y.len())
        };
        match self {
            Self::MeanSquaredError => sides(0.5),
            Self::BinaryCrossEntropy => sides(0.0),
            Self::HalvedSquaredError | Self::CentredSquaredError | Self::CrossEntropy => {
                let of = |row: &ArrayView1<f64>| largest(row.iter().copied());
                let pairs = outputs.rows().into_iter().zip(y.rows());
                let right = pairs.filter(|(f, y)| of(f) == of(y));
                share(right.count(), y.nrows())
            }
        }
    }

    /// The loss of a sample, and its derivative by the outputs in their place, up to the factor [`Self::scale`].
    ///
    /// Shapes: `outputs`, `wanted`: the sample's `n_outputs`, then what pads them to a multiple of 8: of the outputs, it becomes zero, of the
    /// labels it is zero; `mean_error`: the mean of the errors, `[n_outputs]`, of the centred loss.
    #[inline]
    pub(super) fn of_sample<T: Elementary>(
        self,
        n_outputs: usize,
        outputs: &mut [T],
        wanted: &[T],
        mean_error: &[f64],
    ) -> f64 {
        let (own, padding) = outputs.split_at_mut(n_outputs);
        let loss = match self {
            Self::MeanSquaredError => squared_error(own, wanted) / n_outputs as f64,
            Self::HalvedSquaredError => 0.5 * squared_error(own, wanted),
            Self::CentredSquaredError => {
                for (f, &m) in own.iter_mut().zip(mean_error) {
                    *f -= T::of(m);
                }
                0.5 * squared_error(own, wanted)
            }
            Self::CrossEntropy => return cross_entropy(n_outputs, outputs, wanted),
            Self::BinaryCrossEntropy => {
                let each = own.iter_mut().zip(wanted);
                each.map(|(f, &y)| logistic(f, y)).sum::<f64>() / n_outputs as f64
            }
        };
        padding.fill(T::default());
        loss
    }

    /// What [`Self::of_sample`] leaves out of the derivative.
    pub(super) fn scale(self, n_outputs: usize) -> f64 {
        match self {
            Self::MeanSquaredError => 2.0 / n_outputs as f64,
            Self::BinaryCrossEntropy => 1.0 / n_outputs as f64,
            Self::HalvedSquaredError | Self::CentredSquaredError | Self::CrossEntropy => 1.0,
        }
    }
}

/// The first index of the largest value.
pub(super) fn largest(values: impl Iterator<Item = f64>) -> Option<usize> {
    let values = values.enumerate();
    let best = values.reduce(|best, new| if new.1 > best.1 { new } else { best });
    best.map(|(index, _)| index)
}

/// `|f - y|^2`; leaves `f - y`.
#[inline]
fn squared_error<T: Elementary>(outputs: &mut [T], wanted: &[T]) -> f64 {
    let mut sum = 0.0;
    for (f, &y) in outputs.iter_mut().zip(wanted) {
        *f -= y;
        sum += f.to_f64() * f.to_f64();
    }
    sum
}

/// `ln(1 + e^f) - y f` without overflow; leaves `σ(f) - y`.
#[inline]
fn logistic<T: Elementary>(output: &mut T, wanted: T) -> f64 {
    let (f, y) = (output.to_f64(), wanted.to_f64());
    let e = (-f.abs()).exp_of_negative();
    let above = if f < 0.0 { e } else { 1.0 } / (1.0 + e);
    *output = T::of(above - y);
    // NaN stays
    (if f < 0.0 { 0.0 } else { f }) - y * f + e.ln_1p()
}

/// Side by side, whatever the machine: the order of a sum is part of the result.
const LANES: usize = 8;

/// The largest value; what is NaN shows in the sum.
#[inline(always)]
fn highest<T: Elementary>(outputs: &[[T; LANES]]) -> T {
    let greater = |a: T, b: T| if b > a { b } else { a };
    let mut highest = outputs[0];
    for f in outputs {
        for lane in 0..LANES {
            highest[lane] = greater(highest[lane], f[lane]);
        }
    }
    highest.into_iter().reduce(greater).expect("lanes")
}

#[inline(always)]
fn sum<T: Elementary>(values: &[[T; LANES]]) -> f64 {
    let mut sums = [0.0; LANES];
    for v in values {
        for lane in 0..LANES {
            sums[lane] += v[lane].to_f64();
        }
    }
    sums.iter().sum()
}

/// So low that it has no part in the sum of exponentials.
const NO_OUTPUT: f64 = -1e30;

/// `sum_c y_c (ln sum_b e^(f_b) - f_c)` without overflow; leaves `softmax(f) - y`, and zeros in the padding.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn cross_entropy<T: Elementary>(n_outputs: usize, outputs: &mut [T], wanted: &[T]) -> f64 {
    outputs[n_outputs..].fill(T::of(NO_OUTPUT));
    let (lanes, _) = outputs.as_chunks_mut::<LANES>();
    let (wanted, _) = wanted.as_chunks::<LANES>();
    let top = highest(lanes);
    let mut below = [T::default(); LANES];
    for (f, y) in lanes.iter().zip(wanted) {
        for lane in 0..LANES {
            below[lane] = below[lane] + y[lane] * (top - f[lane]);
        }
    }
    for f in lanes.as_flattened_mut() {
        *f = (*f - top).exp_of_negative();
    }
    let sum = sum(lanes);
    let share = T::of(1.0 / sum);
    let each = lanes.as_flattened_mut().iter_mut();
    for (e, &y) in each.zip(wanted.as_flattened()) {
        *e = *e * share - y;
    }
    outputs[n_outputs..].fill(T::default());
    below.iter().map(|b| b.to_f64()).sum::<f64>() + sum.ln()
}

/// Samples whose exponentials are found together: as many as stay in the first cache.
const TOGETHER: usize = 32;

/// The same for several samples where `y` is 1 for the class and 0 for all others, with the same bits; in steps, so that no exponential waits for a sum.
///
/// Shapes: `outputs`: for each of the `samples`, `stride` of which `n_outputs` are its own; `classes`: of all there are; `losses`: as `samples`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
pub(super) fn cross_entropy_of_classes<T: Elementary>(
    n_outputs: usize,
    outputs: &mut [T],
    stride: usize,
    (samples, classes): (&[usize], &[usize]),
    losses: &mut [f64],
) {
    let groups = outputs.chunks_mut(TOGETHER * stride);
    let of = samples.chunks(TOGETHER).zip(losses.chunks_mut(TOGETHER));
    for (outputs, (samples, losses)) in groups.zip(of) {
        let outputs = &mut outputs[..samples.len() * stride];
        for (i, outputs) in outputs.chunks_exact_mut(stride).enumerate() {
            outputs[n_outputs..].fill(T::of(NO_OUTPUT));
            let (lanes, _) = outputs.as_chunks_mut::<LANES>();
            let top = highest(lanes);
            for f in lanes.as_flattened_mut() {
                *f -= top;
            }
            losses[i] = -outputs[classes[samples[i]]].to_f64();
        }
        for f in outputs.iter_mut() {
            *f = f.exp_of_negative();
        }
        for (i, outputs) in outputs.chunks_exact_mut(stride).enumerate() {
            let (lanes, _) = outputs.as_chunks_mut::<LANES>();
            let sum = sum(lanes);
            let share = T::of(1.0 / sum);
            for e in lanes.as_flattened_mut() {
                *e = *e * share;
            }
            outputs[n_outputs..].fill(T::default());
            outputs[classes[samples[i]]] -= T::of(1.0);
            losses[i] += sum.ln();
        }
    }
}

/// The class of a label that is 1 there and 0 elsewhere.
pub(super) fn class(wanted: ArrayView1<f64>) -> Option<usize> {
    let class = wanted.iter().position(|&y| y == 1.0)?;
    let others = wanted.iter().filter(|&&y| y == 0.0);
    (others.count() + 1 == wanted.len()).then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Loss; 5] = [
        Loss::MeanSquaredError,
        Loss::HalvedSquaredError,
        Loss::CentredSquaredError,
        Loss::CrossEntropy,
        Loss::BinaryCrossEntropy,
    ];

    fn of(loss: Loss, f: &[f64], y: &[f64]) -> (f64, Vec<f64>) {
        let (mut outputs, mut wanted) = (f.to_vec(), y.to_vec());
        let padded = f.len().next_multiple_of(LANES);
        outputs.resize(padded, 0.3);
        wanted.resize(padded, 0.0);
        let mean: Vec<f64> = (0..f.len()).map(|c| 0.1 * c as f64).collect();
        let value = loss.of_sample(f.len(), &mut outputs, &wanted, &mean);
        assert!(outputs.split_off(f.len()).iter().all(|&d| d == 0.0));
        let scale = loss.scale(f.len());
        (value, outputs.iter().map(|d| scale * d).collect())
    }

    /// The mean error counts as given.
    #[test]
    fn derivatives_agree_with_differences() {
        let f: Vec<f64> = (0..13).map(|c| 2.0 * (f64::from(c) * 1.3).sin()).collect();
        for loss in ALL {
            let mut y: Vec<f64> = (0..13)
                .map(|c| (f64::from(c) * 0.7).sin().powi(2))
                .collect();
            if loss == Loss::CrossEntropy {
                let sum: f64 = y.iter().sum();
                y.iter_mut().for_each(|y| *y /= sum);
            }
            let (_, slopes) = of(loss, &f, &y);
            for (c, slope) in slopes.iter().enumerate() {
                let moved = |h: f64| {
                    let mut f = f.clone();
                    f[c] += h;
                    of(loss, &f, &y).0
                };
                let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                approx::assert_relative_eq!(*slope, difference, epsilon = 1e-9);
            }
        }
    }

    /// Logits of any size; more samples than are taken together, in any order.
    #[test]
    fn a_class_is_a_label() {
        let (n_samples, stride) = (2 * TOGETHER + 3, 16);
        for n_outputs in [1, 8, 13] {
            let logits = (0..n_samples * stride).map(|i| 20.0 * (i as f32 * 1.3).sin());
            let f: Vec<f32> = logits.collect();
            let classes: Vec<usize> = (0..n_samples).map(|i| 5 * i % n_outputs).collect();
            let samples: Vec<usize> = (0..n_samples).rev().collect();
            let (mut by_class, mut losses) = (f.clone(), vec![f64::NAN; n_samples]);
            cross_entropy_of_classes(
                n_outputs,
                &mut by_class,
                stride,
                (&samples, &classes),
                &mut losses,
            );
            for (i, &sample) in samples.iter().enumerate() {
                let mut label = vec![0.0; stride];
                label[classes[sample]] = 1.0;
                let own = i * stride..(i + 1) * stride;
                let mut outputs = f[own.clone()].to_vec();
                assert_eq!(cross_entropy(n_outputs, &mut outputs, &label), losses[i]);
                assert_eq!(by_class[own], outputs);
                let label: Vec<f64> = label[..n_outputs].iter().copied().map(f64::from).collect();
                assert_eq!(class(ArrayView1::from(&label)), Some(classes[sample]));
            }
        }
        for none in [[0.0, 0.0], [1.0, 1.0], [0.5, 0.5], [f64::NAN, 1.0]] {
            assert_eq!(class(ArrayView1::from(&none)), None);
        }
        let (mut outputs, mut losses) = ([f64::NAN, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0]);
        cross_entropy_of_classes(2, &mut outputs, 8, (&[0], &[1]), &mut losses);
        assert!(losses[0].is_nan());
    }

    #[test]
    fn nothing_overflows() {
        let (right, wrong) = ([1.0, 0.0], [0.0, 1.0]);
        let logits = [900.0, -900.0];
        assert_eq!(of(Loss::CrossEntropy, &logits, &right).0, 0.0);
        assert_eq!(
            of(Loss::CrossEntropy, &logits, &wrong),
            (1800.0, vec![1.0, -1.0])
        );
        assert_eq!(
            of(Loss::BinaryCrossEntropy, &[-900.0], &[1.0]),
            (900.0, vec![-1.0])
        );
        let (loss, _) = of(Loss::CrossEntropy, &[0.0, -30.0], &right);
        approx::assert_relative_eq!(loss, (-30f64).exp().ln_1p(), max_relative = 2e-3);
        let (loss, _) = of(Loss::BinaryCrossEntropy, &[30.0], &[1.0]);
        approx::assert_relative_eq!(loss, (-30f64).exp(), max_relative = 1e-12);
        for loss in ALL {
            assert!(of(loss, &[f64::NAN, 0.0], &right).0.is_nan(), "{loss:?}");
            assert!(of(loss, &[0.0, f64::NAN], &right).0.is_nan(), "{loss:?}");
        }
    }

    #[test]
    fn labels_that_do_not_fit_are_named() {
        let y = ndarray::array![[0.5, 0.5], [1.0, 0.5], [2.0, -1.0]];
        for loss in &ALL[..3] {
            assert_eq!(loss.check(y.view()), Ok(()));
        }
        let error = Loss::CrossEntropy.check(y.view()).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "the labels of sample 1 are [1.0, 0.5]; expected probabilities, which sum to 1"
        );
        let error = Loss::BinaryCrossEntropy
            .check(y.view())
            .expect_err("refused");
        assert_eq!(error.sample, 2);
    }
}
