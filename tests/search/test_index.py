"""The index: what it takes, what it keeps, how it prints, plans and travels."""

from __future__ import annotations

import copy
import importlib.metadata
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import ExactIndex
from negmine.errors import NegmineTypeError, NegmineValueError

ROWS = np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32)


def test_searching_for_nothing_or_nowhere_is_a_search() -> None:
    index, nowhere = ExactIndex(ROWS), ExactIndex(np.empty((0, 7), np.float32))
    found = index.search(ROWS[:3], 0)
    assert (found.indices.shape, found.scores.shape, found.counts.tolist()) == ((3, 0), (3, 0), [0, 0, 0])
    found = index.search(ROWS[:0], 4)
    assert (found.indices.shape, found.counts.shape) == ((0, 4), (0,))
    found = nowhere.search(ROWS[:2], 3)
    assert found.indices.tolist() == [[-1] * 3] * 2
    assert np.isneginf(found.scores).all()
    assert len(nowhere) == 0


def test_more_than_there_is_is_padded() -> None:
    found = ExactIndex(ROWS[:2], ids=["a", "b"]).search(ROWS[:1], 4)
    assert found.indices[0, 2:].tolist() == [-1, -1]
    assert found.ids[0, 2:].tolist() == ["", ""]
    assert found.counts.tolist() == [2]
    assert (found.indices.dtype, found.scores.dtype, found.counts.dtype) == (np.int64, np.float32, np.int32)


def test_the_index_keeps_a_reference_and_says_so() -> None:
    index = ExactIndex(ROWS, metric="l2")
    assert index.corpus is ROWS
    assert (len(index), index.width, index.metric) == (50, 7, "l2")
    assert "50 x 7 float32" in repr(index)
    assert "'l2'" in repr(index)
    assert f"{index.nbytes} bytes" in repr(index)
    assert "big-endian float32" in repr(ExactIndex(ROWS.astype(">f4")))


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (range(50), "i"),
        (np.arange(50, dtype=np.uint8), "i"),
        ([f"d{i}" for i in range(50)], "O"),
        (np.array([f"d{i}" for i in range(50)], dtype=object), "O"),
        (np.array(list(range(50)), dtype=object), "i"),
        (tuple(str(i) for i in range(50)), "O"),
    ],
)
def test_labels_are_int64_or_str(ids: Any, kind: str) -> None:
    found = ExactIndex(ROWS, ids=ids).search(ROWS[:4], 2)
    assert found.ids.dtype.kind == kind
    assert [str(label) for label in found.ids[:, 0]] == [str(list(ids)[i]) for i in range(4)]


def test_pandas_labels_are_taken() -> None:
    pandas = pytest.importorskip("pandas")
    series = pandas.Series([f"d{i}" for i in range(50)])
    assert ExactIndex(ROWS, ids=series).search(ROWS[:1], 1).ids.tolist() == [["d0"]]
    assert ExactIndex(ROWS, ids=pandas.Index(range(50))).search(ROWS[:1], 1).ids.tolist() == [[0]]


def test_memory_is_planned() -> None:
    index = ExactIndex(ROWS)
    plan = index.plan(1000, 10)
    assert plan.total_bytes == plan.packed_bytes + plan.query_bytes + plan.answer_bytes
    assert plan.passes == 0
    assert plan.seconds > 0
    assert index.plan(0, 0).answer_bytes == 0


# ---- travelling


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.npy"
    np.save(path, ROWS)
    return path


@pytest.mark.parametrize(
    "part",
    [
        lambda a: a,
        lambda a: a[10:],
        lambda a: a[5:6],
        lambda a: a[::-1],
        lambda a: a[::3, ::-2],
        lambda a: a[:, 3:],
        lambda a: a.T[:3].T,
        lambda a: a[10:][5:],
    ],
)
def test_an_index_on_a_file_is_pickled_by_its_place(file: Path, part: Any) -> None:
    view = part(np.load(file, mmap_mode="r"))
    index = ExactIndex(view, metric="ip", ids=np.arange(len(view)) + 7)
    data = pickle.dumps(index)
    assert len(data) < 2000
    once = pickle.loads(data)
    twice = pickle.loads(pickle.dumps(once))
    for other in (once, twice, copy.copy(index)):
        assert isinstance(other.corpus, np.memmap)
        assert (other.corpus == view).all()
        found, expected = other.search(view[:3], 2), index.search(view[:3], 2)
        assert (found.ids == expected.ids).all()
        assert (found.scores == expected.scores).all()


def test_a_mapped_bfloat16_corpus_is_pickled_too(tmp_path: Path) -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    path = tmp_path / "rows.bin"
    path.write_bytes(ROWS.astype(bfloat16).tobytes())
    mapped = np.memmap(path, dtype=bfloat16, mode="r", shape=ROWS.shape)
    index = ExactIndex(mapped)
    other = pickle.loads(pickle.dumps(index))
    assert (other.search(ROWS, 3).scores == index.search(ROWS, 3).scores).all()


def test_raw_memory_maps_with_an_offset_are_pickled_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.bin"
    path.write_bytes(bytes(5000) + ROWS.astype(np.float16).tobytes())
    mapped = np.memmap(path, dtype=np.float16, mode="r", offset=5000, shape=ROWS.shape)
    other = pickle.loads(pickle.dumps(ExactIndex(mapped[20:])))
    assert (other.corpus == mapped[20:]).all()


def test_copies_in_memory_are_refused_with_the_reason() -> None:
    with pytest.raises(NegmineTypeError, match="memmap"):
        pickle.dumps(ExactIndex(ROWS))
    with pytest.raises(NegmineTypeError, match="memmap"):
        copy.deepcopy(ExactIndex(ROWS))


# ---- torch and Arrow


def test_tensors_are_read_where_they_lie() -> None:
    torch = pytest.importorskip("torch")
    rows = torch.from_numpy(ROWS)
    expected = ExactIndex(ROWS).search(ROWS[:3], 5)
    forms = [rows, rows.clone().requires_grad_(), rows.t().contiguous().t(), torch.cat([rows, rows])[::2][:0]]
    for tensor in forms[:3]:
        found = ExactIndex(tensor).search(tensor[:3], 5)
        assert (found.indices == expected.indices).all()
        assert (found.scores == expected.scores).all()
    assert ExactIndex(rows)._rows.array.ctypes.data == rows.data_ptr()
    assert len(ExactIndex(forms[3])) == 0
    # A lazily negated view has no NumPy form of its own.
    negated = torch.complex(rows, rows).conj().imag
    assert (ExactIndex(negated).search(negated[:3], 5).indices == expected.indices).all()


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float64", "int8", "uint8"])
def test_tensors_of_every_kind(name: str) -> None:
    torch = pytest.importorskip("torch")
    whole = torch.from_numpy(ROWS * 20).abs().to(getattr(torch, name))
    widened = whole.to(torch.float32).numpy()
    for tensor, array in ((whole, widened), (whole[::2, 1:], widened[::2, 1:])):
        found = ExactIndex(tensor, metric="ip").search(tensor[:4], 6)
        expected = ExactIndex(array, metric="ip").search(array[:4], 6)
        assert (found.indices == expected.indices).all()
        assert (found.scores == expected.scores).all()


def test_exclude_self_knows_a_slice_of_a_tensor() -> None:
    torch = pytest.importorskip("torch")
    rows = torch.from_numpy(ROWS).to(torch.bfloat16)
    negatives = negmine.mine(rows[10:20], rows, [[]] * 10, exclude_self=True, query_offset=10)
    assert negatives.report.totals()["self"] == 10


def test_tensors_flushing_denormals_change_nothing() -> None:
    torch = pytest.importorskip("torch")
    tiny = (np.random.default_rng(1).integers(-9, 9, (40, 6)) * 2.0**-149).astype(np.float32)
    expected = ExactIndex(tiny).search(tiny[:5], 9)
    before = torch.tensor([1e-310], dtype=torch.float64)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    try:
        found = ExactIndex(tiny).search(tiny[:5], 9)
    finally:
        torch.set_flush_denormal(False)
    assert before.item() != 0.0
    assert (found.indices == expected.indices).all()
    assert (found.scores == expected.scores).all()


def test_arrow_lists_are_read_where_they_lie() -> None:
    pa = pytest.importorskip("pyarrow")
    expected = ExactIndex(ROWS).search(ROWS[3:6], 5)
    whole = pa.FixedSizeListArray.from_arrays(pa.array(ROWS.ravel()), 7)
    chunked = pa.chunked_array([whole[:20], whole[20:]])
    queries = whole[3:6]
    for corpus in (whole, chunked):
        found = ExactIndex(corpus).search(queries, 5)
        assert (found.indices == expected.indices).all()
        assert (found.scores == expected.scores).all()
    assert len(ExactIndex(pa.chunked_array([], whole.type))) == 0
    halves = pa.FixedSizeListArray.from_arrays(pa.array(ROWS.astype(np.float16).ravel()), 7)
    wanted = ExactIndex(ROWS.astype(np.float16)).search(ROWS.astype(np.float16)[:2], 3)
    assert (ExactIndex(halves).search(halves[:2], 3).indices == wanted.indices).all()
    outside = negmine.Positives.from_lists([[-1]], positive_embeddings=whole[:1])
    assert negmine.HardNegativeMiner(1).candidates(ExactIndex(whole), whole[1:2], outside).counts.tolist() == [1]


# ---- auditing others


def test_verify_finds_what_is_missing_and_what_is_spurious() -> None:
    exact = ExactIndex(ROWS).search(ROWS[:6], 4).indices
    right = negmine.verify(ROWS[:6], ROWS, exact, 4)
    assert (right.equal_share, right.recall, right.first_difference) == (1.0, 1.0, None)
    assert (len(right.missing), len(right.spurious)) == (0, 0)
    answer = exact.copy()
    other = next(row for row in range(50) if row not in exact[2])
    answer[2, 3] = other
    answer[4, [0, 1]] = answer[4, [1, 0]]
    wrong = negmine.verify(ROWS[:6], ROWS, answer, 4)
    assert wrong.equal_share == pytest.approx(4 / 6)
    assert wrong.recall == pytest.approx(23 / 24)
    assert wrong.first_difference == (2, 3)
    assert wrong.missing.tolist() == [[2, exact[2, 3]]]
    assert wrong.spurious.tolist() == [[2, other]]
    some = negmine.verify(ROWS[:6], ROWS, answer, 4, sample=3, seed=1)
    assert len(some.queries) == 3
    assert negmine.verify(ROWS[:0], ROWS, exact[:0], 4).recall == 1.0


def test_build_info_says_what_runs() -> None:
    info = negmine.build_info()
    assert info["version"] == negmine.__version__ == importlib.metadata.version("negmine")
    assert info["isa"] in info["available_isas"]
    assert info["available_isas"][0] == "scalar"


def test_calls_take_the_threads_of_their_index_unless_told_otherwise() -> None:
    class Noted:
        def __init__(self, native: Any) -> None:
            self.native, self.threads = native, []

        def __getattr__(self, name: str) -> Any:
            return lambda *args: (self.threads.append(args[-2]), getattr(self.native, name)(*args))[1]

    index = ExactIndex(ROWS, num_threads=3)
    noted = index._native = Noted(index._native)
    miner = negmine.HardNegativeMiner(1)
    index.search(ROWS[:2], 1)
    index.search(ROWS[:2], 1, num_threads=2)
    index._native = noted.native
    miner.candidates(index, ROWS[:2], [[], []])
    assert noted.threads == [3, 2]
    assert (index.threads(None), index.threads(2)) == (3, 2)


def test_threads_default_to_what_the_process_may_use() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity here")
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from negmine._core.calls import resolve_num_threads
print(resolve_num_threads(None), resolve_num_threads(5))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["1", "5"]


# ---- files


def test_saving_is_atomic_repeatable_and_readable_by_others(tmp_path: Path) -> None:
    negatives = negmine.mine(
        ROWS[:5], ROWS, [[i] for i in range(5)], sampling="random", document_ids=[f"d{i}" for i in range(50)]
    )
    path = tmp_path / "negatives.npz"
    before = os.umask(0o022)
    try:
        negatives.save(path, pool=True)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
    first = path.read_bytes()
    negatives.save(path, pool=True)
    assert path.read_bytes() == first
    assert sorted(found.name for found in tmp_path.iterdir()) == ["negatives.npz", "negatives.pool.npz"]
    with pytest.raises(NegmineValueError, match=r"`path` must lie in a folder that exists; got .*missing"):
        negatives.save(tmp_path / "missing" / "negatives.npz")


def test_numbers_of_numpy_are_saved_like_pythons(tmp_path: Path) -> None:
    pool = negmine.HardNegativeMiner(2, range_max=9).candidates(ExactIndex(ROWS), ROWS[:3], [[0], [1], [2]])
    for name, integer in (("a", int), ("b", np.int64)):
        options = {"num_random": integer(1), "seed": integer(3), "epoch": integer(4)}
        for choose in (pool.select, lambda n, **given: pool.select(n, limit_per_document=np.int64(2), **given)):
            choose(integer(2), sampling=negmine.Softmax(np.float32(0.5)), **options).save(tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_loaded_pool_chooses_without_its_vectors(tmp_path: Path) -> None:
    pool = negmine.HardNegativeMiner(2, range_max=9).candidates(ExactIndex(ROWS), ROWS[:3], [[0], [1], [2]])
    pool.save(tmp_path / "pool.npz")
    loaded = negmine.CandidatePool.load(tmp_path / "pool.npz")
    assert loaded.origin is None
    assert (
        loaded.select(4, sampling="random", seed=2).indices == pool.select(4, sampling="random", seed=2).indices
    ).all()
    assert (loaded.select(2, limit_per_document=1).indices == pool.select(2, limit_per_document=1).indices).all()


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ({}, {}),
        ({"min_score": 0.1}, {}),
        ({"max_score": 0.1}, {}),
        ({"relative_margin": 0.5}, {}),
        ({"reference": "each"}, {}),
        ({}, {"query_offset": 7}),
        ({}, {"groups": np.arange(50) % 2}),
        ({}, {"exclude": [range(3, 40)] * 3}),
        ({}, {"exclude_self": True, "query_ids": ["d40", "d41", "d42"]}),
        ({}, {"eligible": negmine.Eligibility.equal(np.arange(50) % 3, [0, 1, 2])}),
    ],
)
def test_an_attached_pool_draws_by_the_rules_it_was_made_with(
    tmp_path: Path, options: dict[str, Any], rules: dict[str, Any]
) -> None:
    index = ExactIndex(ROWS, ids=[f"d{i}" for i in range(50)])
    miner = negmine.HardNegativeMiner(1, range_max=1, **options)
    pool = miner.candidates(index, ROWS[40:43], [[0, 5], [1], [2]], **rules)
    pool.save(tmp_path / "pool.npz")
    loaded = negmine.CandidatePool.load(tmp_path / "pool.npz").attach(index, ROWS[40:43])
    found, wanted = (one.select(1, num_random=50, seed=3) for one in (loaded, pool))
    for name in ("indices", "ids", "scores", "counts", "reasons", "query_indices", "positive_indices"):
        assert (getattr(found, name) == getattr(wanted, name)).all(), name
    plain = negmine.HardNegativeMiner(1, range_max=1).candidates(index, ROWS[40:43], [[0, 5], [1], [2]])
    assert options == rules or found.indices.tolist() != plain.select(1, num_random=50, seed=3).indices.tolist()


@pytest.mark.parametrize(
    "sampling",
    ["top", "random", negmine.Softmax(0.3), negmine.SimANS(0.7, -0.1, "raw"), negmine.SimANS(), negmine.Stride()],
)
@pytest.mark.parametrize("limit", [None, 2])
def test_saved_negatives_know_how_they_were_chosen(tmp_path: Path, sampling: Any, limit: int | None) -> None:
    miner = negmine.HardNegativeMiner(
        2, sampling=sampling, limit_per_document=limit, num_random=1, seed=2**64 - 1, range_max=9
    )
    negatives = miner.mine(ExactIndex(ROWS), ROWS[:3], [[0], [1], [2]], epoch=2**64 - 2)
    negatives.save(tmp_path / "a.npz")
    loaded = negmine.HardNegatives.load(tmp_path / "a.npz")
    assert loaded.epoch == 2**64 - 2
    assert loaded.draw == negatives.draw
    assert (loaded.draw.limit_per_document, loaded.draw.seed, loaded.draw.num_random) == (limit, 2**64 - 1, 1)


def test_what_depends_on_the_schedule_is_in_no_file(tmp_path: Path) -> None:
    for name, threads in (("a", 1), ("b", 3)):
        negatives = negmine.mine(ROWS[:5], ROWS, [[i] for i in range(5)], num_threads=threads, sampling="random")
        assert negatives.report.diagnostics
        negatives.save(tmp_path / f"{name}.npz", pool=True)
    for suffix in (".npz", ".pool.npz"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    assert not negmine.HardNegatives.load(tmp_path / "a.npz").report.diagnostics


def test_redraw_after_load_needs_the_pool(tmp_path: Path) -> None:
    negatives = negmine.mine(ROWS[:5], ROWS, [[i] for i in range(5)], sampling="random", num_random=1)
    negatives.save(tmp_path / "alone.npz")
    alone = negmine.HardNegatives.load(tmp_path / "alone.npz")
    with pytest.raises(NegmineValueError, match="`redraw` must have the pool"):
        alone.redraw(1)
    negatives.save(tmp_path / "both.npz", pool=True)
    both = negmine.HardNegatives.load(
        tmp_path / "both.npz", pool=negmine.CandidatePool.load(tmp_path / "both.pool.npz")
    )
    with pytest.raises(NegmineValueError, match=r"attach\(source, queries\)"):
        both.redraw(1)
    other = negmine.HardNegativeMiner(5, sampling="random").candidates(
        ExactIndex(ROWS), ROWS[1:6], [[i] for i in range(5)]
    )
    with pytest.raises(NegmineValueError, match="`pool` must be the pool of the negatives"):
        negmine.HardNegatives.load(tmp_path / "both.npz", pool=other)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY broken"])
def test_files_of_another_kind_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(NegmineValueError, match=r"`path` must be .* file of negmine; got '.*other.npz'"):
        negmine.CandidatePool.load(path)
    path.write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(NegmineValueError, match=r"corrupt: checksum mismatch in .*other.npz"):
        negmine.CandidatePool.load(path)


def test_arrays_and_other_archives_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", ROWS)
    np.savez(tmp_path / "arrays.npz", rows=ROWS)
    pool = negmine.HardNegativeMiner(2).candidates(ExactIndex(ROWS), ROWS[:1], [[0]])
    pool.save(tmp_path / "pool.npz")
    for name in ("array.npy", "arrays.npz"):
        with pytest.raises(NegmineValueError, match="`path` must be a candidate pool file"):
            negmine.CandidatePool.load(tmp_path / name)
    with pytest.raises(NegmineValueError, match="got 'candidate pool'"):
        negmine.HardNegatives.load(tmp_path / "pool.npz")
    with pytest.raises(NegmineValueError, match=r"`path` must be a file; got .*none.npz, where there is nothing"):
        negmine.HardNegatives.load(tmp_path / "none.npz")


# ---- what results turn into


def test_tables_hold_every_negative_once() -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    negatives = negmine.mine(
        ROWS[:5],
        ROWS,
        [[i] for i in range(5)],
        num_negatives=3,
        num_random=2,
        max_score=0.2,
        range_max=3,
        query_offset=9,
    )
    frame = negatives.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == negatives.counts.sum()
    assert frame["query_index"].unique().tolist() == [9, 10, 11, 12, 13]
    table = negatives.to_arrow()
    assert table.num_rows == 5
    assert [len(row) for row in table["negative_indices"].to_pylist()] == negatives.counts.tolist()
    flat = [document for row in table["negative_indices"].to_pylist() for document in row]
    assert flat == frame["document_index"].tolist() == negatives.indices[negatives.indices >= 0].tolist()


def test_tensors_share_the_memory_of_results() -> None:
    torch = pytest.importorskip("torch")
    negatives = negmine.mine(ROWS[:5], ROWS, [[i] for i in range(5)])
    tensors = negatives.to_torch()
    assert tensors["indices"].data_ptr() == negatives.indices.ctypes.data
    assert tensors["indices"].dtype == torch.int64
