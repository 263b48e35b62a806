"""``negmine mine --model``: texts that a model encodes, with a cache next to the result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sentence_transformers")

import commands
from commands import negmine
from encoders import tiny_model
from negmine import io

#: No test may look for a model elsewhere.
OFFLINE = {"HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = commands.write_set(tmp_path_factory.mktemp("set"))
    model = tiny_model()
    model.save(str(folder / "model"))
    for name, encode in (("queries", model.encode_query), ("corpus", model.encode_document)):
        texts = io.read_texts(folder / f"{name}.jsonl")
        np.save(folder / f"{name}.encoded.npy", encode(texts.joined().to_pylist(), show_progress_bar=False))
    return folder


def texts(data: Path) -> list[object]:
    files = ["--query-texts", data / "queries.jsonl", "--document-texts", data / "corpus.jsonl"]
    return [*files, "--positives", data / "known.tsv"]


def test_texts_are_encoded_once_and_mined(data: Path, tmp_path: Path) -> None:
    ready = ["--queries", data / "queries.encoded.npy", "--corpus", data / "corpus.encoded.npy"]
    negmine("mine", *ready, *texts(data), "--format", "triplet", "--out", tmp_path / "ready.jsonl")
    model = ["--model", data / "model", "--device", "cpu", "--batch-size", "7"]
    for name in ("first", "second"):
        out = tmp_path / f"{name}.jsonl"
        negmine("mine", *model, *texts(data), "--format", "triplet", "--out", out, **OFFLINE)
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        expected = [json.loads(line) for line in (tmp_path / "ready.jsonl").read_text().splitlines()]
        assert rows == expected
    files = sorted((tmp_path / "negmine-embeddings").rglob("*.negemb"))
    assert len(files) == 2
    written = (tmp_path / "first.jsonl").stat().st_mtime_ns
    assert all(path.stat().st_mtime_ns < written for path in files)


def test_a_folder_of_beir_is_encoded_and_mined_in_a_job(data: Path, tmp_path: Path) -> None:
    given = [
        "--beir",
        data / "beir",
        "--model",
        data / "model",
        "--query-prompt",
        "query : ",
        "--job",
        tmp_path / "job",
    ]
    said = commands.spoken("mine", *given, **OFFLINE)
    assert said["n_tiles"] == 1
    assert commands.spoken("mine", *given, "--resume", **OFFLINE)["was_finished"]
    assert len(list((tmp_path / "negmine-embeddings").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "MODEL", "--queries", "queries.npy"], 2, "`--queries` must not be given with `--model`, which"),
        (["--model", "MODEL", "--run", "bm25.run"], 2, "`--run` must not be given with `--model`"),
        (["--model", "MODEL", "--query-texts", "queries.jsonl"], 2, "`--document-texts` must be given where `--beir`"),
        (["--device", "cpu", "--beir", "beir"], 2, "`--device` must come with `--model`; got no model"),
        (["--query-prompt", "q", "--beir", "beir"], 2, "`--query-prompt` must come with `--model`; got no model"),
        (["--document-prompt", "d", "--beir", "beir"], 2, "`--document-prompt` must come with `--model`"),
        (["--batch-size", "4", "--beir", "beir"], 2, "`--batch-size` must come with `--model`"),
        (["--batch-size", "0", "--model", "MODEL", "--beir", "beir"], 2, "`--batch-size` must be at least 1; got 0"),
        (
            ["--model", "absent/model", "--beir", "beir"],
            1,
            "`--model` must be a model that can be loaded; got absent/mo",
        ),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_bad_input_is_refused(data: Path, tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    known = {"MODEL": str(data / "model")}
    given = [known.get(word, str(data / word) if (data / word).exists() else word) for word in arguments]
    done = negmine("mine", *given, "--out", tmp_path / "out.parquet", code=code, **OFFLINE)
    assert message in done.stderr
