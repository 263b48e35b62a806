"""Recipes run as they stand, stay short, name their paper and their differences, and do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from printed import Numbers, numbers_of, output_of

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "examples" / "recipes").glob("*.py"))

#: Modules that the recipes share.
SHARED = {"common", "query_map"}

#: A line about negatives: how many, their mean score, and the share that are hidden answers.
NEGATIVES = r"(\d+) negatives, mean score ([\d.]+), false negatives ([\d.]+)"


def softens(*order: int) -> Callable[[Numbers], bool]:
    """Say that lines have fewer false negatives and lower scores in this order."""
    return lambda lines: all(lines[a][2] > lines[b][2] and lines[a][1] > lines[b][1] for a, b in pairwise(order))


#: What each must print: a pattern, and what holds of the numbers that it finds, line by line.
SAYS: dict[str, list[tuple[str, Callable[[Numbers], bool]]]] = {
    # Searches in every step lower the loss, and the lists follow the model.
    "adore": [
        (
            r"loss ([\d.]+), changed ([\d.]+)",
            lambda lines: lines[-1][0] < 0.8 * lines[0][0] and all(0 < changed < 0.5 for _, changed in lines[1:]),
        ),
        (r"nDCG ([\d.]+)", lambda lines: lines[-1] > lines[0]),
    ],
    # A fifth of the queries has new negatives after each round, whose mean age settles at three rounds of 8 steps; the
    # candidates of the last model are harder for it than those that were mined at first.
    "ance": [
        (
            r"([\d.]+) new, turned ([\d.]+), mined ([\d.]+) steps ago",
            lambda lines: (
                lines[0] == [0, 0, 8]
                and all(new > 0 and turned > 0 for new, turned, _ in lines[1:])
                and [age for *_, age in lines[4:]] == [24] * 6
            ),
        ),
        (r"mined again ([\d.]+), of the first round ([\d.]+)", lambda lines: lines[0][0] > lines[0][1]),
    ],
    # The retriever approaches the ranker, and finds fewer documents that the ranker prefers to the positive.
    "ar2": [
        (
            r"loss ([\d.]+), above the positive ([\d.]+), nDCG ([\d.]+)",
            lambda lines: (
                lines[-1][0] < 0.8 * lines[0][0] and lines[-1][1] < lines[0][1] and lines[-1][2] > lines[0][2]
            ),
        ),
    ],
    # Answers that the pool missed are trusted less as negatives.
    "cet": [
        (r"(\d+) answers labeled, (\d+) hidden", lambda lines: lines[0][0] > lines[0][1] > 100),
        (r"true negatives ([\d.]+), of false ones ([\d.]+)", lambda lines: lines[0][0] > lines[0][1] > 2),
        (r"([\d.]+) by number, ([\d.]+) by weight", lambda lines: lines[0][0] > lines[0][1] > 0),
    ],
    # Wrong answers are found by their losses; what training gains from that is too little to be seen here.
    "dbpm": [
        (
            r"(\d+) pairs, planted ([\d.]+), of all planted ([\d.]+)",
            lambda lines: len(lines) == 3 and all(p > 0.7 and r > 0.35 for _, p, r in lines),
        ),
        (r"nDCG ([\d.]+)", lambda lines: len(lines) == 3),
    ],
    # Learned weights are better than none and nearly as good as the true ones; chances fall as the true ones do.
    "dla": [
        (r"nDCG ([\d.]+)", lambda lines: lines[0] < lines[1] < lines[2] and lines[2][0] - lines[1][0] < 0.01),
        (
            r"([\d.]+) learned ([\d.]+)",
            lambda lines: len(lines) == 10 and all(true <= found < true + 0.12 for true, found in lines),
        ),
    ],
    # Every cluster has a document, and the documents are further apart.
    "duqgen": [
        (
            r"(\d+) documents, (\d+) of (\d+) clusters, nearest other ([\d.]+)",
            lambda lines: (
                lines[0][0] == lines[1][0] and lines[0][2] == lines[0][1] > lines[1][1] and lines[0][3] < lines[1][3]
            ),
        ),
    ],
    # With dates, no negative is from after the query, and the best negatives are a little less hard.
    "ecthr": [
        (
            r"mean score ([\d.]+), from after the query ([\d.]+)",
            lambda lines: (
                all(later > 0.1 for _, later in lines[:3])
                and all(later == 0 for _, later in lines[3:])
                and lines[0][0] > lines[3][0] > lines[4][0] > lines[5][0]
            ),
        ),
    ],
    # Judged answers are not mined again, and the fine labels do more after the coarse ones.
    "event_driven": [
        (r"the judgments: ([\d.]+)", lambda lines: lines[0][0] > 0.03 and lines[1][0] < 0.01),
        (r"fine ones ([\d.]+), after both ([\d.]+)", lambda lines: lines[0][0] < lines[0][1]),
    ],
    # With enough rollouts, the pit is the step that went wrong.
    "first_pit": [
        (r"pits at the mistake ([\d.]+)", lambda lines: lines[0][0] < lines[1][0] == 1),
        (r"rejected responses ([\d.]+)", lambda lines: 0.4 < lines[0][0] < 0.8),
    ],
    # The larger model removes more false negatives than the student's own margin, and keeps harder negatives.
    "gistembed_offline": [
        (NEGATIVES, softens(0, 1, 2)),
        (NEGATIVES, lambda lines: lines[1][2] < lines[3][2] and lines[1][1] > lines[3][1]),
    ],
    "gistembed_in_batch": [
        (r"loss ([\d.]+)", lambda lines: lines[-1] < lines[0]),
        (r"hidden answers ([\d.]+)", lambda lines: lines[0][0] > 10 * lines[1][0]),
    ],
    # Entities near the one that stays are harder, and more of these triples are true.
    "lemon": [
        (
            r"cosine ([\d.]+), true ([\d.]+), heads ([\d.]+)",
            lambda lines: (
                len(lines) == 5
                and all(line[0] > 1.3 * lines[0][0] and line[1] > 2 * lines[0][1] for line in lines[3:])
                and all(0.4 < line[2] < 0.6 for line in lines)
            ),
        ),
    ],
    # More feedback costs more than less in fewer cases, or by less.
    "lol": [
        (
            r"loss ([\d.]+) ([\d.]+) .* excess ([\d.]+)",
            lambda lines: all(first > second for first, second, _ in lines) and lines[1][2] < 0.95 * lines[0][2],
        ),
    ],
    # The best are at both ends, and the budget holds.
    "long_context": [
        (
            r"per position ([\d.]+) [\d. ]+ ([\d.]+) ([\d.]+) [\d. ]+ ([\d.]+)\n",
            lambda lines: all(min(a, d) > max(b, c) for a, b, c, d in lines),
        ),
        (r"longest context (\d+) words, with a budget (\d+)", lambda lines: all(a > 80 >= b for a, b in lines)),
    ],
    "mm_embed": [
        (r"images, ([\d.]+)", lambda lines: lines[0][0] < 0.5),
        (r"wrong modality: ([\d.]+)", lambda lines: lines[0][0] > 0.5),
        (r"negatives, wrong modality ([\d.]+)", lambda lines: all(0.4 < share < 0.6 for (share,) in lines)),
    ],
    # Rows of a cluster are harder on each other than random rows are; at first every row is a cluster.
    "ngame": [
        (
            r"clusters of +(\d+), hardest ([\d.]+), in random batches ([\d.]+)",
            lambda lines: (
                [line[0] for line in lines[:5]] == [1, 2, 4, 8, 16]
                and lines[0][1] == lines[0][2]
                and all(a > b for _, a, b in lines[1:])
            ),
        ),
    ],
    # The form of the method ranks hidden likes a little better, and finds more flips among them.
    "nbpo": [
        (
            r"right ([\d.]+), flips ([\d.]+) ([\d.]+)",
            lambda lines: lines[1][0] > lines[0][0] and lines[1][1] > 1.2 * lines[1][2],
        ),
    ],
    # At about the hardness of a shifted window, a margin is not the safer rule on this data; a cap is the least safe.
    "nv_retriever": [
        (NEGATIVES, lambda lines: all(lines[0][2] > line[2] and lines[0][1] > line[1] for line in lines[1:])),
        (NEGATIVES, softens(2, 4, 3)),
    ],
    # Wrong labels look difficult, so they get the weight, and the training is worse for it.
    "peg_like": [
        (
            r"correct ([\d.]+), wrong ([\d.]+), nDCG ([\d.]+)",
            lambda lines: (
                lines[0][:2] == [1, 1] and all(line[1] > 2 * line[0] and line[2] < lines[0][2] for line in lines[1:])
            ),
        ),
    ],
    # Rows are divided exactly, and the good source alone is better than every mixture with wrong answers.
    "quality_not_quantity": [
        (r"\[(\d+), (\d+), (\d+)\] of 64", lambda lines: lines == [[n] * 3 for n in (64, 48, 32, 16, 0)]),
        (r"of 64, nDCG ([\d.]+)", lambda lines: lines[0] > lines[2] > lines[4]),
    ],
    # The neighborhood of an answer has twice as many hidden answers as other mined negatives.
    "realera": [
        (
            r"hidden answers ([\d.]+)",
            lambda lines: len(lines) == 5 and all(line[0] > 1.5 * lines[0][0] for line in lines[1:]),
        ),
        (r"([\d.]+) neighbors\n", lambda lines: lines[0] < lines[1] < lines[2] and lines[3] == [5]),
    ],
    # The best of all come from few prompts, and the policy is worse for it.
    "raft": [
        (
            r"([\d.]+) of the prompts, evenness ([\d.]+), distance ([\d.]+)",
            lambda lines: (
                lines[0][0] < lines[2][0] < lines[1][0] == 1
                and lines[0][1] < lines[2][1] < lines[1][1] == 1
                and lines[0][2] > lines[2][2] > lines[1][2]
            ),
        ),
    ],
    # Propensities improve the order, and the estimate, which clicks alone keep too low.
    "rel_mf": [
        (r"relevance ([\d.]+), clicks ([\d.]+)", lambda lines: lines[0][0] > 2 * lines[0][1]),
        (
            r"right ([\d.]+), mean estimate ([\d.]+)",
            lambda lines: all(line[0] > lines[0][0] + 0.01 and line[1] > lines[0][1] for line in lines[1:]),
        ),
    ],
    "rocketqa": [
        (NEGATIVES, lambda lines: 10 * lines[1][2] < lines[0][2] and lines[1][0] == lines[0][0]),
        (
            r"(\d+) queries, ([\d.]+) correct; of the retriever's first, ([\d.]+)",
            lambda lines: lines[0][1] > lines[0][2],
        ),
    ],
    # Ambiguous negatives lie between the top and a uniform draw, and are nearest to the positive.
    "simans": [
        (NEGATIVES, softens(0, 1, 2)),
        (r"top ([\d.]+), ambiguous ([\d.]+), uniform ([\d.]+)", lambda lines: lines[0][1] < min(lines[0][::2])),
        (r"next epoch: ([\d.]+)", lambda lines: lines[0][0] < 0.6),
    ],
    # Siblings and neighbors are harder than uniform labels, and more of them are hidden answers.
    "skill_mixture": [
        (
            r"share ([\d.]+), mean score ([\d.]+), false negatives ([\d.]+)",
            lambda lines: (
                len(lines) == 4
                and all(line[1] > lines[3][1] and line[2] > lines[3][2] for line in lines[:3])
                and abs(sum(line[0] for line in lines) - 1) < 0.01
            ),
        ),
    ],
    # Every kind finds most documents of the topic, which are missed without it.
    "smote": [
        (
            r"(\d+) rows made, recall ([\d.]+), precision [\d.]+, F1 ([\d.]+)",
            lambda lines: (
                len(lines) == 7
                and lines[0][0] == 0
                and all(n == 34 and r > 2 * lines[0][1] and f > lines[0][2] for n, r, f in lines[1:])
            ),
        ),
    ],
    # The second stage improves on the first; how many negatives it has decides too little to be seen with one seed.
    "spn4cir": [(r"nDCG ([\d.]+)", lambda lines: len(lines) == 4 and all(line > lines[0] for line in lines[1:]))],
    # The mined negatives are the harder ones.
    "star": [
        (r"loss ([\d.]+)", lambda lines: lines[0] > lines[2] > lines[1]),
        (r"nDCG ([\d.]+)", lambda lines: lines[3] > lines[0]),
    ],
    # Four epochs use every fourth rank once; the fifth repeats the first.
    "t2ranking": [
        (
            r"ranks (\d+) (\d+) (\d+) \.\.\., mean score ([\d.]+), share of the first epoch ([\d.]+)",
            lambda lines: (
                [line[:3] for line in lines] == [[first % 4 + 4 * i for i in range(3)] for first in range(5)]
                and [line[4] for line in lines] == [1, 0, 0, 0, 1]
            ),
        ),
    ],
    "tas_balanced": [
        (r"batches: mean score ([\d.]+)", lambda lines: lines[0] > lines[1]),
        (
            r"pairs ([\d.]+), of the others ([\d.]+)",
            lambda lines: lines[0][0] > lines[-1][0] and lines[0][1] > lines[-1][1],
        ),
    ],
}


def named(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


@named([path for path in RECIPES if path.stem not in SHARED])
def test_a_recipe_does_what_it_says(path: Path) -> None:
    printed = output_of(path)
    for pattern, holds in SAYS[path.stem]:
        numbers = numbers_of(pattern, printed)
        assert numbers, f"{pattern} is not in:\n{printed}"
        assert holds(numbers), printed


@named(RECIPES)
def test_a_recipe_has_at_most_60_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


@named([path for path in RECIPES if path.stem not in SHARED])
def test_a_recipe_names_its_paper_its_options_and_what_differs(path: Path) -> None:
    docstring = path.read_text(encoding="utf-8").split('"""')[1]
    fields = [line.partition(":")[0] for line in docstring.splitlines() if re.match(r"[A-Z][a-z]+: ", line)]
    assert fields == ["Paper", "Options", "Differs", "Prints"]


def test_the_table_of_recipes_is_current() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "recipes.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0, "run `python scripts/recipes.py`"
