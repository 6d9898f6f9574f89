//! Polynomials in two variables: (λ, m) exactly, by adapted coordinates.
//!
//! Let d be the Newton distance, the `t` at which `(t, t)` meets the Newton polygon; `1/λ` is the largest d over all analytic coordinates
//! (Varchenko 1976). Coordinates are adapted, d largest, if the face at `(d, d)` (the principal face) is a vertex, unbounded, or an edge whose polynomial has
//! no real root but 0 of multiplicity above d; then `λ = 1/d`, and `m = 2` if the face is a vertex or a root has multiplicity d, else 1
//! (Phong, Stein & Sturm 1999, *On the growth and stability of real-analytic functions*; Ikromov & Müller 2011; Collins 2018).
//!
//! A root of multiplicity N > d exists only on edges `y = r x^p` or `x = r y^p`. N is above half of the degree, so the root is unique, hence
//! rational, and the change `y → y + r x^p` stays in rational arithmetic. p grows from step to step. Where the N roots agree to an
//! order above D²/2, D the degree of K, they are equal, because distinct Puiseux roots of a plane curve of degree D do not agree so
//! far (Bézout; genus formula): K is a unit times `(y − ψ(x))^N x^i` with `i < N`, and `(λ, m) = (1/N, 1)`.
//!
//! Stated stop: beyond `x^64`, 10,000 terms or degree 100 the current `1/d` is returned, as the upper bound that it is. Up to degree
//! 11 this does not happen.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::{BigRational, Rational64};
use num_traits::{Signed, Zero};

use crate::univariate::Univariate;
use crate::{Known, LearningCoefficient, Newton, NewtonError};

/// The largest degree of a polynomial whose coordinates are changed.
const MAX_DEGREE: u32 = 100;
/// The highest power `x^p` in a change of coordinates.
const MAX_SHIFT: u32 = 64;
/// The largest number of terms after a change of coordinates.
const MAX_TERMS: usize = 10_000;

/// A germ `Σ c x^i y^j >= 0` at the origin of the plane, with a positive prior.
///
/// ```
/// use num_rational::Rational64;
/// use slt_theory::PlaneCurve;
///
/// // K = (y − x²)²: the Newton polygon alone gives the bound 3/4.
/// let c = Rational64::from_integer;
/// let parabola = PlaneCurve::new(&[((0, 2), c(1)), ((2, 1), c(-2)), ((4, 0), c(1))])?;
/// assert_eq!(parabola.learning_coefficient().to_string(), "λ = 1/2, m = 1");
/// # Ok::<(), slt_theory::PlaneCurveError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaneCurve {
    known: Known,
}

/// Why a polynomial gives no learning coefficient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaneCurveError {
    /// K is zero, does not vanish at 0, or takes negative values on a face of its Newton polygon.
    #[error(transparent)]
    Newton(#[from] NewtonError),
    /// K takes negative values near a branch that a change of coordinates has found.
    #[error(
        "K >= 0 near 0 is needed, but after changes of coordinates it is negative somewhere near the face of its Newton polygon at {at:?}"
    )]
    Negative {
        /// The exponents of x and y at the upper left end of the face.
        at: (u32, u32),
    },
}

impl PlaneCurve {
    /// `K = Σ c x^i y^j`, from pairs of exponents `(i, j)` and coefficient; equal exponents add.
    ///
    /// # Errors
    /// [`PlaneCurveError::Newton`] when `K = 0`, `K(0) ≠ 0`, or `K < 0` on a face of its Newton polygon;
    /// [`PlaneCurveError::Negative`] when `K < 0` near a branch.
    pub fn new(terms: &[((u32, u32), Rational64)]) -> Result<Self, PlaneCurveError> {
        let list: Vec<_> = terms.iter().map(|&((i, j), c)| (vec![i, j], c)).collect();
        let is_large = terms
            .iter()
            .any(|&((i, j), _)| i.saturating_add(j) > MAX_DEGREE);
        let known = match Newton::with_coefficients(&list, &[0, 0])?.learning_coefficient() {
            bound @ Known::UpperBound(_) if is_large => bound,
            Known::UpperBound(_) => adapted(Polynomial::new(terms))?,
            known => known,
        };
        Ok(Self { known })
    }

    /// (λ, m); an upper bound on λ at the stated stop alone.
    ///
    /// Accuracy: exact.
    ///
    /// Source: Varchenko (1976); Phong, Stein & Sturm (1999).
    pub fn learning_coefficient(&self) -> Known {
        self.known
    }
}

/// Follows the root of largest multiplicity until the coordinates are adapted.
fn adapted(mut polynomial: Polynomial) -> Result<Known, PlaneCurveError> {
    let degree = polynomial.degree();
    loop {
        let (distance, face) = polynomial.principal_face();
        let lambda = distance.recip();
        let exact = |m| Ok(LearningCoefficient::from_formula(lambda, m).into());
        let (Face::Unbounded(from) | Face::Vertex(from) | Face::Edge { from, .. }) = face;
        let negative = Err(PlaneCurveError::Negative { at: from });
        if !polynomial.is_plain(from) {
            return negative;
        }
        let to = match face {
            Face::Unbounded(_) => return exact(1),
            Face::Vertex(_) => return exact(2),
            Face::Edge {
                to: Reverse(to), ..
            } => to,
        };
        // The roots are y^q = r x^p.
        let (right, down) = (to.0 - from.0, from.1 - to.1);
        let (p, q) = (right / right.gcd(&down), down / right.gcd(&down));
        let along = polynomial.along(from, to, (p, q));
        let multiplicities = along.real_root_multiplicities();
        if !polynomial.is_plain(to) || multiplicities.iter().any(|n| n % 2 == 1) {
            return negative;
        }
        if q > 1 {
            if p > 1 {
                return exact(1);
            }
            polynomial = polynomial.transposed();
            continue;
        }
        let above = |n: u32| Rational64::from_integer(n.into()) > distance;
        let Some((root, n)) = along.dominant_root().filter(|&(_, n)| above(n)) else {
            let tie = |&n: &u32| Rational64::from_integer(n.into()) == distance;
            return exact(1 + u32::from(multiplicities.iter().any(tie)));
        };
        if 2 * p > degree * degree {
            let limit = Rational64::new(1, n.into());
            return Ok(LearningCoefficient::from_formula(limit, 1).into());
        }
        if p > MAX_SHIFT || polynomial.terms.len() > MAX_TERMS {
            return Ok(Known::UpperBound(lambda));
        }
        polynomial = polynomial.shifted(&root, p);
    }
}

/// The face of the Newton polygon with `(d, d)` inside. In the order of preference where several candidates have the same d.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Face {
    Unbounded((u32, u32)),
    /// From above the diagonal to below it; the longest comes first.
    Edge {
        from: (u32, u32),
        to: Reverse<(u32, u32)>,
    },
    Vertex((u32, u32)),
}

/// `Σ c x^i y^j` by `(i, j)`, without zeros.
struct Polynomial {
    terms: BTreeMap<(u32, u32), BigRational>,
}

impl Polynomial {
    fn new(terms: &[((u32, u32), Rational64)]) -> Self {
        let mut polynomial = Self {
            terms: BTreeMap::new(),
        };
        for &(exponents, c) in terms {
            polynomial.add(
                exponents,
                BigRational::new((*c.numer()).into(), (*c.denom()).into()),
            );
        }
        polynomial.without_zeros()
    }

    fn add(&mut self, exponents: (u32, u32), c: BigRational) {
        *self
            .terms
            .entry(exponents)
            .or_insert_with(BigRational::zero) += c;
    }

    fn without_zeros(mut self) -> Self {
        self.terms.retain(|_, c| !c.is_zero());
        self
    }

    fn degree(&self) -> u32 {
        self.terms.keys().map(|&(i, j)| i + j).max().unwrap_or(0)
    }

    /// d and its face: the least `t` with `(t, t)` in the polygon, over its points and the segments across the diagonal.
    fn principal_face(&self) -> (Rational64, Face) {
        // The leftmost point of each row; the terms are in the order of i.
        let mut rows: BTreeMap<u32, u32> = BTreeMap::new();
        for &(i, j) in self.terms.keys() {
            rows.entry(j).or_insert(i);
        }
        let points = || rows.iter().map(|(&j, &i)| (i, j));
        let single = points().map(|(i, j)| {
            let face = if i == j {
                Face::Vertex((i, j))
            } else {
                Face::Unbounded((i, j))
            };
            (Rational64::from_integer(i.max(j).into()), face)
        });
        let segments = points().filter(|(i, j)| i < j).flat_map(|from| {
            points().filter(|(i, j)| i > j).map(move |to| {
                let [i, j, k, l] = [from.0, from.1, to.0, to.1].map(i64::from);
                let crossing = Rational64::new(j * k - i * l, (j - i) + (k - l));
                (
                    crossing,
                    Face::Edge {
                        from,
                        to: Reverse(to),
                    },
                )
            })
        });
        single.chain(segments).min().expect("K is not zero")
    }

    /// Whether a vertex of the polygon has even exponents and a positive coefficient.
    fn is_plain(&self, (i, j): (u32, u32)) -> bool {
        i % 2 == 0 && j % 2 == 0 && self.terms[&(i, j)].is_positive()
    }

    /// The polynomial of an edge in `t = y^q/x^p`, without a factor `x^i y^j`.
    fn along(&self, from: (u32, u32), to: (u32, u32), (p, q): (u32, u32)) -> Univariate {
        let n_steps = (from.1 - to.1) / q;
        let coefficients = (0..=n_steps).map(|k| {
            let point = (to.0 - p * k, to.1 + q * k);
            self.terms
                .get(&point)
                .cloned()
                .unwrap_or_else(BigRational::zero)
        });
        Univariate::new(coefficients.collect())
    }

    fn transposed(self) -> Self {
        let terms = self.terms.into_iter().map(|((i, j), c)| ((j, i), c));
        Self {
            terms: terms.collect(),
        }
    }

    /// `K(x, y + root x^power)`.
    fn shifted(&self, root: &BigRational, power: u32) -> Self {
        let mut shifted = Self {
            terms: BTreeMap::new(),
        };
        for (&(i, j), c) in &self.terms {
            // c binomial(j, k) root^k x^(i + power k) y^(j − k)
            let mut factor = c.clone();
            for k in 0..=j {
                shifted.add((i + power * k, j - k), factor.clone());
                factor *= root * BigRational::new(BigInt::from(j - k), BigInt::from(k + 1));
            }
        }
        shifted.without_zeros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Terms = Vec<((u32, u32), Rational64)>;

    fn c(value: i64) -> Rational64 {
        Rational64::from_integer(value)
    }

    fn exact(numer: i64, denom: i64, m: u32) -> Known {
        LearningCoefficient::new(Rational64::new(numer, denom), m)
            .unwrap()
            .into()
    }

    fn known(terms: &Terms) -> Known {
        PlaneCurve::new(terms).unwrap().learning_coefficient()
    }

    fn times(a: &Terms, b: &Terms) -> Terms {
        let mut sums: BTreeMap<(u32, u32), Rational64> = BTreeMap::new();
        for &((i, j), x) in a {
            for &((k, l), y) in b {
                *sums.entry((i + k, j + l)).or_insert_with(|| c(0)) += x * y;
            }
        }
        sums.into_iter().filter(|(_, x)| *x != c(0)).collect()
    }

    fn power(a: &Terms, n: u32) -> Terms {
        (0..n).fold(vec![((0, 0), c(1))], |product, _| times(&product, a))
    }

    fn integers(list: &[((u32, u32), i64)]) -> Terms {
        list.iter()
            .map(|&(exponents, x)| (exponents, c(x)))
            .collect()
    }

    #[test]
    fn worked_values() {
        let parabola = integers(&[((0, 1), 1), ((2, 0), -1)]);
        let cusp = integers(&[((0, 2), 1), ((3, 0), -1)]);
        let line = integers(&[((0, 1), 1), ((1, 0), -1)]);
        let x = integers(&[((1, 0), 1)]);
        for (germ, expected) in [
            (power(&line, 2), exact(1, 2, 1)),
            (power(&parabola, 4), exact(1, 4, 1)),
            (power(&parabola, 2), exact(1, 2, 1)),
            // The cusp's edge is y² = x³, adapted though degenerate: (1/2 + 1/3)/2.
            (power(&cusp, 2), exact(5, 12, 1)),
            // x⁴ (y − x)²: x decides. x² (y − x)²: two lines.
            (times(&power(&x, 4), &power(&line, 2)), exact(1, 4, 1)),
            (times(&power(&x, 2), &power(&line, 2)), exact(1, 2, 2)),
            // (x² − y²)²: two lines; (x² + y²)²: none, so that both roots of multiplicity d are not real.
            (
                integers(&[((4, 0), 1), ((2, 2), -2), ((0, 4), 1)]),
                exact(1, 2, 2),
            ),
            (
                integers(&[((4, 0), 1), ((2, 2), 2), ((0, 4), 1)]),
                exact(1, 2, 1),
            ),
            // Two parabolas that touch: (y − x²)² (y + x²)², 1/2 + 1/4 halved is less than 1/2.
            (
                times(
                    &power(&parabola, 2),
                    &power(&integers(&[((0, 1), 1), ((2, 0), 1)]), 2),
                ),
                exact(3, 8, 1),
            ),
            // ((y − x²)² + x⁵)²: the cusp y² = x⁵ after the change of coordinates, (1/2 + 1/5)/2.
            (
                power(
                    &integers(&[((0, 2), 1), ((2, 1), -2), ((4, 0), 1), ((5, 0), 1)]),
                    2,
                ),
                exact(7, 20, 1),
            ),
            // (y − x²)² + x⁸: a sum of squares in the new coordinates, 1/2 + 1/8.
            (
                integers(&[((0, 2), 1), ((2, 1), -2), ((4, 0), 1), ((8, 0), 1)]),
                exact(5, 8, 1),
            ),
            // x⁶ (y − x²)²: the line decides. x² (y − x²)²: a tie on an edge's end.
            (times(&power(&x, 6), &power(&parabola, 2)), exact(1, 6, 1)),
            (times(&power(&x, 2), &power(&parabola, 2)), exact(1, 2, 2)),
            // The same with y⁸: the tie is the end of two edges.
            (
                [
                    times(&power(&x, 2), &power(&parabola, 2)),
                    integers(&[((0, 8), 1)]),
                ]
                .concat(),
                exact(1, 2, 2),
            ),
            // y⁴ (y − x)²: unbounded face at height 4 after none, (x − y) on the other side.
            (
                times(&power(&integers(&[((0, 1), 1)]), 4), &power(&line, 2)),
                exact(1, 4, 1),
            ),
            // Not degenerate.
            (
                integers(&[((4, 0), 1), ((2, 2), 1), ((0, 6), 1)]),
                exact(1, 2, 2),
            ),
            (integers(&[((4, 0), 1), ((0, 6), 1)]), exact(5, 12, 1)),
        ] {
            assert_eq!(known(&germ), expected, "{germ:?}");
            let transposed: Terms = germ.iter().map(|&((i, j), x)| ((j, i), x)).collect();
            assert_eq!(
                known(&transposed),
                expected,
                "{germ:?} with x and y exchanged"
            );
        }
    }

    /// A branch that is no polynomial: `y (1 − x) = x`, `(y (1 − x) − x)^(2n)`, with the pair of a smooth curve, and the stated stop.
    #[test]
    fn a_branch_without_end() {
        let hyperbola = integers(&[((0, 1), 1), ((1, 1), -1), ((1, 0), -1)]);
        assert_eq!(known(&power(&hyperbola, 2)), exact(1, 2, 1));
        assert_eq!(known(&power(&hyperbola, 4)), exact(1, 4, 1));
        // Degrees 9 and 10, with a unit and with a line: the orders 41 and 51.
        let unit = integers(&[((0, 0), 1), ((1, 0), 1)]);
        let line = integers(&[((2, 0), 1)]);
        for factor in [unit, line] {
            let germ = times(&power(&hyperbola, 4), &factor);
            assert_eq!(known(&germ), exact(1, 4, 1));
        }
        // Degree 12: the order 72 > 64 would be needed. The bound is N = 6 to the order 65: d = 6 · 65/66.
        assert_eq!(
            known(&power(&hyperbola, 6)),
            Known::UpperBound(Rational64::new(66, 6 * 65))
        );
    }

    /// Distinct branches that agree far: `(y − x²)² ((y − x²) + x^k)²` has `(1/2 + 1/(2k))/2`… as `u² (u + x^k)²`.
    #[test]
    fn branches_that_agree_far() {
        let parabola = integers(&[((0, 1), 1), ((2, 0), -1)]);
        for k in 3..12u32 {
            let mut other = parabola.clone();
            other.push(((k, 0), c(1)));
            let germ = times(&power(&parabola, 2), &power(&other, 2));
            assert_eq!(
                known(&germ),
                exact(i64::from(k) + 1, 4 * i64::from(k), 1),
                "k = {k}"
            );
        }
    }

    #[test]
    fn impossible_germs_are_refused() {
        let r = |list: &[((u32, u32), i64)]| PlaneCurve::new(&integers(list));
        assert_eq!(r(&[]), Err(PlaneCurveError::Newton(NewtonError::Zero)));
        assert!(matches!(
            r(&[((0, 0), 1), ((2, 0), 1)]),
            Err(PlaneCurveError::Newton(NewtonError::Constant { .. }))
        ));
        assert!(matches!(
            r(&[((3, 0), 1), ((0, 2), 1)]),
            Err(PlaneCurveError::Newton(NewtonError::NegativeVertex { .. }))
        ));
        // (y − x²)² − x⁵ and (y − x²)² − x⁶ are negative on y = x², which the first polygon does not show.
        for (k, at) in [(5, (0, 2)), (6, (0, 2))] {
            let hidden = r(&[((0, 2), 1), ((2, 1), -2), ((4, 0), 1), ((k, 0), -1)]);
            assert_eq!(hidden, Err(PlaneCurveError::Negative { at }), "k = {k}");
        }
        // u⁴ − 3u²x⁶ + x¹², u = y − x²: both ends of the edge are positive.
        let parabola = integers(&[((0, 1), 1), ((2, 0), -1)]);
        let wave = [
            power(&parabola, 4),
            times(&power(&parabola, 2), &integers(&[((6, 0), -3)])),
            integers(&[((12, 0), 1)]),
        ];
        assert_eq!(
            PlaneCurve::new(&wave.concat()),
            Err(PlaneCurveError::Negative { at: (0, 4) })
        );
        // u⁸ + c x^i u^j, u = y − x, ends in a vertex that is not plain.
        let line = integers(&[((0, 1), 1), ((1, 0), -1)]);
        for (at, sign) in [
            ((5, 5), 1),
            ((4, 5), 1),
            ((5, 6), 1),
            ((4, 6), -1),
            ((6, 6), -1),
        ] {
            let end = times(&power(&line, at.1), &integers(&[((at.0, 0), sign)]));
            assert_eq!(
                PlaneCurve::new(&[power(&line, 8), end].concat()),
                Err(PlaneCurveError::Negative { at }),
                "{at:?}"
            );
        }
        // (y − x)² (y² − x³) is negative on one side of the cusp.
        let cusp = r(&[
            ((0, 4), 1),
            ((1, 3), -2),
            ((2, 2), 1),
            ((3, 2), -1),
            ((4, 1), 2),
            ((5, 0), -1),
        ]);
        assert!(cusp.is_err(), "{cusp:?}");
        // Degenerate and of degree 101 or more: the bound of the polygon.
        let far = r(&[((2, 0), 1), ((1, 1), -2), ((0, 2), 1), ((0, 101), 1)]);
        assert_eq!(far.unwrap().learning_coefficient(), Known::UpperBound(c(1)));
        let near = r(&[((2, 0), 1), ((1, 1), -2), ((0, 2), 1), ((0, 100), 1)]);
        assert_eq!(near.unwrap().learning_coefficient(), exact(51, 100, 1));
    }

    /// `K(x, y + r x^p)`.
    fn substituted(terms: &Terms, r: i64, p: u32) -> Terms {
        let mut sum: BTreeMap<(u32, u32), Rational64> = BTreeMap::new();
        for &((i, j), x) in terms {
            let line = integers(&[((0, 1), 1), ((p, 0), r)]);
            for (exponents, y) in times(&power(&line, j), &vec![((i, 0), x)]) {
                *sum.entry(exponents).or_insert_with(|| c(0)) += y;
            }
        }
        sum.into_iter().filter(|(_, x)| *x != c(0)).collect()
    }

    fn transposed(terms: &Terms) -> Terms {
        terms.iter().map(|&((i, j), x)| ((j, i), x)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// (λ, m) does not depend on coordinates: a sum of even monomials, known from its Newton polygon, after up to three
        /// polynomial changes of coordinates.
        #[test]
        fn coordinates_are_irrelevant(
            halves in prop::collection::vec((0u32..4, 0u32..4), 1..4),
            changes in prop::collection::vec((-2i64..3, 1u32..4, any::<bool>()), 0..3),
        ) {
            let mut germ: Terms = halves
                .iter()
                .map(|&(i, j)| ((2 * i.max(u32::from(j == 0)), 2 * j), c(1)))
                .collect();
            let list: Vec<Vec<u32>> = germ.iter().map(|&((i, j), _)| vec![i, j]).collect();
            let expected = Newton::new(&list, &[0, 0]).unwrap().learning_coefficient();
            for (r, p, exchange) in changes {
                // Degrees multiply: only small ones stay in 64-bit coefficients.
                let degree = germ.iter().map(|&((i, j), _)| i + j).max().unwrap();
                if p * degree <= 8 {
                    germ = substituted(&germ, r, p);
                }
                if exchange {
                    germ = transposed(&germ);
                }
            }
            prop_assert_eq!(known(&germ), expected);
        }

        /// K² halves λ.
        #[test]
        fn powers(halves in prop::collection::vec((0u32..3, 0u32..3), 1..3), r in -2i64..3, p in 1u32..3, n in 1u32..3) {
            let germ: Terms = halves
                .iter()
                .map(|&(i, j)| ((2 * i.max(u32::from(j == 0)), 2 * j), c(1)))
                .collect();
            let germ = substituted(&germ, r, p);
            let pair = known(&germ).exact().unwrap();
            let raised = pair.power(c(n.into())).unwrap();
            prop_assert_eq!(known(&power(&germ, n)), raised.into());
        }
    }
}
