//! Shared code of the benchmarks: reproducible data and short settings.

use std::time::Duration;

use criterion::Criterion;

/// Settings under which a benchmark takes a second or two: enough to compare, short enough to run often.
#[must_use]
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}

/// The generator splitmix64, for benchmark data.
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An approximately normal number with variance 1.
    pub fn normal(&mut self) -> f32 {
        let sum: u64 = (0..3).map(|_| self.bits()).map(|bits| (bits & 0xffff_ffff) + (bits >> 32)).sum();
        (sum as f64 / f64::from(u32::MAX) - 3.0) as f32 * std::f32::consts::SQRT_2
    }

    /// A row of such numbers.
    pub fn row(&mut self, width: usize) -> Vec<f32> {
        (0..width).map(|_| self.normal()).collect()
    }

    /// A row of approximately normal codes in [-127, 127].
    pub fn codes(&mut self, width: usize) -> Vec<i8> {
        (0..width).map(|_| (self.normal() * 35.0).clamp(-127.0, 127.0) as i8).collect()
    }
}
