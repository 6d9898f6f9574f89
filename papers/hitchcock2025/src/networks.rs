//! Networks of the benchmark: exact λ, the published samplers, and slt's own settings.

use std::cmp::Ordering;

use anyhow::Context;
use ndarray::{ArrayView1, Axis};
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis as PlotAxis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section,
    Store, Verdict, together,
};
use slt_sampler::targets::{BenchmarkClass, BenchmarkNetwork, DeepLinear as Loss};
use slt_sampler::{
    Llc, Points, Request, Sampling, Target, Unlocalised, default_nbeta, estimate, natural_gamma,
    unlocalised,
};
use slt_stats::{quantile, rank_correlation};
use slt_theory::DeepLinear;

use crate::settings::{Automatic, Class};

/// Samples that are drawn and kept; above, the expected loss poses as theirs.
const MOST_SAMPLES: usize = 100_000;
/// What is asked of the published samplers: median of `|λ̂/λ - 1|`.
const AGREES: f64 = 0.1;
/// What is asked of our own settings: median and worst.
const OURS: [f64; 2] = [0.03, 0.1];

/// What is recorded of a network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub widths: Vec<usize>,
    pub layer_ranks: Vec<usize>,
    pub n_params: usize,
    /// Aoyagi's pair for the widths and the rank of the product.
    pub lambda: f64,
    pub multiplicity: u32,
    /// Half the rank of the Jacobian at the parameters: the learning coefficient there is no less.
    pub half_rank: f64,
    pub nbeta: f64,
    pub sgld: Estimate,
    pub rmsprop: Option<Estimate>,
    pub mala: Option<Estimate>,
}

/// An estimate by published settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Estimate {
    /// None where every chain diverged.
    pub llc: Option<Llc>,
    pub acceptance: Option<f64>,
}

/// All networks of a class.
#[derive(Debug, Clone)]
pub struct Networks {
    pub settings: Class,
    pub published: Vec<Outcome>,
    /// Of the first of them.
    pub automatic: Vec<Unlocalised>,
}

#[derive(Serialize)]
struct Published<'a> {
    class: BenchmarkClass,
    seed: u64,
    stream: u64,
    sgld: &'a Sampling,
    rmsprop: &'a Option<Sampling>,
    mala: &'a Option<Sampling>,
}

#[derive(Serialize)]
struct Own {
    class: BenchmarkClass,
    seed: u64,
    stream: u64,
    automatic: Automatic,
}

pub fn name(class: BenchmarkClass) -> &'static str {
    match class {
        BenchmarkClass::OneThousand => "1K",
        BenchmarkClass::TenThousand => "10K",
        BenchmarkClass::HundredThousand => "100K",
        BenchmarkClass::OneMillion => "1M",
    }
}

/// Aoyagi's pair, as a family of which more is known.
pub fn family(network: &BenchmarkNetwork) -> anyhow::Result<DeepLinear> {
    let widths: Vec<u32> = network.widths.iter().map(|&w| w as u32).collect();
    Ok(DeepLinear::new(&widths, network.rank() as u32)?)
}

pub fn run(store: &Store, classes: &[Class]) -> anyhow::Result<Vec<Networks>> {
    classes
        .iter()
        .map(|class| run_class(store, class))
        .collect()
}

fn run_class(store: &Store, settings: &Class) -> anyhow::Result<Networks> {
    let (class, seed) = (settings.class, settings.seed);
    let published = together(0..settings.n_networks, |stream| {
        let config = Published {
            class,
            seed,
            stream,
            sgld: &settings.sgld,
            rmsprop: &settings.rmsprop,
            mala: &settings.mala,
        };
        let kind = format!("published-{}", name(class));
        Ok(store
            .cell(&kind, &config, "host", || compute(&config))?
            .result)
    })?;
    let own = settings.automatic.into_iter();
    let own = own.flat_map(|own| (0..own.n_networks).map(move |stream| (own, stream)));
    let automatic = together(own, |(automatic, stream)| {
        let config = Own {
            class,
            seed,
            stream,
            automatic,
        };
        let kind = format!("automatic-{}", name(class));
        Ok(store
            .cell(&kind, &config, "host", || compute_own(&config))?
            .result)
    })?;
    Ok(Networks {
        settings: settings.clone(),
        published,
        automatic,
    })
}

fn compute(config: &Published) -> anyhow::Result<Outcome> {
    let network = config.class.draw(config.seed, config.stream)?;
    let family = family(&network)?;
    let pair = family.learning_coefficient();
    let layer_ranks: Vec<u32> = network.layer_ranks.iter().map(|&r| r as u32).collect();
    let rank = family.jacobian_rank_in_general_position(&layer_ranks)?;
    let n = config.class.n_samples();
    let nbeta = default_nbeta(n)?;
    let target = if n <= MOST_SAMPLES {
        network.sampled_target(n, config.seed, config.stream)
    } else {
        network.expected_target(n)
    };
    let label = format!("{} network {}", name(config.class), config.stream);
    // `group` keeps the noise of one kernel from that of another
    let estimate = |sampling: &Sampling, group: u64| {
        sample(
            &target,
            network.w.view(),
            sampling,
            (nbeta, group << 32),
            &label,
        )
    };
    let optional = |sampling: &Option<Sampling>, group| {
        let sampling = sampling.as_ref();
        sampling
            .map(|sampling| estimate(sampling, group))
            .transpose()
    };
    Ok(Outcome {
        n_params: network.w.len(),
        lambda: pair.lambda_f64(),
        multiplicity: pair.multiplicity(),
        half_rank: 0.5 * rank as f64,
        nbeta,
        sgld: estimate(config.sgld, 0)?,
        rmsprop: optional(config.rmsprop, 1)?,
        mala: optional(config.mala, 2)?,
        widths: network.widths,
        layer_ranks: network.layer_ranks,
    })
}

fn sample(
    target: &Loss,
    anchor: ArrayView1<f64>,
    sampling: &Sampling,
    (nbeta, from_stream): (f64, u64),
    label: &str,
) -> anyhow::Result<Estimate> {
    let plan = sampling.plan(target.n_samples())?;
    let n_chains = sampling.n_chains;
    let progress = Progress::start(label, (n_chains * plan.schedule.n_steps()) as u64);
    let points = Points {
        anchors: anchor.insert_axis(Axis(0)),
        dynamics: &[sampling.dynamics(nbeta)?],
        n_chains,
        from_stream,
    };
    let found = estimate(target, &points, &plan, None, &|n| progress.inc(n))?;
    let acceptance = found.draws.acceptance.as_ref();
    Ok(Estimate {
        acceptance: acceptance.map(|a| a.iter().sum::<f64>() / a.len() as f64),
        llc: found.all().map(|mut llcs| llcs.remove(0)).ok(),
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
    let label = format!(
        "{} network {}, automatic",
        name(config.class),
        config.stream
    );
    slt_report::progress::say(&label);
    Ok(unlocalised(&target, network.w.view(), &request, &|_| ())?)
}

impl Networks {
    /// (λ, λ̂, its error) by a published sampler, where chains did not diverge.
    fn by(&self, sampler: impl Fn(&Outcome) -> Option<&Estimate>) -> Vec<[f64; 3]> {
        let of = |outcome: &Outcome| {
            let llc = sampler(outcome)?.llc.as_ref()?;
            Some([outcome.lambda, llc.mean, llc.mcse])
        };
        self.published.iter().filter_map(of).collect()
    }

    fn automatic(&self) -> Vec<[f64; 3]> {
        let pairs = self.published.iter().zip(&self.automatic);
        pairs
            .map(|(o, own)| [o.lambda, own.mean, own.mcse])
            .collect()
    }

    /// Automatic settings at the stronger (0) or the weaker (1) of the two localisations.
    fn localised(&self, which: usize) -> Vec<[f64; 3]> {
        let pairs = self.published.iter().zip(&self.automatic);
        pairs
            .map(|(o, own)| {
                let llc = &own.at[which].llc;
                [o.lambda, llc.mean, llc.mcse]
            })
            .collect()
    }

    fn samplers(&self) -> [(&'static str, &'static str, Vec<[f64; 3]>); 4] {
        [
            ("sgld", "SGLD", self.by(|o| Some(&o.sgld))),
            ("rmsprop", "RMSProp-SGLD", self.by(|o| o.rmsprop.as_ref())),
            ("mala", "MALA", self.by(|o| o.mala.as_ref())),
            ("automatic", "slt, automatic", self.automatic()),
        ]
    }
}

/// Median and worst of `|λ̂/λ - 1|`; none of nothing.
fn errors(points: &[[f64; 3]]) -> Option<[f64; 2]> {
    let off: Vec<f64> = points.iter().map(|[l, e, _]| (e / l - 1.0).abs()).collect();
    let median = quantile(&off, 0.5).ok()?;
    Some([median, off.iter().copied().fold(0.0, f64::max)])
}

/// How many of the networks have the ratio, and the median of its distance from 1.
fn median_off<'a>(
    outcomes: impl Iterator<Item = &'a Outcome>,
    ratio: impl Fn(&Outcome) -> Option<f64>,
) -> (usize, f64) {
    let off: Vec<f64> = outcomes
        .filter_map(|o| Some((ratio(o)? - 1.0).abs()))
        .collect();
    (off.len(), quantile(&off, 0.5).unwrap_or(f64::NAN))
}

pub fn obtained(classes: &[Networks]) -> Vec<Obtained> {
    let mut rows = Vec::new();
    let known = [
        BenchmarkClass::OneThousand,
        BenchmarkClass::TenThousand,
        BenchmarkClass::HundredThousand,
        BenchmarkClass::OneMillion,
    ];
    for class in known {
        let found = classes.iter().find(|c| c.settings.class == class);
        let ids: &[&str] = match class {
            BenchmarkClass::OneThousand | BenchmarkClass::TenThousand => {
                &["sgld", "rmsprop", "mala", "automatic"]
            }
            BenchmarkClass::HundredThousand => &["sgld", "automatic"],
            BenchmarkClass::OneMillion => &["sgld"],
        };
        for id in ids {
            let points = found.map_or_else(Vec::new, |networks| {
                let mut samplers = networks.samplers().into_iter();
                samplers.find(|s| s.0 == *id).expect("a sampler").2
            });
            rows.push(error_row(&format!("{}-{id}", name(class)), &points));
        }
    }
    let all = || classes.iter().flat_map(|c| &c.published);
    let sgld: Vec<[f64; 3]> = classes
        .iter()
        .flat_map(|c| c.by(|o| Some(&o.sgld)))
        .collect();
    let of = |k: usize| sgld.iter().map(|p| p[k]).collect::<Vec<_>>();
    let order = rank_correlation(&of(0), &of(1)).map_or(f64::NAN, |found| found.rho);
    let row = |id: &str, value: f64, reference, verdict, note: String| Obtained {
        id: id.into(),
        value,
        mcse: None,
        reference,
        verdict,
        note,
    };
    let accepted: Vec<f64> = all().filter_map(|o| o.mala.as_ref()?.acceptance).collect();
    let mean = accepted.iter().sum::<f64>() / accepted.len() as f64; // NaN without MALA
    let range = [0.05, 0.95].map(|p| quantile(&accepted, p).unwrap_or(f64::NAN));
    let n = all().count();
    let n_diverged = all().filter(|o| o.sgld.llc.is_none()).count();
    let share = n_diverged as f64 / n as f64;
    let possible = all().filter(|o| o.half_rank <= o.lambda).count();
    rows.extend([
        row(
            "order",
            order,
            None,
            Verdict::of_claim(order >= 0.9),
            format!("{} networks", sgld.len()),
        ),
        row(
            "mala-acceptance",
            mean,
            None,
            match mean.is_nan() {
                true => Verdict::NotComparable,
                false => Verdict::of_claim((0.86..=0.93).contains(&mean)),
            },
            format!(
                "mean over {} networks; nine tenths of them lie between {:.2} and {:.2}",
                accepted.len(),
                range[0],
                range[1]
            ),
        ),
        row(
            "diverged",
            share,
            None,
            Verdict::NotComparable,
            format!("{n_diverged} of {n}; which of the published runs diverged is not said"),
        ),
        row(
            "truth",
            possible as f64 / n as f64,
            None,
            Verdict::of_claim(possible == n),
            format!(
                "at the other {} networks half the rank of the Jacobian, below which no learning coefficient there can be, is more than \
                 λ: theirs is the least over all parameters of the same function",
                n - possible
            ),
        ),
    ]);
    rows
}

fn error_row(id: &str, points: &[[f64; 3]]) -> Obtained {
    let own = id.ends_with("automatic");
    let of = |[median, worst]: [f64; 2]| {
        let fine = if own {
            median <= OURS[0] && worst <= OURS[1]
        } else {
            median <= AGREES
        };
        (
            median,
            Verdict::of_claim(fine),
            format!("{} networks, worst {worst:.3}", points.len()),
        )
    };
    let (value, verdict, note) = errors(points).map_or_else(
        || {
            (
                f64::NAN,
                Verdict::NotComparable,
                "not run in this profile".to_owned(),
            )
        },
        of,
    );
    Obtained {
        id: id.into(),
        value,
        mcse: None,
        reference: None,
        verdict,
        note,
    }
}

pub fn section(store: &Store, classes: &[Networks]) -> anyhow::Result<Section> {
    let samplers: Vec<_> = classes.iter().map(Networks::samplers).collect();
    let every = samplers.iter().flatten().flat_map(|s| &s.2);
    let (least, most) = every.fold((f64::INFINITY, 0.0f64), |(low, high), [l, e, _]| {
        (low.min(*l).min(*e), high.max(*l).max(*e))
    });
    let (least, most) = (0.8 * least, 1.25 * most);
    let panel = |k: usize| {
        let mut layers = vec![
            Layer::line([least, most], [least, most])
                .colour(Colour::Grey)
                .label("λ̂ = λ"),
        ];
        for (i, networks) in classes.iter().enumerate() {
            let points = &samplers[i][k].2;
            if !points.is_empty() {
                let column = |j: usize| points.iter().map(|p| p[j]).collect::<Vec<_>>();
                let layer = Layer::points_with_errors(column(0), column(1), column(2));
                layers.push(
                    layer
                        .colour(Colour::cycle(i))
                        .label(name(networks.settings.class)),
                );
            }
        }
        Panel {
            title: samplers[0][k].1.into(),
            x: PlotAxis::log("λ, exact").range(least, most),
            y: PlotAxis::log("λ̂").range(least, most),
            layers,
            legend: Legend::Auto,
        }
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: (800, 800),
        panels: (0..4).map(panel).collect(),
    }
    .write(&store.figures(), "estimates")?;
    Ok(Section {
        heading: "1. λ̂ against λ".into(),
        text: classes.iter().flat_map(describe).collect(),
        figures: vec![FigureRef {
            name: "estimates".into(),
            caption: "λ̂ ± its standard error against the exact λ, at the true parameters of random deep linear networks: SGLD, \
                      RMSProp-SGLD and MALA with the published settings, and slt's automatic ones."
                .into(),
            alt: "Four scatter plots on logarithmic axes: the published samplers spread above and below the diagonal, the last lies on it"
                .into(),
        }],
        ..Section::default()
    })
}

/// The numbers of a class: errors of each sampler, and where they come from.
fn describe(networks: &Networks) -> Vec<String> {
    let class = name(networks.settings.class);
    let mut text = Vec::new();
    for (_, sampler, points) in networks.samplers() {
        if let Some([median, worst]) = errors(&points) {
            text.push(format!(
                "{class}, {sampler}: median |λ̂/λ - 1| {median:.4}, worst {worst:.3}, over {} networks.",
                points.len()
            ));
        }
    }
    let mean = |estimate: &Estimate| Some(estimate.llc.as_ref()?.mean);
    let mala = |o: &Outcome| mean(o.mala.as_ref()?);
    let all = || networks.published.iter();
    let (n, step) = median_off(all(), |o| Some(mean(&o.sgld)? / mala(o)?));
    if n > 0 {
        let group = |order: Ordering| {
            let of = all().filter(move |o| o.half_rank.total_cmp(&o.lambda) == order);
            let (n, median) = median_off(of, |o| Some(mala(o)? / o.lambda));
            match n {
                0 => "unknown, at none of the networks,".into(),
                _ => format!("{median:.3} at {n} of the networks,"),
            }
        };
        text.push(format!(
            "{class}, where the published estimates are off. Step and minibatch: SGLD over MALA at the same step and length, median distance from 1 \
             {step:.3}. All else: MALA's median |λ̂/λ - 1| is {} where half the rank of the Jacobian at w* is λ; {} where it is less, so that \
             w* is singular and the chain has no time for what a Hessian does not show; {} where it is more, so that w* is less \
             singular than the formula's λ, and the chain does not leave it.",
            group(Ordering::Equal),
            group(Ordering::Less),
            group(Ordering::Greater)
        ));
    }
    if let (Some(strong), Some(weak)) = (
        errors(&networks.localised(0)),
        errors(&networks.localised(1)),
    ) {
        let unlocalised = errors(&networks.automatic()).unwrap_or([f64::NAN; 2]);
        let n_reached = networks
            .automatic
            .iter()
            .filter(|a| a.at.iter().all(|c| c.reached));
        text.push(format!(
            "{class}, bias of the localisation at equilibrium, as median and worst of |λ̂/λ - 1|: {:.4} and {:.3} at γ = d/|w*|², {:.4} and {:.3} at \
             a third of it, {:.4} and {:.3} extrapolated to 0. {} of {} networks reached the error asked for by their own diagnostics at both.",
            strong[0],
            strong[1],
            weak[0],
            weak[1],
            unlocalised[0],
            unlocalised[1],
            n_reached.count(),
            networks.automatic.len()
        ));
    }
    text
}
