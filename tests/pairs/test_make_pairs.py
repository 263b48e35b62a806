"""`make_pairs` against a loop over all pairs, edges, and rows of texts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine import score_pairs
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.pairs import Pairs, make_pairs

CHOSEN = ("best", "all")
REJECTED = ("worst", "below", "nearest", "all")


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    n = draw(st.integers(0, 12))
    numbers = st.sampled_from([-1.0, 0.0, 0.25, 0.3, 1.0])
    return {
        "scores": np.array(draw(st.lists(numbers, min_size=n, max_size=n)), dtype=np.float64),
        "groups": np.array(draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n)), dtype=np.int64),
        "embeddings": np.array(
            draw(st.lists(st.lists(st.integers(-2, 2), min_size=2, max_size=2), min_size=n, max_size=n)),
            dtype=np.float32,
        ).reshape(n, 2),
        "min_margin": draw(st.sampled_from([0.0, 0.05, 0.25, 1.5])),
    }


def slow(
    scores: Any, groups: Any, embeddings: Any, min_margin: float, chosen: str, rejected: str
) -> tuple[list[tuple[int, int, int]], int]:
    """One chosen response after the other, against every other response of its group."""
    made, unpaired = [], 0
    for group in sorted({int(label) for label in groups if label >= 0}):
        rows = [row for row in range(len(scores)) if groups[row] == group]
        before = len(made)
        best = max(rows, key=lambda row: (scores[row], -row))
        for c in rows if chosen == "all" else [best]:
            others = [r for r in rows if scores[c] > scores[r] and scores[c] - scores[r] >= min_margin]
            if not others:
                continue
            cosines = {r: float(score_pairs(embeddings[[c]], embeddings[[r]], [[0, 0]])[0]) for r in others}
            picked = {
                "worst": [min(rows, key=lambda row: (scores[row], row))],
                "below": [max(others, key=lambda row: (scores[row], -row))],
                "nearest": [max(others, key=lambda row: (cosines[row], -row))],
                "all": others,
            }[rejected]
            made += [(group, c, r) for r in picked]
        unpaired += len(made) == before
    return sorted(made), unpaired


def triples(pairs: Pairs) -> list[tuple[int, int, int]]:
    return list(zip(pairs.groups.tolist(), pairs.chosen.tolist(), pairs.rejected.tolist(), strict=True))


@pytest.mark.parametrize("chosen", CHOSEN)
@pytest.mark.parametrize("rejected", REJECTED)
@given(problem=problems())
def test_pairs_are_those_of_the_loop(problem: dict[str, Any], chosen: Any, rejected: Any) -> None:
    expected, unpaired = slow(**problem, chosen=chosen, rejected=rejected)
    weights = np.arange(len(problem["scores"])) / 4
    given_ = problem if rejected == "nearest" else {**problem, "embeddings": None}
    pairs = make_pairs(**given_, chosen=chosen, rejected=rejected, weights=weights)
    assert triples(pairs) == expected
    assert len(pairs) == len(expected)
    assert pairs.num_unpaired == unpaired
    assert (pairs.margins == problem["scores"][pairs.chosen] - problem["scores"][pairs.rejected]).all()
    assert pairs.weights is not None
    assert (pairs.weights == weights[pairs.chosen] * weights[pairs.rejected]).all()


def test_groups_of_one_and_groups_of_equal_scores_have_no_pair() -> None:
    pairs = make_pairs([1.0, 2.0, 2.0, 3.0, 1.0], [0, 1, 1, 2, 2])
    assert triples(pairs) == [(2, 3, 4)]
    assert pairs.num_unpaired == 2
    assert make_pairs([], []).num_unpaired == 0
    assert len(make_pairs([1.0, 2.0], [-1, -1])) == 0


def test_the_difference_may_equal_the_margin() -> None:
    assert len(make_pairs([1.0, 0.5], [0, 0], min_margin=0.5)) == 1
    assert len(make_pairs([1.0, 0.5], [0, 0], min_margin=math.nextafter(0.5, 1))) == 0


def test_right_responses_get_the_wrong_one_that_is_most_like_them() -> None:
    embeddings = np.array([[1, 0], [0, 1], [1, 0.1], [0.1, 1]], dtype=np.float32)
    pairs = make_pairs([1, 1, 0, 0], [0, 0, 0, 0], chosen="all", rejected="nearest", embeddings=embeddings)
    assert triples(pairs) == [(0, 0, 2), (0, 1, 3)]


def test_rows_of_texts() -> None:
    pytest.importorskip("datasets")
    pairs = make_pairs([0.1, 0.9, 0.2, 0.5], [1, 1, 0, 0], weights=[1.0, 2.0, 3.0, 0.5])
    rows = pairs.to_dataset(["first", "second"], ["a", "b", "c", "d"])
    assert rows.to_list() == [
        {"prompt": "first", "chosen": "d", "rejected": "c", "margin": 0.5 - 0.2, "weight": 1.5},
        {"prompt": "second", "chosen": "b", "rejected": "a", "margin": 0.9 - 0.1, "weight": 2.0},
    ]
    chats = make_pairs([1.0, 0.0], [0, 0]).to_dataset(
        [[{"role": "user", "content": "Hello"}]], [[{"role": "assistant", "content": text}] for text in ("Hi", "No")]
    )
    assert chats[0]["rejected"] == [{"role": "assistant", "content": "No"}]
    assert chats.column_names == ["prompt", "chosen", "rejected", "margin"]
    for prompts, responses, message in (
        (["first"], ["a", "b", "c", "d"], r"`prompts` must have at least 2 entries; got 1"),
        (["first", "second"], ["a", "b", "c"], r"`responses` must have at least 4 entries; got 3"),
    ):
        with pytest.raises(NegmineValueError, match=message):
            pairs.to_dataset(prompts, responses)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"scores": [1.0, math.nan]}, NegmineValueError, r"`scores` must be finite; got nan at row 1"),
        ({"scores": [math.inf, 0.0]}, NegmineValueError, r"`scores` must be finite; got inf at row 0"),
        ({"groups": [0, -2]}, NegmineValueError, r"`groups` must be at least -1; got -2 at row 1"),
        ({"groups": [0]}, NegmineValueError, r"`groups` must have"),
        ({"groups": [0.5, 1.0]}, NegmineTypeError, r"`groups`"),
        ({"min_margin": -0.1}, NegmineValueError, r"`min_margin` must be at least 0"),
        ({"min_margin": math.nan}, NegmineValueError, r"`min_margin`"),
        ({"chosen": "worst"}, NegmineValueError, r"`chosen` must be"),
        ({"rejected": "best"}, NegmineValueError, r"`rejected` must be"),
        ({"rejected": "nearest"}, NegmineTypeError, r"`embeddings` must be given"),
        ({"embeddings": [[1.0], [2.0]]}, NegmineValueError, r"`embeddings` must be None"),
        (
            {"rejected": "nearest", "embeddings": np.ones((3, 2), np.float32)},
            NegmineValueError,
            r"`embeddings` must have 2 rows, one per score; got 3",
        ),
        ({"weights": [1.0, -1.0]}, NegmineValueError, r"`weights` must be finite and at least 0; got -1.0 at row 1"),
        ({"weights": [math.inf, 1.0]}, NegmineValueError, r"`weights` must be finite"),
        ({"weight": [1.0, 1.0]}, NegmineTypeError, r"weights"),
    ],
)
def test_bad_input(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make_pairs(**({"scores": [1.0, 0.0], "groups": [0, 0]} | arguments))


def test_scores_of_responses_that_are_left_out_are_not_read() -> None:
    assert triples(make_pairs([math.nan, 1.0, 0.0], [-1, 0, 0])) == [(0, 1, 2)]
