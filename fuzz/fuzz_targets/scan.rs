//! The exact scan against one that scores every pair: documents, bits of scores, and counts, on every instruction set of
//! the processor.
#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use ndarray::ArrayView2;
use negmine_core::base::csr::Lists;
use negmine_core::base::key_ranges::KeyRanges;
use negmine_core::base::matrix::{Elements, Rows};
use negmine_core::exact::{Candidates, ExactIndex, GroupRule, Layout, Pruned, Targets};
use negmine_core::scoring::Metric;
use negmine_fuzz::values::Kind;
use negmine_fuzz::{oracle, run};
use negmine_kernels::Isa;

/// Groups of the positives of every query.
const FORBIDDEN: [i64; 2] = [1, 3];

/// Rows of one width, of which there are few different ones.
#[derive(Debug)]
struct Matrix {
    values: Vec<f32>,
    rows: usize,
}

/// A data set, the rules of a scan, and how it is carried out.
#[derive(Debug)]
struct Case {
    metric: Metric,
    width: usize,
    corpus: Matrix,
    queries: Matrix,
    banned: Vec<Vec<u32>>,
    groups: Option<Vec<i64>>,
    /// Keys of documents, and the keys of every query: the lowest and the highest.
    keys: Option<(Vec<i64>, Vec<i64>, Vec<i64>)>,
    /// Per query, the cap and the floor of each of its result rows, as ranks of its scores.
    limits: Vec<Vec<(Option<u8>, Option<u8>)>>,
    depth: usize,
    warm: Option<Vec<Vec<u32>>>,
    layout: Layout,
}

impl Matrix {
    fn new(rows: usize, width: usize, bytes: &mut Unstructured<'_>) -> Result<Self> {
        let (kind, other): (Kind, Kind) = (bytes.arbitrary()?, bytes.arbitrary()?);
        let different = rows.min(bytes.int_in_range(1..=9)?);
        let mut values = kind.values(different * width, bytes)?;
        for place in different..rows {
            // A copy of an earlier row, a row of zeros, a multiple, or one of another kind in one coordinate.
            let from = bytes.int_in_range(0..=different - 1)? * width;
            let change = bytes.arbitrary::<u8>()?;
            values.extend_from_within(from..from + width);
            let row = &mut values[place * width..];
            match change % 8 {
                0 => row.fill(0.0),
                1 => row.iter_mut().for_each(|x| *x *= 0.5),
                2..5 => row[usize::from(change) % width] = other.value(bytes)?,
                _ => {}
            }
        }
        Ok(Self { values, rows })
    }

    fn view(&self, width: usize) -> ArrayView2<'_, f32> {
        ArrayView2::from_shape((self.rows, width), &self.values).expect("rows of one width")
    }

    fn row(&self, row: usize, width: usize) -> &[f32] {
        &self.values[row * width..(row + 1) * width]
    }
}

fn some<'a, T>(
    bytes: &mut Unstructured<'a>,
    value: impl FnOnce(&mut Unstructured<'a>) -> Result<T>,
) -> Result<Option<T>> {
    if bytes.ratio(1, 3)? { value(bytes).map(Some) } else { Ok(None) }
}

/// Numbers that lists hold, in ascending order.
fn rows_below(n: usize, most: usize, bytes: &mut Unstructured<'_>) -> Result<Vec<u32>> {
    let mut rows = Vec::new();
    if n > 0 {
        for _ in 0..bytes.int_in_range(0..=most)? {
            rows.push(bytes.int_in_range(0..=n as u32 - 1)?);
        }
    }
    rows.sort_unstable();
    rows.dedup();
    Ok(rows)
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        // Many queries of a key with few documents are scanned group by group. The length decides, so that most mutants
        // of these slow cases are fast.
        let grouped = bytes.len().is_multiple_of(61);
        let metric = *bytes.choose(&[Metric::Cosine, Metric::Ip, Metric::L2])?;
        let width = match bytes.arbitrary::<u8>()? % 16 {
            0 if !grouped => bytes.int_in_range(1..=511)?,
            1..4 if !grouped => bytes.int_in_range(1..=96)?,
            _ => bytes.int_in_range(1..=16)?,
        };
        let (documents, queries) = if grouped {
            (bytes.int_in_range(1_000..=1_500)?, bytes.int_in_range(200..=260)?)
        } else {
            (bytes.int_in_range(0..=150)?, bytes.int_in_range(1..=5)?)
        };
        let limits = |bytes: &mut Unstructured<'a>| {
            let limit =
                |bytes: &mut Unstructured<'a>| Ok((some(bytes, u8::arbitrary)?, some(bytes, u8::arbitrary)?));
            (0..bytes.int_in_range(1..=if grouped { 1 } else { 3 })?)
                .map(|_| limit(bytes))
                .collect::<Result<Vec<_>>>()
        };
        // The axes of wide rows take a hundred milliseconds.
        let forced = Pruned::Forced(usize::from(bytes.arbitrary::<u8>()?));
        let pruned = [Pruned::Off, Pruned::Auto, if width <= 24 { forced } else { Pruned::Off }];
        let layout = Layout {
            tile_rows: if bytes.arbitrary()? { bytes.int_in_range(1..=130)? } else { 16_384 },
            resident: bytes.arbitrary()?,
            pruned: *bytes.choose(&pruned)?,
            ..Layout::default()
        };
        let depth = if bytes.ratio(1, 8)? { documents + 1 } else { bytes.int_in_range(1..=12)? };
        let keys = if grouped {
            // Few documents have a key that a query has.
            let rare = bytes.int_in_range(0..=3)?;
            let key =
                |place: usize| if place.is_multiple_of(97) { (place / 97) as i64 % rare.max(1) } else { 9 };
            let own = (0..queries).map(|_| bytes.int_in_range(0..=rare)).collect::<Result<Vec<i64>>>()?;
            Some(((0..documents).map(key).collect(), own.clone(), own))
        } else {
            some(bytes, |bytes| {
                let key = |bytes: &mut Unstructured<'a>| bytes.int_in_range(0..=5_i64);
                let of_documents = (0..documents).map(|_| key(bytes)).collect::<Result<_>>()?;
                let lowest = (0..queries).map(|_| key(bytes)).collect::<Result<Vec<_>>>()?;
                let highest = (0..queries).map(|_| key(bytes)).collect::<Result<_>>()?;
                Ok((of_documents, lowest, highest))
            })?
        };
        Ok(Self {
            metric,
            width,
            banned: (0..queries).map(|_| rows_below(documents, 4, bytes)).collect::<Result<_>>()?,
            groups: some(bytes, |bytes| (0..documents).map(|_| bytes.int_in_range(-1..=4_i64)).collect())?,
            keys,
            limits: (0..queries).map(|_| limits(bytes)).collect::<Result<_>>()?,
            depth,
            warm: some(bytes, |bytes| (0..queries).map(|_| rows_below(2 * documents, 9, bytes)).collect())?,
            layout,
            queries: Matrix::new(queries, width, bytes)?,
            corpus: Matrix::new(documents, width, bytes)?,
        })
    }
}

/// Rows, bits of scores, and documents above the cap, of every result row.
type Answer = Vec<(Vec<(u32, u64)>, u64)>;

impl Case {
    /// Whether a document is a candidate of a query: the rules, one by one.
    fn admits(&self, query: usize, row: usize) -> bool {
        let has_key = |(keys, lowest, highest): &(Vec<i64>, Vec<i64>, Vec<i64>)| {
            lowest[query] <= keys[row] && keys[row] <= highest[query]
        };
        self.keys.as_ref().is_none_or(has_key)
            && !self.banned[query].contains(&(row as u32))
            && self.groups.as_ref().is_none_or(|groups| !FORBIDDEN.contains(&groups[row]))
    }

    /// The candidates of every query with their scores.
    fn scores(&self) -> Vec<Vec<(u32, f64)>> {
        let (q, d) = (&self.queries, &self.corpus);
        let score = |query, row| oracle::score(self.metric, q.row(query, self.width), d.row(row, self.width));
        let of_query = |query| {
            let candidates = (0..d.rows).filter(|row| self.admits(query, *row));
            candidates.map(|row| (row as u32, score(query, row))).collect()
        };
        (0..q.rows).map(of_query).collect()
    }

    /// Result rows with caps and floors at scores of the query, next to them, or none.
    fn targets(&self, scores: &[Vec<(u32, f64)>]) -> Targets {
        let mut targets = Targets::one_per_query(0, 0.0, self.depth);
        for (limits, scores) in self.limits.iter().zip(scores) {
            let at = |rank: u8| match scores.len() {
                0 => 0.0,
                n => {
                    let score = scores[usize::from(rank) % n].1;
                    if rank.is_multiple_of(4) { score.next_up() } else { score }
                }
            };
            for (cap, floor) in limits {
                targets.caps.push(cap.map_or(f64::INFINITY, at));
                targets.floors.push(floor.map_or(f64::NEG_INFINITY, at));
            }
            targets.offsets.push(targets.caps.len());
        }
        targets.warm = self.warm.as_ref().map(|rows| lists(rows));
        targets
    }
}

/// Every candidate between floor and cap, sorted.
fn answer(scores: &[Vec<(u32, f64)>], targets: &Targets) -> Answer {
    let mut answer = Vec::new();
    for (query, scores) in scores.iter().enumerate() {
        for target in targets.offsets[query]..targets.offsets[query + 1] {
            let (cap, floor) = (targets.caps[target], targets.floors[target]);
            let is_best = |scored: &&(u32, f64)| floor <= scored.1 && scored.1 <= cap;
            let mut best: Vec<(u32, f64)> = scores.iter().filter(is_best).copied().collect();
            best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            best.truncate(targets.depth);
            let above_cap = scores.iter().filter(|scored| scored.1 > cap).count();
            answer.push((
                best.into_iter().map(|(row, score)| (row, score.to_bits())).collect(),
                above_cap as u64,
            ));
        }
    }
    answer
}

fn lists<T: Copy>(rows: &[Vec<T>]) -> Lists<T> {
    let mut lists = Lists::default();
    rows.iter().for_each(|row| lists.push_row(row.iter().copied()));
    lists
}

fuzz_target!(|case: Case| {
    let (n, width) = (case.queries.rows, case.width);
    let scores = case.scores();
    let targets = case.targets(&scores);
    let expected = answer(&scores, &targets);
    let banned = lists(&case.banned);
    let forbidden = lists(&vec![FORBIDDEN.to_vec(); n]);
    let rules: Vec<KeyRanges<'_>> = case
        .keys
        .iter()
        .map(|(keys, lowest, highest)| KeyRanges { keys, offsets: None, lowest, highest })
        .collect();
    let candidates = Candidates {
        banned: &banned,
        groups: case.groups.as_ref().map(|groups| GroupRule { of_document: groups, forbidden: &forbidden }),
        eligible: &rules,
        picked: None,
    };
    let corpus = Rows::new("corpus", Elements::F32(case.corpus.view(width))).expect("a corpus");
    let queries = Rows::new("queries", Elements::F32(case.queries.view(width))).expect("queries");
    for isa in Isa::available() {
        let index = ExactIndex::build(&corpus, case.metric, case.layout, &run(isa)).expect("finite rows");
        let outcome = index.scan(&corpus, &queries, &candidates, &targets, &run(isa)).expect("a scan");
        let found: Answer = outcome
            .found
            .into_iter()
            .map(|found| {
                let best = found.best.into_iter().map(|scored| (scored.row, scored.score.to_bits()));
                (best.collect(), found.above_cap)
            })
            .collect();
        assert_eq!(found, expected, "{isa}");
    }
});
