"""Inverse propensity weights: Coupled Estimation (CIKM 2022), Rel-MF (WSDM 2020), and DLA (SIGIR 2018)."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_array
from negmine._core.math import exp, ln
from negmine._core.options import check_choice, check_integer, check_real, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.weights._numbers import Numbers, as_numbers, refuse

__all__ = ["design_weights", "ipw", "popularity_propensity", "selection_propensity"]


@overload
def ipw(
    propensity: npt.ArrayLike | None = None,
    *,
    log: npt.ArrayLike | None = None,
    label: None = None,
    clip: float | None = None,
    relative_to: int | None = None,
    normalize: Literal["mean", "sum"] | None = None,
) -> Numbers: ...


@overload
def ipw(
    propensity: npt.ArrayLike | None = None,
    *,
    log: npt.ArrayLike | None = None,
    label: npt.ArrayLike,
    clip: float | None = None,
    relative_to: None = None,
    normalize: None = None,
) -> tuple[Numbers, Numbers]: ...


@refuse_unknown_options("ipw")
def ipw(
    propensity: npt.ArrayLike | None = None,
    *,
    log: npt.ArrayLike | None = None,
    label: npt.ArrayLike | None = None,
    clip: float | None = None,
    relative_to: int | None = None,
    normalize: Literal["mean", "sum"] | None = None,
) -> Numbers | tuple[Numbers, Numbers]:
    """Return inverse propensity weights: 1 / propensity, bounded by 1 / clip.

    Parameters
    ----------
    propensity : float64 (...), optional
        Probabilities of being observed, in [0, 1], in an array of any shape. Either these or ``log`` must be given.
    log : float64 (...), optional
        Logarithms of the propensities, such as a ``log_prob`` of [`negmine.selection.select`][], of expected numbers
        of draws, or, with ``relative_to``, logits. They may be positive.
    label : bool or int (...), optional
        Whether each pair was observed to be positive (1) or not (0). Then two weights per pair are returned: those of
        its loss as a positive and of its loss as a negative, ``label / p`` and ``1 - label / p``.
    clip : float, optional
        Smallest propensity, in (0, 1]; lower ones count as this, so no weight exceeds ``1 / clip``. It adds bias and
        removes variance.
    relative_to : int, optional
        Position on the last axis whose propensity is divided by the others': the weights are
        ``p[relative_to] / max(p, clip * p[relative_to])``, and that position has weight 1.
    normalize : {"mean", "sum"}, optional
        Whether to scale the weights to a mean, or a sum, of 1. Not with ``label``, whose second weights may be
        negative.

    Returns
    -------
    float64 (...), or a tuple of two
        Weights; with ``label``, those of the loss as a positive and those of the loss as a negative.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted, or not exactly one of ``propensity`` and ``log`` is given.
    NegmineValueError
        A propensity is out of range, or is 0 where its weight is needed and there is no ``clip``; or options exclude
        each other.

    Notes
    -----
    With ``label`` and without ``clip``, the mean of the weighted losses over all pairs is unbiased for the loss under
    full observation (Saito et al., "Unbiased Recommender Learning from Missing-Not-At-Random Implicit Feedback", WSDM
    2020). The second weight of an observed pair is negative, which is what makes it unbiased. Batches that draw
    positives and the other pairs in other proportions need [`design_weights`][] in addition.

    Examples
    --------
    >>> from negmine.weights import ipw
    >>> ipw([0.25, 0.5, 1.0]).tolist()
    [4.0, 2.0, 1.0]
    >>> [part.tolist() for part in ipw([0.25, 0.25], label=[1, 0], clip=0.5)]
    [[2.0, 0.0], [-1.0, 1.0]]
    """
    least = None if clip is None else check_real(clip, "clip", above=0.0)
    if least is not None and least > 1.0:
        raise NegmineValueError(f"`clip` must be at most 1; got {least}.")
    if normalize is not None:
        check_choice(normalize, "normalize", ("mean", "sum"))
    if label is not None:
        for name, value in (("relative_to", relative_to), ("normalize", normalize)):
            if value is not None:
                raise NegmineValueError(f"`{name}` must be None if `label` is given; got {value!r}.")
    if (propensity is None) == (log is None):
        raise NegmineTypeError(f"Give `propensity` or `log`; got {'neither' if log is None else 'both'}.")
    if log is None:
        values, argument = as_numbers(propensity, "propensity"), "propensity"
        refuse(~((values >= 0.0) & (values <= 1.0)), values, argument, "be in [0, 1]")
        inverse = _inverse
    else:
        values, argument = as_numbers(log, "log"), "log"
        refuse(~(values < np.inf), values, argument, "hold numbers below infinity")
        inverse = _inverse_of_logs
    observed = None if label is None else _labels(label, values.shape)
    weights = inverse(values, least, _reference(values, relative_to, argument))
    needed = np.isfinite(weights) | (False if observed is None else ~observed)
    refuse(~needed, values, argument, "have a finite inverse, or `clip` be given")
    if observed is not None:
        positive = np.where(observed, weights, 0.0)
        return positive, 1.0 - positive
    if normalize is not None and weights.size:
        weights /= weights.mean() if normalize == "mean" else weights.sum()
    return weights


def _inverse(values: Numbers, clip: float | None, reference: Numbers | None) -> Numbers:
    """Return the weights of propensities; infinite where one is 0 and there is no clip."""
    top = np.ones(()) if reference is None else reference
    bounded = values if clip is None else np.maximum(values, clip * top)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(top / bounded)


def _inverse_of_logs(values: Numbers, clip: float | None, reference: Numbers | None) -> Numbers:
    """Return the weights of logarithms; ratios are differences, so they neither overflow nor lose digits."""
    relative = values if reference is None else values - reference
    return exp(-(relative if clip is None else np.maximum(relative, ln(np.array(clip)))))


def _reference(values: Numbers, relative_to: object, argument: str) -> Numbers | None:
    """Return the propensities, or logarithms, at a position of the last axis."""
    if relative_to is None:
        return None
    if values.ndim == 0:
        raise NegmineValueError(f"`{argument}` must have an axis of positions for `relative_to`; got one number.")
    position = check_integer(relative_to, "relative_to", least=0, most=values.shape[-1] - 1)
    reference = values[..., position]
    refuse(
        reference == (-np.inf if argument == "log" else 0.0),
        reference,
        argument,
        f"have a positive propensity at position {position}, `relative_to`",
    )
    return reference[..., None]


def _labels(label: object, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    read = as_array(label, "label")
    if read.shape != shape:
        raise NegmineValueError(f"`label` must have the shape of the propensities, {shape}; got shape {read.shape}.")
    if read.dtype.kind == "b":
        return read.astype(np.bool_)
    values = as_numbers(read, "label")
    refuse((values != 0.0) & (values != 1.0), values, "label", "be 0 or 1")
    observed: npt.NDArray[np.bool_] = values == 1.0
    return observed


@refuse_unknown_options("selection_propensity")
def selection_propensity(score: npt.ArrayLike, temperature: float) -> Numbers:
    """Return the probability that a candidate was not selected, ``sigmoid(-score / temperature)``.

    Parameters
    ----------
    score : float64 (...)
        Scores of a model of selection: a higher score means that the candidate was likely to be judged.
    temperature : float
        Divisor of the scores, greater than 0; the released script of the method has 10.

    Returns
    -------
    float64 (...)
        Probabilities. Their inverse, by [`ipw`][], is ``1 + exp(score / temperature)``; a ``clip`` of .1 bounds the
        weights by 10.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted.
    NegmineValueError
        A score is not finite, or the temperature is not positive.

    Notes
    -----
    Cai et al., "Hard Negatives or False Negatives: Correcting Pooling Bias in Training Neural Ranking Models", CIKM
    2022. A negative that was likely to be selected for judging, and still has no label, is a reliable negative and gets
    a higher weight.

    Examples
    --------
    >>> from negmine.weights import ipw, selection_propensity
    >>> ipw(selection_propensity([0.0, 2.0], 2.0)).round(6).tolist()
    [2.0, 3.718282]
    """
    values = as_numbers(score, "score")
    refuse(~np.isfinite(values), values, "score", "be finite")
    scaled = values / check_real(temperature, "temperature", above=0.0)
    # The exponent is never positive, so nothing overflows and small probabilities keep their digits.
    small = exp(-np.abs(scaled))
    return np.where(scaled > 0.0, small, 1.0) / (1.0 + small)


@refuse_unknown_options("popularity_propensity")
def popularity_propensity(counts: npt.ArrayLike, exponent: float = 0.5) -> Numbers:
    """Return propensities that grow with the popularity of items, ``(count / largest count) ** exponent``.

    Parameters
    ----------
    counts : float64 (...)
        How often each item occurs among the positives of training, at least 0.
    exponent : float, default 0.5
        Exponent, at least 0.

    Returns
    -------
    float64 (...)
        Propensities in (0, 1]. Items of count 0 have the smallest propensity of the others.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted.
    NegmineValueError
        A count is below 0 or not finite, or no count is positive.

    Examples
    --------
    >>> from negmine.weights import popularity_propensity
    >>> popularity_propensity([0, 1, 4]).tolist()
    [0.5, 0.5, 1.0]
    """
    values = as_numbers(counts, "counts")
    refuse(~(np.isfinite(values) & (values >= 0.0)), values, "counts", "be finite and at least 0")
    power = check_real(exponent, "exponent", least=0.0)
    positive = values > 0.0
    if not positive.any():
        raise NegmineValueError(f"`counts` must hold a positive count; got {values.size} counts without one.")
    filled = np.where(positive, values, values[positive].min())
    return exp(power * ln(filled / filled.max()))


@refuse_unknown_options("design_weights")
def design_weights(n_pos: int, n_unl: int) -> tuple[float, float]:
    """Return the weights that undo batches of which one half are positives and the other half unlabeled pairs.

    Parameters
    ----------
    n_pos : int
        Number of positive pairs in the data.
    n_unl : int
        Number of unlabeled pairs in the data.

    Returns
    -------
    positive : float
        Weight of the positive pairs of such a batch, ``2 * n_pos / n``, with ``n = n_pos + n_unl``.
    unlabeled : float
        Weight of its unlabeled pairs, ``2 * n_unl / n``. The mean of the weighted losses is then unbiased for the mean
        over all pairs.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        A number is not an integer of at least 1.

    Examples
    --------
    >>> from negmine.weights import design_weights
    >>> design_weights(50, 950)
    (0.1, 1.9)
    """
    positives = check_integer(n_pos, "n_pos", least=1, most=2**62)
    unlabeled = check_integer(n_unl, "n_unl", least=1, most=2**62)
    n = positives + unlabeled
    return 2 * positives / n, 2 * unlabeled / n
