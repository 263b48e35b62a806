//! `MinHash` signatures by fast similarity sketching (Dahlgaard, Knudsen and Thorup, FOCS 2017);
//! `negmine_kernels::sketch` defines the words.
//!
//! The k minima of a signature come from families of hash functions with different draws: k / 256 families of 256 bins,
//! rounded down, and for the remaining minima the first bins of one family with the next power of two of bins.
//! Constants come from Philox by (seed, family), so a signature is a pure function of (k, tau, bits, seed) and the set.
//!
//! **Words of tau minima** agree if all of their minima do: with probability J^tau, up to the repulsion of bins, which
//! lowers it by less than 1 / k. They are combined by splitmix64, in which a share of 2^-64 of unequal words collides.
//!
//! **Words of a few bits** (Li and König, "b-bit minwise hashing", WWW 2010) agree with probability `2^-b + (1 - 2^-b)
//! J`. The bits are not those of the minimum itself: tie-breaks of different bins are multiples of one another's, so if
//! the low bits of two elements agreed, they would agree in every bin, and two sets of one element each would look
//! identical with probability 2^-b. Minima therefore go through a 32-bit mixer first.

use std::sync::{Mutex, PoisonError};

use negmine_kernels::feistel::mix;
use negmine_kernels::sketch::{self, EMPTY, Family, MAX_BINS, MIN_BINS, splitmix};

use crate::base::csr::CsrView;
use crate::base::error::check_length;
use crate::base::parallel::{Run, Ticker};
use crate::base::philox::{Draws, Stream};
use crate::base::{Error, Result};

/// The most minima of a signature.
pub const MAX_MINIMA: usize = 4096;

/// The most bits of a word that is cut to a few bits of each minimum.
const MAX_BITS: usize = 16;

/// Sets between two checks for an interrupt, and tokens unless one set holds more.
const SETS_PER_ITEM: usize = 64;
const TOKENS_PER_CHECK: i64 = 1 << 22;

/// The parameters of signatures.
#[derive(Clone, Copy, Debug)]
pub struct MinHash {
    /// Minima: 1 to [`MAX_MINIMA`].
    pub minima: usize,
    /// Minima of a word; it divides them.
    pub tau: usize,
    /// Bits that are kept of every minimum.
    pub bits: Option<usize>,
    /// The seed.
    pub seed: u64,
}

/// Signatures of many sets, `minima / tau` words each. A set is empty if every word is the largest of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signatures {
    /// Words of at most 8 bits.
    U8(Vec<u8>),
    /// Words of 9 to 16 bits.
    U16(Vec<u16>),
    /// The minima themselves.
    U32(Vec<u32>),
    /// Words of several minima.
    U64(Vec<u64>),
}

/// A word of a signature, made of `tau` minima.
trait Word: Copy + Default + Send {
    const EMPTY: Self;
    fn of(minima: &[u32], bits: usize) -> Self;
}

fn low_bits(minima: &[u32], bits: usize) -> u32 {
    minima.iter().rev().fold(0, |word, minimum| (word << bits) | (mix(*minimum) & ((1 << bits) - 1)))
}

impl Word for u8 {
    const EMPTY: Self = u8::MAX;
    fn of(minima: &[u32], bits: usize) -> Self {
        low_bits(minima, bits) as u8
    }
}

impl Word for u16 {
    const EMPTY: Self = u16::MAX;
    fn of(minima: &[u32], bits: usize) -> Self {
        low_bits(minima, bits) as u16
    }
}

impl Word for u64 {
    const EMPTY: Self = u64::MAX;
    fn of(minima: &[u32], _: usize) -> Self {
        minima.iter().fold(minima.len() as u64, |word, minimum| splitmix(word ^ u64::from(*minimum)))
    }
}

impl MinHash {
    /// Validates the parameters.
    ///
    /// # Errors
    /// Returns an error that names the argument and its rule.
    pub fn check(&self) -> Result<()> {
        let value = |argument, rule, got: usize| Err(Error::Value { argument, rule, got: got.to_string() });
        if self.minima == 0 || self.minima > MAX_MINIMA {
            return value("k", "between 1 and 4096", self.minima);
        }
        if self.tau == 0 || !self.minima.is_multiple_of(self.tau) {
            return value("tau", "a divisor of k", self.tau);
        }
        match self.bits {
            Some(bits) if bits == 0 || bits * self.tau > MAX_BITS => {
                value("b", "at least 1, and b * tau at most 16", bits)
            }
            _ => Ok(()),
        }
    }

    /// Words of a signature.
    #[must_use]
    pub fn words(&self) -> usize {
        self.minima / self.tau
    }

    /// The hash functions, and the number of bins that are taken from each family.
    #[must_use]
    pub fn families(&self) -> Vec<(Family, usize)> {
        let draws = Draws::new(self.seed, Stream::Sketches);
        (0..self.minima.div_ceil(MAX_BINS))
            .map(|number| {
                let taken = MAX_BINS.min(self.minima - number * MAX_BINS);
                let draw = |t: u64| draws.by_number(number as u64, 0, None, t);
                let constants = |j: usize| draw(8 + j as u64);
                let family = Family {
                    bins: taken.next_power_of_two().max(MIN_BINS),
                    multiplier: draw(0) | 1,
                    addend: draw(1),
                    odd: [1, draw(2) as u32 | 1, draw(3) as u32 | 1, draw(4) as u32 | 1],
                    scale: std::array::from_fn(|j| (constants(j) >> 32) as u32 | 1),
                    shift: std::array::from_fn(|j| constants(j) as u32),
                };
                (family, taken)
            })
            .collect()
    }

    /// Signatures of sets of tokens. Tokens that are not `prehashed`, that is, uniform over u64, go through
    /// splitmix64 first.
    ///
    /// # Errors
    /// Returns an error if [`MinHash::check`] does, or on an interrupt.
    pub fn signatures(&self, sets: CsrView<'_, u64>, prehashed: bool, run: &Run<'_>) -> Result<Signatures> {
        self.check()?;
        Ok(match (self.bits, self.tau) {
            (None, 1) => {
                let mut all = vec![0; sets.len() * self.minima];
                self.minima_into(sets, prehashed, &mut all, run)?;
                Signatures::U32(all)
            }
            (None, _) => Signatures::U64(self.folded(sets, prehashed, run)?),
            (Some(bits), tau) if bits * tau <= 8 => Signatures::U8(self.folded(sets, prehashed, run)?),
            (Some(_), _) => Signatures::U16(self.folded(sets, prehashed, run)?),
        })
    }

    /// Writes the minima of sets, `minima` per set: the result of [`MinHash::signatures`] if `tau` is 1 and all bits
    /// are kept.
    ///
    /// # Errors
    /// Returns an error if [`MinHash::check`] does, on an array of another length, or on an interrupt.
    pub fn minima_into(
        &self,
        sets: CsrView<'_, u64>,
        prehashed: bool,
        out: &mut [u32],
        run: &Run<'_>,
    ) -> Result<()> {
        self.check()?;
        check_length("signatures", sets.len() * self.minima, out.len())?;
        let families = self.families();
        let slots: Vec<_> = out.chunks_mut(SETS_PER_ITEM * self.minima).map(Mutex::new).collect();
        run.map(
            slots.len(),
            || (),
            |(), item, ticker| {
                let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
                self.sketch(&families, sets, prehashed, item, &mut slot, run, ticker)
            },
        )?;
        Ok(())
    }

    fn folded<W: Word>(&self, sets: CsrView<'_, u64>, prehashed: bool, run: &Run<'_>) -> Result<Vec<W>> {
        let families = self.families();
        let mut all = vec![W::default(); sets.len() * self.words()];
        let slots: Vec<_> = all.chunks_mut(SETS_PER_ITEM * self.words()).map(Mutex::new).collect();
        let bits = self.bits.unwrap_or(0);
        run.map(slots.len(), Vec::new, |minima: &mut Vec<u32>, item, ticker| {
            let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
            minima.resize(slot.len() * self.tau, EMPTY);
            self.sketch(&families, sets, prehashed, item, minima, run, ticker)?;
            let each = slot.chunks_exact_mut(self.words()).zip(minima.chunks_exact(self.minima)).enumerate();
            for (i, (words, minima)) in each {
                if sets.range(item * SETS_PER_ITEM + i).is_empty() {
                    words.fill(W::EMPTY);
                } else {
                    for (word, minima) in words.iter_mut().zip(minima.chunks_exact(self.tau)) {
                        *word = W::of(minima, bits);
                    }
                }
            }
            Ok(())
        })?;
        drop(slots);
        Ok(all)
    }

    /// The minima of the sets of one item.
    #[expect(clippy::too_many_arguments, reason = "the sets of an item, the hash, and how the call runs")]
    fn sketch(
        &self,
        families: &[(Family, usize)],
        sets: CsrView<'_, u64>,
        prehashed: bool,
        item: usize,
        out: &mut [u32],
        run: &Run<'_>,
        ticker: &Ticker<'_>,
    ) -> Result<()> {
        let begin = item * SETS_PER_ITEM;
        let mut offsets = &sets.offsets()[begin..=sets.len().min(begin + SETS_PER_ITEM)];
        let mut out = out;
        while let [start, _, ..] = offsets {
            let most = start + TOKENS_PER_CHECK;
            let n = offsets.partition_point(|offset| *offset <= most).saturating_sub(1).max(1);
            let (now, later) = out.split_at_mut(n * self.minima);
            self.sketch_some(families, &offsets[..=n], sets.items(), prehashed, now, run, ticker)?;
            (offsets, out) = (&offsets[n..], later);
        }
        Ok(())
    }

    /// The minima of the sets between some offsets.
    #[expect(clippy::too_many_arguments, reason = "see above")]
    fn sketch_some(
        &self,
        families: &[(Family, usize)],
        offsets: &[i64],
        tokens: &[u64],
        prehashed: bool,
        out: &mut [u32],
        run: &Run<'_>,
        ticker: &Ticker<'_>,
    ) -> Result<()> {
        if let [(family, taken)] = families {
            ticker.check()?;
            sketch::sketch_sets(run.isa, family, prehashed, offsets, tokens, out, self.minima, *taken);
            return Ok(());
        }
        // The stride of a family's words is that of the whole signature, except after the last one's end.
        let mut words = Vec::new();
        for (number, (family, taken)) in families.iter().enumerate() {
            ticker.check()?;
            words.resize((offsets.len() - 1) * taken, 0);
            sketch::sketch_sets(run.isa, family, prehashed, offsets, tokens, &mut words, *taken, *taken);
            for (out, words) in out.chunks_exact_mut(self.minima).zip(words.chunks_exact(*taken)) {
                out[number * MAX_BINS..][..*taken].copy_from_slice(words);
            }
        }
        Ok(())
    }

    /// The minima of one set, straight from the formula: the reference for [`MinHash::signatures`].
    #[must_use]
    pub fn definition(&self, prehashed: bool, tokens: &[u64]) -> Vec<u32> {
        let families = self.families();
        families
            .iter()
            .flat_map(|(family, taken)| {
                sketch::definition(family, prehashed, tokens).into_iter().take(*taken).collect::<Vec<_>>()
            })
            .collect()
    }
}
