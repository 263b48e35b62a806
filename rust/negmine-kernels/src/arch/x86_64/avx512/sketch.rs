//! Steps of similarity sketches on 512-bit vectors, sixteen elements or bins per register.
//!
//! Hashes of sixteen tokens come from two registers of 64-bit products, whose halves are sorted into tie-breaks and
//! fields. Where only small tie-breaks are kept, lanes are compressed in the register and stored whole: the compressing
//! store takes a hundred cycles on Zen 4. Each lane keeps its own minimum; the lanes are combined at the end.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epi32_mask,
    _mm512_cmplt_epu32_mask, _mm512_loadu_si512, _mm512_mask_min_epu32, _mm512_mask_mov_epi32,
    _mm512_mask_storeu_epi32, _mm512_maskz_compress_epi32, _mm512_maskz_loadu_epi32,
    _mm512_maskz_loadu_epi64, _mm512_min_epu32, _mm512_mullo_epi32, _mm512_mullo_epi64,
    _mm512_permutex2var_epi32, _mm512_reduce_min_epu32, _mm512_set1_epi32, _mm512_set1_epi64,
    _mm512_setr_epi32, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_xor_si512,
};

use crate::arch::portable::sketch;
use crate::arch::portable::sketch_family::{EMPTY, Family, Hashes, Job, LANES, MAX_BINS, ROUNDS};
use crate::arch::portable::sketch_steps::{Field, Steps};

/// [`crate::sketch::sketch_sets`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(crate) fn sketch_sets(job: &Job<'_>, out: &mut [u32]) {
    sketch::sketch_sets(Avx512(()), job, out);
}

/// Only [`sketch_sets`] makes one, so its existence proves that the processor has the instructions.
#[derive(Clone, Copy)]
struct Avx512(());

impl Steps for Avx512 {
    #[inline]
    fn hash<const PREHASHED: bool>(
        self,
        family: &Family,
        tokens: &[u64],
        ties: &mut Hashes,
        fields: &mut Hashes,
    ) {
        // SAFETY: this type is made by `sketch_sets` alone, which has these features.
        unsafe { hash::<PREHASHED>(family, tokens, ties, fields) }
    }

    #[inline]
    fn hash_below<const PREHASHED: bool>(
        self,
        family: &Family,
        tokens: &[u64],
        limit: u32,
        ties: &mut Hashes,
        fields: &mut Hashes,
    ) -> usize {
        // SAFETY: as above.
        unsafe { hash_below::<PREHASHED>(family, tokens, limit, ties, fields) }
    }

    #[inline]
    fn least_with(self, ties: &[u32], fields: &[u32], needed: Field, odd: u32) -> u32 {
        // SAFETY: as above.
        unsafe { least_with(ties, fields, needed, odd) }
    }

    #[inline]
    fn least_of(self, ties: &[u32], scale: u32, shift: u32, flip: u32) -> u32 {
        // SAFETY: as above.
        unsafe { least_of(ties, scale, shift, flip) }
    }

    #[inline]
    fn write_last<const K: usize>(self, family: &Family, ties: &[u32], words: &mut [u32; K]) {
        // SAFETY: as above.
        unsafe { last::<K, false>(family, ties, words) }
    }

    #[inline]
    fn fill_last<const K: usize>(self, family: &Family, ties: &[u32], words: &mut [u32; K]) {
        // SAFETY: as above.
        unsafe { last::<K, true>(family, ties, words) }
    }

    #[inline]
    fn fill_first<const K: usize>(self, tables: &[[u32; K]; ROUNDS], words: &mut [u32; K]) {
        // SAFETY: as above.
        unsafe { fill_first(tables, words) }
    }

    #[inline]
    fn fill_least<const K: usize>(self, tables: &[[u32; K]; ROUNDS], words: &mut [u32; K]) {
        // SAFETY: as above.
        unsafe { fill_least(tables, words) }
    }

    #[inline]
    fn unfilled(self, words: &[u32]) -> [u64; MAX_BINS / 64] {
        // SAFETY: as above.
        unsafe { unfilled(words) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn hash<const PREHASHED: bool>(family: &Family, tokens: &[u64], ties: &mut Hashes, fields: &mut Hashes) {
    let ties = ties.as_chunks_mut::<LANES>().0;
    let fields = fields.as_chunks_mut::<LANES>().0;
    for ((tokens, tie), field) in tokens.chunks(LANES).zip(ties).zip(fields) {
        let (least, high) = hash_lanes::<PREHASHED>(family, tokens);
        store(tie, least);
        store(field, high);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn hash_below<const PREHASHED: bool>(
    family: &Family,
    tokens: &[u64],
    limit: u32,
    ties: &mut Hashes,
    fields: &mut Hashes,
) -> usize {
    let limit = _mm512_set1_epi32(limit as i32);
    let mut kept = 0;
    for tokens in tokens.chunks(LANES) {
        let (tie, field) = hash_lanes::<PREHASHED>(family, tokens);
        let below = _mm512_cmplt_epu32_mask(tie, limit) & lanes(tokens.len());
        let (Some(ties), Some(fields)) = (ties[kept..].first_chunk_mut(), fields[kept..].first_chunk_mut())
        else {
            return kept;
        };
        store(ties, _mm512_maskz_compress_epi32(below, tie));
        store(fields, _mm512_maskz_compress_epi32(below, field));
        kept += below.count_ones() as usize;
    }
    kept
}

/// Tie-breaks and fields of up to sixteen tokens; lanes beyond them hold anything.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn hash_lanes<const PREHASHED: bool>(family: &Family, tokens: &[u64]) -> (__m512i, __m512i) {
    let (low, high) = if let Some(tokens) = tokens.first_chunk::<LANES>() {
        // SAFETY: the reference covers the 128 bytes that are read; the loads need no alignment.
        unsafe {
            (_mm512_loadu_si512(tokens.as_ptr().cast()), _mm512_loadu_si512(tokens[8..].as_ptr().cast()))
        }
    } else {
        let present = lanes(tokens.len());
        let start = tokens.as_ptr().cast::<i64>();
        // SAFETY: only lanes that the mask names are read, and they lie inside the slice.
        unsafe {
            (
                _mm512_maskz_loadu_epi64(present as u8, start),
                _mm512_maskz_loadu_epi64((present >> 8) as u8, start.wrapping_add(8)),
            )
        }
    };
    let (low, high) = (hash_words::<PREHASHED>(family, low), hash_words::<PREHASHED>(family, high));
    let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    let fields = _mm512_permutex2var_epi32(low, odd, high);
    (_mm512_xor_si512(_mm512_permutex2var_epi32(low, even, high), fields), fields)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn hash_words<const PREHASHED: bool>(family: &Family, mut x: __m512i) -> __m512i {
    if !PREHASHED {
        x = _mm512_add_epi64(x, _mm512_set1_epi64(0x9e37_79b9_7f4a_7c15_u64 as i64));
        x = _mm512_xor_si512(x, _mm512_srli_epi64::<30>(x));
        x = _mm512_mullo_epi64(x, _mm512_set1_epi64(0xbf58_476d_1ce4_e5b9_u64 as i64));
        x = _mm512_xor_si512(x, _mm512_srli_epi64::<27>(x));
        x = _mm512_mullo_epi64(x, _mm512_set1_epi64(0x94d0_49bb_1331_11eb_u64 as i64));
        x = _mm512_xor_si512(x, _mm512_srli_epi64::<31>(x));
    }
    let multiplier = _mm512_set1_epi64(family.multiplier as i64);
    _mm512_add_epi64(_mm512_mullo_epi64(x, multiplier), _mm512_set1_epi64(family.addend as i64))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn least_with(ties: &[u32], fields: &[u32], needed: Field, odd: u32) -> u32 {
    let (mask, bits) = (_mm512_set1_epi32(needed.mask as i32), _mm512_set1_epi32(needed.bits as i32));
    let odd = _mm512_set1_epi32(odd as i32);
    let mut least = _mm512_set1_epi32(EMPTY as i32);
    for (ties, fields) in ties.chunks(LANES).zip(fields.chunks(LANES)) {
        let found = _mm512_cmpeq_epi32_mask(_mm512_and_si512(load(fields), mask), bits) & lanes(ties.len());
        least = _mm512_mask_min_epu32(least, found, least, _mm512_mullo_epi32(load(ties), odd));
    }
    _mm512_reduce_min_epu32(least)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn least_of(ties: &[u32], scale: u32, shift: u32, flip: u32) -> u32 {
    let (scale, shift) = (_mm512_set1_epi32(scale as i32), _mm512_set1_epi32(shift as i32));
    let flip = _mm512_set1_epi32(flip as i32);
    let mut least = _mm512_set1_epi32(EMPTY as i32);
    for ties in ties.chunks(LANES) {
        let value = _mm512_add_epi32(_mm512_mullo_epi32(load(ties), scale), shift);
        least = _mm512_mask_min_epu32(least, lanes(ties.len()), least, _mm512_xor_si512(value, flip));
    }
    _mm512_reduce_min_epu32(least)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn last<const K: usize, const FILL: bool>(family: &Family, ties: &[u32], words: &mut [u32; K]) {
    let quarter = K / 4;
    let width = quarter.min(LANES);
    let flips = [_mm512_set1_epi32(1 << 30), _mm512_set1_epi32(2 << 30), _mm512_set1_epi32(3 << 30)];
    for first in (0..quarter).step_by(LANES) {
        let (scale, shift) = (load(&family.scale[first..][..width]), load(&family.shift[first..][..width]));
        let mut least = [_mm512_set1_epi32(EMPTY as i32); 4];
        for tie in ties {
            let product = _mm512_mullo_epi32(_mm512_set1_epi32(*tie as i32), scale);
            let value = _mm512_add_epi32(product, shift);
            least[0] = _mm512_min_epu32(least[0], value);
            for i in 0..3 {
                least[i + 1] = _mm512_min_epu32(least[i + 1], _mm512_xor_si512(value, flips[i]));
            }
        }
        for i in 0..4 {
            let words = &mut words[i * quarter + first..][..width];
            if FILL {
                fill(words, least[i]);
            } else {
                write(words, least[i]);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn fill_first<const K: usize>(tables: &[[u32; K]; ROUNDS], words: &mut [u32; K]) {
    let empty = _mm512_set1_epi32(EMPTY as i32);
    for first in (0..K).step_by(LANES) {
        let mut found = empty;
        for table in tables {
            let missing = _mm512_cmpeq_epi32_mask(found, empty);
            found = _mm512_mask_mov_epi32(found, missing, load(&table[first..][..LANES]));
        }
        fill(&mut words[first..][..LANES], found);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn fill_least<const K: usize>(tables: &[[u32; K]; ROUNDS], words: &mut [u32; K]) {
    for first in (0..K).step_by(LANES) {
        let mut least = load(&tables[0][first..][..LANES]);
        for table in &tables[1..] {
            least = _mm512_min_epu32(least, load(&table[first..][..LANES]));
        }
        fill(&mut words[first..][..LANES], least);
    }
}

/// Fills up to sixteen words. Whole registers are stored whole: what a masked store wrote cannot be forwarded to the
/// load that follows it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn fill(words: &mut [u32], others: __m512i) {
    let missing = _mm512_cmpeq_epi32_mask(load(words), _mm512_set1_epi32(EMPTY as i32));
    let filled = _mm512_mask_mov_epi32(load(words), missing, others);
    write(words, filled);
}

/// Writes up to sixteen words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn write(words: &mut [u32], others: __m512i) {
    if let Ok(words) = <&mut [u32; LANES]>::try_from(&mut *words) {
        store(words, others);
    } else {
        // SAFETY: only lanes that the mask names are written, and they lie inside the slice.
        unsafe { _mm512_mask_storeu_epi32(words.as_mut_ptr().cast(), lanes(words.len()), others) };
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn unfilled(words: &[u32]) -> [u64; MAX_BINS / 64] {
    let empty = _mm512_set1_epi32(EMPTY as i32);
    let mut bits = [0; MAX_BINS / 64];
    for (place, words) in words.as_chunks::<LANES>().0.iter().enumerate() {
        bits[place / 4] |= u64::from(_mm512_cmpeq_epi32_mask(load(words), empty)) << (place % 4 * LANES);
    }
    bits
}

/// The lanes of that many elements.
#[inline]
fn lanes(n: usize) -> u16 {
    if n >= LANES { u16::MAX } else { (1 << n) - 1 }
}

/// Up to sixteen words; lanes beyond them are 0.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn load(words: &[u32]) -> __m512i {
    if let Some(words) = words.first_chunk::<LANES>() {
        // SAFETY: the reference covers the 64 bytes that are read; the load needs no alignment.
        return unsafe { _mm512_loadu_si512(words.as_ptr().cast()) };
    }
    // SAFETY: only lanes that the mask names are read, and they lie inside the slice.
    unsafe { _mm512_maskz_loadu_epi32(lanes(words.len()), words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn store(to: &mut [u32; LANES], from: __m512i) {
    // SAFETY: the reference covers the 64 bytes that are written; the store needs no alignment.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), from) }
}
