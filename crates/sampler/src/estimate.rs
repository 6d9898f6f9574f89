//! Estimates around many points at once: all chains of all points are rows of one ensemble.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array2, ArrayView2, Axis};

use crate::chains::{self, Draws, Ensemble, Plan, RunError};
use crate::dynamics::{Dynamics, Row};
use crate::harmonic::Harmonic;
use crate::kernel::Kernel;
use crate::llc::{Llc, LlcError};
use crate::spectrum::Probes;
use crate::target::Target;

/// Where estimates are made, and how.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    /// `w*` of each, `[n_points, d]`.
    pub anchors: ArrayView2<'a, f64>,
    /// What the chains of each do, `[n_points]`.
    pub dynamics: &'a [Dynamics],
    /// Chains around each: chain `c` of point `p` is row `p n_chains + c`.
    pub n_chains: usize,
    /// Stream of the first row's random numbers; the others follow.
    pub from_stream: u64,
}

/// Estimates at some points, and the draws that they were made from.
#[derive(Debug)]
pub struct Estimates {
    /// One for each point, or why there is none.
    pub llcs: Vec<Result<Llc, LlcError>>,
    /// The draws of all rows.
    pub draws: Draws,
}

impl Estimates {
    /// All estimates, or the first reason why there is none.
    ///
    /// # Errors
    /// [`LlcError`] of the first point without an estimate.
    pub fn all(self) -> Result<Vec<Llc>, LlcError> {
        self.llcs.into_iter().collect()
    }
}

/// Runs `n_chains` chains around each of `points` and estimates the LLC there.
///
/// With `probes`, each estimate comes with the second order of the loss at its point: probes of stream `stream + p` for point `p`.
/// `progress` is called with the number of chain-steps done since its last call, from any thread.
///
/// ```
/// use ndarray::{Array1, Array2, array};
/// use slt_sampler::{Dynamics, Kernel, Points, Sampling, estimate, targets::Quadratic};
///
/// let target = Quadratic::new(array![[1.0, 0.0], [0.0, 3.0]], Array1::zeros(2), 0.0, 100);
/// let settings = Sampling {
///     kernel: Kernel::MALA, step_size: 0.02, gamma: 10.0, n_steps: 4000, burn_in: 200, thin: 4, n_chains: 16,
///     batch_size: None, seed: 1,
/// };
/// let anchor = Array2::zeros((1, 2));
/// let points = Points {
///     anchors: anchor.view(),
///     dynamics: &[Dynamics::new(settings.step_size, 10.0, settings.gamma)?],
///     n_chains: settings.n_chains,
///     from_stream: 0,
/// };
/// let found = estimate(&target, &points, &settings.plan(100)?, None, &|_| ())?;
/// let llc = &found.all()?[0];
/// // ½ (10/20 + 30/40)
/// assert!((llc.mean - 0.625).abs() < 5.0 * llc.mcse && llc.mcse < 0.02, "{llc}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`RunError`] where no chain can be run.
///
/// # Panics
/// Unless there are as many dynamics as anchors.
pub fn estimate<T: Target + Clone + Send + Sync>(
    target: &T,
    points: &Points,
    plan: &Plan,
    probes: Option<&Probes>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Estimates, RunError> {
    let (n_points, d) = points.anchors.dim();
    let n_chains = points.n_chains;
    assert_eq!(n_points, points.dynamics.len(), "dynamics of each point");
    let anchors = Array2::from_shape_fn((n_points * n_chains, d), |(i, j)| {
        points.anchors[[i / n_chains, j]]
    });
    let rows: Vec<Row> = (points.from_stream..)
        .zip(0..anchors.nrows())
        .map(|(stream, i)| Row {
            stream,
            dynamics: points.dynamics[i / n_chains],
        })
        .collect();
    let draws = chains::run(
        target,
        plan,
        &Ensemble::new(anchors.view(), &rows),
        progress,
    )?;
    let mut initial = vec![f64::NAN; n_points];
    let standard = points.anchors.as_standard_layout();
    target.clone().loss(standard.view(), &mut initial);
    let mut harmonics = second_orders(target, points, plan, probes).into_iter();
    let llcs = (0..n_points).map(|p| {
        let chains = p * n_chains..(p + 1) * n_chains;
        let llc = Llc::from_draws(&draws, chains, initial[p], &points.dynamics[p])?;
        Ok(match harmonics.next() {
            Some(harmonic) => llc.with_harmonic(harmonic?),
            None => llc,
        })
    });
    Ok(Estimates {
        llcs: llcs.collect(),
        draws,
    })
}

/// The second order at each point, if it is asked for, the points shared among the threads.
fn second_orders<T: Target + Clone + Send + Sync>(
    target: &T,
    points: &Points,
    plan: &Plan,
    probes: Option<&Probes>,
) -> Vec<Result<Harmonic, LlcError>> {
    let Some(probes) = probes else {
        return Vec::new();
    };
    let schedule = (plan.kernel == Kernel::Sgld).then_some(&plan.schedule);
    let n_points = points.dynamics.len();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..plan.n_threads.min(n_points) {
            scope.spawn(|| {
                let mut target = target.clone();
                loop {
                    let p = next.fetch_add(1, Ordering::Relaxed);
                    let Some(dynamics) = points.dynamics.get(p) else {
                        break;
                    };
                    let at = points.anchors.index_axis(Axis(0), p);
                    let own = Probes {
                        stream: probes.stream + p as u64,
                        ..*probes
                    };
                    let found = Harmonic::at(&mut target, at, dynamics, schedule, &own);
                    let mut done = done
                        .lock()
                        .expect("no worker panics while it holds the lock");
                    done.push((p, found.map_err(LlcError::from)));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no worker panicked");
    done.sort_unstable_by_key(|&(p, _)| p);
    done.into_iter().map(|(_, harmonic)| harmonic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chains::Schedule;
    use crate::llc::Verdict;
    use crate::targets::NormalCrossing;
    use ndarray::{array, s};

    const PROBES: Probes = Probes {
        n_probes: 2,
        n_steps: 2,
        seed: 1,
        stream: 0,
    };

    fn plan(kernel: Kernel) -> Plan {
        Plan {
            kernel,
            schedule: Schedule {
                burn_in: 10,
                n_draws: 40,
                thin: 2,
            },
            batch_size: None,
            radius: None,
            seed: 3,
            keep_positions: false,
            n_threads: 2,
            block: 3,
        }
    }

    /// Points beside each other are as each alone.
    #[test]
    fn a_point_does_not_depend_on_the_others() {
        let target = NormalCrossing::new(1.0, &[1, 1], 100);
        let anchors = array![[0.0, 0.0], [0.5, 0.0], [f64::MAX, 2.0]];
        let dynamics = [(1e-3, 5.0), (1e-2, 1.0), (1e-3, 1.0)]
            .map(|(step, gamma)| Dynamics::new(step, 20.0, gamma).expect("valid"));
        let at = |p: std::ops::Range<usize>| {
            let points = Points {
                anchors: anchors.slice(s![p.clone(), ..]),
                dynamics: &dynamics[p.clone()],
                n_chains: 4,
                from_stream: 4 * p.start as u64,
            };
            let probes = Probes {
                stream: p.start as u64,
                ..PROBES
            };
            let found = estimate(
                &target,
                &points,
                &plan(Kernel::Sgld),
                Some(&probes),
                &|_| (),
            );
            found.map(|found| found.all().expect("estimates"))
        };
        let both = at(0..2).expect("finite losses");
        for p in 0..2 {
            assert_eq!(both[p], at(p..p + 1).expect("a finite loss")[0]);
        }
        // w1² overflows
        let error = at(0..3).expect_err("refused");
        assert!(
            matches!(error, RunError::InitialLoss { row: 8, .. }),
            "{error}"
        );
    }

    #[test]
    fn chains_from_the_point_have_a_mean_of_their_own() {
        let target = NormalCrossing::new(1.0, &[1], 100);
        let anchors = array![[0.0]];
        let dynamics = [Dynamics::new(1e-3, 20.0, 5.0).expect("valid")];
        let points = Points {
            anchors: anchors.view(),
            dynamics: &dynamics,
            n_chains: 4,
            from_stream: 0,
        };
        let harmonic = |kernel| {
            let found = estimate(&target, &points, &plan(kernel), Some(&PROBES), &|_| ());
            let llc = found.expect("valid").llcs.remove(0).expect("an estimate");
            let part = llc.anharmonic_part().expect("a second order");
            let harmonic = llc.harmonic.expect("a second order");
            assert_eq!(part.value, llc.mean - harmonic.expected().value);
            assert_eq!((part.mcse, llc.verdict), (llc.mcse, Verdict::NotConverged));
            harmonic
        };
        assert!(harmonic(Kernel::Sgld).chain_factor().is_some());
        assert!(harmonic(Kernel::MALA).chain_factor().is_none());
        let none = estimate(&target, &points, &plan(Kernel::Sgld), None, &|_| ());
        let llc = none.expect("valid").llcs.remove(0).expect("an estimate");
        assert_eq!((llc.harmonic, llc.anharmonic_part()), (None, None));
    }
}
