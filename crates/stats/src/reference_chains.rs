//! Fixed chains and their diagnostics by the R package `posterior` 1.4.0 (R 4.2.2).
//!
//! Printed by scripts/posterior_reference.R.

use ndarray::{Array2, s};

use crate::ar1::park_miller;

/// A data set, its corners to check the recipe by, and what `posterior` says of it.
pub(crate) struct Reference {
    pub(crate) name: &'static str,
    pub(crate) draws: Array2<f64>,
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) ess_mean: f64,
    pub(crate) ess_bulk: f64,
    pub(crate) ess_tail: f64,
    pub(crate) rhat: f64,
    pub(crate) rhat_basic: f64,
    pub(crate) mcse_mean: f64,
}

/// Two chains of the least length, whose ESS is capped at `S log₁₀ S`.
pub(crate) fn short() -> Array2<f64> {
    park_miller(7, 2, 12, 0.0)
}

/// Four chains, the first one off by 2.
fn shifted() -> Array2<f64> {
    let mut draws = park_miller(5, 4, 100, 0.5);
    draws.slice_mut(s![0, ..]).mapv_inplace(|x| x + 2.0);
    draws
}

/// Two chains of odd length, the first one with four times the spread.
fn widened() -> Array2<f64> {
    let mut draws = park_miller(6, 2, 41, 0.0);
    draws.slice_mut(s![0, ..]).mapv_inplace(|x| 4.0 * x);
    draws
}

/// All data sets of the script.
pub(crate) fn references() -> [Reference; 7] {
    [
        Reference {
            name: "slow",
            draws: park_miller(1, 4, 250, 0.9),
            first: -0.65965542321077253,
            last: -3.6907649117379577,
            ess_mean: 48.929103577859308,
            ess_bulk: 49.167661465137193,
            ess_tail: 96.526057709049198,
            rhat: 1.0329172368939636,
            rhat_basic: 1.0336603441061725,
            mcse_mean: 0.35159099467019533,
        },
        Reference {
            name: "skewed",
            draws: park_miller(2, 4, 251, 0.3).mapv(|x| x * x),
            first: 1.7405811094855383,
            last: 0.070403633428360007,
            ess_mean: 788.07336558459667,
            ess_bulk: 767.04358746366438,
            ess_tail: 951.01431503992228,
            rhat: 1.0018658929063209,
            rhat_basic: 1.0010334460358608,
            mcse_mean: 0.054264586056912111,
        },
        Reference {
            name: "antithetic",
            draws: park_miller(3, 1, 200, -0.5),
            first: -1.9789662696323207,
            last: 0.51935320505296811,
            ess_mean: 361.71127428851304,
            ess_bulk: 385.02590634727318,
            ess_tail: 212.62085774700176,
            rhat: 1.0086555906908998,
            rhat_basic: 1.0022992579137644,
            mcse_mean: 0.05695009027727034,
        },
        Reference {
            name: "tied",
            draws: park_miller(4, 3, 100, 0.5).mapv(|x| (2.0 * x).floor()),
            first: -2.0,
            last: -1.0,
            ess_mean: 126.97895094972205,
            ess_bulk: 130.06670110808227,
            ess_tail: 131.5654063640992,
            rhat: 1.0031233994519571,
            rhat_basic: 0.9986692956810802,
            mcse_mean: 0.19317220545501684,
        },
        Reference {
            name: "shifted",
            draws: shifted(),
            first: 1.7017228839461334,
            last: -0.4391653443137033,
            ess_mean: 16.549975941692786,
            ess_bulk: 15.882482136179876,
            ess_tail: 178.30471211043903,
            rhat: 1.2250460487163632,
            rhat_basic: 1.2153328713915896,
            mcse_mean: 0.34696281574804644,
        },
        Reference {
            name: "widened",
            draws: widened(),
            first: -7.8317301570585602,
            last: -0.0030023590675565259,
            ess_mean: 81.320723946000527,
            ess_bulk: 89.92843298007304,
            ess_tail: 46.973989183620937,
            rhat: 1.2486418899441674,
            rhat_basic: 0.97715268170901448,
            mcse_mean: 0.33884756377653047,
        },
        Reference {
            name: "short",
            draws: short(),
            first: 0.38241203752458697,
            last: 1.7084832208736249,
            ess_mean: 24.416884315213718,
            ess_bulk: 20.172054533305747,
            ess_tail: 33.125069801078538,
            rhat: 1.0434644267035369,
            rhat_basic: 0.95422986926049846,
            mcse_mean: 0.20639850469912419,
        },
    ]
}

/// Compares one diagnostic with its column, relative 1e-10.
pub(crate) fn check_against_posterior(
    obtained: impl Fn(&Reference) -> f64,
    expected: impl Fn(&Reference) -> f64,
) {
    for reference in references() {
        let (obtained, expected) = (obtained(&reference), expected(&reference));
        let relative = (obtained - expected).abs() / expected;
        assert!(
            relative <= 1e-10,
            "{}: {obtained} against {expected}, relative {relative:e}",
            reference.name
        );
    }
}

#[test]
fn recipe_gives_the_same_bits() {
    for Reference {
        name,
        draws,
        first,
        last,
        ..
    } in references()
    {
        let (n_chains, n_draws) = draws.dim();
        let corners = (draws[[0, 0]], draws[[n_chains - 1, n_draws - 1]]);
        assert_eq!(corners, (first, last), "{name}");
    }
}
