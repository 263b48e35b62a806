//! The reasons why a result row is not full.

/// The reason why a row is short: the first that applies, in this order. The numbers are part of the file formats; 4 is
/// not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// The row is not short.
    #[default]
    None = 0,
    /// A margin, or a policy, needs a positive's score and the query has no positive.
    NoPositive = 1,
    /// Documents had reached the limit of rows per document.
    DocumentLimit = 2,
    /// The pool was full: `range_max` limits it.
    RankWindow = 3,
    /// Candidates lie above the cap.
    AboveCap = 5,
    /// Candidates lie below `min_score`.
    BelowFloor = 6,
    /// There are no more candidates in the corpus.
    CorpusExhausted = 7,
    /// The random draws met too many documents that are not admitted.
    RandomExhausted = 8,
}
