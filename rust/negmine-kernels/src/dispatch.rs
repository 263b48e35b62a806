//! Dispatch from a requested [`Isa`] to a kernel that uses its instructions.
//!
//! Each function here matches on the instruction set and calls the kernel of that module. It is called once per pair
//! of rows or per tile (hundreds to millions of multiply-adds), never per vector.

#[cfg(target_arch = "aarch64")]
use crate::arch::aarch64::{neon, neon_dotprod};
use crate::arch::codes::{Hit, Panel};
use crate::arch::portable;
use crate::arch::portable::buckets::{Shape, Signatures};
use crate::arch::portable::feistel::ROUNDS;
use crate::arch::portable::quantize::{Steps, Sums};
use crate::arch::portable::simhash::Projections;
use crate::arch::portable::sketch_family::Job;
use crate::arch::portable::sketch_steps::Portable;
use crate::arch::query_tile::QueryTile;
#[cfg(target_arch = "x86_64")]
use crate::arch::x86_64::{avx2, avx512, avxvnni, peak, vnni256};
use crate::isa::Isa;

/// Evaluates the expression of the requested instruction set, after checking that this processor has it. An instruction
/// set without an expression of its own evaluates that of AVX2.
#[cfg(target_arch = "x86_64")]
macro_rules! by_isa {
    (
        $isa:expr,
        portable: $portable:expr,
        avx2: $avx2:expr
        $(, avxvnni: $avxvnni:expr)?
        $(, vnni256: $vnni256:expr)?
        $(, avx512: $avx512:expr)?
        $(, neon: $neon:expr)?
        $(, neon_dotprod: $neon_dotprod:expr)?
        $(,)?
    ) => {
        match available($isa) {
            // Those of other architectures do not pass the check.
            Isa::Scalar | Isa::Neon | Isa::NeonDotprod => $portable,
            // SAFETY: `available` returns only what was detected on this processor: AVX2, FMA, F16C and AVX-VNNI.
            $(Isa::AvxVnni => unsafe { $avxvnni },)?
            // SAFETY: as above: AVX2, FMA and F16C, and AVX-512 F, BW, DQ, VL and VNNI.
            $(Isa::Vnni256 => unsafe { $vnni256 },)?
            // SAFETY: as above, the same ones.
            $(Isa::Avx512 => unsafe { $avx512 },)?
            // SAFETY: as above; each of these includes AVX2, FMA and F16C. Named one by one, so that an instruction set
            // that comes later is placed here on purpose.
            #[allow(unreachable_patterns, reason = "those with an expression of their own")]
            Isa::Avx2 | Isa::AvxVnni | Isa::Vnni256 | Isa::Avx512 => unsafe { $avx2 },
        }
    };
}

/// Evaluates the expression of the requested instruction set, after checking that this processor has it. `NeonDotprod`
/// without an expression of its own evaluates that of NEON; without that, both evaluate the portable one, which the
/// compiler vectorizes with NEON on this architecture.
#[cfg(target_arch = "aarch64")]
macro_rules! by_isa {
    (
        $isa:expr,
        portable: $portable:expr,
        avx2: $avx2:expr
        $(, avxvnni: $avxvnni:expr)?
        $(, vnni256: $vnni256:expr)?
        $(, avx512: $avx512:expr)?
        $(, neon: $neon:expr)?
        $(, neon_dotprod: $neon_dotprod:expr)?
        $(,)?
    ) => {
        match available($isa) {
            // SAFETY: `available` returns only what was detected on this processor: NEON and dotprod.
            $(Isa::NeonDotprod => unsafe { $neon_dotprod },)?
            // SAFETY: as above; both have NEON.
            #[allow(unreachable_patterns, reason = "with an expression of its own")]
            $(Isa::Neon | Isa::NeonDotprod => unsafe { $neon },)?
            // The compiler vectorizes this with NEON. Those of other architectures do not pass the check.
            #[allow(unreachable_patterns, reason = "those with an expression of their own")]
            Isa::Scalar
            | Isa::Neon
            | Isa::NeonDotprod
            | Isa::Avx2
            | Isa::AvxVnni
            | Isa::Vnni256
            | Isa::Avx512 => $portable,
        }
    };
}

/// On other architectures `Scalar` is the only instruction set that passes the check.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
macro_rules! by_isa {
    ($isa:expr, portable: $portable:expr, $($other:tt)*) => {{
        let _ = available($isa);
        $portable
    }};
}

/// The soundness check: an instruction set that this processor lacks never reaches a kernel.
#[inline]
fn available(isa: Isa) -> Isa {
    assert!(isa.is_available(), "this processor has no {isa}");
    isa
}

pub(crate) fn dot<const N: usize>(isa: Isa, q: &[f32], rows: [&[f32]; N]) -> [f64; N] {
    by_isa!(
        isa,
        portable: rows.map(|row| portable::canonical::dot(q, row)),
        avx2: avx2::canonical::dot(q, rows),
        neon: neon::canonical::dot(q, rows),
    )
}

pub(crate) fn squared_distance<const N: usize>(isa: Isa, q: &[f32], rows: [&[f32]; N]) -> [f64; N] {
    by_isa!(
        isa,
        portable: rows.map(|row| portable::canonical::squared_distance(q, row)),
        avx2: avx2::canonical::squared_distance(q, rows),
        neon: neon::canonical::squared_distance(q, rows),
    )
}

pub(crate) fn pack_panel(isa: Isa, rows: &[i8], padded: usize, out: &mut [u8]) {
    by_isa!(
        isa,
        portable: portable::dot_i8::pack_panel(rows, padded, out),
        avx2: avx2::pack::pack_panel(rows, padded, out),
        avx512: avx512::pack::pack_panel(rows, padded, out),
        neon: neon::pack::pack_panel(rows, padded, out),
    );
}

pub(crate) fn scan_panel(isa: Isa, queries: &QueryTile, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
    by_isa!(
        isa,
        portable: portable::dot_i8::scan_panel(queries, panel, hits),
        avx2: avx2::dot_i8::scan_panel(queries, panel, hits),
        avxvnni: avxvnni::scan_panel(queries, panel, hits),
        vnni256: vnni256::scan_panel(queries, panel, hits),
        avx512: avx512::dot_i8::scan_panel(queries, panel, hits),
        neon: neon::dot_i8::scan_panel(queries, panel, hits),
        neon_dotprod: neon_dotprod::dot_i8::scan_panel(queries, panel, hits),
    );
}

pub(crate) fn largest_magnitude(isa: Isa, x: &[f32]) -> u32 {
    by_isa!(
        isa,
        portable: portable::quantize::largest_magnitude(x),
        avx2: avx2::quantize::largest_magnitude(x),
        avx512: avx512::quantize::largest_magnitude(x),
    )
}

pub(crate) fn quantize(isa: Isa, x: &[f32], steps: Steps, codes: &mut [i8]) -> Sums {
    by_isa!(
        isa,
        portable: portable::quantize::quantize(x, steps, codes),
        avx2: avx2::quantize::quantize(x, steps, codes),
        avx512: avx512::quantize::quantize(x, steps, codes),
        neon: neon::quantize::quantize(x, steps, codes),
    )
}

pub(crate) fn widen_f16(isa: Isa, bits: &[u16], out: &mut [f32]) {
    by_isa!(
        isa,
        portable: portable::widen::widen_f16(bits, out),
        avx2: avx2::widen::widen_f16(bits, out),
        avx512: avx512::widen::widen_f16(bits, out),
        neon: neon::widen::widen_f16(bits, out),
    );
}

pub(crate) fn widen_bf16(isa: Isa, bits: &[u16], out: &mut [f32]) {
    by_isa!(
        isa,
        portable: portable::widen::widen_bf16(bits, out),
        avx2: avx2::recompiled::widen_bf16(bits, out),
        avx512: avx512::recompiled::widen_bf16(bits, out),
    );
}

pub(crate) fn dot_rows_i8(
    isa: Isa,
    query: &[i8],
    codes: &[i8],
    stride: usize,
    rows: &[u32],
    out: &mut [i32],
) {
    by_isa!(
        isa,
        portable: portable::rows_i8::dot_rows_i8(query, codes, stride, rows, out),
        avx2: avx2::rows_i8::dot_rows_i8(query, codes, stride, rows, out),
        avx512: avx512::rows_i8::dot_rows_i8(query, codes, stride, rows, out),
        neon_dotprod: neon_dotprod::recompiled::dot_rows_i8(query, codes, stride, rows, out),
    );
}

pub(crate) fn dot_hits_i8(
    isa: Isa,
    queries: &[i8],
    rows: &[i8],
    stride: usize,
    hits: &[Hit],
    out: &mut [i32],
) {
    by_isa!(
        isa,
        portable: portable::hits_i8::dot_hits_i8(queries, rows, stride, hits, out),
        avx2: avx2::hits_i8::dot_hits_i8(queries, rows, stride, hits, out),
        avx512: avx512::hits_i8::dot_hits_i8(queries, rows, stride, hits, out),
        neon_dotprod: neon_dotprod::recompiled::dot_hits_i8(queries, rows, stride, hits, out),
    );
}

pub(crate) fn feistel_rounds(
    isa: Isa,
    keys: &[u32; ROUNDS],
    radices: [u32; 2],
    left: &mut [u32],
    right: &mut [u32],
    out: &mut [i64],
) -> i64 {
    by_isa!(
        isa,
        portable: portable::feistel::rounds(keys, radices, left, right, out),
        avx2: avx2::recompiled::feistel_rounds(keys, radices, left, right, out),
        avx512: avx512::recompiled::feistel_rounds(keys, radices, left, right, out),
    )
}

pub(crate) fn rows_of_ranks(isa: Isa, excluded: &[i64], ranks: &mut [u32]) {
    by_isa!(
        isa,
        portable: portable::complement::rows_of_ranks(excluded, ranks),
        avx2: avx2::recompiled::rows_of_ranks(excluded, ranks),
        avx512: avx512::recompiled::rows_of_ranks(excluded, ranks),
    );
}

pub(crate) fn sketch_sets(isa: Isa, job: &Job<'_>, out: &mut [u32]) {
    by_isa!(
        isa,
        portable: portable::sketch::sketch_sets(Portable, job, out),
        avx2: avx2::recompiled::sketch_sets(job, out),
        avx512: avx512::sketch::sketch_sets(job, out),
    );
}

pub(crate) fn add_row(isa: Isa, sums: &mut [f64], row: &[f32], factor: f64) {
    by_isa!(
        isa,
        portable: portable::sums::add_row(sums, row, factor),
        avx2: avx2::recompiled::add_row(sums, row, factor),
        avx512: avx512::recompiled::add_row(sums, row, factor),
    );
}

pub(crate) fn add_codes(isa: Isa, sums: &mut [i32], codes: &[i8], factor: i16) {
    by_isa!(
        isa,
        portable: portable::sums::add_codes(sums, codes, factor),
        avx2: avx2::recompiled::add_codes(sums, codes, factor),
        avx512: avx512::recompiled::add_codes(sums, codes, factor),
    );
}

pub(crate) fn signatures(
    isa: Isa,
    projections: &Projections,
    rows: &[&[f32]],
    codes: &mut [u32],
    out: &mut [u32],
) -> u64 {
    by_isa!(
        isa,
        portable: portable::simhash::signatures(projections, rows, out),
        avx2: avx2::simhash::signatures(projections, rows, codes, out),
        avx512: avx512::simhash::signatures(projections, rows, codes, out),
        neon: neon::simhash::signatures(projections, rows, codes, out),
    )
}

pub(crate) fn scatter(
    isa: Isa,
    shape: Shape,
    signatures: Signatures<'_>,
    values: &[f32],
    factors: Option<&[f32]>,
    table: &mut [f32],
    counts: &mut [u32],
) {
    by_isa!(
        isa,
        portable: portable::buckets::scatter_columns(shape, 0..shape.width, signatures, values, factors, table, counts),
        avx2: avx2::buckets::scatter(shape, signatures, values, factors, table, counts),
        avx512: avx512::buckets::scatter(shape, signatures, values, factors, table, counts),
    );
}

pub(crate) fn gather(
    isa: Isa,
    shape: Shape,
    signatures: Signatures<'_>,
    table: &[f32],
    factors: Option<&[f32]>,
    out: &mut [f32],
) {
    by_isa!(
        isa,
        portable: portable::buckets::gather_columns(shape, 0..shape.width, signatures, table, factors, out),
        avx2: avx2::buckets::gather(shape, signatures, table, factors, out),
        avx512: avx512::buckets::gather(shape, signatures, table, factors, out),
    );
}

pub(crate) fn peak_f32(isa: Isa, rounds: u64) -> u64 {
    by_isa!(
        isa,
        portable: portable::peak::f32(rounds),
        avx2: peak::f32_avx2(rounds),
        avx512: peak::f32_avx512(rounds),
        neon: neon::peak::f32(rounds),
    )
}

pub(crate) fn peak_int8(isa: Isa, rounds: u64) -> u64 {
    by_isa!(
        isa,
        portable: portable::peak::int8(rounds),
        avx2: peak::int8_avx2(rounds),
        avxvnni: peak::int8_avxvnni(rounds),
        vnni256: peak::int8_vnni256(rounds),
        avx512: peak::int8_avx512(rounds),
        neon: neon::peak::int8(rounds),
        neon_dotprod: neon_dotprod::peak::int8(rounds),
    )
}

pub(crate) fn sum(isa: Isa, words: &[u64]) -> u64 {
    by_isa!(
        isa,
        portable: portable::peak::sum(words),
        avx2: avx2::recompiled::sum_words(words),
        avx512: avx512::recompiled::sum_words(words),
    )
}
