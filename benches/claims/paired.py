"""Arms over paired seeds: each chooses its options on tuning data, and then has one figure per seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from verdict import Verdict, judge

Options = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One training: the metric and other ones, and of its negatives the mean score and the share of false ones."""

    value: float
    others: Mapping[str, float] = field(default_factory=dict)
    hardness: float | None = None
    false_negatives: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """An arm with its best options: metrics per seed, means over seeds of the rest, and seconds."""

    values: list[float]
    others: dict[str, list[float]]
    options: Options
    hardness: float | None
    false_negatives: float | None
    seconds: float


#: Trains with options and a seed, and returns the outcome on the tuning data or, if not asked for that, on the test.
Trial = Callable[[Options, int, bool], Outcome]


def grid(**values: Sequence[Any]) -> list[Options]:
    """Return all combinations of options."""
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


def measured(
    name: str, trial: Trial, options: Sequence[Options], tuning: Sequence[int], seeds: Sequence[int]
) -> Result:
    """Choose the options of an arm by the mean over tuning seeds, and run it on every seed."""
    started = time.process_time()
    means = [
        np.mean([trial(given, seed, True).value for seed in tuning]) if len(options) > 1 else 0 for given in options
    ]
    chosen = options[int(np.argmax(means))]
    outcomes = [trial(chosen, seed, False) for seed in seeds]
    hardness = mean([outcome.hardness for outcome in outcomes])
    false_negatives = mean([outcome.false_negatives for outcome in outcomes])
    values = [outcome.value for outcome in outcomes]
    others = {other: [outcome.others[other] for outcome in outcomes] for other in outcomes[0].others}
    result = Result(values, others, chosen, hardness, false_negatives, time.process_time() - started)
    shown = ", ".join(f"{other} {np.mean(found):.4f}" for other, found in others.items())
    print(f"  {name}: {chosen}, {np.mean(values):.4f}; {shown}; {result.seconds:.0f} s", flush=True)
    return result


def mean(found: Sequence[float | None]) -> float | None:
    """Return the mean of what all seeds have."""
    values = [value for value in found if value is not None]
    return float(np.mean(values)) if values else None


def compared(
    claim: str, paper: str, data: str, metric: str, baseline: Result, method: Result, *, margin: float
) -> Verdict:
    """Judge an arm against another one, whose options were chosen in the same way; the metric may be another one."""
    one, other = (found.others.get(metric, found.values) for found in (baseline, method))
    verdict = judge(
        claim,
        data,
        metric,
        one,
        other,
        paper=paper,
        margin=margin,
        tuned=True,
        hardness=method.hardness,
        false_negatives=method.false_negatives,
        seconds=baseline.seconds + method.seconds,
    )
    print(f"{verdict.verdict}: {claim}, {data}, {verdict.low:+.4f} to {verdict.high:+.4f}", flush=True)
    return verdict


def arms(
    trials: Mapping[str, Trial], options: Sequence[Options], tuning: Sequence[int], seeds: Sequence[int]
) -> dict[str, Result]:
    """Measure several arms with the same options to choose from."""
    return {name: measured(name, trial, options, tuning, seeds) for name, trial in trials.items()}
