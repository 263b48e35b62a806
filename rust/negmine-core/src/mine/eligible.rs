//! Who is a candidate, rules 1 to 5, and how many documents fall under each; a document counts under the first.

use crate::base::csr::{CsrView, Lists};
use crate::base::error::check_length;
use crate::base::{Error, Result};
use crate::exact::{Candidates, Eligible, GroupRule};

/// The candidate rules as the caller gives them. All row numbers are checked before use.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Rows of known positives per query, rising; -1 for one outside the corpus.
    pub positives: CsrView<'a>,
    /// Further rows that are never candidates, rising.
    pub exclude: Option<CsrView<'a>>,
    /// The document row that is the query itself; -1 for none.
    pub self_rows: Option<&'a [i64]>,
    /// Group of every document; -1 is no group.
    pub groups: Option<&'a [i64]>,
    /// Keys and ranges.
    pub eligible: Option<Eligible<'a>>,
}

/// Documents per rule of one query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Rule 1.
    pub positives: u64,
    /// Rule 2.
    pub excluded: u64,
    /// Rule 3.
    pub itself: u64,
    /// Rule 4.
    pub group: u64,
    /// Rule 5.
    pub ineligible: u64,
}

impl RuleCounts {
    /// Documents that are no candidates.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.positives + self.excluded + self.itself + self.group + self.ineligible
    }
}

/// The rules of all queries, ready for a scan.
#[derive(Debug)]
pub struct Ruled<'a> {
    banned: Lists<u32>,
    forbidden: Lists<i64>,
    /// Rows that share a group with a positive and are not banned already, per query.
    grouped: Lists<u32>,
    rules: Rules<'a>,
    counts: Vec<RuleCounts>,
}

impl<'a> Rules<'a> {
    /// Checks the rules against a corpus of `documents` rows and works out lists and counts.
    ///
    /// # Errors
    /// Lengths that differ, rows out of range, or unsorted lists.
    pub fn resolve(self, documents: usize) -> Result<Ruled<'a>> {
        let queries = self.positives.len();
        self.check(queries, documents)?;
        let members = self.groups.map(Members::new);
        let mut sorted_keys = self.eligible.map(|eligible| eligible.keys.to_vec());
        if let Some(keys) = &mut sorted_keys {
            keys.sort_unstable();
        }
        let mut ruled = Ruled {
            banned: Lists::default(),
            forbidden: Lists::default(),
            grouped: Lists::default(),
            rules: self,
            counts: Vec::with_capacity(queries),
        };
        for i in 0..queries {
            ruled.add_query(i, members.as_ref(), sorted_keys.as_deref());
        }
        Ok(ruled)
    }

    fn check(&self, queries: usize, documents: usize) -> Result<()> {
        self.positives.check_rows("positives", documents, true)?;
        if let Some(exclude) = self.exclude {
            check_length("exclude", queries, exclude.len())?;
            exclude.check_rows("exclude", documents, false)?;
        }
        if let Some(self_rows) = self.self_rows {
            check_length("exclude_self", queries, self_rows.len())?;
            if let Some(&row) = self_rows.iter().find(|&&j| j < -1 || j >= documents as i64) {
                return Err(Error::RowOutOfRange { argument: "exclude_self", row, rows: documents });
            }
        }
        if let Some(groups) = self.groups {
            check_length("groups", documents, groups.len())?;
        }
        if let Some(eligible) = self.eligible {
            eligible.check(queries, documents)?;
        }
        Ok(())
    }
}

impl Ruled<'_> {
    /// The candidates, for a scan.
    #[must_use]
    pub fn candidates(&self) -> Candidates<'_> {
        let groups =
            self.rules.groups.map(|of_document| GroupRule { of_document, forbidden: &self.forbidden });
        Candidates { banned: &self.banned, groups, eligible: self.rules.eligible }
    }

    /// How many documents of query `i` fall under each rule.
    #[must_use]
    pub fn counts(&self, i: usize) -> &RuleCounts {
        &self.counts[i]
    }

    /// Rows of query `i` that rules 1 to 4 take out, rising.
    #[must_use]
    pub fn excluded_rows(&self, i: usize) -> Vec<u32> {
        let mut rows = [self.banned.row(i), self.grouped.row(i)].concat();
        rows.sort_unstable();
        rows
    }

    fn add_query(&mut self, i: usize, members: Option<&Members>, sorted_keys: Option<&[i64]>) {
        let mut counts = RuleCounts::default();
        let positives = self.rules.positives.row(i);
        let inside = &positives[positives.partition_point(|&j| j == -1)..];
        let mut banned: Vec<u32> = inside.iter().map(|&j| j as u32).collect();
        counts.positives = banned.len() as u64;
        if let Some(exclude) = self.rules.exclude {
            banned.extend(exclude.row(i).iter().map(|&j| j as u32));
            banned.sort_unstable();
            banned.dedup();
            counts.excluded = banned.len() as u64 - counts.positives;
        }
        if let Some(self_rows) = self.rules.self_rows
            && let Ok(row) = u32::try_from(self_rows[i])
            && let Err(place) = banned.binary_search(&row)
        {
            banned.insert(place, row);
            counts.itself = 1;
        }
        let mut forbidden: Vec<i64> = Vec::new();
        let mut grouped: Vec<u32> = Vec::new();
        if let (Some(groups), Some(members)) = (self.rules.groups, members) {
            forbidden.extend(inside.iter().map(|&j| groups[j as usize]).filter(|&group| group != -1));
            forbidden.sort_unstable();
            forbidden.dedup();
            for &group in &forbidden {
                grouped.extend(members.of(group).iter().filter(|row| banned.binary_search(row).is_err()));
            }
            grouped.sort_unstable();
            counts.group = grouped.len() as u64;
        }
        if let (Some(eligible), Some(sorted_keys)) = (self.rules.eligible, sorted_keys) {
            let (lowest, highest) = (eligible.lowest[i], eligible.highest[i]);
            let below = sorted_keys.partition_point(|&key| key < lowest);
            let not_above = sorted_keys.partition_point(|&key| key <= highest);
            let admitted = not_above.saturating_sub(below);
            let outside = |row: &&u32| {
                let key = eligible.keys[**row as usize];
                key < lowest || key > highest
            };
            let counted = banned.iter().filter(outside).count() + grouped.iter().filter(outside).count();
            counts.ineligible = (sorted_keys.len() - admitted - counted) as u64;
        }
        self.banned.push_row(banned);
        self.forbidden.push_row(forbidden);
        self.grouped.push_row(grouped);
        self.counts.push(counts);
    }
}

/// The documents of every group.
struct Members {
    /// (group, row), rising.
    pairs: Vec<(i64, u32)>,
    rows: Vec<u32>,
}

impl Members {
    fn new(of_document: &[i64]) -> Self {
        let mut pairs: Vec<(i64, u32)> =
            of_document.iter().zip(0..).map(|(&group, row)| (group, row)).collect();
        pairs.sort_unstable();
        let rows = pairs.iter().map(|&(_, row)| row).collect();
        Self { pairs, rows }
    }

    fn of(&self, group: i64) -> &[u32] {
        let begin = self.pairs.partition_point(|&(other, _)| other < group);
        let end = self.pairs.partition_point(|&(other, _)| other <= group);
        &self.rows[begin..end]
    }
}
