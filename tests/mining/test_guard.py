"""Documents near a held-out set, and votes of neighbors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import negmine
import oracle_guard
from negmine.mining import Decontamination, exclude_near, false_negatives
from negmine.sketches import nearest as nearest_module

WORDS = st.sampled_from(["cat", "Cat", "dog", "stra\u00dfe", "STRASSE", "e\u0301", "\u00e9", " ", "\t", "sat", "mat"])
TEXTS = st.lists(st.lists(WORDS, max_size=8).map(" ".join), max_size=12)


def nearest_of(found: Decontamination) -> list[int]:
    """Return the nearest held-out row of every document, or -1."""
    rows = np.full(found.report.n_documents, -1)
    rows[found.exclude] = found.report.nearest
    return rows.tolist()


# ---- exclude_near


@given(documents=TEXTS, held_out=TEXTS)
def test_equal_texts_are_those_of_the_oracle(documents: list[str], held_out: list[str]) -> None:
    found = exclude_near(documents, held_out, kind="exact")
    assert nearest_of(found) == oracle_guard.near_texts(documents, held_out, None)
    assert (found.report.n_documents, found.report.n_held_out) == (len(documents), len(held_out))
    assert (found.report.similarities == 1.0).all()


@given(documents=TEXTS, held_out=TEXTS, threshold=st.sampled_from([0.2, 0.5, 0.8, 1.0]), at_once=st.integers(1, 40))
def test_similar_texts_are_those_of_the_oracle(
    documents: list[str], held_out: list[str], threshold: float, at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest_module, "AT_ONCE", at_once)
        patch.setattr(nearest_module, "PAIRS_AT_ONCE", at_once)
        found = exclude_near(documents, held_out, kind="minhash", threshold=threshold)
    for row, near, similarity in zip(
        found.exclude.tolist(), found.report.nearest.tolist(), found.report.similarities.tolist(), strict=True
    ):
        assert similarity == float(oracle_guard.jaccard(documents[row], held_out[near])) >= threshold
    # Equal sets agree in every band, so no copy is missed.
    for row, near in enumerate(oracle_guard.near_texts(documents, held_out, 1.0)):
        assert near in (-1, nearest_of(found)[row])


@given(
    documents=st.lists(st.tuples(*[st.integers(-2, 2)] * 3), max_size=12),
    held_out=st.lists(st.tuples(*[st.integers(-2, 2)] * 3), max_size=6),
    threshold=st.sampled_from([0.5, 0.8, 1.0]),
)
def test_similar_embeddings_are_those_of_the_oracle(
    documents: list[tuple[int, ...]], held_out: list[tuple[int, ...]], threshold: float
) -> None:
    rows, others = (np.array(part, dtype=np.float32).reshape(-1, 3) for part in (documents, held_out))
    found = exclude_near(rows, others, kind="cosine", threshold=threshold)
    assert nearest_of(found) == oracle_guard.near_embeddings(rows, others, threshold)


def planted_texts(copies: int) -> tuple[list[str], list[str]]:
    """Return documents of which every tenth has a held-out text in it, with two words changed."""
    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcdefghij"), 6)) for _ in range(2000)]
    documents = [draw.choice(words, 60).tolist() for _ in range(10 * copies)]
    held_out = [list(document) for document in documents[::10]]
    for text in held_out:
        text[int(draw.integers(60))] = "changed"
        text[int(draw.integers(60))] = "words"
    return [" ".join(text) for text in documents], [" ".join(text) for text in held_out]


def test_planted_copies_are_found_and_nothing_else() -> None:
    documents, held_out = planted_texts(60)
    # Two of 60 words: about 24 of 415 shingles on each side, so the similarity is at least 0.85.
    expected = [row // 10 if row % 10 == 0 else -1 for row in range(len(documents))]
    assert nearest_of(exclude_near(documents, held_out, kind="minhash", threshold=0.8)) == expected
    assert exclude_near(documents, held_out, kind="exact").report.n_excluded == 0


def test_a_chain_does_not_reach_further_than_its_first_link() -> None:
    corpus = np.array([[1, 0], [0.9, 0.44], [0.6, 0.8]], dtype=np.float32)
    assert negmine.near_duplicates(embeddings=corpus, threshold=0.88).groups.tolist() == [0, 0, 0]
    assert exclude_near(corpus[1:], corpus[:1], kind="cosine", threshold=0.88).exclude.tolist() == [0]


def test_a_copy_reaches_a_threshold_of_one_and_zeros_reach_none() -> None:
    rows = np.random.default_rng(0).standard_normal((500, 37)).astype(np.float32)
    assert exclude_near(3 * rows, rows, kind="cosine", threshold=1.0).exclude.tolist() == list(range(500))
    assert exclude_near(0 * rows, 0 * rows, kind="cosine", threshold=1e-9).exclude.tolist() == []


def test_excluded_documents_are_not_candidates() -> None:
    rows = np.random.default_rng(1).standard_normal((40, 6)).astype(np.float32)
    near = exclude_near(rows, rows[[3, 7, 3]], kind="cosine", threshold=0.999)
    assert (near.exclude.tolist(), near.report.nearest.tolist()) == ([3, 7], [0, 1])
    options = {"num_negatives": 10, "num_random": 20}
    found = negmine.mine(rows[:5], rows, list(range(5)), eligible=near.eligible(5), **options)  # type: ignore[arg-type]
    listed = negmine.mine(rows[:5], rows, list(range(5)), exclude=[[3, 7]] * 5, **options)  # type: ignore[arg-type]
    assert found.indices.tolist() == listed.indices.tolist()
    assert not np.isin(found.indices, [3, 7]).any()


def test_results_do_not_depend_on_threads() -> None:
    documents, held_out = planted_texts(8)
    one, three = (
        exclude_near(iter(documents), iter(held_out), kind="minhash", threshold=0.5, num_threads=n) for n in (1, 3)
    )
    assert one.exclude.tolist() == three.exclude.tolist()
    assert one.report.similarities.tolist() == three.report.similarities.tolist()


# ---- false_negatives


@given(
    vectors=st.lists(st.tuples(*[st.integers(-2, 2)] * 3), min_size=3, max_size=14),
    n_queries=st.integers(1, 3),
    k=st.integers(1, 6),
    each=st.booleans(),
    data=st.data(),
)
def test_votes_are_those_of_the_oracle(
    vectors: list[tuple[int, ...]], n_queries: int, k: int, each: bool, data: st.DataObject
) -> None:
    corpus = np.array(vectors, dtype=np.float32)
    rows = st.lists(st.integers(0, len(corpus) - 1), max_size=3, unique=True).map(sorted)
    positives = data.draw(st.lists(rows, min_size=n_queries, max_size=n_queries))
    miner = negmine.HardNegativeMiner(4, range_max=6, reference="each" if each else "min")
    pool = miner.candidates(negmine.ExactIndex(corpus), corpus[:n_queries], positives, query_offset=5)
    for negatives in (pool, pool.select(3)):
        # The same pair has the same flag in every row.
        said = data.draw(st.dictionaries(st.tuples(st.integers(0, 2), st.integers(0, 13)), st.sampled_from([-1, 1])))
        queries = (negatives.query_indices - 5).tolist()
        flagged = [
            [said.get((query, document), 0) for document in documents]
            for query, documents in zip(queries, negatives.indices.tolist(), strict=True)
        ]
        flags = np.array(flagged, dtype=np.int64).reshape(negatives.indices.shape)
        found = false_negatives(negatives, embeddings=corpus, flagged=flags, k=k)
        expected = oracle_guard.votes(negatives.indices.tolist(), queries, positives, flagged, corpus, k)
        votes = [[None if np.isnan(vote) else vote for vote in row] for row in found.votes.tolist()]
        assert votes == expected
        assert found.suspected.tolist() == [[vote is not None and vote > 0 for vote in row] for row in expected]
        assert found.n_suspected == sum(vote is not None and vote > 0 for row in expected for vote in row)


def planted_relevance() -> tuple[negmine.HardNegatives, np.ndarray, np.ndarray]:
    """Mine 60 queries with 12 relevant documents in two topics of six, one labeled; the rest are other topics."""
    draw = np.random.default_rng(0)
    queries = draw.standard_normal((60, 32))
    topics_of = queries[:, None] + 1.2 * draw.standard_normal((60, 2, 32))
    relevant = (topics_of[:, :, None] + 0.35 * draw.standard_normal((60, 2, 6, 32))).reshape(-1, 32)
    hard = np.repeat(queries, 4, axis=0) + 1.2 * draw.standard_normal((240, 32))
    topics = np.concatenate([hard, draw.standard_normal((260, 32))])
    others = (topics[:, None] + 0.35 * draw.standard_normal((500, 6, 32))).reshape(-1, 32)
    corpus = np.concatenate([relevant, others]).astype(np.float32)
    negatives = negmine.mine(queries.astype(np.float32), corpus, [[12 * i] for i in range(60)], num_negatives=30)
    truth = negatives.indices // 12 == np.arange(60)[:, None]
    return negatives, truth, corpus


def test_planted_false_negatives_are_found_at_a_stated_precision() -> None:
    negatives, truth, corpus = planted_relevance()
    assert truth.sum() > 500
    found = false_negatives(negatives, embeddings=corpus, k=5).suspected
    same_topic = truth & (negatives.indices % 12 < 6)
    assert (found & truth).sum() / found.sum() >= 0.95
    assert (found & same_topic).sum() / same_topic.sum() >= 0.95
    # The labeled positive is of one topic, so documents of the other topic have no labeled neighbor.
    assert (found & truth).sum() / truth.sum() < 0.6


def test_one_verified_false_negative_is_spread_to_those_that_resemble_it() -> None:
    negatives, truth, corpus = planted_relevance()
    flagged = np.zeros(truth.shape, dtype=np.int64)
    other_topic = np.argwhere(truth & (negatives.indices % 12 >= 6))
    rows, first = np.unique(other_topic[:, 0], return_index=True)
    flagged[rows, other_topic[first, 1]] = 1
    assert flagged.sum(axis=1).max() == 1
    found = false_negatives(negatives, embeddings=corpus, flagged=flagged, k=5).suspected
    assert (found & truth).sum() / found.sum() >= 0.95
    waiting = truth & (flagged == 0)
    assert (found & waiting).sum() / waiting.sum() >= 0.95


def test_one_labeled_neighbor_of_ten_decides_and_a_verified_negative_outvotes_it() -> None:
    angles = np.linspace(0, 0.5, 12)
    corpus = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    pool = negmine.HardNegativeMiner(1, range_max=11).candidates(negmine.ExactIndex(corpus), corpus[:1], [[0]])
    # Of the eleven other documents, only the farthest is not a neighbor; it is document 0 for the last six.
    assert false_negatives(pool, embeddings=corpus, k=10).suspected[0].tolist() == [True] * 5 + [False] * 6
    flagged = np.zeros((1, 11), dtype=np.int64)
    flagged[0, 4] = -1
    # Document 5 is nearer than document 0 to all that follow; its own vote does not count itself.
    found = false_negatives(pool, embeddings=corpus, flagged=flagged, k=11).suspected[0]
    assert found.tolist() == [document < 3 or document == 5 for document in range(1, 12)]
