//! Inner products with scattered rows are exact on every instruction set.

mod common;

use common::{Random, WIDTHS, for_each_isa};
use negmine_kernels::Isa;
use negmine_kernels::dot_i8::MAX_WIDTH;
use negmine_kernels::rows_i8::dot_rows_i8;
use proptest::prelude::*;

/// Compares with a plain sum; what lies between rows is noise.
fn check(random: &mut Random, width: usize, n_rows: usize, n_picked: usize) {
    let stride = width.next_multiple_of(64) + 64 * random.below(2);
    let codes = random.codes(n_rows * stride);
    let query = random.codes(width);
    let rows: Vec<u32> = (0..n_picked).map(|_| random.below(n_rows) as u32).collect();
    let expected: Vec<i32> = rows
        .iter()
        .map(|row| {
            let row = &codes[*row as usize * stride..][..width];
            query.iter().zip(row).map(|(q, d)| i32::from(*q) * i32::from(*d)).sum()
        })
        .collect();
    for_each_isa(|isa| {
        let mut out = vec![77; n_picked];
        dot_rows_i8(isa, &query, &codes, stride, &rows, &mut out);
        assert_eq!(out, expected, "{isa}, width {width}");
    });
}

#[test]
fn awkward_widths_and_counts() {
    let mut random = Random(1);
    for width in WIDTHS {
        for n_picked in [0, 1, 2, 3, 7, 8, 9, 17, 40] {
            check(&mut random, width, 23, n_picked);
        }
    }
}

#[test]
fn the_widest_rows_do_not_overflow() {
    for (q, d) in [(127, 127), (127, -127), (-127, 127), (-127, -127)] {
        let (query, codes) = (vec![q; MAX_WIDTH], vec![d; 3 * MAX_WIDTH]);
        for_each_isa(|isa| {
            let mut out = [0; 3];
            dot_rows_i8(isa, &query, &codes, MAX_WIDTH, &[2, 0, 1], &mut out);
            assert_eq!(out, [i32::from(q) * i32::from(d) * MAX_WIDTH as i32; 3], "{isa}");
        });
    }
}

#[test]
#[should_panic(expected = "rows inside the codes")]
fn a_row_outside_is_refused() {
    dot_rows_i8(Isa::best(), &[1; 64], &[1; 128], 64, &[1, 2], &mut [0; 2]);
}

#[test]
#[should_panic(expected = "a stride of whole cache lines")]
fn an_odd_stride_is_refused() {
    dot_rows_i8(Isa::best(), &[1; 40], &[1; 80], 40, &[0], &mut [0]);
}

proptest! {
    #[test]
    fn random_rows(seed in any::<u64>(), width in 0_usize..600, n_picked in 0_usize..30) {
        check(&mut Random(seed), width, 11, n_picked);
    }
}
