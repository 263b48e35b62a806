//! `SimHash` signatures on 256-bit vectors: four rows by three vectors of eight projections, half a panel at a time.
//!
//! Accumulator: i32, one for each row and projection, exact; the f32 sum of squares and the f32 products of doubtful
//! bits have eight lanes. `crate::simhash` derives which sums are certain and how the other bits are decided. Twelve
//! accumulators leave four registers for a pair of coordinates and products under way.

use std::arch::x86_64::{
    __m256, __m256i, _CMP_LE_OQ, _CMP_NLT_UQ, _mm256_abs_epi32, _mm256_add_epi32, _mm256_add_ps,
    _mm256_and_ps, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cmpgt_epi32, _mm256_cvtps_epi32, _mm256_div_ps,
    _mm256_fmadd_ps, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_movemask_ps, _mm256_mul_ps, _mm256_packs_epi32, _mm256_permute2f128_ps, _mm256_permute4x64_epi64,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_sqrt_ps,
    _mm256_storeu_ps, _mm256_storeu_si256,
};

use super::canonical;
use crate::arch::portable::simhash::{
    MASKED, MAX_ROWS, NORM_F32, PANEL, Projections, SCALED, is_zero, unpack,
};

const LANES: usize = 8;

/// Vectors of half a panel.
const VECTORS: usize = PANEL / LANES / 2;

/// Rows that are rounded together.
const ROWS: usize = 8;

/// Rows that are multiplied together.
const TILE: usize = 4;

/// The factors that rows are multiplied with before they are rounded.
pub(crate) struct Scales {
    /// The sums of their squares.
    pub(crate) sums: [f32; ROWS],
    pub(crate) factors: [f32; ROWS],
    /// One bit for each row whose sum is not finite.
    pub(crate) unsure: u8,
}

impl Scales {
    /// From the lanes of each row's sum of squares.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn new(lanes: [__m256; ROWS]) -> Self {
        let [a, b, c, d, e, f, g, h] = lanes;
        let first = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
        let second = _mm256_hadd_ps(_mm256_hadd_ps(e, f), _mm256_hadd_ps(g, h));
        let sum = _mm256_add_ps(
            _mm256_permute2f128_ps::<0x20>(first, second),
            _mm256_permute2f128_ps::<0x31>(first, second),
        );
        let above = _mm256_cmp_ps::<_CMP_LE_OQ>(_mm256_set1_ps(SCALED[0]), sum);
        let below = _mm256_cmp_ps::<_CMP_LE_OQ>(sum, _mm256_set1_ps(SCALED[1]));
        let scale = _mm256_div_ps(_mm256_set1_ps(NORM_F32), _mm256_sqrt_ps(sum));
        let scale = _mm256_and_ps(scale, _mm256_and_ps(above, below));
        let infinite = _mm256_cmp_ps::<_CMP_NLT_UQ>(sum, _mm256_set1_ps(f32::INFINITY));
        let mut found =
            Self { sums: [0.0; ROWS], factors: [0.0; ROWS], unsure: _mm256_movemask_ps(infinite) as u8 };
        store(&mut found.sums, sum);
        store(&mut found.factors, scale);
        found
    }
}

/// [`crate::simhash::signatures`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn signatures(
    projections: &Projections,
    rows: &[&[f32]],
    codes: &mut [u32],
    out: &mut [u32],
) -> u64 {
    let (groups, tau, stride) = (projections.groups(), projections.tau(), projections.stride());
    let mut sums = [0.0; MAX_ROWS];
    let mut unsure = 0;
    for (first, rows) in (0..).step_by(ROWS).zip(rows.chunks(ROWS)) {
        let mut squares = [_mm256_setzero_ps(); ROWS];
        for r in 0..ROWS {
            let row = rows[r.min(rows.len() - 1)];
            squares[r] = lanes_of(row, row);
        }
        let scales = Scales::new(squares);
        unsure |= u64::from(scales.unsure) << first;
        sums[first..first + ROWS].copy_from_slice(&scales.sums);
        for r in 0..ROWS {
            let row = rows[r.min(rows.len() - 1)];
            encode(row, scales.factors[r], &mut codes[(first + r) * stride..][..stride]);
        }
    }
    for p in projections.all_panels() {
        let of_panel = projections.groups_of(p);
        let used = u64::MAX >> (64 - of_panel.len() * tau);
        for (first, rows) in (0..).step_by(TILE).zip(rows.chunks(TILE)) {
            let codes = &codes[first * stride..][..TILE * stride];
            let signs = signs(projections.panel(p), codes, stride, projections.doubt_of_codes());
            for (r, row) in rows.iter().enumerate() {
                let out = &mut out[(first + r) * groups..][of_panel.clone()];
                let (mut bits, certain) = signs[r];
                let doubtful = !certain & used;
                if doubtful != 0 {
                    let sum = sums[first + r];
                    if sum == 0.0 && is_zero(row) {
                        out.fill(MASKED);
                        continue;
                    }
                    bits = resolve(projections, p, row, sum, bits, doubtful);
                }
                unpack(bits, tau, out);
            }
        }
    }
    unsure
}

/// Rounds a scaled row; places beyond it, as far as they are read, are 0.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn encode(row: &[f32], scale: f32, codes: &mut [u32]) {
    let scale = _mm256_set1_ps(scale);
    let places = codes.as_chunks_mut::<LANES>().0;
    for (block, place) in row.chunks(2 * LANES).zip(places) {
        let mut last = [0.0; 2 * LANES];
        let block = if let Ok(block) = <&[f32; 2 * LANES]>::try_from(block) {
            block
        } else {
            last[..block.len()].copy_from_slice(block);
            &last
        };
        let halves = block.as_chunks::<LANES>().0;
        let first = _mm256_cvtps_epi32(_mm256_mul_ps(load(&halves[0]), scale));
        let second = _mm256_cvtps_epi32(_mm256_mul_ps(load(&halves[1]), scale));
        // Packing works on halves of a register; quarters are put in order again.
        let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(first, second));
        // SAFETY: the reference covers the 32 bytes that are written; the store needs no alignment.
        unsafe { _mm256_storeu_si256(place.as_mut_ptr().cast(), packed) };
    }
}

/// The bits of a panel for each row, and those that are certain.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn signs(panel: &[[u32; PANEL]], codes: &[u32], stride: usize, doubt: i32) -> [(u64, u64); TILE] {
    let mut rows = [codes; TILE];
    for r in 0..TILE {
        rows[r] = &codes[r * stride..][..panel.len()];
    }
    let doubt = _mm256_set1_epi32(doubt);
    let mut signs = [(0, 0); TILE];
    for half in 0..2 {
        let mut sums = [[_mm256_setzero_si256(); VECTORS]; TILE];
        for j in 0..panel.len() {
            let pair = &panel[j].as_chunks::<LANES>().0[half * VECTORS..][..VECTORS];
            for r in 0..TILE {
                let x = _mm256_set1_epi32(rows[r][j] as i32);
                for v in 0..VECTORS {
                    let product = _mm256_madd_epi16(x, load_words(&pair[v]));
                    sums[r][v] = _mm256_add_epi32(sums[r][v], product);
                }
            }
        }
        for r in 0..TILE {
            for v in 0..VECTORS {
                let place = (half * VECTORS + v) * LANES;
                let positive = _mm256_cmpgt_epi32(sums[r][v], _mm256_setzero_si256());
                let beyond = _mm256_cmpgt_epi32(_mm256_abs_epi32(sums[r][v]), doubt);
                signs[r].0 |= mask(positive) << place;
                signs[r].1 |= mask(beyond) << place;
            }
        }
    }
    signs
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn mask(lanes: __m256i) -> u64 {
    _mm256_movemask_ps(_mm256_castsi256_ps(lanes)) as u64
}

/// Corrects the bits that are in doubt.
#[cold]
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
fn resolve(
    projections: &Projections,
    p: usize,
    row: &[f32],
    sum_of_squares: f32,
    mut bits: u64,
    mut left: u64,
) -> u64 {
    let doubt = projections.doubt(sum_of_squares);
    while left != 0 {
        let bit = left.trailing_zeros() as usize;
        let r = projections.row(p, bit);
        let mut lanes = [0.0_f32; LANES];
        store(&mut lanes, lanes_of(r, row));
        let product: f32 = lanes.iter().sum();
        let certain = product.abs() > doubt;
        let positive = if certain { product > 0.0 } else { canonical::dot(r, [row])[0] > 0.0 };
        bits = bits & !(1 << bit) | u64::from(positive) << bit;
        left &= left - 1;
    }
    bits
}

/// The product of two rows, in eight lanes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn lanes_of(a: &[f32], b: &[f32]) -> __m256 {
    let ((blocks_a, tail_a), (blocks_b, tail_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sum = _mm256_setzero_ps();
    for (a, b) in blocks_a.iter().zip(blocks_b) {
        sum = _mm256_fmadd_ps(load(a), load(b), sum);
    }
    let mut last = [[0.0; LANES]; 2];
    last[0][..tail_a.len()].copy_from_slice(tail_a);
    last[1][..tail_b.len()].copy_from_slice(tail_b);
    _mm256_fmadd_ps(load(&last[0]), load(&last[1]), sum)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(block: &[f32; LANES]) -> __m256 {
    // SAFETY: the reference covers the 32 bytes that are read; the load needs no alignment.
    unsafe { _mm256_loadu_ps(block.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load_words(words: &[u32; LANES]) -> __m256i {
    // SAFETY: the reference covers the 32 bytes that are read; the load needs no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store(to: &mut [f32; LANES], from: __m256) {
    // SAFETY: the reference covers the 32 bytes that are written; the store needs no alignment.
    unsafe { _mm256_storeu_ps(to.as_mut_ptr(), from) };
}
