//! For tests: the rank of the Jacobian of a polynomial map, exactly, over a prime field.
//!
//! The maps are affine in each variable separately, so a forward difference of step 1 is the derivative. At a point drawn
//! at random the rank over [`PrimeField::LARGE`] is the rank over the rationals but for a chance of about 1e-9; it is never
//! larger.

use crate::{FieldMatrix, PrimeField};

const FIELD: PrimeField = PrimeField::LARGE;

/// The rank of the Jacobian at `point` of the multi-affine `map`, whose values are sums of products of residues.
pub(crate) fn jacobian_rank(map: impl Fn(&[Residue]) -> Vec<Residue>, point: &[u32]) -> usize {
    let residue = |&x: &u32| Residue(FIELD.element(i64::from(x)));
    let point: Vec<Residue> = point.iter().map(residue).collect();
    let base = map(&point);
    let rows = (0..point.len()).map(|i| {
        let mut moved = point.clone();
        moved[i] = moved[i] + Residue::ONE;
        let moved = map(&moved);
        let difference = |(&x, &y): (&Residue, &Residue)| (x - y).0;
        moved.iter().zip(&base).map(difference).collect()
    });
    FieldMatrix::from_rows(FIELD, base.len(), rows.collect()).rank()
}

/// An element of the field, with operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Residue(u32);

impl Residue {
    pub(crate) const ONE: Self = Self(1);
}

impl std::ops::Add for Residue {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(FIELD.add(self.0, other.0))
    }
}

impl std::ops::Sub for Residue {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(FIELD.add(self.0, FIELD.negate(other.0)))
    }
}

impl std::ops::Mul for Residue {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(FIELD.multiply(self.0, other.0))
    }
}

impl std::iter::Product for Residue {
    fn product<I: Iterator<Item = Self>>(factors: I) -> Self {
        factors.fold(Self::ONE, |product, x| product * x)
    }
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
