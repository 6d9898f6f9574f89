//! The nonlinearities of networks, with their slopes.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

use super::elementary::Elementary;

/// The nonlinearity between layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// The hyperbolic tangent.
    Tanh,
    /// `x Φ(x)` with the normal law's exact `Φ`, PyTorch's default, not its approximation by a hyperbolic tangent.
    Gelu,
    /// `x^2`.
    Quadratic,
    /// `x`: the network is linear.
    Identity,
}

impl Activation {
    /// Puts `σ(h)` in the place of every `h`, and `σ'(h)` into `slopes`; leaves both as they are if `σ` is the identity.
    ///
    /// The slope at the corner of [`Activation::Relu`] is 0, PyTorch's.
    pub(super) fn apply<T: Elementary>(self, h: &mut [T], slopes: &mut [T]) {
        match self {
            Self::Relu => relu(h, slopes),
            Self::Tanh => tanh(h, slopes),
            Self::Gelu => gelu(h, slopes),
            Self::Quadratic => quadratic(h, slopes),
            Self::Identity => {}
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn relu<T: Elementary>(h: &mut [T], slopes: &mut [T]) {
    let (zero, one) = (T::of(0.0), T::of(1.0));
    for (h, slope) in h.iter_mut().zip(slopes) {
        // NaN stays
        let off = *h <= zero;
        *slope = if off { zero } else { one };
        *h = if off { zero } else { *h };
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn tanh<T: Elementary>(h: &mut [T], slopes: &mut [T]) {
    for (h, slope) in h.iter_mut().zip(slopes) {
        *h = Elementary::tanh(*h);
        *slope = T::of(1.0) - *h * *h;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn gelu<T: Elementary>(h: &mut [T], slopes: &mut [T]) {
    for (h, slope) in h.iter_mut().zip(slopes) {
        let (below, density) = h.normal();
        *slope = below + *h * density;
        *h = *h * below;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn quadratic<T: Elementary>(h: &mut [T], slopes: &mut [T]) {
    for (h, slope) in h.iter_mut().zip(slopes) {
        *slope = *h + *h;
        *h = *h * *h;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Activation; 5] = [
        Activation::Relu,
        Activation::Tanh,
        Activation::Gelu,
        Activation::Quadratic,
        Activation::Identity,
    ];

    /// Values by hand, slopes by differences.
    #[test]
    fn values_and_slopes() {
        // Φ(1.5) of 17 digits
        let at = |sigma| match sigma {
            Activation::Relu | Activation::Identity => 1.5,
            Activation::Tanh => 1.5f64.tanh(),
            Activation::Gelu => 1.5 * 0.933_192_798_731_141_9,
            Activation::Quadratic => 2.25,
        };
        for sigma in ALL {
            let value = |x: f64| {
                let mut h = [x];
                sigma.apply(&mut h, &mut [0.0]);
                h[0]
            };
            approx::assert_relative_eq!(value(1.5), at(sigma), max_relative = 1e-15);
            for x in [-2.3, -0.4, 0.7, 1.5, 3.1] {
                let mut slope = [1.0];
                sigma.apply(&mut [x], &mut slope);
                let difference = (value(x + 1e-5) - value(x - 1e-5)) / 2e-5;
                approx::assert_relative_eq!(slope[0], difference, epsilon = 1e-9);
                let (mut h, mut single) = ([x as f32], [1.0]);
                sigma.apply(&mut h, &mut single);
                approx::assert_relative_eq!(f64::from(h[0]), value(x), max_relative = 1e-5);
                approx::assert_relative_eq!(f64::from(single[0]), slope[0], epsilon = 1e-6);
            }
            assert!(value(f64::NAN).is_nan());
        }
        let mut slope = [1.0];
        Activation::Relu.apply(&mut [0.0], &mut slope);
        assert_eq!(slope, [0.0]);
    }

    /// In a long slice, whose middle goes through vector instructions, every value has the bits that it has alone.
    #[test]
    fn neighbours_do_not_matter() {
        for sigma in ALL {
            let values: Vec<f32> = (0..77)
                .map(|i| (f64::from(i) * 0.7).sin() as f32 * 5.0)
                .collect();
            let (mut all, mut slopes) = (values.clone(), vec![1.0; 77]);
            sigma.apply(&mut all, &mut slopes);
            for (i, &x) in values.iter().enumerate() {
                let (mut one, mut slope) = ([x], [1.0]);
                sigma.apply(&mut one, &mut slope);
                assert_eq!((one[0], slope[0]), (all[i], slopes[i]), "{sigma:?} at {x}");
            }
        }
    }
}
