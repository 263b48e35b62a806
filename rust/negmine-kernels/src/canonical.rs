//! Canonical scores: inner product and squared distance in f64 with a fixed order of summation, and their vector forms.
//!
//! For two f32 rows of one width, in f64, with 16 lanes: lane `l` takes the coordinates `l, l + 16, l + 32, ...` in
//! ascending order, and the lanes are then added pairwise (`l` with `l + 8`, then `+ 4`, `+ 2`, `+ 1`). A product of
//! two f32 values is exact in f64, so a fused and a separate multiply-add give the same bits; the squared difference is
//! not exact and is therefore multiplied first and added after, never fused.
//!
//! [`dot`] and [`squared_distance`] are the definition. Every other function here gives the same bits on every
//! instruction set: sixteen lanes are two 512-bit or four 256-bit vectors of f64, and a short last block is filled with
//! zeros, which changes no lane (a lane starts at +0 and a rounded sum is -0 only where both addends are). One row has
//! too few independent sums to fill the multiply-add pipes; the `_both` and `_many` forms interleave two and four.
//!
//! Empty rows give 0. NaN and infinity follow IEEE arithmetic; the payload and the sign of a NaN are unspecified.

pub use crate::arch::portable::canonical::{LANES, dot, squared_distance};
use crate::dispatch;
use crate::isa::Isa;

/// [`dot`] on the given instruction set.
///
/// # Panics
/// If the two rows differ in width, or this processor lacks `isa`.
#[must_use]
pub fn dot_with(isa: Isa, a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "rows of one width");
    dispatch::dot(isa, a, [b])[0]
}

/// [`dot`] of `q` with each of two rows: with a row and `q` itself, an inner product and a squared norm in one pass.
///
/// # Panics
/// If the rows differ in width, or this processor lacks `isa`.
#[must_use]
pub fn dot_both(isa: Isa, q: &[f32], rows: [&[f32]; 2]) -> [f64; 2] {
    assert!(rows.iter().all(|row| row.len() == q.len()), "rows of one width");
    dispatch::dot(isa, q, rows)
}

/// [`dot`] of `q` with each of four rows.
///
/// # Panics
/// If the rows differ in width, or this processor lacks `isa`.
#[must_use]
pub fn dot_many(isa: Isa, q: &[f32], rows: [&[f32]; 4]) -> [f64; 4] {
    assert!(rows.iter().all(|row| row.len() == q.len()), "rows of one width");
    dispatch::dot(isa, q, rows)
}

/// [`squared_distance`] on the given instruction set.
///
/// # Panics
/// If the two rows differ in width, or this processor lacks `isa`.
#[must_use]
pub fn squared_distance_with(isa: Isa, a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "rows of one width");
    dispatch::squared_distance(isa, a, [b])[0]
}

/// [`squared_distance`] of `q` to each of four rows.
///
/// # Panics
/// If the rows differ in width, or this processor lacks `isa`.
#[must_use]
pub fn squared_distance_many(isa: Isa, q: &[f32], rows: [&[f32]; 4]) -> [f64; 4] {
    assert!(rows.iter().all(|row| row.len() == q.len()), "rows of one width");
    dispatch::squared_distance(isa, q, rows)
}
