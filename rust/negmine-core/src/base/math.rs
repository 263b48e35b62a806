//! Deterministic transcendental functions, for every value that decides a result.
//!
//! The platform's functions differ between processors in the last bit (with and without fused multiply-add), and the
//! last bit can decide a draw. `libm` without its architecture feature is plain arithmetic.

use super::Result;
use super::memory::with_capacity;
use super::parallel::Run;

/// Values between two checks for an interrupt.
const VALUES_PER_CHECK: usize = 1 << 16;

/// Natural logarithm.
#[must_use]
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// Exponential function.
#[must_use]
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// `exp(x) - 1`, also accurate near 0.
#[must_use]
pub fn expm1(x: f64) -> f64 {
    libm::expm1(x)
}

/// Cosine and sine of an angle in radians.
#[must_use]
pub fn cos_sin(angle: f64) -> [f64; 2] {
    [libm::cos(angle), libm::sin(angle)]
}

/// A function of every value of an array.
///
/// # Errors
/// Returns an error on lack of memory, or an interrupt.
pub fn map(values: &[f64], function: impl Fn(f64) -> f64, run: &Run<'_>) -> Result<Vec<f64>> {
    let mut results = with_capacity(values.len())?;
    for part in values.chunks(VALUES_PER_CHECK) {
        run.tick(results.len(), values.len())?;
        results.extend(part.iter().map(|value| function(*value)));
    }
    Ok(results)
}

/// Two independent standard normal numbers from two uniform ones in (0, 1): Box and Muller, 1958.
#[must_use]
pub fn normal_pair(u: f64, v: f64) -> [f64; 2] {
    let radius = (-2.0 * libm::log(u)).sqrt();
    cos_sin(std::f64::consts::TAU * v).map(|part| radius * part)
}
