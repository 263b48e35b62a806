"""Statistics that the miner of sentence-transformers prints."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from negmine.integrations.sentence_transformers.arguments import Arguments
from negmine.integrations.sentence_transformers.candidates import Found
from negmine.integrations.sentence_transformers.pairs import Pairs

__all__ = ["describe_mined", "describe_pairs"]

Scores = npt.NDArray[np.float64]

#: Columns of the table.
_ROW = "{:<6} {:>14} {:>14} {:>14}"

#: Lines of the table below the counts.
_METRICS: dict[str, Callable[[Scores], float]] = {
    "Mean": lambda scores: float(scores.mean()),
    "Median": lambda scores: float(np.median(scores)),
    "Std": lambda scores: float(scores.std(ddof=1)) if len(scores) > 1 else np.nan,
    "Min": lambda scores: float(scores.min()),
    "25%": lambda scores: float(np.quantile(scores, 0.25)),
    "50%": lambda scores: float(np.quantile(scores, 0.5)),
    "75%": lambda scores: float(np.quantile(scores, 0.75)),
    "Max": lambda scores: float(scores.max()),
}


def describe_pairs(pairs: Pairs, arguments: Arguments) -> str:
    """Describe what is mined for.

    Parameters
    ----------
    pairs : Pairs
        Queries, corpus and positives.
    arguments : Arguments
        Arguments of the call.

    Returns
    -------
    str
        Lines of text.
    """
    n_rows, n_queries = int(pairs.counts.sum()), len(pairs.queries)
    lines = []
    if arguments.range_max is None:
        end = arguments.window(int(pairs.counts.max())).range_max
        lines.append(f"Setting range_max to {end} based on the provided parameters.")
    if n_queries != n_rows:
        lines.append(f"Found {n_queries} unique queries out of {n_rows} total queries.")
    if pairs.counts.max() > 1:
        lines.append(f"Found an average of {pairs.counts.mean():.3f} positives per query.")
    return "\n".join(lines)


def describe_mined(pairs: Pairs, found: Found, arguments: Arguments) -> str:
    """Describe the scores, the documents that filters removed, and what is missing.

    Parameters
    ----------
    pairs : Pairs
        Queries, corpus and positives.
    found : Found
        Negatives of every query.
    arguments : Arguments
        Arguments of the call.

    Returns
    -------
    str
        Lines of text.
    """
    positives = found.positive_scores.astype(np.float64)
    negatives, differences = _exploded(pairs, found, arguments)
    columns = (positives, negatives, differences)
    lines = [
        _ROW.format("Metric", "Positive", "Negative", "Difference"),
        _ROW.format("Count", f"{len(positives):,}", f"{len(negatives):,}", ""),
    ]
    for name, metric in _METRICS.items():
        values = (f"{metric(scores) if len(scores) else np.nan:.4f}" for scores in columns)
        lines.append(_ROW.format(name, *values))
    filters = arguments.filters
    for name, value in filters.items():
        if skipped := found.skipped.get(name, 0):
            share = skipped / found.n_candidates
            lines.append(f"Skipped {skipped:,} potential negatives ({share:.2%}) due to the {name} of {value}.")
    missing, possible = _missing(pairs, found, arguments)
    if missing:
        lines.append(
            f"Could not find enough negatives for {missing} samples ({missing / possible:.2%}). Consider adjusting "
            f"the {_advice(arguments)} if you'd like to find more valid negatives."
        )
    return "\n".join(lines)


def _exploded(pairs: Pairs, found: Found, arguments: Arguments) -> tuple[Scores, Scores]:
    """Return, for every negative of every pair in the result, its score and its distance to the positive."""
    query = pairs.query_of
    counts = found.counts[query]
    if arguments.output_format == "n-tuple":
        counts = np.where(counts == arguments.num_negatives, counts, 0)
    pair = np.repeat(np.arange(len(query)), counts)
    column = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
    negatives = found.scores[query[pair], column].astype(np.float64)
    return negatives, found.positive_scores[pair] - negatives


def _missing(pairs: Pairs, found: Found, arguments: Arguments) -> tuple[int, int]:
    """Return how many rows the result lacks, and how many it would have if every query had all negatives."""
    n = arguments.num_negatives
    n_pairs = np.diff(pairs.offsets)
    if arguments.output_format == "triplet":
        return int((n_pairs * (n - found.counts)).sum()), int(n_pairs.sum()) * n
    if arguments.output_format == "labeled-pair":
        return int((n - found.counts).sum()), int(n_pairs.sum()) + len(n_pairs) * n
    needed = n if arguments.output_format == "n-tuple" else 1
    return int(n_pairs[found.counts < needed].sum()), int(n_pairs.sum())


def _advice(arguments: Arguments) -> str:
    """List the parameters that could be changed."""
    names = [] if arguments.better and not arguments.rescores else ["range_max"]
    names += ["range_min"] if arguments.range_min else []
    names += list(arguments.filters)
    if not names:
        return "corpus"
    listed = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
    return f"{listed} parameter{'s' if len(names) > 1 else ''}"
