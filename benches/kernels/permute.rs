//! Benchmarks of the epoch permutation: one position at a time, and in bulk on every instruction set.
//!
//! One element of throughput is one position.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_main};
use negmine_benches::criterion;
use negmine_core::base::parallel::Run;
use negmine_core::batch::Permutation;
use negmine_kernels::Isa;

const ROWS: u64 = 10_000_000;
const BULK: usize = 1 << 20;

fn bench(criterion: &mut Criterion) {
    let order = Permutation::new(ROWS, 42, 0);
    let mut out = vec![0; BULK];
    for isa in Isa::available() {
        let run = Run { threads: 1, isa, poll: &|_, _| false };
        order.fill(0, &mut out, &run).expect("a range of the order");
        assert!(out.iter().zip(0..500).all(|(row, x)| *row as u64 == order.index(x)), "{isa}");

        let mut group = criterion.benchmark_group(format!("permute/{isa}"));
        group.throughput(Throughput::Elements(BULK as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("rows={ROWS}/bulk={BULK}")), |bencher| {
            bencher.iter(|| order.fill(black_box(0), &mut out, &run));
        });
        group.finish();
    }
    let mut group = criterion.benchmark_group("permute/one");
    group.throughput(Throughput::Elements(1));
    let mut x = 0;
    group.bench_function(BenchmarkId::from_parameter(format!("rows={ROWS}")), |bencher| {
        bencher.iter(|| {
            x = (x + 7_919) % ROWS;
            order.index(black_box(x))
        });
    });
    group.finish();
}

fn benches() {
    bench(&mut criterion());
}

criterion_main!(benches);
