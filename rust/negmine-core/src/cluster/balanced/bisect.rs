//! Balanced clusters by recursive bisection: the tree of NGAME (Dahiya et al., "NGAME: negative mining-aware
//! mini-batching for extreme classification", WSDM 2023; the splitter is that of the authors' code), with exact sizes
//! for any number of clusters.
//!
//! A node of k clusters is split into ceil(k / 2) and floor(k / 2) of them, and its rows in proportion, so that the
//! sizes of all leaves differ by at most one. A split is k-means of two centroids with given sizes: rows are ordered by
//! (closer to the second, row), the first so many go left, and centroids are the normed sums of both sides; until the
//! mean score of a row with its own centroid gains less than `LEAST_GAIN`. It starts from two rows, drawn by the node's
//! number in the tree, so a split is a pure function of its rows and does not depend on the schedule. Leaves are
//! numbered from left to right: neighbors in number are neighbors in the tree.

use std::sync::Mutex;

use negmine_kernels::isa::Isa;
use negmine_kernels::quantize::quantize_row;
use negmine_kernels::rows_i8::dot_rows_i8;

use crate::base::Result;
use crate::base::parallel::{Pace, Run, Ticker};
use crate::base::philox::{Draws, Stream, below};
use crate::base::sort::nth;

use super::quantized_rows::{Codes, Sum, norm};

/// A split stops when the mean score gains less than this.
const LEAST_GAIN: f64 = 1e-4;

/// Rounds of a split at most.
const ROUNDS: usize = 20;

/// Nodes with more rows are split one after the other, each by all threads; smaller ones each by one thread.
const LARGE: usize = 16_384;

/// Rows of a large node that one piece of work takes.
const ROWS_PER_ITEM: usize = 4_096;

/// Rows of a sample, and the least rows of sampled nodes: most rounds only find the approximate direction.
const SAMPLE: usize = 2_048;
const LEAST_SAMPLED: usize = 4 * SAMPLE;

/// Rows between two checks for an interrupt.
const ROWS_PER_CHECK: usize = 1_024;

/// Checks for an interrupt.
type Check<'a> = &'a dyn Fn() -> Result<()>;

/// Part of the tree that is not split yet.
struct Node {
    /// Ascending.
    rows: Vec<u32>,
    /// Number of leaves below, and the number of the first one.
    clusters: usize,
    first: usize,
    /// 1 for the root; 2 i and 2 i + 1 below node i.
    number: u64,
    /// The sum of its rows.
    whole: Vec<i64>,
}

/// The cluster of every row, in tree order.
pub(crate) fn bisect(codes: &Codes, clusters: usize, seed: u64, run: &Run<'_>) -> Result<Vec<u32>> {
    let draws = Draws::new(seed, Stream::Seeding);
    let rows: Vec<u32> = (0..codes.len() as u32).collect();
    let whole = sum_in_parallel(codes, &rows, run)?;
    let mut nodes = vec![Node { rows, clusters, first: 0, number: 1, whole }];
    while let Some(large) = nodes.iter().position(|node| node.clusters > 1 && node.rows.len() > LARGE) {
        let mut splitter = Splitter::new(codes, run.isa);
        let node = nodes.swap_remove(large);
        splitter.start(&node, &draws, &|| run.tick(0, 1))?;
        while splitter.round_in_parallel(&node, run)? {}
        nodes.extend(splitter.parts(&node));
    }
    // Large nodes come first, so that threads end together.
    nodes.sort_unstable_by_key(|node| (std::cmp::Reverse(node.rows.len()), node.number));
    let waiting: Vec<Mutex<Option<Node>>> = nodes.into_iter().map(|node| Mutex::new(Some(node))).collect();
    let parts = run.map(
        waiting.len(),
        || Splitter::new(codes, run.isa),
        |splitter, item, ticker| {
            let node = waiting[item].lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let mut leaves = Vec::new();
            splitter.finish(node, &draws, ticker, &mut leaves)?;
            Ok(leaves)
        },
    )?;
    let mut labels = vec![0; codes.len()];
    let mut pace = Pace::new(run);
    for (leaf, rows) in parts.into_iter().flatten() {
        for row in rows {
            pace.step(1)?;
            labels[row as usize] = leaf as u32;
        }
    }
    Ok(labels)
}

/// The sum of some rows, by all threads.
fn sum_in_parallel(codes: &Codes, rows: &[u32], run: &Run<'_>) -> Result<Vec<i64>> {
    let parts = run.map(
        rows.len().div_ceil(ROWS_PER_ITEM),
        || (),
        |(), item, ticker| {
            ticker.check()?;
            let mut sum = Sum::new(codes.width());
            for &row in rows.iter().skip(item * ROWS_PER_ITEM).take(ROWS_PER_ITEM) {
                sum.add(run.isa, codes, row);
            }
            Ok(sum)
        },
    )?;
    let mut whole = Sum::new(codes.width());
    for mut part in parts {
        whole.merge(&mut part);
    }
    Ok(whole.total().to_vec())
}

/// Clusters and rows of the left part.
fn left_part(clusters: usize, rows: usize) -> (usize, usize) {
    let left = clusters.div_ceil(2);
    let (base, extra) = (rows / clusters, rows % clusters);
    (left, left * base + (extra * left).div_ceil(clusters))
}

/// The state of one thread that splits nodes.
struct Splitter<'a> {
    codes: &'a Codes,
    isa: Isa,
    /// Number of rows that go left, and number of all rows.
    n_left: usize,
    left: Sum,
    /// Whether each row of the node is on the left.
    is_left: Vec<bool>,
    keys: Vec<(i64, u32)>,
    order: Vec<(i64, u32)>,
    dots: Vec<i32>,
    direction: Vec<i8>,
    score: f64,
    rounds: usize,
}

impl<'a> Splitter<'a> {
    fn new(codes: &'a Codes, isa: Isa) -> Self {
        let width = codes.width();
        Self {
            codes,
            isa,
            n_left: 0,
            left: Sum::new(width),
            is_left: Vec::new(),
            keys: Vec::new(),
            order: Vec::new(),
            dots: Vec::new(),
            direction: vec![0; width],
            score: f64::NEG_INFINITY,
            rounds: 0,
        }
    }

    /// Splits a node until only leaves are left.
    fn finish(
        &mut self,
        node: Option<Node>,
        draws: &Draws,
        ticker: &Ticker<'_>,
        leaves: &mut Vec<(usize, Vec<u32>)>,
    ) -> Result<()> {
        let mut waiting = Vec::from_iter(node);
        while let Some(node) = waiting.pop() {
            ticker.check()?;
            if node.clusters == 1 {
                leaves.push((node.first, node.rows));
                continue;
            }
            self.start(&node, draws, &|| ticker.check())?;
            while self.round(&node.rows, &node.whole, &|| ticker.check())? {}
            waiting.extend(self.parts(&node));
        }
        Ok(())
    }

    /// Sets the initial direction from two rows of the node; in a large node, rounds on a sample improve it.
    fn start(&mut self, node: &Node, draws: &Draws, check: Check<'_>) -> Result<()> {
        let n = node.rows.len();
        let (_, n_left) = left_part(node.clusters, n);
        let a = below(draws.by_number(0, node.number, None, 0), n as u64);
        let b = (a + 1 + below(draws.by_number(0, node.number, None, 1), n as u64 - 1)) % n as u64;
        let [first, second] = [a, b].map(|place| {
            let mut sum = Sum::new(self.codes.width());
            sum.add(self.isa, self.codes, node.rows[place as usize]);
            sum.total().to_vec()
        });
        self.point(&first, &second);
        if n >= LEAST_SAMPLED {
            let sample: Vec<u32> = node.rows.iter().copied().step_by(n / SAMPLE).collect();
            let mut whole = Sum::new(self.codes.width());
            for &row in &sample {
                whole.add(self.isa, self.codes, row);
            }
            self.reset((n_left * sample.len() / n).max(1), sample.len());
            while self.round(&sample, whole.total(), check)? {}
        }
        self.reset(n_left, n);
        Ok(())
    }

    fn reset(&mut self, n_left: usize, n: usize) {
        self.n_left = n_left;
        self.left.clear();
        self.is_left.clear();
        self.is_left.resize(n, false);
        self.score = f64::NEG_INFINITY;
        self.rounds = 0;
    }

    /// Sets the direction from the first centroid to the second.
    fn point(&mut self, first: &[i64], second: &[i64]) {
        let inverse = |x: &[i64]| if x.iter().all(|&x| x == 0) { 0.0 } else { 1.0 / norm(x) };
        let (a, b) = (inverse(first), inverse(second));
        let difference: Vec<f32> =
            first.iter().zip(second).map(|(&x, &y)| (y as f64 * b - x as f64 * a) as f32).collect();
        quantize_row(self.isa, &difference, 1.0, &mut self.direction);
    }

    /// Runs one round over rows of that sum; returns whether another round is worthwhile.
    fn round(&mut self, rows: &[u32], whole: &[i64], check: Check<'_>) -> Result<bool> {
        let codes = self.codes;
        self.dots.resize(rows.len(), 0);
        dot_rows_i8(self.isa, &self.direction, codes.all(), codes.stride(), rows, &mut self.dots);
        self.divide(rows, check)?;
        Ok(self.go_on(rows.len(), whole))
    }

    /// Runs one round with all threads.
    fn round_in_parallel(&mut self, node: &Node, run: &Run<'_>) -> Result<bool> {
        let (codes, isa, direction) = (self.codes, self.isa, &self.direction);
        let chunks: Vec<&[u32]> = node.rows.chunks(ROWS_PER_ITEM).collect();
        let parts = run.map(
            chunks.len(),
            || (),
            |(), item, ticker| {
                ticker.check()?;
                let mut dots = vec![0; chunks[item].len()];
                dot_rows_i8(isa, direction, codes.all(), codes.stride(), chunks[item], &mut dots);
                Ok(dots)
            },
        )?;
        self.dots = run.concat(parts)?;
        self.divide(&node.rows, &|| run.tick(chunks.len(), chunks.len()))?;
        Ok(self.go_on(node.rows.len(), &node.whole))
    }

    /// Sends the rows of the lowest keys to the left.
    fn divide(&mut self, rows: &[u32], check: Check<'_>) -> Result<()> {
        self.keys.clear();
        let keys = rows.iter().zip(&self.dots).enumerate();
        self.keys.extend(
            keys.map(|(i, (&row, &dot))| (i64::from(self.codes.factor(row)) * i64::from(dot), i as u32)),
        );
        self.order.clone_from(&self.keys);
        let last = nth(&mut self.order, self.n_left - 1, check)?;
        for (i, key) in self.keys.iter().enumerate() {
            if i.is_multiple_of(ROWS_PER_CHECK) {
                check()?;
            }
            let is_left = *key <= last;
            if is_left != self.is_left[i] {
                self.is_left[i] = is_left;
                if is_left {
                    self.left.add(self.isa, self.codes, rows[i]);
                } else {
                    self.left.subtract(self.isa, self.codes, rows[i]);
                }
            }
        }
        Ok(())
    }

    fn go_on(&mut self, n: usize, whole: &[i64]) -> bool {
        let left = self.left.total();
        let right: Vec<i64> = whole.iter().zip(left).map(|(all, left)| all - left).collect();
        let score = (norm(left) + norm(&right)) * self.codes.unit / n as f64;
        let gain = score - self.score;
        self.score = score;
        self.rounds += 1;
        if gain < LEAST_GAIN || self.rounds == ROUNDS {
            return false;
        }
        let left = left.to_vec();
        self.point(&left, &right);
        true
    }

    /// Both parts of a node, the right one first, as it is the later one in a stack.
    fn parts(&mut self, node: &Node) -> [Node; 2] {
        let (clusters, n_left) = left_part(node.clusters, node.rows.len());
        let mut left = Vec::with_capacity(n_left);
        let mut right = Vec::with_capacity(node.rows.len() - n_left);
        for (&row, &is_left) in node.rows.iter().zip(&self.is_left) {
            if is_left { left.push(row) } else { right.push(row) }
        }
        let number = 2 * node.number;
        let sum = self.left.total();
        let whole = node.whole.iter().zip(sum).map(|(all, left)| all - left).collect();
        [
            Node {
                rows: right,
                clusters: node.clusters - clusters,
                first: node.first + clusters,
                number: number + 1,
                whole,
            },
            Node { rows: left, clusters, first: node.first, number, whole: sum.to_vec() },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of the leaves below a node.
    fn sizes(clusters: usize, rows: usize, out: &mut Vec<usize>) {
        if clusters == 1 {
            out.push(rows);
            return;
        }
        let (left, n_left) = left_part(clusters, rows);
        sizes(left, n_left, out);
        sizes(clusters - left, rows - n_left, out);
    }

    #[test]
    fn leaves_differ_by_one_row_at_most() {
        for rows in 1..=70 {
            for clusters in 1..=rows {
                let mut all = Vec::new();
                sizes(clusters, rows, &mut all);
                assert_eq!(all.len(), clusters);
                assert_eq!(all.iter().sum::<usize>(), rows);
                let (least, most) = (all.iter().min(), all.iter().max());
                assert!(*most.unwrap_or(&0) <= least.unwrap_or(&0) + 1, "{rows} rows, {clusters}: {all:?}");
            }
        }
    }
}
