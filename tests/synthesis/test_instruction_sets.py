"""The same bits on every instruction set of this processor and for any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import digests_synthesis
import negmine


@pytest.mark.parametrize("isa", negmine.build_info()["available_isas"])
def test_every_isa_and_number_of_threads_gives_the_same_bits(isa: str) -> None:
    command = [sys.executable, digests_synthesis.__file__]
    environment = {**os.environ, "NEGMINE_ISA": isa}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == list(digests_synthesis.lines((1, 1, 1)))
