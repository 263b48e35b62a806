"""Pairs of responses to one prompt by their scores, as direct preference optimization takes them (OneRec, 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_float64s, as_int64s, as_rows
from negmine._core.calls import ensure_fits_in_memory
from negmine._core.extras import require
from negmine._core.options import check_choice, check_real, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.search.exact import score_pairs

if TYPE_CHECKING:
    import datasets

__all__ = ["Pairs", "make_pairs"]

CHOSEN = ("best", "all")
REJECTED = ("worst", "below", "nearest", "all")

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs that [`make_pairs`][] made, in the order of their groups, chosen and rejected responses.

    Attributes
    ----------
    groups : int64 (n_pairs,)
        Group, which is the prompt, of each pair.
    chosen : int64 (n_pairs,)
        Response that is chosen.
    rejected : int64 (n_pairs,)
        Response of the same group that is rejected; its score is lower.
    margins : float64 (n_pairs,)
        Score of the chosen minus that of the rejected response.
    weights : float64 (n_pairs,) or None
        Product of the weights of both responses; None if no weights were given.
    num_unpaired : int
        Number of groups that have a response but no pair: those of one response, or without a sufficient difference.
    """

    groups: Int64s
    chosen: Int64s
    rejected: Int64s
    margins: Float64s
    weights: Float64s | None
    num_unpaired: int

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.chosen)

    def to_dataset(self, prompts: Sequence[object], responses: Sequence[object]) -> datasets.Dataset:
        """Make rows of texts, which ``trl.DPOTrainer`` takes. Needs the extra ``negmine[datasets]``.

        Parameters
        ----------
        prompts : sequence of str or of messages, length n_groups
            Prompt of each group: a text, or a list of messages in the format of chats.
        responses : sequence of str or of messages, length n_responses
            Responses, in the order of the scores.

        Returns
        -------
        datasets.Dataset
            Columns "prompt", "chosen", "rejected" and "margin", and "weight" if there are weights.

        Raises
        ------
        NegmineValueError
            There are fewer prompts or responses than the pairs refer to.
        """
        for name, texts, used in (
            ("prompts", prompts, self.groups),
            ("responses", responses, np.maximum(self.chosen, self.rejected)),
        ):
            needed = int(used.max(initial=-1)) + 1
            if len(texts) < needed:
                raise NegmineValueError(f"`{name}` must have at least {needed} entries; got {len(texts)}.")
        columns: dict[str, list[object]] = {
            "prompt": [prompts[group] for group in self.groups.tolist()],
            "chosen": [responses[row] for row in self.chosen.tolist()],
            "rejected": [responses[row] for row in self.rejected.tolist()],
            "margin": self.margins.tolist(),
        }
        if self.weights is not None:
            columns["weight"] = self.weights.tolist()
        made: datasets.Dataset = require("datasets", "datasets", "`to_dataset`").Dataset.from_dict(columns)
        return made


@refuse_unknown_options("make_pairs")
def make_pairs(
    scores: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    chosen: Literal["best", "all"] = "best",
    rejected: Literal["worst", "below", "nearest", "all"] = "worst",
    min_margin: float = 0.0,
    embeddings: object = None,
    weights: npt.ArrayLike | None = None,
) -> Pairs:
    """Pair responses to the same prompt by their scores.

    A pair qualifies if the chosen response has the higher score and the difference is at least ``min_margin``.

    Parameters
    ----------
    scores : float64 (n,)
        Score, such as a reward, of every response; higher is better. Remove copies first: they make pairs of equal
        texts if their scores differ.
    groups : int64 (n,)
        Group, which is the prompt, of every response, from 0; -1 for responses that are left out, whose scores are not
        read.
    chosen : {"best", "all"}, default "best"
        Responses that are chosen: the one with the highest score of its group, ties by row, or each that has a
        qualified pair.
    rejected : {"worst", "below", "nearest", "all"}, default "worst"
        Response that is rejected for a chosen one: the one with the lowest score of the group; of those that qualify,
        the one with the highest score, or the one whose embedding has the highest cosine with that of the chosen one;
        or each that qualifies. Ties by row.
    min_margin : float, default 0.0
        Least difference of the scores, at least 0.
    embeddings : array (n, width), optional
        Embeddings of the responses, for "nearest"; NumPy array, CPU torch tensor or Arrow fixed-size-list array.
    weights : float64 (n,), optional
        Weight of every response, finite and at least 0; that of a pair is the product of both.

    Returns
    -------
    Pairs
        Rows of the chosen and rejected responses, with their margins.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted, or "nearest" has no embeddings.
    NegmineValueError
        A score is not finite, a group is below -1, or lengths differ.
    MemoryLimitError
        The pairs would not fit in memory.

    Notes
    -----
    OneRec trains on the best and the worst of the responses that a model generates for a user. Where every response is
    right or wrong, as in ReverseGen, scores of 1 and 0 with ``chosen="all"`` and ``rejected="nearest"`` give each right
    response the wrong one that is most like it. The effect of these papers on language models was not measured again.

    References
    ----------
    Deng et al.: "OneRec: Unifying Retrieve and Rank with Generative Recommender and Iterative Preference Alignment",
    2025. Li et al.: "Forewarned is Forearmed: Leveraging LLMs for Data Synthesis through Failure-Inducing Exploration"
    (ReverseGen), 2024.

    Examples
    --------
    >>> from negmine.pairs import make_pairs
    >>> pairs = make_pairs([0.9, 0.2, 0.5, 0.4, 0.4], [0, 0, 0, 1, 1])
    >>> pairs.chosen.tolist(), pairs.rejected.tolist(), pairs.num_unpaired
    ([0], [1], 1)
    >>> pairs.to_dataset(["Name a fruit."], ["An apple.", "A car.", "A bean."])[0]["rejected"]
    'A car.'
    """
    which = check_choice(chosen, "chosen", CHOSEN)
    other = check_choice(rejected, "rejected", REJECTED)
    margin = check_real(min_margin, "min_margin", least=0.0)
    values = as_float64s(scores, "scores")
    labels = as_int64s(groups, "groups", len(values))
    bad = np.flatnonzero(labels < -1)
    if len(bad):
        raise NegmineValueError(f"`groups` must be at least -1; got {labels[bad[0]]} at row {bad[0]}.")
    bad = np.flatnonzero((labels >= 0) & ~np.isfinite(values))
    if len(bad):
        raise NegmineValueError(f"`scores` must be finite; got {values[bad[0]]} at row {bad[0]}.")
    factors = _weights(weights, len(values))
    _check_embeddings(embeddings, len(values), needed=other == "nearest")
    ranked = _rank(values, labels, margin)
    picked = ranked.begins if which == "best" else np.arange(len(ranked.order))
    picked = picked[ranked.starts[picked] < ranked.ends[picked]]
    first, second = _places(ranked, picked, other, embeddings)
    first, second = ranked.order[first], ranked.order[second]
    order = np.lexsort((second, first, labels[first]))
    first, second = first[order], second[order]
    paired = len(np.unique(labels[first]))
    return Pairs(
        groups=labels[first],
        chosen=first,
        rejected=second,
        margins=values[first] - values[second],
        weights=None if factors is None else factors[first] * factors[second],
        num_unpaired=len(ranked.begins) - paired,
    )


class _Ranked(NamedTuple):
    """Responses by (group, score descending, row), with arrays of places in this order."""

    order: Int64s
    scores: Float64s
    #: First place of every group that has a response.
    begins: Int64s
    #: For every place, the first place of its group that is rejected with it; those up to `ends` qualify as well.
    starts: Int64s
    ends: Int64s


def _rank(values: Float64s, labels: Int64s, margin: float) -> _Ranked:
    """Sort the responses, and find those that qualify by bisection: differences grow along a group."""
    rows = np.flatnonzero(labels >= 0)
    order = rows[np.lexsort((rows, -values[rows], labels[rows]))]
    ranked = values[order]
    begins = np.flatnonzero(np.diff(labels[order], prepend=-1))
    sizes = np.diff(begins, append=len(order))
    ends = np.repeat(begins + sizes, sizes)
    low, high = np.arange(len(order)), ends.copy()
    while (searching := low < high).any():
        middle = (low + high) // 2
        # Where the search has ended, the middle may be the end of the last group.
        differences = ranked - ranked[np.minimum(middle, len(order) - 1)]
        qualifies = (differences > 0) & (differences >= margin)
        high = np.where(searching & qualifies, middle, high)
        low = np.where(searching & ~qualifies, middle + 1, low)
    return _Ranked(order, ranked, begins, low, ends)


def _places(ranked: _Ranked, picked: Int64s, rejected: str, embeddings: object) -> tuple[Int64s, Int64s]:
    """Return the places of the chosen and rejected responses; each that is picked has one that qualifies."""
    if rejected == "below":
        return picked, ranked.starts[picked]
    if rejected == "worst":
        # The lowest score of a group begins where a score differs from the one before it, or with the group.
        differs = np.diff(ranked.scores, prepend=np.inf) != 0
        differs[ranked.begins] = True
        changes = np.flatnonzero(differs)
        return picked, changes[np.searchsorted(changes, ranked.ends[picked] - 1, side="right") - 1]
    counts = ranked.ends[picked] - ranked.starts[picked]
    ensure_fits_in_memory(int(counts.sum()), 1, "scores", entry=48)
    first = np.repeat(picked, counts)
    second = np.arange(len(first)) + np.repeat(ranked.starts[picked] - (np.cumsum(counts) - counts), counts)
    if rejected == "all":
        return first, second
    cosines = score_pairs(embeddings, embeddings, np.stack([ranked.order[first], ranked.order[second]], axis=1))
    order = np.lexsort((ranked.order[second], -cosines, first))
    nearest = order[np.flatnonzero(np.diff(first[order], prepend=-1))]
    return first[nearest], second[nearest]


def _weights(weights: object, n_responses: int) -> Float64s | None:
    if weights is None:
        return None
    values = as_float64s(weights, "weights", n_responses)
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(bad):
        raise NegmineValueError(f"`weights` must be finite and at least 0; got {values[bad[0]]} at row {bad[0]}.")
    return values


def _check_embeddings(embeddings: object, n_responses: int, *, needed: bool) -> None:
    if not needed:
        if embeddings is not None:
            raise NegmineValueError("`embeddings` must be None unless `rejected` is 'nearest'.")
        return
    if embeddings is None:
        raise NegmineTypeError("`embeddings` must be given if `rejected` is 'nearest'; got None.")
    n_rows = as_rows(embeddings, "embeddings").shape[0]
    if n_rows != n_responses:
        raise NegmineValueError(f"`embeddings` must have {n_responses} rows, one per score; got {n_rows}.")
