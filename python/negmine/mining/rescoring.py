"""Scores of a teacher for the documents of a pool and for the positives, in batches and with a cache."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.arrays import as_array, as_float64s, describe_kind
from negmine._core.calls import Progress, check_progress
from negmine._core.labels import Ids, as_labels, take_ids
from negmine._core.options import check_flag, check_integer
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.mining.bands import take
from negmine.mining.references import Reference, check_reference, reference_scores
from negmine.mining.score_cache import ScoreCache, check_text, label_digests, open_cache, row_digests

if TYPE_CHECKING:
    from negmine.mining.pool import CandidatePool

__all__ = ["Scorer", "rescore"]

#: Function that returns one score per pair, given rows of queries and rows of documents.
Scorer = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], Any]

#: Seconds between two calls of ``progress``.
_REPORT_EVERY = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs that are scored, each once, in ascending order of query and document.

    Attributes
    ----------
    queries, documents : int64 (n,)
        Rows of the whole data set.
    query_offset : int
        Row of the first query of the pool.
    query_ids : int64 (n_queries,), Strings or None
        Labels of the pool's queries.
    document_ids : int64 (n_documents,), Strings or None
        Labels of the documents.
    """

    queries: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int64]
    query_offset: int
    query_ids: Ids | None
    document_ids: Ids | None

    def describe(self, place: int) -> str:
        """Describe a pair, for error messages; by labels where they are known.

        Parameters
        ----------
        place : int
            The pair.

        Returns
        -------
        str
        """
        sides = []
        for side, labels, row, at in (
            ("query", self.query_ids, int(self.queries[place]), int(self.queries[place]) - self.query_offset),
            ("document", self.document_ids, int(self.documents[place]), int(self.documents[place])),
        ):
            known = f"row {row}" if labels is None else repr(take_ids(labels, np.array([at])).tolist()[0])
            sides.append(f"{side} {known}")
        return " and ".join(sides)

    def keys(self, name: str, cache_key: str | None) -> npt.NDArray[np.uint64]:
        """Return the keys of all pairs in a cache.

        Parameters
        ----------
        name : str
            Name of the scorer.
        cache_key : str or None
            Name of the data set, for sides without labels.

        Returns
        -------
        uint64 (n, 2)
        """
        total = np.zeros((len(self.queries), 2), dtype=np.uint64)
        for side, labels, rows, offset in (
            ("query", self.query_ids, self.queries, self.query_offset),
            ("document", self.document_ids, self.documents, 0),
        ):
            distinct, places = np.unique(rows, return_inverse=True)
            if labels is None:
                digests = row_digests(distinct, side, name, cache_key or "")
            else:
                digests = label_digests(take_ids(labels, distinct - offset), side, name)
            total += digests[places.reshape(-1)]  # modulo 2**64 per word
        return total


def rescore(
    pool: CandidatePool,
    scorer: Scorer | npt.ArrayLike,
    *,
    as_guide: bool,
    positive_scores: npt.ArrayLike | None,
    reference: Reference | None,
    batch_size: int,
    cache: str | os.PathLike[str] | None,
    name: str | None,
    query_ids: npt.ArrayLike | None,
    cache_key: str | None,
    progress: Progress | None,
) -> CandidatePool:
    """Score the documents of a pool and the positives; see [`CandidatePool.rescore`][].

    Parameters
    ----------
    pool : CandidatePool
        The pool.
    scorer : callable or float64 (n_rows, width)
        The teacher, or its scores.
    as_guide : bool
        Whether to keep the pool's scores as well.
    positive_scores : float64 (n_positives,) or None
        Scores of the positives, if ``scorer`` is an array.
    reference : {"min", "max", "mean", "each"} or None
        The new score that margins refer to.
    batch_size : int
        Maximum number of pairs per call.
    cache : path or None
        File of scores.
    name : str or None
        Name of the scorer in the cache.
    query_ids : int64 or str (n_queries,) or None
        Labels of the pool's queries. Default: those that the pool has.
    cache_key : str or None
        Name of the data set in the cache.
    progress : callable or None
        Called as ``progress(done, total)``.

    Returns
    -------
    CandidatePool
    """
    guided = check_flag(as_guide, "as_guide")
    if guided and reference is not None:
        raise NegmineValueError(
            f"`reference` must be None with `as_guide=True`, which keeps the references; got {reference!r}."
        )
    kind = check_reference(reference, pool.each)
    check_integer(batch_size, "batch_size", least=1)
    check_progress(progress)
    labels = _query_labels(pool, query_ids)
    if callable(scorer):
        if positive_scores is not None:
            raise NegmineValueError("`positive_scores` must be None if `scorer` is callable; got scores.")
        scores, positives = _by_function(pool, scorer, labels, batch_size, cache, name, cache_key, progress)
    else:
        for argument, value in (("cache", cache), ("name", name), ("cache_key", cache_key)):
            if value is not None:
                raise NegmineValueError(f"`{argument}` must be None if `scorer` is an array; got {value!r}.")
        scores, positives = _by_array(pool, scorer, positive_scores, labels)
    if guided:
        return replace(pool, guide_scores=scores, guide_positive_scores=positives)
    return _ranked(pool, scores, positives, kind)


def _query_labels(pool: CandidatePool, query_ids: npt.ArrayLike | None) -> Ids | None:
    if query_ids is None:
        return pool.query_ids
    labels, n = as_labels(query_ids, "query_ids"), len(pool.rules.positives.offsets) - 1
    if len(labels) != n:
        raise NegmineValueError(f"`query_ids` must have shape ({n},); got shape {labels.shape}.")
    return labels


def _ranked(
    pool: CandidatePool, scores: npt.NDArray[np.float64], positives: npt.NDArray[np.float64], kind: str
) -> CandidatePool:
    """Return the pool with other scores, ranked by them."""
    # Padding has the lowest score and is sorted last, because finite scores are higher.
    order = np.lexsort((pool.indices, -scores), axis=1)
    places = np.where(np.take_along_axis(pool.indices, order, axis=1) >= 0, order, -1)
    queries = pool.query_indices - pool.query_offset
    return replace(
        take(replace(pool, scores=scores, rejected=None), places),
        positive_scores=positives,
        reference_scores=reference_scores(pool.rules.positives, positives, queries, pool.positive_indices, kind),
        # Rows that were not scanned for lack of a positive stay what they are.
        cap_scores=np.where(np.isnan(pool.cap_scores), np.nan, np.inf),
        floor_scores=np.full(len(pool), -np.inf),
        origin=None,
    )


# ---- arrays


def _by_array(
    pool: CandidatePool, given: object, positive_scores: npt.ArrayLike | None, labels: Ids | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Validate scores that are aligned with the pool, and those of the positives."""
    array = as_array(_to_numpy(given), "scorer")
    if array.dtype.kind not in "iuf":
        raise NegmineTypeError(f"`scorer` must be callable or hold numbers; got {describe_kind(array)}.")
    if array.shape != pool.indices.shape:
        raise NegmineValueError(
            f"`scorer` must have the shape of the pool's indices, {pool.indices.shape}; got shape {array.shape}."
        )
    real = pool.indices >= 0
    scores = np.where(real, array.astype(np.float64) + 0.0, -np.inf)
    bad = real & ~np.isfinite(scores)
    if bad.any():
        row, column = (int(places[0]) for places in np.nonzero(bad))
        pair = Pairs(
            pool.query_indices[row : row + 1],
            pool.indices[row, column : column + 1],
            pool.query_offset,
            labels,
            pool.document_ids,
        )
        raise NegmineValueError(f"`scorer` must hold finite scores; got {scores[row, column]} for {pair.describe(0)}.")
    positives = _given_positives(pool)
    if positive_scores is not None:
        given_scores = as_float64s(_to_numpy(positive_scores), "positive_scores", len(positives))
        if np.isinf(given_scores).any():
            place = int(np.isinf(given_scores).argmax())
            raise NegmineValueError(
                f"`positive_scores` must be finite or NaN; got {given_scores[place]} at position {place}."
            )
        positives = np.where(np.isnan(given_scores), positives, given_scores)
    return scores, positives


def _given_positives(pool: CandidatePool) -> npt.NDArray[np.float64]:
    """Return the scores of the positives outside the corpus, which no scorer sees, and NaN for the others."""
    return np.where(pool.rules.positives.items < 0, pool.positive_scores, np.nan)


def _to_numpy(value: Any) -> Any:  # noqa: ANN401 (anything that a scorer returns)
    """Convert a tensor of any device and floating-point type; other values stay as they are."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return value.detach().to("cpu", torch.float64).numpy()
    return value


# ---- functions


def _by_function(
    pool: CandidatePool,
    scorer: Scorer,
    labels: Ids | None,
    batch_size: int,
    cache: str | os.PathLike[str] | None,
    name: str | None,
    cache_key: str | None,
    progress: Progress | None,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Score every pair of the pool once, and every positive inside the corpus."""
    path = None if cache is None else files.as_path(cache, "cache")
    lists, real = pool.rules.positives, pool.indices >= 0
    inside = lists.items >= 0
    n_documents = max(pool.report.n_documents, 1)
    stored = np.broadcast_to((pool.query_indices - pool.query_offset)[:, None], real.shape)[real]
    known = np.repeat(np.arange(len(lists.offsets) - 1), np.diff(lists.offsets))[inside]
    both = np.concatenate([stored * n_documents + pool.indices[real], known * n_documents + lists.items[inside]])
    distinct, places = np.unique(both, return_inverse=True)
    places = places.reshape(-1)
    pairs = Pairs(
        distinct // n_documents + pool.query_offset,
        distinct % n_documents,
        pool.query_offset,
        labels,
        pool.document_ids,
    )
    with ExitStack() as stack:
        opened, keys = None, None
        if path is None:
            for argument, value in (("name", name), ("cache_key", cache_key)):
                if value is not None:
                    raise NegmineValueError(f"`{argument}` must be given together with `cache`; got {value!r}.")
        else:
            keys = pairs.keys(*_cache_names(pairs, name, cache_key))
            opened = stack.enter_context(open_cache(path))
        scores = _in_batches(pairs, scorer, batch_size, opened, keys, progress)
    found = np.full(real.shape, -np.inf)
    found[real] = scores[places[: len(stored)]]
    positives = _given_positives(pool)
    positives[inside] = scores[places[len(stored) :]]
    return found, positives


def _cache_names(pairs: Pairs, name: str | None, cache_key: str | None) -> tuple[str, str | None]:
    """Validate the names under which scores are cached."""
    if name is None:
        raise NegmineValueError("`name` must be given together with `cache`, which distinguishes scorers; got None.")
    missing = [side for side in ("query_ids", "document_ids") if getattr(pairs, side) is None]
    if not missing and cache_key is not None:
        raise NegmineValueError(f"`cache_key` must be None where queries and documents have labels; got {cache_key!r}.")
    if missing and cache_key is None:
        words = " and ".join({"query_ids": "queries", "document_ids": "documents"}[side] for side in missing)
        raise NegmineValueError(
            f"`cache_key` must name the data set for {words} without labels, since rows shift when it changes; "
            "got None."
        )
    return check_text(name, "name"), None if cache_key is None else check_text(cache_key, "cache_key")


def _in_batches(
    pairs: Pairs,
    scorer: Scorer,
    batch_size: int,
    cache: ScoreCache | None,
    keys: npt.NDArray[np.uint64] | None,
    progress: Progress | None,
) -> npt.NDArray[np.float64]:
    """Return the score of every pair: that of the cache, or that of the scorer."""
    total = len(pairs.queries)
    scores = np.full(total, np.nan) if cache is None or keys is None else cache.find(keys)
    waiting = np.flatnonzero(np.isnan(scores))
    reported = -np.inf
    for begin in range(0, len(waiting), batch_size):
        if progress is not None and (now := time.monotonic()) - reported > _REPORT_EVERY:
            reported = now
            progress(total - len(waiting) + begin, total)
        batch = waiting[begin : begin + batch_size]
        scores[batch] = _score(pairs, scorer, batch)
        if cache is not None and keys is not None:
            cache.append(keys[batch], scores[batch])
    if progress is not None:
        progress(total, total)
    return scores


def _score(pairs: Pairs, scorer: Scorer, batch: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Score one batch, and refuse what is no score."""

    def words() -> str:
        first, last = pairs.describe(batch[0]), pairs.describe(batch[-1])
        return first if len(batch) == 1 else f"{len(batch)} pairs, from {first} to {last}"

    try:
        returned = _to_numpy(scorer(pairs.queries[batch], pairs.documents[batch]))
    except Exception as error:
        raise NegmineValueError(f"`scorer` must return scores; got {error!r} for {words()}.") from error
    try:
        scores = as_float64s(returned, "scorer", len(batch))
    except NegmineError as error:
        shape = getattr(returned, "shape", None) or (len(returned) if hasattr(returned, "__len__") else None)
        got = f"{type(returned).__name__} of shape {shape}" if shape is not None else type(returned).__name__
        kind = NegmineTypeError if isinstance(error, TypeError) else NegmineValueError
        raise kind(f"`scorer` must return one number per pair; got {got} for {words()}.") from error
    finite = np.isfinite(scores)
    if not finite.all():
        place = int(np.argmin(finite))
        raise NegmineValueError(
            f"`scorer` must return finite scores; got {scores[place]} for {pairs.describe(batch[place])}."
        )
    return scores + 0.0  # -0.0 becomes +0.0
