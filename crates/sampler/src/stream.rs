//! Streams of random numbers addressed by (seed, purpose, stream, index): never `seed + i`.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for; streams of different purposes never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Langevin noise.
    Noise = 0,
    /// Initial parameters.
    Initialisation = 1,
    /// Data sets.
    Data = 2,
    /// Order of minibatches while sampling.
    SamplingBatches = 3,
    /// Order of minibatches while training.
    TrainingBatches = 4,
    /// Random vectors that probe a Hessian.
    Probes = 5,
    /// Metropolis tests.
    Acceptance = 6,
    /// Populations that are cooled.
    Annealing = 7,
}

/// A ChaCha8 generator of its own for `index` of the row `stream` (an epoch, a layer, …).
pub fn rng(seed: u64, purpose: Purpose, stream: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&index.to_le_bytes());
    key[16] = purpose as u8;
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(stream);
    rng
}
