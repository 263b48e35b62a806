//! Shingling (Broder, "On the resemblance and containment of documents", 1997): texts as sets of overlapping pieces.

use super::sets::Joined;
use crate::base::csr::CsrView;
use crate::base::memory::{push, reserve};
use crate::base::parallel::{Run, Ticker};
use crate::base::sort::sort_distinct;
use crate::base::xxh64::xxh64;
use crate::base::{Error, Result};

/// Texts between two checks for an interrupt, and words and hashed bytes of one text.
const TEXTS_PER_ITEM: usize = 64;
const WORDS_PER_CHECK: usize = 1 << 20;
const BYTES_PER_CHECK: usize = 1 << 24;

/// The unit of a shingle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Unicode scalar values.
    Characters,
    /// Words: pieces that white space separates.
    Words,
}

/// The parameters of shingling.
#[derive(Clone, Copy, Debug)]
pub struct Shingles {
    /// The unit of a shingle.
    pub unit: Unit,
    /// Units of a shingle, at least 1.
    pub width: usize,
}

impl Shingles {
    /// The shingles of every text as [`xxh64`] of their bytes, ascending and without repeats; returns the offsets of
    /// the sets, and the tokens. A text shorter than a shingle is a single shingle; an empty text, or a text without
    /// words if the unit is words, has no shingles.
    ///
    /// # Errors
    /// Returns an error on a width of 0, texts that are not UTF-8, or an interrupt.
    pub fn sets(&self, texts: CsrView<'_, u8>, run: &Run<'_>) -> Result<(Vec<i64>, Vec<u64>)> {
        if self.width == 0 {
            return Err(Error::Value { argument: "n", rule: "at least 1", got: "0".to_owned() });
        }
        let n = texts.len();
        let parts = run.map(
            n.div_ceil(TEXTS_PER_ITEM),
            || (Vec::new(), Vec::new()),
            |(bounds, tokens), item, ticker| {
                let begin = item * TEXTS_PER_ITEM;
                let mut sets = Joined::default();
                for text in begin..n.min(begin + TEXTS_PER_ITEM) {
                    self.set(texts.row(text), text, bounds, tokens, ticker)?;
                    sets.push(tokens);
                }
                Ok(sets)
            },
        )?;
        Joined::concat(n, parts, run)
    }

    /// The tokens of one text.
    fn set(
        &self,
        bytes: &[u8],
        row: usize,
        bounds: &mut Vec<[usize; 2]>,
        tokens: &mut Vec<u64>,
        ticker: &Ticker<'_>,
    ) -> Result<()> {
        let text = std::str::from_utf8(bytes).map_err(|error| Error::Value {
            argument: "texts",
            rule: "UTF-8",
            got: format!("row {row}: {error}"),
        })?;
        tokens.clear();
        match self.unit {
            Unit::Characters => {
                let starts = text.char_indices().map(|(at, _)| at);
                let mut ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
                let first = ends.nth(self.width - 1).or((!text.is_empty()).then_some(text.len()));
                hash(bytes, starts.zip(first.into_iter().chain(ends)), tokens, ticker)?;
            }
            Unit::Words => {
                // Words are joined by one space, regardless of the white space in the text.
                let mut joined = String::with_capacity(text.len());
                bounds.clear();
                for (unit, word) in text.split_whitespace().enumerate() {
                    if unit.is_multiple_of(WORDS_PER_CHECK) {
                        ticker.check()?;
                    }
                    if unit > 0 {
                        joined.push(' ');
                    }
                    push(bounds, [joined.len(), joined.len() + word.len()])?;
                    joined.push_str(word);
                }
                let spans = bounds.windows(self.width.min(bounds.len()).max(1));
                let spans = spans.map(|span| (span[0][0], span[span.len() - 1][1]));
                hash(joined.as_bytes(), spans, tokens, ticker)?;
            }
        }
        sort_distinct(tokens, ticker)
    }
}

/// Appends the hashes of some spans of bytes.
fn hash(
    bytes: &[u8],
    spans: impl Iterator<Item = (usize, usize)>,
    tokens: &mut Vec<u64>,
    ticker: &Ticker<'_>,
) -> Result<()> {
    reserve(tokens, spans.size_hint().0)?;
    let mut hashed = 0;
    for (begin, end) in spans {
        // A call has a price of its own.
        hashed += 16 + end - begin;
        if hashed > BYTES_PER_CHECK {
            hashed = 0;
            ticker.check()?;
        }
        push(tokens, xxh64(&bytes[begin..end]))?;
    }
    Ok(())
}
