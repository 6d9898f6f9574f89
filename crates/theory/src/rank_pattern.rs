//! Test support: the strata of `{W_L … W_1 = C}` by rank patterns, tried one by one.
//!
//! Layers of widths `H_1, …, H_{L+1}` are a representation of a line of arrows. It is a sum of intervals `[i, j]`: a
//! direction that enters at width i and dies after width j. The product has as many of `[1, L + 1]` as its rank. The
//! orbit of a representation V has codimension `dim End V − Σ H_s² + Σ H_s H_{s+1}`, and `Hom([i, j], [k, l])` has
//! dimension 1 if `k <= i <= l <= j`, else 0.

/// The least codimension of a stratum of the networks whose product is one matrix of `rank`.
///
/// To the codimension of the orbit the dimension `r (H_1 + H_{L+1}) − r²` of the matrices of that rank is added.
pub(crate) fn least_codimension(widths: &[u32], rank: u32) -> i64 {
    let n = widths.len();
    let intervals: Vec<(usize, usize)> = (0..n).flat_map(|i| (i..n).map(move |j| (i, j))).collect();
    let mut room: Vec<i64> = widths.iter().map(|&w| i64::from(w)).collect();
    let mut counts = vec![0; intervals.len()];
    let mut least = i64::MAX;
    fill(
        &intervals,
        i64::from(rank),
        0,
        &mut room,
        &mut counts,
        &mut least,
    );
    let h = |s: usize| i64::from(widths[s]);
    let euler: i64 =
        (0..n).map(|s| h(s) * h(s)).sum::<i64>() - (1..n).map(|s| h(s - 1) * h(s)).sum::<i64>();
    let r = i64::from(rank);
    least - euler + r * (h(0) + h(n - 1)) - r * r
}

fn fill(
    intervals: &[(usize, usize)],
    rank: i64,
    at: usize,
    room: &mut [i64],
    counts: &mut [i64],
    least: &mut i64,
) {
    let Some(&(i, j)) = intervals.get(at) else {
        if room.iter().all(|&left| left == 0) {
            *least = (*least).min(endomorphisms(intervals, counts));
        }
        return;
    };
    if i > 0 && room[i - 1] > 0 {
        return;
    }
    let most = *room[i..=j].iter().min().unwrap();
    let range = if (i, j) == (0, room.len() - 1) {
        rank..=rank.min(most)
    } else {
        0..=most
    };
    for count in range {
        room[i..=j].iter_mut().for_each(|left| *left -= count);
        counts[at] = count;
        fill(intervals, rank, at + 1, room, counts, least);
        counts[at] = 0;
        room[i..=j].iter_mut().for_each(|left| *left += count);
    }
}

fn endomorphisms(intervals: &[(usize, usize)], counts: &[i64]) -> i64 {
    let present = || intervals.iter().zip(counts).filter(|&(_, &c)| c > 0);
    present()
        .flat_map(|(&(i, j), &c)| {
            present().map(move |(&(k, l), &e)| i64::from(k <= i && i <= l && l <= j) * c * e)
        })
        .sum()
}
