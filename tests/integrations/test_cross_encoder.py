"""A cross encoder as the scorer of a pool: real weights, which are random, and no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import negmine
from negmine.errors import NegmineTypeError, NegmineValueError

pytest.importorskip("sentence_transformers")

from sentence_transformers import CrossEncoder
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from negmine.integrations.sentence_transformers import cross_encoder_scorer

WORDS = ["cat", "dog", "mat", "sun", "sea", "sky"]
QUERIES = ["cat mat", "sun sky"]
DOCUMENTS = ["cat", "dog sea", "mat cat", "sky", "sun sun sea"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("model")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=11, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=1
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return CrossEncoder(str(folder), device="cpu")


def test_a_pool_is_ranked_by_the_cross_encoder(model: Any, tmp_path: Path) -> None:
    corpus = np.eye(5, 3, dtype=np.float32)
    pool = negmine.HardNegativeMiner(4).candidates(negmine.ExactIndex(corpus), corpus[:2], [[0], [3]])
    scorer = cross_encoder_scorer(model, QUERIES, DOCUMENTS, batch_size=3)
    ranked = pool.rescore(scorer, cache=tmp_path / "scores.cache", name="random weights", cache_key="test")
    for row in range(2):
        pairs = [(QUERIES[row], DOCUMENTS[document]) for document in ranked.indices[row]]
        expected = np.asarray(model.predict(pairs, show_progress_bar=False), dtype=np.float64)
        np.testing.assert_allclose(ranked.scores[row], expected, atol=1e-6)
        assert (np.diff(ranked.scores[row]) <= 0).all()


def test_bad_input_is_refused(model: Any) -> None:
    one = np.array([0])
    with pytest.raises(NegmineTypeError, match="`model` must have `predict`"):
        cross_encoder_scorer("model", QUERIES, DOCUMENTS)
    with pytest.raises(NegmineTypeError, match="`documents` must hold strings; got 3 at row 1"):
        cross_encoder_scorer(model, QUERIES, ["a", 3])  # type: ignore[list-item]
    with pytest.raises(NegmineTypeError, match="`queries` must be a list of strings; got the string 'cat'"):
        cross_encoder_scorer(model, "cat", DOCUMENTS)
    with pytest.raises(NegmineValueError, match="`batch_size` must be at least 1; got 0"):
        cross_encoder_scorer(model, QUERIES, DOCUMENTS, batch_size=0)
    with pytest.raises(NegmineValueError, match="`documents` must have a text for row 7; got 5 texts"):
        cross_encoder_scorer(model, QUERIES, DOCUMENTS)(one, one + 7)

    class TwoLabels:
        def predict(self, pairs: list[Any], **options: Any) -> np.ndarray:
            return np.zeros((len(pairs), 2))

    with pytest.raises(NegmineValueError, match="`model` must return one score per pair; got shape"):
        cross_encoder_scorer(TwoLabels(), QUERIES, DOCUMENTS)(one, one)
