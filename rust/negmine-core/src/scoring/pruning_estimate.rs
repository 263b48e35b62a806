//! Estimate, on a sample, of the share of pairs that the bound of leading rotated coordinates cannot rule out.

use negmine_kernels::quantize::largest_magnitude;

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::parallel::Run;

use super::rotation::{Rotation, STEP, center};
use super::score::{Metric, factor, unit_for};

/// Narrower rows are never rotated: a scan of them takes less time than an estimate.
pub(crate) const LEAST_WIDTH: usize = 96;

/// The cost of sixty-four coordinates of a pair, in cycles of 512-bit products, fitted to times on 100,000 sentence
/// embeddings.
pub(crate) const COORDINATES: f64 = 1.06;

/// About `n` of `all` numbers, at equal steps.
pub(crate) fn spread(all: usize, n: usize) -> Vec<usize> {
    let n = n.min(all);
    (0..n).map(|i| i * all / n).collect()
}

/// A row in the coordinates of the axes.
pub(crate) struct Along {
    coordinates: Vec<f32>,
    /// Inner product with the mean.
    pub(crate) mean: f64,
    pub(crate) unit: f64,
    /// Squared norm.
    pub(crate) norm: f32,
}

impl Along {
    /// The inner product of two rows.
    pub(crate) fn dot(&self, other: &Self) -> f64 {
        let products = self.coordinates.iter().zip(&other.coordinates).map(|(x, y)| x * y);
        f64::from(products.sum::<f32>())
    }
}

pub(crate) fn rotated(
    rows: &Rows<'_>,
    which: &[usize],
    metric: Metric,
    rotation: &Rotation,
    centered: bool,
    run: &Run<'_>,
) -> Result<Vec<Along>> {
    let width = rows.width();
    let zeros = vec![0.0; width];
    let mean = if centered { rotation.mean() } else { &zeros };
    run.map(
        which.len(),
        || vec![0.0; width],
        |buffer, item, _| {
            let row = rows.finite_row(run.isa, which[item], buffer)?;
            let largest = largest_magnitude(run.isa, row);
            let own = if metric == Metric::Cosine { 1.0 } else { unit_for(largest) };
            let unit = if centered { rotation.unit() } else { own };
            let factor = factor(metric, metric.squared_norm(run.isa, row), unit);
            let mut x = vec![0.0; width];
            center(row, factor, mean, &mut x);
            let mut coordinates = vec![0.0; width];
            rotation.apply(&x, width, &mut coordinates);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
            let mean = f64::from(dot(&x, rotation.mean()));
            let norm = dot(&coordinates, &coordinates);
            Ok(Along { coordinates, mean, unit, norm })
        },
    )
}

/// The quantization error of a segment's product, relative to the norms of both sides: a random rotation gives each
/// coordinate the same range, some three standard deviations, of which a step is 1/127; the standard deviation of a
/// rounding error is 1/sqrt(12) of a step; the error occurs on both sides.
const QUANTIZATION: f32 = 0.0136;

/// For each step of leading coordinates, adds one if the pair, whose product must be at least `least`, remains.
pub(crate) fn count_left(left: &mut [usize], z: &Along, y: &Along, least: f64) {
    let (mut dot, mut zz, mut yy) = (0.0_f32, 0.0_f32, 0.0_f32);
    let chunks = z.coordinates.chunks_exact(STEP).zip(y.coordinates.chunks_exact(STEP));
    for (left, (z_part, y_part)) in left.iter_mut().zip(chunks) {
        for (z, y) in z_part.iter().zip(y_part) {
            dot += z * y;
            zz += z * z;
            yy += y * y;
        }
        let tails = (z.norm - zz).max(0.0) * (y.norm - yy).max(0.0);
        let high = dot + QUANTIZATION * (zz * yy).sqrt() + tails.sqrt();
        *left += usize::from(f64::from(high) >= least);
    }
}
