"""A writer that is killed just before any step that changes the disk leaves the old table or the new one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

import refreshed
from negmine.torch import NegativesTable
from processes import output_of
from refreshed import is_of, marked, mined

#: Kills itself just before the k-th step, for every k; prints the number of steps.
EVERY_STEP = """
import io, os, signal, sys
from pathlib import Path
from negmine.torch import NegativesTable
from refreshed import marked, mined

os.fsync = lambda _: None  # what a killed process has written is there without it, and disks are slow
steps = {name: getattr(os, name) for name in ("fsync", "replace", "unlink", "mkdir", "open", "link")}
really_open, left = io.open, [0]

def step():
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

class Stepping:
    def __init__(self, file):
        self.file = file
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.file.close()
    def __getattr__(self, name):
        return getattr(self.file, name)
    def write(self, data):
        step()
        self.file.write(data)
        self.file.flush()

def arm(k):
    left[0] = k
    def wrap(call):
        def armed(*args, **options):
            step()
            return call(*args, **options)
        return armed
    for name, call in steps.items():
        setattr(os, name, wrap(call))
    io.open = lambda *args, **options: Stepping(really_open(*args, **options))

root, action, keep, negatives = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), mined()
k, code = 0, -signal.SIGKILL
while code == -signal.SIGKILL:
    k += 1
    if action == "publish":
        table = NegativesTable.create(root / str(k), marked(negatives, 0), keep_generations=keep)
        for mark in range(1, keep + 1):
            table.publish(marked(negatives, mark))
    pid = os.fork()
    if pid == 0:
        try:
            arm(k)
            if action == "publish":
                NegativesTable(root / str(k)).publish(marked(negatives, keep + 1))
            else:
                NegativesTable.create(root / str(k), marked(negatives, 0))
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert code == 0, code
print(k)
"""


def kill_at_every_step(root: Path, action: str, keep: int = 0) -> int:
    command = [sys.executable, "-c", EVERY_STEP, str(root), action, str(keep)]
    return int(output_of(command, seconds=120, cwd=Path(refreshed.__file__).parent))


def test_publishing_that_is_killed_leaves_the_old_generation_or_the_new(tmp_path: Path) -> None:
    n_steps, negatives = kill_at_every_step(tmp_path, "publish"), mined()
    assert n_steps > 12
    generations = []
    for k in range(1, n_steps + 1):
        table = NegativesTable(tmp_path / str(k))
        generations.append(table.generation)
        assert is_of(table.current(), table.generation)
        assert table.publish(marked(negatives, table.generation + 1)) == generations[-1] + 1
        assert [path.name for path in table.folder.iterdir()] == ["negatives.table"]
    assert generations == sorted(generations)
    assert set(generations) == {0, 1}


def test_creating_that_is_killed_leaves_a_table_or_none_and_may_be_repeated(tmp_path: Path) -> None:
    n_steps, negatives = kill_at_every_step(tmp_path, "create"), mined()
    made = []
    for k in range(1, n_steps + 1):
        folder = tmp_path / str(k)
        made.append((folder / "negatives.table").exists())
        table = NegativesTable(folder) if made[-1] else NegativesTable.create(folder, marked(negatives, 0))
        assert is_of(table.current(), 0)
        table.publish(marked(negatives, 1))
        assert [path.name for path in folder.iterdir()] == ["negatives.table"]
    assert made == sorted(made)
    assert set(made) == {False, True}


def test_publishing_that_is_killed_keeps_the_older_generations(tmp_path: Path) -> None:
    n_steps, negatives = kill_at_every_step(tmp_path, "publish", keep=2), mined()
    newest = []
    for k in range(1, n_steps + 1):
        table = NegativesTable(tmp_path / str(k))
        newest.append(table.generation)
        assert table.generations in {(0, 1, 2), (0, 1, 2, 3), (1, 2, 3)}
        assert table.generations[-1] == newest[-1]
        assert all(is_of(table.at(generation), generation) for generation in table.generations)
        last = table.publish(marked(negatives, newest[-1] + 1))
        assert table.generations == (last - 2, last - 1, last)
        names = ["negatives.table", *(f"negatives-{generation}.table" for generation in (last - 2, last - 1))]
        assert sorted(path.name for path in table.folder.iterdir()) == sorted(names)
        assert all(is_of(table.at(generation), generation) for generation in table.generations)
    assert newest == sorted(newest)
    assert set(newest) == {2, 3}
