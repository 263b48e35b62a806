"""Any order of interrupted runs, damaged parts, changed inputs and merges ends with the bytes of one run."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

import jobs
from damage import malformed
from jobs import N_QUERIES, TILE, files
from negmine.errors import JobError, NegmineWarning
from negmine.job import JobResult, merge

pytest.importorskip("pyarrow")

# A machine is one test, and has some four hundred runs of a job in the slow profile.
pytestmark = pytest.mark.timeout(1800)

N_SHARDS = 2

#: Inputs and options that change what is mined.
CHANGES: list[dict[str, Any]] = [{"epoch": 1}, {"groups": None}, {"exclude": None}, {"query_ids": None}]


@pytest.fixture(scope="module", autouse=True)
def _expected(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("undisturbed") / "job"
    jobs.run(folder)
    Jobs.expected = files(folder)


class Jobs(RuleBasedStateMachine):
    """A whole job, and the same job in shards."""

    expected: dict[str, bytes]

    @initialize()
    def begin(self) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.root = Path(self.scratch.name)
        self.n_merged = 0

    def folder(self, shard: int | None) -> Path:
        return self.root / ("job" if shard is None else f"shard{shard}")

    def run(self, shard: int | None, **changes: Any) -> JobResult:
        with warnings.catch_warnings():
            # Damaged parts are mined again, with a warning.
            warnings.simplefilter("ignore", NegmineWarning)
            own = {} if shard is None else {"shard": (shard, N_SHARDS)}
            return jobs.run(self.folder(shard), **own, **changes)

    def is_begun(self, shard: int | None) -> bool:
        return (self.folder(shard) / "manifest.json").exists()

    def is_finished(self, shard: int | None) -> bool:
        return (self.folder(shard) / "report.json").exists()

    @rule(shard=st.sampled_from([None, 0, 1]), tiles=st.integers(0, N_QUERIES // TILE))
    def interrupt(self, shard: int | None, tiles: int) -> None:
        was_finished = self.is_finished(shard)
        try:
            result = self.run(shard, resume=True, progress=stop_after(tiles))
        except KeyboardInterrupt:
            # A finished job reports its progress as well, and stays finished.
            assert self.is_finished(shard) or not was_finished
        else:
            assert result.was_finished == was_finished

    @rule(shard=st.sampled_from([None, 0, 1]))
    def resume(self, shard: int | None) -> None:
        was_finished = self.is_finished(shard)
        assert self.run(shard, resume=True).was_finished == was_finished
        assert shard is not None or files(self.folder(None)) == self.expected

    @precondition(lambda self: self.is_begun(None))
    @rule()
    def forget_to_resume(self) -> None:
        if self.is_finished(None):
            assert self.run(None).was_finished
        else:
            with pytest.raises(JobError, match="`resume` must be True"):
                self.run(None)

    @precondition(lambda self: self.is_begun(None))
    @rule(change=st.sampled_from(CHANGES), resume=st.booleans())
    def change_an_input(self, change: dict[str, Any], resume: bool) -> None:
        before = files(self.folder(None))
        with pytest.raises(JobError):
            self.run(None, resume=resume, **change)
        assert files(self.folder(None)) == before

    @rule(data=st.data(), shard=st.sampled_from([None, 0, 1]))
    def damage_a_part(self, data: st.DataObject, shard: int | None) -> None:
        parts = sorted(self.folder(shard).glob("parts/*.part"))
        if parts:
            part = data.draw(st.sampled_from(parts))
            part.write_bytes(data.draw(malformed(part.read_bytes())))

    @rule()
    def merge(self) -> None:
        self.n_merged += 1
        out, shards = self.root / f"merged{self.n_merged}", [self.folder(shard) for shard in range(N_SHARDS)]
        if all(map(self.is_finished, range(N_SHARDS))):
            merge(shards, out)
            assert files(out) == self.expected
        else:
            with pytest.raises(JobError):
                merge(shards, out)
            assert not out.exists()

    def teardown(self) -> None:
        for shard in (None, *range(N_SHARDS)):
            self.resume(shard)
        self.merge()
        self.scratch.cleanup()


def stop_after(n_tiles: int) -> Callable[[int, int], None]:
    def stop(done: int, total: int) -> None:
        if done >= n_tiles * TILE:
            raise KeyboardInterrupt

    return stop


TestJobs = Jobs.TestCase
TestJobs.settings = settings(max_examples=max(settings().max_examples // 30, 2), stateful_step_count=6)
