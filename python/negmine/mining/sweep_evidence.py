"""Evidence of a margin sweep: which pairs are false negatives, from hidden positives or from a judged sample."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine._core.labels import as_ids, as_labels
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.options import CandidateOptions
from negmine.mining.recommendation import Evidence
from negmine.mining.rules import query_labels
from negmine.mining.verdicts import Verdicts
from negmine.search.protocol import CandidateSource

__all__ = ["KnownPairs", "read_evidence"]


@dataclass(frozen=True, slots=True)
class KnownPairs:
    """Pairs that are false negatives or were judged.

    Attributes
    ----------
    evidence : {"hidden", "verdicts"}
        Where they come from. The verdict on every pair is known from hidden positives: a pair that is not among them
        is a true negative.
    keys : int64 (n,)
        The pairs as ``query * n_documents + document``, in ascending order.
    relevant : bool (n,)
        Whether the pair is a false negative.
    weights : float64 (n,)
        One over the probability that the pair was judged.
    """

    evidence: Evidence
    keys: npt.NDArray[np.int64]
    relevant: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float64]


def read_evidence(
    source: CandidateSource,
    queries: object,
    positives: Positives,
    hidden: Positives | Iterable[Iterable[int]] | None,
    verdicts: Verdicts | None,
    rules: CandidateOptions,
) -> KnownPairs | None:
    """Validate the evidence of a sweep before its scan.

    Parameters
    ----------
    source : CandidateSource
        The documents.
    queries : array (n_queries, width)
        Embeddings of the queries, or numbers of lists.
    positives : Positives
        Known positives.
    hidden : Positives, one list of document rows per query, or None
        The hidden positives.
    verdicts : Verdicts or None
        The journal of a judged sample.
    rules : CandidateOptions
        Options of the mining call: labels of the queries, and exclusions.

    Returns
    -------
    KnownPairs or None
        None without evidence.

    Raises
    ------
    NegmineValueError
        There are both kinds of evidence, lists or labels do not fit, or judged false negatives are positives or
        excluded.
    NegmineTypeError
        An argument has a type that is not accepted.
    """
    n = len(source)
    if hidden is not None and verdicts is not None:
        raise NegmineValueError("`verdicts` must not be given together with `hidden`; got both.")
    if hidden is not None:
        # A hidden positive outside the corpus, row -1, cannot be a negative.
        lists = _read_hidden(hidden, len(positives), n)
        keys = np.unique((lists.queries() * n + lists.items)[lists.items >= 0])
        return KnownPairs("hidden", keys, np.ones(len(keys), dtype=np.bool_), np.ones(len(keys)))
    if verdicts is None:
        return None
    if not isinstance(verdicts, Verdicts):
        raise NegmineTypeError(f"`verdicts` must be Verdicts; got {type(verdicts).__name__}.")
    if source.document_ids is None:
        raise NegmineValueError("`verdicts` must have labels of the documents; got a source without.")
    query_ids = query_labels(source, queries, len(positives), rules.get("query_ids"), rules.get("query_offset", 0))
    if query_ids is None:
        raise NegmineValueError("`query_ids` must be given with `verdicts`; got None.")
    documents = as_labels(source.document_ids, "document_ids")
    known = KnownPairs("verdicts", *verdicts.sample(as_ids(query_ids, "query_ids", len(positives)), documents))
    _refuse_applied(known, positives, "positives", n)
    exclude = rules.get("exclude")
    if exclude is not None:
        _refuse_applied(known, Positives.read(exclude, "exclude"), "exclude", n)
    return known


def _refuse_applied(known: KnownPairs, lists: Positives, argument: str, n_documents: int) -> None:
    """Refuse lists that hold judged false negatives: without these, the sample would have a share near 0."""
    inside = lists.items >= 0
    taken = np.isin(known.keys[known.relevant], (lists.queries() * n_documents + lists.items)[inside])
    if taken.any():
        raise NegmineValueError(
            f"`{argument}` must be those of the export, so that the judged false negatives count; got {taken.sum()} of "
            f"{len(taken)} among them. Sweep before `Verdicts.apply`."
        )


def _read_hidden(hidden: Positives | Iterable[Iterable[int]], n_queries: int, n_documents: int) -> Positives:
    """Validate hidden positives."""
    lists = Positives.read(hidden, "hidden")
    if len(lists) != n_queries:
        raise NegmineValueError(f"`hidden` must have length {n_queries}; got {len(lists)}.")
    if len(lists.items) and lists.items.max() >= n_documents:
        raise NegmineValueError(f"`hidden` must hold row numbers below {n_documents}; got {lists.items.max()}.")
    return lists
