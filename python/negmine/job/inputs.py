"""What a job is made of: arguments checked before anything is written, and their digests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import CsrLike, Ids, Rows, as_ids, as_int64s, as_labels, as_rows
from negmine._core.calls import Progress
from negmine._core.options import check_choice, check_epoch, check_flag, check_integer
from negmine.data import fingerprint
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.io.negatives import describe_miner
from negmine.mining.miner import HardNegativeMiner
from negmine.mining.negatives import HardNegatives
from negmine.mining.rules import self_rows
from negmine.search.exact import METRICS, ExactIndex, Metric, eligibility, exclusions

__all__ = ["Inputs", "check", "check_shard", "check_tile", "refuse_limit"]

#: Raised whenever the same inputs could give another answer: the canonical score and the rules of mining. Since
#: version 2 cosines are clamped to [-1, 1].
CANONICAL_VERSION = 2


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """All that a job is made of, checked."""

    queries: Any
    corpus: object
    query_array: Rows
    corpus_array: Rows
    positives: Positives
    miner: HardNegativeMiner
    metric: Metric
    document_ids: Ids | None
    query_ids: Ids | None
    exclude: Positives | None
    exclude_self: bool
    groups: npt.NDArray[np.int64] | None
    eligible: Eligibility | None
    epoch: int

    @property
    def n_queries(self) -> int:
        """Queries of the whole set."""
        return len(self.positives)

    def digests(self, num_threads: int) -> dict[str, Any]:
        """What the answer depends on; reads all values once, and refuses NaN and infinity."""
        options = describe_miner(self.miner)
        options |= {"metric": self.metric, "exclude_self": self.exclude_self, "epoch": self.epoch}
        return {
            "canonical_version": CANONICAL_VERSION,
            "queries": fingerprint.of_rows(self.query_array, "queries", num_threads),
            "corpus": fingerprint.of_rows(self.corpus_array, "corpus", num_threads),
            "positives": fingerprint.of_lists(self.positives, num_threads),
            "document_ids": fingerprint.of_labels(self.document_ids),
            "query_ids": fingerprint.of_labels(self.query_ids),
            "exclude": fingerprint.of_lists(self.exclude),
            "groups": fingerprint.of_integers(self.groups),
            "eligible": fingerprint.of_eligibility(self.eligible),
            "options": options,
        }

    def mine(self, index: ExactIndex, begin: int, end: int, num_threads: int, progress: Progress) -> HardNegatives:
        """Queries ``begin`` to ``end``."""
        by_label = self.exclude_self and self.document_ids is not None and self.query_ids is not None
        return self.miner.mine(
            index,
            self.queries[begin:end],
            self.positives.slice(begin, end),
            epoch=self.epoch,
            num_threads=num_threads,
            progress=progress,
            exclude=None if self.exclude is None else self.exclude.slice(begin, end),
            exclude_self=self.exclude_self,
            query_ids=self.query_ids[begin:end] if by_label and self.query_ids is not None else None,
            groups=self.groups,
            eligible=None if self.eligible is None else self.eligible.slice(begin, end),
            query_offset=begin,
        )


def check(
    queries: Any,  # noqa: ANN401 (arrays of several libraries)
    corpus: object,
    positives: Positives | Iterable[Iterable[int]],
    *,
    miner: HardNegativeMiner | None = None,
    options: Mapping[str, Any] | None = None,
    metric: Metric = "cosine",
    document_ids: npt.ArrayLike | None = None,
    query_ids: npt.ArrayLike | None = None,
    exclude: Positives | Iterable[Iterable[int]] | None = None,
    exclude_self: bool = False,
    groups: npt.ArrayLike | None = None,
    eligible: Eligibility | None = None,
    epoch: int = 0,
) -> Inputs:
    """Check all that does not need the values: a mistake must not turn up in the middle of a job.

    ``options`` are those of a miner, where ``miner`` is None; the others are as :func:`mine_to` takes them.
    """
    if miner is not None and options:
        raise NegmineTypeError(f"`miner` must be None where options are given; got a miner and {', '.join(options)}.")
    miner = HardNegativeMiner(**(options or {})) if miner is None else miner
    if not isinstance(miner, HardNegativeMiner):
        raise NegmineTypeError(f"`miner` must be a HardNegativeMiner; got {type(miner).__name__}.")
    query_array, corpus_array = as_rows(queries, "queries"), as_rows(corpus, "corpus")
    n_queries, width = query_array.shape
    n_documents, corpus_width = corpus_array.shape
    if width != corpus_width:
        raise NegmineValueError(f"`queries` must have the width of `corpus`, {corpus_width}; got {width}.")
    known = Positives.read(positives, "positives")
    lists: list[tuple[str, CsrLike]] = [("positives", known)]
    excluded = exclusions(exclude)
    lists += [] if excluded is None else [("exclude", excluded)]
    for argument, rows in lists:
        if len(rows.offsets) - 1 != n_queries:
            raise NegmineValueError(
                f"`{argument}` must have a list per query, {n_queries}; got {len(rows.offsets) - 1}."
            )
        if len(rows.items) and rows.items.max() >= n_documents:
            raise NegmineValueError(f"`{argument}` must hold rows below {n_documents}; got {rows.items.max()}.")
    if excluded is not None and (excluded.items < 0).any():
        raise NegmineValueError(f"`exclude` must hold row numbers below {n_documents}; got {excluded.items.min()}.")
    eligible = eligibility(eligible)
    if eligible is not None and (len(eligible.keys), len(eligible.lowest)) != (n_documents, n_queries):
        raise NegmineValueError(
            f"`eligible` must have {n_documents} keys and {n_queries} ranges; got {len(eligible.keys)} and "
            f"{len(eligible.lowest)}."
        )
    labels = None if query_ids is None else as_labels(query_ids, "query_ids")
    if labels is not None and labels.shape != (n_queries,):
        raise NegmineValueError(f"`query_ids` must have shape ({n_queries},); got shape {labels.shape}.")
    document_labels = None if document_ids is None else as_ids(document_ids, "document_ids", n_documents)
    if check_flag(exclude_self, "exclude_self"):
        self_rows(corpus_array, document_labels, query_array, None if document_ids is None else labels, 0)
    return Inputs(
        queries=queries,
        corpus=corpus,
        query_array=query_array,
        corpus_array=corpus_array,
        positives=known,
        miner=miner,
        metric=check_choice(metric, "metric", METRICS),  # type: ignore[arg-type]
        document_ids=document_labels,
        query_ids=labels,
        exclude=excluded,
        exclude_self=bool(exclude_self),
        groups=None if groups is None else as_int64s(groups, "groups", n_documents),
        eligible=eligible,
        epoch=check_epoch(epoch),
    )


def refuse_limit(miner: HardNegativeMiner) -> None:
    """Refuse what no tile can do alone."""
    if miner.limit_per_document is not None:
        raise NegmineValueError(
            "`limit_per_document` must be None in a job: it looks at all queries at once, and a tile does not; got "
            f"{miner.limit_per_document}. `HardNegativeMiner.mine` and `CandidatePool.limit_per_document` have it."
        )


def check_tile(tile_queries: object, miner: HardNegativeMiner) -> int:
    """Read the size of a tile, whose negatives must fit into one Arrow list."""
    tile = check_integer(tile_queries, "tile_queries", least=1)
    most = (2**31 - 1) // (miner.num_negatives + miner.num_random)
    if tile > most:
        raise NegmineValueError(f"`tile_queries` must be at most {most} for so many negatives; got {tile}.")
    return tile


def check_shard(shard: object) -> tuple[int, int]:
    """Read a shard: (i, n), counted from 0."""
    if not isinstance(shard, tuple | list) or len(shard) != 2:
        raise NegmineTypeError(f"`shard` must be a pair (i, n); got {shard!r}.")
    n = check_integer(shard[1], "shard", least=1)
    i = check_integer(shard[0], "shard", least=0)
    if i >= n:
        raise NegmineValueError(f"`shard` must be (i, n) with i below n, counted from 0; got ({i}, {n}).")
    return i, n
