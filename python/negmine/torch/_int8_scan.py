"""First pass of a search in torch operations: int8 products on any device, with certified intervals.

The bound is that of `docs/certified_bound.md`. The core quantizes queries and documents and measures, per row, the
scale ``s``, and upper bounds of the norm ``n`` and of the norm ``e`` of the quantization error. With the exact integer
product ``dot`` of the codes, the inner product of a query ``q`` and a document ``d`` lies in

    ``s_q s_d dot  -+  ((n_q + e_q) e_d + e_q n_d)``

**On the device**, everything is divided by ``s_q`` and multiplied by a power of two per tile that brings the largest
norm of the tile's documents to at most 1. A pair is a candidate unless, in float32,

    ``dot s + u e + v n + w o  <  t``

with one number per document in ``s``, ``e``, ``n`` and ``o``, and one per query in ``u``, ``v``, ``w`` and ``t``;
``w o`` is minus half the squared norm of the document, which only squared distances need. The float32 arithmetic is
one conversion, at most four products and three sums, in this order or fused, so it is off by less than ``9 * 2**-24``
of the sum of the magnitudes, plus a few ``2**-126`` where a device flushes small numbers to zero. That sum is at most
``2 (u e + v n + u n)``, and ``|w o|`` twice. `ROUNDING` widens ``u``, ``v`` and ``o`` by more than three times that
loss, which also covers the rounding of the numbers themselves; `UNDERFLOW` lowers ``t``. Scales below `LEAST` are
replaced by zero, with the norm as the error, and ``e`` and ``n`` are at least `LEAST`, so no product of consequence is
flushed. Equality and NaN keep a pair.

**On the host**, the interval of a candidate is computed in float64 from the exact product; `CANONICAL` covers the
rounding of the canonical score and of the interval itself. No float64 value, square root or sum of products is ever
taken from the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from negmine import _native
from negmine._core.arrays import Rows
from negmine.errors import NegmineValueError
from negmine.search.results import Metric

__all__ = ["DocumentTile", "QuantizedRows", "TileScan", "exact_product", "float32_product", "int8_product", "interval"]

#: Slack terms of the bound, and the least scale, in the units of a tile.
ROUNDING = 2.0**-18
UNDERFLOW = 2.0**-120
CANONICAL = 2.0**-34
LEAST = 2.0**-60

#: Products of codes summed in float32 at once: 1,024 * 127 * 127 is below 2**24, so every partial sum is an integer
#: that float32 represents, in any order of summation.
EXACT_IN_FLOAT32 = 1024

#: Integer products need multiples of these numbers of rows on the left and on the right on some devices.
LEFT_ROWS, RIGHT_ROWS = 32, 8

#: Function that multiplies int8 (m, width) with the transpose of int8 (n, width), to int32 (m, n).
Product = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedRows:
    """Embeddings as int8 codes, with the numbers that their bound needs, on the host.

    Attributes
    ----------
    codes : int8 (n, stride)
        Codes, padded with zeros.
    scales, errors, norms : float64 (n,)
        Scale, upper bound of the norm of the quantization error, and upper bound of the norm, in the caller's units;
        under "cosine", of rows divided by their norm.
    squared_norms : float64 (n,)
        Squared norms in the caller's units; 0 under "ip".
    """

    codes: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64]
    norms: npt.NDArray[np.float64]
    squared_norms: npt.NDArray[np.float64]

    @classmethod
    def of(cls, rows: Rows, indices: npt.NDArray[np.int64], metric: Metric, num_threads: int) -> QuantizedRows:
        """Quantize rows in the given order."""
        return cls(*_native.quantize_rows(rows, indices, metric, num_threads))

    def padded_codes(self, multiple: int, device: torch.device) -> Tensor:
        """Copy the codes to a device, with rows of zeros up to a multiple."""
        n, stride = self.codes.shape
        codes = torch.zeros((-(-max(n, 1) // multiple) * multiple, stride), dtype=torch.int8, device=device)
        codes[:n] = torch.from_numpy(self.codes).to(device)
        return codes


def interval(
    queries: QuantizedRows,
    documents: QuantizedRows,
    pairs: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    dots: npt.NDArray[np.int32],
    metric: Metric,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the ends of the intervals that hold the canonical scores of pairs.

    Parameters
    ----------
    queries, documents : QuantizedRows
        Both sides.
    pairs : two int64 (n,)
        Rows of queries and of documents.
    dots : int32 (n,)
        Inner products of their codes.
    metric : {"cosine", "ip", "l2"}
        Similarity measure.

    Returns
    -------
    low, high : float64 (n,)
    """
    q, d = pairs
    norm, error = queries.norms[q], queries.errors[q]
    product = queries.scales[q] * documents.scales[d] * dots
    lost = (norm + error) * documents.errors[d] + error * documents.norms[d]
    lost += (lost + norm * documents.norms[d]) * CANONICAL
    if metric == "l2":
        squares = queries.squared_norms[q] + documents.squared_norms[d]
        product, lost = 2 * product - squares, 2 * lost + squares * CANONICAL
    return product - lost, product + lost


class DocumentTile:
    """Documents that are multiplied with queries at once, on a device.

    Parameters
    ----------
    quantized : QuantizedRows
        The documents.
    rows : int64 (n,)
        Their rows in the corpus.
    metric : {"cosine", "ip", "l2"}
        Similarity measure.
    device : torch.device
        Where codes and bounds are kept.
    """

    def __init__(
        self, quantized: QuantizedRows, rows: npt.NDArray[np.int64], metric: Metric, device: torch.device
    ) -> None:
        self.rows, self.metric, self.device = rows, metric, device
        self._codes = quantized.padded_codes(RIGHT_ROWS, device)
        # The codes themselves are needed only on the device.
        self.quantized = replace(quantized, codes=quantized.codes[:0].copy())
        # A power of two: the products with it are exact.
        self._unit = float(np.ldexp(1.0, -int(np.frexp(quantized.norms.max())[1])))
        scales, errors, norms = (
            column * self._unit for column in (quantized.scales, quantized.errors, quantized.norms)
        )
        small = scales < LEAST
        columns = [np.where(small, 0.0, scales), np.maximum(np.where(small, norms, errors), LEAST)]
        columns.append(np.maximum(norms, LEAST))
        if metric == "l2":
            halves = quantized.squared_norms * (0.5 * self._unit**2 * (1 - ROUNDING))
            # Zero is above the offset; a number that is not normal could round below it.
            columns.append(np.where(halves < UNDERFLOW, 0.0, -halves))
        self._scales, *self._terms = (_on_device(column, device) for column in columns)

    def scan(self, queries: QuantizedRows, codes: Tensor, multiply: Product, buffer: Tensor) -> TileScan:
        """Multiply the codes of queries with those of all documents of the tile.

        Parameters
        ----------
        queries : QuantizedRows
            Queries.
        codes : int8 (any, stride) tensor
            Their codes on the device, padded with rows of zeros.
        multiply : callable
            Exact product of codes.
        buffer : float32 (any,) tensor
            Memory of the upper ends, which is overwritten: new memory would take longer than the arithmetic.

        Returns
        -------
        TileScan
        """
        n_queries, n_documents = len(queries.norms), len(self.rows)
        dots = multiply(codes, self._codes)[:n_queries, :n_documents]
        high = buffer[: n_queries * n_documents].view(n_queries, n_documents).copy_(dots).mul_(self._scales)
        for weight, term in zip(self._weights(queries), self._terms, strict=True):
            high.addcmul_(_on_device(weight, self.device)[:, None], term)
        return TileScan(self, queries, dots, high)

    def _weights(self, queries: QuantizedRows) -> list[npt.NDArray[np.float64]]:
        """Return ``u``, ``v`` and, under "l2", ``w``."""
        scales, errors = _scales(queries), queries.errors
        code_norms = queries.norms + errors
        weights = [code_norms * (1 + ROUNDING) / scales, (errors * (1 + ROUNDING) + code_norms * ROUNDING) / scales]
        return [*weights, 1 / (self._unit * scales)] if self.metric == "l2" else weights

    def limits(self, queries: QuantizedRows, thresholds: npt.NDArray[np.float64]) -> Tensor:
        """Return ``t``, the thresholds in the units of the tile: float32 (n_queries,) on the device."""
        score, magnitude = thresholds, np.abs(thresholds)
        if self.metric == "l2":
            score, magnitude = (thresholds + queries.squared_norms) / 2, magnitude + queries.squared_norms
        with np.errstate(invalid="ignore"):
            limits = (score - magnitude * CANONICAL) * (self._unit / _scales(queries))
            limits = limits - np.abs(limits) * ROUNDING - UNDERFLOW
        limits[np.isnan(limits)] = -np.inf
        if self.metric == "l2":
            # Float32 cannot hold the weight of the offset: it cannot decide.
            limits[~(self._weights(queries)[-1] < np.finfo(np.float32).max)] = -np.inf
        limits[thresholds == np.inf] = np.inf
        return _on_device(limits, self.device)


#: Rows of queries, rows of documents in the corpus, and the ends of the intervals that hold the scores.
Offered = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class TileScan:
    """Products of queries and the documents of a tile, on the device.

    Attributes
    ----------
    tile : DocumentTile
        The documents.
    queries : QuantizedRows
        The queries.
    dots : int32 (n_queries, n_documents) tensor
        Inner products of codes.
    high : float32 (n_queries, n_documents) tensor
        Upper ends, in the units of the tile.
    """

    tile: DocumentTile
    queries: QuantizedRows
    dots: Tensor
    high: Tensor

    def reaching(self, thresholds: npt.NDArray[np.float64]) -> Tensor:
        """Mark the pairs that may reach the thresholds of their queries: bool (n_queries, n_documents)."""
        return (self.high < self.tile.limits(self.queries, thresholds)[:, None]).logical_not_()

    def best(self, n: int) -> Tensor:
        """Mark ``n`` documents per query that are likely to score high: bool (n_queries, n_documents)."""
        places = self.high.topk(min(n, self.high.shape[1])).indices
        return torch.zeros_like(self.high, dtype=torch.bool).scatter_(1, places, True)

    def intervals(self, marked: Tensor, at_once: int) -> Iterator[Offered]:
        """Yield marked pairs, up to ``at_once`` of them at a time, with their intervals."""
        found = marked.nonzero()
        for begin in range(0, len(found), at_once):
            q, d = found[begin : begin + at_once].unbind(1)
            dots = self.dots[q, d].cpu().numpy()
            pairs = q.cpu().numpy(), d.cpu().numpy()
            ends = interval(self.queries, self.tile.quantized, pairs, dots, self.tile.metric)
            yield (pairs[0], self.tile.rows[pairs[1]], *ends)


def _scales(queries: QuantizedRows) -> npt.NDArray[np.float64]:
    """Return scales to divide by: codes that are all zero may have any."""
    return np.where(queries.scales == 0, 1.0, queries.scales)


def _on_device(values: npt.NDArray[np.float64], device: torch.device) -> Tensor:
    """Round to float32, saturated except for -inf, and copy to a device."""
    most = np.finfo(np.float32).max
    bounded = np.where(np.isneginf(values), values, np.clip(values, -most, most))
    return torch.from_numpy(bounded.astype(np.float32)).to(device)


def int8_product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply int8 (m, width) with the transpose of int8 (n, width) in integers."""
    return torch._int_mm(left, right.t())


def float32_product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply int8 (m, width) with the transpose of int8 (n, width) in float32, few columns at once.

    Every partial sum is then exact, and the codes are even where a device rounds factors to bfloat16 or TF32.
    """
    out = torch.zeros((len(left), len(right)), dtype=torch.int32, device=left.device)
    for begin in range(0, left.shape[1], EXACT_IN_FLOAT32):
        columns = slice(begin, begin + EXACT_IN_FLOAT32)
        out += (left[:, columns].float() @ right[:, columns].float().t()).to(torch.int32)
    return out


def exact_product(
    device: torch.device, stride: int, products: Sequence[Product] = (int8_product, float32_product)
) -> Product:
    """Return the first function that multiplies codes exactly on a device; each is tried on extreme codes.

    Some processors without instructions for int8 products saturate sums of 16 bits, and some devices have no such
    products at all.

    Parameters
    ----------
    device : torch.device
        The device.
    stride : int
        Width of the codes.
    products : sequence of callable, optional
        The functions. Default: `int8_product`, then `float32_product`.

    Returns
    -------
    callable

    Raises
    ------
    NegmineValueError
        No product on this device is exact.
    """
    signs = np.ones((LEFT_ROWS, 1), dtype=np.int8)
    signs[1::2] = -1
    left = np.broadcast_to(127 * signs, (LEFT_ROWS, stride)).astype(np.int8)
    left[LEFT_ROWS // 2 :] = (np.arange(stride) * 37 % 255 - 127) * signs[LEFT_ROWS // 2 :]
    right = left[: 2 * RIGHT_ROWS][::-1].copy()
    expected = left.astype(np.int64) @ right.astype(np.int64).T
    for product in products:
        try:
            found = product(torch.from_numpy(left).to(device), torch.from_numpy(right).to(device)).cpu().numpy()
        except (AttributeError, NotImplementedError, RuntimeError):
            continue
        if np.array_equal(found, expected):
            return product
    raise NegmineValueError(f"`device` must multiply int8 codes exactly; got {str(device)!r}.")
