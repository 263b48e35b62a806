"""One long label takes its own bytes, not those of the longest label in every row.

NumPy's arrays of strings reserve the longest length in every row: 20,000 labels of which one has 8,000 characters took
1.9 GB in an index, which every search copied, and 4.3 GB and 35 s in a plan without duplicates.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import numpy as np

import negmine
from negmine.batches import class_balanced_plan, no_duplicate_plan

#: Bytes above the import that all calls may add to the largest resident set.
LIMIT = 60 << 20

N_DOCUMENTS = 20_000


def peak() -> int:
    """Return the largest resident set so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Use labels in every place that takes them."""
    before = peak()
    labels = [f"d{row}" for row in range(N_DOCUMENTS)]
    labels[7] = "x" * 8000
    corpus = np.random.default_rng(0).standard_normal((N_DOCUMENTS, 8), dtype=np.float32)
    index = negmine.ExactIndex(corpus, ids=labels)
    for _ in range(5):
        index.search(corpus[:1000], 10)
    no_duplicate_plan(labels, labels, [[label, label] for label in labels], batch_size=100)
    class_balanced_plan([label[:2] for label in labels[:7]] + labels[7:], batch_size=100, per_class=1)
    positives = negmine.Positives.from_lists([[label] for label in labels[:1000]], document_ids=labels)
    negatives = negmine.mine(corpus[:1000], corpus, positives, document_ids=labels)
    with tempfile.TemporaryDirectory() as folder:
        negatives.save(Path(folder) / "negatives.npz", pool=True)
        negmine.HardNegatives.load(Path(folder) / "negatives.npz")
        negmine.CandidatePool.load(Path(folder) / "negatives.pool.npz")
    added = peak() - before
    print(f"{N_DOCUMENTS} labels, one of 8,000 characters: {added >> 20} MiB, limit {LIMIT >> 20} MiB")
    sys.exit(int(added > LIMIT))


if __name__ == "__main__":
    main()
