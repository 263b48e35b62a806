"""A job that is killed, at every step or at random moments, ends with the bytes of an undisturbed one."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import jobs
from jobs import files, run
from negmine import errors

pytest.importorskip("pyarrow")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "job"
    run(folder)
    return folder


# ---- what is killed

CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import jobs
"""


def child(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    text = CHILD.format(tests=str(Path(jobs.__file__).parent)) + code
    return subprocess.Popen([sys.executable, "-c", text, *map(str, arguments)], stdout=subprocess.PIPE)


def test_a_killed_writer_frees_the_lock(tmp_path: Path) -> None:
    code = """
import time
def wait(done, total):
    print("writing", flush=True)
    time.sleep(600)
jobs.run(Path(sys.argv[1]), progress=wait)
"""
    with child(code, tmp_path / "job") as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        with pytest.raises(errors.JobError, match=f"is held by process {writer.pid} on"):
            run(tmp_path / "job", resume=True)
        writer.kill()
    run(tmp_path / "job", resume=True)


#: Kills itself just before the k-th step that changes the disk, for every k.
EVERY_STEP = """
os.fsync = lambda _: None  # what a killed process has written is there without it, and disks are slow
steps = {name: getattr(os, name) for name in ("fsync", "replace", "unlink", "rmdir", "mkdir", "ftruncate", "open")}

def arm(k):
    left = [k]
    def wrap(step):
        def armed(*args, **options):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*args, **options)
        return armed
    for name, step in steps.items():
        setattr(os, name, wrap(step))

def in_child(action):
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

root, wanted = Path(sys.argv[1]), jobs.files(Path(sys.argv[2]))
jobs.run(root / "first", tile_queries=15)  # imports once what every child then has
k = 0
while True:
    k += 1
    folder = root / str(k)
    def first():
        arm(k)
        jobs.run(folder, tile_queries=15)
    code = in_child(first)
    if code == 0:
        break
    assert code == -signal.SIGKILL, code
    assert in_child(lambda: jobs.run(folder, tile_queries=15, resume=True)) == 0
    assert jobs.files(folder) == wanted, k
print(k)
"""


def test_killed_at_every_step_it_ends_the_same(tmp_path: Path) -> None:
    run(tmp_path / "undisturbed", tile_queries=15)
    (tmp_path / "jobs").mkdir()
    with child(EVERY_STEP, tmp_path / "jobs", tmp_path / "undisturbed") as done:
        output, _ = done.communicate(timeout=240)
    assert done.returncode == 0
    assert int(output) > 30


def killed_at_random(root: Path, undisturbed: Path, n_kills: int) -> None:
    """Kill a job at random moments, `n_kills` times in all; whenever it ends before, begin another."""
    code = "jobs.run(Path(sys.argv[1]), resume=True)"
    wanted = files(undisturbed)
    started = time.perf_counter()
    with child(code, root / "probe") as probe:
        assert probe.wait(timeout=60) == 0
    seconds = time.perf_counter() - started
    moments, kills, job = random.Random(5), 0, 0
    while kills < n_kills:
        with child(code, root / f"{job}") as writer:
            try:
                assert writer.wait(timeout=moments.uniform(0.3, 1.0) * seconds) == 0
            except subprocess.TimeoutExpired:
                writer.kill()
                kills += writer.wait() == -signal.SIGKILL
                continue
        assert files(root / f"{job}") == wanted
        job += 1
    for last in range(job + 1):
        run(root / f"{last}", resume=True)
        assert files(root / f"{last}") == wanted


def test_killed_at_random_moments_it_ends_the_same(tmp_path: Path, undisturbed: Path) -> None:
    killed_at_random(tmp_path, undisturbed, 6)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_a_hundred_times_it_ends_the_same(tmp_path: Path, undisturbed: Path) -> None:
    killed_at_random(tmp_path, undisturbed, 100)
