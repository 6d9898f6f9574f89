//! Test support: the singular values of the partial products of a deep linear network, on a lattice.
//!
//! Derived here. The widths ascend (that order is as good as any: Ipsen & Kieburg 2014, Phys. Rev. E 89, 032106) and
//! the least of them is k. Let the partial product have the singular values `s^(−x_i/2)`, `x` ascending. A next layer
//! with n rows, Gaussian as any smooth prior may be taken to be, turns `x` into `y >= x` with a density `s^(−cost/2)`,
//! `cost = −n Σ x_i + Σ (n − k + 1 + 2(k − i)) y_i + Σ_{i<j} max(0, x_j − y_i)`: from the scale of the Gaussian, from
//! the Jacobian of the singular value decomposition, and from the right singular vectors, which must not mix a small
//! old direction j into a large new one i. Integrating the last layer out costs `n Σ max(0, 1 − x_i)`.
//!
//! λ is half the least cost over all chains and `m − 1` the dimension of the face where it is attained. Cost and
//! constraints break at differences of coordinates alone, so the face has vertices in integers, and the number of its
//! points on the lattice of step `1/G` is a polynomial in G of degree `m − 1`.

use std::collections::HashMap;

/// The least cost, times `scale`, and the number of lattice points of step `1/scale` that attain it.
pub(crate) fn least_cost(free: &[i64], scale: i64) -> (i64, u64) {
    let k = free[0];
    let values = ascending(k, scale);
    let mut reached: HashMap<Vec<i64>, (i64, u64)> = HashMap::from([(vec![0; k as usize], (0, 1))]);
    for &n in &free[1..free.len() - 1] {
        let mut next = HashMap::new();
        for y in &values {
            for (x, &(cost, count)) in &reached {
                if x.iter().zip(y).all(|(x, y)| x <= y) {
                    let step = layer_cost(n, x, y);
                    add(
                        next.entry(y.clone()).or_insert((i64::MAX, 0)),
                        (cost + step, count),
                    );
                }
            }
        }
        reached = next;
    }
    let last = free[free.len() - 1];
    let mut best = (i64::MAX, 0);
    for (x, &(cost, count)) in &reached {
        let end: i64 = x.iter().map(|x| last * (scale - x)).sum();
        add(&mut best, (cost + end, count));
    }
    best
}

fn layer_cost(n: i64, x: &[i64], y: &[i64]) -> i64 {
    let k = x.len();
    (0..k)
        .map(|i| {
            let jacobian = n - k as i64 + 1 + 2 * (k - 1 - i) as i64;
            let vectors: i64 = x[i + 1..].iter().map(|x| (x - y[i]).max(0)).sum();
            jacobian * y[i] - n * x[i] + vectors
        })
        .sum()
}

fn add(best: &mut (i64, u64), found: (i64, u64)) {
    if found.0 < best.0 {
        *best = found;
    } else if found.0 == best.0 {
        best.1 += found.1;
    }
}

/// All ascending vectors of length k in `0..=scale`.
fn ascending(k: i64, scale: i64) -> Vec<Vec<i64>> {
    (0..k).fold(vec![vec![]], |all, _| {
        all.iter()
            .flat_map(|v: &Vec<i64>| {
                (v.last().copied().unwrap_or(0)..=scale).map(|x| [&v[..], &[x]].concat())
            })
            .collect()
    })
}

/// The degree of the polynomial through `values` at 0, 1, 2, …; three vanishing differences are asked for beyond
/// it.
pub(crate) fn degree(mut values: Vec<i64>) -> Option<usize> {
    for degree in 0.. {
        if values.len() < 4 {
            return None;
        }
        if values.windows(2).all(|pair| pair[0] == pair[1]) {
            return Some(degree);
        }
        values = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    }
    None
}
