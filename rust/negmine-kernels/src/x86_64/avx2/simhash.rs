//! Signatures on 256-bit vectors: four rows by three vectors of eight projections, half a panel at a time.
//!
//! Accumulator: f32, one for each row and projection, fused, coordinates rising; the sum of squares has eight lanes.
//! What the sums are good for, and what becomes of the rest, stands in `crate::simhash`. Twelve accumulators, three
//! vectors of the panel and one coordinate are the sixteen registers.

use std::arch::x86_64::{
    __m256, _CMP_GT_OQ, _CMP_NGT_UQ, _mm256_andnot_ps, _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_movemask_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::canonical;
use crate::simhash::{MASKED, PANEL, Projections, ROWS, is_zero, unpack};

const LANES: usize = 8;

/// Vectors of half a panel.
const VECTORS: usize = PANEL / LANES / 2;

/// Rows at a time.
const TILE: usize = 4;

#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn signatures(projections: &Projections, rows: [&[f32]; ROWS], out: &mut [u32]) {
    let (groups, tau) = (projections.groups(), projections.tau());
    for (tile, out) in rows.as_chunks::<TILE>().0.iter().zip(out.chunks_exact_mut(TILE * groups)) {
        let mut doubts = [0.0; TILE];
        let mut zero = [false; TILE];
        for r in 0..TILE {
            let sum = sum_of_squares(tile[r]);
            zero[r] = sum == 0.0 && is_zero(tile[r]);
            doubts[r] = projections.doubt(sum);
        }
        for p in projections.all_panels() {
            let of_panel = projections.groups_of(p);
            let used = u64::MAX >> (64 - of_panel.len() * tau);
            let signs = signs(projections.panel(p), tile, &doubts);
            for r in 0..TILE {
                let out = &mut out[r * groups + of_panel.start..r * groups + of_panel.end];
                if zero[r] {
                    out.fill(MASKED);
                    continue;
                }
                let (mut bits, doubtful) = signs[r];
                let mut left = doubtful & used;
                while left != 0 {
                    let bit = left.trailing_zeros() as usize;
                    let [product] = canonical::dot(projections.row(p, bit), [tile[r]]);
                    bits = bits & !(1 << bit) | u64::from(product > 0.0) << bit;
                    left &= left - 1;
                }
                unpack(bits, tau, out);
            }
        }
    }
}

/// The bits of a panel for each row, and those that are in doubt.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn signs(panel: &[[f32; PANEL]], rows: &[&[f32]; TILE], doubts: &[f32; TILE]) -> [(u64, u64); TILE] {
    let width = panel.len();
    let mut same = *rows;
    for r in 0..TILE {
        same[r] = &rows[r][..width];
    }
    let mut signs = [(0, 0); TILE];
    for half in 0..2 {
        let mut sums = [[_mm256_setzero_ps(); VECTORS]; TILE];
        for j in 0..width {
            let coordinate = &panel[j].as_chunks::<LANES>().0[half * VECTORS..][..VECTORS];
            let (a, b, c) = (load(&coordinate[0]), load(&coordinate[1]), load(&coordinate[2]));
            for r in 0..TILE {
                let x = _mm256_set1_ps(same[r][j]);
                sums[r][0] = _mm256_fmadd_ps(x, a, sums[r][0]);
                sums[r][1] = _mm256_fmadd_ps(x, b, sums[r][1]);
                sums[r][2] = _mm256_fmadd_ps(x, c, sums[r][2]);
            }
        }
        for r in 0..TILE {
            let doubt = _mm256_set1_ps(doubts[r]);
            for v in 0..VECTORS {
                let sum = sums[r][v];
                let positive = _mm256_cmp_ps::<_CMP_GT_OQ>(sum, _mm256_setzero_ps());
                let magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0), sum);
                let unsure = _mm256_cmp_ps::<_CMP_NGT_UQ>(magnitude, doubt);
                let place = (half * VECTORS + v) * LANES;
                signs[r].0 |= (_mm256_movemask_ps(positive) as u64) << place;
                signs[r].1 |= (_mm256_movemask_ps(unsure) as u64) << place;
            }
        }
    }
    signs
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn sum_of_squares(row: &[f32]) -> f32 {
    let (blocks, tail) = row.as_chunks::<LANES>();
    let mut sum = _mm256_setzero_ps();
    for block in blocks {
        let x = load(block);
        sum = _mm256_fmadd_ps(x, x, sum);
    }
    let mut last = [0.0; LANES];
    last[..tail.len()].copy_from_slice(tail);
    let x = load(&last);
    let mut lanes = [0.0; LANES];
    // SAFETY: the array has the 32 bytes that are written; the store needs no alignment.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), _mm256_fmadd_ps(x, x, sum)) };
    lanes.iter().sum()
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(block: &[f32; LANES]) -> __m256 {
    // SAFETY: the reference covers the 32 bytes that are read; the load needs no alignment.
    unsafe { _mm256_loadu_ps(block.as_ptr()) }
}
