"""The demo set: what it promises of shapes, truth and size, and that its vectors find what they should."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from negmine.demo import DemoSet, load

N_QUERIES, N_DOCUMENTS, WIDTH = 1_200, 3_000, 384
MAX_BYTES = 1_200_000


@pytest.fixture(scope="module")
def demo() -> DemoSet:
    return load()


def test_shapes_and_dtypes(demo: DemoSet) -> None:
    assert len(demo.queries) == len(demo.lemmas) == N_QUERIES
    assert len(demo.documents) == len(demo.names) == N_DOCUMENTS
    for array, shape, dtype in (
        (demo.query_embeddings, (N_QUERIES, WIDTH), np.float32),
        (demo.document_embeddings, (N_DOCUMENTS, WIDTH), np.float32),
        (demo.positives.offsets, (N_QUERIES + 1,), np.int64),
        (demo.positives.items, (int(demo.positives.offsets[-1]),), np.int64),
        (demo.labeled, (N_QUERIES,), np.int64),
        (demo.hypernyms, (len(demo.hypernyms), 2), np.int64),
        (demo.siblings, (len(demo.siblings), 2), np.int64),
    ):
        assert array.shape == shape
        assert array.dtype == dtype


def test_texts_are_distinct_and_readable(demo: DemoSet) -> None:
    for texts in (demo.queries, demo.lemmas, demo.documents, demo.names):
        assert len(set(texts)) == len(texts)
        assert all(text and text == text.strip() and text.isprintable() for text in texts)
    assert demo.lemmas == sorted(demo.lemmas)
    assert demo.names == sorted(demo.names)
    assert all(lemma in query for lemma, query in zip(demo.lemmas, demo.queries, strict=True))


def test_positives_are_every_meaning_in_rising_order(demo: DemoSet) -> None:
    n_meanings = np.diff(demo.positives.offsets)
    assert n_meanings.min() == 2
    assert n_meanings.max() == 5
    row = {name: i for i, name in enumerate(demo.names)}
    for query, lemma in enumerate(demo.lemmas):
        rows = demo.positives[query].tolist()
        assert rows == sorted(set(rows))
        assert demo.labeled[query] in rows
        # A meaning is named after its best-known word. Where that is the query's own noun, the name ends in
        # the meaning's number: number 1 is the labeled one, and no number lies beyond the count of meanings.
        own = {int(name.rpartition(".")[2]): row[name] for name in demo.names if name.startswith(f"{lemma}.n.")}
        assert set(own.values()) <= set(rows)
        assert set(own) <= set(range(1, len(rows) + 1))
        assert own.get(1, demo.labeled[query]) == demo.labeled[query]


def test_an_example_by_hand(demo: DemoSet) -> None:
    query = demo.lemmas.index("pupil")
    meanings = [demo.names[row] for row in demo.positives[query]]
    assert meanings == ["pupil.n.02", "schoolchild.n.01", "student.n.01"]
    assert demo.documents[demo.labeled[query]] == "a learner who is enrolled in an educational institution"


def test_relations(demo: DemoSet) -> None:
    hypernyms = {(demo.names[a], demo.names[b]) for a, b in demo.hypernyms.tolist()}
    siblings = {(demo.names[a], demo.names[b]) for a, b in demo.siblings.tolist()}
    assert ("thumb.n.01", "finger.n.01") in hypernyms
    assert ("alcohol.n.01", "tobacco.n.01") in siblings  # under drug_of_abuse.n.01, which is not in the set
    assert "drug_of_abuse.n.01" not in demo.names
    for edges in (demo.hypernyms, demo.siblings):
        assert len(edges) > 1_000
        assert len(np.unique(edges, axis=0)) == len(edges)
        assert edges.min() >= 0
        assert edges.max() < N_DOCUMENTS
    assert (demo.hypernyms[:, 0] != demo.hypernyms[:, 1]).all()
    assert (demo.siblings[:, 0] < demo.siblings[:, 1]).all()
    parents: dict[int, set[int]] = {}
    for child, parent in demo.hypernyms.tolist():
        parents.setdefault(child, set()).add(parent)
    pairs = {(a, b) for a, b in demo.siblings.tolist()}
    assert all((a, b) in pairs for a in parents for b in parents if a < b and parents[a] & parents[b])


def test_vectors_have_unit_length(demo: DemoSet) -> None:
    for vectors in (demo.query_embeddings, demo.document_embeddings):
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        # Codes are exact integers; the only error of a length is its float16 scale, half a unit in 11 bits.
        assert np.abs(lengths - 1).max() <= 2**-11


def test_vectors_find_the_meanings(demo: DemoSet) -> None:
    scores = demo.query_embeddings.astype(np.float64) @ demo.document_embeddings.astype(np.float64).T
    top = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    found = [np.isin(top[query], demo.positives[query]) for query in range(N_QUERIES)]
    recall = np.mean([hits.sum() / len(demo.positives[query]) for query, hits in enumerate(found)])
    first = np.mean([hits[0] for hits in found])
    assert recall > 0.50  # measured .543; by chance .003
    assert first > 0.39  # measured .426


def test_each_load_is_fresh(demo: DemoSet) -> None:
    other = load()
    other.query_embeddings[:] = 0
    assert demo.query_embeddings.any()


def test_what_ships_is_small_and_carries_the_notice() -> None:
    data = [entry for entry in files("negmine.demo").joinpath("data").iterdir() if entry.is_file()]
    assert sum(len(entry.read_bytes()) for entry in data) < MAX_BYTES
    notice = files("negmine.demo").joinpath("data/LICENSE.wordnet").read_text(encoding="ascii")
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in notice
    assert notice.rstrip().endswith("LICENSEE agrees to preserve same.")
