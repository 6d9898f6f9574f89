//! Polynomials in one variable with rational coefficients: the multiplicities of their real roots, exactly.
//!
//! Squarefree decomposition (Yun 1976, *On square-free decomposition algorithms*) splits the roots by multiplicity, and
//! Sturm's theorem counts the real ones among them.

use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

/// `Σ c_k t^k`, lowest power first, no zero at the end; `[]` is the zero polynomial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Univariate(Vec<BigRational>);

impl Univariate {
    /// The polynomial with these coefficients, lowest power first.
    pub(crate) fn new(mut coefficients: Vec<BigRational>) -> Self {
        while coefficients.last().is_some_and(BigRational::is_zero) {
            coefficients.pop();
        }
        Self(coefficients)
    }

    fn is_constant(&self) -> bool {
        self.0.len() <= 1
    }

    fn derivative(&self) -> Self {
        let degrees = 1u64..;
        Self(
            self.0
                .iter()
                .skip(1)
                .zip(degrees)
                .map(|(c, k)| c * BigRational::from_integer(k.into()))
                .collect(),
        )
    }

    fn minus(&self, other: &Self) -> Self {
        let zero = BigRational::zero();
        let length = self.0.len().max(other.0.len());
        let at = |p: &Self, k: usize| p.0.get(k).unwrap_or(&zero).clone();
        Self::new((0..length).map(|k| at(self, k) - at(other, k)).collect())
    }

    /// Quotient and remainder by a divisor that is not zero.
    fn divide(&self, divisor: &Self) -> (Self, Self) {
        let lead = divisor.0.last().expect("the divisor is not zero");
        let mut remainder = self.0.clone();
        let mut quotient = Vec::new();
        while remainder.len() >= divisor.0.len() {
            let factor = remainder.pop().expect("not empty") / lead;
            let shift = remainder.len() + 1 - divisor.0.len();
            for (c, d) in remainder[shift..].iter_mut().zip(&divisor.0) {
                *c -= &factor * d;
            }
            quotient.push(factor);
        }
        quotient.reverse();
        (Self(quotient), Self::new(remainder))
    }

    /// The monic greatest common divisor with a polynomial; one of the two is not zero.
    fn gcd(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.clone(), other.clone());
        while !b.0.is_empty() {
            let remainder = a.divide(&b).1.monic();
            (a, b) = (b, remainder);
        }
        a.monic()
    }

    fn monic(self) -> Self {
        let Some(lead) = self.0.last().cloned() else {
            return self;
        };
        Self(self.0.into_iter().map(|c| c / &lead).collect())
    }

    /// The factors `p_1, p_2, …` of `self = c ∏ p_k^k`, each without multiple roots and coprime to the others.
    fn squarefree_factors(&self) -> Vec<Self> {
        let derivative = self.derivative();
        let common = self.gcd(&derivative);
        let mut rest = self.divide(&common).0;
        let mut slope = derivative.divide(&common).0.minus(&rest.derivative());
        let mut factors = Vec::new();
        while !rest.is_constant() {
            let factor = rest.gcd(&slope);
            rest = rest.divide(&factor).0;
            slope = slope.divide(&factor).0.minus(&rest.derivative());
            factors.push(factor);
        }
        factors
    }

    /// The number of distinct real roots, by Sturm's theorem.
    fn n_real_roots(&self) -> usize {
        let mut chain = vec![self.clone(), self.derivative()];
        while let [.., before, last] = chain.as_slice()
            && !last.0.is_empty()
        {
            let remainder = before.divide(last).1;
            chain.push(Self(remainder.0.iter().map(|c| -c).collect()));
        }
        // Signs at ±∞: that of the leading coefficient, with the degree's parity at −∞.
        let signs: Vec<(bool, bool)> = chain
            .iter()
            .filter_map(|p| {
                let positive = p.0.last()?.is_positive();
                Some((positive, positive == (p.0.len() % 2 == 1)))
            })
            .collect();
        let changes = |sign: fn(&(bool, bool)) -> bool| {
            signs
                .windows(2)
                .filter(|s| sign(&s[0]) != sign(&s[1]))
                .count()
        };
        changes(|s| s.1) - changes(|s| s.0)
    }

    /// The multiplicities of the real roots, ascending, one entry for each root.
    pub(crate) fn real_root_multiplicities(&self) -> Vec<u32> {
        self.squarefree_factors()
            .iter()
            .zip(1..)
            .flat_map(|(factor, k)| vec![k; factor.n_real_roots()])
            .collect()
    }

    /// The root of multiplicity above half of the degree, with its multiplicity. There is at most one, and it is rational.
    pub(crate) fn dominant_root(&self) -> Option<(BigRational, u32)> {
        let degree = self.0.len().saturating_sub(1);
        self.squarefree_factors()
            .into_iter()
            .zip(1u32..)
            .find(|(factor, k)| 2 * (*k as usize) > degree && !factor.is_constant())
            .map(|(factor, k)| {
                debug_assert!(factor.0.len() == 2 && factor.0[1].is_one());
                (-&factor.0[0], k)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn polynomial(coefficients: &[i64]) -> Univariate {
        Univariate::new(
            coefficients
                .iter()
                .map(|&c| BigRational::from_integer(c.into()))
                .collect(),
        )
    }

    fn times(a: &Univariate, b: &Univariate) -> Univariate {
        let mut product = vec![BigRational::zero(); a.0.len() + b.0.len() - 1];
        for (i, x) in a.0.iter().enumerate() {
            for (j, y) in b.0.iter().enumerate() {
                product[i + j] += x * y;
            }
        }
        Univariate::new(product)
    }

    #[test]
    fn known_roots() {
        for (coefficients, multiplicities) in [
            (&[5][..], &[][..]),
            (&[1, 0, 1], &[]),
            (&[-2, 0, 1], &[1, 1]),
            (&[1, -2, 1], &[2]),
            (&[1, 1, 1], &[]),
            (&[1, 3, 1], &[1, 1]),
            (&[4, 0, -4, 0, 1], &[2, 2]),
            (&[-1, 3, -3, 1], &[3]),
            (&[0, 0, 1, 1], &[1, 2]),
            (&[1, 0, 2, 0, 1], &[]),
        ] {
            assert_eq!(
                polynomial(coefficients).real_root_multiplicities(),
                multiplicities,
                "{coefficients:?}"
            );
        }
        assert_eq!(polynomial(&[1, 2, 0, 0]), polynomial(&[1, 2]));
    }

    #[test]
    fn dominant_roots() {
        let ratio = |n: i64, d: i64| BigRational::new(n.into(), d.into());
        assert_eq!(
            polynomial(&[9, -12, 4]).dominant_root(),
            Some((ratio(3, 2), 2))
        );
        assert_eq!(polynomial(&[3, -2]).dominant_root(), Some((ratio(3, 2), 1)));
        // t²(t − 1): above half; t²(t − 1)²: not.
        assert_eq!(
            polynomial(&[0, 0, -1, 1]).dominant_root(),
            Some((ratio(0, 1), 2))
        );
        assert_eq!(polynomial(&[0, 0, 1, -2, 1]).dominant_root(), None);
        assert_eq!(polynomial(&[7]).dominant_root(), None);
        assert_eq!(polynomial(&[-2, 0, 1]).dominant_root(), None);
    }

    proptest! {
        /// Products of linear factors, and of (t² + c)^k without real roots, have the multiplicities they were built with.
        #[test]
        fn multiplicities_are_found(
            roots in prop::collection::btree_map(-4i64..5, 1u32..4, 0..4),
            pairs in prop::collection::vec((1i64..4, 0u32..3), 0..2),
            scale in prop_oneof![-3i64..0, 1i64..4],
        ) {
            let mut product = polynomial(&[scale]);
            for (&root, &k) in &roots {
                for _ in 0..k {
                    product = times(&product, &polynomial(&[-root, 1]));
                }
            }
            for (c, k) in pairs {
                for _ in 0..k {
                    product = times(&product, &polynomial(&[c, 0, 1]));
                }
            }
            let mut expected: Vec<u32> = roots.values().copied().collect();
            expected.sort_unstable();
            prop_assert_eq!(product.real_root_multiplicities(), expected);
            let degree = product.0.len() as u32 - 1;
            let dominant = roots
                .iter()
                .find(|&(_, &k)| 2 * k > degree)
                .map(|(&root, &k)| (BigRational::from_integer(root.into()), k));
            prop_assert_eq!(product.dominant_root(), dominant);
        }
    }
}
