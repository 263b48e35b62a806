"""Exact search with a first pass in torch operations, on any device.

The device multiplies int8 codes and drops the documents whose certified interval lies below what a query still needs.
The core scores the others canonically, so results equal those of [`negmine.ExactIndex`][], bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from negmine._core.arrays import as_rows, public_scores, refuse_not_finite
from negmine._core.calls import Progress, check_progress, ensure_fits_in_memory, memory_errors
from negmine._core.labels import Ids
from negmine._core.options import check_choice, check_integer, check_real, refuse_unknown_options
from negmine.data.eligibility import Eligibility, check_eligible
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.search.exact import ExactIndex
from negmine.search.offers import Offers
from negmine.search.request import PoolArrays, PoolRequest
from negmine.search.results import Metric, TopK
from negmine.torch._int8_scan import LEFT_ROWS, DocumentTile, QuantizedRows, exact_product

__all__ = ["TorchIndex"]

#: Queries and documents that are multiplied at once: their products take 32 MiB.
QUERIES_AT_ONCE, DOCUMENTS_AT_ONCE = 1024, 8192

#: Documents of the first tile, which samples the whole corpus. Every tile has up to as many documents as all tiles
#: before it, so that each finds few more candidates than a query needs.
SAMPLE = 1024

#: Candidates that are offered to the core at once.
OFFERED_AT_ONCE = 1 << 20


class TorchIndex:
    """Exact index whose first pass runs in torch operations, for example on a GPU.

    The device multiplies int8 codes of queries and documents, computes an interval that is certified to hold the score
    of each pair, and finds the pairs that may reach the threshold of their query. The core scores these canonically
    and raises the thresholds. Results equal those of [`negmine.ExactIndex`][], bit for bit, on every device.

    Parameters
    ----------
    corpus : array (n_documents, width)
        Embeddings of the documents, in the memory of the host, of the same types as for [`negmine.ExactIndex`][].
        The index keeps a reference and reads the rows again whenever it scores them, so the array must not change.
    device : torch.device or str, optional
        Device of the first pass. It keeps about ``width + 16`` bytes per document, and needs up to about 250 MiB for a
        call. Default: PyTorch's default device.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity measure of the scores; a higher score means closer.
    ids : int64 or str (n_documents,), optional
        Unique labels of the documents; results have them in ``.ids``.
    num_threads : int, optional
        Number of threads of the core in every call, unless the call has its own; threads of torch operations on the
        CPU are those of ``torch.set_num_threads``. Default: all cores available to this process.
    progress : callable, optional
        Called as ``progress(done, total)`` while the index is built.

    Raises
    ------
    NegmineValueError
        An embedding holds NaN or infinity (the message names the row), the width is 0 or above 65,536, labels are not
        unique, or the device is not available or does not multiply int8 codes exactly.
    NegmineTypeError
        A type or dtype is not accepted.

    Notes
    -----
    On the host, the index holds an [`negmine.ExactIndex`][], which keeps about 0.3 times the corpus's float32 bytes,
    and 40 bytes per document. The bound is derived in ``docs/certified_bound.md``.

    Examples
    --------
    >>> import numpy as np
    >>> from negmine.torch import TorchIndex
    >>> corpus = np.eye(3, dtype=np.float32)
    >>> TorchIndex(corpus, device="cpu").search(corpus[:1], k=2).indices.tolist()
    [[0, 1]]
    """

    #: Whether results are exact.
    exact = True

    @refuse_unknown_options("TorchIndex")
    def __init__(
        self,
        corpus: object,
        *,
        device: torch.device | str | None = None,
        metric: Metric = "cosine",
        ids: npt.ArrayLike | None = None,
        num_threads: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.device = _check_device(device)
        self._index = ExactIndex(corpus, metric=metric, ids=ids, num_threads=num_threads, progress=progress)
        self.metric: Metric = self._index.metric
        self.document_ids: Ids | None = self._index.document_ids
        rows, threads = as_rows(corpus, "corpus"), self._index.threads(None)

        def quantize(part: npt.NDArray[np.int64]) -> QuantizedRows:
            return QuantizedRows.of(rows, part, self.metric, threads)

        stride = quantize(np.empty(0, dtype=np.int64)).codes.shape[1]
        self._multiply = exact_product(self.device, stride)
        self._tiles = [DocumentTile(quantize(part), part, self.metric, self.device) for part in _tiles(len(self))]

    def __len__(self) -> int:
        return len(self._index)

    @property
    def width(self) -> int:
        """Number of coordinates of an embedding."""
        return self._index.width

    @property
    def corpus(self) -> object:
        """The corpus as the caller passed it."""
        return self._index.corpus

    def __repr__(self) -> str:
        return f"TorchIndex({len(self)} x {self.width}, metric={self.metric!r}, device={str(self.device)!r})"

    @refuse_unknown_options("search")
    def search(
        self,
        queries: object,
        k: int,
        *,
        exclude: Positives | Iterable[Iterable[int]] | None = None,
        max_score: float | None = None,
        eligible: Eligibility | None = None,
        dtype: Literal["float32", "float64"] = "float32",
        num_threads: int | None = None,
        progress: Progress | None = None,
    ) -> TopK:
        """Find the best ``k`` documents of every query, exactly.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, in the memory of the host, of the same types as ``corpus``.
        k : int
            Documents per query, at least 0; fewer are returned only if fewer exist.
        exclude : Positives or one list of rows per query, optional
            Document rows per query that are never returned.
        max_score : float, optional
            Documents that score above this are not returned; an equal score is. Default: no cap.
        eligible : Eligibility, optional
            Keys and ranges; documents outside the range of a query are not returned.
        dtype : {"float32", "float64"}, default "float32"
            Type of the scores. "float64" returns canonical scores, to merge results of several indexes.
        num_threads : int, optional
            Number of threads of the core. Default: that of the index.
        progress : callable, optional
            Called as ``progress(done, total)`` after every tile of documents.

        Returns
        -------
        TopK

        Raises
        ------
        NegmineValueError
            An embedding holds NaN or infinity (the message names the row), the width differs from that of the corpus,
            or a row is out of range.
        MemoryLimitError
            The result does not fit in memory.
        NegmineTypeError
            A type or dtype is not accepted.
        CorpusChangedError
            The corpus has changed since the index was built.
        """
        n_queries = as_rows(queries, "queries").shape[0]
        k = check_integer(k, "k", least=0)
        check_choice(dtype, "dtype", ("float32", "float64"))
        enough = f"The index holds {len(self)} documents: a higher `k` only adds padding." if k > len(self) else ""
        ensure_fits_in_memory(n_queries, k, "k", instead=enough)
        excluded = None if exclude is None else Positives.read(exclude, "exclude")
        check_eligible(eligible)
        cap = None if max_score is None else check_real(max_score, "max_score")
        request = PoolRequest.of_search(n_queries, k, excluded, cap, eligible)
        found = self.candidates(queries, request, num_threads=num_threads, progress=progress)
        scores = public_scores(found.scores) if dtype == "float32" else found.scores
        return TopK(found.indices, scores, found.counts, self.document_ids)

    def candidates(
        self, queries: object, request: PoolRequest, *, num_threads: int | None = None, progress: Progress | None = None
    ) -> PoolArrays:
        """Scan the corpus once for the candidate pools that a miner requests.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, in the memory of the host, of the same types as ``corpus``.
        request : PoolRequest
            Rules, caps and ranks.
        num_threads : int, optional
            Number of threads of the core. Default: that of the index.
        progress : callable, optional
            Called as ``progress(done, total)`` after every tile of documents.

        Returns
        -------
        PoolArrays

        Raises
        ------
        NegmineValueError
            An embedding holds NaN or infinity (the message names the row), or arrays do not fit each other.
        CorpusChangedError
            The corpus has changed since the index was built.
        """
        check_progress(progress)
        n_queries, threads = as_rows(queries, "queries").shape[0], self._index.threads(num_threads)
        if n_queries > QUERIES_AT_ONCE:
            # A part of lists that do not fit would pass, and a part numbers its own rows.
            _check_lengths(request, n_queries)
            refuse_not_finite(as_rows(queries, "queries"), "queries")
        begins = range(0, max(n_queries, 1), QUERIES_AT_ONCE)
        counts = [min(QUERIES_AT_ONCE, n_queries - begin) for begin in begins]
        parts, total = [], len(begins) * len(self._tiles)
        with memory_errors("range_max"):
            for part, (begin, count) in enumerate(zip(begins, counts, strict=True)):
                own = queries[begin : begin + count]  # type: ignore[index]
                offers = Offers(self._index, own, _part(request, begin, count, n_queries), num_threads=threads)
                for done in self._offer(offers, own, request.range_max, threads):
                    if progress is not None:
                        progress(part * len(self._tiles) + done, total)
                parts.append(offers.finish())
            return PoolArrays.join(parts, counts)

    def _offer(self, offers: Offers, queries: object, depth: int, num_threads: int) -> Iterator[int]:
        """Offer the candidates of every tile, and yield the number of tiles that are done."""
        rows = as_rows(queries, "queries")
        quantized = QuantizedRows.of(rows, np.arange(rows.shape[0], dtype=np.int64), self.metric, num_threads)
        codes = quantized.padded_codes(LEFT_ROWS, self.device)
        largest = max((len(tile.rows) for tile in self._tiles), default=0)
        buffer = torch.empty(rows.shape[0] * largest, dtype=torch.float32, device=self.device)
        for done, tile in enumerate(self._tiles, 1):
            scan = tile.scan(quantized, codes, self._multiply, buffer)
            marked = None
            if done == 1:
                # These raise the thresholds, so that few of the other documents remain.
                marked = scan.best(2 * depth + 16)
                for found in scan.intervals(marked, OFFERED_AT_ONCE):
                    offers.offer(*found)
            reaching = scan.reaching(offers.thresholds())
            for found in scan.intervals(reaching if marked is None else reaching & ~marked, OFFERED_AT_ONCE):
                offers.offer(*found)
            yield done

    def score_pairs(
        self, queries: object, query_indices: npt.NDArray[np.int64], document_indices: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Return the canonical scores of (query, document) pairs; the device has no part in it.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, of the same types as ``corpus``.
        query_indices, document_indices : int64 (n,)
            Rows of queries and documents, in any order.

        Returns
        -------
        float64 (n,)
            The scores, in the order of the pairs.

        Raises
        ------
        NegmineValueError
            A query holds NaN or infinity, or a row is out of range; the message names the row.
        CorpusChangedError
            A document has changed since the index was built.
        """
        return self._index.score_pairs(queries, query_indices, document_indices)


def _check_device(device: object) -> torch.device:
    """Validate a device by an allocation on it."""
    if device is None:
        device = torch.get_default_device()
    if not isinstance(device, torch.device | str):
        raise NegmineTypeError(f"`device` must be a torch.device or a string; got {type(device).__name__}.")
    try:
        return torch.empty(1, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise NegmineValueError(f"`device` must be available to PyTorch; got {str(device)!r}: {error}") from error


def _tiles(n_documents: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the rows of every tile: first a sample of the corpus, then the others in order."""
    is_sampled = np.zeros(n_documents, dtype=bool)
    is_sampled[:: max(1, -(-n_documents // SAMPLE))] = True
    sample, others = np.flatnonzero(is_sampled), np.flatnonzero(~is_sampled)
    if n_documents:
        yield sample
    begin = 0
    while begin < len(others):
        end = begin + min(SAMPLE + begin, DOCUMENTS_AT_ONCE)
        yield others[begin:end]
        begin = end


def _check_lengths(request: PoolRequest, n_queries: int) -> None:
    """Raise an error if lists of a request are not those of the queries."""
    rules, warm = request.rules, request.warm_start
    lengths = {
        "positives": len(rules.positives.offsets) - 1,
        "exclude": n_queries if rules.exclude is None else len(rules.exclude.offsets) - 1,
        "self_rows": n_queries if rules.self_rows is None else len(rules.self_rows),
        "eligible": n_queries if rules.eligible is None else rules.eligible.n_queries,
        "warm_start": n_queries if warm is None else len(warm),
    }
    for name, length in lengths.items():
        if length != n_queries:
            raise NegmineValueError(f"`{name}` must have length {n_queries}, one entry per query; got {length}.")


def _part(request: PoolRequest, begin: int, count: int, n_queries: int) -> PoolRequest:
    """Take a part of a request; the whole request as it is, so that the core validates it."""
    return request if count == n_queries else request.slice(begin, begin + count)
