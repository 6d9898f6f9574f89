//! `exp`, `tanh` and the normal law as plain arithmetic, which compilers turn into vector instructions of any width with the same bits.
//!
//! No fused multiply-add, no table, no branch; NaN gives NaN. `exp`: `x = k ln 2 + r` with `|r| <= ln(2)/2` and the Taylor polynomial in `r`.
//!
//! The normal law: for `x >= 0`, `Φ(-x) = exp(-x²/2) t P(s)` with `t = 4/(4 + x)`, `s` the linear function of `t` that is 1 at `x = 0` and -1 at the
//! end of the range (39 in `f64`, 14 in `f32`), and `P` the polynomial through the values of `exp(x²/2) Φ(-x) / t` at Chebyshev's 23 (10) points
//! of `s`. Our derivation, by mpmath with 60 digits: `erfc(x/√2)/2` for `Φ(-x)`, Chebyshev coefficients, then monomials. Truncation: 4e-17 (1.2e-8)
//! of the value.

use std::f64::consts::LOG2_E;
use std::ops::{Div, Neg};

use super::matrix_product::Real;

/// `1/√(2π)`.
const FRAC_1_SQRT_TAU: f64 = 0.398_942_280_401_432_7;

/// Functions of a number, for either precision.
pub(super) trait Elementary:
    Real + Div<Output = Self> + Neg<Output = Self> + PartialOrd
{
    /// `(2^k, e^r - 1)` with `e^x = 2^k e^r`, for `x <= 0`; below -42 (-24 in `f32`) those of the bound.
    fn exp_parts(self) -> (Self, Self);

    /// `e^x` for `x <= 0`; 0 below -42 (-24 in `f32`), where sums of size 1 do not see it. Products of such numbers have too small an exponent, and
    /// arithmetic with these is many times slower: most of a trained network's probabilities are as small.
    ///
    /// Accuracy: 2 units in the last place.
    fn exp_of_negative(self) -> Self;

    /// `tanh x`.
    ///
    /// Accuracy: 4 units in the last place, also near 0.
    fn tanh(self) -> Self;

    /// `(Φ(x), φ(x))`, distribution and density of the standard normal law.
    ///
    /// Accuracy: of `Φ` for `x >= 0`, 1 unit in the last place of 1; of `Φ` for `x < 0` and of `φ`, `4 + x²` units of their own, as long as
    /// `e^(-x²/2)` is not 0.
    fn normal(self) -> (Self, Self);
}

macro_rules! elementary {
    ($t:ident, mantissa: $mantissa:literal, ln2: $ln2:expr, lowest: $lowest:literal, taylor: $taylor:expr,
     one_from: $one_from:literal, end: $end:literal, tail: $tail:expr) => {
        impl Elementary for $t {
            #[inline(always)]
            fn exp_parts(self) -> (Self, Self) {
                /// Adding it rounds to whole numbers, which then stand in the last bits.
                const ROUND: $t = 1.5 * (1u64 << $mantissa) as $t;
                const ONE: $t = 1.0;
                // not `max`, which has no NaN
                let x = if self < $lowest { $lowest } else { self };
                let shifted = x * LOG2_E as $t + ROUND;
                let k = shifted - ROUND;
                let [high, low] = $ln2;
                let r = (x - k * high) - k * low;
                let [mut q, rest @ ..] = $taylor;
                for c in rest {
                    q = q * r + c;
                }
                let exponent = shifted.to_bits() << $mantissa;
                let power = <$t>::from_bits(ONE.to_bits().wrapping_add(exponent));
                (power, r + r * r * q)
            }

            #[inline(always)]
            fn exp_of_negative(self) -> Self {
                let (power, rest) = self.exp_parts();
                if self < $lowest {
                    0.0
                } else {
                    power + power * rest
                }
            }

            #[inline(always)]
            fn tanh(self) -> Self {
                let size = self.abs();
                let size = if size > $one_from { $one_from } else { size };
                // e^(-2|x|) - 1: no digits are lost near 0
                let (power, rest) = (-2.0 * size).exp_parts();
                let below_one = power * rest + (power - 1.0);
                (-below_one / (2.0 + below_one)).copysign(self)
            }

            #[inline(always)]
            fn normal(self) -> (Self, Self) {
                const END: $t = $end;
                const FACTOR: $t = 2.0 * (END + 4.0) / END;
                let size = self.abs();
                let size = if size > END { END } else { size };
                let e = (-0.5 * size * size).exp_of_negative();
                let t = 4.0 / (4.0 + size);
                let s = t * FACTOR - (FACTOR - 1.0);
                let [mut p, rest @ ..] = $tail;
                for c in rest {
                    p = p * s + c;
                }
                let tail = e * (t * p);
                let below = if self < 0.0 { tail } else { 1.0 - tail };
                (below, e * FRAC_1_SQRT_TAU as $t)
            }
        }
    };
}

// the first parts of ln 2 have so few digits that their products with k are exact
elementary!(
    f64,
    mantissa: 52,
    ln2: [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10],
    lowest: -42.0,
    taylor: TAYLOR,
    one_from: 20.0,
    end: 39.0,
    tail: TAIL
);
elementary!(
    f32,
    mantissa: 23,
    ln2: [355.0 / 512.0, -2.121_944_4e-4],
    lowest: -24.0,
    taylor: TAYLOR_SINGLE,
    one_from: 10.0,
    end: 14.0,
    tail: TAIL_SINGLE
);

/// `1/k!` for `k` from 13 down to 2.
const TAYLOR: [f64; 12] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
];

/// From 7 down to 2.
const TAYLOR_SINGLE: [f32; 6] = [
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
];

/// `P`, from the highest power down.
const TAIL: [f64; 23] = [
    -2.816_675_305_281_797e-11,
    -6.589_440_702_810_26e-11,
    4.204_054_731_409_377_4e-10,
    3.909_946_830_988_615e-10,
    -3.443_555_486_121_776_5e-9,
    8.255_764_898_856_974e-10,
    2.097_400_657_448_292_3e-8,
    -2.882_257_266_621_077_4e-8,
    -1.088_492_997_025_821_7e-7,
    3.034_948_639_994_133e-7,
    5.460_046_818_449_97e-7,
    -2.615_983_450_470_676_2e-6,
    -3.405_573_263_965_455e-6,
    2.211_754_479_816_677_6e-5,
    3.680_201_574_713_766e-5,
    -1.843_552_229_891_487e-4,
    -6.253_647_641_848_852e-4,
    8.147_115_475_115_343e-4,
    1.072_658_169_423_569_8e-2,
    3.909_248_886_698_588e-2,
    9.097_668_420_675_964e-2,
    1.553_110_255_561_813_4e-1,
    2.038_345_992_106_292e-1,
];

const TAIL_SINGLE: [f32; 10] = [
    3.129_593e-6,
    1.478_575e-5,
    -4.308_253e-5,
    -3.089_839_3e-4,
    9.661_222_4e-5,
    6.001_511e-3,
    2.858_743_4e-2,
    8.016_394e-2,
    1.575_624_2e-1,
    2.279_222_3e-1,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest error of a function of both precisions on points of an interval, in units of the last place of `size` of the exact value.
    fn units(
        points: impl Iterator<Item = f64>,
        own: [fn(f64) -> f64; 2],
        exact: fn(f64) -> f64,
        unit: fn(x: f64, exact: f64) -> f64,
    ) -> [f64; 2] {
        let mut worst = [0.0f64; 2];
        for x in points {
            // numbers that both precisions have
            let x = f64::from(x as f32);
            let places = [f64::EPSILON, f64::from(f32::EPSILON)];
            for ((worst, own), place) in worst.iter_mut().zip(own).zip(places) {
                let error = (own(x) - exact(x)).abs() / (unit(x, exact(x)) * place);
                assert!(!error.is_nan(), "at {x}");
                *worst = worst.max(error);
            }
        }
        worst
    }

    fn grid(from: f64, to: f64) -> impl Iterator<Item = f64> {
        (0..=200_000).map(move |i| from + (to - from) * f64::from(i) / 200_000.0)
    }

    #[test]
    fn exponentials_are_accurate() {
        let own: [fn(f64) -> f64; 2] = [
            |x| x.exp_of_negative(),
            |x| f64::from((x as f32).exp_of_negative()),
        ];
        for (from, to) in [(-1e-6, 0.0), (-1.0, 0.0), (-24.0, 0.0)] {
            let [double, single] = units(grid(from, to), own, f64::exp, |_, e| e);
            assert!(double < 2.0 && single < 2.0, "{from}: {double} {single}");
        }
        let [double, _] = units(grid(-42.0, 0.0), own, f64::exp, |_, e| e);
        assert!(double < 2.0, "{double}");
        assert_eq!(0f64.exp_of_negative(), 1.0);
        assert!(f64::NAN.exp_of_negative().is_nan() && f32::NAN.exp_of_negative().is_nan());
    }

    #[test]
    fn what_no_sum_sees_is_nothing() {
        for x in [-42.1, -1e300, f64::NEG_INFINITY] {
            assert_eq!((x.exp_of_negative(), x.normal().0), (0.0, 0.0));
        }
        for x in [-24.1, -1e30, f32::NEG_INFINITY] {
            assert_eq!((x.exp_of_negative(), x.normal().0), (0.0, 0.0));
        }
        assert_eq!(1.0 + (-42f64).exp_of_negative(), 1.0);
        assert_eq!(1.0 + 500.0 * (-24f32).exp_of_negative(), 1.0);
    }

    #[test]
    fn hyperbolic_tangents_are_accurate() {
        let own: [fn(f64) -> f64; 2] = [
            |x| Elementary::tanh(x),
            |x| Elementary::tanh(x as f32).into(),
        ];
        for (from, to) in [(1e-9, 1e-6), (1e-6, 1.0), (-3.0, -1e-3), (0.1, 30.0)] {
            let [double, single] = units(grid(from, to), own, f64::tanh, |_, e| e.abs());
            assert!(double < 4.0 && single < 4.0, "{from}: {double} {single}");
        }
        assert_eq!(Elementary::tanh(-0.0f64).to_bits(), (-0.0f64).to_bits());
        assert_eq!(Elementary::tanh(1e30f32), 1.0);
        assert_eq!(Elementary::tanh(f64::NEG_INFINITY), -1.0);
        assert!(Elementary::tanh(f64::NAN).is_nan() && Elementary::tanh(f32::NAN).is_nan());
    }

    /// `Φ(-x)` by mpmath's `erfc(x/√2)/2` with 40 digits.
    const TAILS: [(f64, f64); 21] = [
        (0.0, 0.5),
        (0.015625, 0.493_766_780_500_110_3),
        (0.25, 0.401_293_674_317_076_3),
        (0.5, 0.308_537_538_725_986_9),
        (0.75, 0.226_627_352_376_868_2),
        (1.0, 0.158_655_253_931_457_05),
        (1.5, 0.066_807_201_268_858_07),
        (2.0, 0.022_750_131_948_179_21),
        (2.5, 0.006_209_665_325_776_135),
        (3.0, 1.349_898_031_630_094_5e-3),
        (4.0, 3.167_124_183_311_992e-5),
        (5.0, 2.866_515_718_791_939e-7),
        (6.5, 4.016_000_583_859_118e-11),
        (8.0, 6.220_960_574_271_784e-16),
        (10.0, 7.619_853_024_160_526e-24),
        (12.5, 3.732_564_298_877_713e-36),
        (16.0, 6.388_754_400_538_087e-58),
        (20.0, 2.753_624_118_606_233_7e-89),
        (25.0, 3.056_696_706_382_561e-138),
        (30.0, 4.906_713_927_148_187e-198),
        (37.0, 5.725_571_222_524_577e-300),
    ];

    #[test]
    fn normal_probabilities_are_accurate() {
        for (x, tail) in TAILS {
            let own = |x: f64| (x.normal().0, (x as f32).normal().0.into());
            let ((double, single), (above, above_single)): ((f64, f64), (f64, f64)) =
                (own(-x), own(x));
            // x is a number of both precisions; far out there is nothing
            let units = 4.0 + x * x;
            let places = [(f64::EPSILON, 42.0), (f32::EPSILON.into(), 24.0)];
            for (own, (place, end)) in [double, single].into_iter().zip(places) {
                let tail = if 0.5 * x * x < end { tail } else { 0.0 };
                assert!((own - tail).abs() <= units * place * tail, "{x}: {own}");
            }
            assert!((above + tail - 1.0).abs() <= f64::EPSILON, "{x}: {above}");
            assert!(
                (above_single + tail - 1.0).abs() <= f64::from(f32::EPSILON),
                "{x}"
            );
            let density = match 0.5 * x * x < 42.0 {
                true => (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt(),
                false => 0.0,
            };
            let bound = units * f64::EPSILON * density;
            assert!((x.normal().1 - density).abs() <= bound, "{x}");
            assert_eq!(x.normal().1, (-x).normal().1);
        }
        // between these points: `f32` against `f64`, `f64` against the integral of the density by Simpson's rule
        let (mut x, mut below) = (-8.0f64, (-8.0f64).normal().0);
        while x < 8.0 {
            let h = 1.0 / 512.0;
            let f = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
            below += h / 6.0 * (f(x) + 4.0 * f(x + h / 2.0) + f(x + h));
            x += h;
            let own = x.normal().0;
            assert!((own - below).abs() < 1e-10 * below, "{x}: {own} {below}");
            if x < -6.9 {
                continue;
            }
            let single = f64::from((x as f32).normal().0);
            let bound =
                (4.0 + x * x) * f64::from(f32::EPSILON) * own.max(if x > 0.0 { 1.0 } else { 0.0 });
            assert!((single - own).abs() < bound, "{x}: {single} {own}");
        }
        assert!(f64::NAN.normal().0.is_nan() && f32::NAN.normal().1.is_nan());
        assert!(1e300f64.normal() == (1.0, 0.0) && (-1e30f32).normal() == (0.0, 0.0));
    }
}
