//! Similarity sketches, eight bins to a register.

use crate::arch::portable::sketch;
use crate::arch::portable::sketch_family::Job;
use crate::arch::portable::sketch_steps::Portable;

/// [`crate::sketch::sketch_sets`].
#[target_feature(enable = "avx2")]
pub(crate) fn sketch_sets(job: &Job<'_>, out: &mut [u32]) {
    sketch::sketch_sets(Portable, job, out);
}
