"""Texts in place of embeddings: what a function or a model makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from negmine._core.arrays import as_rows, refuse_unordered
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["Encoder", "encode_texts"]


class TextModel(Protocol):
    """Model with a method for queries and one for documents, as a SentenceTransformer has them."""

    def encode_query(self, texts: list[str], /) -> Any:  # noqa: ANN401 (an array or a tensor)
        """Encode queries.

        Parameters
        ----------
        texts : list of str
            The texts.

        Returns
        -------
        array (n_texts, width)
            The embeddings.
        """

    def encode_document(self, texts: list[str], /) -> Any:  # noqa: ANN401 (an array or a tensor)
        """Encode documents.

        Parameters
        ----------
        texts : list of str
            The texts.

        Returns
        -------
        array (n_texts, width)
            The embeddings.
        """


#: A model, or a function that returns one embedding per text.
Encoder = TextModel | Callable[[list[str]], Any]


def encode_texts(encoder: Encoder, queries: object, corpus: object) -> tuple[object, object]:
    """Encode the texts of queries and documents.

    Parameters
    ----------
    encoder : callable or model
        Function from a list of texts to embeddings, or an object with ``encode_query`` and ``encode_document``.
    queries, corpus : sequence of str
        The texts; Arrow arrays of strings are accepted.

    Returns
    -------
    tuple of (array (n_queries, width), array (n_documents, width))
        What the encoder returned, with one embedding per text.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        The encoder cannot be called, an argument holds no texts, or the encoder does not return one embedding per text.
    """
    methods = [getattr(encoder, name, None) for name in ("encode_query", "encode_document")]
    if not all(map(callable, methods)):
        # A model of torch can be called as well, but not with texts.
        if any(map(callable, methods)) or not callable(encoder):
            raise NegmineTypeError(
                "`encoder` must be callable with a list of texts, or have `encode_query` and `encode_document`; got "
                f"{type(encoder).__name__}."
            )
        methods = [encoder, encoder]
    texts = [_texts(queries, "queries"), _texts(corpus, "corpus")]
    made = []
    for method, some in zip(methods, texts, strict=True):
        assert callable(method)
        embeddings = method(some)
        shape = as_rows(embeddings, "encoder").shape
        if shape[0] != len(some):
            raise NegmineValueError(
                f"`encoder` must return one embedding per text; got {shape[0]} embeddings of {len(some)} texts."
            )
        made.append(embeddings)
    return made[0], made[1]


def _texts(value: Any, argument: str) -> list[str]:  # noqa: ANN401 (a sequence or an Arrow array)
    if isinstance(value, str) or not isinstance(value, Iterable):
        got = f"the string {value!r}" if isinstance(value, str) else type(value).__name__
        raise NegmineTypeError(f"`{argument}` must be a list of texts where `encoder` is given; got {got}.")
    refuse_unordered(value, argument)
    texts = value.to_pylist() if hasattr(value, "to_pylist") else list(value)
    other = next((row for row, text in enumerate(texts) if not isinstance(text, str)), None)
    if other is not None:
        raise NegmineTypeError(
            f"`{argument}` must hold texts where `encoder` is given; got {type(texts[other]).__name__} at row {other}."
        )
    return texts
