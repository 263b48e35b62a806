//! The canonical score in scalar code: the definition that `crate::canonical` describes.

/// Number of independent partial sums.
pub const LANES: usize = 16;

/// The inner product of `a` and `b` in canonical order.
///
/// # Panics
/// If the two rows differ in width.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "rows of one width");
    let mut lanes = [0.0_f64; LANES];
    for (j, (&x, &y)) in a.iter().zip(b).enumerate() {
        lanes[j % LANES] += f64::from(x) * f64::from(y);
    }
    add_lanes(lanes)
}

/// The squared Euclidean distance of `a` and `b` in canonical order.
///
/// # Panics
/// If the two rows differ in width.
#[must_use]
pub fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "rows of one width");
    let mut lanes = [0.0_f64; LANES];
    for (j, (&x, &y)) in a.iter().zip(b).enumerate() {
        let difference = f64::from(x) - f64::from(y);
        let square = difference * difference;
        lanes[j % LANES] += square;
    }
    add_lanes(lanes)
}

/// Adds the sixteen partial sums pairwise: `l` with `l + 8`, then `+ 4`, `+ 2`, `+ 1`.
pub(crate) fn add_lanes(mut lanes: [f64; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] += lanes[l + half];
        }
        half /= 2;
    }
    lanes[0]
}
