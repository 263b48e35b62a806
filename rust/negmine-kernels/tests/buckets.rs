//! Rows into buckets and back: the same bits on every instruction set, and those of a plain loop.

mod common;

use common::{Random, for_each_isa};
use negmine_kernels::Isa;
use negmine_kernels::buckets::{Shape, Signatures, gather, scatter};
use proptest::prelude::*;

fn check(random: &mut Random, shape: Shape, rows: usize, first: usize, factored: bool) {
    let Shape { groups, buckets, width } = shape;
    let stride = first + groups;
    let words: Vec<u32> =
        (0..rows * stride).map(|_| [random.below(buckets) as u32, u32::MAX][random.below(9) / 8]).collect();
    let values = random.row(rows * width, 1.0);
    let factors = random.row(rows, 1.0);
    let start = random.row(shape.len(), 1.0);
    let cell =
        |i: usize, g: usize| Some(words[i * stride + first + g] as usize).filter(|cell| *cell < buckets);
    let mut counts = vec![3; shape.cells()];
    let (mut table, mut read) = (start.clone(), vec![0.0; rows * width]);
    for i in 0..rows {
        for g in 0..groups {
            let Some(cell) = cell(i, g) else { continue };
            counts[g * buckets + cell] += 1;
            for c in 0..width {
                let x = values[i * width + c];
                table[(g * buckets + cell) * width + c] += if factored { x * factors[i] } else { x };
                read[i * width + c] += start[(g * buckets + cell) * width + c];
            }
        }
        for c in 0..width {
            read[i * width + c] *= if factored { factors[i] } else { 1.0 };
        }
    }
    let signatures = Signatures::new(&words, stride, first);
    assert_eq!((signatures.len(), signatures.is_empty()), (rows, rows == 0));
    let factors = factored.then_some(&factors[..]);
    for_each_isa(|isa| {
        let mut got = start.clone();
        let mut counted = vec![3; if factored { 0 } else { shape.cells() }];
        scatter(isa, shape, signatures, &values, factors, &mut got, &mut counted);
        assert_eq!(got, table, "{isa} {shape:?}");
        assert!(factored || counted == counts, "{isa} {shape:?}");
        let mut got = vec![9.0; rows * width];
        gather(isa, shape, signatures, &start, factors, &mut got);
        assert_eq!(got, read, "{isa} {shape:?}");
    });
}

#[test]
fn widths_around_every_vector() {
    let mut random = Random(1);
    for width in [1, 2, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 200, 256] {
        for rows in [0, 1, 5, 63, 64, 65, 130] {
            check(&mut random, Shape { groups: 16, buckets: 8, width }, rows, 0, false);
        }
    }
}

/// Both sides of every cut: rows and buckets for which a tile goes bucket by bucket, groups that fill no register.
#[test]
fn rows_and_buckets_around_every_cut() {
    let mut random = Random(2);
    for tau in 1..=6 {
        let buckets = 1 << tau;
        for rows in [1, 3 * buckets - 1, 3 * buckets, 63, 64, 65, 64 + 3 * buckets, 200] {
            for (groups, width) in [(1, 64), (15, 48), (16, 40), (17, 100), (33, 16)] {
                check(&mut random, Shape { groups, buckets, width }, rows, rows % 3, rows % 2 == 0);
            }
        }
    }
}

#[test]
#[should_panic(expected = "a table of the shape")]
fn a_table_of_another_shape_is_refused() {
    let signatures = Signatures::new(&[0], 1, 0);
    scatter(
        Isa::best(),
        Shape { groups: 1, buckets: 2, width: 2 },
        signatures,
        &[1.0; 2],
        None,
        &mut [0.0; 2],
        &mut [],
    );
}

proptest! {
    #[test]
    fn any_shape(
        seed: u64,
        groups in 1_usize..6,
        buckets in 1_usize..20,
        width in 1_usize..40,
        rows in 0_usize..150,
        first in 0_usize..3,
        factored: bool,
    ) {
        check(&mut Random(seed), Shape { groups, buckets, width }, rows, first, factored);
    }
}
