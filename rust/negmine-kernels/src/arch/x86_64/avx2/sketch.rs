//! Similarity sketches, eight bins to a register.

use crate::sketch::{Job, Portable, sketch_sets_inline};

/// [`crate::sketch::sketch_sets`].
#[target_feature(enable = "avx2")]
pub(crate) fn sketch_sets(job: &Job<'_>, out: &mut [u32]) {
    sketch_sets_inline(Portable, job, out);
}
