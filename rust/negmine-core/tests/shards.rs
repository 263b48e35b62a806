//! Rows of files, and packed documents in files, against the same rows in memory.
#![allow(clippy::unwrap_used, reason = "a test fails where a value is missing")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use half::{bf16, f16};
use ndarray::Array2;
use negmine_core::base::csr::Lists;
use negmine_core::base::file_rows::{FileRows, FileRun, OpenFile};
use negmine_core::base::matrix::{Elements, Rows};
use negmine_core::base::parallel::Run;
use negmine_core::base::stored::{ByteOrder, Stored, Wide};
use negmine_core::base::{Error, Result};
use negmine_core::exact::{Candidates, ExactIndex, Found, Layout, Packs, Targets};
use negmine_core::scoring::Metric;
use negmine_core::scoring::pack_file::{PackFile, record_bytes, write_panels};
use negmine_kernels::isa::Isa;
use proptest::prelude::*;

/// A folder that is removed with all of its files.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name =
            format!("negmine-shards-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: impl std::fmt::Display) -> String {
        self.0.join(name.to_string()).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

const RUN: Run<'_> = Run { threads: 2, isa: Isa::Scalar, poll: &|_, _| false };

/// The bytes of values in one type and order, and the values as f32.
fn stored(values: &[f32], stored: Stored) -> (Vec<u8>, Vec<f32>) {
    let (mut bytes, mut read) = (Vec::new(), Vec::new());
    for &x in values {
        let (mut element, value) = match stored {
            Stored::Wide(Wide::F32, _) => (x.to_ne_bytes().to_vec(), x),
            // Not an f32, so that it is rounded.
            Stored::Wide(Wide::F64, _) => {
                let x = f64::from(x) * (1.0 + 1e-9);
                (x.to_ne_bytes().to_vec(), x as f32)
            }
            Stored::Wide(Wide::F16, _) => {
                (f16::from_f32(x).to_ne_bytes().to_vec(), f16::from_f32(x).to_f32())
            }
            Stored::Wide(Wide::Bf16, _) => {
                (bf16::from_f32(x).to_ne_bytes().to_vec(), bf16::from_f32(x).to_f32())
            }
            Stored::I8 => ((x as i8).to_ne_bytes().to_vec(), f32::from(x as i8)),
            Stored::U8 => ((x as u8).to_ne_bytes().to_vec(), f32::from(x as u8)),
        };
        if let Stored::Wide(_, ByteOrder::Swapped) = stored {
            element.reverse();
        }
        bytes.extend(element);
        read.push(value);
    }
    (bytes, read)
}

fn any_stored() -> impl Strategy<Value = Stored> {
    let wide = prop_oneof![Just(Wide::F32), Just(Wide::F64), Just(Wide::F16), Just(Wide::Bf16)];
    let order = prop_oneof![Just(ByteOrder::Native), Just(ByteOrder::Swapped)];
    let wide = (wide, order).prop_map(|(wide, order)| Stored::Wide(wide, order));
    prop_oneof![4 => wide, 1 => Just(Stored::I8), 1 => Just(Stored::U8)]
}

/// Rows in memory, and the same in files, one for each type of elements, some of them empty.
fn written(folder: &Folder, width: usize, files: &[(usize, Stored)], seed: u64) -> (Array2<f32>, FileRows) {
    let mut state = seed;
    let (mut all, mut runs) = (Vec::new(), Vec::new());
    for (i, &(rows, kind)) in files.iter().enumerate() {
        let values = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u64 << 21) as f32 - 4.0
        });
        let values: Vec<f32> = values.take(rows * width).collect();
        let (bytes, read) = stored(&values, kind);
        all.extend(read);
        let (path, offset) = (folder.path(i), 3 + i);
        fs::write(&path, [vec![7; offset], bytes].concat()).unwrap();
        runs.push(FileRun::new(OpenFile::open(&path).unwrap(), offset as u64, rows, width, kind).unwrap());
    }
    (Array2::from_shape_vec((all.len() / width, width), all).unwrap(), FileRows::new(runs, width))
}

fn packs(folder: &Folder, rows: &Rows<'_>, files: &FileRows, n: usize, metric: Metric) -> Result<Packs> {
    let (mut opened, mut zero_rows) = (Vec::new(), 0);
    for i in 0..n {
        let path = folder.path(format!("{i}.pack"));
        let mut file = File::create(&path).unwrap();
        zero_rows += write_panels(rows, files.range(i), metric, 100, &mut file, &path, &RUN)?;
        opened.push(PackFile::open(&path, 0, files.range(i).len(), rows.width(), metric)?);
    }
    Ok(Packs::new(opened, zero_rows, rows.width(), metric))
}

fn search(index: &ExactIndex, corpus: &Rows<'_>, queries: &Rows<'_>, depth: usize) -> Result<Vec<Found>> {
    let mut banned = Lists::default();
    (0..queries.len()).for_each(|_| banned.push_row([]));
    let candidates = Candidates { banned: &banned, groups: None, eligible: &[], picked: None };
    let targets = Targets::one_per_query(queries.len(), f64::INFINITY, depth.min(corpus.len()));
    Ok(index.scan(corpus, queries, &candidates, &targets, &RUN)?.found)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rows_of_files_are_those_of_one_matrix(
        width in 1_usize..20,
        files in proptest::collection::vec((0_usize..90, any_stored()), 1..6),
        block in 1_usize..70,
        seed: u64,
    ) {
        let folder = Folder::new();
        let (matrix, files) = written(&folder, width, &files, seed);
        let rows = Rows::new("shards", Elements::Files(&files, Arc::default())).unwrap();
        prop_assert_eq!((rows.len(), rows.width()), matrix.dim());
        let mut buffer = vec![0.0; width];
        for (r, expected) in matrix.rows().into_iter().enumerate() {
            prop_assert_eq!(rows.row(RUN.isa, r, &mut buffer), expected.to_slice().unwrap());
        }
        for first in (0..rows.len()).step_by(block) {
            let end = rows.len().min(first + block);
            let mut out = vec![0.0; (end - first) * width];
            rows.finite_rows(RUN.isa, first, &mut out).unwrap();
            prop_assert_eq!(out, matrix.slice(ndarray::s![first..end, ..]).iter().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn packs_in_files_give_the_results_of_one_matrix(
        width in 1_usize..40,
        files in proptest::collection::vec((0_usize..200, any_stored()), 1..6),
        metric in prop_oneof![Just(Metric::Cosine), Just(Metric::Ip), Just(Metric::L2)],
        tile_rows in 1_usize..300,
        resident: bool,
        depth in 1_usize..12,
        seed: u64,
    ) {
        let (folder, n) = (Folder::new(), files.len());
        let (matrix, files) = written(&folder, width, &files, seed);
        let (queries, _) = written(&Folder::new(), width, &[(100, Stored::I8)], seed ^ 1);
        let queries = Rows::new("queries", Elements::F32(queries.view())).unwrap();
        let corpus = Rows::new("corpus", Elements::F32(matrix.view())).unwrap();
        let shards = Rows::new("shards", Elements::Files(&files, Arc::default())).unwrap();
        let layout = Layout { tile_rows, resident, ..Layout::default() };
        let expected = ExactIndex::build(&corpus, metric, layout, &RUN).unwrap();
        let packs = packs(&folder, &shards, &files, n, metric).unwrap();
        let index = ExactIndex::of_packs(&shards, packs, metric, layout, &RUN).unwrap();
        prop_assert_eq!(index.zero_rows(), expected.zero_rows());
        prop_assert_eq!(
            search(&index, &shards, &queries, depth).unwrap(),
            search(&expected, &corpus, &queries, depth).unwrap()
        );
    }
}

#[test]
fn every_damaged_bit_of_a_pack_is_found() {
    let folder = Folder::new();
    for metric in [Metric::Cosine, Metric::Ip, Metric::L2] {
        let (_, files) = written(&folder, 5, &[(70, Stored::Wide(Wide::F32, ByteOrder::Native))], 3);
        let run = Run { threads: 1, ..RUN };
        let shards = Rows::new("shards", Elements::Files(&files, Arc::default())).unwrap();
        packs(&folder, &shards, &files, 1, metric).unwrap();
        let path = folder.path("0.pack");
        let content = fs::read(&path).unwrap();
        assert_eq!(content.len(), 2 * record_bytes(5, metric));
        let build = || {
            let file = PackFile::open(&path, 0, 70, 5, metric)?;
            let packs = Packs::new(vec![file], 0, 5, metric);
            ExactIndex::of_packs(&shards, packs, metric, Layout::default(), &run).map(drop)
        };
        build().unwrap();
        for place in (0..content.len()).step_by(5) {
            let mut damaged = content.clone();
            damaged[place] ^= 1 << (place % 8);
            fs::write(&path, damaged).unwrap();
            assert!(matches!(build(), Err(Error::Damaged { file, .. }) if file == path), "byte {place}");
        }
        // Panels in another order have their own checksums.
        let (first, second) = content.split_at(content.len() / 2);
        fs::write(&path, [second, first].concat()).unwrap();
        assert!(matches!(build(), Err(Error::Damaged { .. })));
        fs::write(&path, &content[1..]).unwrap();
        assert!(matches!(build(), Err(Error::Damaged { .. })));
    }
}

#[test]
fn the_rate_is_measured_with_tiles_of_the_layout() {
    let folder = Folder::new();
    let kind = Stored::Wide(Wide::F32, ByteOrder::Native);
    let (_, files) = written(&folder, 6, &[(2000, kind), (900, kind)], 5);
    let shards = Rows::new("shards", Elements::Files(&files, Arc::default())).unwrap();
    for (tile_rows, most) in [(64, 8), (128, 16), (16_384, 32 + 15)] {
        let packs = packs(&folder, &shards, &files, 2, Metric::Ip).unwrap();
        let layout = Layout { resident: false, tile_rows, ..Layout::default() };
        let index = ExactIndex::of_packs(&shards, packs, Metric::Ip, layout, &RUN).unwrap();
        let bytes = index.packs().unwrap().totals().bytes;
        assert!(0 < bytes && bytes <= (most * record_bytes(6, Metric::Ip)) as u64, "{tile_rows}: {bytes}");
    }
}

#[test]
fn rows_that_become_not_finite_are_named_by_file() {
    let folder = Folder::new();
    for kind in [Wide::F32, Wide::F64].map(|wide| Stored::Wide(wide, ByteOrder::Native)) {
        let (queries, files) = written(&folder, 6, &[(300, kind), (300, kind)], 5);
        let shards = Rows::new("shards", Elements::Files(&files, Arc::default())).unwrap();
        let queries = Rows::new("queries", Elements::F32(queries.view())).unwrap();
        let packs = packs(&folder, &shards, &files, 2, Metric::Ip).unwrap();
        let index = ExactIndex::of_packs(&shards, packs, Metric::Ip, Layout::default(), &RUN).unwrap();
        // 1e300 is finite, and too large for f32.
        let element: &[u8] =
            if kind.size() == 4 { &f32::NAN.to_ne_bytes() } else { &1e300_f64.to_ne_bytes() };
        let offset = fs::read(folder.path(1)).unwrap().len() - 300 * 6 * kind.size();
        fs::write(folder.path(1), [vec![7; offset], element.repeat(300 * 6)].concat()).unwrap();
        let error = search(&index, &shards, &queries, 3).unwrap_err();
        assert!(matches!(&error, Error::FileChanged { file, .. } if *file == folder.path(1)), "{error}");
    }
}

#[test]
fn a_file_that_is_cut_while_it_is_used_is_named() {
    let folder = Folder::new();
    let kind = Stored::Wide(Wide::F32, ByteOrder::Native);
    let (queries, files) = written(&folder, 6, &[(300, kind), (300, kind)], 5);
    let shards = Rows::new("shards", Elements::Files(&files, Arc::default())).unwrap();
    let queries = Rows::new("queries", Elements::F32(queries.view())).unwrap();
    let packs = packs(&folder, &shards, &files, 2, Metric::Ip).unwrap();
    let layout = Layout { resident: false, ..Layout::default() };
    let index = ExactIndex::of_packs(&shards, packs, Metric::Ip, layout, &RUN).unwrap();
    search(&index, &shards, &queries, 3).unwrap();
    files.check_unchanged().unwrap();
    File::options().write(true).open(folder.path(1)).unwrap().set_len(40).unwrap();
    let cut = |error| matches!(error, Error::FileChanged { file, .. } if file == folder.path(1));
    assert!(cut(search(&index, &shards, &queries, 3).unwrap_err()));
    assert!(cut(files.check_unchanged().unwrap_err()));
    assert!(cut(files.check_unchanged_file(1).unwrap_err()));
    files.check_unchanged_file(0).unwrap();
    fs::remove_file(folder.path(1)).unwrap();
    assert!(matches!(files.check_unchanged(), Err(Error::File { file, .. }) if file == folder.path(1)));
}
