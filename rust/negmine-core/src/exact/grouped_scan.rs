//! The scan group by group, where every query admits the documents of one key only.
//!
//! A group is an index of its own, over the corpus as the caller has it but for the rows that it leaves out, so its
//! results are those of the whole scan: the same canonical scores, and rows in the same order. Its documents are packed
//! for the call. Large groups are scanned one after the other by all threads, small ones each by one thread.

use crate::base::csr::Lists;
use crate::base::matrix::Rows;
use crate::base::memory::with_capacity;
use crate::base::order::Scored;
use crate::base::parallel::Run;
use crate::base::{Error, Result};

use super::groups::Group;
use super::index::ExactIndex;
use super::memory_plan::{Layout, ScanSize};
use super::types::{Candidates, Found, Outcome, Picked, Targets};

/// Pairs of a group that one thread scans alone, without a check for an interrupt in between: some tens of milliseconds.
const SMALL: u64 = 1 << 25;

impl ExactIndex {
    /// The best documents of every result row, of groups that hold every query.
    ///
    /// # Errors
    /// As for a scan.
    pub(crate) fn scan_groups(
        &self,
        corpus: &Rows<'_>,
        queries: &Rows<'_>,
        candidates: &Candidates<'_>,
        targets: &Targets,
        groups: &[Group],
        run: &Run<'_>,
    ) -> Result<Outcome> {
        if self.layout().memory_limit.is_some() {
            self.release();
        }
        let limit = self.limit_of_groups(groups, targets);
        let whole: u64 = groups.iter().map(Group::pairs).sum();
        let (large, small): (Vec<&Group>, Vec<&Group>) =
            groups.iter().partition(|group| limit.is_some() || group.pairs() > SMALL);
        let sides = Sides { index: self, corpus, queries, candidates, targets, limit };
        let mut outcome = Outcome { found: with_capacity(targets.caps.len())?, ..Outcome::default() };
        outcome.found.resize(targets.caps.len(), Found::default());
        outcome.starts.resize(queries.len(), f64::NEG_INFINITY);
        let steps = self.steps(queries.len());
        let mut done = 0;
        for group in large {
            let begin = step(steps, done, whole);
            done += group.pairs();
            let part = run.part(begin..step(steps, done, whole), steps, |run| sides.scan(group, run))?;
            outcome.place(part, group, targets);
        }
        let begin = step(steps, done, whole);
        let parts = run.part(begin..steps, steps, |run| {
            run.map(
                small.len(),
                || (),
                |(), item, ticker| {
                    ticker.check()?;
                    sides.scan(small[item], &Run { threads: 1, poll: &|_, _| false, isa: run.isa })
                },
            )
        })?;
        for (part, group) in parts.into_iter().zip(small) {
            outcome.place(part, group, targets);
        }
        Ok(outcome)
    }

    /// The bytes of working memory that a group may take, if there is a limit.
    fn limit_of_groups(&self, groups: &[Group], targets: &Targets) -> Option<usize> {
        let held: usize = groups.iter().map(Group::bytes).sum();
        let answer = targets.caps.len() * targets.depth * size_of::<Scored>();
        self.layout().memory_limit.map(|limit| limit.saturating_sub(held + answer))
    }

    /// Whether every group can be scanned within the memory limit.
    pub(crate) fn has_room_for(&self, groups: &[Group], targets: &Targets, threads: usize) -> bool {
        let Some(limit) = self.limit_of_groups(groups, targets) else { return true };
        groups.iter().all(|group| {
            let rows = group.documents.len();
            let size = ScanSize {
                queries: group.queries.len(),
                result_rows: group.queries.iter().map(|&query| targets.rows_of(query as usize).len()).sum(),
                depth: targets.depth,
                threads,
            };
            Layout::for_corpus(rows, self.width(), self.layout().tile_rows, Some(limit))
                .is_ok_and(|layout| layout.plan(rows, self.width(), &size).is_ok())
        })
    }
}

/// The step that a part of all pairs has reached.
fn step(steps: usize, done: u64, whole: u64) -> usize {
    (steps as u128 * u128::from(done) / u128::from(whole.max(1))) as usize
}

impl Group {
    /// An error of its scan, with the row of the call that it is about.
    fn error(&self, error: Error, queries: &str) -> Error {
        let place = |argument, row: usize| {
            let rows = if argument == queries { &self.queries } else { &self.documents };
            rows[row] as usize
        };
        match error {
            Error::CorpusChanged { row } => Error::CorpusChanged { row: self.documents[row] as usize },
            Error::NonFinite { argument, row, column } => {
                Error::NonFinite { argument, row: place(argument, row), column }
            }
            Error::BeyondFloat32 { argument, row, column } => {
                Error::BeyondFloat32 { argument, row: place(argument, row), column }
            }
            other => other,
        }
    }
}

/// What all groups share.
#[derive(Clone, Copy)]
struct Sides<'a, 'c, 'q, 'r> {
    index: &'a ExactIndex,
    corpus: &'a Rows<'c>,
    queries: &'a Rows<'q>,
    candidates: &'a Candidates<'r>,
    targets: &'a Targets,
    /// Bytes of working memory of a group.
    limit: Option<usize>,
}

impl Sides<'_, '_, '_, '_> {
    /// The results of one group, with its own row numbers.
    fn scan(&self, group: &Group, run: &Run<'_>) -> Result<Outcome> {
        let corpus = self.corpus.pick(&group.documents);
        let queries = self.queries.pick(&group.queries);
        let own = self.index.layout();
        let layout = Layout::for_corpus(corpus.len(), corpus.width(), own.tile_rows, self.limit)?;
        let layout = Layout { pruned: own.pruned, slack: own.slack, ..layout };
        let steps = corpus.len() + self.index.steps(queries.len());
        let picked = Picked { queries: &group.queries, documents: &group.documents };
        let candidates = Candidates { picked: Some(picked), ..*self.candidates };
        let targets = self.targets.pick(group);
        let scanned = || {
            let packed = 0..corpus.len();
            let metric = self.index.metric();
            let index = run.part(packed, steps, |run| ExactIndex::build(&corpus, metric, layout, run))?;
            run.part(corpus.len()..steps, steps, |run| {
                index.scan_all(&corpus, &queries, &candidates, &targets, run)
            })
        };
        scanned().map_err(|error| group.error(error, queries.argument()))
    }
}

impl Targets {
    /// The result rows of the queries of a group.
    fn pick(&self, group: &Group) -> Self {
        let rows = || group.queries.iter().flat_map(|&query| self.rows_of(query as usize));
        let mut offsets = vec![0];
        for &query in &group.queries {
            offsets.push(offsets[offsets.len() - 1] + self.rows_of(query as usize).len());
        }
        let warm = self.warm.as_ref().map(|warm| {
            let mut lists = Lists::default();
            for &query in &group.queries {
                let known = warm.row(query as usize).iter();
                lists.push_row(
                    known.filter_map(|row| group.documents.binary_search(row).ok()).map(|row| row as u32),
                );
            }
            lists
        });
        Self {
            offsets,
            caps: rows().map(|row| self.caps[row]).collect(),
            floors: rows().map(|row| self.floors[row]).collect(),
            depth: self.depth,
            warm,
        }
    }
}

impl Outcome {
    /// Puts the results of a group in their places.
    fn place(&mut self, part: Self, group: &Group, targets: &Targets) {
        self.counters.add([part.counters]);
        self.zero_queries += part.zero_queries;
        let rows = group.queries.iter().flat_map(|&query| targets.rows_of(query as usize));
        for (row, mut found) in rows.zip(part.found) {
            for scored in &mut found.best {
                scored.row = group.documents[scored.row as usize];
            }
            self.found[row] = found;
        }
        for (&query, start) in group.queries.iter().zip(part.starts) {
            self.starts[query as usize] = start;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use negmine_kernels::Isa;
    use proptest::prelude::*;

    use super::super::groups::by_key;
    use super::*;
    use crate::base::key_ranges::KeyRanges;
    use crate::base::matrix::Elements;
    use crate::scoring::score::Metric;

    const WIDTH: usize = 5;

    /// Rows of small integers, so that scores tie, and some of zeros.
    fn rows(n: usize) -> impl Strategy<Value = Array2<f32>> {
        prop::collection::vec(prop::sample::select(vec![-1.0_f32, 0.0, 0.0, 1.0, 2.0]), n * WIDTH)
            .prop_map(move |values| Array2::from_shape_vec((n, WIDTH), values).unwrap())
    }

    proptest! {
        #[test]
        fn groups_give_the_results_of_all_pairs(
            (corpus, keys) in (0_usize..200).prop_flat_map(|n| (rows(n), prop::collection::vec(0_i64..6, n))),
            (queries, own, caps) in (1_usize..40).prop_flat_map(|n| (
                rows(n),
                prop::collection::vec(0_i64..9, n),
                prop::collection::vec(prop::sample::select(vec![0.1, 0.5, f64::INFINITY, f64::NAN]), 2 * n),
            )),
            metric in prop::sample::select(vec![Metric::Cosine, Metric::Ip, Metric::L2]),
            depth in 1_usize..12,
            warm: bool,
            limit in prop::option::of(Just(600_000_usize)),
            threads in 1_usize..3,
        ) {
            let n = queries.nrows();
            // Key 8 is no key at all.
            let highest: Vec<i64> = own.iter().map(|&key| if key == 8 { key - 1 } else { key }).collect();
            let rule = KeyRanges { keys: &keys, offsets: None, lowest: &own, highest: &highest };
            let mut banned = Lists::default();
            let mut earlier = Lists::default();
            for query in 0..n as u32 {
                banned.push_row([query, query + 3].into_iter().filter(|&row| (row as usize) < keys.len()));
                earlier.push_row(query..query + 20);
            }
            let eligible = [rule];
            let candidates = Candidates { banned: &banned, groups: None, eligible: &eligible, picked: None };
            let targets = Targets {
                offsets: (0..=n).map(|query| 2 * query).collect(),
                floors: vec![f64::NEG_INFINITY; caps.len()],
                caps,
                depth,
                warm: warm.then_some(earlier),
            };
            let corpus = Rows::new("corpus", Elements::F32(corpus.view())).unwrap();
            let queries = Rows::new("queries", Elements::F32(queries.view())).unwrap();
            let run = Run { threads, isa: Isa::active().unwrap(), poll: &|_, _| false };
            let layout = Layout::for_corpus(corpus.len(), WIDTH, 64, limit).unwrap();
            let index = ExactIndex::build(&corpus, metric, layout, &run).unwrap();
            let all = index.scan_all(&corpus, &queries, &candidates, &targets, &run).unwrap();
            let groups = by_key(&rule, n, u64::MAX, &run).unwrap().unwrap();
            let grouped = index.scan_groups(&corpus, &queries, &candidates, &targets, &groups, &run).unwrap();
            prop_assert_eq!(grouped.found, all.found);
            prop_assert_eq!(grouped.zero_queries, all.zero_queries);
        }
    }

    #[test]
    fn queries_of_several_keys_are_no_groups() {
        let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false };
        let keys = [1, 2, 2];
        let rule = |lowest: &'static [i64], highest: &'static [i64]| KeyRanges {
            keys: &keys,
            offsets: None,
            lowest,
            highest,
        };
        assert_eq!(by_key(&rule(&[1, 1], &[1, 2]), 2, u64::MAX, &run).unwrap(), None);
        let groups = by_key(&rule(&[2, 7, 2, 1], &[2, 7, 2, 0]), 4, u64::MAX, &run).unwrap().unwrap();
        let expected = [(vec![3], vec![]), (vec![0, 2], vec![1, 2]), (vec![1], vec![])];
        assert_eq!(groups, expected.map(|(queries, documents)| Group { queries, documents }));
        assert_eq!(by_key(&rule(&[2, 7], &[2, 7]), 2, 5, &run).unwrap(), None);
    }
}
