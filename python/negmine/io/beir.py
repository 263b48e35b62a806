"""Retrieval sets in one folder: documents, queries, judgments and optional embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.reprs import short_repr
from negmine.data.positives import Positives
from negmine.data.qrels import Qrels, Unknown
from negmine.data.texts import Texts
from negmine.errors import NegmineValueError
from negmine.io.embeddings import load_embeddings
from negmine.io.qrels import load_qrels, read_splits
from negmine.io.texts import load_texts, same_text_groups

__all__ = ["RetrievalSet", "read_beir"]

#: Files of embeddings that a folder may hold, as `corpus.NAME.npy`.
_EMBEDDING_SUFFIXES = (".npy", ".safetensors")


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class RetrievalSet:
    """Documents, the queries of one split, and their judgments.

    Attributes
    ----------
    documents : Texts
        All documents.
    queries : Texts
        The queries that have a judgment in the split, in the order of their file.
    qrels : Qrels
        The judgments of the split.
    split : str
        Name of the split; empty if the judgments have no splits.
    query_indices : int64 (n_queries,)
        Positions of the queries in their file.
    n_all_queries : int
        Number of queries in that file, of all splits.
    corpus_embeddings, query_embeddings : array (n, width) or None
        Embeddings, aligned with ``documents`` and ``queries``; None if the folder has none.
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
        """Turn the judgments into positives.

        Parameters
        ----------
        min_grade : int, default 1
            Lowest grade of a positive.
        unknown : {"error", "drop"}, default "error"
            Handling of judgments whose labels are not among the rows, as in [`Qrels.positives`][].

        Returns
        -------
        Positives
        """
        return self.qrels.positives(
            query_ids=self.queries.ids, document_ids=self.documents.ids, min_grade=min_grade, unknown=unknown
        )

    def groups(self) -> npt.NDArray[np.int64]:
        """Group documents that hold the same text, for ``groups=``; see [`same_text_groups`][].

        Returns
        -------
        int64 (n_documents,)
        """
        return same_text_groups(self.documents)


def read_beir(folder: object, *, split: str | None = None, embeddings: str | None = None) -> RetrievalSet:
    """Read a retrieval set.

    Two layouts are supported. That of BEIR has ``corpus.jsonl`` and ``queries.jsonl`` (keys "_id", "title", "text") and
    ``qrels/SPLIT.tsv``, each of which may be gzipped. That of tables has ``corpus.parquet`` (doc_id, title, text),
    ``queries.parquet`` (query_id, text) and ``qrels.parquet`` (query_id, doc_id, score, split). In addition
    ``corpus.NAME.npy`` and ``queries.NAME.npy`` (or ``.safetensors``) may hold embeddings whose rows align with the
    files of texts.

    Parameters
    ----------
    folder : path
        Folder of the retrieval set.
    split : str, optional
        Name of the split. Default: the only one.
    embeddings : str, optional
        ``NAME`` of the embeddings. Default: the only ones, or none.

    Returns
    -------
    RetrievalSet

    Raises
    ------
    NegmineValueError
        A file is missing, the choice of split or embeddings is ambiguous, or rows do not align.
    """
    root = files.as_path(folder, "folder")
    if not root.is_dir():
        raise NegmineValueError(f"`folder` must be a folder; got {root}.")
    # Check all names before reading, because the files may be large.
    corpus_path, queries_path = _texts_file(root, "corpus"), _texts_file(root, "queries")
    qrels_path, split = _choose_split(root, split)
    name = _choose_embeddings(root, embeddings)
    documents, queries = load_texts(corpus_path, "folder"), load_texts(queries_path, "folder")
    qrels = load_qrels(qrels_path, "folder", split=split if qrels_path.parent == root else None)
    corpus_embeddings = None if name is None else _aligned(root, "corpus", name, len(documents))
    query_embeddings = None if name is None else _aligned(root, "queries", name, len(queries))
    n_all_queries = len(queries)
    rows = np.flatnonzero(qrels.judged(queries.ids))
    if len(rows) < len(queries):
        queries = queries.take(rows)
        query_embeddings = None if query_embeddings is None else query_embeddings[rows]
    return RetrievalSet(
        documents, queries, qrels, split or "", rows, n_all_queries, corpus_embeddings, query_embeddings
    )


def _texts_file(root: Path, side: str) -> Path:
    for suffix in (".jsonl", ".jsonl.gz", ".parquet"):
        if (root / f"{side}{suffix}").is_file():
            return root / f"{side}{suffix}"
    raise NegmineValueError(f"`folder` must hold {side}.jsonl or {side}.parquet; {root} holds neither.")


def _choose_split(root: Path, split: str | None) -> tuple[Path, str | None]:
    """Find the file of judgments and the split; the split is None if a table of judgments has no such column."""
    table = root / "qrels.parquet"
    if table.is_file():
        known = read_splits(table, "folder")
        if known is not None:
            return table, _only(split, known, "split", root)
        if split is not None:
            raise NegmineValueError(f"`split` must be None, because {table} has no column 'split'; got {split!r}.")
        return table, None
    # If both files exist, the plain one is read.
    found = {
        file.name.removesuffix(suffix): file
        for suffix in (".tsv.gz", ".tsv")
        for file in (root / "qrels").glob(f"*{suffix}")
    }
    if not found:
        raise NegmineValueError(f"`folder` must hold qrels/SPLIT.tsv or qrels.parquet; {root} holds neither.")
    split = _only(split, sorted(found), "split", root)
    return found[split], split


def _choose_embeddings(root: Path, embeddings: str | None) -> str | None:
    names = sorted(
        {
            path.name.removeprefix("corpus.").removesuffix(suffix)
            for suffix in _EMBEDDING_SUFFIXES
            for path in root.glob(f"corpus.*{suffix}")
        }
    )
    return None if embeddings is None and not names else _only(embeddings, names, "embeddings", root)


def _only(value: str | None, known: list[str], argument: str, root: Path) -> str:
    """Validate the requested name, or return the only one."""
    listed = ", ".join(map(repr, known)) or "none"
    if value is None and len(known) != 1:
        raise NegmineValueError(f"`{argument}` must say which to read; {root} has {listed}.")
    if value is not None and value not in known:
        raise NegmineValueError(f"`{argument}` must be one that {root} has: {listed}; got {value!r}.")
    return known[0] if value is None else value


def _aligned(root: Path, side: str, name: str, n: int) -> npt.NDArray[Any]:
    for suffix in _EMBEDDING_SUFFIXES:
        path = root / f"{side}.{name}{suffix}"
        if path.is_file():
            rows = load_embeddings(path, "embeddings").rows
            if len(rows) != n:
                raise NegmineValueError(f"`embeddings` must have a row per text; {path} has {len(rows)}, not {n}.")
            return rows
    raise NegmineValueError(
        f"`embeddings` must exist for both sides; {root} has no {side}.{name}{_EMBEDDING_SUFFIXES[0]}."
    )
