"""Near-duplicates of the demo's texts, with planted copies and edits, against datasketch's LSH at three thresholds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest

import negmine
import oracle_sketches
from negmine import demo

datasketch = pytest.importorskip("datasketch")

#: Jaccard similarities that texts are called near from.
THRESHOLDS = (0.5, 0.7, 0.9)
Pairs = set[tuple[int, int]]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Glosses; a tenth again as they are, a tenth with one word in twenty gone, a tenth with one in six."""
    draw = np.random.default_rng(1)
    made = demo.load().documents[:600]
    for share in (0.0, 0.05, 0.17):
        for row in draw.choice(600, 60, replace=False):
            made.append(" ".join(word for word in made[row].split() if draw.random() >= share))
    return made


@pytest.fixture(scope="module")
def sets(texts: list[str]) -> list[set[object]]:
    """Shingles of five characters, as negmine cuts them by default."""
    return [oracle_sketches.shingles(" ".join(text.casefold().split()), 5, "characters") for text in texts]


@pytest.fixture(scope="module")
def similar(sets: list[set[object]]) -> dict[tuple[int, int], float]:
    """Exact similarity of all pairs that reach the lowest threshold."""
    pairs = ((pair, oracle_sketches.jaccard(sets[pair[0]], sets[pair[1]])) for pair in every_pair(len(sets)))
    return {pair: similarity for pair, similarity in pairs if similarity >= THRESHOLDS[0]}


def every_pair(n: int) -> Iterable[tuple[int, int]]:
    return itertools.combinations(range(n), 2)


def closed(n: int, pairs: Pairs) -> Pairs:
    """All pairs of one group, where pairs make groups."""
    keys = oracle_sketches.groups(n, sorted(pairs))
    return {(a, b) for a, b in every_pair(n) if keys[a] == keys[b] >= 0}


def candidates(sets: list[set[object]], threshold: float) -> Pairs:
    """What datasketch's LSH finds, in its own default configuration."""
    lsh, found = datasketch.MinHashLSH(threshold=threshold, num_perm=128), set()
    for row, one in enumerate(sets):
        minhash = datasketch.MinHash(num_perm=128)
        minhash.update_batch([repr(token).encode() for token in sorted(one, key=repr)])
        found |= {(int(other), row) for other in lsh.query(minhash)}
        lsh.insert(row, minhash)
    return found


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_it_is_exact_and_finds_no_less(
    texts: list[str], sets: list[set[object]], similar: dict[tuple[int, int], float], threshold: float
) -> None:
    n = len(texts)
    near = {pair for pair, similarity in similar.items() if similarity >= threshold}
    truth = closed(n, near)
    found = negmine.near_duplicates(texts, threshold=threshold)
    ours = {(a, b) for a, b in every_pair(n) if found.groups[a] == found.groups[b] >= 0}
    theirs = closed(n, candidates(sets, threshold) & near)
    # Precision: what is found was compared exactly, theirs here too.
    assert ours <= truth
    assert len(ours) >= len(theirs)
    assert len(ours) >= 0.99 * len(truth) > 0
