"""For the trainers of sentence-transformers: batch samplers for ``args.batch_sampler``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from negmine._core.extras import require
from negmine._core.options import check_choice, check_flag, check_integer
from negmine.batches import BatchPlan, no_duplicate_plan
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.torch.samplers.plan_sampler import PlanBatches, PlanBatchSampler, RaggedBatchSampler

__all__ = ["no_duplicate_batch_sampler", "plan_batch_sampler"]

#: Columns that are the trainer's own.
_RESERVED = {"dataset_name", "return_loss"}


class MakeBatchSampler(Protocol):
    """What sentence-transformers takes for ``args.batch_sampler``."""

    def __call__(
        self,
        dataset: Any,  # noqa: ANN401 (a datasets.Dataset)
        batch_size: int,
        drop_last: bool,
        valid_label_columns: Sequence[str] | None = None,
        generator: object = None,
        seed: int = 0,
    ) -> PlanBatches:
        """Make the batch sampler of a data set."""


def no_duplicate_batch_sampler(
    *,
    batches_per_step: int = 1,
    strict: bool = False,
    conflicts: Literal["error", "drop", "spread", "extend"] = "error",
) -> MakeBatchSampler:
    """Batches in which no document is by accident another row's negative, for ``args.batch_sampler``.

    Instead of ``BatchSamplers.NO_DUPLICATES``: every row is used once an epoch, ``len`` is exact, and with
    ``batches_per_step`` the batches that all processes gather hold no duplicate either.

    Parameters
    ----------
    batches_per_step : int, default 1
        Batches that together hold no conflict. With several processes: their number or a multiple of it, so that all
        of them get equally many batches, and so that ``gather_across_devices=True`` meets no false negative.
    strict, conflicts
        As of :func:`negmine.batches.no_duplicate_plan`, ``"error"`` by default: where a text is in too
        many rows, it says what each of ``"drop"`` (rows left out in turn), ``"spread"`` and ``"extend"`` would cost.

    Returns
    -------
    callable
        ``f(dataset, batch_size, drop_last, valid_label_columns, generator, seed)``, which pickles. The first column of
        the data set is the anchor, the second the positive, all others but labels are negatives; rows are compared by
        text (or integer), null is none. ``drop_last`` leaves a short last step out; otherwise it is filled up.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        When the trainer calls it: what is no ``datasets.Dataset``, a column of other things than texts or integers that
        fit int64, fewer than two columns, or as :func:`negmine.batches.no_duplicate_plan` does. That
        includes a data set smaller than a step, be it for evaluation.

    Notes
    -----
    Add :class:`negmine.integrations.transformers.SetEpochCallback` to the trainer: on several processes, a run resumed
    inside an epoch, and the parts of a ``DatasetDict``, are told the epoch by nobody else.

    Examples
    --------
    >>> import datasets
    >>> from negmine.integrations.sentence_transformers import no_duplicate_batch_sampler
    >>> make = no_duplicate_batch_sampler()  # SentenceTransformerTrainingArguments(batch_sampler=make, ...)
    >>> rows = datasets.Dataset.from_dict({"anchor": ["a", "a", "b", "c"], "positive": ["x", "y", "z", "x"]})
    >>> sampler = make(rows, batch_size=2, drop_last=False, valid_label_columns=[], generator=None, seed=12)
    >>> sorted(row for batch in sampler for row in batch)
    [0, 1, 2, 3]
    """
    return _NoDuplicates(
        check_integer(batches_per_step, "batches_per_step", least=1),
        check_flag(strict, "strict"),
        check_choice(conflicts, "conflicts", ("error", "drop", "spread", "extend")),
    )


@dataclass(frozen=True, slots=True)
class _NoDuplicates:
    """The options alone: the trainer pickles it with its arguments at every checkpoint."""

    batches_per_step: int
    strict: bool
    conflicts: Any

    def __call__(
        self,
        dataset: Any,  # noqa: ANN401
        batch_size: int,
        drop_last: bool,
        valid_label_columns: Sequence[str] | None = None,
        generator: object = None,
        seed: int = 0,
    ) -> PlanBatches:
        anchor, *documents = _id_columns(dataset, valid_label_columns or ())
        (anchors,) = _numbered(dataset, [anchor])
        positives, *negatives = _numbered(dataset, documents)
        plan = no_duplicate_plan(
            anchors,
            positives,
            np.stack(negatives, axis=1) if negatives else None,
            batch_size=batch_size,
            batches_per_step=self.batches_per_step,
            strict=self.strict,
            conflicts=self.conflicts,
            remainder="drop" if drop_last else "pad",
            seed=seed,
        )
        return _sampler(plan)


def plan_batch_sampler(*plans: BatchPlan) -> MakeBatchSampler:
    """Batches of any plan, such as those of whole clusters or of classes, for ``args.batch_sampler``.

    Parameters
    ----------
    *plans : BatchPlan
        A plan for each data set that the trainer batches, the one for evaluation included: a data set gets the first
        plan of as many rows. With several processes their number must divide the plan's ``batches_per_step``.

    Returns
    -------
    callable
        ``f(dataset, batch_size, drop_last, valid_label_columns, generator, seed)``, which pickles. Seed and last step
        are the plan's; ``batch_size`` must be the plan's, unless its batches differ in size.

    Raises
    ------
    NegmineTypeError
        No plan, or what is none.
    NegmineValueError
        When the trainer calls it: a data set or a batch size that no plan is for.

    Notes
    -----
    Add :class:`negmine.integrations.transformers.SetEpochCallback` to the trainer, as for
    :func:`no_duplicate_batch_sampler`.

    Examples
    --------
    >>> import datasets, negmine, numpy as np
    >>> from negmine.integrations.sentence_transformers import plan_batch_sampler
    >>> plan = negmine.batches.cluster_plan(np.repeat(np.arange(4), 2), batch_size=4)
    >>> make = plan_batch_sampler(plan)  # SentenceTransformerTrainingArguments(batch_sampler=make, ...)
    >>> rows = datasets.Dataset.from_dict({"anchor": list("abcdefgh"), "positive": list("ABCDEFGH")})
    >>> sampler = make(rows, batch_size=4, drop_last=False, valid_label_columns=[], generator=None, seed=12)
    >>> sorted(row for batch in sampler for row in batch)
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    if not plans:
        raise NegmineTypeError("`plans` must hold a plan at least; got none.")
    for plan in plans:
        if not isinstance(plan, BatchPlan):
            raise NegmineTypeError(f"`plans` must hold plans; got {type(plan).__name__}.")
    return _Plans(plans)


@dataclass(frozen=True, slots=True)
class _Plans:
    """The plans alone, pickled as the options of :class:`_NoDuplicates` are."""

    plans: tuple[BatchPlan, ...]

    def __call__(
        self,
        dataset: Any,  # noqa: ANN401
        batch_size: int,
        drop_last: bool,
        valid_label_columns: Sequence[str] | None = None,
        generator: object = None,
        seed: int = 0,
    ) -> PlanBatches:
        for plan in self.plans:
            if plan.n_rows == len(dataset):
                if plan.batch_size not in (None, batch_size):
                    raise NegmineValueError(
                        f"`batch_size` must be that of the plan of {plan.n_rows} rows, {plan.batch_size}; "
                        f"got {batch_size}."
                    )
                return _sampler(plan)
        rows = ", ".join(str(plan.n_rows) for plan in self.plans)
        raise NegmineValueError(f"`plans` must hold one for the data set's {len(dataset)} rows; got plans of {rows}.")


def _sampler(plan: BatchPlan) -> PlanBatches:
    return RaggedBatchSampler(plan) if plan.batch_size is None else PlanBatchSampler(plan)


def _id_columns(
    dataset: Any,  # noqa: ANN401
    label_columns: Sequence[str],
) -> list[str]:
    """Columns of anchor and documents; the first label column is the trainer's, as its collator has it."""
    columnar = all(hasattr(dataset, name) for name in ("column_names", "num_rows", "select_columns", "with_format"))
    if not columnar or isinstance(dataset, Mapping):
        raise NegmineTypeError(f"`dataset` must be a datasets.Dataset; got {type(dataset).__name__}.")
    label = next((name for name in label_columns if name in dataset.column_names), None)
    columns = [name for name in dataset.column_names if name != label and name not in _RESERVED]
    if len(columns) < 2:
        raise NegmineValueError(f"`dataset` must have columns of anchor and positive; got {dataset.column_names}.")
    return columns


def _numbered(
    dataset: Any,  # noqa: ANN401
    names: list[str],
) -> list[npt.NDArray[np.int64]]:
    """Numbers of the values of columns, equal where values are; -1 is null. Texts stay in Arrow: they may be long."""
    pa = require("pyarrow", "arrow", "comparing texts")
    table = dataset.select_columns(names).with_format("arrow")[:]
    kinds = {}
    for name in names:
        kind = table.column(name).type
        if pa.types.is_integer(kind):
            kinds[name] = pa.int64()
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            kinds[name] = pa.large_string()
        else:
            raise NegmineTypeError(f"`dataset` must hold texts or integers in column {name!r}; got {kind}.")
    if len(set(kinds.values())) > 1:
        raise NegmineTypeError(f"`dataset` must hold texts or integers alike in columns {names}; got both.")
    chunks = []
    for name in names:
        try:
            chunks += table.column(name).cast(kinds[name]).chunks
        except pa.ArrowInvalid as error:
            raise NegmineValueError(f"`dataset` must fit int64 in column {name!r}; {error}") from error
    codes = pa.chunked_array(chunks, type=kinds[names[0]]).dictionary_encode().unify_dictionaries()
    flat = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in codes.chunks]
    return np.split(np.concatenate([np.empty(0, dtype=np.int64), *flat]), len(names))
