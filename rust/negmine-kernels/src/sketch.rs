//! Fast similarity sketches of sets of tokens (Dahlgaard, Knudsen and Thorup, FOCS 2017): the expected portion of words
//! that two sets share is their Jaccard similarity.
//!
//! The scheme is that of Dahlgaard, Knudsen and Thorup ("Fast similarity sketching", FOCS 2017) with four rounds of
//! throws and a last round that every element enters in every bin. For one family of hash functions and k bins, a power
//! of two from 16 to 256,
//!
//! ```text
//! y = x * multiplier + addend, y ^= y >> 32          mod 2^64, x the token, or splitmix64 of it
//! v = the low half of y; field t = log2(k) bits of its high half, from the top down
//! value of bin b for x, where b = (k / 4) i + j:
//!     (t, v * odd[t])                                 in the first of the four rounds t with field t = b,
//!     (4, (v * scale[j] + shift[j]) ^ (i << 30))      where there is none
//! word of bin b: the second part of the least value over all elements, in lexical order
//! ```
//!
//! `odd[0]` is 1. A throw whose tie-break is `u32::MAX` does not count, so that this number can stand for "unfilled".
//! The round is not stored: the element that is least in a bin of one set has the same round in every set that holds
//! it. The values of different elements have the same distribution, so the least of two sets' union is in both with
//! probability J; bins repel each other, so that the mean over bins varies less than a binomial. The empty set has
//! words of `u32::MAX`.
//!
//! **One function at every size.** [`definition`] is the function; [`sketch_sets`] evaluates it in four ways, since
//! words made by different functions could not be compared. Up to [`SPARSE`] elements throws overwrite the last round.
//! Up to [`SMALL`] elements all four rounds are thrown at once. Above, a round is thrown only if bins are missing, and
//! only those are searched when they are few. From [`BLOCK`] elements on, tokens are hashed a block at a time and only
//! those enter the first round whose tie-break can be least, in all likelihood; if a bin is then missing, the others
//! are hashed too. All arithmetic is on integers and is the same on every instruction set. The instruction sets share
//! one source; only AVX-512 has its own form of the steps over many elements, `Steps`.

pub use crate::arch::portable::sketch::{SMALL, SPARSE};
use crate::arch::portable::sketch_family::Job;
pub use crate::arch::portable::sketch_family::{
    BLOCK, EMPTY, Family, MAX_BINS, MIN_BINS, ROUNDS, definition, splitmix,
};
use crate::dispatch;
use crate::isa::Isa;

/// Writes the words of many sets: set `s` holds `tokens[offsets[s]..offsets[s + 1]]`, in any order and with any
/// repeats, and its first `words` bins go to `out` from `s * stride` on.
///
/// # Panics
/// If the number of bins is none of those allowed, offsets fall or leave the tokens, `words` exceeds the bins or the
/// stride, `out` is not `stride` words a set, or this processor lacks `isa`.
#[expect(clippy::too_many_arguments, reason = "two arrays, their layout, and one switch")]
pub fn sketch_sets(
    isa: Isa,
    family: &Family,
    prehashed: bool,
    offsets: &[i64],
    tokens: &[u64],
    out: &mut [u32],
    stride: usize,
    words: usize,
) {
    let sets = offsets.len().saturating_sub(1);
    let bins = family.bins;
    assert!(
        bins.is_power_of_two() && (MIN_BINS..=MAX_BINS).contains(&bins),
        "16 to 256 bins, a power of two"
    );
    assert!(words <= bins && words <= stride, "at most as many words as bins");
    assert_eq!(out.len(), sets * stride, "`stride` words a set");
    let ascending = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    assert!(ascending && offsets.first().is_none_or(|first| *first >= 0), "offsets that ascend");
    assert!(offsets.last().is_none_or(|last| *last <= tokens.len() as i64), "offsets within the tokens");
    dispatch::sketch_sets(isa, &Job { family, prehashed, offsets, tokens, stride, words }, out);
}
