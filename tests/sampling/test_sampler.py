"""The sampler of random negatives: rules, laws, probabilities, purity and bad input."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine import Eligibility, Positives
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.sampling import NegativeSampler, Popularity, Sampled, sample_negatives

N = 12
WEIGHTS = [0.0, 1.0, 2.0, 3.0, 4.0, 10.0, 1e-9, 1e3, 0.5, 0.0, 1.0, 1.0]
LISTS = [[1, 2, 3], [], [5], list(range(N))]
MANY = 40_000

ROWS = st.lists(st.sets(st.integers(0, N - 1), max_size=N), min_size=4, max_size=4).map(
    lambda rows: [sorted(r) for r in rows]
)
SOURCES = st.sampled_from(
    [
        ("uniform", None),
        ("popularity", None),
        (Popularity(0.0), None),
        (WEIGHTS, None),
        (LISTS, None),
        (["uniform", WEIGHTS], [0.5, 0.5]),
        ([LISTS, "popularity", "uniform"], [3, 1, 0]),
        ([LISTS, WEIGHTS], [1, 2]),
    ]
)


def rates(source: Any, positives: list[list[int]], query: int, allowed: set[int]) -> np.ndarray:
    """The probability that one source gives to every document, by definition; all 0 if it has none."""
    if isinstance(source, str) and source == "uniform":
        weights = np.ones(N)
    elif isinstance(source, str | Popularity):
        exponent = 0.75 if isinstance(source, str) else source.exponent
        counts = np.bincount([row for rows in positives for row in rows], minlength=N).astype(float)
        weights = np.array([1.0 if exponent == 0 else count**exponent if count else 0.0 for count in counts])
    elif isinstance(source[0], list):
        weights = np.isin(np.arange(N), source[query]).astype(float)
    else:
        weights = np.array(source)
    weights = np.where(np.isin(np.arange(N), sorted(allowed)), weights, 0.0)
    return weights / weights.sum() if weights.any() else weights


def law(sources: Any, shares: Any, positives: list[list[int]], query: int, allowed: set[int]) -> np.ndarray:
    """The mixed probability of every document."""
    given = sources if shares is not None else [sources]
    parts = [rates(source, positives, query, allowed) for source in given]
    total = sum(share for share, part in zip(shares or [1.0], parts, strict=True) if part.any())
    if not total:
        return np.zeros(N)
    return sum(share / total * part for share, part in zip(shares or [1.0], parts, strict=True))


@given(ROWS, ROWS, SOURCES, st.integers(1, 14), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 2**64 - 1))
def test_what_is_drawn_is_allowed_distinct_and_as_much_as_exists(
    positives: list[list[int]],
    exclude: list[list[int]],
    source: tuple[Any, Any],
    n: int,
    grouped: bool,
    ranged: bool,
    replace: bool,
    seed: int,
) -> None:
    sources, shares = source
    groups = np.arange(N) // 3 - 1 if grouped else None
    eligible = Eligibility(np.arange(N), [0, 3, 5, 0], [9, 8, 4, 11]) if ranged else None
    options: dict[str, Any] = {"n_documents": N, "sources": sources, "shares": shares, "replace": replace, "seed": seed}
    sampler = NegativeSampler(positives, exclude=exclude, groups=groups, eligible=eligible, **options)
    drawn = sampler.sample([3, 0, 1, 2], n, epoch=5)
    for place, query in enumerate([3, 0, 1, 2]):
        own = set(positives[query])
        allowed = set(range(N)) - own - set(exclude[query])
        if groups is not None:
            allowed -= {row for row in range(N) if groups[row] in {groups[p] for p in own} - {-1}}
        if eligible is not None:
            allowed &= set(np.flatnonzero(eligible.admits(query, np.arange(N))).tolist())
        weights = law(sources, shares, positives, query, allowed)
        possible = set(np.flatnonzero(weights).tolist())
        count = int(drawn.counts[place])
        rows = drawn.indices[place, :count].tolist()
        assert set(rows) <= possible
        assert rows == sorted(rows)
        assert (drawn.indices[place, count:] == -1).all()
        assert (drawn.source[place, count:] == -1).all()
        assert np.isnan(drawn.log_q[place, count:]).all()
        if replace:
            assert count == (n if possible else 0)
            np.testing.assert_allclose(drawn.log_q[place, :count], np.log(n * weights[rows]), rtol=1e-9)
        else:
            assert count == len(set(rows)) == min(n, len(possible))
            if n >= len(possible):
                assert (drawn.log_q[place, :count] == 0).all()
            assert (drawn.log_q[place, :count] <= 0).all()


@given(ROWS, SOURCES, st.integers(1, 6), st.booleans(), st.integers(0, 2**64 - 1))
def test_draws_are_a_function_of_seed_epoch_and_query(
    positives: list[list[int]], source: tuple[Any, Any], n: int, replace: bool, epoch: int
) -> None:
    options: dict[str, Any] = {"n_documents": N, "sources": source[0], "shares": source[1], "replace": replace}
    whole = NegativeSampler(positives, **options).sample(np.arange(4), n, epoch=epoch, num_threads=3)
    again = pickle.loads(pickle.dumps(NegativeSampler(positives, **options)))
    for query in (2, 0, 2):
        alone = again.sample([query], n, epoch=epoch)
        for name in ("indices", "log_q", "source"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(whole, name)[query])
    if source in [("uniform", None), (WEIGHTS, None)]:
        later = NegativeSampler(positives[2:], query_offset=2, **options).sample([0, 1], n, epoch=epoch)
        np.testing.assert_array_equal(later.indices, whole.indices[2:])


def test_rows_give_a_query_several_draws() -> None:
    sampler = NegativeSampler([[0, 1], [2]], n_documents=40)
    drawn = sampler.sample([0, 0, 1, 0], 5, rows=[7, 9, 9, 7])
    assert drawn.indices[0].tolist() == drawn.indices[3].tolist() != drawn.indices[1].tolist()
    assert not np.isin(drawn.indices[[0, 1, 3]], [0, 1]).any()
    np.testing.assert_array_equal(
        drawn.indices,
        NegativeSampler([[0, 1]] * 2 + [[2]], n_documents=40).sample([0, 1, 2, 0], 5, rows=[7, 9, 9, 7]).indices,
    )
    # Without them, the draws belong to the query.
    np.testing.assert_array_equal(sampler.sample([1], 5, rows=[1]).indices, sampler.sample([1], 5).indices)


def many(sources: Any, n: int, **options: Any) -> Sampled:
    """Draw for many queries with the same positives, 0 and 7."""
    positives = Positives(np.arange(MANY + 1) * 2, np.tile([0, 7], MANY))
    return sample_negatives(positives, n, n_documents=N, sources=sources, **options)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("sources", ["uniform", WEIGHTS, ["uniform", WEIGHTS]], ids=["uniform", "weights", "mixed"])
def test_inverse_probabilities_are_unbiased(sources: Any, replace: bool, n: int) -> None:
    shares = [0.5, 0.5] if isinstance(sources[0], str) and sources != "uniform" else None
    drawn = many(sources, n, replace=replace, shares=shares)
    inverse = np.zeros((MANY, N))
    rows, columns = np.nonzero(drawn.indices >= 0)
    np.add.at(inverse, (rows, drawn.indices[rows, columns]), np.exp(-drawn.log_q[rows, columns]))
    weights = law(sources, shares, [], 0, set(range(N)) - {0, 7})
    likely = weights > 1e-3
    error = inverse.std(axis=0) / np.sqrt(MANY)
    np.testing.assert_array_less(np.abs(inverse.mean(axis=0) - 1)[likely], 4.5 * error[likely] + 1e-12)
    assert not inverse[:, weights == 0].any()


def test_frequencies_of_sets_are_those_of_successive_draws() -> None:
    drawn = many(WEIGHTS, 2).indices
    weights = law(WEIGHTS, None, [], 0, set(range(N)) - {0, 7})
    expected = {}
    for a, b in itertools.combinations(np.flatnonzero(weights > 1e-3).tolist(), 2):
        expected[a, b] = weights[a] * weights[b] * (1 / (1 - weights[a]) + 1 / (1 - weights[b])) * MANY
    found = {pair: int((drawn == pair).all(axis=1).sum()) for pair in expected}
    chi = sum((found[pair] - mean) ** 2 / mean for pair, mean in expected.items())
    # The 99.99 % quantile of chi-square with 27 degrees of freedom is 63.
    assert len(expected) == 28
    assert chi < 63


def test_uniform_sets_are_equally_likely() -> None:
    drawn = many("uniform", 2).indices
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 45
    assert ((counts - MANY / 45) ** 2 / (MANY / 45)).sum() < 88  # 44 degrees of freedom, 99.99 %


def test_sources_come_up_by_their_shares() -> None:
    lists = [[1, 2, 3]] * MANY
    drawn = many(["uniform", lists], 1, shares=[1, 3])
    assert abs((drawn.source == 1).mean() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / MANY)
    # A query without a list takes all from the other source.
    alone = sample_negatives([[0]], 3, n_documents=N, sources=["uniform", [[]]], shares=[1, 9])
    assert alone.counts.tolist() == [3]
    assert alone.source.tolist() == [[0, 0, 0]]


def test_a_weight_that_dwarfs_the_others_does_not_hide_them() -> None:
    drawn = sample_negatives([[0], []], 3, n_documents=3, sources=[1e20, 1.0, 1.0])
    assert drawn.indices.tolist() == [[1, 2, -1], [0, 1, 2]]


def test_a_query_whose_documents_are_all_positive_gets_none_at_once() -> None:
    n = 1_000_000
    drawn = sample_negatives([np.arange(n)], 5, n_documents=n)
    assert drawn.counts.tolist() == [0]
    almost = sample_negatives([np.delete(np.arange(n), [5, 70])], 5, n_documents=n)
    assert almost.indices.tolist() == [[5, 70, -1, -1, -1]]


def test_popularity_counts_the_queries_of_a_document() -> None:
    positives = Positives.from_lists([[0, 1], [0], [2]])
    assert Popularity(1.0).weights(positives, 4).tolist() == [2.0, 1.0, 1.0, 0.0]
    assert Popularity(0.0).weights(positives, 4).tolist() == [1.0] * 4
    np.testing.assert_allclose(Popularity().weights(positives, 4), [2**0.75, 1.0, 1.0, 0.0])
    drawn = sample_negatives(positives, 4, n_documents=4, sources="popularity")
    assert drawn.indices.tolist() == [[2, -1, -1, -1], [1, 2, -1, -1], [0, 1, -1, -1]]


def sampler(**options: Any) -> Callable[[], object]:
    return lambda: NegativeSampler([[0], [1]], **{"n_documents": 3, **options})


def sample(*args: Any, **options: Any) -> Callable[[], object]:
    return lambda: NegativeSampler([[0], [1]], n_documents=3).sample(*args, **options)


BAD: dict[str, tuple[Callable[[], object], type[NegmineError], str]] = {
    "word": (sampler(sources="hard"), NegmineValueError, "`sources` must be 'uniform', 'popularity', weights or lists"),
    "length": (sampler(sources=[1.0, 2.0]), NegmineValueError, "`sources`"),
    "negative": (sampler(sources=[1.0, -2.0, 0.0]), NegmineValueError, "finite and at least 0; got -2.0 at row 1"),
    "nan": (sampler(sources=[1.0, 2.0, np.nan]), NegmineValueError, "finite and at least 0; got nan at row 2"),
    "lists": (sampler(sources=[[[1]]], shares=[1]), NegmineValueError, "one list for each of the 2 queries; got 1"),
    "repeated": (sampler(sources=[[[1, 1], []]], shares=[1]), NegmineValueError, "at most once per query; got 1"),
    "beyond": (sampler(sources=[[[3], []]], shares=[1]), NegmineValueError, "document rows from 0 to 2; got 3"),
    "no shares": (sampler(sources=["uniform", "popularity"]), NegmineTypeError, "`shares` must be given for several"),
    "shares": (sampler(sources=["uniform", "uniform"], shares=[1]), NegmineValueError, "`shares`"),
    "zero shares": (sampler(shares=[0]), NegmineValueError, "`shares` must be finite, at least 0, and not all 0"),
    "exponent": (lambda: Popularity(-1), NegmineValueError, "`exponent` must be at least 0"),
    "positives": (
        lambda: NegativeSampler([[3]], n_documents=3),
        NegmineValueError,
        "`positives` must hold rows below 3",
    ),
    "exclude": (sampler(exclude=[[1]]), NegmineValueError, "`exclude` must have length 2, one list per query; got 1"),
    "groups": (sampler(groups=[1]), NegmineValueError, "`groups`"),
    "eligible": (sampler(eligible=Eligibility.equal([1], [1])), NegmineValueError, "`eligible` must have 3 keys and 2"),
    "eligible type": (sampler(eligible=3), NegmineTypeError, "`eligible` must be an Eligibility"),
    "documents": (sampler(n_documents=-1), NegmineValueError, "`n_documents` must be"),
    "replace": (sampler(replace=1), NegmineTypeError, "`replace` must be True or False"),
    "seed": (sampler(seed=-1), NegmineValueError, "`seed`"),
    "option": (sampler(source="uniform"), NegmineTypeError, "Did you mean 'sources'?"),
    "query": (sample([2], 1), NegmineValueError, "`queries`"),
    "negative query": (sample([-1], 1), NegmineValueError, "`queries`"),
    "rows": (sample([0, 1], 1, rows=[0]), NegmineValueError, "`rows` must have shape (2,)"),
    "negative row": (sample([0], 1, rows=[-1]), NegmineValueError, "`rows` must be at least 0; got -1"),
    "none": (sample([0], 0), NegmineValueError, "`num_negatives` must be at least 1; got 0"),
    "epoch": (sample([0], 1, epoch=-1), NegmineValueError, "`epoch`"),
    "threads": (sample([0], 1, num_threads=0), NegmineValueError, "`num_threads`"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
