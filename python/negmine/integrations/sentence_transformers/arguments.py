"""Arguments of the miner of sentence-transformers: validation, deprecated names, and defaults that depend on others."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from negmine._core import files
from negmine._core.calls import resolve_num_threads
from negmine._core.options import check_choice, check_flag, check_integer, check_real, check_seed
from negmine.errors import NegmineTypeError, NegmineValueError, NegmineWarning
from negmine.integrations._columns import check_dataset

__all__ = ["Arguments", "Window"]

#: Formats of the result.
FORMATS = ("triplet", "n-tuple", "labeled-pair", "labeled-list")

#: Survivors per query that a random draw or a cross encoder sees by default, with ``compat="better"``.
POOL_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Window:
    """Ranks of the candidates.

    Attributes
    ----------
    range_min, range_max : int
        Ranks ``[range_min, range_max)`` of the documents that pass all filters.
    n_seen : int or None
        Documents per query, ranked by the model, that are considered at all; None for the whole corpus.
    """

    range_min: int
    range_max: int
    n_seen: int | None


@dataclass(frozen=True, slots=True)
class Arguments:
    """Arguments of ``mine_hard_negatives`` after validation; names are those of the function."""

    anchor: str
    positive: str
    range_min: int
    range_max: int | None
    max_score: float | None
    min_score: float | None
    absolute_margin: float | None
    relative_margin: float | None
    num_negatives: int
    sampling: Literal["top", "random"]
    include_positives: bool
    output_format: str
    output_scores: bool
    batch_size: int
    use_multi_process: bool | list[str]
    verbose: bool
    cache_folder: Path | None
    better: bool
    seed: int
    rescores: bool

    @property
    def filters(self) -> dict[str, float]:
        """Filters that are set, by name, in the order in which they are reported."""
        names = ("absolute_margin", "relative_margin", "max_score", "min_score")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @classmethod
    def read(cls, given: dict[str, Any]) -> Arguments:
        """Validate all arguments before anything is encoded.

        Parameters
        ----------
        given : dict of str to object
            Arguments of ``mine_hard_negatives`` by name.

        Returns
        -------
        Arguments
        """
        dataset = given["dataset"]
        check_dataset(dataset, "dataset")
        if len(dataset) == 0:
            raise NegmineValueError("`dataset` must not be empty; got 0 rows.")
        better = check_choice(given["compat"], "compat", ("strict", "better")) == "better"
        anchor, positive = _columns(dataset, given["anchor_column_name"], given["positive_column_name"], better)
        output_format, output_scores = _format(given)
        include_positives = check_flag(given["include_positives"], "include_positives")
        if include_positives and output_format != "n-tuple":
            _warn('`include_positives=True` needs the format "n-tuple", which keeps the ranking; it is used.')
            output_format = "n-tuple"
        num_negatives = check_integer(given["num_negatives"], "num_negatives", least=1)
        check_integer(given["faiss_batch_size"], "faiss_batch_size", least=1)
        check_flag(given["use_faiss"], "use_faiss")
        resolve_num_threads(given["num_threads"])
        if given["memory_limit"] is not None:
            check_integer(given["memory_limit"], "memory_limit", least=0, most=2**63 - 1)
        for name in ("query_prompt", "query_prompt_name", "corpus_prompt", "corpus_prompt_name"):
            if given[name] is not None and not isinstance(given[name], str):
                raise NegmineTypeError(f"`{name}` must be a string; got {given[name]!r}.")
        limits = {name: _optional_real(given[name], name) for name in ("max_score", "min_score", "relative_margin")}
        limits["absolute_margin"] = _absolute_margin(given)
        read = cls(
            anchor=anchor,
            positive=positive,
            range_min=check_integer(given["range_min"], "range_min", least=0),
            range_max=None if given["range_max"] is None else check_integer(given["range_max"], "range_max", least=1),
            num_negatives=num_negatives,
            sampling=check_choice(given["sampling_strategy"], "sampling_strategy", ("top", "random")),  # type: ignore[arg-type]
            include_positives=include_positives,
            output_format=output_format,
            output_scores=output_scores,
            batch_size=check_integer(given["batch_size"], "batch_size", least=1),
            use_multi_process=_processes(given["use_multi_process"]),
            verbose=check_flag(given["verbose"], "verbose"),
            cache_folder=_folder(given["cache_folder"]),
            better=better,
            seed=check_seed(given["seed"]),
            rescores=_rescores(given["cross_encoder"], limits, better),
            **limits,
        )
        if include_positives and (read.filters or read.range_min or read.range_max or read.sampling != "top"):
            _warn("Filters, ranks and random sampling may remove positives in spite of `include_positives=True`.")
        low, high = read.min_score, read.max_score
        if better and low is not None and high is not None and low > high:
            raise NegmineValueError(f"`min_score` must be at most `max_score`; got min_score={low}, max_score={high}.")
        read._refuse_clashes()
        if read.range_max is not None:
            read.window(0)
        return read

    def window(self, max_positives: int) -> Window:
        """Return the ranks of the candidates.

        Parameters
        ----------
        max_positives : int
            Rows of the anchor that has most rows.

        Returns
        -------
        Window
        """
        first, n = self.range_min, self.num_negatives
        if self.better:
            plain = self.sampling == "top" and not self.rescores
            end = first + (n if plain else max(POOL_DEPTH, n)) if self.range_max is None else self.range_max
            window = Window(first, end, None)
        else:
            widened = self.rescores or any(name != "min_score" for name in self.filters)
            default = first + (10 * n if widened else n) + max_positives
            end = default if self.range_max is None else self.range_max
            window = Window(first, end, end + max_positives)
        if end <= first:
            raise NegmineValueError(
                f"`range_max` must be greater than `range_min`; got range_min={first}, range_max={end}."
            )
        if end - first < n:
            raise NegmineValueError(
                f"`range_max` must leave `num_negatives`={n} ranks from `range_min` on; got range_min={first}, "
                f"range_max={end}."
            )
        return window

    def _refuse_clashes(self) -> None:
        """Refuse names of input columns that the format also uses, which would overwrite texts."""
        taken = {
            "triplet": {"negative", "scores"} if self.output_scores else {"negative"},
            "n-tuple": {f"negative_{i + 1}" for i in range(self.num_negatives)}
            | ({"scores"} if self.output_scores else set()),
            "labeled-pair": {"score" if self.output_scores else "label"},
            "labeled-list": {"scores" if self.output_scores else "labels"},
        }[self.output_format]
        for argument, name in (("anchor_column_name", self.anchor), ("positive_column_name", self.positive)):
            if name in taken:
                raise NegmineValueError(
                    f"`{argument}` must differ from the other columns of {self.output_format!r}; got {name!r}."
                )
        if self.anchor == self.positive:
            raise NegmineValueError(
                f"`positive_column_name` must differ from `anchor_column_name`; got {self.anchor!r} for both."
            )


def _columns(dataset: Any, anchor: object, positive: object, better: bool) -> tuple[str, str]:  # noqa: ANN401
    """Return the names of the two columns; strict mode replaces an unknown name by the first or the second column."""
    names = list(dataset.column_names)
    found = []
    for place, (argument, name) in enumerate((("anchor_column_name", anchor), ("positive_column_name", positive))):
        if name is not None and not isinstance(name, str):
            raise NegmineTypeError(f"`{argument}` must be the name of a column; got {name!r}.")
        if name and name in names:
            found.append(name)
            continue
        if name and better:
            raise NegmineValueError(f"`{argument}` must be one of the columns {names}; got {name!r}.")
        if place >= len(names):
            raise NegmineValueError(f"`dataset` must have columns of anchor and positive; got {names}.")
        if name:
            _warn(f"`{argument}` is not among the columns {names}: {names[place]!r} is used; got {name!r}.")
        found.append(names[place])
    return found[0], found[1]


def _format(given: dict[str, Any]) -> tuple[str, bool]:
    """Return the format of the result, also from deprecated arguments, and whether it has scores."""
    output_format, output_scores = given["output_format"], check_flag(given["output_scores"], "output_scores")
    if given["as_triplets"] is not None:
        output_format = "triplet" if check_flag(given["as_triplets"], "as_triplets") else "n-tuple"
        _warn(f"`as_triplets` is deprecated; use `output_format={output_format!r}`.")
    if output_format == "n-tuple-scores":
        _warn('The format "n-tuple-scores" is deprecated; use `output_format="n-tuple", output_scores=True`.')
        return "n-tuple", True
    return check_choice(output_format, "output_format", FORMATS), output_scores


def _absolute_margin(given: dict[str, Any]) -> float | None:
    margin = _optional_real(given["margin"], "margin")
    if margin is None:
        return _optional_real(given["absolute_margin"], "absolute_margin")
    _warn(f"`margin` is deprecated; use `absolute_margin={margin}`.")
    return margin


def _optional_real(value: object, argument: str) -> float | None:
    return None if value is None else check_real(value, argument)


def _processes(value: object) -> bool | list[str]:
    """Validate ``use_multi_process``: a flag or names of devices."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return check_flag(value, "use_multi_process")


def _folder(value: object) -> Path | None:
    """Make the folder of the cache."""
    if value is None:
        return None
    folder = files.as_path(value, "cache_folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NegmineValueError(
            f"`cache_folder` must be a folder that can be made; got {folder}: {error.strerror}."
        ) from error
    if not os.access(folder, os.W_OK):
        raise NegmineValueError(f"`cache_folder` must be a folder where files can be made; got {folder}.")
    return folder


def _rescores(cross_encoder: object, limits: dict[str, float | None], better: bool) -> bool:
    """Return whether the cross encoder is applied."""
    if cross_encoder is None:
        return False
    if not callable(getattr(cross_encoder, "predict", None)):
        raise NegmineTypeError(
            f"`cross_encoder` must have `predict`, as a CrossEncoder has; got {type(cross_encoder).__name__}."
        )
    if better or any(value is not None for value in limits.values()):
        return True
    _warn(
        "`cross_encoder` is ignored without a margin, `max_score` or `min_score`, as in sentence-transformers; "
        '`compat="better"` applies it.'
    )
    return False


def _warn(message: str) -> None:
    warnings.warn(message, NegmineWarning, stacklevel=5)
