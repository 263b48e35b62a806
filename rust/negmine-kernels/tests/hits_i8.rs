//! Inner products of a panel's hits are exact on every instruction set.

mod common;

use common::{Random, for_each_isa};
use negmine_kernels::Isa;
use negmine_kernels::dot_i8::Hit;
use negmine_kernels::hits_i8::dot_hits_i8;

#[test]
fn every_stride_and_count() {
    let mut random = Random(1);
    for stride in [64, 128, 192, 256, 320, 384, 512, 640, 768, 65_536] {
        for count in [0, 1, 2, 3, 4, 5, 8, 31] {
            let (queries, rows) = (random.codes(7 * stride), random.codes(64 * stride));
            let mut hit = || Hit { query: random.below(7) as u32, lane: random.below(64) as u32, dot: 0 };
            let hits: Vec<Hit> = (0..count).map(|_| hit()).collect();
            let expected: Vec<i32> = hits
                .iter()
                .map(|hit| {
                    let query = &queries[hit.query as usize * stride..][..stride];
                    let row = &rows[hit.lane as usize * stride..][..stride];
                    query.iter().zip(row).map(|(q, d)| i32::from(*q) * i32::from(*d)).sum()
                })
                .collect();
            for_each_isa(|isa| {
                let mut out = vec![77; count];
                dot_hits_i8(isa, &queries, &rows, stride, &hits, &mut out);
                assert_eq!(out, expected, "{isa}, stride {stride}");
            });
        }
    }
}

#[test]
#[should_panic(expected = "hits on the rows there are")]
fn a_row_outside_is_refused() {
    let hit = Hit { query: 0, lane: 2, dot: 0 };
    dot_hits_i8(Isa::best(), &[1; 64], &[1; 128], 64, &[hit], &mut [0]);
}

#[test]
#[should_panic(expected = "hits on the queries there are")]
fn a_query_outside_is_refused() {
    let hit = Hit { query: 1, lane: 1, dot: 0 };
    dot_hits_i8(Isa::best(), &[1; 64], &[1; 128], 64, &[hit], &mut [0]);
}
