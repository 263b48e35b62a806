//! Input and output types of a scan.

use std::ops::Range;

use crate::base::csr::Lists;
use crate::base::key_ranges::{KeyRanges, all_admit};
use crate::base::order::Scored;

/// Documents that share a group with a positive are no candidates: near-duplicates of it.
#[derive(Clone, Copy, Debug)]
pub struct GroupRule<'a> {
    /// Group of every document; -1 is no group.
    pub of_document: &'a [i64],
    /// Per query, the groups of its positives, in ascending order.
    pub forbidden: &'a Lists<i64>,
}

/// The candidates of each query.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// Per query, the rows that are never candidates, in ascending order: positives, exclusions, the query itself.
    pub banned: &'a Lists<u32>,
    /// Groups of positives.
    pub groups: Option<GroupRule<'a>>,
    /// Rules of keys, all of which must admit a candidate.
    pub eligible: &'a [KeyRanges<'a>],
    /// The queries and documents that a scan of a part of them has; the rules number all of them.
    pub picked: Option<Picked<'a>>,
}

/// Some queries and documents, ascending.
#[derive(Clone, Copy, Debug)]
pub struct Picked<'a> {
    /// Rows of queries.
    pub queries: &'a [u32],
    /// Rows of documents.
    pub documents: &'a [u32],
}

impl Candidates<'_> {
    /// Whether document `row` is a candidate of `query`.
    #[must_use]
    pub fn admits(&self, query: usize, row: u32) -> bool {
        let (query, row) = match &self.picked {
            Some(Picked { queries, documents }) => (queries[query] as usize, documents[row as usize]),
            None => (query, row),
        };
        if !all_admit(self.eligible, query, row as usize) {
            return false;
        }
        if self.banned.row(query).binary_search(&row).is_ok() {
            return false;
        }
        self.groups.is_none_or(|groups| {
            let group = groups.of_document[row as usize];
            group == -1 || groups.forbidden.row(query).binary_search(&group).is_err()
        })
    }
}

/// The result rows of every query: one, or one per positive under `reference="each"`.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Result rows of query `i` are `offsets[i]..offsets[i + 1]`.
    pub offsets: Vec<usize>,
    /// Highest score that each result row admits; +inf if there is no cap, NaN if the row needs no documents.
    pub caps: Vec<f64>,
    /// Lowest score that each result row admits; -inf if there is no floor.
    pub floors: Vec<f64>,
    /// Number of documents per result row.
    pub depth: usize,
    /// Per query, documents that may be good, in any order: they only give an initial threshold and are not results by
    /// themselves.
    pub warm: Option<Lists<u32>>,
}

impl Targets {
    /// The result rows of a query.
    pub(crate) fn rows_of(&self, query: usize) -> Range<usize> {
        self.offsets[query]..self.offsets[query + 1]
    }

    /// One result row per query, without floor.
    #[must_use]
    pub fn one_per_query(queries: usize, cap: f64, depth: usize) -> Self {
        Self {
            offsets: (0..=queries).collect(),
            caps: vec![cap; queries],
            floors: vec![f64::NEG_INFINITY; queries],
            depth,
            warm: None,
        }
    }
}

/// The results of one result row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The best documents that pass cap and floor, best first; fewer than the depth only where no more exist.
    pub best: Vec<Scored>,
    /// Candidates above the cap, all of them counted.
    pub above_cap: u64,
}

/// Counts of the work of a scan. They depend on the schedule, so they are for reports and never part of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// (query, document) pairs scored in int8.
    pub scanned: u64,
    /// Pairs that the leading coordinates of a pruned scan did not rule out.
    pub refined: u64,
    /// Pairs that the bound did not rule out.
    pub survivors: u64,
    /// Pairs scored canonically.
    pub rescored: u64,
}

impl Counters {
    pub(crate) fn add(&mut self, parts: impl IntoIterator<Item = Self>) {
        for part in parts {
            self.scanned += part.scanned;
            self.refined += part.refined;
            self.survivors += part.survivors;
            self.rescored += part.rescored;
        }
    }
}

/// The outcome of a scan.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The results of every result row, in order.
    pub found: Vec<Found>,
    /// Queries of norm zero, under cosine.
    pub zero_queries: u64,
    /// Counts of the work.
    pub counters: Counters,
    /// Per query, a score that the result row of the lowest cap must reach; -inf if there is none.
    pub(crate) starts: Vec<f64>,
}
