"""The table of claims is that of the records, and every record is run by `make claims`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
