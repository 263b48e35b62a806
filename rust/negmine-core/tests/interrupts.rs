//! Every loop whose length the caller sets polls often enough for an interrupt: polls grow with the work, also where one
//! query, one list or one user has all of it. One thread, so that all polls are counted.
#![allow(clippy::unwrap_used, reason = "a test fails where a value is missing")]

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::Array2;
use negmine_core::base::csr::{CsrView, Lists, Offsets};
use negmine_core::base::key_ranges::KeyRanges;
use negmine_core::base::matrix::{Elements, Rows};
use negmine_core::base::parallel::Run;
use negmine_core::base::{Error, Result};
use negmine_core::batch::{
    BatchRules, Binning, ClassBatches, ClusterBatches, InBatch, MixtureSteps, TopicBatches, group,
    sample_balanced_margins,
};
use negmine_core::behavior::{CountsMut, Histories, Normalize, Shape, TableMut, Update};
use negmine_core::cluster::{Balanced, KMeans, Quality};
use negmine_core::exact::{Candidates, ExactIndex, Layout, Targets, near_groups};
use negmine_core::mine::eligible::Rules;
use negmine_core::mine::limit::limit_per_document;
use negmine_core::mine::policy::Policy;
use negmine_core::mine::random::{RandomRequest, random_negatives};
use negmine_core::mine::select::{Choice, PoolView, select};
use negmine_core::mine::weighted::weighted_negatives;
use negmine_core::sampling::Alias;
use negmine_core::scoring::Metric;
use negmine_core::scoring::score::score_pairs;
use negmine_core::selection::{Law, Selection, Target};
use negmine_core::sketch::{
    Bands, Evidence, MinHash, Shingles, SimHash, Unit, distinct_sets, near_duplicates,
};
use negmine_kernels::isa::Isa;

/// How often the work polls, and that it stops where a poll in the middle says so.
fn polls<T>(work: impl Fn(&Run<'_>) -> Result<T>) -> usize {
    let polled = AtomicUsize::new(0);
    let count = |_, _| {
        polled.fetch_add(1, Ordering::Relaxed);
        false
    };
    assert!(work(&Run { threads: 1, isa: Isa::active().unwrap(), poll: &count }).is_ok());
    let all = polled.swap(0, Ordering::Relaxed);
    let stop = |_, _| polled.fetch_add(1, Ordering::Relaxed) + 1 >= all / 2;
    assert_eq!(
        work(&Run { threads: 1, isa: Isa::active().unwrap(), poll: &stop }).err(),
        Some(Error::Interrupted)
    );
    all
}

fn array(rows: usize, width: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, width), |(r, c)| ((r * 31 + c * 17) % 101) as f32 - 50.0)
}

fn rows<'a>(argument: &'static str, array: &'a Array2<f32>) -> Rows<'a> {
    Rows::new(argument, Elements::F32(array.view())).unwrap()
}

fn no_lists<T>(n: usize) -> Lists<T> {
    let mut lists = Lists::default();
    (0..n).for_each(|_| lists.push_row([]));
    lists
}

#[test]
fn pairs_of_one_query() {
    let (queries, documents) = (array(1, 4), array(100, 4));
    let items: Vec<i64> = (0..20_000).map(|i| i % 100).collect();
    let pairs = CsrView::new("pairs", &[0, 20_000], &items, 1).unwrap();
    let score = |run: &Run<'_>| {
        score_pairs(Metric::Cosine, &rows("queries", &queries), &rows("documents", &documents), pairs, run)
    };
    assert!(polls(score) >= 20);
    let documents = rows("documents", &documents);
    let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false };
    let index = ExactIndex::build(&documents, Metric::Cosine, Layout::default(), &run).unwrap();
    assert!(polls(|run| index.score_pairs(&documents, &rows("queries", &queries), pairs, run)) >= 20);
}

#[test]
fn building_and_streaming() {
    let (queries, corpus) = (array(2, 4), array(20_000, 4));
    let (queries, corpus) = (rows("queries", &queries), rows("corpus", &corpus));
    let layout = Layout { tile_rows: 64, resident: false, ..Layout::default() };
    let build = |run: &Run<'_>| ExactIndex::build(&corpus, Metric::Cosine, layout, run);
    assert!(polls(build) >= 20_000 / 64);
    let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false };
    let index = build(&run).unwrap();
    let banned = no_lists(2);
    let candidates = Candidates { banned: &banned, groups: None, eligible: &[], picked: None };
    let targets = Targets::one_per_query(2, f64::INFINITY, 5);
    assert!(polls(|run| index.scan(&corpus, &queries, &candidates, &targets, run)) >= 2 * 20_000 / 64);
}

#[test]
fn rescoring_nearly_all_documents_of_one_query() {
    let (queries, corpus) = (array(1, 4), array(60_000, 4));
    let (queries, corpus) = (rows("queries", &queries), rows("corpus", &corpus));
    let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false };
    let index = ExactIndex::build(&corpus, Metric::Ip, Layout::default(), &run).unwrap();
    let banned = no_lists(1);
    let candidates = Candidates { banned: &banned, groups: None, eligible: &[], picked: None };
    let scan = |depth: usize| {
        let targets = Targets::one_per_query(1, f64::INFINITY, depth);
        polls(|run| index.scan(&corpus, &queries, &candidates, &targets, run))
    };
    assert!(scan(50_000) >= scan(1) + 10);
}

#[test]
fn rules_of_many_queries_and_random_negatives_of_one() {
    let n = 10_000;
    let offsets: Vec<i64> = (0..=n).collect();
    let items: Vec<i64> = (0..n).map(|i| i % 50).collect();
    let groups = vec![0_i64; 50];
    let rules = Rules {
        positives: CsrView::new("positives", &offsets, &items, n as usize).unwrap(),
        exclude: None,
        self_rows: None,
        groups: Some(&groups),
        eligible: &[],
    };
    assert!(polls(|run| rules.resolve(50, run).map(drop)) >= 39);

    let documents = 100_000;
    let keys: Vec<i64> = (0..documents as i64).collect();
    let eligible = [KeyRanges { keys: &keys, offsets: None, lowest: &[0], highest: &[documents as i64] }];
    let rules = Rules {
        positives: CsrView::new("positives", &[0, 0], &[], 1).unwrap(),
        exclude: None,
        self_rows: None,
        groups: None,
        eligible: &eligible,
    };
    let request = RandomRequest {
        rules,
        query_indices: &[0],
        positive_indices: None,
        cap_scores: &[f64::INFINITY],
        floor_scores: &[f64::NEG_INFINITY],
        chosen: &[],
        query_offset: 0,
        n: 3,
        seed: 0,
        epoch: 0,
    };
    let score = |_: &[i64], documents: &[i64]| Ok(vec![0.0; documents.len()]);
    assert!(polls(|run| random_negatives(documents, &request, &mut { score }, run)) >= documents >> 14);
    let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false };
    let weights = Alias::new(&vec![1.0; documents], &run).unwrap();
    let weighted = |run: &Run<'_>| weighted_negatives(documents, &request, &weights, &mut { score }, run);
    assert!(polls(weighted) >= documents >> 14);
}

#[test]
fn one_history_of_many_behaviors_with_many_candidates() {
    let (keys, candidates) = (array(20_000, 8), array(30_000, 8));
    let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false };
    let hash = SimHash::new(12, 3, 8, 0, None, &run).unwrap();
    let [behaviors, of_candidates] =
        [20_000, 30_000].map(|n| Offsets::new("offsets", &[0, n], n as usize).unwrap());
    let (key_rows, candidate_rows) = (rows("behaviors", &keys), rows("candidates", &candidates));
    let histories = Histories {
        keys: &key_rows,
        mask: None,
        values: keys.as_slice().unwrap(),
        width: 8,
        behaviors: &behaviors,
        candidates: &candidate_rows,
        of_candidates: &of_candidates,
    };
    let pooling = (Normalize::L2, false);
    assert!(polls(|run| histories.forward(&hash, pooling, false, run)) >= 20_000 / 64 + 30_000 / 4096);
    let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false };
    let kept = histories.forward(&hash, pooling, true, &run).unwrap().kept.unwrap();
    let gradient = vec![1.0; 30_000 * 8];
    assert!(polls(|run| kept.backward(&gradient, run)) >= 30_000 / 4096 + 20_000 / 4096);

    let signatures = hash.signatures(&key_rows, None, &run).unwrap();
    let shape = Shape { groups: hash.groups(), buckets: hash.buckets(), width: 8 };
    let update = |run: &Run<'_>| {
        let (mut sums, mut counts) = (vec![0.0; shape.len()], vec![0; shape.cells()]);
        let table = TableMut::new(shape, 1, &mut sums, CountsMut::Whole(&mut counts))?;
        table.update(Update::Append, &signatures, keys.as_slice().unwrap(), &behaviors, &[0], run)
    };
    assert!(polls(update) >= 2 * 20_000 / 4096);
}

#[test]
fn near_duplicates_of_one_group_and_of_none() {
    // One large group; rows whose similarities the bound leaves open, of which none reaches the threshold; copies.
    let equal =
        Array2::from_shape_fn((20_000, 4), |(r, c)| if c == r % 4 { 1.0 + 1e-5 * r as f32 } else { 1.0 });
    assert!(polls(|run| near_groups(&rows("embeddings", &equal), 0.5, None, run)) >= 20_000 / 192);
    let close = Array2::from_shape_fn((2_000, 4), |(r, c)| 1.0 + 1e-6 * ((r * 7 + c * c * r) as f32));
    let scored = |run: &Run<'_>| near_groups(&rows("embeddings", &close), 1.0, None, run);
    assert!(polls(scored) >= 2_000 * 2_000 / 2 / 256 / 2);
    let mixed =
        |(r, c): (usize, usize)| ((r * 7_919 + c * c * 104_729 + r * c * 31) % 9_973) as f32 - 5_000.0;
    let others = Array2::from_shape_fn((3_000, 64), mixed);
    let streamed = |run: &Run<'_>| near_groups(&rows("embeddings", &others), 0.99, Some(1_200_000), run);
    assert!(polls(streamed) >= 2 * 3_000 * 3_000 / 2 / 192 / 64);
    let copies = Array2::from_elem((50_000, 4), 1.0);
    assert!(polls(|run| near_groups(&rows("embeddings", &copies), 0.5, None, run)) >= 2 * 50_000 / 64);
}

#[test]
fn one_bucket_of_sets_that_are_not_similar_enough() {
    // Signatures agree in the first of two words; sets share nothing.
    let n = 600;
    let signatures: Vec<u32> = (0..n).flat_map(|row| [7, row]).collect();
    let offsets: Vec<i64> = (0..=i64::from(n)).collect();
    let tokens: Vec<u64> = (0..u64::from(n)).collect();
    let sets = CsrView::new("sets", &offsets, &tokens, n as usize).unwrap();
    let cut = Bands { bands: 2, rows: 1 };
    for evidence in [Evidence::Signatures, Evidence::Sets(sets)] {
        let pairs = (n * n / 2 / 64) as usize;
        assert!(polls(|run| near_duplicates(&signatures, 2, cut, 0.9, evidence, run)) >= pairs);
    }
    // Two sets of many tokens.
    let m = 5_000_000;
    let tokens: Vec<u64> = (0..m).chain(0..m).collect();
    let halves = [0, m as i64, 2 * m as i64];
    let sets = CsrView::new("sets", &halves, &tokens, 2).unwrap();
    let evidence = Evidence::Sets(sets);
    let with = polls(|run| near_duplicates(&[1, 2, 1, 2], 2, cut, 0.9, evidence, run));
    let without = polls(|run| near_duplicates(&[1, 2, 1, 2], 2, cut, 0.9, Evidence::Signatures, run));
    assert!(with >= without + (m >> 20) as usize);
}

#[test]
fn one_long_text_and_one_large_set() {
    let text = "a long text of words ".repeat(100_000);
    let bytes = text.as_bytes();
    let whole = [0, bytes.len() as i64];
    let texts = CsrView::new("texts", &whole, bytes, 1).unwrap();
    for unit in [Unit::Characters, Unit::Words] {
        let units = if unit == Unit::Words { 500_000 } else { bytes.len() };
        assert!(polls(|run| Shingles { unit, width: 3 }.sets(texts, run)) >= units >> 17);
        let wide = Shingles { unit, width: 1_000 };
        assert!(polls(|run| wide.sets(texts, run)) >= (units * 1_000) >> 25);
    }
    let tokens: Vec<u64> = (0..10_000_000).map(|token| token * 7919 % 10_000_000).collect();
    let offsets = [0, tokens.len() as i64];
    let set = CsrView::new("sets", &offsets, &tokens, 1).unwrap();
    assert!(polls(|run| distinct_sets(set, run)) >= tokens.len() >> 16);
    let minhash = MinHash { minima: 4096, tau: 1, bits: None, seed: 0 };
    assert!(polls(|run| minhash.signatures(set, false, run)) >= 16);
    let offsets: Vec<i64> = (0..=10).map(|i| i * 1_000_000).collect();
    let sets = CsrView::new("sets", &offsets, &tokens, 10).unwrap();
    assert!(polls(|run| MinHash { minima: 16, ..minhash }.signatures(sets, false, run)) >= 4);
}

#[test]
fn hashers_of_many_bits_and_bands_of_many_words() {
    assert!(polls(|run| SimHash::new(3_000, 3, 8, 0, None, run)) >= 3 * 3_000);
    assert!(polls(|run| Bands::choose(0.8, 300, run)) >= 300);
}

#[test]
fn masks_of_one_query() {
    let n = 400_000;
    let offsets = [0, n];
    let documents: Vec<i64> = (0..n).rev().collect();
    let positives = CsrView::new("positives", &offsets, &documents, 1).unwrap();
    assert!(InBatch::new(rules_of(&documents, positives), &quiet()).is_err(), "unsorted");
    let ascending: Vec<i64> = (0..n).collect();
    let positives = CsrView::new("positives", &offsets, &ascending, 1).unwrap();
    let rules = rules_of(&documents, positives);
    assert!(polls(|run| InBatch::new(rules, run).map(drop)) >= 5);
    let batch = InBatch::new(rules, &quiet()).unwrap();
    assert!(polls(|run| batch.dense(run)) >= 40);
    assert!(polls(|run| batch.lists(run)) >= 40);
    let no_query = BatchRules { queries: &[-1], ..rules };
    let batch = InBatch::new(no_query, &quiet()).unwrap();
    assert!(polls(|run| batch.dense(run)) >= 5);
}

fn rules_of<'a>(documents: &'a [i64], positives: CsrView<'a>) -> BatchRules<'a> {
    BatchRules { queries: &[0], documents, positives, exclude: None, groups: None, eligible: &[] }
}

fn quiet() -> Run<'static> {
    Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false }
}

#[test]
fn margins_of_one_query_and_of_many_bins() {
    let n = 300_000_usize;
    let margins: Vec<f64> = (0..n).map(|i| (i * 7919 % n) as f64).collect();
    let one = [0, n as i64];
    let items = vec![0; n];
    let pairs = CsrView::new("offsets", &one, &items, 1).unwrap();
    for (binning, least) in [(Binning::Width, 10), (Binning::Quantile, 60), (Binning::Tempered, 10)] {
        let draw = |run: &Run<'_>| sample_balanced_margins(&margins, pairs, 10, binning, 0, 0, run);
        assert!(polls(draw) >= least, "{binning:?}");
    }
    let offsets: Vec<i64> = (0..=100).collect();
    let pairs = CsrView::new("offsets", &offsets, &items[..100], 100).unwrap();
    let draw =
        |run: &Run<'_>| sample_balanced_margins(&margins[..100], pairs, 1 << 16, Binning::Width, 0, 0, run);
    assert!(polls(draw) >= 100);
}

#[test]
fn large_batches_of_classes_topics_and_clusters() {
    let n = 200_000_i64;
    let rows: Vec<i64> = (0..n).collect();
    let alone: Vec<i64> = (0..=n).collect();
    let classes = CsrView::new("labels", &alone, &rows, n as usize).unwrap();
    for per_batch in [80_000, 120_000] {
        let batches = ClassBatches { classes, per_batch, per_class: 1, batches: 1, seed: 0 };
        assert!(polls(|run| batches.batches(1, 0..1, run)) >= 8, "{per_batch}");
    }
    let two = [0, n];
    let clusters = CsrView::new("clusters", &two, &rows, 1).unwrap();
    for (clusters, share, random) in
        [(clusters, n as usize, 0), (clusters, n as usize, 100_000), (classes, 1, 0)]
    {
        for by_size in [false, true] {
            let batches = TopicBatches { clusters, batch: 150_000, share, random, by_size, seed: 0 };
            assert!(polls(|run| batches.batches(0, 0..1, run)) >= 15, "{share}, {random}, {by_size}");
        }
    }
    let labels: Vec<i64> = (0..n).map(|row| row % 1000).collect();
    assert!(polls(|run| group(&labels, 1000, run)) >= 10);
    for tree in [false, true] {
        let batches = ClusterBatches {
            labels: &labels,
            clusters: 1000,
            batch: 100,
            batches_per_step: 2,
            random: 10,
            tree,
            emitted: 2000,
            seed: 0,
        };
        assert!(polls(|run| batches.epoch(0, run)) >= 18, "{tree}");
    }
}

#[test]
fn mixtures_of_many_sources() {
    let shares: Vec<f64> = (1..=2000).map(f64::from).collect();
    assert!(polls(|run| MixtureSteps::new(&shares, 3000, run).map(drop)) >= 400);
    let mixture = MixtureSteps::new(&shares, 3000, &quiet()).unwrap();
    assert!(polls(|run| mixture.epoch(200, None, run).map(drop)) >= 90);
}

#[test]
fn selections_of_few_rows_from_wide_pools() {
    let (rows, width) = (8, 40_000);
    let indices: Vec<i64> = (0..rows).flat_map(|_| 0..width as i64).collect();
    let scores: Vec<f64> = (0..rows).flat_map(|_| (0..width).map(|rank| -(rank as f64))).collect();
    let numbers: Vec<i64> = (0..rows as i64).collect();
    let pool = PoolView {
        width,
        indices: &indices,
        scores: &scores,
        counts: &vec![width as i32; rows],
        reasons: &vec![0; rows],
        query_indices: &numbers,
        positive_indices: &vec![-1; rows],
        reference_scores: &vec![f64::NAN; rows],
        each: false,
        labels: None,
    };
    let choice = Choice { n: 30_000, policy: Policy::Softmax { temperature: 1.0 }, seed: 0, epoch: 0 };
    assert!(polls(|run| select(&pool, &choice, run)) >= rows);
    assert!(polls(|run| limit_per_document(&pool, 4, &choice, run)) >= rows + 100);
}

/// The totals of all polls of a clustering, which must be one.
fn totals<T>(work: impl Fn(&Run<'_>) -> Result<T>) -> usize {
    let seen = Mutex::new(HashSet::new());
    let poll = |_, total| {
        seen.lock().unwrap().insert(total);
        false
    };
    assert!(work(&Run { threads: 1, isa: Isa::active().unwrap(), poll: &poll }).is_ok());
    seen.into_inner().unwrap().len()
}

#[test]
fn every_phase_of_a_clustering() {
    let n = 150_000;
    let many = array(n, 3);
    // Half of the rows are copies of one, and so many are near it that prices leave some without a place.
    let copies =
        Array2::from_shape_fn((n, 3), |(r, c)| if r % 2 == 0 { 1.0 } else { ((r * 7 + c * 3) % 5) as f32 });
    for data in [&many, &copies] {
        let rows = rows("embeddings", data);
        let kmeans = KMeans { clusters: 300, iterations: 2, metric: Metric::L2, seed: 0 };
        assert!(polls(|run| kmeans.fit(&rows, run)) >= 2 * n / 96 + 3 * n / (1 << 16));
        assert_eq!(totals(|run| kmeans.fit(&rows, run)), 1);
        for clusters in [3, 2000] {
            let balanced = Balanced { clusters, quality: Quality::Default, seed: 0 };
            assert!(polls(|run| balanced.fit(&rows, run)) >= 5 * n / 1024, "{clusters}");
            assert_eq!(totals(|run| balanced.fit(&rows, run)), 1, "{clusters}");
        }
    }
}

#[test]
fn selections_of_items() {
    let embeddings = array(3_000, 4);
    let embeddings = rows("embeddings", &embeddings);
    let scores: Vec<f64> = (0..1_usize << 20).map(|item| ((item * 7919) % 1009) as f64).collect();
    let selected = |law, replace, items: usize| {
        polls(|run| {
            Selection {
                items,
                scores: Some(&scores[..items]),
                labels: None,
                groups: 1,
                target: Target::Balanced,
                given: &[],
                minimum: 0,
                law,
                replace,
                seed: 0,
                epoch: 0,
                query: 0,
            }
            .select(items as u64 / 2, run)
        })
    };
    let (softmax, systematic) = (Law::Softmax { temperature: 1.0 }, Law::Systematic { temperature: 1.0 });
    let laws = [(Law::Top, false), (softmax, false), (systematic, false), (Law::Random, false)];
    for (law, replace) in laws.into_iter().chain([(softmax, true), (systematic, true), (Law::Random, true)]) {
        let [short, long] = [1 << 17, 1 << 20].map(|items| selected(law, replace, items));
        assert!(long >= 4 * short, "{law:?} {replace}: {short} and {long}");
    }
    let diverse = selected(Law::Diverse { lambda: 0.1, embeddings: &embeddings }, false, 3_000);
    assert!(diverse > 1_000, "{diverse}");
}
