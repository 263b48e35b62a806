//! Symmetric int8 quantization of a row, with rigorous bounds on the quantization error.
//!
//! With `y = x * factor`, a row becomes codes `i` in [-127, 127] and one f32 scale `s`, so that `y = s * i + e`. The
//! bounds that the search builds on it need `||y||` and `||e||`:
//!
//! ```text
//! | q.d - sq*sd*(qi.di) |  <=  ||sq*qi|| * ||ed||  +  ||eq|| * ||d||
//! ```
//!
//! **What is promised.** `error >= ||y - s*i||` and `norm >= ||y||`, for the exact real numbers `x[j] * factor` and the
//! scale as it is stored, so that the rounding of the scale and of the factor's product need no further term.
//!
//! **Why it holds.** All arithmetic is f64. `fl(y)` is off by at most 2^-53 of `|y|`; `s * i` is exact (24 + 7 bits);
//! `fl(fl(y) - s*i)` is off by at most 2^-53 of itself. A sum of squares over sixteen lanes of at most 4,096 terms is
//! off by at most 4,102 * 2^-53 < 2^-40 of itself, the root by half of that. So `norm` is the root times (1 + 2^-40)
//! and `error` the root times (1 + 2^-40) plus 2^-52 of the norm, both rounded up to f32, where these additions vanish.
//! Nothing underflows: the factor is 0 or within 2^-300 and 2^300, so a y that is not 0 is at least 2^-449, a residual
//! that is not 0 at least 2^-53 of that, and its square at least 2^-1004.
//!
//! **The scale** is max|y| / 127, rounded up: then no code leaves [-127, 127], even where the scale is denormal and has
//! few bits. Where it would be below the smallest denormal, or above the largest f32, scale and codes are 0 and the
//! error is the norm, infinite if that leaves f32: such rows are always scored again, never lost.
//!
//! Sums run in the canonical order of `crate::canonical` (sixteen lanes, multiply then add), so every instruction set
//! gives the same bits. Codes are rounded to nearest, ties to even. Empty rows give zeros.

use crate::arch::codes::MAX_WIDTH;
use crate::arch::portable::quantize::{Steps, magnitude};
use crate::dispatch;
use crate::isa::Isa;

/// The numbers that a quantized row needs in addition to its codes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowCode {
    /// The size of one step; 0 if the row is zero or leaves the range of f32.
    pub scale: f32,
    /// An upper bound of the norm of the quantization error.
    pub error: f32,
    /// An upper bound of the norm of the row times the factor.
    pub norm: f32,
    /// The sum of the codes.
    pub code_sum: i32,
}

/// The range of a factor that is not 0.
const FACTORS: std::ops::RangeInclusive<f64> = power_of_two(-300)..=power_of_two(300);

/// Covers the rounding of a sum of squares and of its root; see the module's documentation.
const ABOVE: f64 = 1.0 + power_of_two(-40);

/// Covers the rounding of `x * factor`; see the module's documentation.
const OF_NORM: f64 = power_of_two(-52);

const fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// Quantizes `x * factor` into `codes`; codes beyond the row's width are set to 0.
///
/// # Panics
/// If a coordinate is NaN or infinite, the row is wider than [`MAX_WIDTH`] or than `codes`, `factor` is neither 0
/// nor in [2^-300, 2^300], or this processor lacks `isa`.
pub fn quantize_row(isa: Isa, x: &[f32], factor: f64, codes: &mut [i8]) -> RowCode {
    assert!(x.len() <= MAX_WIDTH, "a width of at most {MAX_WIDTH}");
    assert!(codes.len() >= x.len(), "a code for each coordinate");
    assert!(factor == 0.0 || FACTORS.contains(&factor), "a factor of 0 or in [2^-300, 2^300]");
    let largest = largest_magnitude(isa, x);
    assert!(largest.is_finite(), "finite coordinates");
    quantize(isa, x, factor, scale_for(f64::from(largest) * factor), codes)
}

/// Quantizes `x` into `codes` at the scale of a larger row: of all rows that share it, `largest` is the largest
/// magnitude.
///
/// # Panics
/// As [`quantize_row`], and where a coordinate is larger than `largest`.
pub fn quantize_row_among(isa: Isa, x: &[f32], largest: f32, codes: &mut [i8]) -> RowCode {
    assert!(x.len() <= MAX_WIDTH, "a width of at most {MAX_WIDTH}");
    assert!(codes.len() >= x.len(), "a code for each coordinate");
    assert!(largest.is_finite(), "finite coordinates");
    assert!(largest_magnitude(isa, x) <= largest, "no coordinate above the largest");
    quantize(isa, x, 1.0, scale_for(f64::from(largest)), codes)
}

/// The scale for coordinates of up to that magnitude; 0 where f32 has none.
fn scale_for(largest: f64) -> f32 {
    let step = largest / 127.0;
    let scale = round_up(step);
    if step < f64::from(f32::from_bits(1)) || scale.is_infinite() { 0.0 } else { scale }
}

fn quantize(isa: Isa, x: &[f32], factor: f64, scale: f32, codes: &mut [i8]) -> RowCode {
    let (codes, padding) = codes.split_at_mut(x.len());
    padding.fill(0);
    let sums = dispatch::quantize(isa, x, Steps::new(factor, scale), codes);

    let norm = sums.norm.sqrt() * ABOVE;
    let error = if scale == 0.0 { norm } else { sums.error.sqrt() * ABOVE + norm * OF_NORM };
    RowCode { scale, error: round_up(error), norm: round_up(norm), code_sum: sums.code_sum }
}

/// The largest magnitude of a row; infinity or NaN where the row holds either.
///
/// # Panics
/// If this processor lacks `isa`.
#[must_use]
pub fn largest_magnitude(isa: Isa, x: &[f32]) -> f32 {
    f32::from_bits(dispatch::largest_magnitude(isa, x))
}

/// The index of the first NaN or infinity, by the bits of the exponent: a floating-point maximum would lose a NaN.
///
/// # Panics
/// If this processor lacks `isa`.
#[must_use]
pub fn first_non_finite(isa: Isa, x: &[f32]) -> Option<usize> {
    // Nearly every row is finite, and the largest magnitude proves it at the speed of reading; only a bad row is
    // searched.
    if dispatch::largest_magnitude(isa, x) < INFINITY_BITS {
        return None;
    }
    x.iter().position(|x| magnitude(*x) >= INFINITY_BITS)
}

/// The smallest f32 that is not below `x`: above the largest finite one it is infinity, NaN stays NaN.
#[inline]
#[must_use]
pub fn round_up(x: f64) -> f32 {
    let nearest = x as f32;
    if f64::from(nearest) < x { nearest.next_up() } else { nearest }
}

/// The largest f32 that is not above `x`: below the lowest finite one it is minus infinity, NaN stays NaN.
#[inline]
#[must_use]
pub fn round_down(x: f64) -> f32 {
    let nearest = x as f32;
    if f64::from(nearest) > x { nearest.next_down() } else { nearest }
}

/// The bits of infinity; magnitudes are ordered as their bits, with NaN above.
const INFINITY_BITS: u32 = 0x7f80_0000;
