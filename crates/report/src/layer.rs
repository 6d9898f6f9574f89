//! What a panel shows, as data.

use crate::colour::Colour;

/// The shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// A disc.
    Circle,
    /// A square.
    Square,
    /// A triangle.
    Triangle,
    /// A square on its corner.
    Diamond,
}

impl Marker {
    /// The `i`-th marker; they repeat after four.
    pub(crate) fn cycle(i: usize) -> Self {
        [
            Marker::Circle,
            Marker::Square,
            Marker::Triangle,
            Marker::Diamond,
        ][i % 4]
    }
}

/// A map of values over a grid, for [`Layer::heat`].
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// Centres of the columns, increasing.
    pub xs: Vec<f64>,
    /// Centres of the rows, increasing upward.
    pub ys: Vec<f64>,
    /// Values, row-major: `z[iy * xs.len() + ix]`. A value that is not finite, or on a logarithmic
    /// scale not positive, is drawn grey.
    pub z: Vec<f64>,
    /// Whether the colours are a logarithmic scale.
    pub log: bool,
    /// Values of the first and the last colour; none for those of the data.
    pub range: Option<(f64, f64)>,
    /// Number of colours; few make a small file and a readable map.
    pub n_levels: usize,
    /// What the values are, written along the colour bar; none for no bar.
    pub bar: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mark {
    Line {
        x: Vec<f64>,
        y: Vec<f64>,
        dashed: bool,
    },
    Points {
        x: Vec<f64>,
        y: Vec<f64>,
        error: Option<Vec<f64>>,
        marker: Option<Marker>,
    },
    Band {
        x: Vec<f64>,
        lo: Vec<f64>,
        hi: Vec<f64>,
    },
    Histogram {
        data: Vec<f64>,
        n_bins: usize,
        density: bool,
    },
    HLine {
        y: f64,
        dashed: bool,
    },
    VLine {
        x: f64,
        dashed: bool,
    },
    Heat(Heat),
    Note {
        x: f64,
        y: f64,
        text: String,
        in_panel: bool,
    },
}

/// One layer of a panel, drawn over those before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    pub(crate) mark: Mark,
    pub(crate) label: String,
    pub(crate) colour: Option<Colour>,
}

impl Layer {
    /// A line through points; one that is not finite interrupts it.
    ///
    /// # Panics
    /// If `x` and `y` differ in length.
    pub fn line(x: impl Into<Vec<f64>>, y: impl Into<Vec<f64>>) -> Self {
        let (x, y) = (x.into(), y.into());
        assert_eq!(x.len(), y.len(), "x and y of a line");
        Self::of(Mark::Line {
            x,
            y,
            dashed: false,
        })
    }

    /// Points without errors.
    ///
    /// # Panics
    /// If `x` and `y` differ in length.
    pub fn points(x: impl Into<Vec<f64>>, y: impl Into<Vec<f64>>) -> Self {
        let (x, y) = (x.into(), y.into());
        assert_eq!(x.len(), y.len(), "x and y of points");
        Self::of(Mark::Points {
            x,
            y,
            error: None,
            marker: None,
        })
    }

    /// Points with bars from `y − error` to `y + error`; an error that is not finite has no bar.
    ///
    /// # Panics
    /// If the three differ in length.
    pub fn points_with_errors(
        x: impl Into<Vec<f64>>,
        y: impl Into<Vec<f64>>,
        error: impl Into<Vec<f64>>,
    ) -> Self {
        let (x, y, error) = (x.into(), y.into(), error.into());
        assert_eq!(x.len(), y.len(), "x and y of points");
        assert_eq!(x.len(), error.len(), "x and error of points");
        Self::of(Mark::Points {
            x,
            y,
            error: Some(error),
            marker: None,
        })
    }

    /// The area between `lo` and `hi`.
    ///
    /// # Panics
    /// If the three differ in length.
    pub fn band(x: impl Into<Vec<f64>>, lo: impl Into<Vec<f64>>, hi: impl Into<Vec<f64>>) -> Self {
        let (x, lo, hi) = (x.into(), lo.into(), hi.into());
        assert_eq!(x.len(), lo.len(), "x and lo of a band");
        assert_eq!(x.len(), hi.len(), "x and hi of a band");
        Self::of(Mark::Band { x, lo, hi })
    }

    /// How often values fall into `n_bins` parts between the smallest and the largest that the axis shows,
    /// equally wide on the axis; as counts, or as a density over x.
    ///
    /// # Panics
    /// If `n_bins` is zero.
    pub fn histogram(data: impl Into<Vec<f64>>, n_bins: usize, density: bool) -> Self {
        assert!(n_bins > 0, "a histogram needs a bin");
        Self::of(Mark::Histogram {
            data: data.into(),
            n_bins,
            density,
        })
    }

    /// A line across the panel at `y`.
    pub fn hline(y: f64) -> Self {
        Self::of(Mark::HLine { y, dashed: false })
    }

    /// A line up the panel at `x`.
    pub fn vline(x: f64) -> Self {
        Self::of(Mark::VLine { x, dashed: false })
    }

    /// A map of values.
    ///
    /// # Panics
    /// If `z` is not one value per cell, a grid is not increasing, or there are no levels.
    pub fn heat(heat: Heat) -> Self {
        let increasing = |grid: &[f64]| {
            !grid.is_empty()
                && grid.iter().all(|v| v.is_finite())
                && grid.is_sorted_by(|a, b| a < b)
        };
        assert_eq!(
            heat.z.len(),
            heat.xs.len() * heat.ys.len(),
            "values and cells of a map"
        );
        assert!(
            increasing(&heat.xs) && increasing(&heat.ys),
            "grids of a map must increase"
        );
        assert!(heat.n_levels > 0, "a map needs a level");
        Self::of(Mark::Heat(heat))
    }

    /// A text whose left end is at a place of the data.
    pub fn note(x: f64, y: f64, text: &str) -> Self {
        Self::of(Mark::Note {
            x,
            y,
            text: text.to_string(),
            in_panel: false,
        })
    }

    /// A text whose left end is at a place of the panel, (0, 0) being its lower left corner and (1, 1) its upper right.
    pub fn note_in_panel(x: f64, y: f64, text: &str) -> Self {
        Self::of(Mark::Note {
            x,
            y,
            text: text.to_string(),
            in_panel: true,
        })
    }

    /// The same layer under a name in the legend; layers of one name share an entry and a colour.
    pub fn label(mut self, label: &str) -> Self {
        self.label = label.to_string();
        self
    }

    /// The same layer in a colour of its own choice.
    pub fn colour(mut self, colour: Colour) -> Self {
        self.colour = Some(colour);
        self
    }

    /// The same line in dashes; other layers stay as they are.
    pub fn dashed(mut self) -> Self {
        if let Mark::Line { dashed, .. } | Mark::HLine { dashed, .. } | Mark::VLine { dashed, .. } =
            &mut self.mark
        {
            *dashed = true;
        }
        self
    }

    /// The same points in a shape of its own choice; other layers stay as they are.
    pub fn marker(mut self, shape: Marker) -> Self {
        if let Mark::Points { marker, .. } = &mut self.mark {
            *marker = Some(shape);
        }
        self
    }

    fn of(mark: Mark) -> Self {
        Self {
            mark,
            label: String::new(),
            colour: None,
        }
    }
}
