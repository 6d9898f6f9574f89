//! Gaussian latent trees whose truth is a forest.
//!
//! The leaves of a tree are observed Gaussian variables, its inner nodes are hidden, and the correlation of two leaves is the product of
//! the edge correlations on the path between them. The truth is a subforest: its edges have nonzero correlation, and leaves that it
//! does not connect are independent. With V the leaves together with the nodes of the forest,
//! ```text
//! λ = dim/2 + 1/4 Σ_{removed edges} #(endpoints in V),   m = 1 + #{nodes of degree 2, not in V, on a chain that ends in V},
//! dim = #leaves + #edges of the forest − #{inner nodes of degree 2 in the forest},
//! ```
//! a chain being a path whose inner nodes have degree 2 in the tree and are not in V.
//! The means are known; free means add `#leaves/2`. The prior is positive on the variances and on the edge correlations, all true
//! correlations being less than 1 in size. Source: Drton, Lin, Weihs & Zwiernik (2017), *Marginal likelihood and model selection for
//! Gaussian latent tree and forest models*, Bernoulli 23, arXiv:1412.8285.
//!
//! Derived here again. Correlations inside a tree of the forest are products of nonzero numbers on a smooth fibre, so they and the
//! variances are `dim` regular coordinates: an inner node of degree 2 merges two edges into one number. The correlation of leaves in different
//! trees of the forest is, up to a nonzero factor, the product of the removed edges on the path. Contract each tree of the forest to a
//! terminal: the linear programme asks for the least `Σ v_e` with `Σ v_e >= 1/2` between any two terminals, which
//! `v_e = 1/4 · #(endpoints that are terminals)` solves. The weight of a chain may be spread over its edges at will, which
//! gives m; a chain between two nodes that are no terminals has weight 0 and nothing to spread. (The R package sBIC counts *all* nodes
//! of degree 2 outside V. On a quartet with a node of degree 2 in its inner edge that gives m = 2, and the linear programme 1.)

use std::collections::{BTreeMap, BTreeSet};

use num_rational::Rational64;

use crate::LearningCoefficient;

/// A Gaussian latent tree with a subforest as truth.
///
/// ```
/// use slt_theory::GaussianLatentForest;
///
/// // Leaves 1 and 2 on the hidden node 5, leaves 3 and 4 on 6.
/// let quartet = [(1, 5), (2, 5), (5, 6), (3, 6), (4, 6)];
/// let independent = GaussianLatentForest::new(&quartet, &[])?;
/// assert_eq!(independent.learning_coefficient().to_string(), "λ = 3, m = 1");
/// let two_cherries = GaussianLatentForest::new(&quartet, &[(1, 5), (2, 5), (3, 6), (4, 6)])?;
/// assert_eq!(two_cherries.learning_coefficient().to_string(), "λ = 7/2, m = 1");
/// # Ok::<(), slt_theory::GaussianLatentForestError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GaussianLatentForest {
    tree: BTreeSet<Edge>,
    truth: BTreeSet<Edge>,
}

/// Two nodes, the smaller label first.
type Edge = (u32, u32);

/// Why edges describe no tree with a subforest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GaussianLatentForestError {
    /// The tree has no edge.
    #[error("a tree has at least one edge")]
    NoEdges,
    /// An edge of the tree closes a cycle, or comes twice.
    #[error("edge ({}, {}) closes a cycle, so that the edges are no tree", edge.0, edge.1)]
    Cycle {
        /// The edge.
        edge: (u32, u32),
    },
    /// The edges of the tree are in more than one piece.
    #[error(
        "a tree of {n_nodes} nodes has {n_nodes} - 1 edges, got {n_edges}: it is not connected"
    )]
    NotConnected {
        /// Number of nodes.
        n_nodes: usize,
        /// Number of edges.
        n_edges: usize,
    },
    /// An edge of the truth is not in the tree, or comes twice.
    #[error("edge ({}, {}) of the truth is not an edge of the tree, or comes twice", edge.0, edge.1)]
    NotASubgraph {
        /// The edge.
        edge: (u32, u32),
    },
    /// An inner node of the tree is a leaf of the truth, where it connects nothing.
    #[error(
        "hidden node {node} is a leaf of the truth, where it connects nothing: leave its edge out"
    )]
    HiddenLeaf {
        /// The node.
        node: u32,
    },
}

impl GaussianLatentForest {
    /// The latent tree with the edges `tree`, under the truth with the edges `truth`.
    ///
    /// Nodes are named by numbers. The nodes of degree 1 in the tree are the observed ones.
    ///
    /// # Errors
    /// [`GaussianLatentForestError::NoEdges`], [`GaussianLatentForestError::Cycle`] and
    /// [`GaussianLatentForestError::NotConnected`] when `tree` is no tree of at least two nodes;
    /// [`GaussianLatentForestError::NotASubgraph`] when `truth` has an edge that `tree` has not, or one twice;
    /// [`GaussianLatentForestError::HiddenLeaf`] when a hidden node has degree 1 in `truth`.
    pub fn new(
        tree: &[(u32, u32)],
        truth: &[(u32, u32)],
    ) -> Result<Self, GaussianLatentForestError> {
        let tree = check_tree(tree)?;
        let mut forest = BTreeSet::new();
        for &edge in truth {
            if !tree.contains(&ordered(edge)) || !forest.insert(ordered(edge)) {
                return Err(GaussianLatentForestError::NotASubgraph { edge });
            }
        }
        let model = Self {
            tree,
            truth: forest,
        };
        let (tree_degrees, forest_degrees) = (degrees(&model.tree), degrees(&model.truth));
        for (node, degree) in forest_degrees {
            if degree == 1 && tree_degrees[&node] > 1 {
                return Err(GaussianLatentForestError::HiddenLeaf { node });
            }
        }
        Ok(model)
    }

    /// The pair (λ, m) of the module documentation.
    ///
    /// Accuracy: exact.
    ///
    /// Source: Drton, Lin, Weihs & Zwiernik (2017), arXiv:1412.8285.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let tree_degrees = degrees(&self.tree);
        let forest_degrees = degrees(&self.truth);
        let n_leaves = tree_degrees.values().filter(|&&degree| degree == 1).count();
        let n_merged = forest_degrees
            .values()
            .filter(|&&degree| degree == 2)
            .count();
        let dimension = n_leaves + self.truth.len() - n_merged;

        let is_terminal = |node: &u32| tree_degrees[node] == 1 || forest_degrees.contains_key(node);
        let removed = self.tree.difference(&self.truth);
        let n_ends = removed
            .flat_map(|&(a, b)| [a, b])
            .filter(is_terminal)
            .count();
        let n_free = self.nodes_on_terminal_chains(is_terminal).len();
        let quadrupled = i64::try_from(2 * dimension + n_ends).expect("edges fit in memory");
        let multiplicity =
            u32::try_from(1 + n_free).expect("nodes have 32-bit names, two are leaves");
        LearningCoefficient::from_formula(Rational64::new(quadrupled, 4), multiplicity)
    }

    /// The nodes of degree 2 outside V on the chains that start in V, found by walking each chain from there.
    fn nodes_on_terminal_chains(&self, is_terminal: impl Fn(&u32) -> bool) -> BTreeSet<u32> {
        let mut neighbours: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for &(a, b) in &self.tree {
            neighbours.entry(a).or_default().push(b);
            neighbours.entry(b).or_default().push(a);
        }
        let mut found = BTreeSet::new();
        for (start, first) in self.tree.iter().flat_map(|&(a, b)| [(a, b), (b, a)]) {
            if !is_terminal(&start) {
                continue;
            }
            let (mut previous, mut node) = (start, first);
            // The other end of a chain between two terminals stops where this one has been.
            while let [a, b] = neighbours[&node][..]
                && !is_terminal(&node)
                && found.insert(node)
            {
                let next = if a == previous { b } else { a };
                (previous, node) = (node, next);
            }
        }
        found
    }
}

fn ordered((a, b): Edge) -> Edge {
    (a.min(b), a.max(b))
}

fn degrees(edges: &BTreeSet<Edge>) -> BTreeMap<u32, u32> {
    let mut degrees = BTreeMap::new();
    for &(a, b) in edges {
        *degrees.entry(a).or_insert(0) += 1;
        *degrees.entry(b).or_insert(0) += 1;
    }
    degrees
}

/// The edges as a set, if they form a tree: each joins two pieces (union-find), and one piece is left.
fn check_tree(edges: &[Edge]) -> Result<BTreeSet<Edge>, GaussianLatentForestError> {
    if edges.is_empty() {
        return Err(GaussianLatentForestError::NoEdges);
    }
    let mut parents: BTreeMap<u32, u32> = BTreeMap::new();
    for &edge in edges {
        let (a, b) = (find(&mut parents, edge.0), find(&mut parents, edge.1));
        if a == b {
            return Err(GaussianLatentForestError::Cycle { edge });
        }
        parents.insert(a, b);
    }
    let (n_nodes, n_edges) = (parents.len(), edges.len());
    if n_nodes != n_edges + 1 {
        return Err(GaussianLatentForestError::NotConnected { n_nodes, n_edges });
    }
    Ok(edges.iter().copied().map(ordered).collect())
}

/// The root of the node's piece; a new node is its own. Halves the path on the way.
fn find(parents: &mut BTreeMap<u32, u32>, mut node: u32) -> u32 {
    loop {
        let parent = *parents.entry(node).or_insert(node);
        if parent == node {
            return node;
        }
        let grandparent = parents[&parent];
        parents.insert(node, grandparent);
        node = parent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jacobian_rank::{Residue, jacobian_rank};
    use crate::vertex_enumeration::newton_pair;
    use crate::{FactorAnalysis, FactorAnalysisTruth, regular};
    use proptest::prelude::*;

    fn pair(tree: &[Edge], truth: &[Edge]) -> LearningCoefficient {
        GaussianLatentForest::new(tree, truth)
            .unwrap()
            .learning_coefficient()
    }

    fn star(n_leaves: u32) -> Vec<Edge> {
        (1..=n_leaves).map(|leaf| (leaf, 0)).collect()
    }

    const QUARTET: [Edge; 5] = [(1, 5), (2, 5), (5, 6), (3, 6), (4, 6)];

    #[test]
    fn worked_values() {
        let chain = [(1, 2), (2, 3), (3, 4)];
        type Case<'a> = (&'a [Edge], &'a [Edge], (i64, i64), u32);
        // Leaf 1 on two nodes of degree 2 before the fork; and the quartet with one in its inner edge.
        let forked_chain = [(1, 2), (2, 3), (3, 4), (4, 5), (4, 6)];
        let long_quartet = [(1, 5), (2, 5), (5, 7), (7, 6), (3, 6), (4, 6)];
        let cases: [Case; 14] = [
            (&[(1, 2)], &[], (3, 2), 1),
            (&[(1, 2)], &[(2, 1)], (3, 2), 1),
            (&star(2), &[], (3, 2), 2),
            (&star(2), &star(2), (3, 2), 1),
            (&star(3), &[], (9, 4), 1),
            (&star(3), &[(0, 1), (0, 3)], (5, 2), 1),
            (&chain, &[], (3, 2), 3),
            (&forked_chain, &[], (9, 4), 3),
            (&long_quartet, &[], (3, 1), 1),
            (&long_quartet, &[(1, 5), (2, 5)], (13, 4), 2),
            (&QUARTET, &[], (3, 1), 1),
            (&QUARTET, &[(1, 5), (2, 5)], (13, 4), 1),
            (&QUARTET, &[(1, 5), (2, 5), (3, 6), (4, 6)], (7, 2), 1),
            (&QUARTET, &QUARTET, (9, 2), 1),
        ];
        for (tree, truth, (numer, denom), m) in cases {
            let expected = LearningCoefficient::new(Rational64::new(numer, denom), m);
            assert_eq!(Ok(pair(tree, truth)), expected, "{tree:?} {truth:?}");
        }
    }

    /// A star is the one-factor model.
    #[test]
    fn stars_are_factor_analysis() {
        for p in 2..12 {
            let factor = |truth| {
                FactorAnalysis::new(p, truth)
                    .unwrap()
                    .learning_coefficient()
            };
            assert_eq!(pair(&star(p), &[]), factor(FactorAnalysisTruth::Diagonal));
            assert_eq!(
                pair(&star(p), &star(p)[..2]),
                factor(FactorAnalysisTruth::OnePair)
            );
            assert_eq!(
                pair(&star(p), &star(p)),
                factor(FactorAnalysisTruth::Generic)
            );
        }
    }

    /// The edges on the path from `from` to `to`.
    fn path(tree: &[Edge], from: u32, to: u32) -> Vec<usize> {
        fn walk(tree: &[Edge], at: u32, to: u32, came_by: Option<usize>) -> Option<Vec<usize>> {
            if at == to {
                return Some(Vec::new());
            }
            for (index, &(a, b)) in tree.iter().enumerate() {
                if Some(index) != came_by
                    && (a == at || b == at)
                    && let Some(mut rest) = walk(tree, a + b - at, to, Some(index))
                {
                    rest.push(index);
                    return Some(rest);
                }
            }
            None
        }
        walk(tree, from, to, None).unwrap()
    }

    fn leaves(tree: &[Edge]) -> Vec<u32> {
        let degrees = degrees(&tree.iter().copied().map(ordered).collect());
        let observed = degrees.into_iter().filter(|&(_, degree)| degree == 1);
        observed.map(|(node, _)| node).collect()
    }

    /// Jacobian rank of the correlations inside the forest, and the linear programme of the path monomials across it.
    fn by_paths(tree: &[Edge], in_truth: &[bool], numbers: &[u32]) -> LearningCoefficient {
        let leaves = leaves(tree);
        let removed: Vec<usize> = (0..tree.len()).filter(|&e| !in_truth[e]).collect();
        let (mut inside, mut across) = (Vec::new(), BTreeSet::new());
        for (i, &a) in leaves.iter().enumerate() {
            for &b in &leaves[..i] {
                let path = path(tree, a, b);
                if path.iter().all(|&e| in_truth[e]) {
                    inside.push(path);
                } else {
                    let exponent = |e: &usize| if path.contains(e) { 2 } else { 0 };
                    across.insert(removed.iter().map(exponent).collect::<Vec<u32>>());
                }
            }
        }
        let correlations = |w: &[Residue]| -> Vec<Residue> {
            let product = |path: &Vec<usize>| path.iter().map(|&e| w[e]).product();
            inside.iter().map(product).collect()
        };
        let rank = leaves.len() + jacobian_rank(correlations, &numbers[..tree.len()]);
        let germ = if across.is_empty() {
            LearningCoefficient::FLAT
        } else {
            let across: Vec<Vec<u32>> = across.into_iter().collect();
            newton_pair(&across, &vec![Rational64::from_integer(1); removed.len()])
        };
        regular(rank as u32).independent_sum(germ).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        /// Random trees of up to 7 nodes; the truth is a union of paths between leaves.
        #[test]
        fn formula_is_rank_and_linear_programme(
            attach in prop::collection::vec(any::<prop::sample::Index>(), 1..7),
            pairs in prop::collection::vec(any::<[prop::sample::Index; 2]>(), 0..3),
            numbers in prop::collection::vec(1u32..1 << 29, 6),
        ) {
            let child = |(i, parent): (usize, &prop::sample::Index)| {
                (parent.index(i + 1) as u32, i as u32 + 1)
            };
            let tree: Vec<Edge> = attach.iter().enumerate().map(child).collect();
            let leaves = leaves(&tree);
            let mut in_truth = vec![false; tree.len()];
            for [a, b] in &pairs {
                for e in path(&tree, *a.get(&leaves), *b.get(&leaves)) {
                    in_truth[e] = true;
                }
            }
            // The truth's edges the other way round: an edge has no direction.
            let edges = tree.iter().zip(&in_truth).filter(|&(_, &kept)| kept);
            let truth: Vec<Edge> = edges.map(|(&(a, b), _)| (b, a)).collect();
            prop_assert_eq!(pair(&tree, &truth), by_paths(&tree, &in_truth, &numbers));
        }
    }

    #[test]
    fn long_and_wide_trees() {
        let n = 100_000;
        let chain: Vec<Edge> = (0..n).map(|i| (i, i + 1)).collect();
        let expected = |numer, denom, m| LearningCoefficient::new(Rational64::new(numer, denom), m);
        assert_eq!(Ok(pair(&chain, &[])), expected(3, 2, n));
        assert_eq!(Ok(pair(&chain, &chain)), expected(3, 2, 1));
        assert_eq!(Ok(pair(&star(n), &[])), expected(75_000, 1, 1));
    }

    #[test]
    fn impossible_input_is_refused() {
        use GaussianLatentForestError::*;
        let cases: [(&[Edge], &[Edge], GaussianLatentForestError); 8] = [
            (&[], &[], NoEdges),
            (&[(1, 1)], &[], Cycle { edge: (1, 1) }),
            (&[(1, 2), (2, 1)], &[], Cycle { edge: (2, 1) }),
            (&[(1, 2), (2, 3), (3, 1)], &[], Cycle { edge: (3, 1) }),
            (
                &[(1, 2), (3, 4)],
                &[],
                NotConnected {
                    n_nodes: 4,
                    n_edges: 2,
                },
            ),
            (&star(3), &[(1, 2)], NotASubgraph { edge: (1, 2) }),
            (
                &star(2),
                &[(1, 0), (2, 0), (0, 2)],
                NotASubgraph { edge: (0, 2) },
            ),
            (&star(3), &[(1, 0)], HiddenLeaf { node: 0 }),
        ];
        for (tree, truth, error) in cases {
            assert_eq!(GaussianLatentForest::new(tree, truth), Err(error));
        }
    }
}
