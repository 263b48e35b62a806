"""Random negatives in addition to those that were selected from a pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.math import ln
from negmine.errors import NegmineValueError
from negmine.mining.report import LINES, Reason, Source

if TYPE_CHECKING:
    from negmine.mining.pool import CandidatePool

__all__ = ["Selected", "add_random"]

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """Arrays of the negatives of every result row; see [`negmine.HardNegatives`][].

    Attributes
    ----------
    indices : int64 (n_rows, width)
        Document rows, padded with -1.
    scores : float64 (n_rows, width)
        Their scores, padded with -inf.
    log_prob : float64 (n_rows, width)
        Log-probabilities that they are selected, padded with NaN.
    counts : int32 (n_rows,)
        Number of negatives.
    reasons : uint8 (n_rows,)
        Why a row is short.
    source : uint8 (n_rows, width)
        Origin of each negative.
    """

    indices: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    log_prob: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int32]
    reasons: npt.NDArray[np.uint8]
    source: npt.NDArray[np.uint8]

    @classmethod
    def mined(
        cls,
        indices: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float64],
        log_prob: npt.NDArray[np.float64],
        counts: npt.NDArray[np.int32],
        reasons: npt.NDArray[np.uint8],
    ) -> Selected:
        """Return what the core selected from a pool.

        Parameters
        ----------
        indices : int64 (n_rows, width)
            Document rows.
        scores, log_prob : float64 (n_rows, width)
            Their scores and log-probabilities.
        counts : int32 (n_rows,)
            Number of negatives.
        reasons : uint8 (n_rows,)
            Why a row is short.

        Returns
        -------
        Selected
        """
        source = np.where(indices >= 0, np.uint8(Source.MINED), np.uint8(Source.PADDING))
        return cls(indices, scores, log_prob, counts, reasons, source)


def add_random(pool: CandidatePool, mined: Selected, n: int, seed: int, epoch: int, threads: int) -> Selected:
    """Draw random negatives and append them to the mined ones; padding stays at the end.

    They are drawn in proportion to the weights of the pool if it has them, else uniformly.

    Parameters
    ----------
    pool : CandidatePool
        Pool that the negatives were selected from.
    mined : Selected
        Mined negatives, which are not drawn again.
    n : int
        Random negatives per row.
    seed, epoch : int
        Seed and epoch of the draws.
    threads : int
        Number of threads.

    Returns
    -------
    Selected

    Raises
    ------
    NegmineValueError
        The pool has no source.
    """
    indices, scores, log_prob, counts = _draw(pool, mined.indices, n, seed, epoch, threads)
    if log_prob is None:
        log_prob = np.where(indices >= 0, _log_inclusion(pool, mined.counts, counts)[:, None], np.nan)
    drawn = np.where(indices >= 0, Source.RANDOM, Source.PADDING).astype(np.uint8)
    source = np.concatenate([mined.source, drawn], axis=1)
    order = np.argsort(source == Source.PADDING, axis=1, kind="stable")
    exhausted = (counts < n) & (mined.counts == mined.indices.shape[1])

    def join(one: npt.NDArray[T], other: npt.NDArray[T]) -> npt.NDArray[T]:
        return np.take_along_axis(np.concatenate([one, other], axis=1), order, axis=1)

    return Selected(
        indices=join(mined.indices, indices),
        scores=join(mined.scores, scores),
        log_prob=join(mined.log_prob, log_prob),
        counts=mined.counts + counts,
        reasons=np.where(exhausted, Reason.RANDOM_EXHAUSTED, mined.reasons).astype(np.uint8),
        source=np.take_along_axis(source, order, axis=1),
    )


def _draw(
    pool: CandidatePool, chosen: npt.NDArray[np.int64], n: int, seed: int, epoch: int, threads: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64] | None, npt.NDArray[np.int32]]:
    """Return documents, scores, log-probabilities (only with weights) and counts."""
    if pool.origin is None:
        raise NegmineValueError(
            "`num_random` must have embeddings; got a pool that was loaded, rescored or fused. Call "
            "`.attach(source, queries)` first."
        )
    source, queries = pool.origin.source, pool.origin.queries
    return _native.random_negatives(
        len(source),
        pool.rules,
        pool.query_indices - pool.query_offset,
        pool.positive_indices if pool.each else None,
        pool.cap_scores,
        pool.floor_scores,
        chosen,
        pool.query_offset,
        n,
        None if pool.random_weights is None else _native.AliasTable(pool.random_weights),
        seed,
        epoch,
        lambda query, document: source.score_pairs(queries, query, document),
        threads,
    )


def _log_inclusion(
    pool: CandidatePool, mined: npt.NDArray[np.int32], drawn: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    """Return, per row, the log-probability that an admissible document is drawn uniformly.

    It is NaN where the number of admissible documents is not known.

    Floors leave out documents that are not counted, and so do caps for documents that a list does not hold.
    """
    lines = pool.report.lines
    rejected = sum(lines[line] for line in LINES if line != "unlisted")
    admissible = pool.report.n_documents - rejected - mined
    known = (pool.floor_scores == -np.inf) & ((pool.cap_scores == np.inf) | (lines["unlisted"] == 0)) & (drawn > 0)
    share = np.where(known, drawn / np.maximum(admissible, 1), 1.0)
    return np.where(known, ln(np.minimum(share, 1.0)), np.nan)
