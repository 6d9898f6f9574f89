//! A path of least loss between two points, by the simplified string method: how high is the barrier?
//!
//! Images of a string go down the gradient, and are then spread evenly along it again. Where the string rests, the gradient has no part
//! across it: its highest image is at a saddle. A string that has not come to rest lies above the least path, so that its barrier is
//! an upper bound at any time.
//!
//! Source: E, Ren and Vanden-Eijnden (2007), J. Chem. Phys. 126, 164103.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};

use crate::target::{Batch, Target};

/// How a string is relaxed.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StringPlan {
    /// Images, the two ends among them.
    pub n_images: usize,
    /// Steps down the gradient.
    pub n_steps: u64,
    /// Length of the first step, in units of the gradient. It halves where a step does not lower the mean loss of the images.
    pub step_size: f64,
}

/// A path between two points.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// `[n_images, d]`, evenly spaced, from the one end to the other.
    pub images: Array2<f64>,
    /// The full-data loss of each.
    pub losses: Vec<f64>,
}

/// Why there is no path.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PathError {
    /// A string has an inside.
    #[error("n_images is {0}; expected at least 3")]
    Images(usize),
    /// The step is no length.
    #[error("step_size is {0}; expected a positive number")]
    StepSize(f64),
    /// An end does not fit the target.
    #[error("the ends have {got:?} parameters; expected {expected} each")]
    Shape {
        /// Parameters of the target.
        expected: usize,
        /// Those of the ends.
        got: [usize; 2],
    },
    /// The ends are no two points, or one is none.
    #[error("the ends are {0} apart; expected a positive finite distance")]
    Distance(f64),
    /// A loss is not finite.
    #[error("the loss of image {image} of the straight line is {loss}; expected a finite number")]
    Loss {
        /// Which.
        image: usize,
        /// What it is.
        loss: f64,
    },
}

impl StringPlan {
    /// Refuses what no string can be relaxed with.
    ///
    /// # Errors
    /// [`PathError`] names the value.
    pub fn check(&self) -> Result<(), PathError> {
        if self.n_images < 3 {
            return Err(PathError::Images(self.n_images));
        }
        match 0.0 < self.step_size && self.step_size.is_finite() {
            true => Ok(()),
            false => Err(PathError::StepSize(self.step_size)),
        }
    }
}

impl Path {
    /// The straight line between the ends, at the images of a string.
    ///
    /// Shapes: `ends`: `[d]` each.
    ///
    /// # Errors
    /// [`PathError`] where plan or ends are impossible, or a loss is not finite.
    pub fn straight<T: Target>(
        target: &mut T,
        ends: [ArrayView1<f64>; 2],
        plan: &StringPlan,
    ) -> Result<Self, PathError> {
        plan.check()?;
        let (expected, got) = (target.n_params(), ends.map(|end| end.len()));
        if got != [expected; 2] {
            return Err(PathError::Shape { expected, got });
        }
        let distance = distance(ends[0], ends[1]);
        if !(0.0 < distance && distance.is_finite()) {
            return Err(PathError::Distance(distance));
        }
        let last = plan.n_images - 1;
        let images = Array2::from_shape_fn((plan.n_images, expected), |(i, j)| {
            let share = i as f64 / last as f64;
            (1.0 - share) * ends[0][j] + share * ends[1][j]
        });
        let mut losses = vec![f64::NAN; plan.n_images];
        target.loss(images.view(), &mut losses);
        match losses.iter().position(|loss| !loss.is_finite()) {
            None => Ok(Self { images, losses }),
            Some(image) => Err(PathError::Loss {
                image,
                loss: losses[image],
            }),
        }
    }

    /// The path that a string reaches from the straight line.
    ///
    /// Shapes: `ends`: `[d]` each. Cost: `n_steps` losses and gradients of `n_images - 2` rows.
    ///
    /// ```
    /// use ndarray::array;
    /// use slt_sampler::{Path, StringPlan, targets::NormalCrossing};
    ///
    /// // from one arm of w₁²w₂² to the other: along the arms, through 0, not across
    /// let mut target = NormalCrossing::new(1.0, &[1, 1], 100);
    /// let ends = [array![1.0, 0.0], array![0.0, 1.0]];
    /// let plan = StringPlan { n_images: 11, n_steps: 2000, step_size: 0.1 };
    /// let views = [ends[0].view(), ends[1].view()];
    /// let straight = Path::straight(&mut target, views, &plan)?;
    /// let least = Path::least(&mut target, views, &plan)?;
    /// assert!(straight.barrier() > 0.06 && least.barrier() < 0.001);
    /// # Ok::<(), slt_sampler::PathError>(())
    /// ```
    ///
    /// # Errors
    /// [`PathError`] where plan or ends are impossible, or a loss on the straight line is not finite.
    pub fn least<T: Target>(
        target: &mut T,
        ends: [ArrayView1<f64>; 2],
        plan: &StringPlan,
    ) -> Result<Self, PathError> {
        let mut path = Self::straight(target, ends, plan)?;
        let last = plan.n_images - 1;
        let shape = (last - 1, path.images.ncols());
        let (mut losses, mut gradients) = (vec![f64::NAN; last - 1], Array2::zeros(shape));
        let mut moved = losses.clone();
        let mut step_size = plan.step_size;
        for _ in 0..plan.n_steps {
            let inner = path.images.slice(s![1..last, ..]);
            target.loss_and_grad(inner, Batch::Full, gradients.view_mut(), &mut losses);
            let mut images = path.images.clone();
            let mut inner = images.slice_mut(s![1..last, ..]);
            inner.scaled_add(-step_size, &gradients);
            target.loss(inner.view(), &mut moved);
            // a mean that is not a number is not lower
            if mean(&moved) <= mean(&losses) {
                path.images = spread(images.view());
            } else {
                step_size *= 0.5;
            }
        }
        target.loss(path.images.view(), &mut path.losses);
        Ok(path)
    }

    /// The highest loss of the images over that of the first, never below 0. Units: nats.
    pub fn barrier(&self) -> f64 {
        let highest = self
            .losses
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        highest - self.losses[0]
    }

    /// Its length.
    pub fn length(&self) -> f64 {
        lengths(self.images.view()).iter().sum()
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn distance(a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
    squares.sum::<f64>().sqrt()
}

/// Of the pieces between neighbours.
fn lengths(images: ArrayView2<f64>) -> Vec<f64> {
    let pairs = images.axis_windows(Axis(0), 2);
    pairs
        .into_iter()
        .map(|pair| distance(pair.row(0), pair.row(1)))
        .collect()
}

/// Images at equal distances along the broken line through these.
fn spread(images: ArrayView2<f64>) -> Array2<f64> {
    let pieces = lengths(images);
    let last = pieces.len();
    let each = pieces.iter().sum::<f64>() / last as f64;
    let mut even = images.to_owned();
    let (mut piece, mut before) = (0, 0.0);
    for i in 1..last {
        let wanted = i as f64 * each;
        while piece + 1 < last && before + pieces[piece] < wanted {
            before += pieces[piece];
            piece += 1;
        }
        let share = (wanted - before) / pieces[piece];
        let between = &images.row(piece) * (1.0 - share) + &images.row(piece + 1) * share;
        even.row_mut(i).assign(&between);
    }
    even
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{NormalCrossing, Quadratic};
    use ndarray::{Array1, ArrayViewMut2, array};

    const PLAN: StringPlan = StringPlan {
        n_images: 41,
        n_steps: 2000,
        step_size: 0.01,
    };

    /// `(x² - 1)² + 4 (y - 1 + x²)²`: minima at (-1, 0) and (1, 0), and a saddle at (0, 1), of height 1; the straight line passes (0, 0), of height 5.
    #[derive(Clone)]
    struct Bent;

    impl Target for Bent {
        fn n_params(&self) -> usize {
            2
        }

        fn n_samples(&self) -> usize {
            1
        }

        fn loss_and_grad(
            &mut self,
            rows: ArrayView2<f64>,
            _: Batch,
            mut grad: ArrayViewMut2<f64>,
            loss: &mut [f64],
        ) {
            for ((w, mut grad), loss) in rows.rows().into_iter().zip(grad.rows_mut()).zip(loss) {
                let (along, across) = (w[0] * w[0] - 1.0, w[1] - 1.0 + w[0] * w[0]);
                *loss = along * along + 4.0 * across * across;
                grad[0] = 4.0 * w[0] * along + 16.0 * w[0] * across;
                grad[1] = 8.0 * across;
            }
        }

        fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
            let mut grad = Array2::zeros(rows.dim());
            self.loss_and_grad(rows, Batch::Full, grad.view_mut(), loss);
        }
    }

    #[test]
    fn the_least_path_crosses_at_the_saddle() {
        let ends = [array![-1.0, 0.0], array![1.0, 0.0]];
        let views = [ends[0].view(), ends[1].view()];
        let straight = Path::straight(&mut Bent, views, &PLAN).expect("a line");
        assert_eq!((straight.barrier(), straight.length()), (5.0, 2.0));
        let path = Path::least(&mut Bent, views, &PLAN).expect("a path");
        // off it by the square of the distance of the images
        approx::assert_abs_diff_eq!(path.barrier(), 1.0, epsilon = 0.002);
        approx::assert_abs_diff_eq!(path.images[[20, 0]], 0.0, epsilon = 1e-6);
        approx::assert_abs_diff_eq!(path.images[[20, 1]], 1.0, epsilon = 0.02);
        // the gradient runs along the path
        let (mut gradients, mut losses) = (Array2::zeros((41, 2)), [0.0; 41]);
        Bent.loss_and_grad(
            path.images.view(),
            Batch::Full,
            gradients.view_mut(),
            &mut losses,
        );
        for i in 1..40 {
            let tangent = &path.images.row(i + 1) - &path.images.row(i - 1);
            let across = gradients[[i, 0]] * tangent[1] - gradients[[i, 1]] * tangent[0];
            let across = across / tangent.dot(&tangent).sqrt();
            assert!(
                across.abs() < 0.1,
                "image {i}: {across}, gradient {}",
                gradients.row(i)
            );
        }
        let pieces = lengths(path.images.view());
        let spread = pieces.iter().copied().fold(0.0, f64::max) / path.length() * 40.0;
        approx::assert_abs_diff_eq!(spread, 1.0, epsilon = 0.01);
        for (end, image) in ends.iter().zip([0, 40]) {
            assert_eq!(path.images.row(image), end.view());
        }
    }

    /// In a valley that is convex there is no barrier, and the line is the path.
    #[test]
    fn downhill_is_no_barrier() {
        let mut target = Quadratic::new(Array2::eye(3), Array1::zeros(3), 0.0, 10);
        let ends = [array![2.0, 1.0, 0.0], array![0.0, 0.0, 0.0]];
        let views = [ends[0].view(), ends[1].view()];
        let path = Path::least(&mut target, views, &PLAN).expect("a path");
        assert_eq!(path.barrier(), 0.0);
        approx::assert_abs_diff_eq!(path.length(), 5f64.sqrt(), epsilon = 1e-9);
        assert!(path.losses.is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn impossible_strings_are_named() {
        let mut target = NormalCrossing::new(1.0, &[1, 1], 10);
        let (a, b) = (array![1.0, 0.0], array![0.0, 1.0]);
        let mut message = |change: fn(&mut StringPlan), a: &Array1<f64>, b: &Array1<f64>| {
            let mut plan = PLAN;
            change(&mut plan);
            let error = Path::least(&mut target, [a.view(), b.view()], &plan);
            error.expect_err("refused").to_string()
        };
        assert!(message(|p| p.n_images = 2, &a, &b).starts_with("n_images is 2;"));
        assert!(message(|p| p.step_size = f64::NAN, &a, &b).starts_with("step_size is NaN;"));
        assert!(message(|_| (), &a, &array![0.0]).starts_with("the ends have [2, 1] parameters;"));
        assert!(message(|_| (), &a, &a).starts_with("the ends are 0 apart;"));
        assert!(message(|_| (), &a, &array![f64::NAN, 0.0]).starts_with("the ends are NaN apart;"));
        assert!(message(|_| (), &a, &array![1e100, 1e100]).starts_with("the loss of image "));
    }
}
