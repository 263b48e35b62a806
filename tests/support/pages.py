"""Small mined problems for pages, and reading the data of a page back."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

import negmine

N_QUERIES, N_DOCUMENTS, WIDTH = 12, 60, 6


def mined(
    margin: float | None = 0.05, *, keep_rejected: int | None = None, labeled: bool = True, **options: Any
) -> negmine.HardNegatives:
    """Mine a small problem; queries 0 and 1 have two positives, and query 2 has none."""
    draw = np.random.default_rng(7)
    corpus = draw.normal(size=(N_DOCUMENTS, WIDTH)).astype(np.float32)
    queries = corpus[:N_QUERIES] + 0.6 * draw.normal(size=(N_QUERIES, WIDTH)).astype(np.float32)
    positives = [[row, row + 20] if row < 2 else [] if row == 2 else [row] for row in range(N_QUERIES)]
    ids = [f"d{row}" for row in range(N_DOCUMENTS)] if labeled else None
    index = negmine.ExactIndex(corpus, ids=ids, num_threads=1)
    miner = negmine.HardNegativeMiner(4, relative_margin=margin, range_max=10, **options)
    extra: dict[str, Any] = {} if keep_rejected is None else {"keep_rejected": keep_rejected}
    if labeled:
        extra["query_ids"] = [f"q{row}" for row in range(N_QUERIES)]
    return miner.mine(index, queries, positives, **extra)


def query_texts() -> list[str]:
    return [f"question {row} about thing {row % 3}" for row in range(N_QUERIES)]


def document_texts() -> list[str]:
    return [f"document {row} says something of thing {row % 5}" for row in range(N_DOCUMENTS)]


def data_of(path: Path) -> dict[str, Any]:
    """Read the data of a page: its values, and its arrays by name."""
    found = re.search(r'<script type="application/octet-stream" id="data">([^<]*)</script>', path.read_text())
    assert found is not None
    packed = gzip.decompress(base64.b64decode(found[1], validate=True))
    length = int.from_bytes(packed[:4], "little")
    values: dict[str, Any] = json.loads(packed[4 : 4 + length])
    for name, (dtype, begin, size) in values["arrays"].items():
        at = 4 + length + begin
        assert at % np.dtype(dtype).itemsize == 0
        values[name] = np.frombuffer(packed, dtype=dtype, count=size, offset=at)
    return values


def list_of(data: dict[str, Any], side: str, row: int) -> list[str]:
    """Labels of a list of a row."""
    begin, end = data[f"{side}Offsets"][row : row + 2]
    return [data["documentIds"][i] if i >= 0 else "" for i in data[f"{side}Document"][begin:end]]
