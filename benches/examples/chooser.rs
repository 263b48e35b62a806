//! The predictions of the pruned scan's cost model, compared with measured times of the whole grid, on four kinds of
//! data.
//!
//! `cargo run --release -p negmine-benches --example chooser [repetitions] [data sets]`, with `NEGMINE_DATA` naming the
//! folder of real data; missing sets are skipped. The program uses one thread. Times are the processor time of this
//! thread if the system reports it, so that other work is not counted; the two kinds of scan alternate, and medians are
//! compared. The time of packing is reported separately. Every result is compared with the full-width result. Widths
//! without a prediction are never chosen: their rows would waste parts of cache lines.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints, for developers")]

use std::path::Path;
use std::time::Instant;

use ndarray::Array2;
use negmine_benches::Random;
use negmine_core::base::csr::Lists;
use negmine_core::base::matrix::{Elements, Rows};
use negmine_core::base::parallel::Run;
use negmine_core::exact::{Candidates, ExactIndex, Layout, Pruned, Targets};
use negmine_core::scoring::Metric;
use negmine_kernels::isa::Isa;
use negmine_kernels::{peak, widen};

const GRID: [usize; 7] = [64, 96, 128, 160, 192, 224, 256];
const DEPTHS: [usize; 3] = [1, 10, 100];

/// Processor seconds of this thread.
fn seconds(since: Instant) -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = stat.and_then(|stat| stat.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| since.elapsed().as_secs_f64(), |nanoseconds| nanoseconds * 1e-9)
}

/// A two-dimensional .npy file of float16 or float32.
fn npy(path: &Path) -> Option<Array2<f32>> {
    let bytes = std::fs::read(path).ok()?;
    let (header, data) = bytes[10..].split_at(usize::from(u16::from_le_bytes([bytes[8], bytes[9]])));
    let header = String::from_utf8_lossy(header).into_owned();
    let shape = header.split("'shape': (").nth(1)?.split(')').next()?;
    let shape: Vec<usize> = shape.split(',').filter_map(|size| size.trim().parse().ok()).collect();
    let values = if header.contains("<f2") {
        let bits: Vec<u16> = data.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect();
        let mut values = vec![0.0; bits.len()];
        widen::widen_f16(Isa::best(), &bits, &mut values);
        values
    } else {
        data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    Array2::from_shape_vec((shape[0], shape[1]), values).ok()
}

fn real(set: &str, queries: usize) -> Option<(Array2<f32>, Array2<f32>)> {
    let folder = Path::new(&std::env::var("NEGMINE_DATA").ok()?).join(set);
    let all = npy(&folder.join("queries.minilm.npy"))?;
    let queries = all.slice(ndarray::s![..queries.min(all.nrows()), ..]).to_owned();
    Some((npy(&folder.join("corpus.minilm.npy"))?, queries))
}

/// Rows around `clusters` centers; with 0 clusters the rows have no structure.
fn made(rows: usize, clusters: usize) -> (Array2<f32>, Array2<f32>) {
    let width = 384;
    let mut random = Random(1);
    let centers: Vec<f32> = (0..clusters * width).map(|_| random.normal()).collect();
    let mut matrix = |rows: usize| {
        Array2::from_shape_fn((rows, width), |(r, j)| {
            let center = if clusters == 0 { 0.0 } else { centers[r * 7 % clusters * width + j] };
            center + random.normal()
        })
    };
    (matrix(rows), matrix(960))
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn compare(name: &str, corpus: &Array2<f32>, queries: &Array2<f32>, repetitions: usize) {
    let (n, documents, width) = (queries.nrows(), corpus.nrows(), corpus.ncols());
    let corpus = Rows::new("corpus", Elements::F32(corpus.view())).unwrap();
    let queries = Rows::new("queries", Elements::F32(queries.view())).unwrap();
    let run = Run { threads: 1, isa: Isa::best(), poll: &|_, _| false };
    let mut banned = Lists::default();
    (0..n).for_each(|_| banned.push_row([]));
    let candidates = Candidates { banned: &banned, groups: None, eligible: &[], picked: None };
    let sides = [Pruned::Off].into_iter().chain(GRID.map(Pruned::Forced)).chain([Pruned::Auto]);
    let build = |pruned| {
        let layout = Layout { pruned, ..Layout::default() };
        ExactIndex::build(&corpus, Metric::Cosine, layout, &run).unwrap()
    };
    let indexes: Vec<(Pruned, ExactIndex)> = sides.map(|pruned| (pruned, build(pruned))).collect();
    for k in DEPTHS {
        let targets = Targets::one_per_query(n, f64::INFINITY, k);
        let scan = |index: &ExactIndex| {
            let began = Instant::now();
            let before = seconds(began);
            let found = index.scan(&corpus, &queries, &candidates, &targets, &run).unwrap().found;
            (found, seconds(began) - before)
        };
        let expected = scan(&indexes[0].1).0;
        for (pruned, index) in &indexes {
            let (found, first) = scan(index);
            assert!(found == expected, "answers differ at {pruned:?}");
            if k == DEPTHS[0] && *pruned == Pruned::Forced(128) {
                println!(
                    "{name}: packing at 128 about {:.2} s, {} bytes",
                    first - scan(index).1,
                    index.bytes()
                );
            }
        }
        let mut times = vec![Vec::new(); indexes.len()];
        for _ in 0..repetitions {
            for (times, (_, index)) in times.iter_mut().zip(&indexes) {
                times.push(scan(index).1);
            }
        }
        let times: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
        let rate = |t: f64| 2.0 * (n * documents * width) as f64 / t / 1e9;
        let prediction = indexes[0].1.predict(&corpus, &queries, &candidates, &targets, &run).unwrap();
        let gain = |(lead, cost): (usize, f64)| format!("{lead} ({:.2})", prediction.full / cost);
        let describe = |choice: Option<(usize, f64)>| choice.map_or_else(|| "none".into(), gain);
        let best = GRID.iter().zip(&times[1..]).min_by(|a, b| a.1.total_cmp(b.1));
        println!(
            "{name}, k = {k}: full width {:.0} Gop/s, predicted {:.2} cycles a pair; auto {:.2} of it. Leading coordinates \
             (times full width): predicted best {}, chosen {}, measured best {}",
            rate(times[0]),
            prediction.full,
            times[0] / times[times.len() - 1],
            describe(prediction.best()),
            describe(prediction.chosen()),
            best.map_or_else(String::new, |(lead, time)| format!("{lead} ({:.2})", times[0] / time)),
        );
        for (lead, time) in GRID.iter().zip(&times[1..]) {
            let predicted = prediction.pruned.iter().find(|(width, _)| width == lead);
            let predicted = predicted
                .map_or_else(String::new, |(_, cost)| format!(", predicted {:.2}", prediction.full / cost));
            println!("    {lead:4}: {:6.0} Gop/s, {:.2} of full{predicted}", rate(*time), times[0] / time);
        }
    }
}

fn main() {
    let repetitions = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(7);
    let names: Vec<String> = std::env::args().skip(2).collect();
    println!("VNNI peak {:.0} Gop/s", peak::vnni_gops(Isa::best()));
    let sets = [
        ("summaries_100k", real("summaries_100k", 2_000)),
        ("medquad", real("medquad", 2_000)),
        ("clusters", Some(made(50_000, 200))),
        ("isotropic", Some(made(50_000, 0))),
    ];
    for (name, set) in sets {
        if let Some((corpus, queries)) = set.filter(|_| names.is_empty() || names.iter().any(|w| w == name)) {
            compare(name, &corpus, &queries, repetitions);
        }
    }
}
