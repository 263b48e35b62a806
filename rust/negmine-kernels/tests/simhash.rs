//! Every instruction set gives the signs of the canonical products.

mod common;

use common::{Random, WIDTHS, for_each_isa};
use negmine_kernels::canonical::dot;
use negmine_kernels::simhash::{MASKED, MAX_ROWS, Projections, signatures};
use proptest::prelude::*;

/// Rows of most cases: those that are multiplied together.
const ROWS: usize = 8;

/// Compares with the definition, written once more.
fn check(projections: &Projections, rows: &[Vec<f32>]) {
    let (groups, tau) = (projections.groups(), projections.tau());
    let mut expected = Vec::new();
    for row in rows {
        for group in projections.rows().chunks_exact(projections.width() * tau) {
            let mut word = 0;
            for (k, r) in group.chunks_exact(projections.width()).enumerate() {
                word |= u32::from(dot(r, row) > 0.0) << k;
            }
            expected.push(if row.iter().all(|x| *x == 0.0) { MASKED } else { word });
        }
    }
    for_each_isa(|isa| {
        let mut out = vec![7; rows.len() * groups];
        let mut scratch = projections.scratch();
        let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
        let unsure = signatures(isa, projections, &rows, &mut scratch, &mut out);
        let overflow = |row: &&[f32]| row.iter().any(|x| x.abs() > 1e18);
        for (r, row) in rows.iter().enumerate() {
            assert!(unsure >> r & 1 == 0 || overflow(row), "{isa}: a finite row {row:?}");
        }
        assert_eq!(out, expected, "{isa}, width {}, tau {tau}", projections.width());
    });
}

fn projections(random: &mut Random, width: usize, tau: usize, groups: usize) -> Projections {
    Projections::new(random.row(width * tau * groups, 2.0), width, tau)
}

#[test]
fn awkward_widths_and_signatures() {
    let mut random = Random(1);
    for width in WIDTHS.into_iter().filter(|width| *width > 0) {
        for (tau, groups) in [(1, 1), (3, 16), (3, 17), (5, 10), (7, 15), (31, 3)] {
            let projections = projections(&mut random, width, tau, groups);
            let rows: [_; ROWS] = std::array::from_fn(|_| random.row(width, 1.0));
            check(&projections, &rows);
        }
    }
}

#[test]
fn any_number_of_rows() {
    let mut random = Random(4);
    for (tau, groups) in [(3, 16), (5, 20)] {
        let projections = projections(&mut random, 33, tau, groups);
        for n in 0..=MAX_ROWS {
            let mut rows: Vec<_> = (0..n).map(|_| random.row(33, 1.0)).collect();
            if let Some(row) = rows.last_mut() {
                row.fill(0.0);
            }
            check(&projections, &rows);
        }
    }
}

/// Every row with a value that is not finite is reported, and of the others only those whose squares overflow.
#[test]
fn what_is_not_finite_is_reported() {
    let mut random = Random(5);
    for width in [1, 7, 16, 65] {
        let projections = projections(&mut random, width, 3, 16);
        for n in [1, 8, 9, MAX_ROWS] {
            let mut rows: Vec<_> = (0..n).map(|_| random.row(width, 1.0)).collect();
            let mut spoiled = 0;
            for r in (0..n).step_by(3) {
                rows[r][r % width] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][r / 3 % 3];
                spoiled |= 1 << r;
            }
            for_each_isa(|isa| {
                let mut out = vec![0; n * 16];
                let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
                let unsure = signatures(isa, &projections, &rows, &mut projections.scratch(), &mut out);
                assert_eq!(unsure & (u64::MAX >> (64 - n)), spoiled, "{isa}, width {width}, {n} rows");
            });
        }
    }
}

#[test]
fn extreme_magnitudes_zeros_and_denormals() {
    let mut random = Random(2);
    for width in [1, 2, 16, 65, 384] {
        let projections = projections(&mut random, width, 3, 16);
        let scales = [1e-45, 1e-38, 1e-30, 1e-15, 1e15, 1e19, 1e30, 3e38];
        check(&projections, &scales.map(|scale| random.row(width, scale)));
        check(
            &projections,
            &std::array::from_fn::<Vec<f32>, ROWS, _>(|_| (0..width).map(|_| random.any_finite()).collect()),
        );
        let mut rows: [Vec<f32>; ROWS] = std::array::from_fn(|i| vec![[0.0, -0.0][i % 2]; width]);
        rows[3][width / 2] = f32::from_bits(1);
        check(&projections, &rows);
    }
}

/// Rows that are nearly, or exactly, at right angles to some projection: where a first pass is least sure.
#[test]
fn products_around_zero() {
    let mut random = Random(3);
    for width in [2, 3, 8, 64, 129, 1000] {
        let projections = projections(&mut random, width, 3, 16);
        for k in 0..48 {
            let r = &projections.rows()[k * width..][..width];
            let rows: [_; ROWS] = std::array::from_fn(|i| {
                let mut row = random.row(width, 1.0);
                // The last coordinate balances the others, to within a few units in the last place.
                let others = dot(&r[..width - 1], &row[..width - 1]);
                row[width - 1] = (-others / f64::from(r[width - 1])) as f32;
                let bits = row[width - 1].to_bits();
                row[width - 1] = f32::from_bits(bits.wrapping_add_signed(i as i32 - 4));
                row
            });
            check(&projections, &rows);
        }
    }
    let halves = Projections::new(vec![1.0, -1.0, -1.0, 1.0], 2, 2);
    check(&halves, &std::array::from_fn::<_, ROWS, _>(|i| vec![i as f32; 2]));
}

#[test]
#[should_panic(expected = "rows as wide as the projections")]
fn a_short_row_is_refused() {
    let projections = Projections::new(vec![1.0; 12], 4, 3);
    let row = [1.0; 4];
    let mut rows = [&row[..]; ROWS];
    rows[5] = &row[..3];
    signatures(negmine_kernels::Isa::best(), &projections, &rows, &mut projections.scratch(), &mut [0; ROWS]);
}

proptest! {
    #[test]
    fn any_rows(seed in any::<u64>(), width in 1_usize..200, tau in 1_usize..12, groups in 1_usize..20) {
        let mut random = Random(seed);
        let projections = projections(&mut random, width, tau, groups);
        let rows: [_; ROWS] = std::array::from_fn(|_| random.row(width, 1.0));
        check(&projections, &rows);
    }
}
