"""Documents near a held-out set, and votes of neighbors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import negmine
import oracle_guard
from negmine.mining import Decontamination, exclude_near
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
