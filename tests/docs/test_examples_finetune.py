"""The example that fine-tunes a sentence transformer runs, on texts and a model small enough for that."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pytest.importorskip("sentence_transformers")

SCRIPT = Path(__file__).parents[2] / "examples" / "finetune.py"

N = 120


@pytest.fixture
def example() -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("finetune", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["finetune"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["finetune"]


def write_set(folder: Path) -> None:
    """Write a set in which each query has the first words of its document; every fifth query has a second document."""
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 200, 8)) for _ in range(N)]
    queries = [" ".join(text.split()[:3]) for text in texts]
    pairs = [(row, row) for row in range(N)] + [(row, row + 1) for row in range(0, N - 1, 5)]
    columns = {
        "corpus": {"doc_id": [f"d{row}" for row in range(N)], "title": [""] * N, "text": texts},
        "queries": {"query_id": [f"q{row}" for row in range(N)], "text": queries},
        "qrels": {
            "query_id": [f"q{query}" for query, _ in pairs],
            "doc_id": [f"d{document}" for _, document in pairs],
            "score": [1] * len(pairs),
        },
    }
    for name, of in columns.items():
        pq.write_table(pa.table(of), folder / f"{name}.parquet")


def test_the_sides_share_neither_queries_nor_documents(example: Any, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write_set(tmp_path)
    sides = example.load(tmp_path, (40, 40), 50, seed=3)
    texts = pq.read_table(tmp_path / "corpus.parquet")["text"].to_pylist()
    doubled = set(range(0, N - 1, 5))
    for side in sides:
        assert 35 <= len(side.queries) <= 40
        assert len(side.documents) == 50
        for query, wording in enumerate(side.queries):
            own = [side.documents[document] for document in side.positives[query]]
            assert any(text.startswith(wording) for text in own)
            assert len(own) == 1 + (texts.index(next(text for text in own if text.startswith(wording))) in doubled)
    assert not set(sides[0].documents) & set(sides[1].documents)
    assert not set(sides[0].queries) & set(sides[1].queries)


@pytest.mark.slow
def test_every_way_trains(
    example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    write_set(tmp_path)
    tokenizer = Tokenizer(models.WordLevel({f"w{word}": word for word in range(200)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)]).save(str(tmp_path / "model"))
    # This model has no layers to freeze, and no limit of its length.
    monkeypatch.setattr(example, "model_at", SentenceTransformer)
    monkeypatch.setattr(example, "LEARNING_RATE", 0.1)
    options = ["--data", str(tmp_path), "--model", str(tmp_path / "model"), "--train", "50", "--test", "40"]
    monkeypatch.setattr(sys, "argv", ["finetune.py", *options, "--documents", "60"])
    example.main()
    printed = re.findall(r"nDCG@10 ([\d.]+)  ([\w -]+) \(", capsys.readouterr().out)
    assert [way for _, way in printed] == list(example.WAYS)
    assert all(0 < float(score) <= 1 for score, _ in printed)
    assert len({score for score, _ in printed}) > 2, "training changes the model, and negatives change the training"
