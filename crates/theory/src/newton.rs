//! Newton polyhedra: `K = Σ_a c_a w^a` near the origin, with prior density proportional to `∏ |w_i|^(h_i)`.
//!
//! The Newton polyhedron is the convex hull of the sets `a + [0, ∞)^d`. With `K_σ` the part of K on a face σ,
//!
//! `λ = min { Σ v_i (h_i + 1) : <v, a> >= 1 for all a, v >= 0 } = 1/t*`, `t* = min { t : t (h + 1) in the polyhedron }`,
//! `m = 1 + dim(optimal face) = codimension of the face that the ray t (h + 1) meets`,
//!
//! if `K_σ` has no critical point in `(R∖0)^d` for *every* compact face σ, edges and vertices included (Varchenko 1976,
//! *Newton polyhedra and estimation of oscillating integrals*; Howald 2001 for monomial ideals; Lin 2011, *Algebraic
//! methods for evaluating integrals in Bayesian statistics*, ch. 4). Looking at the facets alone is not enough:
//! `(x + y²)² + z²` has no degenerate facet, the linear programme gives 5/4, and λ = 1.
//!
//! For `K >= 0` the condition is `K_σ > 0` on `(R∖0)^d`, because a zero would be a minimum; and then K is comparable to the
//! sum of its vertices. Call a monomial *plain* if its coefficient is positive and its exponents are even. Derived here,
//! with the smallest face of each monomial found by an exact linear programme:
//!
//! - a vertex that is not plain makes K negative somewhere: refused;
//! - monomials that lie on no compact face do not matter, and a sum of plain monomials is positive;
//! - on an edge, `K_σ` is a monomial times a polynomial in one variable, whose real roots are counted exactly: one of odd
//!   multiplicity is refused, one of even multiplicity makes K degenerate;
//! - faces on which all other monomials lie inside edges without a common vertex are sums over these edges and plain
//!   monomials. In two variables that is all;
//! - otherwise each other monomial `b = Σ μ_a a` (`μ` convex, `a` plain) is bounded by `|w^b| <= Σ μ_a w^a`, and K_σ is
//!   positive if this leaves every plain coefficient positive.
//!
//! Where none of this proves that K is non-degenerate the linear programme is an upper bound, because K is at most a multiple of
//! the sum of its vertices; it is then returned as one.

mod linear_programme;

use std::collections::{BTreeMap, BTreeSet};

use microlp::{ComparisonOp, OptimizationDirection, Problem};
use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::{BigRational, Rational64};
use num_traits::{One, Signed, ToPrimitive, Zero};

use crate::univariate::Univariate;
use crate::{Known, LearningCoefficient};
use linear_programme::{Tableau, rank};

/// The largest degree of an edge's polynomial whose roots are counted; above it the edge counts as unproven.
const MAX_EDGE_DEGREE: usize = 100;

/// A germ `Σ c_a w^a` at the origin with prior `∏ |w_i|^(h_i)`.
///
/// ```
/// use slt_theory::{Known, Newton};
///
/// // K = x⁴ + x²y² + y⁶
/// let newton = Newton::new(&[vec![4, 0], vec![2, 2], vec![0, 6]], &[0, 0])?;
/// assert_eq!(newton.learning_coefficient().to_string(), "λ = 1/2, m = 2");
/// # Ok::<(), slt_theory::NewtonError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newton {
    known: Known,
}

/// Why monomials give no learning coefficient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewtonError {
    /// K = 0: there is no monomial, or all of them cancel.
    #[error("K is zero: no monomial has a coefficient that is not 0")]
    Zero,
    /// A monomial has another number of exponents than the prior.
    #[error("monomial {index} has {got} exponents, but the prior has {expected}")]
    LengthMismatch {
        /// Which monomial.
        index: usize,
        /// The number of exponents of the prior.
        expected: usize,
        /// The number of exponents of the monomial.
        got: usize,
    },
    /// K(0) is not zero.
    #[error("K(0) = 0 is needed, got the constant term {coefficient}")]
    Constant {
        /// The constant term.
        coefficient: Rational64,
    },
    /// The sum of equal monomials' coefficients does not fit.
    #[error("the coefficients of w^{exponents:?} add to no 64-bit rational")]
    CoefficientTooLarge {
        /// The exponents of the monomial.
        exponents: Vec<u32>,
    },
    /// A vertex of the Newton polyhedron has a negative coefficient or an odd exponent.
    #[error(
        "K >= 0 near 0 is needed, but the vertex {coefficient} w^{exponents:?} of its Newton polyhedron takes negative values: \
         vertices need even exponents and positive coefficients"
    )]
    NegativeVertex {
        /// The exponents of the vertex.
        exponents: Vec<u32>,
        /// Its coefficient.
        coefficient: Rational64,
    },
    /// The polynomial of an edge changes its sign.
    #[error(
        "K >= 0 near 0 is needed, but it changes sign on the edge from w^{from:?} to w^{to:?} of its Newton polyhedron"
    )]
    NegativeEdge {
        /// One end of the edge.
        from: Vec<u32>,
        /// The other.
        to: Vec<u32>,
    },
    /// λ does not fit.
    #[error("λ = {lambda} does not fit a 64-bit rational")]
    LambdaTooLarge {
        /// λ, exact.
        lambda: BigRational,
    },
}

impl Newton {
    /// `K = Σ_a w^a`. For even exponents any positive coefficients give the same pair.
    ///
    /// Shapes: `exponents`: `[n_monomials][d]`; `prior_exponents`: `[d]`.
    ///
    /// # Errors
    /// As [`Self::with_coefficients`].
    pub fn new(exponents: &[Vec<u32>], prior_exponents: &[u32]) -> Result<Self, NewtonError> {
        let one = Rational64::from_integer(1);
        let terms: Vec<_> = exponents.iter().map(|a| (a.clone(), one)).collect();
        Self::with_coefficients(&terms, prior_exponents)
    }

    /// `K = Σ_a c_a w^a`, from pairs of exponents and coefficient; equal exponents add.
    ///
    /// Shapes: `terms`: `[n_monomials]`, each with `[d]` exponents; `prior_exponents`: `[d]`.
    ///
    /// # Errors
    /// [`NewtonError::Zero`] when `K = 0`; [`NewtonError::Constant`] when `K(0) ≠ 0`;
    /// [`NewtonError::LengthMismatch`] when a monomial has not `d` exponents;
    /// [`NewtonError::NegativeVertex`], [`NewtonError::NegativeEdge`] when `K < 0` somewhere near 0;
    /// [`NewtonError::CoefficientTooLarge`], [`NewtonError::LambdaTooLarge`] outside 64-bit rationals.
    pub fn with_coefficients(
        terms: &[(Vec<u32>, Rational64)],
        prior_exponents: &[u32],
    ) -> Result<Self, NewtonError> {
        let polyhedron = Polyhedron::new(terms, prior_exponents)?;
        let proven = polyhedron.is_non_degenerate()?;
        let (lambda, multiplicity) = polyhedron.linear_programme(prior_exponents);
        let fitted = lambda
            .numer()
            .to_i64()
            .zip(lambda.denom().to_i64())
            .map(|(numer, denom)| Rational64::new(numer, denom))
            .ok_or(NewtonError::LambdaTooLarge { lambda })?;
        let known = if proven {
            Known::Exact(LearningCoefficient::from_formula(fitted, multiplicity))
        } else {
            Known::UpperBound(fitted)
        };
        Ok(Self { known })
    }

    /// (λ, m) where K is proven to be non-degenerate, else an upper bound on λ.
    ///
    /// Accuracy: exact.
    ///
    /// Source: Varchenko (1976); Lin (2011), ch. 4.
    pub fn learning_coefficient(&self) -> Known {
        self.known
    }
}

/// The monomials of K, without repetition.
struct Polyhedron {
    monomials: Vec<Monomial>,
    dimension: usize,
}

struct Monomial {
    exponents: Vec<u32>,
    coefficient: Rational64,
}

impl Monomial {
    /// Positive on `(R∖0)^d`.
    fn is_plain(&self) -> bool {
        self.coefficient.is_positive() && self.exponents.iter().all(|a| a % 2 == 0)
    }

    fn vector(&self) -> Vec<BigInt> {
        self.exponents.iter().map(|&a| a.into()).collect()
    }
}

/// The smallest compact face that holds a monomial: the monomials on it, and one way to write the monomial as convex combination of
/// plain ones, if there is one.
struct Face {
    members: Vec<usize>,
    plain_weights: Option<Vec<(usize, BigRational)>>,
}

impl Polyhedron {
    fn new(terms: &[(Vec<u32>, Rational64)], prior_exponents: &[u32]) -> Result<Self, NewtonError> {
        let dimension = prior_exponents.len();
        let mut sums: BTreeMap<&[u32], BigRational> = BTreeMap::new();
        for (index, (exponents, coefficient)) in terms.iter().enumerate() {
            if exponents.len() != dimension {
                return Err(NewtonError::LengthMismatch {
                    index,
                    expected: dimension,
                    got: exponents.len(),
                });
            }
            *sums.entry(exponents).or_insert_with(BigRational::zero) += widen(*coefficient);
        }
        let mut monomials = Vec::new();
        for (exponents, sum) in sums {
            let exponents = exponents.to_vec();
            let coefficient = sum
                .numer()
                .to_i64()
                .zip(sum.denom().to_i64())
                .map(|(numer, denom)| Rational64::new(numer, denom));
            match coefficient {
                None => return Err(NewtonError::CoefficientTooLarge { exponents }),
                Some(coefficient) if coefficient.is_zero() => {}
                Some(coefficient) if exponents.iter().all(|&a| a == 0) => {
                    return Err(NewtonError::Constant { coefficient });
                }
                Some(coefficient) => monomials.push(Monomial {
                    exponents,
                    coefficient,
                }),
            }
        }
        if monomials.is_empty() {
            return Err(NewtonError::Zero);
        }
        Ok(Self {
            monomials,
            dimension,
        })
    }

    /// λ and m of the linear programme, by its dual: maximise `Σ μ_a` subject to `Σ μ_a a <= h + 1`, `μ >= 0`.
    fn linear_programme(&self, prior_exponents: &[u32]) -> (BigRational, u32) {
        let columns: Vec<_> = self.monomials.iter().map(Monomial::vector).collect();
        let rhs: Vec<BigInt> = prior_exponents
            .iter()
            .map(|&h| BigInt::from(h) + 1)
            .collect();
        let mut tableau =
            Tableau::new(&columns, &rhs).with_proposal(&self.proposal(prior_exponents));
        let n_variables = tableau.n_variables();
        let objective: Vec<BigInt> = (0..n_variables)
            .map(|j| BigInt::from(u8::from(j < columns.len())))
            .collect();
        let everything = vec![true; n_variables];
        let reduced = tableau.maximise(&objective, &everything);
        let lambda = tableau
            .positive()
            .filter(|(j, _, _)| *j < columns.len())
            .map(|(_, numer, denom)| BigRational::new(numer.clone(), denom.clone()))
            .sum();
        // By strict complementarity the optimal v are those with <v, a> = 1 and v_i = 0 for the monomials a and slacks i
        // that are positive somewhere on the dual's optimal face.
        let tight: Vec<Vec<BigInt>> = tableau
            .support_of_optimal_face(&reduced, &everything)
            .into_iter()
            .map(|j| match columns.get(j) {
                Some(column) => column.clone(),
                None => (0..self.dimension)
                    .map(|i| BigInt::from(u8::from(columns.len() + i == j)))
                    .collect(),
            })
            .collect();
        let dimension = self.dimension - rank(&tight);
        let dimension = u32::try_from(dimension).expect("fewer than 2^32 exponents");
        (lambda, 1 + dimension)
    }

    /// The monomials with a positive dual variable in floating-point arithmetic: a guess, not relied on.
    fn proposal(&self, prior_exponents: &[u32]) -> Vec<usize> {
        let mut problem = Problem::new(OptimizationDirection::Maximize);
        let variables: Vec<_> = self
            .monomials
            .iter()
            .map(|_| problem.add_var(1.0, (0.0, f64::INFINITY)))
            .collect();
        for (i, &h) in prior_exponents.iter().enumerate() {
            let row: Vec<_> = variables
                .iter()
                .zip(&self.monomials)
                .map(|(&variable, monomial)| (variable, f64::from(monomial.exponents[i])))
                .filter(|&(_, a)| a != 0.0)
                .collect();
            problem.add_constraint(&row, ComparisonOp::Le, f64::from(h) + 1.0);
        }
        let Some(solution) = problem
            .solve()
            .ok()
            .and_then(|out| out.into_solution().ok())
        else {
            return Vec::new();
        };
        (0..variables.len())
            .filter(|&j| solution.var_value(variables[j]) > 0.0)
            .collect()
    }

    /// Whether K is proven to be positive on every compact face.
    ///
    /// # Errors
    /// Where it is proven to take negative values.
    fn is_non_degenerate(&self) -> Result<bool, NewtonError> {
        let mut faces = Vec::new();
        for (index, monomial) in self.monomials.iter().enumerate() {
            if monomial.is_plain() {
                continue;
            }
            let Some(face) = self.smallest_face(&monomial.vector(), 1) else {
                continue;
            };
            if face.members == [index] {
                return Err(NewtonError::NegativeVertex {
                    exponents: monomial.exponents.clone(),
                    coefficient: monomial.coefficient,
                });
            }
            faces.push((index, face));
        }
        let edges: BTreeSet<&[usize]> = faces
            .iter()
            .map(|(_, face)| face.members.as_slice())
            .filter(|members| self.is_edge(members))
            .collect();
        let mut edges_are_positive = true;
        for edge in &edges {
            edges_are_positive &= self.edge_is_positive(edge)?;
        }
        let inside_edges = faces.iter().all(|(_, face)| self.is_edge(&face.members));
        Ok(edges_are_positive
            && ((inside_edges && self.edges_are_apart(&edges))
                || self.plain_monomials_dominate(&faces)))
    }

    /// The smallest face that holds the point `point / scale` of the polyhedron, if it is compact.
    ///
    /// Maximises `Σ s_i` over `point = Σ μ_a a + s`, `Σ μ_a = 1`: the face is compact iff the maximum is 0, and its members are the
    /// monomials with `μ_a > 0` somewhere on the optimal face.
    fn smallest_face(&self, point: &[BigInt], scale: u32) -> Option<Face> {
        let n = self.monomials.len();
        let lifted = |vector: Vec<BigInt>, last: u32| [vector, vec![last.into()]].concat();
        let mut columns: Vec<Vec<BigInt>> = self
            .monomials
            .iter()
            .map(|monomial| lifted(monomial.vector().iter().map(|a| a * scale).collect(), 1))
            .collect();
        columns.push(lifted(point.to_vec(), 1));
        let mut tableau = Tableau::new(&columns, &columns[n]);
        // μ = 1 at the point itself; the last equation has no slack.
        tableau.pivot(self.dimension, n);
        let n_variables = tableau.n_variables();
        let mut allowed = vec![true; n_variables];
        allowed[n_variables - 1] = false;
        let indicator = |range: std::ops::Range<usize>| -> Vec<BigInt> {
            (0..n_variables)
                .map(|j| BigInt::from(u8::from(range.contains(&j))))
                .collect()
        };
        let slacks = n + 1..n + 1 + self.dimension;
        let reduced = tableau.maximise(&indicator(slacks.clone()), &allowed);
        if tableau.positive().any(|(j, _, _)| slacks.contains(&j)) {
            return None;
        }
        let members: Vec<usize> = tableau
            .clone()
            .support_of_optimal_face(&reduced, &allowed)
            .into_iter()
            .filter(|&j| j < n)
            .collect();
        // The same point by plain monomials alone, as far as possible: without slack, only members have weight.
        let plain: Vec<BigInt> = (0..n_variables)
            .map(|j| BigInt::from(u8::from(j < n && self.monomials[j].is_plain())))
            .collect();
        tableau.maximise(&plain, &allowed);
        let plain_weights = tableau
            .positive()
            .map(|(j, numer, denom)| {
                plain[j]
                    .is_one()
                    .then(|| (j, BigRational::new(numer.clone(), denom.clone())))
            })
            .collect();
        Some(Face {
            members,
            plain_weights,
        })
    }

    /// Whether the monomials, more than one, lie on a line.
    fn is_edge(&self, members: &[usize]) -> bool {
        rank(&self.differences(members)) == 1
    }

    fn differences(&self, members: &[usize]) -> Vec<Vec<BigInt>> {
        let origin = self.monomials[members[0]].vector();
        members[1..]
            .iter()
            .map(|&j| {
                let vector = self.monomials[j].vector();
                vector.iter().zip(&origin).map(|(a, b)| a - b).collect()
            })
            .collect()
    }

    /// Whether the polynomial of an edge is proven to have no real root but 0.
    fn edge_is_positive(&self, members: &[usize]) -> Result<bool, NewtonError> {
        // Exponents are in lexicographic order, hence along the edge in the members' order.
        let steps: Vec<BigInt> = self
            .differences(members)
            .iter()
            .map(|difference| difference.iter().fold(BigInt::zero(), |g, x| g.gcd(x)))
            .collect();
        let spacing = steps.iter().fold(BigInt::zero(), |g, x| g.gcd(x));
        let degree = (steps.last().expect("an edge has two ends") / &spacing).to_usize();
        let Some(degree) = degree.filter(|&degree| degree <= MAX_EDGE_DEGREE) else {
            return Ok(false);
        };
        let mut coefficients = vec![BigRational::zero(); degree + 1];
        let powers = std::iter::once(0).chain(steps.iter().map(|step| {
            (step / &spacing)
                .to_usize()
                .expect("at most the degree of the last")
        }));
        for (power, &j) in powers.zip(members) {
            coefficients[power] = widen(self.monomials[j].coefficient);
        }
        // w^(primitive direction) takes all values but 0; its power `spacing` only positive ones if that is even.
        let mut polynomial = coefficients;
        if spacing.is_even() {
            let mut spread = vec![BigRational::zero(); 2 * degree + 1];
            for (k, c) in polynomial.into_iter().enumerate() {
                spread[2 * k] = c;
            }
            polynomial = spread;
        }
        let roots = Univariate::new(polynomial).real_root_multiplicities();
        if roots.iter().any(|k| k % 2 == 1) {
            let end = |j: usize| self.monomials[j].exponents.clone();
            return Err(NewtonError::NegativeEdge {
                from: end(members[0]),
                to: end(members[members.len() - 1]),
            });
        }
        Ok(roots.is_empty())
    }

    /// Whether no compact face holds two of the edges that have a common vertex.
    fn edges_are_apart(&self, edges: &BTreeSet<&[usize]>) -> bool {
        let edges: Vec<_> = edges.iter().collect();
        edges.iter().enumerate().all(|(i, first)| {
            edges[..i].iter().all(|second| {
                let touching = first.iter().any(|j| second.contains(j));
                // Each member of an edge counts once: the sum lies inside the smallest face that holds both.
                let members: Vec<usize> = first.iter().chain(second.iter()).copied().collect();
                let sum = (0..self.dimension)
                    .map(|i| {
                        members
                            .iter()
                            .map(|&j| BigInt::from(self.monomials[j].exponents[i]))
                            .sum()
                    })
                    .collect::<Vec<_>>();
                let n = u32::try_from(members.len()).expect("fewer than 2^32 monomials");
                !touching || self.smallest_face(&sum, n).is_none()
            })
        })
    }

    /// Whether `|w^b| <= Σ μ_a w^a` leaves every plain coefficient positive.
    fn plain_monomials_dominate(&self, faces: &[(usize, Face)]) -> bool {
        let mut left: Vec<BigRational> = self
            .monomials
            .iter()
            .map(|monomial| widen(monomial.coefficient))
            .collect();
        for (index, face) in faces {
            let Some(weights) = &face.plain_weights else {
                return false;
            };
            let size = widen(self.monomials[*index].coefficient).abs();
            for (j, weight) in weights {
                left[*j] -= weight * &size;
            }
        }
        self.monomials
            .iter()
            .zip(&left)
            .all(|(monomial, left)| !monomial.is_plain() || left.is_positive())
    }
}

fn widen(x: Rational64) -> BigRational {
    BigRational::new_raw((*x.numer()).into(), (*x.denom()).into())
}

#[cfg(test)]
mod tests;
