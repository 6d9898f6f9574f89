//! Independent pieces of work side by side.

use rayon::prelude::*;

/// The results of independent cells, in their order, as many at a time as there are cores.
///
/// # Errors
/// That of a cell that fails.
///
/// # Examples
/// ```
/// let squares = slt_report::together(0..4_u32, |i| Ok(i * i))?;
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # anyhow::Ok(())
/// ```
pub fn together<C: Send, R: Send>(
    cells: impl IntoIterator<Item = C>,
    of: impl Fn(C) -> anyhow::Result<R> + Send + Sync,
) -> anyhow::Result<Vec<R>> {
    let cells: Vec<C> = cells.into_iter().collect();
    cells.into_par_iter().with_max_len(1).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_cells() {
        let squares = together(0..100_u64, |i| Ok(i * i)).expect("none fails");
        assert_eq!(squares, (0..100).map(|i| i * i).collect::<Vec<_>>());
        let refused = together(0..100_u64, |i| {
            anyhow::ensure!(i != 50, "cell {i}");
            Ok(())
        });
        assert_eq!(refused.expect_err("one fails").to_string(), "cell 50");
    }
}
