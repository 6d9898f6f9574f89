//! Where an estimate depends least on its two settings that calibration leaves to the user: a grid of γ and nβ.
//!
//! How an estimate changes with them is known from its own draws, without a second run:
//! ```text
//! d ln λ̂/d ln γ = -Cov(nβL, γ/2 |w - w*|²)/λ̂,     d ln λ̂/d ln nβ = 1 - Var(nβL)/λ̂
//! ```
//! ([`Llc::gamma_share`] and [`Llc::nbeta_slope`]). The larger of the two, without its sign, is a cell's slope. Where γ is too
//! small for chains to settle, or so large that it decides the estimate, the verdict or the slope says so.

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use crate::calibrate::{CalibrateError, Calibrated, Request, calibrate};
use crate::dynamics::Dynamics;
use crate::llc::{Llc, Verdict};
use crate::target::Target;

/// The slope up to which a cell lies on a plateau: settings twice as large change the estimate by 7 %.
const PLATEAU_LIMIT: f64 = 0.1;

/// Calibrated estimates at some γ and nβ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// For each γ, each nβ.
    pub cells: Vec<PlateauCell>,
    /// The cell of the least slope among those whose verdict is *ok*.
    pub flattest: Option<usize>,
}

/// An estimate at one γ and nβ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlateauCell {
    /// Localisation γ.
    pub gamma: f64,
    /// `nβ`.
    pub nbeta: f64,
    /// The estimate, or why there is none.
    pub found: Result<Calibrated, String>,
}

impl PlateauCell {
    /// The larger of `|d ln λ̂/d ln γ|` and `|d ln λ̂/d ln nβ|`, where the verdict is *ok*.
    pub fn slope(&self) -> Option<f64> {
        let llc: &Llc = &self.found.as_ref().ok()?.llc;
        let slope = llc.gamma_share?.abs().max(llc.nbeta_slope?.abs());
        (llc.verdict == Verdict::Ok).then_some(slope)
    }

    /// Whether settings twice as large change the estimate by less than 7 %.
    pub fn is_flat(&self) -> bool {
        self.slope().is_some_and(|slope| slope <= PLATEAU_LIMIT)
    }
}

/// Calibrates at every combination of `gammas` and `nbetas`, and finds where the estimate depends least on them.
///
/// `request` gives all else; `max_gradients` are those of one cell. `progress` is called with the number of chain-steps done since
/// its last call.
///
/// Shapes: `anchor`: `[d]`.
///
/// # Errors
/// [`CalibrateError`] where a γ or nβ is impossible, before any chain is run. A cell without an estimate says so itself.
pub fn plateau<T: Target + Clone + Send + Sync>(
    target: &T,
    anchor: ArrayView1<f64>,
    (gammas, nbetas): (&[f64], &[f64]),
    request: &Request,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Plateau, CalibrateError> {
    let settings = gammas
        .iter()
        .flat_map(|&gamma| nbetas.iter().map(move |&nbeta| (gamma, nbeta)));
    for (gamma, nbeta) in settings.clone() {
        Dynamics::new(1.0, nbeta, gamma)?;
        if gamma == 0.0 {
            return Err(CalibrateError::Gamma(gamma));
        }
    }
    let cells: Vec<PlateauCell> = settings
        .zip(request.seed..)
        .map(|((gamma, nbeta), seed)| {
            let own = Request {
                gamma,
                nbeta,
                seed,
                ..*request
            };
            let found = calibrate(target, anchor, &own, progress);
            PlateauCell {
                gamma,
                nbeta,
                found: found.map_err(|error| error.to_string()),
            }
        })
        .collect();
    let slopes = cells.iter().enumerate();
    let flattest = slopes
        .filter_map(|(i, cell)| Some((i, cell.slope()?)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(i, _)| i);
    Ok(Plateau { cells, flattest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{NormalCrossing, Quadratic};
    use ndarray::{Array1, array};

    fn request() -> Request {
        Request {
            relative_error: 0.01,
            ..Request::new(1.0, 1.0, 1)
        }
    }

    /// Both slopes of `x²/2` are γ/(nβ + γ).
    #[test]
    fn a_quadratic_is_flat_where_gamma_is_small() {
        let target = Quadratic::new(array![[1.0]], array![0.0], 0.0, 100);
        let grid = (&[1.0, 4.0][..], &[10.0, 100.0][..]);
        let at = Array1::zeros(1);
        let found = plateau(&target, at.view(), grid, &request(), &|_| ()).expect("a grid");
        assert_eq!(found.cells.len(), 4);
        for cell in &found.cells {
            assert!(cell.found.as_ref().is_ok_and(|found| found.reached));
            let slope = cell.slope().expect("an estimate");
            let exact = cell.gamma / (cell.nbeta + cell.gamma);
            assert!((slope - exact).abs() < 0.1, "{cell:?}");
        }
        let flattest = &found.cells[found.flattest.expect("an estimate")];
        assert_eq!((flattest.gamma, flattest.nbeta), (1.0, 100.0));
        assert!(flattest.is_flat() && !found.cells[2].is_flat());
    }

    /// `w⁴` depends on γ/√nβ alone, so that its slope in nβ is half that in γ.
    #[test]
    fn the_slopes_of_a_fourth_power() {
        let target = NormalCrossing::new(1.0, &[2], 100);
        let at = Array1::zeros(1);
        let found = plateau(&target, at.view(), (&[5.0], &[100.0]), &request(), &|_| ());
        let found = found.expect("a grid");
        let llc = &found.cells[0].found.as_ref().expect("an estimate").llc;
        let (gamma, nbeta) = (
            llc.gamma_share.expect("known"),
            llc.nbeta_slope.expect("known"),
        );
        assert!(
            0.1 < gamma && (nbeta - 0.5 * gamma).abs() < 0.05,
            "{gamma} {nbeta}"
        );
    }

    #[test]
    fn impossible_settings_are_named() {
        let target = Quadratic::new(array![[1.0]], array![0.0], 0.0, 100);
        let at = Array1::zeros(1);
        let error = |gamma, nbeta| {
            let found = plateau(
                &target,
                at.view(),
                (&[gamma], &[nbeta]),
                &request(),
                &|_| (),
            );
            found.expect_err("refused").to_string()
        };
        assert!(error(0.0, 1.0).contains("gamma is 0"));
        assert!(error(f64::NAN, 1.0).contains("gamma is NaN"));
        assert!(error(1.0, -1.0).contains("nbeta is -1"));
        let none = plateau(&target, at.view(), (&[], &[1.0]), &request(), &|_| ());
        assert_eq!(none.expect("a grid").flattest, None);
    }
}
