"""Shared by the recipes: a smaller model of the demo set, a split of it, and a line about mined negatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import negmine
import negmine.demo

demo = negmine.demo.load()


def smaller(embeddings: np.ndarray, width: int = 64) -> np.ndarray:
    """Return the embeddings of a weaker model, which keeps the first 64 of 384 coordinates."""
    return np.ascontiguousarray(embeddings[:, :width])


def larger_score(query_indices: np.ndarray, document_indices: np.ndarray) -> np.ndarray:
    """Score pairs by all 384 coordinates: a guide or teacher that knows more than the smaller model."""
    queries, documents = demo.query_embeddings[query_indices], demo.document_embeddings[document_indices]
    return np.einsum("pd,pd->p", queries, documents, dtype=np.float64)


def share_of_answers(query_indices: np.ndarray, document_indices: np.ndarray) -> float:
    """Return the share of the pairs whose document is a correct answer of the query, labeled or hidden."""
    pairs = zip(query_indices.tolist(), document_indices.tolist(), strict=True)
    return float(np.mean([document in demo.positives[query] for query, document in pairs]))


def describe(name: str, negatives: negmine.HardNegatives) -> None:
    """Print the number of negatives, their mean score, and the share that are hidden answers."""
    row, place = np.nonzero(negatives.source)
    wrong = share_of_answers(negatives.query_indices[row], negatives.indices[row, place])
    score = negatives.scores[row, place].mean()
    print(f"{name:<28} {len(row):>5} negatives, mean score {score:.3f}, false negatives {wrong:.4f}")


@dataclass(frozen=True)
class Part:
    """Every second word with its documents; rows count from 0 in each part, and no document is in both."""

    queries: np.ndarray
    documents: np.ndarray
    labeled: np.ndarray
    answers: list[np.ndarray]


def part(side: int) -> Part:
    """Return the training part (0) or the test part (1); no answer of a test word can be mined as a negative."""
    owner = np.arange(len(demo.documents)) % 2
    for i in range(len(demo.queries)):
        owner[demo.positives[i]] = i % 2
    rows = [i for i in range(side, len(demo.queries), 2) if (owner[demo.positives[i]] == side).all()]
    queries, documents = demo.query_embeddings[rows], demo.document_embeddings[owner == side]
    place = np.cumsum(owner == side) - 1
    return Part(queries, documents, place[demo.labeled[rows]], [place[demo.positives[i]] for i in rows])
