//! Figures as data: panels on a grid, written as SVG and as PNG of twice the size.
//!
//! The same figure gives the same bytes on one machine class: the font is embedded, and nothing
//! depends on time, threads or hashing.

use std::path::{Path, PathBuf};

use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};

use crate::atomic::{WriteError, write_atomic};
use crate::axis::Axis;
use crate::canvas::{Anchor, Canvas, SCALE};
use crate::colour::INK;
use crate::font;
use crate::layer::Layer;
use crate::plot::{Frame, Margins, Plot};
use crate::svg;

/// Pixels of the bitmap per point of the figure.
const PNG_SCALE: usize = 2;
const TITLE_EM: f64 = 15.0;
const OUTER: f64 = 10.0;
const GAP: f64 = 16.0;
/// Smallest side of a plot that can be read.
const SMALLEST: f64 = 40.0;

/// Why a figure cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// A panel in which no value can be drawn.
    #[error("panel `{panel}` has nothing to draw: no layer has a finite point")]
    Empty {
        /// Title of the panel.
        panel: String,
    },
    /// A range that is empty, reversed, not finite, or not positive on a logarithmic axis.
    #[error("panel `{panel}`: the range of its {axis} axis cannot be shown")]
    Range {
        /// Title of the panel.
        panel: String,
        /// `x`, `y` or `colour`.
        axis: &'static str,
    },
    /// No panels or no columns.
    #[error("the figure has no panels or no columns")]
    NoPanels,
    /// Labels that leave no room for the plots.
    #[error(
        "a figure of {width} × {height} points leaves {plot_width:.0} × {plot_height:.0} for each plot"
    )]
    TooSmall {
        /// Width of the figure.
        width: u32,
        /// Height of the figure.
        height: u32,
        /// Width left for a plot.
        plot_width: f64,
        /// Height left for a plot.
        plot_height: f64,
    },
    /// A failure of the drawing library.
    #[error("the figure could not be drawn: {0}")]
    Draw(String),
    /// A failure to write a file.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Where a panel's legend goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Legend {
    /// Inside where it hides nothing, else above the plot.
    #[default]
    Auto,
    /// Above the plot.
    Above,
    /// Nowhere.
    None,
}

/// One plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Title; may be empty.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// What is drawn, in order.
    pub layers: Vec<Layer>,
    /// Where the legend goes.
    pub legend: Legend,
}

/// Panels on a grid whose plots all have one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Title over all panels, and the SVG's description; drawn only when not empty.
    pub title: String,
    /// Panels beside each other.
    pub columns: usize,
    /// The panels, row by row.
    pub panels: Vec<Panel>,
    /// Width and height in points; see [`Figure::grid_size`].
    pub size: (u32, u32),
}

impl Figure {
    /// A size that suits `n_panels` panels in `columns` columns.
    pub fn grid_size(n_panels: usize, columns: usize) -> (u32, u32) {
        let columns = columns.max(1);
        let rows = n_panels.div_ceil(columns) as u32;
        let wide = if columns == 1 { 560 } else { 400 };
        (wide * columns as u32, 320 * rows + 30)
    }

    /// Writes `dir/name.svg` and `dir/name.png`, each whole or not at all, and returns both paths.
    ///
    /// # Errors
    /// [`FigureError`]: an empty panel, an impossible range, no room, or a file that cannot be written.
    pub fn write(&self, dir: &Path, name: &str) -> Result<[PathBuf; 2], FigureError> {
        let files = ["svg", "png"].map(|kind| dir.join(format!("{name}.{kind}")));
        let (svg, png) = (self.svg()?, self.png()?);
        write_atomic(&files[0], svg.as_bytes())?;
        write_atomic(&files[1], &png)?;
        Ok(files)
    }

    /// The figure as SVG.
    ///
    /// # Errors
    /// As for [`Figure::write`], less the files.
    pub fn svg(&self) -> Result<String, FigureError> {
        let mut text = String::new();
        self.draw(&Canvas::new(
            SVGBackend::with_string(&mut text, self.sheet()),
            false,
        ))?;
        let described = self
            .panels
            .iter()
            .map(|panel| panel.title.as_str())
            .find(|title| !title.is_empty());
        let title = if self.title.is_empty() {
            described.unwrap_or("figure")
        } else {
            &self.title
        };
        Ok(svg::tidy(&text, self.size, title))
    }

    /// The figure as PNG, two pixels to the point.
    ///
    /// # Errors
    /// As for [`Figure::write`], less the files.
    pub fn png(&self) -> Result<Vec<u8>, FigureError> {
        let (w, h) = self.sheet();
        let mut sheet = vec![255; w as usize * h as usize * 3];
        self.draw(&Canvas::new(
            BitMapBackend::with_buffer(&mut sheet, (w, h)),
            true,
        ))?;
        let block = SCALE as usize / PNG_SCALE;
        let (w, h) = (w as usize, h as usize);
        encode(w / block, h / block, &averaged(&sheet, w, h, block))
            .map_err(|e| FigureError::Draw(e.to_string()))
    }

    fn sheet(&self) -> (u32, u32) {
        (self.size.0 * SCALE as u32, self.size.1 * SCALE as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Result<(), FigureError> {
        if self.panels.is_empty() || self.columns == 0 {
            return Err(FigureError::NoPanels);
        }
        canvas.fill((255, 255, 255)).map_err(FigureError::Draw)?;
        let title = font::wrap(&self.title, TITLE_EM, f64::from(self.size.0) - 2.0 * OUTER);
        for (i, line) in title.iter().enumerate() {
            let place = (OUTER + 2.0, OUTER + TITLE_EM + i as f64 * (TITLE_EM + 5.0));
            canvas
                .text(line, place, Anchor::Start, TITLE_EM, INK, false)
                .map_err(FigureError::Draw)?;
        }
        let head = if title.is_empty() {
            0.0
        } else {
            title.len() as f64 * (TITLE_EM + 5.0) + 6.0
        };
        let (plots, frames) = self.arrange(head)?;
        for (plot, frame) in plots.iter().zip(frames) {
            plot.draw(canvas, frame).map_err(FigureError::Draw)?;
        }
        canvas.finish().map_err(FigureError::Draw)
    }

    /// Every panel laid out, with its frame; a legend that would hide data costs another round.
    fn arrange(&self, head: f64) -> Result<(Vec<Plot<'_>>, Vec<Frame>), FigureError> {
        let columns = self.columns.min(self.panels.len());
        let rows = self.panels.len().div_ceil(columns);
        let width = (f64::from(self.size.0) - 2.0 * OUTER) / columns as f64 - GAP - 60.0;
        let height = (f64::from(self.size.1) - head - 2.0 * OUTER) / rows as f64 - GAP - 60.0;
        let prepare = |panel| Plot::new(panel, width.max(SMALLEST), height.max(SMALLEST));
        let mut plots = self
            .panels
            .iter()
            .map(prepare)
            .collect::<Result<Vec<_>, _>>()?;
        let mut frames = self.frames(head, columns, rows, &plots)?;
        let mut moved = false;
        for (plot, frame) in plots.iter_mut().zip(&frames) {
            moved |= plot.make_room_for_legend(*frame);
        }
        if moved {
            frames = self.frames(head, columns, rows, &plots)?;
            // Plots have shrunk: a legend that just fitted may not any more.
            for (plot, frame) in plots.iter_mut().zip(&frames) {
                plot.make_room_for_legend(*frame);
            }
            frames = self.frames(head, columns, rows, &plots)?;
        }
        Ok((plots, frames))
    }

    /// Frames of one size, aligned in rows and columns.
    fn frames(
        &self,
        head: f64,
        columns: usize,
        rows: usize,
        plots: &[Plot<'_>],
    ) -> Result<Vec<Frame>, FigureError> {
        let mut across = vec![Margins::default(); columns];
        let mut down = vec![Margins::default(); rows];
        for (i, plot) in plots.iter().enumerate() {
            let (need, column, row) = (
                plot.margins(),
                &mut across[i % columns],
                &mut down[i / columns],
            );
            column.left = column.left.max(need.left);
            column.right = column.right.max(need.right);
            row.top = row.top.max(need.top);
            row.bottom = row.bottom.max(need.bottom);
        }
        let around = |n: usize| 2.0 * OUTER + GAP * (n - 1) as f64;
        let used: f64 = across.iter().map(|m| m.left + m.right).sum();
        let width = (f64::from(self.size.0) - around(columns) - used) / columns as f64;
        let used: f64 = down.iter().map(|m| m.top + m.bottom).sum();
        let height = (f64::from(self.size.1) - head - around(rows) - used) / rows as f64;
        if !(width >= SMALLEST && height >= SMALLEST) {
            return Err(FigureError::TooSmall {
                width: self.size.0,
                height: self.size.1,
                plot_width: width,
                plot_height: height,
            });
        }
        let mut frames = Vec::new();
        let mut top = OUTER + head;
        for (row, below) in down.iter().enumerate() {
            let mut left = OUTER;
            for beside in across.iter().take(plots.len() - row * columns) {
                frames.push(Frame {
                    left: left + beside.left,
                    top: top + below.top,
                    width,
                    height,
                });
                left += beside.left + width + beside.right + GAP;
            }
            top += below.top + height + below.bottom + GAP;
        }
        Ok(frames)
    }
}

/// `sheet` with each `block` × `block` pixels averaged into one.
fn averaged(sheet: &[u8], w: usize, h: usize, block: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(sheet.len() / (block * block));
    for y in 0..h / block {
        for x in 0..w / block {
            for channel in 0..3 {
                let cells = (0..block * block).map(|i| {
                    let (x, y) = (x * block + i % block, y * block + i / block);
                    u32::from(sheet[3 * (y * w + x) + channel])
                });
                let n = (block * block) as u32;
                out.push(((cells.sum::<u32>() + n / 2) / n) as u8);
            }
        }
    }
    out
}

fn encode(w: usize, h: usize, pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, w as u32, h as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_filter(png::FilterType::NoFilter); // flat colours: runs pack better than differences
    encoder.set_compression(png::Compression::Best);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Heat;

    fn panel(layers: Vec<Layer>) -> Panel {
        Panel {
            title: "λ < 1 & more".into(),
            x: Axis::linear("x"),
            y: Axis::log("y"),
            layers,
            legend: Legend::Auto,
        }
    }

    fn figure(panels: Vec<Panel>) -> Figure {
        Figure {
            title: String::new(),
            columns: 2,
            size: (400, 260),
            panels,
        }
    }

    fn sample() -> Figure {
        let x: Vec<f64> = (0..50).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|x| (0.1 * x).exp()).collect();
        let low: Vec<f64> = y.iter().map(|y| 0.5 * y).collect();
        let layers = vec![
            Layer::band(x.clone(), low, y.clone()).label("band"),
            Layer::line(x.clone(), y.clone()).dashed().label("line"),
            Layer::points_with_errors(x.clone(), y.clone(), y.clone()).label("points"),
            Layer::hline(3.0),
            Layer::vline(3.0),
            Layer::note(1.0, 1.0, "note"),
        ];
        let histogram = Panel {
            y: Axis::linear("count"),
            ..panel(vec![Layer::histogram(y, 9, false)])
        };
        figure(vec![panel(layers), histogram])
    }

    /// A diagram has what is drawn in it, and neither numbers nor lines around it.
    #[test]
    fn hidden_axes_leave_no_ink() {
        let with = |x: Axis, y: Axis| {
            let line = Layer::line([0.1, 0.9], [0.5, 0.5]);
            let layers = vec![line, Layer::note(0.2, 0.5, "a box")];
            let mut panel = panel(layers);
            (panel.x, panel.y, panel.title) = (x, y, String::new());
            figure(vec![panel]).svg().expect("a figure")
        };
        let count = |svg: &str, what: &str| svg.matches(what).count();
        let (hidden, open) = (Axis::hidden(0.0, 1.0), Axis::linear("").range(0.0, 1.0));
        let (diagram, plot) = (with(hidden.clone(), hidden), with(open.clone(), open));
        assert_eq!(count(&diagram, "<text"), 1);
        assert_eq!(count(&diagram, "<polyline") + count(&diagram, "<line"), 1);
        assert!(count(&plot, "<text") > 4 && count(&plot, "<polyline") + count(&plot, "<line") > 4);
    }

    #[test]
    fn the_same_figure_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let [svg, png] = sample().write(dir.path(), "a").unwrap();
        assert_eq!(
            std::fs::read_to_string(svg).unwrap(),
            sample().svg().unwrap()
        );
        assert_eq!(std::fs::read(&png).unwrap(), sample().png().unwrap());
        assert_eq!(std::fs::read(png).unwrap()[..4], *b"\x89PNG");
    }

    #[test]
    fn an_empty_panel_is_refused() {
        let nan = || Layer::line(vec![1.0, f64::NAN], vec![f64::NAN, 1.0]);
        for layers in [
            vec![],
            vec![Layer::hline(1.0), Layer::note_in_panel(0.5, 0.5, "x")],
            vec![nan()],
            vec![Layer::points(vec![1.0], vec![-1.0])], // the y axis is logarithmic
        ] {
            let empty = figure(vec![
                panel(vec![Layer::line([1.0, 2.0], [1.0, 2.0])]),
                panel(layers),
            ]);
            let error = empty.svg().unwrap_err();
            assert!(
                matches!(&error, FigureError::Empty { panel } if panel == "λ < 1 & more"),
                "{error}"
            );
        }
        assert!(matches!(figure(vec![]).svg(), Err(FigureError::NoPanels)));
    }

    #[test]
    fn values_that_cannot_be_drawn_are_counted_in_the_figure() {
        let gap = Layer::line(
            [1.0, 2.0, f64::NAN, 4.0, 5.0],
            [1.0, 2.0, 3.0, 0.0, f64::INFINITY],
        );
        let svg = figure(vec![panel(vec![gap])]).svg().unwrap();
        assert!(svg.contains("3 values not drawable"));
    }

    #[test]
    fn impossible_sizes_and_ranges_are_refused() {
        let small = Figure {
            size: (90, 60),
            ..sample()
        };
        assert!(matches!(small.svg(), Err(FigureError::TooSmall { .. })));
        let mut wrong = sample();
        wrong.panels[0].y = Axis::log("y").range(0.0, 1.0);
        assert!(matches!(
            wrong.svg(),
            Err(FigureError::Range { axis: "y", .. })
        ));
    }

    #[test]
    fn texts_are_escaped_in_svg() {
        let svg = sample().svg().unwrap();
        assert!(svg.contains("λ &lt; 1 &amp; more") && !svg.contains("λ < 1"));
    }

    #[test]
    fn a_map_of_96_by_96_is_a_small_file() {
        let grid: Vec<f64> = (0..96).map(f64::from).collect();
        let value = |i: usize| ((i % 96) as f64 * 0.07).sin() * ((i / 96) as f64 * 0.05).cos();
        let heat = Heat {
            xs: grid.clone(),
            ys: grid,
            z: (0..96 * 96).map(value).collect(),
            log: false,
            range: None,
            n_levels: 24,
            bar: Some("value".into()),
        };
        let map = Panel {
            y: Axis::linear("y"),
            ..panel(vec![Layer::heat(heat)])
        };
        let svg = figure(vec![map]).svg().unwrap();
        assert!(svg.len() < 150_000, "{} bytes", svg.len());
    }
}
