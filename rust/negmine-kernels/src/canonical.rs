//! The canonical score, as a definition that can be read in a minute.
//!
//! For two f32 rows of one width, in f64, with 16 lanes: lane `l` takes the coordinates `l, l + 16, l + 32, ...` in
//! rising order, and the lanes are then added pairwise (`l` with `l + 8`, then `+ 4`, `+ 2`, `+ 1`). A product of two
//! f32 values is exact in f64, so a fused and a separate multiply-add give the same bits; the squared difference is
//! not exact and is therefore multiplied first and added after, never fused.

/// Number of independent partial sums.
pub const LANES: usize = 16;

/// The inner product of `a` and `b` in canonical order.
///
/// # Panics
/// Where the two rows differ in width.
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
/// Where the two rows differ in width.
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

fn add_lanes(mut lanes: [f64; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] += lanes[l + half];
        }
        half /= 2;
    }
    lanes[0]
}
