//! One panel: its scales, what surrounds it, and its layers.

mod extent;
mod legend;
mod map;

use plotters::prelude::DrawingBackend;

use self::extent::{histogram, missing, scales};
use self::legend::{Entry, entries};
use self::map::{Bar, colour_axis};

use crate::axis::{Axis, Scale, Tick, power_of_ten};
use crate::canvas::{Anchor, Canvas, Drawn};
use crate::clip::{self, Point};
use crate::colour::{Colour, GRID, INK, Rgb};
use crate::figure::{FigureError, Legend, Panel};
use crate::font;
use crate::layer::{Layer, Mark, Marker};

const TITLE_EM: f64 = 13.0;
const LABEL_EM: f64 = 12.0;
const TICK_EM: f64 = 11.0;
const NOTE_EM: f64 = 10.5;
const LINE: f64 = 1.7;
/// A line of more points than this, such as a chain's trace, is drawn thin.
const DENSE: usize = 600;
const THIN_LINE: f64 = 0.9;
const ROW: f64 = 17.0;
const HANDLE: f64 = 24.0;
const WHITE: Rgb = (255, 255, 255);

/// What a panel needs around its plot.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Margins {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

/// Where the plot lies on the sheet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Frame {
    fn at(&self, (x, y): Point) -> Point {
        (
            self.left + x * self.width,
            self.top + (1.0 - y) * self.height,
        )
    }
    fn right(&self) -> f64 {
        self.left + self.width
    }
    fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// A panel ready to be drawn into any frame of about the size it was prepared for.
pub(crate) struct Plot<'a> {
    panel: &'a Panel,
    x: Scale,
    y: Scale,
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
    title: Vec<String>,
    x_label: Vec<String>,
    y_label: Vec<String>,
    bar: Option<Bar>,
    looks: Vec<Look>,
    entries: Vec<Entry>,
    legend_above: Vec<Vec<usize>>,
    missing: usize,
}

/// Colour and marker of a layer.
#[derive(Clone, Copy)]
struct Look {
    colour: Rgb,
    marker: Marker,
}

impl<'a> Plot<'a> {
    /// Lays out `panel` for a plot of about `width` by `height`.
    pub fn new(panel: &'a Panel, width: f64, height: f64) -> Result<Self, FigureError> {
        for (name, axis) in [("x", &panel.x), ("y", &panel.y)] {
            if !axis.range_is_valid() {
                return Err(FigureError::Range {
                    panel: panel.title.clone(),
                    axis: name,
                });
            }
        }
        let unshown = |layer: &Layer| match &layer.mark {
            Mark::Heat(heat) => !colour_axis(heat).range_is_valid(),
            _ => false,
        };
        if panel.layers.iter().any(unshown) {
            return Err(FigureError::Range {
                panel: panel.title.clone(),
                axis: "colour",
            });
        }
        let (x, y) = scales(panel).ok_or_else(|| FigureError::Empty {
            panel: panel.title.clone(),
        })?;
        let (x_ticks, x_power) = ticks(&panel.x, x, width, 52.0, |text| font::width(text, TICK_EM));
        let (y_ticks, y_power) = ticks(&panel.y, y, height, 36.0, |_| TICK_EM);
        let with_power = |label: &str, power: i32| match power {
            0 => label.to_string(),
            power => format!("{label} (×{})", power_of_ten(power))
                .trim_start()
                .to_string(),
        };
        let looks = looks(panel);
        let mut plot = Self {
            panel,
            x,
            y,
            x_ticks,
            y_ticks,
            title: font::wrap(&panel.title, TITLE_EM, width),
            x_label: font::wrap(&with_power(&panel.x.label, x_power), LABEL_EM, width),
            y_label: font::wrap(&with_power(&panel.y.label, y_power), LABEL_EM, height),
            bar: panel.layers.iter().find_map(|layer| match &layer.mark {
                Mark::Heat(heat) => Bar::new(heat, height),
                _ => None,
            }),
            looks,
            entries: entries(panel),
            legend_above: Vec::new(),
            missing: missing(panel, x, y),
        };
        if panel.legend == Legend::None {
            plot.entries.clear();
        }
        if panel.legend == Legend::Above {
            plot.put_legend_above(width);
        }
        Ok(plot)
    }

    pub fn margins(&self) -> Margins {
        let widest = |ticks: &[Tick]| {
            let labels = ticks.iter().filter_map(|tick| tick.label.as_deref());
            labels
                .map(|label| font::width(label, TICK_EM))
                .fold(0.0, f64::max)
        };
        let lines = |lines: &[String], em: f64| lines.len() as f64 * (em + 4.0);
        let last = self.x_ticks.last();
        let overhang = last.map_or(0.0, |tick| {
            let label = tick.label.as_deref().unwrap_or("");
            (0.5 * font::width(label, TICK_EM) - (1.0 - tick.at) * 100.0).max(0.0)
        });
        let mut right = 6.0 + overhang;
        if let Some(bar) = &self.bar {
            right =
                right.max(10.0 + 11.0 + 7.0 + bar.tick_width + lines(&bar.label, LABEL_EM) + 4.0);
        }
        Margins {
            left: 8.0 + widest(&self.y_ticks) + 4.0 + lines(&self.y_label, LABEL_EM),
            right,
            top: 8.0
                + lines(&self.title, TITLE_EM)
                + self.legend_above.len() as f64 * ROW
                + if self.title.is_empty() { 0.0 } else { 4.0 },
            bottom: 8.0 + TICK_EM + 6.0 + lines(&self.x_label, LABEL_EM),
        }
    }

    fn places<'b>(
        &self,
        x: &'b [f64],
        y: &'b [f64],
    ) -> impl Iterator<Item = Option<Point>> + use<'b> {
        let (sx, sy) = (self.x, self.y);
        x.iter()
            .zip(y)
            .map(move |(&x, &y)| Some((sx.place(x)?, sy.place(y)?)))
    }

    fn error_bars(&self, x: &[f64], y: &[f64], error: Option<&[f64]>) -> Vec<[Point; 2]> {
        let bar = |((&x, &y), &error): ((&f64, &f64), &f64)| {
            let x = self.x.place(x)?;
            self.y.place(y)?;
            let hi = self.y.place(y + error)?;
            // On a logarithmic axis a bar may reach below every positive number.
            let lo = if error.is_finite() {
                self.y.place(y - error).unwrap_or(-1.0)
            } else {
                return None;
            };
            clip::segment((x, lo), (x, hi)).map(|(a, b)| [a, b])
        };
        x.iter()
            .zip(y)
            .zip(error.unwrap_or(&[]))
            .filter_map(bar)
            .collect()
    }

    /// The pieces of a band between points that are not finite, cut to the panel.
    fn band(&self, x: &[f64], lo: &[f64], hi: &[f64]) -> Vec<Vec<Point>> {
        let lows: Vec<_> = self.places(x, lo).collect();
        let highs: Vec<_> = self.places(x, hi).collect();
        let both: Vec<_> = lows
            .into_iter()
            .zip(highs)
            .map(|(lo, hi)| Some((lo?, hi?)))
            .collect();
        both.split(Option::is_none)
            .map(|piece| {
                let there = piece.iter().flatten().map(|pair| pair.0);
                let back = piece.iter().rev().flatten().map(|pair| pair.1);
                clip::polygon(&there.chain(back).collect::<Vec<_>>())
            })
            .filter(|corners| corners.len() > 2)
            .collect()
    }

    fn note_place(&self, x: f64, y: f64, in_panel: bool) -> Option<Point> {
        if in_panel {
            Some((x, y))
        } else {
            Some((self.x.place(x)?, self.y.place(y)?))
        }
    }

    pub fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, frame: Frame) -> Drawn {
        let map = self
            .panel
            .layers
            .iter()
            .any(|layer| matches!(layer.mark, Mark::Heat(_)));
        if !map {
            self.draw_grid(canvas, frame)?;
        }
        for (layer, look) in self.panel.layers.iter().zip(&self.looks) {
            self.draw_layer(canvas, frame, layer, *look)?;
        }
        self.draw_axes(canvas, frame, map)?;
        if let Some(bar) = &self.bar {
            bar.draw(canvas, frame)?;
        }
        self.draw_surroundings(canvas, frame)
    }

    fn draw_grid<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, frame: Frame) -> Drawn {
        for tick in self.x_ticks.iter().filter(|tick| tick.label.is_some()) {
            canvas.line(
                &[frame.at((tick.at, 0.0)), frame.at((tick.at, 1.0))],
                0.75,
                GRID,
            )?;
        }
        for tick in self.y_ticks.iter().filter(|tick| tick.label.is_some()) {
            canvas.line(
                &[frame.at((0.0, tick.at)), frame.at((1.0, tick.at))],
                0.75,
                GRID,
            )?;
        }
        Ok(())
    }

    fn draw_axes<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<DB>,
        frame: Frame,
        closed: bool,
    ) -> Drawn {
        if self.panel.x.hidden && self.panel.y.hidden {
            return Ok(());
        }
        let corners =
            [(0.0, 1.0), (0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)].map(|p| frame.at(p));
        canvas.line(if closed { &corners } else { &corners[..3] }, 1.0, INK)?;
        for tick in &self.x_ticks {
            let (x, y) = frame.at((tick.at, 0.0));
            let long = if tick.label.is_some() { 4.5 } else { 2.5 };
            canvas.line(&[(x, y), (x, y + long)], 0.9, INK)?;
            if let Some(label) = &tick.label {
                canvas.text(
                    label,
                    (x, y + 7.0 + TICK_EM * 0.83),
                    Anchor::Middle,
                    TICK_EM,
                    INK,
                    false,
                )?;
            }
        }
        for tick in &self.y_ticks {
            let (x, y) = frame.at((0.0, tick.at));
            let long = if tick.label.is_some() { 4.5 } else { 2.5 };
            canvas.line(&[(x, y), (x - long, y)], 0.9, INK)?;
            if let Some(label) = &tick.label {
                canvas.text(
                    label,
                    (x - 7.5, y + TICK_EM * 0.36),
                    Anchor::End,
                    TICK_EM,
                    INK,
                    false,
                )?;
            }
        }
        Ok(())
    }

    /// Titles, axis labels, legend.
    fn draw_surroundings<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, frame: Frame) -> Drawn {
        let (centre_x, centre_y) = frame.at((0.5, 0.5));
        for (i, line) in self.x_label.iter().enumerate() {
            let y = frame.bottom() + 8.0 + TICK_EM + 6.0 + 11.0 + i as f64 * (LABEL_EM + 4.0);
            canvas.text(line, (centre_x, y), Anchor::Middle, LABEL_EM, INK, false)?;
        }
        let outer = frame.left - self.margins().left;
        for (i, line) in self.y_label.iter().enumerate() {
            let x = outer + 11.0 + i as f64 * (LABEL_EM + 4.0);
            canvas.text(line, (x, centre_y), Anchor::Middle, LABEL_EM, INK, true)?;
        }
        let above = self.legend_above.len() as f64 * ROW;
        for (i, line) in self.title.iter().rev().enumerate() {
            let y = frame.top - 10.0 - above - i as f64 * (TITLE_EM + 4.0);
            canvas.text(line, (frame.left, y), Anchor::Start, TITLE_EM, INK, false)?;
        }
        if self.missing > 0 {
            let text = format!("{} values not drawable", self.missing);
            let place = (frame.right(), frame.bottom() + 8.0 + TICK_EM + 6.0 + 11.0);
            canvas.text(&text, place, Anchor::End, 9.0, Colour::Grey.rgb(), false)?;
        }
        self.draw_legend(canvas, frame)
    }

    fn draw_layer<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<DB>,
        frame: Frame,
        layer: &Layer,
        look: Look,
    ) -> Drawn {
        let Look { colour, marker } = look;
        let stroke = |run: &[Point], dashed: bool, width: f64| {
            let run: Vec<_> = run.iter().map(|&p| frame.at(p)).collect();
            if dashed {
                canvas.dashed(&run, width, colour)
            } else {
                canvas.line(&thin(&run), width, colour)
            }
        };
        match &layer.mark {
            Mark::Line { x, y, dashed } => {
                let width = if x.len() > DENSE { THIN_LINE } else { LINE };
                for run in clip::polyline(self.places(x, y)) {
                    stroke(&run, *dashed, width)?;
                }
            }
            Mark::Points { x, y, error, .. } => {
                for [lo, hi] in self.error_bars(x, y, error.as_deref()) {
                    let (lo, hi) = (frame.at(lo), frame.at(hi));
                    canvas.line(&[lo, hi], 1.2, colour)?;
                    for (x, y) in [lo, hi] {
                        canvas.line(&[(x - 2.5, y), (x + 2.5, y)], 1.2, colour)?;
                    }
                }
                for (px, py) in self.places(x, y).flatten() {
                    if (0.0..=1.0).contains(&px) && (0.0..=1.0).contains(&py) {
                        draw_marker(canvas, frame.at((px, py)), marker, colour)?;
                    }
                }
            }
            Mark::Band { x, lo, hi } => {
                for corners in self.band(x, lo, hi) {
                    let corners: Vec<_> = corners.iter().map(|&p| frame.at(p)).collect();
                    canvas.polygon(&corners, colour, 0.22)?;
                }
            }
            Mark::Histogram {
                data,
                n_bins,
                density,
            } => {
                let bins = histogram(self.x, data, *n_bins, *density);
                let mut outline = vec![];
                for (a, b, height) in bins {
                    let top = self.y.place(height).unwrap_or(0.0).clamp(0.0, 1.0);
                    canvas.rect(frame.at((a, 0.0)), frame.at((b, top)), colour, 0.3)?;
                    if outline.is_empty() {
                        outline.push((a, 0.0));
                    }
                    outline.extend([(a, top), (b, top)]);
                }
                if let Some(&(end, _)) = outline.last() {
                    outline.push((end, 0.0));
                }
                stroke(&outline, false, 1.2)?;
            }
            Mark::HLine { y, dashed } => {
                if let Some(y) = self.y.place(*y).filter(|y| (0.0..=1.0).contains(y)) {
                    stroke(&[(0.0, y), (1.0, y)], *dashed, 1.3)?;
                }
            }
            Mark::VLine { x, dashed } => {
                if let Some(x) = self.x.place(*x).filter(|x| (0.0..=1.0).contains(x)) {
                    stroke(&[(x, 0.0), (x, 1.0)], *dashed, 1.3)?;
                }
            }
            Mark::Heat(heat) => self.draw_heat(canvas, frame, heat)?,
            Mark::Note {
                x,
                y,
                text,
                in_panel,
            } => {
                if let Some(place) = self.note_place(*x, *y, *in_panel) {
                    let (x, y) = frame.at(place);
                    canvas.text(
                        text,
                        (x, y + 0.36 * NOTE_EM),
                        Anchor::Start,
                        NOTE_EM,
                        colour,
                        false,
                    )?;
                }
            }
        }
        Ok(())
    }
}

fn ticks(
    axis: &Axis,
    scale: Scale,
    length: f64,
    spacing: f64,
    width: impl Fn(&str) -> f64,
) -> (Vec<Tick>, i32) {
    if axis.hidden {
        return (Vec::new(), 0);
    }
    if axis.ticks.is_empty() {
        return scale.ticks(length, spacing, width);
    }
    let tick = |(value, label): &(f64, String)| {
        let at = scale
            .place(*value)
            .filter(|at| (-1e-9..=1.0 + 1e-9).contains(at))?;
        Some(Tick {
            at,
            label: Some(label.clone()),
        })
    };
    (axis.ticks.iter().filter_map(tick).collect(), 0)
}

/// Colours and markers: layers of one label share a colour, lines of reference are dark.
fn looks(panel: &Panel) -> Vec<Look> {
    let mut looks: Vec<Look> = Vec::new();
    let (mut n_colours, mut n_markers) = (0, 0);
    for (i, layer) in panel.layers.iter().enumerate() {
        let same = panel.layers[..i]
            .iter()
            .position(|other| !layer.label.is_empty() && other.label == layer.label);
        let reference = matches!(
            layer.mark,
            Mark::HLine { .. } | Mark::VLine { .. } | Mark::Note { .. }
        );
        let colour = match (layer.colour, same) {
            (Some(colour), _) => colour.rgb(),
            (None, Some(other)) => looks[other].colour,
            (None, None) if reference => INK,
            (None, None) => {
                n_colours += 1;
                Colour::cycle(n_colours - 1).rgb()
            }
        };
        let marker = match layer.mark {
            Mark::Points {
                marker: Some(marker),
                ..
            } => marker,
            Mark::Points { .. } => {
                n_markers += 1;
                Marker::cycle(n_markers - 1)
            }
            _ => Marker::Circle,
        };
        looks.push(Look { colour, marker });
    }
    looks
}

fn draw_marker<DB: DrawingBackend>(
    canvas: &Canvas<DB>,
    (x, y): Point,
    marker: Marker,
    colour: Rgb,
) -> Drawn {
    let shape = |corners: &[Point]| {
        let corners: Vec<_> = corners.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
        canvas.polygon(&corners, colour, 1.0)
    };
    match marker {
        Marker::Circle => canvas.circle((x, y), 3.25, colour),
        Marker::Square => shape(&[(-2.9, -2.9), (2.9, -2.9), (2.9, 2.9), (-2.9, 2.9)]),
        Marker::Triangle => shape(&[(0.0, -4.0), (3.7, 2.7), (-3.7, 2.7)]),
        Marker::Diamond => shape(&[(0.0, -4.3), (4.3, 0.0), (0.0, 4.3), (-4.3, 0.0)]),
    }
}

/// A long line with at most four points per half point of width: first, lowest, highest, last.
fn thin(run: &[Point]) -> Vec<Point> {
    let column = |p: &Point| (2.0 * p.0).floor();
    let mut out = Vec::new();
    for same in run.chunk_by(|a, b| column(a) == column(b)) {
        if same.len() <= 4 {
            out.extend_from_slice(same);
            continue;
        }
        let by_y = |&a: &usize, &b: &usize| same[a].1.total_cmp(&same[b].1);
        let lowest = (0..same.len()).min_by(by_y).unwrap_or(0);
        let highest = (0..same.len()).max_by(by_y).unwrap_or(0);
        let mut kept = [0, lowest.min(highest), lowest.max(highest), same.len() - 1].to_vec();
        kept.dedup();
        out.extend(kept.into_iter().map(|i| same[i]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_keeps_its_shape_with_few_points() {
        let run: Vec<Point> = (0..10_000)
            .map(|i| (f64::from(i) * 0.01, f64::from((i * 7919) % 1000)))
            .collect();
        let thinned = thin(&run);
        assert!(thinned.len() <= 4 * 201, "{}", thinned.len());
        assert_eq!((thinned.first(), thinned.last()), (run.first(), run.last()));
        let highest = |run: &[Point]| run.iter().map(|p| p.1).fold(0.0, f64::max);
        assert_eq!(highest(&thinned), highest(&run));
    }
}
