//! Learning coefficients at scale: six samplers on the published benchmark of deep linear networks, each over a ladder of step sizes, at equal numbers of gradients.

use anyhow::Context;
use ndarray::Axis as ArrayAxis;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store, Verdict,
};
use slt_sampler::targets::BenchmarkClass;
use slt_sampler::{
    Dynamics, Llc, LlcError, Points, Request, Unlocalised, default_nbeta, estimate, natural_gamma,
    unlocalised,
};
use slt_stats::quantile;
use slt_theory::DeepLinear;

use crate::exact;
use crate::settings::{Automatic, Benchmark, Sampler};

/// What is asked of the best sampler: median of `|λ̂/λ - 1|`.
const ACCURATE: f64 = 0.02;

/// What is recorded of a network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub n_params: usize,
    pub lambda: f64,
    /// Half the rank of the Jacobian at the parameters: the learning coefficient there is no less.
    pub half_rank: f64,
    /// By sampler and step; none where the chains diverged.
    pub found: Vec<Vec<Option<Found>>>,
}

/// One sampler at one step.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Found {
    /// λ̂ over λ.
    pub ratio: f64,
    /// Gradients of the whole run for each effective draw.
    pub cost: f64,
}

/// All networks of a class.
pub struct Networks<'a> {
    settings: &'a Benchmark,
    outcomes: Vec<Outcome>,
    automatic: Vec<Unlocalised>,
}

#[derive(Serialize)]
struct Config<'a> {
    class: BenchmarkClass,
    seed: u64,
    stream: u64,
    samplers: &'a [Sampler],
    sampling: &'a slt_sampler::Sampling,
}

#[derive(Serialize)]
struct Own {
    class: BenchmarkClass,
    seed: u64,
    stream: u64,
    automatic: Automatic,
}

fn name(class: BenchmarkClass) -> &'static str {
    match class {
        BenchmarkClass::OneThousand => "1K",
        BenchmarkClass::TenThousand => "10K",
        BenchmarkClass::HundredThousand => "100K",
        BenchmarkClass::OneMillion => "1M",
    }
}

pub fn run<'a>(store: &Store, settings: &'a [Benchmark]) -> anyhow::Result<Vec<Networks<'a>>> {
    settings.iter().map(|of| run_class(store, of)).collect()
}

fn run_class<'a>(store: &Store, settings: &'a Benchmark) -> anyhow::Result<Networks<'a>> {
    let (class, seed) = (settings.class, settings.seed);
    let cell = |stream| {
        let config = Config {
            class,
            seed,
            stream,
            samplers: &settings.samplers,
            sampling: &settings.sampling,
        };
        let id = format!("samplers-{}", name(class));
        Ok(store
            .cell(&id, &config, "host", || compute(&config))?
            .result)
    };
    let outcomes: anyhow::Result<Vec<Outcome>> = (0..settings.n_networks).map(cell).collect();
    let own = |automatic: &Automatic, stream| {
        let config = Own {
            class,
            seed,
            stream,
            automatic: *automatic,
        };
        let id = format!("automatic-{}", name(class));
        Ok(store
            .cell(&id, &config, "host", || compute_own(&config))?
            .result)
    };
    let automatic: anyhow::Result<Vec<Unlocalised>> = match &settings.automatic {
        Some(of) => (0..of.n_networks).map(|stream| own(of, stream)).collect(),
        None => Ok(Vec::new()),
    };
    Ok(Networks {
        settings,
        outcomes: outcomes?,
        automatic: automatic?,
    })
}

fn compute(config: &Config) -> anyhow::Result<Outcome> {
    let network = config.class.draw(config.seed, config.stream)?;
    let widths: Vec<u32> = network.widths.iter().map(|&w| w as u32).collect();
    let ranks: Vec<u32> = network.layer_ranks.iter().map(|&r| r as u32).collect();
    let family = DeepLinear::new(&widths, network.rank() as u32)?;
    let lambda = family.learning_coefficient().lambda_f64();
    let n = config.class.n_samples();
    let nbeta = default_nbeta(n)?;
    let target = network.expected_target(n);
    let sampling = config.sampling;
    let mut found = Vec::new();
    for (k, sampler) in config.samplers.iter().enumerate() {
        let mut plan = sampling.plan(n)?;
        (plan.kernel, plan.block) = (sampler.kernel, 2);
        let dynamics = Dynamics::grid(&sampler.steps, &[sampling.gamma], &[nbeta])?;
        let anchor = network.w.view().insert_axis(ArrayAxis(0));
        let points = Points {
            anchors: anchor
                .broadcast((dynamics.len(), network.w.len()))
                .context("rows")?,
            dynamics: &dynamics,
            n_chains: sampling.n_chains,
            from_stream: (k as u64) << 32,
        };
        let n_steps = plan.schedule.n_steps();
        let label = format!(
            "{}, {} network {}",
            sampler.name,
            name(config.class),
            config.stream
        );
        let progress = Progress::start(
            &label,
            (dynamics.len() * sampling.n_chains * n_steps) as u64,
        );
        let all = estimate(&target, &points, &plan, None, &|n| progress.inc(n))?;
        let gradients = sampler.kernel.n_gradients() * (sampling.n_chains * n_steps) as u64;
        let of = |llc: &Result<Llc, LlcError>| {
            let llc = llc.as_ref().ok()?;
            let found = Found {
                ratio: llc.mean / lambda,
                cost: gradients as f64 / llc.ess,
            };
            Some(found).filter(|f| llc.n_diverged == 0 && f.ratio.is_finite() && f.cost.is_finite())
        };
        found.push(all.llcs.iter().map(of).collect());
    }
    Ok(Outcome {
        n_params: network.w.len(),
        lambda,
        half_rank: 0.5 * family.jacobian_rank_in_general_position(&ranks)? as f64,
        found,
    })
}

/// The loss is that of the expected inputs, in single precision: both are far below the error asked for.
fn compute_own(config: &Own) -> anyhow::Result<Unlocalised> {
    let network = config.class.draw(config.seed, config.stream)?;
    let n = config.class.n_samples();
    let target = network.expected_target(n).single_precision();
    let gamma = natural_gamma(network.w.view()).context("the parameters are all zero")?;
    let own = &config.automatic;
    let request = Request {
        relative_error: own.relative_error,
        max_gradients: own.max_gradients,
        ..Request::new(default_nbeta(n)?, gamma, own.seed)
    };
    slt_report::progress::say(&format!(
        "automatic settings, {} network {}",
        name(config.class),
        config.stream
    ));
    Ok(unlocalised(&target, network.w.view(), &request, &|_| ())?)
}

/// The best step of a sampler, and medians over networks there.
struct Best {
    step: f64,
    /// Of `|λ̂/λ - 1|`, of `λ̂/λ - 1`, and of the cost.
    error: f64,
    bias: f64,
    cost: f64,
}

impl Networks<'_> {
    /// The median over networks of a function at each step; none where half of them or more diverged.
    fn medians(&self, sampler: usize, f: impl Fn(&Found) -> f64) -> Vec<Option<f64>> {
        let at = |step: usize| {
            let of = |o: &Outcome| o.found[sampler][step].as_ref().map(&f);
            let values: Vec<f64> = self.outcomes.iter().filter_map(of).collect();
            let enough = 2 * values.len() > self.outcomes.len();
            enough.then(|| quantile(&values, 0.5).ok()).flatten()
        };
        (0..self.settings.samplers[sampler].steps.len())
            .map(at)
            .collect()
    }

    fn best(&self, sampler: usize) -> Option<Best> {
        let errors = self.medians(sampler, |f| (f.ratio - 1.0).abs());
        let finite = errors
            .iter()
            .enumerate()
            .filter_map(|(i, e)| Some((i, (*e)?)));
        let (at, error) = finite.min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Best {
            step: self.settings.samplers[sampler].steps[at],
            error,
            bias: self.medians(sampler, |f| f.ratio - 1.0)[at]?,
            cost: self.medians(sampler, |f| f.cost)[at]?,
        })
    }

    /// Samplers with their best steps, the most accurate first.
    fn ranking(&self) -> Vec<(&Sampler, Best)> {
        let samplers = self.settings.samplers.iter().enumerate();
        let mut all: Vec<_> = samplers
            .filter_map(|(k, s)| Some((s, self.best(k)?)))
            .collect();
        all.sort_by(|a, b| a.1.error.total_cmp(&b.1.error));
        all
    }
}

pub fn obtained(classes: &[Networks]) -> Vec<Obtained> {
    let mut rows = Vec::new();
    for (class, which) in [
        (BenchmarkClass::OneThousand, "1K"),
        (BenchmarkClass::TenThousand, "10K"),
    ] {
        let found = classes.iter().find(|c| c.settings.class == class);
        let ranking = found.map_or_else(Vec::new, Networks::ranking);
        let id = format!("ranking-{which}");
        let rmsprop = ranking.iter().find(|(s, _)| s.name == "RMSProp-SGLD");
        rows.push(match (found, rmsprop) {
            (Some(networks), Some((_, rmsprop))) => {
                let shown: Vec<String> = ranking
                    .iter()
                    .map(|(s, b)| {
                        format!(
                            "{} {:.3} (bias {:+.3}, {:.0} gradients a draw, ε = {:.0e})",
                            s.name, b.error, b.bias, b.cost, b.step
                        )
                    })
                    .collect();
                let first = &ranking[0].0.name;
                Obtained {
                    reference: Some((ranking[0].1.error, format!("ours, {first}"))),
                    ..exact::claim(
                        &id,
                        rmsprop.error,
                        *first == "RMSProp-SGLD",
                        format!(
                            "{} networks, each sampler at its best step: {}",
                            networks.outcomes.len(),
                            shown.join("; ")
                        ),
                    )
                }
            }
            _ => exact::missing(id),
        });
        let id = format!("automatic-{which}");
        let off: Vec<f64> = found.map_or_else(Vec::new, |networks| {
            let pairs = networks.outcomes.iter().zip(&networks.automatic);
            pairs
                .map(|(o, own)| (own.mean / o.lambda - 1.0).abs())
                .collect()
        });
        rows.push(match (found, quantile(&off, 0.5)) {
            (Some(networks), Ok(median)) => {
                let gradients: Vec<f64> = networks
                    .automatic
                    .iter()
                    .map(|own| own.at.iter().map(|c| c.n_gradients as f64).sum())
                    .collect();
                exact::claim(
                    &id,
                    median,
                    median <= ACCURATE,
                    format!(
                        "{} networks, worst {:.3}; {:.1e} gradients each, median",
                        off.len(),
                        off.iter().copied().fold(0.0, f64::max),
                        quantile(&gradients, 0.5).unwrap_or(f64::NAN)
                    ),
                )
            }
            _ => exact::missing(id),
        });
    }
    let all = || classes.iter().flat_map(|c| &c.outcomes);
    let higher = all().filter(|o| o.half_rank > o.lambda).count();
    let n = all().count();
    rows.push(Obtained {
        verdict: Verdict::NotComparable,
        ..exact::claim(
            "benchmark-local",
            higher as f64 / n as f64,
            true,
            format!(
                "{higher} of {n} networks of {} to {} parameters: λ of the benchmark is the least over all parameters of the same function",
                all().map(|o| o.n_params).min().unwrap_or(0),
                all().map(|o| o.n_params).max().unwrap_or(0)
            ),
        )
    });
    rows
}

pub fn section(store: &Store, classes: &[Networks]) -> anyhow::Result<Section> {
    let mut panels = Vec::new();
    for networks in classes {
        let mut layers = Vec::new();
        for (k, sampler) in networks.settings.samplers.iter().enumerate() {
            let errors = networks.medians(k, |f| (f.ratio - 1.0).abs());
            let pairs = sampler.steps.iter().zip(errors);
            let (x, y): (Vec<f64>, Vec<f64>) = pairs
                .filter_map(|(&step, error)| Some((step, error?)))
                .unzip();
            layers.push(Layer::line(x.clone(), y.clone()).label(&sampler.name));
            layers.push(Layer::points(x, y).label(&sampler.name));
        }
        panels.push(Panel {
            title: format!(
                "{} parameters, {} networks",
                name(networks.settings.class),
                networks.outcomes.len()
            ),
            x: Axis::log("step size ε"),
            y: Axis::log("median |λ̂/λ - 1|"),
            layers,
            legend: Legend::Above,
        });
    }
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(panels.len(), 2),
        panels,
    }
    .write(&store.figures(), "samplers")?;
    let text = classes.iter().map(|networks| {
        let s = &networks.settings.sampling;
        format!(
            "{}: {} networks, {} chains of {} steps of which {} are dropped, γ = {}, full batches.",
            name(networks.settings.class),
            networks.outcomes.len(),
            s.n_chains,
            s.n_steps,
            s.burn_in,
            s.gamma
        )
    });
    Ok(Section {
        heading: "10. Samplers at scale".into(),
        text: text.collect(),
        figures: vec![FigureRef {
            name: "samplers".into(),
            caption: "Median error of λ̂ over networks against the step size, for six samplers with the same number of steps.".into(),
            alt: "Curves with a least value each".into(),
        }],
        ..Section::default()
    })
}
