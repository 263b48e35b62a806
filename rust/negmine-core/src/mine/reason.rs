//! Why a row has fewer than it could hold.

/// The first that applies, in this order. The numbers are part of the file formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// The row is not short.
    #[default]
    None = 0,
    /// A margin, or a policy, needs a positive's score and the query has no positive.
    NoPositive = 1,
    /// Documents had served as many rows as they may.
    DocumentLimit = 2,
    /// The pool was full: `range_max` is what limits it.
    RankWindow = 3,
    /// The policy gave documents of the pool a weight of exactly zero.
    ZeroWeight = 4,
    /// Candidates lie above the cap.
    AboveCap = 5,
    /// Candidates lie below `min_score`.
    BelowFloor = 6,
    /// There are no more candidates in the corpus.
    CorpusExhausted = 7,
    /// The random draws met too many documents that may not be used.
    RandomExhausted = 8,
}
