//! The seed of the stress tests.

/// The seed in `SLT_STRESS_SEED`, or 1.
///
/// # Panics
/// If it is not a whole number.
pub fn stress_seed() -> u64 {
    std::env::var("SLT_STRESS_SEED").map_or(1, |seed| {
        seed.parse().expect("SLT_STRESS_SEED is a whole number")
    })
}
