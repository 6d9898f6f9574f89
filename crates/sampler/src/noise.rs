//! Standard normals addressed by (seed, stream, position): the noise of every chain.
//!
//! Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", SC'11) turns a
//! counter into four 32-bit words, and Box-Muller turns two words into two normals. There is no hidden state: a
//! normal depends on its address alone, so a row's noise does not depend on its neighbours, on the number of threads,
//! or on where an interrupted run was taken up again.
//!
//! Normals come in *pages* of 64, sixteen counters side by side, so that the compiler turns the arithmetic into vector
//! instructions. No fused multiply-add is used: every x86-64 machine gives the same bits. Values are computed in `f32`
//! (the largest magnitude is 6.66; moments agree with the normal law to 1e-7) and are meant to be widened.

use multiversion::multiversion;

use crate::stream::Purpose;

/// Normals in a page.
const PAGE: usize = 64;
const LANES: usize = 16;
/// Normals generated at a time for one row.
const BUFFER: usize = 16 * PAGE;

/// The normals of one row, in order of use: step `t` of a row with `d` parameters uses `d` of them.
#[derive(Debug, Clone)]
pub struct RowNoise {
    seed: u64,
    purpose: Purpose,
    stream: u64,
    /// Normals set aside for one step: at least `d`, a power of two up to a page, then whole pages.
    stride: usize,
    d: usize,
    buffer: Vec<f32>,
    /// Position of `buffer[0]` in the stream; `u64::MAX` before the first use.
    start: u64,
}

impl RowNoise {
    /// The noise of the row `stream` with `d` parameters.
    ///
    /// # Panics
    /// If `d` is zero.
    pub fn new(seed: u64, stream: u64, d: usize) -> Self {
        Self::for_purpose(seed, Purpose::Noise, stream, d)
    }

    /// Normals for another purpose, `d` of them a step.
    ///
    /// # Panics
    /// If `d` is zero.
    pub fn for_purpose(seed: u64, purpose: Purpose, stream: u64, d: usize) -> Self {
        assert!(d > 0, "a row has at least one parameter");
        let stride = if d <= PAGE {
            d.next_power_of_two()
        } else {
            d.next_multiple_of(PAGE)
        };
        Self {
            seed,
            purpose,
            stream,
            stride,
            d,
            buffer: vec![0.0; BUFFER],
            start: u64::MAX,
        }
    }

    /// Calls `apply(offset, normals)` for consecutive slices that together hold the `d` normals of `step`.
    #[inline]
    pub fn for_step(&mut self, step: u64, mut apply: impl FnMut(usize, &[f32])) {
        let first = step * self.stride as u64;
        let mut offset = 0;
        while offset < self.d {
            let position = first + offset as u64;
            if position < self.start || position >= self.start.saturating_add(BUFFER as u64) {
                self.start = position - position % PAGE as u64;
                fill(
                    self.seed,
                    self.purpose,
                    self.stream,
                    self.start / PAGE as u64,
                    &mut self.buffer,
                );
            }
            let at = (position - self.start) as usize;
            let len = (self.d - offset).min(BUFFER - at);
            apply(offset, &self.buffer[at..at + len]);
            offset += len;
        }
    }
}

/// Fills `out` with the normals of a stream from page `first_page` on (a page is 64 normals).
///
/// # Panics
/// If the length of `out` is no multiple of 64.
pub fn fill(seed: u64, purpose: Purpose, stream: u64, first_page: u64, out: &mut [f32]) {
    assert!(
        out.len().is_multiple_of(PAGE),
        "normals come in pages of {PAGE}, asked for {}",
        out.len()
    );
    fill_pages(
        [seed as u32, (seed >> 32) as u32],
        purpose as u32,
        stream,
        first_page,
        out,
    );
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn fill_pages(key: [u32; 2], purpose: u32, stream: u64, first_page: u64, out: &mut [f32]) {
    for (page, out) in out.chunks_exact_mut(PAGE).enumerate() {
        let block = (first_page + page as u64) * LANES as u64;
        let high = (block >> 32) & 0x00ff_ffff | u64::from(purpose) << 24;
        let mut words = [[0u32; LANES]; 4];
        for lane in 0..LANES {
            let counter = [block + lane as u64, high, stream, stream >> 32];
            let values = philox(counter, key);
            for (word, value) in words.iter_mut().zip(values) {
                word[lane] = value as u32;
            }
        }
        let (head, tail) = out.split_at_mut(2 * LANES);
        box_muller(&words[0], &words[1], head);
        box_muller(&words[2], &words[3], tail);
    }
}

/// Ten rounds of Philox4x32; constants from the paper's table 2.
///
/// A word is the lower half of a `u64`; what its upper half holds has no meaning. Side by side in vectors, products of lower halves are one
/// instruction, and no word is widened or narrowed between rounds.
#[inline(always)]
fn philox(mut c: [u64; 4], key: [u32; 2]) -> [u64; 4] {
    const WORD: u64 = 0xffff_ffff;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let p0 = (c[0] & WORD) * 0xD251_1F53;
        let p1 = (c[2] & WORD) * 0xCD9E_8D57;
        c = [
            p1 >> 32 ^ c[1] ^ u64::from(k0),
            p1,
            p0 >> 32 ^ c[3] ^ u64::from(k1),
            p0,
        ];
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    c
}

/// Sixteen pairs of uniform words to 32 normals: `sqrt(-2 ln u)` times cosine and sine of a uniform angle.
#[inline(always)]
fn box_muller(radius: &[u32; LANES], angle: &[u32; LANES], out: &mut [f32]) {
    for lane in 0..LANES {
        // u in (0, 1], in steps of 2^-31
        let u = (radius[lane] >> 1) as i32 as f32 * 2f32.powi(-31) + 2f32.powi(-32);
        let r = (-2.0 * ln(u)).sqrt();
        let (sin, cos) = sin_cos_turn(angle[lane]);
        out[lane] = r * cos;
        out[LANES + lane] = r * sin;
    }
}

/// `ln x` for normal positive `x`, relative 3e-7; polynomial of Cephes' `logf`.
#[inline(always)]
fn ln(x: f32) -> f32 {
    // mantissa in [sqrt(1/2), sqrt(2))
    let bits = x.to_bits().wrapping_sub(0x3f35_04f3);
    let exponent = (bits as i32 >> 23) as f32;
    let m = f32::from_bits((bits & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
    let mut p = 7.037_683_6e-2;
    for c in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = p * m + c;
    }
    let m2 = m * m;
    (p * m * m2 - 0.5 * m2) + m + exponent * std::f32::consts::LN_2
}

/// Sine and cosine of `turn / 2^32` full turns; polynomials of Cephes' `sinf` and `cosf` on an eighth of a turn.
#[inline(always)]
fn sin_cos_turn(turn: u32) -> (f32, f32) {
    let quadrant = turn.wrapping_add(1 << 29) >> 30;
    let x = (turn << 2) as i32 as f32 * (std::f32::consts::FRAC_PI_2 * 2f32.powi(-32));
    let x2 = x * x;
    let s = ((-1.951_529_6e-4 * x2 + 8.332_161e-3) * x2 - 1.666_665_5e-1) * x2 * x + x;
    let c =
        ((2.443_315_7e-5 * x2 - 1.388_731_6e-3) * x2 + 4.166_664_6e-2) * x2 * x2 - 0.5 * x2 + 1.0;
    let (a, b) = if quadrant & 1 == 0 { (s, c) } else { (c, s) };
    let sin = f32::from_bits(a.to_bits() ^ ((quadrant & 2) << 30));
    let cos = f32::from_bits(b.to_bits() ^ ((quadrant.wrapping_add(1) & 2) << 30));
    (sin, cos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normals(seed: u64, stream: u64, n: usize) -> Vec<f32> {
        let mut out = vec![0.0; n];
        fill(seed, Purpose::Noise, stream, 0, &mut out);
        out
    }

    /// Known-answer vectors of Random123 (`kat_vectors`, philox4x32 10 rounds).
    #[test]
    fn philox_known_answers() {
        let check = |counter: [u32; 4], key: [u32; 2], expected: [u32; 4]| {
            let words = philox(counter.map(u64::from), key);
            assert_eq!(words.map(|w| w as u32), expected);
        };
        check(
            [0; 4],
            [0; 2],
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
        );
        check(
            [u32::MAX; 4],
            [u32::MAX; 2],
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
        );
        check(
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        );
    }

    #[test]
    fn elementary_functions_are_accurate() {
        for i in 1..200_000u32 {
            let u = i as f32 / 200_000.0;
            let exact = f64::from(u).ln();
            assert!(
                (f64::from(ln(u)) - exact).abs() <= 3e-7 * exact.abs().max(0.1),
                "ln {u}"
            );
            let turn = i * 21_474;
            let angle = f64::from(turn) / 2f64.powi(32) * std::f64::consts::TAU;
            let (s, c) = sin_cos_turn(turn);
            assert!((f64::from(s) - angle.sin()).abs() < 2e-7, "sin {angle}");
            assert!((f64::from(c) - angle.cos()).abs() < 2e-7, "cos {angle}");
        }
    }

    /// Moments and tail of 2^22 normals: each |z| < 5 under the exact law.
    #[test]
    fn moments_are_normal() {
        for seed in [1, 2, 3] {
            let x = normals(seed, 7, 1 << 22);
            let n = x.len() as f64;
            let moment = |k: i32| x.iter().map(|&v| f64::from(v).powi(k)).sum::<f64>() / n;
            for (k, mean, variance) in [
                (1, 0.0, 1.0),
                (2, 1.0, 2.0),
                (3, 0.0, 15.0),
                (4, 3.0, 96.0),
                (6, 15.0, 10170.0),
            ] {
                let z = (moment(k) - mean) / (variance / n).sqrt();
                assert!(z.abs() < 5.0, "moment {k} of seed {seed}: z = {z}");
            }
            let tail = x.iter().filter(|v| v.abs() > 3.0).count() as f64 / n;
            let p = 0.002_699_796_063_260_19;
            let z = (tail - p) / (p * (1.0 - p) / n).sqrt();
            assert!(z.abs() < 5.0, "tail of seed {seed}: z = {z}");
        }
    }

    /// Neighbouring lanes, pages and streams are uncorrelated.
    #[test]
    fn streams_are_uncorrelated() {
        let n = 1 << 20;
        let (a, b) = (normals(11, 0, n), normals(11, 1, n));
        for lag in [1, 2, 16, 32, 64] {
            let r: f64 = (0..n - lag)
                .map(|i| f64::from(a[i]) * f64::from(a[i + lag]))
                .sum::<f64>()
                / ((n - lag) as f64).sqrt();
            assert!(r.abs() < 5.0, "lag {lag}: z = {r}");
        }
        let r: f64 = a
            .iter()
            .zip(&b)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum::<f64>()
            / (n as f64).sqrt();
        assert!(r.abs() < 5.0, "streams: z = {r}");
    }

    /// A step's normals are the same however the stream is read.
    #[test]
    fn address_alone_decides() {
        for d in [1, 2, 3, 5, 64, 65, 1000, 3000] {
            let collect = |noise: &mut RowNoise, step| {
                let mut all = vec![0.0; d];
                noise.for_step(step, |at, x| all[at..at + x.len()].copy_from_slice(x));
                all
            };
            let mut forward = RowNoise::new(5, 9, d);
            let in_order: Vec<_> = (0..40).map(|t| collect(&mut forward, t)).collect();
            for t in [39, 0, 17, 3] {
                assert_eq!(
                    collect(&mut RowNoise::new(5, 9, d), t),
                    in_order[t as usize],
                    "d = {d}, step {t}"
                );
            }
            assert_ne!(in_order[0], in_order[1]);
        }
    }

    #[test]
    fn value_stability() {
        let x = normals(42, 3, PAGE);
        assert_eq!([x[0], x[1], x[17], x[63]].map(f32::to_bits), VALUES);
    }
    const VALUES: [u32; 4] = [3222851934, 1062883378, 1061270457, 3214696146];
}
