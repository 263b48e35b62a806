//! Candidates by group.

use std::ops::Range;

use crate::base::memory::{reserve, zeros};
use crate::base::parallel::Run;
use crate::base::{Error, Result};

/// Items between two checks for an interrupt.
pub(super) const ITEMS_PER_CHECK: usize = 1 << 16;

/// Numbers of the candidates, group after group, in ascending order within each.
#[derive(Debug)]
pub(super) struct Groups {
    offsets: Vec<usize>,
    items: Vec<u32>,
}

impl Groups {
    /// Sorts candidates into `groups` groups. An item is no candidate if its score is -inf or its label is -1; without
    /// labels all items are of group 0.
    pub(super) fn new(
        items: usize,
        scores: Option<&[f64]>,
        labels: Option<&[i64]>,
        groups: usize,
        run: &Run<'_>,
    ) -> Result<Self> {
        let group = |item: usize| {
            let out = scores.is_some_and(|scores| scores[item] == f64::NEG_INFINITY);
            let label = labels.map_or(0, |labels| labels[item]);
            if out || label < 0 { None } else { Some(label as usize) }
        };
        // Offsets are one place ahead while they count, and at their own place once groups are filled.
        let mut offsets: Vec<usize> = Vec::new();
        reserve(&mut offsets, groups + 2)?;
        offsets.resize(groups + 2, 0);
        for item in 0..items {
            if item % ITEMS_PER_CHECK == 0 {
                run.tick(0, 1)?;
            }
            check_score(scores, item)?;
            check_label(labels, item, groups)?;
            if let Some(group) = group(item) {
                offsets[group + 2] += 1;
            }
        }
        for place in 2..offsets.len() {
            offsets[place] += offsets[place - 1];
        }
        let mut sorted = zeros::<u32>(offsets[groups + 1])?;
        for item in 0..items {
            if item % ITEMS_PER_CHECK == 0 {
                run.tick(0, 1)?;
            }
            if let Some(group) = group(item) {
                let place = &mut offsets[group + 1];
                sorted[*place] = item as u32;
                *place += 1;
            }
        }
        offsets.pop();
        Ok(Self { offsets, items: sorted })
    }

    /// Number of groups.
    pub(super) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn range(&self, group: usize) -> Range<usize> {
        self.offsets[group]..self.offsets[group + 1]
    }

    /// The candidates of a group.
    pub(super) fn of(&self, group: usize) -> &[u32] {
        &self.items[self.range(group)]
    }

    /// The candidates of all groups.
    pub(super) fn all(&self) -> &[u32] {
        &self.items
    }
}

fn check_score(scores: Option<&[f64]>, item: usize) -> Result<()> {
    match scores.map(|scores| scores[item]) {
        Some(score) if score.is_nan() || score == f64::INFINITY => Err(Error::Value {
            argument: "scores",
            rule: "finite, or -inf for items that are not candidates",
            got: format!("{score} at row {item}"),
        }),
        _ => Ok(()),
    }
}

fn check_label(labels: Option<&[i64]>, item: usize, groups: usize) -> Result<()> {
    match labels.map(|labels| labels[item]) {
        Some(label) if label < -1 || label >= groups as i64 => Err(Error::Value {
            argument: "groups",
            rule: "numbers of groups, from 0, or -1 for items that are not candidates",
            got: format!("{label} at row {item}, with {groups} groups"),
        }),
        _ => Ok(()),
    }
}
