//! What the makers of vectors share: float64 rows, written as float32, and their norms.

use negmine_kernels::canonical;
use negmine_kernels::isa::Isa;

/// The sum of the products of two float64 vectors, in order.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Rounds a vector to float32; false if a coordinate is not finite there.
pub(crate) fn write(values: &[f64], out: &mut [f32]) -> bool {
    let mut finite = true;
    for (slot, value) in out.iter_mut().zip(values) {
        *slot = *value as f32;
        finite &= slot.is_finite();
    }
    finite
}

/// Divides a row by its norm; a row of zeros stays, and the answer is false.
pub(crate) fn normalize(isa: Isa, row: &mut [f32]) -> bool {
    let norm = canonical::dot_with(isa, row, row).sqrt();
    if norm == 0.0 {
        return false;
    }
    for value in row {
        *value = (f64::from(*value) / norm) as f32;
    }
    true
}
