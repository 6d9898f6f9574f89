//! Linear programmes solved exactly: maximise `Σ c_j x_j` subject to `Σ_j A_j x_j <= b`, `x >= 0`, `b >= 0`.
//!
//! A floating-point solver proposes which variables are positive; the simplex tableau is brought to that basis and
//! finished with Bland's rule, in integers. A tableau without improving column proves its optimum (its reduced costs are
//! a feasible dual solution), whatever was proposed: a wrong proposal costs pivots, not truth.
//!
//! The tableau keeps integers over one common denominator, the determinant of the basis (Edmonds 1967; Bareiss 1968):
//! the division in [`Tableau::pivot`] has no remainder.

use num_bigint::BigInt;
use num_traits::{One, Signed, Zero};

/// The equations `A x + s = b` in terms of a basis; the slack `s_i` is variable `n_columns + i`.
#[derive(Clone, Debug)]
pub(crate) struct Tableau {
    n_columns: usize,
    /// `[n_rows, n_variables + 1]`, the right-hand side last; true entries are these over `denominator`.
    rows: Vec<Vec<BigInt>>,
    denominator: BigInt,
    /// The variable that each row is solved for.
    basis: Vec<usize>,
}

impl Tableau {
    /// The tableau of the slack basis. Shapes: `columns`: `[n_columns][n_rows]`; `rhs`: `[n_rows]`.
    pub(crate) fn new(columns: &[Vec<BigInt>], rhs: &[BigInt]) -> Self {
        let n_columns = columns.len();
        let rows = rhs
            .iter()
            .enumerate()
            .map(|(i, b)| {
                let mut row: Vec<BigInt> = columns.iter().map(|column| column[i].clone()).collect();
                row.extend((0..rhs.len()).map(|k| BigInt::from(u8::from(k == i))));
                row.push(b.clone());
                row
            })
            .collect();
        Self {
            n_columns,
            rows,
            denominator: BigInt::one(),
            basis: (n_columns..n_columns + rhs.len()).collect(),
        }
    }

    /// The number of variables, slacks included.
    pub(crate) fn n_variables(&self) -> usize {
        self.n_columns + self.rows.len()
    }

    /// Solves `row` for `column`, whose entry there is not zero.
    pub(crate) fn pivot(&mut self, row: usize, column: usize) {
        let pivot_row = self.rows[row].clone();
        let pivot = &pivot_row[column];
        for (i, other) in self.rows.iter_mut().enumerate() {
            if i != row {
                eliminate(other, &pivot_row, column, &self.denominator);
            }
        }
        if pivot.is_negative() {
            for entry in self.rows.iter_mut().flatten() {
                *entry = -&*entry;
            }
        }
        self.denominator = pivot.abs();
        self.basis[row] = column;
    }

    /// The tableau whose basis holds the `proposed` variables, as far as they are independent; `self` if that basis has a
    /// negative variable.
    pub(crate) fn with_proposal(self, proposed: &[usize]) -> Self {
        let mut tableau = self.clone();
        for &column in proposed {
            let free = (0..tableau.rows.len()).find(|&row| {
                !tableau.rows[row][column].is_zero() && !proposed.contains(&tableau.basis[row])
            });
            if let Some(row) = free {
                tableau.pivot(row, column);
            }
        }
        let infeasible = (0..tableau.rows.len()).any(|row| tableau.rhs(row).is_negative());
        if infeasible { self } else { tableau }
    }

    /// Maximises `Σ objective_j x_j` over the `allowed` variables by Bland's rule; the others must be zero or basic.
    ///
    /// Returns the reduced costs of all variables times the denominator: zero or negative where allowed.
    ///
    /// # Panics
    /// If the objective is unbounded.
    pub(crate) fn maximise(&mut self, objective: &[BigInt], allowed: &[bool]) -> Vec<BigInt> {
        let mut reduced: Vec<BigInt> = objective
            .iter()
            .map(|cost| cost * &self.denominator)
            .chain([BigInt::zero()])
            .collect();
        for (row, &basic) in self.rows.iter().zip(&self.basis) {
            for (cost, entry) in reduced.iter_mut().zip(row) {
                *cost -= &objective[basic] * entry;
            }
        }
        while let Some(column) =
            (0..self.n_variables()).find(|&j| allowed[j] && reduced[j].is_positive())
        {
            let row = self.leaving_row(column);
            let pivot_row = self.rows[row].clone();
            eliminate(&mut reduced, &pivot_row, column, &self.denominator);
            self.pivot(row, column);
        }
        reduced.truncate(self.n_variables());
        reduced
    }

    /// The row that limits the growth of `column`, with the least basic variable at a tie.
    fn leaving_row(&self, column: usize) -> usize {
        (0..self.rows.len())
            .filter(|&row| self.rows[row][column].is_positive())
            .min_by(|&i, &k| {
                let left = self.rhs(i) * &self.rows[k][column];
                let right = self.rhs(k) * &self.rows[i][column];
                left.cmp(&right).then(self.basis[i].cmp(&self.basis[k]))
            })
            .expect("the feasible set is bounded")
    }

    fn rhs(&self, row: usize) -> &BigInt {
        &self.rows[row][self.n_variables()]
    }

    /// The positive variables with their values, numerator and denominator.
    pub(crate) fn positive(&self) -> impl Iterator<Item = (usize, &BigInt, &BigInt)> {
        (0..self.rows.len())
            .filter(|&row| self.rhs(row).is_positive())
            .map(|row| (self.basis[row], self.rhs(row), &self.denominator))
    }

    /// The variables that are positive at some point of the optimal face, given the reduced costs at an optimum.
    ///
    /// By maximising the sum of those not yet seen positive, until it is zero.
    pub(crate) fn support_of_optimal_face(
        mut self,
        reduced: &[BigInt],
        allowed: &[bool],
    ) -> Vec<usize> {
        let on_face: Vec<bool> = (0..self.n_variables())
            .map(|j| allowed[j] && reduced[j].is_zero())
            .collect();
        let mut seen = vec![false; self.n_variables()];
        loop {
            let fresh: Vec<usize> = self
                .positive()
                .map(|(j, _, _)| j)
                .filter(|&j| !seen[j])
                .collect();
            if fresh.is_empty() {
                return (0..seen.len()).filter(|&j| seen[j]).collect();
            }
            for j in fresh {
                seen[j] = true;
            }
            let unseen: Vec<BigInt> = (0..self.n_variables())
                .map(|j| BigInt::from(u8::from(on_face[j] && !seen[j])))
                .collect();
            self.maximise(&unseen, &on_face);
        }
    }
}

/// Row operation of an integer-preserving pivot: `(row · pivot − row[column] · pivot_row) / denominator`.
fn eliminate(row: &mut [BigInt], pivot_row: &[BigInt], column: usize, denominator: &BigInt) {
    let factor = row[column].clone();
    let pivot = &pivot_row[column];
    for (entry, above) in row.iter_mut().zip(pivot_row) {
        *entry = (&*entry * pivot - &factor * above) / denominator;
    }
}

/// The rank of integer row vectors.
pub(crate) fn rank(vectors: &[Vec<BigInt>]) -> usize {
    let mut rows = vectors.to_vec();
    let width = rows.first().map_or(0, Vec::len);
    let mut rank = 0;
    let mut denominator = BigInt::one();
    for column in 0..width {
        let Some(found) = (rank..rows.len()).find(|&i| !rows[i][column].is_zero()) else {
            continue;
        };
        rows.swap(rank, found);
        let pivot_row = rows[rank].clone();
        for row in &mut rows[rank + 1..] {
            eliminate(row, &pivot_row, column, &denominator);
        }
        denominator = pivot_row[column].clone();
        rank += 1;
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_rational::BigRational;
    use proptest::prelude::*;

    fn big(values: &[i64]) -> Vec<BigInt> {
        values.iter().copied().map(BigInt::from).collect()
    }

    fn value(tableau: &Tableau, objective: &[i64]) -> BigRational {
        tableau
            .positive()
            .map(|(j, n, d)| BigRational::new(n * objective[j], d.clone()))
            .sum()
    }

    /// max 3x + 2y + 4z : x + y + 2z <= 4, 2x + 3z <= 5, 2x + y + 3z <= 7 (Chvátal 1983, exercise 2.1a): 21/2 at (5/2, 3/2, 0).
    #[test]
    fn textbook_programme() {
        let columns = [big(&[1, 2, 2]), big(&[1, 0, 1]), big(&[2, 3, 3])];
        let mut tableau = Tableau::new(&columns, &big(&[4, 5, 7]));
        let objective = [3, 2, 4, 0, 0, 0];
        let reduced = tableau.maximise(&big(&objective), &[true; 6]);
        assert_eq!(
            value(&tableau, &objective),
            BigRational::new(21.into(), 2.into())
        );
        assert!(reduced.iter().all(|cost| !cost.is_positive()));
        // At once, where x and y are proposed.
        let proposed = Tableau::new(&columns, &big(&[4, 5, 7])).with_proposal(&[0, 1]);
        let half = |n: i64| BigRational::new(n.into(), 2.into());
        for tableau in [tableau, proposed] {
            let mut positive: Vec<_> = tableau
                .positive()
                .map(|(j, n, d)| (j, BigRational::new(n.clone(), d.clone())))
                .collect();
            positive.sort();
            assert_eq!(positive, [(0, half(5)), (1, half(3)), (5, half(1))]);
        }
    }

    /// max x + y : x + y <= 1. The optimum is an edge on which x and y are both positive somewhere, the slack never.
    #[test]
    fn an_optimal_edge_has_its_support() {
        let mut tableau = Tableau::new(&[big(&[1]), big(&[1])], &big(&[1]));
        let reduced = tableau.maximise(&big(&[1, 1, 0]), &[true; 3]);
        assert_eq!(tableau.positive().count(), 1);
        assert_eq!(
            tableau
                .clone()
                .support_of_optimal_face(&reduced, &[true; 3]),
            [0, 1]
        );
        assert_eq!(
            tableau.support_of_optimal_face(&reduced, &[true, false, true]),
            [0]
        );
    }

    #[test]
    fn ranks() {
        assert_eq!(rank(&[]), 0);
        assert_eq!(rank(&[big(&[0, 0])]), 0);
        assert_eq!(rank(&[big(&[0, 2, 1]), big(&[0, 4, 2])]), 1);
        assert_eq!(
            rank(&[big(&[0, 2, 1]), big(&[3, 4, 2]), big(&[3, 0, 0])]),
            2
        );
        assert_eq!(
            rank(&[big(&[0, 2, 1]), big(&[3, 4, 2]), big(&[3, 0, 1])]),
            3
        );
        assert_eq!(
            rank(&[big(&[2, 3, 5]), big(&[7, 11, 13]), big(&[9, 14, 18])]),
            2
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// A proposal, however wrong, changes neither the optimum nor the support of the optimal face.
        #[test]
        fn any_proposal_ends_at_the_optimum(
            columns in prop::collection::vec(prop::collection::vec(0i64..4, 3), 1..7),
            rhs in prop::collection::vec(0i64..4, 3),
            costs in prop::collection::vec(-2i64..4, 6),
            proposed in prop::collection::vec(any::<bool>(), 10),
        ) {
            let columns: Vec<_> = columns
                .into_iter()
                .map(|mut column| {
                    if column.iter().all(|&a| a == 0) {
                        column[0] = 1;
                    }
                    column
                })
                .collect();
            let n = columns.len();
            let big_columns: Vec<_> = columns.iter().map(|c| big(c)).collect();
            let objective = [&costs[..n], &[0; 3]].concat();
            let solve = |proposed: &[usize]| {
                let mut tableau = Tableau::new(&big_columns, &big(&rhs)).with_proposal(proposed);
                let reduced = tableau.maximise(&big(&objective), &vec![true; n + 3]);
                // The solution satisfies the equations, and the dual solution its inequalities.
                for i in 0..3 {
                    let sum: BigRational = tableau
                        .positive()
                        .map(|(j, num, den)| {
                            let entry = if j < n { columns[j][i] } else { i64::from(j == n + i) };
                            BigRational::new(num * entry, den.clone())
                        })
                        .sum();
                    assert_eq!(sum, BigRational::from_integer(rhs[i].into()));
                }
                let dual: Vec<BigRational> = (n..n + 3)
                    .map(|j| BigRational::new(-&reduced[j], tableau.denominator.clone()))
                    .collect();
                assert!(dual.iter().all(|y| !y.is_negative()));
                for (column, &cost) in columns.iter().zip(&costs) {
                    let sum: BigRational = dual.iter().zip(column).map(|(y, &a)| y * BigInt::from(a)).sum();
                    assert!(sum >= BigRational::from_integer(cost.into()));
                }
                let dual_value: BigRational = dual.iter().zip(&rhs).map(|(y, &b)| y * BigInt::from(b)).sum();
                let optimum = value(&tableau, &objective);
                assert_eq!(optimum, dual_value);
                (optimum, tableau.support_of_optimal_face(&reduced, &vec![true; n + 3]))
            };
            let proposed: Vec<usize> = (0..n).filter(|&j| proposed[j]).collect();
            prop_assert_eq!(solve(&proposed), solve(&[]));
        }
    }
}
