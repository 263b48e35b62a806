"""Let a teacher score the candidates: mine by embeddings, drop what the teacher takes for relevant, and distill.

Queries are definitions of the demo set; their answers are sibling meanings, of which one is labeled and the others are
hidden. A cross encoder would be the usual teacher. None is packaged, so a small one is trained here, on other queries
whose siblings are all known: a logistic regression on the products of two embeddings. Candidates that it takes for
relevant leave the pool, which costs less hardness than a cap on the scores of the embeddings themselves. Where it ranks
the pool, the training rows carry its scores for distillation.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

import negmine
import negmine.demo
from negmine import io

NUM_NEGATIVES = 5
CANDIDATES = 100


def main() -> None:
    """Print how hard and how wrong the negatives are, with and without the teacher."""
    demo = negmine.demo.load()
    embeddings = demo.document_embeddings
    siblings: dict[int, list[int]] = {}
    for a, b in demo.siblings.tolist():
        siblings.setdefault(a, []).append(b)
        siblings.setdefault(b, []).append(a)
    rows = np.random.default_rng(0).permutation(sorted(row for row, own in siblings.items() if len(own) > 1))
    known, rows = rows[: len(rows) // 2], np.sort(rows[len(rows) // 2 :])

    index = negmine.ExactIndex(embeddings)
    miner = negmine.HardNegativeMiner(NUM_NEGATIVES, range_max=CANDIDATES)
    relevant = [siblings[row] for row in known.tolist()]
    unlabeled = miner.candidates(index, embeddings[known], relevant, exclude=known[:, None].tolist())
    model = train_teacher(embeddings, known, relevant, unlabeled.indices)

    def teacher(query_indices: np.ndarray, document_indices: np.ndarray) -> np.ndarray:
        return scores_of(model, embeddings[rows[query_indices]], embeddings[document_indices])

    labeled = [[min(siblings[row])] for row in rows.tolist()]
    hidden = [set(siblings[row]) for row in rows.tolist()]
    pool = miner.candidates(index, embeddings[rows], labeled, exclude=rows[:, None].tolist())
    with tempfile.TemporaryDirectory() as folder:
        # A killed run goes on with this file, and scores no pair twice.
        cache = Path(folder) / "teacher.cache"
        options = {"cache": cache, "name": "products", "cache_key": "siblings of the demo set"}
        guided = pool.rescore(teacher, as_guide=True, **options)
        ranked = pool.rescore(teacher, **options)
    for name, negatives in {
        "embeddings": pool.select(NUM_NEGATIVES),
        "embeddings below .66": pool.restrict(max_score=0.66).select(NUM_NEGATIVES),
        "teacher below .3": guided.restrict(by="guide", max_score=0.3).select(NUM_NEGATIVES),
    }.items():
        query, place = np.nonzero(negatives.source)
        documents = negatives.indices[query, place]
        wrong = np.mean([document in hidden[i] for i, document in zip(query.tolist(), documents.tolist(), strict=True)])
        cosine = negatives.scores[query, place].mean()
        print(f"{name:<22} {len(query):>6} negatives, cosine {cosine:.3f}, false negatives {wrong:.3f}")
    texts = io.Texts.from_lists(demo.documents, ids=demo.names)
    training = ranked.select(NUM_NEGATIVES).to_training_table(texts.take(rows), texts, format="n-tuple", scores=True)
    print(f"{training.num_rows} rows for distillation: {', '.join(training.column_names)}")


def train_teacher(
    embeddings: np.ndarray, queries: np.ndarray, relevant: list[list[int]], others: np.ndarray
) -> torch.nn.Module:
    """Train a scorer of products that separates the relevant documents from the best other candidates."""
    torch.manual_seed(0)
    width = embeddings.shape[1]
    model = torch.nn.Linear(width, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.01)
    pairs = []
    for row, own, best in zip(queries.tolist(), relevant, others[:, :10].tolist(), strict=True):
        pairs += [(row, document, 1) for document in own] + [(row, document, 0) for document in best]
    query, document, target = np.array(pairs).T
    products = torch.from_numpy(embeddings[query] * embeddings[document]) * width**0.5
    targets = torch.from_numpy(target).float()
    for _ in range(200):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(products)[:, 0], targets)
        loss.backward()
        optimizer.step()
    return model


def scores_of(model: torch.nn.Module, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """Score pairs of embeddings: the probability that the document is relevant."""
    with torch.no_grad():
        logits = model(torch.from_numpy(queries * documents) * queries.shape[1] ** 0.5)[:, 0]
    return torch.sigmoid(logits).double().numpy()


if __name__ == "__main__":
    main()
