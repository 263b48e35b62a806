//! Rounds of the two-radix Feistel cipher, in source code that every instruction set compiles.

/// Rounds of the cipher; four and six fail tests of randomness on small sets.
pub const ROUNDS: usize = 8;

/// The largest radix of this kernel.
pub const MAX_RADIX: u32 = 1 << 31;

/// The integer hash lowbias32.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call would not take the target features of its caller")]
#[must_use]
pub const fn mix(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// The source code that every instruction set compiles. The inner loop runs over positions: a round must wait for the
/// one before it, and other positions fill that time.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn rounds(
    keys: &[u32; ROUNDS],
    [a, b]: [u32; 2],
    left: &mut [u32],
    right: &mut [u32],
    out: &mut [i64],
) -> i64 {
    for pair in keys.as_chunks::<2>().0 {
        add(left, right, pair[0], b);
        add(right, left, pair[1], a);
    }
    let mut largest = 0;
    for ((out, l), q) in out.iter_mut().zip(left).zip(right) {
        *out = (u64::from(*l) * u64::from(a) + u64::from(*q)) as i64;
        largest = largest.max(*out);
    }
    largest
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "see `rounds`")]
fn add(to: &mut [u32], other: &[u32], key: u32, radix: u32) {
    for (to, other) in to.iter_mut().zip(other) {
        let step = ((u64::from(mix(other ^ key)) * u64::from(radix)) >> 32) as u32;
        let sum = to.wrapping_add(step);
        *to = sum.min(sum.wrapping_sub(radix));
    }
}
