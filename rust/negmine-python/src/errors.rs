//! Conversion of core errors to the exceptions of `negmine.errors`, by the name of the variant.

use negmine_core::base::Error;
use pyo3::PyErrArguments;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The exception for `error`.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error {
        Error::NonFinite { .. }
        | Error::BeyondFloat32 { .. }
        | Error::WidthMismatch { .. }
        | Error::Width { .. }
        | Error::TooManyRows { .. }
        | Error::Length { .. }
        | Error::RaggedCsr { .. }
        | Error::UnsortedCsr { .. }
        | Error::RowOutOfRange { .. }
        | Error::FileCut { .. }
        | Error::Damaged { .. }
        | Error::Value { .. } => "NegmineValueError",
        Error::File { file, code, cause } => {
            return exception(py, "NegmineOSError", (*code, cause.clone(), file.clone()));
        }
        Error::CorpusChanged { .. } | Error::FileChanged { .. } => "CorpusChangedError",
        Error::MemoryLimit { .. } | Error::OutOfMemory { .. } | Error::Allocation { .. } => {
            "MemoryLimitError"
        }
        // The exception that interrupted the call is raised in its place, by `call::run`.
        Error::Interrupted => "NegmineError",
        other => {
            let message = format!("unknown error of the core: {other}");
            return pyo3::exceptions::PyRuntimeError::new_err(message);
        }
    };
    exception(py, class, error.to_string())
}

/// `NegmineValueError` for errors that the bindings detect themselves.
pub(crate) fn value_error(py: Python<'_>, message: String) -> PyErr {
    exception(py, "NegmineValueError", message)
}

fn exception<A: PyErrArguments + Send + Sync + 'static>(py: Python<'_>, class: &str, arguments: A) -> PyErr {
    let class = py
        .import("negmine.errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| Ok(class.cast_into::<PyType>()?));
    match class {
        Ok(class) => PyErr::from_type(class, arguments),
        Err(error) => error,
    }
}
