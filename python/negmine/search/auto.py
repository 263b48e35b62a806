"""Choice between the exact index and an approximate one, from measured times."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Rows, as_rows
from negmine._core.calls import Progress
from negmine._core.labels import Ids
from negmine._core.options import check_integer, check_real, check_seed, refuse_unknown_options
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.errors import NegmineValueError
from negmine.search.exact import ExactIndex
from negmine.search.hnsw import HnswIndex
from negmine.search.request import PoolArrays, PoolRequest
from negmine.search.results import Metric, RecallAudit, TopK
from negmine.search.trial import Trial, raise_ef
from negmine.search.verification import sample_queries

__all__ = ["AutoIndex", "IndexChoice"]

#: Seconds per document, and per unit of `ef_construction`, that inserting a document takes at least on one thread: a
#: quarter of what narrow embeddings took in a graph of 2,000 documents.
LEAST_INSERT_SECONDS = 5e-8

#: Documents of the first graph that is measured, and of the second.
TRIAL_SIZES = (2_000, 20_000)

#: Queries that the exact index and the graph are measured with.
TRIAL_QUERIES = 512


@dataclass(frozen=True, slots=True)
class IndexChoice:
    """Which index [`AutoIndex`][] chose, and the numbers that decided.

    Attributes
    ----------
    kind : {"exact", "hnsw"}
        The chosen index.
    reason : str
        One sentence with the numbers that decided.
    n_documents, n_queries, k : int
        Size of the corpus, and of the work that was asked for.
    recall : float
        Recall that was asked for.
    exact_seconds : float
        Predicted seconds of all queries in the exact index, from a measured sample.
    build_seconds : float
        Predicted seconds of building the graph, divided by ``reuses``; a lower bound if ``search_seconds`` is None.
    search_seconds : float or None
        Predicted seconds of all queries in the graph at the recall asked for; None if it was not measured.
    audit : RecallAudit or None
        Recall of the index that was built; None if none was.
    """

    kind: Literal["exact", "hnsw"]
    reason: str
    n_documents: int
    n_queries: int
    k: int
    recall: float
    exact_seconds: float
    build_seconds: float
    search_seconds: float | None = None
    audit: RecallAudit | None = None


class AutoIndex:
    """Index that chooses between [`ExactIndex`][] and [`HnswIndex`][] by predicted time, and says why.

    The exact index is built, and searched for a sample of the queries. If all queries take less time than the least
    that building a graph takes, the exact index is chosen at once. Otherwise graphs of 2,000 and of 20,000 documents
    are built and searched at the recall asked for, and their times are extrapolated to the whole corpus. The graph is
    chosen if it takes less time, the build included:

        build seconds / reuses + search seconds < exact seconds

    It is then built, and ``ef_search`` is raised until the recall asked for is measured against the exact search. If it
    is not reached, the exact index is chosen after all. Search and mining are those of the chosen index.

    Parameters
    ----------
    corpus : array (n_documents, width)
        Embeddings of the documents, of the same types as for [`ExactIndex`][], to which the index keeps a reference.
    n_queries : int
        Number of queries that will be searched or mined for.
    k : int
        Documents per query; for mining, ``range_max``.
    recall : float, default 0.95
        Least recall, in (0, 1]. With 1, the exact index is chosen.
    queries : array (n, width), optional
        A sample of the queries; the times and the recall of an index depend on them. Default: rows of the corpus.
    reuses : int, default 1
        Number of times that ``n_queries`` are searched in the same index, at least 1.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity measure of the scores.
    ids : int64 or str (n_documents,), optional
        Unique labels of the documents.
    M, ef_construction : int, default 16 and 100
        Options of the graph, as for [`HnswIndex`][].
    seed : int, default 0
        Seed of the graph and of the samples, in [0, 2**64).
    num_threads : int, optional
        Number of threads of every search. Default: all cores available to this process.
    build_threads : int, default 1
        Number of threads that build the graph, as for [`HnswIndex`][].
    memory_limit : int, optional
        Bytes of working memory of the exact index. Default: no limit.
    progress : callable, optional
        Called as ``progress(done, total)`` while the chosen index is built.

    Attributes
    ----------
    index : ExactIndex or HnswIndex
        The chosen index.
    choice : IndexChoice
        Which index was chosen, and why.
    metric : {"cosine", "ip", "l2"}
        Similarity measure.
    document_ids : int64 (n_documents,), Strings or None
        Labels of the documents.
    exact : bool
        Whether the exact index was chosen.

    Raises
    ------
    MissingExtraError
        A graph must be measured, but hnswlib is not installed: ``pip install 'negmine[hnsw]'``.
    NegmineValueError, NegmineTypeError
        An argument is invalid, as for the indexes.

    Notes
    -----
    The choice depends on the speed of the machine at that moment, so it may differ from run to run near the crossover;
    results of an exact index are exact in any case. Pass an index of your own where a run must be reproducible.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.eye(1000, dtype=np.float32)
    >>> index = negmine.AutoIndex(corpus, n_queries=10, k=2)
    >>> index.choice.kind, index.exact
    ('exact', True)
    """

    @refuse_unknown_options("AutoIndex")
    def __init__(
        self,
        corpus: object,
        *,
        n_queries: int,
        k: int,
        recall: float = 0.95,
        queries: object | None = None,
        reuses: int = 1,
        metric: Metric = "cosine",
        ids: npt.ArrayLike | None = None,
        M: int = 16,
        ef_construction: int = 100,
        seed: int = 0,
        num_threads: int | None = None,
        build_threads: int = 1,
        memory_limit: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        rows = as_rows(corpus, "corpus")
        self._n_queries = check_integer(n_queries, "n_queries", least=0, most=2**62)
        self._k, self._reuses = check_integer(k, "k", least=1), check_integer(reuses, "reuses", least=1)
        self._recall = check_real(recall, "recall", above=0.0)
        if self._recall > 1:
            raise NegmineValueError(f"`recall` must be at most 1; got {recall}.")
        check_integer(M, "M", least=2)
        check_integer(ef_construction, "ef_construction", least=1)
        check_integer(build_threads, "build_threads", least=1)
        self._rows, self._sample = rows, _sample(rows, queries, check_seed(seed))
        options = {
            "metric": metric,
            "M": M,
            "ef_construction": ef_construction,
            "seed": seed,
            "num_threads": num_threads,
            "build_threads": build_threads,
        }
        self.index: ExactIndex | HnswIndex = ExactIndex(
            corpus, metric=metric, ids=ids, num_threads=num_threads, memory_limit=memory_limit, progress=progress
        )
        self.choice = self._choose(options)
        if self.choice.kind == "hnsw":
            graph = HnswIndex(corpus, **options, ids=ids, progress=progress)  # type: ignore[arg-type]
            self._verify(graph)
        self.metric: Metric = self.index.metric
        self.document_ids: Ids | None = self.index.document_ids
        self.exact: bool = self.index.exact

    def _choose(self, options: Mapping[str, Any]) -> IndexChoice:
        """Compare predicted times; what takes longest to measure comes last."""
        n, n_queries, reuses = len(self), self._n_queries, self._reuses
        per_query = self._measure_exact()
        exact = n_queries * per_query
        at_least = options["ef_construction"] * LEAST_INSERT_SECONDS / options["build_threads"]
        build = n * at_least / reuses
        if self._recall == 1:
            return self._exact("a recall of 1 was asked for", exact, build)
        if exact <= build:
            return self._exact(f"building a graph takes at least {_seconds(build)}", exact, build)
        trial = self._trial(options)
        build = n * trial.grow(min(n, TRIAL_SIZES[0])) / reuses
        if exact <= build:
            return self._exact(f"building the graph takes more than {_seconds(build)}", exact, build)
        trial.measure()
        if n > TRIAL_SIZES[0]:
            trial.grow(min(n, TRIAL_SIZES[1]))
            trial.measure()
        each_build, each_search = trial.extrapolate(n)
        build, search = n * each_build / reuses, n_queries * each_search
        sums = f"building the graph {_seconds(build)} and searching it {_seconds(search)}"
        if exact <= build + search:
            return self._exact(sums, exact, build, search)
        reason = f"{self._work()} take {_seconds(exact)} in the exact index; {sums}"
        return self._choice("hnsw", reason, exact, build, search)

    def _measure_exact(self) -> float:
        """Return the seconds per query of the exact index."""
        n = self._sample.shape[0]
        if not n or not len(self):
            return 0.0
        queries, k = self._sample.values(), min(self._k, len(self))
        self.index.search(queries[:1], k)  # pages of the corpus are mapped
        started = time.perf_counter()
        self._expected = self.index.search(queries, k).indices
        return (time.perf_counter() - started) / n

    def _trial(self, options: Mapping[str, Any]) -> Trial:
        n = min(len(self), TRIAL_SIZES[-1])
        drawn = sample_queries(len(self), n, options["seed"])
        # In random order, so that the first documents are a sample as well.
        shuffled = drawn[np.argsort(np.random.Philox(key=options["seed"] ^ 1).random_raw(n), kind="stable")]
        documents = Rows(np.ascontiguousarray(self._rows.array[shuffled]), self._rows.kind, self._rows.order)
        return Trial(documents, self._sample, self._k, self._recall, options)

    def _verify(self, graph: HnswIndex) -> None:
        """Take the graph if it reaches the recall asked for."""
        choice = self.choice
        per_query = choice.exact_seconds / max(self._n_queries, 1)
        audit = raise_ef(graph, self._sample.values(), self._expected, self._recall, per_query)
        if audit.recall >= self._recall:
            self.index, self.choice = graph, replace(choice, audit=audit, reason=f"{choice.reason}; {audit}")
        else:
            reason = f"the graph was built, but does not reach a recall of {self._recall}: {audit}"
            self.choice = replace(choice, kind="exact", audit=audit, reason=reason)

    def _exact(self, other: str, exact: float, build: float, search: float | None = None) -> IndexChoice:
        return self._choice("exact", f"{self._work()} take {_seconds(exact)}; {other}", exact, build, search)

    def _work(self) -> str:
        return f"{self._n_queries} queries x {len(self)} documents"

    def _choice(
        self, kind: Literal["exact", "hnsw"], reason: str, exact: float, build: float, search: float | None
    ) -> IndexChoice:
        return IndexChoice(
            kind=kind,
            reason=reason,
            n_documents=len(self),
            n_queries=self._n_queries,
            k=self._k,
            recall=self._recall,
            exact_seconds=exact,
            build_seconds=build,
            search_seconds=search,
        )

    def __len__(self) -> int:
        return self._rows.shape[0]

    def __repr__(self) -> str:
        return f"AutoIndex({self.choice.kind}: {self.choice.reason})"

    @property
    def corpus(self) -> object:
        """The corpus as the caller passed it."""
        return self.index.corpus

    def search(
        self,
        queries: object,
        k: int,
        *,
        exclude: Positives | Iterable[Iterable[int]] | None = None,
        max_score: float | None = None,
        eligible: Eligibility | None = None,
        dtype: Literal["float32", "float64"] = "float32",
        num_threads: int | None = None,
        progress: Progress | None = None,
    ) -> TopK:
        """Find the top documents of every query in the chosen index.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, of the same types as ``corpus``.
        k : int
            Documents per query, at least 0.
        exclude : Positives or one list of rows per query, optional
            Document rows per query that are never returned.
        max_score : float, optional
            Documents that score above this are not returned; an equal score is. Default: no cap.
        eligible : Eligibility, optional
            Keys and ranges; documents outside the range of a query are not returned.
        dtype : {"float32", "float64"}, default "float32"
            Type of the scores.
        num_threads : int, optional
            Number of threads. Default: that of the index.
        progress : callable, optional
            Called as ``progress(done, total)``.

        Returns
        -------
        TopK
            Its ``exact`` says whether the exact index was chosen.

        Raises
        ------
        NegmineValueError, NegmineTypeError, MemoryLimitError
            As for the search of the chosen index.
        """
        return self.index.search(
            queries,
            k,
            exclude=exclude,
            max_score=max_score,
            eligible=eligible,
            dtype=dtype,
            num_threads=num_threads,
            progress=progress,
        )

    def candidates(
        self, queries: object, request: PoolRequest, *, num_threads: int | None = None, progress: Progress | None = None
    ) -> PoolArrays:
        """Return the candidate pools that a miner requests, from the chosen index.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, of the same types as ``corpus``.
        request : PoolRequest
            Rules, caps and ranks.
        num_threads : int, optional
            Number of threads. Default: that of the index.
        progress : callable, optional
            Called as ``progress(done, total)``.

        Returns
        -------
        PoolArrays

        Raises
        ------
        NegmineValueError
            As for the candidates of the chosen index.
        """
        return self.index.candidates(queries, request, num_threads=num_threads, progress=progress)

    def score_pairs(
        self, queries: object, query_indices: npt.NDArray[np.int64], document_indices: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Return the canonical scores of (query, document) pairs.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, of the same types as ``corpus``.
        query_indices, document_indices : int64 (n,)
            Rows of queries and documents, in any order.

        Returns
        -------
        float64 (n,)
            The scores, in the order of the pairs.

        Raises
        ------
        NegmineValueError
            A query holds NaN or infinity, or a row is out of range.
        """
        return self.index.score_pairs(queries, query_indices, document_indices)


def _sample(rows: Rows, queries: object | None, seed: int) -> Rows:
    """Return a sample of the queries, or of the documents without queries."""
    given = rows if queries is None else as_rows(queries, "queries")
    if given.shape[1] != rows.shape[1]:
        raise NegmineValueError(f"`queries` must have the width of `corpus`, {rows.shape[1]}; got {given.shape[1]}.")
    drawn = sample_queries(given.shape[0], TRIAL_QUERIES, seed)
    return Rows(np.ascontiguousarray(given.array[drawn]), given.kind, given.order)


def _seconds(value: float) -> str:
    return f"{value:.3g} s"
