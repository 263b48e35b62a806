"""Inputs of a job: digests of its task, and options that only a job has."""

from __future__ import annotations

from typing import Any

import numpy as np

from negmine._core import formats
from negmine._core.arrays import as_rows
from negmine._core.options import check_integer
from negmine.data import fingerprint
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.io.negatives import describe_miner
from negmine.mining.miner import HardNegativeMiner
from negmine.mining.task import MiningTask
from negmine.search.lists import ScoredLists

__all__ = ["check_shard", "check_tile", "digests", "refuse_limit"]


def digests(task: MiningTask, num_threads: int) -> dict[str, Any]:
    """Digest everything that the result depends on; this reads all values once, and refuses NaN and infinity.

    Parameters
    ----------
    task : MiningTask
        Arguments of the job.
    num_threads : int
        Number of threads.

    Returns
    -------
    dict
        Digests and options, by name.

    Raises
    ------
    NegmineValueError
        A value is NaN, infinite, or too large for float32.
    """
    rules = task.rules
    options = describe_miner(task.miner)
    metric = None if isinstance(task.corpus, ScoredLists) else task.metric
    options |= {"metric": metric, "exclude_self": task.exclude_self, "epoch": task.epoch}
    weights = rules.random_weights
    return {
        "canonical_version": formats.CANONICAL_SCORE.version,
        **_digests_of_source(task, num_threads),
        "positives": fingerprint.of_lists(rules.positives, num_threads),
        "document_ids": fingerprint.of_labels(task.document_ids),
        "query_ids": fingerprint.of_labels(task.query_ids),
        "exclude": fingerprint.of_lists(rules.exclude),
        "groups": fingerprint.of_integers(rules.groups),
        "eligible": fingerprint.of_eligibility(rules.eligible),
        "categories": fingerprint.of_integers(rules.categories),
        "options": options,
        # Without weights, the digests are those of jobs from before there were any.
        **({} if weights is None else {"random_weights": fingerprint.of_scores(weights)}),
    }


def _digests_of_source(task: MiningTask, num_threads: int) -> dict[str, Any]:
    """Digest queries and corpus: embeddings, or ranked lists and their numbers."""
    if not isinstance(task.corpus, ScoredLists):
        return {
            "queries": fingerprint.of_rows(as_rows(task.queries, "queries"), "queries", num_threads),
            "corpus": fingerprint.of_rows(as_rows(task.corpus, "corpus"), "corpus", num_threads),
        }
    numbers = np.arange(task.n_queries) if task.queries is None else np.asarray(task.queries)
    lists, scores = task.corpus.arrays()
    corpus = {
        "shape": [len(task.corpus), len(scores)],
        "lists": fingerprint.of_lists(lists),
        "scores": fingerprint.of_scores(scores),
        "positive_scores": fingerprint.of_scores(task.corpus.positive_scores),
    }
    return {"queries": fingerprint.of_integers(numbers), "corpus": corpus}


def refuse_limit(miner: HardNegativeMiner) -> None:
    """Refuse a miner with ``limit_per_document``, which one tile cannot apply alone.

    Parameters
    ----------
    miner : HardNegativeMiner
        The miner.

    Raises
    ------
    NegmineValueError
        The miner has a limit.
    """
    if miner.limit_per_document is not None:
        raise NegmineValueError(
            "`limit_per_document` must be None in a job: it looks at all queries at once, and a tile does not; got "
            f"{miner.limit_per_document}. `HardNegativeMiner.mine` and `CandidatePool.select` have it."
        )


def check_tile(tile_queries: object, miner: HardNegativeMiner) -> int:
    """Validate the size of a tile, whose negatives must fit into one Arrow list.

    Parameters
    ----------
    tile_queries : int
        Queries per tile.
    miner : HardNegativeMiner
        The miner, whose options decide the number of negatives per query.

    Returns
    -------
    int

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The value is not an integer, or is too small or too large.
    """
    tile = check_integer(tile_queries, "tile_queries", least=1)
    most = (2**31 - 1) // (miner.num_negatives + miner.num_random)
    if tile > most:
        raise NegmineValueError(f"`tile_queries` must be at most {most} for so many negatives; got {tile}.")
    return tile


def check_shard(shard: object) -> tuple[int, int]:
    """Validate a shard.

    Parameters
    ----------
    shard : tuple of int
        ``(i, n)``, with ``i`` counted from 0.

    Returns
    -------
    tuple of int

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The value is not such a pair.
    """
    if not isinstance(shard, tuple | list) or len(shard) != 2:
        raise NegmineTypeError(f"`shard` must be a pair (i, n); got {shard!r}.")
    n = check_integer(shard[1], "shard", least=1)
    i = check_integer(shard[0], "shard", least=0)
    if i >= n:
        raise NegmineValueError(f"`shard` must be (i, n) with i below n, counted from 0; got ({i}, {n}).")
    return i, n
