"""Hard negatives: the result arrays that training code reads.

The arrays are rectangular, with padding and a count per row, instead of ragged lists. A data loader can index them,
tensors can share their memory, and a short row is reported as short instead of being filled up.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core import archive, files, formats
from negmine._core.arrays import check_field
from negmine._core.extras import require
from negmine._core.labels import (
    Ids,
    LabelArray,
    Labeled,
    PartialLabels,
    from_arrays,
    take_ids,
    take_labels,
    to_arrays,
    to_arrow,
)
from negmine._core.options import check_epoch, check_flag, check_integer, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining import policies, result_rows
from negmine.mining.bands import to_positives
from negmine.mining.draw import Draw
from negmine.mining.pictures import draw_negatives
from negmine.mining.report import LINE_NAMES, Report, Source
from negmine.mining.with_texts import WithTexts

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from negmine.mining.pool import CandidatePool

__all__ = ["HardNegatives", "LabelIssues"]

#: A positive is a label issue if more candidates than this score above it.
IMPLAUSIBLE_RANK = 100


@short_repr
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LabelIssues:
    """Negatives and positives whose labels may be wrong, made by [`HardNegatives.label_issues`][].

    Attributes
    ----------
    result_rows, columns : int64 (n,)
        Positions in ``HardNegatives.indices`` of the negatives that score above their reference, largest excess first.
    excess : float64 (n,)
        Score minus reference score, at float32 precision.
    low_positives : int64 (m,)
        Result rows whose labeled positive ranks implausibly low: more than ``rank`` candidates score above the cap or
        the reference. Rows with the most such candidates come first.
    above : int64 (m,)
        Number of these candidates per row in ``low_positives``; a lower bound.
    undecided : int64 (k,)
        Result rows whose positive may rank as low, but of which too few candidates are known. A pool with
        ``range_max`` above ``rank`` decides every row of a scan.
    """

    result_rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    excess: npt.NDArray[np.float64]
    low_positives: npt.NDArray[np.int64]
    above: npt.NDArray[np.int64]
    undecided: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HardNegatives(Labeled, WithTexts):
    """Hard negatives per result row.

    Attributes
    ----------
    indices : int64 (n_rows, width)
        Row numbers of the documents: mined ones best first, then random ones in the order drawn; padded with -1;
        ``width = num_negatives + num_random``.
    scores : float32 (n_rows, width)
        Scores rounded to float32, padded with -inf; NaN for a random negative whose score the source does not know.
    counts : int32 (n_rows,)
        Number of negatives per row.
    reasons : uint8 (n_rows,)
        Why a row is short, as a [`Reason`][].
    source : uint8 (n_rows, width)
        Origin of each negative, as a [`Source`][].
    above_reference : bool (n_rows, width)
        Whether the canonical score is above the reference score; False for padding and without a reference.
    log_prob : float64 (n_rows, width)
        Log-probability that the document is selected, given the draws of the other documents of the row: 0 if the
        choice does not depend on a draw. Its inverse makes sums over the pool (random negatives: over all admissible
        candidates) unbiased, if every document can be selected. NaN for padding, under ``limit_per_document``, and for
        uniform random negatives if floors, or caps on a list, hide how many documents can be drawn.
    reference_scores : float64 (n_rows,)
        Score that margins refer to; NaN without positives.
    positive_scores : float64 (n_positives,)
        Scores of the positives, aligned with their CSR.
    query_indices : int64 (n_rows,)
        Query of every result row, counted from row 0 of the whole data set (``query_offset`` included).
    positive_indices : int64 (n_rows,)
        Positive of every result row under ``reference="each"``, else -1.
    report : Report
        Number of documents that each rule rejected.
    epoch : int
        Epoch of the draws.
    draw : Draw
        Options of the draws, which [`redraw`][] reuses.
    document_ids : int64 (n_documents,), Strings, PartialLabels or None
        Labels of all documents; after [`load`][], of those that occur.
    pool : CandidatePool or None
        Pool from which the negatives were selected; None after [`load`][] without a pool.
    query_ids : PartialLabels or None
        Labels of queries, by their rows in the whole data set; [`query_labels`][] has those of all result rows.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.eye(4, dtype=np.float32)
    >>> negatives = negmine.mine(corpus[:2], corpus, [[0], [1]], num_negatives=2, sampling="random")
    >>> negatives.indices.shape, negatives.counts.tolist(), negatives.redraw(epoch=1).epoch
    ((2, 2), [2, 2], 1)
    """

    indices: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int32]
    reasons: npt.NDArray[np.uint8]
    source: npt.NDArray[np.uint8]
    above_reference: npt.NDArray[np.bool_]
    log_prob: npt.NDArray[np.float64]
    reference_scores: npt.NDArray[np.float64]
    positive_scores: npt.NDArray[np.float64]
    query_indices: npt.NDArray[np.int64]
    positive_indices: npt.NDArray[np.int64]
    report: Report
    epoch: int
    draw: Draw
    document_ids: Ids | PartialLabels | None = None
    pool: CandidatePool | None = field(default=None, repr=False)
    query_ids: PartialLabels | None = None
    _ids: LabelArray | None = field(default=None, init=False)
    _query_labels: LabelArray | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        counts = check_field(self.counts, "counts", np.int32, (None,))
        n = len(counts)
        indices = check_field(self.indices, "indices", np.int64, (n, None))
        arrays: dict[str, npt.NDArray[Any]] = {"counts": counts, "indices": indices}
        dtypes = {"scores": np.float32, "source": np.uint8, "above_reference": np.bool_, "log_prob": np.float64}
        arrays |= {name: check_field(getattr(self, name), name, dtypes[name], indices.shape) for name in dtypes}
        arrays["reasons"] = check_field(self.reasons, "reasons", np.uint8, (n,))
        arrays["reference_scores"] = check_field(self.reference_scores, "reference_scores", np.float64, (n,))
        arrays["positive_scores"] = check_field(self.positive_scores, "positive_scores", np.float64, (None,))
        for name in ("query_indices", "positive_indices"):
            arrays[name] = check_field(getattr(self, name), name, np.int64, (n,))
        for name, array in arrays.items():
            object.__setattr__(self, name, array)
        if self.query_ids is not None:
            _check_query_labels(self.query_ids, arrays["query_indices"])

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def query_labels(self) -> LabelArray:
        """Labels of the queries, int64 or str objects (n_rows,), one per result row; made at first access.

        They equal ``query_indices`` if the queries have no labels.
        """
        if self._query_labels is None:
            object.__setattr__(self, "_query_labels", take_labels(self.query_ids, self.query_indices))
        return self._query_labels  # type: ignore[return-value]

    def __repr__(self) -> str:
        width, full = self.indices.shape[1], int((self.counts == self.indices.shape[1]).sum())
        kept = "" if self.pool is None else ", with pool"
        return f"HardNegatives({len(self)} rows x {width}, {full} full, epoch {self.epoch}{kept})"

    def __getitem__(self, rows: slice | npt.ArrayLike) -> HardNegatives:
        """Return some result rows, in the order given, with the same draw, their report and their rows of the pool.

        ``positive_scores`` stay those of all positives of the call, aligned with their CSR. [`redraw`][] gives these
        rows the same negatives as the whole, except with ``limit_per_document``, which then counts these rows alone.

        Parameters
        ----------
        rows : slice, bool (n_rows,) or int64 (any,)
            A range of result rows, a mask, or row numbers.

        Returns
        -------
        HardNegatives

        Raises
        ------
        NegmineValueError, NegmineTypeError
            A row does not exist, or the value has another type.

        Examples
        --------
        >>> import numpy as np, negmine
        >>> corpus = np.eye(4, dtype=np.float32)
        >>> negatives = negmine.mine(corpus, corpus, [0, 1, 2, 3], num_negatives=2)
        >>> negatives[:2].query_indices.tolist(), negatives[negatives.query_indices > 1].query_indices.tolist()
        ([0, 1], [2, 3])
        """
        return result_rows.take_negatives(self, result_rows.read_rows(rows, len(self)))

    @classmethod
    def concatenate(cls, negatives: Iterable[HardNegatives]) -> HardNegatives:
        """Return the result rows of several negatives, one after the other.

        The pools are concatenated as by [`CandidatePool.concatenate`][]; the result has none if a part has none.
        ``positive_scores`` of slices of one result stay what they are, those of several calls follow each other.

        Parameters
        ----------
        negatives : iterable of HardNegatives
            Slices of one result, or results of several calls for different queries (``query_offset``), of the same
            documents, draw and epoch.

        Returns
        -------
        HardNegatives

        Raises
        ------
        NegmineValueError, NegmineTypeError
            The negatives differ in what must be equal, or two calls have the same query row.

        Examples
        --------
        >>> import numpy as np, negmine
        >>> corpus = np.eye(4, dtype=np.float32)
        >>> parts = [negmine.mine(corpus[i : i + 2], corpus, [i, i + 1], query_offset=i) for i in (0, 2)]
        >>> negmine.HardNegatives.concatenate(parts).query_indices.tolist()
        [0, 1, 2, 3]
        """
        return result_rows.join_negatives(cls, negatives)

    @refuse_unknown_options("redraw")
    def redraw(self, epoch: int, *, num_threads: int | None = None) -> HardNegatives:
        """Select negatives from the same pool for another epoch, without a scan.

        Parameters
        ----------
        epoch : int
            Epoch of the draws, in [0, 2**64).
        num_threads : int, optional
            Number of threads. Default: all cores available to this process.

        Returns
        -------
        HardNegatives

        Raises
        ------
        NegmineValueError
            The negatives have no pool, because they were loaded without it.
        """
        if self.pool is None:
            raise NegmineValueError("`redraw` must have the pool; got negatives that were saved without `pool=True`.")
        options = {option.name: getattr(self.draw, option.name) for option in fields(Draw)}
        return self.pool.select(**options, epoch=epoch, num_threads=num_threads)

    @refuse_unknown_options("label_issues")
    def label_issues(self, *, rank: int = IMPLAUSIBLE_RANK) -> LabelIssues:
        """Return negatives that score above their reference, and positives that rank implausibly low.

        Candidates above a positive are counted by caps, in the report, and in the pool, up to its width. Mine with
        ``range_max`` above ``rank``, or with margins, to know the rank of every positive; rows of which too few
        candidates are known are ``undecided``.

        Parameters
        ----------
        rank : int, default 100
            A positive is reported if more candidates than this score above the cap or the reference of its row.

        Returns
        -------
        LabelIssues
        """
        rows, columns = np.nonzero(self.above_reference)
        check_integer(rank, "rank", least=0)
        excess = np.maximum(self.scores[rows, columns] - self.reference_scores[rows], 0.0)
        order = np.argsort(-excess, kind="stable")
        above, most = self._candidates_above()
        low = np.flatnonzero(above > rank)
        low = low[np.argsort(-above[low], kind="stable")]
        undecided = np.flatnonzero((above <= rank) & (most > rank) & ~np.isnan(self.reference_scores))
        return LabelIssues(rows[order], columns[order], excess[order], low, above[low], undecided)

    def _candidates_above(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the least and the greatest number of candidates above the cap or the reference of every row."""
        lines, reference = self.report.lines, self.reference_scores
        capped = lines["above_max_score"] + lines["above_absolute_margin"] + lines["above_relative_margin"]
        unknown = np.int64(self.report.n_documents)
        if self.pool is None:
            return capped + self.above_reference.sum(axis=1), np.full(len(self), unknown)
        pool = self.pool
        found = (pool.scores > reference[:, None]).sum(axis=1)
        # Ranks before the pool are above its documents. If none of these is above the reference, they may be.
        skipped = unknown if pool.skipped is None else np.int64(pool.skipped)
        least = capped + found + np.where((found > 0) & (pool.skipped is not None), skipped, 0)
        most = least + np.where(found > 0, 0 if pool.skipped is not None else unknown, skipped)
        # All known documents are above, and the pool ends because it is full or its list is; or floors leave some out.
        unlisted = lines["unlisted"] > 0
        ends = (found == pool.indices.shape[1]) | ((found == pool.counts) & unlisted) | (pool.floor_scores > reference)
        most = np.where(ends, unknown, most)
        # Caps at or below the reference have counted everything above it, unless a list ends above them.
        complete = (pool.cap_scores <= reference) & ~(unlisted & (pool.counts == 0))
        return least, np.where(complete, least, most)

    def to_positives(self) -> Positives:
        """Return the negatives as positives of their queries, such as the best pseudo-positive of a teacher.

        Returns
        -------
        Positives
            Per query, the negatives of all of its result rows, without its positives.

        Raises
        ------
        NegmineValueError
            The negatives have no pool, because they were loaded without it.
        """
        if self.pool is None:
            raise NegmineValueError(
                "`to_positives` must have the pool; got negatives that were saved without `pool=True`."
            )
        return to_positives(self.pool, self.indices)

    def to_arrow(self) -> pa.Table:
        """Convert to an Arrow table with one row per result row. Needs the extra ``negmine[arrow]``.

        Returns
        -------
        pyarrow.Table
            The columns query_index, query_id, positive_index, reference_score and reason, and the lists
            negative_indices, negative_ids, scores and source.
        """
        arrow = require("pyarrow", "arrow", "`to_arrow`")
        real = self.source != Source.PADDING
        offsets = np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int32)
        lists = {
            "negative_indices": self.indices[real],
            "negative_ids": to_arrow(take_ids(self.document_ids, self.indices[real])),
            "scores": self.scores[real],
            "source": self.source[real],
        }
        columns: dict[str, Any] = {
            "query_index": self.query_indices,
            "query_id": to_arrow(take_ids(self.query_ids, self.query_indices)),
            "positive_index": self.positive_indices,
            "reference_score": self.reference_scores,
            "reason": self.reasons,
        }
        for name, values in lists.items():
            columns[name] = arrow.ListArray.from_arrays(offsets, arrow.array(values))
        return arrow.table(columns)

    def to_pandas(self) -> pd.DataFrame:
        """Convert to a data frame with one row per negative. Needs the extra ``negmine[pandas]``.

        Returns
        -------
        pandas.DataFrame
            The columns query_index, query_id, positive_index, rank, document_index, document_id, score and source.
        """
        pandas = require("pandas", "pandas", "`to_pandas`")
        result_row, rank = np.nonzero(self.source != Source.PADDING)
        return pandas.DataFrame(
            {
                "query_index": self.query_indices[result_row],
                "query_id": self.query_labels[result_row],
                "positive_index": self.positive_indices[result_row],
                "rank": rank,
                "document_index": self.indices[result_row, rank],
                "document_id": self.ids[result_row, rank],
                "score": self.scores[result_row, rank],
                "source": self.source[result_row, rank],
            }
        )

    def to_torch(self) -> dict[str, Any]:
        """Convert to torch tensors that share memory with the arrays. Needs the extra ``negmine[torch]``.

        Returns
        -------
        dict of str to torch.Tensor
            The tensors indices, scores, counts, source, query_indices and positive_indices.
        """
        torch = require("torch", "torch", "`to_torch`")
        names = ("indices", "scores", "counts", "source", "query_indices", "positive_indices")
        return {name: torch.from_numpy(getattr(self, name)) for name in names}

    @refuse_unknown_options("save")
    def save(self, path: str | os.PathLike[str], *, pool: bool = False) -> None:
        """Write one ``.npz`` file, atomically.

        Parameters
        ----------
        path : path
            The file; its folder must exist.
        pool : bool, default False
            Whether to save the pool as well, in ``<name>.pool.npz``; ``CandidatePool.load`` reads this file.

        Raises
        ------
        NegmineValueError
            The folder does not exist, or ``pool`` is True and the negatives have no pool.
        """
        files.check_target(files.as_path(path, "path"))
        if check_flag(pool, "pool"):
            if self.pool is None:
                raise NegmineValueError("`pool` must be False for negatives without a pool; got True.")
            self.pool.save(_pool_path(path))
        header = {
            "epoch": self.epoch,
            "draw": asdict(self.draw) | {"sampling": policies.to_json(self.draw.sampling)},
            "report": self.report.header(),
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        if self.document_ids is not None:
            labeled = np.unique(self.indices[self.indices >= 0])
            arrays |= {"labeled": labeled, **to_arrays("labels", take_ids(self.document_ids, labeled))}
        if self.query_ids is not None:
            queries = np.unique(self.query_indices)
            arrays |= {"labeled_queries": queries, **to_arrays("query_labels", take_ids(self.query_ids, queries))}
        archive.write(path, formats.HARD_NEGATIVES, header, arrays | self.report.arrays())

    @classmethod
    @refuse_unknown_options("load")
    def load(cls, path: str | os.PathLike[str], *, pool: CandidatePool | None = None) -> HardNegatives:
        """Load negatives from a file that [`save`][] wrote.

        Parameters
        ----------
        path : path
            The file.
        pool : CandidatePool, optional
            The pool from which the negatives were drawn, which [`redraw`][] needs. ``CandidatePool.load`` reads the
            pool that ``save(..., pool=True)`` wrote.

        Returns
        -------
        HardNegatives

        Raises
        ------
        NegmineValueError
            There is no such file, it does not hold hard negatives, or ``pool`` is not the pool of these negatives.
        """
        form = formats.HARD_NEGATIVES
        header, arrays = archive.read(path, form, _ENTRIES, (*_ARRAYS, *LINE_NAMES))
        with archive.whole(path, form):
            negatives = cls(
                **{name: arrays[name] for name in _ARRAYS},
                report=Report.from_header(header["report"], arrays),
                epoch=check_epoch(header["epoch"]),
                draw=Draw(**header["draw"] | {"sampling": policies.from_json(header["draw"]["sampling"])}),
                document_ids=_labels_of(arrays, "labels", "labeled"),
                query_ids=_labels_of(arrays, "query_labels", "labeled_queries"),
                pool=pool,
            )
        if pool is not None:
            for name in ("query_indices", "positive_indices", "reference_scores", "positive_scores"):
                if not np.array_equal(getattr(pool, name), getattr(negatives, name), equal_nan=name.endswith("scores")):
                    raise NegmineValueError(
                        f"`pool` must be the pool of the negatives in {path}; got different `{name}`."
                    )
        return negatives

    def plot(self) -> npt.NDArray[np.object_]:
        """Plot scores, scores by rank, hubs and the reasons of short rows. Needs the extra ``negmine[plot]``.

        Returns
        -------
        matplotlib.axes.Axes (4,)
            Axes of the histograms of scores, of the scores by rank, of the documents that are negatives of most rows,
            and of the reasons. ``axes[0].figure`` is the figure.
        """
        return draw_negatives(self)


#: Entries of the header of a file, with their types.
_ENTRIES: archive.Entries = {"epoch": int, "draw": dict, "report": dict}

#: Array fields that are saved.
_ARRAYS = (
    "indices",
    "scores",
    "counts",
    "reasons",
    "source",
    "above_reference",
    "log_prob",
    "reference_scores",
    "positive_scores",
    "query_indices",
    "positive_indices",
)


def _labels_of(arrays: Mapping[str, npt.NDArray[Any]], name: str, rows: str) -> PartialLabels | None:
    """Return labels of a file, and the rows that have them; None if it has none."""
    labels = from_arrays(name, arrays)
    if labels is None:
        return None
    return PartialLabels(check_field(arrays[rows], rows, np.int64, (None,)), labels)


def _check_query_labels(labels: object, query_indices: npt.NDArray[np.int64]) -> None:
    """Refuse labels that are not those of the queries of all result rows."""
    if not isinstance(labels, PartialLabels):
        raise NegmineTypeError(f"`query_ids` must be PartialLabels; got {type(labels).__name__}.")
    missing = ~np.isin(query_indices, labels.rows)
    if missing.any():
        raise NegmineValueError(
            f"`query_ids` must label the query of every result row; got none for query row {query_indices[missing][0]}."
        )


def _pool_path(path: str | os.PathLike[str]) -> Path:
    target = files.as_path(path, "path")
    return target.with_name(f"{target.name.removesuffix('.npz')}.pool.npz")
