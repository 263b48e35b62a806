use ndarray::Array2;
use negmine_kernels::Isa;
use proptest::prelude::*;

use super::select::{Law, Selected, Selection, Target};
use super::systematic::distinct;
use crate::base::math::{exp, ln};
use crate::base::matrix::{Elements, Rows};
use crate::base::parallel::Run;
use crate::base::{Error, Result};

fn run(threads: usize) -> Run<'static> {
    Run { threads, isa: Isa::active().unwrap(), poll: &|_, _| false }
}

fn plain(scores: &[f64]) -> Selection<'_> {
    Selection {
        items: scores.len(),
        scores: Some(scores),
        labels: None,
        groups: 1,
        target: Target::Proportional,
        given: &[],
        minimum: 0,
        law: Law::Top,
        replace: false,
        seed: 0,
        epoch: 0,
        query: 0,
    }
}

fn indices(selected: Result<Selected>) -> Vec<i64> {
    selected.unwrap().indices
}

#[test]
fn what_is_no_candidate_is_never_chosen() {
    let scores = [1.0, f64::NEG_INFINITY, 3.0, 2.0];
    assert_eq!(indices(plain(&scores).select(9, &run(1))), [2, 3, 0]);
    let labels = [0, 0, -1, 2];
    let selection = Selection { labels: Some(&labels), groups: 3, ..plain(&scores) };
    let selected = selection.select(9, &run(1)).unwrap();
    assert_eq!((selected.indices, selected.quotas), (vec![0, 3], vec![1, 0, 1]));
    assert_eq!(indices(Selection { scores: None, ..selection }.select(9, &run(1))), [0, 1, 3]);
    let nothing = Selection { labels: Some(&[-1; 4]), target: Target::Balanced, ..selection };
    assert_eq!(nothing.select(9, &run(1)).unwrap().quotas, [0; 3]);
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let scores = [1.0, 2.0];
    let selection = plain(&scores);
    let refused = |selection: Selection<'_>| selection.select(1, &run(1)).unwrap_err();
    for given in [&[1_i64, 2][..], &[-1]] {
        assert!(refused(Selection { given, ..selection }).to_string().starts_with("`given`"));
    }
    for labels in [&[0_i64][..], &[0, 1], &[-2, 0], &[i64::MIN, 0], &[0, i64::MAX]] {
        assert!(refused(Selection { labels: Some(labels), ..selection }).to_string().starts_with("`groups`"));
    }
    for scores in [&[f64::NAN, 0.0][..], &[0.0, f64::INFINITY], &[0.0]] {
        assert!(refused(Selection { scores: Some(scores), ..selection }).to_string().starts_with("`scores`"));
    }
    assert!(refused(Selection { replace: true, ..selection }).to_string().starts_with("`replace`"));
    let target = Target::Shares(&[1.0, 1.0]);
    assert_eq!(
        refused(Selection { target, ..selection }),
        Error::Length { argument: "target", expected: 1, got: 2 }
    );
}

#[test]
fn systematic_points_beyond_the_rounded_end_go_to_the_last_item() {
    let score = |item: u32| [0.0, 0.0, 0.0, -2000.0][item as usize];
    let end = 1.0 - f64::EPSILON / 2.0;
    for n in [1, 2] {
        let chosen = distinct(&[0, 1, 2, 3], score, 1.0, n, end, &run(1)).unwrap();
        assert_eq!(chosen.len(), n);
        assert_eq!(chosen[n - 1].0, 2, "{chosen:?}");
        assert!((chosen[0].1 - ln(n as f64 / 3.0)).abs() < 1e-12);
    }
}

#[test]
fn systematic_weights_of_any_size_give_as_many_as_asked_for() {
    let scores = [f64::MAX, 0.0, f64::MIN, -1.0, 1e-300];
    let score = |item: u32| scores[item as usize];
    for (n, expected) in [(1, &[0][..]), (2, &[0, 4]), (3, &[0, 1, 4]), (4, &[0, 1, 3, 4])] {
        let chosen = distinct(&[0, 1, 2, 3, 4], score, f64::from_bits(1), n, 0.3, &run(1)).unwrap();
        assert!(chosen.iter().map(|(item, _)| *item).eq(expected.iter().copied()), "{chosen:?}");
        assert!(chosen.iter().all(|(_, log_prob)| *log_prob == 0.0));
    }
}

/// Maximal marginal relevance as it is defined.
fn greedy(items: &[usize], scores: &[f64], lambda: f64, rows: &[Vec<f64>], n: usize) -> Vec<i64> {
    let cosine = |a: usize, b: usize| {
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let norms = dot(&rows[a], &rows[a]) * dot(&rows[b], &rows[b]);
        if norms == 0.0 { 0.0 } else { (dot(&rows[a], &rows[b]) / norms.sqrt()).clamp(-1.0, 1.0) }
    };
    let mut chosen: Vec<usize> = Vec::new();
    for _ in 0..n.min(items.len()) {
        let value = |item: usize| {
            let nearest = chosen.iter().map(|other| cosine(item, *other)).fold(f64::NEG_INFINITY, f64::max);
            lambda * scores[item] - (1.0 - lambda) * if chosen.is_empty() { 0.0 } else { nearest }
        };
        let open = items.iter().copied().filter(|item| !chosen.contains(item));
        let Some(best) = open.reduce(|best, item| if value(item) > value(best) { item } else { best }) else {
            break;
        };
        chosen.push(best);
    }
    chosen.into_iter().map(|item| item as i64).collect()
}

proptest! {
    #[test]
    fn diverse_choice_is_greedy_and_the_same_for_any_number_of_threads(
        rows in prop::collection::vec((prop::collection::vec(-2_i8..3, 3), -4_i8..5, -1_i64..3), 1..40),
        lambda in 0_u8..=4,
        num in 0_u64..30,
    ) {
        // Quarters are exact, so ties are ties in any order of addition.
        let lambda = f64::from(lambda) / 4.0;
        let wide: Vec<Vec<f64>> = rows.iter().map(|row| row.0.iter().map(|x| f64::from(*x)).collect()).collect();
        let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.1) / 4.0).collect();
        let labels: Vec<i64> = rows.iter().map(|row| row.2).collect();
        let flat: Vec<f32> = rows.iter().flat_map(|row| row.0.iter().map(|x| f32::from(*x))).collect();
        let matrix = Array2::from_shape_vec((rows.len(), 3), flat).unwrap();
        let embeddings = Rows::new("embeddings", Elements::F32(matrix.view())).unwrap();
        let law = Law::Diverse { lambda, embeddings: &embeddings };
        let selection = Selection { labels: Some(&labels), groups: 3, law, ..plain(&scores) };
        let got = selection.select(num, &run(1)).unwrap();
        let expected: Vec<i64> = (0..3)
            .flat_map(|group| {
                let items: Vec<usize> = (0..rows.len()).filter(|item| labels[*item] == group).collect();
                greedy(&items, &scores, lambda, &wide, got.quotas[group as usize] as usize)
            })
            .collect();
        prop_assert_eq!(&got.indices, &expected);
        for threads in [2, 3, 8] {
            prop_assert_eq!(&got, &selection.select(num, &run(threads)).unwrap());
        }
        if lambda == 1.0 {
            let top = Selection { law: Law::Top, ..selection };
            prop_assert_eq!(&got.indices, &indices(top.select(num, &run(1))));
        }
    }
}

const SEEDS: u32 = 100_000;

/// Over many seeds, the mean of 1[chosen] / p must be 1 for every item, or of the number of times with replacement.
#[test]
fn reported_probabilities_are_unbiased() {
    let scores = [0.3, -1.2, 2.0, 0.0, 0.4, -0.5];
    let labels = [0, 1, 0, 1, 0, 0];
    let laws = [Law::Softmax { temperature: 0.7 }, Law::Systematic { temperature: 0.7 }, Law::Random];
    for (law, replace) in laws.into_iter().flat_map(|law| [(law, false), (law, true)]) {
        let selection = Selection { labels: Some(&labels), groups: 2, law, replace, ..plain(&scores) };
        let mut sums = [[0.0_f64; 2]; 6];
        for seed in 0..SEEDS {
            let selected = Selection { seed: u64::from(seed), ..selection }.select(3, &run(1)).unwrap();
            let mut inverse = [0.0; 6];
            for (item, log_prob) in selected.indices.iter().zip(&selected.log_prob) {
                inverse[*item as usize] += 1.0 / exp(*log_prob);
            }
            for (sums, inverse) in sums.iter_mut().zip(inverse) {
                sums[0] += inverse;
                sums[1] += inverse * inverse;
            }
        }
        for (item, [sum, squares]) in sums.into_iter().enumerate() {
            let mean = sum / f64::from(SEEDS);
            let error = ((squares / f64::from(SEEDS) - mean * mean).max(0.0) / f64::from(SEEDS)).sqrt();
            assert!((mean - 1.0).abs() <= 4.0 * error + 1e-12, "{law:?} {replace} {item}: {mean} +- {error}");
        }
    }
}
