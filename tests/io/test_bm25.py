"""BM25 as a run: scores against the formula of Lucene, and what the miner makes of them."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import io
from negmine.errors import NegmineTypeError, NegmineValueError

pytest.importorskip("bm25s")

DOCUMENTS = ["Cats sat on mats.", "Dogs barked; dogs ran.", "cats and dogs", "nothing here", "Mats, mats, mats!"]
QUERIES = ["cats dogs", "mats", "zebra", "DOGS dogs"]


def lucene(query: str, k1: float = 1.5, b: float = 0.75) -> list[float]:
    """Score every document by the formula, one word at a time."""
    cut = [re.findall(r"\b\w\w+\b", text.lower()) for text in DOCUMENTS]
    n, mean = len(cut), sum(map(len, cut)) / len(cut)
    scores = []
    for words in cut:
        counts, score = Counter(words), 0.0
        for word in re.findall(r"\b\w\w+\b", query.lower()):
            df = sum(word in other for other in cut)
            idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
            score += idf * counts[word] / (counts[word] + k1 * (1 - b + b * len(words) / mean))
        scores.append(score)
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4)])
def test_scores_are_those_of_the_formula(k1: float, b: float) -> None:
    run = io.bm25_run(QUERIES, DOCUMENTS, stopwords=None, k1=k1, b=b)
    for row, query in enumerate(QUERIES):
        own = np.asarray(run.query_ids) == row
        expected = {place: score for place, score in enumerate(lucene(query, k1, b)) if score > 0}
        assert sorted(np.asarray(run.document_ids)[own].tolist()) == sorted(expected)
        for document, score in zip(np.asarray(run.document_ids)[own], run.scores[own], strict=True):
            # Equal up to a constant factor: bm25s leaves out k1 + 1, as Lucene does.
            assert score == pytest.approx(expected[int(document)], rel=1e-5)
        assert (np.diff(run.scores[own]) <= 0).all()
        assert run.ranks[own].tolist() == list(range(1, own.sum() + 1))


def test_labels_titles_and_depth_are_kept() -> None:
    documents = io.Texts.from_lists(
        ["one", "two words", "three"], ids=["a", "b", "c"], titles=["cat", "dog", "cat cat"]
    )
    queries = io.Texts.from_lists(["cat"], ids=["q"])
    run = io.bm25_run(queries, documents, depth=1)
    assert (list(run.query_ids), list(run.document_ids), run.tag) == (["q"], ["c"], "bm25")
    lists = negmine.ScoredLists.from_run(run, query_ids=queries.ids, document_ids=documents.ids)
    assert negmine.mine(None, lists, [[0]], num_negatives=1).ids.tolist() == [["c"]]


def test_any_number_of_threads_gives_the_same_run() -> None:
    texts = [" ".join(f"w{value}" for value in np.random.default_rng(row).integers(30, size=12)) for row in range(300)]
    runs = [io.bm25_run(texts[:40], texts, depth=20, num_threads=threads) for threads in (1, 2, 4)]
    for run in runs[1:]:
        np.testing.assert_array_equal(run.document_ids, runs[0].document_ids)
        np.testing.assert_array_equal(run.scores, runs[0].scores)


@pytest.mark.parametrize(("queries", "documents"), [([], ["a cat"]), (["a cat"], []), (["cat"], ["", "  "])])
def test_nothing_to_rank_is_an_empty_run(queries: list[str], documents: list[str]) -> None:
    assert len(io.bm25_run(queries, documents)) == 0


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "depth": ({"depth": 0}, NegmineValueError, "`depth` must be at least 1; got 0"),
    "method": ({"method": "tfidf"}, NegmineValueError, "`method` must be one of 'lucene'"),
    "k1": ({"k1": -1.0}, NegmineValueError, "`k1` must be at least 0.0; got -1.0"),
    "b": ({"b": 1.5}, NegmineValueError, "`b` must be at most 1; got 1.5"),
    "stopwords": ({"stopwords": "german"}, NegmineValueError, "`stopwords` must be"),
    "option": ({"dept": 1}, NegmineTypeError, "Did you mean 'depth'"),
    "texts": ({"queries": "cat"}, NegmineTypeError, "`texts` must be a list of strings; got the string 'cat'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    options, error, message = BAD[name]
    with pytest.raises(error, match=message):
        io.bm25_run(**{"queries": QUERIES, "documents": DOCUMENTS, **options})
