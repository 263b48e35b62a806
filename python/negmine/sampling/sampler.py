"""Sampler of random negatives that are no positives, as a pure function of (seed, epoch, query)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import Csr, as_int64s
from negmine._core.calls import ensure_fits_in_memory, resolve_num_threads
from negmine._core.options import check_epoch, check_flag, check_integer, check_seed, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.data.eligibility import Eligibility, check_eligible
from negmine.data.positives import Positives, check_lists
from negmine.errors import NegmineValueError
from negmine.sampling.sources import Source, read_sources

__all__ = ["NegativeSampler", "Sampled", "sample_negatives"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """Random negatives of some queries.

    Attributes
    ----------
    indices : int64 (n_queries, num_negatives)
        Document rows in ascending order, padded with -1.
    counts : int32 (n_queries,)
        Number of documents per query; fewer than requested only if no more exist.
    log_q : float64 (n_queries, num_negatives)
        Logarithm of the expected number of times that the document is in the row, padded with NaN. With replacement,
        ``ln(num_negatives * q)``. Without, ``ln(p)`` with the probability that the document is drawn given the draws of
        the others; ``1 / p`` makes sums over all allowed documents unbiased. Subtract ``ln(num_negatives)`` for the
        probability of a single draw.
    source : int8 (n_queries, num_negatives)
        Number of the source that the document came from, padded with -1.
    """

    indices: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int32]
    log_q: npt.NDArray[np.float64]
    source: npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """What the core draws by: the rules and the sources, in its form."""

    n_documents: int
    forbidden: Csr
    eligible: Eligibility | None
    sources: list[Any]
    shares: list[float]
    replace: bool
    seed: int


class NegativeSampler:
    """Sampler of random negatives: never a positive, distinct, exact under every rule.

    The draws of a query are a pure function of the arguments, the epoch and the query, so a collate function, any
    worker and any rank draws the same. No draw is rejected for a uniform source: documents are numbered without the
    forbidden ones.

    Parameters
    ----------
    positives : Positives or one list of document rows per query
        Known relevant documents, which are never drawn.
    n_documents : int
        Number of documents.
    sources : Source or list of Source, default "uniform"
        Where documents come from, each normalized over the documents that the query may have:

        - "uniform": all documents with equal probability.
        - "popularity" or ``Popularity(exponent)``: by the number of queries that a document is a positive of.
        - weights, float64 (n_documents,): in proportion to these.
        - one list of document rows per query, or [`SharedLists`][]: equal probability of these.
    shares : sequence of float, optional
        Probability of each source, in proportion; ``sources`` is then the list of these. The share of a source that has
        no document for a query goes to the others. Default: ``sources`` is one source.
    exclude : Positives or one list of document rows per query, optional
        Further documents that are never drawn.
    groups : int64 (n_documents,), optional
        Group of each document, or -1; documents that share a group with a positive are never drawn.
    eligible : Eligibility, optional
        Documents that each query may have. A query then looks through all documents.
    replace : bool, default False
        Whether a document may be drawn several times.
    seed : int, default 0
        Seed of the draws, in [0, 2**64).
    query_offset : int, default 0
        Row of the first query in the whole data set.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument is invalid; the message names it.

    References
    ----------
    Without replacement: Bentley and Floyd, "A sample of brilliance", CACM 1987, for a uniform source; Efraimidis and
    Spirakis, "Weighted random sampling with a reservoir", 2006, for weights. With replacement: Walker, ACM TOMS 1977.

    Examples
    --------
    >>> from negmine.sampling import NegativeSampler
    >>> sampler = NegativeSampler([[0, 1], [2], [0, 1, 2, 3]], n_documents=4)
    >>> sampled = sampler.sample([0, 2], num_negatives=3, epoch=1)
    >>> sampled.indices.tolist(), sampled.counts.tolist()
    ([[2, 3, -1], [-1, -1, -1]], [2, 0])
    """

    @refuse_unknown_options("NegativeSampler")
    def __init__(
        self,
        positives: Positives | Iterable[Iterable[int]],
        *,
        n_documents: int,
        sources: Source | Sequence[Source] = "uniform",
        shares: Sequence[float] | None = None,
        exclude: Positives | Iterable[Iterable[int]] | None = None,
        groups: npt.ArrayLike | None = None,
        eligible: Eligibility | None = None,
        replace: bool = False,
        seed: int = 0,
        query_offset: int = 0,
    ) -> None:
        known = Positives.read(positives, "positives")
        total = check_integer(n_documents, "n_documents", least=0, most=2**32 - 1)
        more = None if exclude is None else Positives.read(exclude, "exclude")
        check_lists(known, "positives", len(known), total, outside=True)
        if more is not None:
            check_lists(more, "exclude", len(known), total, outside=True)
        rule = check_eligible(eligible)
        if rule is not None and (rule.n_documents, rule.n_queries) != (total, len(known)):
            raise NegmineValueError(
                f"`eligible` must have {total} keys and {len(known)} ranges; got {rule.n_documents} and "
                f"{rule.n_queries}."
            )
        of_groups = None if groups is None else as_int64s(groups, "groups", total)
        read, parts = read_sources(sources, shares, known, total)
        self._law = Law(
            n_documents=total,
            forbidden=_forbidden(known, more, of_groups, total),
            eligible=rule,
            sources=read,
            shares=parts,
            replace=check_flag(replace, "replace"),
            seed=check_seed(seed),
        )
        _native.check_sampler(self._law)
        self._offset = check_integer(query_offset, "query_offset", least=0, most=2**62)

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self._law.forbidden.offsets) - 1

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return self._law.n_documents

    def __repr__(self) -> str:
        return (
            f"NegativeSampler({self.n_queries} queries, {self.n_documents} documents, {len(self._law.sources)} sources)"
        )

    @refuse_unknown_options("sample")
    def sample(
        self,
        queries: npt.ArrayLike,
        num_negatives: int,
        *,
        rows: npt.ArrayLike | None = None,
        epoch: int = 0,
        num_threads: int | None = None,
    ) -> Sampled:
        """Draw negatives for some queries.

        Parameters
        ----------
        queries : int64 (n_queries,)
            Rows of queries, in any order. A query that occurs twice gets the same draw; pass ``rows``, or another
            ``epoch``, such as the number of the step, for another one.
        num_negatives : int
            Documents per query, at least 1.
        rows : int64 (n_queries,), optional
            Numbers that the draws belong to instead of the queries, such as the rows of training pairs; at least 0.
        epoch : int, default 0
            Epoch of the draws, in [0, 2**64).
        num_threads : int, optional
            Number of threads. Default: all cores available to this process; 1 inside a DataLoader worker.

        Returns
        -------
        Sampled

        Raises
        ------
        NegmineValueError, NegmineTypeError
            An argument is invalid, or a query does not exist.
        """
        known = as_int64s(queries, "queries")
        own = None if rows is None else as_int64s(rows, "rows", len(known))
        n = check_integer(num_negatives, "num_negatives", least=1)
        ensure_fits_in_memory(len(known), n, "num_negatives", entry=17)
        indices, log_q, source, counts = _native.sample_negatives(
            self._law, known, own, n, check_epoch(epoch), self._offset, resolve_num_threads(num_threads)
        )
        return Sampled(indices, counts, log_q, source)


@refuse_unknown_options("sample_negatives", ("sources", "shares", "exclude", "groups", "eligible", "replace", "seed"))
def sample_negatives(
    positives: Positives | Iterable[Iterable[int]],
    num_negatives: int,
    *,
    n_documents: int,
    epoch: int = 0,
    num_threads: int | None = None,
    **options: Any,  # noqa: ANN401 (options of the sampler)
) -> Sampled:
    """Draw negatives for all queries in one call.

    Parameters
    ----------
    positives : Positives or one list of document rows per query
        Known relevant documents, which are never drawn.
    num_negatives : int
        Documents per query, at least 1.
    n_documents : int
        Number of documents.
    epoch : int, default 0
        Epoch of the draws, in [0, 2**64).
    num_threads : int, optional
        Number of threads. Default: all cores available to this process.
    **options : Any
        Other options of [`NegativeSampler`][].

    Returns
    -------
    Sampled

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument is invalid; the message names it.

    Examples
    --------
    >>> import negmine
    >>> negmine.sampling.sample_negatives([[0], [1]], 2, n_documents=3).indices.tolist()
    [[1, 2], [0, 2]]
    """
    known = Positives.read(positives, "positives")
    sampler = NegativeSampler(known, n_documents=n_documents, **options)
    return sampler.sample(np.arange(len(known)), num_negatives, epoch=epoch, num_threads=num_threads)


def _forbidden(
    positives: Positives, exclude: Positives | None, groups: npt.NDArray[np.int64] | None, n_documents: int
) -> Csr:
    """Return the documents that each query may not have, ascending: positives, exclusions, members of their groups."""
    inside = positives.items >= 0
    pairs = [(positives.queries()[inside], positives.items[inside])]
    if groups is not None:
        pairs.append(_members(*pairs[0], groups))
    if exclude is not None:
        kept = exclude.items >= 0
        pairs.append((exclude.queries()[kept], exclude.items[kept]))
    if len(pairs) == 1:
        lists = [pairs[0]]
    else:
        width = np.int64(max(n_documents, 1))
        keys = np.unique(np.concatenate([query * width + document for query, document in pairs]))
        lists = [(keys // width, keys % width)]
    query, document = lists[0]
    offsets = np.searchsorted(query, np.arange(len(positives) + 1)).astype(np.int64)
    return Csr(offsets, np.ascontiguousarray(document))


def _members(
    queries: npt.NDArray[np.int64], documents: npt.NDArray[np.int64], groups: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the pairs of a query and a document of a group of its positives."""
    order = np.argsort(groups, kind="stable")
    ranked = groups[order]
    own = groups[documents]
    queries, own = queries[own != -1], own[own != -1]
    begins = np.searchsorted(ranked, own)
    counts = np.searchsorted(ranked, own, side="right") - begins
    places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(begins, counts)
    return np.repeat(queries, counts), order[places]
