"""Sources of random negatives, and what the core draws from them with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import Csr, as_float64s, as_shares
from negmine._core.math import exp, ln
from negmine._core.options import check_real, refuse_unknown_fields
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.sampling.entity_lists import RelationLists, SharedLists

__all__ = [
    "Popularity",
    "Source",
    "check_weights",
    "is_nested",
    "read_lists",
    "read_sources",
    "read_weights",
    "split_sources",
]


@refuse_unknown_fields
@dataclass(frozen=True, slots=True)
class Popularity:
    """Weights of the documents by their number of queries: ``count ** exponent``.

    Parameters
    ----------
    exponent : float, default 0.75
        Finite, at least 0. A document without queries has weight 0, except that every weight is 1 with exponent 0.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The exponent is invalid.

    References
    ----------
    Mikolov et al., "Distributed Representations of Words and Phrases and their Compositionality", NeurIPS 2013, draws
    negative words by counts to the power of 3/4.
    """

    exponent: float = 0.75

    def __post_init__(self) -> None:
        check_real(self.exponent, "exponent", least=0.0)

    def weights(self, positives: Positives, n_documents: int) -> npt.NDArray[np.float64]:
        """Return the weights of all documents.

        Parameters
        ----------
        positives : Positives
            Documents of each query; those outside the corpus do not count.
        n_documents : int
            Number of documents.

        Returns
        -------
        float64 (n_documents,)
        """
        counts = np.bincount(positives.items[positives.items >= 0], minlength=n_documents).astype(np.float64)
        if self.exponent == 0.0:
            return np.ones(n_documents)
        powers = exp(self.exponent * ln(np.maximum(counts, 1.0)))
        return np.where(counts > 0, powers, 0.0)


#: A source: "uniform", "popularity", a Popularity, weights of all documents, or lists of documents per query.
Source = str | Popularity | npt.ArrayLike | Positives | SharedLists

#: Sources that are neither numbers nor lists: a list that holds one is a list of several sources.
NAMED = (str, Popularity, Positives, SharedLists, RelationLists)


def split_sources(sources: object, shares: object) -> tuple[Sequence[Any], list[float]]:
    """Validate shares, and return the list of sources.

    Parameters
    ----------
    sources : Source or list of Source
        One source, or several.
    shares : sequence of float or None
        Share of each source; None for one source.

    Returns
    -------
    tuple of (sequence, list of float)
        The sources and their shares.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        Shares are missing or invalid.
    """
    is_list = isinstance(sources, list | tuple)
    if shares is None:
        if is_list and any(isinstance(source, NAMED) for source in sources):  # type: ignore[attr-defined]
            raise NegmineTypeError(f"`shares` must be given for several sources; got None for {len(sources)}.")  # type: ignore[arg-type]
        return [sources], [1.0]
    given: Sequence[Any] = sources if is_list else [sources]  # type: ignore[assignment]
    return given, as_shares(shares, "shares", len(given)).tolist()


def read_sources(
    sources: object, shares: object, positives: Positives, n_documents: int
) -> tuple[list[Any], list[float]]:
    """Validate sources and shares of a sampler.

    Parameters
    ----------
    sources : Source or list of Source
        One source, or several.
    shares : sequence of float or None
        Share of each source.
    positives : Positives
        Documents of each query, for popularity.
    n_documents : int
        Number of documents.

    Returns
    -------
    tuple of (list, list of float)
        What the core draws with: None for the uniform source, a table of weights, or lists; and the shares.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        A source or a share is invalid.
    """
    given, parts = split_sources(sources, shares)
    return [_read(source, positives, n_documents) for source in given], parts


def _read(source: object, positives: Positives, n_documents: int) -> Any:  # noqa: ANN401 (one of three kinds)
    if isinstance(source, str) and source == "uniform":
        return None
    if isinstance(source, str) and source == "popularity":
        source = Popularity()
    if isinstance(source, Popularity):
        return _native.AliasTable(source.weights(positives, n_documents))
    if isinstance(source, SharedLists):
        source = source.expand()
    if isinstance(source, Positives) or is_nested(source):
        return read_lists(source, len(positives), n_documents)
    return read_weights(source, n_documents)


def is_nested(source: object) -> bool:
    """Return whether a source is a list of lists.

    Parameters
    ----------
    source : object
        The source.

    Returns
    -------
    bool
    """
    if isinstance(source, np.ndarray) or not isinstance(source, Iterable):
        return False
    first = next(iter(source), None)
    return isinstance(first, Iterable) and not isinstance(first, str | bytes)


def read_weights(source: object, n_documents: int) -> _native.AliasTable:
    """Validate a source of weights.

    Parameters
    ----------
    source : float64 (n_documents,)
        The weights.
    n_documents : int
        Number of documents.

    Returns
    -------
    AliasTable

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The source is no source, or a weight is negative or not finite.
    """
    if isinstance(source, str):
        raise NegmineValueError(f"`sources` must be 'uniform', 'popularity', weights or lists; got {source!r}.")
    return _native.AliasTable(check_weights(source, "sources", n_documents))


def check_weights(value: object, argument: str, n_documents: int) -> npt.NDArray[np.float64]:
    """Validate weights of all documents.

    Parameters
    ----------
    value : float64 (n_documents,)
        The weights.
    argument : str
        Name of the argument, for error messages.
    n_documents : int
        Number of documents.

    Returns
    -------
    float64 (n_documents,)

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The array has another shape or type, or a weight is negative or not finite.
    """
    weights = as_float64s(value, argument, n_documents)
    bad = ~np.isfinite(weights) | (weights < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise NegmineValueError(
            f"`{argument}` must be weights, finite and at least 0; got {weights[row]} at row {row}."
        )
    return weights


def read_lists(source: object, n_queries: int, n_documents: int) -> Csr:
    """Validate a source of lists.

    Parameters
    ----------
    source : Positives or one list of document rows per query
        The lists.
    n_queries, n_documents : int
        Number of lists and of documents.

    Returns
    -------
    Csr

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The number of lists differs, or a document does not exist or stands in a list twice.
    """
    lists = Positives.read(source, "sources")
    if len(lists) != n_queries:
        raise NegmineValueError(f"`sources` must have one list for each of the {n_queries} queries; got {len(lists)}.")
    if lists.duplicates:
        raise NegmineValueError(
            f"`sources` must hold a document at most once per query; got {lists.duplicates} repetitions."
        )
    if len(lists.items) and (lists.items.min() < 0 or lists.items.max() >= n_documents):
        bad = lists.items.min() if lists.items.min() < 0 else lists.items.max()
        raise NegmineValueError(f"`sources` must hold document rows from 0 to {n_documents - 1}; got {bad}.")
    return Csr(lists.offsets, lists.items)
