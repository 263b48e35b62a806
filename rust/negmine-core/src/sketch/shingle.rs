//! Shingling (Broder, "On the resemblance and containment of documents", 1997): texts as sets of overlapping pieces.

use crate::base::csr::CsrView;
use crate::base::parallel::Run;
use crate::base::xxh64::xxh64;
use crate::base::{Error, Result};

/// Texts between two checks for an interrupt.
const TEXTS_PER_ITEM: usize = 64;

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
            |(bounds, tokens), item, _| {
                let begin = item * TEXTS_PER_ITEM;
                let (mut lengths, mut all) = (Vec::with_capacity(TEXTS_PER_ITEM), Vec::new());
                for text in begin..n.min(begin + TEXTS_PER_ITEM) {
                    self.set(texts.row(text), text, bounds, tokens)?;
                    lengths.push(tokens.len());
                    all.extend_from_slice(tokens);
                }
                Ok((lengths, all))
            },
        )?;
        let mut offsets = Vec::with_capacity(n + 1);
        offsets.push(0);
        let mut end = 0;
        for length in parts.iter().flat_map(|(lengths, _)| lengths) {
            end += *length as i64;
            offsets.push(end);
        }
        let mut tokens = Vec::with_capacity(end as usize);
        for (_, part) in parts {
            tokens.extend_from_slice(&part);
        }
        Ok((offsets, tokens))
    }

    /// The tokens of one text.
    fn set(
        &self,
        bytes: &[u8],
        row: usize,
        bounds: &mut Vec<[usize; 2]>,
        tokens: &mut Vec<u64>,
    ) -> Result<()> {
        let text = std::str::from_utf8(bytes).map_err(|error| Error::Value {
            argument: "texts",
            rule: "UTF-8",
            got: format!("row {row}: {error}"),
        })?;
        bounds.clear();
        tokens.clear();
        match self.unit {
            Unit::Characters => {
                bounds.extend(text.char_indices().map(|(at, c)| [at, at + c.len_utf8()]));
                let shingles = bounds.windows(self.width.min(bounds.len()).max(1));
                tokens.extend(shingles.map(|span| xxh64(&bytes[span[0][0]..span[span.len() - 1][1]])));
            }
            Unit::Words => {
                // Words are joined by one space, regardless of the white space in the text.
                let mut joined = String::with_capacity(text.len());
                for word in text.split_whitespace() {
                    if !joined.is_empty() {
                        joined.push(' ');
                    }
                    bounds.push([joined.len(), joined.len() + word.len()]);
                    joined.push_str(word);
                }
                let shingles = bounds.windows(self.width.min(bounds.len()).max(1));
                let bytes = joined.as_bytes();
                tokens.extend(shingles.map(|span| xxh64(&bytes[span[0][0]..span[span.len() - 1][1]])));
            }
        }
        tokens.sort_unstable();
        tokens.dedup();
        Ok(())
    }
}
