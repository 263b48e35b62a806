"""The same bits on every instruction set that this processor has, and those bits are the oracle's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import compare
import digests
import digests_operations
import negmine
from compare import How, Problem

ISAS = negmine.build_info()["available_isas"]
BATTERY = dict(digests.battery())
SCRIPT = Path(digests.__file__)


@pytest.mark.parametrize("name", BATTERY)
def test_the_battery_is_what_the_oracle_says(name: str) -> None:
    problem: Problem = BATTERY[name]
    compare.assert_same_pool(compare.actual_pool(problem, How()), compare.expected_pool(problem), problem)


@pytest.fixture(scope="module")
def expected() -> list[str]:
    return [f"{name} {digests.digest(problem, How(threads=2))}" for name, problem in BATTERY.items()]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("isa", ISAS)
def test_every_isa_gives_the_same_bits(isa: str, threads: int, expected: list[str]) -> None:
    done = run(isa, str(threads))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == expected


def test_the_forced_isa_is_the_one_that_runs() -> None:
    for isa in ISAS:
        assert run(isa, code="import negmine; print(negmine.build_info()['isa'])").stdout.strip() == isa


def test_every_isa_gives_the_same_digests_of_all_operations() -> None:
    expected = list(digests_operations.lines())
    for isa in ISAS:
        done = run(isa, isa, script=Path(digests_operations.__file__))
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == expected
    refused = run("scalar", "avx2", script=Path(digests_operations.__file__))
    assert "should be avx2, and is scalar" in refused.stderr


def test_an_isa_that_is_not_there_is_refused_by_name() -> None:
    code = """
import numpy, negmine
try:
    negmine.ExactIndex(numpy.ones((1, 1)))
except negmine.errors.NegmineValueError as error:
    print(error)
"""
    message = run("neon9", code=code).stdout
    assert "NEGMINE_ISA" in message
    assert "neon9" in message
    assert "scalar" in message
    assert message.count("NEGMINE_ISA") == 1, message


def run(isa: str, *arguments: str, code: str | None = None, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    """Run the battery, another script, or some code, in a process of its own."""
    command = [sys.executable, "-c", code] if code else [sys.executable, str(script), *arguments]
    environment = {**os.environ, "NEGMINE_ISA": isa}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
