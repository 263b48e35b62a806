//! Corrupted triples of knowledge graphs: the head or the tail of a triple replaced by another entity, such that the
//! result is no known triple.
//!
//! A coin decides the side of every draw, and the entity comes from the sources of that side, over the entities that
//! give no known triple; a side that has no further such entity leaves its draws to the other one. Both sides of a triple
//! are rows of the same laws as those of [`super::Sampler`].

use negmine_kernels::Isa;
use negmine_kernels::aligned::prefetch;

use crate::base::csr::CsrView;
use crate::base::error::check_length;
use crate::base::memory::with_capacity;
use crate::base::parallel::{Run, Ticker};
use crate::base::philox::{Draws, Stream};
use crate::base::{Error, Result};

use super::alias::Alias;
use super::allowed::Allowed;
use super::law::{Law, Source};
use super::mixture::{Mixture, Place};
use super::two_sides::{Scratch, Side, heads, race, repeated, uniform};

/// Triples of a piece of work.
const TRIPLES_PER_ITEM: usize = 64;

/// Entries of a list of known entities that are fetched ahead.
const AHEAD: usize = 64;

/// Columns of a triple, by side: what is replaced, and what is kept.
const REPLACED: [usize; 2] = [0, 2];
const KEPT: [usize; 2] = [2, 0];
const RELATION: usize = 1;

/// The lane of the draws of coins; those of the sides are 0 and 1.
const COINS: u64 = 2;

/// What the lists of a source belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The entity that stays.
    Kept,
    /// The entity that is replaced.
    Replaced,
    /// The relation.
    Relation,
}

impl Anchor {
    fn column(self, side: usize) -> usize {
        match self {
            Self::Kept => KEPT[side],
            Self::Replaced => REPLACED[side],
            Self::Relation => RELATION,
        }
    }
}

/// Where the entities of one side come from.
#[derive(Clone, Copy, Debug)]
pub enum SideSource<'a> {
    /// All entities, with equal probability.
    Uniform,
    /// All entities, in proportion to weights.
    Weighted(&'a Alias),
    /// The entities of a list, with equal probability; ascending. With `numbers`, several anchors share a list: that of
    /// an anchor is the one of its number, without the anchor itself.
    Lists {
        /// The lists.
        lists: CsrView<'a>,
        /// What they belong to.
        anchor: Anchor,
        /// The number of the list of each anchor.
        numbers: Option<&'a [i64]>,
    },
}

impl<'a> SideSource<'a> {
    /// The source of one side of a triple.
    fn of(&self, triple: &[i64; 3], side: usize) -> Source<'a> {
        match *self {
            Self::Uniform => Source::Uniform,
            Self::Weighted(table) => Source::Weighted(table),
            Self::Lists { lists, anchor, numbers } => {
                let own = triple[anchor.column(side)];
                let number = numbers.map_or(own, |numbers| numbers[own as usize]);
                Source::List { list: lists.row(number as usize), without: numbers.is_some().then_some(own) }
            }
        }
    }
}

/// The entities that give a known triple, for one side of every triple.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Lists of entities, ascending.
    pub lists: CsrView<'a>,
    /// The number of the list of each triple.
    pub numbers: &'a [i64],
}

/// Triples, and the law by which they are corrupted.
#[derive(Clone, Copy, Debug)]
pub struct Corruptor<'a> {
    /// Number of entities.
    pub entities: usize,
    /// Head, relation and tail of every triple.
    pub triples: &'a [[i64; 3]],
    /// The known entities of heads and of tails.
    pub known: [Known<'a>; 2],
    /// The probability that a draw replaces the head, for each triple.
    pub head_share: &'a [f64],
    /// The sources of heads and of tails.
    pub sources: [&'a [SideSource<'a>]; 2],
    /// Share of each source.
    pub shares: &'a [f64],
    /// Whether an entity may be drawn several times.
    pub replace: bool,
    /// Seed of the draws.
    pub seed: u64,
}

/// Corrupted triples, row-major: those with another head first, each side in ascending order of entities; padded with
/// -1 (triples) and NaN (`log_q`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corrupted {
    /// Head, relation and tail of every corrupted triple.
    pub triples: Vec<i64>,
    /// Corrupted triples per triple.
    pub counts: Vec<i32>,
    /// Logarithm of the expected number of times that the corrupted triple is in the row.
    pub log_q: Vec<f64>,
}

impl<'a> Corruptor<'a> {
    /// Checks that the arrays fit each other, once for any number of draws.
    ///
    /// # Errors
    /// Returns an error that names the array that does not fit.
    pub fn check(&self) -> Result<()> {
        let inside = |argument, row: i64, rows: usize| {
            if (0..rows as i64).contains(&row) {
                Ok(())
            } else {
                Err(Error::RowOutOfRange { argument, row, rows })
            }
        };
        check_length("head_share", self.triples.len(), self.head_share.len())?;
        for triple in self.triples {
            inside("triples", triple[0], self.entities)?;
            inside("triples", triple[2], self.entities)?;
        }
        for side in 0..2 {
            let known = &self.known[side];
            known.lists.check_rows("known", self.entities, false)?;
            check_length("known", self.triples.len(), known.numbers.len())?;
            known.numbers.iter().try_for_each(|&number| inside("known", number, known.lists.len()))?;
            check_length("sources", self.shares.len(), self.sources[side].len())?;
            for source in self.sources[side] {
                match source {
                    SideSource::Uniform => {}
                    SideSource::Weighted(table) => check_length("weights", self.entities, table.len())?,
                    SideSource::Lists { lists, anchor, numbers } => {
                        lists.check_rows("sources", self.entities, false)?;
                        let anchors = numbers.map_or(lists.len(), <[i64]>::len);
                        let own = self.triples.iter().map(|triple| triple[anchor.column(side)]);
                        own.into_iter().try_for_each(|row| inside("sources", row, anchors))?;
                        let mut numbers = numbers.unwrap_or(&[]).iter();
                        numbers.try_for_each(|&number| inside("sources", number, lists.len()))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Draws `n` corrupted triples for each of some triples, from arrays that passed [`Self::check`]. The draws of a
    /// triple do not depend on the others; `offset` is the row of the first triple in the whole data set.
    ///
    /// # Errors
    /// Returns an error on a row that does not exist, lack of memory, or an interrupt.
    pub fn corrupt(
        &self,
        rows: &[i64],
        n: usize,
        epoch: u64,
        offset: u64,
        run: &Run<'_>,
    ) -> Result<Corrupted> {
        let triples = self.triples.len();
        if let Some(&row) = rows.iter().find(|&&row| row < 0 || row >= triples as i64) {
            return Err(Error::RowOutOfRange { argument: "rows", row, rows: triples });
        }
        let draws = Draws::new(self.seed, Stream::Corrupt);
        let items = rows.len().div_ceil(TRIPLES_PER_ITEM);
        let parts = run.map(items, Scratch::default, |scratch, item, ticker| {
            let own = &rows[item * TRIPLES_PER_ITEM..rows.len().min((item + 1) * TRIPLES_PER_ITEM)];
            let mut part = Corrupted {
                triples: with_capacity(own.len() * n * 3)?,
                counts: with_capacity(own.len())?,
                log_q: with_capacity(own.len() * n)?,
            };
            // Rows are in random order: look them all up before they are used, so that cache misses overlap.
            let jobs: Vec<Job<'_>> = own.iter().map(|&row| self.job(row as usize)).collect();
            jobs.iter()
                .flat_map(|job| job.forbidden)
                .for_each(|list| prefetch(&list[..list.len().min(AHEAD)]));
            for (&row, job) in own.iter().zip(&jobs) {
                ticker.check()?;
                let place = Place { draws: &draws, epoch, query: offset + row as u64, lane: COINS };
                self.row(job, n, place, scratch, (run.isa, ticker))?;
                part.push(&job.triple, &scratch.drawn, n);
            }
            Ok(part)
        })?;
        let entries = rows.len().saturating_mul(n);
        let mut all = Corrupted {
            triples: with_capacity(entries.saturating_mul(3))?,
            counts: with_capacity(rows.len())?,
            log_q: with_capacity(entries)?,
        };
        for part in parts {
            all.triples.extend(part.triples);
            all.counts.extend(part.counts);
            all.log_q.extend(part.log_q);
        }
        Ok(all)
    }

    fn job(&self, row: usize) -> Job<'a> {
        let forbidden = self.known.map(|known| known.lists.row(known.numbers[row] as usize));
        Job { triple: self.triples[row], head_share: self.head_share[row], forbidden }
    }

    /// Draws the entities that replace the head and the tail of a triple.
    fn row(
        &self,
        job: &Job<'_>,
        n: usize,
        place: Place<'_>,
        scratch: &mut Scratch,
        (isa, ticker): (Isa, &Ticker<'_>),
    ) -> Result<()> {
        scratch.drawn.iter_mut().for_each(Vec::clear);
        let allowed = job.forbidden.map(|forbidden| Allowed {
            documents: self.entities,
            forbidden,
            eligible: &[],
            query: 0,
        });
        let share = job.head_share;
        let mut laws = [Vec::new(), Vec::new()];
        for (side, share) in [share, 1.0 - share].into_iter().enumerate() {
            if share > 0.0 {
                laws[side] = self.laws(&job.triple, side, &allowed[side], ticker)?;
            }
        }
        let share = match (laws[0].is_empty(), laws[1].is_empty()) {
            (true, true) => return Ok(()),
            (false, true) => 1.0,
            (true, false) => 0.0,
            (false, false) => share,
        };
        let places = [0, 1].map(|lane| Place { lane, ..place });
        let sides = [0, 1].map(|side| Side {
            mixture: Mixture { allowed: allowed[side], laws: &laws[side], place: &places[side] },
            share: if side == 0 { share } else { 1.0 - share },
        });
        let coins = heads(&place, n, share);
        if self.replace {
            repeated(&sides, n, coins, scratch);
            return Ok(());
        }
        match [sides[0].equal(), sides[1].equal()] {
            [Some(heads), Some(tails)] => uniform(&sides, [heads, tails], n, coins, scratch, isa),
            _ => race(&sides, n, coins, scratch, ticker)?,
        }
        Ok(())
    }

    /// The law of every source that has an entity for one side of a triple.
    fn laws(
        &self,
        triple: &[i64; 3],
        side: usize,
        allowed: &Allowed<'_>,
        ticker: &Ticker<'_>,
    ) -> Result<Vec<Law<'a>>> {
        if let [source] = self.sources[side] {
            return Law::all(&[source.of(triple, side)], self.shares, allowed, ticker);
        }
        let sources: Vec<Source<'a>> =
            self.sources[side].iter().map(|source| source.of(triple, side)).collect();
        Law::all(&sources, self.shares, allowed, ticker)
    }
}

/// A triple to corrupt.
struct Job<'a> {
    triple: [i64; 3],
    head_share: f64,
    /// The known heads and the known tails.
    forbidden: [&'a [i64]; 2],
}

impl Corrupted {
    fn push(&mut self, triple: &[i64; 3], drawn: &[Vec<(u32, f64)>; 2], n: usize) {
        let end = self.log_q.len() + n;
        for (side, drawn) in drawn.iter().enumerate() {
            for &(entity, log_q) in drawn {
                let mut corrupted = *triple;
                corrupted[REPLACED[side]] = i64::from(entity);
                self.triples.extend(corrupted);
                self.log_q.push(log_q);
            }
        }
        self.counts.push((n - (end - self.log_q.len())) as i32);
        self.triples.resize(3 * end, -1);
        self.log_q.resize(end, f64::NAN);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn corrupted_triples_are_unknown_distinct_and_as_many_as_exist(
            triples in prop::collection::vec((0_i64..6, 0_i64..2, 0_i64..6), 1..20),
            n in 1_usize..14, head_share in prop_oneof![Just(0.0), Just(0.5), Just(1.0)], weighted: bool, seed: u64,
        ) {
            let triples: Vec<[i64; 3]> = triples.into_iter().map(|(h, r, t)| [h, r, t]).collect();
            let run = Run { threads: 2, isa: Isa::active().unwrap(), poll: &|_, _| false };
            let table = Alias::new(&[1.0, 2.0, 3.0, 1e-6, 5.0, 9.0], &run).unwrap();
            // One list of known entities for each triple and side.
            let known = [0, 1].map(|side| {
                let (mut offsets, mut items) = (vec![0], Vec::new());
                for triple in &triples {
                    let same = |other: &[i64; 3]| other[1] == triple[1] && other[KEPT[side]] == triple[KEPT[side]];
                    let own = triples.iter().filter(|other| same(other)).map(|other| other[REPLACED[side]]);
                    items.extend(own.collect::<std::collections::BTreeSet<_>>());
                    offsets.push(items.len() as i64);
                }
                (offsets, items)
            });
            let numbers: Vec<i64> = (0..triples.len() as i64).collect();
            let source = [if weighted { SideSource::Weighted(&table) } else { SideSource::Uniform }];
            let corruptor = Corruptor {
                entities: 6,
                triples: &triples,
                known: [0, 1].map(|side| Known {
                    lists: CsrView::new("known", &known[side].0, &known[side].1, triples.len()).unwrap(),
                    numbers: &numbers,
                }),
                head_share: &vec![head_share; triples.len()],
                sources: [&source, &source],
                shares: &[1.0],
                replace: false,
                seed,
            };
            corruptor.check().unwrap();
            let corrupted = corruptor.corrupt(&numbers, n, 0, 0, &run).unwrap();
            for (row, triple) in triples.iter().enumerate() {
                let free = |side: usize, share: f64| {
                    if share > 0.0 { 6 - corruptor.known[side].lists.row(row).len() } else { 0 }
                };
                let count = corrupted.counts[row] as usize;
                prop_assert_eq!(count, n.min(free(0, head_share) + free(1, 1.0 - head_share)));
                let own = &corrupted.triples.as_chunks::<3>().0[row * n..(row + 1) * n];
                let distinct: std::collections::BTreeSet<_> = own[..count].iter().collect();
                prop_assert_eq!(distinct.len(), count);
                for new in &own[..count] {
                    prop_assert!(!triples.contains(new));
                    prop_assert!(new[1] == triple[1] && (new[0] == triple[0] || new[2] == triple[2]));
                }
                prop_assert!(own[count..].iter().all(|new| *new == [-1; 3]));
            }
        }
    }

    #[test]
    fn arrays_that_do_not_fit_are_named() {
        let lists = CsrView::new("known", &[0, 1], &[0], 1).unwrap();
        let corruptor = Corruptor {
            entities: 2,
            triples: &[[0, 0, 1]],
            known: [Known { lists, numbers: &[0] }; 2],
            head_share: &[0.5],
            sources: [&[SideSource::Uniform], &[SideSource::Uniform]],
            shares: &[1.0],
            replace: false,
            seed: 0,
        };
        corruptor.check().unwrap();
        let shown = |bad: Corruptor<'_>| bad.check().unwrap_err().to_string();
        assert!(shown(Corruptor { entities: 1, ..corruptor }).contains("`triples`"));
        assert!(shown(Corruptor { head_share: &[], ..corruptor }).contains("`head_share`"));
        assert!(shown(Corruptor { shares: &[], ..corruptor }).contains("`sources`"));
        let known = [Known { lists, numbers: &[1] }; 2];
        assert!(shown(Corruptor { known, ..corruptor }).contains("`known`"));
        let own = [SideSource::Lists { lists, anchor: Anchor::Kept, numbers: None }];
        assert!(shown(Corruptor { sources: [&own, &own], ..corruptor }).contains("`sources`"));
        assert!(shown(Corruptor { entities: 3, sources: [&own, &own], ..corruptor }).contains("`sources`"));
    }
}
