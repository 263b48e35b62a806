//! Candidate rules 1 to 5 (positives, exclusions, the query itself, groups, keys), and the number of documents under
//! each rule; a document counts under the first rule that applies.

use crate::base::csr::{CsrView, Lists};
use crate::base::error::check_length;
use crate::base::key_ranges::{KeyRanges, all_admit};
use crate::base::memory::{reserve, with_capacity};
use crate::base::parallel::Run;
use crate::base::sort::sort;
use crate::base::{Error, Result};
use crate::exact::{Candidates, GroupRule};

/// The candidate rules as the caller gives them. All row numbers are checked before use.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Rows of known positives per query, in ascending order; -1 for a positive outside the corpus.
    pub positives: CsrView<'a>,
    /// Further rows that are never candidates, in ascending order.
    pub exclude: Option<CsrView<'a>>,
    /// The document row that is the query itself; -1 for none.
    pub self_rows: Option<&'a [i64]>,
    /// Group of every document; -1 is no group.
    pub groups: Option<&'a [i64]>,
    /// Rules of keys, all of which must admit a candidate.
    pub eligible: &'a [KeyRanges<'a>],
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
    /// Number of documents that are not candidates.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.positives + self.excluded + self.itself + self.group + self.ineligible
    }
}

/// Queries whose rules are resolved between two checks for an interrupt.
const QUERIES_PER_ITEM: usize = 256;

/// The rules of all queries, ready for a scan.
#[derive(Debug)]
pub struct Ruled<'a> {
    rules: Rules<'a>,
    per_query: PerQuery,
    /// The documents of every group, which only [`Ruled::excluded_rows`] needs.
    members: Option<Members>,
}

/// The resolved rules of some queries.
#[derive(Debug, Default)]
pub(crate) struct PerQuery {
    banned: Lists<u32>,
    forbidden: Lists<i64>,
    counts: Vec<RuleCounts>,
}

impl<'a> Rules<'a> {
    /// Checks the rules against a corpus of `documents` rows and computes lists and counts.
    ///
    /// # Errors
    /// Returns an error on lengths that differ, rows out of range, unsorted lists, lack of memory, or an interrupt.
    pub fn resolve(self, documents: usize, run: &Run<'_>) -> Result<Ruled<'a>> {
        let queries = self.positives.len();
        self.check(queries, documents)?;
        let members = self.groups.map(|groups| Members::new(groups, self.eligible, run)).transpose()?;
        let by_key =
            self.eligible.iter().map(|ranges| ByKey::new(ranges, run)).collect::<Result<Vec<_>>>()?;
        let parts = run.map(
            queries.div_ceil(QUERIES_PER_ITEM),
            || (),
            |(), item, _| {
                let mut part = PerQuery::default();
                for i in item * QUERIES_PER_ITEM..((item + 1) * QUERIES_PER_ITEM).min(queries) {
                    self.check_query(i, documents)?;
                    part.add(&self, i, members.as_ref(), &by_key);
                }
                Ok(part)
            },
        )?;
        let mut per_query = PerQuery::default();
        for part in parts {
            per_query.banned.append(part.banned)?;
            per_query.forbidden.append(part.forbidden)?;
            reserve(&mut per_query.counts, part.counts.len())?;
            per_query.counts.extend(part.counts);
        }
        Ok(Ruled { rules: self, per_query, members })
    }

    fn check(&self, queries: usize, documents: usize) -> Result<()> {
        if let Some(exclude) = self.exclude {
            check_length("exclude", queries, exclude.len())?;
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
        self.eligible.iter().try_for_each(|ranges| ranges.check(queries, documents))
    }

    fn check_query(&self, i: usize, documents: usize) -> Result<()> {
        self.positives.check_row("positives", i, documents, true)?;
        self.exclude.map_or(Ok(()), |exclude| exclude.check_row("exclude", i, documents, false))
    }
}

impl Ruled<'_> {
    /// The candidates, for a scan.
    #[must_use]
    pub fn candidates(&self) -> Candidates<'_> {
        self.per_query.candidates(&self.rules)
    }

    /// The part that does not refer to the caller's arrays.
    pub(crate) fn into_per_query(self) -> PerQuery {
        self.per_query
    }

    /// Rows of query `i` that rules 1 to 4 exclude, ascending.
    #[must_use]
    pub fn excluded_rows(&self, i: usize) -> Vec<u32> {
        let mut rows = self.per_query.banned.row(i).to_vec();
        if let Some(members) = &self.members {
            for &group in self.per_query.forbidden.row(i) {
                rows.extend(members.of(group).iter().map(|member| member.row));
            }
            rows.sort_unstable();
            rows.dedup();
        }
        rows
    }
}

impl PerQuery {
    /// The candidates under the rules from which this was resolved.
    pub(crate) fn candidates<'a>(&'a self, rules: &Rules<'a>) -> Candidates<'a> {
        let Self { banned, forbidden, .. } = self;
        let groups = rules.groups.map(|of_document| GroupRule { of_document, forbidden });
        Candidates { banned, groups, eligible: rules.eligible, picked: None }
    }

    /// How many documents of query `i` fall under each rule.
    pub(crate) fn counts(&self, i: usize) -> &RuleCounts {
        &self.counts[i]
    }

    fn add(&mut self, rules: &Rules<'_>, i: usize, members: Option<&Members>, by_key: &[ByKey]) {
        let mut counts = RuleCounts::default();
        let positives = rules.positives.row(i);
        let inside = &positives[positives.partition_point(|&j| j == -1)..];
        let mut banned: Vec<u32> = inside.iter().map(|&j| j as u32).collect();
        counts.positives = banned.len() as u64;
        if let Some(exclude) = rules.exclude {
            banned.extend(exclude.row(i).iter().map(|&j| j as u32));
            banned.sort_unstable();
            banned.dedup();
            counts.excluded = banned.len() as u64 - counts.positives;
        }
        if let Some(self_rows) = rules.self_rows
            && let Ok(row) = u32::try_from(self_rows[i])
            && let Err(place) = banned.binary_search(&row)
        {
            banned.insert(place, row);
            counts.itself = 1;
        }
        let mut forbidden: Vec<i64> = Vec::new();
        if let Some(groups) = rules.groups {
            forbidden.extend(inside.iter().map(|&j| groups[j as usize]).filter(|&group| group != -1));
            forbidden.sort_unstable();
            forbidden.dedup();
        }
        let outside = |row: u32| !all_admit(rules.eligible, i, row as usize);
        // Members of groups are counted, not listed: a group may hold most documents. Of those counted, banned ones
        // fall under an earlier rule.
        let mut counted_outside = banned.iter().filter(|&&row| outside(row)).count();
        if let (Some(groups), Some(members), false) = (rules.groups, members, forbidden.is_empty()) {
            let earlier =
                || banned.iter().filter(|&&row| forbidden.binary_search(&groups[row as usize]).is_ok());
            let all: usize = forbidden.iter().map(|&group| members.of(group).len()).sum();
            counts.group = (all - earlier().count()) as u64;
            let all = forbidden.iter().map(|&group| members.outside(group, rules.eligible, i));
            counted_outside += all.sum::<usize>() - earlier().filter(|&&row| outside(row)).count();
        }
        if let Some(first) = by_key.first() {
            let admitted = count_admitted(rules.eligible, by_key, i);
            counts.ineligible = (first.sorted.len() - admitted - counted_outside) as u64;
        }
        self.banned.push_row(banned);
        self.forbidden.push_row(forbidden);
        self.counts.push(counts);
    }
}

/// The documents of one rule, in the order of their keys.
#[derive(Debug)]
struct ByKey {
    sorted: Vec<(i64, u32)>,
}

impl ByKey {
    fn new(ranges: &KeyRanges<'_>, run: &Run<'_>) -> Result<Self> {
        let mut sorted = with_capacity(ranges.keys.len())?;
        sorted.extend(ranges.keys.iter().copied().zip(0..));
        sort(&mut sorted, run)?;
        Ok(Self { sorted })
    }
}

/// How many documents query `i` admits under all rules: those of the rule that admits the fewest are looked at.
fn count_admitted(eligible: &[KeyRanges<'_>], by_key: &[ByKey], i: usize) -> usize {
    let admitted = |rule: usize| eligible[rule].admitted(i, &by_key[rule].sorted, |item| item.0);
    let count = |rule: usize| admitted(rule).map(<[_]>::len).sum::<usize>();
    if eligible.len() == 1 {
        return count(0);
    }
    let fewest = (0..eligible.len()).min_by_key(|&rule| count(rule)).unwrap_or(0);
    admitted(fewest).flatten().filter(|item| all_admit(eligible, i, item.1 as usize)).count()
}

/// The documents of every group.
#[derive(Debug)]
struct Members {
    /// Ascending.
    sorted: Vec<Member>,
}

/// A document of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    group: i64,
    /// The key of the only rule of keys, if there is one.
    key: i64,
    row: u32,
}

impl Members {
    fn new(of_document: &[i64], eligible: &[KeyRanges<'_>], run: &Run<'_>) -> Result<Self> {
        let mut sorted = with_capacity(of_document.len())?;
        sorted.extend(of_document.iter().zip(0..).filter(|(group, _)| **group != -1).map(|(&group, row)| {
            Member { group, key: eligible.first().map_or(0, |ranges| ranges.keys[row as usize]), row }
        }));
        sort(&mut sorted, run)?;
        Ok(Self { sorted })
    }

    fn of(&self, group: i64) -> &[Member] {
        let begin = self.sorted.partition_point(|member| member.group < group);
        let end = begin + self.sorted[begin..].partition_point(|member| member.group == group);
        &self.sorted[begin..end]
    }

    /// How many query `i` does not admit.
    fn outside(&self, group: i64, eligible: &[KeyRanges<'_>], i: usize) -> usize {
        let members = self.of(group);
        match eligible {
            [] => 0,
            [ranges] => {
                members.len()
                    - ranges.admitted(i, members, |member| member.key).map(<[_]>::len).sum::<usize>()
            }
            several => members.iter().filter(|member| !all_admit(several, i, member.row as usize)).count(),
        }
    }
}
