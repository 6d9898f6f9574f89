//! What range of values the layers of a panel span.

use super::map::heat_scale;
use crate::axis::{Axis, Scale};
use crate::figure::Panel;
use crate::layer::{Layer, Mark};

/// The scales that show every layer; none when no layer has a point that can be drawn.
pub(super) fn scales(panel: &Panel) -> Option<(Scale, Scale)> {
    let (mut xs, mut ys) = (Extent::new(&panel.x), Extent::new(&panel.y));
    let (mut drawable, mut tight, mut from_zero) = (false, false, false);
    for layer in &panel.layers {
        match &layer.mark {
            Mark::Line { x, y, .. } => drawable |= xs.pairs(&mut ys, x, y),
            Mark::Points { x, y, error, .. } => {
                drawable |= xs.pairs(&mut ys, x, y);
                for ((x, y), error) in x.iter().zip(y).zip(error.iter().flatten()) {
                    if xs.holds(*x) && ys.holds(*y) {
                        ys.add(y - error);
                        ys.add(y + error);
                    }
                }
            }
            Mark::Band { x, lo, hi } => {
                drawable |= xs.pairs(&mut ys, x, lo) && xs.pairs(&mut ys, x, hi)
            }
            Mark::Histogram { data, .. } => {
                data.iter().for_each(|&value| xs.add(value));
                drawable |= data.iter().any(|&value| xs.holds(value));
            }
            Mark::Heat(heat) => {
                (tight, drawable) = (
                    true,
                    drawable
                        | (heat_scale(heat).is_some()
                            && xs.holds(heat.xs[0])
                            && ys.holds(heat.ys[0])),
                );
                xs.cells(&heat.xs);
                ys.cells(&heat.ys);
            }
            Mark::HLine { y, .. } => ys.add(*y),
            Mark::VLine { x, .. } => xs.add(*x),
            Mark::Note {
                x,
                y,
                in_panel: false,
                ..
            } => {
                xs.add(*x);
                ys.add(*y);
            }
            Mark::Note { .. } => {}
        }
    }
    if !drawable {
        return None;
    }
    let pad = |pad: f64| if tight { (0.0, 0.0) } else { (pad, pad) };
    let x = Scale::new(&panel.x, xs.found()?, pad(0.03));
    for layer in &panel.layers {
        if let Mark::Histogram {
            data,
            n_bins,
            density,
        } = &layer.mark
        {
            from_zero = true;
            ys.add(0.0);
            histogram(x, data, *n_bins, *density)
                .iter()
                .for_each(|bin| ys.add(bin.2));
        }
    }
    let mut y_pad = pad(0.06);
    if from_zero && ys.lo == 0.0 {
        y_pad.0 = 0.0;
    }
    Some((x, Scale::new(&panel.y, ys.found()?, y_pad)))
}

/// Smallest and largest value that an axis can show.
pub(super) struct Extent {
    log: bool,
    lo: f64,
    hi: f64,
}

impl Extent {
    pub(super) fn new(axis: &Axis) -> Self {
        Self {
            log: axis.log,
            lo: f64::INFINITY,
            hi: f64::NEG_INFINITY,
        }
    }
    pub(super) fn holds(&self, value: f64) -> bool {
        value.is_finite() && (!self.log || value > 0.0)
    }
    pub(super) fn add(&mut self, value: f64) {
        if self.holds(value) {
            self.lo = self.lo.min(value);
            self.hi = self.hi.max(value);
        }
    }
    pub(super) fn pairs(&mut self, other: &mut Self, x: &[f64], y: &[f64]) -> bool {
        let mut any = false;
        for (&x, &y) in x.iter().zip(y) {
            if self.holds(x) && other.holds(y) {
                self.add(x);
                other.add(y);
                any = true;
            }
        }
        any
    }
    /// The outer edges of a map's cells.
    pub(super) fn cells(&mut self, centres: &[f64]) {
        let place = |v: f64| if self.log { v.ln() } else { v };
        let back = |v: f64| if self.log { v.exp() } else { v };
        let n = centres.len();
        let (first, last) = (place(centres[0]), place(centres[n - 1]));
        let (left, right) = match n {
            1 => (0.5, 0.5),
            _ => (
                0.5 * (place(centres[1]) - first),
                0.5 * (last - place(centres[n - 2])),
            ),
        };
        let (lo, hi) = (back(first - left), back(last + right));
        self.add(lo);
        self.add(hi);
    }
    pub(super) fn found(&self) -> Option<(f64, f64)> {
        (self.lo <= self.hi).then_some((self.lo, self.hi))
    }
}

/// Left edge, right edge (places) and height of every bin.
pub(super) fn histogram(
    x: Scale,
    data: &[f64],
    n_bins: usize,
    density: bool,
) -> Vec<(f64, f64, f64)> {
    let places: Vec<f64> = data.iter().filter_map(|&value| x.place(value)).collect();
    let inside: Vec<f64> = places
        .iter()
        .copied()
        .filter(|p| (0.0..=1.0).contains(p))
        .collect();
    let lo = inside.iter().copied().fold(f64::INFINITY, f64::min);
    let hi = inside.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if inside.is_empty() {
        return Vec::new();
    }
    let (lo, hi) = if hi > lo {
        (lo, hi)
    } else {
        (lo - 0.01, hi + 0.01)
    };
    let mut counts = vec![0usize; n_bins];
    for p in inside {
        let bin = ((p - lo) / (hi - lo) * n_bins as f64) as usize;
        counts[bin.min(n_bins - 1)] += 1;
    }
    let edge = |i: usize| lo + (hi - lo) * i as f64 / n_bins as f64;
    let bin = |(i, count): (usize, usize)| {
        let (a, b) = (edge(i), edge(i + 1));
        let unit = if density {
            places.len() as f64 * (x.value(b) - x.value(a))
        } else {
            1.0
        };
        (a, b, count as f64 / unit)
    };
    counts.into_iter().enumerate().map(bin).collect()
}

/// How many values of all layers cannot be drawn: not finite, or not positive on a logarithmic axis.
pub(super) fn missing(panel: &Panel, x: Scale, y: Scale) -> usize {
    let lost = |xs: &[f64], ys: &[f64]| {
        xs.iter()
            .zip(ys)
            .filter(|(a, b)| x.place(**a).is_none() || y.place(**b).is_none())
            .count()
    };
    let count = |layer: &Layer| match &layer.mark {
        Mark::Line { x, y, .. } | Mark::Points { x, y, .. } => lost(x, y),
        Mark::Band { x, lo, hi } => lost(x, lo).max(lost(x, hi)),
        Mark::Histogram { data, .. } => data
            .iter()
            .filter(|value| x.place(**value).is_none())
            .count(),
        Mark::Heat(_) | Mark::HLine { .. } | Mark::VLine { .. } | Mark::Note { .. } => 0,
    };
    panel.layers.iter().map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_density_has_area_one() {
        for axis in [Axis::linear("x"), Axis::log("x")] {
            let data: Vec<f64> = (1..500).map(|i| 0.01 * f64::from(i)).collect();
            let scale = Scale::new(&axis, (0.01, 4.99), (0.1, 0.1));
            let bins = histogram(scale, &data, 17, true);
            let area =
                |&(a, b, height): &(f64, f64, f64)| height * (scale.value(b) - scale.value(a));
            let total: f64 = bins.iter().map(area).sum();
            assert!((total - 1.0).abs() < 1e-12, "{total}");
        }
    }

    #[test]
    fn counts_keep_every_value() {
        let scale = Scale::new(&Axis::linear("x"), (0.0, 1.0), (0.0, 0.0));
        let bins = histogram(scale, &[0.0, 0.5, 1.0, 1.0, f64::NAN], 4, false);
        assert_eq!(
            bins.iter().map(|bin| bin.2).collect::<Vec<_>>(),
            [1.0, 0.0, 1.0, 2.0]
        );
    }
}
