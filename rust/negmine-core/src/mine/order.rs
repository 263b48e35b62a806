//! What a policy makes of a pool: an order of its documents, and the probabilities that they are taken.

/// The order of a pool; ranks that a policy never takes are missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Ranks, first choice first, and the log-probabilities that the first `n` of them are taken.
    Ranks(Vec<usize>, LogProbs),
    /// The policy needs a reference and the row has none.
    NoReference,
}

/// Log-probabilities of the documents that are taken.
#[derive(Clone, Debug, PartialEq)]
pub enum LogProbs {
    /// All have the same.
    Same(f64),
    /// One for each, in the order.
    Each(Vec<f64>),
}

impl Order {
    /// An order that does not depend on a draw.
    #[must_use]
    pub fn certain(ranks: Vec<usize>) -> Self {
        Self::Ranks(ranks, LogProbs::Same(0.0))
    }
}
