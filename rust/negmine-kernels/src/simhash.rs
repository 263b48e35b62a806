//! `SimHash`, the signs of random projections (Charikar, STOC 2002), certified: each bit is the sign of the canonical
//! f64 product.
//!
//! **What is computed.** For a row x and projections r(0), r(1), ...: bit k is 1 where `canonical::dot(r(k), x) > 0`.
//! Bits are taken `tau` at a time, the first one lowest, into signatures of `tau` bits (SDIM, arXiv 2205.10249, section
//! 3.1). A row of zeros has no direction: its signatures are [`MASKED`].
//!
//! **How.** Vector bodies multiply in 16-bit integers first and keep the sign wherever it is beyond doubt. A row x is
//! scaled by some c > 0 to a norm of about T = 32,000 and rounded, a projection r to norm T exactly, up to the
//! rounding:
//!
//! ```text
//! xi = round(c x),  ri = round(T r / ||r||),      sign(r.x) = sign(R.X)  with  X = c x,  R = T r / ||r||
//! |xi.ri - X.R|  <=  ||xi - X|| ||ri|| + ||X|| ||ri - R||  <=  0.503 sqrt(D) ||ri|| + T (1 + 2^-8) ||ri - R||
//! ```
//!
//! A code is off by a half and, since c x is computed in f32, by T 2^-23 more; what a projection loses is measured. The
//! integer product is exact: by Cauchy and Schwarz no part of its sum exceeds (T (1 + 2^-8) + 0.503 sqrt(D)) (T + 0.5
//! sqrt(D)), which is below 2^30 for D up to 65,536, and no code exceeds 32,767. So the first pass gives the same bits
//! in any order of summation. c is T over the root of an f32 sum of squares, which is off by less than 2^-10 over at
//! least eight lanes; sums beyond [2^-100, 2^126] give c = 0, which leaves every bit in doubt. About one bit in 800 is
//! in doubt at width 64, in proportion to the width.
//!
//! Products that are in doubt are computed again in f32. With u = 2^-24, D terms added by fused multiply-adds in any
//! order differ from the real number s = r.x by at most
//!
//! ```text
//! gamma_D sum|r_j x_j| + D 2^-149  <=  gamma_D ||r|| ||x|| + D 2^-149,     gamma_D = D u / (1 - D u)
//! ```
//!
//! and the canonical product by at most D 2^-52 ||r|| ||x||. The f32 sum of squares is off by at most D u of itself,
//! nearly, and by D 2^-149 where squares vanish, so ||x|| is at most sqrt(sum) (1 + D u) + sqrt(D) 2^-74. Therefore a
//! product whose magnitude exceeds
//!
//! ```text
//! 1.02 (D + 16) u max(||r||, 1) (sqrt(sum) + sqrt(D) 2^-74)
//! ```
//!
//! has the canonical sign: 1.02 covers 1 / (1 - D u), the norm and the four roundings of the bound itself; the term
//! with 2^-74 is above 2^-95 and covers both losses by underflow. Comparisons treat NaN as doubt, so an overflowing sum
//! of squares (infinite, or NaN) leads to canonical products for every bit, which also decide the bits that are still
//! in doubt.
//!
//! **Why this shape is fast.** Integer products of 16 bits come two to a 32-bit lane, twice as many an instruction as
//! f32 ones, and lose so little that few bits are computed twice; bfloat16 products are as many but lose 16 times as
//! much. Projections lie in panels of 48 (three 512-bit vectors), pair of coordinates by pair. Eight rows by three
//! vectors are 24 accumulators that live in registers: 3 loads and 8 broadcasts for 24 instructions.

pub use crate::arch::portable::simhash::{MASKED, MAX_ROWS, MAX_TAU, MAX_WIDTH, PANEL, Projections};
use crate::dispatch;
use crate::isa::Isa;

/// Writes the signatures of at most [`MAX_ROWS`] rows, row after row; `scratch` is from [`Projections::scratch`].
/// Returns one bit for each row that may hold NaN or infinity: every row that does, whose signatures mean nothing, and
/// rows so long that their sum of squares overflows. Bits beyond the last row mean nothing.
///
/// # Panics
/// If there are more rows, one has another width, `scratch` or `out` another length, or this processor lacks `isa`.
pub fn signatures(
    isa: Isa,
    projections: &Projections,
    rows: &[&[f32]],
    scratch: &mut [u32],
    out: &mut [u32],
) -> u64 {
    assert!(rows.len() <= MAX_ROWS, "at most {MAX_ROWS} rows");
    assert!(rows.iter().all(|row| row.len() == projections.width()), "rows as wide as the projections");
    assert_eq!(scratch.len(), MAX_ROWS * projections.stride(), "the projections' scratch");
    assert_eq!(out.len(), rows.len() * projections.groups(), "signatures of all rows");
    dispatch::signatures(isa, projections, rows, scratch, out)
}
