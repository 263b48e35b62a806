//! The auction algorithm for the transportation problem, which gives clusters of exact sizes.
//!
//! Bertsekas and Castañon, "The auction algorithm for the transportation problem", Annals of Operations Research 20,
//! 1989: an auction in which every object has several copies. A cluster holds the rows with the highest bids, up to its
//! capacity, and the price of a full cluster is the lowest bid that it holds. A row without a place bids for the
//! cluster of its list with the highest score minus price; its bid makes that cluster slightly worse than the second
//! best. The row with the lowest bid loses its place and bids in turn. It starts from prices under which few rows are
//! without a place. Rows whose lists do not have enough room could bid forever, so the number of bids is limited, and
//! the remaining rows go to the best cluster with room.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::base::Result;
use crate::base::order::{from_sortable_bits, sortable_bits};
use crate::base::parallel::{Run, Ticker};

use super::candidates::Lists;
use super::prices::two_best;

/// The initial increment of bids above the necessary amount. It doubles a few times while the allowed bids are used up:
/// similar rows raise a price by little more than the increment each time, and a few steps must lift the price above
/// the bids of other rows.
const LEAST_INCREMENT: f32 = 1.0 / (1 << 14) as f32;
const DOUBLINGS: usize = 10;

/// Bids per row, on average, before the auction ends and leaves rows without a place.
const BIDS_PER_ROW: usize = 2;

/// Bids between two checks for an interrupt.
const BIDS_PER_LOOK: usize = 1_024;

/// A bid, ordered as its value, and the row.
type Bid = (Reverse<u32>, u32);

/// The labels of exact sizes when the auction ended, and the rows without a place.
pub(crate) struct Allocation {
    pub(crate) labels: Vec<u32>,
    pub(crate) unassigned: Vec<u32>,
    /// Number of free places per cluster.
    pub(crate) free: Vec<usize>,
}

/// Assigns rows to places by their bids; `labels` are the clusters that rows prefer under the prices.
pub(crate) fn auction(
    lists: &Lists,
    prices: Vec<f32>,
    capacities: &[usize],
    labels: Vec<u32>,
    run: &Run<'_>,
) -> Result<Allocation> {
    // There is a single piece of work, since every bid depends on earlier ones; it can still be interrupted.
    let start = Mutex::new(Some((prices, labels)));
    let mut allocations = run.map(
        1,
        || (),
        |(), _, ticker| {
            let start = start.lock().unwrap_or_else(PoisonError::into_inner).take();
            let (prices, labels) = start.unwrap_or_default();
            run_auction(lists, prices, capacities, labels, ticker)
        },
    )?;
    Ok(allocations.remove(0))
}

fn run_auction(
    lists: &Lists,
    mut prices: Vec<f32>,
    capacities: &[usize],
    mut labels: Vec<u32>,
    ticker: &Ticker<'_>,
) -> Result<Allocation> {
    let mut held: Vec<BinaryHeap<Bid>> =
        capacities.iter().map(|&n| BinaryHeap::with_capacity(n + 1)).collect();
    let mut waiting = VecDeque::new();
    for (row, list) in lists.iter().enumerate() {
        if row.is_multiple_of(BIDS_PER_LOOK) {
            ticker.check()?;
        }
        let (_, place, second) = two_best(list, &prices);
        held[list[place].cluster as usize]
            .push((Reverse(sortable_bits(list[place].score - second)), row as u32));
    }
    for (j, held) in held.iter_mut().enumerate() {
        while held.len() > capacities[j] {
            if held.len().is_multiple_of(BIDS_PER_LOOK) {
                ticker.check()?;
            }
            waiting.extend(held.pop().map(|(_, row)| row));
        }
        raise(&mut prices[j], held, capacities[j]);
    }
    let all_bids = BIDS_PER_ROW * labels.len();
    let mut bids = all_bids;
    while bids > 0
        && let Some(row) = waiting.pop_front()
    {
        let increment = LEAST_INCREMENT * (1_u32 << (DOUBLINGS * (all_bids - bids) / all_bids)) as f32;
        bids -= 1;
        if bids.is_multiple_of(BIDS_PER_LOOK) {
            ticker.check()?;
        }
        let list = lists.row(row);
        let (_, place, second) = two_best(list, &prices);
        let j = list[place].cluster as usize;
        labels[row as usize] = j as u32;
        held[j].push((Reverse(sortable_bits(list[place].score - second + increment)), row));
        if held[j].len() > capacities[j] {
            waiting.extend(held[j].pop().map(|(_, row)| row));
        }
        raise(&mut prices[j], &held[j], capacities[j]);
    }
    let mut unassigned = Vec::from(waiting);
    unassigned.sort_unstable();
    let free = held.iter().zip(capacities).map(|(held, &n)| n - held.len()).collect();
    Ok(Allocation { labels, unassigned, free })
}

/// Sets the price of a full cluster to its lowest bid.
fn raise(price: &mut f32, held: &BinaryHeap<Bid>, capacity: usize) {
    if let (true, Some((Reverse(lowest), _))) = (held.len() == capacity, held.peek()) {
        *price = price.max(from_sortable_bits(*lowest));
    }
}
