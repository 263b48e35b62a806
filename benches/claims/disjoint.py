"""Real sets cut into disjoint corpora per seed: queries and documents for training, for tuning and for the test.

Queries and documents that judgments connect stay together, and unjudged documents are drawn, so that nothing that is
mined in training is a positive of the test. One answer per training query is labeled; the others are hidden from the
method, and known to the metric. Documents of onet_titles are classes: only its queries are cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sets import ROOT

import negmine
from negmine.batches import epoch_permutation

Start = Literal["MiniLM", "WordLlama"]


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Queries and documents of one part: per query one labeled answer, all answers, and documents left out.

    `query_rows` and `document_rows` are their rows in the whole set.
    """

    x: np.ndarray
    documents: np.ndarray
    labeled: np.ndarray
    answers: list[list[int]]
    exclude: list[list[int]]
    query_rows: np.ndarray
    document_rows: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A retrieval set: texts, pairs of a query and an answer, and the answer of the highest grade per query."""

    name: str
    queries: list[str]
    documents: list[str]
    pairs: np.ndarray
    labeled: np.ndarray


def cut(
    x: np.ndarray,
    documents: np.ndarray,
    pairs: np.ndarray,
    part_of_query: np.ndarray,
    part_of_document: np.ndarray | None,
    labeled: np.ndarray | None,
    heads: np.ndarray | None,
    seed: int,
    sizes: tuple[int, int, int],
) -> list[Corpus]:
    """Make the corpora for training, tuning and test of (query, document) pairs within one part.

    They have at most `sizes` queries. Without `part_of_document`, every part has all documents; without `labeled`, one
    answer per query is drawn.
    """
    draw = np.random.default_rng(seed)
    parts = []
    for part, size in enumerate(sizes):
        rows = np.arange(len(documents)) if part_of_document is None else np.flatnonzero(part_of_document == part)
        place = np.full(len(documents), -1)
        place[rows] = np.arange(len(rows))
        inside = pairs[(part_of_query[pairs[:, 0]] == part) & (place[pairs[:, 1]] >= 0)]
        queries = np.unique(inside[:, 0])
        queries = np.sort(draw.permutation(queries)[:size])
        answers = [np.sort(place[inside[inside[:, 0] == query, 1]]).tolist() for query in queries]
        if labeled is None:
            chosen = np.array([found[int(draw.integers(len(found)))] for found in answers])
        else:
            chosen = place[labeled[queries]]
        exclude = [[] if heads is None else [int(place[heads[query]])] for query in queries]
        parts.append(Corpus(x[queries], documents[rows], chosen, answers, exclude, queries, rows))
    return parts


def components(pairs: np.ndarray, n_queries: int, n_documents: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Assign queries and documents to parts, such that no pair joins two of them."""
    n = n_queries + n_documents
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], n_queries + pairs[:, 1])), shape=(n, n))
    n_components, component = connected_components(graph, directed=False)
    part = parts_of(n_components, seed)[component]
    return part[:n_queries], part[n_queries:]


def parts_of(n: int, seed: int) -> np.ndarray:
    """Assign 60 % to training and 20 % each to tuning and test."""
    order = epoch_permutation(n, seed=seed, epoch=0)
    part = np.zeros(n, dtype=np.int64)
    part[order[: n // 5]] = 1
    part[order[n // 5 : 2 * (n // 5)]] = 2
    return part


def corpora(name: str, start: Start, seed: int, sizes: tuple[int, int, int]) -> list[Corpus]:
    """Cut a set under the vectors of a model."""
    data = judged(name)
    x, documents = vectors(name, start)
    if name == "onet_titles":
        part_of_query = parts_of(len(x), seed)
        return cut(x, documents, data.pairs, part_of_query, None, None, None, seed, sizes)
    part_of_query, part_of_document = components(data.pairs, len(x), len(documents), seed)
    return cut(x, documents, data.pairs, part_of_query, part_of_document, data.labeled, None, seed, sizes)


@cache
def judged(name: str) -> Judged:
    """Read a folder in the layout of retrieval sets."""
    queries, documents, qrels = (
        pq.read_table(ROOT / name / f"{part}.parquet") for part in ("queries", "corpus", "qrels")
    )
    query_row = {label: row for row, label in enumerate(queries["query_id"].to_pylist())}
    document_row = {label: row for row, label in enumerate(documents["doc_id"].to_pylist())}
    grades = np.array(qrels["score"].to_pylist())
    rows = np.array([query_row[label] for label in qrels["query_id"].to_pylist()])
    items = np.array([document_row[label] for label in qrels["doc_id"].to_pylist()])
    labeled = np.full(len(query_row), -1)
    order = np.lexsort((-items, grades))
    labeled[rows[order]] = items[order]
    texts = [
        f"{title} {text}".strip()
        for title, text in zip(documents["title"].to_pylist(), documents["text"].to_pylist(), strict=True)
    ]
    pairs = np.stack([rows, items], axis=1)[grades > 0]
    return Judged(name, queries["text"].to_pylist(), texts, pairs, labeled)


@cache
def vectors(name: str, start: Start) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors of queries and documents under a model."""
    if start == "MiniLM":
        found = [np.load(ROOT / name / f"{part}.minilm.npy").astype(np.float32) for part in ("queries", "corpus")]
    else:
        data = judged(name)
        found = [mean_pooled(data.queries), mean_pooled(data.documents)]
    x, documents = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in found)
    return x, documents


def mean_pooled(texts: list[str]) -> np.ndarray:
    """Embed texts by the mean of the static vectors of their tokens, from the package wordllama."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    found = find_spec("wordllama")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("The package `wordllama` must be installed: `pip install wordllama`.")
    folder = Path(found.origin).parent
    (table,) = load_file(folder / "weights" / "l2_supercat_256.safetensors").values()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    table = table.astype(np.float32)
    ids = [encoded.ids for encoded in tokenizer.encode_batch(texts, add_special_tokens=False)]
    return np.stack([table[row].mean(axis=0) if row else np.zeros(table.shape[1], np.float32) for row in ids])


@cache
def copies(name: str) -> np.ndarray:
    """Return the groups of documents whose texts are near-duplicates, by the library's defaults."""
    return negmine.near_duplicates(judged(name).documents).groups


def groups_of(name: str, part: Corpus) -> np.ndarray:
    """Return the groups of near-duplicates of a part's documents."""
    return copies(name)[part.document_rows]
