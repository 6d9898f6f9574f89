//! The legend of a panel: what stands in it, and where it hides nothing.

use plotters::prelude::DrawingBackend;

use super::extent::histogram;
use super::{Frame, HANDLE, LINE, Look, NOTE_EM, Plot, ROW, TICK_EM, WHITE, draw_marker};
use crate::canvas::{Anchor, Canvas, Drawn};
use crate::clip::{self, Point};
use crate::colour::INK;
use crate::figure::{Legend, Panel};
use crate::font;
use crate::layer::Mark;

/// A line of the legend: its text and the layers it stands for.
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) layers: Vec<usize>,
}

impl Plot<'_> {
    /// Moves the legend over the plot where inside it would hide data; says whether it did.
    pub fn make_room_for_legend(&mut self, frame: Frame) -> bool {
        let inside = self.panel.legend == Legend::Auto
            && !self.entries.is_empty()
            && self.legend_above.is_empty();
        if inside && self.legend_inside(frame).is_none() {
            self.put_legend_above(frame.width);
            return true;
        }
        false
    }

    pub(super) fn put_legend_above(&mut self, width: f64) {
        let mut used = f64::INFINITY;
        for (i, entry) in self.entries.iter().enumerate() {
            let wide = entry_width(entry);
            if used + wide > width {
                self.legend_above.push(Vec::new());
                used = 0.0;
            }
            used += wide;
            if let Some(row) = self.legend_above.last_mut() {
                row.push(i);
            }
        }
    }

    /// The upper left corner of a legend that hides nothing, tried place by place.
    fn legend_inside(&self, frame: Frame) -> Option<Point> {
        let (w, h) = self.legend_size();
        let ink = self.ink(frame);
        const PAD: f64 = 7.0;
        let (left, right) = (frame.left + PAD, frame.right() - PAD - w);
        let (top, bottom) = (frame.top + PAD, frame.bottom() - PAD - h);
        let (mid_x, mid_y) = (0.5 * (left + right), 0.5 * (top + bottom));
        let places = [
            (right, top),
            (left, top),
            (right, bottom),
            (left, bottom),
            (right, mid_y),
            (left, mid_y),
            (mid_x, top),
            (mid_x, bottom),
        ];
        if right < left || bottom < top {
            return None;
        }
        places.into_iter().find(|&(x, y)| {
            const AIR: f64 = 3.0;
            !ink.iter().any(|&(px, py)| {
                (x - AIR..=x + w + AIR).contains(&px) && (y - AIR..=y + h + AIR).contains(&py)
            })
        })
    }

    fn legend_size(&self) -> (f64, f64) {
        let widest = self
            .entries
            .iter()
            .map(|entry| font::width(&entry.label, TICK_EM))
            .fold(0.0, f64::max);
        (
            HANDLE + 14.0 + widest,
            self.entries.len() as f64 * ROW + 6.0,
        )
    }

    /// Places on the sheet that layers cover, a few points apart.
    fn ink(&self, frame: Frame) -> Vec<Point> {
        let mut ink = Vec::new();
        for layer in &self.panel.layers {
            match &layer.mark {
                Mark::Line { x, y, .. } => {
                    for run in clip::polyline(self.places(x, y)) {
                        trace(&run, frame, &mut ink);
                    }
                }
                Mark::Points { x, y, error, .. } => {
                    ink.extend(self.places(x, y).flatten().map(|p| frame.at(p)));
                    for bar in self.error_bars(x, y, error.as_deref()) {
                        trace(&bar, frame, &mut ink);
                    }
                }
                Mark::Band { x, lo, hi } => {
                    for corners in self.band(x, lo, hi) {
                        hatch(&corners, frame, &mut ink);
                    }
                }
                Mark::Histogram {
                    data,
                    n_bins,
                    density,
                } => {
                    for (a, b, height) in histogram(self.x, data, *n_bins, *density) {
                        let top = self.y.place(height).unwrap_or(0.0);
                        hatch(&[(a, 0.0), (b, 0.0), (b, top), (a, top)], frame, &mut ink);
                    }
                }
                Mark::HLine { y, .. } => {
                    if let Some(y) = self.y.place(*y) {
                        trace(&[(0.0, y), (1.0, y)], frame, &mut ink);
                    }
                }
                Mark::VLine { x, .. } => {
                    if let Some(x) = self.x.place(*x) {
                        trace(&[(x, 0.0), (x, 1.0)], frame, &mut ink);
                    }
                }
                Mark::Heat(_) => hatch(
                    &[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)],
                    frame,
                    &mut ink,
                ),
                Mark::Note {
                    x,
                    y,
                    text,
                    in_panel,
                } => {
                    if let Some(place) = self.note_place(*x, *y, *in_panel) {
                        let (x, y) = frame.at(place);
                        let steps = (font::width(text, NOTE_EM) / 3.0) as usize;
                        ink.extend((0..=steps).map(|i| (x + 3.0 * i as f64, y)));
                    }
                }
            }
        }
        ink
    }

    pub(super) fn draw_legend<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<DB>,
        frame: Frame,
    ) -> Drawn {
        if !self.legend_above.is_empty() {
            let above = self.legend_above.len() as f64 * ROW;
            for (i, row) in self.legend_above.iter().enumerate() {
                let y = frame.top - 6.0 - above + (i as f64 + 0.5) * ROW;
                let mut x = frame.left;
                for &entry in row {
                    self.draw_entry(canvas, &self.entries[entry], (x, y))?;
                    x += entry_width(&self.entries[entry]);
                }
            }
        } else if let (false, Some((x, y))) = (self.entries.is_empty(), self.legend_inside(frame)) {
            let (w, h) = self.legend_size();
            canvas.rect((x, y), (x + w, y + h), WHITE, 0.85)?;
            for (i, entry) in self.entries.iter().enumerate() {
                self.draw_entry(canvas, entry, (x + 5.0, y + 3.0 + (i as f64 + 0.5) * ROW))?;
            }
        }
        Ok(())
    }

    fn draw_entry<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<DB>,
        entry: &Entry,
        (x, y): Point,
    ) -> Drawn {
        let (a, b, mid) = ((x, y), (x + HANDLE, y), (x + 0.5 * HANDLE, y));
        for &i in &entry.layers {
            let Look { colour, marker } = self.looks[i];
            match &self.panel.layers[i].mark {
                Mark::Line { dashed: true, .. }
                | Mark::HLine { dashed: true, .. }
                | Mark::VLine { dashed: true, .. } => {
                    canvas.dashed(&[a, b], LINE, colour)?;
                }
                Mark::Line { .. } | Mark::HLine { .. } | Mark::VLine { .. } => {
                    canvas.line(&[a, b], LINE, colour)?
                }
                Mark::Points { error, .. } => {
                    if error.is_some() {
                        canvas.line(&[(mid.0, y - 6.0), (mid.0, y + 6.0)], 1.2, colour)?;
                    }
                    draw_marker(canvas, mid, marker, colour)?;
                }
                Mark::Band { .. } => {
                    canvas.rect((x, y - 4.5), (x + HANDLE, y + 4.5), colour, 0.22)?
                }
                Mark::Histogram { .. } => {
                    canvas.rect((x, y - 4.5), (x + HANDLE, y + 4.5), colour, 0.35)?;
                    canvas.line(&[(x, y - 4.5), (x + HANDLE, y - 4.5)], 1.2, colour)?;
                }
                Mark::Heat(_) | Mark::Note { .. } => {}
            }
        }
        canvas.text(
            &entry.label,
            (x + HANDLE + 5.0, y + TICK_EM * 0.36),
            Anchor::Start,
            TICK_EM,
            INK,
            false,
        )
    }
}

fn entry_width(entry: &Entry) -> f64 {
    HANDLE + 5.0 + font::width(&entry.label, TICK_EM) + 16.0
}

pub(super) fn entries(panel: &Panel) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (i, layer) in panel
        .layers
        .iter()
        .enumerate()
        .filter(|(_, layer)| !layer.label.is_empty())
    {
        match entries.iter_mut().find(|entry| entry.label == layer.label) {
            Some(entry) => entry.layers.push(i),
            None => entries.push(Entry {
                label: layer.label.clone(),
                layers: vec![i],
            }),
        }
    }
    entries
}

fn trace(run: &[Point], frame: Frame, ink: &mut Vec<Point>) {
    let run: Vec<_> = run.iter().map(|&p| frame.at(p)).collect();
    ink.extend(run.first());
    for pair in run.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let steps = ((b.0 - a.0).hypot(b.1 - a.1) / 3.0).ceil().max(1.0);
        let along = |t: f64| (a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1));
        ink.extend((1..=steps as usize).map(|i| along(i as f64 / steps)));
    }
}

/// Points within a polygon, on a grid of six points' width.
fn hatch(corners: &[Point], frame: Frame, ink: &mut Vec<Point>) {
    let corners: Vec<_> = corners.iter().map(|&p| frame.at(p)).collect();
    let low = corners.iter().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let high = corners
        .iter()
        .map(|p| p.0)
        .fold(f64::NEG_INFINITY, f64::max);
    let mut x = low + 0.5;
    while x < high {
        let crossing = |(i, b): (usize, &Point)| {
            let a = corners[(i + corners.len() - 1) % corners.len()];
            ((a.0 <= x) != (b.0 <= x)).then(|| a.1 + (x - a.0) / (b.0 - a.0) * (b.1 - a.1))
        };
        let mut cuts: Vec<f64> = corners.iter().enumerate().filter_map(crossing).collect();
        cuts.sort_by(f64::total_cmp);
        for pair in cuts.chunks_exact(2) {
            let steps = ((pair[1] - pair[0]) / 6.0).ceil();
            ink.extend(
                (0..=steps as usize)
                    .map(|i| (x, pair[0] + (pair[1] - pair[0]) * i as f64 / steps.max(1.0))),
            );
        }
        x += 6.0;
    }
}
