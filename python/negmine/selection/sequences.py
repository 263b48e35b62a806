"""Scores of token sequences under a language model: Min-K%, LRR, NPR, perplexity, surprise gap."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_float64s, as_int64s, as_offsets
from negmine._core.math import exp, ln
from negmine._core.options import check_choice, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.selection.keeping import check_share, share_of

__all__ = ["sequence_scores"]

#: The kinds of scores, and the arguments that each needs in addition to the offsets.
NEEDS = {
    "min_k": ("log_probs",),
    "lrr": ("log_probs", "ranks"),
    "npr": ("ranks", "perturbed"),
    "perplexity": ("log_probs",),
    "surprise_gap": ("log_probs", "entropy"),
}
SHARE = 0.2
#: Tokens that are sorted at once, some tenths of a second.
BLOCK = 1 << 20


@refuse_unknown_options("sequence_scores")
def sequence_scores(
    log_probs: npt.ArrayLike | None,
    offsets: npt.ArrayLike,
    kind: Literal["min_k", "lrr", "npr", "perplexity", "surprise_gap"] = "min_k",
    *,
    share: float = SHARE,
    ranks: npt.ArrayLike | None = None,
    perturbed: npt.ArrayLike | None = None,
    entropy: npt.ArrayLike | None = None,
) -> npt.NDArray[np.float64]:
    """Score token sequences by what a language model reports for their tokens.

    Parameters
    ----------
    log_probs : float64 (n_tokens,), optional
        Natural logarithm of the probability of every token, at most 0, sequence after sequence. Required for all kinds
        but ``"npr"``, for which it must be None.
    offsets : int64 (n_sequences + 1,)
        The tokens of sequence ``i`` are those from ``offsets[i]`` to ``offsets[i + 1]``.
    kind : {"min_k", "lrr", "npr", "perplexity", "surprise_gap"}, default "min_k"
        ``"min_k"``: mean of the lowest share of log-probabilities (Min-K%). ``"lrr"``: minus the sum of
        log-probabilities over the sum of log-ranks; +inf if all ranks are 1. ``"npr"``: mean log-rank of perturbed
        texts over the sequence's own; +inf if its own is 0. ``"perplexity"``: exponential of minus the mean
        log-probability. ``"surprise_gap"``: mean log-probability plus mean entropy, with its sign.
    share : float, default 0.2
        Share of the tokens for ``"min_k"``, in (0, 1]; at least one token is used.
    ranks : int64 (n_tokens,), optional
        Rank of every token among the model's predictions, from 1; for ``"lrr"`` and ``"npr"``.
    perturbed : float64 (n_sequences,), optional
        Mean log-rank of every sequence's perturbed versions, averaged over these; for ``"npr"``.
    entropy : float64 (n_tokens,), optional
        Entropy of the model's prediction at every token, in nats; for ``"surprise_gap"``.

    Returns
    -------
    float64 (n_sequences,)
        Scores; NaN for sequences without tokens.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted, or one that the kind needs is missing.
    NegmineValueError
        A log-probability is NaN or above 0, a rank is below 1, a number is not finite, or an argument is given that the
        kind does not use.

    References
    ----------
    Shi et al.: "Detecting pretraining data from large language models", ICLR 2024. Su et al.: "DetectLLM", EMNLP 2023
    (Findings).

    Examples
    --------
    >>> from negmine.selection import sequence_scores
    >>> sequence_scores([-0.1, -2.0, -0.3, -0.5], [0, 3, 4], share=0.5).tolist()
    [-2.0, -0.5]
    """
    chosen = check_choice(kind, "kind", tuple(NEEDS))
    given = {"log_probs": log_probs, "ranks": ranks, "perturbed": perturbed, "entropy": entropy}
    for argument, value in given.items():
        if value is None and argument in NEEDS[chosen]:
            raise NegmineTypeError(f"`{argument}` must be given if `kind` is {chosen!r}; got None.")
        if value is not None and argument not in NEEDS[chosen]:
            raise NegmineValueError(f"`{argument}` must be None if `kind` is {chosen!r}, which does not use it.")
    lowest = check_share(share)
    if chosen != "min_k" and lowest != SHARE:
        raise NegmineValueError(f"`share` must be {SHARE} if `kind` is {chosen!r}, which does not use it; got {share}.")
    places = as_int64s(ranks, "ranks") if chosen == "npr" else None
    logs = None if log_probs is None else _log_probs(log_probs)
    n_tokens = len(logs) if logs is not None else len(places) if places is not None else 0
    bounds = as_offsets(offsets, "offsets", n_tokens, "tokens")
    tokens = _Tokens(bounds)
    if chosen == "npr":
        return tokens.ratio(
            _finite(perturbed, "perturbed", len(bounds) - 1, least=0.0), tokens.mean(_log_ranks(ranks, n_tokens))
        )
    assert logs is not None
    if chosen == "min_k":
        return tokens.mean_of_lowest(logs, lowest)
    if chosen == "lrr":
        return tokens.ratio(-tokens.sum(logs), tokens.sum(_log_ranks(ranks, n_tokens)))
    if chosen == "perplexity":
        return exp(-tokens.mean(logs))
    return tokens.mean(logs) + tokens.mean(_finite(entropy, "entropy", n_tokens))


class _Tokens:
    """Sums over the tokens of every sequence, in the order of tokens."""

    def __init__(self, offsets: npt.NDArray[np.int64]) -> None:
        self.offsets = offsets
        self.lengths = np.diff(offsets)
        self.owner = np.repeat(np.arange(len(self.lengths)), self.lengths)

    def sum(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Add up the values of every sequence."""
        # Unlike the sums of NumPy's arrays, `bincount` adds one value after the other on every machine.
        added = np.bincount(self.owner, weights=values, minlength=len(self.lengths))
        return np.asarray(added, dtype=np.float64)

    def mean(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Average the values of every sequence; NaN for empty ones."""
        return self._over(self.sum(values), self.lengths)

    def mean_of_lowest(self, values: npt.NDArray[np.float64], share: float) -> npt.NDArray[np.float64]:
        """Average the lowest share of the values of every sequence, added in ascending order."""
        numbers = share_of(share, self.lengths)
        sums = np.zeros(len(numbers))
        first = 0
        # Ctrl-C waits for one call of NumPy, so long inputs are sorted in blocks of whole sequences.
        while first < len(numbers):
            stop = max(first + 1, int(np.searchsorted(self.offsets, self.offsets[first] + BLOCK, side="right")) - 1)
            begin, end = self.offsets[[first, stop]]
            owner = self.owner[begin:end]
            order = np.lexsort((values[begin:end], owner))
            lowest = order[np.arange(begin, end) - self.offsets[owner] < numbers[owner]]
            sums[first:stop] = np.bincount(owner[lowest] - first, values[begin:end][lowest], stop - first)
            first = stop
        return self._over(sums, np.where(self.lengths > 0, numbers, 0))

    def ratio(self, above: npt.NDArray[np.float64], below: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Divide; +inf over 0, and NaN for empty sequences."""
        result = np.full(len(above), np.inf)
        np.divide(above, below, out=result, where=below > 0)
        result[self.lengths == 0] = np.nan
        return result

    @staticmethod
    def _over(sums: npt.NDArray[np.float64], numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        result = np.full(len(sums), np.nan)
        np.divide(sums, numbers, out=result, where=numbers > 0)
        return result


def _log_probs(value: object) -> npt.NDArray[np.float64]:
    logs = as_float64s(value, "log_probs")
    bad = ~(logs <= 0)
    if bad.any():
        row = int(bad.argmax())
        raise NegmineValueError(f"`log_probs` must be at most 0; got {logs[row]} at row {row}.")
    return logs


def _log_ranks(value: object, n_tokens: int) -> npt.NDArray[np.float64]:
    ranks = as_int64s(value, "ranks", n_tokens)
    bad = ranks < 1
    if bad.any():
        row = int(bad.argmax())
        raise NegmineValueError(f"`ranks` must be at least 1; got {ranks[row]} at row {row}.")
    return ln(ranks.astype(np.float64))


def _finite(value: object, argument: str, n: int, least: float = -np.inf) -> npt.NDArray[np.float64]:
    numbers = as_float64s(value, argument, n)
    bad = ~(np.isfinite(numbers) & (numbers >= least))
    if bad.any():
        row = int(bad.argmax())
        rule = "finite" if least == -np.inf else f"finite and at least {least}"
        raise NegmineValueError(f"`{argument}` must be {rule}; got {numbers[row]} at row {row}.")
    return numbers
