//! The thermal counterpart of the free energy: `F = E − T S`.
//!
//! Loss plays the role of energy and the learning coefficient that of (minus) entropy: `n L + λ log n`
//! trades fit against volume as `E − T S` trades binding against disorder. Two phases of a substance
//! have equal free energy at `T = ΔE/ΔS`: ice melts at 273.15 K because there the heat of fusion
//! equals T times the gain of entropy. At constant pressure `E` is the enthalpy.
//!
//! For a discrete density of states `g(E)` the identity is exact: with `p = exp(−E/T)/Z` per state,
//! `−T log Z = <E> − T S`, `S = −Σ g p log p` (Gibbs). Boltzmann's constant is 1.

/// A phase of a substance: its energy and its entropy, both taken as independent of temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThermalPhase {
    /// E, in any unit of energy.
    pub energy: f64,
    /// S, in the same unit of energy per unit of temperature.
    pub entropy: f64,
}

/// Why a temperature or a density of states was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ThermalError {
    /// The phase of higher energy has no more entropy, so that nothing melts.
    #[error(
        "melting needs a gain of energy and of entropy, got ΔE = {energy_gain}, ΔS = {entropy_gain}"
    )]
    NoMelting {
        /// ΔE, liquid less solid.
        energy_gain: f64,
        /// ΔS, liquid less solid.
        entropy_gain: f64,
    },
    /// A temperature is not positive.
    #[error("a temperature is positive and finite, got {temperature}")]
    Temperature {
        /// The temperature given.
        temperature: f64,
    },
    /// There are no levels.
    #[error("a density of states needs at least one level")]
    NoLevels,
    /// A level has an energy that is not finite, or no states.
    #[error("level {index} has energy {energy} and degeneracy {degeneracy}")]
    Level {
        /// Which level.
        index: usize,
        /// Its energy.
        energy: f64,
        /// Its number of states.
        degeneracy: f64,
    },
}

impl ThermalPhase {
    /// `F = E − T S` at `temperature`.
    pub fn free_energy(&self, temperature: f64) -> f64 {
        self.energy - temperature * self.entropy
    }
}

/// The temperature `T = ΔE/ΔS` at which the two phases have equal free energy.
///
/// Below it the solid has the lower free energy, above it the liquid.
///
/// # Errors
/// [`ThermalError::NoMelting`] unless `ΔE > 0` and `ΔS > 0` (liquid less solid) are finite.
pub fn melting_temperature(
    solid: &ThermalPhase,
    liquid: &ThermalPhase,
) -> Result<f64, ThermalError> {
    let energy_gain = liquid.energy - solid.energy;
    let entropy_gain = liquid.entropy - solid.entropy;
    let positive = |x: f64| 0.0 < x && x.is_finite();
    if !(positive(energy_gain) && positive(entropy_gain)) {
        return Err(ThermalError::NoMelting {
            energy_gain,
            entropy_gain,
        });
    }
    Ok(energy_gain / entropy_gain)
}

/// Finitely many energy levels with their numbers of states.
#[derive(Clone, Debug, PartialEq)]
pub struct DensityOfStates {
    levels: Vec<(f64, f64)>,
}

/// The canonical ensemble of a density of states at one temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Canonical {
    /// `log Z = log Σ g exp(−E/T)`.
    pub log_partition: f64,
    /// `<E> = Σ g p E`.
    pub mean_energy: f64,
    /// `S = −Σ g p log p`, by the Gibbs formula and not from F.
    pub entropy: f64,
    /// `F = −T log Z`.
    pub free_energy: f64,
}

impl DensityOfStates {
    /// The density of states with levels `(energy, degeneracy)`.
    ///
    /// # Errors
    /// [`ThermalError::NoLevels`] when there are none; [`ThermalError::Level`] when an energy is not
    /// finite or a degeneracy is not positive and finite.
    pub fn new(levels: Vec<(f64, f64)>) -> Result<Self, ThermalError> {
        if levels.is_empty() {
            return Err(ThermalError::NoLevels);
        }
        for (index, &(energy, degeneracy)) in levels.iter().enumerate() {
            if !(energy.is_finite() && 0.0 < degeneracy && degeneracy.is_finite()) {
                return Err(ThermalError::Level {
                    index,
                    energy,
                    degeneracy,
                });
            }
        }
        Ok(Self { levels })
    }

    /// The canonical ensemble at `temperature` (in units of energy).
    ///
    /// # Errors
    /// [`ThermalError::Temperature`] unless `0 < temperature < ∞`.
    pub fn canonical(&self, temperature: f64) -> Result<Canonical, ThermalError> {
        if !(0.0 < temperature && temperature.is_finite()) {
            return Err(ThermalError::Temperature { temperature });
        }
        let ground = self
            .levels
            .iter()
            .fold(f64::INFINITY, |least, &(energy, _)| least.min(energy));
        let shifted: f64 = self
            .levels
            .iter()
            .map(|&(energy, g)| g * (-(energy - ground) / temperature).exp())
            .sum();
        let log_partition = shifted.ln() - ground / temperature;
        let (mut mean_energy, mut entropy) = (0.0, 0.0);
        for &(energy, g) in &self.levels {
            let log_p = -(energy - ground) / temperature - shifted.ln();
            let share = g * log_p.exp();
            mean_energy += share * energy;
            entropy -= share * log_p;
        }
        Ok(Canonical {
            log_partition,
            mean_energy,
            entropy,
            free_energy: -temperature * log_partition,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    /// Heat of fusion 6.00678 kJ/mol (333.427 J/g), melting point 273.15 K: ΔS = 21.9908 J/(mol K).
    #[test]
    fn ice_melts() {
        let ice = ThermalPhase {
            energy: 0.0,
            entropy: 0.0,
        };
        let water = ThermalPhase {
            energy: 6006.78,
            entropy: 21.9908,
        };
        let melting = melting_temperature(&ice, &water).unwrap();
        assert_relative_eq!(melting, 273.15, max_relative = 1e-5);
        assert!(ice.free_energy(melting - 1.0) < water.free_energy(melting - 1.0));
        assert!(ice.free_energy(melting + 1.0) > water.free_energy(melting + 1.0));
    }

    /// Two levels 0 and 1 with g = 1: Z = 1 + e^(−1/T), <E> = 1/(e^(1/T) + 1).
    #[test]
    fn two_levels() {
        let two = DensityOfStates::new(vec![(0.0, 1.0), (1.0, 1.0)]).unwrap();
        let at = two.canonical(0.5).unwrap();
        assert_relative_eq!(
            at.log_partition,
            (-2.0_f64).exp().ln_1p(),
            max_relative = 1e-15
        );
        assert_relative_eq!(
            at.mean_energy,
            1.0 / (2.0_f64.exp() + 1.0),
            max_relative = 1e-15
        );
    }

    #[test]
    fn impossible_input_is_refused() {
        assert_eq!(DensityOfStates::new(vec![]), Err(ThermalError::NoLevels));
        for level in [(f64::NAN, 1.0), (0.0, 0.0), (0.0, f64::NAN)] {
            assert!(matches!(
                DensityOfStates::new(vec![(0.0, 1.0), level]),
                Err(ThermalError::Level { index: 1, .. })
            ));
        }
        let solid = ThermalPhase {
            energy: 0.0,
            entropy: 0.0,
        };
        for (energy, entropy) in [(1.0, 0.0), (0.0, 1.0), (-1.0, -1.0), (f64::NAN, 1.0)] {
            assert!(matches!(
                melting_temperature(&solid, &ThermalPhase { energy, entropy }),
                Err(ThermalError::NoMelting { .. })
            ));
        }
        let one = DensityOfStates::new(vec![(1.0, 1.0)]).unwrap();
        for temperature in [0.0, -1.0, f64::NAN] {
            assert!(matches!(
                one.canonical(temperature),
                Err(ThermalError::Temperature { .. })
            ));
        }
    }

    proptest! {
        /// F = <E> − T S, and <E> = −∂ log Z/∂(1/T).
        #[test]
        fn free_energy_is_energy_less_heat(
            levels in prop::collection::vec((-5.0..5.0, 0.1..100.0), 1..12),
            temperature in 0.05..20.0f64,
        ) {
            let states = DensityOfStates::new(levels).unwrap();
            let at = states.canonical(temperature).unwrap();
            let sum = at.mean_energy - temperature * at.entropy;
            let scale = at.mean_energy.abs() + temperature * at.entropy.abs() + 1.0;
            prop_assert!((at.free_energy - sum).abs() < 1e-13 * scale);
            let step = 1e-5 / temperature;
            let log_z = |beta: f64| states.canonical(1.0 / beta).unwrap().log_partition;
            let slope = (log_z(1.0 / temperature + step) - log_z(1.0 / temperature - step)) / (2.0 * step);
            prop_assert!((at.mean_energy + slope).abs() < 1e-5 * (1.0 + temperature));
        }

        /// The two-phase picture is the density of states with one level per phase and g = e^S.
        #[test]
        fn phases_are_levels(base in -5.0..5.0f64, order in -5.0..5.0f64, energy in 0.1..5.0f64, entropy in 0.1..5.0f64) {
            let solid = ThermalPhase { energy: base, entropy: order };
            let liquid = ThermalPhase { energy: base + energy, entropy: order + entropy };
            let melting = melting_temperature(&solid, &liquid).unwrap();
            let states = [solid, liquid].map(|phase| (phase.energy, phase.entropy.exp()));
            let states = DensityOfStates::new(states.to_vec()).unwrap();
            // At melting both phases have half of the weight.
            let at = states.canonical(melting).unwrap();
            prop_assert!((at.mean_energy - base - 0.5 * energy).abs() < 1e-12);
        }
    }
}
