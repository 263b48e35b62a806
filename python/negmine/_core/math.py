"""Transcendental functions of the core, which return the same bits on every machine; NumPy's do not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from negmine import _native

__all__ = ["exp", "ln"]


def exp(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the exponential function of every value of an array."""
    return _native.exp(np.ascontiguousarray(values.ravel())).reshape(values.shape)


def ln(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the natural logarithm of every value of an array."""
    return _native.ln(np.ascontiguousarray(values.ravel())).reshape(values.shape)
