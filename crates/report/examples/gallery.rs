//! Draws every kind of layer, to be looked at: `cargo run --release -p slt-report --example gallery -- DIR`.

use std::path::PathBuf;

use slt_report::{Axis, Colour, Figure, Heat, Layer, Legend, Panel};

fn main() -> anyhow::Result<()> {
    let dir = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()));
    for (name, figure) in [
        ("lines", lines()),
        ("maps", maps()),
        ("one", one()),
        ("chains", chains()),
    ] {
        let [svg, png] = figure.write(&dir, name)?;
        let size = |file: &PathBuf| std::fs::metadata(file).map(|m| m.len());
        println!(
            "{} {} bytes, {} {} bytes",
            svg.display(),
            size(&svg)?,
            png.display(),
            size(&png)?
        );
    }
    Ok(())
}

/// Noise that is the same on every run.
fn noise(i: usize) -> f64 {
    (0..12)
        .map(|k| ((i * 12 + k) as f64 * 12.9898).sin() * 43758.5453)
        .map(|x| x - x.floor())
        .sum::<f64>()
        - 6.0
}

fn range(n: usize, f: impl Fn(f64) -> f64) -> Vec<f64> {
    (0..n).map(|i| f(i as f64 / (n - 1) as f64)).collect()
}

fn lines() -> Figure {
    let p = [53.0, 59.0, 61.0, 67.0, 71.0, 73.0, 79.0, 83.0, 89.0, 97.0];
    let slope = |s: f64, k: usize| -> Vec<f64> {
        p.iter()
            .enumerate()
            .map(|(i, p)| 600.0 + s * p + 60.0 * noise(i + k))
            .collect()
    };
    let steps = range(200, |t| 10f64.powf(2.0 + 3.0 * t));
    let llc: Vec<f64> = steps
        .iter()
        .map(|s| 4300.0 + 700.0 * (-(s.log10() - 3.7).powi(2) * 2.0).exp())
        .collect();
    let around = |d: f64| llc.iter().map(|l| l + d).collect::<Vec<_>>();
    let n = range(30, |t| 10f64.powf(1.0 + 5.0 * t));
    let data: Vec<f64> = (0..4000).map(|i| 0.5 + 0.04 * noise(i)).collect();
    let other: Vec<f64> = (0..4000).map(|i| 0.62 + 0.03 * noise(i + 9000)).collect();
    Figure {
        title: "Every kind of layer: LLC of quadratic networks on modular addition".into(),
        columns: 2,
        size: Figure::grid_size(4, 2),
        panels: vec![
            Panel {
                title: "(a) Final LLC against p".into(),
                x: Axis::linear("modulus p"),
                y: Axis::linear("final LLC λ̂"),
                layers: vec![
                    Layer::line(p, p.map(|p| 600.0 + 51.0 * p)).label("K = 600").colour(Colour::Blue),
                    Layer::points_with_errors(p, slope(51.0, 0), [90.0; 10]).label("K = 600"),
                    Layer::line(p, p.map(|p| 600.0 + 80.0 * p)).label("K = 1000").colour(Colour::Vermillion),
                    Layer::points_with_errors(p, slope(80.0, 20), [120.0; 10]).label("K = 1000"),
                    Layer::line(p, p.map(|p| 600.0 + 108.0 * p)).label("K = 1400").colour(Colour::Green),
                    Layer::points_with_errors(p, slope(108.0, 40), [150.0; 10]).label("K = 1400"),
                ],
                legend: Legend::Auto,
            },
            Panel {
                title: "(b) LLC during training".into(),
                x: Axis::log("optimiser step"),
                y: Axis::linear("LLC λ̂"),
                layers: vec![
                    Layer::band(steps.clone(), around(-120.0), around(120.0)).colour(Colour::Blue).label("λ̂ ± 2 MCSE"),
                    Layer::line(steps.clone(), llc.clone()).colour(Colour::Blue).label("λ̂ ± 2 MCSE"),
                    Layer::vline(900.0).dashed().label("train accuracy 1"),
                    Layer::vline(14200.0).dashed().colour(Colour::Vermillion).label("validation accuracy 0.95"),
                    Layer::note(5000.0, 5150.0, "peak"),
                ],
                legend: Legend::Auto,
            },
            Panel {
                title: "(c) Exact finite-n value, and the asymptote it approaches only slowly as log log n".into(),
                x: Axis::log("number of samples n"),
                y: Axis::linear("E[nβK]").range(0.0, 0.6),
                layers: vec![
                    Layer::line(n.clone(), n.iter().map(|n| 0.5 - 1.0 / n.ln().max(2.0) * 0.98).collect::<Vec<_>>()).label("exact, finite n"),
                    Layer::hline(0.5).dashed().label("λ = 1/2"),
                    Layer::note_in_panel(0.55, 0.2, "K = w₁²w₂², m = 2"),
                ],
                legend: Legend::Auto,
            },
            Panel {
                title: "(d) Estimates over chains".into(),
                x: Axis::linear("λ̂"),
                y: Axis::linear("density"),
                layers: vec![
                    Layer::histogram(data, 40, true).label("SGLD"),
                    Layer::histogram(other, 40, true).label("HMC"),
                    Layer::vline(0.5).dashed().label("theory"),
                ],
                legend: Legend::Auto,
            },
        ],
    }
}

fn maps() -> Figure {
    let grid = |lo: f64, hi: f64| range(96, |t| lo * (hi / lo).powf(t));
    let (xs, ys) = (grid(1e-5, 1e-2), grid(0.1, 1000.0));
    let mut z = Vec::new();
    for (iy, y) in ys.iter().enumerate() {
        for (ix, x) in xs.iter().enumerate() {
            let hole = ix > 80 && iy < 12;
            z.push(if hole {
                f64::NAN
            } else {
                100.0 / (1.0 + y * x * 50.0) * (1.0 + 0.2 * (6.0 * x.log10()).sin())
            });
        }
    }
    let map = |log: bool, bar: &str| {
        Layer::heat(Heat {
            xs: xs.clone(),
            ys: ys.clone(),
            z: z.clone(),
            log,
            range: None,
            n_levels: 24,
            bar: Some(bar.into()),
        })
    };
    let panel = |title: &str, layer: Layer| Panel {
        title: title.into(),
        x: Axis::log("step size ε"),
        y: Axis::log("localisation γ"),
        layers: vec![
            layer,
            Layer::line([1e-4, 1e-4, 1e-3], [0.1, 10.0, 1000.0]).colour(Colour::Black),
        ],
        legend: Legend::Auto,
    };
    Figure {
        title: String::new(),
        columns: 2,
        size: (820, 340),
        panels: vec![
            panel("(a) linear", map(false, "λ̂")),
            panel("(b) logarithmic", map(true, "local learning coefficient λ̂")),
        ],
    }
}

fn one() -> Figure {
    let x = [1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3];
    Figure {
        title: String::new(),
        columns: 1,
        size: Figure::grid_size(1, 1),
        panels: vec![Panel {
            title: "Variance of SGLD on U = 2w²".into(),
            x: Axis::log("step size ε"),
            y: Axis::log("variance"),
            layers: (0..8)
                .map(|k| {
                    let y = x.map(|x| 0.1 * (1.0 + f64::from(k) + x) * 10f64.powf(-2.0 * x));
                    Layer::points_with_errors(x, y, y.map(|y| 0.3 * y))
                        .label(&format!("chain {k} < 8 & more"))
                        .colour(Colour::Graded(f64::from(k) / 7.0))
                })
                .chain([Layer::line(vec![0.0, f64::NAN], vec![1.0, 1.0])])
                .collect(),
            legend: Legend::Auto,
        }],
    }
}

fn chains() -> Figure {
    let panel = |k: usize| {
        let draws = range(5000, |t| 5000.0 * t);
        let mut w = 0.0;
        let trace: Vec<f64> = (0..5000)
            .map(|i| {
                w = 0.98 * w + 0.2 * noise(i + 7777 * k);
                1e6 * w
            })
            .collect();
        Panel {
            title: if k == 1 {
                String::new()
            } else {
                format!("chain {k}")
            },
            x: Axis::linear("draw"),
            y: Axis::linear("nβ(L − L₀)"),
            layers: vec![
                Layer::line(draws, trace).label("trace"),
                Layer::hline(0.0).dashed(),
            ],
            legend: Legend::Above,
        }
    };
    Figure {
        title: "Five chains in three columns".into(),
        columns: 3,
        size: (1000, 520),
        panels: (0..5).map(panel).collect(),
    }
}
