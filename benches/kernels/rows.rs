//! Benchmarks of inner products of one query with scattered int8 rows: from memory, where prefetching matters, and from
//! the cache.
//!
//! One element of throughput is one row.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_main};
use negmine_benches::{Random, criterion};
use negmine_kernels::Isa;
use negmine_kernels::aligned::Aligned;
use negmine_kernels::rows_i8::dot_rows_i8;

const PICKED: usize = 512;

fn bench(criterion: &mut Criterion) {
    let mut random = Random(1);
    for (width, rows) in [(384, 262_144), (384, 1_024), (768, 131_072)] {
        let mut codes = Aligned::<i8>::zeroed(rows * width);
        let some = random.codes(1_021);
        for (code, some) in codes.iter_mut().zip(some.iter().cycle()) {
            *code = *some;
        }
        let query = random.codes(width);
        // There are many lists, so that rows of the large set come from memory each time.
        let lists: Vec<Vec<u32>> =
            (0..256).map(|_| (0..PICKED).map(|_| (random.bits() % rows as u64) as u32).collect()).collect();
        let (mut out, mut expected) = (vec![0; PICKED], vec![0; PICKED]);
        dot_rows_i8(Isa::Scalar, &query, &codes, width, &lists[0], &mut expected);
        for isa in Isa::available() {
            dot_rows_i8(isa, &query, &codes, width, &lists[0], &mut out);
            assert_eq!(out, expected, "{isa}");

            let mut lists = lists.iter().cycle();
            let mut group = criterion.benchmark_group(format!("dot_rows_i8/{isa}"));
            group.throughput(Throughput::Elements(PICKED as u64));
            let sizes = format!("width={width}/rows={rows}/picked={PICKED}");
            group.bench_function(BenchmarkId::from_parameter(sizes), |bencher| {
                bencher.iter(|| {
                    let list = lists.next().expect("an endless cycle");
                    dot_rows_i8(isa, black_box(&query), &codes, width, list, &mut out);
                });
            });
            group.finish();
        }
    }
}

fn benches() {
    bench(&mut criterion());
}

criterion_main!(benches);
