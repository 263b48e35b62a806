//! Benchmarks of building a panel: quantizing 64 rows and interleaving their codes; also widening half precision.
//!
//! One element of throughput is one coordinate.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_main};
use negmine_benches::{Random, criterion};
use negmine_kernels::Isa;
use negmine_kernels::dot_i8::{PANEL, pack_panel, packed_len, padded_width};
use negmine_kernels::quantize::{first_non_finite, quantize_row};
use negmine_kernels::widen::{widen_bf16, widen_f16};

fn quantize(isa: Isa, rows: &[f32], width: usize, codes: &mut [i8]) -> f32 {
    let codes = codes.chunks_exact_mut(padded_width(width));
    let rows = rows.chunks_exact(width).zip(codes);
    rows.map(|(row, codes)| quantize_row(isa, row, 0.037, codes).error).sum()
}

fn bench(criterion: &mut Criterion) {
    let mut random = Random(1);
    for width in [384, 768] {
        let rows = random.row(PANEL * width);
        let mut codes = vec![0; PANEL * padded_width(width)];
        let mut panel = vec![0; packed_len(width)];
        let error = quantize(Isa::Scalar, &rows, width, &mut codes);
        let expected = codes.clone();
        for isa in Isa::available() {
            assert_eq!(quantize(isa, &rows, width, &mut codes).to_bits(), error.to_bits(), "{isa}");
            assert_eq!(codes, expected, "{isa}");

            let sizes = format!("width={width}/rows={PANEL}");
            let mut group = criterion.benchmark_group(format!("build/{isa}"));
            group.throughput(Throughput::Elements((PANEL * width) as u64));
            group.bench_function(BenchmarkId::new("quantize_row", &sizes), |bencher| {
                bencher.iter(|| quantize(isa, black_box(&rows), width, &mut codes));
            });
            group.bench_function(BenchmarkId::new("pack_panel", &sizes), |bencher| {
                bencher.iter(|| pack_panel(isa, black_box(&codes), width, &mut panel));
            });
            group.bench_function(BenchmarkId::new("first_non_finite", &sizes), |bencher| {
                bencher.iter(|| first_non_finite(isa, black_box(&rows)));
            });
            group.finish();
        }
    }
}

fn bench_widen(criterion: &mut Criterion) {
    const NUMBERS: usize = 16_384;
    let mut random = Random(2);
    let bits: Vec<u16> = (0..NUMBERS).map(|_| random.bits() as u16 & 0x7bff).collect();
    let (mut out, mut expected) = (vec![0.0; NUMBERS], vec![0.0; NUMBERS]);
    widen_f16(Isa::Scalar, &bits, &mut expected);
    for isa in Isa::available() {
        widen_f16(isa, &bits, &mut out);
        assert!(out == expected, "{isa}");

        let sizes = format!("numbers={NUMBERS}");
        let mut group = criterion.benchmark_group(format!("widen/{isa}"));
        group.throughput(Throughput::Elements(NUMBERS as u64));
        group.bench_function(BenchmarkId::new("f16", &sizes), |bencher| {
            bencher.iter(|| widen_f16(isa, black_box(&bits), &mut out));
        });
        group.bench_function(BenchmarkId::new("bf16", &sizes), |bencher| {
            bencher.iter(|| widen_bf16(isa, black_box(&bits), &mut out));
        });
        group.finish();
    }
}

fn benches() {
    let mut criterion = criterion();
    bench(&mut criterion);
    bench_widen(&mut criterion);
}

criterion_main!(benches);
