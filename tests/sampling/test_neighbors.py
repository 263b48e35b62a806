"""Sources of negatives that are close to an entity or a label, and coins, against their definitions."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import negmine
from negmine.errors import MissingExtraError, NegmineError, NegmineTypeError, NegmineValueError
from negmine.sampling import (
    NegativeSampler,
    RelationLists,
    SharedLists,
    cluster_neighbors,
    coin,
    corrupt,
    embedding_neighbors,
    pseudo_typed,
    siblings,
    string_neighbors,
)

RNG = np.random.default_rng(0)
POINTS = RNG.standard_normal((60, 5)).astype(np.float32)


def lists_of(positives: negmine.Positives) -> list[list[int]]:
    return [positives[row].tolist() for row in range(len(positives))]


@pytest.mark.parametrize("hops", [1, 2, 6])
def test_cluster_neighbors_are_members_of_the_nearest_clusters(hops: int) -> None:
    clusters = negmine.kmeans(POINTS, n_clusters=6, metric="l2")
    shared = cluster_neighbors(clusters, hops)
    found = lists_of(shared.expand())
    distances = ((clusters.centroids[:, None].astype(float) - clusters.centroids[None].astype(float)) ** 2).sum(axis=2)
    for entity, own in enumerate(found):
        near = np.argsort(distances[clusters.labels[entity]], kind="stable")[:hops]
        assert own == [e for e in range(60) if clusters.labels[e] in near and e != entity]
    if hops == 6:
        # All clusters: the same law as that of uniform draws without the kept entity.
        drawn = corrupt([[0, 0, 1]], 100, n_entities=60, sources=shared, side="tail")
        assert drawn.triples[0, :58, 2].tolist() == [e for e in range(60) if e not in (0, 1)]


def test_shared_lists_draw_as_the_lists_that_they_stand_for() -> None:
    shared = cluster_neighbors(negmine.kmeans(POINTS, n_clusters=4, metric="l2"), 2)
    triples = np.stack([RNG.integers(0, 60, 50), RNG.integers(0, 3, 50), RNG.integers(0, 60, 50)], axis=1)
    for anchor in ("kept", "replaced"):
        one, other = (
            corrupt(triples, 7, n_entities=60, sources=source, anchor=anchor) for source in (shared, shared.expand())
        )
        np.testing.assert_array_equal(one.triples, other.triples)
        np.testing.assert_array_equal(one.log_q, other.log_q)
        mixed, alike = (
            corrupt(triples, 7, n_entities=60, sources=[source, "uniform"], shares=[3, 1], anchor=anchor)
            for source in (shared, shared.expand())
        )
        np.testing.assert_array_equal(mixed.triples, alike.triples)
        kept_heads = one.triples[:, :, 0] == triples[:, None, 0]
        if anchor == "kept":
            # The kept entity never becomes the other end.
            assert not (
                (one.triples[:, :, 2] == triples[:, None, 0])
                & kept_heads
                & (triples[:, None, 2] != one.triples[:, :, 0])
            ).any()
    positives = [[row] for row in range(60)]
    drawn = [NegativeSampler(positives, n_documents=60, sources=s).sample([3, 5], 4) for s in (shared, shared.expand())]
    np.testing.assert_array_equal(drawn[0].indices, drawn[1].indices)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 9)), max_size=25))
def test_pseudo_types_are_the_heads_and_tails_of_a_relation(triples: list[tuple[int, int, int]]) -> None:
    types = pseudo_typed(triples)
    assert len(types) == max((r for _, r, _ in triples), default=-1) + 1
    for relation in range(len(types)):
        assert types.heads[relation].tolist() == sorted({h for h, r, _ in triples if r == relation})
        assert types.tails[relation].tolist() == sorted({t for _, r, t in triples if r == relation})


def siblings_by_definition(parents: list[list[int]], label: int) -> set[int]:
    def children(of: set[int]) -> set[int]:
        return {child for child, own in enumerate(parents) if of & set(own)}

    own = set(parents[label])
    found = children(own) - {label}
    if not found:
        grandparents = {above for parent in own for above in parents[parent]}
        found = children(children(grandparents)) - {label}
    return found


@given(
    st.integers(1, 14).flatmap(
        lambda n: st.tuples(*[st.sets(st.integers(0, max(i - 1, 0)), max_size=3 if i else 0) for i in range(n)])
    )
)
def test_siblings_are_other_children_of_parents_or_else_cousins(parents: tuple[set[int], ...]) -> None:
    lists = [sorted(own) for own in parents]
    assert lists_of(siblings(lists)) == [sorted(siblings_by_definition(lists, label)) for label in range(len(lists))]


def test_siblings_of_no_labels() -> None:
    assert len(siblings([])) == 0


def levenshtein(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


@given(st.lists(st.text("abcä", max_size=6), max_size=9), st.integers(1, 5))
def test_string_neighbors_are_the_most_similar_other_strings(labels: list[str], k: int) -> None:
    pytest.importorskip("rapidfuzz", reason="rapidfuzz is not installed")
    found = lists_of(string_neighbors(labels, k))
    for row, label in enumerate(labels):
        others = [other for other, text in enumerate(labels) if text != label]
        ranked = sorted(
            others, key=lambda o: (-(1 - levenshtein(label, labels[o]) / max(len(label), len(labels[o]))), o)
        )
        assert found[row] == sorted(ranked[:k])


def test_string_neighbors_need_rapidfuzz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidfuzz", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'negmine\[strings\]'"):
        string_neighbors(["a", "b"], 1)


def test_embedding_neighbors_are_the_nearest_other_rows() -> None:
    points = np.concatenate([POINTS, POINTS[:1]])
    index = negmine.ExactIndex(points)
    found = lists_of(embedding_neighbors(index, 5))
    nearest = index.search(points, 6).indices
    for row in range(61):
        assert found[row] == sorted([other for other in nearest[row].tolist() if other != row][:5])
    assert 60 in found[0]
    assert lists_of(embedding_neighbors(negmine.ExactIndex(POINTS[:2]), 9)) == [[1], [0]]


def test_coins_are_those_of_the_definition_and_fair() -> None:
    rows = np.array([5, 0, 2**62, 17])
    for seed, epoch in ((0, 0), (2**64 - 1, 3), (42, 2**64 - 1)):
        expected = []
        for row in rows.tolist():
            generator = np.random.Philox(
                key=np.array([seed, 7], dtype=np.uint64), counter=np.array([0, row, 0, epoch], dtype=np.uint64)
            )
            expected.append(((int(generator.random_raw(1)[0]) >> 12) + 0.5) * 2.0**-52)
        for p in (0.0, 0.3, 0.7, 1.0):
            assert coin(rows, p, seed=seed, epoch=epoch).tolist() == [u < p for u in expected]
    n = 100_000
    shares = np.where(np.arange(n) % 2, 0.05, 0.5)
    shown = coin(np.arange(n), shares, seed=1)
    for share in (0.05, 0.5):
        assert abs(shown[shares == share].mean() - share) < 4.5 * np.sqrt(share * (1 - share) / (n / 2))
    assert coin([], 0.5).shape == (0,)


BAD: dict[str, tuple[Callable[[], object], type[NegmineError], str]] = {
    "clusters": (lambda: cluster_neighbors([0, 1]), NegmineTypeError, "`clusters` must be Clusters; got list"),  # type: ignore[arg-type]
    "hops": (
        lambda: cluster_neighbors(negmine.kmeans(POINTS, n_clusters=3), 4),
        NegmineValueError,
        "`hops` must be at most 3; got 4",
    ),
    "no hops": (
        lambda: cluster_neighbors(negmine.kmeans(POINTS, n_clusters=3), 0),
        NegmineValueError,
        "`hops` must be at least 1",
    ),
    "triples": (lambda: pseudo_typed([[0, 1]]), NegmineValueError, "`triples` must have shape (n_triples, 3)"),
    "own parent": (lambda: siblings([[0]]), NegmineValueError, "`parents` must not contain a cycle; got 0 -> 0."),
    "cycle": (lambda: siblings([[], [3, 0], [1], [2]]), NegmineValueError, "a cycle; got 1 -> 3 -> 2 -> 1."),
    "below a cycle": (lambda: siblings([[1], [2], [1]]), NegmineValueError, "a cycle; got 1 -> 2 -> 1."),
    "parent": (lambda: siblings([[], [2]]), NegmineValueError, "`parents` must hold labels from 0 to 1; got 2"),
    "label": (lambda: string_neighbors("ab", 1), NegmineTypeError, "`labels` must be a sequence of strings"),
    "labels": (lambda: string_neighbors(["a", 1], 1), NegmineTypeError, "`labels` must be a sequence of strings"),  # type: ignore[list-item]
    "k": (lambda: string_neighbors(["a", "b"], 0), NegmineValueError, "`k` must be at least 1; got 0"),
    "index": (lambda: embedding_neighbors(POINTS, 1), NegmineTypeError, "`index` must be an ExactIndex; got ndarray"),  # type: ignore[arg-type]
    "neighbors": (
        lambda: embedding_neighbors(negmine.ExactIndex(POINTS), 0),
        NegmineValueError,
        "`k` must be at least 1",
    ),
    "numbers": (
        lambda: SharedLists(negmine.Positives.from_lists([[0]]), [1]),  # type: ignore[arg-type]
        NegmineValueError,
        "`numbers` must be numbers of the 1 lists; got 1",
    ),
    "shared": (
        lambda: corrupt(
            [[0, 0, 1]],
            1,
            n_entities=3,
            sources=SharedLists(negmine.Positives.from_lists([[0]]), np.zeros(2, dtype=np.int64)),
        ),
        NegmineValueError,
        "`sources` must have a list for each of 3 entities; got 2",
    ),
    "sides": (
        lambda: RelationLists(negmine.Positives.from_lists([[0]]), negmine.Positives.from_lists([[0], [1]])),
        NegmineValueError,
        "`tails` must have 1 lists, as `heads`; got 2",
    ),
    "rows": (lambda: coin([-1], 0.5), NegmineValueError, "`rows` must be at least 0; got -1"),
    "p": (lambda: coin([0], 1.5), NegmineValueError, "`p` must lie in [0, 1]; got 1.5"),
    "nan": (lambda: coin([0, 1], [0.5, np.nan]), NegmineValueError, "`p` must lie in [0, 1]; got nan"),
    "length": (lambda: coin([0, 1], [0.5]), NegmineValueError, "`p` must have shape (2,)"),
    "word": (lambda: coin([0], "half"), NegmineTypeError, "`p` must be a number"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
