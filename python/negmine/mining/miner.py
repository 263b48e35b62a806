"""The miner: what to mine, as one frozen object, and the two stages that do it.

The first stage looks at embeddings and is exact: one scan finds, per query, the best documents that pass all rules. The
second only chooses among those. Rules act inside the scan, not on a list that was cut before, so that a row is short
only where the corpus holds no more; and every epoch's draw, another policy or a limit costs no second scan.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr, as_int64s, as_rows
from negmine._core.calls import Progress, check_progress, ensure_fits_in_memory
from negmine._core.options import (
    check_choice,
    check_epoch,
    check_flag,
    check_integer,
    check_real,
    check_seed,
    refuse_unknown_fields,
    refuse_unknown_options,
)
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.negatives import HardNegatives
from negmine.mining.policies import Sampling, check_sampling
from negmine.mining.pool import CandidatePool, Origin
from negmine.mining.report import LINES, Report, count_reasons
from negmine.mining.rules import csr_of, rows_of_warm_start, scores_of_outside_positives, self_rows
from negmine.mining.sweep import MarginKind, Sweep, sweep
from negmine.search.exact import ExactIndex, Metric, eligibility, exclusions
from negmine.search.request import PoolRequest, Rules

__all__ = ["HardNegativeMiner", "Reference", "mine"]

#: What margins refer to: a query's lowest, highest or mean positive, or each positive by itself.
Reference = Literal["min", "max", "mean", "each"]

#: Depth of the pool beyond ``range_min`` for policies that choose within it.
POOL_DEPTH = 100

#: Options of `HardNegativeMiner.candidates` that say who is a candidate.
RULES = ("exclude", "exclude_self", "query_ids", "groups", "eligible", "warm_start", "query_offset")


@refuse_unknown_fields
@dataclass(frozen=True, slots=True)
class HardNegativeMiner:
    """Mines hard negatives, exactly.

    A candidate is a document that is neither a positive nor excluded, shares no group with a positive, and is
    eligible. It survives if ``min_score <= score <= cap`` with ``cap = min(max_score, ref - absolute_margin,
    ref - |ref| * relative_margin)``, absent terms left out, equality kept. Survivors are ranked by (score descending,
    row ascending); those of ranks ``[range_min, range_max)`` are the pool, from which ``sampling`` chooses.

    Parameters
    ----------
    num_negatives : int
        Mined negatives per result row, at least 1. Default: 5.
    absolute_margin : float, optional
        A negative scores at least this much below the reference; negative values allow it to score above.
    relative_margin : float, optional
        A negative scores at least this share of the reference's magnitude below it; at least 0.
    max_score, min_score : float, optional
        Highest and lowest score of a negative. Default: neither.
    reference : "min" (default), "max", "mean" or "each"
        What margins refer to: the lowest, highest or mean score of the query's positives, or each positive by itself,
        which makes one result row per (query, positive).
    range_min : int
        First rank, counted from 0 among survivors. Default: 0.
    range_max : int, optional
        Rank behind the last. Default: ``range_min + num_negatives`` for "top" without ``limit_per_document``, else
        ``range_min + max(100, num_negatives)``.
    sampling : "top" (default), "random", Softmax, SimANS or Stride
        How negatives are chosen from the pool.
    num_random : int
        Further negatives, uniform over all candidates. Default: 0.
    limit_per_document : int, optional
        No document serves more result rows than this (random ones aside).
    seed : int
        Seed of every draw, in [0, 2**64). Default: 0.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An option that breaks its rule; the message names it.

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
    reference: Reference = "min"
    range_min: int = 0
    range_max: int | None = None
    sampling: Sampling = "top"
    num_random: int = 0
    limit_per_document: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer(self.num_negatives, "num_negatives", least=1)
        for name in ("absolute_margin", "max_score", "min_score"):
            if getattr(self, name) is not None:
                check_real(getattr(self, name), name)
        if self.relative_margin is not None:
            check_real(self.relative_margin, "relative_margin", least=0.0)
        check_choice(self.reference, "reference", ("min", "max", "mean", "each"))
        check_integer(self.range_min, "range_min", least=0)
        check_sampling(self.sampling)
        check_integer(self.num_random, "num_random", least=0)
        if self.limit_per_document is not None:
            check_integer(self.limit_per_document, "limit_per_document", least=1)
        check_seed(self.seed)
        if self.range_max is not None:
            check_integer(self.range_max, "range_max", least=1)
            if self.range_max <= self.range_min:
                raise NegmineValueError(
                    "`range_max` must be greater than `range_min`; "
                    f"got range_min={self.range_min}, range_max={self.range_max}."
                )

    @property
    def window(self) -> tuple[int, int]:
        """Ranks ``[range_min, range_max)`` that the pool keeps."""
        if self.range_max is not None:
            return self.range_min, self.range_max
        plain = self.sampling == "top" and self.limit_per_document is None
        depth = self.num_negatives if plain else max(POOL_DEPTH, self.num_negatives)
        return self.range_min, self.range_min + depth

    @refuse_unknown_options("candidates")
    def candidates(
        self,
        index: ExactIndex,
        queries: object,
        positives: Positives | Iterable[Iterable[int]],
        *,
        exclude: Positives | Iterable[Iterable[int]] | None = None,
        exclude_self: bool = False,
        query_ids: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
        eligible: Eligibility | None = None,
        warm_start: CandidatePool | HardNegatives | npt.NDArray[np.int64] | None = None,
        query_offset: int = 0,
        num_threads: int | None = None,
        progress: Progress | None = None,
    ) -> CandidatePool:
        """Scan the corpus once and keep, per result row, the survivors of ranks ``[range_min, range_max)``.

        Parameters
        ----------
        index : ExactIndex
            The documents.
        queries : array (n_queries, width)
            Types as for :class:`ExactIndex`.
        positives : Positives or one list of document rows per query
            Known relevant documents: never negatives, and what margins refer to.
        exclude : Positives or one list of document rows per query, optional
            More documents that are never used.
        exclude_self : bool
            A query is no candidate of itself: needs ``query_ids`` and an index with labels, or queries that are the
            corpus or a slice of its rows that begins at ``query_offset``. Default: False.
        query_ids : int64 or str (n_queries,), optional
            Labels of the queries, for ``exclude_self``.
        groups : int64 (n_documents,), optional
            Documents that share a group with a positive are no candidates; -1 is no group.
        eligible : Eligibility, optional
            A key per document and a range per query: documents outside it are no candidates.
        warm_start : CandidatePool, HardNegatives or int64 (n_queries, any), optional
            What earlier mining found for the same queries, say before the model was trained on. It only gives the scan
            thresholds to start from: stale or wrong rows change no answer.
        query_offset : int
            Row of the first query in the whole set: draws then do not depend on how queries are cut. Default: 0.
        num_threads : int, optional
            Default: the index's.
        progress : callable, optional
            Called as ``progress(done, total)`` about every 50 ms.

        Returns
        -------
        CandidatePool

        Raises
        ------
        NegmineValueError
            NaN or infinity (the row is named), arrays that do not fit each other, rows out of range, a pool that does
            not fit memory.
        NegmineTypeError
            A type or dtype that is not accepted.
        CorpusChangedError
            The corpus is not what it was when the index was built.
        """
        started = time.perf_counter()
        query_array = as_rows(queries, "queries")
        if not isinstance(index, ExactIndex):
            raise NegmineTypeError(f"`index` must be an ExactIndex; got {type(index).__name__}.")
        known = Positives.read(positives, "positives")
        if len(known) != query_array.shape[0]:
            raise NegmineValueError(
                f"`positives` must have length {query_array.shape[0]}, a list per query; got {len(known)}."
            )
        offset = check_integer(query_offset, "query_offset", least=0, most=2**62)
        if not check_flag(exclude_self, "exclude_self") and query_ids is not None:
            raise NegmineValueError("`query_ids` must come with `exclude_self=True`; got exclude_self=False.")
        rules = Rules(
            positives=Csr(known.offsets, known.items),
            exclude=csr_of(exclusions(exclude)),
            self_rows=self_rows(index._rows, index.document_ids, query_array, query_ids, offset)
            if exclude_self
            else None,
            groups=None if groups is None else as_int64s(groups, "groups", len(index)),
            eligible=eligibility(eligible),
        )
        ensure_fits_in_memory(len(known), self.window[1] - self.window[0], "range_max")
        warm_rows = rows_of_warm_start(warm_start, query_array.shape[0], offset)
        request = self._request(rules, scores_of_outside_positives(index, queries, known), warm_rows)
        arrays = index._native.candidates(
            index._rows, query_array, request, index.threads(num_threads), check_progress(progress)
        )
        names = ("indices", "scores", "counts", "reasons", "reference_scores", "positive_scores", "positive_indices")
        return CandidatePool(
            **{name: arrays[name] for name in names},
            ids=index.label(arrays["indices"]),
            query_indices=arrays["query_indices"] + offset,
            report=_report(index, arrays, known.duplicates, time.perf_counter() - started),
            each=self.reference == "each",
            cap_scores=arrays["cap_scores"],
            min_score=_float(self.min_score),
            query_offset=offset,
            document_ids=index.document_ids,
            rules=rules,
            origin=Origin(index, queries),
        )

    def _request(
        self,
        rules: Rules,
        given_scores: npt.NDArray[np.float64] | None,
        warm_rows: npt.NDArray[np.int64] | None,
    ) -> PoolRequest:
        """The miner's options and a call's rules, as the core takes them."""
        range_min, range_max = self.window
        return PoolRequest(
            rules=rules,
            given_scores=given_scores,
            max_score=_float(self.max_score),
            absolute_margin=_float(self.absolute_margin),
            relative_margin=_float(self.relative_margin),
            reference=self.reference,
            min_score=_float(self.min_score),
            range_min=range_min,
            range_max=range_max,
            warm_start=warm_rows,
        )

    @refuse_unknown_options("mine", RULES)
    def mine(
        self,
        index: ExactIndex,
        queries: object,
        positives: Positives | Iterable[Iterable[int]],
        *,
        epoch: int = 0,
        num_threads: int | None = None,
        progress: Progress | None = None,
        **rules: Any,  # noqa: ANN401 (as `candidates` takes them)
    ) -> HardNegatives:
        """:meth:`candidates`, then a choice from the pool by the miner's policy.

        Parameters
        ----------
        index, queries, positives, num_threads, progress
            As in :meth:`candidates`.
        epoch : int
            Epoch of the draws, in [0, 2**64). Default: 0.
        **rules
            Any other option of :meth:`candidates`.

        Returns
        -------
        HardNegatives

        Raises
        ------
        NegmineValueError, NegmineTypeError
            As :meth:`candidates`.
        """
        epoch = check_epoch(epoch)  # now, not after the scan
        pool = self.candidates(index, queries, positives, num_threads=num_threads, progress=progress, **rules)
        return self.select(pool, epoch=epoch, num_threads=num_threads)

    @refuse_unknown_options("sweep", RULES)
    def sweep(
        self,
        index: ExactIndex,
        queries: object,
        positives: Positives | Iterable[Iterable[int]],
        margins: Sequence[float],
        kind: MarginKind = "relative",
        *,
        depth: int = 1000,
        hidden: Positives | Iterable[Iterable[int]] | None = None,
        num_threads: int | None = None,
        progress: Progress | None = None,
        **rules: Any,  # noqa: ANN401 (as `candidates` takes them)
    ) -> Sweep:
        """What every margin would do to this miner's negatives, from one scan without caps.

        Parameters
        ----------
        index, queries, positives, num_threads, progress
            As in :meth:`candidates`.
        margins : sequence of float
            The margins to compare, at least one, in any order.
        kind : "relative" (default) or "absolute"
            Which margin of the miner they stand in for.
        depth : int
            Candidates per result row that the scan keeps; at least ``range_max``. Default: 1000.
        hidden : Positives or one list of document rows per query, optional
            Positives that were kept back, or documents of lower grades: their share among the chosen is reported.
        **rules
            Any other option of :meth:`candidates`.

        Returns
        -------
        Sweep
            Figures per margin, and ``.recommend()``.

        Raises
        ------
        NegmineValueError, NegmineTypeError
            No margin, one that breaks its rule, and as :meth:`candidates`.
        """
        options = {"num_threads": num_threads, "progress": progress, **rules}
        return sweep(self, index, queries, positives, margins, kind, depth=depth, hidden=hidden, **options)

    @refuse_unknown_options("select")
    def select(self, pool: CandidatePool, *, epoch: int = 0, num_threads: int | None = None) -> HardNegatives:
        """Choose from a pool by the miner's policy, without a scan.

        Parameters
        ----------
        pool : CandidatePool
            What :meth:`candidates` returned.
        epoch : int, default 0
            Epoch of the draws, in [0, 2**64).
        num_threads : int, optional
            Default: every core that this process may use.

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


#: Options of `HardNegativeMiner`.
OPTIONS = tuple(field.name for field in fields(HardNegativeMiner) if field.name != "_")


@refuse_unknown_options("mine", (*OPTIONS, *RULES))
def mine(
    queries: object,
    corpus: object,
    positives: Positives | Iterable[Iterable[int]],
    *,
    num_negatives: int = 5,
    metric: Metric = "cosine",
    document_ids: npt.ArrayLike | None = None,
    epoch: int = 0,
    num_threads: int | None = None,
    progress: Progress | None = None,
    **options: Any,  # noqa: ANN401 (as the miner takes them)
) -> HardNegatives:
    """Mine hard negatives in one call.

    Parameters
    ----------
    queries : array (n_queries, width)
        Embeddings of the queries: NumPy, CPU torch tensor, memory map or Arrow fixed-size list.
    corpus : array (n_documents, width)
        Embeddings of the documents.
    positives : Positives or one list of document rows per query
        Known relevant documents.
    num_negatives : int
        Negatives per result row, at least 1. Default: 5.
    document_ids : int64 or str (n_documents,), optional
        Unique labels of the documents, which the result carries as ``.ids``.
    metric, num_threads
        As for :class:`ExactIndex`.
    epoch, progress
        As for :meth:`HardNegativeMiner.mine`.
    **options
        Any option of :class:`HardNegativeMiner` or of :meth:`HardNegativeMiner.candidates`.

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
    >>> negmine.mine(corpus[:1], corpus, [[0]], num_negatives=2).indices.tolist()
    [[1, 2]]
    """
    rules = {name: options.pop(name) for name in RULES if name in options}
    miner = HardNegativeMiner(num_negatives, **options)
    check_epoch(epoch)
    index = ExactIndex(corpus, metric=metric, ids=document_ids, num_threads=num_threads)
    return miner.mine(index, queries, positives, epoch=epoch, num_threads=num_threads, progress=progress, **rules)


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _report(index: ExactIndex, arrays: Mapping[str, Any], duplicates: int, seconds: float) -> Report:
    """The report of a scan from what the core gave."""
    return Report(
        n_documents=len(index),
        n_rows=len(arrays["counts"]),
        n_unscanned=int(np.isnan(arrays["cap_scores"]).sum()),
        lines={line: arrays["report"][line].astype(np.int64) for line in LINES},
        short=count_reasons(arrays["reasons"]),
        zero_documents=index._native.zero_rows,
        zero_queries=int(arrays["zero_queries"]),
        duplicate_pairs=duplicates,
        diagnostics={"seconds": seconds, **arrays["counters"]},
    )
