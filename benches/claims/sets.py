"""Real sets for claims: points with vectors, labels with vectors, who belongs to whom, and what is held out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import negmine
from negmine.batches import epoch_permutation

ROOT = Path(os.environ.get("NEGMINE_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


@dataclass(frozen=True, slots=True)
class Split:
    """Some points (queries) and their labels (documents)."""

    x: np.ndarray
    positives: negmine.Positives


@dataclass(frozen=True, slots=True)
class Set:
    """A set with a tenth of its training points held out for tuning."""

    name: str
    train: Split
    tune: Split
    test: Split
    labels: np.ndarray


def load(name: str) -> Set:
    """Read one of the sets by the name of its folder."""
    return _bibtex() if name == "xmc_bibtex" else _judged(name)


def _judged(name: str) -> Set:
    """A folder in the layout of retrieval sets."""
    folder = ROOT / name
    x = np.load(folder / "queries.minilm.npy").astype(np.float32)
    labels = np.load(folder / "corpus.minilm.npy").astype(np.float32)
    queries, documents, qrels = (pq.read_table(folder / f"{part}.parquet") for part in ("queries", "corpus", "qrels"))
    query_index = {label: row for row, label in enumerate(queries["query_id"].to_pylist())}
    document_row = {label: row for row, label in enumerate(documents["doc_id"].to_pylist())}
    rows = np.array([query_index[label] for label in qrels["query_id"].to_pylist()])
    items = np.array([document_row[label] for label in qrels["doc_id"].to_pylist()])
    is_test = np.array(qrels["split"].to_pylist()) == "test"

    def split(part: np.ndarray) -> Split:
        points, row = np.unique(rows[part], return_inverse=True)
        return Split(x[points], negmine.Positives.from_pairs(row, items[part], n_queries=len(points)))

    train, tune = _held_out(split(np.flatnonzero(~is_test)))
    return Set(name, train, tune, split(np.flatnonzero(is_test)), labels)


def _bibtex() -> Set:
    """Bags of words with tags; points without a tag are left out."""
    with np.load(ROOT / "xmc_bibtex" / "data.npz") as data:
        parts = {name: data[name] for name in data.files}
    labels = np.load(ROOT / "xmc_bibtex" / "labels.minilm.npy").astype(np.float32)

    def split(part: str) -> Split:
        offsets, columns = parts[f"{part}_X_indptr"], parts[f"{part}_X_indices"]
        n, width = parts[f"{part}_X_shape"]
        x = np.zeros((n, width), dtype=np.float32)
        x[np.repeat(np.arange(n), np.diff(offsets)), columns] = 1.0
        tags, items = parts[f"{part}_Y_indptr"], parts[f"{part}_Y_indices"]
        counts = np.diff(tags)
        kept = counts > 0
        row = np.repeat(np.cumsum(kept) - 1, counts)
        x = x[kept] / np.maximum(np.linalg.norm(x[kept], axis=1, keepdims=True), 1e-12)
        return Split(x, negmine.Positives.from_pairs(row, items.astype(np.int64), n_queries=int(kept.sum())))

    train, tune = _held_out(split("train"))
    return Set("xmc_bibtex", train, tune, split("test"), labels)


def _held_out(split: Split) -> tuple[Split, Split]:
    """Nine tenths and one tenth."""
    order = epoch_permutation(len(split.x), seed=0, epoch=0)
    cut = len(order) // 10
    return _take(split, np.sort(order[cut:])), _take(split, np.sort(order[:cut]))


def _take(split: Split, points: np.ndarray) -> Split:
    offsets, items = split.positives.offsets, split.positives.items
    counts = np.diff(offsets)[points]
    place = np.repeat(offsets[points] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    row = np.repeat(np.arange(len(points)), counts)
    return Split(split.x[points], negmine.Positives.from_pairs(row, items[place], n_queries=len(points)))
