"""Distributed search on gloo, with real processes: equal to one index, and errors of one rank reach all of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

import negmine
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.integrations.torch_distributed import DistributedSearcher
from searching_ranks import lose_a_rank, search_on_a_rank


def shards_of(lengths: list[int], width: int = 6) -> list[Any]:
    # Small integers: many scores are equal, also across shards.
    draw = np.random.default_rng(0)
    return [draw.integers(-2, 3, (n, width)).astype(np.float32) for n in lengths]


def assert_equal_to_one_index(folder: Path, lengths: list[int], n_queries: list[int]) -> None:
    shards, queries = shards_of(lengths), [rows[::-1].copy() for rows in shards_of(n_queries)]
    ks, n_ranks = [0, 3, 30], len(lengths)
    torch.multiprocessing.spawn(search_on_a_rank, args=(folder, shards, queries, ks), nprocs=n_ranks)
    corpus, last = np.concatenate(shards), n_ranks - 1
    for rank in range(n_ranks):
        results = torch.load(folder / f"{rank}.pt", weights_only=False)
        for metric in ("cosine", "ip", "l2"):
            index = negmine.ExactIndex(corpus, metric=metric)  # type: ignore[arg-type]
            for k in ks:
                expected = index.search(queries[rank], k, dtype="float64")
                for name in ("indices", "scores", "counts"):
                    found = results[f"{metric} {k} {name}"]
                    assert found.dtype == getattr(expected, name).dtype
                    np.testing.assert_array_equal(found, getattr(expected, name))
        np.testing.assert_array_equal(results["after"], index.search(queries[rank], 3).indices)
        name = f"DistributedSearcher({len(corpus)} documents on {n_ranks} ranks, metric='l2')"
        assert results["facts"] == [name, sum(lengths[:rank]), True]
        failed = "" if rank == last else f"NegmineError: Rank {last} failed: "
        assert results["NaN"].startswith(f"{failed}NegmineValueError: `queries` must be finite"), results["NaN"]
        assert results["changed"].startswith(f"{failed}CorpusChangedError: "), results["changed"]
        assert "one width and one `k`; got (6, 2) on rank 0 and (6, 3) on rank" in results["k"]
        assert "one metric and one width; got ('l2', 6) on rank 0 and ('ip', 6) on rank" in results["metric"]


@pytest.fixture
def one_rank(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_rank")
def test_one_rank_finds_what_its_index_finds() -> None:
    rows, queries = shards_of([40, 5])
    index = negmine.ExactIndex(rows)
    searcher = DistributedSearcher(index)
    assert (len(searcher), searcher.first, searcher.metric, searcher.exact) == (40, 0, "cosine", True)
    for k in (0, 3, 60):
        found, expected = searcher.search(queries, k), index.search(queries, k)
        for name in ("indices", "scores", "counts"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
            assert getattr(found, name).dtype == getattr(expected, name).dtype


@pytest.mark.slow
def test_two_ranks_find_what_one_index_finds(tmp_path: Path) -> None:
    assert_equal_to_one_index(tmp_path, [40, 17], [7, 3])


@pytest.mark.slow
def test_three_uneven_ranks_find_what_one_index_finds(tmp_path: Path) -> None:
    assert_equal_to_one_index(tmp_path, [50, 0, 17], [0, 5, 1])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "silent"])
def test_a_lost_rank_is_an_error_on_the_others(how: str, tmp_path: Path) -> None:
    shards = shards_of([20, 20, 20])
    context = torch.multiprocessing.get_context("spawn")
    processes = [context.Process(target=lose_a_rank, args=(rank, tmp_path, shards, how)) for rank in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(90)
    assert [process.exitcode for process in processes] == [0, 0, -9 if how == "killed" else 0]
    for rank in range(2):
        message, seconds = torch.load(tmp_path / f"{rank}.pt", weights_only=False)
        assert message.split(":")[0] in ("RuntimeError", "DistBackendError", "DistNetworkError"), message
        assert seconds < 12


def test_a_process_group_is_needed() -> None:
    index: Any = negmine.ExactIndex(np.eye(3, dtype=np.float32))
    with pytest.raises(NegmineValueError, match="init_process_group` must be called first"):
        DistributedSearcher(index)


@pytest.mark.usefixtures("one_rank")
def test_bad_arguments_are_refused() -> None:
    index: Any = negmine.ExactIndex(np.eye(3, dtype=np.float32))
    for bad, options, message in (
        (index, {"timeout": 5}, "`timeout` must be a datetime.timedelta; got int"),
        (np.eye(3), {}, "`index` must be an ExactIndex or another Searcher; got ndarray"),
    ):
        with pytest.raises(NegmineTypeError, match=message):
            DistributedSearcher(bad, **options)  # type: ignore[arg-type]
    searcher = DistributedSearcher(index, timeout=timedelta(seconds=30))
    with pytest.raises(NegmineValueError, match="`k` must be"):
        searcher.search(np.eye(3, dtype=np.float32), -1)
    with pytest.raises(NegmineValueError, match="`dtype` must be"):
        searcher.search(np.eye(3, dtype=np.float32), 1, dtype="int8")  # type: ignore[arg-type]
    with pytest.raises(NegmineValueError, match="width"):
        searcher.search(np.eye(4, dtype=np.float32), 1)
