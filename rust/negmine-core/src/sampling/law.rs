//! The probabilities that one source gives to the documents of a query.

use negmine_kernels::Isa;

use crate::base::Result;
use crate::base::complement::{row_of_rank, rows_of_ranks};
use crate::base::csr::CsrView;
use crate::base::parallel::Ticker;
use crate::base::philox::{below, unit};

use super::alias::Alias;
use super::allowed::Allowed;
use super::filter::Filter;

/// If the allowed documents have less than this part of all weight, they are listed: most draws would be refused, and
/// what remains of a difference would be rounding errors.
const LEAST_ALLOWED: f64 = 0.125;

/// Where documents come from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// All documents, with equal probability.
    Uniform,
    /// All documents, in proportion to weights.
    Weighted(&'a Alias),
    /// The documents of the query's list, with equal probability; ascending.
    Lists(CsrView<'a>),
    /// The documents of one list but for one, with equal probability; ascending.
    List {
        /// The documents.
        list: &'a [i64],
        /// The one that is left out.
        without: Option<i64>,
    },
}

/// The probabilities of one source for one query.
pub(super) struct Law<'a> {
    pub(super) source: i8,
    pub(super) share: f64,
    pub(super) kind: Kind<'a>,
}

pub(super) enum Kind<'a> {
    /// Equal probabilities of all allowed documents, or of these rows.
    Ranks { count: u64, rows: Option<Vec<u32>> },
    /// Equal probabilities of the documents of a list, but for those at some places, which ascend.
    Entries { count: u64, list: &'a [i64], refused: Vec<i64> },
    /// Weights, with the sum of those of allowed documents; others are refused.
    Alias { table: &'a Alias, mass: f64, forbidden: Filter },
    /// Weights of these rows, added up.
    Listed { table: &'a Alias, rows: Vec<u32>, cumulative: Vec<f64>, mass: f64 },
}

impl<'a> Law<'a> {
    /// The law of every source that has a document for the query; their shares add up to 1.
    pub(super) fn all(
        sources: &[Source<'a>],
        shares: &[f64],
        allowed: &Allowed<'_>,
        ticker: &Ticker<'_>,
    ) -> Result<Vec<Self>> {
        let mut laws = Vec::with_capacity(sources.len());
        let mut total = 0.0;
        for (number, (source, &share)) in sources.iter().zip(shares).enumerate() {
            let kind = if share > 0.0 { Kind::new(source, allowed, ticker)? } else { None };
            if let Some(kind) = kind {
                total += share;
                laws.push(Law { source: number as i8, share, kind });
            }
        }
        for law in &mut laws {
            law.share /= total;
        }
        Ok(laws)
    }

    /// The document of a draw; `None` if the query may not have it.
    pub(super) fn draw(&self, allowed: &Allowed<'_>, x: u64) -> Option<u32> {
        match &self.kind {
            Kind::Ranks { count, rows: None } => {
                Some(row_of_rank(allowed.forbidden, below(x, *count)) as u32)
            }
            Kind::Ranks { count, rows: Some(rows) } => Some(rows[below(x, *count) as usize]),
            Kind::Entries { count, list, refused } => {
                Some(list[row_of_rank(refused, below(x, *count)) as usize] as u32)
            }
            Kind::Alias { table, forbidden, .. } => {
                let row = table.draw(x);
                (!forbidden.may_hold(row) || allowed.admits(i64::from(row))).then_some(row)
            }
            Kind::Listed { rows, cumulative, mass, .. } => {
                let place = cumulative.partition_point(|sum| *sum <= unit(x) * mass);
                Some(rows[place.min(rows.len() - 1)])
            }
        }
    }

    /// Asks the processor to fetch what a draw reads.
    #[inline]
    pub(super) fn prefetch(&self, x: u64) {
        if let Kind::Alias { table, .. } = &self.kind {
            table.prefetch(x);
        }
    }

    /// Asks the processor to fetch what [`Self::part`] reads.
    #[inline]
    pub(super) fn prefetch_part(&self, row: u32) {
        if let Kind::Alias { table, .. } | Kind::Listed { table, .. } = &self.kind {
            table.prefetch_weight(row);
        }
    }

    /// The share of the source times the probability that it gives to a document that the query may have.
    pub(super) fn part(&self, row: u32) -> f64 {
        let probability = match &self.kind {
            Kind::Ranks { rows: Some(rows), .. } if rows.binary_search(&row).is_err() => 0.0,
            Kind::Entries { list, refused, .. } if !has(list, refused, row) => 0.0,
            Kind::Ranks { count, .. } | Kind::Entries { count, .. } => 1.0 / *count as f64,
            Kind::Alias { table, mass, .. } | Kind::Listed { table, mass, .. } => table.weight(row) / mass,
        };
        self.share * probability
    }

    /// The number of documents, if all have the same probability.
    pub(super) fn equal(&self) -> Option<u64> {
        match self.kind {
            Kind::Ranks { count, .. } | Kind::Entries { count, .. } => Some(count),
            Kind::Alias { .. } | Kind::Listed { .. } => None,
        }
    }

    /// Replaces ascending ranks among documents of the same probability by these documents.
    pub(super) fn rows(&self, isa: Isa, allowed: &Allowed<'_>, ranks: &mut [u32]) {
        match &self.kind {
            Kind::Ranks { rows: Some(rows), .. } => {
                for rank in ranks {
                    *rank = rows[*rank as usize];
                }
            }
            Kind::Entries { list, refused, .. } => {
                rows_of_ranks(isa, refused, ranks);
                for place in ranks {
                    *place = list[*place as usize] as u32;
                }
            }
            _ => rows_of_ranks(isa, allowed.forbidden, ranks),
        }
    }
}

/// The places of those rows that a list has, both ascending. Steps of doubled length lead to the next row, so that lists
/// of very different lengths cost little more than the shorter one.
fn places_of(list: &[i64], rows: &[i64]) -> Vec<i64> {
    let mut places = Vec::with_capacity(rows.len().min(list.len()));
    let mut begin = 0;
    for &row in rows {
        let mut step = 1;
        while list.get(begin + step).is_some_and(|&entry| entry < row) {
            begin += step;
            step *= 2;
        }
        let end = list.len().min(begin + step + 1);
        begin += list[begin..end].partition_point(|&entry| entry < row);
        if list.get(begin) == Some(&row) {
            places.push(begin as i64);
        }
    }
    places
}

/// Whether a list has a row at a place that is not refused.
fn has(list: &[i64], refused: &[i64], row: u32) -> bool {
    list.binary_search(&i64::from(row)).is_ok_and(|place| refused.binary_search(&(place as i64)).is_err())
}

impl<'a> Kind<'a> {
    /// The kind of a source for a query; `None` if it has no document for it.
    fn new(source: &Source<'a>, allowed: &Allowed<'_>, ticker: &Ticker<'_>) -> Result<Option<Self>> {
        Ok(match source {
            Source::Uniform if allowed.eligible.is_empty() => {
                let count = (allowed.documents - allowed.forbidden.len()) as u64;
                (count > 0).then_some(Self::Ranks { count, rows: None })
            }
            Source::Uniform => Self::of_rows(allowed.rows(ticker)?),
            Source::Lists(lists) => Self::of_list(lists.row(allowed.query), None, allowed),
            Source::List { list, without } => Self::of_list(list, *without, allowed),
            Source::Weighted(table) if table.positive() == 0 => None,
            Source::Weighted(table) => {
                for &row in allowed.forbidden {
                    table.prefetch_weight(row as u32);
                }
                let lost = allowed.forbidden.iter().fold(0.0, |sum, &row| sum + table.weight(row as u32));
                let mass = table.total() - lost;
                if allowed.eligible.is_empty() && mass >= LEAST_ALLOWED * table.total() {
                    Some(Self::Alias { table, mass, forbidden: Filter::new(allowed.forbidden) })
                } else {
                    Self::listed(table, allowed.rows(ticker)?)
                }
            }
        })
    }

    fn of_rows(rows: Vec<u32>) -> Option<Self> {
        (!rows.is_empty()).then_some(Self::Ranks { count: rows.len() as u64, rows: Some(rows) })
    }

    fn of_list(list: &'a [i64], without: Option<i64>, allowed: &Allowed<'_>) -> Option<Self> {
        let mut refused = if allowed.eligible.is_empty() {
            places_of(list, allowed.forbidden)
        } else {
            (0..list.len() as i64).filter(|&place| !allowed.admits(list[place as usize])).collect()
        };
        if let Some(place) = without.and_then(|row| list.binary_search(&row).ok())
            && let Err(gap) = refused.binary_search(&(place as i64))
        {
            refused.insert(gap, place as i64);
        }
        let count = (list.len() - refused.len()) as u64;
        (count > 0).then_some(Self::Entries { count, list, refused })
    }

    fn listed(table: &'a Alias, mut rows: Vec<u32>) -> Option<Self> {
        rows.retain(|&row| table.weight(row) > 0.0);
        let mut sum = 0.0;
        let add = |&row: &u32| {
            sum += table.weight(row);
            sum
        };
        let cumulative: Vec<f64> = rows.iter().map(add).collect();
        cumulative.last().copied().map(|mass| Self::Listed { table, rows, cumulative, mass })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_are_those_of_the_rows(
            list in prop::collection::btree_set(0_i64..90, 0..90), rows in prop::collection::btree_set(0_i64..90, 0..90),
        ) {
            let (list, rows): (Vec<i64>, Vec<i64>) = (list.into_iter().collect(), rows.into_iter().collect());
            let expected: Vec<i64> =
                (0..list.len()).filter(|&place| rows.contains(&list[place])).map(|place| place as i64).collect();
            prop_assert_eq!(places_of(&list, &rows), expected);
        }
    }
}
