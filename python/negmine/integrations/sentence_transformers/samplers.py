"""Factories of batch samplers for the trainers of sentence-transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from negmine._core.options import check_choice, check_flag, check_integer
from negmine.batches import BatchPlan, no_duplicate_plan
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.integrations._columns import check_dataset, id_columns, rows_digest
from negmine.torch.samplers.plan_sampler import PlanBatches, PlanBatchSampler, RaggedBatchSampler

__all__ = ["no_duplicate_batch_sampler", "plan_batch_sampler"]

#: Label columns if the trainer names none.
_LABELS = ("label", "labels", "score", "scores")


class MakeBatchSampler(Protocol):
    """Factory of batch samplers, as sentence-transformers takes it for ``args.batch_sampler``."""

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
    remainder: Literal["pad", "short"] = "pad",
) -> MakeBatchSampler:
    """Make batches in which no document is accidentally the negative of another row, for ``args.batch_sampler``.

    It replaces ``BatchSamplers.NO_DUPLICATES``: each row is used once per epoch, ``len`` is exact, and with
    ``batches_per_step`` the batches that all processes gather hold no duplicate either.

    Parameters
    ----------
    batches_per_step : int, default 1
        Batches that together hold no conflict. With several processes, pass their number or a multiple of it, so that
        all of them get the same number of batches, and ``gather_across_devices=True`` has no false negatives.
    strict : bool, default False
        Whether two rows also conflict if they share a negative.
    conflicts : {"error", "drop", "spread", "extend"}, default "error"
        Handling of texts in too many rows, as of [`negmine.batches.no_duplicate_plan`][]. The message of "error"
        states the cost of "drop" (rows are left out in turn), "spread" and "extend".
    remainder : {"pad", "short"}, default "pad"
        Handling of an incomplete last step. "pad" fills it up with other rows, or drops it if the trainer passes
        ``drop_last``, as it does on several processes; a data set must fill a step. "short" uses each row exactly once,
        in batches that may be smaller: for data sets of any size, such as those for evaluation.

    Returns
    -------
    callable
        ``f(dataset, batch_size, drop_last, valid_label_columns, generator, seed)``, which can be pickled. Except for
        ``valid_label_columns``, the first column of the data set is the anchor, the second the positive, and all others
        are negatives. Rows are compared by text or integer; null means no document. In a list, each entry is a separate
        document, but an anchor that is a list is compared as a whole.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        When the trainer calls the factory: if ``dataset`` is not a ``datasets.Dataset``, a column holds anything but
        texts, integers that fit int64, or lists of them, or there are fewer than two columns; and as
        [`negmine.batches.no_duplicate_plan`][], which includes an evaluation set smaller than a step, unless
        ``remainder="short"``.

    Notes
    -----
    Add [`negmine.integrations.transformers.SetEpochCallback`][] to the trainer: it sets the epoch where the trainer
    does not, on several processes in a run that is resumed inside an epoch and in the parts of a ``DatasetDict``, and
    checks the evaluation sets when training starts.

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
        check_choice(remainder, "remainder", ("pad", "short")),
    )


@dataclass(frozen=True, slots=True)
class _NoDuplicates:
    """Factory that holds only options: the trainer pickles it with its arguments at every checkpoint."""

    batches_per_step: int
    strict: bool
    conflicts: Any
    remainder: Any

    #: Whether the callback that sets epochs makes the samplers of evaluation sets when training starts.
    checks_evaluation: ClassVar[bool] = True

    def __call__(
        self,
        dataset: Any,  # noqa: ANN401
        batch_size: int,
        drop_last: bool,
        valid_label_columns: Sequence[str] | None = None,
        generator: object = None,
        seed: int = 0,
    ) -> PlanBatches:
        plan = no_duplicate_plan(
            *id_columns(dataset, _LABELS if valid_label_columns is None else valid_label_columns),
            batch_size=batch_size,
            batches_per_step=self.batches_per_step,
            strict=self.strict,
            conflicts=self.conflicts,
            remainder="drop" if drop_last and self.remainder == "pad" else self.remainder,
            seed=seed,
        )
        return _sampler(plan)


def plan_batch_sampler(
    plans: BatchPlan | Mapping[str, BatchPlan],
    datasets: Any,  # noqa: ANN401 (a datasets.Dataset, or a mapping to such)
) -> MakeBatchSampler:
    """Use batches of any plan, such as those of whole clusters or of classes, for ``args.batch_sampler``.

    The trainer requests the batches of each data set without its name. So a plan is matched by the digest of the rows
    that it was made for, and a data set with other rows, or with rows in another order, is refused.

    Parameters
    ----------
    plans : BatchPlan or mapping of str to BatchPlan
        Plan of the data set that the trainer batches, or plans of several data sets by name: the parts of a
        ``DatasetDict``, and the data sets for evaluation. With several processes, their number must divide the plan's
        ``batches_per_step``.
    datasets : datasets.Dataset or mapping of str to datasets.Dataset
        Data sets that the plans were made for, by the same names, as they are passed to the trainer: already shuffled,
        filtered and selected. Each is read once, column by column; only a digest is kept.

    Returns
    -------
    callable
        ``f(dataset, batch_size, drop_last, valid_label_columns, generator, seed)``, which can be pickled. Seed and
        last step are the plan's; ``batch_size`` must be the plan's, unless its batches differ in size.

    Raises
    ------
    NegmineTypeError
        If a plan is not a plan, a data set is not a data set, or only one of the arguments is a mapping.
    NegmineValueError
        If names differ, a plan and its data set differ in the number of rows, or the same rows have different plans.
        When the trainer calls the factory: if no plan was made for the data set, or the batch size differs.

    Notes
    -----
    Add [`negmine.integrations.transformers.SetEpochCallback`][] to the trainer, as for
    [`no_duplicate_batch_sampler`][].

    Examples
    --------
    >>> import datasets, negmine, numpy as np
    >>> from negmine.integrations.sentence_transformers import plan_batch_sampler
    >>> rows = datasets.Dataset.from_dict({"anchor": list("abcdefgh"), "positive": list("ABCDEFGH")})
    >>> plan = negmine.batches.cluster_plan(np.repeat(np.arange(4), 2), batch_size=4)
    >>> make = plan_batch_sampler(plan, rows)  # SentenceTransformerTrainingArguments(batch_sampler=make, ...)
    >>> sampler = make(rows, batch_size=4, drop_last=False, valid_label_columns=[], generator=None, seed=12)
    >>> sorted(row for batch in sampler for row in batch)
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    by_name, by_name_too = _named(plans, datasets)
    planned: dict[str, tuple[str, BatchPlan]] = {}
    for name, plan in by_name.items():
        dataset, argument = by_name_too[name], f"datasets[{name!r}]" if name else "datasets"
        if not isinstance(plan, BatchPlan):
            raise NegmineTypeError(f"`plans` must hold plans; got {type(plan).__name__}.")
        check_dataset(dataset, argument)
        if plan.n_rows != len(dataset):
            raise NegmineValueError(
                f"`{argument}` must have the {plan.n_rows} rows that its plan was made for; got {len(dataset)}."
            )
        key = rows_digest(dataset)
        other, known = planned.setdefault(key, (name, plan))
        if known.digest != plan.digest:
            raise NegmineValueError(
                f"`datasets` must differ where plans do; got the same rows as {other!r} and as {name!r}."
            )
    return _Plans(planned)


def _named(plans: object, datasets: object) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return plans and data sets by the same names; a single plan and its data set have the name ""."""
    if not isinstance(plans, Mapping):
        if isinstance(datasets, Mapping):
            raise NegmineTypeError(f"`plans` must be a mapping where `datasets` is; got {type(plans).__name__}.")
        return {"": plans}, {"": datasets}
    if not isinstance(datasets, Mapping):
        raise NegmineTypeError(f"`datasets` must be a mapping where `plans` is; got {type(datasets).__name__}.")
    if not plans or plans.keys() != datasets.keys():
        raise NegmineValueError(
            f"`plans` must hold one plan for each name of `datasets`, {sorted(datasets)}; got {sorted(plans)}."
        )
    return plans, datasets


@dataclass(frozen=True, slots=True)
class _Plans:
    """Factory that holds name and plan by the digest of their rows; pickled like [`_NoDuplicates`][]."""

    planned: dict[str, tuple[str, BatchPlan]]

    checks_evaluation: ClassVar[bool] = True

    def __call__(
        self,
        dataset: Any,  # noqa: ANN401
        batch_size: int,
        drop_last: bool,
        valid_label_columns: Sequence[str] | None = None,
        generator: object = None,
        seed: int = 0,
    ) -> PlanBatches:
        check_dataset(dataset, "dataset")
        found = self.planned.get(rows_digest(dataset))
        if found is None:
            known = ", ".join(f"{plan.n_rows} rows{name and f' ({name!r})'}" for name, plan in self.planned.values())
            raise NegmineValueError(
                f"`dataset` must hold the rows that a plan was made for, in their order; got {len(dataset)} rows of "
                f"columns {dataset.column_names}, and plans for {known}. Shuffle, filter and select before planning, "
                "and give each evaluation set a plan of its own."
            )
        _, plan = found
        if plan.batch_size not in (None, batch_size):
            raise NegmineValueError(
                f"`batch_size` must be that of the plan of {plan.n_rows} rows, {plan.batch_size}; got {batch_size}."
            )
        return _sampler(plan)


def _sampler(plan: BatchPlan) -> PlanBatches:
    return RaggedBatchSampler(plan) if plan.batch_size is None else PlanBatchSampler(plan)
