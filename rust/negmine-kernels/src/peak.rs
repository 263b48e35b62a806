//! Measured peak rates of one core: f32 and int8 arithmetic, and read bandwidth. Benchmarks report rates as a share of
//! them.
//!
//! The arithmetic peaks are loops over registers, without loads: enough independent multiply-adds to fill the pipes.
//! The VNNI peak is the int8 rate of the vector units, not of the machine: matrix units (AMX) have eight times as much.
//! For `Avx2` and `Neon`, which have no int8 dot product, it is the rate of the exact sequence that the panel scan uses.
//! The read bandwidth is the rate of summing a buffer larger than the caches. Each figure is the median of several runs,
//! some 50 ms in all; on a shared machine they move by some percent, so compare figures of one run only.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::dispatch;
use crate::isa::Isa;

/// Measured peaks of one core.
#[derive(Clone, Copy, Debug)]
pub struct Peaks {
    /// The instruction set that was measured.
    pub isa: Isa,
    /// f32 multiply-adds, two operations each, in 10^9 operations a second.
    pub f32_gflops: f64,
    /// int8 multiply-adds into i32 by the vector units, two operations each, in 10^9 operations a second.
    pub vnni_gops: f64,
    /// Bytes read from memory, in 10^9 a second.
    pub read_gb_per_s: f64,
}

/// Measures everything; takes some 0.3 s.
///
/// # Panics
/// If this processor lacks `isa`.
#[must_use]
pub fn measure(isa: Isa) -> Peaks {
    Peaks { isa, f32_gflops: f32_gflops(isa), vnni_gops: vnni_gops(isa), read_gb_per_s: read_gb_per_s(isa) }
}

/// The f32 multiply-add peak in 10^9 operations a second; some 50 ms.
///
/// # Panics
/// If this processor lacks `isa`.
#[must_use]
pub fn f32_gflops(isa: Isa) -> f64 {
    2e-9 * median_rate(|rounds| dispatch::peak_f32(isa, rounds))
}

/// The VNNI peak, int8 multiply-adds by the vector units, in 10^9 operations a second; some 50 ms.
///
/// # Panics
/// If this processor lacks `isa`.
#[must_use]
pub fn vnni_gops(isa: Isa) -> f64 {
    2e-9 * median_rate(|rounds| dispatch::peak_int8(isa, rounds))
}

/// The bandwidth of one core reading memory in 10^9 bytes a second; some 0.2 s, most of it to obtain the memory.
///
/// # Panics
/// If this processor lacks `isa`.
#[must_use]
pub fn read_gb_per_s(isa: Isa) -> f64 {
    const BYTES: usize = 256 << 20;
    let words = vec![black_box(1_u64); BYTES / 8];
    let seconds = median((0..5).map(|_| {
        let start = Instant::now();
        black_box(dispatch::sum(isa, black_box(&words)));
        start.elapsed().as_secs_f64()
    }));
    1e-9 * BYTES as f64 / seconds
}

/// Multiply-adds per second of `work`, which runs the given number of rounds and returns their multiply-adds.
fn median_rate(work: impl Fn(u64) -> u64) -> f64 {
    const RUN: Duration = Duration::from_millis(6);
    let timed = |rounds| {
        let start = Instant::now();
        let multiply_adds = work(rounds);
        (start.elapsed(), multiply_adds)
    };
    let mut rounds = 1_000;
    while timed(rounds).0 < RUN {
        rounds *= 2;
    }
    median((0..7).map(|_| {
        let (elapsed, multiply_adds) = timed(rounds);
        multiply_adds as f64 / elapsed.as_secs_f64()
    }))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
