//! Families of hash functions for similarity sketches, and what a sketch is by definition.

/// Rounds of throws.
pub const ROUNDS: usize = 4;

/// The most bins of a family.
pub const MAX_BINS: usize = 256;

/// The fewest bins of a family.
pub const MIN_BINS: usize = 16;

/// The word of every bin of the empty set, and a bin that no throw has filled.
pub const EMPTY: u32 = u32::MAX;

/// Tokens that are hashed at a time; larger sets are read in blocks.
pub const BLOCK: usize = 512;

/// Bins of the last round that are evaluated together, and elements that a step may write beyond the last.
pub(crate) const LANES: usize = 16;

/// Tie-breaks or fields of a block.
pub(crate) type Hashes = [u32; BLOCK + LANES];

/// A family of hash functions.
#[derive(Clone, Debug)]
pub struct Family {
    /// Bins: a power of two from [`MIN_BINS`] to [`MAX_BINS`].
    pub bins: usize,
    /// Odd.
    pub multiplier: u64,
    /// Any number.
    pub addend: u64,
    /// What tie-breaks are multiplied with, round by round: odd, the first of them 1.
    pub odd: [u32; ROUNDS],
    /// What tie-breaks of the last round are multiplied with: odd.
    pub scale: [u32; MAX_BINS / 4],
    /// What is added to them.
    pub shift: [u32; MAX_BINS / 4],
}

impl Family {
    /// Tie-break and fields of a token, well mixed already.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
    pub(crate) fn hash(&self, x: u64) -> (u32, u32) {
        let y = x.wrapping_mul(self.multiplier).wrapping_add(self.addend);
        let high = (y >> 32) as u32;
        (y as u32 ^ high, high)
    }

    /// Where the field of a round begins in the high half.
    pub(crate) const fn field_shift(bins: usize, round: usize) -> u32 {
        32 - (round as u32 + 1) * bins.trailing_zeros()
    }
}

/// The finalizer of splitmix64: tokens that are not random become so.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
#[must_use]
pub const fn splitmix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The words of one set, straight from the formula of `crate::sketch`; `prehashed` tokens are taken as they are. For tests and for
/// reading.
#[must_use]
pub fn definition(family: &Family, prehashed: bool, tokens: &[u64]) -> Vec<u32> {
    let quarter = family.bins / 4;
    let value = |token: u64, bin: usize| {
        let (v, fields) = family.hash(if prehashed { token } else { splitmix(token) });
        for (round, odd) in family.odd.iter().enumerate() {
            let field = (fields >> Family::field_shift(family.bins, round)) as usize & (family.bins - 1);
            let tie = v.wrapping_mul(*odd);
            if field == bin && tie != EMPTY {
                return (round, tie);
            }
        }
        let (i, j) = (bin / quarter, bin % quarter);
        (ROUNDS, v.wrapping_mul(family.scale[j]).wrapping_add(family.shift[j]) ^ ((i as u32) << 30))
    };
    (0..family.bins)
        .map(|bin| tokens.iter().map(|token| value(*token, bin)).min().map_or(EMPTY, |(_, tie)| tie))
        .collect()
}

/// What [`crate::sketch::sketch_sets`] was asked for, checked.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) family: &'a Family,
    pub(crate) prehashed: bool,
    pub(crate) offsets: &'a [i64],
    pub(crate) tokens: &'a [u64],
    pub(crate) stride: usize,
    pub(crate) words: usize,
}
