//! The analogy's arithmetic: energy against entropy, loss against learning coefficient.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use slt_report::{
    Axis, Colour, Figure, FigureRef, Layer, Legend, Obtained, Panel, Section, Store, Verdict,
};
use slt_theory::{LearningCoefficient, Phase, ThermalPhase, critical_n, melting_temperature};

use crate::settings::{Basin, Ice};

/// What is recorded: curves of two free energies against temperature and against n.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub melting: f64,
    pub temperatures: Vec<f64>,
    pub ice: Vec<f64>,
    pub water: Vec<f64>,
    pub critical_n: f64,
    pub n: Vec<f64>,
    pub complex: Vec<f64>,
    pub simple: Vec<f64>,
}

fn phase(basin: &Basin) -> anyhow::Result<Phase> {
    let quarters = (4.0 * basin.lambda).round();
    anyhow::ensure!(
        quarters == 4.0 * basin.lambda,
        "[ice] lambda is {}; expected a multiple of 1/4",
        basin.lambda
    );
    let lambda = num_rational::Rational64::new(quarters as i64, 4);
    Ok(Phase::new(
        basin.loss,
        LearningCoefficient::new(lambda, basin.multiplicity)?,
        0.0,
    )?)
}

pub fn run(store: &Store, settings: &Ice) -> anyhow::Result<Outcome> {
    Ok(store
        .cell("ice", settings, "host", || compute(settings))?
        .result)
}

fn compute(settings: &Ice) -> anyhow::Result<Outcome> {
    let ice = ThermalPhase {
        energy: 0.0,
        entropy: 0.0,
    };
    let water = ThermalPhase {
        energy: settings.enthalpy_of_fusion,
        entropy: settings.entropy_of_fusion,
    };
    let melting = melting_temperature(&ice, &water)?;
    let temperatures: Vec<f64> = (0..=80).map(|k| melting + f64::from(k - 40)).collect();
    let (complex, simple) = (phase(&settings.complex)?, phase(&settings.simple)?);
    let critical_n =
        critical_n(&complex, &simple).context("[ice] the two basins never change places")?;
    let n: Vec<f64> = (0..=200)
        .map(|k| 10f64.powf(f64::from(k) * 0.02) * 3.0)
        .collect();
    let curve = |phase: &Phase| {
        n.iter()
            .map(|&n| phase.free_energy(n))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(Outcome {
        melting,
        ice: temperatures.iter().map(|&t| ice.free_energy(t)).collect(),
        water: temperatures.iter().map(|&t| water.free_energy(t)).collect(),
        temperatures,
        critical_n,
        complex: curve(&complex)?,
        simple: curve(&simple)?,
        n,
    })
}

pub fn obtained(outcome: &Outcome) -> Vec<Obtained> {
    let simple_first = outcome.simple.first() < outcome.complex.first();
    let accurate_last = outcome.complex.last() < outcome.simple.last();
    vec![
        Obtained {
            id: "ice-melting".into(),
            value: outcome.melting,
            mcse: None,
            reference: None,
            verdict: Verdict::of_claim((outcome.melting - 273.15).abs() < 0.5),
            note: "ΔE/ΔS of melting, from tabulated molar values".into(),
        },
        Obtained {
            id: "ice-occam".into(),
            value: outcome.critical_n,
            mcse: None,
            reference: None,
            verdict: Verdict::of_claim(simple_first && accurate_last),
            note: "samples at which nL + λ ln n - (m-1) ln ln n of the two basins cross".into(),
        },
    ]
}

pub fn section(store: &Store, settings: &Ice, outcome: &Outcome) -> anyhow::Result<Section> {
    let kilo = |values: &[f64]| values.iter().map(|v| v / 1000.0).collect::<Vec<_>>();
    let melting = Panel {
        title: "Ice and water".into(),
        x: Axis::linear("temperature (K)"),
        y: Axis::linear("F = E - TS (kJ/mol)"),
        layers: vec![
            Layer::line(outcome.temperatures.clone(), kilo(&outcome.ice)).label("ice"),
            Layer::line(outcome.temperatures.clone(), kilo(&outcome.water)).label("water"),
            Layer::vline(outcome.melting).dashed().colour(Colour::Grey),
        ],
        legend: Legend::Auto,
    };
    let label = |basin: &Basin| {
        format!(
            "L = {}, λ = {}, m = {}",
            basin.loss, basin.lambda, basin.multiplicity
        )
    };
    let basins = Panel {
        title: "Two basins".into(),
        x: Axis::log("number of samples n"),
        y: Axis::linear("F = nL + λ ln n - (m-1) ln ln n").range(-2.0, 25.0),
        layers: vec![
            Layer::line(outcome.n.clone(), outcome.complex.clone())
                .label(&label(&settings.complex)),
            Layer::line(outcome.n.clone(), outcome.simple.clone()).label(&label(&settings.simple)),
            Layer::vline(outcome.critical_n)
                .dashed()
                .colour(Colour::Grey),
        ],
        legend: Legend::Auto,
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: Figure::grid_size(2, 2),
        panels: vec![melting, basins],
    }
    .write(&store.figures(), "ice")?;
    Ok(Section {
        heading: "5. The ice analogy's arithmetic".into(),
        text: vec![format!(
            "Ice melts where its lower energy no longer pays for its lower entropy, at {:.1} K. Of two basins the one with the \
             smaller λ has the lower free energy up to n = {:.0}; beyond, the accurate one wins. More samples play the part of a \
             lower temperature: the analogy runs backwards in n.",
            outcome.melting, outcome.critical_n
        )],
        figures: vec![FigureRef {
            name: "ice".into(),
            caption: "Left: free energies of ice and water. Right: free energies of a complex and a simple basin.".into(),
            alt: "Two pairs of curves that cross once each".into(),
        }],
        ..Section::default()
    })
}
