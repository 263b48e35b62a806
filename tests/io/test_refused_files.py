"""Files that cannot be written or read: full disks, read-only media, pipes and folders in the place of files."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import negmine
from damage import full_disk, read_only
from jobs import TILE, files, run
from negmine import CandidatePool, Clusters, ExactIndex, HardNegativeMiner, HardNegatives, MinHash, io
from negmine.errors import JobError, NegmineError, NegmineOSError, NegmineValueError, NegmineWarning
from negmine.job import merge
from negmine.store import NegativesTable

pa = pytest.importorskip("pyarrow")

ROWS = np.random.default_rng(3).standard_normal((40, 5)).astype(np.float32)
MINED = HardNegativeMiner(3, range_max=9, sampling="random").mine(
    ExactIndex(ROWS), ROWS[:12], [[row] for row in range(12)]
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "job"
    run(folder)
    return folder


# ---- full disks


def publish(path: Path) -> None:
    if path.exists():
        NegativesTable(path.parent).publish(MINED.redraw(epoch=1))
    else:
        path.parent.rmdir()
        NegativesTable.create(path.parent, MINED)


def save_pool(path: Path) -> None:
    assert MINED.pool is not None
    MINED.pool.save(path)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "pool.npz": save_pool,
    "negatives.npz": MINED.save,
    "clusters.npz": lambda path: negmine.kmeans(ROWS, n_clusters=3).save(path),
    "signatures.npz": lambda path: MinHash(128).save(path, MinHash(128).signatures([["a"], ["b"]])),
    "mined.parquet": lambda path: io.write_negatives(MINED, path),
    "rows.parquet": lambda path: io.write_training_rows(MINED, path, format="triplet"),
    "rows.jsonl": lambda path: io.write_training_rows(MINED, path, format="triplet"),
    "negatives.table": publish,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_the_old_one(name: str, tmp_path: Path) -> None:
    path = tmp_path / "folder" / name
    path.parent.mkdir()
    WRITERS[name](path)
    before = path.read_bytes()
    for n_bytes in (0, 7, 100, len(before) // 2, len(before) - 1):
        with full_disk(n_bytes), pytest.raises(NegmineOSError, match=name) as caught:
            WRITERS[name](path)
        assert caught.value.errno is not None
        assert caught.value.filename == str(path)
        assert path.read_bytes() == before
        assert [entry.name for entry in path.parent.iterdir()] == [name]
    WRITERS[name](path)


def test_a_job_on_a_full_disk_names_the_file_and_goes_on_later(tmp_path: Path, undisturbed: Path) -> None:
    largest = max(map(len, files(undisturbed).values()))
    refused = 0
    for number, n_bytes in enumerate([0, 10, 500, *range(1000, largest, largest // 12)]):
        folder = tmp_path / str(number)
        with full_disk(n_bytes), pytest.raises(NegmineError, match=str(folder)):
            run(folder, resume=True)
        refused += 1
        assert not [path for path in folder.rglob(".*") if path.is_file()]
        run(folder, resume=True)
        assert files(folder) == files(undisturbed)
    assert refused > 10


def test_a_merge_on_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    for i in range(2):
        run(tmp_path / str(i), shard=(i, 2))
    with full_disk(2000), pytest.raises(NegmineOSError, match=r"out/"):
        merge([tmp_path / "0", tmp_path / "1"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---- read-only media


def test_a_finished_job_on_a_read_only_medium_opens(tmp_path: Path, undisturbed: Path) -> None:
    folder = tmp_path / "job"
    shutil.copytree(undisturbed, folder)
    for i in range(2):
        run(tmp_path / str(i), shard=(i, 2))
    (folder / "parts").mkdir()  # as where the process was killed before it removed them
    with read_only(tmp_path):
        assert run(folder).was_finished
        assert run(folder, resume=True).was_finished
        assert merge([tmp_path / "0", tmp_path / "1"], folder).was_finished
        assert len(run(folder).rows()) == len(io.read_negatives(folder / "result.parquet"))
        with pytest.raises(JobError, match="`epoch` was 0 and is 1"):
            run(folder, epoch=1)
        with pytest.raises(NegmineError, match=str(tmp_path / "out")):
            merge([tmp_path / "0", tmp_path / "1"], tmp_path / "out")
    run(folder)
    assert files(folder) == files(undisturbed)


def test_an_unfinished_job_on_a_read_only_medium_is_an_error_that_names_it(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done >= 2 * TILE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "job", progress=stop)
    with read_only(tmp_path), pytest.raises(JobError, match=rf"{tmp_path}/job/lock: Permission denied"):
        run(tmp_path / "job", resume=True)


def test_a_table_on_a_read_only_medium_is_read_and_not_published(tmp_path: Path) -> None:
    table = NegativesTable.create(tmp_path / "table", MINED)
    with read_only(tmp_path):
        assert NegativesTable(tmp_path / "table").read([3, 1]).query_indices.tolist() == [3, 1]
        with pytest.raises(NegmineError, match=r"files can be made; got .*negatives\.table: Permission denied"):
            table.publish(MINED)
        with pytest.raises(NegmineValueError, match="must be where a table can be made"):
            NegativesTable.create(tmp_path / "other", MINED)


def test_results_are_not_saved_on_a_read_only_medium(tmp_path: Path) -> None:
    with read_only(tmp_path):
        for name in ("negatives.npz", "mined.parquet"):
            with pytest.raises(NegmineValueError, match=rf"files can be made; got .*{name}: Permission denied"):
                WRITERS[name](tmp_path / name)


# ---- pipes, folders and links to nowhere in the place of files


def make_folder(path: Path) -> None:
    path.mkdir()


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


MADE = {"pipe": os.mkfifo, "folder": make_folder, "loop": make_loop}

READERS: dict[str, Callable[[Path], Any]] = {
    "a.npz": CandidatePool.load,
    "b.npz": HardNegatives.load,
    "c.npz": Clusters.load,
    "d.npz": MinHash.load,
    "e.parquet": io.read_negatives,
    "f.npy": io.read_embeddings,
    "g.jsonl": io.read_texts,
    "negatives.table": lambda path: NegativesTable(path.parent),
}


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_refused_and_not_waited_for(name: str, kind: str, tmp_path: Path) -> None:
    MADE[kind](tmp_path / name)
    with pytest.raises(NegmineError, match=str(tmp_path)):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    "name", ["manifest.json", "report.json", "result.parquet", "lock", "parts", "parts/00000000.part"]
)
def test_a_job_with_a_file_of_another_type_is_refused_by_name_or_opens(
    name: str, kind: str, tmp_path: Path, undisturbed: Path, *, finished: bool
) -> None:
    folder = tmp_path / "job"
    shutil.copytree(undisturbed, folder)
    if not finished:
        (folder / "report.json").unlink()
        (folder / "result.parquet").unlink()
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        path.unlink()
    MADE[kind](path)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always", NegmineWarning)
        try:
            run(folder, resume=True)
        except NegmineError as error:
            assert str(path) in str(error)  # noqa: PT017 (either is right)
            assert not (finished and name.startswith(("lock", "parts"))), "a finished job needs neither"
        else:
            assert files(folder) == files(undisturbed)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_no_file_is_written_in_the_place_of_a_pipe_or_a_device(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/full")
    with pytest.raises(NegmineValueError, match=rf"`path` must be a file; got .*a\.npz, where there is a {kind}"):
        MINED.save(path)
    assert not path.is_file()
    assert path.exists()
