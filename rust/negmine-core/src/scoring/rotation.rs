//! Centering and rotation to principal axes, which moves most of the variance of documents into the leading
//! coordinates.
//!
//! A document d (divided by its norm under cosine, multiplied with a power of two otherwise) becomes c = d - mean, so
//! that q.d = q.mean + q.c, and then y = A c; a query becomes z = A q. The rows of A are the principal axes of a sample
//! of the centered documents, cut into three segments ([`Segments`]) in each of which a random rotation spreads the
//! coordinates evenly: int8 codes of equal ranges lose least. Answers do not depend on A, which is why its draws need
//! not be Philox and its arithmetic may differ between processors; only the bound below must hold for the A used.
//!
//! **Derivation.** A is square, stored in f32, and near-orthogonal: AA' = I + E, `eta` the Frobenius norm of E,
//! measured in f64 on the stored matrix. For its first m rows M, MM' = I + F with F a block of E. B = (MM')^-1/2 M has
//! exactly orthonormal rows and |Mx - Bx| <= eta |x|, since |sqrt(1 + e) - 1| <= |e|. In f32, for every order of
//! summation, |fl(Mx) - Mx| <= gamma sqrt(m (1 + eta)) |x| with gamma = (D + 2) u / (1 - (D + 2) u) and u = 2^-24; the
//! 2 covers that x itself was rounded to f32. Together |fl(Mx) - Bx| <= r |x|,
//!
//! ```text
//! r = gamma sqrt(m (1 + eta)) + eta                                                              (`deviation`)
//! ```
//!
//! Because B is a partial isometry, q.c = (Bq).(Bc) + (what B leaves of q).(what B leaves of c), and with z, y the
//! computed vectors
//!
//! ```text
//! | q.c - z.y |  <=  rho |q| |c|  +  tail(q) tail(c)
//! rho            =   2 r + r^2   <=  2 r + 3 r^2                                                       (`rho`)
//! tail(x)^2      =   |x|^2 - |Bx|^2  <=  |x|^2 - |fl(Mx)|^2 + 2 r |x| |fl(Mx)|
//! ```
//!
//! Both are needed: a tail covers the part of one row that the rotation may hide, rho the error in the product of the
//! visible parts. Rows along an axis that the matrix lengthens have no tail, and yet a negative product falls below the
//! truth. The tail needs no coordinate beyond the m-th, and is 0 for m = D. Products that underflow are left to the
//! absolute slack of the caller.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};

use negmine_kernels::rows_i8::ROW_ALIGNMENT;

use crate::base::matrix::Rows;
use crate::base::parallel::Run;
use crate::base::philox::SplitMix;
use crate::base::{Error, Result};

use super::bound::Slack;
use super::score::{Metric, factor};

/// Documents that are centered and rotated at once: their f32 rows stay in the L2 cache.
pub(crate) const TOGETHER: usize = 128;

/// Above the relative rounding of a centered row to f32, which its measured norm has gone through.
pub(crate) const OF_NORM: f64 = 1.0 / (1_u64 << 23) as f64;

/// The largest deviation from orthogonality for which the derivation is used.
const MOST_ETA: f64 = 0.01;

/// The widest row that is rotated: the work grows with the cube of the width, and 2,048 takes some seconds.
pub(crate) const MAX_ROTATED_WIDTH: usize = 2_048;

/// The segments of a rotated row: `lead` coordinates in the first pass, `middle` to refine its hits, the `rest` last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segments {
    pub(crate) lead: usize,
    pub(crate) middle: usize,
    pub(crate) rest: usize,
}

impl Segments {
    /// The cut of a width after about `lead` coordinates; `None` if the width is too small to leave any coordinate out.
    pub(crate) fn new(width: usize, lead: usize) -> Option<Self> {
        let lead = lead.clamp(4, MAX_ROTATED_WIDTH).next_multiple_of(4);
        if width > MAX_ROTATED_WIDTH || lead >= width {
            return None;
        }
        let left = width - lead;
        // Two cache lines; a rest of less than one is refined along.
        let middle = if left < 192 { left.min(128) } else { 128 };
        let middle = if left - middle < 64 { left } else { middle };
        Some(Self { lead, middle, rest: left - middle })
    }

    /// The cuts that may be chosen, and whose rows lose little to whole cache lines: at width 384 the rotated form then
    /// takes at most a quarter of the rows' f32 bytes in addition to the full-width form.
    pub(crate) fn choices(width: usize) -> impl Iterator<Item = Self> {
        let cuts = (1..width.div_ceil(STEP)).filter_map(move |i| Self::new(width, i * STEP));
        cuts.filter(|cut| {
            let lines = |width: usize| width.next_multiple_of(ROW_ALIGNMENT);
            lines(cut.middle) + lines(cut.rest) <= cut.middle + cut.rest + STEP
        })
    }

    pub(crate) fn width(&self) -> usize {
        self.lead + self.middle + self.rest
    }
}

/// Steps of leading coordinates between two choices.
pub(crate) const STEP: usize = 16;

/// Mean and principal axes of a corpus.
#[derive(Clone, Debug)]
pub(crate) struct Axes {
    /// The factor of coordinates before they are centered; 1 under cosine, where rows are normed.
    pub(crate) unit: f64,
    pub(crate) mean: Vec<f32>,
    /// One axis after the other, the widest first.
    rows: Mat<f64>,
}

impl Axes {
    /// The axes of a sample of about `sample` documents at equal steps.
    ///
    /// # Errors
    /// Returns an error on a value that is not finite, or an interrupt.
    pub(crate) fn of(
        corpus: &Rows<'_>,
        metric: Metric,
        unit: f64,
        sample: usize,
        run: &Run<'_>,
    ) -> Result<Option<Self>> {
        let width = corpus.width();
        let step = corpus.len().div_ceil(sample).max(1);
        let rows: Vec<usize> = (0..corpus.len()).step_by(step).collect();
        let sums = run.map(
            rows.len().div_ceil(TOGETHER),
            || vec![0.0; width],
            |buffer, item, ticker| {
                ticker.check()?;
                let mut sum = vec![0.0; width];
                for &r in chunk(&rows, item) {
                    let row = corpus.finite_row(run.isa, r, buffer)?;
                    let factor = factor(metric, metric.squared_norm(run.isa, row), unit);
                    sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x) * factor);
                }
                Ok(sum)
            },
        )?;
        let count = rows.len().max(1) as f64;
        let mean = |j: usize| (sums.iter().map(|sum| sum[j]).sum::<f64>() / count) as f32;
        let mean: Vec<f32> = (0..width).map(mean).collect();
        // There are eight pieces for every number of threads, so that partial sums stay few.
        let piece = rows.len().div_ceil(TOGETHER).div_ceil(8).max(1);
        let covariances = run.map(
            rows.len().div_ceil(TOGETHER * piece),
            || (vec![0.0; width], vec![0.0; width * TOGETHER]),
            |(buffer, centered), item, ticker| {
                let mut covariance = Mat::<f32>::zeros(width, width);
                for part in item * piece..((item + 1) * piece).min(rows.len().div_ceil(TOGETHER)) {
                    ticker.check()?;
                    let rows = chunk(&rows, part);
                    for (&r, centered) in rows.iter().zip(centered.chunks_exact_mut(width)) {
                        let row = corpus.finite_row(run.isa, r, buffer)?;
                        let factor = factor(metric, metric.squared_norm(run.isa, row), unit);
                        center(row, factor, &mean, centered);
                    }
                    let x = MatRef::from_row_major_slice(&centered[..rows.len() * width], rows.len(), width);
                    matmul(&mut covariance, Accum::Add, x.transpose(), x, 1.0, Par::Seq);
                }
                Ok(covariance)
            },
        )?;
        let covariance = Mat::from_fn(width, width, |i, j| {
            covariances.iter().map(|part| f64::from(part[(i, j)])).sum::<f64>() / count
        });
        let rows = run.aside(move || widest_first(&covariance))?;
        Ok(rows.map(|rows| Self { unit, mean, rows }))
    }

    /// The rotation to the axes themselves, to measure the variance along each.
    pub(crate) fn plain(&self, run: &Run<'_>) -> Result<Option<Rotation>> {
        let width = self.mean.len();
        let matrix = (0..width * width).map(|i| self.rows[(i / width, i % width)] as f32).collect();
        Rotation::new(self.unit, self.mean.clone(), matrix, run)
    }

    /// The rotation whose leading coordinates follow the widest axes; `None` if the matrix is not a rotation.
    pub(crate) fn rotation(&self, segments: Segments, run: &Run<'_>) -> Result<Option<Rotation>> {
        let width = segments.width();
        let mut matrix = vec![0.0; width * width];
        let mut first = 0;
        for len in [segments.lead, segments.middle, segments.rest] {
            let axes = self.rows.subrows(first, len).to_owned();
            let mixed = run.aside(move || random_orthogonal(len, first as u64) * axes)?;
            for i in 0..len {
                for j in 0..width {
                    matrix[(first + i) * width + j] = mixed[(i, j)] as f32;
                }
            }
            first += len;
        }
        Rotation::new(self.unit, self.mean.clone(), matrix, run)
    }
}

fn chunk(rows: &[usize], item: usize) -> &[usize] {
    &rows[item * TOGETHER..((item + 1) * TOGETHER).min(rows.len())]
}

/// `row * factor - mean`, in f64 and then rounded to f32 once.
pub(crate) fn center(row: &[f32], factor: f64, mean: &[f32], out: &mut [f32]) {
    for ((out, &x), &mean) in out.iter_mut().zip(row).zip(mean) {
        *out = (f64::from(x) * factor - f64::from(mean)) as f32;
    }
}

/// Eigenvectors as rows, of the largest eigenvalue first; `None` where the decomposition fails.
fn widest_first(covariance: &Mat<f64>) -> Option<Mat<f64>> {
    let width = covariance.nrows();
    let eigen = covariance.self_adjoint_eigen(Side::Lower).ok()?;
    let vectors = eigen.U();
    Some(Mat::from_fn(width, width, |i, j| vectors[(j, width - 1 - i)]))
}

/// A fixed orthogonal matrix in no special direction.
fn random_orthogonal(n: usize, seed: u64) -> Mat<f64> {
    let mut numbers = SplitMix(seed);
    let mut next = || (numbers.draw() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
    // The sum of four is near enough to a normal draw for directions to be even.
    let mut draw = || next() + next() + next() + next();
    Mat::from_fn(n, n, |_, _| draw()).qr().compute_Q()
}

/// A centering and a rotation, with the measured deviation from orthogonality.
#[derive(Clone, Debug)]
pub struct Rotation {
    unit: f64,
    mean: Vec<f32>,
    /// Row-major.
    matrix: Vec<f32>,
    eta: f64,
}

impl Rotation {
    /// A rotation by a square row-major `matrix` that is nearly orthogonal; the deviation is measured here. `None` if
    /// it is too large. Documents are multiplied with `unit`, a power of two, before `mean` is subtracted; 1 under
    /// cosine.
    ///
    /// # Errors
    /// Returns an error on a matrix that is not as wide as the mean, or an interrupt.
    pub fn new(unit: f64, mean: Vec<f32>, matrix: Vec<f32>, run: &Run<'_>) -> Result<Option<Self>> {
        let width = mean.len();
        if matrix.len() != width * width {
            return Err(Error::Length { argument: "matrix", expected: width * width, got: matrix.len() });
        }
        // It is measured aside, so that the caller's rounding and flush modes do not matter.
        let (eta, matrix) = run.aside(move || (off_orthogonal(&matrix, width), matrix))?;
        // Negated, so that a NaN is refused.
        Ok((eta <= MOST_ETA).then_some(Self { unit, mean, matrix, eta }))
    }

    pub(crate) fn width(&self) -> usize {
        self.mean.len()
    }

    pub(crate) fn unit(&self) -> f64 {
        self.unit
    }

    pub(crate) fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// The first `m` rotated coordinates of every row, one row after the other.
    pub(crate) fn apply(&self, rows: &[f32], m: usize, out: &mut [f32]) {
        let width = self.width();
        let n = rows.len() / width;
        let a = MatRef::from_row_major_slice(&self.matrix[..m * width], m, width);
        let x = MatRef::from_row_major_slice(rows, n, width);
        let y = MatMut::from_row_major_slice_mut(&mut out[..n * m], n, m);
        matmul(y, Accum::Replace, x, a.transpose(), 1.0, Par::Seq);
    }

    /// r: how far the first `m` computed coordinates of x may be from those of an exact partial isometry, over |x|.
    pub(crate) fn deviation(&self, m: usize, slack: Slack) -> f64 {
        let terms = (self.width() + 2) as f64 * slack.gamma;
        let gamma = terms / (1.0 - terms);
        gamma * (m as f64 * (1.0 + self.eta)).sqrt() + self.eta * slack.eta
    }

    /// rho: how far the product of the first `m` computed coordinates of q and c may be from that of exact ones, over
    /// |q| |c|.
    pub(crate) fn rho(&self, m: usize, slack: Slack) -> f64 {
        let r = self.deviation(m, slack);
        (2.0 * r + 3.0 * r * r) * slack.rho
    }
}

/// The Frobenius norm of AA' - I, measured in f64 and not below the truth.
fn off_orthogonal(matrix: &[f32], width: usize) -> f64 {
    let a = Mat::from_fn(width, width, |i, j| f64::from(matrix[i * width + j]));
    let product = &a * a.transpose();
    let mut sum = 0.0;
    for i in 0..width {
        for j in 0..width {
            let off = product[(i, j)] - f64::from(u8::from(i == j));
            sum += off * off;
        }
    }
    // An entry is off by at most D 2^-52 of the rows' norms, which are near 1.
    let rounding = (width * width) as f64 * f64::EPSILON;
    (sum.sqrt() + rounding) * (1.0 + 1e-6)
}
