//! What was built, and what runs.

use negmine_kernels::isa::Isa;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::call;

/// Version, build profile, instruction set in use, and those available.
#[pyfunction]
pub(crate) fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item("profile", if cfg!(debug_assertions) { "debug" } else { "release" })?;
    info.set_item("isa", call::active(py)?.name())?;
    info.set_item("available_isas", Isa::available().iter().map(|isa| isa.name()).collect::<Vec<_>>())?;
    Ok(info)
}

/// Measured int8 operations a second of one core; some 50 ms.
#[pyfunction]
pub(crate) fn int8_rate(py: Python<'_>) -> PyResult<f64> {
    let isa = call::active(py)?;
    Ok(py.detach(|| negmine_kernels::peak::int8_gops(isa)) * 1e9)
}
