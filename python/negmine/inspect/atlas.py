"""A table for Embedding Atlas: texts, scores and the exact neighbors of every query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.extras import require
from negmine._core.labels import to_arrow
from negmine._core.options import refuse_unknown_options
from negmine.errors import NegmineValueError
from negmine.inspect.contents import Contents, gather
from negmine.inspect.rows import NegativesLike
from negmine.io.negatives import Written
from negmine.mining.with_texts import TextsLike

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["to_atlas"]

#: Lists of documents of a row that are neighbors of its query.
_LISTS = ("positive", "negative", "rejected")

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]


@refuse_unknown_options("to_atlas")
def to_atlas(negatives: NegativesLike, path: object, *, queries: TextsLike, documents: TextsLike) -> Written:
    """Write a Parquet file for Embedding Atlas. Needs the extra ``negmine[io]``.

    The file has one row per query, then one per document that occurs, with these columns:

    - ``text``, ``id`` and ``side`` ("query" or "document");
    - ``score``: the reference of a query; of a document its highest score as a negative;
    - ``margin``: the smallest reference minus score of its pairs of a query and a negative;
    - ``n_pairs``: the number of these pairs;
    - ``neighbors``: the positives, negatives and rejected documents of a query, nearest first, and the queries of a
      document. They are exact, where Embedding Atlas would search for approximate ones.

    Embedding Atlas opens the file with
    ``embedding-atlas out.parquet --text text --neighbors neighbors``.

    Distances are 1 minus the score under "cosine", its root under "l2" and the negative score otherwise.

    Parameters
    ----------
    negatives : HardNegatives, MinedRows or path
        Mined negatives, as for [`to_html`][].
    path : path
        File to write, ending in ``.parquet``; its folder must exist.
    queries, documents : list of str, Texts or dict of label to str
        Texts, as for [`to_html`][].

    Returns
    -------
    Written
        The file and its number of rows.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        As for [`to_html`][].

    Examples
    --------
    >>> import pathlib, tempfile, numpy as np, negmine
    >>> corpus = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    >>> negatives = negmine.mine(corpus[:1], corpus, [1], num_negatives=2)
    >>> table = pathlib.Path(tempfile.mkdtemp()) / "atlas.parquet"
    >>> texts = ["a cat", "cats purr", "a dog"]
    >>> negmine.inspect.to_atlas(negatives, table, queries=["what purrs?"], documents=texts).n_rows
    4
    """
    require("pyarrow", "io", "`to_atlas`")
    parquet = require("pyarrow.parquet", "io", "`to_atlas`")
    target = files.as_path(path, "path")
    if files.suffix_of(target) != ".parquet":
        raise NegmineValueError(f"`path` must end in .parquet; got {target}.")
    files.check_target(target)
    table = _table(gather(negatives, queries=queries, documents=documents))
    with files.atomic_file(target) as temporary:
        parquet.write_table(table, temporary)
    return Written(target, len(table))


def _table(contents: Contents) -> pa.Table:
    arrow = require("pyarrow", "io", "`to_atlas`")
    n_queries, n_documents = len(contents.queries), len(contents.documents)
    query, document, score = _pairs(contents)
    distances = _distances(score, contents.values["metric"])
    # Both directions: documents are neighbors of queries, and queries of documents.
    source = np.concatenate([query, n_queries + document])
    neighbor = np.concatenate([n_queries + document, query])
    both = np.concatenate([distances, distances])
    order = np.lexsort((neighbor, both, source))
    counts = np.bincount(source, minlength=n_queries + n_documents)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    neighbors = arrow.StructArray.from_arrays(
        [arrow.ListArray.from_arrays(arrow.array(offsets), arrow.array(values[order])) for values in (neighbor, both)],
        ["ids", "distances"],
    )
    shown = [to_arrow(labels.ids).cast(arrow.string()) for labels in (contents.queries, contents.documents)]
    return arrow.table(
        {
            "text": arrow.concat_arrays([contents.query_texts, contents.document_texts]),
            "id": arrow.concat_arrays(shown),
            "side": arrow.array(["query"] * n_queries + ["document"] * n_documents),
            **{name: arrow.array(values, from_pandas=True) for name, values in _figures(contents).items()},
            "neighbors": neighbors,
        }
    )


def _pairs(contents: Contents) -> tuple[Int64s, Int64s, Float32s]:
    """Return the distinct pairs of all lists that have a score, in ascending order."""
    arrays, parts = contents.arrays, []
    for name in _LISTS:
        if f"{name}Offsets" in arrays:
            row = np.repeat(np.arange(len(contents.rows)), np.diff(arrays[f"{name}Offsets"]))
            document, score = arrays[f"{name}Document"], arrays[f"{name}Score"]
            known = (document >= 0) & ~np.isnan(score)
            parts.append((arrays["query"][row][known], document[known], score[known]))
    query, document, score = (np.concatenate([part[i] for part in parts]) for i in range(3))
    _, first = np.unique(query.astype(np.int64) * max(len(contents.documents), 1) + document, return_index=True)
    return query[first].astype(np.int64), document[first].astype(np.int64), score[first]


def _distances(scores: Float32s, metric: object) -> Float32s:
    if metric == "cosine":
        scores = scores - np.float32(1.0)
    distances = np.maximum(-scores, np.float32(0.0)) if metric in ("cosine", "l2") else -scores
    return np.sqrt(distances) if metric == "l2" else distances


def _figures(contents: Contents) -> dict[str, npt.NDArray[np.float64] | Int64s]:
    """Return score, margin and number of partners of queries, then of documents; NaN where there is none."""
    arrays = contents.arrays
    row = np.repeat(np.arange(len(contents.rows)), np.diff(arrays["negativeOffsets"]))
    query, document = arrays["query"][row], arrays["negativeDocument"]
    score = arrays["negativeScore"].astype(np.float64)
    margin = arrays["reference"][row] - score
    n_queries, n_documents = len(contents.queries), len(contents.documents)
    best = np.full(n_queries + n_documents, np.nan)
    best[arrays["query"]] = arrays["reference"]
    least = np.full(len(best), np.nan)
    np.fmax.at(best, n_queries + document, score)
    for side in (query, n_queries + document):
        np.fmin.at(least, side, margin)
    pairs = np.unique(query.astype(np.int64) * max(n_documents, 1) + document)
    partners = np.concatenate(
        [
            np.bincount(pairs // max(n_documents, 1), minlength=n_queries),
            np.bincount(pairs % max(n_documents, 1), minlength=n_documents),
        ]
    )
    return {"score": best, "margin": least, "n_pairs": partners}
