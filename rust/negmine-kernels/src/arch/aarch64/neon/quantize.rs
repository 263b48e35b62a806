//! Symmetric int8 quantization of a row on 128-bit vectors.
//!
//! Accumulators: sixteen f64 lanes of each sum in eight vectors, in the canonical order, multiplied then added; sixteen
//! registers, three constants, and the rest for one vector of two coordinates at a time. The largest magnitude has no
//! form here: the compiler vectorizes the portable one.

use std::arch::aarch64::{
    float32x4_t, float64x2_t, int32x4_t, vaddq_f64, vaddq_s32, vaddvq_s32, vcombine_s8, vcombine_s16,
    vcombine_s32, vcvt_f64_f32, vcvt_high_f64_f32, vcvtq_s64_f64, vdupq_n_f64, vdupq_n_s32, vget_low_f32,
    vld1q_f32, vmovn_s16, vmovn_s32, vmovn_s64, vmulq_f64, vrndnq_f64, vst1q_f64, vst1q_s8, vsubq_f64,
};

use crate::arch::portable::canonical::{LANES, add_lanes};
use crate::arch::portable::quantize::{Steps, Sums};

/// The codes of a row and its sums.
#[target_feature(enable = "neon")]
pub(crate) fn quantize(x: &[f32], steps: Steps, codes: &mut [i8]) -> Sums {
    let mut row = Row::new(steps);
    let (blocks, tail) = x.as_chunks::<LANES>();
    let (code_blocks, code_tail) = codes.as_chunks_mut::<LANES>();
    for (block, codes) in blocks.iter().zip(code_blocks) {
        *codes = row.add(block);
    }
    if !tail.is_empty() {
        let mut block = [0.0; LANES];
        block[..tail.len()].copy_from_slice(tail);
        let codes = row.add(&block);
        code_tail.copy_from_slice(&codes[..tail.len()]);
    }
    Sums { error: reduce(row.error), norm: reduce(row.norm), code_sum: vaddvq_s32(row.code_sum) }
}

/// The state of a row; index `part` has lanes `2 * part` and `2 * part + 1`.
struct Row {
    factor: float64x2_t,
    inverse: float64x2_t,
    scale: float64x2_t,
    error: [float64x2_t; LANES / 2],
    norm: [float64x2_t; LANES / 2],
    code_sum: int32x4_t,
}

impl Row {
    #[inline]
    #[target_feature(enable = "neon")]
    fn new(steps: Steps) -> Self {
        Row {
            factor: vdupq_n_f64(steps.factor),
            inverse: vdupq_n_f64(steps.inverse),
            scale: vdupq_n_f64(steps.scale),
            error: [vdupq_n_f64(0.0); LANES / 2],
            norm: [vdupq_n_f64(0.0); LANES / 2],
            code_sum: vdupq_n_s32(0),
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn add(&mut self, block: &[f32; LANES]) -> [i8; LANES] {
        let mut codes = [vdupq_n_s32(0); 4];
        for quarter in 0..4 {
            let x = load(block, quarter);
            let low = self.round(2 * quarter, vcvt_f64_f32(vget_low_f32(x)));
            let high = self.round(2 * quarter + 1, vcvt_high_f64_f32(x));
            codes[quarter] = vcombine_s32(vmovn_s64(vcvtq_s64_f64(low)), vmovn_s64(vcvtq_s64_f64(high)));
            self.code_sum = vaddq_s32(self.code_sum, codes[quarter]);
        }
        let low = vmovn_s16(vcombine_s16(vmovn_s32(codes[0]), vmovn_s32(codes[1])));
        let high = vmovn_s16(vcombine_s16(vmovn_s32(codes[2]), vmovn_s32(codes[3])));
        let mut out = [0; LANES];
        // SAFETY: the array has the 16 bytes that are written; the store needs no alignment.
        unsafe { vst1q_s8(out.as_mut_ptr(), vcombine_s8(low, high)) };
        out
    }

    /// Rounds two coordinates, to nearest and ties to even, and adds to the sums of these lanes.
    #[inline]
    #[target_feature(enable = "neon")]
    fn round(&mut self, part: usize, x: float64x2_t) -> float64x2_t {
        let y = vmulq_f64(x, self.factor);
        let rounded = vrndnq_f64(vmulq_f64(y, self.inverse));
        let residual = vsubq_f64(y, vmulq_f64(rounded, self.scale));
        self.norm[part] = vaddq_f64(self.norm[part], vmulq_f64(y, y));
        self.error[part] = vaddq_f64(self.error[part], vmulq_f64(residual, residual));
        rounded
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(block: &[f32; LANES], quarter: usize) -> float32x4_t {
    let quarter = &block.as_chunks::<4>().0[quarter];
    // SAFETY: the reference covers the 16 bytes that are read; the load needs no alignment.
    unsafe { vld1q_f32(quarter.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn reduce(sums: [float64x2_t; LANES / 2]) -> f64 {
    let mut lanes = [0.0; LANES];
    for (part, sum) in lanes.as_chunks_mut::<2>().0.iter_mut().zip(sums) {
        // SAFETY: the reference covers the 16 bytes that are written; the store needs no alignment.
        unsafe { vst1q_f64(part.as_mut_ptr(), sum) };
    }
    add_lanes(lanes)
}
