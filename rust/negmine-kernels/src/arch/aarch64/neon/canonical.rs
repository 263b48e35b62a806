//! Canonical inner products and squared distances, on arrays that the compiler keeps in registers.
//!
//! Accumulator: sixteen f64 lanes in eight vectors, in the order that `crate::canonical` defines; the result has its
//! bits. NaN and infinity follow IEEE arithmetic. Rows have the query's width (checked by the caller); no alignment.
//! Two rows are interleaved: sixteen of the thirty-two registers hold their sums. The portable form is vectorized too,
//! but reads and writes its sums in memory.

use crate::arch::portable::canonical::{LANES, add_lanes};

#[target_feature(enable = "neon")]
pub(crate) fn dot<const N: usize>(q: &[f32], rows: [&[f32]; N]) -> [f64; N] {
    pairs::<N, false>(q, rows)
}

#[target_feature(enable = "neon")]
pub(crate) fn squared_distance<const N: usize>(q: &[f32], rows: [&[f32]; N]) -> [f64; N] {
    pairs::<N, true>(q, rows)
}

#[inline]
#[target_feature(enable = "neon")]
fn pairs<const N: usize, const DISTANCE: bool>(q: &[f32], rows: [&[f32]; N]) -> [f64; N] {
    let mut sums = [0.0; N];
    let (two, one) = rows.as_chunks::<2>();
    let (sums_two, sums_one) = sums.as_chunks_mut::<2>();
    for (sums, rows) in sums_two.iter_mut().zip(two) {
        *sums = interleaved::<2, DISTANCE>(q, *rows);
    }
    for (sum, row) in sums_one.iter_mut().zip(one) {
        [*sum] = interleaved::<1, DISTANCE>(q, [*row]);
    }
    sums
}

#[inline]
#[target_feature(enable = "neon")]
fn interleaved<const N: usize, const DISTANCE: bool>(q: &[f32], rows: [&[f32]; N]) -> [f64; N] {
    let (blocks, tail) = q.as_chunks::<LANES>();
    let mut row_blocks = [blocks; N];
    let mut row_tails = [tail; N];
    for n in 0..N {
        let (blocks_of_row, tail_of_row) = rows[n].as_chunks::<LANES>();
        row_blocks[n] = &blocks_of_row[..blocks.len()];
        row_tails[n] = tail_of_row;
    }
    let mut sums = [[0.0; LANES]; N];
    for (i, block) in blocks.iter().enumerate() {
        for n in 0..N {
            step::<LANES, DISTANCE>(&mut sums[n], block, &row_blocks[n][i]);
        }
    }
    let mut out = [0.0; N];
    for n in 0..N {
        for ((sum, x), y) in sums[n].iter_mut().zip(tail).zip(row_tails[n]) {
            step::<1, DISTANCE>(std::array::from_mut(sum), &[*x], &[*y]);
        }
        out[n] = add_lanes(sums[n]);
    }
    out
}

/// Adds a coordinate to each lane.
#[inline]
#[target_feature(enable = "neon")]
fn step<const L: usize, const DISTANCE: bool>(sums: &mut [f64; L], q: &[f32; L], row: &[f32; L]) {
    for lane in 0..L {
        let (x, y) = (f64::from(q[lane]), f64::from(row[lane]));
        sums[lane] = if DISTANCE {
            let difference = x - y;
            let square = difference * difference;
            sums[lane] + square
        } else {
            x.mul_add(y, sums[lane])
        };
    }
}
