//! The paper's figure 1 and table 1, drawn from the settings.

use slt_report::{Axis, Colour, Figure, FigureRef, Layer, Legend, Panel, Section, Store};
use slt_sampler::Sampling;

use crate::settings::Settings;

/// Of the published table 1: experiment, ε, γ, steps.
const THEIRS: [(&str, f64, f64, usize); 5] = [
    ("modular addition", 3e-3, 5.0, 500),
    ("superposition", 5e-4, 1.0, 400),
    ("polynomials", 1e-3, 1.0, 2000),
    ("low rank", 1e-3, 1.0, 2000),
    ("autoencoders", 1e-5, 1.0, 2000),
];

pub fn section(store: &Store, settings: &Settings) -> anyhow::Result<Section> {
    let panel = |title: &str, layers| Panel {
        title: title.into(),
        x: Axis::hidden(0.0, 10.0),
        y: Axis::hidden(0.0, 7.0),
        layers,
        legend: Legend::None,
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: (1000, 330),
        panels: vec![
            panel(
                "Figure 1: the network of modular addition",
                network(settings),
            ),
            panel(
                "Table 1: chains, and where theirs are others",
                table(settings),
            ),
        ],
    }
    .write(&store.figures(), "settings")?;
    Ok(Section {
        heading: "The network and the chains".into(),
        figures: vec![FigureRef {
            name: "settings".into(),
            caption: "Figure 1 and table 1 of the paper, from the settings of this profile.".into(),
            alt: "Boxes from two inputs to the logits of their sum, and a table of steps, localisations and lengths".into(),
        }],
        ..Section::default()
    })
}

/// A box around some words, its lower left corner at `(x, y)`.
fn boxed(x: f64, y: f64, width: f64, words: [&str; 2]) -> Vec<Layer> {
    let (right, top) = (x + width, y + 1.3);
    let outline = Layer::line([x, right, right, x, x], [y, y, top, top, y]).colour(Colour::Blue);
    let line = |at: f64, text: &str| Layer::note(x + 0.12, y + at, text).colour(Colour::Black);
    vec![outline, line(0.9, words[0]), line(0.35, words[1])]
}

fn network(settings: &Settings) -> Vec<Layer> {
    let s = &settings.grokking;
    let (p, width, hidden) = (s.modulus, s.width, s.n_hidden);
    let arrow = |from: (f64, f64), to: (f64, f64)| {
        Layer::line([from.0, to.0], [from.1, to.1]).colour(Colour::Grey)
    };
    let inputs = format!("0 to {}", p - 1);
    let table = format!("{p} × {width}");
    let linear = format!("{width} to {hidden}, bias");
    let last = format!("{hidden} to {p}");
    let wires = [
        ((1.3, 5.35), (1.8, 4.15)),
        ((1.3, 1.65), (1.8, 2.85)),
        ((3.6, 4.15), (4.1, 5.35)),
        ((3.6, 2.85), (4.1, 1.65)),
        ((6.2, 5.35), (6.6, 4.15)),
        ((6.2, 1.65), (6.6, 2.85)),
        ((7.9, 3.5), (8.2, 3.5)),
    ];
    let mut layers: Vec<Layer> = wires.map(|(from, to)| arrow(from, to)).into();
    for (x, y, width, words) in [
        (0.0, 4.7, 1.3, ["a", &inputs]),
        (0.0, 1.0, 1.3, ["b", &inputs]),
        (1.8, 2.85, 1.8, ["embedding", &table]),
        (4.1, 4.7, 2.1, ["left of a", &linear]),
        (4.1, 1.0, 2.1, ["right of b", &linear]),
        (6.6, 2.85, 1.3, ["sum", "GELU"]),
        (8.2, 2.85, 1.8, ["logits", &last]),
    ] {
        layers.extend(boxed(x, y, width, words));
    }
    layers
}

fn table(settings: &Settings) -> Vec<Layer> {
    let ours: [&Sampling; 5] = [
        &settings.grokking.sampling,
        &settings.superposition[0].sampling,
        &settings.polynomials.sampling,
        &settings.low_rank.sampling,
        &settings.autoencoders.sampling,
    ];
    let columns = [0.0, 3.2, 5.2, 6.4, 9.0];
    let line = |y: f64| Layer::line([0.0, 10.0], [y, y]).colour(Colour::Black);
    let mut layers = vec![line(6.7), line(5.7), line(0.2)];
    let mut row = |y: f64, cells: [String; 5]| {
        for (x, cell) in columns.into_iter().zip(cells) {
            layers.push(Layer::note(x, y, &cell).colour(Colour::Black));
        }
    };
    row(
        6.2,
        ["experiment", "step ε", "γ", "steps", "chains"].map(String::from),
    );
    for (i, (ours, theirs)) in ours.into_iter().zip(THEIRS).enumerate() {
        let (name, step_size, gamma, n_steps) = theirs;
        let beside = |own: String, other: String| match own == other {
            true => own,
            false => format!("{own} ({other})"),
        };
        let cells = [
            name.to_string(),
            beside(format!("{:e}", ours.step_size), format!("{step_size:e}")),
            beside(ours.gamma.to_string(), gamma.to_string()),
            beside(ours.n_steps.to_string(), n_steps.to_string()),
            ours.n_chains.to_string(),
        ];
        row(5.2 - i as f64, cells);
    }
    layers
}
