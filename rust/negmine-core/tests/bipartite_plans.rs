//! Plans whose rows hold one anchor and one positive: edges of a bipartite graph, of which the least number of steps is
//! known (König 1916).
#![allow(clippy::unwrap_used, reason = "a test fails where a value is missing")]

use negmine_core::base::parallel::Run;
use negmine_core::batch::{Column, Columns, NoDuplicates, Policy, Remainder};
use negmine_kernels::Isa;
use proptest::prelude::*;

fn run() -> Run<'static> {
    Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false }
}

fn planned(rows: &[(i64, i64)], size: usize, policy: Policy) -> NoDuplicates {
    let (anchors, positives): (Vec<i64>, Vec<i64>) = rows.iter().copied().unzip();
    let column = |argument, ids, width| Column { argument, ids, width };
    let columns = Columns {
        rows: rows.len(),
        anchors: column("anchors", &anchors, 1),
        positives: column("positives", &positives, 1),
        negatives: column("negatives", &[], 0),
        n_anchors: 1_000,
        n_documents: 1_000,
        strict: false,
    };
    NoDuplicates::new(&columns, size, policy, Remainder::Drop, 3, &run())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Every pair of an anchor and a positive once.
fn grid(anchors: i64, positives: i64) -> Vec<(i64, i64)> {
    (0..anchors * positives).map(|row| (row / positives, row % positives)).collect()
}

/// Rows of the most frequent anchor or positive.
fn degree(rows: &[(i64, i64)]) -> usize {
    let count = |id: &dyn Fn(&(i64, i64)) -> bool| rows.iter().filter(|row| id(row)).count();
    let most = |row: &(i64, i64)| count(&|other| other.0 == row.0).max(count(&|other| other.1 == row.1));
    rows.iter().map(most).max().unwrap_or(0)
}

/// Checks that no step of an epoch holds an anchor or a positive twice and that no row stands twice; whether the epoch
/// has an order of its own.
fn verified(rows: &[(i64, i64)], plan: &NoDuplicates, epoch: u64) -> bool {
    let found = plan.epoch(epoch, &run()).unwrap_or_else(|error| panic!("{error}"));
    let mut times = vec![0; rows.len()];
    for ends in found.offsets.windows(2) {
        let step = &found.rows[ends[0] as usize..ends[1] as usize];
        let distinct = |id: &dyn Fn(&i64) -> i64| {
            let mut ids: Vec<i64> = step.iter().map(id).collect();
            ids.sort_unstable();
            ids.dedup();
            ids.len()
        };
        assert_eq!(distinct(&|row| rows[*row as usize].0), step.len());
        assert_eq!(distinct(&|row| rows[*row as usize].1), step.len());
        for row in step {
            times[*row as usize] += 1;
        }
    }
    assert!(times.iter().all(|count| *count <= 1));
    !found.from_base
}

#[test]
fn a_complete_grid_needs_as_many_steps_as_its_most_frequent_id_has_rows() {
    for (anchors, positives, size, steps) in [
        (80, 40, 40, 80),
        (40, 80, 40, 80),
        (40, 40, 40, 40),
        (100, 50, 50, 100),
        (31, 20, 19, 33),
        (7, 5, 5, 7),
    ] {
        let rows = grid(anchors, positives);
        for policy in [Policy::Extend, Policy::Drop, Policy::Spread] {
            let plan = planned(&rows, size, policy);
            assert_eq!(plan.steps(), steps, "{anchors} x {positives} in steps of {size}, {policy:?}");
            for epoch in 0..3 {
                assert!(verified(&rows, &plan, epoch));
            }
        }
    }
}

#[test]
fn epochs_of_a_complete_grid_differ() {
    let rows = grid(80, 40);
    let plan = planned(&rows, 40, Policy::Extend);
    let [first, second] = [0, 1].map(|epoch| plan.epoch(epoch, &run()).unwrap().rows);
    let same = first.iter().zip(&second).filter(|(a, b)| a == b).count();
    assert!(same < 20, "{same} rows of 3,200 stand where they stood");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn the_most_frequent_id_decides(
        anchors in 1..30_i64,
        positives in 1..30_i64,
        numbers in prop::collection::vec(0..1_000_000_i64, 2..500),
        cut in 0.0..1.0_f64,
        epoch: u64,
    ) {
        let rows: Vec<(i64, i64)> =
            numbers.iter().map(|number| (number % anchors, number / 1_000 % positives)).collect();
        let n = rows.len();
        let size = 1 + (cut * (n - 1) as f64) as usize;
        let (full, degree) = (n.div_ceil(size), degree(&rows));
        let plan = planned(&rows, size, Policy::Extend);
        prop_assert!(plan.steps() >= full.max(degree));
        // A short last step that must hold each of the most frequent ids may be too short for them.
        if degree != full || n.is_multiple_of(size) {
            prop_assert_eq!(plan.steps(), full.max(degree));
        }
        verified(&rows, &plan, epoch);
    }
}
