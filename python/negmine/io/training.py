"""Training rows in files, in the formats that trainers read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from negmine._core import files
from negmine._core.formats import TRAINING_ROWS
from negmine._core.options import check_choice
from negmine.data.texts import Texts
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.io.negatives import MinedRows, Written, as_mined, read_negatives
from negmine.io.records import with_provenance
from negmine.io.row_groups import write_tables
from negmine.mining.formats import FORMATS, NESTED, Format, RowMaker
from negmine.mining.negatives import HardNegatives
from negmine.mining.sides import Side

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_rows_path", "write_rows", "write_training_rows"]


def write_training_rows(
    negatives: HardNegatives | MinedRows | str | Path,
    path: object,
    *,
    format: Format,
    queries: Texts | None = None,
    documents: Texts | None = None,
    scores: bool = False,
    anchor_name: str = "anchor",
    positive_name: str = "positive",
) -> Written:
    """Write mined negatives as rows that trainers read.

    | format | columns or keys | with ``scores`` |
    | --- | --- | --- |
    | triplet | anchor, positive, negative | + scores: [positive's, negative's] |
    | n-tuple | anchor, positive, negative_1 to negative_n | + scores: [positive's, negatives' ...] |
    | labeled-pair | anchor, positive (any document), label | score instead of label |
    | labeled-list | anchor, positive (a list), labels (a list) | scores instead of labels |
    | ids | query_id, positive_id, negative_id_1 to _n | + scores: [positive's, negatives' ...] |
    | id-list | query_id, document_ids (a list), labels | scores instead of labels |
    | flagembedding | query, pos, neg | + pos_scores, neg_scores |
    | tevatron | query_id, query, positive_passages, negative_passages | + a score in every passage |

    Passages of "tevatron" hold docid, title and text. All positives of a query get the same negatives. Rows that do not
    fit the format are left out and counted: rows without a negative or without a positive and, for "n-tuple" and "ids",
    rows that are not full; "labeled-pair" keeps all. "ids" and "id-list" hold labels, which ``resolve_ids`` of
    sentence-transformers replaces by texts as batches are read.

    Parameters
    ----------
    negatives : HardNegatives, MinedRows or path
        Result of a miner or of [`read_negatives`][], or the path of its file.
    path : path
        ``.parquet`` or ``.jsonl``; the last two formats are always ``.jsonl``. The file is written under a temporary
        name and renamed.
    format : {"triplet", "n-tuple", "labeled-pair", "labeled-list", "ids", "id-list", "flagembedding", "tevatron"}
        Format of the rows.
    queries, documents : Texts, optional
        Texts of all queries and documents, in the order of their rows; a title goes before its text. Default: the
        labels are written, which the last two formats do not allow and the two formats of ids require.
    scores : bool, default False
        Whether scores are written.
    anchor_name : str, default "anchor"
        Name of the column of queries, for the first four formats.
    positive_name : str, default "positive"
        Name of the column of positives, for the first four formats.

    Returns
    -------
    Written

    Raises
    ------
    NegmineValueError
        The format is unknown, the suffix does not fit it, the texts belong to another data set, names of columns
        clash, or a positive is outside the corpus and therefore has no text.
    """
    check_choice(format, "format", FORMATS)
    target = check_rows_path(path, format)
    for side, argument in ((queries, "queries"), (documents, "documents")):
        if side is not None and not isinstance(side, Texts):
            raise NegmineTypeError(
                f"`{argument}` must be Texts; got {type(side).__name__}. `Texts.from_lists` makes them."
            )
    mined = read_negatives(negatives) if isinstance(negatives, str | Path) else as_mined(negatives)
    maker = RowMaker(
        format=format,
        queries=Side(queries, "queries"),
        documents=Side(documents, "documents"),
        width=int(mined.provenance["width"]),
        scores=scores,
        anchor_name=anchor_name,
        positive_name=positive_name,
    )
    return write_rows(target, mined, maker)


def check_rows_path(path: object, format: str) -> Path:
    """Validate the file for training rows of a format.

    Parameters
    ----------
    path : path
        The file.
    format : str
        One of the formats.

    Returns
    -------
    Path
    """
    target = files.as_path(path, "path")
    suffixes = (".jsonl",) if format in NESTED else (".parquet", ".jsonl")
    if files.suffix_of(target) not in suffixes:
        raise NegmineValueError(f"`path` must end in {' or '.join(suffixes)} for {format!r}; got {target}.")
    return target


def write_rows(path: Path, mined: MinedRows, maker: RowMaker) -> Written:
    """Write training rows.

    Parameters
    ----------
    path : Path
        ``.parquet`` or ``.jsonl``.
    mined : MinedRows
        Result rows.
    maker : RowMaker
        Converter of the rows.

    Returns
    -------
    Written
    """
    counts = {"rows": 0, "dropped": 0}

    def made() -> Iterator[pa.Table]:
        for table, dropped in maker.tables(mined.batches()):
            counts["rows"] += len(table)
            counts["dropped"] += dropped
            yield with_provenance(table, TRAINING_ROWS, mined.provenance, maker.format)

    if files.suffix_of(path) == ".parquet":
        write_tables(path, made())
    else:
        with files.atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            for table in made():
                file.writelines(f"{json.dumps(line, ensure_ascii=False)}\n" for line in table.to_pylist())
    return Written(path, counts["rows"], counts["dropped"])
