"""Mining task: all arguments of a mining call, validated before any data is read or written.

`negmine.mine`, `negmine.mine_to`, the command line and `negmine.torch.refresh` all build a `MiningTask`, so that each
rule is checked in one place and an invalid argument raises an error before a job starts, not in the middle of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_rows
from negmine._core.calls import Progress, check_progress, resolve_num_threads
from negmine._core.labels import Ids, as_ids
from negmine._core.options import check_choice, check_epoch, check_integer, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.encoding import Encoder, encode_texts
from negmine.mining.miner import HardNegativeMiner
from negmine.mining.negatives import HardNegatives
from negmine.mining.options import MineOptions, PoolOptions
from negmine.mining.pool import CandidatePool
from negmine.mining.random_weights import RandomWeights
from negmine.mining.rules import CandidateRules, WarmStart
from negmine.search.exact import ExactIndex
from negmine.search.protocol import CandidateSource
from negmine.search.results import METRICS, Metric

__all__ = ["MiningTask", "mine", "read_miner"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class MiningTask:
    """The validated arguments of a mining call; use [`read`][] to create one.

    Attributes
    ----------
    queries : array (n_queries, width), int64 (n_queries,) or None
        Queries as the caller passed them; a source without embeddings takes list numbers or None.
    corpus : array (n_documents, width) or CandidateSource
        Corpus as the caller passed it.
    rules : CandidateRules
        Rules that decide which documents are candidates of each query.
    miner : HardNegativeMiner
        Options that decide which candidates become negatives.
    metric : {"cosine", "ip", "l2"}
        Similarity measure of the scores.
    document_ids : int64 or str, or None
        Labels of the documents.
    exclude_self : bool
        Whether the document that is the query itself is excluded.
    warm_start : CandidatePool, HardNegatives, int64 (n_queries, any) or None
        Earlier result from which the scan takes its initial thresholds.
    query_offset : int
        Row of the first query in the whole data set.
    epoch : int
        Epoch of the draws.
    keep_rejected : int, default 0
        Number of rejected documents per result row that the pool keeps.
    """

    queries: Any
    corpus: object
    rules: CandidateRules
    miner: HardNegativeMiner
    metric: Metric
    document_ids: Ids | None
    exclude_self: bool
    warm_start: WarmStart | None
    query_offset: int
    epoch: int
    keep_rejected: int = 0

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
        categories: npt.ArrayLike | None = None,
        random_weights: RandomWeights | None = None,
        warm_start: WarmStart | None = None,
        query_offset: int = 0,
        epoch: int = 0,
        keep_rejected: int = 0,
    ) -> MiningTask:
        """Validate everything that can be validated without reading embeddings.

        Parameters
        ----------
        queries : array (n_queries, width), int64 (n_queries,) or None
            Embeddings of the queries; list numbers or None for a source without embeddings.
        corpus : array (n_documents, width) or CandidateSource
            Embeddings of the documents, or a source of candidates.
        positives : Positives, one list of document rows per query, or int64 (n_queries,)
            Known relevant documents.
        miner : HardNegativeMiner
            Options that decide which candidates become negatives.
        metric : {"cosine", "ip", "l2"}, default "cosine"
            Similarity measure of the scores; a candidate source brings its own.
        document_ids : int64 or str (n_documents,), optional
            Unique labels of the documents; a candidate source brings its own.
        query_ids : int64 or str (n_queries,), optional
            Labels of the queries. Default: those that a source of lists has.
        exclude : Positives or one list of document rows per query, optional
            Further documents that are not candidates.
        exclude_self : bool, default False
            Whether the document that is the query itself is excluded.
        groups : int64 (n_documents,), optional
            Group of each document, or -1; a document that shares a group with a positive is not a candidate.
        eligible : Eligibility, optional
            One key per document and one range per query.
        categories : int64 (n_documents,), optional
            Category of each document, for quotas.
        random_weights : float64 (n_documents,), "popularity" or Popularity, optional
            Weight of each document among random negatives. Default: all are equal.
        warm_start : CandidatePool, HardNegatives or int64 (n_queries, any), optional
            Earlier result from which the scan takes its initial thresholds.
        query_offset : int, default 0
            Row of the first query in the whole data set.
        epoch : int, default 0
            Epoch of the draws, in [0, 2**64).
        keep_rejected : int, default 0
            Number of rejected documents per result row that the pool keeps.

        Returns
        -------
        MiningTask

        Raises
        ------
        NegmineValueError, NegmineTypeError
            An argument is invalid; the message names it.
        """
        miner.check_window()
        if isinstance(corpus, CandidateSource):
            if document_ids is not None or metric != "cosine":
                name, got = ("metric", metric) if document_ids is None else ("document_ids", "labels")
                raise NegmineTypeError(
                    f"`{name}` must not be given with a corpus that is a CandidateSource; got {got!r}."
                )
            source: CandidateSource = corpus
            metric = getattr(corpus, "metric", "cosine")
        else:
            source = _Described(corpus, document_ids)
            width = as_rows(queries, "queries").shape[1]
            if width != source.width:
                raise NegmineValueError(f"`queries` must have the width of `corpus`, {source.width}; got {width}.")
        rules = CandidateRules.read(
            source,
            queries,
            positives,
            exclude=exclude,
            exclude_self=exclude_self,
            query_ids=query_ids,
            groups=groups,
            eligible=eligible,
            categories=categories,
            random_weights=random_weights,
            query_offset=query_offset,
        )
        return cls(
            queries=queries,
            corpus=corpus,
            rules=rules,
            miner=miner,
            metric=check_choice(metric, "metric", METRICS),  # type: ignore[arg-type]
            document_ids=source.document_ids,
            exclude_self=bool(exclude_self),
            warm_start=warm_start,
            query_offset=query_offset,
            epoch=check_epoch(epoch),
            keep_rejected=check_integer(keep_rejected, "keep_rejected", least=0),
        )

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return self.rules.n_queries

    @property
    def query_ids(self) -> Ids | None:
        """Labels of the queries, int64 (n_queries,) or Strings; None if they are not known."""
        return self.rules.query_ids

    def source(
        self, *, num_threads: int | None = None, memory_limit: int | None = None, progress: Progress | None = None
    ) -> CandidateSource:
        """Return the source of candidates: the corpus itself, or an exact index of it.

        Parameters
        ----------
        num_threads, memory_limit : int, optional
            Options of [`negmine.ExactIndex`][].
        progress : callable, optional
            Called as ``progress(done, total)`` while an index is built.

        Returns
        -------
        CandidateSource

        Raises
        ------
        NegmineTypeError
            ``memory_limit`` is given, but the corpus is a source.
        """
        if isinstance(self.corpus, CandidateSource):
            if memory_limit is not None:
                raise NegmineTypeError(
                    f"`memory_limit` must not be given with a corpus that is a CandidateSource; got {memory_limit}."
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

    def pool(
        self,
        source: CandidateSource,
        begin: int = 0,
        end: int | None = None,
        *,
        num_threads: int | None = None,
        progress: Progress | None = None,
    ) -> CandidatePool:
        """Return the candidate pool of a range of queries.

        Parameters
        ----------
        source : CandidateSource
            Result of [`source`][].
        begin : int, default 0
            First query.
        end : int, optional
            End of the range, exclusive. Default: the number of queries.
        num_threads : int, optional
            Number of threads. Default: that of the source.
        progress : callable, optional
            Called as ``progress(done, total)``.

        Returns
        -------
        CandidatePool
        """
        whole = begin == 0 and end is None
        end = self.n_queries if end is None else end
        # Without embeddings, the miner takes the lists from the offset on.
        queries = self.queries if whole or self.queries is None else self.queries[begin:end]
        # Results of earlier calls name their queries; an array has a row per query.
        warm_start = self.warm_start
        if not whole and isinstance(warm_start, np.ndarray):
            warm_start = warm_start[begin:end]
        return self.miner.pool(
            source,
            queries,
            self.rules if whole else self.rules.slice(begin, end),
            warm_start,
            self.query_offset + begin,
            num_threads,
            progress,
            self.keep_rejected,
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
        """Mine the negatives of a range of queries.

        Parameters
        ----------
        source : CandidateSource
            Result of [`source`][].
        begin : int, default 0
            First query.
        end : int, optional
            End of the range, exclusive. Default: the number of queries.
        num_threads : int, optional
            Number of threads. Default: that of the source.
        progress : callable, optional
            Called as ``progress(done, total)``.

        Returns
        -------
        HardNegatives
        """
        pool = self.pool(source, begin, end, num_threads=num_threads, progress=progress)
        return self.miner.select(pool, epoch=self.epoch, num_threads=num_threads)


class _Described:
    """Shape and labels of a corpus that has no index yet; validating the rules needs nothing else."""

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
    """Return the given miner, or a miner with the given options.

    Parameters
    ----------
    miner : HardNegativeMiner or None
        The miner; requires that there are no options.
    options : mapping of str to Any
        Options of [`HardNegativeMiner`][].

    Returns
    -------
    HardNegativeMiner
    """
    if miner is None:
        return HardNegativeMiner(**options)
    if options:
        raise NegmineTypeError(f"`miner` must be None if options are given; got a miner and {', '.join(options)}.")
    if not isinstance(miner, HardNegativeMiner):
        raise NegmineTypeError(f"`miner` must be a HardNegativeMiner; got {type(miner).__name__}.")
    return miner


@refuse_unknown_options("mine", tuple(MineOptions.__annotations__))
def mine(
    queries: object,
    corpus: object,
    positives: Positives | Iterable[Iterable[int]] | Iterable[int],
    *,
    encoder: Encoder | None = None,
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
    queries : array (n_queries, width) or sequence of str
        Embeddings of the queries: NumPy, CPU torch tensor, memory map or Arrow fixed-size list. Texts if ``encoder`` is
        given.
    corpus : array (n_documents, width), CandidateSource or sequence of str
        Embeddings of the documents, or a source of candidates, such as an [`ExactIndex`][]. Texts if ``encoder`` is
        given.
    positives : Positives, one list of document rows per query, or int64 (n_queries,)
        Known relevant documents; one row number per query if every query has exactly one.
    encoder : callable or model, optional
        Function from a list of texts to an array of embeddings, or a model with ``encode_query`` and
        ``encode_document``, such as a SentenceTransformer. Default: queries and corpus are embeddings.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity measure of the scores; a higher score means closer.
    document_ids : int64 or str (n_documents,), optional
        Unique labels of the documents; the result has the labels of the negatives in ``.ids``. ``query_ids`` labels
        the queries, and the result has those of its rows in ``.query_labels``.
    epoch : int, default 0
        Epoch of the draws, in [0, 2**64).
    memory_limit : int, optional
        Bytes of working memory in addition to the caller's arrays, as for [`ExactIndex`][]. Default: no limit.
    num_threads : int, optional
        Number of threads. Default: all cores available to this process; 1 inside a DataLoader worker.
    progress : callable, optional
        Called as ``progress(done, total)`` about every 50 ms: first while the corpus is indexed, then during mining,
        each with its own total.
    **options : Any
        Any option of [`HardNegativeMiner`][], such as ``num_negatives`` (default 5), or of
        [`HardNegativeMiner.candidates`][].

    Returns
    -------
    HardNegatives

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument is invalid or unknown; the message names the argument, the rule and the value.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], dtype=np.float32)
    >>> negmine.mine(corpus[:1], corpus, [0], num_negatives=2).indices.tolist()
    [[1, 2]]
    >>> def count_letters(texts):
    ...     return np.array([[text.count("a"), text.count("b")] for text in texts], dtype=np.float32)
    >>> negmine.mine(["a"], ["aa", "ab", "b"], [0], encoder=count_letters, num_negatives=2).indices.tolist()
    [[1, 2]]
    """
    given: dict[str, Any] = dict(options)
    rules = {name: given.pop(name) for name in PoolOptions.__annotations__ if name in given}
    miner = HardNegativeMiner(**given)
    if encoder is not None:
        queries, corpus = encode_texts(encoder, queries, corpus)
    task = MiningTask.read(
        queries, corpus, positives, miner, metric=metric, document_ids=document_ids, epoch=epoch, **rules
    )
    resolve_num_threads(num_threads)
    source = task.source(num_threads=num_threads, memory_limit=memory_limit, progress=check_progress(progress))
    return task.mine(source, num_threads=num_threads, progress=progress)
