"""Candidate pool: the result of one scan, from which negatives can be selected any number of times.

Selection is a pure function of the pool, the policy, the seed and the epoch, and reads no embeddings. Random negatives
are the exception: they are drawn from all candidates, so a pool refers to its source and its rules, and a loaded pool
must first be attached to its source. Scores in a pool are float64, because they decide the selection; they are rounded
only when they are returned with the negatives.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import archive, formats
from negmine._core.arrays import as_rows, check_field, public_scores
from negmine._core.calls import Progress, ensure_fits_in_memory, memory_errors, resolve_num_threads
from negmine._core.labels import Ids, LabelArray, Labeled, PartialLabels, as_labels, take_labels
from negmine._core.options import check_epoch, check_integer, refuse_unknown_options
from negmine.data.positives import Positives
from negmine.errors import NegmineValueError
from negmine.mining import bands, policies, rescoring, result_rows
from negmine.mining.draw import Draw
from negmine.mining.negatives import HardNegatives
from negmine.mining.policies import Sampling
from negmine.mining.pool_file import read_fields, write_pool
from negmine.mining.quotas import quota_labels
from negmine.mining.random_negatives import Selected, add_random
from negmine.mining.references import Reference
from negmine.mining.rejected import Rejected
from negmine.mining.report import Reason, Report, count_reasons
from negmine.mining.rescoring import Scorer
from negmine.mining.sources import PoolSources
from negmine.sampling.sources import check_weights
from negmine.search.protocol import CandidateSource, check_source
from negmine.search.request import Rules

__all__ = ["CandidatePool"]

#: Bytes of a negative while it is selected: a row number, a score and a log-probability.
ENTRY_BYTES = 24


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """The source and the queries from which a pool was mined."""

    source: CandidateSource
    queries: object


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CandidatePool(Labeled):
    """The best candidates per result row that pass all rules and caps, in rank order.

    Attributes
    ----------
    indices : int64 (n_rows, width)
        Row numbers of the documents by (score descending, row ascending), padded with -1;
        ``width = range_max - range_min``.
    scores : float64 (n_rows, width)
        Canonical scores, padded with -inf.
    counts : int32 (n_rows,)
        Number of documents per row.
    reasons : uint8 (n_rows,)
        Why a row is not full, as a [`Reason`][].
    reference_scores : float64 (n_rows,)
        Score that margins refer to; NaN without positives.
    positive_scores : float64 (n_positives,)
        Scores of the positives, aligned with their CSR.
    query_indices : int64 (n_rows,)
        Query of every result row, counted from row 0 of the whole data set (``query_offset`` included).
    positive_indices : int64 (n_rows,)
        Positive of every result row under ``reference="each"``, else -1. A query without positives also has one
        result row under "each", with the positive -1, which an ``Embedding`` refuses;
        ``NegativesDataset(..., drop_unpositive=True)`` leaves such rows out.
    report : Report
        Number of documents that each rule rejected.
    each : bool
        Whether result rows are (query, positive) pairs.
    cap_scores : float64 (n_rows,)
        Highest admitted score; +inf without caps, NaN if the reference is missing.
    floor_scores : float64 (n_rows,)
        Lowest admitted score; -inf without floors.
    query_offset : int
        Row of the first query in the whole data set.
    document_ids : int64 (n_documents,), Strings or None
        Labels of all documents.
    rules : Rules
        Rules of the call, which random negatives must satisfy as well.
    origin : Origin or None
        The source and the queries; None after [`load`][], until [`attach`][], and in pools whose scores are not
        those of a source: after [`rescore`][] and [`negmine.fuse`][].
    guide_scores : float64 (n_rows, width) or None
        Scores of a guide, aligned with ``indices`` and padded with -inf; see [`rescore`][].
    guide_positive_scores : float64 (n_positives,) or None
        Scores of the guide for the positives, aligned with their CSR; NaN where the guide has none.
    sources : PoolSources or None
        Rank and score of every document in each of the pools that [`negmine.fuse`][] merged.
    query_ids : int64 (n_queries,), Strings or None
        Labels of all queries of the call: that of result row ``r`` is ``query_ids[query_indices[r] - query_offset]``,
        and [`query_labels`][] has those of all rows.
    skipped : int or None
        Number of candidates before the pool, those of the first ranks that ``range_min`` leaves out; None after
        [`rescore`][], [`restrict`][] and [`negmine.fuse`][], where ranks are no longer those of the scan.
    categories : int64 (n_documents,) or None
        Category of every document, by which [`Quota`][] divides negatives.
    random_weights : float64 (n_documents,) or None
        Weight of every document among random negatives; None if all are equally likely.
    rejected : Rejected or None
        The best rejected documents per result row, with ``keep_rejected``; None after [`rescore`][] and
        [`negmine.fuse`][], whose scores are others.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], dtype=np.float32)
    >>> miner = negmine.HardNegativeMiner(1, range_max=3)
    >>> pool = miner.candidates(negmine.ExactIndex(corpus), corpus[:1], [[0]])
    >>> pool.indices.tolist(), pool.select(2).indices.tolist()
    ([[1, 2, 3]], [[1, 2]])
    """

    indices: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int32]
    reasons: npt.NDArray[np.uint8]
    reference_scores: npt.NDArray[np.float64]
    positive_scores: npt.NDArray[np.float64]
    query_indices: npt.NDArray[np.int64]
    positive_indices: npt.NDArray[np.int64]
    report: Report
    each: bool
    cap_scores: npt.NDArray[np.float64]
    floor_scores: npt.NDArray[np.float64]
    query_offset: int
    document_ids: Ids | None
    rules: Rules = field(repr=False)
    origin: Origin | None = field(default=None, repr=False)
    guide_scores: npt.NDArray[np.float64] | None = None
    guide_positive_scores: npt.NDArray[np.float64] | None = None
    sources: PoolSources | None = None
    query_ids: Ids | None = None
    skipped: int | None = None
    categories: npt.NDArray[np.int64] | None = None
    random_weights: npt.NDArray[np.float64] | None = None
    rejected: Rejected | None = field(default=None, repr=False)
    _ids: LabelArray | None = field(default=None, init=False)
    _query_labels: LabelArray | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        # The core reads contiguous arrays of exactly these shapes, but users may slice pools and files may be corrupt.
        counts = check_field(self.counts, "counts", np.int32, (None,))
        n = len(counts)
        indices = check_field(self.indices, "indices", np.int64, (n, None))
        arrays = {"counts": counts, "indices": indices}
        arrays["scores"] = check_field(self.scores, "scores", np.float64, indices.shape)
        arrays["reasons"] = check_field(self.reasons, "reasons", np.uint8, (n,))
        for name in ("query_indices", "positive_indices"):
            arrays[name] = check_field(getattr(self, name), name, np.int64, (n,))
        for name in ("reference_scores", "cap_scores", "floor_scores"):
            arrays[name] = check_field(getattr(self, name), name, np.float64, (n,))
        shape = (len(self.rules.positives.items),)
        arrays["positive_scores"] = check_field(self.positive_scores, "positive_scores", np.float64, shape)
        if (self.guide_scores is None) != (self.guide_positive_scores is None):
            missing = "guide_scores" if self.guide_scores is None else "guide_positive_scores"
            raise NegmineValueError(f"`guide_scores` and `guide_positive_scores` must go together; got no `{missing}`.")
        if self.guide_scores is not None:
            for name, size in (("guide_scores", indices.shape), ("guide_positive_scores", shape)):
                arrays[name] = check_field(getattr(self, name), name, np.float64, size)
        if self.sources is not None and self.sources.ranks.shape[1:] != indices.shape:
            raise NegmineValueError(
                f"`sources` must have shape (n_pools, {n}, {indices.shape[1]}); got {self.sources.ranks.shape}."
            )
        n_documents = self.report.n_documents
        if self.categories is not None:
            arrays["categories"] = check_field(self.categories, "categories", np.int64, (n_documents,))
        if self.random_weights is not None:
            arrays["random_weights"] = check_weights(self.random_weights, "random_weights", n_documents)
        for name, array in arrays.items():
            object.__setattr__(self, name, array)
        if indices.size and not (indices.min() >= -1 and indices.max() < n_documents):
            bad = indices[(indices < -1) | (indices >= n_documents)][0]
            raise NegmineValueError(f"`indices` must hold rows below {n_documents}, or -1 as padding; got {bad}.")

        n_queries = len(self.rules.positives.offsets) - 1
        queries = arrays["query_indices"] - self.query_offset
        if n and not (queries.min() >= 0 and queries.max() < n_queries):
            raise NegmineValueError(
                f"`query_indices` must hold rows of the {n_queries} queries from `query_offset`, {self.query_offset}; "
                f"got {arrays['query_indices'].min()} to {arrays['query_indices'].max()}."
            )
        if self.query_ids is not None:
            labels = as_labels(self.query_ids, "query_ids")
            if len(labels) != n_queries:
                raise NegmineValueError(f"`query_ids` must have shape ({n_queries},); got shape {labels.shape}.")
            object.__setattr__(self, "query_ids", labels)
        if self.skipped is not None:
            check_integer(self.skipped, "skipped", least=0)
        if self.rejected is not None and len(self.rejected) != n:
            raise NegmineValueError(f"`rejected` must have {n} rows; got {len(self.rejected)}.")

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def query_labels(self) -> LabelArray:
        """Labels of the queries, int64 or str objects (n_rows,), one per result row; made at first access.

        They equal ``query_indices`` if the queries have no labels.
        """
        if self._query_labels is None:
            labels = self.query_ids
            rows = self.query_indices if labels is None else self.query_indices - self.query_offset
            object.__setattr__(self, "_query_labels", take_labels(labels, rows))
        return self._query_labels  # type: ignore[return-value]

    def __repr__(self) -> str:
        width, full = self.indices.shape[1], int((self.counts == self.indices.shape[1]).sum())
        return f"CandidatePool({len(self)} rows x {width}, {full} full, of {self.report.n_documents} documents)"

    def __getitem__(self, rows: slice | npt.ArrayLike) -> CandidatePool:
        """Return a pool of some result rows, in the order given.

        Positives, rules, labels and source stay those of the whole call, so that rows select the same negatives as in
        the whole pool. Only ``limit_per_document`` then counts these rows alone.

        Parameters
        ----------
        rows : slice, bool (n_rows,) or int64 (any,)
            A range of result rows, a mask, or row numbers.

        Returns
        -------
        CandidatePool

        Raises
        ------
        NegmineValueError, NegmineTypeError
            A row does not exist, or the value has another type. Under "each", also if rows of positives outside the
            corpus could no longer be distinguished.
        """
        return result_rows.take_pool(self, result_rows.read_rows(rows, len(self)))

    @classmethod
    def concatenate(cls, pools: Iterable[CandidatePool]) -> CandidatePool:
        """Return the result rows of several pools, one after the other.

        Parameters
        ----------
        pools : iterable of CandidatePool
            Slices of one pool, or pools of calls whose ranges of queries follow each other (``query_offset``), of the
            same documents, rules and width. The latter need [`attach`][] for random negatives.

        Returns
        -------
        CandidatePool

        Raises
        ------
        NegmineValueError, NegmineTypeError
            The pools differ in what must be equal, or their queries do not follow each other.

        Examples
        --------
        >>> import numpy as np, negmine
        >>> corpus = np.eye(4, dtype=np.float32)
        >>> pool = negmine.HardNegativeMiner(2).candidates(negmine.ExactIndex(corpus), corpus, [0, 1, 2, 3])
        >>> negmine.CandidatePool.concatenate([pool[:1], pool[1:]]).query_indices.tolist()
        [0, 1, 2, 3]
        """
        return result_rows.join_pools(cls, pools)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the pool to one ``.npz`` file, atomically. Embeddings are not saved.

        Parameters
        ----------
        path : path
            The file; its folder must exist.

        Raises
        ------
        NegmineValueError
            The folder of ``path`` does not exist.
        """
        write_pool(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CandidatePool:
        """Load a pool from a file that [`save`][] wrote.

        Random negatives (``num_random``) need a call of [`attach`][] first.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        CandidatePool

        Raises
        ------
        NegmineValueError
            There is no such file, or the file does not hold a candidate pool.
        """
        fields = read_fields(path)
        with archive.whole(path, formats.CANDIDATE_POOL):
            return cls(**fields)

    def attach(self, source: CandidateSource, queries: object) -> CandidatePool:
        """Return a loaded pool with its source and its queries, which ``num_random`` needs.

        The best document of every row is scored again, to detect different embeddings, a different order or a
        different metric.

        Parameters
        ----------
        source : ExactIndex or another CandidateSource
            A source of the same documents.
        queries : array (n_queries, width)
            Embeddings of the same queries.

        Returns
        -------
        CandidatePool

        Raises
        ------
        NegmineValueError
            The source or the queries are not those of the pool: their number differs, or a score differs; the message
            then names the rows.
        """
        check_source(source)
        n = len(self.rules.positives.offsets) - 1
        given = n if queries is None else as_rows(queries, "queries").shape[0]
        if given != n or len(source) != self.report.n_documents:
            raise NegmineValueError(
                f"`source` and `queries` must be those of the pool, {self.report.n_documents} documents and {n} "
                f"queries; got {len(source)} and {given}."
            )
        filled = np.flatnonzero(self.counts > 0)
        query, document = self.query_indices[filled] - self.query_offset, self.indices[filled, 0]
        scores = source.score_pairs(queries, query, document)
        other = (scores != self.scores[filled, 0]) & ~np.isnan(scores)
        if other.any():
            i = int(np.argmax(other))
            raise NegmineValueError(
                f"`source` and `queries` must be those of the pool; got a score of {scores[i]} for document row "
                f"{document[i]} and query row {query[i]}, where the pool has {self.scores[filled, 0][i]}."
            )
        return replace(self, origin=Origin(source, queries))

    @refuse_unknown_options("rescore")
    def rescore(
        self,
        scorer: Scorer | npt.ArrayLike,
        *,
        as_guide: bool = False,
        positive_scores: npt.ArrayLike | None = None,
        reference: Reference | None = None,
        batch_size: int = 256,
        cache: str | os.PathLike[str] | None = None,
        name: str | None = None,
        query_ids: npt.ArrayLike | None = None,
        cache_key: str | None = None,
        progress: Progress | None = None,
    ) -> CandidatePool:
        """Score the documents of the pool and the positives with a teacher, a reranker or a reward.

        The scorer sees every stored (query, document) pair and every positive in the corpus once, in ascending order
        of query and document. Its scores replace those of the pool, which is ranked again by (score descending, row
        ascending), or they are kept in addition, as a guide for [`restrict`][].

        No cap, floor or rank window is applied again, and no document outside the pool can enter: mine with a large
        ``range_max``. After the scores are replaced, ``cap_scores`` are +inf and ``floor_scores`` -inf.

        Parameters
        ----------
        scorer : callable or float64 (n_rows, width)
            Called as ``scorer(query_indices, document_indices)`` with two int64 arrays of up to ``batch_size`` rows of
            the whole data set; it returns one finite score per pair. Or an array of scores aligned with ``indices``,
            whose padding is ignored.
        as_guide : bool, default False
            Whether to keep the pool's scores and their order, and to store the new ones as ``guide_scores`` and
            ``guide_positive_scores``.
        positive_scores : float64 (n_positives,), optional
            Scores of the positives, aligned with their CSR, if ``scorer`` is an array; NaN for positives without a
            score. Default: none has a score.
        reference : {"min", "max", "mean", "each"}, optional
            The new score that margins refer to, if scores are replaced. A row whose reference needs a positive without
            a score gets NaN. Default: "min", or the row's own positive if the pool was mined under "each".
        batch_size : int, default 256
            Maximum number of pairs per call of the scorer.
        cache : path, optional
            File to which the scores of every batch are appended, so that no finished batch is ever scored again. A
            process that is killed loses at most one batch. One process may use a file at a time; scorers of different
            names may share it.
        name : str, optional
            Name of the scorer in the cache, such as a model and its revision; required with ``cache``.
        query_ids : int64 or str (n_queries,), optional
            Labels of the pool's queries, by which the cache finds pairs and errors name them. Default: those that the
            pool has.
        cache_key : str, optional
            Name of the data set, required with ``cache`` if queries or documents have no labels: the cache then finds
            them by row, and rows shift when the data change.
        progress : callable, optional
            Called as ``progress(done, total)`` about every 50 ms, in pairs.

        Returns
        -------
        CandidatePool

        Raises
        ------
        NegmineValueError, NegmineTypeError
            An argument is invalid, another process uses the cache, the cache is corrupt, or the scorer raises, returns
            another number of scores, or returns NaN or infinity; the message names the pair.
        NegmineOSError
            The system refuses to write the cache.

        Examples
        --------
        >>> import numpy as np, negmine
        >>> corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], dtype=np.float32)
        >>> miner = negmine.HardNegativeMiner(3)
        >>> pool = miner.candidates(negmine.ExactIndex(corpus), corpus[:1], [[0]])
        >>> reranked = pool.rescore(lambda queries, documents: documents / 10)
        >>> reranked.indices.tolist(), reranked.reference_scores.tolist()
        ([[3, 2, 1]], [0.0])
        """
        return rescoring.rescore(
            self,
            scorer,
            as_guide=as_guide,
            positive_scores=positive_scores,
            reference=reference,
            batch_size=batch_size,
            cache=cache,
            name=name,
            query_ids=query_ids,
            cache_key=cache_key,
            progress=progress,
        )

    @refuse_unknown_options("restrict")
    def restrict(
        self,
        *,
        by: Literal["score", "guide"] = "score",
        max_score: float | None = None,
        min_score: float | None = None,
        absolute_margin: float | None = None,
        relative_margin: float | None = None,
        absolute_floor: float | None = None,
        relative_floor: float | None = None,
        reference: Reference | None = None,
        range_min: int = 0,
        range_max: int | None = None,
    ) -> CandidatePool:
        """Keep the documents of the pool whose score or guide score lies in a band, without a scan.

        A document is kept if ``low <= score <= cap`` with ``cap = min(max_score, ref - absolute_margin, ref - |ref| *
        relative_margin)`` and ``low = max(min_score, ref - absolute_floor, ref - |ref| * relative_floor)``. Options
        that are not set are left out. Order, scores and reference scores do not change. The report counts dropped
        documents as ``restricted``. A row that loses documents and is short has the reason ``rank_window`` if its pool
        row was full, else ``restricted``. Random negatives are no documents of the pool, and are drawn as before.

        Parameters
        ----------
        by : {"score", "guide"}, default "score"
            Which scores of documents and positives decide.
        max_score, min_score : float, optional
            Highest and lowest score.
        absolute_margin : float, optional
            Least distance below the reference score; negative values allow higher scores.
        relative_margin : float, optional
            Least distance below the reference score as a share of its magnitude, at least 0.
        absolute_floor : float, optional
            Greatest distance below the reference score; negative values ask for documents above it.
        relative_floor : float, optional
            Greatest distance below the reference score as a share of its magnitude; negative values ask for documents
            above it.
        reference : {"min", "max", "mean", "each"}, optional
            The score that margins and floors refer to. Default: "min", or the row's own positive if the pool was mined
            under "each", which "each" requires.
        range_min : int, default 0
            First rank to keep, counted from 0 among the documents within the band.
        range_max : int, optional
            End of the ranks to keep, exclusive. Default: the width of the pool.

        Returns
        -------
        CandidatePool
            A pool of width ``range_max - range_min``.

        Raises
        ------
        NegmineValueError, NegmineTypeError
            An argument is invalid, or the pool has no guide scores.

        Examples
        --------
        >>> import numpy as np, negmine
        >>> corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], dtype=np.float32)
        >>> miner = negmine.HardNegativeMiner(3)
        >>> pool = miner.candidates(negmine.ExactIndex(corpus), corpus[:1], [[0]])
        >>> guided = pool.rescore(lambda queries, documents: documents / 10, as_guide=True)
        >>> guided.restrict(by="guide", max_score=0.2).indices.tolist()
        [[1, 2, -1]]
        """
        return bands.restrict(
            self,
            by=by,
            given={
                "max_score": max_score,
                "min_score": min_score,
                "absolute_margin": absolute_margin,
                "relative_margin": relative_margin,
                "absolute_floor": absolute_floor,
                "relative_floor": relative_floor,
            },
            reference=reference,
            range_min=range_min,
            range_max=range_max,
        )

    def to_positives(self) -> Positives:
        """Return the documents of the pool as positives, such as the pseudo-positives of a teacher.

        Returns
        -------
        Positives
            Per query, the documents of all of its result rows, without its positives.

        Examples
        --------
        >>> import numpy as np, negmine
        >>> corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], dtype=np.float32)
        >>> miner = negmine.HardNegativeMiner(3)
        >>> pool = miner.candidates(negmine.ExactIndex(corpus), corpus[:1], [[0]])
        >>> pool.restrict(min_score=0.9).to_positives()[0].tolist()
        [1]
        """
        return bands.to_positives(self, self.indices)

    @refuse_unknown_options("select")
    def select(
        self,
        num_negatives: int,
        *,
        limit_per_document: int | None = None,
        sampling: Sampling = "top",
        num_random: int = 0,
        seed: int = 0,
        epoch: int = 0,
        num_threads: int | None = None,
    ) -> HardNegatives:
        """Select negatives from the pool, without a scan.

        The result is a pure function of the pool and the arguments. With ``limit_per_document``, rows propose to
        documents in the order of their policy, and each document keeps its best proposals by (score, lower row). The
        result is the row-optimal stable assignment, which is unique. It does not always fill as many rows as possible.

        Parameters
        ----------
        num_negatives : int
            Mined negatives per result row; 0 if ``num_random`` is at least 1.
        limit_per_document : int, optional
            Maximum number of result rows that may use the same document, at least 1; random negatives do not count.
            Default: no limit.
        sampling : {"top", "random"} or Policy, default "top"
            Policy that selects the mined negatives.
        num_random : int, default 0
            Random negatives per result row, in addition to the mined ones: drawn from all candidates between floor and
            cap, distinct, and none of them mined; in proportion to ``random_weights`` if the pool has them, else
            uniformly.
        seed, epoch : int, default 0
            Seed and epoch of the draws, in [0, 2**64). Draws also depend on the query and the document.
        num_threads : int, optional
            Number of threads. Default: all cores available to this process.

        Returns
        -------
        HardNegatives

        Raises
        ------
        NegmineValueError, NegmineTypeError
            An argument is invalid, ``num_random`` is given for a loaded pool without [`attach`][], or a
            [`Quota`][] asks for categories or sources that the pool does not have.

        References
        ----------
        Gale and Shapley, "College Admissions and the Stability of Marriage", 1962.
        """
        draw = Draw(num_negatives, limit_per_document, sampling, num_random, seed)
        epoch = check_epoch(epoch)
        threads = resolve_num_threads(num_threads)
        width = draw.num_negatives + draw.num_random
        ensure_fits_in_memory(len(self), width, "num_negatives", entry=ENTRY_BYTES)
        with memory_errors("num_negatives"):
            labels = quota_labels(self, sampling)
            policy = policies.encode(sampling)
            found = _native.select(
                self, draw.num_negatives, draw.limit_per_document, policy, labels, draw.seed, epoch, threads
            )
            selected = Selected.mined(*found)
            if draw.num_random:
                selected = add_random(self, selected, draw.num_random, draw.seed, epoch, threads)
            reasons = self._without_reference(selected.reasons)
            return HardNegatives(
                indices=selected.indices,
                scores=public_scores(selected.scores),
                counts=selected.counts,
                reasons=reasons,
                source=selected.source,
                above_reference=selected.scores > self.reference_scores[:, None],
                log_prob=selected.log_prob,
                reference_scores=self.reference_scores,
                positive_scores=self.positive_scores,
                query_indices=self.query_indices,
                positive_indices=self.positive_indices,
                report=replace(self.report, short=count_reasons(reasons)),
                epoch=epoch,
                draw=draw,
                document_ids=self.document_ids,
                pool=self,
                query_ids=None if self.query_ids is None else PartialLabels(self._all_queries(), self.query_ids),
            )

    def _all_queries(self) -> npt.NDArray[np.int64]:
        """Return the rows of all queries of the call."""
        return self.query_offset + np.arange(len(self.rules.positives.offsets) - 1, dtype=np.int64)

    def _without_reference(self, reasons: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Replace "no positive" by "no reference" for queries whose positives have no score."""
        has_positives = np.diff(self.rules.positives.offsets)[self.query_indices - self.query_offset] > 0
        return np.where((reasons == Reason.NO_POSITIVE) & has_positives, np.uint8(Reason.NO_REFERENCE), reasons)
