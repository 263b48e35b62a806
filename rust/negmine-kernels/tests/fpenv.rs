//! A caller's flush-to-zero mode does not change results, and comes back afterwards.
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]

mod common;

use common::{Random, for_each_isa};
use negmine_kernels::canonical::{dot, dot_many, squared_distance, squared_distance_many};
use negmine_kernels::dot_i8::{PANEL, Panel, QueryTile, pack_panel, packed_len, scan_panel};
use negmine_kernels::fpenv::DefaultFloatEnv;
use negmine_kernels::quantize::quantize_row;
use register::{DEFAULT, HOSTILE, mode, set_mode};

#[cfg(target_arch = "x86_64")]
mod register {
    use std::arch::asm;

    pub(crate) type Mode = u32;

    pub(crate) const DEFAULT: Mode = 0x1f80;

    /// Flush to zero, denormals are zero, round down, exceptions masked.
    pub(crate) const HOSTILE: Mode = 0xbfc0;

    pub(crate) fn mode() -> Mode {
        let mut mode = 0;
        // SAFETY: stores the register to a local.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut mode, options(nostack)) };
        mode & !0x3f
    }

    pub(crate) fn set_mode(mode: Mode) {
        // SAFETY: loads the register from a local; the tests restore the default before they return.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const mode, options(nostack)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod register {
    use std::arch::asm;

    pub(crate) type Mode = u64;

    pub(crate) const DEFAULT: Mode = 0;

    /// Flush to zero, round down, the default NaN.
    pub(crate) const HOSTILE: Mode = 1 << 24 | 0b10 << 22 | 1 << 25;

    pub(crate) fn mode() -> Mode {
        let mode;
        // SAFETY: reads a register.
        unsafe { asm!("mrs {}, fpcr", out(reg) mode, options(nostack)) };
        mode
    }

    pub(crate) fn set_mode(mode: Mode) {
        // SAFETY: writes a register; the tests restore the default before they return.
        unsafe { asm!("msr fpcr, {}", in(reg) mode, options(nostack)) };
    }
}

/// Runs the test in the hostile mode, behind calls that are not inlined so that nothing is computed beforehand.
fn in_hostile_mode<T>(test: impl FnOnce() -> T) -> T {
    let before = mode();
    set_mode(HOSTILE);
    let result = std::hint::black_box(test)();
    set_mode(before);
    result
}

#[test]
fn the_guard_sets_the_default_and_restores() {
    let (inside, nested, after) = in_hostile_mode(|| {
        let guard = DefaultFloatEnv::new();
        let inside = mode();
        let nested = {
            set_mode(HOSTILE);
            let _guard = DefaultFloatEnv::default();
            mode()
        };
        drop(guard);
        (inside, nested, mode())
    });
    assert_eq!((inside, nested, after), (DEFAULT, DEFAULT, HOSTILE));
}

#[test]
fn the_mode_comes_back_after_a_panic() {
    let after = in_hostile_mode(|| {
        let result = std::panic::catch_unwind(|| {
            let _guard = DefaultFloatEnv::new();
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(result.is_err());
        mode()
    });
    assert_eq!(after, HOSTILE);
}

#[test]
fn denormal_rows_give_the_same_bits_under_the_guard() {
    let mut random = Random(1);
    let q = random.row(100, 1e-39);
    let rows: [Vec<f32>; 4] = std::array::from_fn(|_| random.row(100, 1e-39));
    let rows = rows.each_ref().map(Vec::as_slice);
    let dots = rows.map(|row| dot(&q, row));
    let distances = rows.map(|row| squared_distance(&q, row));
    assert!(dots.iter().all(|dot| *dot != 0.0));
    for_each_isa(|isa| {
        let mut codes = [0; 100];
        let code = quantize_row(isa, &q, 1.0, &mut codes);
        let mut hostile_codes = [0; 100];
        let (hostile_code, hostile_dots, hostile_distances) = in_hostile_mode(|| {
            let _guard = DefaultFloatEnv::new();
            (
                quantize_row(isa, &q, 1.0, &mut hostile_codes),
                dot_many(isa, &q, rows),
                squared_distance_many(isa, &q, rows),
            )
        });
        assert_eq!((hostile_code, hostile_codes), (code, codes), "{isa}");
        assert_eq!(hostile_dots.map(f64::to_bits), dots.map(f64::to_bits), "{isa}");
        assert_eq!(hostile_distances.map(f64::to_bits), distances.map(f64::to_bits), "{isa}");
        assert!(code.scale > 0.0 && code.scale < f32::MIN_POSITIVE, "the scale is denormal");
    });
}

#[test]
fn denormal_bounds_find_the_same_documents_under_the_guard() {
    let width = 64;
    let mut random = Random(2);
    let rows = random.codes(PANEL * width);
    let query = random.codes(width);
    let (scale, zeros) = ([f32::from_bits(3); PANEL], [0.0; PANEL]);
    for_each_isa(|isa| {
        let mut codes = vec![0; packed_len(width)];
        pack_panel(isa, &rows, width, &mut codes);
        let panel = Panel {
            codes: &codes,
            scale: &scale,
            error: &zeros,
            norm: &zeros,
            offset: None,
            valid: u64::MAX,
        };
        let mut tile = QueryTile::new(width);
        tile.push(&query, 0.0, 0.0, 0.0, f32::from_bits(1));
        let (mut hits, mut hostile_hits) = (Vec::new(), Vec::new());
        scan_panel(isa, &tile, panel, &mut hits);
        in_hostile_mode(|| {
            let _guard = DefaultFloatEnv::new();
            scan_panel(isa, &tile, panel, &mut hostile_hits);
        });
        assert!(!hits.is_empty() && hits.len() < PANEL);
        assert_eq!(hits, hostile_hits, "{isa}");
    });
}
