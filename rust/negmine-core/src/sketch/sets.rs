//! Sets of tokens as they are compared: ascending and without repeats.

use crate::base::Result;
use crate::base::csr::CsrView;
use crate::base::memory::{reserve, with_capacity};
use crate::base::parallel::Run;
use crate::base::sort::sort_distinct;

/// Sets between two checks for an interrupt, and tokens of one set.
const SETS_PER_ITEM: usize = 64;
const TOKENS_PER_CHECK: usize = 1 << 20;

/// Sets, one after the other.
#[derive(Default)]
pub(super) struct Joined {
    lengths: Vec<usize>,
    tokens: Vec<u64>,
}

impl Joined {
    /// Appends a set, and leaves a vector for the next one.
    pub(super) fn push(&mut self, tokens: &mut Vec<u64>) {
        self.lengths.push(tokens.len());
        if self.tokens.is_empty() {
            std::mem::swap(&mut self.tokens, tokens);
        } else {
            self.tokens.extend_from_slice(tokens);
        }
    }

    /// The offsets and the tokens of the `n` sets of all parts.
    pub(super) fn concat(n: usize, parts: Vec<Self>, run: &Run<'_>) -> Result<(Vec<i64>, Vec<u64>)> {
        let (mut offsets, mut tokens) = (with_capacity(n + 1)?, Vec::new());
        if parts.len() > 1 {
            reserve(&mut tokens, parts.iter().map(|part| part.tokens.len()).sum())?;
        }
        offsets.push(0);
        let (mut end, all) = (0, parts.len());
        for part in parts {
            run.tick(all, all)?;
            for length in part.lengths {
                end += length as i64;
                offsets.push(end);
            }
            if all == 1 {
                tokens = part.tokens;
                continue;
            }
            for some in part.tokens.chunks(TOKENS_PER_CHECK) {
                run.tick(all, all)?;
                tokens.extend_from_slice(some);
            }
        }
        Ok((offsets, tokens))
    }
}

/// The same sets with their tokens ascending and without repeats: offsets and tokens.
///
/// # Errors
/// Returns an error on lack of memory, or an interrupt.
pub fn distinct_sets(sets: CsrView<'_, u64>, run: &Run<'_>) -> Result<(Vec<i64>, Vec<u64>)> {
    let n = sets.len();
    let parts = run.map(n.div_ceil(SETS_PER_ITEM), Vec::new, |tokens: &mut Vec<u64>, item, ticker| {
        let mut joined = Joined::default();
        for set in item * SETS_PER_ITEM..n.min((item + 1) * SETS_PER_ITEM) {
            tokens.clear();
            reserve(tokens, sets.row(set).len())?;
            for some in sets.row(set).chunks(TOKENS_PER_CHECK) {
                ticker.check()?;
                tokens.extend_from_slice(some);
            }
            sort_distinct(tokens, ticker)?;
            joined.push(tokens);
        }
        Ok(joined)
    })?;
    Joined::concat(n, parts, run)
}
