//! Symmetric int8 quantization of a row, coordinate by coordinate in scalar code.

use super::canonical::{LANES, add_lanes};

/// Multipliers of a row: coordinates times `factor` give y, y times `inverse` gives codes, and codes times `scale` give
/// y back.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) factor: f64,
    pub(crate) inverse: f64,
    pub(crate) scale: f64,
}

impl Steps {
    pub(crate) fn new(factor: f64, scale: f32) -> Self {
        let scale = f64::from(scale);
        Steps { factor, inverse: if scale == 0.0 { 0.0 } else { 1.0 / scale }, scale }
    }
}

/// Sums over a row: of squared residuals, of squares, and of codes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sums {
    pub(crate) error: f64,
    pub(crate) norm: f64,
    pub(crate) code_sum: i32,
}

/// The bits without the sign: magnitudes are ordered as their bits, with NaN above.
pub(crate) fn magnitude(x: f32) -> u32 {
    x.to_bits() & 0x7fff_ffff
}

/// The bits of the largest magnitude.
pub(crate) fn largest_magnitude(x: &[f32]) -> u32 {
    x.iter().map(|x| magnitude(*x)).max().unwrap_or(0)
}

/// The codes of a row and its sums, in canonical order.
pub(crate) fn quantize(x: &[f32], steps: Steps, codes: &mut [i8]) -> Sums {
    let (mut error, mut norm, mut code_sum) = ([0.0; LANES], [0.0; LANES], 0);
    for (j, (x, code)) in x.iter().zip(codes).enumerate() {
        let y = f64::from(*x) * steps.factor;
        let rounded = (y * steps.inverse).round_ties_even();
        let residual = y - rounded * steps.scale;
        let (square, residual) = (y * y, residual * residual);
        norm[j % LANES] += square;
        error[j % LANES] += residual;
        *code = rounded as i8;
        code_sum += i32::from(*code);
    }
    Sums { error: add_lanes(error), norm: add_lanes(norm), code_sum }
}
