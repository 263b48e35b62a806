"""Mining on a Ray cluster: the files of one process, whatever dies on the way."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs import arrays, files, options, run
from negmine.errors import NegmineTypeError, NegmineValueError

pytest.importorskip("ray", reason="ray is not installed")
import ray

from negmine.integrations.ray import mine

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    # Names of sockets are limited to 107 bytes, and pytest's folders are too long for them.
    place = tempfile.mkdtemp(dir="/tmp", prefix="ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    tests = str(Path(__file__).parents[1] / "support")
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 << 20,
        _temp_dir=place,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}},
    )
    yield
    ray.shutdown()
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("arrays")
    given = arrays()
    for name in ("queries", "corpus"):
        np.save(folder / f"{name}.npy", given[name])
        given[name] = folder / f"{name}.npy"
    return {**given, **options()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("one") / "job"
    run(folder)
    return files(folder)


@pytest.mark.parametrize("num_shards", [2, 4])
def test_tasks_write_the_files_of_one_process(
    tmp_path: Path, problem: dict[str, Any], expected: dict[str, bytes], num_shards: int
) -> None:
    seen: list[tuple[int, int]] = []
    result = mine(tmp_path / "job", num_shards=num_shards, progress=lambda *step: seen.append(step), **problem)
    assert files(tmp_path / "job") == expected
    assert seen == [(done, num_shards) for done in range(1, num_shards + 1)]
    assert not result.was_finished
    assert mine(tmp_path / "job", num_shards=num_shards, **problem).was_finished


def kill_writers(shards: Path, kills: list[int], stop: threading.Event) -> None:
    """Kill each process that holds the lock of a shard, once per shard."""
    while not stop.is_set():
        for lock in shards.glob("*/lock"):
            writer = re.search(r"\"pid\": (\d+)", lock.read_text())
            parts = list((lock.parent / "parts").glob("*"))
            if writer and parts and lock.parent.name not in {str(kill) for kill in kills}:
                os.kill(int(writer[1]), signal.SIGKILL)
                kills.append(int(lock.parent.name))
        time.sleep(0.001)


def test_killed_workers_lose_nothing(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name, n in (("queries", 6_000), ("corpus", 3_000)):
        np.save(tmp_path / f"{name}.npy", draw.normal(size=(n, 64)).astype(np.float32))
    given = {
        "queries": tmp_path / "queries.npy",
        "corpus": tmp_path / "corpus.npy",
        "positives": np.arange(6_000) % 3_000,
        "tile_queries": 50,
    }
    mine(tmp_path / "undisturbed", num_shards=2, **given)
    kills: list[int] = []
    stop = threading.Event()
    killer = threading.Thread(target=kill_writers, args=(tmp_path / "killed.shards", kills, stop))
    killer.start()
    try:
        mine(tmp_path / "killed", num_shards=2, **given)
    finally:
        stop.set()
        killer.join()
    assert kills
    assert files(tmp_path / "killed") == files(tmp_path / "undisturbed")


def test_an_error_of_a_task_is_the_callers(tmp_path: Path, problem: dict[str, Any]) -> None:
    with pytest.raises(NegmineValueError, match="`queries` must be"):
        mine(tmp_path / "job", num_shards=2, **{**problem, "queries": tmp_path / "missing.npy"})
    with pytest.raises(NegmineValueError, match="`exclude`"):
        mine(tmp_path / "job", num_shards=2, **{**problem, "exclude": [[0]]})
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"queries": np.eye(3, dtype=np.float32)}, NegmineTypeError, "`queries` must be the path"),
        ({"num_shards": 0}, NegmineValueError, "`num_shards`"),
        ({"num_cpus": 0}, NegmineValueError, "`num_cpus`"),
        ({"resume": True}, NegmineValueError, "`resume` is set by the driver"),
    ],
)
def test_bad_input_is_refused(
    tmp_path: Path, problem: dict[str, Any], change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        mine(tmp_path / "job", **{"num_shards": 2, **problem, **change})
