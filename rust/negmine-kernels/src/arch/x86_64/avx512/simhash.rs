//! `SimHash` signatures on 512-bit vectors: eight rows by three vectors of sixteen projections.
//!
//! Accumulator: i32, one for each row and projection, exact; the f32 sum of squares and the f32 products of doubtful
//! bits have sixteen lanes. `crate::simhash` derives which sums are certain and how the other bits are decided. The
//! sums of squares of eight rows are reduced, rooted and inverted together.

use std::arch::x86_64::{
    __m256, __m512, __m512i, _mm256_add_ps, _mm256_setzero_ps, _mm256_storeu_si256, _mm512_abs_epi32,
    _mm512_add_epi64, _mm512_and_si512, _mm512_castps512_ps256, _mm512_cmpgt_epi32_mask,
    _mm512_cmple_epi32_mask, _mm512_cvtepi32_epi16, _mm512_cvtps_epi32, _mm512_dpwssds_epi32,
    _mm512_extractf32x8_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_mov_epi32,
    _mm512_mask_storeu_epi32, _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_mullo_epi64,
    _mm512_permutex2var_epi32, _mm512_reduce_add_ps, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_set1_ps,
    _mm512_setr_epi32, _mm512_setr_epi64, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi64,
    _mm512_srlv_epi64, _mm512_storeu_si512,
};

use crate::arch::portable::simhash::{MASKED, MAX_ROWS, PANEL, Projections, is_zero};
use crate::arch::x86_64::avx2;

/// Rows that are multiplied together.
const ROWS: usize = 8;

const LANES: usize = 16;

/// Vectors of a panel.
const VECTORS: usize = PANEL / LANES;

/// [`crate::simhash::signatures`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn signatures(
    projections: &Projections,
    rows: &[&[f32]],
    codes: &mut [u32],
    out: &mut [u32],
) -> u64 {
    let (groups, stride) = (projections.groups(), projections.stride());
    let mut squares = [0.0; MAX_ROWS];
    let mut unsure = 0;
    // All rows are rounded before the first is multiplied: if each row were rounded and multiplied in turn, every step
    // would wait for the last.
    for (first, rows) in (0..).step_by(ROWS).zip(rows.chunks(ROWS)) {
        let mut lanes = [_mm256_setzero_ps(); ROWS];
        for r in 0..ROWS {
            lanes[r] = sum_of_squares(rows[r.min(rows.len() - 1)]);
        }
        let scales = avx2::simhash::Scales::new(lanes);
        unsure |= u64::from(scales.unsure) << first;
        squares[first..first + ROWS].copy_from_slice(&scales.sums);
        for r in 0..ROWS {
            let row = rows[r.min(rows.len() - 1)];
            encode(row, scales.factors[r], &mut codes[(first + r) * stride..][..stride]);
        }
    }
    let mut sums = [[_mm512_setzero_si512(); VECTORS]; ROWS];
    for p in projections.all_panels() {
        let panel = Panel::new(projections, p);
        for (first, rows) in (0..).step_by(ROWS).zip(rows.chunks(ROWS)) {
            products(projections.panel(p), &codes[first * stride..][..ROWS * stride], stride, &mut sums);
            for ((row, sums), (r, out)) in
                rows.iter().zip(&sums).zip((first..).zip(out[first * groups..].chunks_exact_mut(groups)))
            {
                panel.write(*sums, row, squares[r], &mut out[panel.groups.clone()]);
            }
        }
    }
    unsure
}

/// The sum of the squares of a row, in eight lanes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn sum_of_squares(row: &[f32]) -> __m256 {
    let (blocks, tail) = row.as_chunks::<LANES>();
    let mut sum = _mm512_setzero_ps();
    for block in blocks {
        let x = load(block);
        sum = _mm512_fmadd_ps(x, x, sum);
    }
    if !tail.is_empty() {
        let x = load_tail(tail);
        sum = _mm512_fmadd_ps(x, x, sum);
    }
    _mm256_add_ps(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps::<1>(sum))
}

/// Rounds a scaled row; places beyond it are 0.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn encode(row: &[f32], scale: f32, codes: &mut [u32]) {
    let scale = _mm512_set1_ps(scale);
    let (blocks, tail) = row.as_chunks::<LANES>();
    let (places, _) = codes.as_chunks_mut::<{ LANES / 2 }>();
    let (whole, rest) = places.split_at_mut(blocks.len());
    for (block, place) in blocks.iter().zip(whole) {
        encode_block(load(block), scale, place);
    }
    if let (Some(place), false) = (rest.first_mut(), tail.is_empty()) {
        encode_block(load_tail(tail), scale, place);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn encode_block(x: __m512, scale: __m512, codes: &mut [u32; LANES / 2]) {
    let codes_32 = _mm512_cvtps_epi32(_mm512_mul_ps(x, scale));
    // SAFETY: the reference covers the 32 bytes that are written; the store needs no alignment.
    unsafe { _mm256_storeu_si256(codes.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(codes_32)) };
}

/// The products of the codes of each row with those of a panel. It is a separate function so that all registers are
/// available. It uses the saturating instruction, although nothing saturates: compilers replace the other one by two
/// instructions, which is as fast on old processors.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn products(panel: &[[u32; PANEL]], codes: &[u32], stride: usize, out: &mut [[__m512i; VECTORS]; ROWS]) {
    let mut rows = [codes; ROWS];
    for r in 0..ROWS {
        rows[r] = &codes[r * stride..][..panel.len()];
    }
    let mut sums = [[_mm512_setzero_si512(); VECTORS]; ROWS];
    for (j, pair) in panel.iter().enumerate() {
        let pair = pair.as_chunks::<LANES>().0;
        let (a, b, c) = (load_words(&pair[0]), load_words(&pair[1]), load_words(&pair[2]));
        for r in 0..ROWS {
            let x = _mm512_set1_epi32(rows[r][j] as i32);
            sums[r][0] = _mm512_dpwssds_epi32(sums[r][0], x, a);
            sums[r][1] = _mm512_dpwssds_epi32(sums[r][1], x, b);
            sums[r][2] = _mm512_dpwssds_epi32(sums[r][2], x, c);
        }
    }
    *out = sums;
}

/// The bits of products.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn bits(products: [__m512i; VECTORS]) -> u64 {
    let mut bits = 0;
    for v in 0..VECTORS {
        let positive = _mm512_cmpgt_epi32_mask(products[v], _mm512_setzero_si512());
        bits |= u64::from(positive) << (v * LANES);
    }
    bits
}

/// The constants that turn products with a panel into signatures.
struct Panel<'a> {
    projections: &'a Projections,
    p: usize,
    groups: std::ops::Range<usize>,
    /// The magnitude that a product must exceed for its sign to be certain; -1 in unused places.
    doubts: [__m512i; VECTORS],
    /// Shifts of the first eight signatures in the bits, and of the next eight.
    shifts: [__m512i; 2],
    /// The difference between these shifts and those of the next sixteen signatures.
    step: __m512i,
    /// The bits of a signature.
    mask: __m512i,
}

impl<'a> Panel<'a> {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn new(projections: &'a Projections, p: usize) -> Self {
        let (groups, tau) = (projections.groups_of(p), projections.tau());
        let used = u64::MAX >> (64 - groups.len() * tau);
        let unused = _mm512_set1_epi32(-1);
        let doubt = _mm512_set1_epi32(projections.doubt_of_codes());
        let mut doubts = [unused; VECTORS];
        for v in 0..VECTORS {
            doubts[v] = _mm512_mask_mov_epi32(unused, (used >> (v * LANES)) as u16, doubt);
        }
        let tau_64 = _mm512_set1_epi64(tau as i64);
        let first = _mm512_mullo_epi64(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), tau_64);
        let eight = _mm512_slli_epi64::<3>(tau_64);
        Self {
            projections,
            p,
            groups,
            doubts,
            shifts: [first, _mm512_add_epi64(first, eight)],
            step: _mm512_add_epi64(eight, eight),
            mask: _mm512_set1_epi32(((1_u32 << tau) - 1) as i32),
        }
    }

    /// The lanes of a vector of products whose sign is not certain.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn doubtful(&self, v: usize, products: __m512i) -> u16 {
        _mm512_cmple_epi32_mask(_mm512_abs_epi32(products), self.doubts[v])
    }

    /// Writes the signatures that lie in some bits.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn unpack(&self, bits: u64, out: &mut [u32]) {
        let bits = _mm512_set1_epi64(bits as i64);
        let low = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        let [mut first, mut second] = self.shifts;
        for words in out.chunks_mut(LANES) {
            let (a, b) = (_mm512_srlv_epi64(bits, first), _mm512_srlv_epi64(bits, second));
            let both = _mm512_and_si512(_mm512_permutex2var_epi32(a, low, b), self.mask);
            if let Ok(words) = <&mut [u32; LANES]>::try_from(&mut *words) {
                // SAFETY: the reference covers the 64 bytes that are written; the store needs no alignment.
                unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), both) };
            } else {
                let mask = u16::MAX >> (LANES - words.len());
                // SAFETY: only lanes that the mask names are written, and they lie inside the slice.
                unsafe { _mm512_mask_storeu_epi32(words.as_mut_ptr().cast(), mask, both) };
            }
            first = _mm512_add_epi64(first, self.step);
            second = _mm512_add_epi64(second, self.step);
        }
    }

    /// Writes the signatures of a row.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn write(&self, products: [__m512i; VECTORS], row: &[f32], sum_of_squares: f32, out: &mut [u32]) {
        let [a, b, c] = products;
        let mut bits = bits(products);
        if self.doubtful(0, a) | self.doubtful(1, b) | self.doubtful(2, c) != 0 {
            let Some(resolved) = self.resolve(&products, row, sum_of_squares) else {
                out.fill(MASKED);
                return;
            };
            bits = resolved;
        }
        self.unpack(bits, out);
    }

    /// The bits of a row, with the doubtful ones decided; `None` if the row is zero.
    #[cold]
    #[inline(never)]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    fn resolve(&self, products: &[__m512i; VECTORS], row: &[f32], sum_of_squares: f32) -> Option<u64> {
        if sum_of_squares == 0.0 && is_zero(row) {
            return None;
        }
        let mut bits = bits(*products);
        let mut left = 0;
        for v in 0..VECTORS {
            left |= u64::from(self.doubtful(v, products[v])) << (v * LANES);
        }
        let doubt = self.projections.doubt(sum_of_squares);
        while left != 0 {
            let bit = left.trailing_zeros() as usize;
            let r = self.projections.row(self.p, bit);
            let product = product(r, row);
            let certain = product.abs() > doubt;
            let positive = if certain { product > 0.0 } else { avx2::canonical::dot(r, [row])[0] > 0.0 };
            bits = bits & !(1 << bit) | u64::from(positive) << bit;
            left &= left - 1;
        }
        Some(bits)
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn product(a: &[f32], b: &[f32]) -> f32 {
    let ((blocks_a, tail_a), (blocks_b, tail_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sum = _mm512_setzero_ps();
    for (a, b) in blocks_a.iter().zip(blocks_b) {
        sum = _mm512_fmadd_ps(load(a), load(b), sum);
    }
    _mm512_reduce_add_ps(_mm512_fmadd_ps(load_tail(tail_a), load_tail(tail_b), sum))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn load(block: &[f32; LANES]) -> __m512 {
    // SAFETY: the reference covers the 64 bytes that are read; the load needs no alignment.
    unsafe { _mm512_loadu_ps(block.as_ptr()) }
}

/// Fewer than sixteen numbers, and zeros.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn load_tail(tail: &[f32]) -> __m512 {
    let mask = (1_u32 << tail.len().min(LANES)) - 1;
    // SAFETY: the mask keeps the load to the numbers of the slice; masked ones are not read.
    unsafe { _mm512_maskz_loadu_ps(mask as u16, tail.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn load_words(words: &[u32; LANES]) -> __m512i {
    // SAFETY: the reference covers the 64 bytes that are read; the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}
