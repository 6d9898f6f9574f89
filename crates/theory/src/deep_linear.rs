//! Deep linear networks `y = W_L … W_1 x` of any depth: the global pair.
//!
//! Widths `H_1, …, H_{L+1}` from input to output, true product of rank `r`, inputs with a covariance of full rank (of
//! rank ρ: put ρ for `H_1`). With `D_s = H_s − r` in ascending order, let l be the largest number with `D_1 + … +
//! D_{l+1} >= l D_{l+1}`; the difference of the two sides does not grow with l and is `D_1 >= 0` at `l = 1`, so there
//! is one. With `S = D_1 + … + D_{l+1}`, `Q = D_1² + … + D_{l+1}²` and `1 <= a <= l`, `a ≡ S` modulo l:
//!
//! `λ = [r (H_1 + H_{L+1}) − r²]/2 + [(S² + a (l − a))/l − Q]/4`, `m = a (l − a) + 1`.
//!
//! Source: Aoyagi (2024), *Consideration on the learning efficiency of multiple-layered neural networks with linear
//! units*, Neural Networks 172, 106132, Theorem 2, with `Σ_{i<j} D_i D_j = (S² − Q)/2` inserted. λ is also half the
//! least codimension of a stratum of the set of zeros (Lehalleur & Rimányi 2024), but m is *not* the number of strata
//! that attain it: that is C(l, a), and differs from `l = 4` on.
//!
//! The widths between input and output may stand in any order, and `λ` is bounded in the depth while m grows. The
//! pair is attained where every `W_i` has rank r. At other points of the fibre the local pair is known for two layers
//! ([`ReducedRankLocal`]) and open beyond; see [`DeepLinear::local`].

use crate::size::MAX_WIDTH;
use crate::{Known, LearningCoefficient, ReducedRankLocal};

/// A deep linear network, by its widths and the rank of the true product.
///
/// ```
/// use slt_theory::DeepLinear;
///
/// let pair = DeepLinear::new(&[4, 4, 4, 4, 4], 2)?.learning_coefficient();
/// assert_eq!(pair.to_string(), "λ = 15/2, m = 5");
/// # Ok::<(), slt_theory::DeepLinearError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeepLinear {
    widths: Vec<u32>,
    rank: u32,
}

/// Why widths and ranks describe no deep linear network, or no point of its fibre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeepLinearError {
    /// There are too few or too many widths.
    #[error("2 <= number of widths <= {max} is needed, got {n_widths}", max = DeepLinear::MAX_LAYERS + 1)]
    Depth {
        /// The number of widths given.
        n_widths: usize,
    },
    /// A width is out of range.
    #[error("1 <= widths[{index}] <= {MAX_WIDTH} is needed, got {width}")]
    Width {
        /// Which width.
        index: usize,
        /// The width given.
        width: u32,
    },
    /// The rank of the product is larger than a width.
    #[error("rank <= widths[{index}] is needed, got rank = {rank} and widths[{index}] = {width}")]
    Rank {
        /// Which width.
        index: usize,
        /// The width.
        width: u32,
        /// r.
        rank: u32,
    },
    /// There is not one rank for each layer.
    #[error("one rank for each of the {n_layers} layers is needed, got {n_ranks}")]
    LayerRanks {
        /// L.
        n_layers: usize,
        /// The number of ranks given.
        n_ranks: usize,
    },
    /// A layer cannot have this rank.
    #[error("{least} <= layer_ranks[{layer}] <= {most} is needed, got {rank}")]
    LayerRank {
        /// Which layer, from 0.
        layer: usize,
        /// The rank given.
        rank: u32,
        /// The rank of the product.
        least: u32,
        /// The lesser of the layer's two widths.
        most: u32,
    },
    /// Sylvester's inequality fails.
    #[error(
        "the sum of the layer ranks <= the sum of the inner widths + rank is needed, got {rank_sum} > {bound}"
    )]
    Sylvester {
        /// The sum of the layer ranks.
        rank_sum: u64,
        /// The sum of the inner widths plus r.
        bound: u64,
    },
    /// The layers are not in general position.
    #[error(
        "layers in general position have a product of the least of their ranks, got rank {rank} and layer ranks from {least}"
    )]
    Position {
        /// The rank of the product.
        rank: u32,
        /// The least rank of a layer.
        least: u32,
    },
}

impl DeepLinear {
    /// The largest number of layers for which the pair is exact in its integer types.
    pub const MAX_LAYERS: usize = 1 << 16;

    /// `y = W_L … W_1 x` with `W_i: [widths[i], widths[i-1]]` and a true product of `rank`.
    ///
    /// # Errors
    /// [`DeepLinearError::Depth`] unless there are 1 to [`Self::MAX_LAYERS`] layers, one width more than layers;
    /// [`DeepLinearError::Width`] when a width is 0 or above [`MAX_WIDTH`];
    /// [`DeepLinearError::Rank`] when `rank` is larger than a width.
    pub fn new(widths: &[u32], rank: u32) -> Result<Self, DeepLinearError> {
        if !(2..=Self::MAX_LAYERS + 1).contains(&widths.len()) {
            return Err(DeepLinearError::Depth {
                n_widths: widths.len(),
            });
        }
        for (index, &width) in widths.iter().enumerate() {
            if !(1..=MAX_WIDTH).contains(&width) {
                return Err(DeepLinearError::Width { index, width });
            }
            if rank > width {
                return Err(DeepLinearError::Rank { index, width, rank });
            }
        }
        Ok(Self {
            widths: widths.to_vec(),
            rank,
        })
    }

    /// The global pair (λ, m).
    ///
    /// Accuracy: exact. The cost is that of sorting the widths.
    ///
    /// Source: Aoyagi (2024), Theorem 2.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let r = i128::from(self.rank);
        let ends = self.widths[0] + self.widths[self.widths.len() - 1];
        let n_regular = r * i128::from(ends) - r * r;

        let mut free: Vec<i128> = self.widths.iter().map(|&w| i128::from(w) - r).collect();
        free.sort_unstable();
        let (mut l, mut sum, mut squares) = (0, free[0], free[0] * free[0]);
        for &d in &free[1..] {
            // D_1 + … + D_{l+2} >= (l + 1) D_{l+2}
            if sum < l * d {
                break;
            }
            l += 1;
            sum += d;
            squares += d * d;
        }
        let a = 1 + (sum - 1).rem_euclid(l);
        let spread = a * (l - a);
        let fourfold = (sum * sum + spread) / l - squares;
        let multiplicity = u32::try_from(spread + 1).expect("at most MAX_LAYERS²/4 + 1");
        LearningCoefficient::from_fraction(2 * n_regular + fourfold, 4, multiplicity)
    }

    /// The local pair at a point of the fibre whose layers have the ranks `layer_ranks`.
    ///
    /// Exact for one layer (regular), for two ([`ReducedRankLocal`]), and where every layer has the rank of the
    /// product (the global pair: there the germ is the regular part beside the zero product of widths `H_s − r`).
    /// Elsewhere it is unknown; the global λ is no larger.
    ///
    /// Shapes: `layer_ranks`: `[n_layers]`, from input to output.
    ///
    /// # Errors
    /// [`DeepLinearError::LayerRanks`] when there is not one rank per layer;
    /// [`DeepLinearError::LayerRank`] when a rank is below that of the product or above a width of its layer;
    /// [`DeepLinearError::Sylvester`] when the ranks exceed the inner widths plus the rank of the product.
    pub fn local(&self, layer_ranks: &[u32]) -> Result<Known, DeepLinearError> {
        self.check_layer_ranks(layer_ranks)?;
        Ok(match (&self.widths[..], layer_ranks) {
            (_, ranks) if ranks.iter().all(|&rank| rank == self.rank) => {
                self.learning_coefficient().into()
            }
            (&[inputs, hidden, outputs], &[first, second]) => {
                ReducedRankLocal::new(inputs, outputs, hidden, first, second, self.rank)
                    .expect("the ranks were checked")
                    .learning_coefficient()
                    .into()
            }
            _ => Known::Unknown,
        })
    }

    /// The rank of the Jacobian of the product at layers of the ranks `layer_ranks` that are otherwise in general position, so
    /// that every product of neighbours has the least of their ranks. No learning coefficient there is below half of it.
    ///
    /// `dP = Σ_l A_l dW_l B_l` with `A_l` the product of the layers after l and `B_l` of those before it. The ranges of the `A_l`
    /// grow with l and those of the `B_l'` shrink, so that the rank is the area of a staircase:
    /// `Σ_l a_l b_l − Σ_l a_l b_{l+1}` with `a_l`, `b_l` their ranks.   Derived here.
    ///
    /// # Errors
    /// Those of [`Self::local`]; [`DeepLinearError::Position`] unless the least layer rank is that of the product.
    pub fn jacobian_rank_in_general_position(
        &self,
        layer_ranks: &[u32],
    ) -> Result<u64, DeepLinearError> {
        self.check_layer_ranks(layer_ranks)?;
        let least = *layer_ranks.iter().min().expect("there is a layer");
        if least != self.rank {
            let rank = self.rank;
            return Err(DeepLinearError::Position { rank, least });
        }
        let n_layers = layer_ranks.len();
        let after = |l: usize| {
            let end = self.widths[n_layers];
            layer_ranks[l + 1..].iter().copied().fold(end, u32::min)
        };
        let before = |l: usize| {
            layer_ranks[..l]
                .iter()
                .copied()
                .fold(self.widths[0], u32::min)
        };
        let area = |a: u32, b: u32| u64::from(a) * u64::from(b);
        let steps: u64 = (0..n_layers).map(|l| area(after(l), before(l))).sum();
        let shared: u64 = (1..n_layers).map(|l| area(after(l - 1), before(l))).sum();
        Ok(steps - shared)
    }

    fn check_layer_ranks(&self, layer_ranks: &[u32]) -> Result<(), DeepLinearError> {
        let n_layers = self.widths.len() - 1;
        if layer_ranks.len() != n_layers {
            return Err(DeepLinearError::LayerRanks {
                n_layers,
                n_ranks: layer_ranks.len(),
            });
        }
        for (layer, &rank) in layer_ranks.iter().enumerate() {
            let most = self.widths[layer].min(self.widths[layer + 1]);
            if !(self.rank..=most).contains(&rank) {
                return Err(DeepLinearError::LayerRank {
                    layer,
                    rank,
                    least: self.rank,
                    most,
                });
            }
        }
        let sum = |terms: &[u32]| terms.iter().copied().map(u64::from).sum::<u64>();
        let rank_sum = sum(layer_ranks);
        let bound = sum(&self.widths[1..n_layers]) + u64::from(self.rank);
        if rank_sum > bound {
            return Err(DeepLinearError::Sylvester { rank_sum, bound });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix_germ::{Numbers, jacobian_rank};
    use crate::rank_pattern::least_codimension;
    use crate::singular_value_chain::{degree, least_cost};
    use crate::{NormalCrossing, ReducedRank, regular};
    use num_rational::Rational64;
    use proptest::prelude::*;

    fn pair(widths: &[u32], rank: u32) -> LearningCoefficient {
        DeepLinear::new(widths, rank)
            .unwrap()
            .learning_coefficient()
    }

    fn expected(doubled: i64, m: u32) -> LearningCoefficient {
        LearningCoefficient::new(Rational64::new(doubled, 2), m).unwrap()
    }

    #[test]
    fn worked_values() {
        for (widths, rank, doubled, m) in [
            (&[1, 1, 1, 1][..], 0, 1, 3),
            (&[2, 2, 2, 2], 0, 3, 3),
            (&[2, 2, 2, 2, 2], 0, 3, 5),
            (&[2, 3, 3, 4], 0, 5, 1),
            (&[4, 4, 4, 4, 4], 2, 15, 5),
            (&[2, 4, 4, 4, 2], 0, 4, 1),
            (&[10, 20, 20, 10], 4, 100, 1),
            (&[2, 5, 1, 4], 0, 2, 1),
            // A public repository has 0 for this: the set of widths needs at least two members.
            (&[2, 1, 2], 0, 2, 2),
        ] {
            assert_eq!(
                pair(widths, rank),
                expected(doubled, m),
                "{widths:?} {rank}"
            );
        }
    }

    #[test]
    fn twice_lambda_is_the_least_codimension_of_a_rank_pattern() {
        let mut n_members = 0;
        for (n, most) in [(2, 5u32), (3, 4), (4, 3), (5, 2)] {
            for code in 0..most.pow(n) {
                let widths: Vec<u32> = (0..n).map(|s| 1 + code / most.pow(s) % most).collect();
                for rank in 0..=*widths.iter().min().unwrap() {
                    let lambda = pair(&widths, rank).lambda();
                    let codimension = least_codimension(&widths, rank);
                    assert_eq!(lambda, Rational64::new(codimension, 2), "{widths:?} {rank}");
                    n_members += 1;
                }
            }
        }
        assert_eq!(n_members, 488);
    }

    #[test]
    fn the_singular_values_give_lambda_and_the_multiplicity() {
        for free in [
            &[1, 1, 1][..],
            &[1, 1, 2],
            &[1, 1, 1, 1, 1],
            &[1, 2, 2, 2, 3],
            &[1, 1, 1, 2, 5],
            &[2, 2],
            &[2, 2, 2],
            &[2, 2, 3],
            &[2, 2, 2, 2],
            &[2, 2, 2, 3],
            &[2, 2, 3, 3],
            &[2, 3, 3, 4],
            &[2, 2, 2, 2, 2],
            &[2, 2, 2, 2, 3],
            &[2, 3, 3, 3, 3],
            &[2, 2, 2, 2, 2, 2],
            &[3, 3, 3],
            &[3, 3, 4],
            &[3, 3, 3, 3],
            &[3, 3, 3, 4],
            &[3, 4, 4, 5],
            &[3, 3, 3, 3, 3],
            &[4, 4, 4, 5],
        ] {
            let widths: Vec<u32> = free.iter().map(|&d| d as u32).collect();
            let formula = pair(&widths, 0);
            let m = formula.multiplicity() as i64;
            let at_scale = |scale| least_cost(free, scale);
            for scale in 1..3 {
                let cost = at_scale(scale).0;
                assert_eq!(
                    formula.lambda(),
                    Rational64::new(cost, 2 * scale),
                    "{free:?}"
                );
            }
            let counts: Vec<i64> = (0..m + 3).map(|scale| at_scale(scale).1 as i64).collect();
            assert_eq!(degree(counts), Some(m as usize - 1), "{free:?}");
        }
    }

    /// `W_L … W_1`, row by row.
    fn product(widths: &[usize], w: &[f64]) -> Vec<f64> {
        let mut rest = w;
        let mut product = ndarray::Array2::eye(widths[0]);
        for k in widths.windows(2) {
            let (layer, after) = rest.split_at(k[0] * k[1]);
            rest = after;
            let layer = ndarray::ArrayView2::from_shape((k[1], k[0]), layer).unwrap();
            product = layer.dot(&product);
        }
        product.into_raw_vec_and_offset().0
    }

    /// Random layers of given ranks: the numerical Jacobian has the rank of the formula, and the exact pair of two layers is no
    /// less than half of it.
    #[test]
    fn the_rank_of_the_jacobian_in_general_position() {
        let mut numbers = Numbers(5);
        for (widths, ranks) in [
            (&[3usize, 4, 2][..], &[3u32, 2][..]),
            (&[4, 4, 4], &[1, 4]),
            (&[4, 3, 4], &[3, 2]),
            (&[3, 4, 3, 4], &[3, 1, 2]),
            (&[4, 4, 3, 4], &[2, 3, 3]),
            (&[3, 3, 3, 3], &[3, 2, 3]),
            (&[2, 4, 3, 4, 3], &[2, 3, 1, 2]),
        ] {
            let mut point = Vec::new();
            for (k, &rank) in widths.windows(2).zip(ranks) {
                let layer = numbers
                    .matrix(k[1], rank as usize)
                    .dot(&numbers.matrix(rank as usize, k[0]));
                point.extend(layer);
            }
            let least = *ranks.iter().min().unwrap();
            let family: Vec<u32> = widths.iter().map(|&w| w as u32).collect();
            let family = DeepLinear::new(&family, least).unwrap();
            let rank = family.jacobian_rank_in_general_position(ranks).unwrap();
            assert_eq!(rank as usize, jacobian_rank(|w| product(widths, w), &point));
            if let Ok(local) = family.local(ranks).unwrap().exact() {
                assert!(local.lambda() >= Rational64::new(rank as i64, 2));
            }
        }
        let family = DeepLinear::new(&[4, 4, 4], 1).unwrap();
        assert_eq!(
            family.jacobian_rank_in_general_position(&[2, 2]),
            Err(DeepLinearError::Position { rank: 1, least: 2 })
        );
        // the largest sum of rectangles that the types must hold
        let most = DeepLinear::new(&[MAX_WIDTH; 3], MAX_WIDTH).unwrap();
        let rank = most.jacobian_rank_in_general_position(&[MAX_WIDTH; 2]);
        assert_eq!(rank, Ok(u64::from(MAX_WIDTH).pow(2)));
    }

    /// Widths 1: `w_1² w_2² … w_L²`.
    #[test]
    fn a_chain_of_single_units_is_a_normal_crossing() {
        for n_layers in 1..40 {
            let crossing = NormalCrossing::with_positive_prior(&vec![1; n_layers]).unwrap();
            assert_eq!(
                pair(&vec![1; n_layers + 1], 0),
                crossing.learning_coefficient()
            );
        }
    }

    /// At the point `W_i = diag(1, …, 1, 0, …)` of rank r the regular part is the rank of the Jacobian.
    #[test]
    fn the_regular_part_is_the_rank_of_the_jacobian() {
        for (widths, r) in [
            (&[2, 3, 2][..], 1),
            (&[3, 2, 4, 2], 2),
            (&[3, 3, 2, 4], 1),
            (&[2, 2, 2, 2, 3], 2),
        ] {
            let point: Vec<f64> = widths
                .windows(2)
                .flat_map(|w| (0..w[1]).flat_map(move |i| (0..w[0]).map(move |j| (i, j))))
                .map(|(i, j)| f64::from(u8::from(i == j && i < r)))
                .collect();
            let rank = jacobian_rank(|w| product(widths, w), &point);
            let widths: Vec<u32> = widths.iter().map(|&w| w as u32).collect();
            let free: Vec<u32> = widths.iter().map(|w| w - r as u32).collect();
            // Where a width is r there is no singular part; elsewhere it is the zero product of the rest.
            let singular = match free.iter().min() {
                Some(0) => LearningCoefficient::FLAT,
                _ => pair(&free, 0),
            };
            assert_eq!(
                pair(&widths, r as u32),
                regular(rank as u32).independent_sum(singular).unwrap()
            );
        }
    }

    #[test]
    fn the_local_pair_is_exact_for_two_layers_and_unknown_beyond() {
        let two = DeepLinear::new(&[4, 4, 4], 1).unwrap();
        assert_eq!(two.local(&[1, 1]), Ok(expected(14, 2).into()));
        assert_eq!(two.local(&[1, 4]), Ok(expected(16, 1).into()));
        let skewed = DeepLinear::new(&[5, 3, 2], 0).unwrap();
        let local = ReducedRankLocal::new(5, 2, 3, 1, 2, 0).unwrap();
        assert_eq!(
            skewed.local(&[1, 2]),
            Ok(local.learning_coefficient().into())
        );
        let one = DeepLinear::new(&[4, 3], 2).unwrap();
        assert_eq!(one.local(&[2]), Ok(regular(12).into()));
        let three = DeepLinear::new(&[4, 4, 4, 4], 1).unwrap();
        assert_eq!(
            three.local(&[1, 1, 1]),
            Ok(three.learning_coefficient().into())
        );
        assert_eq!(three.local(&[1, 1, 2]), Ok(Known::Unknown));
        assert_eq!(three.local(&[3, 3, 3]), Ok(Known::Unknown));

        let refused = |ranks: &[u32]| three.local(ranks).unwrap_err().to_string();
        assert!(refused(&[1, 1]).starts_with("one rank for each of the 3 layers is needed, got 2"));
        assert_eq!(
            refused(&[1, 0, 1]),
            "1 <= layer_ranks[1] <= 4 is needed, got 0"
        );
        assert_eq!(
            refused(&[1, 1, 5]),
            "1 <= layer_ranks[2] <= 4 is needed, got 5"
        );
        assert_eq!(
            refused(&[3, 3, 4]),
            "the sum of the layer ranks <= the sum of the inner widths + rank is needed, got 10 > 9"
        );
        assert!(
            skewed
                .local(&[3, 2])
                .unwrap_err()
                .to_string()
                .ends_with("5 > 3")
        );
        assert_eq!(
            skewed.local(&[4, 0]),
            Err(DeepLinearError::LayerRank {
                layer: 0,
                rank: 4,
                least: 0,
                most: 3
            })
        );
        assert_eq!(
            skewed.local(&[0, 3]),
            Err(DeepLinearError::LayerRank {
                layer: 1,
                rank: 3,
                least: 0,
                most: 2
            })
        );
    }

    #[test]
    fn impossible_networks_are_refused() {
        assert_eq!(
            DeepLinear::new(&[3], 0),
            Err(DeepLinearError::Depth { n_widths: 1 })
        );
        let deepest = vec![1; DeepLinear::MAX_LAYERS + 1];
        assert!(DeepLinear::new(&deepest, 1).is_ok());
        let error = DeepLinear::new(&[&deepest[..], &[1]].concat(), 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 <= number of widths <= 65537 is needed, got 65538"
        );
        for width in [0, MAX_WIDTH + 1] {
            assert_eq!(
                DeepLinear::new(&[3, 3, width], 0),
                Err(DeepLinearError::Width { index: 2, width })
            );
        }
        assert_eq!(
            DeepLinear::new(&[3, 2, 4], 3),
            Err(DeepLinearError::Rank {
                index: 1,
                width: 2,
                rank: 3
            })
        );
    }

    /// All widths w, l = L: S = (l + 1) w, `4λ = (S² + a(l − a))/l − (l + 1) w²`.
    #[test]
    fn exact_at_the_largest_widths_and_depths() {
        for (w, n_layers) in [
            (1_000_000u32, 1000usize),
            (MAX_WIDTH, DeepLinear::MAX_LAYERS),
            (MAX_WIDTH - 1, DeepLinear::MAX_LAYERS - 1),
        ] {
            let (wide, l) = (i128::from(w), n_layers as i128);
            let remainder = wide % l; // S = l w + w
            let a = if remainder == 0 { l } else { remainder };
            // ((l + 1)² w² + a(l − a))/l − (l + 1) w² = (l + 1) w²/l + a(l − a)/l
            let fourfold = ((l + 1) * wide * wide + a * (l - a)) / l;
            let found = pair(&vec![w; n_layers + 1], 0);
            assert_eq!(
                found.lambda(),
                Rational64::new(i64::try_from(fourfold).unwrap(), 4)
            );
            assert_eq!(i128::from(found.multiplicity()), a * (l - a) + 1);
        }
        let w = MAX_WIDTH;
        assert_eq!(
            pair(&[w, w, w, w], w),
            expected(i64::from(w) * i64::from(w), 1)
        );
    }

    fn members() -> impl Strategy<Value = (Vec<u32>, u32)> {
        (prop::collection::vec(1u32..30, 2..9), 0u32..30).prop_map(|(widths, rank)| {
            let least = *widths.iter().min().unwrap();
            (widths, rank.min(least))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn two_layers_are_reduced_rank_regression(
            [m, n, h, r] in [1u32..1000, 1u32..1000, 1u32..1000, 0u32..1000],
        ) {
            let r = r.min(m).min(n).min(h);
            let two = ReducedRank::new(m, n, h, r).unwrap().learning_coefficient();
            prop_assert_eq!(pair(&[m, h, n], r), two);
        }

        #[test]
        fn inner_widths_may_stand_in_any_order((widths, rank) in members(), by in 0usize..8) {
            let mut moved = widths.clone();
            let inner = widths.len() - 1;
            moved[1..inner].rotate_left(if inner > 1 { by % (inner - 1) } else { 0 });
            prop_assert_eq!(pair(&moved, rank), pair(&widths, rank));
            moved.reverse();
            prop_assert_eq!(pair(&moved, rank), pair(&widths, rank));
            // At rank 0 the ends are no different from the rest.
            moved.swap(0, inner / 2);
            prop_assert_eq!(pair(&moved, 0), pair(&widths, 0));
        }

        #[test]
        fn bounded_and_monotone((widths, rank) in members(), at in 0usize..8, layer in 1u32..40) {
            let found = pair(&widths, rank);
            let (first, last) = (widths[0], widths[widths.len() - 1]);
            prop_assert!(found.lambda() <= Rational64::new(i64::from(first * last), 2));
            let parameters: u32 = widths.windows(2).map(|w| w[0] * w[1]).sum();
            prop_assert!(found.lambda() <= Rational64::new(i64::from(parameters), 2));
            prop_assert!(found.multiplicity() <= parameters);
            let mut wider = widths.clone();
            wider[at % widths.len()] += 1;
            prop_assert!(pair(&wider, rank).lambda() >= found.lambda());
            // One more layer: no larger λ.
            let mut deeper = widths.clone();
            deeper.insert(1 + at % (widths.len() - 1), layer.max(rank).max(1));
            prop_assert!(pair(&deeper, rank).lambda() <= found.lambda());
            if rank > 0 {
                prop_assert!(pair(&widths, rank - 1).lambda() <= found.lambda());
            }
        }

        /// Least reduced width 0: regular. Least reduced width 1: half the second smallest, m = its count among the
        /// others.
        #[test]
        fn the_narrowest_layers((widths, rank) in members(), at in 0usize..8) {
            let (first, last) = (widths[0], widths[widths.len() - 1]);
            let n_regular = rank * (first + last) - rank * rank;
            let mut narrow = widths.clone();
            let at = at % widths.len();
            narrow[at] = rank.max(1);
            if rank > 0 {
                let (first, last) = (narrow[0], narrow[narrow.len() - 1]);
                prop_assert_eq!(pair(&narrow, rank), regular(rank * (first + last) - rank * rank));
            }
            if at > 0 && at + 1 < widths.len() && widths.iter().all(|&w| w > rank) {
                narrow[at] = rank + 1;
                let mut others = narrow.clone();
                others.remove(at);
                let second = *others.iter().min().unwrap();
                let count = others.iter().filter(|&&w| w == second).count() as u32;
                let singular = expected(i64::from(second - rank), count);
                prop_assert_eq!(pair(&narrow, rank), regular(n_regular).independent_sum(singular).unwrap());
            }
        }
    }

    /// Numerical check that a random point of the two-layer fibre has the rank the local pair assumes, through
    /// `local` itself.
    #[test]
    fn local_agrees_with_a_jacobian() {
        let mut numbers = Numbers(9);
        let (second, first) = numbers.factors([3, 2, 4], [2, 2, 0]);
        let w: Vec<f64> = second.iter().chain(&first).copied().collect();
        let product = |w: &[f64]| {
            let second = ndarray::ArrayView2::from_shape((2, 4), &w[..8]).unwrap();
            let first = ndarray::ArrayView2::from_shape((4, 3), &w[8..]).unwrap();
            second.dot(&first).into_raw_vec_and_offset().0
        };
        let network = DeepLinear::new(&[3, 4, 2], 0).unwrap();
        assert_eq!(
            network.local(&[2, 2]),
            Ok(regular(jacobian_rank(product, &w) as u32).into())
        );
    }
}
