//! Signatures on 512-bit vectors: eight rows by three vectors of sixteen projections.
//!
//! Accumulator: f32, one for each row and projection, fused, coordinates rising; the sum of squares has sixteen lanes.
//! What the sums are good for, and what becomes of the rest, stands in `crate::simhash`.

use std::arch::x86_64::{
    __m512, _CMP_GT_OQ, _CMP_NGT_UQ, _mm512_abs_ps, _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_maskz_loadu_ps, _mm512_reduce_add_ps, _mm512_set1_ps, _mm512_setzero_ps,
};

use crate::simhash::{MASKED, PANEL, Projections, ROWS, is_zero, unpack};
use crate::x86_64::avx2;

const LANES: usize = 16;

/// Vectors of a panel.
const VECTORS: usize = PANEL / LANES;

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn signatures(projections: &Projections, rows: [&[f32]; ROWS], out: &mut [u32]) {
    let (groups, tau) = (projections.groups(), projections.tau());
    let mut doubts = [0.0; ROWS];
    let mut zero = [false; ROWS];
    for r in 0..ROWS {
        let sum = sum_of_squares(rows[r]);
        zero[r] = sum == 0.0 && is_zero(rows[r]);
        doubts[r] = projections.doubt(sum);
    }
    for p in projections.all_panels() {
        let of_panel = projections.groups_of(p);
        let used = u64::MAX >> (64 - of_panel.len() * tau);
        let sums = products(projections.panel(p), rows);
        for r in 0..ROWS {
            let out = &mut out[r * groups + of_panel.start..r * groups + of_panel.end];
            if zero[r] {
                out.fill(MASKED);
                continue;
            }
            let (mut bits, doubtful) = signs(sums[r], doubts[r]);
            let mut left = doubtful & used;
            while left != 0 {
                let bit = left.trailing_zeros() as usize;
                let [product] = avx2::canonical::dot(projections.row(p, bit), [rows[r]]);
                bits = bits & !(1 << bit) | u64::from(product > 0.0) << bit;
                left &= left - 1;
            }
            unpack(bits, tau, out);
        }
    }
}

/// The products of each row with the projections of a panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn products(panel: &[[f32; PANEL]], rows: [&[f32]; ROWS]) -> [[__m512; VECTORS]; ROWS] {
    let width = panel.len();
    let mut same = [rows[0]; ROWS];
    for r in 0..ROWS {
        same[r] = &rows[r][..width];
    }
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    for j in 0..width {
        let coordinate = panel[j].as_chunks::<LANES>().0;
        let (a, b, c) = (load(&coordinate[0]), load(&coordinate[1]), load(&coordinate[2]));
        for r in 0..ROWS {
            let x = _mm512_set1_ps(same[r][j]);
            sums[r][0] = _mm512_fmadd_ps(x, a, sums[r][0]);
            sums[r][1] = _mm512_fmadd_ps(x, b, sums[r][1]);
            sums[r][2] = _mm512_fmadd_ps(x, c, sums[r][2]);
        }
    }
    sums
}

/// The bits of a panel, and those that are in doubt.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn signs(sums: [__m512; VECTORS], doubt: f32) -> (u64, u64) {
    let doubt = _mm512_set1_ps(doubt);
    let (mut bits, mut doubtful) = (0, 0);
    for v in 0..VECTORS {
        let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(sums[v], _mm512_setzero_ps());
        let unsure = _mm512_cmp_ps_mask::<_CMP_NGT_UQ>(_mm512_abs_ps(sums[v]), doubt);
        bits |= u64::from(positive) << (v * LANES);
        doubtful |= u64::from(unsure) << (v * LANES);
    }
    (bits, doubtful)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn sum_of_squares(row: &[f32]) -> f32 {
    let (blocks, tail) = row.as_chunks::<LANES>();
    let mut sum = _mm512_setzero_ps();
    for block in blocks {
        let x = load(block);
        sum = _mm512_fmadd_ps(x, x, sum);
    }
    let mask = (1_u16 << tail.len()) - 1;
    // SAFETY: the mask keeps the load to the numbers of the slice; masked ones are not read.
    let x = unsafe { _mm512_maskz_loadu_ps(mask, tail.as_ptr()) };
    _mm512_reduce_add_ps(_mm512_fmadd_ps(x, x, sum))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn load(block: &[f32; LANES]) -> __m512 {
    // SAFETY: the reference covers the 64 bytes that are read; the load needs no alignment.
    unsafe { _mm512_loadu_ps(block.as_ptr()) }
}
