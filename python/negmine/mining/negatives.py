"""Hard negatives: the arrays that training code reads.

Rectangles with padding and a count per row, not ragged lists: a loader indexes them, tensors share their memory, and a
row that is short says so instead of being filled up.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core import archive, files, formats
from negmine._core.arrays import Ids, check_field
from negmine._core.extras import require
from negmine._core.options import check_epoch, check_flag, check_integer, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.errors import NegmineValueError
from negmine.mining import policies
from negmine.mining.draw import Draw
from negmine.mining.report import LINE_NAMES, Report, Source

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas as pd
    import pyarrow as pa

    from negmine.mining.pool import CandidatePool

__all__ = ["HardNegatives", "LabelIssues"]

#: A query with more candidates than this above its positive is worth a look.
ABSURD_RANK = 100


@short_repr
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LabelIssues:
    """Candidates for relabeling.

    Attributes
    ----------
    result_rows, columns : int64 (n,)
        Negatives that score above their reference, as places in ``HardNegatives.indices``, largest excess first.
    excess : float64 (n,)
        By how much, as far as float32 tells.
    low_positives : int64 (m,)
        Result rows with more than ``rank`` candidates above their cap or their reference: the labeled positive is
        absurdly low. Most first.
    above : int64 (m,)
        How many, at least.
    """

    result_rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    excess: npt.NDArray[np.float64]
    low_positives: npt.NDArray[np.int64]
    above: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HardNegatives:
    """Negatives per result row.

    Attributes
    ----------
    indices : int64 (n_rows, num_negatives + num_random)
        Row numbers of the documents: mined ones best first, then random ones in the order drawn; padded with -1.
    ids : int64 or str (n_rows, n + num_random)
        Their labels, padded with -1 or ''; the indices where the index has no labels.
    scores : float32 (n_rows, n + num_random)
        Canonical scores rounded to float32, padded with -inf.
    counts : int32 (n_rows,)
        Negatives per row.
    reasons : uint8 (n_rows,)
        Why a row is short: :class:`Reason`.
    source : uint8 (n_rows, n + num_random)
        Where each comes from: :class:`Source`.
    above_reference : bool (n_rows, n + num_random)
        Whether the canonical score lies above the reference; False for padding and without a reference.
    reference_scores, positive_scores, query_indices, positive_indices, report
        As in :class:`CandidatePool`.
    epoch : int
        Epoch of the draws.
    draw : Draw
        How they were drawn, which :meth:`redraw` does again.
    pool : CandidatePool or None
        What they were chosen from; None after :meth:`load` of a file without it.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.eye(4, dtype=np.float32)
    >>> negatives = negmine.mine(corpus[:2], corpus, [[0], [1]], num_negatives=2, sampling="random")
    >>> negatives.indices.shape, negatives.counts.tolist(), negatives.redraw(epoch=1).epoch
    ((2, 2), [2, 2], 1)
    """

    indices: npt.NDArray[np.int64]
    ids: Ids
    scores: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int32]
    reasons: npt.NDArray[np.uint8]
    source: npt.NDArray[np.uint8]
    above_reference: npt.NDArray[np.bool_]
    reference_scores: npt.NDArray[np.float64]
    positive_scores: npt.NDArray[np.float64]
    query_indices: npt.NDArray[np.int64]
    positive_indices: npt.NDArray[np.int64]
    report: Report
    epoch: int
    draw: Draw
    pool: CandidatePool | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        counts = check_field(self.counts, "counts", np.int32, (None,))
        n = len(counts)
        indices = check_field(self.indices, "indices", np.int64, (n, None))
        arrays: dict[str, npt.NDArray[Any]] = {"counts": counts, "indices": indices}
        dtypes = {"scores": np.float32, "source": np.uint8, "above_reference": np.bool_, "ids": self.ids.dtype}
        arrays |= {name: check_field(getattr(self, name), name, dtypes[name], indices.shape) for name in dtypes}
        arrays["reasons"] = check_field(self.reasons, "reasons", np.uint8, (n,))
        arrays["reference_scores"] = check_field(self.reference_scores, "reference_scores", np.float64, (n,))
        arrays["positive_scores"] = check_field(self.positive_scores, "positive_scores", np.float64, (None,))
        for name in ("query_indices", "positive_indices"):
            arrays[name] = check_field(getattr(self, name), name, np.int64, (n,))
        for name, array in arrays.items():
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.counts)

    def __repr__(self) -> str:
        width, full = self.indices.shape[1], int((self.counts == self.indices.shape[1]).sum())
        kept = "" if self.pool is None else ", with pool"
        return f"HardNegatives({len(self)} rows x {width}, {full} full, epoch {self.epoch}{kept})"

    @refuse_unknown_options("redraw")
    def redraw(self, epoch: int, *, num_threads: int | None = None) -> HardNegatives:
        """Choose again from the same pool in another epoch, without a scan.

        Parameters
        ----------
        epoch : int
            Epoch of the draws, in [0, 2**64).
        num_threads : int, optional
            Default: every core this process may use.

        Raises
        ------
        NegmineValueError
            The pool is not at hand: save it with ``pool=True``.
        """
        if self.pool is None:
            raise NegmineValueError("`redraw` must have the pool; got negatives that were saved without `pool=True`.")
        options = {option.name: getattr(self.draw, option.name) for option in fields(Draw)}
        return self.pool.select(**options, epoch=epoch, num_threads=num_threads)

    @refuse_unknown_options("label_issues")
    def label_issues(self, *, rank: int = ABSURD_RANK) -> LabelIssues:
        """Negatives that score above their reference, and positives that rank absurdly low.

        Parameters
        ----------
        rank : int
            A result row is suspect where more candidates than this lie above its cap or its reference. Default: 100.

        Returns
        -------
        LabelIssues
        """
        rows, columns = np.nonzero(self.above_reference)
        check_integer(rank, "rank", least=0)
        excess = np.maximum(self.scores[rows, columns] - self.reference_scores[rows], 0.0)
        order = np.argsort(-excess, kind="stable")
        capped = ("above_max_score", "above_absolute_margin", "above_relative_margin")
        above = sum((self.report.lines[line] for line in capped), np.zeros(len(self), dtype=np.int64))
        if self.pool is not None:
            above = above + (self.pool.scores > self.reference_scores[:, None]).sum(axis=1)
        low = np.flatnonzero(above > rank)
        low = low[np.argsort(-above[low], kind="stable")]
        return LabelIssues(rows[order], columns[order], excess[order], low, above[low])

    def to_arrow(self) -> pa.Table:
        """One Arrow row per result row: query_index, positive_index, reference_score, and lists of negatives.

        Needs the extra ``negmine[arrow]``.
        """
        arrow = require("pyarrow", "arrow", "`to_arrow`")
        real = self.source != Source.PADDING
        offsets = np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int32)
        lists = {
            "negative_indices": self.indices,
            "negative_ids": self.ids,
            "scores": self.scores,
            "source": self.source,
        }
        columns: dict[str, Any] = {
            "query_index": self.query_indices,
            "positive_index": self.positive_indices,
            "reference_score": self.reference_scores,
            "reason": self.reasons,
        }
        for name, values in lists.items():
            columns[name] = arrow.ListArray.from_arrays(offsets, arrow.array(values[real]))
        return arrow.table(columns)

    def to_pandas(self) -> pd.DataFrame:
        """One line per negative: query_index, positive_index, rank, document_index, document_id, score, source.

        Needs the extra ``negmine[pandas]``.
        """
        pandas = require("pandas", "pandas", "`to_pandas`")
        result_row, rank = np.nonzero(self.source != Source.PADDING)
        return pandas.DataFrame(
            {
                "query_index": self.query_indices[result_row],
                "positive_index": self.positive_indices[result_row],
                "rank": rank,
                "document_index": self.indices[result_row, rank],
                "document_id": self.ids[result_row, rank],
                "score": self.scores[result_row, rank],
                "source": self.source[result_row, rank],
            }
        )

    def to_torch(self) -> dict[str, Any]:
        """Return the main arrays as tensors that share their memory.

        They are indices, scores, counts, source, query_indices and positive_indices.

        Needs the extra ``negmine[torch]``.
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
        pool : bool
            Whether the pool is saved too, as ``<name>.pool.npz``, which ``CandidatePool.load`` reads. Default: False.

        Raises
        ------
        NegmineValueError
            The folder does not exist, or the pool is not at hand.
        """
        files.check_target(files.as_path(path, "path"))
        if check_flag(pool, "pool"):
            if self.pool is None:
                raise NegmineValueError("`pool` must be False where the pool is not at hand; got True.")
            self.pool.save(_pool_path(path))
        header = {
            "epoch": self.epoch,
            "draw": asdict(self.draw) | {"sampling": policies.to_json(self.draw.sampling)},
            "report": self.report.header(),
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        archive.write(path, formats.HARD_NEGATIVES, header, arrays | self.report.arrays())

    @classmethod
    @refuse_unknown_options("load")
    def load(cls, path: str | os.PathLike[str], *, pool: CandidatePool | None = None) -> HardNegatives:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        path : path
            The file.
        pool : CandidatePool, optional
            The pool that the negatives were drawn from, so that :meth:`redraw` works: what ``save(..., pool=True)``
            wrote is read by ``CandidatePool.load``.

        Returns
        -------
        HardNegatives

        Raises
        ------
        NegmineValueError
            There is no such file, it holds something else, or ``pool`` is not the pool of these negatives.
        """
        form = formats.HARD_NEGATIVES
        header, arrays = archive.read(path, form, _ENTRIES, (*_ARRAYS, *LINE_NAMES))
        with archive.whole(path, form):
            negatives = cls(
                **{name: arrays[name] for name in _ARRAYS},
                report=Report.from_header(header["report"], arrays),
                epoch=check_epoch(header["epoch"]),
                draw=Draw(**header["draw"] | {"sampling": policies.from_json(header["draw"]["sampling"])}),
                pool=pool,
            )
        if pool is not None:
            for name in ("query_indices", "positive_indices", "reference_scores", "positive_scores"):
                if not np.array_equal(getattr(pool, name), getattr(negatives, name), equal_nan=name.endswith("scores")):
                    raise NegmineValueError(f"`pool` must be the pool of the negatives in {path}; its `{name}` differ.")
        return negatives

    def plot(self) -> matplotlib.axes.Axes:
        """Histograms of the scores of positives and negatives on one axis. Needs the extra ``negmine[plot]``."""
        pyplot = require("matplotlib.pyplot", "plot", "`plot`")
        axes: matplotlib.axes.Axes = pyplot.subplots(layout="constrained")[1]
        negatives = self.scores[self.source != Source.PADDING]
        everything = np.concatenate([self.positive_scores, negatives])
        bins = np.histogram_bin_edges(everything[np.isfinite(everything)], bins=60).tolist()
        for label, scores in (("positives", self.positive_scores), ("negatives", negatives)):
            axes.hist(scores, bins=bins, alpha=0.6, density=len(scores) > 0, label=label)
        axes.set(xlabel="score", ylabel="density", title=f"{negatives.size} negatives of {len(self)} rows")
        axes.legend()
        return axes


#: Entries of a file's header, and their types.
_ENTRIES: archive.Entries = {"epoch": int, "draw": dict, "report": dict}

#: Fields that are arrays, as they are saved.
_ARRAYS = (
    "indices",
    "ids",
    "scores",
    "counts",
    "reasons",
    "source",
    "above_reference",
    "reference_scores",
    "positive_scores",
    "query_indices",
    "positive_indices",
)


def _pool_path(path: str | os.PathLike[str]) -> Path:
    target = files.as_path(path, "path")
    return target.with_name(f"{target.name.removesuffix('.npz')}.pool.npz")
