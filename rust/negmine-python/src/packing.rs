//! Bindings of files of packed documents.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;

use negmine_core::base::Error;
use negmine_core::base::matrix::{Elements, Rows};
use negmine_core::exact::Layout;
use negmine_core::exact::memory_plan::TILE_ROWS;
use negmine_core::scoring::pack_file;
use pyo3::prelude::*;

use crate::convert::metric;
use crate::row_files::RowFiles;
use crate::{call, errors};

/// Packs the rows of one file, and writes the panels to `path` from byte `offset` on; errors call the file `name`.
/// Returns the number of rows of norm zero.
#[pyfunction]
pub(crate) fn write_panels(
    py: Python<'_>,
    rows: Bound<'_, RowFiles>,
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
    let files = rows.get().rows();
    let documents = files.range(file);
    // The other files are not read.
    let rows = files
        .check_unchanged_file(file)
        .and_then(|()| Rows::new("shards", Elements::Files(files, Arc::default())));
    let rows = rows.map_err(|error| errors::raise(py, &error))?;
    let tile_rows = tile_rows.unwrap_or(TILE_ROWS);
    let layout = Layout::for_corpus(rows.len(), rows.width(), tile_rows, memory_limit)
        .map_err(|error| errors::raise(py, &error))?;
    call::run(py, num_threads, progress.as_ref(), |run| {
        let mut out = OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut out| out.seek(SeekFrom::Start(offset)).map(|_| out))
            .map_err(|error| Error::of_file(name, &error))?;
        pack_file::write_panels(&rows, documents, metric, layout.tile_rows, &mut out, name, run)
    })
}
