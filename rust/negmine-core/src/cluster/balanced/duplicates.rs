//! Identical rows, for copies that are more than a cluster holds.
//!
//! Prices cannot separate identical rows: they value every cluster equally. Bisection, which breaks ties by row,
//! already puts most copies into clusters of their own. The remaining copies are gathered here, so that such clusters
//! can be excluded from refinement.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};

use super::quantized_rows::Codes;
use crate::base::Result;
use crate::base::parallel::{Pace, Run};
use crate::cluster::members::members;

/// The clusters that do not consist of copies of one row, in ascending order.
///
/// # Errors
/// Returns an error if the call is interrupted.
pub(crate) fn mixed(codes: &Codes, labels: &[u32], clusters: usize, run: &Run<'_>) -> Result<Vec<u32>> {
    let groups = members(labels, clusters, run)?;
    let mut pace = Pace::new(run);
    let mut mixed = Vec::new();
    for j in 0..clusters {
        let own = groups.row(j);
        for &row in own {
            pace.step(4 + codes.width() / 16)?;
            if key(codes, row) != key(codes, own[0]) {
                mixed.push(j as u32);
                break;
            }
        }
    }
    Ok(mixed)
}

/// The key that copies of a row share.
fn key(codes: &Codes, row: u32) -> (i16, &[i8]) {
    (codes.factor(row), codes.row(row))
}

/// Exchanges rows of the open clusters until all copies that can fill a cluster fill one; sizes do not change.
///
/// # Errors
/// Returns an error if the call is interrupted.
pub(crate) fn gather(
    codes: &Codes,
    labels: &mut [u32],
    open: &[u32],
    clusters: usize,
    run: &Run<'_>,
) -> Result<()> {
    let groups = members(labels, clusters, run)?;
    let mut pace = Pace::new(run);
    let mut copies: HashMap<(i16, &[i8]), Vec<u32>> = HashMap::new();
    // The place of every row among the members of its cluster.
    let mut places = vec![0_u32; labels.len()];
    for &j in open {
        for (place, &row) in groups.row(j as usize).iter().enumerate() {
            pace.step(32 + codes.width() / 4)?;
            places[row as usize] = place as u32;
            copies.entry(key(codes, row)).or_default().push(row);
        }
    }
    let least = open.iter().map(|&j| groups.row(j as usize).len()).min().unwrap_or(0);
    let mut many: Vec<Vec<u32>> = copies.into_values().filter(|rows| rows.len() >= least).collect();
    // HashMap iteration order is unspecified; sort for determinism.
    many.sort_unstable();
    let mut members: Vec<Vec<u32>> = (0..clusters).map(|j| groups.row(j).to_vec()).collect();
    for rows in many {
        let mut by_cluster: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for &row in &rows {
            pace.step(8)?;
            by_cluster.entry(labels[row as usize]).or_default().push(row);
        }
        // The cluster with the most copies is filled first, from the cluster with the fewest.
        let mut order: Vec<(u32, Vec<u32>)> = by_cluster.into_iter().collect();
        order.sort_by_key(|(j, own)| (Reverse(own.len()), *j));
        let mut order = VecDeque::from(order);
        let mut left = rows.len();
        while let Some((j, own)) = order.pop_front() {
            left = match left.checked_sub(members[j as usize].len()) {
                Some(rest) if !own.is_empty() => rest,
                _ => break,
            };
            for place in 0..members[j as usize].len() {
                let row = members[j as usize][place];
                pace.step(4 + codes.width() / 16)?;
                if key(codes, row) == key(codes, rows[0]) {
                    continue;
                }
                while order.back().is_some_and(|(_, copies)| copies.is_empty()) {
                    order.pop_back();
                }
                let Some((other, copies)) = order.back_mut() else { break };
                let Some(copy) = copies.pop() else { break };
                members[j as usize][place] = copy;
                members[*other as usize][places[copy as usize] as usize] = row;
                places.swap(row as usize, copy as usize);
                labels.swap(row as usize, copy as usize);
            }
        }
    }
    Ok(())
}
