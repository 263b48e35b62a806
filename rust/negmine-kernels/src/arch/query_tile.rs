//! A tile of quantized queries, arranged the way the panel scans read it.

use std::sync::OnceLock;

use super::codes::{GROUP, MAX_WIDTH};

/// Queries of a block, which a kernel multiplies with a panel in one pass.
pub(crate) const BLOCK: usize = 6;

/// The size of a block, rounded up to a vector; the places beyond the queries hold zeros or stale values of an earlier
/// query.
pub(crate) const PLACES: usize = 8;

/// Quantized queries, arranged for [`scan_panel`](crate::dot_i8::scan_panel). Built once per tile; thresholds change
/// between panels.
#[derive(Clone, Debug)]
pub struct QueryTile {
    len: usize,
    groups: usize,
    /// Four codes per word, in blocks of [`BLOCK`] queries; a block is ordered by group, a group by query.
    words: Vec<[i32; BLOCK]>,
    /// The same codes, widened; made when a kernel without a dot-product instruction first asks.
    pairs: OnceLock<Vec<[Pair; BLOCK]>>,
    /// Bounds of each block.
    bounds: Vec<Bounds>,
}

/// The numbers that the bounds of a block's queries need, one place per query.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// `-128 * sum(codes)`: where the accumulators of a query start.
    pub(crate) correction: [i32; PLACES],
    pub(crate) error_weight: [f32; PLACES],
    pub(crate) norm_weight: [f32; PLACES],
    pub(crate) offset_weight: [f32; PLACES],
    pub(crate) threshold: [f32; PLACES],
}

/// The codes of a word as i16: first those of even, then those of odd places.
pub(crate) type Pair = [i32; 2];

/// Up to [`BLOCK`] consecutive queries of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    /// The first query's place in the tile.
    pub(crate) first: usize,
    /// Number of queries, 1 to [`BLOCK`].
    pub(crate) len: usize,
    /// The block's place in the tile, and number of blocks in the tile.
    #[cfg(target_arch = "x86_64")]
    pub(crate) place: (usize, usize),
    /// One word per group and query.
    pub(crate) words: &'a [[i32; BLOCK]],
    pub(crate) bounds: &'a Bounds,
}

impl QueryTile {
    /// A tile without queries, for rows of that width.
    ///
    /// # Panics
    /// If `width` is above [`MAX_WIDTH`].
    #[must_use]
    pub fn new(width: usize) -> Self {
        assert!(width <= MAX_WIDTH, "a width of at most {MAX_WIDTH}");
        let (words, bounds) = (Vec::new(), Vec::new());
        QueryTile { len: 0, groups: width.div_ceil(GROUP), words, pairs: OnceLock::new(), bounds }
    }

    /// Removes all queries and keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
        self.words.clear();
        self.pairs.take();
        self.bounds.clear();
    }

    /// Appends a query: its codes in [-127, 127], the three weights of its bound, and its threshold.
    ///
    /// # Panics
    /// If there are more codes than the padded width; missing ones are 0.
    pub fn push(
        &mut self,
        codes: &[i8],
        error_weight: f32,
        norm_weight: f32,
        offset_weight: f32,
        threshold: f32,
    ) {
        assert!(codes.len() <= self.groups * GROUP, "at most {} codes", self.groups * GROUP);
        let (block, place) = (self.len / BLOCK, self.len % BLOCK);
        if place == 0 {
            self.words.resize(self.words.len() + self.groups, [0; BLOCK]);
            self.bounds.push(Bounds::default());
        }
        self.pairs.take();
        let words = &mut self.words[block * self.groups..];
        let (whole, rest) = codes.as_chunks::<GROUP>();
        for (words, codes) in words.iter_mut().zip(whole) {
            words[place] = i32::from_le_bytes(codes.map(|code| code as u8));
        }
        if !rest.is_empty() {
            let mut bytes = [0; GROUP];
            for (byte, code) in bytes.iter_mut().zip(rest) {
                *byte = *code as u8;
            }
            words[whole.len()][place] = i32::from_le_bytes(bytes);
        }
        let bounds = &mut self.bounds[block];
        bounds.correction[place] = -128 * codes.iter().map(|code| i32::from(*code)).sum::<i32>();
        bounds.error_weight[place] = error_weight;
        bounds.norm_weight[place] = norm_weight;
        bounds.offset_weight[place] = offset_weight;
        bounds.threshold[place] = threshold;
        self.len += 1;
    }

    /// Replaces the threshold of query `q`.
    ///
    /// # Panics
    /// If there is no such query.
    #[inline]
    pub fn set_threshold(&mut self, q: usize, threshold: f32) {
        assert!(q < self.len, "a query of the tile");
        self.bounds[q / BLOCK].threshold[q % BLOCK] = threshold;
    }

    /// Replaces the offset weight of query `q`: it depends on the unit of the panels that follow.
    ///
    /// # Panics
    /// If there is no such query.
    #[inline]
    pub fn set_offset_weight(&mut self, q: usize, weight: f32) {
        assert!(q < self.len, "a query of the tile");
        self.bounds[q / BLOCK].offset_weight[q % BLOCK] = weight;
    }

    /// The threshold of query `q`.
    ///
    /// # Panics
    /// If there is no such query.
    #[inline]
    #[must_use]
    pub fn threshold(&self, q: usize) -> f32 {
        assert!(q < self.len, "a query of the tile");
        self.bounds[q / BLOCK].threshold[q % BLOCK]
    }

    /// Number of queries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no queries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Groups of four dimensions.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// Number of blocks; the last one may hold fewer queries.
    #[inline]
    pub(crate) fn blocks(&self) -> usize {
        self.bounds.len()
    }

    /// Block `block`. Always inlined: a kernel would otherwise read it back from memory before it is written.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "see above")]
    pub(crate) fn block(&self, block: usize) -> Block<'_> {
        let first = block * BLOCK;
        Block {
            first,
            len: BLOCK.min(self.len - first),
            #[cfg(target_arch = "x86_64")]
            place: (block, self.bounds.len()),
            words: &self.words[block * self.groups..][..self.groups],
            bounds: &self.bounds[block],
        }
    }

    /// The words of block `block` as [`Pair`]s.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn pairs(&self, block: usize) -> &[[Pair; BLOCK]] {
        let pairs = self.pairs.get_or_init(|| self.words.iter().map(|words| words.map(widened)).collect());
        &pairs[block * self.groups..][..self.groups]
    }
}

#[cfg(target_arch = "x86_64")]
fn widened(word: i32) -> Pair {
    let [a, b, c, d] = word.to_le_bytes().map(|byte| i32::from(byte as i8));
    [(a & 0xffff) | (c << 16), (b & 0xffff) | (d << 16)]
}
