//! Deterministic transcendental functions, for every value that decides a result.
//!
//! The platform's functions differ between processors in the last bit (with and without fused multiply-add), and the
//! last bit can decide a draw. `libm` without its architecture feature is plain arithmetic.

/// Natural logarithm.
#[must_use]
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// Two independent standard normal numbers from two uniform ones in (0, 1): Box and Muller, 1958.
#[must_use]
pub fn normal_pair(u: f64, v: f64) -> [f64; 2] {
    let radius = (-2.0 * libm::log(u)).sqrt();
    let angle = std::f64::consts::TAU * v;
    [radius * libm::cos(angle), radius * libm::sin(angle)]
}
