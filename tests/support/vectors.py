"""Vectors that are hard on an exact engine, and the ways in which arrays lie in memory."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Rng = np.random.Generator


# ---- kinds of vectors: f(rng, n, width)


def grid(rng: Rng, n: int, width: int) -> F32:
    """Halves between -1 and 1: inner products are exact and collide."""
    return (rng.integers(-2, 3, (n, width)) / 2).astype(np.float32)


def basis(rng: Rng, n: int, width: int) -> F32:
    """One or four ones: cosines are exactly 1, 0.5, 0.25 and 0."""
    out = np.zeros((n, width), dtype=np.float32)
    for row in out:
        row[rng.choice(width, size=min(width, rng.choice([1, 4])), replace=False)] = 1.0
    return out


def copies(rng: Rng, n: int, width: int) -> F32:
    """Few distinct rows, one of them zero, many times over."""
    palette = rng.standard_normal((4, width)).astype(np.float32)
    palette[3] = 0.0
    return palette[rng.integers(0, 4, n)]


def normal(rng: Rng, n: int, width: int) -> F32:
    """Nothing special."""
    return rng.standard_normal((n, width)).astype(np.float32)


def near(rng: Rng, n: int, width: int) -> F32:
    """Rows that differ in a few last bits of a few coordinates, with copies among them."""
    center = rng.standard_normal(width).astype(np.float32)
    noise = rng.standard_normal((n, width)) * 2.0 ** rng.integers(-24, -18, (n, 1)) * (rng.random((n, width)) < 0.2)
    rows = (center * (1.0 + noise)).astype(np.float32)
    if n > 2:
        rows[rng.integers(0, n, n // 3)] = rows[rng.integers(0, n)]
    return rows


def clusters(rng: Rng, n: int, width: int) -> F32:
    """Tight clusters of many sizes, as sentence embeddings of near-duplicates form them."""
    centers = rng.standard_normal((max(1, n // 40), width))
    spread = 10.0 ** rng.uniform(-7, -1, (n, 1))
    return (centers[rng.integers(0, len(centers), n)] + spread * rng.standard_normal((n, width))).astype(np.float32)


def magnitudes(rng: Rng, n: int, width: int) -> F32:
    """Rows between 1e-30 and 1e30, some with such a spread within."""
    by_row = 10.0 ** rng.uniform(-30, 30, (n, 1))
    within = np.where(rng.random((n, 1)) < 0.3, 10.0 ** rng.uniform(-8, 0, (n, width)), 1.0)
    return (rng.standard_normal((n, width)) * by_row * within).astype(np.float32)


def denormal(rng: Rng, n: int, width: int) -> F32:
    """Multiples of the smallest denormal, down to one of it."""
    return (rng.integers(-3, 4, (n, width)) * 2.0**-149).astype(np.float32) * np.float32(2.0 ** rng.integers(0, 20))


def huge(rng: Rng, n: int, width: int) -> F32:
    """Near the largest float32: inner products lie beyond float32."""
    return (rng.uniform(-3.4e38, 3.4e38, (n, width))).astype(np.float32)


def zeros(rng: Rng, n: int, width: int) -> F32:
    """Zeros of both signs, and a few ones."""
    out = np.where(rng.random((n, width)) < 0.5, 0.0, -0.0).astype(np.float32)
    out[rng.random((n, width)) < 0.05] = 1.0
    return out


def outlier(rng: Rng, n: int, width: int) -> F32:
    """One coordinate dwarfs the others, so that a scale per row leaves them few levels."""
    rows = rng.standard_normal((n, width))
    rows[:, rng.integers(0, width)] *= 1e4
    return rows.astype(np.float32)


def far(rng: Rng, n: int, width: int) -> F32:
    """Far from the origin and close together: where 2qd - qq - dd cancels."""
    return (1000.0 + rng.integers(-3, 4, (n, width)) / 16).astype(np.float32)


KINDS: dict[str, Callable[[Rng, int, int], F32]] = {
    kind.__name__: kind
    for kind in (grid, basis, copies, normal, near, clusters, magnitudes, denormal, huge, zeros, outlier, far)
}


def queries_for(rng: Rng, corpus: F32, n: int, kind: str) -> F32:
    """Queries of a kind, some of them rows of the corpus, scaled or turned round."""
    width = corpus.shape[1]
    out = KINDS[kind](rng, n, width)
    for i in range(n):
        if len(corpus) and rng.random() < 0.5:
            with np.errstate(over="ignore"):
                row = corpus[rng.integers(0, len(corpus))] * np.float32(rng.choice([1.0, 1.0, -1.0, 0.5]))
            out[i] = row
    return out


# ---- layouts: the same values, lying otherwise


def fortran(a: NDArray[Any]) -> NDArray[Any]:
    """Columns first."""
    return np.asfortranarray(a)


def strided(a: NDArray[Any]) -> NDArray[Any]:
    """Every second row and every third column of something larger, with traps in between."""
    whole = np.full((2 * a.shape[0], 3 * a.shape[1]), _trap(a), dtype=a.dtype)
    view = whole[::2, ::3]
    view[...] = a
    return view


def reversed_both(a: NDArray[Any]) -> NDArray[Any]:
    """Negative strides on both axes."""
    return a[::-1, ::-1].copy()[::-1, ::-1]


def reversed_rows(a: NDArray[Any]) -> NDArray[Any]:
    """Rows from the last to the first."""
    return a[::-1].copy()[::-1]


def padded_rows(a: NDArray[Any]) -> NDArray[Any]:
    """Rows that are contiguous, with a gap between them."""
    whole = np.full((a.shape[0], a.shape[1] + 3), _trap(a), dtype=a.dtype)
    whole[:, 1:-2] = a
    return whole[:, 1:-2]


def read_only(a: NDArray[Any]) -> NDArray[Any]:
    """Not writeable."""
    out = a.copy()
    out.flags.writeable = False
    return out


def misaligned(a: NDArray[Any]) -> NDArray[Any]:
    """One byte off."""
    raw = np.empty(a.nbytes + 1, dtype=np.uint8)
    view = raw[1:].view(a.dtype).reshape(a.shape) if a.size else a.copy()
    view[...] = a
    return view


def record(a: NDArray[Any]) -> NDArray[Any]:
    """Take a field of a packed record: rows at a stride that is no multiple of the element."""
    table = np.zeros(len(a), dtype=[("flag", "u1"), ("vector", a.dtype, (a.shape[1],))])
    table["vector"] = a
    return table["vector"]  # type: ignore[no-any-return]


def big_endian(a: NDArray[Any]) -> NDArray[Any]:
    """Most significant byte first."""
    return a.astype(a.dtype.newbyteorder(">"))


def memory_mapped(a: NDArray[Any]) -> NDArray[Any]:
    """Rows from the second page of a file on."""
    if a.size == 0:
        return a
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.bin"
        path.write_bytes(bytes(64) + np.ascontiguousarray(a).tobytes())
        # The file is unlinked at once; the mapping keeps its pages.
        return np.memmap(path, dtype=a.dtype, mode="r", offset=64, shape=a.shape)


def _trap(a: NDArray[Any]) -> Any:
    """Give a value that is noticed where it is read."""
    return np.array(np.nan).astype(a.dtype) if a.dtype.kind in "fV" else 77


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    layout.__name__: layout
    for layout in (
        np.ascontiguousarray,
        fortran,
        strided,
        reversed_both,
        reversed_rows,
        padded_rows,
        read_only,
        misaligned,
        record,
        big_endian,
        memory_mapped,
    )
}


def mixes(layouts: dict[str, Callable[[Any], Any]]) -> list[tuple[str, str]]:
    """Pair every layout of the corpus with another of the queries."""
    names = list(layouts)
    return list(zip(names, itertools.islice(itertools.cycle(names), 3, None), strict=False))
