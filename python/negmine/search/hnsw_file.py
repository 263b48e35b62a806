"""File of an approximate index: an archive, and its graph next to it in hnswlib's own format.

The archive names the graph by its SHA-256 and is written last, so that a crash leaves the old index or the new one. The
embeddings are not written; their digests are, so that an index is not loaded with another corpus.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core import archive, files, formats
from negmine._core.arrays import Rows, check_field
from negmine._core.labels import Ids, as_ids, from_arrays, to_arrays
from negmine.data import fingerprint
from negmine.errors import NegmineValueError
from negmine.search.documents import Documents
from negmine.search.results import RecallAudit

__all__ = ["OPTIONS", "SavedIndex", "read_index", "write_index"]

#: Options of an index that its file keeps.
OPTIONS = ("metric", "width", "M", "ef_construction", "ef_search", "max_ef_search", "seed")

#: Digits of the checksum in the name of a graph, and what each matches.
_DIGITS, _DIGIT = 16, "[0-9a-f]"

_ENTRIES: archive.Entries = {
    "options": dict,
    "corpus": list,
    "graph": str,
    "n_zero": int,
    "audit": (dict, NoneType),
}


@dataclass(frozen=True, slots=True)
class SavedIndex:
    """Content of a file.

    Attributes
    ----------
    path, graph : Path
        The archive and the graph.
    options : mapping of str to Any
        Options by the names in [`OPTIONS`][].
    corpus : list of dict
        Shape and digest of the embeddings of every part.
    deleted : int64 (n,)
        Rows of the deleted documents.
    n_zero : int
        Number of documents of norm zero.
    document_ids : int64 (n_documents,), Strings or None
        Labels of the documents.
    last_audit : RecallAudit or None
        Recall that was measured before the index was saved.
    """

    path: Path
    graph: Path
    options: Mapping[str, Any]
    corpus: list[dict[str, Any]]
    deleted: npt.NDArray[np.int64]
    n_zero: int
    document_ids: Ids | None
    last_audit: RecallAudit | None

    def restore(self, documents: Documents, rows: Rows, num_threads: int) -> None:
        """Fill the documents of an empty index.

        Parameters
        ----------
        documents : Documents
            Documents of an index with the saved options.
        rows : Rows
            Embeddings of all documents.
        num_threads : int
            Number of threads that compute the digest.

        Raises
        ------
        NegmineValueError
            The embeddings are not those of the saved index, or the graph is that of another number of documents.
        """
        sizes = [part["shape"][0] for part in self.corpus]
        needed = (sum(sizes), self.options["width"])
        if rows.shape != needed:
            raise NegmineValueError(f"`corpus` must have the shape of the saved one, {needed}; got {rows.shape}.")
        begin = 0
        for size, saved in zip(sizes, self.corpus, strict=True):
            part = rows.slice(begin, begin + size)
            if fingerprint.of_rows(part, "corpus", num_threads) != saved:
                raise NegmineValueError(
                    f"`corpus` must be that of the saved index; got other values in rows {begin} to {begin + size} "
                    f"than {self.path} was made from."
                )
            documents.parts.append(part)
            begin += size
        documents.graph.load(self.graph, begin)
        documents.deleted = np.zeros(begin, dtype=np.bool_)
        documents.deleted[self.deleted] = True
        documents.n_zero = self.n_zero


def write_index(
    path: str | os.PathLike[str],
    options: Mapping[str, Any],
    documents: Documents,
    document_ids: Ids | None,
    last_audit: RecallAudit | None,
    num_threads: int,
) -> None:
    """Write the graph, then the archive; graphs of earlier files of this path are removed.

    Parameters
    ----------
    path : path
        The archive; its folder must exist.
    options : mapping of str to Any
        Options by the names in [`OPTIONS`][].
    documents : Documents
        Documents of the index.
    document_ids : int64 (n_documents,), Strings or None
        Labels of the documents.
    last_audit : RecallAudit or None
        Measured recall.
    num_threads : int
        Number of threads that compute digests.
    """
    target = files.as_path(path, "path")
    files.check_target(target)
    corpus = [fingerprint.of_rows(part, "corpus", num_threads) for part in documents.parts.arrays]
    unnamed = target.with_name(f".negmine-{target.name}.hnsw")
    with files.atomic_file(unnamed) as temporary:
        documents.graph.save(temporary)
        digest = files.sha256(temporary)
    graph = _graph(target, digest)
    unnamed.replace(graph)
    files.sync_folder(target.parent)
    header = {
        "options": dict(options),
        "corpus": corpus,
        "graph": digest,
        "n_zero": documents.n_zero,
        "audit": None if last_audit is None else asdict(last_audit),
    }
    deleted = np.flatnonzero(documents.deleted)
    archive.write(path, formats.HNSW_INDEX, header, {"deleted": deleted, **to_arrays("document_ids", document_ids)})
    for other in target.parent.glob(f"{_escaped(target.name)}.{_DIGIT * _DIGITS}.hnsw"):
        if other != graph:
            with contextlib.suppress(OSError):
                other.unlink()


def _graph(path: Path, digest: str) -> Path:
    """Return the file of the graph."""
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise NegmineValueError(f"`graph` must be a SHA-256 in hexadecimal digits; got {digest!r}.")
    return path.with_name(f"{path.name}.{digest[:_DIGITS]}.hnsw")


def _escaped(name: str) -> str:
    """Return a pattern that matches a file name itself."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def read_index(path: str | os.PathLike[str]) -> SavedIndex:
    """Read the archive, and verify the checksum of the graph.

    Parameters
    ----------
    path : path
        A file of [`write_index`][].

    Returns
    -------
    SavedIndex

    Raises
    ------
    NegmineValueError
        There is no such file, it has another format, it is corrupt, or its graph is missing.
    """
    form = formats.HNSW_INDEX
    header, arrays = archive.read(path, form, _ENTRIES, ("deleted",))
    source = files.as_path(path, "path")
    with archive.whole(path, form):
        graph = _graph(source, header["graph"])
    if not graph.is_file():
        raise NegmineValueError(
            f"`path` must have its graph next to it, {graph.name}; got {files.describe(graph)} there."
        )
    if files.sha256(graph) != header["graph"]:
        raise formats.corrupt(graph)
    with archive.whole(path, form):
        n = sum(int(part["shape"][0]) for part in header["corpus"])
        deleted = check_field(arrays["deleted"], "deleted", np.int64, (None,))
        if len(deleted) and (deleted.min() < 0 or deleted.max() >= n):
            raise NegmineValueError(f"`deleted` must hold rows below {n}; got others.")
        labels = from_arrays("document_ids", arrays)
        return SavedIndex(
            path=source,
            graph=graph,
            options={name: header["options"][name] for name in OPTIONS},
            corpus=header["corpus"],
            deleted=deleted,
            n_zero=header["n_zero"],
            document_ids=None if labels is None else as_ids(labels, "document_ids", n),
            last_audit=None if header["audit"] is None else RecallAudit(**header["audit"]),
        )
