"""Damaged jobs: a part is mined again, a shard is not merged, and a result is not taken for a finished one."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from damage import damaged, outcomes
from jobs import N_QUERIES, TILE, files, run
from negmine.errors import JobError, NegmineError, NegmineWarning
from negmine.job import merge, mine_to

pa = pytest.importorskip("pyarrow")

ROWS = np.random.default_rng(3).standard_normal((40, 5)).astype(np.float32)


# ---- parts


def stop_after(n_tiles: int) -> Callable[[int, int], None]:
    def stop(done: int, total: int) -> None:
        if done >= n_tiles * TILE:
            raise KeyboardInterrupt

    return stop


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed") / "job"
    run(folder)
    return files(folder)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job that was stopped before its last tile."""
    folder = tmp_path_factory.mktemp("unfinished") / "job"
    with pytest.raises(KeyboardInterrupt):
        run(folder, progress=stop_after(N_QUERIES // TILE))
    return folder


def test_the_tile_of_a_damaged_part_is_mined_again(
    unfinished: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    name = "parts/00000002.part"
    for number, (what, changed) in enumerate(damaged((unfinished / name).read_bytes(), 40)):
        folder = tmp_path / str(number)
        shutil.copytree(unfinished, folder)
        (folder / name).write_bytes(changed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = run(folder, resume=True)
        assert files(folder) == undisturbed, what
        if result.n_mined == 2:  # padding of the header says nothing: a flip there may go unseen
            (warning,) = caught
            assert warning.category is NegmineWarning
            assert "00000002.part is mined again: " in str(warning.message)
        else:
            assert "flipped" in what or "zeroed" in what
        shutil.rmtree(folder)


def other_tile(folder: Path) -> None:
    shutil.copy(folder / "parts/00000001.part", folder / "parts/00000002.part")


def other_job(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(folder.parent / "other", epoch=5, progress=stop_after(4))
    shutil.copy(folder.parent / "other/parts/00000002.part", folder / "parts/00000002.part")


def no_arrow(folder: Path) -> None:
    (folder / "parts/00000002.part").write_bytes(b"nothing")


def empty(folder: Path) -> None:
    (folder / "parts/00000002.part").write_bytes(b"")


@pytest.mark.parametrize("change", [other_tile, other_job, no_arrow, empty])
def test_a_part_of_another_kind_tile_or_job_is_mined_again(
    unfinished: Path, undisturbed: dict[str, bytes], tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = tmp_path / "job"
    shutil.copytree(unfinished, folder)
    change(folder)
    with pytest.warns(NegmineWarning, match=r"00000002\.part is mined again"):
        assert run(folder, resume=True).n_mined == 2
    assert files(folder) == undisturbed


def test_a_part_that_is_damaged_before_the_parts_are_joined_is_refused_by_name(
    unfinished: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "job"
    shutil.copytree(unfinished, folder)
    part = folder / "parts/00000002.part"

    content = part.read_bytes()

    def spoil(done: int, total: int) -> None:
        part.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])

    with pytest.raises(JobError, match=r"corrupt: checksum mismatch in .*00000002\.part"):
        run(folder, resume=True, progress=spoil)
    with pytest.warns(NegmineWarning, match=r"00000002\.part is mined again"):
        run(folder, resume=True)
    assert files(folder) == undisturbed


# ---- results, reports and manifests


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("shards")
    for i in range(2):
        run(root / str(i), shard=(i, 2))
    return [root / "0", root / "1"]


@pytest.mark.parametrize("name", ["result.parquet", "report.json", "manifest.json"])
def test_a_damaged_shard_is_not_merged(name: str, shards: list[Path], tmp_path: Path) -> None:
    shutil.copytree(shards[1], tmp_path / "1")
    number = iter(range(10_000))

    def read() -> dict[str, bytes]:
        out = tmp_path / f"all{next(number)}"
        try:
            merge([shards[0], tmp_path / "1"], out)
        except NegmineError:
            assert not out.exists()
            raise
        return files(out)

    found = outcomes(tmp_path / "1" / name, 100, read)
    assert found["raw"] == []
    assert found["other"] == []
    if name == "result.parquet":
        assert found["same"] == []  # its checksum lies in the report, and covers every byte
    else:
        assert len(found["refused"]) > 80


@pytest.mark.parametrize("name", ["result.parquet", "report.json", "manifest.json"])
def test_a_damaged_finished_job_is_not_taken_for_a_finished_one(name: str, tmp_path: Path) -> None:
    run(tmp_path / "job")
    found = outcomes(tmp_path / "job" / name, 100, lambda: run(tmp_path / "job", resume=True).was_finished)
    assert found["raw"] == []
    assert found["other"] == []
    if name == "result.parquet":
        assert found["same"] == []
        assert all("Remove it, and resume the job" in how for how in found["refused"])


def test_a_result_that_was_damaged_and_removed_is_mined_again(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    run(tmp_path / "job")
    (tmp_path / "job" / "result.parquet").unlink()
    with pytest.raises(JobError, match="`resume` must be True"):
        run(tmp_path / "job")
    assert not run(tmp_path / "job", resume=True).was_finished
    assert files(tmp_path / "job") == undisturbed


def test_the_result_of_a_smaller_job_is_not_merged(shards: list[Path], tmp_path: Path) -> None:
    corpus, queries = ROWS, ROWS[:5]
    mine_to(tmp_path / "small", queries, corpus, [[row] for row in range(5)], num_negatives=2)
    shutil.copytree(shards[1], tmp_path / "1")
    shutil.copy(tmp_path / "small" / "result.parquet", tmp_path / "1" / "result.parquet")
    with pytest.raises(JobError, match=r"corrupt: checksum mismatch in .*1/result\.parquet"):
        merge([shards[0], tmp_path / "1"], tmp_path / "all")
    shutil.copy(tmp_path / "small" / "report.json", tmp_path / "1" / "report.json")
    with pytest.raises(JobError, match=r"must hold the report of its job; .*1/report\.json"):
        merge([shards[0], tmp_path / "1"], tmp_path / "all")
