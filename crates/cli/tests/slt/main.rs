//! Tests of the real binary.

mod binary;
mod command;
mod readme;
mod worked_values;
