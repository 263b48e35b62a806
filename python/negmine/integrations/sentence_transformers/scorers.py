"""Cross encoders of sentence-transformers as scorers of candidate pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.options import check_integer
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.rescoring import Scorer

__all__ = ["cross_encoder_scorer"]


def cross_encoder_scorer(
    model: Any,  # noqa: ANN401 (a CrossEncoder)
    queries: Sequence[str],
    documents: Sequence[str],
    *,
    batch_size: int = 32,
) -> Scorer:
    """Make a scorer of pairs from a cross encoder, for [`negmine.CandidatePool.rescore`][].

    Parameters
    ----------
    model : sentence_transformers.CrossEncoder
        Cross encoder with one label, or anything whose ``predict(pairs, batch_size=, show_progress_bar=)`` returns one
        score per pair.
    queries : sequence of n_queries str
        Texts of the queries, in row order; an Arrow array of strings is accepted.
    documents : sequence of n_documents str
        Texts of the documents, in row order, likewise.
    batch_size : int, default 32
        Pairs that the model scores at once.

    Returns
    -------
    callable
        ``f(query_indices, document_indices)``, which returns float64 scores in the order of the pairs.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        The model has no ``predict``, texts are not strings, or ``batch_size`` is invalid. When the scorer is called: a
        row has no text, or the model does not return one number per pair.

    Examples
    --------
    >>> from sentence_transformers import CrossEncoder  # doctest: +SKIP
    >>> scorer = cross_encoder_scorer(CrossEncoder("path/to/model"), queries, documents)  # doctest: +SKIP
    >>> pool.rescore(scorer, cache="scores.cache", name="model, 2026-11")  # doctest: +SKIP
    """
    if not callable(getattr(model, "predict", None)):
        raise NegmineTypeError(f"`model` must have `predict`, as a CrossEncoder has; got {type(model).__name__}.")
    texts = {"queries": _texts(queries, "queries"), "documents": _texts(documents, "documents")}
    size = check_integer(batch_size, "batch_size", least=1)

    def score(query_indices: npt.NDArray[np.int64], document_indices: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        for (name, known), rows in zip(texts.items(), (query_indices, document_indices), strict=True):
            if len(rows) and rows.max() >= len(known):
                raise NegmineValueError(f"`{name}` must have a text for row {rows.max()}; got {len(known)} texts.")
        pairs = [
            (texts["queries"][query], texts["documents"][document])
            for query, document in zip(query_indices.tolist(), document_indices.tolist(), strict=True)
        ]
        scores = np.asarray(model.predict(pairs, batch_size=size, show_progress_bar=False), dtype=np.float64)
        if scores.size != len(pairs):
            raise NegmineValueError(
                f"`model` must return one score per pair; got shape {scores.shape} for {len(pairs)} pairs."
            )
        return scores.reshape(len(pairs))

    return score


def _texts(value: Any, argument: str) -> list[str]:  # noqa: ANN401 (a sequence or an Arrow array)
    if isinstance(value, str):
        raise NegmineTypeError(f"`{argument}` must be a list of strings; got the string {value!r}.")
    texts = value.to_pylist() if hasattr(value, "to_pylist") else list(value)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise NegmineTypeError(f"`{argument}` must hold strings; got {text!r} at row {row}.")
    return texts
