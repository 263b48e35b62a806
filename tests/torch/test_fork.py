"""Workers started after, or while, their parent searches with threads: they deliver in time, however they start."""

from __future__ import annotations

import sys

import pytest

import loaders
from processes import output_of

SCRIPT = loaders.__file__
METHODS = ("fork", "spawn", "forkserver")


def run_loaders(method: str, persistent: bool, repeats: int, seconds: float, *busy: str) -> str:
    """Run the loaders; nothing outlives the limit."""
    command = [sys.executable, "-W", "ignore", SCRIPT, method, str(persistent), str(repeats), *busy]
    return output_of(command, seconds=seconds).strip()


@pytest.mark.parametrize("method", METHODS)
def test_workers_deliver_after_their_parent_used_threads(method: str) -> None:
    assert run_loaders(method, True, 1, 240) == "1 of 1"


def test_workers_deliver_when_forked_from_within_a_search() -> None:
    assert run_loaders("fork", False, 3, 240, "busy") == "3 of 3"


@pytest.mark.slow
@pytest.mark.timeout(1000)
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_twenty_times(method: str, persistent: bool) -> None:
    assert run_loaders(method, persistent, 20, 900) == "20 of 20"


@pytest.mark.slow
@pytest.mark.timeout(1000)
@pytest.mark.parametrize("method", METHODS)
def test_twenty_times_from_within_a_search(method: str) -> None:
    assert run_loaders(method, True, 20, 900, "busy") == "20 of 20"
