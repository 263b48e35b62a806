//! What the fuzz targets share: how the core is run, numbers from the fuzzer's bytes, and exact sums.

pub mod exact;
pub mod oracle;
pub mod values;

use negmine_core::base::parallel::Run;
use negmine_kernels::Isa;

/// One thread, without interrupts.
#[must_use]
pub fn run(isa: Isa) -> Run<'static> {
    Run { threads: 1, isa, poll: &|_, _| false }
}
