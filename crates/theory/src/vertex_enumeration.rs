//! For tests: the Newton polyhedron's linear programme by brute force.
//!
//! For `K = Σ w^a` over the listed exponents and a prior `∏ |w_i|^(c_i − 1)`, the pair is that of
//! `min Σ c_i v_i` subject to `<a, v> >= 1` for all `a`, `v >= 0`: λ is the minimum, `m − 1` the dimension of the face of
//! minimisers (Varchenko 1976). All costs are positive, so the face is the hull of the optimal vertices, and every vertex
//! solves `d` of the constraints with equality: all choices of `d` are tried, in exact arithmetic.

use num_rational::{Ratio, Rational64};

use crate::LearningCoefficient;

type Rational = Ratio<i128>;

/// The pair of `Σ_a w^a` with prior `∏ |w_i|^(costs_i − 1)` at the origin.
///
/// Shapes: each of `exponents`: `[d]`; `costs`: `[d]`.
pub(crate) fn newton_pair(exponents: &[Vec<u32>], costs: &[Rational64]) -> LearningCoefficient {
    let d = costs.len();
    let integer = |x: u32| Rational::from_integer(i128::from(x));
    // Rows (a, right-hand side) of a·v >= b.
    let mut rows: Vec<Vec<Rational>> = exponents
        .iter()
        .map(|a| a.iter().map(|&x| integer(x)).chain([integer(1)]).collect())
        .collect();
    for i in 0..d {
        rows.push((0..=d).map(|j| integer(u32::from(i == j))).collect());
    }
    let costs: Vec<Rational> = costs
        .iter()
        .map(|c| Rational::new(i128::from(*c.numer()), i128::from(*c.denom())))
        .collect();

    let mut best: Option<(Rational, Vec<Vec<Rational>>)> = None;
    for_each_subset(rows.len(), d, &mut |chosen| {
        let Some(vertex) = solve(chosen.iter().map(|&i| rows[i].clone()).collect()) else {
            return;
        };
        let feasible = rows.iter().all(|row| dot(&row[..d], &vertex) >= row[d]);
        if !feasible {
            return;
        }
        let cost = dot(&costs, &vertex);
        match &mut best {
            Some((least, _)) if *least < cost => {}
            Some((least, vertices)) if *least == cost => vertices.push(vertex),
            _ => best = Some((cost, vec![vertex])),
        }
    });
    let (lambda, vertices) = best.expect("v large enough is feasible");
    let differences = vertices[1..]
        .iter()
        .map(|v| v.iter().zip(&vertices[0]).map(|(x, y)| x - y).collect())
        .collect();
    let face_dimension = eliminate(differences).len();
    let fit = |x: &i128| i64::try_from(*x).unwrap();
    let lambda = Rational64::new(fit(lambda.numer()), fit(lambda.denom()));
    LearningCoefficient::new(lambda, 1 + face_dimension as u32).unwrap()
}

fn dot(x: &[Rational], y: &[Rational]) -> Rational {
    x.iter()
        .zip(y)
        .fold(Rational::from_integer(0), |sum, (a, b)| sum + a * b)
}

fn for_each_subset(n: usize, size: usize, visit: &mut impl FnMut(&[usize])) {
    let mut chosen: Vec<usize> = (0..size).collect();
    loop {
        visit(&chosen);
        let Some(i) = (0..size).rev().find(|&i| chosen[i] < n - size + i) else {
            return;
        };
        chosen[i] += 1;
        for j in i + 1..size {
            chosen[j] = chosen[j - 1] + 1;
        }
    }
}

/// Gauss-Jordan elimination; the pivots, as (row, column) of the reduced rows that it returns.
fn eliminate(mut rows: Vec<Vec<Rational>>) -> Vec<(Vec<Rational>, usize)> {
    let zero = Rational::from_integer(0);
    let mut reduced: Vec<(Vec<Rational>, usize)> = Vec::new();
    while let Some(mut row) = rows.pop() {
        for (pivot_row, column) in &reduced {
            let factor = row[*column];
            for (x, y) in row.iter_mut().zip(pivot_row) {
                *x -= factor * y;
            }
        }
        let Some(column) = row.iter().position(|x| *x != zero) else {
            continue;
        };
        let pivot = row[column];
        row.iter_mut().for_each(|x| *x /= pivot);
        for (other, _) in &mut reduced {
            let factor = other[column];
            for (x, y) in other.iter_mut().zip(&row) {
                *x -= factor * y;
            }
        }
        reduced.push((row, column));
    }
    reduced
}

/// The solution of `d` equations in `d` unknowns, rows `[d + 1]`; none if they are dependent.
fn solve(rows: Vec<Vec<Rational>>) -> Option<Vec<Rational>> {
    let d = rows.len();
    let reduced = eliminate(rows);
    if reduced.len() < d || reduced.iter().any(|&(_, column)| column == d) {
        return None;
    }
    let mut solution = vec![Rational::from_integer(0); d];
    for (row, column) in reduced {
        solution[column] = row[d];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_values() {
        type Case<'a> = (&'a [&'a [u32]], (i64, i64), u32);
        let cases: [Case; 6] = [
            (&[&[4, 0], &[2, 2], &[0, 6]], (1, 2), 2),
            (&[&[2, 2, 0], &[0, 2, 2], &[2, 0, 2]], (3, 4), 1),
            (&[&[4, 0], &[0, 6]], (5, 12), 1),
            (&[&[4, 2], &[2, 4]], (1, 3), 1),
            (&[&[2, 2, 0, 0], &[0, 0, 2, 2]], (1, 1), 3),
            (&[&[8, 0], &[4, 4], &[0, 8]], (1, 4), 1),
        ];
        for (exponents, (numer, denom), m) in cases {
            let costs = vec![Rational64::from_integer(1); exponents[0].len()];
            let exponents: Vec<Vec<u32>> = exponents.iter().map(|a| a.to_vec()).collect();
            let expected = LearningCoefficient::new(Rational64::new(numer, denom), m);
            assert_eq!(Ok(newton_pair(&exponents, &costs)), expected);
        }
    }
}
