"""Words that the documentation of this field does not use are not used here either; what is left may only get less."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Elliptic, archaic or private words, and what to write instead.
INSTEAD = {
    r"told|tells?|telling": "report, say, specify",
    r"nobody|somebody|anybody|everybody|whoever": "name the caller, the process, the user",
    r"whatever": "any, every",
    r"anew": "again",
    r"dearer|dear|cheaper": "a higher price, less expensive",
    r"in little": "as a sparse list",
    r"rising|falling": "ascending, descending",
    r"beside|besides": "in addition to, next to",
    r"what is left|what was left": "the rest, the remaining rows",
    r"as it were|thereof|whereof|hence|thus|lest|ere": "plain words",
    r"behaviou?rs? as the kernels like": "plain words",
}
#: British spellings.
BRITISH = (
    r"behaviour\w*|neighbour\w*|cent(?:re|res|red|ring)|judgement\w*|labell\w*|colour\w*|favour\w*|honour\w*|licence\w*"
    r"|grey|artefact\w*|analys(?:e|es|ed|ing)|catalogue\w*|cancell(?:ed|ing)|travell\w*|modell\w*|fulfil"
    r"|\w*(?:quanti|normali|initiali|optimi|recogni|summari|organi|seriali|minimi|maximi|paralleli|vectori|generali|speciali"
    r"|standardi|synchroni|characteri|tokeni|utili|reali|finali|randomi|categori|materiali|penali|prioriti|regulari)s"
    r"(?:e|es|ed|ing|er|ation|ations)\b"
)
PATTERN = re.compile(rf"\b(?:{'|'.join(INSTEAD)}|{BRITISH})\b", re.IGNORECASE)

#: Files in which such words may still stand, with how many; the numbers may only fall.
ALLOWED: dict[str, int] = {
    "rust/negmine-core/src/base/xxh64.rs": 1,  # a text whose hash is known
}

#: Texts that are held to it.
SOURCES = ("python/negmine", "rust", "docs", "examples", "scripts", "README.md", "CONTRIBUTING.md", "CHANGELOG.md")


def found(path: Path) -> Counter[str]:
    """Count the words of the list in a file."""
    return Counter(match[0].lower() for match in PATTERN.finditer(path.read_text(encoding="utf-8")))


def texts() -> list[str]:
    """List the tracked texts."""
    listed = subprocess.run(["git", "ls-files", *SOURCES], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [
        name for name in listed.stdout.splitlines() if (ROOT / name).suffix in (".py", ".pyi", ".rs", ".md", ".toml")
    ]
    return [name for name in names if "data/" not in name]


@pytest.mark.parametrize("name", texts())
def test_words(name: str) -> None:
    words = found(ROOT / name)
    assert sum(words.values()) <= ALLOWED.get(name, 0), dict(words)


def test_allowances_are_no_larger_than_they_must_be() -> None:
    assert {name: n for name, n in ALLOWED.items() if sum(found(ROOT / name).values()) < n} == {}
