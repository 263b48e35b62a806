//! The candidate pool: per result row, the best candidates that pass the caps, in rank order.

use crate::base::csr::{CsrView, Lists};
use crate::base::error::check_length;
use crate::base::matrix::Rows;
use crate::base::memory::with_capacity;
use crate::base::parallel::Run;
use crate::base::{Error, Result};
use crate::exact::{Candidates, Counters, ExactIndex, Found, Outcome, Targets};

use super::caps::{CapRules, Reference};
use super::eligible::{PerQuery, RuleCounts, Rules};
use super::reason::Reason;

/// Result rows copied between two checks for an interrupt.
const ROWS_PER_CHECK: usize = 64;

/// A request for the first stage of mining.
#[derive(Clone, Copy, Debug)]
pub struct PoolRequest<'a> {
    /// The candidate rules.
    pub rules: Rules<'a>,
    /// Scores of positives, aligned with their CSR; NaN if the source is to score them. Needed for positives outside
    /// the corpus.
    pub given_scores: Option<&'a [f64]>,
    /// The rules that bound scores.
    pub caps: CapRules,
    /// First rank that the pool keeps.
    pub range_min: usize,
    /// First rank that the pool no longer keeps.
    pub range_max: usize,
    /// Rows that earlier mining found, row-major per query, padded with any number that is not a row; they only give a
    /// threshold.
    pub warm_start: Option<&'a [i64]>,
}

/// Documents per line of the report, one entry per result row.
#[derive(Clone, Debug, Default)]
pub struct ReportColumns {
    /// Known positives.
    pub positives: Vec<u64>,
    /// Excluded by the caller.
    pub excluded: Vec<u64>,
    /// The query itself.
    pub itself: Vec<u64>,
    /// In a group with a positive.
    pub group: Vec<u64>,
    /// Outside the query's key range.
    pub ineligible: Vec<u64>,
    /// Above a cap; by the rule that set it: `max_score`, `absolute_margin`, `relative_margin`.
    pub above: [Vec<u64>; 3],
    /// Candidates that the source does not list.
    pub unlisted: Vec<u64>,
}

impl ReportColumns {
    fn with_capacity(rows: usize) -> Result<Self> {
        let column = || with_capacity(rows);
        Ok(Self {
            positives: column()?,
            excluded: column()?,
            itself: column()?,
            group: column()?,
            ineligible: column()?,
            above: [column()?, column()?, column()?],
            unlisted: column()?,
        })
    }
}

/// The pool of every result row.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Width of `indices` and `scores`: `range_max - range_min`.
    pub width: usize,
    /// Row numbers of documents, row-major, padded with -1.
    pub indices: Vec<i64>,
    /// Canonical scores, padded with -inf.
    pub scores: Vec<f64>,
    /// Documents per result row.
    pub counts: Vec<i32>,
    /// Why a row is not full.
    pub reasons: Vec<Reason>,
    /// Query of every result row, counted from the first of the call.
    pub query_indices: Vec<i64>,
    /// Positive of every result row under `Each`, else -1.
    pub positive_indices: Vec<i64>,
    /// The reference of the margins; NaN without positives.
    pub reference_scores: Vec<f64>,
    /// The score above which nothing was kept; +inf without caps, NaN if a reference is missing.
    pub cap_scores: Vec<f64>,
    /// The score below which nothing was kept; -inf without floors.
    pub floor_scores: Vec<f64>,
    /// Scores of the positives, aligned with their CSR.
    pub positive_scores: Vec<f64>,
    /// Counts of documents by outcome.
    pub report: ReportColumns,
    /// Queries of norm zero, under cosine.
    pub zero_queries: u64,
    /// Counts of the work of the scan; not part of the result.
    pub counters: Counters,
}

/// Counts of documents that all result rows of a query share.
struct QueryCounts {
    /// Documents that rules 1 to 5 reject.
    rejected: RuleCounts,
    /// Candidates that the source lists.
    known: u64,
    /// Candidates that it does not list.
    unlisted: u64,
}

/// Result rows before the scan: their queries, positives and caps.
struct Plan {
    targets: Targets,
    queries: Vec<usize>,
    positive_indices: Vec<i64>,
    references: Vec<f64>,
    rules: Vec<Option<super::caps::Cap>>,
}

/// A request before the scan, with resolved rules and scored positives.
pub(crate) struct Prepared {
    per_query: PerQuery,
    positive_scores: Vec<f64>,
    plan: Plan,
}

/// Builds the pool: one scan of the corpus, exact.
///
/// # Errors
/// Returns an error on arrays that do not fit each other, values that are not finite, or an interrupt.
pub fn candidates(
    index: &ExactIndex,
    corpus: &Rows<'_>,
    queries: &Rows<'_>,
    request: &PoolRequest<'_>,
    run: &Run<'_>,
) -> Result<Pool> {
    let steps = index.steps(queries.len());
    let prepared = run.part(0..0, steps, |run| Prepared::new(index, corpus, queries, request, run))?;
    let outcome =
        index.scan(corpus, queries, &prepared.candidates(&request.rules), prepared.targets(), run)?;
    prepared.pool(outcome, None, request, index.len(), || run.tick(steps, steps))
}

impl Prepared {
    pub(crate) fn new(
        index: &ExactIndex,
        corpus: &Rows<'_>,
        queries: &Rows<'_>,
        request: &PoolRequest<'_>,
        run: &Run<'_>,
    ) -> Result<Self> {
        check_length("positives", queries.len(), request.rules.positives.len())?;
        if let Some(rows) = request.warm_start {
            let width = rows.len().checked_div(queries.len()).unwrap_or(0);
            check_length("warm_start", queries.len() * width, rows.len())?;
        }
        let positive_scores = positive_scores(index, corpus, queries, request, run)?;
        let mut prepared = Self::with_scores(index.len(), request, positive_scores, run)?;
        prepared.plan.targets.warm = request.warm_start.map(|rows| warm_lists(rows, queries.len()));
        Ok(prepared)
    }

    /// A request whose positives are already scored, NaN if the score of one is unknown.
    pub(crate) fn with_scores(
        documents: usize,
        request: &PoolRequest<'_>,
        positive_scores: Vec<f64>,
        run: &Run<'_>,
    ) -> Result<Self> {
        let per_query = request.rules.resolve(documents, run)?.into_per_query();
        let plan = plan(request, &positive_scores, documents)?;
        Ok(Self { per_query, positive_scores, plan })
    }

    /// The candidate rules.
    pub(crate) fn candidates<'a>(&'a self, rules: &Rules<'a>) -> Candidates<'a> {
        self.per_query.candidates(rules)
    }

    /// The result rows.
    pub(crate) fn targets(&self) -> &Targets {
        &self.plan.targets
    }

    /// The pool of an outcome, where the source knows all candidates or `listed` ones per query; calls `tick`
    /// regularly.
    pub(crate) fn pool(
        self,
        outcome: Outcome,
        listed: Option<&[u64]>,
        request: &PoolRequest<'_>,
        documents: usize,
        mut tick: impl FnMut() -> Result<()>,
    ) -> Result<Pool> {
        let (n, width) = (outcome.found.len(), request.range_max - request.range_min);
        let entries = n.saturating_mul(width);
        let mut pool = Pool {
            width,
            indices: with_capacity(entries)?,
            scores: with_capacity(entries)?,
            counts: with_capacity(n)?,
            reasons: with_capacity(n)?,
            query_indices: with_capacity(n)?,
            report: ReportColumns::with_capacity(n)?,
            zero_queries: outcome.zero_queries,
            counters: outcome.counters,
            ..Pool::default()
        };
        for (row, found) in outcome.found.into_iter().enumerate() {
            if row.is_multiple_of(ROWS_PER_CHECK) {
                tick()?;
            }
            let query = self.plan.queries[row];
            let rejected = *self.per_query.counts(query);
            let all = (documents as u64).saturating_sub(rejected.total());
            let known = listed.map_or(all, |listed| listed[query]);
            let counts = QueryCounts { rejected, known, unlisted: all - known };
            pool.push(row, &found, &self.plan, &counts, request);
        }
        pool.positive_indices = self.plan.positive_indices;
        pool.reference_scores = self.plan.references;
        pool.cap_scores = self.plan.targets.caps;
        pool.floor_scores = self.plan.targets.floors;
        pool.positive_scores = self.positive_scores;
        Ok(pool)
    }
}

fn positive_scores(
    index: &ExactIndex,
    corpus: &Rows<'_>,
    queries: &Rows<'_>,
    request: &PoolRequest<'_>,
    run: &Run<'_>,
) -> Result<Vec<f64>> {
    let positives: CsrView<'_> = request.rules.positives;
    let mut scores = index.score_pairs(corpus, queries, positives, run)?;
    if let Some(given) = request.given_scores {
        check_length("positive_scores", scores.len(), given.len())?;
        for (score, &given) in scores.iter_mut().zip(given) {
            if !given.is_nan() {
                *score = given;
            }
        }
    }
    for i in 0..positives.len() {
        if scores[positives.range(i)].iter().any(|score| score.is_nan()) {
            return Err(Error::Value {
                argument: "positive_scores",
                rule: "given for every positive outside the corpus",
                got: format!("none for a positive of query {i}"),
            });
        }
    }
    Ok(scores)
}

fn plan(request: &PoolRequest<'_>, positive_scores: &[f64], documents: usize) -> Result<Plan> {
    let positives = request.rules.positives;
    let each = request.caps.reference == Reference::Each;
    let rows = positives.len() + if each { positives.entries() } else { 0 };
    let mut plan = Plan {
        targets: Targets {
            offsets: vec![0],
            caps: with_capacity(rows)?,
            floors: with_capacity(rows)?,
            depth: request.range_max.min(documents),
            warm: None,
        },
        queries: with_capacity(rows)?,
        positive_indices: with_capacity(rows)?,
        references: with_capacity(rows)?,
        rules: with_capacity(rows)?,
    };
    let push = |plan: &mut Plan, query: usize, positive: i64, reference: f64| {
        let (cap, rule) = request.caps.cap(reference);
        plan.targets.caps.push(cap);
        plan.targets.floors.push(request.caps.floor(reference));
        plan.rules.push(rule);
        plan.queries.push(query);
        plan.positive_indices.push(positive);
        plan.references.push(reference);
    };
    for i in 0..positives.len() {
        let scores = &positive_scores[positives.range(i)];
        if each && !scores.is_empty() {
            for (&row, &score) in positives.row(i).iter().zip(scores) {
                push(&mut plan, i, row, score);
            }
        } else {
            let reference = if scores.is_empty() { f64::NAN } else { request.caps.reduce(scores) };
            push(&mut plan, i, -1, reference);
        }
        plan.targets.offsets.push(plan.queries.len());
    }
    Ok(plan)
}

/// Earlier rows per query, without padding.
fn warm_lists(rows: &[i64], queries: usize) -> Lists<u32> {
    let width = rows.len().checked_div(queries).unwrap_or(0);
    let mut lists = Lists::default();
    for i in 0..queries {
        lists.push_row(rows[i * width..(i + 1) * width].iter().filter_map(|&row| u32::try_from(row).ok()));
    }
    lists
}

impl Pool {
    /// Number of result rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there are no result rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    fn push(
        &mut self,
        row: usize,
        found: &Found,
        plan: &Plan,
        counts: &QueryCounts,
        request: &PoolRequest<'_>,
    ) {
        let query = plan.queries[row];
        let kept = found.best.get(request.range_min..).unwrap_or(&[]);
        self.indices.extend(kept.iter().map(|scored| i64::from(scored.row)));
        self.scores.extend(kept.iter().map(|scored| scored.score));
        let filled = (row + 1) * self.width;
        self.indices.resize(filled, -1);
        self.scores.resize(filled, f64::NEG_INFINITY);
        self.counts.push(kept.len() as i32);
        self.query_indices.push(query as i64);

        let is_unscanned = plan.targets.caps[row].is_nan();
        let below_floor = counts.known.saturating_sub(found.above_cap + found.best.len() as u64);
        self.reasons.push(if is_unscanned && request.rules.positives.row(query).is_empty() {
            Reason::NoPositive
        } else if is_unscanned {
            Reason::NoReference
        } else if found.best.len() >= request.range_max {
            Reason::None
        } else if counts.unlisted > 0 {
            // Documents that no list holds score lower, if a listed one lies below the floor.
            if below_floor > 0 { Reason::BelowFloor } else { Reason::ListExhausted }
        } else if found.above_cap > 0 {
            Reason::AboveCap
        } else if below_floor > 0 {
            Reason::BelowFloor
        } else {
            Reason::CorpusExhausted
        });

        // A row without the reference that its bounds need was not scanned: it counts as such only.
        let unlisted = if is_unscanned { 0 } else { counts.unlisted };
        let counts = if is_unscanned { RuleCounts::default() } else { counts.rejected };
        let report = &mut self.report;
        report.unlisted.push(unlisted);
        report.positives.push(counts.positives);
        report.excluded.push(counts.excluded);
        report.itself.push(counts.itself);
        report.group.push(counts.group);
        report.ineligible.push(counts.ineligible);
        for (rule, column) in report.above.iter_mut().enumerate() {
            let its_own = plan.rules[row].is_some_and(|cap| cap as usize == rule);
            column.push(if its_own { found.above_cap } else { 0 });
        }
    }
}
