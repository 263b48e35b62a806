"""The table of claims is that of the records, and every record is run by `make claims`."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLAIMS = ROOT / "benches" / "claims"


def test_the_table_of_claims_is_that_of_the_records() -> None:
    command = [sys.executable, str(CLAIMS / "claim.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0, "run `python benches/claims/claim.py --write`"


def test_every_claim_has_a_record_and_is_run_by_make() -> None:
    scripts = {path.stem for path in CLAIMS.glob("*.py") if '    run("' in path.read_text(encoding="utf-8")}
    found = re.search(r"^CLAIMS = ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    assert scripts == set(found[1].replace("\\", "").split())
    assert scripts == {path.stem for path in (CLAIMS / "results").glob("*.json")}


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('"""Words."""\n\n\ndef double(number):\n    """Return\n    twice."""\n    return 2 * number  # a sum\n', True),
        ("# Words.\n\ndef double(number):\n    return 2 * number\n", True),
        ('def double(number): "Words."\n', False),
        ("def double(number):\n    return 3 * number\n", False),
        ('def double(number):\n    """Words."""\n    return "# a sum"\n', False),
    ],
)
def test_only_code_makes_a_verdict_stale(text: str, same: bool, tmp_path: Path) -> None:
    found = importlib.util.spec_from_file_location("claim", CLAIMS / "claim.py")
    assert found is not None
    assert found.loader is not None
    claim = importlib.util.module_from_spec(found)
    found.loader.exec_module(claim)
    (tmp_path / "code.py").write_text(text, encoding="utf-8")
    assert (claim.code_of(tmp_path / "code.py") == b"def double(number):\n    return 2 * number") is same
