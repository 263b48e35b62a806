"""Groups of embeddings are those of all pairs, whatever pairs are skipped; they depend on no option of speed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import digests_near
import negmine
import oracle
import oracle_sketches
import vectors
from negmine import near_duplicates
from negmine.errors import MemoryLimitError
from negmine.sketches.duplicates import NearDuplicates

F32 = npt.NDArray[np.float32]

ISAS = negmine.build_info()["available_isas"]


def assert_right(rows: F32, threshold: float, found: NearDuplicates) -> None:
    pairs, similarities = oracle_sketches.near_rows(rows, threshold)
    assert [tuple(pair) for pair in found.pairs.tolist()] == pairs
    assert found.similarities.tolist() == similarities
    assert found.groups.tolist() == oracle_sketches.groups(len(rows), pairs)
    assert found.verified == 0


@given(
    kind=st.sampled_from(sorted(vectors.KINDS)),
    seed=st.integers(0, 10_000),
    n=st.integers(0, 90),
    width=st.sampled_from([1, 2, 3, 16, 33]),
    threshold=st.one_of(st.sampled_from([1e-60, 0.25, 0.5, 0.9, 0.999999, 1.0]), st.integers(0, 10_000)),
    above=st.booleans(),
)
def test_groups_are_those_of_all_pairs(
    kind: str, seed: int, n: int, width: int, threshold: float, *, above: bool
) -> None:
    rows = vectors.KINDS[kind](np.random.default_rng(seed), n, width)
    if isinstance(threshold, int):
        # The score of a pair itself, or the next number: the pair counts, or does not.
        scores = oracle.public_scores(oracle.all_scores(rows, rows)).ravel()
        scores = scores[scores > 0]
        score = scores[threshold % len(scores)] if len(scores) else np.float32(0.5)
        threshold = float(min(np.nextafter(score, np.float32(2)) if above else score, np.float32(1)))
    assert_right(rows, threshold, near_duplicates(embeddings=rows, threshold=threshold, num_threads=1))


@pytest.mark.parametrize("name", digests_near.MANY)
@pytest.mark.parametrize("threads", [1, 3])
def test_groups_of_many_rows_are_those_of_all_pairs(name: str, threads: int) -> None:
    rows, threshold = digests_near.MANY[name]
    assert_right(rows, threshold, near_duplicates(embeddings=rows, threshold=threshold, num_threads=threads))


@pytest.mark.parametrize("isa", ISAS)
def test_the_same_pairs_on_every_isa_and_for_any_number_of_threads(isa: str) -> None:
    command = [sys.executable, digests_near.__file__]
    environment = {**os.environ, "NEGMINE_ISA": isa}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=True)
    assert done.stdout.splitlines() == list(digests_near.lines((1, 1, 1)))


@pytest.mark.parametrize("name", ["broken chain", "one group and others", "twenty groups", "copies"])
def test_a_memory_limit_changes_no_pair_and_what_it_names_is_enough(name: str) -> None:
    rows, threshold = digests_near.MANY[name]

    def under(memory_limit: int | None, threads: int = 1) -> str:
        options: dict[str, Any] = {"threshold": threshold, "memory_limit": memory_limit, "num_threads": threads}
        return digests_near.digest(near_duplicates(embeddings=rows, **options))

    with pytest.raises(MemoryLimitError, match="`memory_limit` must be at least") as refused:
        under(0)
    needed = int(re.findall(r"at least (\d+)", str(refused.value))[0])
    with pytest.raises(MemoryLimitError):
        under(needed - 1)
    limits = [needed, needed + 1, *(int(needed * factor) for factor in (1.01, 1.05, 1.1, 1.3, 2, 10))]
    assert {under(limit, threads) for limit in limits for threads in (1, 3)} == {under(None)}


LAYOUTS = {
    "float64": lambda rows: rows.astype(np.float64),
    "big-endian": lambda rows: rows.astype(">f4"),
    "fortran": vectors.fortran,
    "strided": vectors.strided,
    "reversed": vectors.reversed_both,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_the_rows_changes_nothing(layout: str) -> None:
    rows, threshold = digests_near.MANY["twenty groups"]
    expected = near_duplicates(embeddings=rows, threshold=threshold)
    assert digests_near.digest(
        near_duplicates(embeddings=LAYOUTS[layout](rows), threshold=threshold)
    ) == digests_near.digest(expected)


@pytest.mark.parametrize("dtype", [np.float16, np.int8])
def test_rows_of_narrow_types_are_compared_by_their_own_values(dtype: Any) -> None:
    rows = (8 * digests_near.MANY["hardly similar"][0]).astype(dtype)
    found = near_duplicates(embeddings=rows, threshold=0.96)
    assert_right(rows.astype(np.float32), 0.96, found)
