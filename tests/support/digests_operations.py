"""Print one digest per operation on small data: all machines and instruction sets must print the same lines.

`python tests/support/digests_operations.py ISA` fails if another instruction set is in use. It needs NumPy alone. All
data are drawn as integers, since floating-point draws may differ in the last bit between C libraries.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

import negmine
from negmine import batches, sampling, selection, synthesis
from negmine.behavior import BehaviorTable

F32 = npt.NDArray[np.float32]

#: Around the vectors of NEON and AVX, and their tails.
WIDTHS = (3, 16, 37, 128, 385)
METRICS: tuple[Any, ...] = ("cosine", "ip", "l2")
N_QUERIES, N_DOCUMENTS = 40, 1_000


def rows(n: int, width: int, seed: int) -> F32:
    """Rows in groups, of norms that differ widely."""
    rng = np.random.default_rng(seed)
    centers = rng.integers(-100, 101, (20, width))
    noise = rng.integers(-100, 101, (n, width))
    scales = 2.0 ** rng.integers(-20, 21, (n, 1))
    return ((centers[rng.integers(20, size=n)] + noise / 2) * scales).astype(np.float32)


def lists(seed: int) -> list[list[int]]:
    """Three positives of every query."""
    found: list[list[int]] = np.random.default_rng(seed).integers(N_DOCUMENTS, size=(N_QUERIES, 3)).tolist()
    return found


def search() -> Iterator[npt.NDArray[Any]]:
    """Exact search by every metric at every width, and in binary16."""
    for width in WIDTHS:
        queries, documents = rows(N_QUERIES, width, width), rows(N_DOCUMENTS, width, width + 1)
        for metric in METRICS:
            for corpus in (documents, np.clip(documents, -6e4, 6e4).astype(np.float16)):
                found = negmine.ExactIndex(corpus, metric=metric).search(queries, 10, dtype="float64")
                yield from (found.indices, found.scores)


def mining() -> Iterator[npt.NDArray[Any]]:
    """Mined and random negatives by every policy."""
    policies: tuple[Any, ...] = ("top", "random", negmine.Softmax(0.05), negmine.SimANS())
    for width, metric in zip(WIDTHS, METRICS + METRICS, strict=False):
        queries, documents = rows(N_QUERIES, width, width), rows(N_DOCUMENTS, width, width + 1)
        for policy in policies:
            options: dict[str, Any] = {"num_negatives": 5, "range_max": 50, "num_random": 2, "seed": 3}
            found = negmine.mine(queries, documents, lists(width), metric=metric, sampling=policy, **options)
            yield from (found.indices, found.scores, found.counts)


def clusters() -> Iterator[npt.NDArray[Any]]:
    """K-means and balanced clusters."""
    for width in WIDTHS:
        points = rows(N_DOCUMENTS, width, width)
        for metric in METRICS[::2]:
            yield negmine.kmeans(points, n_clusters=50, metric=metric, max_iterations=3).labels
        yield negmine.balanced_clusters(points, n_clusters=40).labels


def plans() -> Iterator[npt.NDArray[Any]]:
    """Batches of every plan."""
    labels = np.random.default_rng(5).permutation(2_000) % 300
    made: tuple[Any, ...] = (
        batches.no_duplicate_plan(np.arange(2_000), labels, batch_size=100, conflicts="extend"),
        batches.cluster_plan(labels, batch_size=100, random_fraction=0.1),
        batches.topic_plan(labels // 30, batch_size=100, weights="size"),
        batches.class_balanced_plan(labels // 30, batch_size=30, per_class=15),
        batches.mixture_plan([1_500, 500], batch_size=100),
    )
    for plan in made:
        yield from (plan.batch(3, index) for index in range(len(plan)))


def minhash() -> Iterator[npt.NDArray[Any]]:
    """Sketches of sets of many sizes."""
    rng = np.random.default_rng(6)
    offsets = np.cumsum([0, *range(60), 130, 300, 2_000], dtype=np.int64)
    tokens = rng.integers(0, 2**64, offsets[-1], dtype=np.uint64)
    for num_hashes, bits in ((16, None), (128, None), (300, None), (64, 4)):
        yield negmine.MinHash(num_hashes, bits_per_hash=bits).signatures((offsets, tokens))


def simhash() -> Iterator[npt.NDArray[Any]]:
    """Signatures by random projections."""
    for width in WIDTHS:
        yield negmine.SimHash(m=51 if width % 2 else 48, dim=width, seed=width).signatures(rows(300, width, width))


def sdim() -> Iterator[npt.NDArray[Any]]:
    """Attention over histories by hashing."""
    normalizations: tuple[Any, ...] = ("l2", "mean", "sum", "ratio")
    for width in WIDTHS:
        hasher = negmine.SimHash(m=48, dim=width, seed=width)
        table = BehaviorTable.build(hasher, rows(500, width, width), offsets=[0, 450, 500])
        yield from (table.sums, table.counts)
        for normalize in normalizations:
            yield table.query(rows(40, width, width + 1), offsets=[0, 20, 40], normalize=normalize)


def near() -> Iterator[npt.NDArray[Any]]:
    """Near-duplicate rows."""
    for width in WIDTHS:
        found = negmine.near_duplicates(embeddings=rows(400, width, width), threshold=0.8)
        yield from (found.groups, found.pairs, found.similarities)


def draws() -> Iterator[npt.NDArray[Any]]:
    """Random negatives and choices within quotas."""
    drawn = sampling.sample_negatives(lists(7), 5, n_documents=N_DOCUMENTS, seed=1)
    yield from (drawn.indices, drawn.log_q)
    scores = rows(300, 1, 8)[:, 0] / np.float32(2.0**27)
    chosen = selection.select(40, scores=scores, groups=np.arange(300) % 7, within="softmax", seed=2)
    yield from (chosen.indices, chosen.log_prob)


def oversampling() -> Iterator[npt.NDArray[Any]]:
    """Made rows of a rare class."""
    for width in WIDTHS:
        made = synthesis.oversample(rows(300, width, width), np.arange(300) % 5 == 0, kind="smote", k=3)
        yield from (made.X, made.parents)


OPERATIONS: tuple[Callable[[], Iterator[npt.NDArray[Any]]], ...] = (
    search,
    mining,
    clusters,
    plans,
    minhash,
    simhash,
    sdim,
    near,
    draws,
    oversampling,
)


def lines() -> Iterator[str]:
    """Digests of all operations."""
    for operation in OPERATIONS:
        digest = hashlib.sha256()
        for array in operation():
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        yield f"{operation.__name__} {digest.hexdigest()}"


if __name__ == "__main__":
    active = negmine.build_info()["isa"]
    if sys.argv[1:] not in ([], [active]):
        sys.exit(f"the instruction set should be {sys.argv[1]}, and is {active}")
    for line in lines():
        print(line)
