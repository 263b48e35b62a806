"""Ranked lists as a source: full lists answer as an index does, and partial ones by the oracle of lists."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import compare
import negmine
import oracle
from compare import Problem
from negmine import HardNegativeMiner, Positives, ScoredLists
from negmine.data import Run
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining import Reason
from negmine.search import CandidateSource, PoolArrays, PoolRequest
from negmine.testing import check_candidate_source
from strategies import POLICY, problems

NAN = math.nan


def full_lists(problem: Problem, seed: int) -> ScoredLists:
    """All documents of every query with their canonical scores, in any order."""
    scores = oracle.all_scores(problem.queries, problem.corpus, problem.metric)
    rows = np.argsort(np.random.default_rng(seed).random(scores.shape), axis=1)
    return ScoredLists(
        rows,
        np.take_along_axis(scores, rows, axis=1),
        n_documents=len(problem.corpus),
        document_ids=compare.labels(problem.ids),
    )


# ---- full lists


@given(problems(), st.integers(0, 9), POLICY, st.integers(0, 3), st.sampled_from(compare.THREADS))
def test_full_lists_answer_as_an_index(problem: Problem, seed: int, policy: Any, n_random: int, threads: int) -> None:
    assume(not problem.self_is_slice)
    # Without embeddings, positives outside the corpus have scores.
    scored = [
        [float(oracle.pair_scores(query, one, problem.metric)) if isinstance(one, np.ndarray) else one for one in own]
        for query, own in zip(problem.queries, problem.positives, strict=True)
    ]
    problem = replace(problem, positives=scored)
    source, numbers = full_lists(problem, seed), np.arange(len(problem.queries))
    pool = compare.miner_of(problem.limits).candidates(
        source, numbers, compare.positives_of(problem), num_threads=threads, **compare.rules_of(problem)
    )
    rows = compare.expected_pool(problem)
    # Lists hold scores, not embeddings, so nothing is known of norms.
    compare.assert_same_pool(pool, rows, problem, norms=False)
    chosen = pool.select(2, sampling=compare.product_policy(policy), num_random=n_random, seed=3, epoch=5)
    expected = oracle.select(rows, 2, policy, num_random=n_random, seed=3, epoch=5)
    compare.assert_same_choice(chosen, expected, rows, problem, 2, norms=False)


class ByEmbeddings:
    """Lists of all documents by inner product, for the contract, which asks with embeddings."""

    def __init__(self, documents: np.ndarray, document_ids: np.ndarray | None) -> None:
        self.documents, self.document_ids = documents, document_ids

    def __len__(self) -> int:
        return len(self.documents)

    def lists(self, queries: Any) -> ScoredLists:
        scores = np.asarray(queries, np.float64) @ self.documents.astype(np.float64).T
        rows = np.broadcast_to(np.arange(len(self)), scores.shape)
        return ScoredLists(rows, scores, n_documents=len(self), document_ids=self.document_ids)

    def candidates(self, queries: Any, request: PoolRequest, **options: Any) -> PoolArrays:
        return self.lists(queries).candidates(None, request, **options)

    def score_pairs(self, queries: Any, query_indices: Any, document_indices: Any) -> np.ndarray:
        return self.lists(queries).score_pairs(None, query_indices, document_indices)


def test_lists_keep_the_contract_of_candidate_sources() -> None:
    check_candidate_source(ByEmbeddings)
    assert isinstance(ScoredLists([[0]], n_documents=1), CandidateSource)


# ---- partial lists


@st.composite
def partial(draw: st.DrawFn) -> dict[str, Any]:
    """Short lists with colliding scores, positives of which some are unlisted, and all rules."""
    n, n_queries = draw(st.integers(1, 12)), draw(st.integers(0, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    lists = [
        {int(row): float(rng.integers(-3, 4)) / 2 for row in rng.permutation(n)[: rng.integers(0, n + 1)]}
        for _ in range(n_queries)
    ]
    positives = [rng.permutation(n)[: rng.integers(0, 3)].tolist() for _ in range(n_queries)]
    pairs = [(i, entry) for i, own in enumerate(positives) for entry in sorted(own)]
    given = {pair: float(rng.integers(-3, 4)) / 2 for pair in pairs if rng.random() < 0.4}
    number = st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 0.5]))
    lowest, highest = draw(number), draw(number)
    limits = oracle.Limits(
        absolute_margin=draw(number),
        relative_margin=draw(st.sampled_from([None, 0.0, 0.5])),
        max_score=highest,
        min_score=lowest if lowest is None or highest is None else min(lowest, highest),
        absolute_floor=draw(number),
        relative_floor=draw(st.sampled_from([None, -0.5, 0.5])),
        reference=draw(st.sampled_from(["min", "max", "mean", "each"])),
        range_min=draw(st.integers(0, 2)),
        range_max=draw(st.integers(3, 8)),
    )
    exclude = [rng.permutation(n)[: rng.integers(0, 3)].tolist() for _ in range(n_queries)]
    groups = rng.integers(-1, 4, n).tolist()
    rules = oracle.Rules(exclude if draw(st.booleans()) else None, None, groups if draw(st.booleans()) else None)
    return {"n": n, "lists": lists, "positives": positives, "given": given, "limits": limits, "rules": rules}


@given(partial(), st.booleans())
def test_partial_lists_answer_as_the_oracle(case: dict[str, Any], in_positives: bool) -> None:
    n, lists, positives, limits, rules = (case[name] for name in ("n", "lists", "positives", "limits", "rules"))
    scores = [case["given"].get((i, entry), NAN) for i, own in enumerate(positives) for entry in sorted(set(own))]
    source = ScoredLists.from_lists(
        [list(own) for own in lists],
        [list(own.values()) for own in lists],
        n_documents=n,
        positive_scores=None if in_positives else scores,
    )
    known = Positives.from_lists([sorted(own) for own in positives], positive_scores=scores if in_positives else None)
    pool = compare.miner_of(limits).candidates(
        source, None, known, exclude=rules.exclude, groups=None if rules.groups is None else np.array(rules.groups)
    )
    rows = oracle.candidates_of_lists(lists, n, positives, limits, given=case["given"], rules=rules)
    assert pool.indices.tolist() == [row.pool + [-1] * (row.width - len(row.pool)) for row in rows]
    assert [s[s > -np.inf].tolist() for s in pool.scores] == [row.pool_scores for row in rows]
    assert compare.reason_names(pool.reasons) == [row.reason for row in rows]
    np.testing.assert_array_equal(pool.reference_scores, [row.reference for row in rows])
    for line, name in compare.LINES.items():
        assert pool.report.lines[line].tolist() == [row.counts[name] for row in rows], line
    # What no line counts lies below the floor or survives.
    rest = sum(len(row.survivors) + row.below_floor for row in rows)
    assert pool.report.totals()["rest"] == rest


def test_the_order_of_a_list_is_by_score_then_row() -> None:
    lists = ScoredLists([[4, 2, 0, -1, 1]], [[1.0, 3.0, 1.0, NAN, 3.0]], n_documents=5)
    assert HardNegativeMiner(4).candidates(lists, None, [[]]).indices.tolist() == [[1, 2, 0, 4]]
    places = ScoredLists([[4, -1, 0], [2, 1, 3]], n_documents=5)
    assert HardNegativeMiner(2).candidates(places, None, [[], []]).indices.tolist() == [[4, 0], [2, 1]]
    assert places.score_pairs(None, np.array([0, 1, 1]), np.array([0, 3, 0])).tolist()[:2] == [-2.0, -2.0]


def test_queries_are_numbers_of_lists() -> None:
    lists = ScoredLists([[0, 1], [2, 3], [4, 5]], n_documents=6)
    miner = HardNegativeMiner(2)
    assert miner.candidates(lists, np.array([2, 0, 2]), [[], [], []]).indices.tolist() == [[4, 5], [0, 1], [4, 5]]
    # Without numbers, the lists from the offset on.
    pool = miner.candidates(lists, None, [[4]], query_offset=2)
    assert (pool.indices.tolist(), pool.query_indices.tolist()) == ([[5, -1]], [2])
    with pytest.raises(NegmineValueError, match="`queries` must hold numbers of lists below 3; got 3"):
        miner.candidates(lists, np.array([3]), [[]])
    with pytest.raises(NegmineValueError, match="`queries` must hold numbers of lists below 3; got 3"):
        miner.candidates(lists, None, [[], []], query_offset=2)


def test_why_a_row_of_a_list_is_short() -> None:
    lists = ScoredLists([[0, 1, 2]] * 5, [[3.0, 2.0, 1.0]] * 5, n_documents=9)

    def reason(**options: Any) -> list[str]:
        positives = options.pop("positives", [[0]])
        pool = HardNegativeMiner(5, **options).candidates(lists, np.arange(len(positives)), positives)
        return [Reason(value).name for value in pool.reasons]

    assert reason() == ["LIST_EXHAUSTED"]
    # Documents above the cap would hide that a longer list helps; one below the floor shows that it does not.
    assert reason(max_score=2.5, positives=[[]]) == ["LIST_EXHAUSTED"]
    assert reason(min_score=1.5) == ["BELOW_FLOOR"]
    # A positive that the list lacks is no reference, where one is needed.
    assert reason(absolute_margin=0.5, positives=[[], [7], [0, 7], [0]]) == [
        "NO_POSITIVE",
        "NO_REFERENCE",
        "NO_REFERENCE",
        "LIST_EXHAUSTED",
    ]
    assert reason(positives=[[7]]) == ["LIST_EXHAUSTED"]
    assert reason(absolute_floor=0.5, positives=[[7]]) == ["NO_REFERENCE"]
    pool = HardNegativeMiner(3).candidates(lists, np.arange(2), [[7], []])
    negatives = pool.select(3, sampling=negmine.SimANS())
    assert [Reason(value).name for value in negatives.reasons] == ["NO_REFERENCE", "NO_POSITIVE"]
    assert negatives.report.short == {"no_positive": 1, "no_reference": 1}
    assert pool.report.totals()["unlisted"] == 5 + 6


def test_random_negatives_of_lists_have_a_score_of_their_list_or_none() -> None:
    lists = ScoredLists([[0, 1], [2, 3]], [[9.0, 8.0], [7.0, 6.0]], n_documents=8)
    negatives = HardNegativeMiner(1, num_random=4, seed=1).mine(lists, None, [[0], [3]])
    assert negatives.counts.tolist() == [5, 5]
    random = negatives.source == 2
    query = np.broadcast_to(np.arange(2)[:, None], random.shape)[random]
    expected = lists.score_pairs(None, query, negatives.indices[random])
    np.testing.assert_array_equal(negatives.scores[random], expected.astype(np.float32))
    assert np.isnan(expected).any()
    assert not negatives.above_reference[random].any()
    alone = HardNegativeMiner(0, num_random=3).mine(lists, None, [[0], [3]])
    assert alone.indices.shape == (2, 3)
    assert set(alone.source.ravel().tolist()) == {2}


def test_a_run_becomes_lists() -> None:
    run = Run(
        ["q1", "q0", "q1", "x"], ["b", "a", "c", "a"], np.array([1, 1, 2, 1]), np.array([5.0, 4.0, 6.0, 1.0]), "t"
    )  # type: ignore[arg-type]
    with pytest.raises(NegmineValueError, match="got 'x', which is unknown"):
        ScoredLists.from_run(run, query_ids=["q0", "q1"], document_ids=["a", "b", "c"])
    lists = ScoredLists.from_run(run, query_ids=["q0", "q1", "q2"], document_ids=["a", "b", "c"], unknown="drop")
    pool = HardNegativeMiner(2).candidates(lists, None, [[], [1], []])
    assert pool.ids.tolist() == [["a", ""], ["c", ""], ["", ""]]
    assert repr(lists) == "ScoredLists(3 lists, 3 entries, 3 documents)"


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "flat": (
        lambda: ScoredLists([1, 2], n_documents=3),
        NegmineValueError,
        r"`indices` must have shape \(n_queries, k",
    ),
    "shape": (
        lambda: ScoredLists([[1]], [[1.0, 2.0]], n_documents=3),
        NegmineValueError,
        "`scores` must have the shape",
    ),
    "row": (
        lambda: ScoredLists([[1], [3]], n_documents=3),
        NegmineValueError,
        "below `n_documents`, 3, or -1; got 3 for query 1",
    ),
    "below": (lambda: ScoredLists([[-2]], n_documents=3), NegmineValueError, "got -2 for query 0"),
    "twice": (
        lambda: ScoredLists([[0], [1]] and [[0, 1], [2, 2]], n_documents=3, document_ids=["a", "b", "c"]),
        NegmineValueError,
        "a document once per query; got 'c' twice for query 1",
    ),
    "nan": (
        lambda: ScoredLists([[0, 1]], [[1.0, NAN]], n_documents=3, document_ids=["a", "b", "c"]),
        NegmineValueError,
        "`scores` must be finite; got nan for query 0 and document 'b'",
    ),
    "floats": (lambda: ScoredLists([[0.5]], n_documents=3), NegmineTypeError, "`indices` must hold integers"),
    "documents": (lambda: ScoredLists([[0]], n_documents=-1), NegmineValueError, "`n_documents` must be"),
    "labels": (
        lambda: ScoredLists([[0]], n_documents=2, document_ids=["a"]),
        NegmineValueError,
        "`document_ids` must have shape",
    ),
    "option": (lambda: ScoredLists([[0]], n_documents=2, ids=["a"]), NegmineTypeError, "Did you mean"),  # type: ignore[call-arg]
    "no number": (lambda: ScoredLists.from_lists([[0]]), NegmineTypeError, "`n_documents` must be given"),
    "lengths": (
        lambda: ScoredLists.from_lists([[0], [1, 0]], [[1.0], [2.0]], n_documents=2),
        NegmineValueError,
        "got 1 scores for 2 documents of query 1",
    ),
    "counts": (
        lambda: ScoredLists.from_lists([[0]], [[1.0], [2.0]], n_documents=2),
        NegmineValueError,
        "`scores` must have 1 lists; got 2",
    ),
    "unknown": (
        lambda: ScoredLists.from_lists([["z"]], document_ids=["a"]),
        NegmineValueError,
        "`lists` must hold labels of `document_ids`; got 'z'",
    ),
    "two numbers": (
        lambda: ScoredLists.from_lists([["a"]], document_ids=["a"], n_documents=2),
        NegmineValueError,
        "`n_documents` must be the number of `document_ids`, 1; got 2",
    ),
    "run": (
        lambda: ScoredLists.from_run("a.run", query_ids=[0], document_ids=[0]),  # type: ignore[arg-type]
        NegmineTypeError,
        "`run` must be a Run; got str",
    ),
    "positive scores": (
        lambda: HardNegativeMiner(1).candidates(
            ScoredLists([[0]], n_documents=2, positive_scores=[1.0, 2.0]), None, [[1]]
        ),
        NegmineValueError,
        "`positive_scores` must have one score per positive of the call, 1",
    ),
    "neither": (lambda: HardNegativeMiner(0), NegmineValueError, "`num_negatives` must be at least 1; got 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()
