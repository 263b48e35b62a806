"""The hard-negative miner: one frozen object with all mining options, and the two stages of mining.

The first stage reads embeddings and is exact: one scan finds, per query, the best documents that pass all rules. The
second stage only selects among those. The rules are applied inside the scan, not to a list that was truncated before,
so that a row is short only if the corpus has no more such documents. Drawing for another epoch, with another policy or
with a limit per document needs no second scan.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import Unpack

import numpy as np
import numpy.typing as npt

from negmine._core.calls import Progress, check_progress, ensure_fits_in_memory
from negmine._core.labels import as_labels
from negmine._core.options import (
    check_choice,
    check_epoch,
    check_integer,
    check_real,
    check_seed,
    refuse_unknown_fields,
    refuse_unknown_options,
)
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.draw import refuse_limited_quota
from negmine.mining.negatives import HardNegatives
from negmine.mining.options import CandidateOptions, PoolOptions, RuleOptions
from negmine.mining.policies import Sampling, check_sampling
from negmine.mining.pool import CandidatePool, Origin
from negmine.mining.references import Reference
from negmine.mining.rejected import find_rejected
from negmine.mining.report import Report, count_reasons
from negmine.mining.rules import CandidateRules, WarmStart, warm_start_rows
from negmine.mining.sweep import MarginKind, Sweep
from negmine.mining.sweep_evidence import read_evidence
from negmine.mining.sweep_figures import evaluate_margins, read_margins
from negmine.mining.verdicts import Verdicts
from negmine.search.protocol import CandidateSource, check_source
from negmine.search.request import PoolRequest, Rules

__all__ = ["MINER_OPTIONS", "HardNegativeMiner"]

#: Number of ranks that the pool keeps from ``range_min`` on, for policies that select within the pool.
POOL_DEPTH = 100


@refuse_unknown_fields
@dataclass(frozen=True, slots=True)
class HardNegativeMiner:
    """Exact miner of hard negatives.

    A candidate is a document that is neither a positive nor excluded, shares no group with a positive, and is
    eligible. A candidate survives if ``floor <= score <= cap`` with ``cap = min(max_score, ref - absolute_margin,
    ref - |ref| * relative_margin)`` and ``floor = max(min_score, ref - absolute_floor, ref - |ref| * relative_floor)``.
    Options that are not set are left out of this rule. Survivors are ranked by (score
    descending, row ascending). Those of ranks ``[range_min, range_max)`` form the candidate pool, from which
    ``sampling`` selects the negatives.

    Parameters
    ----------
    num_negatives : int, default 5
        Mined negatives per result row; 0 if ``num_random`` is at least 1.
    absolute_margin : float, optional
        A negative must score at least this much below the reference score. A negative value allows higher scores.
    relative_margin : float, optional
        A negative must score at least this share of the reference's magnitude below the reference score; at least 0.
    max_score, min_score : float, optional
        Highest and lowest score of a negative. Default: no bounds.
    absolute_floor : float, optional
        A negative must score at most this much below the reference score. A negative value asks for documents that
        score above the positive.
    relative_floor : float, optional
        A negative must score at most this share of the reference's magnitude below the reference score.
    reference : {"min", "max", "mean", "each"}, default "min"
        The score that margins and floors refer to: the lowest, highest or mean score of the query's positives, or the
        score of each positive separately. "each" produces one result row per (query, positive).
    range_min : int, default 0
        First rank, counted from 0 among survivors.
    range_max : int, optional
        End of the ranks, exclusive. Default: ``range_min + num_negatives`` for "top" without ``limit_per_document``,
        else ``range_min + max(100, num_negatives)``.
    sampling : {"top", "random"} or Policy, default "top"
        Policy that selects negatives from the pool.
    num_random : int, default 0
        Random negatives per result row, in addition to the mined ones, drawn uniformly from all candidates.
    limit_per_document : int, optional
        Maximum number of result rows that may use the same document; random negatives do not count. Default: no limit.
    seed : int, default 0
        Seed of every draw, in [0, 2**64).

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An option is invalid; the message names it.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], dtype=np.float32)
    >>> index = negmine.ExactIndex(corpus)
    >>> miner = negmine.HardNegativeMiner(2, relative_margin=0.2)
    >>> negatives = miner.mine(index, corpus[:1], [[0]])
    >>> negatives.indices.tolist(), negatives.report.totals()["above_relative_margin"]
    ([[2, 3]], 1)
    """

    num_negatives: int = 5
    _: KW_ONLY
    absolute_margin: float | None = None
    relative_margin: float | None = None
    max_score: float | None = None
    min_score: float | None = None
    absolute_floor: float | None = None
    relative_floor: float | None = None
    reference: Reference = "min"
    range_min: int = 0
    range_max: int | None = None
    sampling: Sampling = "top"
    num_random: int = 0
    limit_per_document: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        num_random = check_integer(self.num_random, "num_random", least=0)
        check_integer(self.num_negatives, "num_negatives", least=1 if num_random == 0 else 0)
        for name in ("absolute_margin", "max_score", "min_score", "absolute_floor", "relative_floor"):
            if getattr(self, name) is not None:
                check_real(getattr(self, name), name)
        if self.relative_margin is not None:
            check_real(self.relative_margin, "relative_margin", least=0.0)
        check_choice(self.reference, "reference", ("min", "max", "mean", "each"))
        check_integer(self.range_min, "range_min", least=0)
        check_sampling(self.sampling)
        if self.limit_per_document is not None:
            check_integer(self.limit_per_document, "limit_per_document", least=1)
        refuse_limited_quota(self.sampling, self.limit_per_document)
        check_seed(self.seed)
        if self.range_max is not None:
            check_integer(self.range_max, "range_max", least=1)
            if self.range_max <= self.range_min:
                raise NegmineValueError(
                    "`range_max` must be greater than `range_min`; "
                    f"got range_min={self.range_min}, range_max={self.range_max}."
                )
        if self.min_score is not None and self.max_score is not None and self.min_score > self.max_score:
            raise NegmineValueError(
                f"`min_score` must be at most `max_score`; got min_score={self.min_score}, max_score={self.max_score}."
            )

    @property
    def window(self) -> tuple[int, int]:
        """Ranks ``[range_min, range_max)`` that the pool keeps."""
        if self.range_max is not None:
            return self.range_min, self.range_max
        plain = self.sampling == "top" and self.limit_per_document is None
        depth = self.num_negatives if plain else max(POOL_DEPTH, self.num_negatives)
        return self.range_min, self.range_min + depth

    def check_window(self) -> None:
        """Raise an error if the ranks cannot hold ``num_negatives``, so that no row could be full.

        Raises
        ------
        NegmineValueError
            ``range_max - range_min`` is less than ``num_negatives``.
        """
        range_min, range_max = self.window
        if range_max - range_min < self.num_negatives:
            raise NegmineValueError(
                f"`range_max` must leave `num_negatives`={self.num_negatives} ranks from `range_min` on; "
                f"got range_min={range_min}, range_max={range_max}."
            )

    @refuse_unknown_options("candidates", tuple(RuleOptions.__annotations__))
    def candidates(
        self,
        source: CandidateSource,
        queries: object,
        positives: Positives | Iterable[Iterable[int]] | Iterable[int],
        *,
        warm_start: WarmStart | None = None,
        query_offset: int = 0,
        keep_rejected: int = 0,
        num_threads: int | None = None,
        progress: Progress | None = None,
        **rules: Unpack[RuleOptions],
    ) -> CandidatePool:
        """Scan the corpus once and keep, per result row, the survivors of ranks ``[range_min, range_max)``.

        Parameters
        ----------
        source : ExactIndex or another CandidateSource
            The documents.
        queries : array (n_queries, width)
            Embeddings of the queries, of the same types as for [`ExactIndex`][]. A source without embeddings takes
            None or list numbers.
        positives : Positives, one list of document rows per query, or int64 (n_queries,)
            Known relevant documents. They are never negatives, and margins refer to their scores.
        warm_start : CandidatePool, HardNegatives or int64 (n_queries, any), optional
            Result of an earlier mining call for the same queries. The scan takes its initial thresholds from it; stale
            or wrong rows do not change the result.
        query_offset : int, default 0
            Row of the first query in the whole data set, so that draws do not depend on how the queries are split.
        keep_rejected : int, default 0
            Number of rejected documents per result row that the pool keeps in ``rejected``, the best ones, each with
            its score and the rule that rejected it. This takes up to three further scans.
        num_threads : int, optional
            Number of threads. Default: that of the source.
        progress : callable, optional
            Called as ``progress(done, total)`` about every 50 ms.
        **rules : Any
            Options that decide which documents are candidates:

            - ``exclude`` (Positives or one list of rows per query): further documents that are never used.
            - ``exclude_self`` (bool): whether the document that is the query itself is excluded. This needs
              ``query_ids`` and labels of the documents, or queries that are the corpus or a slice of its rows that
              starts at ``query_offset``.
            - ``query_ids`` (int64 or str (n_queries,)): labels of the queries, which the results keep. Default: those
              that a source of lists has.
            - ``groups`` (int64 (n_documents,)): documents that share a group with a positive are not candidates; -1
              means no group.
            - ``eligible`` (Eligibility): one key per document and one range per query.
            - ``categories`` (int64 (n_documents,)): category of each document, which [`Quota`][] divides negatives
              by. They do not change which documents are candidates.
            - ``random_weights`` (float64 (n_documents,), "popularity" or Popularity): weight of each document, in
              proportion to which random negatives are drawn; those of weight 0 never are. "popularity" counts, for each
              document, the queries of this call that it is a positive of. Default: all documents are equally likely.

        Returns
        -------
        CandidatePool

        Raises
        ------
        NegmineValueError
            An embedding holds NaN or infinity (the message names the row), arrays do not fit each other, or a row is
            out of range.
        NegmineTypeError
            A type or dtype is not accepted.
        CorpusChangedError
            The corpus has changed since the index was built.
        MemoryLimitError
            The pool does not fit in memory, or the call does not fit in the ``memory_limit`` of the index.
        """
        check_source(source)
        read = CandidateRules.read(source, queries, positives, query_offset=query_offset, **rules)
        return self.pool(source, queries, read, warm_start, query_offset, num_threads, progress, keep_rejected)

    def pool(
        self,
        source: CandidateSource,
        queries: object,
        rules: CandidateRules,
        warm_start: WarmStart | None = None,
        query_offset: int = 0,
        num_threads: int | None = None,
        progress: Progress | None = None,
        keep_rejected: int = 0,
    ) -> CandidatePool:
        """Return the candidate pool under rules that are already validated; see [`candidates`][].

        Parameters
        ----------
        source : CandidateSource
            The documents.
        queries : array (n_queries, width)
            Embeddings of the queries, as for [`candidates`][].
        rules : CandidateRules
            Rules of these queries.
        warm_start : CandidatePool, HardNegatives or int64 (n_queries, any), optional
            Result of an earlier mining call for the same queries.
        query_offset : int, default 0
            Row of the first query in the whole data set.
        num_threads : int, optional
            Number of threads. Default: that of the source.
        progress : callable, optional
            Called as ``progress(done, total)`` about every 50 ms.
        keep_rejected : int, default 0
            Number of rejected documents per result row that the pool keeps.

        Returns
        -------
        CandidatePool
        """
        check_integer(keep_rejected, "keep_rejected", least=0)
        started = time.perf_counter()
        if queries is None:
            # A source without embeddings: its lists from `query_offset` on.
            queries = np.arange(query_offset, query_offset + rules.n_queries)
        n_rows = rules.n_queries
        if self.reference == "each":
            n_rows = int(np.maximum(np.diff(rules.positives.offsets), 1).sum())
        ensure_fits_in_memory(n_rows, self.window[1] - self.window[0], "range_max")
        request = self.request(
            rules.request(),
            rules.given_scores(source, queries),
            warm_start_rows(warm_start, rules.n_queries, query_offset),
        )
        found = source.candidates(queries, request, num_threads=num_threads, progress=check_progress(progress))
        report = Report(
            n_documents=len(source),
            n_rows=len(found.counts),
            n_unscanned=int(np.isnan(found.cap_scores).sum()),
            lines=found.lines,
            short=count_reasons(found.reasons),
            zero_documents=found.zero_documents,
            zero_queries=found.zero_queries,
            duplicate_pairs=rules.positives.duplicates,
            unknown_judgments=rules.positives.unknown_judgments,
            approximation=found.approximation,
            diagnostics={"seconds": time.perf_counter() - started, **found.counters},
        )
        pool = CandidatePool(
            indices=found.indices,
            scores=found.scores,
            counts=found.counts,
            reasons=found.reasons,
            reference_scores=found.reference_scores,
            positive_scores=found.positive_scores,
            query_indices=found.query_indices + query_offset,
            positive_indices=found.positive_indices,
            report=report,
            each=self.reference == "each",
            cap_scores=found.cap_scores,
            floor_scores=found.floor_scores,
            query_offset=query_offset,
            document_ids=None if source.document_ids is None else as_labels(source.document_ids, "document_ids"),
            rules=request.rules,
            origin=Origin(source, queries),
            query_ids=rules.query_ids,
            skipped=self.window[0],
            categories=rules.categories,
            random_weights=rules.random_weights,
        )
        if not keep_rejected:
            return pool
        return replace(pool, rejected=find_rejected(pool, self, keep_rejected, num_threads, progress))

    def request(
        self,
        rules: Rules,
        given_scores: npt.NDArray[np.float64] | None = None,
        warm_start: npt.NDArray[np.int64] | None = None,
    ) -> PoolRequest:
        """Return the request that the miner sends to a candidate source.

        Parameters
        ----------
        rules : Rules
            Rules that decide which documents are candidates.
        given_scores : float64 (n_positives,), optional
            Scores of positives outside the corpus, NaN for the others.
        warm_start : int64 (n_queries, any), optional
            Document rows that an earlier mining call found, padded with -1.

        Returns
        -------
        PoolRequest
        """
        range_min, range_max = self.window
        return PoolRequest(
            rules=rules,
            given_scores=given_scores,
            max_score=_float(self.max_score),
            absolute_margin=_float(self.absolute_margin),
            relative_margin=_float(self.relative_margin),
            min_score=_float(self.min_score),
            absolute_floor=_float(self.absolute_floor),
            relative_floor=_float(self.relative_floor),
            reference=self.reference,
            range_min=range_min,
            range_max=range_max,
            warm_start=warm_start,
        )

    @refuse_unknown_options("mine", tuple(PoolOptions.__annotations__))
    def mine(
        self,
        source: CandidateSource,
        queries: object,
        positives: Positives | Iterable[Iterable[int]] | Iterable[int],
        *,
        epoch: int = 0,
        num_threads: int | None = None,
        progress: Progress | None = None,
        **rules: Unpack[PoolOptions],
    ) -> HardNegatives:
        """Find the candidates, then select negatives from the pool by the miner's policy.

        Parameters
        ----------
        source : ExactIndex or another CandidateSource
            The documents.
        queries : array (n_queries, width)
            Embeddings of the queries, as for [`candidates`][].
        positives : Positives, one list of document rows per query, or int64 (n_queries,)
            Known relevant documents.
        epoch : int, default 0
            Epoch of the draws, in [0, 2**64).
        num_threads : int, optional
            Number of threads. Default: that of the source.
        progress : callable, optional
            Called as ``progress(done, total)`` about every 50 ms.
        **rules : Any
            Any other option of [`candidates`][].

        Returns
        -------
        HardNegatives

        Raises
        ------
        NegmineValueError, NegmineTypeError
            An argument is invalid, as for [`candidates`][].
        """
        self.check_window()
        epoch = check_epoch(epoch)  # before the scan, not after it
        pool = self.candidates(source, queries, positives, num_threads=num_threads, progress=progress, **rules)
        return self.select(pool, epoch=epoch, num_threads=num_threads)

    @refuse_unknown_options("sweep", tuple(CandidateOptions.__annotations__))
    def sweep(
        self,
        source: CandidateSource,
        queries: object,
        positives: Positives | Iterable[Iterable[int]] | Iterable[int],
        margins: Iterable[float | None],
        kind: MarginKind = "relative",
        *,
        depth: int = 1000,
        hidden: Positives | Iterable[Iterable[int]] | None = None,
        verdicts: Verdicts | None = None,
        num_threads: int | None = None,
        progress: Progress | None = None,
        **rules: Unpack[CandidateOptions],
    ) -> Sweep:
        """Compute the effect of every margin on this miner's negatives, from one scan without caps.

        Parameters
        ----------
        source : ExactIndex or another CandidateSource
            The documents.
        queries : array (n_queries, width)
            Embeddings of the queries, as for [`candidates`][].
        positives : Positives, one list of document rows per query, or int64 (n_queries,)
            Known relevant documents.
        margins : iterable of float or None
            The margins to compare, at least one, in any order. None is no margin; absolute margins may be negative.
        kind : {"relative", "absolute"}, default "relative"
            Which margin of the miner is replaced.
        depth : int, default 1000
            Candidates per result row that the scan keeps; at least ``range_max``.
        hidden : Positives or one list of document rows per query, optional
            Positives that were held out, or documents of lower grades. Their share among the selected negatives is
            reported.
        verdicts : Verdicts, optional
            Judgments of a sample of pairs, in place of ``hidden``. They are weighted by one over the probability of
            their export, so the share is that of the pool that was exported: export one without margins, of as many
            ranks as the margins of the sweep can reach, and keep its positives and exclusions, without
            [`Verdicts.apply`][]. The documents need labels, and ``query_ids`` those of the queries.
        num_threads : int, optional
            Number of threads. Default: that of the source.
        progress : callable, optional
            Called as ``progress(done, total)`` about every 50 ms.
        **rules : Any
            Any other option of [`candidates`][].

        Returns
        -------
        Sweep
            Figures per margin; ``.recommend()`` returns a margin if there are hidden positives or verdicts.

        Raises
        ------
        NegmineValueError, NegmineTypeError
            There is no margin; there are both hidden positives and verdicts; labels for the verdicts are missing, or
            the verdicts were already applied; or an argument is invalid, as for [`candidates`][].
        """
        check_source(source)
        values = read_margins(margins, kind)
        depth = check_integer(depth, "depth", least=self.window[1])
        known = Positives.read(positives, "positives", one_each=True)
        pairs = read_evidence(source, queries, known, hidden, verdicts, rules)
        uncapped = replace(
            self,
            absolute_margin=None,
            relative_margin=None,
            max_score=None,
            range_min=0,
            range_max=depth,
            limit_per_document=None,
        )
        pool = uncapped.candidates(source, queries, known, num_threads=num_threads, progress=progress, **rules)
        return evaluate_margins(pool, self.request(pool.rules), self.num_negatives, values, kind, pairs)

    @refuse_unknown_options("select")
    def select(self, pool: CandidatePool, *, epoch: int = 0, num_threads: int | None = None) -> HardNegatives:
        """Select negatives from a pool by the miner's policy, without a scan.

        Parameters
        ----------
        pool : CandidatePool
            Result of [`candidates`][].
        epoch : int, default 0
            Epoch of the draws, in [0, 2**64).
        num_threads : int, optional
            Number of threads. Default: all cores available to this process.

        Returns
        -------
        HardNegatives
        """
        if not isinstance(pool, CandidatePool):
            raise NegmineTypeError(f"`pool` must be a CandidatePool; got {type(pool).__name__}.")
        return pool.select(
            self.num_negatives,
            limit_per_document=self.limit_per_document,
            sampling=self.sampling,
            num_random=self.num_random,
            seed=self.seed,
            epoch=epoch,
            num_threads=num_threads,
        )


#: Names of the options of `HardNegativeMiner`.
MINER_OPTIONS = tuple(field.name for field in fields(HardNegativeMiner) if field.name != "_")


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)
