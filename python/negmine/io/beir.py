"""Retrieval sets in one folder: documents, queries, judgments and, where they lie beside them, embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.extras import require
from negmine._core.reprs import short_repr
from negmine.data.positives import Positives
from negmine.data.qrels import Qrels, Unknown
from negmine.errors import NegmineValueError
from negmine.io import tables
from negmine.io.embeddings import read_embeddings
from negmine.io.qrels import read_qrels
from negmine.io.texts import Texts, read_texts, same_text_groups

__all__ = ["RetrievalSet", "read_beir"]

#: Files of embeddings that a folder may hold, as `corpus.NAME.npy`.
_VECTOR_SUFFIXES = (".npy", ".safetensors")


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class RetrievalSet:
    """Documents, the queries of one split, and who was judged relevant.

    Attributes
    ----------
    documents : Texts
        All documents.
    queries : Texts
        The queries that have a judgment in the split, in the order of their file.
    qrels : Qrels
        The judgments of the split.
    split : str
    query_indices : int64 (n_queries,)
        Places of the queries in their file.
    n_all_queries : int
        Queries in that file, of all splits.
    corpus_embeddings, query_embeddings : array (n, width) or None
        Embeddings, aligned with ``documents`` and ``queries``; None where the folder has none.
    """

    documents: Texts
    queries: Texts
    qrels: Qrels
    split: str
    query_indices: npt.NDArray[np.int64]
    n_all_queries: int
    corpus_embeddings: npt.NDArray[Any] | None = None
    query_embeddings: npt.NDArray[Any] | None = None

    def positives(self, *, min_grade: int = 1, unknown: Unknown = "error") -> Positives:
        """Positives as rows; ``min_grade`` and ``unknown`` are those of :meth:`Qrels.positives`."""
        return self.qrels.positives(
            query_ids=self.queries.ids, document_ids=self.documents.ids, min_grade=min_grade, unknown=unknown
        )

    def groups(self) -> npt.NDArray[np.int64]:
        """Documents that hold the same text, for ``groups=``; see :func:`same_text_groups`."""
        return same_text_groups(self.documents)


def read_beir(folder: object, *, split: str | None = None, embeddings: str | None = None) -> RetrievalSet:
    """Read a retrieval set.

    Two layouts are known. BEIR's: ``corpus.jsonl`` and ``queries.jsonl`` (keys "_id", "title", "text") and
    ``qrels/SPLIT.tsv``. The same as tables: ``corpus.parquet`` (doc_id, title, text), ``queries.parquet`` (query_id,
    text) and ``qrels.parquet`` (query_id, doc_id, score, split). Beside them ``corpus.NAME.npy`` and
    ``queries.NAME.npy`` (or ``.safetensors``) may hold embeddings whose rows align with the files of texts.

    Parameters
    ----------
    folder : path
    split
        Name of the split. Default: the only one that there is.
    embeddings
        ``NAME`` of the embeddings. Default: the only ones that there are, or none.

    Returns
    -------
    RetrievalSet

    Raises
    ------
    NegmineValueError
        A file is missing, there are several splits or embeddings to choose from, or rows do not align.
    """
    root = files.as_path(folder, "folder")
    if not root.is_dir():
        raise NegmineValueError(f"`folder` must be a folder; got {root}.")
    documents = read_texts(_texts_file(root, "corpus"), argument="corpus")
    queries = read_texts(_texts_file(root, "queries"), argument="queries")
    qrels, split = _qrels(root, split)
    name = _embeddings_name(root, embeddings)
    corpus_embeddings = None if name is None else _aligned(root, "corpus", name, len(documents))
    query_embeddings = None if name is None else _aligned(root, "queries", name, len(queries))
    n_all_queries = len(queries)
    rows = np.flatnonzero(qrels.judged(queries.ids))
    if len(rows) < len(queries):
        queries = queries.take(rows)
        query_embeddings = None if query_embeddings is None else query_embeddings[rows]
    return RetrievalSet(documents, queries, qrels, split, rows, n_all_queries, corpus_embeddings, query_embeddings)


def _texts_file(root: Path, side: str) -> Path:
    for suffix in (".jsonl", ".parquet"):
        if (root / f"{side}{suffix}").is_file():
            return root / f"{side}{suffix}"
    raise NegmineValueError(f"`folder` must hold {side}.jsonl or {side}.parquet; {root} holds neither.")


def _qrels(root: Path, split: str | None) -> tuple[Qrels, str]:
    table = root / "qrels.parquet"
    if table.is_file():
        if "split" not in tables.read_schema(table, "qrels").names:
            if split is not None:
                raise NegmineValueError(f"`split` must be None, because {table} has no column 'split'; got {split!r}.")
            return read_qrels(table, argument="qrels"), ""
        compute = require("pyarrow.compute", "io", "reading qrels")
        column = tables.read_table(table, "qrels", ["split"])["split"]
        split = _only(split, sorted(compute.unique(column).to_pylist()), "split", root)
        return read_qrels(table, split=split, argument="qrels"), split
    judged = sorted((root / "qrels").glob("*.tsv"))
    if not judged:
        raise NegmineValueError(f"`folder` must hold qrels/SPLIT.tsv or qrels.parquet; {root} holds neither.")
    split = _only(split, [file.stem for file in judged], "split", root)
    return read_qrels(root / "qrels" / f"{split}.tsv", argument="qrels"), split


def _embeddings_name(root: Path, embeddings: str | None) -> str | None:
    names = sorted(
        {
            path.name.removeprefix("corpus.").removesuffix(suffix)
            for suffix in _VECTOR_SUFFIXES
            for path in root.glob(f"corpus.*{suffix}")
        }
    )
    return None if embeddings is None and not names else _only(embeddings, names, "embeddings", root)


def _only(value: str | None, known: list[str], argument: str, root: Path) -> str:
    """The name asked for, or the only one that there is."""
    listed = ", ".join(map(repr, known)) or "none"
    if value is None and len(known) != 1:
        raise NegmineValueError(f"`{argument}` must say which to read; {root} has {listed}.")
    if value is not None and value not in known:
        raise NegmineValueError(f"`{argument}` must be one that {root} has: {listed}; got {value!r}.")
    return known[0] if value is None else value


def _aligned(root: Path, side: str, name: str, n: int) -> npt.NDArray[Any]:
    for suffix in _VECTOR_SUFFIXES:
        path = root / f"{side}.{name}{suffix}"
        if path.is_file():
            rows = read_embeddings(path, argument="embeddings").rows
            if len(rows) != n:
                raise NegmineValueError(f"`embeddings` must have a row per text; {path} has {len(rows)}, not {n}.")
            return rows
    raise NegmineValueError(
        f"`embeddings` must be there for both sides; {root} has no {side}.{name}{_VECTOR_SUFFIXES[0]}."
    )
