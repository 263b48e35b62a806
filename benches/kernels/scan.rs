//! Benchmarks of the int8 panel scan: tiles of queries against streaming panels, and the rate as a share of the
//! measured VNNI peak.
//!
//! Thresholds are four standard deviations above the mean, where one document in some 30,000 is a hit, as in a search
//! for a few neighbors with good thresholds. One element of throughput is one multiply-add.

use std::hint::black_box;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_main};
use negmine_benches::{Random, criterion};
use negmine_kernels::Isa;
use negmine_kernels::aligned::Aligned;
use negmine_kernels::dot_i8::{
    Hit, PANEL, Panel, QueryTile, pack_panel, packed_len, padded_width, scan_panel,
};
use negmine_kernels::peak::vnni_gops;

const DOCUMENTS: usize = 16_384;
const WIDTHS: [usize; 4] = [128, 384, 768, 1024];
const QUERIES: [usize; 4] = [6, 48, 96, 192];

struct Documents {
    width: usize,
    codes: Aligned<u8>,
    scale: [f32; PANEL],
    error: [f32; PANEL],
    norm: [f32; PANEL],
}

impl Documents {
    fn new(random: &mut Random, width: usize) -> Self {
        let mut codes = Aligned::zeroed(DOCUMENTS / PANEL * packed_len(width));
        // A few distinct panels are repeated: the time does not depend on the codes.
        let rows: Vec<Vec<i8>> = (0..4).map(|_| random.codes(PANEL * padded_width(width))).collect();
        for (panel, rows) in codes.chunks_exact_mut(packed_len(width)).zip(rows.iter().cycle()) {
            pack_panel(Isa::best(), rows, width, panel);
        }
        let scale = std::array::from_fn(|lane| 0.9 + 0.2 * lane as f32 / PANEL as f32);
        Documents { width, codes, scale, error: [5.0; PANEL], norm: [1e3; PANEL] }
    }

    fn scan(&self, isa: Isa, tile: &QueryTile, hits: &mut Vec<Hit>) {
        hits.clear();
        let Documents { scale, error, norm, .. } = self;
        for codes in self.codes.chunks_exact(packed_len(self.width)) {
            scan_panel(isa, tile, Panel { codes, scale, error, norm, offset: None, valid: u64::MAX }, hits);
        }
    }
}

fn tile(random: &mut Random, width: usize, queries: usize) -> QueryTile {
    let mut tile = QueryTile::new(width);
    for _ in 0..queries {
        let threshold = 4.0 * 35.0 * 35.0 * (width as f32).sqrt();
        tile.push(&random.codes(width), 1.0, 0.1, 0.0, threshold);
    }
    tile
}

/// Checks that every instruction set finds the hits of the scalar form.
fn check(documents: &Documents, tile: &QueryTile) {
    let (mut expected, mut hits) = (Vec::new(), Vec::new());
    documents.scan(Isa::Scalar, tile, &mut expected);
    for isa in Isa::available() {
        documents.scan(isa, tile, &mut hits);
        assert!(hits == expected, "{isa}");
    }
}

fn bench(criterion: &mut Criterion) {
    let mut random = Random(1);
    for width in WIDTHS {
        let documents = Documents::new(&mut random, width);
        check(&documents, &tile(&mut random, width, 7));
        let tile = tile(&mut random, width, 96);
        for isa in Isa::available() {
            let mut group = criterion.benchmark_group(format!("scan_panel/{isa}"));
            group.throughput(Throughput::Elements((tile.len() * DOCUMENTS * width) as u64));
            group.sampling_mode(SamplingMode::Flat);
            group.sample_size(if isa == Isa::Scalar { 10 } else { 20 });
            let sizes = format!("width={width}/queries={}/documents={DOCUMENTS}", tile.len());
            let mut hits = Vec::new();
            group.bench_function(BenchmarkId::from_parameter(sizes), |bencher| {
                bencher.iter(|| documents.scan(isa, black_box(&tile), &mut hits));
            });
            group.finish();
        }
    }
}

/// Prints the share of the VNNI peak for tiles of several lengths: medians, each relative to a peak measured at the
/// same time.
fn shares() {
    eprintln!("\nscan_panel, {DOCUMENTS} documents: Gop/s (share of the measured VNNI peak)");
    let mut random = Random(2);
    for width in WIDTHS {
        let documents = Documents::new(&mut random, width);
        for isa in Isa::available().into_iter().filter(|isa| *isa != Isa::Scalar) {
            let cells: Vec<String> =
                QUERIES.map(|queries| share(&mut random, isa, &documents, queries)).into();
            let name = isa.name();
            eprintln!("{name:>8}, width {width:>4}   {}", cells.join("   "));
        }
    }
}

fn share(random: &mut Random, isa: Isa, documents: &Documents, queries: usize) -> String {
    let (tile, mut hits) = (tile(random, documents.width, queries), Vec::new());
    let operations = 2 * queries * DOCUMENTS * documents.width;
    let mut rates: Vec<(f64, f64)> = (0..7)
        .map(|_| {
            let start = Instant::now();
            documents.scan(isa, &tile, &mut hits);
            let rate = 1e-9 * operations as f64 / start.elapsed().as_secs_f64();
            (rate / vnni_gops(isa), rate)
        })
        .collect();
    rates.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (share, rate) = rates[rates.len() / 2];
    format!("{queries:>3} queries {rate:>4.0} ({:>4.1} %)", 100.0 * share)
}

fn benches() {
    bench(&mut criterion());
    if std::env::args().any(|argument| argument == "--bench") {
        shares();
    }
}

criterion_main!(benches);
