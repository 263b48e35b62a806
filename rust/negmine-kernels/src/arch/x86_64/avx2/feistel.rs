//! The cipher's rounds, eight positions to a register.

use crate::arch::portable::feistel::{self, ROUNDS};

/// [`crate::feistel::rounds`].
#[target_feature(enable = "avx2")]
pub(crate) fn rounds(
    keys: &[u32; ROUNDS],
    radices: [u32; 2],
    left: &mut [u32],
    right: &mut [u32],
    out: &mut [i64],
) -> i64 {
    feistel::rounds(keys, radices, left, right, out)
}
