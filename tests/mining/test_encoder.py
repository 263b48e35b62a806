"""Texts and an encoder in place of embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import negmine
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError

QUERIES, DOCUMENTS = ["q 1", "q 2", "q 3"], [f"d {i}" for i in range(20)]


def embed(texts: list[str]) -> np.ndarray:
    """Make a vector of the bytes of every text."""
    return np.stack([np.random.default_rng(list(text.encode())).standard_normal(6) for text in texts])


class Model:
    """Different embeddings for queries and documents."""

    def __call__(self, texts: list[str]) -> Any:
        raise AssertionError("a model is not called where it has methods")

    def encode_query(self, texts: list[str]) -> np.ndarray:
        return -embed(texts)

    def encode_document(self, texts: list[str]) -> np.ndarray:
        return embed(texts)


def test_a_function_encodes_queries_and_documents() -> None:
    found = negmine.mine(QUERIES, DOCUMENTS, [3, 4, 5], encoder=embed, relative_margin=0.1)
    expected = negmine.mine(embed(QUERIES), embed(DOCUMENTS), [3, 4, 5], relative_margin=0.1)
    assert np.array_equal(found.indices, expected.indices)
    assert np.array_equal(found.scores, expected.scores)


def test_a_model_encodes_queries_and_documents_by_its_methods() -> None:
    found = negmine.mine(QUERIES, DOCUMENTS, [3, 4, 5], encoder=Model(), document_ids=DOCUMENTS)
    expected = negmine.mine(-embed(QUERIES), embed(DOCUMENTS), [3, 4, 5], document_ids=DOCUMENTS)
    assert np.array_equal(found.ids, expected.ids)


def test_arrow_arrays_and_tensors_are_accepted() -> None:
    pa, torch = pytest.importorskip("pyarrow"), pytest.importorskip("torch")
    found = negmine.mine(
        pa.array(QUERIES), tuple(DOCUMENTS), [3, 4, 5], encoder=lambda texts: torch.from_numpy(embed(texts))
    )
    assert np.array_equal(found.indices, negmine.mine(embed(QUERIES), embed(DOCUMENTS), [3, 4, 5]).indices)


def test_a_sentence_transformer_is_an_encoder() -> None:
    pytest.importorskip("sentence_transformers")
    from encoders import TEXTS, tiny_model

    model = tiny_model()
    found = negmine.mine(TEXTS[:5], TEXTS, list(range(5)), encoder=model)
    expected = negmine.mine(model.encode_query(TEXTS[:5]), model.encode_document(TEXTS), list(range(5)))
    assert np.array_equal(found.indices, expected.indices)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"encoder": "name"}, NegmineTypeError, "`encoder` must be callable with a list of texts, or have .*; got str"),
        (
            {"queries": "q 1"},
            NegmineTypeError,
            "`queries` must be a list of texts where `encoder` is given; got the st",
        ),
        ({"corpus": 3}, NegmineTypeError, "`corpus` must be a list of texts where `encoder` is given; got int"),
        ({"corpus": [*DOCUMENTS, None]}, NegmineTypeError, "`corpus` must hold texts where .*; got NoneType at row 20"),
        ({"queries": embed(QUERIES)}, NegmineTypeError, "`queries` must hold texts where .*; got ndarray at row 0"),
        ({"corpus": set(DOCUMENTS)}, NegmineTypeError, "`corpus` must be a list or an array; got set"),
        (
            {"encoder": lambda texts: embed(texts)[1:]},
            NegmineValueError,
            "`encoder` must return one embedding per text",
        ),
        ({"encoder": lambda texts: embed(texts)[:, 0]}, NegmineError, "`encoder` must have shape"),
        ({"encoder": lambda texts: None}, NegmineTypeError, "`encoder` must"),
    ],
)
def test_bad_input_is_refused(options: dict[str, Any], kind: type[NegmineError], message: str) -> None:
    given = {"queries": QUERIES, "corpus": DOCUMENTS, "encoder": embed, **options}
    with pytest.raises(kind, match=message):
        negmine.mine(given["queries"], given["corpus"], [3, 4, 5], encoder=given["encoder"])


def test_options_are_refused_before_anything_is_encoded() -> None:
    def never(texts: list[str]) -> Any:
        raise AssertionError("encoded")

    with pytest.raises(NegmineValueError, match="`num_negatives` must be at least 1"):
        negmine.mine(QUERIES, DOCUMENTS, [3, 4, 5], encoder=never, num_negatives=0)
