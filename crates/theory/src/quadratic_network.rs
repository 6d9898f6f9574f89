//! Two-layer networks with quadratic units, `f_c(x) = Σ_k V_ck (w_k·x)²`: `d` inputs, `m` outputs, `K` units.
//!
//! At a solution where the Jacobian of (parameters → function) has its *generic* rank `r`, the largest that it has
//! anywhere, the rank is constant nearby: by the constant rank theorem the loss is a definite quadratic form in `r`
//! coordinates, so `λ = r/2`, `m = 1`. The function is seen through the span of the squares `(w·x)²` on the data, of
//! dimension `q`; `q = d(d+1)/2` for inputs that see every quadratic form. A unit adds the tangent space
//! `R^m ⊗ w² + V ⊗ (w · linear forms)`, of dimension `d + m − 1`, so `r` is the dimension of a secant variety of
//! `P^{m−1} × P^{d−1}` in the Segre–Veronese embedding O(1,2) (Terracini), and
//!
//! `r = min(K(d+m−1), mq, K(m+q−K) if K <= min(m,q))` for `m >= 2`, `r = Kd − K(K−1)/2` (`K <= d`), then `q`, for `m = 1`,
//!
//! less 1 at the sporadic defects `(m,d,K) = (3, 2k+2, 3k+2)` and `(5,4,6)`. That these are all defects is a conjecture of
//! Abo & Brambilla (2009). **Proven** is (derived here):
//!
//! - `m = 1` (symmetric matrices of rank at most `K`); `K >= q` (the squares span);
//! - `K <= d`, `m >= 2`: put `w_k = e_k` and the `V_k` pairwise not parallel; the monomial `x_k x_i` gets `V_k` and `V_i`;
//! - `K <= m`: put `V_k = e_k`; output `k` has the tangent space of one unit and `K − 1` generic squares;
//! - `d <= 7`, `m <= 8`: elimination, in the tests;
//! - *by pairs*: split the outputs into pairs and give each pair `J` units that reach no other output. Put
//!   `w_k = e_k` for these. Modulo what they span, `(d−J)(d+1)` dimensions of the pair's functions are left, and the squares
//!   of the other `K − J` units cut two each: the space `N` of relations is cut by less only if all its pairs
//!   `(Φ_1, Φ_2)` of quadratic forms are one form times a constant vector, or linear forms times one pair of them. Of the first kind
//!   there are at most `(d−J)(d−J+3)/2 − n` dimensions after `n` squares, of the second at most `d`, and none after `3d`; for
//!   `J >= 2` and `d − J >= 7` (or `J = d`) `N` is larger than both. So all is independent if
//!   `2(K−J) <= (d−J)(d+1)`, and all functions are reached if `>=`. An odd output gets one unit, or
//!   (to reach all functions) as many as it needs.
//!
//! Elsewhere, near `K(d+m−1) = mq`, the formula is an upper bound. [`QuadraticNetwork::jacobian_rank`] decides each case by
//! elimination over a prime field ([`crate::PrimeField`]), for any data support.

use num_rational::Rational64;

use crate::{FieldMatrix, Known, LearningCoefficient, PrimeField, regular};

/// A two-layer network with quadratic units.
///
/// ```
/// use slt_theory::{QuadraticNetwork, Support};
///
/// let network = QuadraticNetwork::new(3, 3, 4)?;
/// assert_eq!(network.learning_coefficient().to_string(), "λ = 9, m = 1");
/// assert_eq!(network.jacobian_rank(&Support::QuadraticForms)?, 18);
/// // Inputs that are 0 or e_i never see the products x_i x_j: three functions for each output are left.
/// let inputs = Support::Inputs(vec![vec![1, 0, 0], vec![0, 1, 0], vec![0, 0, 1]]);
/// assert_eq!(network.jacobian_rank(&inputs)?, 9);
/// # Ok::<(), slt_theory::QuadraticNetworkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuadraticNetwork {
    n_inputs: u32,
    n_outputs: u32,
    width: u32,
}

/// Through what the data see a quadratic form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// All coefficients: inputs in general position, at least `d(d+1)/2` of them.
    QuadraticForms,
    /// The coefficients of these monomials `x_i x_j`.
    Monomials(Vec<(usize, usize)>),
    /// The values at these inputs, `[n, d]`.
    Inputs(Vec<Vec<i64>>),
}

/// Why sizes or a support describe no quadratic network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuadraticNetworkError {
    /// A size is outside `1..=MAX_SIZE`.
    #[error("sizes are 1 to {max}, got {n_inputs} inputs, {n_outputs} outputs, width {width}", max = QuadraticNetwork::MAX_SIZE)]
    Size {
        /// d.
        n_inputs: u32,
        /// m.
        n_outputs: u32,
        /// K.
        width: u32,
    },
    /// A monomial names an input that is not there.
    #[error("a monomial x_i x_j has i, j < {n_inputs}, got ({i}, {j})")]
    Monomial {
        /// First index.
        i: usize,
        /// Second index.
        j: usize,
        /// d.
        n_inputs: u32,
    },
    /// An input has the wrong length.
    #[error("an input has {n_inputs} components, number {index} has {got}")]
    Input {
        /// Which input.
        index: usize,
        /// Its length.
        got: usize,
        /// d.
        n_inputs: u32,
    },
}

impl QuadraticNetwork {
    /// The largest number of inputs, outputs and units: below it all values fit 64 bits.
    pub const MAX_SIZE: u32 = 1_000_000;

    /// `f_c(x) = Σ_k V_ck (w_k·x)²` with `w: [width, n_inputs]`, `V: [n_outputs, width]`.
    ///
    /// # Errors
    /// [`QuadraticNetworkError::Size`] when a size is 0 or above [`Self::MAX_SIZE`].
    pub fn new(n_inputs: u32, n_outputs: u32, width: u32) -> Result<Self, QuadraticNetworkError> {
        let sizes = [n_inputs, n_outputs, width];
        if sizes.iter().any(|s| !(1..=Self::MAX_SIZE).contains(s)) {
            return Err(QuadraticNetworkError::Size {
                n_inputs,
                n_outputs,
                width,
            });
        }
        Ok(Self {
            n_inputs,
            n_outputs,
            width,
        })
    }

    /// The rank that counting predicts: `min(K(d+m−1), mq)`, `q = d(d+1)/2`.
    pub fn expected_rank(&self) -> i64 {
        let [d, m, k] = self.sizes();
        (k * (d + m - 1)).min(m * (d * (d + 1) / 2))
    }

    /// The generic rank for inputs that see every quadratic form, by the formula of the module documentation.
    ///
    /// An upper bound always; see [`Self::learning_coefficient`] for where it is proven to be the rank.
    pub fn rank(&self) -> i64 {
        let [d, m, k] = self.sizes();
        let q = d * (d + 1) / 2;
        if m == 1 {
            let k = k.min(d);
            return k * d - k * (k - 1) / 2;
        }
        if k <= m.min(q) {
            return k * (d + m - 1).min(m + q - k);
        }
        let series = m == 3 && d >= 4 && d % 2 == 0 && k == 3 * (d / 2) - 1;
        let defect = i64::from(series || (m, d, k) == (5, 4, 6));
        self.expected_rank() - defect
    }

    /// λ at a solution where the Jacobian has its generic rank, for inputs that see every quadratic form.
    ///
    /// Exact (`m = 1`) where the rank is proven, else an upper bound. At solutions of less rank λ can be smaller.
    pub fn learning_coefficient(&self) -> Known {
        let half_rank = Rational64::new(self.rank(), 2);
        if self.rank_is_proven() {
            Known::Exact(LearningCoefficient::from_formula(half_rank, 1))
        } else {
            Known::UpperBound(half_rank)
        }
    }

    fn rank_is_proven(&self) -> bool {
        let [d, m, k] = self.sizes();
        let q = d * (d + 1) / 2;
        m == 1 || k <= d || k <= m || k >= q || (d <= 7 && m <= 8) || self.rank_is_proven_by_pairs()
    }

    /// The pairs of outputs of the module documentation. Needs `m >= 2`, `K > d`, `K > m`.
    fn rank_is_proven_by_pairs(&self) -> bool {
        let [d, m, k] = self.sizes();
        let (n_pairs, odd) = (m / 2, m % 2);
        let forms = |n: i64| n * (n + 1) / 2;
        let applies = |j: i64| j >= 2 && (j == d || d - j >= 7);
        let left = |j: i64| (d - j) * (d + 1);
        // An odd output gets one unit: its forms and the K - 1 squares are independent, as d + K - 1 <= d(d+1)/2 here.
        let most = (k - odd + n_pairs - 1) / n_pairs;
        let independent = applies(most) && 2 * (k - most) <= left(most);
        // The odd output reaches all forms with `first` units and the squares of the others.
        let first = match odd {
            0 => Some(0),
            _ => (1..=d).find(|&j| k - j >= forms(d - j)),
        };
        let spanning = first.is_some_and(|first| {
            let least = ((k - first) / n_pairs).min(d);
            applies(least) && 2 * (k - least) >= left(least)
        });
        independent || spanning
    }

    /// The rank of the Jacobian at a fixed point over the field [`PrimeField::LARGE`], as seen through `support`.
    ///
    /// A lower bound on the generic rank, and the generic rank itself but for accidents of the point: see
    /// [`PrimeField`]. Cost: elimination in a matrix of `K d` rows and at most `m q` columns.
    ///
    /// # Errors
    /// [`QuadraticNetworkError::Monomial`] or [`QuadraticNetworkError::Input`] when the support does not fit `n_inputs`.
    pub fn jacobian_rank(&self, support: &Support) -> Result<usize, QuadraticNetworkError> {
        support.check(self.n_inputs)?;
        let [d, m, k] = [self.n_inputs, self.n_outputs, self.width].map(|n| n as usize);
        let field = PrimeField::LARGE;
        let units: Vec<Unit> = (0..k)
            .map(|u| Unit::at_fixed_point(field, u, d, m))
            .collect();
        Ok(rank_at(field, support, &units, Constants::Seen))
    }

    fn sizes(&self) -> [i64; 3] {
        [self.n_inputs, self.n_outputs, self.width].map(i64::from)
    }
}

impl Support {
    fn check(&self, n_inputs: u32) -> Result<(), QuadraticNetworkError> {
        let d = n_inputs as usize;
        match self {
            Self::QuadraticForms => Ok(()),
            Self::Monomials(monomials) => match monomials.iter().find(|&&(i, j)| i.max(j) >= d) {
                Some(&(i, j)) => Err(QuadraticNetworkError::Monomial { i, j, n_inputs }),
                None => Ok(()),
            },
            Self::Inputs(inputs) => match inputs.iter().position(|x| x.len() != d) {
                Some(index) => Err(QuadraticNetworkError::Input {
                    index,
                    got: inputs[index].len(),
                    n_inputs,
                }),
                None => Ok(()),
            },
        }
    }

    /// The square `(w·x)²`, as the data see it.
    fn square(&self, field: PrimeField, w: &[u32]) -> Vec<u32> {
        let coefficient = |&(i, j): &(usize, usize)| {
            let product = field.multiply(w[i], w[j]);
            field.multiply(product, field.element(if i == j { 1 } else { 2 }))
        };
        match self {
            Self::QuadraticForms => all_monomials(w.len()).iter().map(coefficient).collect(),
            Self::Monomials(monomials) => monomials.iter().map(coefficient).collect(),
            Self::Inputs(inputs) => inputs
                .iter()
                .map(|x| value(field, w, x))
                .map(|y| field.multiply(y, y))
                .collect(),
        }
    }

    /// The products `(w·x) x_l`, one row for each `l`, as the data see them.
    fn tangents(&self, field: PrimeField, w: &[u32]) -> Vec<Vec<u32>> {
        let coefficients = |monomials: &[(usize, usize)], l: usize| {
            let coefficient = |&(i, j): &(usize, usize)| match (i == l, j == l) {
                (true, _) => w[j],
                (false, true) => w[i],
                (false, false) => 0,
            };
            monomials.iter().map(coefficient).collect()
        };
        let axes = 0..w.len();
        match self {
            Self::QuadraticForms => {
                let all = all_monomials(w.len());
                axes.map(|l| coefficients(&all, l)).collect()
            }
            Self::Monomials(monomials) => axes.map(|l| coefficients(monomials, l)).collect(),
            Self::Inputs(inputs) => {
                let values: Vec<u32> = inputs.iter().map(|x| value(field, w, x)).collect();
                let row = |l: usize| {
                    let pairs = values.iter().zip(inputs);
                    pairs
                        .map(|(&y, x)| field.multiply(y, field.element(x[l])))
                        .collect()
                };
                axes.map(row).collect()
            }
        }
    }
}

fn all_monomials(n_inputs: usize) -> Vec<(usize, usize)> {
    (0..n_inputs)
        .flat_map(|i| (0..=i).map(move |j| (i, j)))
        .collect()
}

/// `form · input`.
fn value(field: PrimeField, form: &[u32], input: &[i64]) -> u32 {
    form.iter().zip(input).fold(0, |sum, (&w, &x)| {
        field.add(sum, field.multiply(w, field.element(x)))
    })
}

/// The weights `w_k` and the outgoing weights `V_k` of a unit, over a field.
pub(crate) struct Unit {
    pub weights: Vec<u32>,
    pub head: Vec<u32>,
}

impl Unit {
    /// Unit `index` of the fixed point: the coordinates that follow those of the units before it.
    pub fn at_fixed_point(
        field: PrimeField,
        index: usize,
        n_inputs: usize,
        n_outputs: usize,
    ) -> Self {
        let first = index * (n_inputs + n_outputs);
        let coordinates = |from: usize, n: usize| {
            (from..from + n)
                .map(|i| field.coordinate(i as u64))
                .collect()
        };
        Self {
            weights: coordinates(first, n_inputs),
            head: coordinates(first + n_inputs, n_outputs),
        }
    }
}

/// Whether the loss sees the mean of the network's output over the samples.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Constants {
    /// It does.
    Seen,
    /// Functions count up to a constant for each output.
    Removed,
}

/// The rank of the Jacobian at these units: `m rank(G) + rank(V_k ⊗ (w_k·x) x_i modulo R^m ⊗ G)`, `G` the squares.
pub(crate) fn rank_at(
    field: PrimeField,
    support: &Support,
    units: &[Unit],
    constants: Constants,
) -> usize {
    let mut squares: Vec<Vec<u32>> = units
        .iter()
        .map(|unit| support.square(field, &unit.weights))
        .collect();
    let n_columns = squares[0].len();
    if constants == Constants::Removed {
        squares.push(vec![1; n_columns]);
    }
    let squares = FieldMatrix::from_rows(field, n_columns, squares);
    // A unit with V = 0 adds its square alone.
    let units: Vec<&Unit> = units
        .iter()
        .filter(|u| u.head.iter().any(|&v| v != 0))
        .collect();
    let tangents = units
        .iter()
        .flat_map(|unit| support.tangents(field, &unit.weights))
        .collect();
    let tangents = FieldMatrix::from_rows(field, n_columns, tangents).modulo(squares);
    let n_left = tangents.n_columns();
    let n_inputs = units[0].weights.len();
    let n_outputs = units[0].head.len();
    let n_seen = n_columns - n_left - usize::from(constants == Constants::Removed);
    let rows = FieldMatrix::from_fn(field, tangents.n_rows(), n_outputs * n_left, |i, j| {
        let head = units[i / n_inputs].head[j / n_left];
        field.multiply(head, tangents.row(i)[j % n_left])
    });
    n_outputs * n_seen + rows.rank()
}

/// The pair of one unit at truth 0: `(min(m/2, d/4), 1)`, with multiplicity 2 at a tie `d = 2m`.
///
/// `K` is comparable with `|V|² |w|⁴`, where `w` runs over the `n_inputs` directions that the data see (`2p − 1` for one-hot
/// pairs of integers modulo `p`).
///
/// Source: the product of the radial pairs `(m/2, 1)` and `(d/4, 1)`.
///
/// # Errors
/// [`QuadraticNetworkError::Size`] when a size is 0 or above [`QuadraticNetwork::MAX_SIZE`].
///
/// ```
/// assert_eq!(slt_theory::quadratic_unit_zero(4, 2)?.to_string(), "λ = 1, m = 2");
/// # Ok::<(), slt_theory::QuadraticNetworkError>(())
/// ```
pub fn quadratic_unit_zero(
    n_inputs: u32,
    n_outputs: u32,
) -> Result<LearningCoefficient, QuadraticNetworkError> {
    QuadraticNetwork::new(n_inputs, n_outputs, 1)?;
    let fourth_power = regular(n_inputs)
        .power(Rational64::from_integer(2))
        .expect("2 > 0, and λ is small");
    Ok(regular(n_outputs)
        .independent_product(fourth_power)
        .expect("multiplicity 2 at most"))
}

/// λ of a solution padded by `n_dead` units with `w = 0`, `V = 0` is at most `λ + n_dead min(m/2, d/4)`.
///
/// Comparable losses: at the padded point `K <= 2 K(solution) + 2 |Σ dead units|²`, and the second term is at most a
/// multiple of the sum of independent germs `|V|²|w|⁴`.
///
/// # Errors
/// [`QuadraticNetworkError::Size`] as for [`quadratic_unit_zero`].
pub fn padded_by_dead_units(
    lambda: Rational64,
    n_dead: u32,
    n_inputs: u32,
    n_outputs: u32,
) -> Result<Known, QuadraticNetworkError> {
    let unit = quadratic_unit_zero(n_inputs, n_outputs)?.lambda();
    Ok(Known::UpperBound(lambda + unit * i64::from(n_dead)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(d: u32, m: u32, k: u32) -> QuadraticNetwork {
        QuadraticNetwork::new(d, m, k).unwrap()
    }

    fn eliminated(d: u32, m: u32, k: u32) -> i64 {
        network(d, m, k)
            .jacobian_rank(&Support::QuadraticForms)
            .unwrap() as i64
    }

    fn exact(numer: i64, denom: i64) -> Known {
        Known::Exact(LearningCoefficient::new(Rational64::new(numer, denom), 1).unwrap())
    }

    #[test]
    fn worked_values() {
        // (d, m, K) and twice λ.
        let cases = [
            ((3, 1, 1), 3),
            ((3, 1, 2), 5),
            ((3, 1, 3), 6),
            ((3, 1, 6), 6),
            ((2, 2, 2), 6),
            ((3, 3, 2), 10),
            ((3, 3, 4), 18),
            ((4, 3, 5), 29),
            ((4, 5, 6), 47),
            ((6, 3, 8), 62),
            ((3, 6, 5), 35),
        ];
        for ((d, m, k), rank) in cases {
            assert_eq!(network(d, m, k).rank(), rank, "{d} {m} {k}");
            assert_eq!(network(d, m, k).learning_coefficient(), exact(rank, 2));
        }
        // The setting of arXiv 2603.01192 with inputs that see every quadratic form.
        assert_eq!(
            network(106, 53, 1024).learning_coefficient(),
            exact(80_896, 1)
        );
    }

    /// Every width up to saturation; wider nets reach all functions too.
    #[test]
    fn formula_agrees_with_elimination() {
        let mut n_defects = 0;
        for d in 1..=7 {
            for m in 1..=8 {
                for k in 1..=d * (d + 1) / 2 + 1 {
                    let formula = network(d, m, k).rank();
                    assert_eq!(formula, eliminated(d, m, k), "{d} {m} {k}");
                    n_defects += i64::from(formula < network(d, m, k).expected_rank());
                }
            }
        }
        // Scalar outputs, 1 < K < d: 15. Unbalanced, q - d + 1 < K < min(m, q): d = 3, K = 5, m = 6, 7, 8. Sporadic: 3.
        assert_eq!(n_defects, 15 + 3 + 3);
    }

    #[test]
    fn the_series_of_defects_goes_on() {
        assert_eq!(network(8, 3, 11).rank(), 11 * 10 - 3);
        for (d, m, k) in [
            (8, 3, 10),
            (8, 3, 11),
            (8, 3, 12),
            (10, 3, 14),
            (9, 3, 12),
            (9, 3, 13),
        ] {
            assert_eq!(network(d, m, k).rank(), eliminated(d, m, k), "{d} {m} {k}");
        }
    }

    /// Where the rank is called proven beyond the sweep, elimination agrees.
    #[test]
    fn pairs_agree_with_elimination() {
        let mut n_proven = 0;
        for d in [8, 9, 11, 12] {
            for m in [2, 3, 4, 5, 6] {
                for k in (d + 1)..(d * (d + 1) / 2) {
                    let network = network(d, m, k);
                    if k > m && network.rank_is_proven_by_pairs() {
                        n_proven += 1;
                        if k.is_multiple_of(5) {
                            assert_eq!(network.rank(), eliminated(d, m, k), "{d} {m} {k}");
                        }
                    }
                }
            }
        }
        assert!(n_proven > 200, "{n_proven}");
    }

    #[test]
    fn where_the_rank_is_proven() {
        let is_exact = |d, m, k| matches!(network(d, m, k).learning_coefficient(), Known::Exact(_));
        assert!(is_exact(8, 9, 9) && is_exact(9, 4, 9) && is_exact(9, 4, 45));
        assert!(is_exact(1_000_000, 1_000_000, 1_000_000));
        // Windows around K(d + m - 1) = m d(d+1)/2, such as 37 K = 3720 for (30, 8).
        for (d, m, windows) in [
            (30, 8, &[(93, 119)][..]),
            (30, 7, &[(71, 107)]),
            (20, 5, &[(28, 51)]),
            (16, 14, &[(64, 68), (70, 111)]),
            (12, 3, &[(13, 19)]),
            (12, 2, &[]),
        ] {
            let open: Vec<u32> = (1..500).filter(|&k| !is_exact(d, m, k)).collect();
            let expected: Vec<u32> = windows.iter().flat_map(|&(a, b)| a..=b).collect();
            assert_eq!(open, expected, "{d} {m}");
        }
        assert_eq!(
            network(30, 8, 100).learning_coefficient(),
            Known::UpperBound(Rational64::new(3700, 2))
        );
    }

    #[test]
    fn no_coordinate_of_the_point_is_used_twice() {
        let field = PrimeField::LARGE;
        let units = (0..4).map(|u| Unit::at_fixed_point(field, u, 3, 2));
        let used: Vec<u32> = units
            .flat_map(|unit| [unit.weights, unit.head].concat())
            .collect();
        let all: Vec<u32> = (0..20).map(|i| field.coordinate(i)).collect();
        assert_eq!(used, all);
    }

    #[test]
    fn supports() {
        let net = network(4, 2, 3);
        let all: Vec<(usize, usize)> = (0..4).flat_map(|i| (0..=i).map(move |j| (j, i))).collect();
        assert_eq!(net.jacobian_rank(&Support::Monomials(all.clone())), Ok(15));
        // Values at rich inputs see what coefficients see.
        let rich: Vec<Vec<i64>> = all
            .iter()
            .map(|&(i, j)| {
                (0..4)
                    .map(|l| i64::from(l == i) + i64::from(l == j))
                    .collect()
            })
            .collect();
        assert_eq!(net.jacobian_rank(&Support::Inputs(rich)), Ok(15));
        // Bipartite monomials: a product of two linear forms in 2 + 2 variables, 4 functions for each output.
        let bipartite = vec![(0, 2), (0, 3), (1, 2), (1, 3)];
        assert_eq!(net.jacobian_rank(&Support::Monomials(bipartite)), Ok(8));
        assert_eq!(net.jacobian_rank(&Support::Monomials(vec![])), Ok(0));
        assert_eq!(
            net.jacobian_rank(&Support::Monomials(vec![(0, 1), (1, 4)])),
            Err(QuadraticNetworkError::Monomial {
                i: 1,
                j: 4,
                n_inputs: 4
            })
        );
        assert_eq!(
            net.jacobian_rank(&Support::Inputs(vec![vec![0; 4], vec![0; 3]])),
            Err(QuadraticNetworkError::Input {
                index: 1,
                got: 3,
                n_inputs: 4
            })
        );
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (d, m, k) in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1_000_001, 1, 1)] {
            let error = QuadraticNetworkError::Size {
                n_inputs: d,
                n_outputs: m,
                width: k,
            };
            assert_eq!(QuadraticNetwork::new(d, m, k), Err(error));
            assert!(
                k == 0
                    || quadratic_unit_zero(d, m)
                        == Err(QuadraticNetworkError::Size {
                            n_inputs: d,
                            n_outputs: m,
                            width: 1
                        })
            );
        }
        let w = QuadraticNetwork::MAX_SIZE;
        assert_eq!(network(w, w, w).rank(), 1_999_999_000_000);
    }

    #[test]
    fn one_unit_at_zero() {
        for d in 1..30u32 {
            for m in 1..30u32 {
                let pair = quadratic_unit_zero(d, m).unwrap();
                let lambda = Rational64::new(i64::from(m), 2).min(Rational64::new(i64::from(d), 4));
                assert_eq!(pair.lambda(), lambda);
                assert_eq!(pair.multiplicity(), if d == 2 * m { 2 } else { 1 });
            }
        }
        // Three dead units at p = 5: one-hot pairs see 2p - 1 = 9 directions.
        assert_eq!(
            padded_by_dead_units(Rational64::new(105, 2), 3, 9, 5),
            Ok(Known::UpperBound(Rational64::new(237, 4)))
        );
        assert!(padded_by_dead_units(Rational64::new(1, 2), 1, 0, 1).is_err());
    }

    proptest! {
        #[test]
        fn rank_is_bounded_and_monotone(d in 1u32..200, m in 1u32..60, k in 1u32..3000) {
            let rank = network(d, m, k).rank();
            let wider = network(d, m, k + 1).rank();
            prop_assert!(rank <= network(d, m, k).expected_rank());
            prop_assert!(rank <= wider);
            // One unit adds at most its own tangent space.
            prop_assert!(wider - rank <= i64::from(d + m - 1) + 1);
            prop_assert!(rank <= network(d + 1, m, k).rank());
            prop_assert!(rank <= network(d, m + 1, k).rank());
        }

        #[test]
        fn elimination_respects_order_and_gauge(
            d in 2u32..5, m in 1u32..4, k in 1u32..6, shift in 1usize..4,
            inputs in prop::collection::vec(prop::collection::vec(-2i64..3, 4), 1..9),
        ) {
            let inputs: Vec<Vec<i64>> = inputs.iter().map(|x| x[..d as usize].to_vec()).collect();
            let rank = |inputs: &Vec<Vec<i64>>, k| network(d, m, k).jacobian_rank(&Support::Inputs(inputs.clone())).unwrap();
            let all = rank(&inputs, k);
            prop_assert!(all <= m as usize * inputs.len());
            prop_assert!(all as i64 <= network(d, m, k).rank());
            prop_assert!(all <= rank(&inputs, k + 1));
            let mut turned = inputs.clone();
            turned.rotate_left(shift % inputs.len());
            for x in &mut turned {
                x.rotate_left(shift % d as usize);
                // A square does not see the sign or the scale of an input.
                x.iter_mut().for_each(|v| *v *= -3);
            }
            prop_assert_eq!(all, rank(&turned, k));
            let mut more = inputs.clone();
            more.push(vec![1; d as usize]);
            prop_assert!(all <= rank(&more, k));
        }
    }
}
