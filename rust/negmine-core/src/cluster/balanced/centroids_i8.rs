//! Means of clusters in integer arithmetic, for the refinement of balanced clusters.

use std::sync::{Mutex, PoisonError};

use negmine_kernels::aligned::Aligned;
use negmine_kernels::quantize::quantize_row;

use crate::base::Result;
use crate::base::parallel::Run;
use crate::cluster::members::members_among;

use super::quantized_rows::{Codes, Sum};

/// Rows between two checks for an interrupt.
const ROWS_PER_CHECK: usize = 1_024;

/// Means of clusters, as int8 codes.
pub(crate) struct Centers {
    pub(crate) stride: usize,
    pub(crate) codes: Aligned<i8>,
    pub(crate) scales: Vec<f32>,
    /// The share of a row in the mean of its cluster; 0 if there is none.
    shares: Vec<f32>,
    /// Sums of the rows of clusters, and the cluster of every row.
    sums: Vec<i64>,
    labels: Vec<u32>,
    sizes: Vec<usize>,
}

/// The parts of the centers that belong to one cluster.
type Slot<'a> = (&'a mut [i8], &'a mut [i64]);

impl Centers {
    pub(crate) fn new(codes: &Codes, clusters: usize) -> Self {
        let stride = codes.stride();
        Self {
            stride,
            codes: Aligned::zeroed(clusters * stride),
            scales: vec![0.0; clusters],
            shares: vec![0.0; clusters],
            sums: vec![0; clusters * codes.width()],
            labels: Vec::new(),
            sizes: vec![0; clusters],
        }
    }

    /// Moves every center to the mean of its rows; one without rows stays where it is. Sums are exact, so only rows
    /// that moved are added and subtracted.
    pub(crate) fn update(&mut self, codes: &Codes, labels: &[u32], run: &Run<'_>) -> Result<()> {
        let clusters = self.scales.len();
        let moved = |row: &u32| self.labels.get(*row as usize) != labels.get(*row as usize);
        let rows: Vec<u32> = (0..labels.len() as u32).filter(moved).collect();
        let come = members_among(&rows, labels, clusters, run)?;
        let gone: &[u32] = if self.labels.is_empty() { &[] } else { &rows };
        let gone = members_among(gone, &self.labels, clusters, run)?;
        for j in 0..clusters {
            self.sizes[j] = self.sizes[j] + come.row(j).len() - gone.row(j).len();
        }
        let slots: Vec<Mutex<Slot<'_>>> = self
            .codes
            .chunks_mut(self.stride)
            .zip(self.sums.chunks_mut(codes.width()))
            .map(Mutex::new)
            .collect();
        let (sizes, width) = (&self.sizes, codes.width());
        let scales = run.map(
            clusters,
            || (Sum::new(width), vec![0.0; width]),
            |(change, mean), j, ticker| {
                ticker.check()?;
                if come.row(j).is_empty() && gone.row(j).is_empty() {
                    return Ok(None);
                }
                let mut slot = slots[j].lock().unwrap_or_else(PoisonError::into_inner);
                let (out, sums) = &mut *slot;
                change.clear();
                for rows in come.row(j).chunks(ROWS_PER_CHECK) {
                    ticker.check()?;
                    for &row in rows {
                        change.add(run.isa, codes, row);
                    }
                }
                for rows in gone.row(j).chunks(ROWS_PER_CHECK) {
                    ticker.check()?;
                    for &row in rows {
                        change.subtract(run.isa, codes, row);
                    }
                }
                for (sum, change) in sums.iter_mut().zip(change.total()) {
                    *sum += change;
                }
                if sizes[j] == 0 {
                    return Ok(None);
                }
                let each = codes.unit / sizes[j] as f64;
                for (mean, sum) in mean.iter_mut().zip(&**sums) {
                    *mean = (*sum as f64 * each) as f32;
                }
                Ok(Some(quantize_row(run.isa, mean, 1.0, out).scale))
            },
        )?;
        drop(slots);
        for (j, scale) in scales.into_iter().enumerate() {
            self.scales[j] = scale.unwrap_or(self.scales[j]);
            self.shares[j] = if self.sizes[j] == 0 { 0.0 } else { 1.0 / self.sizes[j] as f32 };
        }
        self.labels.clear();
        self.labels.extend_from_slice(labels);
        Ok(())
    }

    /// Half the squared norm of every center: the price that squared distances imply if sizes are free.
    pub(crate) fn half_norms(&self) -> Vec<f32> {
        let rows = self.codes.chunks_exact(self.stride).zip(&self.scales);
        rows.map(|(codes, scale)| {
            let squares: i64 = codes.iter().map(|&code| i64::from(code) * i64::from(code)).sum();
            (squares as f64 * f64::from(*scale) * f64::from(*scale) / 2.0) as f32
        })
        .collect()
    }

    /// The score of a row, now in cluster `own`, from the product of codes.
    pub(crate) fn score(&self, unit: f32, own: u32, cluster: u32, dot: i32) -> f32 {
        let score = dot as f32 * self.scales[cluster as usize] * unit;
        // A row of zeros, whose unit is 0, has no share of anything.
        if own == cluster && unit > 0.0 { score - self.shares[cluster as usize] } else { score }
    }
}

/// The value of one unit of a row's codes.
pub(crate) fn unit_of(codes: &Codes, r: u32) -> f32 {
    (f64::from(codes.factor(r)) * codes.unit) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use negmine_kernels::isa::Isa;

    use crate::base::philox::SplitMix;
    use crate::cluster::centroids::{Lengths, as_rows};
    use crate::scoring::Metric;

    /// Few rows and many clusters, so that most lose all their rows at times and get others.
    #[test]
    fn centers_are_means_of_the_rows_they_have_now() {
        let (n, width, clusters) = (12, 5, 6);
        let mut numbers = SplitMix(3);
        let values: Vec<f32> = (0..n * width).map(|_| numbers.draw() as i32 as f32).collect();
        let rows = as_rows(&values, width).unwrap();
        let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false };
        let lengths = Lengths::read(&rows, Metric::Cosine, &run).unwrap();
        let codes = Codes::new(&rows, &lengths, &run).unwrap();
        let mut centers = Centers::new(&codes, clusters);
        for _ in 0..200 {
            let labels: Vec<u32> = (0..n).map(|_| (numbers.draw() % clusters as u64) as u32).collect();
            centers.update(&codes, &labels, &run).unwrap();
            let mut fresh = Centers::new(&codes, clusters);
            fresh.update(&codes, &labels, &run).unwrap();
            assert_eq!(centers.sums, fresh.sums);
            for j in (0..clusters).filter(|&j| labels.contains(&(j as u32))) {
                let own = |all: &Centers| all.codes[j * all.stride..(j + 1) * all.stride].to_vec();
                assert_eq!((own(&centers), centers.scales[j]), (own(&fresh), fresh.scales[j]), "{labels:?}");
            }
        }
    }
}
