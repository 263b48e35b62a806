"""`pack_context` against a plain oracle, golden orders, and edges."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle_selection as oracle
from negmine.context import pack_context
from negmine.errors import NegmineValueError
from negmine.selection import select
from oracle_draws import Place


def packed(gold: Any, distractors: Any, k: int, **options: Any) -> list[int]:
    return pack_context(gold, distractors, k, **options).indices.tolist()


def test_golden_orders() -> None:
    # Long-context RAG puts ranks 1 to 5 and 1 to 6 like this.
    assert packed([], [1, 2, 3, 4, 5], 5) == [1, 3, 5, 4, 2]
    assert packed([], [1, 2, 3, 4, 5, 6], 6) == [1, 3, 5, 6, 4, 2]
    assert packed(9, [1, 2, 3], 4, order="rank", gold_position=2) == [1, 2, 9, 3]
    assert packed(9, [1, 2, 3], 4, gold_position=0) == [9, 2, 3, 1]
    assert packed([8, 9], [1, 2, 3], 4, order="rank", gold_position=1) == [1, 8, 9, 2]
    for k in range(4):
        assert packed([], list(range(k)), 4) == ([0, 2, 1] if k == 3 else list(range(k)))


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    n_gold, n_others, k = draw(st.integers(0, 3)), draw(st.integers(0, 9)), draw(st.integers(3, 10))
    documents = draw(st.permutations(range(14)))
    order = draw(st.sampled_from(["ends", "rank", "random"]))
    used = min(n_others, k - n_gold)
    position = draw(st.one_of(st.none(), st.integers(0, used))) if n_gold and order != "random" else None
    others = documents[n_gold : n_gold + n_others]
    others.insert(draw(st.integers(0, n_others)), -1)
    return {
        "gold": documents[:n_gold],
        "distractors": others,
        "k": k,
        "order": order,
        "gold_position": position,
        "budget": draw(st.one_of(st.none(), st.integers(9, 40))),
        "seed": draw(st.integers(0, 2**64 - 1)),
        "epoch": draw(st.integers(0, 3)),
        "query": draw(st.integers(0, 2**64 - 1)),
    }


@given(problems(), st.lists(st.integers(0, 9), min_size=14, max_size=14))
def test_a_context_is_as_defined(problem: dict[str, Any], lengths: list[int]) -> None:
    given_ = None if problem["budget"] is None else lengths
    fixed = sum(lengths[document] for document in problem["gold"])
    if problem["budget"] is not None and fixed > problem["budget"]:
        with pytest.raises(NegmineValueError, match=f"`budget` must be at least .*{fixed}"):
            pack_context(**problem, lengths=given_)
        return
    got = pack_context(**problem, lengths=given_)
    place = Place(problem["seed"], problem["epoch"], problem["query"], 0)
    arguments = {name: value for name, value in problem.items() if name not in ("seed", "epoch", "query")}
    assert got.indices.tolist() == oracle.pack(**arguments, lengths=lengths, place=place)
    assert got.is_gold.tolist() == [document in problem["gold"] for document in got.indices]
    assert set(problem["gold"]) <= set(got.indices.tolist())
    if problem["budget"] is not None:
        assert sum(lengths[document] for document in got.indices) <= problem["budget"]


def test_the_middle_ranks_go_first_when_the_budget_is_short() -> None:
    left = [packed([], [0, 1, 2, 3, 4, 5], 6, order="rank", budget=budget, lengths=[1] * 6) for budget in range(7)]
    assert left == [[], [0], [0, 5], [0, 1, 5], [0, 1, 4, 5], [0, 1, 2, 4, 5], [0, 1, 2, 3, 4, 5]]
    # Gold in the middle stays; a document without length goes as well when it comes first.
    kept = packed(2, [0, 1, 3, 4], 5, order="rank", gold_position=2, budget=3, lengths=[1, 1, 1, 0, 1])
    assert kept == [0, 2, 4]


@pytest.mark.parametrize("n_gold", [1, 2])
def test_every_gold_document_gets_a_uniform_rank(n_gold: int) -> None:
    gold = [90, 91][:n_gold]
    seen = [Counter[int]() for _ in gold]
    for query in range(4000):
        context = packed(gold, [1, 2, 3, 4], n_gold + 4, order="rank", query=query)
        for count, document in zip(seen, gold, strict=True):
            count[context.index(document)] += 1
    ranks = n_gold + 4
    for count in seen:
        expected = 4000 / ranks
        assert sum((count[rank] - expected) ** 2 / expected for rank in range(ranks)) < 20  # chi-squared, .999


def test_a_random_order_is_uniform() -> None:
    orders = Counter(tuple(packed(3, [1, 2], 3, order="random", epoch=epoch)) for epoch in range(6000))
    assert len(orders) == 6
    assert sum((seen - 1000) ** 2 / 1000 for seen in orders.values()) < 20


def test_draws_depend_on_seed_epoch_and_query_alone() -> None:
    options: dict[str, Any] = {"gold": 50, "distractors": range(40), "k": 41, "order": "random"}
    contexts = [pack_context(**options, **{name: 1}) for name in ("seed", "epoch", "query")]
    contexts += [pack_context(**options)]
    assert len({tuple(context.indices.tolist()) for context in contexts}) == 4
    np.testing.assert_array_equal(pack_context(**options).indices, contexts[-1].indices)


def test_distractors_of_types_come_in_exact_numbers() -> None:
    types = np.repeat([0, 1, 2], 20)
    distractors = select(7, scores=np.linspace(1, 0, 60), groups=types, target=[3, 2, 2]).indices
    context = pack_context(99, distractors, 8)
    assert Counter(types[context.indices[~context.is_gold]].tolist()) == {0: 3, 1: 2, 2: 2}
    assert context.is_gold.sum() == 1


def test_rows_of_mined_negatives_may_be_padded() -> None:
    assert packed(7, [3, 5, -1, -1], 9, order="rank", gold_position=0) == [7, 3, 5]
    assert repr(pack_context(7, [3], 2)) == "Packed(indices=int64[2], is_gold=bool[2])"
