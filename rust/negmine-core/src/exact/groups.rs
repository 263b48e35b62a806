//! Groups of a scan: queries that admit one key each, and the documents of that key.
//!
//! If a rule of keys gives every query at most one key, only the documents of that key are its candidates, and all other
//! pairs need not be scanned. Whether this pays is a matter of counts: pairs within groups, and documents that have to be
//! packed again, since the documents of a group are no range of rows.

use std::collections::HashMap;

use crate::base::Result;
use crate::base::key_ranges::{Admitted, KeyRanges};
use crate::base::memory::with_capacity;
use crate::base::parallel::Run;

/// The fewest queries of a scan for which the keys of all documents are counted.
const LEAST_QUERIES: usize = 64;

/// Pairs that take as long as packing a document, and as an index of a group beyond its documents.
const PAIRS_PER_DOCUMENT: u64 = 2_000;
const PAIRS_PER_GROUP: u64 = 20_000;

/// Keys looked at between two checks for an interrupt.
const KEYS_PER_CHECK: usize = 1 << 16;

/// The queries and documents of one key. Queries without a key are a group without documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Ascending rows of queries.
    pub(crate) queries: Vec<u32>,
    /// Ascending rows of documents.
    pub(crate) documents: Vec<u32>,
}

impl Group {
    /// The cost of its scan, in pairs.
    pub(crate) fn pairs(&self) -> u64 {
        pairs(self.queries.len(), self.documents.len())
    }

    /// Bytes of the rows.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<u32>() * (self.queries.len() + self.documents.len())
    }
}

/// The cost of an index of its own for so many queries and documents, in pairs.
fn pairs(queries: usize, documents: usize) -> u64 {
    (queries as u64 + PAIRS_PER_DOCUMENT) * documents as u64 + PAIRS_PER_GROUP
}

/// The groups of a scan, if one of the rules gives every query at most one key and a scan by groups takes at most half
/// as long as one of all pairs.
///
/// # Errors
/// Returns an error on lack of memory, or an interrupt.
pub(crate) fn groups(rules: &[KeyRanges<'_>], queries: usize, run: &Run<'_>) -> Result<Option<Vec<Group>>> {
    if queries < LEAST_QUERIES {
        return Ok(None);
    }
    for rule in rules {
        let most = queries as u64 * rule.keys.len() as u64 / 2;
        if let Some(groups) = by_key(rule, queries, most, run)? {
            return Ok(Some(groups));
        }
    }
    Ok(None)
}

/// The groups of one rule, if every query admits at most one key and their scans cost at most so many pairs.
pub(crate) fn by_key(
    rule: &KeyRanges<'_>,
    queries: usize,
    most_pairs: u64,
    run: &Run<'_>,
) -> Result<Option<Vec<Group>>> {
    let mut numbers: HashMap<i64, usize> = HashMap::new();
    let mut members: Vec<Vec<u32>> = vec![Vec::new()];
    for query in 0..queries {
        let number = match rule.admitted_keys(query) {
            Admitted::Several => return Ok(None),
            Admitted::None => 0,
            Admitted::One(key) => *numbers.entry(key).or_insert(members.len()),
        };
        if number == members.len() {
            members.push(Vec::new());
        }
        members[number].push(query as u32);
    }
    let mut counts = vec![0; members.len()];
    each_document(rule, &numbers, run, |number, _| counts[number] += 1)?;
    let grouped: u64 = members.iter().zip(&counts).map(|(queries, &count)| pairs(queries.len(), count)).sum();
    if grouped > most_pairs {
        return Ok(None);
    }
    let mut groups = with_capacity(members.len())?;
    for (queries, count) in members.into_iter().zip(counts) {
        groups.push(Group { queries, documents: with_capacity(count)? });
    }
    each_document(rule, &numbers, run, |number, row| groups[number].documents.push(row))?;
    groups.retain(|group: &Group| !group.queries.is_empty());
    Ok(Some(groups))
}

/// Calls `visit` with the group and the row of every document that a query admits.
fn each_document(
    rule: &KeyRanges<'_>,
    numbers: &HashMap<i64, usize>,
    run: &Run<'_>,
    mut visit: impl FnMut(usize, u32),
) -> Result<()> {
    for (part, keys) in rule.keys.chunks(KEYS_PER_CHECK).enumerate() {
        run.tick(0, 1)?;
        for (row, key) in (part * KEYS_PER_CHECK..).zip(keys) {
            if let Some(&number) = numbers.get(key) {
                visit(number, row as u32);
            }
        }
    }
    Ok(())
}
