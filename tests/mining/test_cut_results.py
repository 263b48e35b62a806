"""Results that were cut by hand, and files whose arrays were changed: errors of negmine, never wrong negatives."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import CandidatePool, Clusters, Eligibility, ExactIndex, HardNegativeMiner, HardNegatives
from negmine._core import archive, formats
from negmine.errors import NegmineTypeError, NegmineValueError

N, DOCUMENTS, DEPTH = 6, 40, 9
ROWS = np.random.default_rng(3).standard_normal((DOCUMENTS, 5)).astype(np.float32)
INDEX = ExactIndex(ROWS, ids=[f"d{row}" for row in range(DOCUMENTS)])
QUERIES = ROWS[:N]


@pytest.fixture
def pool() -> CandidatePool:
    return HardNegativeMiner(3, range_max=DEPTH).candidates(
        INDEX,
        QUERIES,
        [[row] for row in range(N)],
        exclude=[[row + 1] for row in range(N)],
        groups=np.arange(DOCUMENTS),
        eligible=Eligibility.equal(np.zeros(DOCUMENTS, dtype=np.int64), np.zeros(N, dtype=np.int64)),
    )


def use(pool: CandidatePool) -> list[Any]:
    """Everything that reads a pool's arrays."""
    attached = pool.attach(INDEX, QUERIES)
    chosen = [
        pool.select(3),
        pool.select(3, sampling=negmine.SimANS()),
        pool.select(3, limit_per_document=2),
        attached.select(3, num_random=2),
    ]
    chosen[-1].label_issues()
    return [negatives.indices.tolist() for negatives in chosen]


def changed(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What goes wrong when arrays are cut by hand."""
    yield "empty", array[:0]
    yield "cut", array[:-1]
    yield "longer", np.concatenate([array, array[-1:]])
    yield "of another dimension", array.ravel() if array.ndim > 1 else array[None]
    yield "no array", array.ravel()[0]
    for dtype in ("float32", "int32", "uint8", "U9"):
        if array.dtype.kind not in "US" and array.dtype != dtype:
            with np.errstate(invalid="ignore"):  # infinity as an integer
                yield f"as {dtype}", array.astype(dtype)
    if array.dtype.kind == "i":
        for value in (-7, 10**9):
            one = array.copy()
            one.flat[0] = value
            yield f"with {value}", one


def test_changed_files_of_pools_end_in_errors_of_negmine(pool: CandidatePool, tmp_path: Path) -> None:
    pool.save(tmp_path / "pool.npz")
    header, arrays = archive.read(tmp_path / "pool.npz", formats.CANDIDATE_POOL)
    refused = 0
    for name in arrays:
        for _, array in [("gone", None), *changed(arrays[name])]:
            archive.write(tmp_path / "changed.npz", formats.CANDIDATE_POOL, header, {**arrays, name: array})
            try:
                use(CandidatePool.load(tmp_path / "changed.npz"))
            except negmine.NegmineError:
                refused += 1
    assert refused > 200


@pytest.mark.parametrize("kind", ["guided", "fused"])
def test_changed_files_of_later_pools_end_in_errors_of_negmine(kind: str, pool: CandidatePool, tmp_path: Path) -> None:
    guided = pool.rescore(lambda queries, documents: -documents, as_guide=True)
    changed_pool = guided if kind == "guided" else negmine.fuse([pool, guided])
    by, names = ("guide", ("guide_scores", "guide_positive_scores"))
    if kind == "fused":
        by, names = "score", ("source_ranks", "source_scores")
    changed_pool.save(tmp_path / "pool.npz")
    header, arrays = archive.read(tmp_path / "pool.npz", formats.CANDIDATE_POOL)
    refused = 0
    for name in names:
        for _, array in [("gone", None), *changed(arrays[name])]:
            archive.write(tmp_path / "changed.npz", formats.CANDIDATE_POOL, header, {**arrays, name: array})
            try:
                loaded = CandidatePool.load(tmp_path / "changed.npz")
                loaded.restrict(by=by, max_score=0.0).select(2)  # type: ignore[arg-type]
            except negmine.NegmineError:
                refused += 1
    assert refused >= 16


def test_a_pool_is_read_row_by_row_however_its_arrays_lie(pool: CandidatePool, tmp_path: Path) -> None:
    # The core once took columns for rows, and gave other negatives without a word.
    columns = dataclasses.replace(pool, indices=np.asfortranarray(pool.indices), scores=np.asfortranarray(pool.scores))
    assert use(columns) == use(pool)
    pool.save(tmp_path / "pool.npz")
    header, arrays = archive.read(tmp_path / "pool.npz", formats.CANDIDATE_POOL)
    arrays["indices"] = np.asfortranarray(pool.indices)
    archive.write(tmp_path / "columns.npz", formats.CANDIDATE_POOL, header, arrays)
    assert use(CandidatePool.load(tmp_path / "columns.npz")) == use(pool)


def test_a_pool_may_be_cut_to_its_first_ranks(pool: CandidatePool) -> None:
    cut = dataclasses.replace(
        pool, indices=pool.indices[:, :4], scores=pool.scores[:, :4], counts=np.minimum(pool.counts, np.int32(4))
    )
    assert cut.select(3).indices.tolist() == pool.select(3).indices.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: {"indices": p.indices.astype(np.int32)}, "`indices` must be an array of int64; got dtype int32"),
        (lambda p: {"indices": p.indices.tolist()}, "`indices` must be an array of int64; got list"),
        (lambda p: {"scores": p.scores[:, :3]}, rf"`scores` must have shape \({N}, {DEPTH}\); got shape \({N}, 3\)"),
        (lambda p: {"counts": p.counts[:2]}, rf"`indices` must have shape \(2, n\); got shape \({N}, {DEPTH}\)"),
        (lambda p: {"indices": p.indices + 35}, f"`indices` must hold rows below {DOCUMENTS}, or -1 as padding; got"),
    ],
)
def test_pools_cut_by_hand(pool: CandidatePool, change: Callable[[Any], dict[str, Any]], message: str) -> None:
    with pytest.raises(negmine.NegmineError, match=message):
        dataclasses.replace(pool, **change(pool))


def test_changed_files_of_negatives_name_the_file(pool: CandidatePool, tmp_path: Path) -> None:
    path = tmp_path / "negatives.npz"
    pool.select(3).save(path)
    header, arrays = archive.read(path, formats.HARD_NEGATIVES)
    archive.write(path, formats.HARD_NEGATIVES, header, arrays | {"indices": arrays["indices"][:, :2]})
    with pytest.raises(NegmineValueError, match=r"whole hard negatives file; got '.*negatives.npz': `scores` "):
        HardNegatives.load(path)
    archive.write(path, formats.HARD_NEGATIVES, header, arrays | {"report_self": None})
    with pytest.raises(NegmineValueError, match="has no 'report_self'"):
        HardNegatives.load(path)
    archive.write(path, formats.HARD_NEGATIVES, header, arrays | {"indices": np.asfortranarray(arrays["indices"])})
    assert HardNegatives.load(path).indices.flags.c_contiguous


def test_files_of_clusters_and_signatures_without_an_array(tmp_path: Path) -> None:
    minhash = negmine.MinHash(8)
    minhash.save(tmp_path / "signatures.npz", minhash.signatures([["a"]]))
    negmine.kmeans(ROWS, n_clusters=2).save(tmp_path / "clusters.npz")
    for name, form, missing, load in (
        ("clusters.npz", formats.CLUSTERS, "centroids", Clusters.load),
        ("signatures.npz", formats.SIGNATURES, "signatures", negmine.MinHash.load),
    ):
        header, arrays = archive.read(tmp_path / name, form)
        archive.write(tmp_path / name, form, header, arrays | {missing: None})
        with pytest.raises(NegmineValueError, match=f"has no '{missing}'"):
            load(tmp_path / name)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that takes no files, even from root")
def test_a_folder_that_takes_no_files_is_named_as_the_argument_it_is(pool: CandidatePool) -> None:
    message = r"`path` must lie in a folder where files can be made; got /proc/pool.npz: "
    with pytest.raises(NegmineValueError, match=message) as raised:
        pool.save("/proc/pool.npz")
    assert ".tmp" not in str(raised.value)


def test_negatives_that_do_not_pickle_say_what_does_it_instead(pool: CandidatePool) -> None:
    with pytest.raises(NegmineTypeError, match="negatives have `save` and `load`"):
        pickle.dumps(pool.select(3))
