"""`negmine check` reads a million triplets in seconds; needs an idle machine."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from negmine import io

#: Seconds for all rows.
LIMIT = 20.0

N_ROWS, N_DOCUMENTS, N_WORDS = 1_000_000, 20_000, 30


def main() -> None:
    """Write triplets of which each positive has five, and check them."""
    words = np.random.default_rng(0).integers(0, 5_000, (N_DOCUMENTS, N_WORDS)).astype(str)
    documents = [json.dumps(" ".join(row)) for row in words.tolist()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        with path.open("w") as file:
            for row in range(N_ROWS):
                query, negative = row // 5, (row * 7919 + 1) % N_DOCUMENTS
                positive = documents[query % N_DOCUMENTS]
                file.write(
                    f'{{"anchor": "query {query}", "positive": {positive}, "negative": {documents[negative]}}}\n'
                )
        started = time.perf_counter()
        found = io.check_training_rows(path)
        seconds = time.perf_counter() - started
        megabytes = path.stat().st_size / 1e6
    if found.n_rows != N_ROWS:
        raise RuntimeError(f"{found.n_rows} rows of {N_ROWS}")
    print(f"check: {N_ROWS} rows of {megabytes:.0f} MB in {seconds:.1f} s, limit {LIMIT} s; {found}")
    sys.exit(int(seconds > LIMIT))


if __name__ == "__main__":
    main()
