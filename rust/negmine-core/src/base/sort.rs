//! Parallel merge sort, and selection of one place of the order (Hoare, CACM 4, 1961), that can be interrupted.

use std::sync::{Mutex, PoisonError};

use super::Result;
use super::memory::{copied, with_capacity};
use super::parallel::{Run, Ticker};

/// Items that are sorted, or merged, between two checks for an interrupt: some milliseconds.
const AT_ONCE: usize = 1 << 17;

/// Sorts ascending; equal items must be interchangeable. A large input takes as much memory again.
///
/// # Errors
/// Returns an error on lack of memory, or an interrupt.
pub(crate) fn sort<T: Ord + Copy + Send + Sync>(items: &mut Vec<T>, run: &Run<'_>) -> Result<()> {
    let slots: Vec<_> = items.chunks_mut(AT_ONCE).map(Mutex::new).collect();
    run.map(
        slots.len(),
        || (),
        |(), item, _| {
            slots[item].lock().unwrap_or_else(PoisonError::into_inner).sort_unstable();
            Ok(())
        },
    )?;
    drop(slots);
    let (n, mut sorted) = (items.len(), AT_ONCE);
    let mut merged = if sorted < n { copied(items)? } else { Vec::new() };
    while sorted < n {
        let slots: Vec<_> = merged.chunks_mut(2 * sorted).map(Mutex::new).collect();
        run.map(
            slots.len(),
            || (),
            |(), item, ticker| {
                let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
                let begin = item * 2 * sorted;
                let (a, b) = items[begin..begin + slot.len()].split_at(sorted.min(slot.len()));
                merge(a, b, &mut slot, ticker)
            },
        )?;
        drop(slots);
        std::mem::swap(items, &mut merged);
        sorted *= 2;
    }
    Ok(())
}

/// Sorts ascending and removes repeats, within one piece of work.
///
/// # Errors
/// Returns an error on lack of memory, or an interrupt.
pub(crate) fn sort_distinct<T: Ord + Copy>(items: &mut Vec<T>, ticker: &Ticker<'_>) -> Result<()> {
    let (n, mut sorted) = (items.len(), AT_ONCE);
    let mut merged = with_capacity(if sorted < n { n } else { 0 })?;
    for part in items.chunks_mut(AT_ONCE) {
        ticker.check()?;
        part.sort_unstable();
        if sorted < n {
            merged.extend_from_slice(part);
        }
    }
    while sorted < n {
        for (part, out) in items.chunks(2 * sorted).zip(merged.chunks_mut(2 * sorted)) {
            let (a, b) = part.split_at(sorted.min(part.len()));
            merge(a, b, out, ticker)?;
        }
        std::mem::swap(items, &mut merged);
        sorted *= 2;
    }
    drop(merged);
    let mut kept = 0;
    for begin in (0..n).step_by(AT_ONCE) {
        ticker.check()?;
        for i in begin..n.min(begin + AT_ONCE) {
            if kept == 0 || items[i] != items[kept - 1] {
                items[kept] = items[i];
                kept += 1;
            }
        }
    }
    items.truncate(kept);
    Ok(())
}

/// Places of a sample at equal steps, of which one divides the items that a place is selected from.
const SAMPLE: usize = 1 << 10;

/// The item at place `n` of the ascending order; no two items may be equal. Afterwards, the items are in another order
/// and may be fewer.
///
/// # Errors
/// Returns an error if the call is interrupted.
pub(crate) fn nth<T: Ord + Copy>(
    items: &mut Vec<T>,
    mut n: usize,
    check: &dyn Fn() -> Result<()>,
) -> Result<T> {
    while items.len() > AT_ONCE {
        let mut sample: Vec<T> = items.iter().step_by(items.len() / SAMPLE).copied().collect();
        let place = (n as u128 * sample.len() as u128 / items.len() as u128) as usize;
        // The least item divides nothing.
        let (_, &mut pivot, _) = sample.select_nth_unstable(place.max(1));
        let mut below = 0;
        for i in 0..items.len() {
            if i.is_multiple_of(AT_ONCE) {
                check()?;
            }
            if items[i] < pivot {
                items.swap(i, below);
                below += 1;
            }
        }
        if n < below {
            items.truncate(below);
        } else {
            items.drain(..below);
            n -= below;
        }
    }
    check()?;
    Ok(*items.select_nth_unstable(n).1)
}

/// Merges two sorted runs into `out`.
fn merge<'a, T: Ord + Copy>(
    mut a: &'a [T],
    mut b: &'a [T],
    out: &mut [T],
    ticker: &Ticker<'_>,
) -> Result<()> {
    for out in out.chunks_mut(AT_ONCE) {
        ticker.check()?;
        for to in out {
            let from = match (a.first(), b.first()) {
                (Some(x), Some(y)) if y < x => &mut b,
                (None, _) => &mut b,
                _ => &mut a,
            };
            if let Some((first, rest)) = from.split_first() {
                (*to, *from) = (*first, rest);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use negmine_kernels::isa::Isa;

    use super::*;
    use crate::base::Error;
    use crate::base::philox::SplitMix;

    #[test]
    fn items_are_sorted_whatever_their_number() {
        let run = Run { threads: 2, isa: Isa::active().unwrap(), poll: &|_, _| false };
        for n in [0, 1, 7, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE + 5, 4 * AT_ONCE] {
            let mut random = SplitMix(n as u64);
            let mut items: Vec<(u64, usize)> = (0..n).map(|i| (random.draw() % 1000, i)).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            let unsorted = items.clone();
            sort(&mut items, &run).unwrap();
            assert!(items == expected, "{n} items");
            let numbers = |items: &[(u64, usize)]| items.iter().map(|item| item.0).collect::<Vec<_>>();
            let distinct = run.map(
                1,
                || numbers(&unsorted),
                |items, _, ticker| sort_distinct(items, ticker).map(|()| std::mem::take(items)),
            );
            let mut expected = numbers(&expected);
            expected.dedup();
            assert!(distinct == Ok(vec![expected]), "{n} items without repeats");
        }
    }

    #[test]
    fn a_place_is_that_of_the_sorted_items() {
        for n in [1, 2, 100, AT_ONCE + 1, 3 * AT_ONCE] {
            let mut random = SplitMix(n as u64);
            for most in [2, u64::MAX] {
                let items: Vec<(u64, usize)> = (0..n).map(|i| (random.draw() % most, i)).collect();
                let mut sorted = items.clone();
                sorted.sort_unstable();
                for place in [0, 1, n / 3, n / 2, n - 1].map(|place| place.min(n - 1)) {
                    for items in [&items, &sorted] {
                        assert_eq!(
                            nth(&mut items.clone(), place, &|| Ok(())),
                            Ok(sorted[place]),
                            "{n}, {place}"
                        );
                    }
                }
            }
        }
        let stop = || Err(Error::Interrupted);
        assert_eq!(nth(&mut vec![3, 1, 2], 0, &stop), Err(Error::Interrupted));
    }

    #[test]
    fn sorting_is_interrupted() {
        let stop = Run { threads: 2, isa: Isa::active().unwrap(), poll: &|_, _| true };
        assert_eq!(sort(&mut vec![1; AT_ONCE + 1], &stop), Err(Error::Interrupted));
    }
}
