//! Two-dimensional slices of a loss landscape through a minimum, with chains drawn over them.

use anyhow::Context;
use ndarray::{Array2, ArrayView1};
use slt_report::{Axis, Colour, Heat, Layer, Legend, Marker, Panel};
use slt_sampler::{Ensemble, Plan, Row, Schedule, Target, chains};

/// Points of a slice along each axis.
const GRID: usize = 72;
/// Colours that stand out from every colour of the map.
const PATHS: [Colour; 4] = [
    Colour::Vermillion,
    Colour::SkyBlue,
    Colour::Orange,
    Colour::Purple,
];

/// A panel with the loss over parameters `i` and `j`, all others as at `w`, and each of `paths` from circle to diamond.
///
/// `paths` holds one trajectory of whole parameter vectors each.
pub fn panel<T: Target>(
    target: &mut T,
    w: ArrayView1<f64>,
    (i, j): (usize, usize),
    names: &[&str],
    paths: &[Vec<Vec<f64>>],
) -> Panel {
    let span = |k: usize| {
        let along = paths.iter().flatten().map(|point| point[k]).chain([w[k]]);
        let (lo, hi) = along.fold((w[k], w[k]), |(lo, hi), v| (lo.min(v), hi.max(v)));
        let margin = 0.15 * (hi - lo).max(0.2);
        (lo - margin, hi + margin)
    };
    let grid = |(lo, hi): (f64, f64)| -> Vec<f64> {
        let step = (hi - lo) / GRID as f64;
        (0..GRID).map(|k| lo + (k as f64 + 0.5) * step).collect()
    };
    let (xs, ys) = (grid(span(i)), grid(span(j)));
    let rows = Array2::from_shape_fn((GRID * GRID, w.len()), |(at, k)| match k {
        _ if k == i => xs[at % GRID],
        _ if k == j => ys[at / GRID],
        _ => w[k],
    });
    let mut z = vec![0.0; GRID * GRID];
    target.loss(rows.view(), &mut z);
    let mut layers = vec![Layer::heat(Heat {
        xs,
        ys,
        z,
        log: true,
        range: None,
        n_levels: 14,
        bar: None,
    })];
    for (chain, path) in paths.iter().enumerate() {
        let colour = PATHS[chain % PATHS.len()];
        let along = |k: usize| path.iter().map(|point| point[k]).collect::<Vec<_>>();
        let (x, y) = (along(i), along(j));
        let (first, last) = ((x[0], y[0]), (x[x.len() - 1], y[y.len() - 1]));
        layers.push(Layer::line(x, y).colour(colour));
        layers.push(
            Layer::points([first.0], [first.1])
                .colour(colour)
                .marker(Marker::Circle),
        );
        layers.push(
            Layer::points([last.0], [last.1])
                .colour(colour)
                .marker(Marker::Diamond),
        );
    }
    Panel {
        title: String::new(),
        x: Axis::linear(names[i]),
        y: Axis::linear(names[j]),
        layers,
        legend: Legend::None,
    }
}

/// The whole paths of the chains `rows` from `anchor`, burn-in and all, at about a thousand points each: chain by chain,
/// point by point.
pub fn paths<T: Target + Clone + Send + Sync>(
    target: &T,
    plan: Plan,
    anchor: ArrayView1<f64>,
    rows: &[Row],
) -> anyhow::Result<Vec<Vec<Vec<f64>>>> {
    let n_steps = plan.schedule.n_steps() + 1;
    let thin = n_steps.div_ceil(1000);
    let schedule = Schedule {
        burn_in: 0,
        n_draws: n_steps.div_ceil(thin),
        thin,
    };
    let plan = Plan {
        keep_positions: true,
        schedule,
        ..plan
    };
    let anchors = anchor
        .broadcast((rows.len(), anchor.len()))
        .context("rows")?;
    let draws = chains::run(target, &plan, &Ensemble::new(anchors, rows), &|_| ())?;
    let positions = draws.positions.context("positions were asked for")?;
    Ok(positions
        .outer_iter()
        .map(|chain| chain.outer_iter().map(|w| w.to_vec()).collect())
        .collect())
}
