//! Widths and ranks: the range in which the closed forms for matrices are exact, and what is wrong with sizes outside
//! it.
//!
//! One error serves all of these families, because all of them refuse the same two things: a width out of range and a
//! rank above a width.

/// The largest width: for it and all below, every closed form of a matrix family is exact.
pub const MAX_WIDTH: u32 = 1 << 30;

/// Why sizes describe no member of a family of matrix models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// A size is out of its range.
    #[error("{least} <= {name} <= {MAX_WIDTH} is needed, got {name} = {value}")]
    OutOfRange {
        /// Which size.
        name: &'static str,
        /// The value given.
        value: u32,
        /// The least value allowed.
        least: u32,
    },
    /// A size is larger than another one allows.
    #[error("{name} <= {bound_name} is needed, got {name} = {value} and {bound_name} = {bound}")]
    TooLarge {
        /// Which size.
        name: &'static str,
        /// The value given.
        value: u32,
        /// What bounds it.
        bound_name: &'static str,
        /// The value of the bound.
        bound: u32,
    },
}

/// Checks `least <= value <= MAX_WIDTH`.
pub(crate) fn in_range(name: &'static str, value: u32, least: u32) -> Result<(), SizeError> {
    if (least..=MAX_WIDTH).contains(&value) {
        Ok(())
    } else {
        Err(SizeError::OutOfRange { name, value, least })
    }
}

/// Checks `value <= bound` for every named bound.
pub(crate) fn at_most(
    name: &'static str,
    value: u32,
    bounds: &[(&'static str, u32)],
) -> Result<(), SizeError> {
    match bounds.iter().find(|(_, bound)| value > *bound) {
        None => Ok(()),
        Some(&(bound_name, bound)) => Err(SizeError::TooLarge {
            name,
            value,
            bound_name,
            bound,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inequality_is_named() {
        assert_eq!(in_range("inputs", 1, 1), Ok(()));
        assert_eq!(in_range("inputs", MAX_WIDTH, 1), Ok(()));
        for value in [0, MAX_WIDTH + 1] {
            let error = in_range("inputs", value, 1).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("1 <= inputs <= 1073741824 is needed, got inputs = {value}")
            );
        }
        let bounds = [("inputs", 3), ("hidden", 2)];
        assert_eq!(at_most("rank", 2, &bounds), Ok(()));
        assert_eq!(
            at_most("rank", 3, &bounds).unwrap_err().to_string(),
            "rank <= hidden is needed, got rank = 3 and hidden = 2"
        );
    }
}
