//! `SimHash` signatures on 128-bit vectors: four rows by sixteen projections, a third of a panel at a time.
//!
//! Accumulator: i32, one for each row and projection, exact; the f32 sum of squares and the f32 products of doubtful
//! bits have eight lanes. `crate::simhash` derives which sums are certain and how the other bits are decided. A panel
//! has pairs of coordinates; they are taken apart once for four rows, and then `smlal` multiplies four projections by
//! one coordinate of a row. Sixteen accumulators leave room for the four vectors of projections and a pair of each row.

use std::arch::aarch64::{
    float32x4_t, int16x4_t, int16x8_t, int32x4_t, vabsq_s32, vcgtq_s32, vcombine_s16, vcvtnq_s32_f32,
    vdup_n_s32, vdupq_n_f32, vdupq_n_s16, vdupq_n_s32, vfmaq_f32, vget_low_s16, vld1q_f32, vld1q_s16,
    vmlal_high_lane_s16, vmlal_lane_s16, vmulq_n_f32, vqmovn_s32, vreinterpret_s16_s32, vst1q_f32, vst1q_s16,
    vst1q_u32, vuzp1q_s16, vuzp2q_s16,
};

use super::canonical;
use crate::arch::portable::simhash::{
    MASKED, MAX_ROWS, NORM_F32, PANEL, Projections, SCALED, is_zero, unpack,
};

/// Numbers that are added or rounded together.
const LANES: usize = 8;

/// Projections that are multiplied together, and vectors of their sums.
const PART: usize = 16;
const VECTORS: usize = PART / 4;

/// Rows that are multiplied together.
const TILE: usize = 4;

/// [`crate::simhash::signatures`].
#[target_feature(enable = "neon")]
pub(crate) fn signatures(
    projections: &Projections,
    rows: &[&[f32]],
    codes: &mut [u32],
    out: &mut [u32],
) -> u64 {
    let (groups, tau, stride) = (projections.groups(), projections.tau(), projections.stride());
    let mut sums = [0.0; MAX_ROWS];
    let mut unsure = 0;
    for ((r, row), codes) in rows.iter().enumerate().zip(codes.chunks_exact_mut(stride)) {
        sums[r] = product(row, row);
        unsure |= u64::from(!sums[r].is_finite()) << r;
        let scaled = SCALED[0] <= sums[r] && sums[r] <= SCALED[1];
        encode(row, if scaled { NORM_F32 / sums[r].sqrt() } else { 0.0 }, codes);
    }
    for p in projections.all_panels() {
        let of_panel = projections.groups_of(p);
        let used = u64::MAX >> (64 - of_panel.len() * tau);
        for (first, rows) in (0..).step_by(TILE).zip(rows.chunks(TILE)) {
            let codes = &codes[first * stride..][..TILE * stride];
            let signs = signs(projections.panel(p), codes, stride, projections.doubt_of_codes());
            for (r, row) in rows.iter().enumerate() {
                let out = &mut out[(first + r) * groups..][of_panel.clone()];
                let (mut bits, certain) = signs[r];
                let doubtful = !certain & used;
                if doubtful != 0 {
                    let sum = sums[first + r];
                    if sum == 0.0 && is_zero(row) {
                        out.fill(MASKED);
                        continue;
                    }
                    bits = resolve(projections, p, row, sum, bits, doubtful);
                }
                unpack(bits, tau, out);
            }
        }
    }
    unsure
}

/// Rounds a scaled row; places beyond it, as far as they are read, are 0.
#[inline]
#[target_feature(enable = "neon")]
fn encode(row: &[f32], scale: f32, codes: &mut [u32]) {
    for (block, place) in row.chunks(LANES).zip(codes.as_chunks_mut::<{ LANES / 2 }>().0) {
        let mut last = [0.0; LANES];
        let block = if let Ok(block) = <&[f32; LANES]>::try_from(block) {
            block
        } else {
            last[..block.len()].copy_from_slice(block);
            &last
        };
        let [first, second] = load(block);
        let first = vqmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(first, scale)));
        let second = vqmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(second, scale)));
        // SAFETY: the reference covers the 16 bytes that are written; the store needs no alignment.
        unsafe { vst1q_s16(place.as_mut_ptr().cast(), vcombine_s16(first, second)) };
    }
}

/// The bits of a panel for each row, and those that are certain.
#[inline]
#[target_feature(enable = "neon")]
fn signs(panel: &[[u32; PANEL]], codes: &[u32], stride: usize, doubt: i32) -> [(u64, u64); TILE] {
    let mut rows = [codes; TILE];
    for r in 0..TILE {
        rows[r] = &codes[r * stride..][..panel.len()];
    }
    let doubt = vdupq_n_s32(doubt);
    let mut signs = [(0, 0); TILE];
    for part in 0..PANEL / PART {
        let mut sums = [[vdupq_n_s32(0); VECTORS]; TILE];
        for j in 0..panel.len() {
            let [a, b] = load_pairs(&panel[j].as_chunks::<PART>().0[part]);
            for r in 0..TILE {
                let x = vreinterpret_s16_s32(vdup_n_s32(rows[r][j] as i32));
                sums[r] = add_products(sums[r], a, b, x);
            }
        }
        for r in 0..TILE {
            for v in 0..VECTORS {
                let place = part * PART + v * 4;
                signs[r].0 |= greater(sums[r][v], vdupq_n_s32(0)) << place;
                signs[r].1 |= greater(vabsq_s32(sums[r][v]), doubt) << place;
            }
        }
    }
    signs
}

/// Adds to sixteen sums the products of projections with a pair of coordinates; `a` and `b` have the first coordinates
/// of eight projections, and the second ones.
#[inline]
#[target_feature(enable = "neon")]
fn add_products(
    mut sums: [int32x4_t; VECTORS],
    a: [int16x8_t; 2],
    b: [int16x8_t; 2],
    x: int16x4_t,
) -> [int32x4_t; VECTORS] {
    for half in 0..2 {
        let (low, high) = (2 * half, 2 * half + 1);
        sums[low] = vmlal_lane_s16::<0>(sums[low], vget_low_s16(a[half]), x);
        sums[low] = vmlal_lane_s16::<1>(sums[low], vget_low_s16(b[half]), x);
        sums[high] = vmlal_high_lane_s16::<0>(sums[high], a[half], x);
        sums[high] = vmlal_high_lane_s16::<1>(sums[high], b[half], x);
    }
    sums
}

/// One bit for each lane of `a` that is greater than that of `b`.
#[inline]
#[target_feature(enable = "neon")]
fn greater(a: int32x4_t, b: int32x4_t) -> u64 {
    let mut lanes = [0_u32; 4];
    // SAFETY: the array has the 16 bytes that are written; the store needs no alignment.
    unsafe { vst1q_u32(lanes.as_mut_ptr(), vcgtq_s32(a, b)) };
    (0..4).fold(0, |bits, lane| bits | u64::from(lanes[lane] & 1) << lane)
}

/// Corrects the bits that are in doubt.
#[cold]
#[inline(never)]
#[target_feature(enable = "neon")]
fn resolve(
    projections: &Projections,
    p: usize,
    row: &[f32],
    sum_of_squares: f32,
    mut bits: u64,
    mut left: u64,
) -> u64 {
    let doubt = projections.doubt(sum_of_squares);
    while left != 0 {
        let bit = left.trailing_zeros() as usize;
        let r = projections.row(p, bit);
        let product = product(r, row);
        let certain = product.abs() > doubt;
        let positive = if certain { product > 0.0 } else { canonical::dot(r, [row])[0] > 0.0 };
        bits = bits & !(1 << bit) | u64::from(positive) << bit;
        left &= left - 1;
    }
    bits
}

/// The product of two rows, from eight lanes.
#[inline]
#[target_feature(enable = "neon")]
fn product(a: &[f32], b: &[f32]) -> f32 {
    let ((blocks_a, tail_a), (blocks_b, tail_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [vdupq_n_f32(0.0); 2];
    let mut add = |a: &[f32; LANES], b: &[f32; LANES]| {
        let (a, b) = (load(a), load(b));
        for half in 0..2 {
            sums[half] = vfmaq_f32(sums[half], a[half], b[half]);
        }
    };
    for (a, b) in blocks_a.iter().zip(blocks_b) {
        add(a, b);
    }
    let mut last = [[0.0; LANES]; 2];
    last[0][..tail_a.len()].copy_from_slice(tail_a);
    last[1][..tail_b.len()].copy_from_slice(tail_b);
    add(&last[0], &last[1]);
    let mut lanes = [0.0_f32; LANES];
    for (part, sum) in lanes.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
        // SAFETY: the reference covers the 16 bytes that are written; the store needs no alignment.
        unsafe { vst1q_f32(part.as_mut_ptr(), sum) };
    }
    lanes.iter().sum()
}

#[inline]
#[target_feature(enable = "neon")]
fn load(block: &[f32; LANES]) -> [float32x4_t; 2] {
    // SAFETY: the reference covers the 32 bytes that are read; the loads need no alignment.
    unsafe { [vld1q_f32(block.as_ptr()), vld1q_f32(block[4..].as_ptr())] }
}

/// The first coordinates of sixteen projections, and the second ones.
#[inline]
#[target_feature(enable = "neon")]
fn load_pairs(words: &[u32; PART]) -> [[int16x8_t; 2]; 2] {
    let mut pairs = [[vdupq_n_s16(0); 2]; 2];
    for (half, words) in words.as_chunks::<8>().0.iter().enumerate() {
        // SAFETY: the reference covers the 32 bytes that are read; the loads need no alignment.
        let (low, high) =
            unsafe { (vld1q_s16(words.as_ptr().cast()), vld1q_s16(words[4..].as_ptr().cast())) };
        pairs[0][half] = vuzp1q_s16(low, high);
        pairs[1][half] = vuzp2q_s16(low, high);
    }
    pairs
}
