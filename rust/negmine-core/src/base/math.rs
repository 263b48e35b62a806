//! Transcendentals on a deciding path, from one deterministic source.
//!
//! The platform's own differ between processors in the last bit (with and without fused multiply-add), and a last bit
//! decides a draw. `libm` without its architecture feature is plain arithmetic.

/// Natural logarithm.
#[must_use]
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}
