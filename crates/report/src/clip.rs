//! What of a line or a polygon lies in the unit square.

/// A point.
pub(crate) type Point = (f64, f64);

/// The part of a segment inside the unit square (Liang and Barsky, 1984).
pub(crate) fn segment(a: Point, b: Point) -> Option<(Point, Point)> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut from, mut to) = (0.0f64, 1.0f64);
    for (p, q) in [(-dx, a.0), (dx, 1.0 - a.0), (-dy, a.1), (dy, 1.0 - a.1)] {
        if p == 0.0 {
            if q < 0.0 {
                return None;
            }
        } else if p < 0.0 {
            from = from.max(q / p);
        } else {
            to = to.min(q / p);
        }
    }
    // The ends are given back exactly, so that the next segment is seen to go on from here.
    let at = |t: f64| match t {
        1.0 => b,
        t => (a.0 + t * dx, a.1 + t * dy),
    };
    (from <= to).then(|| (at(from), at(to)))
}

/// The runs of a polyline inside the unit square; a point that is none interrupts it.
pub(crate) fn polyline(points: impl IntoIterator<Item = Option<Point>>) -> Vec<Vec<Point>> {
    let mut runs: Vec<Vec<Point>> = Vec::new();
    let mut last: Option<Point> = None;
    for point in points {
        if let (Some(a), Some(b)) = (last, point)
            && let Some((from, to)) = segment(a, b)
        {
            match runs.last_mut() {
                Some(run) if run.last() == Some(&from) => run.push(to),
                _ => runs.push(vec![from, to]),
            }
        }
        last = point;
    }
    runs
}

/// A polygon cut to the unit square (Sutherland and Hodgman, 1974).
pub(crate) fn polygon(corners: &[Point]) -> Vec<Point> {
    let sides: [fn(Point) -> f64; 4] = [|p| p.0, |p| 1.0 - p.0, |p| p.1, |p| 1.0 - p.1];
    let mut corners = corners.to_vec();
    for inside in sides {
        let mut kept = Vec::with_capacity(corners.len() + 4);
        for (i, &b) in corners.iter().enumerate() {
            let a = corners[(i + corners.len() - 1) % corners.len()];
            let (da, db) = (inside(a), inside(b));
            if (da < 0.0) != (db < 0.0) {
                let t = da / (da - db);
                kept.push((a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1)));
            }
            if db >= 0.0 {
                kept.push(b);
            }
        }
        corners = kept;
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments() {
        assert_eq!(
            segment((0.2, 0.2), (0.8, 0.8)),
            Some(((0.2, 0.2), (0.8, 0.8)))
        );
        assert_eq!(
            segment((-1.0, 0.5), (2.0, 0.5)),
            Some(((0.0, 0.5), (1.0, 0.5)))
        );
        assert_eq!(segment((-1.0, 2.0), (2.0, 2.0)), None);
        assert_eq!(segment((-1.0, 0.5), (0.5, -1.0)), None);
    }

    #[test]
    fn lines_are_interrupted_by_gaps_and_edges() {
        let points = [(0.1, 0.1), (0.2, 0.2), (0.3, 2.0), (0.4, 0.2), (0.5, 0.1)].map(Some);
        let runs = polyline(points);
        assert_eq!(runs.len(), 2);
        assert_eq!((runs[0].len(), runs[1].len()), (3, 3));
        let gap = [
            Some((0.1, 0.1)),
            Some((0.2, 0.2)),
            None,
            Some((0.3, 0.3)),
            Some((0.4, 0.4)),
        ];
        assert_eq!(polyline(gap).len(), 2);
    }

    #[test]
    fn polygons() {
        let cut = polygon(&[(-1.0, -1.0), (0.5, -1.0), (0.5, 0.5), (-1.0, 0.5)]);
        let area: f64 = (0..cut.len())
            .map(|i| {
                let (a, b) = (cut[i], cut[(i + 1) % cut.len()]);
                0.5 * (a.0 * b.1 - b.0 * a.1)
            })
            .sum();
        assert!((area - 0.25).abs() < 1e-12);
        assert!(polygon(&[(2.0, 2.0), (3.0, 2.0), (3.0, 3.0)]).is_empty());
    }
}
