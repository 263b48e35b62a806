"""Corrupted triples: rules, laws, probabilities, purity and bad input."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.sampling import Popularity, TripleCorruptor, corrupt, pseudo_typed
from oracle_corruption import (
    Triple,
    allowed_entities,
    corrupted_uniformly,
    expected_counts,
    head_share,
    law_of_draws,
    side_weights,
)

N = 7
WEIGHTS = [0.0, 1.0, 2.0, 3.0, 4.0, 1e-9, 10.0]
LISTS = [[1, 2, 3], [], [5], [0, 1, 2, 3, 4, 5, 6], [4], [0, 6], [2]]
MANY = 10_000

TRIPLES = st.lists(st.tuples(st.integers(0, N - 1), st.integers(0, 2), st.integers(0, N - 1)), min_size=1, max_size=30)
SIDES = st.sampled_from(["both", "head", "tail", "bernoulli"])
SOURCES = st.sampled_from(
    [
        ("uniform", None),
        ("popularity", None),
        (Popularity(0.0), None),
        (WEIGHTS, None),
        (LISTS, None),
        ("typed", None),
        (["uniform", WEIGHTS], [0.5, 0.5]),
        ([LISTS, "popularity", "uniform"], [3, 1, 0]),
        (["typed", LISTS], [1, 2]),
    ]
)


def with_types(sources: Any, triples: list[Triple]) -> Any:
    """Put the types of some triples in place of the word."""
    if sources == "typed":
        return pseudo_typed(triples)
    several = isinstance(sources, list) and any(isinstance(source, str) for source in sources)
    return [with_types(source, triples) for source in sources] if several else sources


@given(
    TRIPLES,
    TRIPLES,
    SIDES,
    SOURCES,
    st.sampled_from(["kept", "replaced"]),
    st.integers(1, 16),
    st.booleans(),
    st.integers(0, 2**64 - 1),
)
def test_what_is_drawn_is_unknown_distinct_and_as_much_as_exists(
    triples: list[Triple],
    known: list[Triple],
    side: Any,
    source: tuple[Any, Any],
    anchor: Any,
    n: int,
    replace: bool,
    seed: int,
) -> None:
    sources, shares = with_types(source[0], triples), source[1]
    options: dict[str, Any] = {"n_entities": N, "side": side, "sources": sources, "shares": shares, "anchor": anchor}
    corruptor = TripleCorruptor(triples, known=known, replace=replace, seed=seed, **options)
    rows = np.arange(len(triples))[::-1]
    drawn = corruptor.corrupt(rows, n, epoch=3)
    every = set(triples) | set(known)
    for place, row in enumerate(rows.tolist()):
        head, relation, tail = triples[row]
        share = head_share(side, relation, every)
        weights = [
            side_weights(which, triples[row], every, source[0], shares, anchor, LISTS, N, triples)
            if (1 - share, share)[which == 0] > 0
            else np.zeros(N)
            for which in (0, 1)
        ]
        possible = {(e, relation, tail) for e in np.flatnonzero(weights[0])}
        possible |= {(head, relation, e) for e in np.flatnonzero(weights[1])}
        count = int(drawn.counts[place])
        got = list(map(tuple, drawn.triples[place, :count].tolist()))
        assert set(got) <= possible
        assert not set(got) & every
        assert (drawn.triples[place, count:] == -1).all()
        assert np.isnan(drawn.log_q[place, count:]).all()
        # Triples with another head come first; the new entities ascend on each side.
        keys = [(0, h) if h != head else (1, t) for h, _, t in got]
        assert keys == sorted(keys)
        log_q = drawn.log_q[place, :count]
        if replace:
            assert count == (n if possible else 0)
            parts = [w / w.sum() if w.any() else w for w in weights]
            heads = share if parts[0].any() and parts[1].any() else float(parts[0].any())
            law = [heads * parts[0][h] if h != head else (1 - heads) * parts[1][t] for h, _, t in got]
            np.testing.assert_allclose(log_q, np.log(n * np.array(law)), rtol=1e-9)
        else:
            assert count == len(set(got)) == min(n, len(possible))
            assert (log_q <= 0).all()
            if n >= len(possible):
                assert (log_q == 0).all()


@given(TRIPLES, SIDES, SOURCES, st.integers(1, 6), st.booleans(), st.integers(0, 2**64 - 1))
def test_draws_are_a_function_of_seed_epoch_and_row(
    triples: list[Triple], side: Any, source: tuple[Any, Any], n: int, replace: bool, epoch: int
) -> None:
    options: dict[str, Any] = {"n_entities": N, "side": side, "replace": replace, "seed": 5, "shares": source[1]}
    options["sources"] = with_types(source[0], triples)
    corruptor = TripleCorruptor(triples, **options)
    rows = np.arange(len(triples))
    whole = corruptor.corrupt(rows, n, epoch=epoch, num_threads=3)
    again = pickle.loads(pickle.dumps(corruptor))
    order = np.concatenate([rows[::-1], rows[:1]])
    other = again.corrupt(order, n, epoch=epoch, num_threads=1)
    at_once = corrupt(triples, n, epoch=epoch, **options)
    for name in ("triples", "counts", "log_q"):
        np.testing.assert_array_equal(getattr(other, name), getattr(whole, name)[order])
        np.testing.assert_array_equal(getattr(at_once, name), getattr(whole, name))
    # A shard that knows the same triples draws the same.
    shard = TripleCorruptor(triples[1:], known=triples[:1], offset=1, **options)
    later = shard.corrupt(np.arange(len(triples) - 1), n, epoch=epoch)
    np.testing.assert_array_equal(later.triples, whole.triples[1:])


@given(TRIPLES, SIDES, st.integers(1, 9), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_uniform_draws_are_those_of_the_definition(
    triples: list[Triple], side: Any, n: int, seed: int, epoch: int
) -> None:
    drawn = corrupt(triples, n, n_entities=N, side=side, seed=seed, epoch=epoch)
    every = set(triples)
    for row, triple in enumerate(triples):
        share = head_share(side, triple[1], every)
        expected = corrupted_uniformly(triple, every, N, share, n, seed, row, epoch)
        assert drawn.triples[row, : drawn.counts[row]].tolist() == [list(one) for one, _ in expected]
        log_q = drawn.log_q[row, : drawn.counts[row]]
        np.testing.assert_allclose(log_q, [log for _, log in expected], rtol=1e-9, atol=1e-12)


def test_golden_draws() -> None:
    triples = [[0, 0, 1], [0, 0, 2], [3, 1, 4], [5, 1, 4]]
    drawn = corrupt(triples, 3, n_entities=8, seed=42, epoch=1)
    assert drawn.triples.tolist() == GOLDEN
    assert drawn.counts.tolist() == [3] * 4


#: As the oracle draws with NumPy's Philox.
GOLDEN = [
    [[5, 0, 1], [6, 0, 1], [0, 0, 3]],
    [[5, 0, 2], [7, 0, 2], [0, 0, 5]],
    [[2, 1, 4], [4, 1, 4], [6, 1, 4]],
    [[1, 1, 4], [5, 1, 0], [5, 1, 2]],
]


def test_the_coin_is_fair_by_draw_and_not_by_entity() -> None:
    # Two free heads and 98 free tails: .25 against .01.
    n = 100
    known = [(h, 0, 0) for h in range(2, n)] + [(1, 0, 99)]
    drawn = corrupt([(2, 0, 0)], 1, n_entities=n, known=known)
    assert np.exp(drawn.log_q[0, 0]) in (pytest.approx(0.25), pytest.approx(0.5 / 99))
    rows = TripleCorruptor([(2, 0, 0)] * 4000, n_entities=n, known=known)
    heads = (rows.corrupt(np.arange(4000), 1).triples[:, 0, 2] == 0).mean()
    assert abs(heads - 0.5) < 4 * 0.5 / np.sqrt(4000)


def test_bernoulli_follows_heads_per_tail_of_all_known_triples() -> None:
    # Relation 0: one head, four tails: tph 4, hpt 1. Relation 1: two heads, one tail: tph 1, hpt 2.
    known = [(0, 0, t) for t in (1, 2, 3, 4)] + [(1, 1, 0), (2, 1, 0)]
    corruptor = TripleCorruptor([(0, 0, 1)] * 6000 + [(1, 1, 0)] * 6000, n_entities=50, known=known, side="bernoulli")
    drawn = corruptor.corrupt(np.arange(12_000), 1).triples[:, 0]
    for rows, old, share in ((slice(0, 6000), 0, 4 / 5), (slice(6000, None), 1, 1 / 3)):
        assert abs((drawn[rows, 0] != old).mean() - share) < 4 * np.sqrt(share * (1 - share) / 6000)


CASES = {
    "uniform": ("uniform", None, 2),
    "short side": ("uniform", None, 4),
    "weights": (WEIGHTS, None, 2),
    "weights, short side": (WEIGHTS, None, 4),
    "mixture": (["uniform", WEIGHTS], [1, 3], 3),
    "lists": (LISTS, None, 2),
}


@pytest.mark.parametrize("side", ["both", "bernoulli"])
@pytest.mark.parametrize("name", CASES)
def test_frequencies_of_sets_are_those_of_successive_draws(name: str, side: Any) -> None:
    sources, shares, n = CASES[name]
    triple, known = (3, 0, 1), [(h, 0, 1) for h in (2, 4, 5)] + [(3, 0, 3)]
    corruptor = TripleCorruptor([triple] * MANY, n_entities=N, known=known, side=side, sources=sources, shares=shares)
    drawn = corruptor.corrupt(np.arange(MANY), n, epoch=1)
    every = {triple, *known}
    share = head_share(side, 0, every)
    weights = [side_weights(which, triple, every, sources, shares, "kept", LISTS, N, [triple]) for which in (0, 1)]
    law = law_of_draws(weights, share, n)
    found = Counter(
        frozenset((0, h) if t == 1 else (1, t) for h, _, t in row if h >= 0) for row in drawn.triples.tolist()
    )
    assert set(found) <= set(law)
    likely = {chosen: p * MANY for chosen, p in law.items() if p * MANY >= 5}
    rest = MANY - sum(likely.values())
    chi = sum((found[chosen] - mean) ** 2 / mean for chosen, mean in likely.items())
    if rest >= 5:
        chi += (MANY - sum(found[chosen] for chosen in likely) - rest) ** 2 / rest
    # Wilson-Hilferty: the 1 - 1e-5 quantile of chi-square.
    degrees = max(len(likely) - 1 + (rest >= 5), 1)
    assert chi < degrees * (1 - 2 / (9 * degrees) + 4.26 * np.sqrt(2 / (9 * degrees))) ** 3
    # Reported expected numbers: unbiased for all, and exact for uniform draws.
    expected = expected_counts(law)
    inverse: dict[Any, list[float]] = {entry: [] for entry in expected}
    for row, log_q in zip(drawn.triples.tolist(), drawn.log_q.tolist(), strict=True):
        for (h, _, t), log in zip(row, log_q, strict=True):
            if h >= 0:
                entry = (0, h) if t == 1 else (1, t)
                inverse[entry].append(np.exp(-log))
                if sources == "uniform":
                    assert np.exp(log) == pytest.approx(expected[entry])
    for entry, mean in expected.items():
        if mean > 0.01:
            values = np.zeros(MANY)
            values[: len(inverse[entry])] = inverse[entry]
            assert abs(values.mean() - 1) < 4.5 * values.std() / np.sqrt(MANY) + 1e-9


def test_triples_without_corruptions_get_none_at_once() -> None:
    n = 200_000
    every = np.stack([np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), np.arange(n)], axis=1)
    drawn = TripleCorruptor(every, n_entities=n, side="tail").corrupt(np.arange(1000), 50)
    assert not drawn.counts.any()
    assert (drawn.triples == -1).all()
    both = corrupt([(0, 0, 0)], 5, n_entities=1)
    assert both.counts.tolist() == [0]


def test_no_triples_give_none() -> None:
    drawn = corrupt(np.empty((0, 3), dtype=np.int64), 4, n_entities=5)
    assert drawn.triples.shape == (0, 4, 3)
    assert corrupt([], 4, n_entities=0).log_q.shape == (0, 4)


def test_popularity_counts_known_triples_of_the_side() -> None:
    known = [(0, 0, 1), (0, 1, 1), (2, 0, 3)]
    drawn = corrupt([(4, 2, 5)], 6, n_entities=6, known=known, sources=Popularity(1.0), replace=True, seed=1)
    heads = {h for h, _, t in drawn.triples[0].tolist() if t == 5}
    tails = {t for h, _, t in drawn.triples[0].tolist() if h == 4}
    assert heads <= {0, 2, 4}
    assert tails <= {1, 3, 5}
    alone = corrupt([(4, 2, 5)], 9, n_entities=6, known=known, sources="popularity")
    assert alone.triples[0, :4].tolist() == [[0, 2, 5], [2, 2, 5], [4, 2, 1], [4, 2, 3]]


def make(**options: Any) -> Callable[[], object]:
    triples = options.pop("triples", [[0, 0, 1], [1, 1, 2]])
    return lambda: TripleCorruptor(triples, **{"n_entities": 3, **options})


def draw(*args: Any, **options: Any) -> Callable[[], object]:
    return lambda: TripleCorruptor([[0, 0, 1]], n_entities=3).corrupt(*args, **options)


BAD: dict[str, tuple[Callable[[], object], type[NegmineError], str]] = {
    "entities": (
        make(n_entities=2),
        NegmineValueError,
        "`triples` must hold entities below `n_entities`, 2; got [1, 1",
    ),
    "known": (
        make(known=[[0, 0, 3]]),
        NegmineValueError,
        "`known` must hold entities below `n_entities`, 3; got [0, 0",
    ),
    "negative": (make(triples=[[0, -1, 1]]), NegmineValueError, "at least 0; got [0, -1, 1] at row 0"),
    "columns": (
        make(triples=[[0, 1]]),
        NegmineValueError,
        "`triples` must have shape (n_triples, 3); got shape (1, 2)",
    ),
    "floats": (make(triples=[[0.0, 0.0, 1.0]]), NegmineTypeError, "`triples` must hold integers"),
    "n_entities": (make(n_entities=-1), NegmineValueError, "`n_entities` must be at least 0"),
    "side": (
        make(side="left"),
        NegmineValueError,
        "`side` must be one of 'both', 'head', 'tail', 'bernoulli'; got 'left'",
    ),
    "anchor": (make(anchor="new"), NegmineValueError, "`anchor` must be one of 'kept', 'replaced'"),
    "word": (make(sources="hard"), NegmineValueError, "`sources` must be 'uniform', 'popularity', weights or lists"),
    "length": (make(sources=[1.0]), NegmineValueError, "`sources`"),
    "negative weight": (make(sources=[1.0, -2.0, 0.0]), NegmineValueError, "finite and at least 0; got -2.0 at row 1"),
    "nan": (make(sources=[1.0, 2.0, np.nan]), NegmineValueError, "finite and at least 0; got nan at row 2"),
    "lists": (make(sources=[[1]]), NegmineValueError, "a list for each of 3 entities; got 1"),
    "relations": (make(sources=pseudo_typed([[0, 0, 1]])), NegmineValueError, "each of the 2 relations; got 1"),
    "types": (
        make(sources=pseudo_typed([[0, 1, 9]])),
        NegmineValueError,
        "`sources` must hold entities below 3; got 9",
    ),
    "shares": (make(sources=["uniform", "uniform"], shares=[1]), NegmineValueError, "`shares`"),
    "no shares": (make(sources=["uniform", "popularity"]), NegmineTypeError, "`shares` must be given for several"),
    "replace": (make(replace=1), NegmineTypeError, "`replace` must be True or False"),
    "seed": (make(seed=-1), NegmineValueError, "`seed`"),
    "offset": (make(offset=-1), NegmineValueError, "`offset`"),
    "option": (make(source="uniform"), NegmineTypeError, "Did you mean 'sources'?"),
    "row": (draw([1], 1), NegmineValueError, "`rows`"),
    "none": (draw([0], 0), NegmineValueError, "`num_negatives` must be at least 1; got 0"),
    "epoch": (draw([0], 1, epoch=-1), NegmineValueError, "`epoch`"),
    "threads": (draw([0], 1, num_threads=0), NegmineValueError, "`num_threads`"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_weights_of_zero_and_empty_pools_give_nothing() -> None:
    assert corrupt([[0, 0, 1]], 2, n_entities=3, sources=[0.0, 0.0, 0.0]).counts.tolist() == [0]
    assert corrupt([[0, 0, 1]], 2, n_entities=3, sources=[[], [], []]).counts.tolist() == [0]
    mixed = corrupt([[0, 0, 1]], 9, n_entities=3, sources=[[[], [], []], "uniform"], shares=[9, 1])
    assert mixed.counts.tolist() == [4]
    assert list(itertools.chain(*allowed_entities((0, 0, 1), {(0, 0, 1)}, 3))) == [1, 2, 0, 2]
