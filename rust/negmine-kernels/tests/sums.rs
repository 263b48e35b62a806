//! Sums of rows are the same on every instruction set, at every length.

mod common;

use common::{Random, WIDTHS, for_each_isa};
use negmine_kernels::Isa;
use negmine_kernels::sums::{add_codes, add_row};

#[test]
fn rows_are_multiplied_then_added() {
    let mut random = Random(7);
    for length in WIDTHS {
        let row: Vec<f32> = (0..length).map(|_| random.bits() as i32 as f32 * 1e-7).collect();
        let start: Vec<f64> = (0..length).map(|_| random.bits() as i64 as f64).collect();
        let factor = 1.0 / 3.0;
        let expected: Vec<f64> = start.iter().zip(&row).map(|(s, x)| s + f64::from(*x) * factor).collect();
        for_each_isa(|isa| {
            let mut sums = start.clone();
            add_row(isa, &mut sums, &row, factor);
            assert_eq!(sums, expected, "{isa}, length {length}");
        });
    }
}

#[test]
fn codes_are_summed_exactly() {
    let mut random = Random(8);
    for length in WIDTHS {
        let codes: Vec<i8> = (0..length).map(|_| random.below(255) as i8).collect();
        let start: Vec<i32> = (0..length).map(|_| random.bits() as i32 / 4).collect();
        for factor in [-255, -1, 0, 255, i16::MAX] {
            let expected: Vec<i32> =
                start.iter().zip(&codes).map(|(s, c)| s + i32::from(*c) * i32::from(factor)).collect();
            for_each_isa(|isa| {
                let mut sums = start.clone();
                add_codes(isa, &mut sums, &codes, factor);
                assert_eq!(sums, expected, "{isa}, length {length}");
            });
        }
    }
}

#[test]
#[should_panic(expected = "a sum for each coordinate")]
fn rows_of_another_length_are_refused() {
    add_row(Isa::best(), &mut [0.0], &[1.0, 2.0], 1.0);
}
