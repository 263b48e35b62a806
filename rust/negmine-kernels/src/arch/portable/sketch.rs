//! Similarity sketches of sets (Dahlgaard, Knudsen and Thorup, FOCS 2017), in source code that every instruction set
//! compiles. `crate::sketch` defines the function.

use super::sketch_family::{BLOCK, EMPTY, Family, Hashes, Job, LANES, MAX_BINS, ROUNDS};
use super::sketch_steps::{Field, Steps};

/// The largest set whose rounds are all thrown at once.
pub const SMALL: usize = 128;

/// Elements expected in a bin among those that enter the first round of a large set. With eight, all 128 bins are
/// filled in 96 of 100 sets; with six, in 73 of 100, and a second pass costs as much as the first.
const KEPT: u64 = 8;

/// Up to this many missing bins are searched one by one: a bin costs a quarter of a cycle per token, throws cost about
/// five cycles.
const FEW: usize = 16;

/// Up to this many elements the last round is written first and throws overwrite it: clearing and merging four tables
/// would be most of the work. Measured with 128 bins on a Zen 4 processor.
pub const SPARSE: usize = 16;

/// Up to this many elements the last round is evaluated in all bins at once.
const DENSE: usize = 40;

/// The source code that every instruction set compiles.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn sketch_sets(steps: impl Steps, job: &Job<'_>, out: &mut [u32]) {
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
#[expect(clippy::inline_always, reason = "see `sketch_sets`")]
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

/// Working memory for one set at a time; it is reused, and it starts at a cache line so that no vector crosses one.
#[repr(C, align(64))]
struct Sketch<'a, S, const K: usize, const PREHASHED: bool> {
    /// Tie-breaks of the current block of tokens.
    ties: Hashes,
    /// Fields of the same tokens.
    fields: Hashes,
    /// The least tie-break of every bin, by round or in four shares of one.
    tables: [[u32; K]; ROUNDS],
    words: [u32; K],
    /// The round of every word.
    rounds: [u8; K],
    family: &'a Family,
    steps: S,
}

/// The positions of set bits, in ascending order.
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

#[expect(clippy::inline_always, reason = "see `sketch_sets`")]
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

    /// Computes the last round and lets all throws overwrite it. One byte per bin holds its round; no branch depends on
    /// it.
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

    /// Computes all rounds at once.
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

    /// Computes the first round from those elements only that are likely to be least.
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
            // An element that was skipped may be the only one of its bin.
            self.find(tokens, 0);
        }
        self.later_rounds(tokens);
    }

    /// Computes rounds after the first while bins are missing.
    #[inline(always)]
    fn later_rounds(&mut self, tokens: &[u64]) {
        for round in 1..ROUNDS {
            if !self.find(tokens, round) {
                return;
            }
        }
        self.last_round(tokens);
    }

    /// Fills missing bins by the throws of one round; returns whether any was missing.
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

    /// Searches the first elements of the block for those of missing bins.
    #[inline(always)]
    fn search(&mut self, n: usize, round: usize, missing: [u64; MAX_BINS / 64]) {
        let (shift, odd) = (Family::field_shift(K, round), self.family.odd[round]);
        for bin in places(missing) {
            let needed = Field { mask: (K as u32 - 1) << shift, bits: (bin as u32) << shift };
            let least = self.steps.least_with(&self.ties[..n], &self.fields[..n], needed, odd);
            self.words[bin] = self.words[bin].min(least);
        }
    }

    /// Computes the last round in the bins that are missing.
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

    /// Hashes a block, unless it is the whole set, whose hashes are still in memory.
    #[inline(always)]
    fn hash_again(&mut self, tokens: &[u64], block: &[u64]) {
        if tokens.len() > BLOCK {
            self.hash(block);
        }
    }
}
