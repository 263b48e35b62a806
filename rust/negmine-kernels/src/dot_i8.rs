//! The first pass: exact int8 inner products of a tile of queries with a panel of documents, and the survivors.
//!
//! For every query and document, `dot` is the exact i32 inner product of their codes, and
//!
//! ```text
//! high = fma(dot, scale, fma(error_weight, error, base))         in f32, dot rounded once to f32
//! base = norm_weight * norm                                      without an offset
//!        fma(offset_weight, offset, norm_weight * norm)          with one
//! ```
//!
//! A document is a hit unless `high < threshold`: equality and NaN (infinity times zero) are hits, so doubt never
//! drops a document. Every instruction set performs these operations in this order, so hits agree bit for bit.
//!
//! **Overflow.** Codes lie in [-127, 127] and documents are stored as `code + 128`, at most 255; a sum of `width`
//! products is at most 255 * 127 * 65,536 < 2^31 in magnitude, hence [`MAX_WIDTH`]. (Partial sums wrap, and only the
//! last one must be in range.)
//!
//! **Layout.** A panel holds 64 documents. Its codes are grouped by four dimensions: 256 bytes a group, four a
//! document, so that one 64-byte vector holds sixteen documents and one instruction multiplies them with four codes
//! of a query, broadcast as one 32-bit word. Documents are unsigned because the instruction wants one side unsigned;
//! the shift by 128 is undone once per query, by where its accumulators start. Queries are stored in blocks of six,
//! group by group, so that a kernel walks two streams and nothing else. Six queries by four vectors of documents are
//! 24 accumulators: ten loads feed 24 dot products, so the multipliers are what limits.
//!
//! Lengths are checked once per call. A panel whose codes start at a multiple of 64 bytes is read fastest.

use std::sync::OnceLock;

use crate::dispatch;
use crate::isa::Isa;
pub use crate::rows_i8::dot_rows_i8;

/// Documents of a panel.
pub const PANEL: usize = 64;

/// Dimensions of a group.
pub const GROUP: usize = 4;

/// The widest row: beyond it a sum of products might leave the range of i32.
pub const MAX_WIDTH: usize = 65_536;

/// Bytes of a group of a panel.
pub(crate) const GROUP_BYTES: usize = PANEL * GROUP;

/// Queries of a block, which a kernel multiplies with a panel in one go.
pub(crate) const BLOCK: usize = 6;

/// The width rounded up to whole groups.
#[must_use]
pub const fn padded_width(width: usize) -> usize {
    width.next_multiple_of(GROUP)
}

/// Bytes of a panel of documents of that width.
#[must_use]
pub const fn packed_len(width: usize) -> usize {
    padded_width(width) * PANEL
}

/// Interleaves the codes of 64 documents into a panel.
///
/// `rows` holds [`PANEL`] rows of [`padded_width`]`(width)` codes in [-127, 127], one after the other; the codes beyond
/// `width` and the rows that are missing must be 0. `out` has [`packed_len`]`(width)` bytes.
///
/// # Panics
/// Where a length is not as stated, or this processor lacks `isa`.
pub fn pack_panel(isa: Isa, rows: &[i8], width: usize, out: &mut [u8]) {
    assert!(width <= MAX_WIDTH, "a width of at most {MAX_WIDTH}");
    assert_eq!(rows.len(), packed_len(width), "64 rows of the padded width");
    assert_eq!(out.len(), packed_len(width), "a panel of the padded width");
    dispatch::pack_panel(isa, rows, padded_width(width), out);
}

/// The scalar form of [`pack_panel`], and the definition of the layout.
pub(crate) fn pack_panel_scalar(rows: &[i8], padded: usize, out: &mut [u8]) {
    pack_rest_of_panel(rows, padded, 0, out);
}

/// Packs the groups from `first_group` on.
pub(crate) fn pack_rest_of_panel(rows: &[i8], padded: usize, first_group: usize, out: &mut [u8]) {
    for (g, group) in out.as_chunks_mut::<GROUP_BYTES>().0.iter_mut().enumerate().skip(first_group) {
        for (lane, document) in group.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            for (d, byte) in document.iter_mut().enumerate() {
                *byte = rows[lane * padded + g * GROUP + d].wrapping_add(-128) as u8;
            }
        }
    }
}

/// Sixty-four packed documents and what their bound needs.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    /// The codes, as [`pack_panel`] writes them.
    pub codes: &'a [u8],
    /// The scale of each document's codes.
    pub scale: &'a [f32; PANEL],
    /// What the query's error weight is multiplied with: the norm of the document's quantisation error.
    pub error: &'a [f32; PANEL],
    /// What the query's norm weight is multiplied with: the norm of the document.
    pub norm: &'a [f32; PANEL],
    /// What the query's offset weight is multiplied with, where the metric has such a term.
    pub offset: Option<&'a [f32; PANEL]>,
    /// Bit `lane` is set where there is a document.
    pub valid: u64,
}

/// A document that the bound cannot rule out for a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The query's place in the tile.
    pub query: u32,
    /// The document's place in the panel.
    pub lane: u32,
    /// The exact inner product of their codes.
    pub dot: i32,
}

/// Quantised queries, arranged for [`scan_panel`]. Built once per tile; thresholds change between panels.
#[derive(Clone, Debug)]
pub struct QueryTile {
    groups: usize,
    /// Four codes a word; blocks of [`BLOCK`] queries, in a block group by group, in a group query by query.
    words: Vec<[i32; BLOCK]>,
    /// The same codes, widened; made when a kernel without a dot-product instruction first asks.
    pairs: OnceLock<Vec<[Pair; BLOCK]>>,
    /// `-128 * sum(codes)`: where the accumulators of a query start.
    correction: Vec<i32>,
    error_weight: Vec<f32>,
    norm_weight: Vec<f32>,
    offset_weight: Vec<f32>,
    threshold: Vec<f32>,
}

impl QueryTile {
    /// A tile without queries, for rows of that width.
    ///
    /// # Panics
    /// Where `width` is above [`MAX_WIDTH`].
    #[must_use]
    pub fn new(width: usize) -> Self {
        assert!(width <= MAX_WIDTH, "a width of at most {MAX_WIDTH}");
        QueryTile {
            groups: width.div_ceil(GROUP),
            words: Vec::new(),
            pairs: OnceLock::new(),
            correction: Vec::new(),
            error_weight: Vec::new(),
            norm_weight: Vec::new(),
            offset_weight: Vec::new(),
            threshold: Vec::new(),
        }
    }

    /// Removes all queries and keeps the memory.
    pub fn clear(&mut self) {
        self.words.clear();
        self.pairs.take();
        self.correction.clear();
        self.error_weight.clear();
        self.norm_weight.clear();
        self.offset_weight.clear();
        self.threshold.clear();
    }

    /// Appends a query: its codes in [-127, 127], the three weights of its bound, and its threshold.
    ///
    /// # Panics
    /// Where there are more codes than the padded width has; missing ones are 0.
    pub fn push(
        &mut self,
        codes: &[i8],
        error_weight: f32,
        norm_weight: f32,
        offset_weight: f32,
        threshold: f32,
    ) {
        assert!(codes.len() <= self.groups * GROUP, "at most {} codes", self.groups * GROUP);
        self.pairs.take();
        let place = self.len() % BLOCK;
        if place == 0 {
            self.words.resize(self.words.len() + self.groups, [0; BLOCK]);
        }
        let block = self.words.len() - self.groups;
        for (words, codes) in self.words[block..].iter_mut().zip(codes.chunks(GROUP)) {
            let mut bytes = [0; GROUP];
            for (byte, code) in bytes.iter_mut().zip(codes) {
                *byte = *code as u8;
            }
            words[place] = i32::from_le_bytes(bytes);
        }
        self.correction.push(-128 * codes.iter().map(|code| i32::from(*code)).sum::<i32>());
        self.error_weight.push(error_weight);
        self.norm_weight.push(norm_weight);
        self.offset_weight.push(offset_weight);
        self.threshold.push(threshold);
    }

    /// Replaces the threshold of query `q`.
    ///
    /// # Panics
    /// Where there is no such query.
    #[inline]
    pub fn set_threshold(&mut self, q: usize, threshold: f32) {
        self.threshold[q] = threshold;
    }

    /// Replaces the offset weight of query `q`.
    ///
    /// # Panics
    /// Where there is no such query.
    #[inline]
    pub fn set_offset_weight(&mut self, q: usize, weight: f32) {
        self.offset_weight[q] = weight;
    }

    /// The threshold of query `q`.
    ///
    /// # Panics
    /// Where there is no such query.
    #[inline]
    #[must_use]
    pub fn threshold(&self, q: usize) -> f32 {
        self.threshold[q]
    }

    /// Number of queries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.correction.len()
    }

    /// Whether there are no queries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.correction.is_empty()
    }

    /// The words of each block as [`Pair`]s.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = &[[Pair; BLOCK]]> {
        let pairs = self.pairs.get_or_init(|| self.words.iter().map(|words| words.map(widened)).collect());
        // A width of 0 has no words, and then the kernels look at no pairs either.
        let empty = (self.groups == 0).then_some(&[][..]).into_iter().cycle();
        pairs.chunks_exact(self.groups.max(1)).chain(empty)
    }

    /// The queries in blocks of [`BLOCK`]; the last one may hold fewer.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        (0..self.len()).step_by(BLOCK).map(|first| {
            let end = self.len().min(first + BLOCK);
            let words = first / BLOCK * self.groups;
            Block {
                first,
                words: &self.words[words..words + self.groups],
                correction: &self.correction[first..end],
                error_weight: &self.error_weight[first..end],
                norm_weight: &self.norm_weight[first..end],
                offset_weight: &self.offset_weight[first..end],
                threshold: &self.threshold[first..end],
            }
        })
    }
}

/// The codes of a word as i16: first those of even, then those of odd places.
pub(crate) type Pair = [i32; 2];

fn widened(word: i32) -> Pair {
    let [a, b, c, d] = word.to_le_bytes().map(|byte| i32::from(byte as i8));
    [(a & 0xffff) | (c << 16), (b & 0xffff) | (d << 16)]
}

/// Up to [`BLOCK`] consecutive queries of a tile; the slices after `words` have one element for each.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) first: usize,
    pub(crate) words: &'a [[i32; BLOCK]],
    pub(crate) correction: &'a [i32],
    pub(crate) error_weight: &'a [f32],
    pub(crate) norm_weight: &'a [f32],
    pub(crate) offset_weight: &'a [f32],
    pub(crate) threshold: &'a [f32],
}

impl<'a> Block<'a> {
    /// Number of queries, 1 to [`BLOCK`].
    pub(crate) fn len(&self) -> usize {
        self.correction.len()
    }

    /// `Q` queries from `first` on, checked here so that the kernels need not.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(crate) fn part<const Q: usize>(&self, first: usize) -> Part<'a, Q> {
        #[inline]
        fn array<T, const Q: usize>(values: &[T], first: usize) -> &[T; Q] {
            values[first..].first_chunk().expect("Q queries from the first on")
        }
        Part {
            first,
            words: self.words,
            correction: array(self.correction, first),
            error_weight: array(self.error_weight, first),
            norm_weight: array(self.norm_weight, first),
            offset_weight: array(self.offset_weight, first),
            threshold: array(self.threshold, first),
        }
    }
}

/// Some queries of a block, as many as a kernel multiplies with the documents at once.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Part<'a, const Q: usize> {
    /// The place of the first one in its block, and so in `words`.
    pub(crate) first: usize,
    pub(crate) words: &'a [[i32; BLOCK]],
    pub(crate) correction: &'a [i32; Q],
    pub(crate) error_weight: &'a [f32; Q],
    pub(crate) norm_weight: &'a [f32; Q],
    pub(crate) offset_weight: &'a [f32; Q],
    pub(crate) threshold: &'a [f32; Q],
}

/// Appends to `hits` every document of the panel that the bound cannot rule out for a query of the tile, by query and
/// then by lane. The module's documentation gives the formula.
///
/// # Panics
/// Where the panel's codes do not have [`packed_len`] bytes for the tile's width, or this processor lacks `isa`.
pub fn scan_panel(isa: Isa, queries: &QueryTile, panel: Panel<'_>, hits: &mut Vec<Hit>) {
    assert_eq!(panel.codes.len(), queries.groups * GROUP_BYTES, "a panel of the tile's width");
    dispatch::scan_panel(isa, queries, &panel, hits);
}

/// The scalar form of [`scan_panel`]: the oracle.
pub(crate) fn scan_panel_scalar(queries: &QueryTile, panel: &Panel<'_>, hits: &mut Vec<Hit>) {
    for block in queries.blocks() {
        for q in 0..block.len() {
            let mut dots = [0; PANEL];
            for (words, group) in block.words.iter().zip(panel.codes.as_chunks::<GROUP_BYTES>().0) {
                let codes = words[q].to_le_bytes().map(|byte| i32::from(byte as i8));
                for (dot, document) in dots.iter_mut().zip(group.as_chunks::<GROUP>().0) {
                    for (code, byte) in codes.iter().zip(document) {
                        *dot += code * (i32::from(*byte) - 128);
                    }
                }
            }
            let mut survivors = 0;
            for (lane, dot) in dots.iter().enumerate() {
                let mut high = block.norm_weight[q] * panel.norm[lane];
                if let Some(offset) = panel.offset {
                    high = block.offset_weight[q].mul_add(offset[lane], high);
                }
                high = block.error_weight[q].mul_add(panel.error[lane], high);
                high = (*dot as f32).mul_add(panel.scale[lane], high);
                #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN is in doubt, and doubt is a hit")]
                let hit = !(high < block.threshold[q]);
                survivors |= u64::from(hit) << lane;
            }
            append(hits, block.first + q, survivors & panel.valid, &dots);
        }
    }
}

/// Appends the lanes of `mask`, rising.
#[inline]
pub(crate) fn append(hits: &mut Vec<Hit>, query: usize, mut mask: u64, dots: &[i32; PANEL]) {
    hits.reserve(mask.count_ones() as usize);
    while mask != 0 {
        let lane = mask.trailing_zeros();
        hits.push(Hit { query: query as u32, lane, dot: dots[lane as usize % PANEL] });
        mask &= mask - 1;
    }
}
