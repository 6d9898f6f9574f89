//! The paper's open question: is there a barrier between memorising and generalising, and does its height say when a model generalises?
//!
//! Three ways from the one checkpoint to the other: the straight line; the path of least loss that a string relaxes to; and the way that
//! training took, with the free energy `n L + λ̂ ln n` along it.

use ndarray::{Array2, ArrayView1, Axis as ArrayAxis, stack};
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store, Verdict,
};
use slt_sampler::targets::FeedForward;
use slt_sampler::{Path, Target};
use slt_stats::{Estimate, rank_correlation};

use crate::arrhenius::{End, Model};
use crate::settings::Grokking;

/// What lies between the two checkpoints of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Crossing {
    /// Losses along the string and along the straight line, from the one checkpoint to the other.
    pub string: Vec<f64>,
    pub straight: Vec<f64>,
    /// The highest loss of all checkpoints from the one to the other.
    pub highest: f64,
    /// Checkpoints at even distances in time, the two among them.
    pub stops: Vec<End>,
    /// Euclidean norms of the weights at both, and their distance.
    pub norms: [f64; 2],
    pub distance: f64,
}

impl Crossing {
    /// `rows`: the weights at all checkpoints from the one to the other, `[n, d]`; `llcs`: estimates at some of them, with their standard errors.
    pub fn new(
        settings: &Grokking,
        train: &FeedForward,
        rows: &Array2<f64>,
        llcs: impl Fn(&Array2<f64>) -> anyhow::Result<Vec<[f64; 2]>>,
    ) -> anyhow::Result<Self> {
        let mut train = train.clone();
        let last = rows.nrows() - 1;
        let ends = [rows.row(0), rows.row(last)];
        let straight = Path::straight(&mut train, ends, &settings.string)?;
        let least = Path::least(&mut train, ends, &settings.string)?;
        let mut losses = vec![f64::NAN; rows.nrows()];
        train.loss(rows.view(), &mut losses);
        let n = settings.n_stops - 1;
        let at: Vec<usize> = (0..=n).map(|k| (k * last + n / 2) / n).collect();
        let anchors = rows.select(ArrayAxis(0), &at);
        let stops = at.iter().zip(llcs(&anchors)?).map(|(&i, [llc, mcse])| End {
            llc,
            mcse,
            loss: losses[i],
        });
        let norm = |w: ArrayView1<f64>| w.dot(&w).sqrt();
        Ok(Self {
            string: least.losses,
            highest: losses.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            stops: stops.collect(),
            norms: ends.map(norm),
            distance: straight.length(),
            straight: straight.losses,
        })
    }

    fn height(losses: &[f64]) -> f64 {
        let highest = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        highest - losses[0]
    }

    /// Free energies of the stops over that of the first.
    fn free_energies(&self, n: f64) -> Vec<f64> {
        let of = |stop: &End| n * stop.loss + n.ln() * stop.llc;
        let first = of(&self.stops[0]);
        self.stops.iter().map(|stop| of(stop) - first).collect()
    }
}

/// The crossings of the kept runs, with ln r.
fn crossings<'a>(
    models: &'a [Model],
    settings: &Grokking,
) -> Vec<(f64, &'a Crossing, &'a [End; 2])> {
    let of = |model: &'a Model| {
        let time = model.time(settings.least_time)?;
        Some((time.ln(), model.crossing.as_ref()?, model.ends.as_ref()?))
    };
    models.iter().filter_map(of).collect()
}

/// Mean free energies along the way over that of its beginning, with standard errors over runs; the first, which is 0, left out.
fn profile(found: &[(f64, &Crossing, &[End; 2])], n: f64) -> anyhow::Result<Vec<Estimate>> {
    let all: Vec<Vec<f64>> = found.iter().map(|(_, c, _)| c.free_energies(n)).collect();
    (1..all[0].len())
        .map(|k| {
            let at: Vec<f64> = all.iter().map(|energies| energies[k]).collect();
            Ok(Estimate::from_replicates(&at)?)
        })
        .collect()
}

pub fn obtained(settings: &Grokking, models: &[Model]) -> anyhow::Result<Vec<Obtained>> {
    let n = settings.n_train() as f64;
    let found = crossings(models, settings);
    let row = Obtained::new;
    let ids = ["barrier-loss", "barrier-free-energy", "barrier-time"];
    if found.len() < 8 {
        let none = format!("{} runs are kept; expected at least 8", found.len());
        let empty = |id| row(id, f64::NAN, None, Verdict::NotComparable, none.clone());
        return Ok(ids.map(empty).into());
    }
    let times: Vec<f64> = found.iter().map(|f| f.0).collect();
    let values = |of: &dyn Fn(&Crossing, &[End; 2]) -> f64| -> Vec<f64> {
        found.iter().map(|(_, c, ends)| of(c, ends)).collect()
    };
    let string = Estimate::from_replicates(&values(&|c, _| n * Crossing::height(&c.string)))?;
    let straight = Estimate::from_replicates(&values(&|c, _| n * Crossing::height(&c.straight)))?;
    let training = Estimate::from_replicates(&values(&|c, _| n * (c.highest - c.stops[0].loss)))?;
    let depth = Estimate::from_replicates(&values(&|_, e| n * (e[0].loss - e[1].loss)))?;
    let profile = profile(&found, n)?;
    let top = profile
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.mean.total_cmp(&b.1.mean))
        .expect("stops");
    let predictors: [(&str, Vec<f64>); 8] = [
        (
            "barrier of the string",
            values(&|c, _| Crossing::height(&c.string)),
        ),
        (
            "barrier of the straight line",
            values(&|c, _| Crossing::height(&c.straight)),
        ),
        (
            "highest free energy on the way",
            values(&|c, _| c.free_energies(n).into_iter().fold(0.0, f64::max)),
        ),
        ("λ̂ before", values(&|_, e| e[0].llc)),
        ("loss before", values(&|_, e| e[0].loss)),
        ("loss after", values(&|_, e| e[1].loss)),
        ("norm of the weights before", values(&|c, _| c.norms[0])),
        ("distance", values(&|c, _| c.distance)),
    ];
    let mut by_rank = Vec::new();
    for (name, values) in &predictors {
        // where all are equal there is no rank
        if let Ok(found) = rank_correlation(&times, values) {
            by_rank.push((*name, found.rho, found.p_value));
        }
    }
    by_rank.sort_by(|a, b| a.2.total_cmp(&b.2));
    let said: Vec<String> = by_rank
        .iter()
        .map(|(name, rho, p)| format!("{name} {rho:.2} (p = {p:.1e})"))
        .collect();
    let &(_, rho, p) = by_rank.first().expect("one predictor that varies");
    let sure = p * predictors.len() as f64;
    Ok(vec![
        row(
            ids[0],
            string.mean,
            Some(string.mcse),
            Verdict::NotComparable,
            format!(
                "n times the loss, mean over {} runs. On the straight line {:.0} ± {:.0}; at the highest checkpoint of training {:.1} ± {:.1}; the end lies {:.0} ± {:.0} below the beginning",
                found.len(),
                straight.mean,
                straight.mcse,
                training.mean,
                training.mcse,
                depth.mean,
                depth.mcse
            ),
        ),
        row(
            ids[1],
            top.1.mean,
            Some(top.1.mcse),
            Verdict::NotComparable,
            format!(
                "the highest of {} stops at even distances on the way of training, mean over runs less that before; it is stop {} of {}",
                profile.len(),
                top.0 + 1,
                profile.len()
            ),
        ),
        row(
            ids[2],
            rho,
            None,
            match sure < 0.05 {
                true => Verdict::NotComparable,
                false => Verdict::Underpowered,
            },
            format!(
                "rank correlation with ln r of the best of {} predictors, p = {:.1e} after counting them: {}",
                predictors.len(),
                sure.min(1.0),
                said.join(", ")
            ),
        ),
    ])
}

pub fn section(store: &Store, settings: &Grokking, models: &[Model]) -> anyhow::Result<Section> {
    let n = settings.n_train() as f64;
    let found = crossings(models, settings);
    let mut section = Section {
        heading: "The barrier between the two checkpoints".into(),
        text: vec![format!(
            "Of the {} kept runs: losses along a string of {} images after {} steps, and along the straight line, both between the two checkpoints; and n L + λ̂ ln n at {} \
             checkpoints of training at even distances in time.",
            found.len(),
            settings.string.n_images,
            settings.string.n_steps,
            settings.n_stops
        )],
        ..Section::default()
    };
    if found.len() < 2 {
        return Ok(section);
    }
    let panel = |title: &str, x: &str, y: Axis, layers| Panel {
        title: title.into(),
        x: Axis::linear(x),
        y,
        layers,
        legend: Legend::Above,
    };
    let shares = |n: usize| -> Vec<f64> { (0..n).map(|k| k as f64 / (n - 1) as f64).collect() };
    let (mut losses, mut energies) = (Vec::new(), Vec::new());
    for (i, (_, crossing, _)) in found.iter().enumerate() {
        let mut straight = Layer::line(shares(crossing.straight.len()), crossing.straight.clone())
            .colour(Colour::Vermillion);
        let mut string = Layer::line(shares(crossing.string.len()), crossing.string.clone())
            .colour(Colour::Blue);
        if i == 0 {
            (straight, string) = (straight.label("straight lines"), string.label("strings"));
        }
        losses.extend([straight, string]);
        let own = crossing.free_energies(n);
        energies.push(Layer::line(shares(own.len()), own).colour(Colour::Grey));
    }
    let mean = profile(&found, n)?;
    energies.push(
        Layer::points_with_errors(
            shares(mean.len() + 1)[1..].to_vec(),
            mean.iter().map(|e| e.mean).collect::<Vec<_>>(),
            mean.iter().map(|e| e.mcse).collect::<Vec<_>>(),
        )
        .colour(Colour::Blue)
        .label("mean over runs"),
    );
    let times: Vec<f64> = found.iter().map(|f| f.0).collect();
    let heights: Vec<f64> = found
        .iter()
        .map(|f| n * Crossing::height(&f.1.straight))
        .collect();
    Figure {
        title: String::new(),
        columns: 3,
        size: Figure::grid_size(3, 3),
        panels: vec![
            panel(
                "Loss between the checkpoints",
                "share of the path",
                Axis::log("loss"),
                losses,
            ),
            panel(
                "Free energy on the way of training",
                "share of the time",
                Axis::linear("F less that before"),
                energies,
            ),
            panel(
                "The time and the straight line",
                "ln r",
                Axis::linear("n times the highest loss over that before"),
                vec![Layer::points(times, heights).colour(Colour::Blue)],
            ),
        ],
    }
    .write(&store.figures(), "barrier")?;
    section.figures.push(FigureRef {
        name: "barrier".into(),
        caption: "Is there a barrier? Losses along strings and straight lines; the free energy along training; the time against the height of the straight line.".into(),
        alt: "Curves between two checkpoints, and a scatter plot".into(),
    });
    Ok(section)
}

/// Rows `[n, d]` from vectors.
pub fn rows(weights: &[ndarray::Array1<f64>]) -> anyhow::Result<Array2<f64>> {
    let views: Vec<_> = weights.iter().map(|w| w.view()).collect();
    Ok(stack(ArrayAxis(0), &views)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    /// Both ends are where they should be, stops are spread over the way, and the string lies below the line.
    #[test]
    fn a_crossing_goes_from_one_end_to_the_other() {
        let text = include_str!("../tests/small.toml");
        let settings: Settings = toml::from_str(text).expect("settings");
        let mut grokking = settings.grokking;
        grokking.n_stops = 4;
        grokking.string.n_steps = 200;
        let [mut train, _] = crate::arrhenius::targets(&grokking, 0).expect("data");
        let d = train.n_params();
        // around 0, where the loss is flat, from one side to the other
        let rows = Array2::from_shape_fn((7, d), |(i, j)| {
            (i as f64 - 3.0) * (0.7 + 1.3 * j as f64).sin()
        });
        let seen = std::cell::RefCell::new(Vec::new());
        let llcs = |anchors: &Array2<f64>| {
            seen.borrow_mut().extend(anchors.column(0).to_vec());
            Ok(vec![[2.0, 0.5]; anchors.nrows()])
        };
        let crossing = Crossing::new(&grokking, &train, &rows, llcs).expect("a crossing");
        let mut losses = [0.0; 7];
        train.loss(rows.view(), &mut losses);
        assert_eq!(*seen.borrow(), [0, 2, 4, 6].map(|i| rows[[i, 0]]));
        for path in [&crossing.straight, &crossing.string] {
            assert_eq!([path[0], path[path.len() - 1]], [losses[0], losses[6]]);
        }
        assert!(Crossing::height(&crossing.string) <= Crossing::height(&crossing.straight));
        assert_eq!(crossing.highest, losses.into_iter().fold(0.0, f64::max));
        let first = rows.row(0);
        approx::assert_relative_eq!(
            crossing.norms[0],
            first.dot(&first).sqrt(),
            max_relative = 1e-14
        );
        approx::assert_relative_eq!(
            crossing.distance,
            2.0 * crossing.norms[0],
            max_relative = 1e-14
        );
        let energies = crossing.free_energies(10.0);
        approx::assert_relative_eq!(energies[3], 10.0 * (losses[6] - losses[0]), epsilon = 1e-12);
        assert_eq!(energies[0], 0.0);
    }
}
