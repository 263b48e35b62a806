"""New negatives between epochs: drawn again from their pool, or mined again with the current model (ANCE, 2020).

Both functions run in the main process and publish to a :class:`negmine.torch.NegativesTable`, from which workers read.
The loader's read-ahead determines when workers see a new generation. A DataLoader draws
``prefetch_factor * num_workers`` batches before it returns the first, so

- if the table is published between epochs, after the last batch of one and before ``iter(loader)`` of the next, the
  whole next epoch has the new generation, with persistent workers or without;
- if it is published in the middle of an epoch, or after ``iter(loader)``, the batches that were read ahead are still of
  the old generation: ``prefetch_factor * num_workers`` of them, and those that workers were just reading.
  ``batch["generation"]`` holds the generation of each batch.

With several ranks, one process per folder publishes, and the others wait for it before they iterate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import torch

from negmine._core.arrays import as_numpy
from negmine._core.calls import Progress
from negmine._core.options import check_integer, refuse_unknown_options
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.miner import HardNegativeMiner
from negmine.mining.negatives import HardNegatives
from negmine.mining.options import CandidateOptions
from negmine.mining.task import MiningTask
from negmine.search.results import Metric
from negmine.store.negatives_table import NegativesTable

__all__ = ["redraw", "refresh"]

#: Function of a slice of queries or documents that returns their embeddings.
Encode = Callable[[Any], "npt.NDArray[Any] | torch.Tensor"]


def redraw(
    table: NegativesTable, negatives: HardNegatives, *, epoch: int, num_threads: int | None = None
) -> HardNegatives:
    """Draw negatives again from their pool, without a scan, and publish them.

    Parameters
    ----------
    table : NegativesTable
        Table to publish to.
    negatives : HardNegatives
        Negatives with their pool: as mined, or saved with ``pool=True``. Their policy must be random, or every epoch is
        the same.
    epoch : int
        Epoch of the draws, in [0, 2**64): the same epoch gives the same negatives.
    num_threads : int, optional
        Number of threads. Default: all cores that this process may use.

    Returns
    -------
    HardNegatives
        The published negatives.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If an argument is invalid, or the negatives have no pool or belong to another data set than the table's.

    Examples
    --------
    >>> import numpy as np, negmine, tempfile
    >>> from negmine.torch import NegativesTable, redraw
    >>> corpus = np.eye(6, dtype=np.float32)
    >>> negatives = negmine.mine(corpus[:2], corpus, [[0], [1]], num_negatives=2, sampling="random")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = NegativesTable.create(folder, negatives)
    ...     for epoch in range(1, 3):
    ...         fresh = redraw(table, negatives, epoch=epoch)
    ...     generation = table.generation
    >>> generation, fresh.epoch
    (2, 2)
    """
    _refuse_other_types(table, negatives=(negatives, HardNegatives))
    fresh = negatives.redraw(epoch, num_threads=num_threads)
    table.publish(fresh)
    return fresh


@refuse_unknown_options("refresh", tuple(CandidateOptions.__annotations__))
def refresh(
    table: NegativesTable,
    miner: HardNegativeMiner,
    encode: Encode,
    queries: object,
    documents: object,
    positives: Positives | Iterable[Iterable[int]],
    *,
    encode_documents: Encode | None = None,
    batch_size: int = 1024,
    metric: Metric = "cosine",
    epoch: int = 0,
    num_threads: int | None = None,
    progress: Progress | None = None,
    **rules: Unpack[CandidateOptions],
) -> HardNegatives:
    """Embed queries and documents with the current model, mine again, and publish: ANCE without its second machine.

    After Xiong et al., "Approximate Nearest Neighbor Negative Contrastive Learning for Dense Text Retrieval" (ANCE,
    2020), section 4, which mines on other machines while training continues. Here training waits, and the negatives are
    those of the current model.

    Parameters
    ----------
    table : NegativesTable
        Table to publish to.
    miner : HardNegativeMiner
        Miner of the negatives.
    encode : callable
        Function of ``queries[i : i + batch_size]`` that returns embeddings of shape (at most ``batch_size``, width): an
        array, or a tensor on any device. It is called without gradients, and must itself switch the model to evaluation
        and back.
    queries, documents : sequence, array or tensor
        Input of ``encode``, such as lists of texts.
    positives : Positives or one list of document rows per query
        As in :meth:`negmine.HardNegativeMiner.candidates`.
    encode_documents : callable, optional
        Function that embeds the documents. Default: ``encode``.
    batch_size : int, default 1024
        Entries per call of ``encode``.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity of embeddings.
    epoch : int, default 0
        Epoch of the draws, in [0, 2**64).
    num_threads : int, optional
        Number of threads that mine. Default: all cores that this process may use.
    progress : callable, optional
        Called as ``progress(done, total)`` while mining.
    **rules : Any
        Any other option of :meth:`negmine.HardNegativeMiner.candidates`. Pass the result of the last refresh as
        ``warm_start`` to save time; it does not change the result.

    Returns
    -------
    HardNegatives
        The published negatives with their pool, so that :func:`redraw` can draw for the epochs until the next refresh.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If an argument is invalid, or ``encode`` returns another number of rows than entries, or another dtype than
        before.

    Examples
    --------
    >>> import numpy as np, negmine, tempfile, torch
    >>> from negmine.torch import NegativesTable, refresh
    >>> features = torch.eye(6)
    >>> labels = [[0], [1]]
    >>> model = torch.nn.Linear(6, 4)
    >>> miner = negmine.HardNegativeMiner(2)
    >>> first = miner.mine(negmine.ExactIndex(features), features[:2], labels)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = NegativesTable.create(folder, first)
    ...     fresh = refresh(table, miner, model, features[:2], features, labels, warm_start=first)
    ...     generation = table.generation
    >>> generation, fresh.indices.shape
    (1, (2, 2))
    """
    _refuse_other_types(table, miner=(miner, HardNegativeMiner))
    batch_size = check_integer(batch_size, "batch_size", least=1)
    _refuse_other_lengths(table, queries, documents)
    query_embeddings = _encode(encode, queries, "encode", batch_size)
    named = "encode" if encode_documents is None else "encode_documents"
    document_embeddings = _encode(encode_documents or encode, documents, named, batch_size)
    task = MiningTask.read(query_embeddings, document_embeddings, positives, miner, metric=metric, epoch=epoch, **rules)
    fresh = task.mine(
        task.source(num_threads=num_threads, progress=progress), num_threads=num_threads, progress=progress
    )
    table.publish(fresh)
    return fresh


def _refuse_other_types(table: object, **others: tuple[object, type]) -> None:
    for name, (value, wanted) in {"table": (table, NegativesTable), **others}.items():
        if not isinstance(value, wanted):
            raise NegmineTypeError(f"`{name}` must be a {wanted.__name__}; got {type(value).__name__}.")


def _refuse_other_lengths(table: NegativesTable, queries: object, documents: object) -> None:
    """Refuse lengths that the table would refuse, before anything is embedded."""
    n_queries = int(table.current().query_indices.max(initial=-1)) + 1
    for name, entries in {"queries": queries, "documents": documents}.items():
        if not isinstance(entries, Sized) or isinstance(entries, Mapping):
            raise NegmineTypeError(f"`{name}` must be a sequence, an array or a tensor; got {type(entries).__name__}.")
        if len(entries) == 0:
            raise NegmineValueError(f"`{name}` must have entries to embed; got none.")
        if name == "queries" and len(entries) < n_queries:
            raise NegmineValueError(f"`queries` must be the {n_queries} of the table or more; got {len(entries)}.")
        if name == "documents" and len(entries) != table.n_documents:
            raise NegmineValueError(f"`documents` must be the {table.n_documents} of the table; got {len(entries)}.")


def _encode(encode: Encode, entries: Any, argument: str, batch_size: int) -> npt.NDArray[Any]:  # noqa: ANN401
    """Embed all entries, into memory of this process."""
    if not callable(encode):
        raise NegmineTypeError(f"`{argument}` must be callable; got {type(encode).__name__}.")
    n = len(entries)
    embeddings = np.empty((0, 0))
    for begin in range(0, n, batch_size):
        end = min(begin + batch_size, n)
        with torch.no_grad():
            found = encode(entries[begin:end])
        part = as_numpy(found.cpu() if isinstance(found, torch.Tensor) else found, argument)
        if begin == 0:
            embeddings = np.empty((n, part.shape[1]), dtype=part.dtype)
        if part.shape != (end - begin, embeddings.shape[1]):
            raise NegmineValueError(
                f"`{argument}` must give one row of {embeddings.shape[1]} numbers per entry; got shape "
                f"{part.shape} for the {end - begin} entries from {begin} on."
            )
        if part.dtype != embeddings.dtype:
            raise NegmineValueError(
                f"`{argument}` must give one dtype; got {part.dtype.name} for the entries from {begin} on, after "
                f"{embeddings.dtype.name}."
            )
        embeddings[begin:end] = part
    return embeddings
