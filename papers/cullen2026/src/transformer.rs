//! A transformer in place of the quadratic network (v1, figure 13): losses, accuracies and λ̂ over its training.
//!
//! The centred loss does not see what is the same in the outputs for all pairs; the accuracy does. So accuracies are taken twice: of the outputs,
//! and of the outputs less their mean over the pairs that are trained on.

use anyhow::Context;
use ndarray::{Array1, Array2, ArrayView2, Axis as ArrayAxis};
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store, Verdict,
    together,
};
use slt_sampler::targets::{FeedForward, Loss};
use slt_sampler::{Llc, Target};
use slt_training::{Init, Training, initial_rows};

use crate::ensemble::{Due, EarlyStop, chain_error, chains, rates, stacked, train_in_memory};
use crate::measured::TRANSFORMER;
use crate::settings::Transformer;

/// Validation accuracy from which on a network is said to generalise.
const LEARNT: f64 = 0.95;

/// What is recorded of a seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub steps: Vec<u64>,
    /// On the pairs to train on, and on the others.
    pub losses: [Vec<f64>; 2],
    pub accuracies: [Vec<f64>; 2],
    /// Of the outputs less their mean over the pairs to train on.
    pub centred: [Vec<f64>; 2],
    /// Steps at which there are estimates.
    pub estimated: Vec<u64>,
    pub llcs: Vec<Llc>,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: &'a Transformer,
    seed: u64,
}

pub fn run(store: &Store, settings: &Transformer) -> anyhow::Result<Vec<Outcome>> {
    let cell = |seed| {
        // a cell is one seed, however many there are
        let settings = &Transformer {
            n_seeds: 0,
            ..settings.clone()
        };
        let config = Config { settings, seed };
        let compute = || compute(settings, seed);
        Ok(store.cell("transformer", &config, "host", compute)?.result)
    };
    together(0..settings.n_seeds, cell)
}

impl Transformer {
    /// The loss over the pairs to train on, and over the others.
    pub fn targets(&self) -> anyhow::Result<[FeedForward; 2]> {
        let of = |pairs: Vec<[u32; 2]>| {
            let y = labels(self.task.modulus, &pairs);
            let loss = Loss::CentredSquaredError;
            FeedForward::transformer(self.sizes(), self.activation, loss, &pairs, y.view())
        };
        let [train, rest] = self.task.pairs().map(of);
        Ok([train?.single_precision(), rest?.single_precision()])
    }

    fn sizes(&self) -> [usize; 5] {
        [
            self.task.modulus,
            self.width,
            self.n_heads,
            self.n_layers,
            self.task.n_hidden,
        ]
    }

    /// PyTorch's default weights, a row for each stream; its `nn.TransformerEncoder` copies the first layer.
    fn init(&self, streams: &[u64]) -> Array2<f64> {
        let (p, w, f) = (self.task.modulus, self.width, self.task.n_hidden);
        let linear = |fan_in| Init::Linear { fan_in };
        let projection = Init::Xavier {
            fan_in: w,
            fan_out: 3 * w,
        };
        let layer = [
            ("projection", 3 * w * w, projection),
            ("projection", 3 * w, Init::Constant(0.0)),
            ("out", w * w, linear(w)),
            ("out", w, Init::Constant(0.0)),
            ("up", w * f, linear(w)),
            ("up", f, linear(w)),
            ("down", f * w, linear(f)),
            ("down", w, linear(f)),
            ("norm", w, Init::Constant(1.0)),
            ("norm", w, Init::Constant(0.0)),
            ("norm", w, Init::Constant(1.0)),
            ("norm", w, Init::Constant(0.0)),
        ];
        let mut all = vec![("embedding".to_owned(), p * w, Init::Embedding)];
        for l in 0..self.n_layers {
            let own = layer.iter().zip(1..).map(|(&(name, size, law), of)| {
                let law = if l == 0 { law } else { Init::Copy { of } };
                (format!("{name} {l}"), size, law)
            });
            all.extend(own);
        }
        all.push(("readout".to_owned(), w * p, linear(w)));
        initial_rows(&all, self.init_seed, streams)
    }
}

/// The sums of pairs, one-hot.
fn labels(modulus: usize, pairs: &[[u32; 2]]) -> Array2<f64> {
    Array2::from_shape_fn((pairs.len(), modulus), |(i, c)| {
        let [a, b] = pairs[i];
        f64::from(u8::from((a + b) as usize % modulus == c))
    })
}

fn compute(settings: &Transformer, seed: u64) -> anyhow::Result<Outcome> {
    let mut targets = settings.targets()?;
    let target = targets[0].clone();
    let pairs = settings.task.pairs();
    let wanted = pairs.each_ref().map(|p| labels(settings.task.modulus, p));
    let plan = &settings.plan;
    let start = settings.init(&[seed]);
    let mut training = Training::new(start, &[seed], &[plan.optimiser]);
    let stop = EarlyStop::new(settings.stop_accuracy, settings.stop_after);
    let mut due = Due::new(settings.estimate_growth);
    let mut outcome = Outcome {
        steps: Vec::new(),
        losses: Default::default(),
        accuracies: Default::default(),
        centred: Default::default(),
        estimated: Vec::new(),
        llcs: Vec::new(),
    };
    let mut anchors: Vec<Array1<f64>> = Vec::new();
    let label = format!("training of transformer {seed}, at most");
    train_in_memory(
        &label,
        &target,
        plan,
        &mut training,
        |number, step, training| {
            let row = training.rows.view();
            outcome.steps.push(step);
            let mut offset = None;
            for (which, target) in targets.iter_mut().enumerate() {
                let mut loss = [f64::NAN];
                target.loss(row, &mut loss);
                outcome.losses[which].push(loss[0]);
                let outputs = target.outputs(row).remove_axis(ArrayAxis(0));
                let accuracy = |outputs: ArrayView2<f64>| {
                    Loss::CentredSquaredError.accuracy(outputs, wanted[which].view())
                };
                outcome.accuracies[which].push(accuracy(outputs.view()));
                let offset = offset.get_or_insert_with(|| {
                    outputs.mean_axis(ArrayAxis(0)).expect("pairs to train on")
                });
                outcome.centred[which].push(accuracy((outputs - &*offset).view()));
            }
            let stops = stop.is_reached(&outcome.accuracies[1]);
            if due.is(number, stops || step == plan.n_steps) {
                outcome.estimated.push(step);
                anchors.push(training.rows.row(0).to_owned());
            }
            training.retain(&[!stops]);
        },
    )?;
    let anchors = stacked(anchors.iter().map(|w| w.view()))?;
    let dynamics = vec![settings.sampling.dynamics(settings.nbeta)?; anchors.nrows()];
    let label = format!("chains of transformer {seed}");
    let sampling = &settings.sampling;
    let found = chains(
        &label,
        &target,
        anchors.view(),
        &dynamics,
        sampling,
        seed << 32,
    )?;
    outcome.llcs = found.all()?;
    Ok(outcome)
}

impl Outcome {
    /// The first step from which on a curve stays above `level`.
    fn reaches(&self, curve: &[f64], level: f64) -> Option<u64> {
        let at = curve
            .iter()
            .rposition(|&a| !(a >= level))
            .map_or(0, |i| i + 1);
        self.steps.get(at).copied()
    }

    fn peak(&self) -> (u64, &Llc) {
        let all = self.estimated.iter().copied().zip(&self.llcs);
        all.max_by(|a, b| a.1.mean.total_cmp(&b.1.mean))
            .expect("the last checkpoint has an estimate")
    }

    fn last(&self) -> &Llc {
        &self.llcs[self.llcs.len() - 1]
    }
}

/// The mean over seeds, if all of them have the number.
fn mean_step(steps: &[Option<u64>]) -> f64 {
    let known: Option<Vec<u64>> = steps.iter().copied().collect();
    known.map_or(f64::NAN, |steps| {
        steps.iter().sum::<u64>() as f64 / steps.len() as f64
    })
}

pub fn obtained(settings: &Transformer, outcomes: &[Outcome]) -> anyhow::Result<Vec<Obtained>> {
    let n = outcomes.len() as f64;
    let steps = |of: &dyn Fn(&Outcome) -> Option<u64>| outcomes.iter().map(of).collect::<Vec<_>>();
    let raw = steps(&|o| o.reaches(&o.accuracies[1], LEARNT));
    let centred = steps(&|o| o.reaches(&o.centred[1], LEARNT));
    let shown = |steps: &[Option<u64>]| {
        let one = |step: &Option<u64>| step.map_or("never".into(), |step| step.to_string());
        steps.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let falls: Vec<(f64, f64)> = outcomes
        .iter()
        .map(|o| {
            let fall = o.peak().1.mean - o.last().mean;
            (fall, std::f64::consts::SQRT_2 * chain_error(&o.llcs))
        })
        .collect();
    let squares = falls.iter().map(|f| f.1 * f.1).sum::<f64>();
    let course = |o: &Outcome| {
        let (step, peak) = o.peak();
        let (first, last) = (&o.llcs[0], o.last());
        format!(
            "{:.1}, {:.1} at step {step}, {:.1}",
            first.mean, peak.mean, last.mean
        )
    };
    let courses: Vec<String> = outcomes.iter().map(course).collect();
    // at all checkpoints of all seeds
    let gap = |o: &Outcome| {
        let pairs = o.centred[0].iter().zip(&o.accuracies[0]);
        pairs.map(|(c, a)| c - a).fold(0.0, f64::max)
    };
    let row = |id: &str, value: f64, mcse, reference, verdict, note: String| Obtained {
        id: id.into(),
        value,
        mcse,
        reference,
        verdict,
        note,
    };
    let size = format!(
        "ours: {} parameters, theirs 818 688",
        settings.targets()?[0].n_params()
    );
    Ok(vec![
        row(
            "transformer-fall",
            falls.iter().map(|f| f.0).sum::<f64>() / n,
            Some(squares.sqrt() / n),
            None,
            Verdict::of_claim(falls.iter().all(|f| f.0 > 3.0 * f.1)),
            format!(
                "{size}. In each seed by more than three errors, of the spread of the chains. λ̂ at the first estimate, its largest, at the end: {}",
                courses.join("; ")
            ),
        ),
        row(
            "transformer-late",
            mean_step(&raw),
            None,
            None,
            Verdict::NotComparable,
            format!("{size}. Seeds: {}", shown(&raw)),
        ),
        row(
            "transformer-centred",
            mean_step(&centred),
            None,
            Some((mean_step(&raw), "of the outputs as they are".into()))
                .filter(|(step, _)| step.is_finite()),
            Verdict::NotComparable,
            format!(
                "seeds: {}. All training pairs are known from steps {} on, of the outputs as they are from {} on",
                shown(&centred),
                shown(&steps(&|o| o.reaches(&o.centred[0], 1.0))),
                shown(&steps(&|o| o.reaches(&o.accuracies[0], 1.0)))
            ),
        ),
        row(
            "transformer-offset",
            outcomes.iter().map(gap).sum::<f64>() / n,
            None,
            None,
            Verdict::NotComparable,
            "mean over seeds of the largest over training".into(),
        ),
    ])
}

pub fn section(
    store: &Store,
    settings: &Transformer,
    outcomes: &[Outcome],
) -> anyhow::Result<Section> {
    let first = outcomes.first().context("a seed")?;
    let floats = |steps: &[u64]| steps.iter().map(|&s| s as f64).collect::<Vec<_>>();
    let panel = |title: &str, y: Axis, layers: Vec<Layer>| Panel {
        title: title.into(),
        x: Axis::log("training step"),
        y,
        layers,
        legend: Legend::Above,
    };
    let theirs = |of: fn(&(f64, f64, f64, f64)) -> f64| {
        let column = |of: fn(&(f64, f64, f64, f64)) -> f64| TRANSFORMER.iter().map(of).collect();
        let steps: Vec<f64> = column(|c| c.0);
        Layer::line(steps, column(of)).colour(Colour::Grey)
    };
    let x = floats(&first.steps);
    let both = |curves: &[Vec<f64>; 2], label: &str, colour| {
        [
            Layer::line(x.clone(), curves[0].clone())
                .dashed()
                .colour(colour),
            Layer::line(x.clone(), curves[1].clone())
                .label(label)
                .colour(colour),
        ]
    };
    let mut accuracy = both(&first.accuracies, "of the outputs", Colour::Vermillion).to_vec();
    accuracy.extend(both(&first.centred, "less their mean", Colour::Blue));
    accuracy.push(theirs(|c| c.1).dashed());
    accuracy.push(theirs(|c| c.2).label("theirs"));
    let mut estimates = Vec::new();
    for outcome in outcomes {
        let means: Vec<f64> = outcome.llcs.iter().map(|llc| llc.mean).collect();
        let errors = vec![chain_error(&outcome.llcs); means.len()];
        let x = floats(&outcome.estimated);
        estimates.push(Layer::line(x.clone(), means.clone()).colour(Colour::Blue));
        estimates.push(Layer::points_with_errors(x, means, errors).colour(Colour::Blue));
    }
    estimates.push(theirs(|c| c.3).label("theirs"));
    Figure {
        title: String::new(),
        columns: 3,
        size: Figure::grid_size(3, 3),
        panels: vec![
            panel(
                "Loss",
                Axis::log("loss"),
                both(&first.losses, "ours", Colour::Blue).to_vec(),
            ),
            panel("Accuracy", Axis::linear("accuracy"), accuracy),
            panel("Estimate", Axis::linear("λ̂"), estimates),
        ],
    }
    .write(&store.figures(), "transformer")?;
    let sampling = &settings.sampling;
    let (rate, decay) = rates(settings.plan.optimiser);
    Ok(Section {
        heading: "11. A transformer".into(),
        text: vec![format!(
            "p = {}, {} layers of width {} with {} heads and {} hidden units, {} seeds, at most {} steps up to the early stop, learning rate {rate:e}, weight decay {decay:e}; {} chains of {} steps around \
             the first checkpoint, every {} steps, around each whose number is at least {} times that of the last with an estimate, and around the last.",
            settings.task.modulus,
            settings.n_layers,
            settings.width,
            settings.n_heads,
            settings.task.n_hidden,
            outcomes.len(),
            settings.plan.n_steps,
            sampling.n_chains,
            sampling.n_steps,
            settings.plan.checkpoint_every,
            settings.estimate_growth
        )],
        figures: vec![FigureRef {
            name: "transformer".into(),
            caption: "Dashed: on the pairs to train on; solid: on the others. Losses and accuracies of the first seed, estimates of all; the authors' record (grey) is of a larger network, \
                      or the same where the profile is theirs.".into(),
            alt: "Losses, accuracies with and without the mean output, and estimates over training".into(),
        }],
        ..Section::default()
    })
}
