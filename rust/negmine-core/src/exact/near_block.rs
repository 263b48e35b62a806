//! The comparison of a block of rows with a panel of packed ones, for groups of near rows.
//!
//! The rows of a block are compared by groups: the rows of one group skip the other rows of that group by a mask. The
//! near pairs of a panel are thinned out to the first spanning forest of the block's and the panel's rows, given the
//! groups so far.

use std::ops::Range;

use negmine_kernels::dot_i8::{Hit, PANEL, QueryTile, padded_width, scan_panel};

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::memory::push;
use crate::base::parallel::{Run, Ticker};
use crate::base::union_find::Groups;
use crate::scoring::bound::{QueryBound, Slack};
use crate::scoring::pack::Tile;
use crate::scoring::score::Metric;

/// Rows of one group in a block that are compared as a tile of their own, which skips rows of that group by a mask: a
/// block of the kernel.
const LEAST_OF_GROUP: usize = 6;

/// Pairs that are scored between two checks for an interrupt.
pub(crate) const SCORES_PER_CHECK: usize = 256;

/// The least similarity.
#[derive(Clone, Copy)]
pub(crate) struct Threshold {
    least: f32,
    /// A canonical score of at least this rounds to at least the threshold.
    sure: f64,
    /// A canonical score below this rounds to less.
    open: f64,
}

impl Threshold {
    pub(crate) fn new(least: f32) -> Self {
        Self { least, sure: f64::from(least), open: f64::from(least.next_down()) }
    }

    fn admits(&self, score: f64) -> bool {
        score as f32 >= self.least
    }
}

/// The rows that are compared, and what makes them near. A place is the number of a distinct row.
pub(crate) struct Near<'a, 'r> {
    pub(crate) rows: &'a Rows<'r>,
    pub(crate) places: &'a [u32],
    pub(crate) threshold: Threshold,
}

impl Near<'_, '_> {
    /// Quantizes the rows of a block; rows of a group that has several of them are compared together.
    pub(crate) fn block(&self, places: Range<usize>, known: &Known, run: &Run<'_>) -> Result<Block> {
        let (isa, width, first) = (run.isa, self.rows.width(), places.start);
        let leaders = &known.leaders[places.clone()];
        let mut order: Vec<u16> = (0..places.len() as u16).collect();
        order.sort_by_key(|&number| leaders[usize::from(number)]);
        let mut together = vec![0; places.len()];
        let mut tiles = vec![GroupTile { leader: None, queries: QueryTile::new(width), members: Vec::new() }];
        for own in order.chunk_by(|a, b| leaders[usize::from(*a)] == leaders[usize::from(*b)]) {
            for number in own {
                together[usize::from(*number)] = own[0];
            }
            if own.len() < LEAST_OF_GROUP {
                tiles[0].members.extend(own);
            } else {
                let leader = Some(leaders[usize::from(own[0])]);
                tiles.push(GroupTile { leader, queries: QueryTile::new(width), members: own.to_vec() });
            }
        }
        let (mut row, mut codes) = (vec![0.0; width], vec![0; padded_width(width)]);
        let mut bounds: Vec<Option<QueryBound>> = vec![None; places.len()];
        for tile in &mut tiles {
            tile.members.sort_unstable();
            for &number in &tile.members {
                let place = self.places[first + usize::from(number)] as usize;
                let row = self.rows.finite_row(isa, place, &mut row)?;
                let bound = QueryBound::of(Metric::Cosine, Slack::CERTIFIED, isa, row, &mut codes);
                let (weights, threshold) = (bound.weights(), bound.threshold(self.threshold.open, 1.0));
                tile.queries.push(&codes, weights.error, weights.norm, 0.0, threshold);
                bounds[usize::from(number)] = Some(bound);
            }
        }
        tiles.retain(|tile| !tile.members.is_empty());
        Ok(Block { first, bounds: bounds.into_iter().flatten().collect(), tiles, together })
    }
}

/// A tile of packed places whose first panel has the number `base`.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'t> {
    pub(crate) tile: &'t Tile,
    pub(crate) base: usize,
}

/// A block of consecutive places.
pub(crate) struct Block {
    pub(crate) first: usize,
    bounds: Vec<QueryBound>,
    pub(crate) tiles: Vec<GroupTile>,
    /// For every place of the block, the number of the first one in the same group.
    together: Vec<u16>,
}

/// The places of a block that are compared together.
pub(crate) struct GroupTile {
    /// The group of all of them, whose other rows are skipped.
    pub(crate) leader: Option<u32>,
    queries: QueryTile,
    /// Their numbers in the block, ascending.
    members: Vec<u16>,
}

/// The groups as of the last update; rows that were connected later are compared in vain, but nothing else changes.
pub(crate) struct Known {
    leaders: Vec<u32>,
    /// The group of all places of a panel, if it is one.
    pub(crate) of_panel: Vec<Option<u32>>,
}

impl Known {
    pub(crate) fn of(groups: &mut Groups) -> Self {
        let leaders = groups.leaders();
        let common = |panel: &[u32]| panel.iter().all(|leader| *leader == panel[0]).then_some(panel[0]);
        let of_panel = leaders.chunks(PANEL).map(common).collect();
        Self { leaders, of_panel }
    }

    /// The places of a panel that are not in a group.
    fn outside(&self, panel: usize, leader: u32) -> u64 {
        let begin = panel * PANEL;
        let leaders = &self.leaders[begin..self.leaders.len().min(begin + PANEL)];
        leaders.iter().enumerate().fold(0, |mask, (lane, other)| mask | u64::from(*other != leader) << lane)
    }
}

/// Pairs of places that reach the threshold, the lower one in the high half; and the number of pairs that were looked
/// at one by one.
#[derive(Default)]
pub(crate) struct Pairs {
    pub(crate) near: Vec<u64>,
    pub(crate) hits: usize,
}

/// The buffers of one thread that compares a block with panels.
pub(crate) struct Comparer<'a, 'r> {
    near: &'a Near<'a, 'r>,
    block: &'a Block,
    known: &'a Known,
    run: &'a Run<'a>,
    hits: Vec<Hit>,
    of_tile: Vec<Hit>,
    /// A forest over the block's places and the panel's: the number of a place in the same tree, and its own at the root.
    trees: Vec<u16>,
    buffers: [Vec<f32>; 2],
    scored: usize,
}

impl<'a, 'r> Comparer<'a, 'r> {
    pub(crate) fn new(near: &'a Near<'a, 'r>, block: &'a Block, known: &'a Known, run: &'a Run<'a>) -> Self {
        let width = near.rows.width();
        Self {
            near,
            block,
            known,
            run,
            hits: Vec::new(),
            of_tile: Vec::new(),
            trees: Vec::new(),
            buffers: [vec![0.0; width], vec![0.0; width]],
            scored: 0,
        }
    }

    /// Adds the pairs of the block and one panel that reach the threshold, without those that close a circle.
    pub(crate) fn compare(
        &mut self,
        packed: Packed<'_>,
        panel: usize,
        found: &mut Pairs,
        ticker: &Ticker<'_>,
    ) -> Result<()> {
        let (block, begin) = (self.block, panel * PANEL);
        let mut view = packed.tile.view(panel - packed.base);
        let valid = view.valid & (u64::MAX << block.first.saturating_sub(begin).min(PANEL - 1));
        self.hits.clear();
        for group in &block.tiles {
            let mask = group.leader.map_or(u64::MAX, |leader| self.known.outside(panel, leader));
            view.valid = valid & mask;
            if view.valid == 0 {
                continue;
            }
            self.of_tile.clear();
            scan_panel(self.run.isa, &group.queries, view, &mut self.of_tile);
            let in_block = |hit: &Hit| Hit { query: group.members[hit.query as usize].into(), ..*hit };
            self.hits.extend(self.of_tile.iter().map(in_block));
        }
        if self.hits.is_empty() {
            return Ok(());
        }
        if block.tiles.len() > 1 {
            self.hits.sort_unstable_by_key(|hit| (hit.query, hit.lane));
        }
        found.hits += self.hits.len();
        self.thin_out(packed, panel, found, ticker)
    }

    /// The hits of a panel, in ascending order of pairs: those of earlier pairs decide which later ones are needed.
    fn thin_out(
        &mut self,
        packed: Packed<'_>,
        panel: usize,
        found: &mut Pairs,
        ticker: &Ticker<'_>,
    ) -> Result<()> {
        let (block, begin) = (self.block, panel * PANEL);
        let own = block.together.len();
        self.trees.clear();
        self.trees.extend_from_slice(&block.together);
        self.trees.extend(own as u16..(own + PANEL) as u16);
        let bounds = &packed.tile.panels()[panel - packed.base];
        let hits = std::mem::take(&mut self.hits);
        for hit in &hits {
            let (query, lane) = (hit.query as usize, hit.lane as usize);
            let (a, b) = (block.first + query, begin + lane);
            if b <= a || self.known.leaders[a] == self.known.leaders[b] {
                continue;
            }
            let [x, y] = [root(&mut self.trees, query), root(&mut self.trees, own + lane)];
            if x == y {
                continue;
            }
            let document = bounds.document(lane);
            let (low, high) = block.bounds[query].interval(hit.dot, &document);
            let threshold = self.near.threshold;
            let near = low >= threshold.sure
                || (high >= threshold.open
                    && threshold.admits(self.score(a, b, block.bounds[query].qq, document.dd, ticker)?));
            if near {
                self.trees[usize::from(x.max(y))] = x.min(y);
                push(&mut found.near, (a as u64) << 32 | b as u64)?;
            }
        }
        self.hits = hits;
        Ok(())
    }

    fn score(&mut self, a: usize, b: usize, qq: f64, dd: f64, ticker: &Ticker<'_>) -> Result<f64> {
        if self.scored.is_multiple_of(SCORES_PER_CHECK) {
            ticker.check()?;
        }
        self.scored += 1;
        let [first, second] = &mut self.buffers;
        let row = |place: usize| self.near.places[place] as usize;
        let q = self.near.rows.row(self.run.isa, row(a), first);
        let d = self.near.rows.row(self.run.isa, row(b), second);
        Ok(Metric::Cosine.finish(Metric::Cosine.sum(self.run.isa, q, d), qq, dd))
    }
}

/// The root of a tree; shortens the way to it.
fn root(trees: &mut [u16], mut place: usize) -> u16 {
    while usize::from(trees[place]) != place {
        let above = trees[usize::from(trees[place])];
        trees[place] = above;
        place = above.into();
    }
    place as u16
}
