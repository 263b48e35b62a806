//! Rows that lie in files, one run of rows per file, and are read when they are needed.
//!
//! Files are read and not mapped: a file that is cut while it is read gives an error and not a signal, and pages of it
//! do not count as memory of the process. Every file keeps its length and its time of modification from when it was
//! opened, and [`FileRows::check_unchanged`] compares both.

use std::fs::{self, File, Metadata};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use negmine_kernels::aligned::{Plain, as_bytes_mut};
use negmine_kernels::file_hint::will_need;
use negmine_kernels::isa::Isa;
use negmine_kernels::widen;

use super::error::{Error, Result};
use super::stored::{ByteOrder, Stored, Wide};

/// A file that is read at given places, by several threads at the same time.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    path: String,
    bytes: u64,
    modified: Option<SystemTime>,
}

impl OpenFile {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// Returns [`Error::File`] if the system refuses, or the path is not that of a file.
    pub fn open(path: &str) -> Result<Self> {
        let opened = File::open(path).and_then(|file| {
            let about = file.metadata()?;
            Ok((file, about))
        });
        let (file, about) = opened.map_err(|error| Error::of_file(path, &error))?;
        if !about.is_file() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is not a file");
            return Err(Error::of_file(path, &error));
        }
        Ok(Self { file, path: path.to_owned(), bytes: about.len(), modified: about.modified().ok() })
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Length in bytes when it was opened.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads bytes from `offset` on.
    ///
    /// # Errors
    /// Returns [`Error::FileChanged`] if the file ends before, and [`Error::File`] if the system refuses.
    pub fn read(&self, into: &mut [u8], offset: u64) -> Result<()> {
        read_at(&self.file, into, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.changed(self.file.metadata().ok().as_ref()),
            _ => Error::of_file(&self.path, &error),
        })
    }

    /// Checks that the file at the path still has the length and the time of modification of the one that was opened.
    ///
    /// # Errors
    /// Returns [`Error::FileChanged`] or [`Error::File`].
    pub fn check_unchanged(&self) -> Result<()> {
        let now = Path::new(&self.path).metadata().map_err(|error| Error::of_file(&self.path, &error))?;
        if now.len() == self.bytes && now.modified().ok() == self.modified {
            return Ok(());
        }
        Err(self.changed(Some(&now)))
    }

    fn changed(&self, now: Option<&Metadata>) -> Error {
        changed(&self.path, self.bytes, now.map(Metadata::len))
    }
}

fn changed(path: &str, before: u64, now: Option<u64>) -> Error {
    let change = match now {
        Some(now) if now != before => format!("it had {before} bytes and has {now}"),
        _ => "it was written again".to_owned(),
    };
    Error::FileChanged { file: path.to_owned(), change }
}

/// The file or folder that rows were converted from, as it was then.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path.
    pub path: String,
    /// Length in bytes; that of all files in a folder.
    pub bytes: u64,
    /// Time of modification in nanoseconds after 1970; the last one of all files in a folder, or 0 if it has none.
    pub modified_ns: i128,
}

impl Source {
    /// Checks that the file or folder still has the length and the time of modification.
    ///
    /// # Errors
    /// Returns [`Error::FileChanged`] or [`Error::File`].
    pub fn check_unchanged(&self) -> Result<()> {
        let (bytes, modified) =
            size_and_time(Path::new(&self.path)).map_err(|error| Error::of_file(&self.path, &error))?;
        if bytes == self.bytes && modified.unwrap_or(0) == self.modified_ns {
            return Ok(());
        }
        Err(changed(&self.path, self.bytes, Some(bytes)))
    }
}

/// The length of a file and its time of modification, or those of all files in a folder. Links to folders are not
/// followed, and links to nothing do not count.
fn size_and_time(path: &Path) -> io::Result<(u64, Option<i128>)> {
    let about = path.metadata()?;
    if !about.is_dir() {
        return Ok((about.len(), Some(nanoseconds(about.modified()?))));
    }
    let (mut bytes, mut modified) = (0, None);
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        if !is_folder && !entry.path().is_file() {
            continue;
        }
        let (own_bytes, own_modified) = size_and_time(&entry.path())?;
        bytes += own_bytes;
        modified = modified.max(own_modified);
    }
    Ok((bytes, modified))
}

fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, offset)
}

#[cfg(windows)]
fn read_at(file: &File, mut into: &mut [u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !into.is_empty() {
        match file.seek_read(into, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => (into, offset) = (&mut into[n..], offset + n as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The rows of one file, contiguous from `offset` on.
#[derive(Debug)]
pub struct FileRun {
    file: OpenFile,
    offset: u64,
    rows: usize,
    stored: Stored,
    source: Option<Source>,
}

impl FileRun {
    /// `rows` rows of `width` elements that lie in `file` from `offset` on.
    ///
    /// # Errors
    /// Returns [`Error::FileChanged`] if the file is shorter.
    pub fn new(file: OpenFile, offset: u64, rows: usize, width: usize, stored: Stored) -> Result<Self> {
        let needed = u128::from(offset) + rows as u128 * width as u128 * stored.size() as u128;
        if needed > u128::from(file.bytes) {
            let change = format!("its header needs {needed} bytes and it has {}", file.bytes);
            return Err(Error::FileCut { file: file.path, change });
        }
        Ok(Self { file, offset, rows, stored, source: None })
    }

    /// The same rows, which were converted from `source`.
    #[must_use]
    pub fn converted_from(self, source: Option<Source>) -> Self {
        Self { source, ..self }
    }

    fn check_unchanged(&self) -> Result<()> {
        self.source.as_ref().map_or(Ok(()), Source::check_unchanged)?;
        self.file.check_unchanged()
    }
}

/// Rows of several files, numbered through.
#[derive(Debug)]
pub struct FileRows {
    runs: Vec<FileRun>,
    /// The first row of every run, then the number of rows.
    starts: Vec<usize>,
    width: usize,
    read: AtomicU64,
}

impl FileRows {
    /// The rows of `runs`, in that order.
    #[must_use]
    pub fn new(runs: Vec<FileRun>, width: usize) -> Self {
        let mut starts = vec![0];
        for run in &runs {
            starts.push(starts[starts.len() - 1] + run.rows);
        }
        Self { runs, starts, width, read: AtomicU64::new(0) }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts[self.runs.len()]
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The rows of file `i`.
    #[must_use]
    pub fn range(&self, i: usize) -> Range<usize> {
        self.starts[i]..self.starts[i + 1]
    }

    /// Bytes of rows that were read so far.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The path of the file that holds row `r`.
    #[must_use]
    pub fn path_of(&self, r: usize) -> &str {
        self.runs[self.run_of(r)].file.path()
    }

    /// Checks that no file has changed since it was opened, nor the source of one since it was converted.
    ///
    /// # Errors
    /// Returns [`Error::FileChanged`] or [`Error::File`] for the first one that has.
    pub fn check_unchanged(&self) -> Result<()> {
        self.runs.iter().try_for_each(FileRun::check_unchanged)
    }

    /// The same, of file `i` alone.
    ///
    /// # Errors
    /// As for [`FileRows::check_unchanged`].
    pub fn check_unchanged_file(&self, i: usize) -> Result<()> {
        self.runs[i].check_unchanged()
    }

    fn run_of(&self, r: usize) -> usize {
        // Empty files start at the same row as the next one.
        self.starts.partition_point(|&start| start <= r) - 1
    }

    /// Reads the rows from `first` on that fill `out`, as f32.
    ///
    /// # Errors
    /// Returns [`Error::FileChanged`] if a file ends early, and [`Error::File`] if the system refuses.
    pub fn read(&self, isa: Isa, first: usize, out: &mut [f32]) -> Result<()> {
        let (mut row, mut left) = (first, out);
        while !left.is_empty() {
            let i = self.run_of(row);
            let rows = (self.starts[i + 1] - row).min(left.len() / self.width);
            let (own, rest) = left.split_at_mut(rows * self.width);
            self.runs[i].read(isa, row - self.starts[i], self.width, own)?;
            self.read.fetch_add((own.len() * self.runs[i].stored.size()) as u64, Ordering::Relaxed);
            (row, left) = (row + rows, rest);
        }
        Ok(())
    }

    /// Asks the system to read row `r`, without waiting for it.
    pub(crate) fn will_need(&self, r: usize) {
        let i = self.run_of(r);
        let run = &self.runs[i];
        let bytes = self.width * run.stored.size();
        will_need(&run.file.file, run.offset + ((r - self.starts[i]) * bytes) as u64, bytes);
    }

    /// Whether element (r, c) is a float64 that is finite, and so was only too large for f32.
    pub(crate) fn is_finite_f64(&self, r: usize, c: usize) -> bool {
        let i = self.run_of(r);
        let run = &self.runs[i];
        let Stored::Wide(Wide::F64, order) = run.stored else { return false };
        let place = (r - self.starts[i]) * self.width + c;
        let mut bytes = [0; 8];
        let read = run.file.read(&mut bytes, run.offset + place as u64 * 8);
        if order == ByteOrder::Swapped {
            bytes.reverse();
        }
        read.is_ok() && f64::from_ne_bytes(bytes).is_finite()
    }
}

impl FileRun {
    /// Reads the rows from `first` on that fill `out`.
    fn read(&self, isa: Isa, first: usize, width: usize, out: &mut [f32]) -> Result<()> {
        let offset = self.offset + (first * width * self.stored.size()) as u64;
        match self.stored {
            Stored::Wide(Wide::F32, order) => {
                let bytes = as_bytes_mut(&mut *out);
                self.file.read(bytes, offset)?;
                swap(bytes, 4, order);
            }
            Stored::Wide(Wide::F64, order) => {
                let values: Vec<f64> = self.elements(out.len(), offset, order)?;
                // float64 is rounded once, as in memory.
                out.iter_mut().zip(values).for_each(|(slot, value)| *slot = value as f32);
            }
            Stored::Wide(Wide::F16, order) => {
                widen::widen_f16(isa, &self.elements::<u16>(out.len(), offset, order)?, out);
            }
            Stored::Wide(Wide::Bf16, order) => {
                widen::widen_bf16(isa, &self.elements::<u16>(out.len(), offset, order)?, out);
            }
            Stored::I8 => {
                let values: Vec<i8> = self.elements(out.len(), offset, ByteOrder::Native)?;
                out.iter_mut().zip(values).for_each(|(slot, value)| *slot = f32::from(value));
            }
            Stored::U8 => {
                let values: Vec<u8> = self.elements(out.len(), offset, ByteOrder::Native)?;
                out.iter_mut().zip(values).for_each(|(slot, value)| *slot = f32::from(value));
            }
        }
        Ok(())
    }

    fn elements<T: Plain>(&self, n: usize, offset: u64, order: ByteOrder) -> Result<Vec<T>> {
        let mut values = vec![T::default(); n];
        let bytes = as_bytes_mut(&mut values);
        self.file.read(bytes, offset)?;
        swap(bytes, size_of::<T>(), order);
        Ok(values)
    }
}

/// Brings elements of `size` bytes into this machine's order.
fn swap(bytes: &mut [u8], size: usize, order: ByteOrder) {
    if order == ByteOrder::Swapped {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
}
