//! The int8 panel scan on 256-bit vectors without a dot-product instruction, and what all 256-bit scans share.
//!
//! Accumulator: i32, one a document, started at the query's correction so that the shift of the documents by 128
//! cancels; integer sums have no order. The bound is f32 and as `crate::dot_i8` defines it, NaN kept. The panel has
//! `groups * 256` bytes (checked by the caller).
//!
//! Products: `vpmaddubsw` multiplies bytes but adds neighbors in i16 *with saturation*, so the shifted documents (up
//! to 255) need another way: even and odd bytes of a word are widened apart, by a mask and by a shift, and `vpmaddwd`
//! multiplies them with the query's even and odd codes, exactly. The usual trick (move the sign of the document to the
//! query, then `vpmaddubsw` and `vpmaddwd` with ones) also takes four instructions for 32 products, but three of them
//! on the two multiplying ports instead of two: 125 against 150 Gop/s on a Zen 4 core.
//!
//! Why this shape: three queries by two vectors of eight documents are six accumulators; sixteen registers also hold
//! two vectors of documents, each twice, and the mask. Six by one is as fast, two by four has no registers left (130).
//!
//! A narrow panel is widened once for all queries of a tile, which takes the mask and the shift out of the loop: scans
//! by 128 leading coordinates are 7 % faster on a Zen 3 core, by 192 they are 10 %. Where a widened panel exceeds the
//! first cache, it is a loss: 8 % at width 384, up to 10 % at 768.

use std::arch::x86_64::{
    __m128, __m256, __m256i, _CMP_GE_OQ, _CMP_NLT_UQ, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_max_ps,
    _mm_max_ss, _mm_min_ps, _mm_min_ss, _mm_movehdup_ps, _mm_movehl_ps, _mm256_add_epi32, _mm256_add_ps,
    _mm256_and_si256, _mm256_castps256_ps128, _mm256_cmp_ps, _mm256_cvtepi32_ps, _mm256_extractf128_ps,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_max_epi32, _mm256_max_ps,
    _mm256_min_ps, _mm256_movemask_ps, _mm256_mul_ps, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setzero_si256, _mm256_srli_epi16, _mm256_storeu_si256,
};

use crate::arch::codes::{GROUP_BYTES, Hit, PANEL, Panel, append, bits};
use crate::arch::query_tile::{BLOCK, Block, Bounds, PLACES, Pair, QueryTile};
use crate::arch::summary::{Range, Summary};
use crate::arch::x86_64::prefetch::Ahead;

/// Queries that are multiplied together.
const QUERIES: usize = 3;

/// Vectors of eight documents that are multiplied together.
const VECTORS: usize = 2;

/// Groups of the widest panel that is widened once for all blocks of a tile: 32 KiB, the smallest first cache.
const WIDENED: usize = 64;

/// Eight documents of a group, as i16: first those of even, then those of odd places.
type Wide = [__m256i; 2];

/// A group of a panel.
type WideGroup = [Wide; PANEL / 8];

#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn scan_panel(queries: &QueryTile, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
    let groups = panel.codes.len() / GROUP_BYTES;
    if groups > WIDENED || queries.blocks() < 2 {
        return scan_blocks(queries, panel, &[], hits);
    }
    #[expect(clippy::large_stack_arrays, reason = "a sixtieth of a thread's stack")]
    let mut wide = [[[_mm256_setzero_si256(); 2]; PANEL / 8]; WIDENED];
    for (wide, group) in wide.iter_mut().zip(panel.codes.as_chunks::<GROUP_BYTES>().0) {
        for (at, wide) in wide.iter_mut().enumerate() {
            *wide = widen(load(group, at));
        }
    }
    scan_blocks(queries, panel, &wide[..groups], hits);
}

/// Scans by the widened panel, or by the panel alone if that is empty.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn scan_blocks(queries: &QueryTile, panel: &Panel<'_>, wide: &[WideGroup], hits: &mut Vec<Hit>) {
    let mut scan = Scan::new(panel);
    for i in 0..queries.blocks() {
        let (block, pairs) = (queries.block(i), queries.pairs(i));
        scan.start(&block);
        for first in (0..block.len).step_by(QUERIES) {
            match block.len - first {
                1 => scan_part::<1>(&block, pairs, first, wide, &mut scan),
                2 => scan_part::<2>(&block, pairs, first, wide, &mut scan),
                _ => scan_part::<QUERIES>(&block, pairs, first, wide, &mut scan),
            }
        }
        scan.finish(&block, hits);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn scan_part<const Q: usize>(
    block: &Block<'_>,
    pairs: &[[Pair; BLOCK]],
    first: usize,
    wide: &[WideGroup],
    scan: &mut Scan<'_, VECTORS>,
) {
    for strip in 0..PANEL / (8 * VECTORS) {
        let dots = match (wide, (first, strip)) {
            ([], (0, 0)) => dots::<Q, true>(block, pairs, first, scan.panel(), strip),
            ([], _) => dots::<Q, false>(block, pairs, first, scan.panel(), strip),
            (_, (0, 0)) => dots_of_wide::<Q, true>(block, pairs, first, scan.panel(), wide, strip),
            _ => dots_of_wide::<Q, false>(block, pairs, first, scan.panel(), wide, strip),
        };
        scan.keep(first, strip, &dots);
    }
}

/// The inner products of `Q` queries with a strip of the panel; `FETCH` requests the next panel meanwhile.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn dots<const Q: usize, const FETCH: bool>(
    block: &Block<'_>,
    pairs: &[[Pair; BLOCK]],
    first: usize,
    panel: &Panel<'_>,
    strip: usize,
) -> [[__m256i; VECTORS]; Q] {
    let mut sums = corrections(block, first);
    let mut ahead = Ahead::new(panel, block);
    for (pairs, group) in pairs.iter().zip(panel.codes.as_chunks::<GROUP_BYTES>().0) {
        if FETCH {
            ahead.step();
        }
        let mut documents = [[_mm256_setzero_si256(); 2]; VECTORS];
        for v in 0..VECTORS {
            documents[v] = widen(load(group, strip * VECTORS + v));
        }
        add_products(&mut sums, pairs, first, &documents);
    }
    sums
}

/// As [`dots`], of a widened panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn dots_of_wide<const Q: usize, const FETCH: bool>(
    block: &Block<'_>,
    pairs: &[[Pair; BLOCK]],
    first: usize,
    panel: &Panel<'_>,
    wide: &[WideGroup],
    strip: usize,
) -> [[__m256i; VECTORS]; Q] {
    let mut sums = corrections(block, first);
    let mut ahead = Ahead::new(panel, block);
    for (pairs, group) in pairs.iter().zip(wide) {
        if FETCH {
            ahead.step();
        }
        add_products(&mut sums, pairs, first, &group.as_chunks::<VECTORS>().0[strip]);
    }
    sums
}

/// Where the sums of `Q` queries start.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn corrections<const Q: usize>(block: &Block<'_>, first: usize) -> [[__m256i; VECTORS]; Q] {
    let mut sums = [[_mm256_setzero_si256(); VECTORS]; Q];
    for q in 0..Q {
        sums[q] = [_mm256_set1_epi32(block.bounds.correction[first + q]); VECTORS];
    }
    sums
}

/// Adds the products of a group.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_products<const Q: usize>(
    sums: &mut [[__m256i; VECTORS]; Q],
    pairs: &[Pair; BLOCK],
    first: usize,
    documents: &[Wide; VECTORS],
) {
    for q in 0..Q {
        for half in 0..2 {
            let codes = _mm256_set1_epi32(pairs[first + q][half]);
            for v in 0..VECTORS {
                let products = _mm256_madd_epi16(documents[v][half], codes);
                sums[q][v] = _mm256_add_epi32(sums[q][v], products);
            }
        }
    }
}

/// The bytes of a vector as i16.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn widen(bytes: __m256i) -> Wide {
    [_mm256_and_si256(bytes, _mm256_set1_epi16(0xff)), _mm256_srli_epi16::<8>(bytes)]
}

/// Eight documents of a group.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(crate) fn load(group: &[u8; GROUP_BYTES], at: usize) -> __m256i {
    let part = &group.as_chunks::<32>().0[at];
    // SAFETY: the reference covers the 32 bytes that are read; the load needs no alignment.
    unsafe { _mm256_loadu_si256(part.as_ptr().cast()) }
}

/// All of a scan on 256-bit vectors but the inner products, which come in strips of `V` vectors of documents.
pub(crate) struct Scan<'a, const V: usize> {
    panel: &'a Panel<'a>,
    summary: Summary,
    floors: [f32; PLACES],
    /// For each query of the block the strips with a document at or above its floor, as bits.
    reached: [u32; BLOCK],
    /// The inner products in those strips.
    dots: [[i32; PANEL]; BLOCK],
}

impl<'a, const V: usize> Scan<'a, V> {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn new(panel: &'a Panel<'a>) -> Self {
        let summary = summary(panel);
        Scan { panel, summary, floors: [0.0; PLACES], reached: [0; BLOCK], dots: [[0; PANEL]; BLOCK] }
    }

    pub(crate) fn panel(&self) -> &'a Panel<'a> {
        self.panel
    }

    /// Begins a block.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn start(&mut self, block: &Block<'_>) {
        self.floors = self.summary.floors(block.bounds);
        self.reached = [0; BLOCK];
    }

    /// Keeps the inner products of queries `first` to `first + Q` with a strip, for queries whose floor one reaches.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn keep<const Q: usize>(&mut self, first: usize, strip: usize, dots: &[[__m256i; V]; Q]) {
        for q in 0..Q {
            let mut greatest = dots[q][0];
            for v in 1..V {
                greatest = _mm256_max_epi32(greatest, dots[q][v]);
            }
            let floor = _mm256_set1_ps(self.floors[first + q]);
            let reached = _mm256_cmp_ps::<_CMP_GE_OQ>(_mm256_cvtepi32_ps(greatest), floor);
            if _mm256_movemask_ps(reached) != 0 {
                self.reached[first + q] |= 1 << strip;
                store(dots[q], &mut self.dots[first + q].as_chunks_mut::<8>().0[strip * V..]);
            }
        }
    }

    /// Ends a block: appends the documents whose bound is not below the query's threshold.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(crate) fn finish(&mut self, block: &Block<'_>, hits: &mut Vec<Hit>) {
        for q in 0..block.len {
            let mut survivors = 0;
            for strip in bits(self.reached[q]) {
                for v in strip * V..(strip + 1) * V {
                    survivors |= u64::from(self.survivors(block.bounds, q, v)) << (8 * v);
                }
            }
            append(hits, block.first + q, survivors & self.panel.valid, &self.dots[q]);
        }
    }

    /// The documents of vector `v` whose bound is not below the threshold of query `q`.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn survivors(&self, bounds: &Bounds, q: usize, v: usize) -> u8 {
        let mut high = _mm256_mul_ps(_mm256_set1_ps(bounds.norm_weight[q]), part(self.panel.norm, v));
        if let Some(offset) = self.panel.offset {
            high = _mm256_fmadd_ps(_mm256_set1_ps(bounds.offset_weight[q]), part(offset, v), high);
        }
        high = _mm256_fmadd_ps(_mm256_set1_ps(bounds.error_weight[q]), part(self.panel.error, v), high);
        let dots = _mm256_cvtepi32_ps(sums(&self.dots[q], v));
        high = _mm256_fmadd_ps(dots, part(self.panel.scale, v), high);
        let survivors = _mm256_cmp_ps::<_CMP_NLT_UQ>(high, _mm256_set1_ps(bounds.threshold[q]));
        _mm256_movemask_ps(survivors) as u8
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn summary(panel: &Panel<'_>) -> Summary {
    let offset = match panel.offset {
        Some(offset) => range(offset),
        None => Range::default(),
    };
    Summary::new(range(panel.scale), range(panel.error), range(panel.norm), offset)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn range(values: &[f32; PANEL]) -> Range {
    let first = part(values, 0);
    let (mut least, mut greatest, mut sum) = (first, first, first);
    for at in 1..PANEL / 8 {
        let values = part(values, at);
        least = _mm256_min_ps(least, values);
        greatest = _mm256_max_ps(greatest, values);
        // Comparisons lose a NaN, a sum keeps it.
        sum = _mm256_add_ps(sum, values);
    }
    let (least, greatest, sum) = (halves(least), halves(greatest), halves(sum));
    let (least, greatest, sum) =
        (_mm_min_ps(least[0], least[1]), _mm_max_ps(greatest[0], greatest[1]), _mm_add_ps(sum[0], sum[1]));
    let least = _mm_min_ps(least, _mm_movehl_ps(least, least));
    let greatest = _mm_max_ps(greatest, _mm_movehl_ps(greatest, greatest));
    let sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    let least = _mm_cvtss_f32(_mm_min_ss(least, _mm_movehdup_ps(least)));
    let greatest = _mm_cvtss_f32(_mm_max_ss(greatest, _mm_movehdup_ps(greatest)));
    let sum = _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
    Range { least, greatest: if sum.is_finite() { greatest } else { f32::NAN } }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn halves(x: __m256) -> [__m128; 2] {
    [_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x)]
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn part(x: &[f32; PANEL], at: usize) -> __m256 {
    let part = &x.as_chunks::<8>().0[at];
    // SAFETY: the reference covers the 32 bytes that are read; the load needs no alignment.
    unsafe { _mm256_loadu_ps(part.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn sums(x: &[i32; PANEL], at: usize) -> __m256i {
    let part = &x.as_chunks::<8>().0[at];
    // SAFETY: the reference covers the 32 bytes that are read; the load needs no alignment.
    unsafe { _mm256_loadu_si256(part.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store<const V: usize>(dots: [__m256i; V], out: &mut [[i32; 8]]) {
    for (part, dots) in out.iter_mut().zip(dots) {
        // SAFETY: the reference covers the 32 bytes that are written; the store needs no alignment.
        unsafe { _mm256_storeu_si256(part.as_mut_ptr().cast(), dots) };
    }
}
