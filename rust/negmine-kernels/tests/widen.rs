//! All 65,536 values of both half-precision formats widen exactly.

mod common;

use common::{WIDTHS, for_each_isa};
use negmine_kernels::widen::{widen_bf16, widen_f16};

/// Equal bits, or both a NaN of the same sign.
fn same(left: f32, right: f32) -> bool {
    left.to_bits() == right.to_bits()
        || (left.is_nan() && right.is_nan() && left.is_sign_negative() == right.is_sign_negative())
}

/// The value of IEEE binary16 from its fields.
fn binary16(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let magnitude = match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2.0_f32.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[test]
fn every_value() {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    for_each_isa(|isa| {
        let mut out = vec![0.0; all.len()];
        widen_f16(isa, &all, &mut out);
        for (bits, x) in all.iter().zip(&out) {
            assert!(same(*x, binary16(*bits)), "{isa}, binary16 {bits:#x}: {x}");
        }
        widen_bf16(isa, &all, &mut out);
        for (bits, x) in all.iter().zip(&out) {
            assert_eq!(x.to_bits(), u32::from(*bits) << 16, "{isa}, bfloat16 {bits:#x}");
        }
    });
}

#[test]
fn awkward_lengths() {
    for width in WIDTHS {
        let bits: Vec<u16> = (0..width).map(|j| (j * 31) as u16).collect();
        for_each_isa(|isa| {
            let mut out = vec![f32::NAN; width + 1];
            widen_f16(isa, &bits, &mut out[..width]);
            assert!(bits.iter().zip(&out).all(|(bits, x)| same(*x, binary16(*bits))), "{isa}, {width}");
            assert!(out[width].is_nan(), "{isa}: nothing is written beyond the end");
        });
    }
}

#[test]
#[should_panic(expected = "as many results as inputs")]
fn a_short_output_is_refused() {
    widen_f16(negmine_kernels::Isa::best(), &[0; 9], &mut [0.0; 8]);
}
