"""Examples run as they stand, and do what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from printed import Numbers, numbers_of, output_of

pytest.importorskip("torch")

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))

#: Need data that does not come with the project; tests of their own run them on made-up data.
OTHERS = {"bpr_ml100k", "ctr_ml100k", "finetune"}


#: What each must print: a pattern, and what holds of the numbers that it finds, line by line.
SAYS: dict[str, tuple[str, Callable[[Numbers], bool]]] = {
    # Words alone find easier negatives than meaning does, and fusion lies between the two.
    "bm25_hybrid": (
        r"cosine ([\d.]+), false negatives ([\d.]+)",
        lambda lines: lines[0][0] < lines[2][0] < lines[1][0] and all(0 < b < 0.5 for _, b in lines),
    ),
    "class_balanced": (r"(\d+) classes in a batch of (\d+)", lambda lines: all(2 * a == b for a, b in lines)),
    # Rows of a cluster are harder on each other than random rows are; at first every row is a cluster.
    "ngame_clusters": (r"scores ([\d.]+), of a random batch ([\d.]+)", lambda lines: all(a > b for a, b in lines[1:])),
    "no_duplicates": (
        r"batch: ([\d.]+)\nin a planned batch: ([\d.]+)",
        lambda lines: lines[0][0] > 1 > lines[0][1] == 0,
    ),
    "refresh_negatives": (r"generation \{(\d+)\}, loss ([\d.]+)", lambda lines: lines[-1][1] < lines[0][1]),
    "resume": (r"uninterrupted epoch: True", lambda lines: len(lines) == 1),
    # At no larger a share of false negatives, the teacher leaves harder ones than a cap does.
    "teacher": (
        r"cosine ([\d.]+), false negatives ([\d.]+)",
        lambda lines: lines[2][0] > lines[1][0] and lines[0][1] > lines[2][1],
    ),
    "tas_balanced": (r"margins ([\d.]+)", lambda lines: lines[-1][0] < lines[0][0]),
}


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.stem not in OTHERS], ids=lambda path: path.stem)
def test_an_example_does_what_it_says(path: Path) -> None:
    pattern, holds = SAYS[path.stem]
    printed = output_of(path)
    assert holds(numbers_of(pattern, printed)), printed
