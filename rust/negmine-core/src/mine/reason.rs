//! The reasons why a result row is not full.

/// The reason why a row is short: the first that applies, in this order. The numbers are part of the file formats.
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
    /// The policy takes only some documents of the pool.
    ZeroWeight = 4,
    /// Candidates lie above the cap.
    AboveCap = 5,
    /// Candidates lie below `min_score`.
    BelowFloor = 6,
    /// There are no more candidates in the corpus.
    CorpusExhausted = 7,
    /// The random draws met too many documents that are not admitted.
    RandomExhausted = 8,
    /// The source's list ends before the window is full: a longer list might hold more candidates.
    ListExhausted = 9,
    /// A margin, a floor or a policy needs a positive's score, and the source has no score of a positive.
    NoReference = 10,
    /// A band of scores removed documents of the pool.
    Restricted = 11,
    /// A strict quota takes only so many documents of each label.
    Quota = 12,
}

impl Reason {
    /// The reason of a number; [`Reason::CorpusExhausted`] for a number that is not used.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        let all = [
            Self::None,
            Self::NoPositive,
            Self::DocumentLimit,
            Self::RankWindow,
            Self::ZeroWeight,
            Self::AboveCap,
            Self::BelowFloor,
            Self::RandomExhausted,
            Self::ListExhausted,
            Self::NoReference,
            Self::Restricted,
            Self::Quota,
        ];
        all.into_iter().find(|&reason| reason as u8 == number).unwrap_or(Self::CorpusExhausted)
    }
}
