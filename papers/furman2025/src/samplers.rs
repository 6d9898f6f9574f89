//! Learning coefficients at scale: six samplers on the published benchmark of deep linear networks, each over a ladder of step sizes, at equal numbers of gradients.
//! `papers/hitchcock2025` has the published settings and slt's automatic ones.

use anyhow::Context;
use ndarray::Axis as ArrayAxis;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store, Verdict,
    together,
};
use slt_sampler::targets::BenchmarkClass;
use slt_sampler::{Dynamics, Llc, LlcError, Points, default_nbeta, estimate};
use slt_stats::quantile;
use slt_theory::DeepLinear;

use crate::exact;
use crate::settings::{Benchmark, Sampler};

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
}

#[derive(Serialize)]
struct Config<'a> {
    class: BenchmarkClass,
    seed: u64,
    stream: u64,
    samplers: &'a [Sampler],
    sampling: &'a slt_sampler::Sampling,
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
    Ok(Networks {
        settings,
        outcomes: together(0..settings.n_networks, cell)?,
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
        plan.kernel = sampler.kernel;
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

#[cfg(test)]
mod tests {
    use super::*;
    use slt_sampler::Kernel;

    /// Three networks, two samplers: medians by hand, and a step at which two of three diverged is none.
    #[test]
    fn the_best_step_has_the_least_median() {
        let sampler = |name: &str| Sampler {
            name: name.into(),
            kernel: Kernel::Sgld,
            steps: vec![1.0, 2.0],
        };
        let settings = Benchmark {
            class: BenchmarkClass::OneThousand,
            seed: 1,
            n_networks: 3,
            samplers: vec![sampler("a"), sampler("b")],
            sampling: slt_sampler::Sampling {
                kernel: Kernel::Sgld,
                step_size: 1.0,
                gamma: 1.0,
                n_steps: 20,
                burn_in: 0,
                thin: 1,
                n_chains: 1,
                batch_size: None,
                seed: 1,
            },
        };
        let found = |ratio: f64| {
            Some(Found {
                ratio,
                cost: 10.0 * ratio,
            })
        };
        let outcome = |a: f64, b: f64, c: Option<Found>| Outcome {
            n_params: 1,
            lambda: 1.0,
            half_rank: 1.0,
            found: vec![vec![found(a), found(b)], vec![found(0.5), c]],
        };
        let networks = Networks {
            settings: &settings,
            outcomes: vec![
                outcome(1.5, 0.9, None),
                outcome(1.4, 0.8, None),
                outcome(0.9, 1.3, found(1.0)),
            ],
        };
        let best = networks.best(0).expect("a best step");
        assert_eq!(best.step, 2.0);
        assert!((best.error - 0.2).abs() < 1e-15 && (best.bias + 0.1).abs() < 1e-15);
        assert!((best.cost - 9.0).abs() < 1e-14);
        assert_eq!(networks.best(1).expect("a best step").step, 1.0);
        assert_eq!(networks.ranking()[0].0.name, "a");
    }
}
