//! Losses, accuracies and λ̂ over training, at several p, K, weight decays and learning rates (v1, figures 7 to 10).

use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store, Verdict,
    together,
};
use slt_sampler::Llc;
use slt_training::{Optimiser, TrainPlan, Training};

use crate::ensemble::{Due, EarlyStop, chain_error, kept, rates, until_learnt};
use crate::place::Place;
use crate::settings::Variations;
use crate::task::Task;

/// What a figure is over, with its name in file names.
const OVER: [(&str, &str); 4] = [
    ("p", "p"),
    ("K", "k"),
    ("weight decay", "decay"),
    ("learning rate", "rate"),
];

/// What is recorded of a network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub task: Task,
    pub optimiser: Optimiser,
    pub steps: Vec<u64>,
    /// On the pairs to train on, and on the others.
    pub losses: [Vec<f64>; 2],
    pub accuracies: [Vec<f64>; 2],
    /// Steps at which there are estimates.
    pub estimated: Vec<u64>,
    pub llcs: Vec<Llc>,
}

#[derive(Serialize)]
struct Config<'a> {
    task: Task,
    init_seed: u64,
    plan: &'a TrainPlan,
    stop: (f64, usize),
    sampling: (f64, f64, &'a slt_sampler::Sampling),
}

/// Those of every figure.
pub fn run(
    store: &Store,
    place: &Place,
    settings: &Variations,
) -> anyhow::Result<[Vec<Outcome>; 4]> {
    let groups = settings.groups()?;
    // the one that is varied is in several groups
    let mut all: Vec<(Task, TrainPlan)> = Vec::new();
    for case in groups.concat() {
        if !all.contains(&case) {
            all.push(case);
        }
    }
    let cell = |(task, plan): (Task, TrainPlan)| {
        let config = Config {
            task,
            init_seed: settings.init_seed,
            plan: &plan,
            stop: (settings.stop_accuracy, settings.stop_after),
            sampling: (settings.estimate_growth, settings.nbeta, &settings.sampling),
        };
        let compute = || compute(place, settings, task, &plan);
        Ok(store
            .cell("variations", &config, place.name(), compute)?
            .result)
    };
    let outcomes: Vec<Outcome> = together(all, cell)?;
    let of = |(task, plan): (Task, TrainPlan)| {
        let own = |o: &&Outcome| o.task == task && o.optimiser == plan.optimiser;
        outcomes.iter().find(own).cloned()
    };
    Ok(groups.map(|group| group.into_iter().filter_map(of).collect()))
}

fn compute(
    place: &Place,
    settings: &Variations,
    task: Task,
    plan: &TrainPlan,
) -> anyhow::Result<Outcome> {
    let mut targets = task.targets()?;
    let target = targets[0].clone();
    let start = task.init(settings.init_seed, &[0]);
    let name = format!(
        "p = {}, K = {}, {:?}",
        task.modulus,
        task.n_hidden,
        rates(plan.optimiser)
    );
    let mut due = Due::new(settings.estimate_growth);
    let mut courses = until_learnt(
        &format!("training of {name}, at most"),
        &mut targets,
        plan,
        EarlyStop::new(settings.stop_accuracy, settings.stop_after),
        Training::new(start, &[0], &[plan.optimiser]),
        |_, number, last| due.is(number, last),
    )?;
    let weights = kept(&courses)?;
    let course = courses.remove(0);
    let dynamics = vec![settings.sampling.dynamics(settings.nbeta)?; weights.nrows()];
    let label = format!("chains of {name}");
    let found = place.chains(
        &label,
        &target,
        weights.view(),
        &dynamics,
        &settings.sampling,
        0,
    )?;
    Ok(Outcome {
        task,
        optimiser: plan.optimiser,
        estimated: course.kept.iter().map(|&(step, _)| step).collect(),
        steps: course.steps,
        losses: course.losses,
        accuracies: course.accuracies,
        llcs: found.all()?,
    })
}

impl Outcome {
    /// What the figure `over` is over.
    fn value(&self, over: usize) -> String {
        let (rate, decay) = rates(self.optimiser);
        match over {
            0 => self.task.modulus.to_string(),
            1 => self.task.n_hidden.to_string(),
            2 => format!("{decay:e}"),
            _ => format!("{rate:e}"),
        }
    }

    fn first(&self) -> &Llc {
        &self.llcs[0]
    }

    fn last(&self) -> &Llc {
        &self.llcs[self.llcs.len() - 1]
    }

    /// The largest estimate, and its step.
    fn peak(&self) -> (u64, &Llc) {
        let all = self.estimated.iter().copied().zip(&self.llcs);
        all.max_by(|a, b| a.1.mean.total_cmp(&b.1.mean))
            .expect("the last checkpoint has an estimate")
    }

    /// The first step with a validation accuracy of 0.95.
    fn generalised(&self) -> Option<u64> {
        let at = self.accuracies[1].iter().position(|&a| a >= 0.95)?;
        Some(self.steps[at])
    }

    /// Whether the first estimate is from before the network knew all pairs.
    fn seen_memorising(&self) -> bool {
        self.accuracies[0][0] < 1.0
    }

    /// Whether λ̂ rises beyond its errors, and falls again once the network generalises.
    fn rises_and_falls(&self) -> bool {
        let (step, peak) = self.peak();
        let beyond = 3.0 * std::f64::consts::SQRT_2 * chain_error(&self.llcs);
        let least = self.first().mean.max(self.last().mean);
        let generalised = self.generalised().is_some_and(|general| step <= general);
        peak.mean - least > beyond && generalised
    }
}

/// λ̂ of `a` at the end less that of `b`, and its error.
fn difference(a: &Outcome, b: &Outcome) -> (f64, f64) {
    let difference = a.last().mean - b.last().mean;
    (difference, chain_error(&a.llcs).hypot(chain_error(&b.llcs)))
}

pub fn obtained(groups: &[Vec<Outcome>; 4]) -> Vec<Obtained> {
    let row = Obtained::new;
    let list = |over: usize, of: &dyn Fn(&Outcome) -> String| {
        let one = |o: &Outcome| format!("{} at {}", of(o), o.value(over));
        groups[over].iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let ends = |over| list(over, &|o| format!("{:.0}", o.last().mean));
    let learnt = |over| {
        let step = |o: &Outcome| match o.generalised() {
            Some(step) => step.to_string(),
            None => "never".into(),
        };
        format!("validation accuracy 0.95 from step {}", list(over, &step))
    };
    let all: Vec<(String, &Outcome)> = (0..4)
        .flat_map(|over| {
            let name = move |o: &Outcome| format!("{} {}", OVER[over].0, o.value(over));
            groups[over].iter().map(move |o| (name(o), o))
        })
        .collect();
    let (seen, late): (Vec<_>, Vec<_>) = all.iter().partition(|(_, o)| o.seen_memorising());
    let but: Vec<_> = seen
        .iter()
        .copied()
        .filter(|(_, o)| !o.rises_and_falls())
        .collect();
    let names = |of: &[&(String, &Outcome)], what: &str| match of {
        [] => String::new(),
        _ => {
            let names: Vec<&str> = of.iter().map(|(name, _)| name.as_str()).collect();
            format!("; {what} {}", names.join(", "))
        }
    };
    let mut rows = vec![row(
        "variations-shape",
        1.0 - but.len() as f64 / seen.len() as f64,
        None,
        match seen[..] {
            [] => Verdict::NotComparable,
            _ => Verdict::of_claim(but.is_empty()),
        },
        format!(
            "by more than three errors each, of the spread of the chains{}{}",
            names(&but, "not at"),
            names(
                &late,
                "not counted, as all pairs are known at the first estimate:"
            )
        ),
    )];
    // over p and over K: the last λ̂ grows from each to the next
    for over in [0, 1] {
        let group = &groups[over];
        let (value, error) = difference(&group[group.len() - 1], &group[0]);
        let grows = group.windows(2).all(|pair| {
            let (value, error) = difference(&pair[1], &pair[0]);
            value > 3.0 * error
        });
        rows.push(row(
            &format!("variations-{}", OVER[over].1),
            value,
            Some(error),
            Verdict::of_claim(grows),
            format!("{}; {}", ends(over), learnt(over)),
        ));
    }
    // over weight decay and learning rate: it stays
    for over in [2, 3] {
        let means: Vec<f64> = groups[over].iter().map(|o| o.last().mean).collect();
        let least = means.iter().copied().fold(f64::INFINITY, f64::min);
        let most = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let error = groups[over]
            .iter()
            .map(|o| chain_error(&o.llcs) / o.last().mean);
        rows.push(row(
            &format!("variations-{}", OVER[over].1),
            most / least - 1.0,
            Some(std::f64::consts::SQRT_2 * error.fold(0.0, f64::max)),
            Verdict::of_claim(most / least < 1.1),
            format!("within a tenth agrees: {}; {}", ends(over), learnt(over)),
        ));
    }
    rows
}

pub fn section(
    store: &Store,
    settings: &Variations,
    groups: &[Vec<Outcome>; 4],
) -> anyhow::Result<Section> {
    let colours = [Colour::Blue, Colour::Vermillion, Colour::Green];
    let floats = |steps: &[u64]| steps.iter().map(|&s| s as f64).collect::<Vec<_>>();
    let mut figures = Vec::new();
    for (over, (name, file)) in OVER.into_iter().enumerate() {
        let panel = |title: &str, y: Axis, layers| Panel {
            title: title.into(),
            x: Axis::log("training step"),
            y,
            layers,
            legend: Legend::Above,
        };
        let label = |o: &Outcome| match over {
            0 | 1 => format!("{name} = {}", o.value(over)),
            _ => o.value(over),
        };
        let pair = |of: &dyn Fn(&Outcome) -> &[Vec<f64>; 2]| {
            let curves = |(o, colour): (&Outcome, Colour)| {
                let x = floats(&o.steps);
                let [train, validation] = of(o).clone();
                [
                    Layer::line(x.clone(), train).dashed().colour(colour),
                    Layer::line(x, validation).label(&label(o)).colour(colour),
                ]
            };
            groups[over]
                .iter()
                .zip(colours)
                .flat_map(curves)
                .collect::<Vec<_>>()
        };
        let estimates = |(o, colour): (&Outcome, Colour)| {
            let x = floats(&o.estimated);
            let means: Vec<f64> = o.llcs.iter().map(|llc| llc.mean).collect();
            let errors = vec![chain_error(&o.llcs); means.len()];
            [
                Layer::line(x.clone(), means.clone())
                    .label(&label(o))
                    .colour(colour),
                Layer::points_with_errors(x, means, errors).colour(colour),
            ]
        };
        let estimates = groups[over].iter().zip(colours).flat_map(estimates);
        let file = format!("variations-{file}");
        Figure {
            title: String::new(),
            columns: 3,
            size: Figure::grid_size(3, 3),
            panels: vec![
                panel("Loss", Axis::log("loss"), pair(&|o| &o.losses)),
                panel(
                    "Accuracy",
                    Axis::linear("accuracy"),
                    pair(&|o| &o.accuracies),
                ),
                panel("Estimate", Axis::linear("λ̂"), estimates.collect()),
            ],
        }
        .write(&store.figures(), &file)?;
        figures.push(FigureRef {
            name: file,
            caption: format!("Training at several values of: {name}. Dashed: on the pairs to train on; solid: on the others. Errors are those of the spread of the chains."),
            alt: format!("Losses, accuracies and estimates over training, a curve for each {name}"),
        });
    }
    Ok(Section {
        heading: "5. Variations".into(),
        text: vec![format!(
            "Where it is not varied: p = {}, K = {}, weight decay {:e}, learning rate {:e}. Each network is trained up to its early stop, at most {} steps; \
             {} chains of {} steps around the first checkpoint, every {} steps, around each whose number is at least {} times that of the last with an estimate, \
             and around the last.",
            settings.task.modulus,
            settings.task.n_hidden,
            settings.weight_decay,
            settings.learning_rate,
            settings.plan.n_steps,
            settings.sampling.n_chains,
            settings.sampling.n_steps,
            settings.plan.checkpoint_every,
            settings.estimate_growth
        )],
        figures,
        ..Section::default()
    })
}
