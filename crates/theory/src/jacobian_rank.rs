//! For tests: the rank of the Jacobian of a polynomial map, exactly, over a prime field.
//!
//! The maps are affine in each variable separately, so a forward difference of step 1 is the derivative. At a point drawn
//! at random the rank over the field of `p = 2³¹ − 1` elements is the rank over the rationals but for a chance of about `1/p`;
//! it is never larger.

const P: u64 = (1 << 31) - 1;

/// The rank of the Jacobian at `point` of the multi-affine `map`, whose values are sums of products of residues.
pub(crate) fn jacobian_rank(map: impl Fn(&[Residue]) -> Vec<Residue>, point: &[u32]) -> usize {
    let point: Vec<Residue> = point.iter().map(|&x| Residue(u64::from(x) % P)).collect();
    let base = map(&point);
    let rows = (0..point.len()).map(|i| {
        let mut moved = point.clone();
        moved[i] = moved[i] + Residue(1);
        let moved = map(&moved);
        moved.iter().zip(&base).map(|(&x, &y)| x - y).collect()
    });
    rank(rows.collect())
}

/// An integer modulo `2³¹ − 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Residue(u64);

impl Residue {
    pub(crate) const ONE: Self = Self(1);

    fn inverse(self) -> Self {
        let (mut power, mut result, mut exponent) = (self, Self::ONE, P - 2);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = result * power;
            }
            power = power * power;
            exponent >>= 1;
        }
        result
    }
}

impl std::ops::Add for Residue {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self((self.0 + other.0) % P)
    }
}

impl std::ops::Sub for Residue {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self((self.0 + P - other.0) % P)
    }
}

impl std::ops::Mul for Residue {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0 % P)
    }
}

impl std::iter::Product for Residue {
    fn product<I: Iterator<Item = Self>>(factors: I) -> Self {
        factors.fold(Self::ONE, |product, x| product * x)
    }
}

fn rank(mut rows: Vec<Vec<Residue>>) -> usize {
    let n_columns = rows.first().map_or(0, Vec::len);
    let mut rank = 0;
    for column in 0..n_columns {
        let Some(pivot) = (rank..rows.len()).find(|&i| rows[i][column].0 != 0) else {
            continue;
        };
        rows.swap(rank, pivot);
        let pivot_row = rows[rank].clone();
        let inverse = pivot_row[column].inverse();
        for row in &mut rows[rank + 1..] {
            let factor = row[column] * inverse;
            for (x, &y) in row.iter_mut().zip(&pivot_row) {
                *x = *x - factor * y;
            }
        }
        rank += 1;
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix of rank at most 1 has the generic rank 2 + 2 − 1 of its factorisation, and 0 at the origin.
    #[test]
    fn product_of_vectors() {
        let map = |w: &[Residue]| vec![w[0] * w[2], w[0] * w[3], w[1] * w[2], w[1] * w[3]];
        assert_eq!(jacobian_rank(map, &[3, 5, 7, 11]), 3);
        assert_eq!(jacobian_rank(map, &[3, 5, 0, 0]), 2);
        assert_eq!(jacobian_rank(map, &[0, 0, 0, 0]), 0);
    }
}
