//! Families of hash functions for similarity sketches, and the definition of a sketch.

/// Rounds of throws.
pub const ROUNDS: usize = 4;

/// The most bins of a family.
pub const MAX_BINS: usize = 256;

/// The fewest bins of a family.
pub const MIN_BINS: usize = 16;

/// The word of every bin of the empty set, and of a bin that no throw has filled.
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
    /// The multiplier of tokens: odd.
    pub multiplier: u64,
    /// The addend of multiplied tokens: any number.
    pub addend: u64,
    /// The multiplier of tie-breaks per round: odd; the first one is 1.
    pub odd: [u32; ROUNDS],
    /// The multipliers of tie-breaks in the last round: odd.
    pub scale: [u32; MAX_BINS / 4],
    /// The addends of tie-breaks in the last round.
    pub shift: [u32; MAX_BINS / 4],
}

impl Family {
    /// The tie-break and the fields of a token that is well mixed already.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
    pub(crate) fn hash(&self, x: u64) -> (u32, u32) {
        let y = x.wrapping_mul(self.multiplier).wrapping_add(self.addend);
        let high = (y >> 32) as u32;
        (y as u32 ^ high, high)
    }

    /// The position of a round's field in the high half.
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

/// The words of one set, straight from the formula of `crate::sketch`; `prehashed` tokens are taken as they are. For
/// tests and for readers.
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

/// The checked arguments of [`crate::sketch::sketch_sets`].
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) family: &'a Family,
    pub(crate) prehashed: bool,
    pub(crate) offsets: &'a [i64],
    pub(crate) tokens: &'a [u64],
    pub(crate) stride: usize,
    pub(crate) words: usize,
}
