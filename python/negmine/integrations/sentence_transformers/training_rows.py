"""The result of the miner of sentence-transformers: a ``datasets.Dataset`` that is made from Arrow tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.extras import require
from negmine.data.texts import Texts
from negmine.integrations.sentence_transformers.arguments import Arguments
from negmine.integrations.sentence_transformers.candidates import Found
from negmine.integrations.sentence_transformers.pairs import Pairs
from negmine.mining.formats import RowMaker
from negmine.mining.records import Lists, Records
from negmine.mining.sides import Side

__all__ = ["make_dataset"]

#: Queries whose rows are made at once; an Arrow array of strings holds at most 2 GiB.
STEP = 4096

Int64s = npt.NDArray[np.int64]


def make_dataset(pairs: Pairs, found: Found, arguments: Arguments) -> Any:  # noqa: ANN401 (a datasets.Dataset)
    """Make the training rows.

    Parameters
    ----------
    pairs : Pairs
        Queries, corpus and positives.
    found : Found
        Negatives of every query.
    arguments : Arguments
        Format, scores and names of columns.

    Returns
    -------
    datasets.Dataset
    """
    pa = require("pyarrow", "arrow", "making training rows")
    datasets = require("datasets", "sentence-transformers", "making training rows")
    maker = RowMaker(
        format=arguments.output_format,
        queries=Side(Texts(np.arange(len(pairs.queries)), pairs.queries), "queries"),
        documents=Side(Texts(np.arange(len(pairs.corpus)), pairs.corpus), "documents"),
        width=arguments.num_negatives,
        scores=arguments.output_scores,
        anchor_name=arguments.anchor,
        positive_name=arguments.positive,
    )
    made = [table for table, _ in maker.tables(_records(pairs, found))]
    # `datasets` distinguishes strings with offsets of 32 and of 64 bits.
    tables = [table.cast(_schema(pa, table.schema)) for table in made]
    return datasets.Dataset(pa.concat_tables(tables))


def _schema(pa: Any, schema: Any) -> Any:  # noqa: ANN401 (pyarrow and its schemas)
    """Return the schema with the types that ``Dataset.from_dict`` gives to Python lists."""
    kinds = {pa.large_string(): pa.string(), pa.float32(): pa.float64()}

    def kind(of: Any) -> Any:  # noqa: ANN401 (types of Arrow)
        return pa.list_(kind(of.value_type)) if pa.types.is_list(of) else kinds.get(of, of)

    return pa.schema([pa.field(field.name, kind(field.type)) for field in schema])


def _records(pairs: Pairs, found: Found) -> Iterator[Records]:
    """Yield the result rows, some queries at a time."""
    for begin in range(0, len(pairs.queries), STEP):
        rows = slice(begin, begin + STEP)
        offsets = pairs.offsets[begin : begin + STEP + 1]
        own = slice(int(offsets[0]), int(offsets[-1]))
        indices, counts = found.indices[rows], found.counts[rows]
        real = indices >= 0
        query = np.arange(begin, begin + len(counts))
        yield Records(
            query,
            query,
            np.full(len(counts), np.nan),
            np.zeros(len(counts), dtype=np.uint8),
            _lists(offsets - offsets[0], pairs.items[own], found.positive_scores[own]),
            _lists(np.concatenate([[0], np.cumsum(counts)]), indices[real], found.scores[rows][real]),
            np.zeros(int(counts.sum()), dtype=np.uint8),
        )


def _lists(offsets: Int64s, indices: Int64s, scores: npt.NDArray[np.float32]) -> Lists:
    return Lists(offsets, indices, indices, scores.astype(np.float64))
