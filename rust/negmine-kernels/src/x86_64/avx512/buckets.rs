//! Rows into buckets and back on 512-bit vectors, 64 columns at a time.
//!
//! Accumulator: f32, one for each cell and column, in the order that `crate::buckets` defines, never fused. A row's columns
//! stay in registers while they are added to the cells of all groups. A block of fewer columns goes through the text
//! that all instruction sets share. Lengths fit the shape (checked by the caller); no alignment.

use std::arch::x86_64::{
    __m512, _mm512_add_ps, _mm512_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_storeu_ps,
};

use crate::buckets::{Shape, Signatures, gather_columns, scatter_columns};

const LANES: usize = 16;

/// Vectors of a block.
const VECTORS: usize = 4;

/// Columns of a block.
const BLOCK: usize = VECTORS * LANES;

/// [`crate::buckets::scatter`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn scatter(
    shape: Shape,
    signatures: Signatures<'_>,
    values: &[f32],
    factors: Option<&[f32]>,
    table: &mut [f32],
    counts: &mut [u32],
) {
    let Shape { groups, buckets, width } = shape;
    let whole = width / BLOCK * BLOCK;
    for first in (0..whole).step_by(BLOCK) {
        for (i, signatures) in signatures.rows(groups).enumerate() {
            let lanes = block(values, i * width + first);
            let mut row = [_mm512_setzero_ps(); VECTORS];
            for v in 0..VECTORS {
                row[v] = load(&lanes[v]);
            }
            if let Some(factors) = factors {
                for v in 0..VECTORS {
                    row[v] = _mm512_mul_ps(row[v], _mm512_set1_ps(factors[i]));
                }
            }
            let (mut group, mut cell) = (first, 0);
            for &signature in signatures {
                if (signature as usize) < buckets {
                    if first == 0
                        && let Some(count) = counts.get_mut(cell + signature as usize)
                    {
                        *count = count.wrapping_add(1);
                    }
                    let lanes = block_mut(table, group + signature as usize * width);
                    for v in 0..VECTORS {
                        let sum = _mm512_add_ps(load(&lanes[v]), row[v]);
                        store(&mut lanes[v], sum);
                    }
                }
                group += buckets * width;
                cell += buckets;
            }
        }
    }
    if whole < width {
        // What was counted with the first block is not counted again.
        let counts = if whole == 0 { counts } else { &mut [] };
        scatter_columns(shape, whole..width, signatures, values, factors, table, counts);
    }
}

/// [`crate::buckets::gather`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn gather(
    shape: Shape,
    signatures: Signatures<'_>,
    table: &[f32],
    factors: Option<&[f32]>,
    out: &mut [f32],
) {
    let Shape { groups, buckets, width } = shape;
    let whole = width / BLOCK * BLOCK;
    for first in (0..whole).step_by(BLOCK) {
        for (i, signatures) in signatures.rows(groups).enumerate() {
            let mut sum = [_mm512_setzero_ps(); VECTORS];
            let mut group = first;
            for &signature in signatures {
                if (signature as usize) < buckets {
                    let cell = block(table, group + signature as usize * width);
                    for v in 0..VECTORS {
                        sum[v] = _mm512_add_ps(sum[v], load(&cell[v]));
                    }
                }
                group += buckets * width;
            }
            if let Some(factors) = factors {
                for v in 0..VECTORS {
                    sum[v] = _mm512_mul_ps(sum[v], _mm512_set1_ps(factors[i]));
                }
            }
            let lanes = block_mut(out, i * width + first);
            for v in 0..VECTORS {
                store(&mut lanes[v], sum[v]);
            }
        }
    }
    if whole < width {
        gather_columns(shape, whole..width, signatures, table, factors, out);
    }
}

/// The block of an array that begins at `first`.
#[inline]
fn block(array: &[f32], first: usize) -> &[[f32; LANES]; VECTORS] {
    array[first..first + BLOCK].as_chunks().0.first_chunk().expect("a whole block")
}

#[inline]
fn block_mut(array: &mut [f32], first: usize) -> &mut [[f32; LANES]; VECTORS] {
    array[first..first + BLOCK].as_chunks_mut().0.first_chunk_mut().expect("a whole block")
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn load(lanes: &[f32; LANES]) -> __m512 {
    // SAFETY: the reference covers the 64 bytes that are read; the load needs no alignment.
    unsafe { _mm512_loadu_ps(lanes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn store(lanes: &mut [f32; LANES], vector: __m512) {
    // SAFETY: the reference covers the 64 bytes that are written; the store needs no alignment.
    unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), vector) };
}
