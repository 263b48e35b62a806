"""Search of a corpus whose documents are spread over the ranks of ``torch.distributed``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, distributed

from negmine._core.arrays import as_rows, public_scores, refuse_not_finite
from negmine._core.calls import ensure_fits_in_memory
from negmine._core.options import check_choice, check_integer, refuse_unknown_options
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.search.protocol import Searcher
from negmine.search.results import Metric, TopK

__all__ = ["DistributedSearcher"]

T = TypeVar("T")
S = TypeVar("S")


class DistributedSearcher:
    """Search over the documents of all ranks, each of which holds a shard.

    Every rank passes the index of its own shard and its own queries, and gets the best documents of all shards for its
    queries. Queries are gathered, every shard is searched for all of them, and each rank merges what it receives by
    canonical score. If all indexes are exact, results equal those of one [`negmine.ExactIndex`][] over the documents
    of rank 0, then of rank 1, and so on, bit for bit.

    All ranks must construct it, and make the same calls in the same order. With ``python -m torch.distributed.run``,
    each process calls ``torch.distributed.init_process_group`` first.

    Parameters
    ----------
    index : Searcher
        Index of this rank's documents, with float64 scores, such as [`negmine.ExactIndex`][].
    timeout : datetime.timedelta, default 10 minutes
        Longest time that a rank waits for another in one exchange. It must exceed the time in which the slowest rank
        searches its shard. PyTorch's own default is 30 minutes.

    Raises
    ------
    NegmineTypeError
        The index is not a `Searcher`, or the timeout is not a timedelta.
    NegmineValueError
        No process group is initialized, or the metrics or widths of the shards differ.

    Notes
    -----
    Tests run on the backend gloo. With nccl, the same calls use the current CUDA device; this is untested.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, negmine, torch
    >>> from negmine.integrations.torch_distributed import DistributedSearcher
    >>> store = f"file://{tempfile.mkdtemp()}/store"
    >>> torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    >>> shard = np.eye(3, dtype=np.float32)
    >>> DistributedSearcher(negmine.ExactIndex(shard)).search(shard[:1], k=2).indices.tolist()
    [[0, 1]]
    >>> torch.distributed.destroy_process_group()
    """

    @refuse_unknown_options("DistributedSearcher")
    def __init__(self, index: Searcher, *, timeout: timedelta = timedelta(minutes=10)) -> None:
        if not distributed.is_initialized():
            raise NegmineValueError("`torch.distributed.init_process_group` must be called first; it was not.")
        if not isinstance(timeout, timedelta):
            raise NegmineTypeError(f"`timeout` must be a datetime.timedelta; got {type(timeout).__name__}.")
        group: Any = distributed.new_group(timeout=timeout)
        self._group = group
        self._rank, self._n_ranks = distributed.get_rank(self._group), distributed.get_world_size(self._group)
        gpu = distributed.get_backend(self._group) == "nccl"
        self._device = torch.device("cuda", torch.cuda.current_device()) if gpu else torch.device("cpu")
        _, shards = self._together(lambda: _describe(index), lambda description: description)
        for rank, shard in enumerate(shards):
            if shard[1:3] != shards[0][1:3]:
                raise NegmineValueError(
                    f"All shards must have one metric and one width; got {shards[0][1:3]} on rank 0 and {shard[1:3]} "
                    f"on rank {rank}."
                )
        self._index = index
        self._lengths = [shard[0] for shard in shards]
        self.metric: Metric = shards[0][1]
        self.exact = all(shard[3] for shard in shards)

    def __len__(self) -> int:
        return sum(self._lengths)

    @property
    def first(self) -> int:
        """Row of this rank's first document among those of all ranks."""
        return sum(self._lengths[: self._rank])

    def __repr__(self) -> str:
        return f"DistributedSearcher({len(self)} documents on {self._n_ranks} ranks, metric={self.metric!r})"

    @refuse_unknown_options("search")
    def search(
        self,
        queries: object,
        k: int,
        *,
        dtype: Literal["float32", "float64"] = "float32",
        num_threads: int | None = None,
    ) -> TopK:
        """Find the best ``k`` documents of all ranks for this rank's queries.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of this rank's queries, of the same types as for [`negmine.ExactIndex`][]; ranks may have
            different numbers of queries, and none.
        k : int
            Documents per query, the same on every rank.
        dtype : {"float32", "float64"}, default "float32"
            Type of the scores.
        num_threads : int, optional
            Number of threads of this rank's index. Default: that of the index.

        Returns
        -------
        TopK
            ``indices`` are rows among the documents of all ranks, in the order of the ranks. There are no labels.

        Raises
        ------
        NegmineError
            An argument of any rank is invalid, or the search of any shard failed; the message names the rank. On the
            rank itself, its own error is raised.
        RuntimeError
            A rank ended, or did not answer within ``timeout``.
        """
        own, width = self._read(queries, k, dtype)
        scores, rows = self._exchange(*self._search_shard(self._gather(own, width), k, num_threads), k)
        # Padding has the lowest score, so it is last.
        order = np.lexsort((rows, -scores), axis=1)[:, :k]
        indices, scores = np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)
        counts = (indices >= 0).sum(axis=1).astype(np.int32)
        return TopK(indices, public_scores(scores) if dtype == "float32" else scores, counts, exact=self.exact)

    def _read(self, queries: object, k: int, dtype: str) -> tuple[npt.NDArray[np.float32], int]:
        """Validate this rank's arguments and compare them with those of the others; return the rows and the width."""

        def read() -> npt.NDArray[np.float32]:
            rows = as_rows(queries, "queries")
            refuse_not_finite(rows, "queries")
            check_choice(dtype, "dtype", ("float32", "float64"))
            ensure_fits_in_memory(rows.shape[0], check_integer(k, "k", least=0) * self._n_ranks, "k")
            return np.ascontiguousarray(rows.values(), dtype=np.float32)

        own, shapes = self._together(read, lambda rows: (len(rows), rows.shape[1], k))
        for rank, shape in enumerate(shapes):
            if shape[1:] != shapes[0][1:]:
                raise NegmineValueError(
                    f"All ranks must search with one width and one `k`; got {shapes[0][1:]} on rank 0 and {shape[1:]} "
                    f"on rank {rank}."
                )
        self._n_queries = [shape[0] for shape in shapes]
        return own, shapes[0][1]

    def _gather(self, own: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float32]:
        """Return the queries of all ranks."""
        padded = torch.zeros(max(self._n_queries), width, device=self._device)
        padded[: len(own)] = torch.from_numpy(own).to(self._device)
        parts = [torch.empty_like(padded) for _ in self._n_queries]
        distributed.all_gather(parts, padded, group=self._group)
        return np.concatenate([part[:n].cpu().numpy() for part, n in zip(parts, self._n_queries, strict=True)])

    def _search_shard(
        self, queries: npt.NDArray[np.float32], k: int, num_threads: int | None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Search this rank's documents for the queries of all ranks; return scores, and rows among all documents."""
        found, _ = self._together(
            lambda: self._index.search(queries, k, dtype="float64", num_threads=num_threads), lambda _: None
        )
        rows = np.where(found.indices >= 0, found.indices + self.first, -1)
        return found.scores.astype(np.float64, copy=False), rows

    def _exchange(
        self, scores: npt.NDArray[np.float64], rows: npt.NDArray[np.int64], k: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Send every rank what was found for its queries; return what all shards found, side by side."""
        n_own = self._n_queries[self._rank]
        sent, received = [n * k for n in self._n_queries], [n_own * k] * self._n_ranks
        both = []
        for values in (scores, rows):
            flat: Tensor = torch.from_numpy(np.ascontiguousarray(values).reshape(-1)).to(self._device)
            out = torch.empty(sum(received), dtype=flat.dtype, device=self._device)
            distributed.all_to_all_single(out, flat, received, sent, group=self._group)
            by_rank = out.cpu().numpy().reshape(self._n_ranks, n_own, k)
            both.append(by_rank.transpose(1, 0, 2).reshape(n_own, self._n_ranks * k))
        return both[0], both[1]

    def _together(self, work: Callable[[], T], describe: Callable[[T], S]) -> tuple[T, list[S]]:
        """Do a part of the work on every rank; return this rank's result, and descriptions of all results.

        An error of one rank is raised on all of them: otherwise, the others would wait for it until the timeout.
        """
        failure: Exception | None = None
        outcome: tuple[S | None, str]
        try:
            result = work()
            outcome = describe(result), ""
        except Exception as error:
            failure = error
            outcome = None, f"{type(error).__name__}: {error}"
        outcomes: list[Any] = [None] * self._n_ranks
        distributed.all_gather_object(outcomes, outcome, group=self._group)
        if failure is not None:
            raise failure
        for rank, (_, message) in enumerate(outcomes):
            if message:
                raise NegmineError(f"Rank {rank} failed: {message}")
        return result, [description for description, _ in outcomes]


def _describe(index: object) -> tuple[int, Metric, int | None, bool]:
    """Return length, metric, width if the index has one, and whether it is exact."""
    if not isinstance(index, Searcher):
        raise NegmineTypeError(f"`index` must be an ExactIndex or another Searcher; got {type(index).__name__}.")
    return len(index), index.metric, getattr(index, "width", None), index.exact
