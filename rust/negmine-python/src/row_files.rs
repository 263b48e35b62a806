//! Bindings of rows that lie in files, and of files of packed documents.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom};

use negmine_core::base::Error;
use negmine_core::base::file_rows::{FileRows, FileRun, OpenFile, Stored};
use negmine_core::base::matrix::{ByteOrder, Wide};
use negmine_core::exact::Layout;
use negmine_core::exact::memory_plan::TILE_ROWS;
use negmine_core::scoring::pack_file::write_panels;
use pyo3::prelude::*;

use crate::convert::{RowsArg, metric};
use crate::{call, errors};

/// Rows of files, numbered through. A file is given by its path, the byte of its first row, its number of rows, its
/// kind of elements, and whether they are big-endian.
#[pyclass(frozen, module = "negmine._native")]
pub(crate) struct RowFiles {
    rows: FileRows,
}

impl RowFiles {
    pub(crate) fn rows(&self) -> &FileRows {
        &self.rows
    }
}

#[pymethods]
impl RowFiles {
    #[new]
    fn new(py: Python<'_>, files: Vec<(String, u64, usize, String, bool)>, width: usize) -> PyResult<Self> {
        let mut runs = Vec::with_capacity(files.len());
        for (path, offset, rows, kind, is_big_endian) in files {
            let stored = stored(py, &kind, is_big_endian)?;
            let run = OpenFile::open(&path).and_then(|file| FileRun::new(file, offset, rows, width, stored));
            runs.push(run.map_err(|error| errors::raise(py, &error))?);
        }
        Ok(Self { rows: FileRows::new(runs, width) })
    }

    /// Bytes of rows that were read so far.
    #[getter]
    fn bytes_read(&self) -> u64 {
        self.rows.bytes_read()
    }

    /// Packs the rows of one file, and writes the panels to `path` from byte `offset` on; errors call the file `name`.
    /// Returns the number of rows of norm zero.
    fn write_panels(
        slf: &Bound<'_, Self>,
        py: Python<'_>,
        file: usize,
        metric_name: &str,
        tile_rows: Option<usize>,
        memory_limit: Option<usize>,
        path: &str,
        name: &str,
        offset: u64,
        num_threads: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<usize> {
        let metric = metric(py, metric_name)?;
        let documents = slf.get().rows.range(file);
        let rows = RowsArg::Files(slf.clone());
        let rows = rows.rows(py, "shards")?;
        let tile_rows = tile_rows.unwrap_or(TILE_ROWS);
        let layout = Layout::for_corpus(rows.len(), rows.width(), tile_rows, memory_limit)
            .map_err(|error| errors::raise(py, &error))?;
        call::run(py, num_threads, progress.as_ref(), |run| {
            let mut out = OpenOptions::new()
                .write(true)
                .open(path)
                .and_then(|mut out| out.seek(SeekFrom::Start(offset)).map(|_| out))
                .map_err(|error| Error::of_file(name, &error))?;
            write_panels(&rows, documents, metric, layout.tile_rows, &mut out, name, run)
        })
    }
}

fn stored(py: Python<'_>, kind: &str, is_big_endian: bool) -> PyResult<Stored> {
    let is_native = is_big_endian == cfg!(target_endian = "big");
    let order = if is_native { ByteOrder::Native } else { ByteOrder::Swapped };
    Ok(match kind {
        "float32" => Stored::Wide(Wide::F32, order),
        "float64" => Stored::Wide(Wide::F64, order),
        "float16" => Stored::Wide(Wide::F16, order),
        "bfloat16" => Stored::Wide(Wide::Bf16, order),
        "int8" => Stored::I8,
        "uint8" => Stored::U8,
        other => return Err(errors::value_error(py, format!("unknown kind of elements: {other}"))),
    })
}
