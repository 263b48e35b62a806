"""Mined negatives as a data set for the trainers of sentence-transformers.

The data set holds row numbers. A transform joins the texts when a batch is read, from the newest generation of a
[`negmine.torch.NegativesTable`][]. The loader reads a batch in one call, so a batch is of one generation; workers
map a new generation before their next batch. The number of rows and the columns never change.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine._core.extras import require
from negmine._core.options import check_choice, check_integer, refuse_unknown_options
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError, NegmineWarning
from negmine.store.negatives_table import NegativesTable
from negmine.torch.data.dataset import NegativesDataset

__all__ = ["negatives_dataset"]


@refuse_unknown_options("negatives_dataset")
def negatives_dataset(
    table: NegativesTable,
    queries: Sequence[str],
    documents: Sequence[str],
    *,
    positives: Positives | npt.ArrayLike | None = None,
    format: Literal["triplet", "n-tuple"] = "n-tuple",
    num_negatives: int | None = None,
    short: Literal["error", "repeat"] = "error",
) -> Any:  # noqa: ANN401 (a datasets.Dataset)
    """Make a ``datasets.Dataset`` of queries, positives and the current negatives of a table.

    Its columns are ``query``, ``positive``, ``negative`` (or ``negative_1``, ``negative_2``, ...), and ``label``: the
    ids ``[query, positive, negative, ...]`` of the row, which [`MaskedMultipleNegativesRankingLoss`][] needs and
    losses without labels ignore. Texts and ids are read from the newest generation of the table, once per batch.

    Parameters
    ----------
    table : NegativesTable
        Table of mined negatives, to which [`NegativesCallback`][], [`negmine.torch.redraw`][] or
        [`negmine.torch.refresh`][] publish.
    queries : sequence of n_queries str
        Texts of the queries, in row order. A column of a ``datasets.Dataset`` stays memory-mapped, and is not copied to
        workers.
    documents : sequence of n_documents str
        Texts of the documents, in row order, likewise.
    positives : Positives or int64 (n_rows,), optional
        Positives of the rows, as of [`negmine.torch.NegativesDataset`][]. Default: the positives of mining with
        ``reference="each"``.
    format : {"triplet", "n-tuple"}, default "n-tuple"
        "n-tuple" makes one row per positive pair, with ``num_negatives`` columns of negatives; "triplet" makes
        ``num_negatives`` rows per positive pair, with one negative each.
    num_negatives : int, optional
        Number of negatives per positive pair, the first of the table. Default: the width of the table.
    short : {"error", "repeat"}, default "error"
        Handling of table rows with fewer negatives. "error" leaves out positive pairs whose row is short now, with a
        warning, and raises an error when a row is short in a later generation. "repeat" repeats the negatives of a
        short row in turn; only rows without any are left out, or raise the error.

    Returns
    -------
    datasets.Dataset
        Map-style data set, for any batch sampler. Select and shuffle it freely; a pickled data set reads the same
        table.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If an argument is invalid, there are no positives, or no row has enough negatives. When a batch is read: if a
        row of a later generation has too few negatives, or the table no longer exists.

    Warns
    -----
    NegmineWarning
        If positive pairs are left out because their rows have too few negatives.

    Notes
    -----
    The Arrow columns behind the transform hold row numbers: of the query, of the positive, and null for negatives,
    which change. So [`no_duplicate_batch_sampler`][] compares queries and positives by row, and not the negatives:
    a negative may be the positive of another row, which the loss with a mask takes into account. A single column cannot
    be read alone, except by slicing first: ``dataset[:10]["query"]``.

    In a ``DatasetDict``, torch reads the rows of a batch one by one. If a generation is published while it does, which
    only happens with ``every_steps`` and workers, a batch may then have rows of both generations.

    Examples
    --------
    >>> import numpy as np, negmine, tempfile
    >>> from negmine.torch import NegativesTable
    >>> from negmine.integrations.sentence_transformers import negatives_dataset
    >>> corpus = np.eye(4, dtype=np.float32)
    >>> negatives = negmine.mine(corpus[:2], corpus, [[0], [1]], num_negatives=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = NegativesTable.create(folder, negatives)
    ...     dataset = negatives_dataset(table, ["a", "b"], ["A", "B", "C", "D"], positives=[0, 1])
    ...     first = dataset[0]
    >>> dataset.column_names
    ['query', 'positive', 'negative_1', 'negative_2', 'label']
    >>> first
    {'query': 'a', 'positive': 'A', 'negative_1': 'B', 'negative_2': 'C', 'label': [0, 0, 1, 2]}
    """
    if not isinstance(table, NegativesTable):
        raise NegmineTypeError(f"`table` must be a NegativesTable; got {type(table).__name__}.")
    for name, texts in {"queries": queries, "documents": documents}.items():
        if texts is None:
            raise NegmineTypeError(f"`{name}` must be a sequence of texts; got None.")
    form = check_choice(format, "format", ("triplet", "n-tuple"))
    repeats = check_choice(short, "short", ("error", "repeat")) == "repeat"
    rows = table.current()
    if positives is None and not (rows.positive_indices >= 0).any():
        raise NegmineValueError(
            '`positives` must be given unless negatives are mined with `reference="each"`; got None.'
        )
    width = rows.indices.shape[1]
    wanted = width if num_negatives is None else num_negatives
    n = check_integer(wanted, "num_negatives", least=1, most=width)
    samples = NegativesDataset(queries, documents, table, positives=positives, drop_unpositive=True)
    least = 1 if repeats else n
    kept = np.flatnonzero(rows.counts[samples.result_rows] >= least)
    n_short = len(samples) - len(kept)
    if len(kept) == 0:
        raise NegmineValueError(
            f"`num_negatives` must be at most the number of negatives of some row; got {n}, and all {n_short} positive "
            "pairs have fewer."
        )
    if n_short:
        warnings.warn(
            f"{n_short} of {len(samples)} positive pairs are left out: their rows have fewer than {least} negatives.",
            NegmineWarning,
            stacklevel=3,
        )
    numbers, names = kept, [f"negative_{place + 1}" for place in range(n)]
    if form == "triplet":
        numbers, names = (kept[:, None] * n + np.arange(n)).reshape(-1), ["negative"]
    # The transform reads the number of a row from the label column, which samplers do not take for a document.
    pairs = numbers // n if form == "triplet" else numbers
    pa = require("pyarrow", "arrow", "`negatives_dataset`")
    columns = {"query": pa.array(samples.query_indices[pairs]), "positive": pa.array(samples.positive_indices[pairs])}
    columns |= {name: pa.nulls(len(numbers), pa.int64()) for name in names} | {"label": pa.array(numbers)}
    datasets: Any = require("datasets", "test", "`negatives_dataset`")
    dataset = datasets.Dataset(pa.table(columns))
    dataset.set_transform(_Join(samples, n, form == "triplet", least))
    return dataset


class _Join:
    """Transform of a batch of row numbers to texts and ids; one read of the table per call."""

    __slots__ = ("_least", "_num_negatives", "_samples", "_triplets")

    def __init__(self, samples: NegativesDataset, num_negatives: int, triplets: bool, least: int) -> None:
        self._samples, self._num_negatives, self._triplets, self._least = samples, num_negatives, triplets, least

    def __deepcopy__(self, _: object) -> _Join:
        # `with_format` and `select` of a data set copy its transform; the texts stay where they are.
        return self

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if "label" not in batch:
            raise NegmineTypeError(
                f"`dataset` must be read with its column 'label'; got {sorted(batch)}. Slice rows first, then take a "
                "column."
            )
        numbers = np.asarray(batch["label"], dtype=np.int64)
        n = self._num_negatives
        pairs, places = np.divmod(numbers, n) if self._triplets else (numbers, None)
        columns = self._samples.__getitems__(pairs.tolist()).columns
        counts = columns["count"]
        self._check(columns)
        # Places of the negatives; those of a short row repeat in turn.
        wanted = np.arange(n)[None] if places is None else places[:, None]
        chosen = wanted % np.minimum(counts, n)[:, None].astype(np.int64)
        ids = np.take_along_axis(columns["negative_indices"], chosen, axis=1)
        joined = {"query": columns["query"], "positive": columns["positive"]}
        for column in range(chosen.shape[1]):
            name = "negative" if self._triplets else f"negative_{column + 1}"
            joined[name] = [
                texts[place] for texts, place in zip(columns["negatives"], chosen[:, column].tolist(), strict=True)
            ]
        pair_ids = np.stack([columns["query_index"], columns["positive_index"]], axis=1)
        joined["label"] = np.concatenate([pair_ids, ids], axis=1).tolist()
        return {name: joined.get(name, values) for name, values in batch.items()}

    def _check(self, columns: dict[str, Any]) -> None:
        """Refuse a row that has too few negatives in this generation."""
        short = columns["count"] < self._least
        if short.any():
            place = int(np.argmax(short))
            generation, count, query = (columns[name][place] for name in ("generation", "count", "query_index"))
            raise NegmineValueError(
                f"`table` must have {self._least} negatives or more for every row in every generation; generation "
                f"{generation} has {count} for query {query}. Mine with a wider range or softer rules, or make the "
                "data set with fewer `num_negatives` or with `short='repeat'`."
            )
