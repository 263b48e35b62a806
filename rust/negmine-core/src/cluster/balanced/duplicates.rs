//! Copies: rows that are alike, more of them than a cluster holds.
//!
//! No price parts equals: what one of them bids the others bid as well. Bisection, whose ties go by row, already puts most
//! of them in clusters of their own. What it left over among others is put together here, so that such clusters can be
//! set aside.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};

use super::quantized_rows::Codes;
use crate::cluster::members::members;

/// The clusters that are not all copies of one row, rising.
pub(crate) fn mixed(codes: &Codes, labels: &[u32], clusters: usize) -> Vec<u32> {
    let groups = members(labels, clusters);
    let is_mixed = |j: &u32| {
        let own = groups.row(*j as usize);
        own.iter().any(|&row| key(codes, row) != key(codes, own[0]))
    };
    (0..clusters as u32).filter(is_mixed).collect()
}

/// What is the same for copies.
fn key(codes: &Codes, row: u32) -> (i16, &[i8]) {
    (codes.factor(row), codes.row(row))
}

/// Exchanges rows of the open clusters until copies that could fill a cluster do; sizes stay.
pub(crate) fn gather(codes: &Codes, labels: &mut [u32], open: &[u32], clusters: usize) {
    let groups = members(labels, clusters);
    let mut copies: HashMap<(i16, &[i8]), Vec<u32>> = HashMap::new();
    for &j in open {
        for &row in groups.row(j as usize) {
            copies.entry(key(codes, row)).or_default().push(row);
        }
    }
    let least = open.iter().map(|&j| groups.row(j as usize).len()).min().unwrap_or(0);
    let mut many: Vec<Vec<u32>> = copies.into_values().filter(|rows| rows.len() >= least).collect();
    // The order of a hash map is nobody's.
    many.sort_unstable();
    let mut members: Vec<Vec<u32>> = (0..clusters).map(|j| groups.row(j).to_vec()).collect();
    for rows in many {
        let mut by_cluster: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for &row in &rows {
            by_cluster.entry(labels[row as usize]).or_default().push(row);
        }
        // The cluster with most copies is filled first, from the one with fewest.
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
                if key(codes, row) == key(codes, rows[0]) {
                    continue;
                }
                while order.back().is_some_and(|(_, copies)| copies.is_empty()) {
                    order.pop_back();
                }
                let Some((other, copies)) = order.back_mut() else { break };
                let Some(copy) = copies.pop() else { break };
                members[j as usize][place] = copy;
                for member in members[*other as usize].iter_mut().filter(|member| **member == copy) {
                    *member = row;
                }
                labels.swap(row as usize, copy as usize);
            }
        }
    }
}
