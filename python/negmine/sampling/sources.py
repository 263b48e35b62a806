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

__all__ = ["Popularity", "Source", "read_sources"]


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
Source = str | Popularity | npt.ArrayLike | Positives


def read_sources(
    sources: object, shares: object, positives: Positives, n_documents: int
) -> tuple[list[Any], list[float]]:
    """Validate sources and shares.

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
    is_list = isinstance(sources, list | tuple)
    if shares is None:
        if is_list and any(isinstance(source, str | Popularity) for source in sources):  # type: ignore[attr-defined]
            raise NegmineTypeError(f"`shares` must be given for several sources; got None for {len(sources)}.")  # type: ignore[arg-type]
        return [_read(sources, positives, n_documents)], [1.0]
    given: Sequence[Any] = sources if is_list else [sources]  # type: ignore[assignment]
    numbers = as_shares(shares, "shares", len(given))
    return [_read(source, positives, n_documents) for source in given], numbers.tolist()


def _read(source: object, positives: Positives, n_documents: int) -> Any:  # noqa: ANN401 (one of three kinds)
    if isinstance(source, str):
        if source == "uniform":
            return None
        if source != "popularity":
            raise NegmineValueError(f"`sources` must be 'uniform', 'popularity', weights or lists; got {source!r}.")
        source = Popularity()
    if isinstance(source, Popularity):
        return _native.AliasTable(source.weights(positives, n_documents))
    if isinstance(source, Positives) or _is_nested(source):
        return _lists(source, len(positives), n_documents)
    weights = as_float64s(source, "sources", n_documents)
    bad = ~np.isfinite(weights) | (weights < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise NegmineValueError(f"`sources` must be weights, finite and at least 0; got {weights[row]} at row {row}.")
    return _native.AliasTable(weights)


def _is_nested(source: object) -> bool:
    """Return whether a source is a list of lists."""
    if isinstance(source, np.ndarray) or not isinstance(source, Iterable):
        return False
    first = next(iter(source), None)
    return isinstance(first, Iterable) and not isinstance(first, str | bytes)


def _lists(source: object, n_queries: int, n_documents: int) -> Csr:
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
