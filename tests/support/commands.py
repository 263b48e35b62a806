"""Running the command line, and the small set that its tests run on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

N_QUERIES, N_DOCUMENTS, WIDTH = 30, 80, 8

#: A name that only arguments of Python have: messages of the command line speak of its options.
PYTHON_NAME = re.compile(r"`\w*_\w*`")


def negmine(
    *arguments: object, code: int | None = 0, folder: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command; its exit code must be `code`, if any is given."""
    done = subprocess.run(
        [sys.executable, "-m", "negmine", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", **environment},
        check=False,
    )
    assert code in (None, done.returncode), done.stderr
    assert "Traceback" not in done.stderr
    if code in (1, 2):
        assert done.stderr.startswith("negmine: error: ")
        assert len(done.stderr.splitlines()) == 1
        assert PYTHON_NAME.search(done.stderr) is None
    return done


def spoken(*arguments: object, **options: Any) -> dict[str, Any]:
    """What the command says as JSON."""
    said: dict[str, Any] = json.loads(negmine(*arguments, "--json", **options).stdout)
    return said


def write_set(folder: Path) -> Path:
    """Write a small set: documents 0 and 1 share a text, and every query knows one of its two relevant documents."""
    draw = np.random.default_rng(2)
    corpus = draw.normal(size=(N_DOCUMENTS, WIDTH)).astype(np.float32)
    queries = corpus[:N_QUERIES] + 0.1 * draw.normal(size=(N_QUERIES, WIDTH)).astype(np.float32)
    np.save(folder / "corpus.npy", corpus)
    np.save(folder / "queries.npy", queries)
    for name, vectors in (("corpus", corpus), ("queries", queries)):
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), WIDTH)
        ids = [f"{name[0]}{row}" for row in range(len(vectors))]
        pq.write_table(pa.table({"id": ids, "emb": column}), folder / f"{name}.parquet")
        lines = [{"_id": label, "text": f"text {max(row, 1)}"} for row, label in enumerate(ids)]
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    pairs = [(query, query) for query in range(N_QUERIES)]
    hidden = [(query, N_QUERIES + query) for query in range(N_QUERIES)]
    header = "query-id\tcorpus-id\tscore\n"
    (folder / "rows.tsv").write_text(header + "".join(f"{q}\t{d}\t1\n" for q, d in pairs))
    (folder / "known.tsv").write_text(header + "".join(f"q{q}\tc{d}\t1\n" for q, d in pairs))
    (folder / "all.tsv").write_text(header + "".join(f"q{q}\tc{d}\t1\n" for q, d in pairs + hidden))
    (folder / "bm25.run").write_text("".join(f"q{q} Q0 c{d} 1 2.5 bm25\n" for q, d in hidden))
    beir = folder / "beir"
    (beir / "qrels").mkdir(parents=True)
    for name in ("corpus.jsonl", "queries.jsonl"):
        (beir / name).write_text((folder / name).read_text())
    (beir / "qrels" / "train.tsv").write_text(
        "".join((folder / "known.tsv").read_text().splitlines(keepends=True)[:21])
    )
    return folder


def plain(data: Path) -> list[object]:
    files = ("queries.npy", "corpus.npy", "rows.tsv")
    return ["mine", *sum(zip(("--queries", "--corpus", "--positives"), (data / f for f in files), strict=True), ())]


def labeled(data: Path) -> list[object]:
    named = ["--queries", data / "queries.parquet", "--corpus", data / "corpus.parquet", "--id-name", "id"]
    return ["mine", *named, "--positives", data / "known.tsv"]


def with_texts(data: Path) -> list[object]:
    named = ["--query-texts", data / "queries.jsonl", "--document-texts", data / "corpus.jsonl"]
    files = ["--queries", data / "queries.npy", "--corpus", data / "corpus.npy"]
    return ["mine", *files, *named, "--positives", data / "known.tsv"]
