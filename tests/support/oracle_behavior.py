"""SDIM in a page of NumPy: what signatures, tables and attention by hashing mean, in float64."""

from __future__ import annotations

import numpy as np

#: The signature of a row that is zero or masked.
MASKED = 2**32 - 1


def signatures(projections: np.ndarray, tau: int, x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Bits of `x . r > 0`, `tau` to a signature, the first one lowest."""
    x = x.astype(np.float32).astype(np.float64)
    bits = (x @ projections.T.astype(np.float64) > 0).reshape(len(x), len(projections) // tau, tau)
    words = (bits * 2 ** np.arange(tau)).sum(axis=2)
    absent = (x == 0).all(axis=1)
    if mask is not None:
        absent |= ~mask
    words[absent] = MASKED
    return words


def attention(
    wanted: np.ndarray, known: np.ndarray, values: np.ndarray, normalize: str = "l2", skip_empty: bool = False
) -> np.ndarray:
    """What each candidate reads of one history, group by group."""
    out = np.zeros((len(wanted), values.shape[1]))
    values = values.astype(np.float32).astype(np.float64)
    for i, words in enumerate(wanted):
        hits = (known == words) & (words != MASKED)
        sums = np.stack([values[hit].sum(axis=0) for hit in hits.T])
        counts = hits.sum(axis=0)
        if normalize == "ratio":
            out[i] = sums.sum(axis=0) / max(counts.sum(), 1)
            continue
        if normalize == "l2":
            sums = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        elif normalize == "mean":
            sums = sums / np.maximum(counts, 1)[:, None]
        out[i] = sums.sum(axis=0) / (max((counts > 0).sum(), 1) if skip_empty else len(words))
    return out
