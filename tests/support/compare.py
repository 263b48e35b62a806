"""One problem, asked of the product and of the oracle, and every array of the two answers held together, bit for bit.

A `Problem` says what is mined, in the oracle's terms. A `How` says what may never change an answer: threads, how the
arrays lie in memory, and whatever knobs the engine has for tests (`TILE_ROWS`).
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

import negmine
import oracle
import oracle_draws
from negmine.errors import MemoryLimitError
from negmine.mining import Reason, policies

F32 = NDArray[np.float32]
#: A positive: a row of the corpus, the score of one outside it, or the vector of one outside it.
Entry = int | float | F32

THREADS = (1, 2, 3, 8)
#: Tile sizes that the index is forced to, where it lets itself be forced; None leaves the choice to it.
TILE_ROWS: tuple[int | None, ...] = (None, 1, 3, 16, 100)

LINES = {
    "positives": "positive",
    "excluded": "excluded",
    "self": "self",
    "group": "group",
    "ineligible": "ineligible",
    "above_max_score": "above_max_score",
    "above_absolute_margin": "above_absolute",
    "above_relative_margin": "above_relative",
    "unlisted": "unlisted",
}


def as_it_is(array: Any) -> Any:
    """Hand an array over as it is."""
    return array


@dataclass(frozen=True)
class How:
    """What must not change an answer."""

    threads: int | None = 1
    corpus_layout: Callable[[Any], Any] = as_it_is
    query_layout: Callable[[Any], Any] = as_it_is
    tile_rows: int | None = None
    tight: bool = False  # under the least memory that the engine says it needs


@dataclass(frozen=True, eq=False)
class Problem:
    """What is mined. `corpus` and `queries` may be of any dtype; the oracle reads their float32 values."""

    queries: NDArray[Any]
    corpus: NDArray[Any]
    positives: Sequence[Sequence[Entry]]
    limits: oracle.Limits = field(default_factory=oracle.Limits)
    metric: oracle.Metric = "cosine"
    exclude: Sequence[Sequence[int]] | None = None
    groups: Sequence[int] | None = None
    eligible: oracle.Eligible | None = None
    query_offset: int = 0
    ids: Sequence[Any] | None = None
    query_ids: Sequence[Any] | None = None
    self_is_slice: bool = False  # the queries are rows `query_offset` and on of the corpus, in the same memory

    @property
    def exclude_self(self) -> bool:
        """Whether rule 3 is asked for."""
        return self.query_ids is not None or self.self_is_slice

    @property
    def self_rows(self) -> list[int] | None:
        """Give the row of every query itself, -1 for none."""
        if self.self_is_slice:
            return list(range(self.query_offset, self.query_offset + len(self.queries)))
        if self.query_ids is None or self.ids is None:
            return None
        rows = {label: row for row, label in enumerate(self.ids)}
        return [rows.get(label, -1) for label in self.query_ids]

    def cut(self, begin: int, end: int) -> Problem:
        """Queries `begin` to `end` of the same problem."""
        part = slice(begin, end)
        return replace(
            self,
            queries=self.queries[part],
            positives=self.positives[part],
            exclude=None if self.exclude is None else self.exclude[part],
            eligible=None
            if self.eligible is None
            else (self.eligible[0], self.eligible[1][part], self.eligible[2][part]),
            query_ids=None if self.query_ids is None else self.query_ids[part],
            query_offset=self.query_offset + begin,
        )


# ---- the oracle's side


def expected_pool(problem: Problem) -> list[oracle.Row]:
    """Run the oracle's first stage."""
    known: list[list[oracle.Positive]] = [
        [
            float(oracle.pair_scores(query, entry, problem.metric)) if isinstance(entry, np.ndarray) else entry
            for entry in entries
        ]
        for query, entries in zip(problem.queries, problem.positives, strict=True)
    ]
    rules = oracle.Rules(problem.exclude, problem.self_rows, problem.groups, problem.eligible)
    return oracle.candidates(
        problem.queries,
        problem.corpus,
        known,
        problem.limits,
        metric=problem.metric,
        rules=rules,
        query_offset=problem.query_offset,
    )


# ---- the product's side


def index_of(problem: Problem, how: How, memory_limit: int | None = None) -> negmine.ExactIndex:
    """Build the index, with the engine's knobs turned."""
    with pytest.MonkeyPatch.context() as patch:
        if how.tile_rows is not None:
            patch.setattr("negmine.search.exact.TILE_ROWS", how.tile_rows)
        return negmine.ExactIndex(
            how.corpus_layout(problem.corpus),
            metric=problem.metric,
            ids=labels(problem.ids),
            num_threads=how.threads,
            memory_limit=memory_limit,
        )


T = TypeVar("T")


def with_memory(how: How, work: Callable[[int | None], T]) -> T:
    """Run `work` with the limit that `how` asks for; a refusal names a limit that suffices, at most twice over."""
    limit = 1 if how.tight else None
    for _ in range(4):
        try:
            return work(limit)
        except MemoryLimitError as error:
            refusal = str(error)
        named = re.search(r"`memory_limit` must be at least (\d+) bytes", refusal)
        assert named, refusal
        assert limit is not None, refusal
        assert int(named[1]) > limit, refusal
        limit = int(named[1])
    raise AssertionError(f"four refusals in a row, the last of {limit} bytes")


def labels(values: Sequence[Any] | None) -> NDArray[Any] | None:
    """Labels as an array; an empty one is of int64."""
    return None if values is None else np.array(values, dtype=None if len(values) else np.int64)


def positives_of(problem: Problem) -> negmine.Positives:
    """Positives through the face's own constructor; scores or vectors of those outside go with them."""
    lists = [[entry if isinstance(entry, int) else -1 for entry in entries] for entries in problem.positives]
    flat = list(itertools.chain.from_iterable(problem.positives))
    scores = [entry if isinstance(entry, float) else math.nan for entry in flat]
    vectors = [entry for entry in flat if isinstance(entry, np.ndarray)]
    return negmine.Positives.from_lists(
        lists,
        positive_scores=scores if any(isinstance(entry, float) for entry in flat) else None,
        positive_embeddings=np.stack(vectors) if vectors else None,
    )


def miner_of(limits: oracle.Limits, **options: Any) -> negmine.HardNegativeMiner:
    """Build a miner with the caps, floor and window of `limits`."""
    return negmine.HardNegativeMiner(
        absolute_margin=limits.absolute_margin,
        relative_margin=limits.relative_margin,
        max_score=limits.max_score,
        min_score=limits.min_score,
        absolute_floor=limits.absolute_floor,
        relative_floor=limits.relative_floor,
        reference=limits.reference,
        range_min=limits.range_min,
        range_max=limits.range_max,
        **options,
    )


def rules_of(problem: Problem) -> dict[str, Any]:
    """Options of `candidates` that say who is a candidate."""
    eligible = problem.eligible
    return {
        "exclude": problem.exclude,
        "exclude_self": problem.exclude_self,
        "query_ids": labels(problem.query_ids),
        "groups": None if problem.groups is None else np.array(problem.groups, dtype=np.int64),
        "eligible": None if eligible is None else negmine.Eligibility(*(np.array(v, dtype=np.int64) for v in eligible)),
        "query_offset": problem.query_offset,
        "categories": [oracle_draws.category(row) for row in range(len(problem.corpus))],
    }


def actual_pool(problem: Problem, how: How, **options: Any) -> negmine.CandidatePool:
    """Run the product's first stage."""

    def work(memory_limit: int | None) -> negmine.CandidatePool:
        index = index_of(problem, how, memory_limit)
        queries = how.query_layout(problem.queries)
        if problem.self_is_slice:
            corpus: Any = index.corpus
            queries = corpus[problem.query_offset : problem.query_offset + len(problem.queries)]
        rules = rules_of(problem) | options
        return miner_of(problem.limits).candidates(
            index, queries, positives_of(problem), num_threads=how.threads, **rules
        )

    return with_memory(how, work)


# ---- the two together


def same(actual: NDArray[Any], expected: Any, dtype: Any, what: str) -> None:
    """Equal dtype, shape and bits; NaN equals NaN."""
    wanted = np.asarray(expected, dtype=dtype)
    assert actual.dtype == np.dtype(dtype), f"{what}: dtype {actual.dtype}"
    assert actual.shape == wanted.shape, f"{what}: shape {actual.shape}, expected {wanted.shape}"
    if actual.dtype.kind == "f":
        both_nan = np.isnan(actual) & np.isnan(wanted)
        bits = f"u{actual.dtype.itemsize}"
        equal = both_nan | (actual.view(bits) == wanted.view(bits))
    else:
        equal = actual == wanted
    assert equal.all(), f"{what} differ at {np.argwhere(~equal)[:5].tolist()}:\n{actual}\nexpected\n{wanted}"


def ragged(rows: Sequence[Sequence[Any]], width: int, pad: float, dtype: Any) -> NDArray[Any]:
    """Pad lists to an array."""
    out = np.full((len(rows), width), pad, dtype=dtype)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def reason_names(reasons: NDArray[np.uint8]) -> list[str]:
    """Reasons as the oracle names them."""
    return ["" if value == 0 else Reason(value).name.lower() for value in reasons]


def short_rows(reasons: Sequence[str]) -> dict[str, int]:
    """Rows per reason, full ones aside."""
    return {reason: reasons.count(reason) for reason in reasons if reason}


def same_labels(actual: NDArray[Any], rows: NDArray[np.int64], ids: Sequence[Any] | None) -> None:
    """Labels of the rows, padded with -1 or ''; the rows themselves where there are no labels."""
    known = labels(ids)
    if known is None:
        assert (actual == rows).all()
        return
    pad: Any = "" if known.dtype.kind == "U" else -1
    assert actual.tolist() == [[pad if row < 0 else known[row].item() for row in line] for line in rows.tolist()]


def assert_same_pool(
    pool: negmine.CandidatePool, rows: Sequence[oracle.Row], problem: Problem, *, norms: bool = True
) -> None:
    """Hold every array and every line of the report to the oracle's; a source without norms counts no zero rows."""
    limits = problem.limits
    width = limits.range_max - limits.range_min
    same(pool.indices, ragged([row.pool for row in rows], width, -1, np.int64), np.int64, "indices")
    same(pool.scores, ragged([row.pool_scores for row in rows], width, -math.inf, float), np.float64, "scores")
    same(pool.counts, [len(row.pool) for row in rows], np.int32, "counts")
    same(pool.query_indices, [row.global_query for row in rows], np.int64, "query_indices")
    same(pool.positive_indices, [row.positive for row in rows], np.int64, "positive_indices")
    same(pool.reference_scores, [row.reference for row in rows], np.float64, "reference_scores")
    same(pool.cap_scores, [cap_of(row, limits) for row in rows], np.float64, "cap_scores")
    floors = [limits.floor(row.reference) for row in rows if not row.no_positive]
    same(pool.floor_scores[~np.isnan(pool.cap_scores)], floors, np.float64, "floor_scores")
    same(pool.positive_scores, positive_scores(problem), np.float64, "positive_scores")
    same_labels(pool.ids, pool.indices, problem.ids)
    assert reason_names(pool.reasons) == [row.reason for row in rows]
    assert pool.reasons.dtype == np.uint8
    assert_same_report(pool.report, rows, problem, [row.reason for row in rows], norms=norms)


def cap_of(row: oracle.Row, limits: oracle.Limits) -> float:
    """Give the highest admitted score: infinity without caps, NaN where a reference is missing."""
    return math.nan if row.no_positive else min(limits.caps(row.reference).values(), default=math.inf)


def positive_scores(problem: Problem) -> list[float]:
    """Scores of the positives in CSR order: those outside the corpus as given, then the rows, rising."""
    scores: list[float] = []
    for query, entries in zip(problem.queries, problem.positives, strict=True):
        for entry in entries:
            if isinstance(entry, np.ndarray):
                scores.append(float(oracle.pair_scores(query, entry, problem.metric)))
            elif isinstance(entry, float):
                scores.append(entry)
        known = sorted({entry for entry in entries if isinstance(entry, int)})
        scores.extend(oracle.pair_scores(query, problem.corpus[known], problem.metric).tolist() if known else [])
    return scores


def assert_same_report(
    report: negmine.Report, rows: Sequence[oracle.Row], problem: Problem, reasons: Sequence[str], *, norms: bool
) -> None:
    """Hold every line, per row and in sum."""
    for line, name in LINES.items():
        same(report.lines[line], [row.counts[name] for row in rows], np.int64, line)
    totals = {line: sum(row.counts[name] for row in rows) for line, name in LINES.items()}
    totals["rest"] = sum(len(row.survivors) + row.below_floor for row in rows)
    assert report.totals() == totals
    assert report.short == short_rows(list(reasons))
    assert (report.n_documents, report.n_rows) == (len(problem.corpus), len(rows))
    assert report.n_unscanned == sum(row.no_positive for row in rows)
    rows_listed = [[entry for entry in entries if isinstance(entry, int)] for entries in problem.positives]
    assert report.duplicate_pairs == sum(len(entries) - len(set(entries)) for entries in rows_listed)
    cosine = problem.metric == "cosine" and norms
    assert report.zero_documents == (zero_rows(problem.corpus) if cosine else 0)
    assert report.zero_queries == (zero_rows(problem.queries) if cosine else 0)


def zero_rows(array: NDArray[Any]) -> int:
    """Count rows of norm zero."""
    return int((array.astype(np.float32) == 0).all(axis=1).sum())


def assert_same_choice(
    actual: negmine.HardNegatives,
    chosen: Sequence[oracle.Chosen],
    rows: Sequence[oracle.Row],
    problem: Problem,
    n: int,
    *,
    norms: bool = True,
) -> None:
    """Hold negatives to the oracle's; `n` is the number of mined ones asked for."""
    width = actual.indices.shape[1]
    scores = [oracle.public_scores(one.scores) for one in chosen]
    same(actual.indices, ragged([one.rows for one in chosen], width, -1, np.int64), np.int64, "indices")
    same(actual.scores, ragged(scores, width, -math.inf, np.float32), np.float32, "scores")
    same(actual.counts, [len(one.rows) for one in chosen], np.int32, "counts")
    chances = ragged([one.log_prob for one in chosen], width, math.nan, np.float64)
    np.testing.assert_allclose(actual.log_prob, chances, rtol=1e-9, atol=1e-12)
    sources = [[1] * len(one.mined) + [2] * len(one.random) for one in chosen]
    same(actual.source, ragged(sources, width, 0, np.uint8), np.uint8, "source")
    same(actual.query_indices, [row.global_query for row in rows], np.int64, "query_indices")
    same(actual.positive_indices, [row.positive for row in rows], np.int64, "positive_indices")
    same(actual.reference_scores, [row.reference for row in rows], np.float64, "reference_scores")
    same_labels(actual.ids, actual.indices, problem.ids)
    reasons = [one.reason for one in chosen]
    assert reason_names(actual.reasons) == reasons
    assert len(actual) == len(rows)
    assert_same_report(actual.report, rows, problem, reasons, norms=norms)
    assert all(len(one.mined) <= n for one in chosen)


def product_policy(policy: oracle_draws.Policy) -> Any:
    """Translate a policy of the oracle into the product's: the two classes share their name and fields."""
    if isinstance(policy, str):
        return policy
    classes = {known.__name__: known for known in policies.registry().values()}
    return classes[type(policy).__name__](**asdict(policy))


# ---- digests


def digest(*arrays: NDArray[Any]) -> str:
    """Give one number for all bits, shapes and dtypes."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def digest_pool(pool: negmine.CandidatePool) -> str:
    """Digest what a scan gives."""
    lines = [pool.report.lines[line] for line in LINES]
    return digest(
        pool.indices, pool.scores, pool.counts, pool.reasons, pool.reference_scores, pool.positive_scores, *lines
    )


def digest_negatives(negatives: negmine.HardNegatives) -> str:
    """Digest what a choice gives."""
    return digest(negatives.indices, negatives.scores, negatives.counts, negatives.reasons, negatives.source)
