"""Negatives with the texts of their queries and documents: training rows in memory, and rows to read."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias, cast

import numpy.typing as npt

from negmine._core.arrays import CsrLike
from negmine._core.extras import require
from negmine._core.labels import as_ids
from negmine.data.texts import Texts, read_strings
from negmine.mining import formats
from negmine.mining.formats import Format, RowMaker
from negmine.mining.records import Records, RecordSource
from negmine.mining.shown import rows_as_text, rows_to_show
from negmine.mining.sides import Side

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

    from negmine.mining.negatives import HardNegatives

__all__ = ["TextsLike", "WithTexts", "as_side"]

#: Texts by row, or by label.
TextsLike: TypeAlias = Texts | Iterable[str] | Mapping[int, str] | Mapping[str, str]


class WithTexts:
    """Methods of negatives that take the texts of queries and documents."""

    __slots__ = ()

    def to_training_table(
        self,
        queries: TextsLike | None = None,
        documents: TextsLike | None = None,
        *,
        format: Format = "triplet",
        scores: bool = False,
        anchor_name: str = "anchor",
        positive_name: str = "positive",
        positives: CsrLike | None = None,
        document_ids: npt.ArrayLike | None = None,
    ) -> pa.Table:
        """Make training rows as an Arrow table. Needs the extra ``negmine[arrow]``.

        The rows are those that [`negmine.io.write_training_rows`][] writes, whose documentation has the columns of
        every format.

        Parameters
        ----------
        queries, documents : list of str, Texts or dict of label to str, optional
            Texts of all queries and documents, in the order of their rows: a list, an Arrow array, a pandas Series, a
            column of a ``datasets.Dataset`` or [`negmine.io.Texts`][], whose titles go before their texts. A
            dictionary has the texts of labels, or of row numbers where there are no labels. Default: the rows hold
            labels, which "flagembedding" and "tevatron" do not allow and "ids" and "id-list" require.
        format : {"triplet", "n-tuple", "labeled-pair", "labeled-list", "ids", "id-list", "flagembedding", "tevatron"}
            Format of the rows. Default: "triplet".
        scores : bool, default False
            Whether the rows have scores.
        anchor_name : str, default "anchor"
            Name of the column of queries, for the first four formats.
        positive_name : str, default "positive"
            Name of the column of positives, for the first four formats.
        positives : Positives, optional
            Positives of the mining call, for negatives that were loaded without their pool. Default: those of the pool.
        document_ids : int64 or str (n_documents,), optional
            Labels of all documents, for negatives that were loaded without their pool. Default: those of the pool.

        Returns
        -------
        pyarrow.Table
            Training rows. Result rows that do not fit the format are left out.

        Raises
        ------
        NegmineValueError, NegmineTypeError
            The format is unknown, the texts belong to another data set, names of columns clash, or a positive is
            outside the corpus and therefore has no text.

        Examples
        --------
        >>> import numpy as np, negmine
        >>> corpus = np.eye(3, dtype=np.float32)
        >>> negatives = negmine.mine(corpus[:1], corpus, [0], num_negatives=1)
        >>> negatives.to_training_table(["what purrs?"], ["cats", "dogs", "cows"]).to_pylist()
        [{'anchor': 'what purrs?', 'positive': 'cats', 'negative': 'dogs'}]
        """
        arrow = require("pyarrow", "arrow", "`to_training_table`")
        source = RecordSource.of(cast("HardNegatives", self), positives, None, 0, document_ids)
        maker = RowMaker(
            format=format,
            queries=as_side(queries, "queries"),
            documents=as_side(documents, "documents"),
            width=source.negatives.indices.shape[1],
            scores=scores,
            anchor_name=anchor_name,
            positive_name=positive_name,
        )
        return arrow.concat_tables([table for table, _ in maker.tables(_batches(source))])

    def to_dataset(
        self,
        queries: TextsLike | None = None,
        documents: TextsLike | None = None,
        *,
        format: Format = "triplet",
        scores: bool = False,
        anchor_name: str = "anchor",
        positive_name: str = "positive",
        positives: CsrLike | None = None,
        document_ids: npt.ArrayLike | None = None,
    ) -> datasets.Dataset:
        """Make training rows as a ``datasets.Dataset``. Needs the extra ``negmine[datasets]``.

        The rows are those of [`to_training_table`][]. Trainers of sentence-transformers take the first four formats
        as they are; ``resolve_ids`` of sentence-transformers replaces the labels of "ids" and "id-list" by texts as
        batches are read, so that texts are not repeated in memory.

        Parameters
        ----------
        queries, documents : list of str, Texts or dict of label to str, optional
            Texts of all queries and documents, as for [`to_training_table`][]. Default: the rows hold labels.
        format : {"triplet", "n-tuple", "labeled-pair", "labeled-list", "ids", "id-list", "flagembedding", "tevatron"}
            Format of the rows. Default: "triplet".
        scores : bool, default False
            Whether the rows have scores.
        anchor_name : str, default "anchor"
            Name of the column of queries, for the first four formats.
        positive_name : str, default "positive"
            Name of the column of positives, for the first four formats.
        positives : Positives, optional
            Positives of the mining call, for negatives that were loaded without their pool. Default: those of the pool.
        document_ids : int64 or str (n_documents,), optional
            Labels of all documents, for negatives that were loaded without their pool. Default: those of the pool.

        Returns
        -------
        datasets.Dataset
            Training rows. Texts are of type string, scores float64 and labels int64.

        Raises
        ------
        NegmineValueError, NegmineTypeError
            As for [`to_training_table`][].
        """
        found = require("datasets", "datasets", "`to_dataset`")
        table = self.to_training_table(
            queries,
            documents,
            format=format,
            scores=scores,
            anchor_name=anchor_name,
            positive_name=positive_name,
            positives=positives,
            document_ids=document_ids,
        )
        return found.Dataset(_with_short_offsets(table))

    def show(
        self,
        queries: TextsLike | None = None,
        documents: TextsLike | None = None,
        *,
        rows: int | slice | npt.ArrayLike = 5,
        seed: int = 0,
        width: int | None = None,
        positives: CsrLike | None = None,
        document_ids: npt.ArrayLike | None = None,
        file: TextIO | None = None,
    ) -> None:
        """Print some result rows: the query, its positives, its negatives, their scores and the reference.

        Negatives that score above the reference are marked, random ones are named so, and a short row states its
        reason.

        Parameters
        ----------
        queries, documents : list of str, Texts or dict of label to str, optional
            Texts of all queries and documents, as for [`to_training_table`][]. Default: labels are printed.
        rows : int, slice, bool (n_rows,) or int64 (any,), default 5
            Number of rows to draw, or the rows.
        seed : int, default 0
            Seed of the draw, in [0, 2**64).
        width : int, optional
            Characters per line, at least 40; longer texts are cut. Default: the width of the terminal.
        positives : Positives, optional
            Positives of the mining call, for negatives that were loaded without their pool. Default: those of the pool.
        document_ids : int64 or str (n_documents,), optional
            Labels of all documents, for negatives that were loaded without their pool. Default: those of the pool.
        file : text file, optional
            Where the text is written, such as an ``io.StringIO``. Default: standard output.

        Raises
        ------
        NegmineValueError, NegmineTypeError
            An argument is invalid, or the texts belong to another data set.

        Examples
        --------
        >>> import numpy as np, negmine
        >>> corpus = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
        >>> negatives = negmine.mine(corpus[:1], corpus, [1], num_negatives=2)
        >>> negatives.show(["what purrs?"], ["a cat", "cats purr", "a dog"])
        row 0, query 0: what purrs?
          positive    0.6000  1: cats purr
          negative    1.0000  above reference, 0: a cat
          negative    0.0000  2: a dog
          reference   0.6000  of its positive
        """
        source = RecordSource.of(cast("HardNegatives", self), positives, None, 0, document_ids)
        text = rows_as_text(
            source,
            rows_to_show(rows, len(source.negatives), seed),
            as_side(queries, "queries"),
            as_side(documents, "documents"),
            shutil.get_terminal_size().columns if width is None else width,
        )
        print(text, file=file)


def as_side(texts: TextsLike | None, argument: str) -> Side:
    """Read texts by row or by label.

    Parameters
    ----------
    texts : list of str, Texts, dict of label to str, or None
        The texts.
    argument : str
        Name of the argument, for error messages.

    Returns
    -------
    Side
        The lookup of texts; of labels without texts.
    """
    if texts is None or isinstance(texts, Texts):
        return Side(texts, argument)
    if isinstance(texts, Mapping):
        strings = read_strings(cast("Iterable[str]", texts.values()), argument)
        return Side(Texts(as_ids(list(texts), argument, len(strings)), strings), argument, by_label=True)
    read = Texts.from_lists(read_strings(texts, argument))
    return Side(read, argument)


def _batches(source: RecordSource) -> Iterator[Records]:
    n = len(source.negatives)
    for begin in range(0, max(n, 1), formats.STEP):
        yield source.records(begin, min(begin + formats.STEP, n))


def _with_short_offsets(table: pa.Table) -> pa.Table:
    """Give texts Arrow's type string, which the data sets of others have; chunks are short enough for it."""
    arrow = require("pyarrow", "arrow", "`to_dataset`")

    def short(kind: Any) -> Any:  # noqa: ANN401 (types of Arrow)
        if arrow.types.is_large_string(kind):
            return arrow.string()
        if arrow.types.is_list(kind):
            return arrow.list_(short(kind.value_type))
        if arrow.types.is_struct(kind):
            return arrow.struct([(kind.field(i).name, short(kind.field(i).type)) for i in range(kind.num_fields)])
        return kind

    return table.cast(arrow.schema([(field.name, short(field.type)) for field in table.schema]))
