//! Bindings of rows that lie in files.

use negmine_core::base::file_rows::{FileRows, FileRun, OpenFile};
use negmine_core::base::stored::{ByteOrder, Stored, Wide};
use pyo3::prelude::*;

use crate::errors;

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
