"""Pairs of anchors and positives as distinct queries and rows of a corpus without duplicates. Texts stay in Arrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import refuse_unordered
from negmine._core.extras import require
from negmine._core.labels import refuse_surrogates
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Pairs", "read_pairs"]

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Distinct (query, positive) pairs.

    Attributes
    ----------
    queries, corpus : pyarrow.LargeStringArray
        Distinct texts, in the order of their first occurrence.
    offsets : int64 (n_queries + 1,)
        The positives of query ``i`` are those of ``offsets[i]`` to ``offsets[i + 1]``.
    items : int64 (n_pairs,)
        Rows of the positives in the corpus; per query in the order of the data set.
    places : int64 (n_pairs,)
        Place of every pair among the pairs of ``positives``, where documents ascend per query.
    positives : Positives
        The same pairs for the miner.
    counts : int64 (n_queries,)
        Rows of the data set per query, duplicates included.
    """

    queries: pa.LargeStringArray
    corpus: pa.LargeStringArray
    offsets: Int64s
    items: Int64s
    places: Int64s
    positives: Positives
    counts: Int64s

    @property
    def query_of(self) -> Int64s:
        """Query of every pair: int64 (n_pairs,)."""
        return np.repeat(np.arange(len(self.queries)), np.diff(self.offsets))

    def self_rows(self) -> Positives:
        """Return, per query, the row of the document that has the query's text, if there is one.

        Returns
        -------
        Positives
        """
        compute = require("pyarrow.compute", "arrow", "comparing texts")
        rows = compute.index_in(self.queries, value_set=self.corpus).fill_null(-1).to_numpy().astype(np.int64)
        found = np.flatnonzero(rows >= 0)
        return Positives.from_pairs(found, rows[found], n_queries=len(self.queries))


def read_pairs(
    dataset: Any,  # noqa: ANN401 (a datasets.Dataset)
    anchor: str,
    positive: str,
    corpus: object,
) -> Pairs:
    """Read the two columns and the corpus.

    Parameters
    ----------
    dataset : datasets.Dataset
        Pairs of anchor and positive.
    anchor, positive : str
        Names of the columns.
    corpus : sequence of str or None
        Further documents, which come first.

    Returns
    -------
    Pairs

    Raises
    ------
    NegmineTypeError, NegmineValueError
        A value is not a text; the message names the row.
    """
    pa = require("pyarrow", "arrow", "reading texts")
    table = dataset.select_columns([anchor, positive]).with_format("arrow")[:]
    anchors = _texts(pa, table.column(anchor), f"dataset[{anchor!r}]")
    positives = _texts(pa, table.column(positive), f"dataset[{positive!r}]")
    own = pa.array([], pa.large_string()) if corpus is None else _texts(pa, corpus, "corpus")
    queries = anchors.dictionary_encode()
    documents = pa.concat_arrays([own, positives]).dictionary_encode()
    query = queries.indices.to_numpy().astype(np.int64)
    document = documents.indices.to_numpy()[len(own) :].astype(np.int64)
    n_queries, n_documents = len(queries.dictionary), len(documents.dictionary)
    keys, first = np.unique(query * n_documents + document, return_index=True)
    order = np.lexsort((first, keys // n_documents))
    counts = np.bincount(query, minlength=n_queries)
    kept = np.bincount(keys // n_documents, minlength=n_queries)
    return Pairs(
        queries=queries.dictionary,
        corpus=documents.dictionary,
        offsets=np.concatenate([[0], np.cumsum(kept)]).astype(np.int64),
        items=(keys % n_documents)[order],
        places=order,
        positives=Positives.from_pairs(keys // n_documents, keys % n_documents, n_queries=n_queries),
        counts=counts,
    )


def _texts(pa: Any, value: Any, argument: str) -> Any:  # noqa: ANN401 (pyarrow and its arrays)
    """Convert texts to an Arrow array, and name the first row that is none."""
    if hasattr(value, "to_pylist") and hasattr(value, "type"):
        whole = value.combine_chunks() if isinstance(value, pa.ChunkedArray) else value
        if not (pa.types.is_string(whole.type) or pa.types.is_large_string(whole.type)):
            raise NegmineTypeError(f"`{argument}` must hold texts; got {whole.type}.")
        if whole.null_count:
            row = int(np.argmax(whole.is_null().to_numpy(zero_copy_only=False)))
            raise NegmineTypeError(f"`{argument}` must hold a text in every row; got None at row {row}.")
        return whole.cast(pa.large_string())
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        got = f"the string {value!r}" if isinstance(value, str) else type(value).__name__
        raise NegmineTypeError(f"`{argument}` must be a list of texts; got {got}.")
    refuse_unordered(value, argument)
    texts = list(value)
    other = next((row for row, text in enumerate(texts) if not isinstance(text, str)), None)
    if other is not None:
        raise NegmineTypeError(f"`{argument}` must hold texts; got {texts[other]!r} at row {other}.")
    refuse_surrogates(texts, argument)
    return pa.array(texts, pa.large_string())
