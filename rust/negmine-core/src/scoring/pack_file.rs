//! Packed documents in files: the panels of one run of rows, each with a checksum.
//!
//! A panel is a record of fixed length: its codes as the kernel reads them, then the numbers of the bound, the unit and
//! an XXH64 of all that and of the panel's number. Numbers are little-endian, and the layout is the same for every
//! instruction set. Every record is checked whenever it is read, because a damaged bound would lose documents silently.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use negmine_kernels::dot_i8::{PANEL, packed_len};

use crate::base::file_rows::OpenFile;
use crate::base::matrix::Rows;
use crate::base::memory::{aligned_zeros, ensure_available};
use crate::base::parallel::Run;
use crate::base::xxh64::xxh64;
use crate::base::{Error, Result};

use super::bound::{PerLane, Slack};
use super::pack::{PanelBounds, Tile};
use super::score::Metric;

/// Bytes that are read at once, at least one record.
const READ_AT_ONCE: usize = 1 << 20;

const CHECKSUM: usize = size_of::<u64>();

const ADVICE: &str = "Delete the file to pack the shard again.";

/// Bytes of one panel in a file.
#[must_use]
pub fn record_bytes(width: usize, metric: Metric) -> usize {
    let floats = if metric == Metric::L2 { 4 } else { 3 };
    let norms = usize::from(metric != Metric::Ip);
    packed_len(width) + floats * size_of::<PerLane>() + norms * PANEL * size_of::<f64>() + 8 + CHECKSUM
}

/// The packed documents of one run of rows.
#[derive(Debug)]
pub struct PackFile {
    file: OpenFile,
    /// The byte at which the first panel begins.
    offset: u64,
    rows: usize,
    width: usize,
    metric: Metric,
}

impl PackFile {
    /// Opens the panels of `rows` documents that begin at byte `offset`.
    ///
    /// # Errors
    /// Returns [`Error::File`] if the system refuses, and [`Error::Damaged`] if the file has another length.
    pub fn open(path: &str, offset: u64, rows: usize, width: usize, metric: Metric) -> Result<Self> {
        let file = OpenFile::open(path)?;
        let body = rows.div_ceil(PANEL) as u64 * record_bytes(width, metric) as u64;
        if file.bytes() != offset + body {
            return Err(Error::Damaged { file: path.to_owned(), advice: ADVICE });
        }
        Ok(Self { file, offset, rows, width, metric })
    }

    /// Documents.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Reads `documents` of the file, which begin at a panel; the first of them is document `first` of the corpus.
    ///
    /// # Errors
    /// Returns [`Error::Damaged`] on another checksum, [`Error::File`] if the system refuses, lack of memory, or an
    /// interrupt.
    pub(crate) fn read(&self, documents: Range<usize>, first: usize, run: &Run<'_>) -> Result<Tile> {
        let (codes_bytes, bytes) = (packed_len(self.width), record_bytes(self.width, self.metric));
        let panels = documents.len().div_ceil(PANEL);
        let together = (READ_AT_ONCE / bytes).clamp(1, panels.div_ceil(run.threads).max(1));
        // Buffers and bounds are allocated in pieces. All buffers take at most the bytes of all records.
        ensure_available((panels * bytes).saturating_mul(2))?;
        let mut codes = aligned_zeros(panels * codes_bytes)?;
        let slots: Vec<_> = codes.chunks_mut(together * codes_bytes).map(Mutex::new).collect();
        let bounds = run.map(slots.len(), Vec::new, |buffer, item, ticker| {
            ticker.check()?;
            let begin = item * together;
            let number = documents.start / PANEL + begin;
            buffer.resize(together.min(panels - begin) * bytes, 0);
            self.read_bytes(buffer, number)?;
            let mut slot = slots[item].lock().unwrap_or_else(PoisonError::into_inner);
            let records = buffer.chunks_exact(bytes).zip(slot.chunks_exact_mut(codes_bytes));
            let read = |(i, (record, codes)): (usize, (&[u8], &mut [u8]))| {
                if stored_checksum(record) != checksum(&record[..bytes - CHECKSUM], number + i) {
                    return Err(self.damaged());
                }
                codes.copy_from_slice(&record[..codes_bytes]);
                let place = (begin + i) * PANEL;
                let len = PANEL.min(documents.len() - place);
                Ok(bounds(&record[codes_bytes..], self.metric, first + place..first + place + len))
            };
            records.enumerate().map(read).collect::<Result<Vec<_>>>()
        })?;
        drop(slots);
        Ok(Tile::new(self.width, codes, bounds.into_iter().flatten().collect()))
    }

    fn read_bytes(&self, buffer: &mut [u8], panel: usize) -> Result<()> {
        let offset = self.offset + (panel * record_bytes(self.width, self.metric)) as u64;
        self.file.read(buffer, offset).map_err(|error| match error {
            Error::FileChanged { .. } => self.damaged(),
            other => other,
        })
    }

    fn damaged(&self) -> Error {
        Error::Damaged { file: self.file.path().to_owned(), advice: ADVICE }
    }
}

/// Packs `documents` and appends their panels to `file`, tile by tile; returns the number of rows of norm zero, which
/// is 0 under `Ip`. Errors of the system name `path`.
///
/// # Errors
/// Returns an error on a value that is not finite, [`Error::File`] if the system refuses, lack of memory, or an
/// interrupt.
pub fn write_panels(
    corpus: &Rows<'_>,
    documents: Range<usize>,
    metric: Metric,
    tile_rows: usize,
    file: &mut File,
    path: &str,
    run: &Run<'_>,
) -> Result<usize> {
    let mut zero_rows = 0;
    let mut record = Vec::with_capacity(record_bytes(corpus.width(), metric));
    let total = documents.len();
    for begin in documents.clone().step_by(tile_rows.next_multiple_of(PANEL)) {
        let end = documents.end.min(begin + tile_rows.next_multiple_of(PANEL));
        let steps = begin - documents.start..end - documents.start;
        let tile =
            run.part(steps, total, |run| Tile::pack(corpus, begin..end, metric, Slack::CERTIFIED, run))?;
        zero_rows += tile.zero_rows();
        for (_, p) in tile.places() {
            record.clear();
            let panel = &tile.panels()[p];
            record.extend_from_slice(tile.view(p).codes);
            append_bounds(&mut record, panel, metric);
            let number = (panel.first - documents.start) / PANEL;
            record.extend_from_slice(&checksum(&record, number).to_le_bytes());
            file.write_all(&record).map_err(|error| Error::of_file(path, &error))?;
        }
    }
    Ok(zero_rows)
}

/// The checksum of a panel, which also covers its place in the file.
fn checksum(record: &[u8], number: usize) -> u64 {
    xxh64(record) ^ xxh64(&(number as u64).to_le_bytes())
}

fn stored_checksum(record: &[u8]) -> u64 {
    let (_, checksum) = record.split_at(record.len() - CHECKSUM);
    u64::from_le_bytes(std::array::from_fn(|i| checksum[i]))
}

fn append_bounds(record: &mut Vec<u8>, panel: &PanelBounds, metric: Metric) {
    let lanes = [Some(&panel.scale), Some(&panel.error), Some(&panel.norm), panel.offset.as_deref()];
    record.extend(lanes.into_iter().flatten().flatten().flat_map(|x| x.to_le_bytes()));
    if metric != Metric::Ip {
        record.extend((0..PANEL).flat_map(|lane| panel.squared_norm(lane).to_le_bytes()));
    }
    record.extend_from_slice(&panel.unit.to_le_bytes());
}

fn bounds(numbers: &[u8], metric: Metric, documents: Range<usize>) -> PanelBounds {
    let lanes = |i: usize| -> PerLane {
        let own = numbers[i * size_of::<PerLane>()..].as_chunks::<4>().0;
        std::array::from_fn(|lane| f32::from_le_bytes(own[lane]))
    };
    let is_l2 = metric == Metric::L2;
    let doubles = &numbers[(3 + usize::from(is_l2)) * size_of::<PerLane>()..];
    let doubles: Vec<f64> = doubles.as_chunks::<8>().0.iter().map(|x| f64::from_le_bytes(*x)).collect();
    let norms = if metric == Metric::Ip { 0 } else { PANEL };
    PanelBounds {
        scale: lanes(0),
        error: lanes(1),
        norm: lanes(2),
        offset: is_l2.then(|| Box::new(lanes(3))),
        squared_norms: doubles[..norms.min(documents.len())].to_vec(),
        unit: doubles[norms],
        first: documents.start,
        len: documents.len(),
    }
}
