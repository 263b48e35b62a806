"""Fusion of candidate pools of the same queries, such as those of several retrievers.

Reciprocal rank fusion is that of Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion Outperforms Condorcet and
Individual Rank Learning Methods", SIGIR 2009.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine._core.calls import ensure_fits_in_memory
from negmine._core.labels import Ids, first_difference
from negmine._core.options import check_choice, check_integer, check_real, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.pool import CandidatePool
from negmine.mining.references import reference_scores
from negmine.mining.report import LINES, Reason, Report, count_reasons
from negmine.mining.sources import PoolSources

__all__ = ["METHODS", "fuse"]

#: Ways to fuse scores.
METHODS = ("rrf", "sum", "min", "max")

#: Default of ``k``, as in the paper.
K = 60

#: Lines of the report that depend on the rules alone, and not on scores.
_CANDIDATE_LINES = tuple(line for line in LINES if not line.startswith("above_") and line != "unlisted")


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """Documents of the fused rows, in ascending order of (result row, document)."""

    rows: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    source_ranks: npt.NDArray[np.int32]
    source_scores: npt.NDArray[np.float64]


@refuse_unknown_options("fuse")
def fuse(
    pools: Iterable[CandidatePool],
    *,
    method: Literal["rrf", "sum", "min", "max"] = "rrf",
    weights: Iterable[float] | None = None,
    k: float = K,
    depth: int | None = None,
    missing: float | None = None,
) -> CandidatePool:
    """Merge pools of the same queries, positives and rules into one, with a fused score per document.

    Parameters
    ----------
    pools : iterable of CandidatePool
        The pools, such as those of several retrievers. Queries, positives, labels and rules must be equal;
        pools may lack labels of the queries that others have.
    method : {"rrf", "sum", "min", "max"}, default "rrf"
        How scores are fused. "rrf" is reciprocal rank fusion, the sum of ``weight / (k + rank)`` over the pools that
        hold the document, with ranks counted from 1. "sum" and "min" keep the documents that all pools hold, and "max"
        takes the highest score among the pools that hold the document.
    weights : iterable of float, optional
        One finite weight per pool, for "rrf" (at least 0) and "sum". They are not normalized. Default: 1 each.
    k : float, default 60
        Constant of "rrf", at least 0.
    depth : int, optional
        Number of documents of each row that take part. Default: all.
    missing : float, optional
        For "sum" and "min": the score of a document in a pool that does not hold it. Default: such documents are
        dropped.

    Returns
    -------
    CandidatePool
        The documents by (fused score descending, row ascending), as wide as the longest row, with the rank and the
        score in each pool as ``sources``. Documents that no row keeps are the report's line ``unlisted``. Reference
        scores come from the fused scores of the positives; under "rrf" there are none, so apply margins before.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument is invalid, or the pools differ in what must be equal; the message names it.

    References
    ----------
    Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning Methods",
    SIGIR 2009.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], dtype=np.float32)
    >>> miner = negmine.HardNegativeMiner(3)
    >>> pool = miner.candidates(negmine.ExactIndex(corpus), corpus[:1], [[0]])
    >>> reranked = pool.rescore(lambda queries, documents: documents / 10)
    >>> fused = negmine.fuse([pool, reranked], weights=[2, 1])
    >>> fused.indices.tolist(), fused.sources.ranks[:, 0].tolist()
    ([[1, 2, 3]], [[1, 2, 3], [3, 2, 1]])
    """
    given = _read_pools(pools)
    check_choice(method, "method", METHODS)
    factors = _read_weights(weights, method, len(given))
    constant = check_real(k, "k", least=0.0)
    if method != "rrf" and constant != K:
        raise NegmineValueError(f"`k` must be left out with method={method!r}; got {k}.")
    if missing is not None:
        if method not in ("sum", "min"):
            raise NegmineValueError(f"`missing` must be None with method={method!r}; got {missing}.")
        check_real(missing, "missing")
    if depth is not None:
        check_integer(depth, "depth", least=1)
    for pool in given[1:]:
        _check_equal(given[0], pool)
    query_ids = _query_ids(given)
    rows, documents, ranks, scores = _union(given, depth)
    if method == "rrf":
        fused = _rrf(ranks, factors, constant)
        kept = np.ones(len(rows), dtype=bool)
    else:
        filled = scores if missing is None else np.where(ranks > 0, scores, missing)
        fused = _combined(filled, method, factors)
        kept = ~np.isnan(fused)
    infinite = kept & np.isinf(fused)
    if infinite.any():
        place = int(infinite.argmax())
        query, document = given[0].query_indices[rows[place]], documents[place]
        raise NegmineValueError(
            f"`weights` must give finite scores; got {fused[place]} for query row {query} and document row {document}."
        )
    found = Fused(rows[kept], documents[kept], fused[kept], ranks[:, kept], scores[:, kept])
    return _pool(given, method, factors, found, depth, query_ids)


# ---- what is given


def _read_pools(pools: object) -> list[CandidatePool]:
    if isinstance(pools, CandidatePool) or not isinstance(pools, Iterable):
        raise NegmineTypeError(f"`pools` must be a list of CandidatePool; got {type(pools).__name__}.")
    given = list(pools)
    for pool in given:
        if not isinstance(pool, CandidatePool):
            raise NegmineTypeError(f"`pools` must hold CandidatePool; got {type(pool).__name__}.")
    if not given:
        raise NegmineValueError("`pools` must hold at least one pool; got none.")
    return given


def _read_weights(weights: object, method: str, n: int) -> list[float]:
    if weights is None:
        return [1.0] * n
    if method in ("min", "max"):
        raise NegmineValueError(f"`weights` must be None with method={method!r}; got {weights!r}.")
    if isinstance(weights, str | bytes) or not isinstance(weights, Iterable):
        raise NegmineTypeError(f"`weights` must be a list of numbers; got {weights!r}.")
    least = 0.0 if method == "rrf" else -np.inf
    factors = [check_real(weight, "weights", least=least) for weight in weights]
    if len(factors) != n:
        raise NegmineValueError(f"`weights` must have length {n}, one per pool; got {len(factors)}.")
    return factors


def _check_equal(first: CandidatePool, pool: CandidatePool) -> None:
    """Refuse pools that were not mined for the same queries, positives, documents and rules."""
    rules, others = first.rules, pool.rules
    pairs: dict[str, tuple[Any, Any]] = {
        "each": (first.each, pool.each),
        "query_offset": (first.query_offset, pool.query_offset),
        "n_documents": (first.report.n_documents, pool.report.n_documents),
        "query_indices": (first.query_indices, pool.query_indices),
        "positive_indices": (first.positive_indices, pool.positive_indices),
        "positives": (rules.positives.offsets, others.positives.offsets),
        "positives ": (rules.positives.items, others.positives.items),
        "self_rows": (rules.self_rows, others.self_rows),
        "groups": (rules.groups, others.groups),
        "categories": (first.categories, pool.categories),
        "random_weights": (first.random_weights, pool.random_weights),
    }
    for name in ("offsets", "items"):
        pairs[f"exclude {name}"] = (getattr(rules.exclude, name, None), getattr(others.exclude, name, None))
    one, other = ({} if of.eligible is None else of.eligible.arrays() for of in (rules, others))
    for name in one | other:
        pairs[f"eligible {name}"] = (one.get(name), other.get(name))
    for name, (value, its) in pairs.items():
        if (value is None) != (its is None) or (value is not None and not np.array_equal(value, its)):
            raise NegmineValueError(
                f"`pools` must have equal `{name.split()[0]}`; got {_briefly(value)} and {_briefly(its)}."
            )
    if (first.document_ids is None) != (pool.document_ids is None):
        raise NegmineValueError("`pools` must have equal `document_ids`; got labels and none.")
    _check_equal_labels("document_ids", first.document_ids, pool.document_ids)


def _query_ids(pools: Sequence[CandidatePool]) -> Ids | None:
    """Return the labels of the queries, which are those of the pools that have any."""
    known = [pool.query_ids for pool in pools if pool.query_ids is not None]
    for labels in known[1:]:
        _check_equal_labels("query_ids", known[0], labels)
    return known[0] if known else None


def _check_equal_labels(name: str, labels: Ids | None, others: Ids | None) -> None:
    if labels is None or others is None:
        return
    if (row := first_difference(labels, others)) is not None:
        got = " and ".join(repr(one[np.array([row])].tolist()[0]) for one in (labels, others))
        raise NegmineValueError(f"`pools` must have equal `{name}`; got {got} at row {row}.")


def _briefly(value: object) -> str:
    if isinstance(value, np.ndarray):
        return (
            f"{value.tolist()}" if value.size <= 6 else f"{str(value[:6].tolist())[:-1]}, ...] of length {len(value)}"
        )
    return repr(value)


# ---- scores


def _union(
    pools: Sequence[CandidatePool], depth: int | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Return the documents that any pool holds, as pairs in ascending order, with rank and score in each pool."""
    n_documents = max(pools[0].report.n_documents, 1)
    pairs, ranks, scores = [], [], []
    for pool in pools:
        row, column = np.nonzero(pool.indices[:, :depth] >= 0)
        pairs.append(row * n_documents + pool.indices[row, column])
        ranks.append(column + 1)
        scores.append(pool.scores[row, column])
    distinct, places = np.unique(np.concatenate(pairs), return_inverse=True)
    all_ranks = np.zeros((len(pools), len(distinct)), dtype=np.int32)
    all_scores = np.full((len(pools), len(distinct)), np.nan)
    parts = np.split(places.reshape(-1), np.cumsum([len(part) for part in pairs])[:-1])
    for number, part in enumerate(parts):
        all_ranks[number, part] = ranks[number]
        all_scores[number, part] = scores[number]
    return distinct // n_documents, distinct % n_documents, all_ranks, all_scores


def _rrf(ranks: npt.NDArray[np.int32], factors: Sequence[float], k: float) -> npt.NDArray[np.float64]:
    """Add the terms of every document, smallest first, so that their order among the pools changes no bit."""
    terms = np.where(ranks > 0, np.array(factors)[:, None] / (k + np.maximum(ranks, 1)), 0.0)
    return _added(np.sort(terms, axis=0))


def _added(terms: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Add the rows one after the other; NumPy's own sum may add in another order."""
    total: npt.NDArray[np.float64] = terms[0].copy()
    for term in terms[1:]:
        total += term
    return total


def _combined(scores: npt.NDArray[np.float64], method: str, factors: Sequence[float]) -> npt.NDArray[np.float64]:
    """Fuse scores of documents or positives, one row per pool; NaN where one that is needed is missing."""
    if method in ("min", "max"):
        extreme: npt.NDArray[np.float64] = (np.fmax if method == "max" else np.minimum).reduce(scores, axis=0)
        return extreme + 0.0  # -0.0 becomes +0.0
    with np.errstate(over="ignore", invalid="ignore"):
        return _added(np.array(factors)[:, None] * scores) + 0.0


# ---- the pool


def _pool(
    pools: Sequence[CandidatePool],
    method: str,
    factors: Sequence[float],
    found: Fused,
    depth: int | None,
    query_ids: Ids | None,
) -> CandidatePool:
    """Return the fused pool."""
    rows, documents, fused = found.rows, found.documents, found.scores
    first, n = pools[0], len(pools[0])
    counts = np.bincount(rows, minlength=n)
    width = int(counts.max(initial=0))
    ensure_fits_in_memory(n, width * (1 + len(pools)), "pools")
    order = np.lexsort((documents, -fused, rows))
    column = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    indices, values = np.full((n, width), -1, dtype=np.int64), np.full((n, width), -np.inf)
    indices[rows[order], column], values[rows[order], column] = documents[order], fused[order]
    source_ranks = np.zeros((len(pools), n, width), dtype=np.int32)
    source_scores = np.full((len(pools), n, width), np.nan)
    source_ranks[:, rows[order], column] = found.source_ranks[:, order]
    source_scores[:, rows[order], column] = found.source_scores[:, order]

    positives = np.stack([pool.positive_scores for pool in pools])
    positives = np.full(positives.shape[1], np.nan) if method == "rrf" else _combined(positives, method, factors)
    kind = "each" if first.each else "min"
    queries = first.query_indices - first.query_offset
    references = reference_scores(first.rules.positives, positives, queries, first.positive_indices, kind)
    unscanned = np.logical_and.reduce([np.isnan(pool.cap_scores) for pool in pools])
    reasons = _reasons(pools, counts, width, depth)
    return replace(
        first,
        indices=indices,
        scores=values,
        counts=counts.astype(np.int32),
        reasons=reasons,
        reference_scores=references,
        positive_scores=positives,
        report=_report(pools, counts, unscanned, reasons),
        cap_scores=np.where(unscanned, np.nan, np.inf),
        floor_scores=np.full(len(first), -np.inf),
        origin=None,
        guide_scores=None,
        guide_positive_scores=None,
        sources=PoolSources(source_ranks, source_scores),
        query_ids=query_ids,
        skipped=None,
        rejected=None,
    )


def _reasons(
    pools: Sequence[CandidatePool], counts: npt.NDArray[np.int64], width: int, depth: int | None
) -> npt.NDArray[np.uint8]:
    """Return why rows have no more documents."""
    own = np.stack([pool.reasons for pool in pools])
    full = np.isin(own, (Reason.NONE, Reason.RANK_WINDOW))
    if depth is not None:
        full |= np.stack([pool.counts > depth for pool in pools])
    any_full = full.any(axis=0)
    # A row that no pool can make longer keeps the reason of its sources even if it is as wide as the fused pool.
    least = own.min(axis=0, initial=max(Reason))
    return np.where(any_full, np.where(counts == width, Reason.NONE, Reason.RANK_WINDOW), least).astype(np.uint8)


def _report(
    pools: Sequence[CandidatePool],
    counts: npt.NDArray[np.int64],
    unscanned: npt.NDArray[np.bool_],
    reasons: npt.NDArray[np.uint8],
) -> Report:
    """Return the report: what the rules rejected, and the documents that no row kept."""
    reports = [pool.report for pool in pools]
    # A row that one pool did not scan has its lines in the others.
    lines = {line: np.max([report.lines[line] for report in reports], axis=0) for line in _CANDIDATE_LINES}
    others = sum(lines.values(), counts)
    unlisted = np.where(unscanned, 0, reports[0].n_documents - others)
    none = np.zeros(len(counts), dtype=np.int64)
    return replace(
        reports[0],
        n_unscanned=int(unscanned.sum()),
        lines={**dict.fromkeys(LINES, none), **lines, "unlisted": unlisted},
        short=count_reasons(reasons),
        zero_documents=max(report.zero_documents for report in reports),
        zero_queries=max(report.zero_queries for report in reports),
        approximation=next((report.approximation for report in reports if report.approximation is not None), None),
        diagnostics={},
    )
