//! Near-duplicates by cosine: the groups of rows that are connected by pairs whose similarity reaches a threshold.
//!
//! The result is the first spanning forest of these pairs in ascending order, that is, the pairs that Kruskal's
//! algorithm keeps if it meets all pairs by lower row, then by higher row. A pair matters only if no earlier pairs
//! connect its rows. Blocks of rows, in ascending order, are therefore compared only with later rows of other groups,
//! and one large group of near-equal rows costs time linear in its rows: the first block connects it, and all its other
//! pairs are skipped, a panel at a time. Within a block, the pairs of every panel are thinned out to a forest of their
//! own, so that a block's pairs take memory linear in rows; they are then merged in order.
//!
//! Pairs are compared in int8 under the certified bound, and scored canonically only where the bound leaves it open
//! whether they reach the threshold.

use std::ops::Range;

use negmine_kernels::dot_i8::PANEL;

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::memory::{push, reserve, with_capacity};
use crate::base::parallel::Run;
use crate::base::sort::sort;
use crate::base::union_find::{Groups, Link, sort_links};
use crate::scoring::bound::Slack;
use crate::scoring::pack::Tile;
use crate::scoring::score::Metric;

use super::copies::{Distinct, distinct};
use super::near_block::{Block, Comparer, Known, Near, Packed, Pairs, SCORES_PER_CHECK, Threshold};
use super::near_plan::{BLOCK, NearPlan};

/// Pieces of work per thread and block, so that threads end together.
const ITEMS_PER_THREAD: usize = 4;

/// The fewest panels of a piece of work.
const PANELS_PER_ITEM: usize = 4;

/// Pairs that are joined between two checks for an interrupt.
const JOINS_PER_CHECK: usize = 1 << 16;

/// Pairs of a result that are scored as one piece of work.
const LINKS_PER_ITEM: usize = 1024;

/// The progress of a call: the search for copies, the packing, the scan, and the scores of the result.
const COPIES: Range<usize> = 0..50;
const PACKING: Range<usize> = 50..100;
const SCAN: Range<usize> = 100..990;
const SCORES: Range<usize> = 990..1000;
const STEPS: usize = 1000;

/// Near-duplicates.
#[derive(Clone, Debug, Default)]
pub struct NearGroups {
    /// The first row of every row's group; -1 for a row without near-duplicates.
    pub groups: Vec<i64>,
    /// The pairs that connect groups, one fewer than rows in each, in ascending order, with similarities that are
    /// rounded to float32. A copy of an earlier row is connected with the first row of the same values; the others are
    /// the first pairs in ascending order that connect the remaining rows.
    pub links: Vec<Link>,
}

/// Finds the groups of rows that are connected by pairs whose cosine, rounded to float32, is at least `threshold`.
/// Rows of zeros are similar to no row.
///
/// # Errors
/// Returns an error on a value that is not finite, more memory than the limit, lack of memory, or an interrupt.
pub fn near_groups(
    rows: &Rows<'_>,
    threshold: f32,
    memory_limit: Option<usize>,
    run: &Run<'_>,
) -> Result<NearGroups> {
    let plan = NearPlan::new(rows.len(), rows.width(), run.threads, memory_limit)?;
    let run = &Run { threads: plan.threads, ..*run };
    let Distinct { rows: places, copies } = run.part(COPIES, STEPS, |run| distinct(rows, run))?;
    let near = Near { rows, places: &places, threshold: Threshold::new(threshold) };
    let search = Search { near, plan };
    let pairs = search.forest(run)?;
    run.part(SCORES, STEPS, |run| {
        let mut links = search.score(&pairs, run)?;
        drop(pairs);
        reserve(&mut links, copies.len())?;
        links.extend(copies);
        let links = sort_links(links, run)?;
        let mut groups = Groups::new(rows.len());
        for (i, link) in links.iter().enumerate() {
            if i.is_multiple_of(JOINS_PER_CHECK) {
                run.tick(STEPS, STEPS)?;
            }
            groups.join(link.a, link.b);
        }
        Ok(NearGroups { groups: groups.keys(), links })
    })
}

/// The search of one call.
struct Search<'a, 'r> {
    near: Near<'a, 'r>,
    plan: NearPlan,
}

impl Search<'_, '_> {
    /// The first spanning forest of the places, in ascending order.
    fn forest(&self, run: &Run<'_>) -> Result<Vec<u64>> {
        let n = self.near.places.len();
        let all = if self.plan.resident {
            Some(run.part(PACKING, STEPS, |run| self.pack(0..n, run))?)
        } else {
            None
        };
        let mut groups = Groups::new(n);
        let mut known = Known::of(&mut groups);
        let (mut forest, mut hits) = (Vec::new(), 0_usize);
        run.part(SCAN, STEPS, |run| {
            for first in (0..n).step_by(BLOCK) {
                let end = n.min(first + BLOCK);
                let mut found = run.part(first..end, n, |run| {
                    let block = self.near.block(first..end, &known, run)?;
                    self.compare(&block, &known, all.as_ref(), run)
                })?;
                run.part(end..end, n, |run| sort(&mut found.near, run))?;
                for (i, &pair) in found.near.iter().enumerate() {
                    if i.is_multiple_of(JOINS_PER_CHECK) {
                        run.tick(end, n)?;
                    }
                    if groups.join((pair >> 32) as u32, pair as u32) {
                        push(&mut forest, pair)?;
                    }
                }
                hits += found.hits;
                // An update costs about as much as it saves.
                if hits >= n {
                    known = Known::of(&mut groups);
                    hits = 0;
                }
            }
            Ok(forest)
        })
    }

    fn pack(&self, places: Range<usize>, run: &Run<'_>) -> Result<Tile> {
        let row_of = |place: usize| self.near.places[place] as usize;
        Tile::pack_some(self.near.rows, places, &row_of, Metric::Cosine, Slack::CERTIFIED, run)
    }

    /// Compares a block with its own and all later places, except those of panels that are in its only group.
    fn compare(&self, block: &Block, known: &Known, all: Option<&Tile>, run: &Run<'_>) -> Result<Pairs> {
        let n = self.near.places.len();
        let only = match &block.tiles[..] {
            [tile] => tile.leader,
            _ => None,
        };
        let needed = |panel: &usize| only.is_none() || known.of_panel[*panel] != only;
        let mut found = Pairs::default();
        // Blocks and tiles start at multiples of a panel, so that panels are numbered from the first place of all.
        for begin in (block.first..n).step_by(self.plan.tile_rows.next_multiple_of(PANEL)) {
            let end = n.min(begin.saturating_add(self.plan.tile_rows.next_multiple_of(PANEL)));
            let panels: Vec<usize> = (begin / PANEL..end.div_ceil(PANEL)).filter(needed).collect();
            if panels.is_empty() {
                continue;
            }
            run.part(begin - block.first..end - block.first, n - block.first, |run| {
                if let Some(tile) = all {
                    return self.compare_panels(
                        block,
                        known,
                        Packed { tile, base: 0 },
                        &panels,
                        &mut found,
                        run,
                    );
                }
                let tile = &self.pack(begin..end, run)?;
                let packed = Packed { tile, base: begin / PANEL };
                self.compare_panels(block, known, packed, &panels, &mut found, run)
            })?;
        }
        Ok(found)
    }

    /// Compares a block with some panels of a tile.
    fn compare_panels(
        &self,
        block: &Block,
        known: &Known,
        packed: Packed<'_>,
        panels: &[usize],
        found: &mut Pairs,
        run: &Run<'_>,
    ) -> Result<()> {
        let items = if run.threads == 1 { 1 } else { run.threads * ITEMS_PER_THREAD };
        let per_item = panels.len().div_ceil(items).max(PANELS_PER_ITEM);
        let parts = run.map(
            panels.len().div_ceil(per_item),
            || Comparer::new(&self.near, block, known, run),
            |comparer, item, ticker| {
                let mut found = Pairs::default();
                for &panel in panels.iter().skip(item * per_item).take(per_item) {
                    ticker.check()?;
                    comparer.compare(packed, panel, &mut found, ticker)?;
                }
                Ok(found)
            },
        )?;
        reserve(&mut found.near, parts.iter().map(|part| part.near.len()).sum())?;
        for part in parts {
            found.near.extend(part.near);
            found.hits += part.hits;
        }
        Ok(())
    }

    /// The pairs of a forest as links of rows.
    fn score(&self, pairs: &[u64], run: &Run<'_>) -> Result<Vec<Link>> {
        let parts = run.map(
            pairs.len().div_ceil(LINKS_PER_ITEM),
            || [vec![0.0; self.near.rows.width()], vec![0.0; self.near.rows.width()]],
            |[first, second], item, ticker| {
                let own = &pairs[item * LINKS_PER_ITEM..pairs.len().min((item + 1) * LINKS_PER_ITEM)];
                let mut links = with_capacity(own.len())?;
                for (i, &pair) in own.iter().enumerate() {
                    if i.is_multiple_of(SCORES_PER_CHECK) {
                        ticker.check()?;
                    }
                    let [a, b] =
                        [(pair >> 32) as u32, pair as u32].map(|place| self.near.places[place as usize]);
                    let (q, d) = (
                        self.near.rows.row(run.isa, a as usize, first),
                        self.near.rows.row(run.isa, b as usize, second),
                    );
                    let norm = |row| Metric::Cosine.squared_norm(run.isa, row);
                    let score = Metric::Cosine.finish(Metric::Cosine.sum(run.isa, q, d), norm(q), norm(d));
                    links.push(Link { a, b, similarity: f64::from(score as f32) + 0.0 });
                }
                Ok(links)
            },
        )?;
        let mut links = with_capacity(pairs.len())?;
        links.extend(parts.into_iter().flatten());
        Ok(links)
    }
}
