//! Models that grok modular addition: does the time from memorising to generalising follow the difference of free energy?

use ndarray::{Array1, Array2};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Progress, Section, Store,
    Verdict, together,
};
use slt_sampler::stream::{Purpose, rng};
use slt_sampler::targets::{Activation, FeedForward, Loss};
use slt_sampler::{Points, Target, estimate};
use slt_stats::{Estimate, LeastSquares, line, quantile, rank_correlation};
use slt_training::{Init, Training, initial_rows};

use crate::barrier::{Crossing, rows};
use crate::settings::Grokking;

/// Slope, constant and R² of the published fit of ΔF against ln r.
const THEIRS: [f64; 3] = [-26.8, -133.0, 0.062];
/// Samples of the bootstrap.
const N_BOOTSTRAP: usize = 10_000;

/// What is recorded of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    /// Also the number of its split and initial weights.
    pub stream: u64,
    /// First checkpoint with all training pairs right, and with the validation accuracy of the rule.
    pub memorised: Option<usize>,
    pub generalised: Option<usize>,
    /// Accuracies at the end.
    pub accuracies: [f64; 2],
    /// At the two checkpoints, where there are both.
    pub ends: Option<[End; 2]>,
    /// Accuracies at all checkpoints, of the first models alone.
    pub curves: Option<[Vec<f64>; 2]>,
    /// What lies between them, of the runs that the paper's rule keeps.
    pub crossing: Option<Crossing>,
    /// Checkpoints and estimates there, of the first models alone.
    pub path: Option<(Vec<usize>, Vec<f64>)>,
}

/// A checkpoint with its estimate.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct End {
    pub llc: f64,
    pub mcse: f64,
    /// Training loss.
    pub loss: f64,
}

#[derive(Serialize)]
struct Config<'a> {
    settings: Grokking,
    from: &'a u64,
    to: &'a u64,
}

pub fn run(store: &Store, settings: &Grokking) -> anyhow::Result<Vec<Model>> {
    let mut models = Vec::new();
    let mut from = 0;
    while from < settings.n_models {
        let to = (from + settings.models_in_a_cell).min(settings.n_models);
        // a cell is some models, however many there are in all
        let own = Grokking {
            n_models: 0,
            ..settings.clone()
        };
        let config = Config {
            settings: own,
            from: &from,
            to: &to,
        };
        let compute = || compute(settings, from..to);
        models.extend(store.cell("grokking", &config, "host", compute)?.result);
        from = to;
    }
    Ok(models)
}

/// Models side by side.
fn compute(settings: &Grokking, streams: std::ops::Range<u64>) -> anyhow::Result<Vec<Model>> {
    let label = format!("models {} to {}", streams.start, streams.end - 1);
    let n_steps = settings.plan.n_steps * (streams.end - streams.start);
    let progress = Progress::start(&label, n_steps);
    together(streams, |stream| model(settings, stream, &progress))
}

/// The loss on the pairs to train on, and on the others.
pub fn targets(settings: &Grokking, stream: u64) -> anyhow::Result<[FeedForward; 2]> {
    let p = settings.modulus as u32;
    let mut pairs: Vec<[u32; 2]> = (0..p * p).map(|k| [k / p, k % p]).collect();
    let mut random = rng(settings.seed, Purpose::Data, stream, 0);
    for i in (1..pairs.len()).rev() {
        pairs.swap(i, random.random_range(0..=i as u32) as usize);
    }
    let (train, validation) = pairs.split_at(settings.n_train());
    let target = |pairs: &[[u32; 2]]| {
        let mut y = Array2::zeros((pairs.len(), settings.modulus));
        for (mut y, pair) in y.rows_mut().into_iter().zip(pairs) {
            y[((pair[0] + pair[1]) % p) as usize] = 1.0;
        }
        let sizes = [settings.modulus, settings.width, settings.n_hidden];
        let target =
            FeedForward::embedding(sizes, Activation::Gelu, Loss::CrossEntropy, pairs, y.view())?;
        Ok::<_, anyhow::Error>(target.single_precision())
    };
    Ok([target(train)?, target(validation)?])
}

/// Initial weights by PyTorch's laws, in the order of [`FeedForward::embedding`].
fn init(settings: &Grokking, stream: u64) -> Array2<f64> {
    let (p, width, hidden) = (settings.modulus, settings.width, settings.n_hidden);
    let [inner, outer] = [width, hidden].map(|fan_in| Init::Linear { fan_in });
    let parameters = [
        ("embedding", p * width, Init::Embedding),
        ("right", width * hidden, inner),
        ("right", hidden, inner),
        ("left", width * hidden, inner),
        ("left", hidden, inner),
        ("unembedding", hidden * p, outer),
    ];
    initial_rows(&parameters, settings.seed, &[stream])
}

fn model(settings: &Grokking, stream: u64, progress: &Progress) -> anyhow::Result<Model> {
    let [mut train, mut validation] = targets(settings, stream)?;
    let plan = &settings.plan;
    let mut training = Training::new(init(settings, stream), &[stream], &[plan.optimiser]);
    let mut curves = [Vec::new(), Vec::new()];
    let (mut memorised, mut generalised) = (None, None);
    let followed = stream < settings.n_followed;
    let (mut way, mut path) = (Vec::new(), Vec::new());
    for (index, to) in plan.checkpoint_steps().into_iter().enumerate() {
        if to > 0 {
            training.advance(&train, plan, to, 1, &|n| progress.inc(n))?;
        }
        let rows = training.rows.view();
        let accuracies = [train.accuracy(rows)[0], validation.accuracy(rows)[0]];
        for (curve, accuracy) in curves.iter_mut().zip(accuracies) {
            curve.push(accuracy);
        }
        let weights = || training.rows.row(0).to_owned();
        if memorised.is_none() && accuracies[0] >= 1.0 {
            memorised = Some(index);
        }
        if memorised.is_some() && generalised.is_none() {
            way.push(weights());
        }
        if generalised.is_none() && accuracies[1] >= settings.validation_accuracy {
            generalised = Some(index);
        }
        if followed && index % settings.follow_every == 0 {
            path.push((index, weights()));
        }
    }
    let sampling = &settings.sampling;
    let llcs = |anchors: &Array2<f64>| -> anyhow::Result<Vec<[f64; 2]>> {
        let points = Points {
            anchors: anchors.view(),
            dynamics: &vec![sampling.dynamics(settings.nbeta)?; anchors.nrows()],
            n_chains: sampling.n_chains,
            from_stream: stream << 32,
        };
        let mut chains = sampling.plan(settings.n_train())?;
        chains.n_threads = 1;
        let found = estimate(&train, &points, &chains, None, &|_| ())?.all()?;
        Ok(found.iter().map(|llc| [llc.mean, llc.mcse]).collect())
    };
    let ends = match (memorised, generalised) {
        (Some(i), Some(j)) if i <= j => {
            let ends = rows(&[way[0].clone(), way[j - i].clone()])?;
            let llcs = llcs(&ends)?;
            let mut losses = [0.0; 2];
            train.clone().loss(ends.view(), &mut losses);
            let end = |k: usize| End {
                llc: llcs[k][0],
                mcse: llcs[k][1],
                loss: losses[k],
            };
            Some([end(0), end(1)])
        }
        _ => None,
    };
    let path = match path.is_empty() {
        true => None,
        false => {
            let (indices, weights): (Vec<usize>, Vec<Array1<f64>>) = path.into_iter().unzip();
            let means = llcs(&rows(&weights)?)?.iter().map(|llc| llc[0]).collect();
            Some((indices, means))
        }
    };
    let crossing = match time(memorised, generalised, settings.least_time) {
        Some(_) => Some(Crossing::new(settings, &train, &rows(&way)?, llcs)?),
        None => None,
    };
    let last = |curve: &Vec<f64>| curve.last().copied().unwrap_or(f64::NAN);
    Ok(Model {
        stream,
        memorised,
        generalised,
        accuracies: [last(&curves[0]), last(&curves[1])],
        ends,
        crossing,
        curves: followed.then_some(curves),
        path,
    })
}

/// Checkpoints from memorising to generalising, where the paper's rule keeps the run; `least` is its lower limit.
fn time(memorised: Option<usize>, generalised: Option<usize>, least: usize) -> Option<f64> {
    let (i, j) = (memorised?, generalised?);
    (i > 0 && j > i + least).then(|| (j - i) as f64)
}

impl Model {
    /// [`time`] of this run.
    pub fn time(&self, least: usize) -> Option<f64> {
        time(self.memorised, self.generalised, least)
    }

    /// `F_after - F_before = ln n Δλ + n ΔL`, as the paper's code has it, and its standard error.
    fn free_energy(&self, n: f64) -> Option<(f64, f64)> {
        let [before, after] = self.ends?;
        let value = n.ln() * (after.llc - before.llc) + n * (after.loss - before.loss);
        Some((value, n.ln() * before.mcse.hypot(after.mcse)))
    }
}

/// The kept runs: ln r, the same for r from the first step on, ΔF, its standard error, Δλ and ΔL.
struct Kept {
    log_r: Vec<f64>,
    log_whole: Vec<f64>,
    energy: Vec<f64>,
    error: Vec<f64>,
    lambda: Vec<f64>,
    loss: Vec<f64>,
}

impl Kept {
    fn new(models: &[Model], least: usize, n: f64) -> Self {
        let mut kept = Self {
            log_r: Vec::new(),
            log_whole: Vec::new(),
            energy: Vec::new(),
            error: Vec::new(),
            lambda: Vec::new(),
            loss: Vec::new(),
        };
        for model in models {
            if let (Some(r), Some(whole), Some((energy, error)), Some([before, after])) = (
                model.time(least),
                model.generalised,
                model.free_energy(n),
                model.ends,
            ) {
                kept.log_r.push(r.ln());
                kept.log_whole.push((whole as f64).ln());
                kept.energy.push(energy);
                kept.error.push(error);
                kept.lambda.push(after.llc - before.llc);
                kept.loss.push(after.loss - before.loss);
            }
        }
        kept
    }

    fn line(x: &[f64], y: &[f64]) -> anyhow::Result<LeastSquares> {
        Ok(line(
            Array1::from(x.to_vec()).view(),
            Array1::from(y.to_vec()).view(),
        )?)
    }
}

fn slope(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let covariance: f64 = pairs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    covariance / pairs.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}

/// The 95 % interval of the slope of `y` over `x` under resampling of the pairs.
fn bootstrap(x: &[f64], y: &[f64], seed: u64) -> anyhow::Result<[f64; 2]> {
    let pairs: Vec<(f64, f64)> = x.iter().copied().zip(y.iter().copied()).collect();
    let mut random = rng(seed, Purpose::Data, u64::MAX, 0);
    let draw = || {
        let one = || pairs[random.random_range(0..pairs.len() as u32) as usize];
        slope(
            &std::iter::repeat_with(one)
                .take(pairs.len())
                .collect::<Vec<_>>(),
        )
    };
    let slopes: Vec<f64> = std::iter::repeat_with(draw).take(N_BOOTSTRAP).collect();
    Ok([quantile(&slopes, 0.025)?, quantile(&slopes, 0.975)?])
}

/// Pairs that show a correlation at level 0.05 nine times in ten, by Fisher's transformation.
fn needed(correlation: f64) -> f64 {
    // normal quantiles of 0.975 and 0.9
    let z = 1.959_964 + 1.281_552;
    (z / correlation.abs().atanh()).powi(2) + 3.0
}

pub fn obtained(settings: &Grokking, models: &[Model]) -> anyhow::Result<Vec<Obtained>> {
    let n = settings.n_train() as f64;
    let kept = Kept::new(models, settings.least_time, n);
    let count = kept.log_r.len();
    let row = Obtained::new;
    let share = count as f64 / models.len() as f64;
    let error = (share * (1.0 - share) / models.len() as f64).sqrt();
    let mut rows = vec![row(
        "grok-share",
        share,
        Some(error),
        Verdict::of(share, error, 0.336, (0.336f64 * 0.664 / 500.0).sqrt()),
        format!("{count} of {} models", models.len()),
    )];
    let ids = [
        "grok-lambda",
        "grok-time",
        "arrhenius-slope",
        "arrhenius-constant",
        "arrhenius-r2",
        "arrhenius-beta",
        "arrhenius-error",
        "arrhenius-range",
        "arrhenius-n",
    ];
    if count < 8 {
        let none = format!("{count} runs are kept; expected at least 8");
        rows.extend(ids.map(|id| row(id, f64::NAN, None, Verdict::NotComparable, none.clone())));
        return Ok(rows);
    }
    let lambda = Estimate::from_replicates(&kept.lambda)?;
    let time = Estimate::from_replicates(&kept.log_r)?;
    let fit = Kept::line(&kept.log_r, &kept.energy)?;
    let of_fit = |id: &str, i: usize, theirs: f64, note: String| {
        let (value, error) = (fit.coefficients[i], fit.standard_errors[i]);
        row(
            id,
            value,
            Some(error),
            Verdict::of(value, error, theirs, 0.0),
            note,
        )
    };
    // ln r on F_before - F_after, as the hypothesis is printed
    let drop: Vec<f64> = kept.energy.iter().map(|e| -e).collect();
    let rate = Kept::line(&drop, &kept.log_r)?;
    let interval = bootstrap(&drop, &kept.log_r, settings.seed)?;
    let energy_sd = Estimate::from_replicates(&kept.energy)?.sd();
    let noise = kept.error.iter().map(|e| e * e).sum::<f64>() / count as f64;
    // its own error is that of a variance from so many runs
    let reliability = 1.0 - noise / energy_sd.powi(2);
    let reliability_error = (1.0 - reliability) * (2.0 / (count as f64 - 1.0)).sqrt();
    let correlation = fit.r_squared.sqrt();
    let all = Kept::new(models, 0, n);
    let whole = rank_correlation(&all.log_r, &all.energy)?;
    let other = |n: f64| -> anyhow::Result<String> {
        let kept = Kept::new(models, settings.least_time, n);
        let fit = Kept::line(&kept.log_r, &kept.energy)?;
        Ok(format!(
            "n = {n:.0}: {:.1} ± {:.1}, R² {:.3}",
            fit.coefficients[1], fit.standard_errors[1], fit.r_squared
        ))
    };
    let lambda_alone = Kept::line(&kept.log_r, &kept.lambda)?;
    let loss_alone = Kept::line(&kept.log_r, &kept.loss)?;
    let from_start = Kept::line(&kept.log_whole, &kept.energy)?;
    rows.extend([
        row(
            "grok-lambda",
            lambda.mean,
            Some(lambda.mcse),
            Verdict::of_claim((-25.4..=-15.2).contains(&lambda.mean)),
            format!(
                "mean over the runs, standard deviation {:.1}; theirs are from -25.4 to -15.2: agrees if our mean is. Standard error of one λ̂: {:.1}",
                lambda.sd(),
                (noise / 2.0).sqrt() / n.ln()
            ),
        ),
        row(
            "grok-time",
            time.mean,
            Some(time.mcse),
            Verdict::of_claim((4.45..=5.45).contains(&time.mean)),
            format!("mean over the runs, standard deviation {:.2}; theirs are from 4.45 to 5.45: agrees if our mean is", time.sd()),
        ),
        of_fit(
            "arrhenius-slope",
            1,
            THEIRS[0],
            format!(
                "ΔF = F_after - F_before on ln r, {count} runs. Its parts alone, which n and nβ weigh: Δλ {:.2} ± {:.2}, n ΔL {:.1} ± {:.1}. With r from the first step on: {:.1} ± {:.1}, R² {:.3}",
                lambda_alone.coefficients[1],
                lambda_alone.standard_errors[1],
                n * loss_alone.coefficients[1],
                n * loss_alone.standard_errors[1],
                from_start.coefficients[1],
                from_start.standard_errors[1],
                from_start.r_squared
            ),
        ),
        of_fit("arrhenius-constant", 0, THEIRS[1], "the same fit".into()),
        row(
            "arrhenius-r2",
            fit.r_squared,
            None,
            Verdict::of_claim(fit.r_squared < 0.25),
            "agrees if it is below 1/4: ln r says little of ΔF".into(),
        ),
        row(
            "arrhenius-beta",
            rate.coefficients[1],
            Some(rate.standard_errors[1]),
            match interval[0] <= 0.0 && 0.0 <= interval[1] {
                true => Verdict::Underpowered,
                false => Verdict::of_claim(interval[0] > 0.0),
            },
            format!(
                "slope of ln r on F_before - F_after, the sign as printed; bootstrap interval (95 %) {:.5} to {:.5}; with F_after - F_before, as in the code, the sign is the other",
                interval[0], interval[1]
            ),
        ),
        row(
            "arrhenius-error",
            reliability,
            Some(reliability_error),
            Verdict::NotComparable,
            format!(
                "share of the variance of ΔF that is not the sampler's error: standard deviation of ΔF {energy_sd:.1}, standard error of one {:.1}. As the error is in ΔF, β_eff without \
                 it lies between {:.4} and {:.4}, the slopes of the two regressions (Frisch's bounds)",
                noise.sqrt(),
                rate.coefficients[1],
                -1.0 / fit.coefficients[1]
            ),
        ),
        row(
            "arrhenius-range",
            whole.rho,
            None,
            Verdict::NotComparable,
            format!(
                "rank correlation of ln r and ΔF over all {} runs with both checkpoints, p = {:.1e}; over the {count} kept ones {:.3}",
                all.log_r.len(),
                whole.p_value,
                rank_correlation(&kept.log_r, &kept.energy)?.rho
            ),
        ),
        row(
            "arrhenius-n",
            needed(correlation),
            None,
            Verdict::NotComparable,
            format!(
                "kept runs; at the published R² of {} it is {:.0}. By the n of the free energy, {}; {}",
                THEIRS[2],
                needed(THEIRS[2].sqrt()),
                other(128.0)?,
                other(settings.modulus.pow(2) as f64)?
            ),
        ),
    ]);
    Ok(rows)
}

pub fn section(store: &Store, settings: &Grokking, models: &[Model]) -> anyhow::Result<Section> {
    let n = settings.n_train() as f64;
    let kept = Kept::new(models, settings.least_time, n);
    let panel = |title: &str, x: Axis, y: Axis, layers: Vec<Layer>| Panel {
        title: title.into(),
        x,
        y,
        layers,
        legend: Legend::Above,
    };
    let histogram =
        |values: &[f64]| vec![Layer::histogram(values.to_vec(), 12, false).colour(Colour::Blue)];
    let mut scatter = vec![
        Layer::points_with_errors(kept.log_r.clone(), kept.energy.clone(), kept.error.clone())
            .colour(Colour::Blue)
            .label("runs, ± the sampler's error"),
    ];
    let ends = [f64::min, f64::max].map(|of| kept.log_r.iter().copied().reduce(of));
    let ends: Vec<f64> = ends.into_iter().flatten().collect();
    let mut draw = |label: &str, [slope, constant]: [f64; 2], colour| {
        let values: Vec<f64> = ends.iter().map(|x| constant + slope * x).collect();
        scatter.push(
            Layer::line(ends.clone(), values)
                .colour(colour)
                .label(label),
        );
    };
    if kept.log_r.len() >= 8 {
        let fit = Kept::line(&kept.log_r, &kept.energy)?;
        draw(
            "fit",
            [fit.coefficients[1], fit.coefficients[0]],
            Colour::Blue,
        );
        draw(
            "the paper's fit",
            [THEIRS[0], THEIRS[1]],
            Colour::Vermillion,
        );
    }
    let stride = settings.plan.checkpoint_every as f64;
    let mut curves = Vec::new();
    let mut paths = Vec::new();
    for (i, model) in models
        .iter()
        .filter(|m| m.curves.is_some())
        .take(6)
        .enumerate()
    {
        let steps = |k: usize| k as f64 * stride;
        if let Some([train, validation]) = &model.curves {
            let x: Vec<f64> = (0..train.len()).map(steps).collect();
            curves.push(
                Layer::line(x.clone(), train.clone())
                    .colour(Colour::cycle(i))
                    .dashed(),
            );
            curves.push(Layer::line(x, validation.clone()).colour(Colour::cycle(i)));
        }
        if let Some((indices, llcs)) = &model.path {
            let x: Vec<f64> = indices.iter().map(|&k| steps(k)).collect();
            paths.push(Layer::line(x, llcs.clone()).colour(Colour::cycle(i)));
        }
    }
    let mut panels = Vec::new();
    if !kept.log_r.is_empty() {
        panels.extend([
            panel(
                "Δλ",
                Axis::linear("λ̂ after less before"),
                Axis::linear("runs"),
                histogram(&kept.lambda),
            ),
            panel(
                "ln r",
                Axis::linear("ln r"),
                Axis::linear("runs"),
                histogram(&kept.log_r),
            ),
            panel(
                "Free energy and time",
                Axis::linear("ln r"),
                Axis::linear("ΔF"),
                scatter,
            ),
        ]);
    }
    panels.extend([
        panel(
            "Accuracy (dashed: training)",
            Axis::linear("step"),
            Axis::linear("accuracy"),
            curves,
        ),
        panel("Estimates", Axis::linear("step"), Axis::linear("λ̂"), paths),
    ]);
    Figure {
        title: String::new(),
        columns: 3,
        size: Figure::grid_size(panels.len(), 3),
        panels,
    }
    .write(&store.figures(), "arrhenius")?;
    let both = models.iter().filter(|m| m.ends.is_some()).count();
    Ok(Section {
        heading: "1. Grokking and the Arrhenius hypothesis".into(),
        text: vec![format!(
            "{} models, p = {}, each with its own split and initial weights; {} steps, {} of them reach both checkpoints, {} are kept (more than {} checkpoints apart). {} chains \
             of {} steps, nβ = {}, γ = {}. r is counted in checkpoints of {} steps; ΔF = F_after - F_before = ln n Δλ + n ΔL, as in the paper's code, the other sign of its formula.",
            models.len(),
            settings.modulus,
            settings.plan.n_steps,
            both,
            kept.log_r.len(),
            settings.least_time,
            settings.sampling.n_chains,
            settings.sampling.n_steps,
            settings.nbeta,
            settings.sampling.gamma,
            settings.plan.checkpoint_every
        )],
        figures: vec![FigureRef {
            name: "arrhenius".into(),
            caption: "Figures 2 and 3: distributions of Δλ and ln r over the kept runs; ΔF against ln r with both fits; accuracies and estimates of the first models over training.".into(),
            alt: "Two histograms, a scatter plot with two lines, and curves over training".into(),
        }],
        ..Section::default()
    })
}
