//! Steps of a sketch over many elements at once, which an instruction set may replace.

use super::sketch_family::{EMPTY, Family, Hashes, MAX_BINS, ROUNDS, splitmix};

/// The fields of one round to search for: those whose bits under `mask` equal `bits`.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(crate) mask: u32,
    pub(crate) bits: u32,
}

/// Steps over many elements at once. The defaults are loops that the compiler vectorizes with the instructions that the
/// surrounding function may use.
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
    fn least_with(self, ties: &[u32], fields: &[u32], needed: Field, odd: u32) -> u32 {
        let mut least = EMPTY;
        for (tie, fields) in ties.iter().zip(fields) {
            let found = fields & needed.mask == needed.bits;
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

/// The portable steps: the defaults.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Steps for Portable {}
