//! The authors' own record of the main run (seed 0), from their code's `results/flatness_test/loss_data.csv`.

/// A checkpoint of it: step, training and validation accuracy, LLC, Hutchinson trace.
pub type Checkpoint = (f64, f64, f64, f64, f64);

pub const MEASURED: [Checkpoint; 15] = [
    (100.0, 0.224, 0.007, 4310.5, 3.3),
    (500.0, 0.969, 0.001, 4379.3, 6.1),
    (900.0, 1.0, 0.001, 4455.7, 19.3),
    (2000.0, 1.0, 0.012, 4825.7, 104.6),
    (3000.0, 1.0, 0.033, 4912.1, 147.3),
    (5000.0, 1.0, 0.039, 5021.4, 168.5),
    (7100.0, 1.0, 0.050, 4966.8, 175.1),
    (8000.0, 1.0, 0.058, 4960.6, 165.5),
    (10000.0, 1.0, 0.101, 4935.5, 153.0),
    (12000.0, 1.0, 0.407, 4871.1, 142.2),
    (12500.0, 1.0, 0.549, 4865.9, 139.5),
    (13500.0, 1.0, 0.856, 4792.8, 129.9),
    (14200.0, 1.0, 0.958, 4809.5, 125.0),
    (15000.0, 1.0, 0.991, 4762.5, 121.9),
    (15900.0, 1.0, 1.0, 4705.3, 116.2),
];

/// One column of the record.
pub fn column(of: impl Fn(&Checkpoint) -> f64) -> Vec<f64> {
    MEASURED.iter().map(of).collect()
}
