//! Langevin dynamics with momenta: SGHMC and its thermostat SGNHT; the updates are written at [`crate::Kernel`].
//!
//! On a quadratic loss with precision `a` in a direction, SGHMC's stationary variance is `1/(a (1 - η a/(2 (2 - α))))` with
//! `η = ε/2`: solve the three equations that one step leaves `E v²`, `E x v` and `E x²` as they are. At `α = 1` it is
//! SGLD's `1/(a (1 - εa/4))`. The thermostat holds `E |v|²/d = η` whatever noise the gradient has.

use ndarray::Array2;

use crate::sgld::Coefficients;
use crate::state::{Memory, State};

/// Momenta `[n_rows, d]`, and the friction of each row.
#[derive(Debug, Clone)]
pub(crate) struct Momenta {
    v: Array2<f64>,
    friction: Vec<f64>,
    /// Parameters of each row that move: those that are held have no momentum to be kept at a temperature.
    n_free: Vec<f64>,
}

pub(crate) fn step(friction: f64, thermostat: bool, state: &mut State) {
    let (n_rows, d) = state.rows.dim();
    if matches!(state.memory, Memory::Nothing) {
        let n_free = |i: usize| match &state.scale {
            None => d as f64,
            Some(scale) => scale.row(i).iter().filter(|&&s| s > 0.0).count() as f64,
        };
        state.memory = Memory::Underdamped(Momenta {
            n_free: (0..n_rows).map(n_free).collect(),
            v: Array2::zeros((n_rows, d)),
            friction: vec![friction; n_rows],
        });
    }
    let Memory::Underdamped(mut momenta) = std::mem::take(&mut state.memory) else {
        unreachable!("an ensemble keeps its kernel")
    };
    for i in 0..n_rows {
        let law = state.dynamics[i];
        let c = Coefficients::of(&law);
        // noise of variance 2αη: that of SGLD is 2η
        let noise_factor = friction.sqrt() * c.noise;
        let keep = 1.0 - momenta.friction[i];
        let (rows, v) = (&mut state.rows, &mut momenta.v);
        let scale = &state.scale;
        let (grad, anchor) = (&state.grad, &state.anchor);
        let mut square = 0.0;
        state.noise[i].for_step(state.step, |at, xi| {
            for (j, &x) in (at..).zip(xi) {
                let at = [i, j];
                let s = scale.as_ref().map_or(1.0, |scale| scale[at]);
                let force = c.grad * grad[at] + c.anchor * (rows[at] - anchor[at]);
                v[at] = keep * v[at] - s * force + noise_factor * f64::from(x);
                rows[at] += s * v[at];
                if s > 0.0 {
                    square += v[at] * v[at];
                }
            }
        });
        if thermostat {
            let mass = 0.5 * law.step_size() * law.temperature();
            momenta.friction[i] += square / momenta.n_free[i] - mass;
        }
    }
    state.reflect(Some(&mut momenta.v));
    state.memory = Memory::Underdamped(momenta);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::{Dynamics, Row};
    use crate::kernel::Kernel;
    use crate::target::Batch;
    use crate::targets::Quadratic;
    use ndarray::array;

    /// The momenta keep the temperature that the thermostat is set to, although the gradients are noisier than it knows.
    #[test]
    fn the_thermostat_holds_the_temperature() {
        let dynamics = Dynamics::new(0.02, 10.0, 1.0).and_then(|d| d.with_temperature(1.7));
        let rows = Row::many(0, 64, dynamics.expect("valid"));
        let mut target = Quadratic::new(array![[2.0, 0.5], [0.5, 1.0]], array![0.0, 0.0], 0.0, 10);
        let mut state = State::new(Array2::zeros((64, 2)).view(), 5, &rows);
        let kernel = Kernel::Sgnht { friction: 0.1 };
        let (mut sum, n_steps) = (0.0, 20_000);
        for step in 0..n_steps + 2000 {
            kernel.step(&mut target, Batch::Full, &mut state);
            if let (true, Memory::Underdamped(momenta)) = (step >= 2000, &state.memory) {
                sum += momenta.v.iter().map(|v| v * v).sum::<f64>() / 128.0;
            }
        }
        // by telescoping the friction's recursion, the mean differs from η T by (change of friction)/n_steps alone
        let held = sum / f64::from(n_steps);
        assert!((held / (0.01 * 1.7) - 1.0).abs() < 0.01, "{held}");
    }
}
