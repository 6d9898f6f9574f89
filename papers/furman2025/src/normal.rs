//! Standard normals of one generator (Box and Muller 1958).

use std::f64::consts::TAU;

use rand::RngExt;

/// The next normal.
pub fn normal(rng: &mut impl RngExt) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (TAU * rng.random::<f64>()).cos()
}
