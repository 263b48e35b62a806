"""Weights in proportion to which random negatives are drawn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from negmine.data.positives import Positives
from negmine.errors import NegmineValueError
from negmine.sampling.sources import Popularity, check_weights

__all__ = ["RandomWeights", "read_random_weights"]

#: "popularity", a Popularity, or weights of all documents.
RandomWeights = str | Popularity | npt.ArrayLike


def read_random_weights(
    weights: RandomWeights | None, positives: Positives, n_documents: int
) -> npt.NDArray[np.float64] | None:
    """Validate the weights of a mining call.

    Parameters
    ----------
    weights : float64 (n_documents,), "popularity", Popularity or None
        The weights, or what they are computed from the positives by.
    positives : Positives
        Known relevant documents of all queries of the call.
    n_documents : int
        Number of documents.

    Returns
    -------
    float64 (n_documents,) or None
        None without weights.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The weights are not those of all documents, or a weight is negative or not finite.
    """
    if weights is None:
        return None
    if isinstance(weights, str):
        if weights != "popularity":
            raise NegmineValueError(
                f"`random_weights` must be 'popularity', a Popularity, or weights of all documents; got {weights!r}."
            )
        weights = Popularity()
    if isinstance(weights, Popularity):
        return weights.weights(positives, n_documents)
    return check_weights(weights, "random_weights", n_documents)
