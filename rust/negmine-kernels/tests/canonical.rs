//! Every instruction set gives the bits of the definition.

mod common;

use common::{Random, WIDTHS, for_each_isa};
use negmine_kernels::Isa;
use negmine_kernels::canonical::{
    dot, dot_both, dot_many, dot_with, squared_distance, squared_distance_many, squared_distance_with,
};
use proptest::prelude::*;

/// Compares all vector forms with the definition; a NaN need only be a NaN.
fn check(isa: Isa, q: &[f32], rows: [&[f32]; 4]) {
    let same = |left: f64, right: f64| left.to_bits() == right.to_bits() || (left.is_nan() && right.is_nan());
    let dots = dot_many(isa, q, rows);
    let distances = squared_distance_many(isa, q, rows);
    for (n, row) in rows.into_iter().enumerate() {
        let (inner, distance) = (dot(q, row), squared_distance(q, row));
        assert!(same(dots[n], inner), "{isa} dot_many[{n}], width {}: {} {inner}", q.len(), dots[n]);
        assert!(same(dot_with(isa, q, row), inner), "{isa} dot_with, width {}", q.len());
        let [both, norm] = dot_both(isa, row, [q, row]);
        assert!(same(both, inner) && same(norm, dot(row, row)), "{isa} dot_both[{n}], width {}", q.len());
        assert!(same(distances[n], distance), "{isa} squared_distance_many[{n}], width {}", q.len());
        assert!(
            same(squared_distance_with(isa, q, row), distance),
            "{isa} squared_distance, width {}",
            q.len()
        );
    }
}

#[test]
fn awkward_widths() {
    let mut random = Random(1);
    for width in WIDTHS {
        let q = random.row(width, 1.0);
        let rows: [Vec<f32>; 4] = std::array::from_fn(|_| random.row(width, 1.0));
        for_each_isa(|isa| check(isa, &q, rows.each_ref().map(Vec::as_slice)));
    }
}

#[test]
fn extreme_magnitudes() {
    let mut random = Random(2);
    for scale in [1e-45, 1e-38, 1e-30, 1e-15, 1e15, 1e30, 3e38] {
        for width in WIDTHS {
            let q = random.row(width, scale);
            let rows: [Vec<f32>; 4] = [1e-45, 1e-30, 1.0, 1e30].map(|scale| random.row(width, scale));
            for_each_isa(|isa| check(isa, &q, rows.each_ref().map(Vec::as_slice)));
        }
    }
}

#[test]
fn any_bits_denormals_and_signed_zeros() {
    let mut random = Random(3);
    for width in WIDTHS {
        for _ in 0..20 {
            let mut row = |width: usize| -> Vec<f32> { (0..width).map(|_| random.any_finite()).collect() };
            let q = row(width);
            let rows: [Vec<f32>; 4] = std::array::from_fn(|_| row(width));
            for_each_isa(|isa| check(isa, &q, rows.each_ref().map(Vec::as_slice)));
        }
        let zeros = vec![-0.0; width];
        let ones = vec![1.0; width];
        for_each_isa(|isa| {
            check(isa, &zeros, [&zeros, &ones, &zeros, &ones]);
            assert!(dot_with(isa, &zeros, &ones).is_sign_positive(), "a sum of zeros is +0");
        });
    }
}

#[test]
fn nan_and_infinity_pass_through() {
    let mut random = Random(4);
    for width in WIDTHS.into_iter().filter(|width| *width > 0) {
        let q = random.row(width, 1.0);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut rows: [Vec<f32>; 4] = std::array::from_fn(|_| random.row(width, 1.0));
            rows[2][random.below(width)] = bad;
            for_each_isa(|isa| {
                check(isa, &q, rows.each_ref().map(Vec::as_slice));
                let [a, b, c, d] = dot_many(isa, &q, rows.each_ref().map(Vec::as_slice));
                assert!(a.is_finite() && b.is_finite() && !c.is_finite() && d.is_finite());
            });
        }
    }
}

#[test]
#[should_panic(expected = "rows of one width")]
fn a_short_row_is_refused() {
    let row = [0.0; 8];
    let _ = dot_many(Isa::best(), &row, [&row, &row, &row[..7], &row]);
}

#[test]
fn an_instruction_set_that_is_missing_is_refused() {
    for isa in Isa::ALL.into_iter().filter(|isa| !isa.is_available()) {
        assert!(std::panic::catch_unwind(|| dot_with(isa, &[1.0], &[1.0])).is_err());
    }
}

proptest! {
    #[test]
    fn random_bits(seed in any::<u64>(), width in 0_usize..300) {
        let mut random = Random(seed);
        let mut row = || -> Vec<f32> { (0..width).map(|_| random.any_finite()).collect() };
        let q = row();
        let rows: [Vec<f32>; 4] = std::array::from_fn(|_| row());
        for_each_isa(|isa| check(isa, &q, rows.each_ref().map(Vec::as_slice)));
    }
}
