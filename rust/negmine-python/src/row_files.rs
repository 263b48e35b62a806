//! Bindings of rows that lie in files.

use negmine_core::base::file_rows::{FileRows, FileRun, OpenFile, Source};
use negmine_core::base::stored::{ByteOrder, Stored, Wide};
use pyo3::prelude::*;

use crate::errors;

/// Rows of files, numbered through. A file is given by its path, the byte of its first row, its number of rows, its
/// kind of elements, whether they are big-endian, and what it was converted from, if it was: a path, bytes, and the time
/// of modification in nanoseconds.
#[pyclass(frozen, module = "negmine._native")]
pub(crate) struct RowFiles {
    rows: FileRows,
}

impl RowFiles {
    pub(crate) fn rows(&self) -> &FileRows {
        &self.rows
    }
}

type FileArg = (String, u64, usize, String, bool, Option<(String, u64, i128)>);

#[pymethods]
impl RowFiles {
    #[new]
    fn new(py: Python<'_>, files: Vec<FileArg>, width: usize) -> PyResult<Self> {
        let mut runs = Vec::with_capacity(files.len());
        for (path, offset, rows, kind, is_big_endian, source) in files {
            let stored = stored(py, &kind, is_big_endian)?;
            let run = OpenFile::open(&path).and_then(|file| FileRun::new(file, offset, rows, width, stored));
            let source = source.map(|(path, bytes, modified_ns)| Source { path, bytes, modified_ns });
            runs.push(run.map_err(|error| errors::raise(py, &error))?.converted_from(source));
        }
        Ok(Self { rows: FileRows::new(runs, width) })
    }

    /// Bytes of rows that were read so far.
    #[getter]
    fn bytes_read(&self) -> u64 {
        self.rows.bytes_read()
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
