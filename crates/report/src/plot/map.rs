//! A map of values: cells of a few colours, and the bar that explains them.

use plotters::prelude::DrawingBackend;

use super::extent::Extent;
use super::{Frame, LABEL_EM, Plot, TICK_EM};
use crate::axis::{Axis, Scale, Tick, power_of_ten};
use crate::canvas::{Anchor, Canvas, Drawn};
use crate::colour::{INK, NO_VALUE, Rgb, viridis};
use crate::font;
use crate::layer::Heat;

/// The colour bar of a map.
pub(super) struct Bar {
    ticks: Vec<Tick>,
    pub(super) label: Vec<String>,
    n_levels: usize,
    pub(super) tick_width: f64,
}

impl Bar {
    pub(super) fn new(heat: &Heat, height: f64) -> Option<Self> {
        let label = heat.bar.as_ref()?;
        let scale = heat_scale(heat)?;
        let (ticks, power) = scale.ticks(height, 36.0, |_| TICK_EM);
        let label = match power {
            0 => label.clone(),
            power => format!("{label} (×{})", power_of_ten(power)),
        };
        let labels = ticks.iter().filter_map(|tick| tick.label.as_deref());
        let tick_width = labels
            .map(|text| font::width(text, TICK_EM))
            .fold(0.0, f64::max);
        Some(Self {
            label: font::wrap(&label, LABEL_EM, height),
            ticks,
            n_levels: heat.n_levels,
            tick_width,
        })
    }

    pub(super) fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, frame: Frame) -> Drawn {
        let bar = Frame {
            left: frame.right() + 10.0,
            width: 11.0,
            ..frame
        };
        for k in 0..self.n_levels {
            let edge = |k: usize| k as f64 / self.n_levels as f64;
            let colour = level_colour(k, self.n_levels);
            canvas.rect(
                bar.at((0.0, edge(k))),
                bar.at((1.0, edge(k + 1))),
                colour,
                1.0,
            )?;
        }
        let corners =
            [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)].map(|p| bar.at(p));
        canvas.line(&corners, 0.9, INK)?;
        for tick in &self.ticks {
            let (x, y) = bar.at((1.0, tick.at));
            let long = if tick.label.is_some() { 4.0 } else { 2.0 };
            canvas.line(&[(x, y), (x + long, y)], 0.9, INK)?;
            if let Some(label) = &tick.label {
                canvas.text(
                    label,
                    (x + 7.0, y + TICK_EM * 0.36),
                    Anchor::Start,
                    TICK_EM,
                    INK,
                    false,
                )?;
            }
        }
        for (i, line) in self.label.iter().enumerate() {
            let x =
                bar.right() + 7.0 + self.tick_width + LABEL_EM + 3.0 + i as f64 * (LABEL_EM + 4.0);
            canvas.text(
                line,
                (x, bar.at((0.0, 0.5)).1),
                Anchor::Middle,
                LABEL_EM,
                INK,
                true,
            )?;
        }
        Ok(())
    }
}

impl Plot<'_> {
    /// Runs of equal cells, colour by colour, so that the file stays small.
    pub(super) fn draw_heat<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<DB>,
        frame: Frame,
        heat: &Heat,
    ) -> Drawn {
        let Some(scale) = heat_scale(heat) else {
            return Ok(());
        };
        let (columns, rows) = (edges(self.x, &heat.xs), edges(self.y, &heat.ys));
        let level = |z: f64| scale.place(z).map(|t| level_of(t, heat.n_levels));
        let mut runs = Vec::new();
        for (iy, row) in heat.z.chunks(heat.xs.len()).enumerate() {
            let mut start = 0;
            for ix in 1..=row.len() {
                if ix == row.len() || level(row[ix]) != level(row[start]) {
                    runs.push((level(row[start]), iy, start, ix));
                    start = ix;
                }
            }
        }
        runs.sort();
        for (level, iy, from, to) in runs {
            let colour = level.map_or(NO_VALUE, |k| level_colour(k, heat.n_levels));
            let inside = |v: f64| v.clamp(0.0, 1.0);
            let low = (inside(columns[from]), inside(rows[iy]));
            let high = (inside(columns[to]), inside(rows[iy + 1]));
            canvas.rect(frame.at(low), frame.at(high), colour, 1.0)?;
        }
        Ok(())
    }
}

/// The axis that colours stand for.
pub(super) fn colour_axis(heat: &Heat) -> Axis {
    Axis {
        log: heat.log,
        range: heat.range,
        ..Axis::linear("")
    }
}

/// The scale of the colours; none when no value can be shown.
pub(super) fn heat_scale(heat: &Heat) -> Option<Scale> {
    let axis = colour_axis(heat);
    let mut extent = Extent::new(&axis);
    heat.z.iter().for_each(|&z| extent.add(z));
    Some(Scale::new(&axis, extent.found()?, (0.0, 0.0)))
}

fn level_of(t: f64, n_levels: usize) -> usize {
    ((t.clamp(0.0, 1.0) * n_levels as f64) as usize).min(n_levels - 1)
}

fn level_colour(level: usize, n_levels: usize) -> Rgb {
    match n_levels {
        1 => viridis(0.5),
        n => viridis(level as f64 / (n - 1) as f64),
    }
}

/// Edges of cells between their centres, as places.
fn edges(scale: Scale, centres: &[f64]) -> Vec<f64> {
    let at: Vec<f64> = centres
        .iter()
        .map(|&c| scale.place(c).unwrap_or(0.0))
        .collect();
    let n = at.len();
    if n == 1 {
        return vec![0.0, 1.0];
    }
    let mut edges = vec![1.5 * at[0] - 0.5 * at[1]];
    edges.extend(at.windows(2).map(|pair| 0.5 * (pair[0] + pair[1])));
    edges.push(1.5 * at[n - 1] - 0.5 * at[n - 2]);
    edges
}
