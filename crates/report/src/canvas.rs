//! A sheet to draw on in points with fractions, over a plotters backend whose pixels are whole.
//!
//! The sheet is [`SCALE`] times as fine as the figure: the SVG is shown at its size by a view box, the
//! bitmap is averaged down, which is also what smooths its edges.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::clip::Point;
use crate::colour::Rgb;
use crate::font;

/// Pixels of the sheet per point.
pub(crate) const SCALE: f64 = 4.0;

/// plotters sets an SVG's font to its size over this,
const SVG_SIZE: f64 = 1.24;
/// and the baseline of a text hung by its top this many ems below.
const SVG_TOP: f64 = 0.76;

/// Which point of a text is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A failure of the backend, in its words.
pub(crate) type Drawn = Result<(), String>;

pub(crate) struct Canvas<DB: DrawingBackend> {
    area: DrawingArea<DB, Shift>,
    raster: bool,
}

fn px(v: f64) -> i32 {
    (v * SCALE).round() as i32
}

fn at((x, y): Point) -> (i32, i32) {
    (px(x), px(y))
}

fn style((r, g, b): Rgb, alpha: f64) -> RGBAColor {
    RGBColor(r, g, b).mix(alpha)
}

impl<DB: DrawingBackend> Canvas<DB> {
    /// A sheet over `backend`; `raster` says that it has pixels rather than shapes.
    pub fn new(backend: DB, raster: bool) -> Self {
        Self {
            area: backend.into_drawing_area(),
            raster,
        }
    }

    pub fn fill(&self, colour: Rgb) -> Drawn {
        self.area
            .fill(&style(colour, 1.0))
            .map_err(|e| e.to_string())
    }

    pub fn finish(&self) -> Drawn {
        self.area.present().map_err(|e| e.to_string())
    }

    fn element<'a, E>(&'a self, element: E) -> Drawn
    where
        for<'b> &'b E: plotters::element::PointCollection<'b, (i32, i32)>,
        E: plotters::element::Drawable<DB>,
    {
        self.area.draw(&element).map_err(|e| e.to_string())
    }

    pub fn line(&self, points: &[Point], width: f64, colour: Rgb) -> Drawn {
        let stroke = style(colour, 1.0).stroke_width(px(width).max(1) as u32);
        let mut points: Vec<_> = points.iter().map(|&p| at(p)).collect();
        points.dedup();
        if points.len() < 2 {
            return Ok(());
        }
        if !self.raster {
            return self.element(PathElement::new(points, stroke));
        }
        // As one polygon, a wide line that crosses itself would have holes.
        for pair in points.windows(2) {
            self.element(PathElement::new(pair.to_vec(), stroke))?;
        }
        for &joint in &points[1..points.len() - 1] {
            self.element(Circle::new(
                joint,
                px(width / 2.0).max(1),
                style(colour, 1.0).filled(),
            ))?;
        }
        Ok(())
    }

    pub fn dashed(&self, points: &[Point], width: f64, colour: Rgb) -> Drawn {
        const PATTERN: [f64; 2] = [5.0, 3.5];
        let (mut phase, mut left) = (0, PATTERN[0]);
        let mut dash: Vec<Point> = points.first().copied().into_iter().collect();
        for pair in points.windows(2) {
            let (mut a, b) = (pair[0], pair[1]);
            loop {
                let length = (b.0 - a.0).hypot(b.1 - a.1);
                if length < left {
                    left -= length;
                    dash.push(b);
                    break;
                }
                let t = left / length;
                a = (a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1));
                dash.push(a);
                if phase == 0 {
                    self.line(&dash, width, colour)?;
                }
                phase = 1 - phase;
                left = PATTERN[phase];
                dash = vec![a];
            }
        }
        if phase == 0 {
            self.line(&dash, width, colour)
        } else {
            Ok(())
        }
    }

    pub fn polygon(&self, corners: &[Point], colour: Rgb, alpha: f64) -> Drawn {
        let corners: Vec<_> = corners.iter().map(|&p| at(p)).collect();
        if corners.len() < 3 {
            return Ok(());
        }
        self.element(Polygon::new(corners, style(colour, alpha).filled()))
    }

    pub fn rect(&self, a: Point, b: Point, colour: Rgb, alpha: f64) -> Drawn {
        let (a, b) = (at(a), at(b));
        let low = (a.0.min(b.0), a.1.min(b.1));
        let high = (a.0.max(b.0), a.1.max(b.1));
        self.element(Rectangle::new([low, high], style(colour, alpha).filled()))
    }

    pub fn circle(&self, centre: Point, radius: f64, colour: Rgb) -> Drawn {
        self.element(Circle::new(
            at(centre),
            px(radius),
            style(colour, 1.0).filled(),
        ))
    }

    /// A text with the given point of its baseline; `upright` texts read from below to above.
    pub fn text(
        &self,
        text: &str,
        place: Point,
        anchor: Anchor,
        em: f64,
        colour: Rgb,
        upright: bool,
    ) -> Drawn {
        if self.raster {
            return self.raster_text(text, place, anchor, em, colour, upright);
        }
        let h_pos = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let mut font = ("sans-serif", em * SCALE * SVG_SIZE).into_font();
        let mut corner = place;
        if upright {
            font = font.transform(FontTransform::Rotate270);
            corner.0 -= SVG_TOP * em;
        } else {
            corner.1 -= SVG_TOP * em;
        }
        let ink = style(colour, 1.0);
        let text_style = TextStyle::from(font)
            .color(&ink)
            .pos(Pos::new(h_pos, VPos::Top));
        self.element(Text::new(text.to_string(), at(corner), text_style))
    }

    fn raster_text(
        &self,
        text: &str,
        place: Point,
        anchor: Anchor,
        em: f64,
        colour: Rgb,
        upright: bool,
    ) -> Drawn {
        let em = em * SCALE;
        let start = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -0.5 * font::width(text, em),
            Anchor::End => -font::width(text, em),
        }
        .round() as i32;
        let (x0, y0) = at(place);
        let (w, h) = self.area.dim_in_pixel();
        let mut outcome = Ok(());
        font::draw(text, em, |x, y, coverage| {
            let along = start + x;
            let (x, y) = if upright {
                (x0 + y, y0 - along)
            } else {
                (x0 + along, y0 + y)
            };
            let inside = (0..w as i32).contains(&x) && (0..h as i32).contains(&y);
            if inside && coverage > 0.0 && outcome.is_ok() {
                outcome = self
                    .area
                    .draw_pixel((x, y), &style(colour, coverage))
                    .map_err(|e| e.to_string());
            }
        });
        outcome
    }
}
