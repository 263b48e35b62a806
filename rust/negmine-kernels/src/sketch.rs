//! Fast similarity sketches of sets of tokens: words of which two sets share a portion that is, in the mean, their
//! Jaccard similarity.
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
//! `odd[0]` is 1. A throw whose tie-break is `u32::MAX` does not count, so that this number can stand for "unfilled". The
//! round is not stored: the element that is least in a bin of one set has the same round in every set that holds it.
//! The values of different elements are alike in law, so the least of two sets' union is in both with probability
//! J; bins repel each other, so that the mean over bins varies less than a binomial. The empty set has words of `u32::MAX`.
//!
//! **One function at every size.** [`definition`] says it; [`sketch_sets`] evaluates it in four ways, since words
//! made by different functions could not be compared. Up to [`SPARSE`] elements throws are laid over the last round. Up
//! to [`SMALL`] elements all four rounds are thrown at once. Above,
//! a round is thrown only if bins are missing, and only those are searched when they are few. From [`BLOCK`] elements on,
//! tokens are hashed a block at a time and only those enter the first round whose tie-break can be least, in all
//! likelihood; where a bin is then missing, the others are looked at too. All is integer arithmetic, the same on every
//! instruction set. They share the text; the steps over many elements, `Steps`, have a
//! form of their own with AVX-512.

use crate::dispatch;
use crate::isa::Isa;

/// Rounds of throws.
pub const ROUNDS: usize = 4;

/// The most bins of a family.
pub const MAX_BINS: usize = 256;

/// The fewest bins of a family.
pub const MIN_BINS: usize = 16;

/// The word of every bin of the empty set, and a bin that no throw has filled.
pub const EMPTY: u32 = u32::MAX;

/// The largest set whose rounds are all thrown at once.
pub const SMALL: usize = 128;

/// Tokens that are hashed at a time; larger sets are read in blocks.
pub const BLOCK: usize = 512;

/// Elements expected in a bin among those that enter the first round of a large set. With eight, all 128 bins are filled in
/// 96 sets of 100; six would be 73 of 100, and a second look costs as much as the first.
const KEPT: u64 = 8;

/// Up to this many missing bins are searched one by one: a bin costs a quarter cycle a token, throws about five.
const FEW: usize = 16;

/// Up to this many elements the last round is written first and throws are laid over it: four tables, to be cleared and
/// merged, would be most of the work. Measured with 128 bins on a Zen 4 processor.
pub const SPARSE: usize = 16;

/// Up to this many elements the last round is evaluated in all bins at once.
const DENSE: usize = 40;

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
    fn hash(&self, x: u64) -> (u32, u32) {
        let y = x.wrapping_mul(self.multiplier).wrapping_add(self.addend);
        let high = (y >> 32) as u32;
        (y as u32 ^ high, high)
    }

    /// Where the field of a round begins in the high half.
    const fn field_shift(bins: usize, round: usize) -> u32 {
        32 - (round as u32 + 1) * bins.trailing_zeros()
    }
}

/// The finaliser of splitmix64: tokens that are not random become so.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
#[must_use]
pub const fn splitmix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The words of one set, straight from the module's formula; `prehashed` tokens are taken as they are. For tests and for
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

/// Writes the words of many sets: set `s` holds `tokens[offsets[s]..offsets[s + 1]]`, in any order and with any repeats, and
/// its first `words` bins go to `out` from `s * stride` on.
///
/// # Panics
/// Where the number of bins is none of those allowed, offsets fall or leave the tokens, `words` exceeds the bins or the
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
    let rising = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    assert!(rising && offsets.first().is_none_or(|first| *first >= 0), "offsets that rise");
    assert!(offsets.last().is_none_or(|last| *last <= tokens.len() as i64), "offsets within the tokens");
    dispatch::sketch_sets(isa, &Job { family, prehashed, offsets, tokens, stride, words }, out);
}

/// What [`sketch_sets`] was asked for, checked.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    family: &'a Family,
    prehashed: bool,
    offsets: &'a [i64],
    tokens: &'a [u64],
    stride: usize,
    words: usize,
}

/// Fields of one round that are looked for: those whose bits under `mask` are `bits`.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(crate) mask: u32,
    pub(crate) bits: u32,
}

/// What is done with many elements at once. The defaults are loops that compilers make vectors of, in whatever instructions
/// the function around them may use.
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) trait Steps: Copy {
    /// Hashes tokens, at most a block.
    #[inline(always)]
    fn hash<const PREHASHED: bool>(
        self,
        family: &Family,
        tokens: &[u64],
        ties: &mut Hashes,
        fields: &mut Hashes,
    ) {
        for ((token, tie), field) in tokens.iter().zip(ties).zip(fields) {
            (*tie, *field) = family.hash(if PREHASHED { *token } else { splitmix(*token) });
        }
    }

    /// Hashes tokens, at most a block, and keeps those whose tie-break is below the limit; returns how many.
    #[inline(always)]
    fn hash_below<const PREHASHED: bool>(
        self,
        family: &Family,
        tokens: &[u64],
        limit: u32,
        ties: &mut Hashes,
        fields: &mut Hashes,
    ) -> usize {
        let mut kept = 0;
        for token in tokens {
            (ties[kept], fields[kept]) = family.hash(if PREHASHED { *token } else { splitmix(*token) });
            kept += usize::from(ties[kept] < limit);
        }
        kept
    }

    /// The least `tie * odd` among elements with a field, or [`EMPTY`].
    #[inline(always)]
    fn least_with(self, ties: &[u32], fields: &[u32], wanted: Field, odd: u32) -> u32 {
        let mut least = EMPTY;
        for (tie, fields) in ties.iter().zip(fields) {
            let found = fields & wanted.mask == wanted.bits;
            least = least.min(if found { tie.wrapping_mul(odd) } else { EMPTY });
        }
        least
    }

    /// The least `(tie * scale + shift) ^ flip`, or [`EMPTY`].
    #[inline(always)]
    fn least_of(self, ties: &[u32], scale: u32, shift: u32, flip: u32) -> u32 {
        ties.iter().map(|tie| tie.wrapping_mul(scale).wrapping_add(shift) ^ flip).min().unwrap_or(EMPTY)
    }

    /// Writes the last round of all words.
    #[inline(always)]
    fn write_last<const K: usize>(self, family: &Family, ties: &[u32], words: &mut [u32; K]) {
        let least = words;
        *least = [EMPTY; K];
        let (first, second) = least.split_at_mut(K / 2);
        let ((a, b), (c, d)) = (first.split_at_mut(K / 4), second.split_at_mut(K / 4));
        for tie in ties {
            for j in 0..K / 4 {
                let value = tie.wrapping_mul(family.scale[j]).wrapping_add(family.shift[j]);
                a[j] = a[j].min(value);
                b[j] = b[j].min(value ^ (1 << 30));
                c[j] = c[j].min(value ^ (2 << 30));
                d[j] = d[j].min(value ^ (3 << 30));
            }
        }
    }

    /// Fills the words that are [`EMPTY`] by the last round.
    #[inline(always)]
    fn fill_last<const K: usize>(self, family: &Family, ties: &[u32], words: &mut [u32; K]) {
        let mut least = [EMPTY; K];
        self.write_last(family, ties, &mut least);
        for (word, least) in words.iter_mut().zip(least) {
            *word = if *word == EMPTY { least } else { *word };
        }
    }

    /// Fills the words that are [`EMPTY`] from the first table that has one.
    #[inline(always)]
    fn fill_first<const K: usize>(self, tables: &[[u32; K]; ROUNDS], words: &mut [u32; K]) {
        for (bin, word) in words.iter_mut().enumerate() {
            for table in tables {
                *word = if *word == EMPTY { table[bin] } else { *word };
            }
        }
    }

    /// Fills the words that are [`EMPTY`] with the least of all tables.
    #[inline(always)]
    fn fill_least<const K: usize>(self, tables: &[[u32; K]; ROUNDS], words: &mut [u32; K]) {
        let [a, b, c, d] = tables;
        for (bin, word) in words.iter_mut().enumerate() {
            let least = a[bin].min(b[bin]).min(c[bin].min(d[bin]));
            *word = if *word == EMPTY { least } else { *word };
        }
    }

    /// One bit for each word that is [`EMPTY`]; the number of words is a multiple of sixteen and at most 256.
    #[inline(always)]
    fn unfilled(self, words: &[u32]) -> [u64; MAX_BINS / 64] {
        let mut bits = [0; MAX_BINS / 64];
        for (bin, word) in words.iter().enumerate() {
            bits[bin / 64] |= u64::from(*word == EMPTY) << (bin % 64);
        }
        bits
    }
}

/// Portable steps.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Steps for Portable {}

/// The text that every instruction set compiles.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn sketch_sets_inline(steps: impl Steps, job: &Job<'_>, out: &mut [u32]) {
    match (job.family.bins, job.prehashed) {
        (16, false) => all::<16, false>(steps, job, out),
        (16, true) => all::<16, true>(steps, job, out),
        (32, false) => all::<32, false>(steps, job, out),
        (32, true) => all::<32, true>(steps, job, out),
        (64, false) => all::<64, false>(steps, job, out),
        (64, true) => all::<64, true>(steps, job, out),
        (128, false) => all::<128, false>(steps, job, out),
        (128, true) => all::<128, true>(steps, job, out),
        (_, false) => all::<256, false>(steps, job, out),
        (_, true) => all::<256, true>(steps, job, out),
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "see `sketch_sets_inline`")]
fn all<const K: usize, const PREHASHED: bool>(steps: impl Steps, job: &Job<'_>, out: &mut [u32]) {
    let mut sketch = Sketch::<_, K, PREHASHED> {
        steps,
        family: job.family,
        ties: [0; BLOCK + LANES],
        fields: [0; BLOCK + LANES],
        tables: [[EMPTY; K]; ROUNDS],
        words: [EMPTY; K],
        rounds: [0; K],
    };
    for (set, out) in job.offsets.windows(2).zip(out.chunks_exact_mut(job.stride)) {
        sketch.set(&job.tokens[set[0] as usize..set[1] as usize]);
        out[..job.words].copy_from_slice(&sketch.words[..job.words]);
    }
}

/// One set at a time, in memory that is used again and starts at a cache line, so that no register crosses one.
#[repr(C, align(64))]
struct Sketch<'a, S, const K: usize, const PREHASHED: bool> {
    /// Tie-breaks of the tokens at hand.
    ties: Hashes,
    /// Their fields.
    fields: Hashes,
    /// The least tie-break of every bin, by round or in four shares of one.
    tables: [[u32; K]; ROUNDS],
    words: [u32; K],
    /// The round of every word.
    rounds: [u8; K],
    family: &'a Family,
    steps: S,
}

/// The places of set bits, rising.
#[inline]
fn places(bits: [u64; MAX_BINS / 64]) -> impl Iterator<Item = usize> {
    bits.into_iter().enumerate().flat_map(|(word, mut bits)| {
        std::iter::from_fn(move || {
            let place = (bits != 0).then(|| word * 64 + bits.trailing_zeros() as usize);
            bits &= bits.wrapping_sub(1);
            place
        })
    })
}

#[expect(clippy::inline_always, reason = "see `sketch_sets_inline`")]
impl<S: Steps, const K: usize, const PREHASHED: bool> Sketch<'_, S, K, PREHASHED> {
    #[inline(always)]
    fn set(&mut self, tokens: &[u64]) {
        match tokens.len() {
            0 => self.words = [EMPTY; K],
            n if n <= SPARSE => self.sparse(tokens),
            n if n <= SMALL => self.small(tokens),
            n if n <= BLOCK => {
                self.hash(tokens);
                self.tables = [[EMPTY; K]; ROUNDS];
                self.throw(n, 0);
                self.words = [EMPTY; K];
                self.steps.fill_least(&self.tables, &mut self.words);
                self.later_rounds(tokens);
            }
            _ => self.large(tokens),
        }
    }

    /// Tie-breaks and fields of at most a block.
    #[inline(always)]
    fn hash(&mut self, tokens: &[u64]) {
        self.steps.hash::<PREHASHED>(self.family, tokens, &mut self.ties, &mut self.fields);
    }

    /// Throws the first elements of the block by their fields of one round, each into the next of four tables: in one,
    /// elements that meet would wait for each other.
    #[inline(always)]
    fn throw(&mut self, n: usize, round: usize) {
        let (shift, odd) = (Family::field_shift(K, round), self.family.odd[round]);
        let put = |table: &mut [u32; K], tie: u32, fields: u32| {
            let bin = &mut table[(fields >> shift) as usize & (K - 1)];
            *bin = tie.wrapping_mul(odd).min(*bin);
        };
        let (ties, last_ties) = self.ties[..n].as_chunks::<ROUNDS>();
        let (fields, last_fields) = self.fields[..n].as_chunks::<ROUNDS>();
        for (ties, fields) in ties.iter().zip(fields) {
            for i in 0..ROUNDS {
                put(&mut self.tables[i], ties[i], fields[i]);
            }
        }
        for (table, (tie, fields)) in self.tables.iter_mut().zip(last_ties.iter().zip(last_fields)) {
            put(table, *tie, *fields);
        }
    }

    /// The last round, and all throws over it. A byte for each bin says which round it has; nothing branches on it.
    #[inline(always)]
    fn sparse(&mut self, tokens: &[u64]) {
        let n = tokens.len();
        self.hash(tokens);
        self.steps.write_last(self.family, &self.ties[..n], &mut self.words);
        self.rounds = [ROUNDS as u8; K];
        for (round, odd) in (0..).zip(self.family.odd) {
            let shift = Family::field_shift(K, usize::from(round));
            for (tie, fields) in self.ties[..n].iter().zip(&self.fields[..n]) {
                let bin = (fields >> shift) as usize & (K - 1);
                let tie = tie.wrapping_mul(odd);
                if tie == EMPTY {
                    continue;
                }
                let (word, of) = (self.words[bin], self.rounds[bin]);
                let least = tie.min(if of == round { word } else { EMPTY });
                self.words[bin] = if of < round { word } else { least };
                self.rounds[bin] = of.min(round);
            }
        }
    }

    /// All rounds at once.
    #[inline(always)]
    fn small(&mut self, tokens: &[u64]) {
        let n = tokens.len();
        self.hash(tokens);
        self.tables = [[EMPTY; K]; ROUNDS];
        let odd = self.family.odd;
        for (tie, fields) in self.ties[..n].iter().zip(&self.fields[..n]) {
            for (round, (table, odd)) in self.tables.iter_mut().zip(odd).enumerate() {
                let bin = &mut table[(fields >> Family::field_shift(K, round)) as usize & (K - 1)];
                *bin = tie.wrapping_mul(odd).min(*bin);
            }
        }
        self.words = [EMPTY; K];
        self.steps.fill_first(&self.tables, &mut self.words);
        if n <= DENSE {
            self.steps.fill_last(self.family, &self.ties[..n], &mut self.words);
        } else {
            self.last_round(tokens);
        }
    }

    /// Only what is likely to be least enters the first round.
    #[inline(always)]
    fn large(&mut self, tokens: &[u64]) {
        let limit = ((KEPT * K as u64) << 32) / tokens.len() as u64;
        let limit = u32::try_from(limit).unwrap_or(EMPTY);
        self.tables = [[EMPTY; K]; ROUNDS];
        for block in tokens.chunks(BLOCK) {
            let kept = if limit == EMPTY {
                self.hash(block);
                block.len()
            } else {
                let (ties, fields) = (&mut self.ties, &mut self.fields);
                self.steps.hash_below::<PREHASHED>(self.family, block, limit, ties, fields)
            };
            self.throw(kept, 0);
        }
        self.words = [EMPTY; K];
        self.steps.fill_least(&self.tables, &mut self.words);
        if limit != EMPTY {
            // What was left out may be all that a bin has.
            self.find(tokens, 0);
        }
        self.later_rounds(tokens);
    }

    /// Rounds after the first, as far as bins are missing.
    #[inline(always)]
    fn later_rounds(&mut self, tokens: &[u64]) {
        for round in 1..ROUNDS {
            if !self.find(tokens, round) {
                return;
            }
        }
        self.last_round(tokens);
    }

    /// Fills missing bins by the throws of one round; says whether any was missing.
    #[inline(always)]
    fn find(&mut self, tokens: &[u64], round: usize) -> bool {
        let missing = self.steps.unfilled(&self.words);
        let count: u32 = missing.iter().map(|bits| bits.count_ones()).sum();
        if count == 0 {
            return false;
        }
        let few = count as usize <= FEW;
        if !few {
            self.tables = [[EMPTY; K]; ROUNDS];
        }
        for block in tokens.chunks(BLOCK) {
            self.hash_again(tokens, block);
            if few {
                self.search(block.len(), round, missing);
            } else {
                self.throw(block.len(), round);
            }
        }
        if !few {
            self.steps.fill_least(&self.tables, &mut self.words);
        }
        true
    }

    /// Looks among the first elements of the block for those of missing bins.
    #[inline(always)]
    fn search(&mut self, n: usize, round: usize, missing: [u64; MAX_BINS / 64]) {
        let (shift, odd) = (Family::field_shift(K, round), self.family.odd[round]);
        for bin in places(missing) {
            let wanted = Field { mask: (K as u32 - 1) << shift, bits: (bin as u32) << shift };
            let least = self.steps.least_with(&self.ties[..n], &self.fields[..n], wanted, odd);
            self.words[bin] = self.words[bin].min(least);
        }
    }

    /// The last round in the bins that are missing.
    #[inline(always)]
    fn last_round(&mut self, tokens: &[u64]) {
        let missing = self.steps.unfilled(&self.words);
        if missing == [0; MAX_BINS / 64] {
            return;
        }
        for block in tokens.chunks(BLOCK) {
            self.hash_again(tokens, block);
            for bin in places(missing) {
                let (i, j) = (bin / (K / 4), bin % (K / 4));
                let (scale, shift) = (self.family.scale[j], self.family.shift[j]);
                let least = self.steps.least_of(&self.ties[..block.len()], scale, shift, (i as u32) << 30);
                self.words[bin] = self.words[bin].min(least);
            }
        }
    }

    /// Hashes a block, unless it is the whole set, whose hashes are still there.
    #[inline(always)]
    fn hash_again(&mut self, tokens: &[u64], block: &[u64]) {
        if tokens.len() > BLOCK {
            self.hash(block);
        }
    }
}
