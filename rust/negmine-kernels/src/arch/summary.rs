//! Floors of inner products, one per query, so that most panels need one comparison per query instead of one bound per
//! document.
//!
//! The bound of `crate::dot_i8` takes five floating-point instructions for every sixteen documents, an eighth of the
//! time at width 128, and nearly all bounds end below the threshold. So a kernel first compares the greatest inner
//! product with a number that every hit reaches, and forms bounds only for queries that have a document at or above it.
//!
//! **What is promised.** A document whose `high`, as the kernel computes it, is not below the threshold has
//! `dot >= floor`, and so has `dot` rounded to f32, since rounding keeps order. Where that cannot be promised (a value
//! is NaN or infinite, or the threshold is so low that a negative `dot` may reach it) the floor is minus infinity. Hits
//! are therefore the same with and without floors.
//!
//! **Why it holds.** For one query let t be the threshold, B the greatest that the part of the bound without `dot` can
//! be in this panel (each weight times the least or the greatest of its values), S the sum of the magnitudes in it, and
//! u = 2^-24. In the kernel `dot` is rounded once, the part without it at most three times and the result once, so a
//! hit means, but for some 2^-147 lost to denormals,
//!
//! ```text
//! dot * scale * (1 + 2.1u)  >=  t - B - 4.1u (S + |t|)
//! ```
//!
//! Where the right-hand side is positive, so is `dot`, and the greatest scale may be divided by. Here t - B is off by
//! at most 6u (S + |t|), and what is subtracted is 16u (S + |t|) and 2^-126; the quotient is lowered by another 16u.
//! Sums stay below 2^120 and the scale between 2^-126 and 2^90, so nothing overflows.

// Inlined into functions with target features, all of this uses their vectors.
#![expect(clippy::inline_always, clippy::needless_range_loop)]

use super::query_tile::{Bounds, PLACES};

/// The least and the greatest contribution of a panel's documents.
pub(crate) struct Summary {
    /// Slightly less than the inverse of the greatest scale; NaN if no floor can be promised.
    inverse_scale: f32,
    error: Range,
    norm: Range,
    offset: Range,
}

/// The least and the greatest of some values; if one of them is not finite, the greatest is NaN.
#[derive(Clone, Copy, Default)]
pub(crate) struct Range {
    pub(crate) least: f32,
    pub(crate) greatest: f32,
}

/// Sixteen units of rounding.
const SLACK: f32 = 1.0 / 1_048_576.0;

/// Below this (2^120), four terms cannot overflow.
const LARGEST: f32 = 1.329_228e36;

/// Below this (2^90), a scale times any inner product cannot overflow.
const LARGEST_SCALE: f32 = 1.237_94e27;

impl Summary {
    /// A summary from the ranges of a panel's scale, error, norm and offset.
    #[inline(always)]
    pub(crate) fn new(scale: Range, error: Range, norm: Range, offset: Range) -> Self {
        // The comparison is false for NaN.
        let usable =
            scale.greatest >= f32::MIN_POSITIVE && scale.greatest < LARGEST_SCALE && scale.least >= 0.0;
        let inverse_scale = if usable { (1.0 - SLACK) / scale.greatest } else { f32::NAN };
        Summary { inverse_scale, error, norm, offset }
    }

    /// The floor of each place of a block.
    #[inline(always)]
    pub(crate) fn floors(&self, bounds: &Bounds) -> [f32; PLACES] {
        let mut floors = [f32::NEG_INFINITY; PLACES];
        for q in 0..PLACES {
            let (error, error_size) = self.error.times(bounds.error_weight[q]);
            let (norm, norm_size) = self.norm.times(bounds.norm_weight[q]);
            let (offset, offset_size) = self.offset.times(bounds.offset_weight[q]);
            let threshold = bounds.threshold[q];
            let size = error_size + norm_size + offset_size + threshold.abs();
            let rest = threshold - (error + norm + offset) - SLACK * size - f32::MIN_POSITIVE;
            let floor = rest * self.inverse_scale;
            // The comparison is false for NaN.
            floors[q] = if rest > 0.0 && size < LARGEST && floor > 0.0 { floor } else { f32::NEG_INFINITY };
        }
        floors
    }
}

impl Range {
    /// The greatest product with the weight, and the greatest magnitude of one; both are NaN if a product may be NaN.
    #[inline(always)]
    fn times(self, weight: f32) -> (f32, f32) {
        let (a, b) = (weight * self.least, weight * self.greatest);
        (greater(a, b), greater(a.abs(), b.abs()))
    }
}

/// The greater of two; the second if one is a NaN. One instruction, unlike `f32::max`.
#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}
