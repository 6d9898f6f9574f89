//! Autoencoders of data of a known rank: does λ̂ count the rank, or the parameters of a network as wide?

use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayViewMut2, Axis};
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis as Scale, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section,
    Store, Verdict, together,
};
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::targets::{Activation, FeedForward, Loss};
use slt_sampler::{Batch, Harmonic, Points, Target, default_nbeta, estimate};
use slt_stats::{Estimate, LeastSquares, line};
use slt_training::{Init, Training, initial_rows, pytorch_embedding};

use crate::settings::Autoencoders;

/// Length of the step by which outputs are differentiated.
const STEP: f64 = 1e-4;
/// Slope, constant and R² of the published line.
const THEIRS: [f64; 3] = [71.013, -355.057, 0.998];

/// What is recorded of one rank.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Point {
    pub rank: usize,
    pub n_params: usize,
    pub repeats: Vec<Repeat>,
}

/// Data, weights and chains of their own.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Repeat {
    /// After training, and of the mean output.
    pub loss: f64,
    pub variance: f64,
    pub llc: f64,
    /// What the second order of a network that is linear in its weights around the trained ones gives: chains of this step and length, and a sampler in equilibrium.
    pub expected: f64,
    pub equilibrium: f64,
}

#[derive(Serialize)]
struct Config {
    settings: Autoencoders,
    rank: usize,
}

pub fn run(store: &Store, settings: &Autoencoders) -> anyhow::Result<Vec<Point>> {
    let cell = |&rank: &usize| {
        // a cell is one rank, whichever others there are
        let own = Autoencoders {
            ranks: Vec::new(),
            ..settings.clone()
        };
        let config = Config {
            settings: own,
            rank,
        };
        let compute = || compute(settings, rank);
        Ok(store.cell("autoencoder", &config, "host", compute)?.result)
    };
    settings.ranks.iter().map(cell).collect()
}

/// Repeats side by side.
fn compute(settings: &Autoencoders, rank: usize) -> anyhow::Result<Point> {
    let sampling = settings.sampling.plan(settings.n_samples)?;
    let n_sampled = sampling.schedule.n_steps() * settings.sampling.n_chains;
    let n_steps = settings.plan.n_steps + n_sampled as u64;
    let label = format!("autoencoders of rank {rank}");
    let progress = Progress::start(&label, settings.n_repeats * n_steps);
    let repeats = together(0..settings.n_repeats, |k| {
        repeat(settings, rank, k, &progress)
    })?;
    Ok(Point {
        rank,
        n_params: n_params(&widths(settings, rank)),
        repeats,
    })
}

fn widths(settings: &Autoencoders, rank: usize) -> [usize; 5] {
    let (d, wide) = (settings.n_features, settings.n_hidden);
    [d, wide, rank, wide, d]
}

fn n_params(widths: &[usize]) -> usize {
    widths.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum()
}

/// `x = A z`, A and z standard normal.
fn data(settings: &Autoencoders, rank: usize, repeat: u64) -> Array2<f64> {
    let normals = |index: u64, n_rows: usize, n_columns: usize| {
        let mut values = vec![0.0; n_rows * n_columns];
        pytorch_embedding(
            &mut values,
            &mut rng(settings.seed, Purpose::Data, repeat, index),
        );
        Array2::from_shape_vec((n_rows, n_columns), values).expect("sizes")
    };
    let mixing = normals(2 * rank as u64, rank, settings.n_features);
    normals(2 * rank as u64 + 1, settings.n_samples, rank).dot(&mixing)
}

fn repeat(
    settings: &Autoencoders,
    rank: usize,
    k: u64,
    progress: &Progress,
) -> anyhow::Result<Repeat> {
    let widths = widths(settings, rank);
    let x = data(settings, rank, k);
    let squared = Loss::MeanSquaredError;
    let double = FeedForward::new(&widths, Activation::Relu, true, squared, x.view(), x.view())?;
    let mut target = double.clone().single_precision();
    let parameters: Vec<(String, usize, Init)> = widths
        .windows(2)
        .enumerate()
        .flat_map(|(layer, pair)| {
            let law = Init::Linear { fan_in: pair[0] };
            [pair[0] * pair[1], pair[1]].map(|size| (format!("layers.{layer}"), size, law))
        })
        .collect();
    let plan = &settings.plan;
    let start = initial_rows(&parameters, settings.seed, &[k]);
    let mut training = Training::new(start, &[k], &[plan.optimiser]);
    training.advance(&target, plan, plan.n_steps, 1, &|n| progress.inc(n))?;
    let anchor = training.rows.view();
    let mut loss = [f64::NAN];
    target.loss(anchor, &mut loss);
    let sampling = &settings.sampling;
    let nbeta = default_nbeta(settings.n_samples)?;
    let points = Points {
        anchors: anchor,
        dynamics: &[sampling.dynamics(nbeta)?],
        n_chains: sampling.n_chains,
        from_stream: k << 32,
    };
    let mut chains = sampling.plan(settings.n_samples)?;
    chains.n_threads = 1;
    let found = estimate(&target, &points, &chains, None, &|n| progress.inc(n))?;
    let llc = found.all()?.remove(0);
    let mut linear = Linearised {
        widths,
        outputs: double.clone().outputs(anchor),
        network: double,
        inputs: x.clone(),
        anchor: anchor.row(0).to_owned(),
    };
    let harmonic = Harmonic::at(
        &mut linear,
        anchor.row(0),
        &points.dynamics[0],
        Some(&chains.schedule),
        &settings.probes,
    )?;
    let spread = &x - &x.mean_axis(Axis(0)).expect("samples");
    Ok(Repeat {
        loss: loss[0],
        variance: spread.mapv(|v| v * v).mean().expect("samples"),
        llc: llc.mean,
        expected: harmonic.expected().value,
        equilibrium: harmonic.prediction.mean.value,
    })
}

/// The squared error of a network that is linear in its weights around `anchor`, and answers there what is wanted.
///
/// The loss itself has no second derivative to be had by differences: its gradient jumps wherever the input of a ReLU changes sign. Outputs do not jump.
#[derive(Clone)]
struct Linearised {
    widths: [usize; 5],
    network: FeedForward,
    inputs: Array2<f64>,
    anchor: Array1<f64>,
    /// At the anchor, `[1, n_samples, n_outputs]`.
    outputs: Array3<f64>,
}

impl Linearised {
    /// By how much outputs change, to first order, from the anchor to `w`.
    fn change(&mut self, w: ArrayView1<f64>) -> Array2<f64> {
        let step = &w - &self.anchor;
        let size = step.dot(&step).sqrt();
        if size == 0.0 {
            return Array2::zeros((self.inputs.nrows(), self.widths[4]));
        }
        let h = STEP / size;
        let mut pair = Array2::zeros((2, w.len()));
        pair.row_mut(0).assign(&(&self.anchor + h * &step));
        pair.row_mut(1).assign(&(&self.anchor - h * &step));
        let outputs = self.network.outputs(pair.view());
        let [above, below] = [0, 1].map(|i| outputs.index_axis(Axis(0), i));
        (&above - &below) / (2.0 * h)
    }
}

impl Target for Linearised {
    fn n_params(&self) -> usize {
        self.anchor.len()
    }

    fn n_samples(&self) -> usize {
        self.inputs.nrows()
    }

    fn loss_and_grad(
        &mut self,
        rows: ArrayView2<f64>,
        _: Batch,
        mut grad: ArrayViewMut2<f64>,
        loss: &mut [f64],
    ) {
        self.loss(rows, loss);
        for (w, mut grad) in rows.rows().into_iter().zip(grad.rows_mut()) {
            // the network's own gradient at the anchor, for labels whose errors are the changes
            let labels = -self.change(w) + self.outputs.index_axis(Axis(0), 0);
            let network = FeedForward::new(
                &self.widths,
                Activation::Relu,
                true,
                Loss::MeanSquaredError,
                self.inputs.view(),
                labels.view(),
            );
            let at = self.anchor.view().insert_axis(Axis(0));
            match network {
                Ok(mut network) => network.loss_and_grad(
                    at,
                    Batch::Full,
                    grad.view_mut().insert_axis(Axis(0)),
                    &mut [0.0],
                ),
                // outputs that are not finite have no derivative
                Err(_) => grad.fill(f64::NAN),
            }
        }
    }

    fn loss(&mut self, rows: ArrayView2<f64>, loss: &mut [f64]) {
        for (w, loss) in rows.rows().into_iter().zip(loss) {
            *loss = self.change(w).mapv(|v| v * v).mean().expect("samples");
        }
    }
}

fn ranks(points: &[Point]) -> Vec<f64> {
    points.iter().map(|p| p.rank as f64).collect()
}

fn means(points: &[Point], of: impl Fn(&Repeat) -> f64) -> Vec<f64> {
    let mean = |p: &Point| p.repeats.iter().map(&of).sum::<f64>() / p.repeats.len() as f64;
    points.iter().map(mean).collect()
}

fn fit(points: &[Point], of: impl Fn(&Repeat) -> f64) -> anyhow::Result<LeastSquares> {
    Ok(line(
        Array1::from(ranks(points)).view(),
        Array1::from(means(points, of)).view(),
    )?)
}

pub fn obtained(settings: &Autoencoders, points: &[Point]) -> anyhow::Result<Vec<Obtained>> {
    let found = fit(points, |r| r.llc)?;
    let expected = fit(points, |r| r.expected)?;
    let equilibrium = fit(points, |r| r.equilibrium)?;
    // half the parameters that one more unit in the middle brings
    let count = settings.n_hidden as f64 + 0.5;
    let row = |id: &str, i: usize, note: String| {
        let (value, error) = (found.coefficients[i], found.standard_errors[i]);
        Obtained {
            id: id.into(),
            value,
            mcse: Some(error),
            reference: Some((
                expected.coefficients[i],
                "second order at w*, these chains".into(),
            )),
            verdict: Verdict::of(value, error, THEIRS[1 - i], 0.0),
            note,
        }
    };
    let last = points.last().expect("ranks");
    let share = |of: fn(&Repeat) -> f64| -> anyhow::Result<Estimate> {
        let values: Vec<f64> = last.repeats.iter().map(of).collect();
        Ok(Estimate::from_replicates(&values)?)
    };
    let [llc, second] = [share(|r| r.llc)?, share(|r| r.expected)?];
    let anharmonic = share(|r| (r.llc - r.expected) / r.llc)?;
    let missing = points
        .iter()
        .flat_map(|p| p.repeats.iter().map(|r| r.loss / r.variance))
        .fold(0.0, f64::max);
    Ok(vec![
        row(
            "auto-slope",
            1,
            format!(
                "a line over {} ranks, its error that of the fit; half the parameters have {count}, the second order in equilibrium {:.1}",
                points.len(),
                equilibrium.coefficients[1]
            ),
        ),
        row("auto-constant", 0, "the same line".into()),
        Obtained {
            id: "auto-r2".into(),
            value: found.r_squared,
            mcse: None,
            reference: None,
            verdict: Verdict::of_claim(found.r_squared > 0.95),
            note: format!(
                "agrees above 0.95. Of the second order, {:.3}; after training at most {:.1} % of the variance is left",
                expected.r_squared,
                100.0 * missing
            ),
        },
        Obtained {
            id: "auto-anharmonic".into(),
            value: anharmonic.mean,
            mcse: Some(anharmonic.mcse),
            reference: None,
            verdict: Verdict::NotComparable,
            note: format!(
                "at rank {}: λ̂ = {:.0}, the second order with these chains {:.0}, in equilibrium {:.0}; half the parameters are {:.0}",
                last.rank,
                llc.mean,
                second.mean,
                share(|r| r.equilibrium)?.mean,
                0.5 * last.n_params as f64
            ),
        },
    ])
}

pub fn section(
    store: &Store,
    settings: &Autoencoders,
    points: &[Point],
) -> anyhow::Result<Section> {
    let x = ranks(points);
    // below a rank of 5 their line is negative
    let line = x.iter().map(|&r| (r, THEIRS[0] * r + THEIRS[1]));
    let (their_x, theirs): (Vec<f64>, Vec<f64>) = line.filter(|p| p.1 > 0.0).unzip();
    let half: Vec<f64> = points.iter().map(|p| 0.5 * p.n_params as f64).collect();
    let each = |of: fn(&Repeat) -> f64| -> (Vec<f64>, Vec<f64>) {
        let pairs = points
            .iter()
            .flat_map(|p| p.repeats.iter().map(move |r| (p.rank as f64, of(r))));
        pairs.unzip()
    };
    let (all_x, llcs) = each(|r| r.llc);
    let (_, left) = each(|r| r.loss / r.variance);
    let panel = |title: &str, y: Scale, layers| Panel {
        title: title.into(),
        x: Scale::linear("rank of the data"),
        y,
        layers,
        legend: Legend::Above,
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(2, 2),
        panels: vec![
            panel(
                "Estimates and the second order",
                Scale::log("λ̂"),
                vec![
                    Layer::points(all_x.clone(), llcs)
                        .colour(Colour::Blue)
                        .label("λ̂"),
                    Layer::line(x.clone(), means(points, |r| r.expected))
                        .colour(Colour::Blue)
                        .label("second order, these chains"),
                    Layer::line(x.clone(), means(points, |r| r.equilibrium))
                        .colour(Colour::Blue)
                        .dashed()
                        .label("in equilibrium"),
                    Layer::line(their_x, theirs)
                        .colour(Colour::Vermillion)
                        .label("the paper's fit"),
                    Layer::line(x.clone(), half)
                        .colour(Colour::Black)
                        .dashed()
                        .label("d/2"),
                ],
            ),
            panel(
                "Is it a minimum?",
                Scale::log("loss over the variance of the data"),
                vec![Layer::points(all_x, left).colour(Colour::Blue)],
            ),
        ],
    }
    .write(&store.figures(), "autoencoders")?;
    Ok(Section {
        heading: "5. Autoencoders".into(),
        text: vec![format!(
            "{:?}, ReLU after every layer but the last, on {} samples x = A z, A and z standard normal; {} repeats, each with its own data and initial weights; {} chains of {} \
             steps of ε = {:e}, γ = {}, nβ = n/ln n.",
            widths(settings, 0).map(|w| if w == 0 { "r".into() } else { w.to_string() }),
            settings.n_samples,
            settings.n_repeats,
            settings.sampling.n_chains,
            settings.sampling.n_steps,
            settings.sampling.step_size,
            settings.sampling.gamma
        )
        .replace('"', "")],
        figures: vec![FigureRef {
            name: "autoencoders".into(),
            caption: "Figure 7: λ̂ against the rank, with what the second order gives to chains of this step and length and in equilibrium, half the number of parameters, and the paper's line; what training left.".into(),
            alt: "Points and lines that rise with the rank".into(),
        }],
        ..Section::default()
    })
}
