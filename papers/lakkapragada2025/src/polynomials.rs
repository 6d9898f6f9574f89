//! Polynomial regressors: a regular model, of which the localised estimate is known exactly.

use ndarray::{Array1, Array2, Axis as ArrayAxis};
use ndarray_linalg::{QR, SVD};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
    Verdict, together,
};
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::targets::Quadratic;
use slt_sampler::{Points, default_nbeta, estimate};
use slt_stats::{Estimate, Outcome as Test, ZTest};
use slt_theory::LocalisedGaussian;

use crate::settings::Polynomials;

/// What is recorded of one degree on one interval.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Point {
    pub degree: usize,
    /// λ̂ of each repeat, and its exact expectation: of chains of this step and length.
    pub estimates: Vec<f64>,
    pub expected: Vec<f64>,
    /// λ̂ of every chain over its exact expectation.
    pub ratios: Vec<f64>,
    /// λ̂ of each repeat in a basis in which the polynomials are orthonormal on the samples.
    pub whitened: Vec<f64>,
    /// The exact estimate of a sampler in equilibrium at each γ, mean over the repeats.
    pub by_gamma: Vec<f64>,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: Polynomials,
    domain: &'a f64,
}

/// All degrees, by interval.
pub type Outcome = Vec<(f64, Vec<Point>)>;

pub fn run(store: &Store, settings: &Polynomials) -> anyhow::Result<Outcome> {
    let cell = |domain: &f64| {
        // a cell is one interval, whichever others there are
        let own = Polynomials {
            domains: Vec::new(),
            ..settings.clone()
        };
        let config = Config {
            settings: own,
            domain,
        };
        let compute = || compute(settings, *domain);
        Ok((
            *domain,
            store.cell("polynomials", &config, "host", compute)?.result,
        ))
    };
    settings.domains.iter().map(cell).collect()
}

fn compute(settings: &Polynomials, domain: f64) -> anyhow::Result<Vec<Point>> {
    let plan = settings.sampling.plan(settings.n_samples)?;
    let n_chains =
        2 * settings.n_repeats as usize * settings.degrees.len() * settings.sampling.n_chains;
    let label = format!("polynomials on [-{domain}, {domain}]");
    let progress = Progress::start(&label, (n_chains * plan.schedule.n_steps()) as u64);
    let point = |&degree: &usize| -> anyhow::Result<Point> {
        let mut point = Point {
            degree,
            estimates: Vec::new(),
            expected: Vec::new(),
            ratios: Vec::new(),
            whitened: Vec::new(),
            by_gamma: vec![0.0; settings.gammas.len()],
        };
        for repeat in 0..settings.n_repeats {
            point.add(settings, domain, repeat, &progress)?;
        }
        for value in &mut point.by_gamma {
            *value /= settings.n_repeats as f64;
        }
        Ok(point)
    };
    together(&settings.degrees, point)
}

impl Point {
    fn add(
        &mut self,
        settings: &Polynomials,
        domain: f64,
        repeat: u64,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let n = settings.n_samples;
        let nbeta = default_nbeta(n)?;
        let mut random = rng(settings.seed, Purpose::Data, repeat, self.degree as u64);
        let inputs = Array1::from_shape_simple_fn(n, || random.random_range(-domain..=domain));
        let truth =
            Array1::from_shape_simple_fn(self.degree + 1, || random.random_range(-1.0..=1.0));
        let design = Array2::from_shape_fn((n, self.degree + 1), |(i, j)| inputs[i].powi(j as i32));
        let (_, lengths, _) = design.svd(false, false)?;
        let eigenvalues: Vec<f64> = lengths.iter().map(|s| 2.0 * s * s / n as f64).collect();

        let sampling = &settings.sampling;
        let mut plan = sampling.plan(n)?;
        // degrees are side by side
        plan.n_threads = 1;
        let law = LocalisedGaussian::new(&eigenvalues, nbeta, sampling.gamma)?;
        let average = law
            .sgld(sampling.step_size)?
            .thinned(sampling.thin)
            .chain_average(plan.schedule.burn_in, plan.schedule.n_draws);
        let chains = |design: &Array2<f64>, minimum: &Array1<f64>, from_stream| {
            let hessian = design.t().dot(design) * (2.0 / n as f64);
            let target = Quadratic::new(hessian, minimum.clone(), 0.0, n);
            let points = Points {
                anchors: minimum.view().insert_axis(ArrayAxis(0)),
                dynamics: &[sampling.dynamics(nbeta)?],
                n_chains: sampling.n_chains,
                from_stream,
            };
            let found = estimate(&target, &points, &plan, None, &|n| progress.inc(n))?;
            Ok::<_, anyhow::Error>(found.all()?.remove(0))
        };
        // streams of their own for the chains of each data set, and in the other basis
        let data_set = (domain * 1e6) as u64 * 1_000_000 + repeat * 1000 + self.degree as u64;
        let stream = |basis: u64| (2 * data_set + basis) << 8;
        let llc = chains(&design, &truth, stream(0))?;
        self.ratios
            .extend(llc.per_chain.iter().map(|mean| mean / average.mean));
        self.estimates.push(llc.mean);
        self.expected.push(average.mean);
        let (orthonormal, _) = design.qr()?;
        let basis = orthonormal * (n as f64).sqrt();
        self.whitened
            .push(chains(&basis, &Array1::zeros(self.degree + 1), stream(1))?.mean);
        for (sum, &gamma) in self.by_gamma.iter_mut().zip(&settings.gammas) {
            *sum += LocalisedGaussian::new(&eigenvalues, nbeta, gamma)?.mean();
        }
        Ok(())
    }

    /// λ of a polynomial: it is regular.
    fn lambda(&self) -> f64 {
        (self.degree + 1) as f64 / 2.0
    }
}

pub fn obtained(settings: &Polynomials, outcome: &Outcome) -> anyhow::Result<Vec<Obtained>> {
    let shelf = |id: &str, domain: f64, theirs: f64| -> anyhow::Result<Obtained> {
        let found = outcome.iter().find(|(d, _)| *d == domain);
        let Some(point) = found.and_then(|(_, points)| points.last()) else {
            return Ok(Obtained {
                id: id.into(),
                value: f64::NAN,
                mcse: None,
                reference: None,
                verdict: Verdict::NotComparable,
                note: "not run in this profile".into(),
            });
        };
        let found = Estimate::from_replicates(&point.estimates)?;
        let expected = Estimate::from_replicates(&point.expected)?;
        // their number is read off a figure of this height
        let read = 0.03 * 4.0;
        Ok(Obtained {
            id: id.into(),
            value: found.mean,
            mcse: Some(found.mcse),
            reference: Some((expected.mean, "exact for these chains".into())),
            verdict: Verdict::of(found.mean, found.mcse, theirs, read),
            note: format!(
                "degree {}, {} repeats; a sampler in equilibrium has {:.3}. λ is {}",
                point.degree,
                found.n,
                point.by_gamma[0],
                point.lambda()
            ),
        })
    };
    let means = |points: &[Point], of: fn(&Point) -> &Vec<f64>| -> Vec<f64> {
        let mean = |p: &Point| of(p).iter().sum::<f64>() / of(p).len() as f64;
        points.iter().map(mean).collect()
    };
    let curves: Vec<Vec<f64>> = outcome
        .iter()
        .map(|(_, points)| means(points, |p| &p.estimates))
        .collect();
    let narrower = curves.windows(2).all(|pair| {
        let last = pair[0].len() - 1;
        pair[1][last] < pair[0][last]
    });
    let ratios: Vec<f64> = outcome
        .iter()
        .flat_map(|(_, points)| points.iter().flat_map(|p| p.ratios.clone()))
        .collect();
    let ratio = Estimate::from_replicates(&ratios)?;
    let test = ZTest::new(1.0, 1)?
        .with_max_relative_mcse(0.02)?
        .apply(&ratio)?;
    let whitened: Vec<f64> = outcome
        .iter()
        .flat_map(|(_, points)| points)
        .map(|p| p.whitened.iter().sum::<f64>() / p.whitened.len() as f64 / p.lambda())
        .collect();
    let whitened = Estimate::from_replicates(&whitened)?;
    let nbeta = default_nbeta(settings.n_samples)?;
    let regular = LocalisedGaussian::new(&[2.0], nbeta, settings.sampling.gamma)?;
    let exact = regular
        .sgld(settings.sampling.step_size)?
        .thinned(settings.sampling.thin)
        .chain_average(
            settings.sampling.plan(settings.n_samples)?.schedule.burn_in,
            settings.sampling.plan(settings.n_samples)?.schedule.n_draws,
        );
    Ok(vec![
        shelf("poly-wide", 1.0, 3.9)?,
        shelf("poly-narrow", 0.5, 1.25)?,
        Obtained {
            id: "poly-domain".into(),
            value: curves
                .iter()
                .filter_map(|c| c.last())
                .fold(f64::NAN, |_, &v| v),
            mcse: None,
            reference: None,
            verdict: Verdict::of_claim(narrower),
            note: format!(
                "mean λ̂ at the highest degree, from the widest interval to the narrowest: {}",
                curves
                    .iter()
                    .filter_map(|c| c.last())
                    .map(|v| format!("{v:.2}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        },
        Obtained {
            id: "poly-law".into(),
            value: ratio.mean,
            mcse: Some(ratio.mcse),
            reference: Some((1.0, "exact".into())),
            verdict: match test.outcome {
                Test::Agrees => Verdict::Agrees,
                Test::Differs => Verdict::Differs,
                Test::Underpowered => Verdict::Underpowered,
            },
            note: format!(
                "{} chains of all degrees and intervals; t = {:.2}",
                ratio.n, test.t
            ),
        },
        Obtained {
            id: "poly-whitened".into(),
            value: whitened.mean,
            mcse: Some(whitened.mcse),
            reference: Some((2.0 * exact.mean, "exact for these chains".into())),
            verdict: Verdict::of(whitened.mean, whitened.mcse, 2.0 * exact.mean, 0.0),
            note: "mean over degrees and intervals; the same functions, data and settings".into(),
        },
    ])
}

pub fn section(
    store: &Store,
    settings: &Polynomials,
    outcome: &Outcome,
) -> anyhow::Result<Section> {
    let colours = [Colour::Blue, Colour::Vermillion, Colour::Green];
    let degrees = |points: &[Point]| points.iter().map(|p| p.degree as f64).collect::<Vec<_>>();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mut layers = Vec::new();
    for ((domain, points), colour) in outcome.iter().zip(colours) {
        let (means, sds): (Vec<f64>, Vec<f64>) = points
            .iter()
            .map(|p| {
                let estimate = Estimate::from_replicates(&p.estimates)?;
                Ok((estimate.mean, estimate.mcse * (estimate.n as f64).sqrt()))
            })
            .collect::<anyhow::Result<Vec<_>>>()?
            .into_iter()
            .unzip();
        let expected: Vec<f64> = points.iter().map(|p| mean(&p.expected)).collect();
        layers.push(
            Layer::points_with_errors(degrees(points), means, sds)
                .colour(colour)
                .label(&format!("[-{domain}, {domain}]")),
        );
        layers.push(Layer::line(degrees(points), expected).colour(colour));
    }
    let panel = |title: &str, x: Axis, y: Axis, layers: Vec<Layer>| Panel {
        title: title.into(),
        x,
        y,
        layers,
        legend: Legend::Above,
    };
    let (_, widest) = &outcome[0];
    let lambdas: Vec<f64> = widest.iter().map(Point::lambda).collect();
    let whitened: Vec<f64> = widest.iter().map(|p| mean(&p.whitened)).collect();
    let gamma_curve = |(i, p): (usize, &Point)| {
        let values: Vec<f64> = p.by_gamma.iter().map(|v| v / p.lambda()).collect();
        Layer::line(settings.gammas.clone(), values)
            .colour(Colour::cycle(i))
            .label(&format!("degree {}", p.degree))
    };
    let followed = widest.iter().filter(|p| p.degree <= settings.gammas_to);
    Figure {
        title: String::new(),
        columns: 3,
        size: Figure::grid_size(3, 3),
        panels: vec![
            panel(
                "Estimates (points) and their exact law",
                Axis::linear("degree d"),
                Axis::linear("λ̂"),
                layers,
            ),
            panel(
                "The same functions, whitened basis",
                Axis::linear("degree d"),
                Axis::linear("λ̂"),
                vec![
                    Layer::points(degrees(widest), whitened).label("λ̂"),
                    Layer::line(degrees(widest), lambdas)
                        .colour(Colour::Black)
                        .dashed()
                        .label("λ = (d + 1)/2"),
                ],
            ),
            panel(
                "As the localisation falls",
                Axis::log("γ"),
                Axis::linear("exact estimate over λ").range(0.0, 1.05),
                followed.enumerate().map(gamma_curve).collect(),
            ),
        ],
    }
    .write(&store.figures(), "polynomials")?;
    Ok(Section {
        heading: "3. Polynomial regressors".into(),
        text: vec![
            format!(
                "{} degrees from {} to {}, {} samples, {} repeats of {} chains of {} steps of ε = {}, γ = {}, nβ = n/ln n; chains start at the true \
                 coefficients. Figure 5's text says degrees up to 10³, its axis ends at 100, and so do ours.",
                settings.degrees.len(),
                settings.degrees[0],
                settings.degrees[settings.degrees.len() - 1],
                settings.n_samples,
                settings.n_repeats,
                settings.sampling.n_chains,
                settings.sampling.n_steps,
                settings.sampling.step_size,
                settings.sampling.gamma
            ),
            "The shelf is not a singularity. The model is linear in its coefficients and regular, λ = (d + 1)/2 on every interval; powers of x are nearly dependent on \
             an interval, the narrower the more, and a direction of curvature h counts in the estimate only if nβh is well above γ. The exact law of \
             the chains, without any sampling, has the shelf; an orthonormal basis of the same polynomials has none; and as γ falls, the exact estimate \
             rises to λ in the old basis, too."
                .into(),
        ],
        figures: vec![FigureRef {
            name: "polynomials".into(),
            caption: "Figure 5: λ̂ against the degree, mean and standard deviation over the repeats, with the exact expectation of the chains; \
                      the same in an orthonormal basis; the exact estimate as γ falls."
                .into(),
            alt: "Three panels: shelves that follow their exact law, a straight line, and curves that rise to one".into(),
        }],
        ..Section::default()
    })
}
