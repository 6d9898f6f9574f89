//! plotters' SVG made smaller and sharper.
//!
//! plotters writes one element a line, each attribute spelled out, and whole coordinates. The sheet is
//! drawn `SCALE` times too large and shown at its size; the cells of a map, which come sorted by
//! colour, are gathered into one path per colour.

use std::fmt::Write;

use crate::canvas::SCALE;
use crate::font::SVG_FAMILY;
use crate::html::escape;

/// `svg` as plotters wrote it, for a figure of `size` points described by `title`.
pub(crate) fn tidy(svg: &str, size: (u32, u32), title: &str) -> String {
    let mut out = String::with_capacity(svg.len());
    let mut cells: Option<String> = None;
    for line in svg.lines() {
        if line.starts_with("<svg") {
            let (w, h) = (f64::from(size.0) * SCALE, f64::from(size.1) * SCALE);
            let _ = write!(
                out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {w} {h}\" \
                 role=\"img\" stroke-linejoin=\"round\" font-family=\"{SVG_FAMILY}\">\n<title>{}</title>\n",
                size.0,
                size.1,
                escape(title)
            );
            continue;
        }
        if let Some((fill, path)) = cell(line) {
            if cells.as_deref() == Some(fill) {
                out.push_str(&path);
            } else {
                close(&mut out, cells.take());
                let _ = write!(
                    out,
                    "<path shape-rendering=\"crispEdges\" fill=\"{fill}\" d=\"{path}"
                );
                cells = Some(fill.to_string());
            }
            continue;
        }
        close(&mut out, cells.take());
        out.push_str(
            &line
                .replace(" opacity=\"1\"", "")
                .replace(" font-family=\"sans-serif\"", ""),
        );
        out.push('\n');
    }
    close(&mut out, cells);
    out
}

fn close(out: &mut String, cells: Option<String>) {
    if cells.is_some() {
        out.push_str("\"/>\n");
    }
}

/// The fill and the outline of an opaque rectangle.
fn cell(line: &str) -> Option<(&str, String)> {
    let attribute = |name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}=\""))?;
        Some(rest.split_once('"')?.0)
    };
    if !line.starts_with("<rect ") || attribute("opacity")? != "1" || attribute("stroke")? != "none"
    {
        return None;
    }
    let (x, y) = (attribute("x")?, attribute("y")?);
    let (w, h) = (attribute("width")?, attribute("height")?);
    Some((attribute("fill")?, format!("M{x} {y}h{w}v{h}h-{w}z")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_a_colour_become_one_path() {
        let rect = |x: u32, fill: &str| {
            format!(
                "<rect x=\"{x}\" y=\"0\" width=\"5\" height=\"6\" opacity=\"1\" fill=\"{fill}\" stroke=\"none\"/>\n"
            )
        };
        let svg = format!(
            "<svg width=\"4\" height=\"4\">\n{}{}{}<line opacity=\"1\" x1=\"0\"/>\n</svg>\n",
            rect(0, "#111111"),
            rect(9, "#111111"),
            rect(4, "#222222")
        );
        let out = tidy(&svg, (1, 1), "a < b");
        assert!(out.contains("fill=\"#111111\" d=\"M0 0h5v6h-5zM9 0h5v6h-5z\"/>\n<path"));
        assert!(out.contains("d=\"M4 0h5v6h-5z\"/>\n<line x1=\"0\"/>\n</svg>"));
        assert!(out.contains("viewBox=\"0 0 4 4\"") && out.contains("<title>a &lt; b</title>"));
    }
}
