//! The certified scan against a plain one that scores every pair canonically: rows, scores and counts, bit for bit.
#![allow(clippy::unwrap_used, reason = "a test fails where a value is missing")]

use ndarray::Array2;
use negmine_core::base::csr::Lists;
use negmine_core::base::key_ranges::KeyRanges;
use negmine_core::base::matrix::{Elements, Rows};
use negmine_core::base::order::Scored;
use negmine_core::base::parallel::Run;
use negmine_core::exact::{Candidates, ExactIndex, Found, GroupRule, Layout, Pruned, Targets};
use negmine_core::scoring::Metric;
use negmine_kernels::canonical;
use negmine_kernels::isa::Isa;
use proptest::prelude::*;

/// The canonical score from its definition.
fn score(metric: Metric, q: &[f32], d: &[f32]) -> f64 {
    let (qq, dd) = (canonical::dot(q, q), canonical::dot(d, d));
    0.0 + match metric {
        Metric::Cosine if qq == 0.0 || dd == 0.0 => 0.0,
        Metric::Cosine => (canonical::dot(q, d) / (qq * dd).sqrt()).clamp(-1.0, 1.0),
        Metric::Ip => canonical::dot(q, d),
        Metric::L2 => 0.0 - canonical::squared_distance(q, d),
    }
}

fn plain(
    metric: Metric,
    corpus: &Array2<f32>,
    queries: &Array2<f32>,
    candidates: &Candidates<'_>,
    targets: &Targets,
) -> Vec<Found> {
    let mut all = Vec::new();
    for (i, q) in queries.outer_iter().enumerate() {
        let rows = targets.offsets[i]..targets.offsets[i + 1];
        for (&cap, &floor) in targets.caps[rows.clone()].iter().zip(&targets.floors[rows]) {
            let mut found = Found::default();
            for (r, d) in corpus.outer_iter().enumerate() {
                if !candidates.admits(i, r as u32) {
                    continue;
                }
                let score = score(metric, q.as_slice().unwrap(), d.as_slice().unwrap());
                if score > cap {
                    found.above_cap += 1;
                } else if score <= cap && score >= floor {
                    found.best.push(Scored { score, row: r as u32 });
                }
            }
            found.best.sort_by(Scored::rank);
            found.best.truncate(targets.depth);
            all.push(found);
        }
    }
    all
}

/// Everything that a case varies.
#[derive(Clone, Debug)]
struct Case {
    metric: Metric,
    corpus: Array2<f32>,
    queries: Array2<f32>,
    banned: Vec<Vec<u32>>,
    groups: Option<Vec<i64>>,
    keys: Option<Vec<i64>>,
    /// Per query, the caps of its result rows, as quantiles of its scores, or none.
    caps: Vec<Vec<Option<f64>>>,
    floor: Option<f64>,
    depth: usize,
    /// Garbage to start from, per query.
    warm: Option<Vec<Vec<u32>>>,
    threads: usize,
    tile_rows: usize,
    resident: bool,
    pruned: Pruned,
}

fn value(kind: u8) -> BoxedStrategy<f32> {
    match kind {
        // Small integers: exact products, many ties.
        0 => (-2_i8..=2).prop_map(f32::from).boxed(),
        1 => (-1.0_f32..1.0).boxed(),
        // Wild magnitudes, denormals and zeros.
        2 => (any::<i8>(), -149_i32..100).prop_map(|(m, e)| f32::from(m) * 2.0_f32.powi(e)).boxed(),
        3 => (-1.0_f32..1.0).prop_map(|x| x * 1e-30).boxed(),
        4 => (-1.0_f32..1.0).prop_map(|x| x * 1e30).boxed(),
        // Far from the origin: differences are small compared with the norms.
        _ => (-1.0_f32..1.0).prop_map(|x| 1000.0 + x).boxed(),
    }
}

fn matrix(rows: usize, width: usize, kind: u8) -> impl Strategy<Value = Array2<f32>> {
    (
        prop::collection::vec(value(kind), rows * width),
        prop::collection::vec(any::<prop::sample::Index>(), rows / 3),
    )
        .prop_map(move |(values, copies)| {
            let mut matrix = Array2::from_shape_vec((rows, width), values).unwrap();
            for (i, from) in copies.iter().enumerate() {
                let row = matrix.row(from.index(rows)).to_owned();
                matrix.row_mut((3 * i + 1) % rows).assign(&row);
            }
            matrix
        })
}

fn case() -> impl Strategy<Value = Case> {
    (0_usize..300, 1_usize..8, 1_usize..70, 0_u8..6, 0_u8..4)
        .prop_flat_map(|(n, queries, width, kind, metric)| {
            let metric = [Metric::Cosine, Metric::Ip, Metric::L2, Metric::Cosine][metric as usize];
            let rows = prop::collection::btree_set(0..n.max(1) as u32, 0..6);
            let caps = prop::collection::vec(prop::option::of(0.0_f64..1.0), 1..4);
            let data = (
                matrix(n, width, kind),
                matrix(queries, width, kind),
                prop::collection::vec(rows, queries),
                prop::option::of(prop::collection::vec(-1_i64..4, n)),
                prop::option::of(prop::collection::vec(0_i64..5, n)),
            );
            let options = (
                prop::collection::vec(caps, queries),
                prop::option::of(0.0_f64..1.0),
                prop_oneof![1_usize..12, Just(n + 1)],
                prop::option::of(prop::collection::vec(
                    prop::collection::vec(0..2 * n.max(1) as u32, 0..40),
                    queries,
                )),
                prop::sample::select(vec![1_usize, 2, 3, 8]),
                prop_oneof![1_usize..130, Just(16_384)],
                any::<bool>(),
                // The rows are up to 69 wide: some of these leave nothing out.
                prop::sample::select(vec![
                    Pruned::Auto,
                    Pruned::Off,
                    Pruned::Forced(0),
                    Pruned::Forced(4),
                    Pruned::Forced(17),
                    Pruned::Forced(64),
                    Pruned::Forced(usize::MAX),
                ]),
            );
            (Just(metric), data, options)
        })
        .prop_map(|(metric, (corpus, queries, banned, groups, keys), options)| {
            let (caps, floor, depth, warm, threads, tile_rows, resident, pruned) = options;
            let banned = banned
                .into_iter()
                .map(|rows| rows.into_iter().filter(|&r| (r as usize) < corpus.nrows()).collect())
                .collect();
            Case {
                metric,
                corpus,
                queries,
                banned,
                groups,
                keys,
                caps,
                floor,
                depth,
                warm,
                threads,
                tile_rows,
                resident,
                pruned,
            }
        })
}

fn quantile(metric: Metric, corpus: &Array2<f32>, q: &[f32], share: f64) -> f64 {
    let mut scores: Vec<f64> = corpus.outer_iter().map(|d| score(metric, q, d.as_slice().unwrap())).collect();
    scores.sort_by(f64::total_cmp);
    scores.get((share * scores.len() as f64) as usize).copied().unwrap_or(0.0)
}

fn check(case: &Case, isa: Isa) -> Result<(), TestCaseError> {
    let n = case.queries.nrows();
    let mut banned = Lists::default();
    let mut forbidden = Lists::default();
    for rows in &case.banned {
        banned.push_row(rows.iter().copied());
        forbidden.push_row([1, 3]);
    }
    let (lowest, highest) = (vec![1; n], vec![3; n]);
    let eligible: Vec<KeyRanges<'_>> = case
        .keys
        .iter()
        .map(|keys| KeyRanges { keys, offsets: None, lowest: &lowest, highest: &highest })
        .collect();
    let candidates = Candidates {
        banned: &banned,
        groups: case.groups.as_ref().map(|groups| GroupRule { of_document: groups, forbidden: &forbidden }),
        eligible: &eligible,
        picked: None,
    };
    let mut targets =
        Targets { offsets: vec![0], caps: Vec::new(), floors: Vec::new(), depth: case.depth, warm: None };
    for (caps, q) in case.caps.iter().zip(case.queries.outer_iter()) {
        for cap in caps {
            let cap = cap.map(|share| quantile(case.metric, &case.corpus, q.as_slice().unwrap(), share));
            targets.caps.push(cap.unwrap_or(f64::INFINITY));
        }
        targets.offsets.push(targets.caps.len());
    }
    targets.floors = vec![f64::NEG_INFINITY; targets.caps.len()];
    if let (Some(share), Some(q)) = (case.floor, case.queries.outer_iter().next()) {
        // Floors of rows differ, and some lie above the caps.
        for (row, floor) in targets.floors.iter_mut().enumerate() {
            let share = (share + 0.1 * (row % 4) as f64).min(1.0);
            *floor = quantile(case.metric, &case.corpus, q.as_slice().unwrap(), share);
        }
    }
    targets.warm = case.warm.as_ref().map(|rows| {
        let mut lists = Lists::default();
        for rows in rows {
            lists.push_row(rows.iter().copied());
        }
        lists
    });
    let corpus = Rows::new("corpus", Elements::F32(case.corpus.view())).unwrap();
    let queries = Rows::new("queries", Elements::F32(case.queries.view())).unwrap();
    let run = Run { threads: case.threads, isa, poll: &|_, _| false };
    let layout = Layout {
        tile_rows: case.tile_rows,
        resident: case.resident,
        pruned: case.pruned,
        ..Layout::default()
    };
    let index = ExactIndex::build(&corpus, case.metric, layout, &run).unwrap();
    let found = index.scan(&corpus, &queries, &candidates, &targets, &run).unwrap().found;
    let expected = plain(case.metric, &case.corpus, &case.queries, &candidates, &targets);
    prop_assert_eq!(found, expected);
    Ok(())
}

proptest! {
    #[test]
    fn the_scan_equals_a_plain_one(case in case(), isa in prop::sample::select(Isa::available())) {
        check(&case, isa)?;
    }
}

/// Rows near each other in clusters, so that intervals overlap and thresholds work.
fn clustered(rows: usize, width: usize, seed: u64) -> Array2<f32> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    let centers: Vec<f32> = (0..20 * width).map(|_| next()).collect();
    Array2::from_shape_fn((rows, width), |(r, c)| centers[(r * 7 % 20) * width + c] + 0.3 * next())
}

#[test]
fn larger_sets_equal_a_plain_scan_on_every_instruction_set() {
    for isa in Isa::available() {
        for (metric, threads, resident, pruned) in [
            (Metric::Cosine, 1, true, Pruned::Off),
            (Metric::Cosine, 1, true, Pruned::Forced(16)),
            (Metric::Cosine, 2, true, Pruned::Forced(80)),
            (Metric::Ip, 2, true, Pruned::Auto),
            (Metric::Ip, 2, true, Pruned::Forced(40)),
            (Metric::L2, 3, false, Pruned::Auto),
            (Metric::Cosine, 2, false, Pruned::Forced(40)),
        ] {
            let (corpus, queries) = (clustered(3_000, 96, 1), clustered(130, 96, 2));
            let case = Case {
                metric,
                corpus,
                queries,
                banned: (0..130).map(|i| vec![i, i + 5, 2 * i + 200]).collect(),
                groups: None,
                keys: None,
                caps: (0..130).map(|i| vec![[None, Some(0.99), Some(0.5)][i % 3]]).collect(),
                floor: None,
                depth: 10,
                warm: Some((0..130).map(|i| (i..i + 40).collect()).collect()),
                threads,
                tile_rows: 700,
                resident,
                pruned,
            };
            check(&case, isa).unwrap();
        }
    }
}

/// Blocks of queries whose answers end near their caps, then queries for which that is no guess: far below their caps, with
/// several caps, without one, and with fewer documents than are wanted.
fn unlike_each_other(metric: Metric, threads: usize) -> Case {
    let n = 400;
    let caps = |i: usize| match i {
        0..200 => vec![Some(0.9)],
        _ => match i % 6 {
            0 => vec![Some(0.002)],
            1 => vec![Some(0.4), Some(0.95)],
            2 => vec![None],
            3 => vec![Some(0.0), Some(0.9)],
            _ => vec![Some(0.9)],
        },
    };
    Case {
        metric,
        corpus: clustered(600, 24, 7),
        queries: clustered(n, 24, 8),
        banned: (0..n as u32).map(|i| vec![i, i + 3]).collect(),
        groups: None,
        keys: None,
        caps: (0..n).map(caps).collect(),
        floor: None,
        depth: 6,
        warm: None,
        threads,
        tile_rows: 700,
        resident: true,
        pruned: Pruned::Off,
    }
}

#[test]
fn guessed_thresholds_change_no_answer() {
    for isa in Isa::available() {
        for metric in [Metric::Cosine, Metric::Ip, Metric::L2] {
            for (threads, depth) in [(1, 6), (1, 60), (2, 6)] {
                check(&Case { depth, ..unlike_each_other(metric, threads) }, isa).unwrap();
            }
        }
    }
}

#[test]
fn what_a_guess_missed_is_scanned_again() {
    let case = unlike_each_other(Metric::Cosine, 1);
    let n = case.queries.nrows();
    let corpus = Rows::new("corpus", Elements::F32(case.corpus.view())).unwrap();
    let queries = Rows::new("queries", Elements::F32(case.queries.view())).unwrap();
    let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false };
    let index = ExactIndex::build(&corpus, Metric::Cosine, Layout::default(), &run).unwrap();
    let banned = {
        let mut lists = Lists::default();
        for _ in 0..n {
            lists.push_row([]);
        }
        lists
    };
    let candidates = Candidates { banned: &banned, groups: None, eligible: &[], picked: None };
    let mut targets = Targets::one_per_query(n, f64::INFINITY, 6);
    let pairs = (n * corpus.len()) as u64;
    let plainly = index.scan(&corpus, &queries, &candidates, &targets, &run).unwrap().counters;
    assert_eq!(plainly.scanned, pairs, "without a cap nothing is guessed");
    for (i, q) in case.queries.outer_iter().enumerate() {
        let share = if i % 50 == 49 { 0.002 } else { 0.98 };
        targets.caps[i] = quantile(Metric::Cosine, &case.corpus, q.as_slice().unwrap(), share);
    }
    let guessed = index.scan(&corpus, &queries, &candidates, &targets, &run).unwrap().counters;
    assert!(guessed.scanned > pairs && guessed.scanned < pairs * 5 / 4, "{guessed:?}");
}

#[test]
fn awkward_widths_equal_a_plain_scan_on_every_instruction_set() {
    let widths =
        [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97, 127, 128, 129, 384, 768, 1000, 4097];
    for isa in Isa::available() {
        for width in widths {
            // A rotation of the widest would take seconds.
            let lead = if width > 1000 { width } else { width / 3 };
            for (metric, pruned) in [
                (Metric::Cosine, Pruned::Off),
                (Metric::Cosine, Pruned::Forced(lead)),
                (Metric::Ip, Pruned::Off),
                (Metric::Ip, Pruned::Forced(lead)),
                (Metric::L2, Pruned::Auto),
            ] {
                let case = Case {
                    metric,
                    corpus: clustered(150, width, 3),
                    queries: clustered(7, width, 4),
                    banned: vec![vec![]; 7],
                    groups: None,
                    keys: None,
                    caps: vec![vec![Some(0.9)]; 7],
                    floor: None,
                    depth: 5,
                    warm: None,
                    threads: 1,
                    tile_rows: 64,
                    resident: true,
                    pruned,
                };
                check(&case, isa).unwrap();
            }
        }
    }
}

#[test]
fn queries_with_next_to_nothing_along_the_leading_axes_find_no_document_twice() {
    const LEAD: usize = 12;
    let mut corpus = Array2::zeros((4 * LEAD, 16));
    for (row, mut d) in corpus.outer_iter_mut().enumerate() {
        let size = 1.0 + (row / 4) as f32;
        d[1 + row / 4] = if row.is_multiple_of(2) { size } else { -size };
    }
    for tiny in [1e-20, 1e-30, 1e-36, 1e-42] {
        let mut queries = Array2::zeros((3, 16));
        for (row, mut q) in queries.outer_iter_mut().enumerate() {
            q[0] = 1.0;
            q[1 + 5 * row] = tiny;
        }
        for metric in [Metric::Cosine, Metric::Ip, Metric::L2] {
            let case = Case {
                metric,
                corpus: corpus.clone(),
                queries: queries.clone(),
                banned: vec![vec![]; 3],
                groups: None,
                keys: None,
                caps: vec![vec![None]; 3],
                floor: None,
                depth: 6,
                warm: None,
                threads: 1,
                tile_rows: 64,
                resident: true,
                pruned: Pruned::Forced(LEAD),
            };
            check(&case, Isa::active().unwrap()).unwrap();
        }
    }
}

#[test]
fn a_changed_corpus_is_noticed() {
    let mut corpus = clustered(200, 16, 5);
    let queries = clustered(3, 16, 6);
    let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false };
    let index = {
        let rows = Rows::new("corpus", Elements::F32(corpus.view())).unwrap();
        ExactIndex::build(&rows, Metric::Ip, Layout::default(), &run).unwrap()
    };
    corpus.mapv_inplace(|x| x * 3.0);
    let rows = Rows::new("corpus", Elements::F32(corpus.view())).unwrap();
    let queries = Rows::new("queries", Elements::F32(queries.view())).unwrap();
    let banned = {
        let mut lists = Lists::default();
        for _ in 0..3 {
            lists.push_row([]);
        }
        lists
    };
    let candidates = Candidates { banned: &banned, groups: None, eligible: &[], picked: None };
    let outcome =
        index.scan(&rows, &queries, &candidates, &Targets::one_per_query(3, f64::INFINITY, 5), &run);
    assert!(matches!(outcome, Err(negmine_core::base::Error::CorpusChanged { .. })), "{outcome:?}");
}
