//! The results of one query's result rows, which differ only in their caps and floors.
//!
//! Under `reference="each"` a query has a result row per positive. The distinct caps cut scores into bands. A document
//! falls into one band, and only the best `depth` of a band can be results; the results of a row are the best of its
//! own band, then of the next lower one, and so on, down to the floor of the row. A document therefore costs a binary search among the caps, the
//! results of a row are a slice of one sorted list, and the total cost is linear in result rows and documents.

use crate::base::Result;
use crate::base::memory::{copied, reserve, with_capacity};
use crate::base::order::{Best, Scored};

use super::types::Found;

/// The band of a row that needs no documents.
const NO_BAND: u32 = u32::MAX;

/// Documents above the next lower cap and not above the band's own.
#[derive(Default)]
struct Band {
    best: Best,
    /// Number of all candidates, including those below the floors.
    candidates: u64,
}

/// The result rows of one query.
#[derive(Default)]
pub(crate) struct ResultRows {
    depth: usize,
    /// The lowest floor of a row that needs documents: a document below it enters no row.
    floor: f64,
    /// The floor of every row.
    floors: Vec<f64>,
    /// Distinct caps, ascending; there is a band below each.
    caps: Vec<f64>,
    bands: Vec<Band>,
    /// Candidates above every cap.
    above: u64,
    /// The band of every row's cap.
    rows: Vec<u32>,
}

/// The most bytes of each result row until its results are made, without its documents.
pub(crate) const BYTES_PER_ROW: usize = 2 * size_of::<f64>() + size_of::<Band>() + size_of::<u32>();

impl ResultRows {
    /// Starts the rows of another query, by their caps and floors; a row with a NaN cap needs no documents.
    pub(crate) fn begin(&mut self, caps: &[f64], floors: &[f64], depth: usize) -> Result<()> {
        let Self { caps: distinct, floors: of_rows, bands, rows, .. } = self;
        of_rows.clear();
        reserve(of_rows, floors.len())?;
        of_rows.extend_from_slice(floors);
        let needed = caps.iter().zip(floors).filter(|(cap, _)| !cap.is_nan());
        let floor = needed.map(|(_, &floor)| floor).fold(f64::INFINITY, f64::min);
        distinct.clear();
        reserve(distinct, caps.len())?;
        distinct.extend(caps.iter().filter(|cap| !cap.is_nan()));
        distinct.sort_unstable_by(f64::total_cmp);
        distinct.dedup();
        rows.clear();
        reserve(rows, caps.len())?;
        rows.extend(
            caps.iter().map(|&cap| if cap.is_nan() { NO_BAND } else { band_of(distinct, cap) as u32 }),
        );
        bands.truncate(distinct.len());
        reserve(bands, distinct.len() - bands.len())?;
        bands.resize_with(distinct.len(), Band::default);
        for band in bands {
            band.best.clear(depth);
            band.candidates = 0;
        }
        (self.depth, self.floor, self.above) = (depth, floor, 0);
        Ok(())
    }

    /// The lowest cap, if any row needs documents.
    pub(crate) fn lowest_cap(&self) -> Option<f64> {
        self.caps.first().copied()
    }

    /// The lowest floor of a row that needs documents; +inf if none does.
    pub(crate) fn floor(&self) -> f64 {
        self.floor
    }

    /// The highest cap.
    pub(crate) fn highest_cap(&self) -> Option<f64> {
        self.caps.last().copied()
    }

    /// Offers a document to all rows.
    pub(crate) fn offer(&mut self, scored: Scored) -> Result<()> {
        match self.bands.get_mut(band_of(&self.caps, scored.score)) {
            Some(band) => {
                band.candidates += 1;
                if scored.score >= self.floor {
                    band.best.offer(scored)?;
                }
            }
            None => self.above += 1,
        }
        Ok(())
    }

    /// Counts a document that scores above every cap.
    pub(crate) fn count_above(&mut self) {
        self.above += 1;
    }

    /// The score that a further document must reach to enter any row, once the row of the lowest cap is full: a row
    /// with a higher cap then has as many documents that are at least as good.
    pub(crate) fn threshold(&mut self) -> Option<f64> {
        self.bands.first_mut().and_then(|band| band.best.threshold())
    }

    /// Whether every row is full.
    pub(crate) fn are_full(&self) -> bool {
        self.bands.first().is_none_or(|band| band.best.is_full())
    }

    /// The results of every row.
    pub(crate) fn found(&mut self) -> Result<Vec<Found>> {
        let mut found = with_capacity(self.rows.len())?;
        if let [band] = &mut self.bands[..] {
            let best = band.best.sorted();
            for (&row, &floor) in self.rows.iter().zip(&self.floors) {
                found.push(if row == NO_BAND {
                    Found::default()
                } else {
                    Found { best: copied(not_below(best, floor))?, above_cap: self.above }
                });
            }
            return Ok(found);
        }
        // From the highest band down: where the band begins in the list of all, and the candidates above its cap.
        let mut all = Vec::new();
        let mut begins = with_capacity(self.bands.len())?;
        let mut above = self.above;
        for band in self.bands.iter_mut().rev() {
            begins.push((all.len(), above));
            above += band.candidates;
            let best = band.best.sorted();
            reserve(&mut all, best.len())?;
            all.extend_from_slice(best);
        }
        for (&row, &floor) in self.rows.iter().zip(&self.floors) {
            found.push(if row == NO_BAND {
                Found::default()
            } else {
                let (begin, above_cap) = begins[begins.len() - 1 - row as usize];
                let best: &[Scored] = &all[begin..all.len().min(begin.saturating_add(self.depth))];
                Found { best: copied(not_below(best, floor))?, above_cap }
            });
        }
        Ok(found)
    }
}

/// The documents, of which the best come first, that do not score below a floor.
fn not_below(best: &[Scored], floor: f64) -> &[Scored] {
    &best[..best.partition_point(|document| document.score >= floor)]
}

/// The number of caps that are lower than a score.
#[inline]
fn band_of(caps: &[f64], score: f64) -> usize {
    match caps {
        [cap] => usize::from(score > *cap),
        _ => caps.partition_point(|cap| *cap < score),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The results of one result row, by definition.
    fn plain(documents: &[Scored], cap: f64, depth: usize, floor: f64) -> Found {
        if cap.is_nan() {
            return Found::default();
        }
        let above_cap = documents.iter().filter(|document| document.score > cap).count() as u64;
        let mut best: Vec<Scored> = documents
            .iter()
            .copied()
            .filter(|document| document.score <= cap && document.score >= floor)
            .collect();
        best.sort_by(Scored::rank);
        best.truncate(depth);
        Found { best, above_cap }
    }

    proptest! {
        #[test]
        fn every_row_finds_what_it_would_find_alone(
            scores in prop::collection::vec(-6_i8..6, 0..60),
            caps in prop::collection::vec(
                prop_oneof![3 => (-6_i8..6).prop_map(f64::from), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(-0.0)],
                0..9,
            ),
            depth in 0_usize..6,
            floors in prop::collection::vec(
                prop_oneof![Just(f64::NEG_INFINITY), (-6_i8..6).prop_map(f64::from)],
                9,
            ),
        ) {
            let documents: Vec<Scored> =
                scores.iter().zip(0..).map(|(&score, row)| Scored { score: score.into(), row }).collect();
            let mut rows = ResultRows::default();
            // The memory is reused for the next query.
            rows.begin(&[1.0, 2.0, 3.0], &[0.0; 3], 2).unwrap();
            rows.offer(Scored { score: 2.5, row: 7 }).unwrap();
            let floors = &floors[..caps.len()];
            rows.begin(&caps, floors, depth).unwrap();
            let targets = || caps.iter().zip(floors).filter(|(cap, _)| !cap.is_nan());
            let lowest_floor = targets().map(|(_, &floor)| floor).fold(f64::INFINITY, f64::min);
            for (seen, &document) in documents.iter().enumerate() {
                rows.offer(document).unwrap();
                // The lowest of the thresholds that the rows would have under the lowest floor.
                let lowest = targets()
                    .map(|(&cap, _)| plain(&documents[..=seen], cap, depth, lowest_floor))
                    .map(|found| if depth > 0 { found.best.get(depth - 1).map(|last| last.score) } else { None })
                    .reduce(|a, b| a.zip(b).map(|(a, b)| a.min(b)));
                prop_assert_eq!(rows.threshold(), lowest.flatten());
                prop_assert!(depth == 0 || rows.are_full() == (lowest != Some(None)));
            }
            let expected: Vec<Found> =
                caps.iter().zip(floors).map(|(&cap, &floor)| plain(&documents, cap, depth, floor)).collect();
            prop_assert_eq!(rows.found().unwrap(), expected);
        }
    }
}
