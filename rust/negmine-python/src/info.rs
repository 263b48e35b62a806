//! Build information, the instruction set in use, and measured peak rates.

use negmine_core::base::caches::caches;
use negmine_kernels::isa::Isa;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::call;

/// Version, build profile, instruction set in use, those available, and bytes of the data caches of the first core.
#[pyfunction]
pub(crate) fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item("profile", if cfg!(debug_assertions) { "debug" } else { "release" })?;
    info.set_item("isa", call::active(py)?.name())?;
    info.set_item("available_isas", Isa::available().iter().map(|isa| isa.name()).collect::<Vec<_>>())?;
    let [l1, l2, l3] = caches().levels;
    let sizes = PyDict::new(py);
    sizes.set_item("l1d", l1)?;
    sizes.set_item("l2", l2)?;
    sizes.set_item("l3", l3)?;
    info.set_item("caches", sizes)?;
    Ok(info)
}

/// Measured peak rates of one core: f32 and VNNI (int8) operations in 10^9 per second, and bytes read in 10^9 per
/// second.
#[pyfunction]
pub(crate) fn peaks(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let isa = call::active(py)?;
    let measured = py.detach(|| negmine_kernels::peak::measure(isa));
    let peaks = PyDict::new(py);
    peaks.set_item("f32_gflops", measured.f32_gflops)?;
    peaks.set_item("vnni_gops", measured.vnni_gops)?;
    peaks.set_item("read_gb_per_s", measured.read_gb_per_s)?;
    Ok(peaks)
}

/// The measured VNNI peak rate of one core, in 10^9 operations per second; takes some 50 ms and no memory.
#[pyfunction]
pub(crate) fn vnni_gops(py: Python<'_>) -> PyResult<f64> {
    let isa = call::active(py)?;
    Ok(py.detach(|| negmine_kernels::peak::vnni_gops(isa)))
}
