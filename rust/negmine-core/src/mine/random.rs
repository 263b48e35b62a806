//! Random negatives beside the mined ones: uniform over the candidates of rules 1 to 5 (STAR's static and random mix,
//! Zhan et al., SIGIR 2021).

use crate::base::error::check_length;
use crate::base::matrix::Rows;
use crate::base::order::Scored;
use crate::base::parallel::Run;
use crate::base::philox::{Draws, Stream, below};
use crate::base::{Error, Result};
use crate::exact::ExactIndex;

use super::eligible::{Ruled, Rules};

/// Draws per wanted document before a row gives up.
const DRAWS_PER_DOCUMENT: usize = 64;

/// Draws between two looks at the caller's wish to stop: below a millisecond.
const DRAWS_PER_CHECK: u64 = 1024;

/// What the draws of every result row depend on.
#[derive(Clone, Copy, Debug)]
pub struct RandomRequest<'a> {
    /// Who is a candidate.
    pub rules: Rules<'a>,
    /// Query of every result row, counted from the first of the call.
    pub query_indices: &'a [i64],
    /// Positive of every result row, where draws depend on it (`reference="each"`).
    pub positive_indices: Option<&'a [i64]>,
    /// Highest admitted score of every result row; NaN where the row asks for nothing.
    pub cap_scores: &'a [f64],
    /// Lowest admitted score.
    pub min_score: Option<f64>,
    /// What was chosen already, row-major and padded with -1.
    pub chosen: &'a [i64],
    /// Row of the first query in every draw.
    pub query_offset: u64,
    /// Wanted per result row.
    pub n: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Epoch of the draws.
    pub epoch: u64,
}

/// Draws up to `n` documents per result row, in the order drawn, with their canonical scores.
///
/// # Errors
/// Arrays that do not fit each other, or an interrupt.
pub fn random_negatives(
    index: &ExactIndex,
    corpus: &Rows<'_>,
    queries: &Rows<'_>,
    request: &RandomRequest<'_>,
    run: &Run<'_>,
) -> Result<Vec<Vec<Scored>>> {
    let ruled = request.rules.resolve(index.len())?;
    let rows = request.query_indices.len();
    check_length("cap_scores", rows, request.cap_scores.len())?;
    if let Some(positive_indices) = request.positive_indices {
        check_length("positive_indices", rows, positive_indices.len())?;
    }
    if let Some(&row) = request.query_indices.iter().find(|&&i| i < 0 || i >= queries.len() as i64) {
        return Err(Error::RowOutOfRange { argument: "query_indices", row, rows: queries.len() });
    }
    let chosen_width = request.chosen.len().checked_div(rows).unwrap_or(0);
    check_length("chosen", rows * chosen_width, request.chosen.len())?;
    let draws = Draws::new(request.seed, Stream::NumRandom);
    let width = index.width();
    run.map(
        rows,
        || (vec![0.0; width], vec![0.0; width]),
        |(query_buffer, buffer), r, ticker| {
            ticker.check()?;
            let mut drawn = Vec::new();
            let cap = request.cap_scores[r];
            if cap.is_nan() {
                return Ok(drawn);
            }
            let i = request.query_indices[r] as usize;
            let numbered = Numbered::new(&ruled, &request.rules, i, index.len());
            if numbered.count == 0 {
                return Ok(drawn);
            }
            let chosen = &request.chosen[r * chosen_width..(r + 1) * chosen_width];
            let positive = request.positive_indices.map(|rows| rows[r]);
            let q = queries.finite_row(run.isa, i, query_buffer)?;
            let qq = index.metric().squared_norm(run.isa, q);
            for t in 0..(DRAWS_PER_DOCUMENT * request.n) as u64 {
                if drawn.len() == request.n || drawn.len() as u64 == numbered.count {
                    break;
                }
                if t % DRAWS_PER_CHECK == DRAWS_PER_CHECK - 1 {
                    ticker.check()?;
                }
                let x = draws.by_number(request.epoch, request.query_offset + i as u64, positive, t);
                let row = numbered.row(below(x, numbered.count));
                if chosen.contains(&i64::from(row)) || drawn.iter().any(|other: &Scored| other.row == row) {
                    continue;
                }
                let d = corpus.row(run.isa, row as usize, buffer);
                let sum = index.metric().sum(run.isa, q, d);
                let dd = index.metric().squared_norm(run.isa, d);
                let score = index.metric().finish(sum, qq, dd);
                if score <= cap && request.min_score.is_none_or(|floor| score >= floor) {
                    drawn.push(Scored { score, row });
                }
            }
            Ok(drawn)
        },
    )
}

/// The candidates of one query, numbered in row order.
struct Numbered {
    count: u64,
    rows: Rank,
}

enum Rank {
    /// All rows but these: candidate number c is the c-th row that is not listed.
    AllBut(Vec<u32>),
    /// These rows.
    Only(Vec<u32>),
}

impl Numbered {
    fn new(ruled: &Ruled<'_>, rules: &Rules<'_>, i: usize, documents: usize) -> Self {
        if rules.eligible.is_some() {
            let candidates = ruled.candidates();
            let rows: Vec<u32> = (0..documents as u32).filter(|&row| candidates.admits(i, row)).collect();
            return Self { count: rows.len() as u64, rows: Rank::Only(rows) };
        }
        let excluded = ruled.excluded_rows(i);
        Self { count: (documents - excluded.len()) as u64, rows: Rank::AllBut(excluded) }
    }

    fn row(&self, number: u64) -> u32 {
        match &self.rows {
            Rank::Only(rows) => rows[number as usize],
            Rank::AllBut(excluded) => {
                // Entry e has e excluded rows before it: it precedes the answer iff its own number is not above.
                let (mut low, mut high) = (0, excluded.len());
                while low < high {
                    let middle = usize::midpoint(low, high);
                    if u64::from(excluded[middle]) - middle as u64 <= number {
                        low = middle + 1;
                    } else {
                        high = middle;
                    }
                }
                (number + low as u64) as u32
            }
        }
    }
}
