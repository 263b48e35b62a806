//! The wrapper of every call into the core: it detaches from the interpreter, polls for signals, reports progress, and
//! translates errors.

use std::sync::{Mutex, PoisonError};

use negmine_core::base::Result;
use negmine_core::base::parallel::{Run, Watch};
use negmine_kernels::isa::Isa;
use pyo3::prelude::*;

use crate::errors;

/// Runs `work` without holding the interpreter. Signals are handled and `progress(done, total)` is called about every
/// 50 ms, by one clock for the whole call; the last call of `progress` is `progress(total, total)`.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    num_threads: usize,
    progress: Option<&Py<PyAny>>,
    work: impl FnOnce(&Run<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    let isa = active(py)?;
    let (outcome, raised) = py.detach(|| {
        let raised: Mutex<Option<PyErr>> = Mutex::new(None);
        let report = |done: usize, total: usize| {
            Python::attach(|py| {
                let answer = py.check_signals().and_then(|()| match progress {
                    Some(progress) => progress.call1(py, (done, total)).map(drop),
                    None => Ok(()),
                });
                if let Err(error) = answer {
                    raised.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    return true;
                }
                false
            })
        };
        let watch = Watch::new(&report);
        let poll = |done: usize, total: usize| watch.poll(done, total);
        let outcome = work(&Run { threads: num_threads.max(1), isa, poll: &poll });
        if outcome.is_ok() && progress.is_some() {
            // The result of the callback is in `raised`.
            watch.finish();
        }
        (outcome, raised.into_inner().unwrap_or_else(PoisonError::into_inner))
    });
    match (outcome, raised) {
        (_, Some(error)) => Err(error),
        (Ok(value), None) => Ok(value),
        (Err(error), None) => Err(errors::raise(py, &error)),
    }
}

/// The instruction set of this process, as `NEGMINE_ISA` may have forced it down.
pub(crate) fn active(py: Python<'_>) -> PyResult<Isa> {
    Isa::active().map_err(|error| errors::value_error(py, error.to_string()))
}
