//! Refinement of balanced clusters: k-means with a price per cluster.
//!
//! A step moves centers to the means of their rows, scores rows, moves prices until sizes are about even, and assigns
//! every row to its best cluster. Scoring every row with every center is most of the cost, so some steps consider only
//! the clusters that the last full search found. Only the final sizes must be exact; an auction makes them so. (Fixed
//! sizes make the offset of squared distances a price like any other.)

use crate::base::parallel::Run;
use crate::base::stages::{stage, still};
use crate::base::{Error, Result};

use super::auction::{Allocation, auction};
use super::candidates::{Lists, best_free};
use super::centroids_i8::Centers;
use super::duplicates::{gather, mixed};
use super::prices::balance;
use super::quantized_rows::Codes;

/// The trade-off between time and quality of a balanced clustering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Bisection alone.
    Fast,
    /// Bisection, then a few rounds of refinement.
    Default,
    /// Bisection, then refinement until the remaining gain is small.
    High,
}

/// The clusters that a step considers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// All clusters.
    Full,
    /// Those of the last full step.
    Short,
}

use Step::{Full, Short};

/// Steps before the last one, which is full. A search finds more after a step has moved the centers of the bisection,
/// and a short step after it costs less than another search.
fn steps(quality: Quality) -> &'static [Step] {
    match quality {
        Quality::Fast => &[],
        Quality::Default => &[Short, Full, Short, Short],
        Quality::High => &[Short, Full, Short, Full, Short, Full, Short, Full, Short],
    }
}

/// Rounds of prices in a step, and in the last.
const ROUNDS: usize = 2;
const LAST_ROUNDS: usize = 7;

/// Stages that progress counts.
pub(crate) fn stages(quality: Quality) -> usize {
    if quality == Quality::Fast { 0 } else { steps(quality).len() + 1 }
}

/// Improves labels without changing sizes; `stages` are the number of its first stage and how many there are in all.
///
/// Clusters that are all copies of one row are excluded, and the others are refined.
pub(crate) fn refine(
    codes: &Codes,
    clusters: usize,
    mut labels: Vec<u32>,
    quality: Quality,
    stages: (usize, usize),
    run: &Run<'_>,
) -> Result<Vec<u32>> {
    let open = still(run, stages.0, stages.1, |run| {
        let open = mixed(codes, &labels, clusters, run)?;
        if open.len() == clusters {
            return Ok::<_, Error>(open);
        }
        gather(codes, &mut labels, &open, clusters, run)?;
        mixed(codes, &labels, clusters, run)
    })?;
    if open.len() == clusters {
        return refine_all(codes, clusters, labels, quality, stages, run);
    }
    if open.len() < 2 {
        return Ok(labels);
    }
    let mut place = vec![u32::MAX; clusters];
    for (i, &j) in open.iter().enumerate() {
        place[j as usize] = i as u32;
    }
    let rows: Vec<u32> =
        (0..labels.len() as u32).filter(|&row| place[labels[row as usize] as usize] != u32::MAX).collect();
    let own = rows.iter().map(|&row| place[labels[row as usize] as usize]).collect();
    let some = still(run, stages.0, stages.1, |run| codes.only(&rows, run))?;
    let refined = refine_all(&some, open.len(), own, quality, stages, run)?;
    for (&row, &label) in rows.iter().zip(&refined) {
        labels[row as usize] = open[label as usize];
    }
    Ok(labels)
}

/// Improves labels without changing sizes; no cluster may consist of copies of one row; its stages start with number
/// `first` of `all`.
fn refine_all(
    codes: &Codes,
    clusters: usize,
    mut labels: Vec<u32>,
    quality: Quality,
    (first, all): (usize, usize),
    run: &Run<'_>,
) -> Result<Vec<u32>> {
    let mut capacities = vec![0; clusters];
    for &label in &labels {
        capacities[label as usize] += 1;
    }
    let mut centers = Centers::new(codes, clusters);
    let mut lists = still(run, first, all, |run| Lists::around(&labels, clusters, run))?;
    let mut prices = Vec::new();
    let steps = steps(quality);
    for (number, step) in steps.iter().chain([&Full]).enumerate() {
        let last = number == steps.len();
        stage(run, first + number, all, |run| {
            centers.update(codes, &labels, run)?;
            if prices.is_empty() {
                prices = centers.half_norms();
            }
            lists.rescore(codes, &centers, &labels, run)?;
            if *step == Full {
                lists.search(codes, &centers, &prices, &labels, run)?;
            }
            let rounds = if last { LAST_ROUNDS } else { ROUNDS };
            labels = balance(&lists, &mut prices, &capacities, rounds, run)?;
            Ok::<(), Error>(())
        })?;
    }
    let Allocation { mut labels, unassigned, mut free } =
        still(run, first + steps.len() + 1, all, |run| auction(&lists, prices, &capacities, labels, run))?;
    for row in unassigned {
        still(run, first + steps.len() + 1, all, |run| run.tick(0, 1))?;
        let cluster = best_free(codes, &centers, &free, row, run.isa);
        labels[row as usize] = cluster as u32;
        free[cluster] -= 1;
    }
    Ok(labels)
}
