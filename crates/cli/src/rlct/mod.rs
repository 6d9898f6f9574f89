//! `slt rlct`: the families whose learning coefficient is known.

mod matrix;
mod networks;
mod polyhedral;
mod statistical;

use crate::entry::Topic;

/// The families.
pub static TOPIC: Topic = Topic {
    name: "rlct",
    key: "family",
    summary: "The learning coefficient (RLCT) of a family, with its multiplicity",
    groups: &[
        polyhedral::FAMILIES,
        matrix::FAMILIES,
        statistical::FAMILIES,
        networks::FAMILIES,
    ],
};
