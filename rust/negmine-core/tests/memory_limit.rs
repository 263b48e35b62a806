//! What works within a memory limit works within every higher one, with the same answer.
#![allow(clippy::unwrap_used, reason = "a test fails where a value is missing")]

use ndarray::Array2;
use negmine_core::base::Error;
use negmine_core::base::csr::Lists;
use negmine_core::base::matrix::{Elements, Rows};
use negmine_core::base::parallel::Run;
use negmine_core::exact::{Candidates, ExactIndex, Found, Layout, ScanPlan, ScanSize, Targets};
use negmine_core::scoring::Metric;
use negmine_kernels::isa::Isa;
use proptest::prelude::*;

/// The plan of a scan under a limit: for an index that is built under it.
fn plan(rows: usize, width: usize, size: &ScanSize, limit: usize) -> Result<ScanPlan, Error> {
    Layout::for_corpus(rows, width, 16_384, Some(limit))?.plan(rows, width, size)
}

/// The limit that an error says suffices.
fn needed(error: &Error) -> usize {
    match error {
        Error::MemoryLimit { needed, .. } => *needed,
        other => panic!("another error: {other}"),
    }
}

fn total(plan: &ScanPlan) -> usize {
    plan.packed_bytes + plan.query_bytes + plan.answer_bytes + plan.pruned_bytes
}

proptest! {
    #[test]
    fn plans_are_monotone_and_errors_name_a_limit_that_suffices(
        rows in prop_oneof![0_usize..300, 1_000_usize..2_000_000],
        width in prop_oneof![1_usize..10, prop::sample::select(vec![96, 128, 384, 768])],
        queries in prop_oneof![0_usize..200, 200_usize..50_000],
        more_rows in prop_oneof![3 => Just(0_usize), 1 => 0_usize..1_000],
        depth in prop_oneof![0_usize..20, 100_usize..3_000],
        threads in 1_usize..9,
        shares in prop::collection::vec(0.0_f64..1.0, 12),
    ) {
        let size = ScanSize { queries, result_rows: queries + more_rows, depth, threads };
        // From a limit that cannot be enough, what the errors name leads to the least that is.
        let mut least = 0;
        while let Err(error) = plan(rows, width, &size, least) {
            let needed = needed(&error);
            prop_assert!(needed > least);
            prop_assert!(plan(rows, width, &size, needed - 1).is_err());
            least = needed;
        }
        prop_assert!(total(&plan(rows, width, &size, least).unwrap()) <= least);
        // Up to twice what everything takes without a limit.
        let most = 2 * total(&Layout::default().plan(rows, width, &size).unwrap()) + least;
        for share in shares {
            let limit = least + (share * share * (most - least) as f64) as usize;
            let plan = plan(rows, width, &size, limit).unwrap();
            prop_assert!(total(&plan) <= limit, "{plan:?} under {limit}");
            prop_assert!(plan.queries_at_once > 0 || queries == 0);
        }
    }
}

fn rows(n: usize, width: usize, seed: u64) -> Array2<f32> {
    let mut state = seed;
    Array2::from_shape_simple_fn((n, width), || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    })
}

#[test]
fn one_index_answers_small_and_large_calls_alike_whatever_the_limit() {
    let (corpus, queries) = (rows(3_000, 24, 1), rows(150, 24, 2));
    let corpus = Rows::new("corpus", Elements::F32(corpus.view())).unwrap();
    let run = Run { threads: 2, isa: Isa::active().unwrap(), poll: &|_, _| false };
    let search = |index: &ExactIndex, n: usize, depth: usize| -> Result<Vec<Found>, Error> {
        let part = queries.slice(ndarray::s![..n, ..]);
        let part = Rows::new("queries", Elements::F32(part)).unwrap();
        let mut banned = Lists::default();
        (0..n).for_each(|_| banned.push_row([]));
        let candidates = Candidates { banned: &banned, groups: None, eligible: &[], picked: None };
        let targets = Targets::one_per_query(n, f64::INFINITY, depth);
        Ok(index.scan(&corpus, &part, &candidates, &targets, &run)?.found)
    };
    let build = |limit| {
        let layout = Layout::for_corpus(corpus.len(), corpus.width(), 1_024, limit).unwrap();
        ExactIndex::build(&corpus, Metric::Cosine, layout, &run).unwrap()
    };
    let unlimited = build(None);
    let calls = [(1, 3), (150, 100), (5, 1), (150, 100)];
    let expected = calls.map(|(n, depth)| search(&unlimited, n, depth).unwrap());
    let mut works = [false; 4];
    let mut given_up = false;
    for limit in (0..24).map(|i| (20_000.0 * 1.5_f64.powi(i)) as usize) {
        let index = build(Some(limit));
        for (i, ((n, depth), expected)) in calls.into_iter().zip(&expected).enumerate() {
            match search(&index, n, depth) {
                Ok(found) => {
                    assert_eq!(&found, expected, "{limit} bytes, {n} queries");
                    works[i] = true;
                }
                Err(error) => {
                    assert!(!works[i], "{limit} bytes do not suffice, and fewer did");
                    let enough = build(Some(needed(&error)));
                    let packed = enough.bytes();
                    assert_eq!(&search(&enough, n, depth).unwrap(), expected);
                    given_up |= enough.bytes() < packed;
                    // What was given up is packed again where there is memory for it.
                    search(&enough, 1, 1).unwrap();
                    assert_eq!(enough.bytes(), packed);
                }
            }
        }
    }
    assert_eq!(works, [true; 4]);
    assert!(given_up, "no call had to give up what was packed");
}
