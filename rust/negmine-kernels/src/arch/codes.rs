//! Memory layout of int8 codes: rows at whole cache lines, and panels of 64 documents. `crate::dot_i8` gives the
//! reasons.

/// Documents of a panel.
pub const PANEL: usize = 64;

/// Dimensions of a group.
pub const GROUP: usize = 4;

/// The widest row: beyond it a sum of products might leave the range of i32.
pub const MAX_WIDTH: usize = 65_536;

/// A row of codes starts at a multiple of this many bytes and fills whole ones.
pub const ROW_ALIGNMENT: usize = 64;

/// Bytes of a group of a panel.
pub(crate) const GROUP_BYTES: usize = PANEL * GROUP;

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

/// Sixty-four packed documents and the numbers that their bound needs.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    /// The codes, as [`pack_panel`](crate::dot_i8::pack_panel) writes them.
    pub codes: &'a [u8],
    /// The scale of each document's codes.
    pub scale: &'a [f32; PANEL],
    /// The norm of each document's quantization error; the query's error weight is multiplied with it.
    pub error: &'a [f32; PANEL],
    /// The norm of each document; the query's norm weight is multiplied with it.
    pub norm: &'a [f32; PANEL],
    /// The offset of each document, with which the query's offset weight is multiplied, if the metric has such a term.
    pub offset: Option<&'a [f32; PANEL]>,
    /// Bit `lane` is set if the lane holds a document.
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

/// Appends the lanes of `mask` in ascending order.
#[inline]
pub(crate) fn append(hits: &mut Vec<Hit>, query: usize, mut mask: u64, dots: &[i32; PANEL]) {
    hits.reserve(mask.count_ones() as usize);
    while mask != 0 {
        let lane = mask.trailing_zeros();
        hits.push(Hit { query: query as u32, lane, dot: dots[lane as usize % PANEL] });
        mask &= mask - 1;
    }
}

/// The positions of the set bits of a mask, in ascending order.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline]
pub(crate) fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (mask != 0).then(|| mask.trailing_zeros() as usize);
        mask &= mask.wrapping_sub(1);
        place
    })
}
