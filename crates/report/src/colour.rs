//! Colours that people with any colour vision can tell apart.
//!
//! Categories: M. Okabe and K. Ito (2008), "Color Universal Design". Amounts: viridis
//! (S. van der Walt and N. Smith, 2015, CC0), whose lightness is monotone.

/// Red, green and blue, 0 to 255.
pub(crate) type Rgb = (u8, u8, u8);

/// Text, axes and default reference lines.
pub(crate) const INK: Rgb = (0x26, 0x26, 0x26);
/// Grid lines.
pub(crate) const GRID: Rgb = (0xe8, 0xe8, 0xe8);
/// Cells of a map without a value.
pub(crate) const NO_VALUE: Rgb = (0xd9, 0xd9, 0xd9);

/// A colour of a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Colour {
    /// Blue.
    Blue,
    /// Vermillion.
    Vermillion,
    /// Bluish green.
    Green,
    /// Reddish purple.
    Purple,
    /// Orange.
    Orange,
    /// Sky blue.
    SkyBlue,
    /// Yellow: for fills; thin lines of it are hard to see on white.
    Yellow,
    /// Black.
    Black,
    /// Grey, for what is context.
    Grey,
    /// A place in an ordered series, from 0 (dark) to 1 (light); others are clamped.
    Graded(f64),
}

impl Colour {
    /// The colours of categories, in the order in which they are used.
    pub const CYCLE: [Colour; 7] = [
        Colour::Blue,
        Colour::Vermillion,
        Colour::Green,
        Colour::Purple,
        Colour::Orange,
        Colour::SkyBlue,
        Colour::Black,
    ];

    /// The `i`-th colour of categories; they repeat after seven.
    pub fn cycle(i: usize) -> Self {
        Self::CYCLE[i % Self::CYCLE.len()]
    }

    pub(crate) fn rgb(self) -> Rgb {
        match self {
            Colour::Blue => (0x00, 0x72, 0xb2),
            Colour::Vermillion => (0xd5, 0x5e, 0x00),
            Colour::Green => (0x00, 0x9e, 0x73),
            Colour::Purple => (0xcc, 0x79, 0xa7),
            Colour::Orange => (0xe6, 0x9f, 0x00),
            Colour::SkyBlue => (0x56, 0xb4, 0xe9),
            Colour::Yellow => (0xf0, 0xe4, 0x42),
            Colour::Black => (0x00, 0x00, 0x00),
            Colour::Grey => (0x80, 0x80, 0x80),
            // The lightest part of the map is too pale for a line on white.
            Colour::Graded(t) => viridis(0.86 * t.clamp(0.0, 1.0)),
        }
    }
}

/// The viridis map at `t`, 0 to 1, interpolated between nine of its colours.
pub(crate) fn viridis(t: f64) -> Rgb {
    const ANCHORS: [Rgb; 9] = [
        (0x44, 0x01, 0x54),
        (0x47, 0x2d, 0x7b),
        (0x3b, 0x52, 0x8b),
        (0x2c, 0x72, 0x8e),
        (0x21, 0x91, 0x8c),
        (0x28, 0xae, 0x80),
        (0x5e, 0xc9, 0x62),
        (0xad, 0xdc, 0x30),
        (0xfd, 0xe7, 0x25),
    ];
    let place = t.clamp(0.0, 1.0) * (ANCHORS.len() - 1) as f64;
    let i = (place as usize).min(ANCHORS.len() - 2);
    let (a, b, part) = (ANCHORS[i], ANCHORS[i + 1], place - i as f64);
    let mix = |a: u8, b: u8| (f64::from(a) + part * (f64::from(b) - f64::from(a))).round() as u8;
    (mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viridis_grows_lighter() {
        let light = |t: f64| {
            let (r, g, b) = viridis(t);
            0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)
        };
        assert!((1..=50).all(|i| light(f64::from(i) / 50.0) > light(f64::from(i - 1) / 50.0)));
        assert_eq!(viridis(0.0), (0x44, 0x01, 0x54));
        assert_eq!(viridis(1.0), (0xfd, 0xe7, 0x25));
    }

    #[test]
    fn the_cycle_repeats() {
        assert_eq!(Colour::cycle(8), Colour::Vermillion);
    }
}
