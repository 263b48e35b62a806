//! Measured peaks are positive and in a plausible order.

use negmine_kernels::Isa;
use negmine_kernels::peak::{f32_gflops, measure, vnni_gops};

#[test]
fn peaks_are_plausible() {
    for isa in Isa::available() {
        assert!(f32_gflops(isa) > 0.1, "{isa}");
        assert!(vnni_gops(isa) > 0.1, "{isa}");
    }
    let peaks = measure(Isa::best());
    assert_eq!(peaks.isa, Isa::best());
    assert!(peaks.read_gb_per_s > 0.05, "{peaks:?}");
}
