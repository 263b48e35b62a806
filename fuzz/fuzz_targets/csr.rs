//! Ragged lists: offsets are accepted exactly if they are those of lists, and what is accepted is read as written out.
#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use negmine_core::base::csr::{CsrView, Offsets};
use negmine_core::base::key_ranges::{KeyRanges, all_admit};
use negmine_core::batch::{BatchRules, InBatch};
use negmine_fuzz::run;
use negmine_kernels::Isa;

/// Lists as a caller passes them, right or wrong.
#[derive(Debug)]
struct Ragged {
    offsets: Vec<i64>,
    items: Vec<i64>,
    rows: usize,
}

impl<'a> Arbitrary<'a> for Ragged {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let rows = bytes.int_in_range(0..=6)?;
        let mut offsets = vec![0_i64];
        for _ in 0..rows {
            offsets.push(offsets[offsets.len() - 1] + i64::from(bytes.arbitrary::<u8>()? % 4));
        }
        let entries = offsets[offsets.len() - 1] as usize;
        let mut items = Vec::new();
        for _ in 0..entries {
            items.push(i64::from(bytes.arbitrary::<i8>()? % 12));
        }
        let ascending = bytes.ratio(3, 4)?;
        if ascending {
            for ends in offsets.windows(2) {
                items[ends[0] as usize..ends[1] as usize].sort_unstable();
            }
        }
        // One fault at most hides no other.
        match bytes.arbitrary::<u8>()? {
            0..16 => offsets[bytes.choose_index(rows + 1)?] = bytes.arbitrary()?,
            16..24 => drop(offsets.pop()),
            24..32 => offsets.push(bytes.arbitrary()?),
            32..40 => drop(items.pop()),
            40..48 => items.push(bytes.arbitrary()?),
            48..56 if !items.is_empty() => items[bytes.choose_index(entries)?] = bytes.arbitrary()?,
            56..60 => offsets.iter_mut().for_each(|offset| *offset += 1),
            60..64 => offsets.clear(),
            _ => {}
        }
        Ok(Self { offsets, items, rows })
    }
}

impl Ragged {
    /// The lists, read one by one from an iterator; None if the offsets are not theirs.
    fn lists(&self) -> Option<Vec<Vec<i64>>> {
        let mut items = self.items.iter().copied();
        let (mut lists, mut place) = (Vec::new(), *self.offsets.first()?);
        if place != 0 || self.offsets.len() != self.rows + 1 {
            return None;
        }
        for &end in &self.offsets[1..] {
            let mut list = Vec::new();
            while place < end {
                list.push(items.next()?);
                place += 1;
            }
            if place > end {
                return None;
            }
            lists.push(list);
        }
        if items.next().is_some() { None } else { Some(lists) }
    }

    /// A view of the lists, compared with them.
    fn view(&self) -> Option<(CsrView<'_>, Vec<Vec<i64>>)> {
        let lists = self.lists();
        let view = CsrView::new("lists", &self.offsets, &self.items, self.rows);
        assert_eq!(view.is_ok(), lists.is_some(), "accepted: {view:?}");
        let (view, lists) = (view.ok()?, lists?);
        assert_eq!((view.len(), view.is_empty()), (lists.len(), lists.is_empty()));
        assert_eq!(view.entries(), lists.iter().map(Vec::len).sum::<usize>());
        let mut place = 0;
        for (row, list) in lists.iter().enumerate() {
            assert_eq!(view.row(row), list);
            for _ in list {
                assert_eq!(view.holding(place), row);
                place += 1;
            }
        }
        Some((view, lists))
    }

    /// Owned offsets, which take the number of lists from their length.
    fn owned(&self) {
        let same = Self {
            rows: self.offsets.len().saturating_sub(1),
            ..Self { items: self.items.clone(), offsets: self.offsets.clone(), rows: 0 }
        };
        let (offsets, lists) = (Offsets::new("lists", &self.offsets, self.items.len()), same.lists());
        assert_eq!(offsets.is_ok(), lists.is_some());
        let (Ok(offsets), Some(lists)) = (offsets, lists) else { return };
        for width in [1, 2] {
            let mut array: Vec<i64> =
                self.items.iter().flat_map(|item| std::iter::repeat_n(*item, width)).collect();
            let parts = offsets.split(&mut array, width);
            let mut count = 0;
            for (part, list) in parts.zip(&lists) {
                assert!(part.chunks(width).map(|entry| entry[0]).eq(list.iter().copied()));
                count += 1;
            }
            assert_eq!(count, lists.len());
        }
        let ranges: Vec<usize> = offsets.ranges().map(|range| range.len()).collect();
        assert!(ranges.iter().copied().eq(lists.iter().map(Vec::len)));
        assert_eq!(offsets.entries(), self.items.len());
    }
}

/// Whether a list is strictly ascending and within a limit, but for leading -1 with `outside`.
fn is_row(list: &[i64], limit: usize, outside: bool) -> bool {
    let list: Vec<i64> =
        if outside { list.iter().copied().skip_while(|item| *item == -1).collect() } else { list.to_vec() };
    list.iter().all(|item| (0..limit as i64).contains(item)) && list.windows(2).all(|pair| pair[0] < pair[1])
}

#[derive(Arbitrary, Debug)]
struct Case {
    lists: Ragged,
    limit: u8,
    outside: bool,
    highest: Vec<i8>,
    keys: [i8; 5],
    documents: [i8; 5],
    queries: [bool; 6],
    groups: Option<[i8; 5]>,
    excludes: bool,
}

/// Rules of keys: the lists are the lowest keys.
fn check_keys(case: &Case) -> Option<()> {
    let keys = case.keys.map(|key| i64::from(key) % 12);
    let lows = &case.lists.items;
    let highest: Vec<i64> = if case.highest.len() == lows.len() + 1 {
        case.highest.iter().map(|key| i64::from(*key)).collect()
    } else {
        let more = |place: usize| case.highest.get(place).map_or(0, |more| i64::from(*more) % 3);
        lows.iter().enumerate().map(|(place, low)| low.saturating_add(more(place))).collect()
    };
    let rule = KeyRanges { keys: &keys, offsets: Some(&case.lists.offsets), lowest: lows, highest: &highest };
    let lists = case.lists.lists().filter(|_| highest.len() == lows.len());
    let mut highs = highest.iter().copied();
    let ranges: Option<Vec<Vec<(i64, i64)>>> = lists
        .map(|lists| lists.iter().map(|list| list.iter().copied().zip(highs.by_ref()).collect()).collect());
    let are_rules = ranges.as_ref().is_some_and(|ranges| {
        let of_query = |own: &Vec<(i64, i64)>| {
            own.iter().all(|(low, high)| low <= high) && own.windows(2).all(|pair| pair[0].1 < pair[1].0)
        };
        ranges.iter().all(of_query)
    });
    assert_eq!(rule.check(case.lists.rows, keys.len()).is_ok(), are_rules, "{rule:?}");
    if !are_rules {
        return None;
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    for (query, own) in ranges?.iter().enumerate() {
        let admits = |key: i64| own.iter().any(|(low, high)| (*low..=*high).contains(&key));
        for (row, key) in keys.iter().enumerate() {
            assert_eq!(rule.admits(query, *key), admits(*key));
            assert_eq!(all_admit(&[rule], query, row), admits(*key));
        }
        let parts: Vec<i64> = rule.admitted(query, &sorted, |key| *key).flatten().copied().collect();
        assert!(parts.iter().copied().eq(sorted.iter().copied().filter(|key| admits(*key))));
    }
    Some(())
}

/// Masks of a batch: the lists are positives, and exclusions too.
fn check_masks(case: &Case, view: CsrView<'_>, lists: &[Vec<i64>]) {
    let n = lists.len();
    let queries: Vec<i64> = case.queries[..n].iter().map(|present| if *present { 3 } else { -1 }).collect();
    let documents = case.documents.map(|row| i64::from(row).rem_euclid(10) - 1);
    let groups = case.groups.map(|groups| groups.map(|group| i64::from(group).rem_euclid(4) - 1));
    let of_positives: Vec<i64> = view.items().iter().map(|row| row.rem_euclid(4) - 1).collect();
    let rules = BatchRules {
        queries: &queries,
        documents: &documents,
        positives: view,
        exclude: case.excludes.then_some(view),
        groups: groups.as_ref().map(|groups| (&groups[..], &of_positives[..])),
        eligible: &[],
    };
    let run = run(Isa::Scalar);
    let batch = InBatch::new(rules, &run);
    let outside = !case.excludes;
    assert_eq!(batch.is_ok(), lists.iter().all(|list| is_row(list, usize::MAX >> 1, outside)));
    let Ok(batch) = batch else { return };
    let dense = batch.dense(&run).expect("a mask of thirty entries");
    let sparse = batch.lists(&run).expect("lists of five entries");
    for (query, list) in lists.iter().enumerate() {
        let groups_of = |entry: usize| of_positives[view.range(query)][entry];
        let masked = |place: usize| {
            let row = documents[place];
            let near = |groups: &[i64; 5]| {
                (0..list.len()).any(|entry| groups_of(entry) >= 0 && groups_of(entry) == groups[place])
            };
            queries[query] < 0 || row < 0 || list.contains(&row) || groups.as_ref().is_some_and(near)
        };
        let expected: Vec<bool> = (0..documents.len()).map(masked).collect();
        assert_eq!(dense[query * documents.len()..][..documents.len()], expected);
        let places: Vec<i64> = (0..5).filter(|place| expected[*place as usize]).collect();
        assert_eq!(sparse.row(query), places);
    }
}

fuzz_target!(|case: Case| {
    case.lists.owned();
    if let Some((view, lists)) = case.lists.view() {
        let limit = usize::from(case.limit % 16);
        for (row, list) in lists.iter().enumerate() {
            let expected = is_row(list, limit, case.outside);
            assert_eq!(view.check_row("lists", row, limit, case.outside).is_ok(), expected);
        }
        let all = lists.iter().all(|list| is_row(list, limit, case.outside));
        assert_eq!(view.check_rows("lists", limit, case.outside).is_ok(), all);
        check_masks(&case, view, &lists);
    }
    check_keys(&case);
});
