//! The embedded font: how wide a text is, and its pixels.
//!
//! plotters can rasterise text too, but sets every glyph at its left edge rather than at its
//! bearing, which spaces letters unevenly. One font, embedded, makes figures the same everywhere.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, GlyphId, PxScale, Rect, ScaleFont, point};

static BYTES: &[u8] = include_bytes!("../assets/DejaVuSans.ttf");
static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(BYTES).expect("the embedded font is a valid TrueType file")
});

/// The family for a text in an SVG: the embedded font where it is installed, else one of nearly equal widths.
pub(crate) const SVG_FAMILY: &str = "DejaVu Sans, Bitstream Vera Sans, Verdana, sans-serif";

fn scale(em: f64) -> PxScale {
    let units = FONT.units_per_em().unwrap_or(1000.0);
    PxScale::from((em as f32) * FONT.height_unscaled() / units)
}

/// The width of `text` in a font whose em is `em`.
pub(crate) fn width(text: &str, em: f64) -> f64 {
    glyphs(text, em).1
}

/// Calls `pixel(x, y, coverage)` for a text that starts at (0, 0) on its baseline, y downward.
pub(crate) fn draw(text: &str, em: f64, mut pixel: impl FnMut(i32, i32, f64)) {
    let mut below: Option<Rect> = None;
    for (glyph, at, is_mark) in glyphs(text, em).0 {
        let glyph = glyph.with_scale_and_position(scale(em), point(at as f32, 0.0));
        let Some(outline) = FONT.outline_glyph(glyph) else {
            below = None;
            continue;
        };
        let bounds = outline.px_bounds();
        let corner = match below.filter(|_| is_mark) {
            // The font's own place for a mark suits low letters only: over a λ it would touch.
            Some(letter) => point(
                (letter.min.x + letter.max.x - bounds.width()) / 2.0,
                bounds
                    .min
                    .y
                    .min(letter.min.y - bounds.height() - 0.04 * em as f32),
            ),
            None => bounds.min,
        };
        let (left, top) = (corner.x.round() as i32, corner.y.round() as i32);
        outline.draw(|x, y, coverage| {
            pixel(
                x as i32 + left,
                y as i32 + top,
                f64::from(coverage.clamp(0.0, 1.0)),
            );
        });
        below = Some(bounds);
    }
}

/// Glyphs with their places and whether they are marks over the one before, and the width of all.
fn glyphs(text: &str, em: f64) -> (Vec<(GlyphId, f64, bool)>, f64) {
    let font = FONT.as_scaled(scale(em));
    let (mut out, mut x, mut last) = (Vec::new(), 0.0, None);
    for c in text.chars() {
        let glyph = font.glyph_id(c);
        if let Some(last) = last {
            x += f64::from(font.kern(last, glyph));
        }
        out.push((glyph, x, ('\u{300}'..='\u{36f}').contains(&c)));
        x += f64::from(font.h_advance(glyph));
        last = Some(glyph);
    }
    (out, x)
}

/// `text` broken at spaces into lines no wider than `most`, as far as its words allow.
pub(crate) fn wrap(text: &str, em: f64, most: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), em) <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_follow_the_font() {
        // DejaVu Sans: a digit advances 1303 of 2048 units.
        assert!((width("1234", 20.48) - 4.0 * 13.03).abs() < 1e-3);
        assert_eq!(width("", 12.0), 0.0);
    }

    #[test]
    fn every_sign_that_figures_use_is_in_the_font() {
        for sign in "λβγεσ∞±×−·⁰¹²³⁴⁵⁶⁷⁸⁹⁻̂≤≥≈½√ΔΣ–—".chars()
        {
            assert_ne!(FONT.glyph_id(sign).0, 0, "{sign}");
        }
    }

    #[test]
    fn lines_break_at_spaces() {
        let lines = wrap("one two three", 10.0, width("one two", 10.0) + 1.0);
        assert_eq!(lines, ["one two", "three"]);
        assert_eq!(wrap("unbreakable", 10.0, 5.0), ["unbreakable"]);
    }
}
