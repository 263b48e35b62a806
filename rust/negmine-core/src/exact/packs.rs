//! The packed documents of an index in files, one file per run of rows, and the time that reading them takes.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use negmine_kernels::dot_i8::PANEL;

use crate::base::Result;
use crate::base::parallel::Run;
use crate::scoring::pack::Tile;
use crate::scoring::pack_file::{PackFile, record_bytes};
use crate::scoring::score::Metric;

/// Pieces that are read to measure the rate, and about the bytes of each.
const MEASURED: usize = 8;
const MEASURED_BYTES: usize = 8 << 20;

/// Time between two checks for an interrupt while a tile is read.
const WAIT: Duration = Duration::from_millis(10);

/// Packed documents in files, numbered through.
#[derive(Debug)]
pub struct Packs {
    files: Vec<PackFile>,
    /// The first row of every file, then the number of rows.
    starts: Vec<usize>,
    zero_rows: usize,
    record: usize,
    work: Work,
}

/// What calls have read and scanned so far; other calls on the same index may run meanwhile.
#[derive(Debug, Default)]
pub struct Work {
    bytes: AtomicU64,
    read_nanos: AtomicU64,
    pairs: AtomicU64,
    scan_nanos: AtomicU64,
}

/// Totals of [`Work`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Bytes of packed documents that were read.
    pub bytes: u64,
    /// Seconds that the reading took.
    pub read_seconds: f64,
    /// (query, document) pairs that were scanned in a streamed corpus.
    pub pairs: u64,
    /// Seconds of one thread that the scanning took.
    pub scan_seconds: f64,
}

impl Packs {
    /// The packed documents of `files`, in that order, `zero_rows` of which have norm zero.
    #[must_use]
    pub fn new(files: Vec<PackFile>, zero_rows: usize, width: usize, metric: Metric) -> Self {
        let mut starts = vec![0];
        for file in &files {
            starts.push(starts[starts.len() - 1] + file.rows());
        }
        Self { files, starts, zero_rows, record: record_bytes(width, metric), work: Work::default() }
    }

    /// Documents.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.starts[self.files.len()]
    }

    pub(crate) fn zero_rows(&self) -> usize {
        self.zero_rows
    }

    /// Documents, with every file filled up to whole panels, as they take memory.
    #[must_use]
    pub fn padded_rows(&self) -> usize {
        self.files.iter().map(|file| file.rows().next_multiple_of(PANEL)).sum()
    }

    /// Bytes of all panels.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.padded_rows() / PANEL * self.record
    }

    /// What calls have read and scanned so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let seconds = |nanos: &AtomicU64| nanos.load(Ordering::Relaxed) as f64 / 1e9;
        Totals {
            bytes: self.work.bytes.load(Ordering::Relaxed),
            read_seconds: seconds(&self.work.read_nanos),
            pairs: self.work.pairs.load(Ordering::Relaxed),
            scan_seconds: seconds(&self.work.scan_nanos),
        }
    }

    /// Notes the scan of some pairs.
    pub(crate) fn note_scan(&self, pairs: usize, begun: Instant, threads: usize) {
        self.work.pairs.fetch_add(pairs as u64, Ordering::Relaxed);
        let nanos = begun.elapsed().as_nanos() as u64 * threads as u64;
        self.work.scan_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The documents of every tile of at most `step` rows, rounded up to whole panels; no tile has rows of two files.
    pub(crate) fn tile_ranges(&self, step: usize) -> Vec<Range<usize>> {
        let step = step.next_multiple_of(PANEL);
        let files = self.starts.windows(2);
        let tiles = files.flat_map(|file| {
            let end = file[1];
            (file[0]..end).step_by(step).map(move |first| first..end.min(first + step))
        });
        tiles.collect()
    }

    /// Reads some documents from all over the files, to measure the rate: at most `most` rows at once, rounded up to
    /// whole panels.
    pub(crate) fn measure(&self, most: usize, run: &Run<'_>) -> Result<()> {
        let pieces = self.tile_ranges((MEASURED_BYTES / self.record * PANEL + 1).min(most));
        let step = pieces.len().div_ceil(MEASURED).max(1);
        pieces.into_iter().step_by(step).try_for_each(|documents| self.read(documents, run).map(drop))
    }

    /// Passes every tile to `scan`, in order, while a thread of its own reads the next one: together they take the
    /// memory of one tile of `step` rows, if that has two panels: a third for the tile that is scanned, one for the tile
    /// that is read, and one for the buffers of its reading. `steps` are the progress of the call up to a document, of
    /// `total`.
    ///
    /// # Errors
    /// As for [`PackFile::read`], and the errors of `scan`.
    pub(crate) fn each_tile(
        &self,
        step: usize,
        steps: impl Fn(usize) -> usize,
        total: usize,
        run: &Run<'_>,
        mut scan: impl FnMut(&Tile, Range<usize>, &Run<'_>) -> Result<()>,
    ) -> Result<()> {
        let third = step / 3 / PANEL * PANEL;
        let tiles = self.tile_ranges(third.max(PANEL));
        let stop = AtomicBool::new(false);
        let stopped = |_: usize, _: usize| stop.load(Ordering::Relaxed);
        let reader = Run { poll: &stopped, ..*run };
        std::thread::scope(|scope| {
            // The reader waits with its tile until the one before has been scanned.
            let (sender, receiver) = sync_channel(0);
            let read = || {
                let sender = sender;
                for documents in &tiles {
                    let tile = self.read(documents.clone(), &reader);
                    let is_last = tile.is_err();
                    if sender.send(tile).is_err() || is_last {
                        return;
                    }
                }
            };
            // Without a thread the channel is closed, and tiles are read when they are needed.
            if third == 0 {
                drop(read);
            } else {
                drop(std::thread::Builder::new().spawn_scoped(scope, read));
            }
            let outcome = tiles.iter().try_for_each(|documents| {
                let (begin, end) = (steps(documents.start), steps(documents.end));
                let tile = run.part(begin..begin, total, |run| {
                    loop {
                        match receiver.recv_timeout(WAIT) {
                            Ok(tile) => return tile,
                            Err(RecvTimeoutError::Timeout) => run.tick(0, 1)?,
                            Err(RecvTimeoutError::Disconnected) => return self.read(documents.clone(), run),
                        }
                    }
                })?;
                run.part(begin..end, total, |run| scan(&tile, documents.clone(), run))
            });
            stop.store(true, Ordering::Relaxed);
            outcome
        })
    }

    /// Reads one of these tiles.
    ///
    /// # Errors
    /// As for [`PackFile::read`].
    pub(crate) fn read(&self, documents: Range<usize>, run: &Run<'_>) -> Result<Tile> {
        let begun = Instant::now();
        let i = self.starts.partition_point(|&start| start <= documents.start) - 1;
        let own = documents.start - self.starts[i]..documents.end - self.starts[i];
        let tile = self.files[i].read(own, documents.start, run)?;
        let bytes = documents.len().div_ceil(PANEL) * self.record;
        self.work.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.work.read_nanos.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        Ok(tile)
    }
}
