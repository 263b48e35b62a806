"""The public workflows: what they run exists. `make workflows` checks their form and what they would allow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_targets_that_exist(path: Path) -> None:
    runs = re.findall(r"^ +(?:- )?run: make (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert runs
    called = {word for line in runs for word in line.split() if re.fullmatch(r"[a-z-]+", word)}
    assert called <= TARGETS, sorted(called - TARGETS)


def test_one_check_needs_every_job() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    jobs = set(re.findall(r"^  ([a-z-]+):$", text.partition("\njobs:\n")[2], re.MULTILINE))
    needed = re.search(r"needs: \[([^\]]+)\]", text)
    assert needed is not None
    assert set(needed[1].split(", ")) == jobs - {"check"}


def test_every_target_is_phony() -> None:
    phony = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    assert set(phony[1].replace("\\", " ").split()) == TARGETS
