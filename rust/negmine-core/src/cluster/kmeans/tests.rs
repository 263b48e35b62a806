//! Tests that pruned assignment rules out no best centroid.

use negmine_kernels::canonical;
use negmine_kernels::dot_i8::{PANEL, scan_panel};
use negmine_kernels::isa::Isa;
use negmine_kernels::quantize::largest_magnitude;

use crate::base::matrix::Rows;
use crate::base::parallel::Run;
use crate::base::philox::SplitMix;
use crate::cluster::centroids::{Lengths, as_rows};
use crate::scoring::Metric;
use crate::scoring::rotation::{Axes, Rotation, Segments};
use crate::scoring::score::unit_for;

use super::assign::Points;
use super::pruned_assign::LeadRows;

const KINDS: [&str; 10] = [
    "even",
    "few axes",
    "one huge",
    "denormal",
    "magnitudes",
    "equal",
    "alternating",
    "zeros",
    "far off",
    "one axis",
];

/// Rows that are hard on some part of the bound.
fn rows_of(kind: &str, n: usize, width: usize) -> Vec<f32> {
    let mut numbers = SplitMix(n as u64);
    let mut next = || (numbers.draw() >> 40) as f32 / (1_u32 << 23) as f32 - 1.0;
    let axes: Vec<f32> = (0..6 * width).map(|_| next()).collect();
    let mut all = Vec::with_capacity(n * width);
    for r in 0..n {
        let own: Vec<f32> = (0..6).map(|_| next()).collect();
        for j in 0..width {
            let x = next();
            let low_rank = (0..6).map(|a| own[a] * axes[a * width + j]).sum::<f32>() + 0.05 * x;
            all.push(match kind {
                "few axes" => low_rank,
                "one huge" if j == r % width => 1e6 * x,
                "denormal" => x * 1e-40,
                "magnitudes" => x * 2.0_f32.powi((r % 61) as i32 - 30),
                "equal" => 0.3,
                "alternating" => {
                    if (r + j) % 2 == 0 {
                        1.0
                    } else {
                        -1.0
                    }
                }
                "zeros" if r % 3 > 0 => 0.0,
                "far off" => 100.0 + low_rank,
                "one axis" => {
                    if j == 0 {
                        x.signum() * 127.0 / 128.0
                    } else {
                        0.0
                    }
                }
                _ => x,
            });
        }
    }
    all
}

/// A rotation of the rows; along "one axis" a matrix that is orthogonal but for that axis, which it lengthens.
fn rotation_of(kind: &str, rows: &Rows<'_>, metric: Metric, lead: usize, run: &Run<'_>) -> Option<Rotation> {
    let width = rows.width();
    let mut buffer = vec![0.0; width];
    let largest = (0..rows.len()).map(|r| largest_magnitude(run.isa, rows.row(run.isa, r, &mut buffer)));
    let unit = if metric == Metric::Cosine { 1.0 } else { unit_for(largest.fold(0.0, f32::max)) };
    if kind == "one axis" {
        let one = |i: usize| if i == 0 { 1.0 + 1.0 / 1_024.0 } else { 1.0 };
        let entry = |i: usize| if i / width == i % width { one(i) } else { 0.0 };
        return Rotation::new(unit, vec![0.0; width], (0..width * width).map(entry).collect(), run).unwrap();
    }
    let axes = Axes::of(rows, metric, unit, 4_096, run).unwrap()?;
    axes.rotation(Segments::new(width, lead)?, run).unwrap()
}

/// Every centroid that scores a threshold or more reaches it in the kernel.
#[test]
fn nothing_that_scores_enough_is_ruled_out() {
    let (n, k, lead) = (50, 70, 24);
    for (kind, width) in KINDS.into_iter().flat_map(|kind| [(kind, 97), (kind, 128)]) {
        let data = rows_of(kind, n + k, width);
        let (data, centroids) = data.split_at(n * width);
        let rows = as_rows(data, width).unwrap();
        for (metric, isa) in
            Isa::available().into_iter().flat_map(|isa| [(Metric::L2, isa), (Metric::Cosine, isa)])
        {
            let run = Run { threads: 1, isa, poll: &|_, _| false };
            let Some(rotation) = rotation_of(kind, &rows, metric, lead, &run) else { continue };
            let lead_rows = LeadRows::new(&rows, metric, (rotation, lead), centroids, n, &run).unwrap();
            let packed = lead_rows.pack(centroids, &run).unwrap();
            let norm = |x: &[f32]| canonical::dot_with(isa, x, x);
            let score = |r: usize, j: usize| {
                let (q, c) = (&data[r * width..][..width], &centroids[j * width..][..width]);
                metric.finish(metric.sum(isa, q, c), norm(q), norm(c))
            };
            let scores: Vec<f64> = (0..n * k).map(|i| score(i / k, i % k)).collect();
            let (mut hits, mut all) = (Vec::new(), 0);
            let mut tile = lead_rows.tile(0);
            for j in 0..k {
                for r in 0..n {
                    tile.set_threshold(r, lead_rows.threshold(r, scores[r * k + j], packed.base));
                }
                let mut reached = vec![false; n * k];
                for p in 0..packed.panels() {
                    hits.clear();
                    scan_panel(isa, &tile, packed.view(p), &mut hits);
                    all += hits.len();
                    for hit in &hits {
                        reached[hit.query as usize * k + p * PANEL + hit.lane as usize] = true;
                    }
                }
                for (i, reached) in reached.iter().enumerate() {
                    let enough = scores[i] >= scores[i / k * k + j];
                    assert!(*reached || !enough, "{kind}, {metric:?}, {isa}, width {width}: {i} at {j}");
                }
            }
            if kind == "few axes" {
                assert!(all < n * k * k * 2 / 3, "{metric:?}: {all} hits rule out nothing");
            }
        }
    }
}

/// Copies of centroids included, whose lowest number counts.
#[test]
fn labels_are_those_of_the_full_width() {
    let (n, k, width, lead) = (300, 150, 128, 24);
    for kind in KINDS {
        let mut data = rows_of(kind, n + k, width);
        data.copy_within(..20 * width, (n + 70) * width);
        data.copy_within(..20 * width, (n + 100) * width);
        let (data, centroids) = data.split_at(n * width);
        let rows = as_rows(data, width).unwrap();
        for (metric, isa) in
            Isa::available().into_iter().flat_map(|isa| [(Metric::L2, isa), (Metric::Cosine, isa)])
        {
            let run = Run { threads: 2, isa, poll: &|_, _| false };
            let lengths = Lengths::read(&rows, metric, &run).unwrap();
            let mut points = Points::new(&rows, metric, &lengths, &run).unwrap();
            let full = points.assign(centroids, None, &run).unwrap();
            let before: Vec<u32> = (0..n as u32).map(|r| (r * 7) % k as u32).collect();
            assert_eq!(full, points.assign(centroids, Some(&before), &run).unwrap(), "{kind}");
            let Some(rotation) = rotation_of(kind, &rows, metric, lead, &run) else { continue };
            points.shorten_by((rotation, lead), centroids, &run).unwrap();
            for before in [&before, &full] {
                let found = points.assign(centroids, Some(before), &run).unwrap();
                assert_eq!(full, found, "{kind}, {metric:?}, {isa}");
            }
        }
    }
}
