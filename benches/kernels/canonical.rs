//! Benchmarks of canonical scores: one row, four interleaved rows, and squared distances. Rows come from a set that
//! fits the L2 cache.
//!
//! One element of throughput is one multiply-add.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_main};
use negmine_benches::{Random, criterion};
use negmine_kernels::Isa;
use negmine_kernels::canonical::{dot_many, dot_with, squared_distance_many};

const ROWS: usize = 128;

type Many = fn(Isa, &[f32], [&[f32]; 4]) -> [f64; 4];

fn bench(criterion: &mut Criterion) {
    let mut random = Random(1);
    for width in [384, 768] {
        let q = random.row(width);
        let rows: Vec<Vec<f32>> = (0..ROWS).map(|_| random.row(width)).collect();
        let one = |isa| rows.iter().map(|row| dot_with(isa, &q, row)).sum::<f64>();
        let four = |isa, kernel: Many| {
            let rows = rows.as_chunks::<4>().0.iter();
            rows.map(|rows| kernel(isa, &q, rows.each_ref().map(Vec::as_slice)).iter().sum::<f64>())
                .sum::<f64>()
        };
        for isa in Isa::available() {
            assert_eq!(one(isa).to_bits(), one(Isa::Scalar).to_bits(), "{isa}");
            assert_eq!(four(isa, dot_many).to_bits(), four(Isa::Scalar, dot_many).to_bits(), "{isa}");

            let sizes = format!("width={width}/rows={ROWS}");
            let mut group = criterion.benchmark_group(format!("canonical/{isa}"));
            group.throughput(Throughput::Elements((ROWS * width) as u64));
            group.bench_function(BenchmarkId::new("dot_with", &sizes), |bencher| {
                bencher.iter(|| one(black_box(isa)));
            });
            group.bench_function(BenchmarkId::new("dot_many", &sizes), |bencher| {
                bencher.iter(|| four(black_box(isa), dot_many));
            });
            group.bench_function(BenchmarkId::new("squared_distance_many", &sizes), |bencher| {
                bencher.iter(|| four(black_box(isa), squared_distance_many));
            });
            group.finish();
        }
    }
}

fn benches() {
    bench(&mut criterion());
}

criterion_main!(benches);
