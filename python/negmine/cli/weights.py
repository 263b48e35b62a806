"""Weights of random negatives, as the command line takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from negmine._core import files
from negmine._core.parsing import map_array
from negmine.cli.errors import ArgumentError
from negmine.mining.random_weights import RandomWeights

__all__ = ["read_weights"]


def read_weights(text: str | None, num_random: int) -> RandomWeights | None:
    """Read the value of `--random-weights`: "popularity", or a file of one weight per document.

    Parameters
    ----------
    text : str or None
        The value; None if the option was not given.
    num_random : int
        Number of random negatives per row.

    Returns
    -------
    "popularity", array or None
        Weights in the order of the documents, whose number and values the task checks.

    Raises
    ------
    ArgumentError
        There are no random negatives, or the file cannot be read.
    """
    if text is None:
        return None
    if num_random == 0:
        raise ArgumentError("`--random-weights` must come with `--num-random`, which was not given.")
    if text == "popularity":
        return text
    path = Path(text)
    if files.suffix_of(path) != ".npy":
        raise ArgumentError(f"`--random-weights` must be popularity or a .npy file; got {text!r}.")
    return np.array(map_array(files.input_file(path, "random_weights"), "random_weights"))
