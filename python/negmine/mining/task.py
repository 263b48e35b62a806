"""One mining task: what is mined, for whom and how, validated before anything is read or written.

`negmine.mine`, `negmine.mine_to`, the command line and `negmine.torch.refresh` all build a `MiningTask`, so that a rule
is checked in one place and a mistake does not turn up in the middle of a job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import numpy.typing as npt

from negmine._core.arrays import Ids, as_ids, as_labels, as_rows
from negmine._core.calls import Progress, check_progress, resolve_num_threads
from negmine._core.options import check_choice, check_epoch, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.miner import HardNegativeMiner
from negmine.mining.negatives import HardNegatives
from negmine.mining.options import CandidateOptions, MineOptions
from negmine.mining.rules import CandidateRules, WarmStart
from negmine.search.exact import ExactIndex
from negmine.search.protocol import CandidateSource
from negmine.search.results import METRICS, Metric

__all__ = ["MiningTask", "mine", "read_miner"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class MiningTask:
    """What is mined, validated; :meth:`read` makes it.

    Attributes
    ----------
    queries : array (n_queries, width), or what a source without embeddings takes
        As the caller gave it.
    corpus : array (n_documents, width) or CandidateSource
        As the caller gave it.
    rules : CandidateRules
        Which documents are candidates of each query.
    miner : HardNegativeMiner
        Which candidates become negatives.
    metric : {"cosine", "ip", "l2"}
        What scores measure.
    document_ids, query_ids : int64 or str, or None
        Labels of the documents and the queries.
    exclude_self : bool
        Whether a query is no candidate of itself.
    warm_start : CandidatePool, HardNegatives, int64 (n_queries, any) or None
        Where the scan starts from.
    query_offset : int
        Row of the first query in the whole set.
    epoch : int
        Epoch of the draws.
    """

    queries: Any
    corpus: object
    rules: CandidateRules
    miner: HardNegativeMiner
    metric: Metric
    document_ids: Ids | None
    query_ids: Ids | None
    exclude_self: bool
    warm_start: WarmStart | None
    query_offset: int
    epoch: int

    @classmethod
    def read(
        cls,
        queries: object,
        corpus: object,
        positives: Positives | Iterable[Iterable[int]] | Iterable[int],
        miner: HardNegativeMiner,
        *,
        metric: Metric = "cosine",
        document_ids: npt.ArrayLike | None = None,
        query_ids: npt.ArrayLike | None = None,
        exclude: Positives | Iterable[Iterable[int]] | None = None,
        exclude_self: bool = False,
        groups: npt.ArrayLike | None = None,
        eligible: Eligibility | None = None,
        warm_start: WarmStart | None = None,
        query_offset: int = 0,
        epoch: int = 0,
    ) -> MiningTask:
        """Validate all that can be validated without reading embeddings.

        Parameters
        ----------
        queries, corpus, positives
            As for :func:`negmine.mine`.
        miner : HardNegativeMiner
            Which candidates become negatives.
        metric, document_ids, query_ids, exclude, exclude_self, groups, eligible, warm_start, query_offset, epoch
            As for :func:`negmine.mine`.

        Returns
        -------
        MiningTask

        Raises
        ------
        NegmineValueError, NegmineTypeError
            An argument that breaks its rule; the message names it.
        """
        miner.check_window()
        if isinstance(corpus, CandidateSource):
            if document_ids is not None or metric != "cosine":
                name, got = ("metric", metric) if document_ids is None else ("document_ids", "labels")
                raise NegmineTypeError(f"`{name}` must not come with a corpus that is a source already; got {got!r}.")
            source: CandidateSource = corpus
            metric = getattr(corpus, "metric", "cosine")
        else:
            source = _Described(corpus, document_ids)
            width = as_rows(queries, "queries").shape[1]
            if width != source.width:
                raise NegmineValueError(f"`queries` must have the width of `corpus`, {source.width}; got {width}.")
        labels = None if query_ids is None else as_labels(query_ids, "query_ids")
        by_label = exclude_self and source.document_ids is not None
        rules = CandidateRules.read(
            source,
            queries,
            positives,
            exclude=exclude,
            exclude_self=exclude_self,
            query_ids=labels if by_label else None,
            groups=groups,
            eligible=eligible,
            query_offset=query_offset,
        )
        if labels is not None and labels.shape != (rules.n_queries,):
            raise NegmineValueError(f"`query_ids` must have shape ({rules.n_queries},); got shape {labels.shape}.")
        return cls(
            queries=queries,
            corpus=corpus,
            rules=rules,
            miner=miner,
            metric=check_choice(metric, "metric", METRICS),  # type: ignore[arg-type]
            document_ids=source.document_ids,
            query_ids=labels,
            exclude_self=bool(exclude_self),
            warm_start=warm_start,
            query_offset=query_offset,
            epoch=check_epoch(epoch),
        )

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return self.rules.n_queries

    def source(
        self, *, num_threads: int | None = None, memory_limit: int | None = None, progress: Progress | None = None
    ) -> CandidateSource:
        """Return the source of candidates: the corpus itself, or an exact index of it.

        Parameters
        ----------
        num_threads, memory_limit : int, optional
            As for :class:`negmine.ExactIndex`.
        progress : callable, optional
            Called as ``progress(done, total)`` while an index is built.
        """
        if isinstance(self.corpus, CandidateSource):
            if memory_limit is not None:
                raise NegmineTypeError(
                    f"`memory_limit` must not come with a corpus that is a source already; got {memory_limit}."
                )
            return self.corpus
        return ExactIndex(
            self.corpus,
            metric=self.metric,
            ids=self.document_ids,
            num_threads=num_threads,
            memory_limit=memory_limit,
            progress=progress,
        )

    def mine(
        self,
        source: CandidateSource,
        begin: int = 0,
        end: int | None = None,
        *,
        num_threads: int | None = None,
        progress: Progress | None = None,
    ) -> HardNegatives:
        """Mine the negatives of some queries.

        Parameters
        ----------
        source : CandidateSource
            What :meth:`source` returned.
        begin, end : int, optional
            Queries ``begin`` to ``end``. Default: all.
        num_threads : int, optional
            Default: the source's.
        progress : callable, optional
            Called as ``progress(done, total)``.

        Returns
        -------
        HardNegatives
        """
        whole = begin == 0 and end is None
        end = self.n_queries if end is None else end
        queries = self.queries if whole or self.queries is None else self.queries[begin:end]
        pool = self.miner.pool(
            source,
            queries,
            self.rules if whole else self.rules.slice(begin, end),
            self.warm_start if whole else None,
            self.query_offset + begin,
            num_threads,
            progress,
        )
        return self.miner.select(pool, epoch=self.epoch, num_threads=num_threads)


class _Described:
    """The shape and the labels of a corpus that has no index yet, which is all that rules are validated against."""

    def __init__(self, corpus: object, document_ids: npt.ArrayLike | None) -> None:
        self.corpus = corpus
        self._n, self.width = as_rows(corpus, "corpus").shape
        self.document_ids: Ids | None = None if document_ids is None else as_ids(document_ids, "document_ids", self._n)

    def __len__(self) -> int:
        return self._n

    def candidates(self, *_: object, **__: object) -> Any:  # noqa: ANN401 (never returns)
        raise NotImplementedError

    score_pairs = candidates


def read_miner(miner: HardNegativeMiner | None, options: Mapping[str, Any]) -> HardNegativeMiner:
    """Return the miner, or the one of these options; not both may be given."""
    if miner is None:
        return HardNegativeMiner(**options)
    if options:
        raise NegmineTypeError(f"`miner` must be None where options are given; got a miner and {', '.join(options)}.")
    if not isinstance(miner, HardNegativeMiner):
        raise NegmineTypeError(f"`miner` must be a HardNegativeMiner; got {type(miner).__name__}.")
    return miner


@refuse_unknown_options("mine", tuple(MineOptions.__annotations__))
def mine(
    queries: object,
    corpus: object,
    positives: Positives | Iterable[Iterable[int]] | Iterable[int],
    *,
    metric: Metric = "cosine",
    document_ids: npt.ArrayLike | None = None,
    epoch: int = 0,
    memory_limit: int | None = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
    **options: Unpack[MineOptions],
) -> HardNegatives:
    """Mine hard negatives in one call.

    Parameters
    ----------
    queries : array (n_queries, width)
        Embeddings of the queries: NumPy, CPU torch tensor, memory map or Arrow fixed-size list.
    corpus : array (n_documents, width) or CandidateSource
        Embeddings of the documents, or a source of candidates, such as an :class:`ExactIndex`.
    positives : Positives, one list of document rows per query, or int64 (n_queries,)
        Known relevant documents; one row number per query where each has one.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        What scores measure; higher is closer.
    document_ids : int64 or str (n_documents,), optional
        Unique labels of the documents, which the result carries as ``.ids``.
    epoch : int, default 0
        Epoch of the draws, in [0, 2**64).
    memory_limit : int, optional
        Bytes of working memory in addition to the caller's arrays, as for :class:`ExactIndex`. Default: no limit.
    num_threads : int, optional
        Default: every core that this process may use; 1 inside a DataLoader worker.
    progress : callable, optional
        Called as ``progress(done, total)`` about every 50 ms: first while the corpus is indexed, then while it is
        mined, each with a total of its own.
    **options
        ``num_negatives`` (default 5) and any other option of :class:`HardNegativeMiner`, or of
        :meth:`HardNegativeMiner.candidates`.

    Returns
    -------
    HardNegatives

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument that breaks its rule or does not exist; the message names it, the rule and the value.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], dtype=np.float32)
    >>> negmine.mine(corpus[:1], corpus, [0], num_negatives=2).indices.tolist()
    [[1, 2]]
    """
    given: dict[str, Any] = dict(options)
    rules = {name: given.pop(name) for name in CandidateOptions.__annotations__ if name in given}
    miner = HardNegativeMiner(**given)
    task = MiningTask.read(
        queries, corpus, positives, miner, metric=metric, document_ids=document_ids, epoch=epoch, **rules
    )
    resolve_num_threads(num_threads)
    source = task.source(num_threads=num_threads, memory_limit=memory_limit, progress=check_progress(progress))
    return task.mine(source, num_threads=num_threads, progress=progress)
