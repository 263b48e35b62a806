"""New negatives between epochs: drawn again from their pool, or mined again with the current model (ANCE, 2020).

Both functions run in the main process and publish to a [`negmine.torch.NegativesTable`][], from which workers read.
The loader's read-ahead determines when workers see a new generation. A DataLoader draws
``prefetch_factor * num_workers`` batches before it returns the first, so

- if the table is published between epochs, after the last batch of one and before ``iter(loader)`` of the next, the
  whole next epoch has the new generation, with persistent workers or without;
- if it is published in the middle of an epoch, or after ``iter(loader)``, the batches that were read ahead are still of
  the old generation: ``prefetch_factor * num_workers`` of them, and those that workers were just reading.
  ``batch["generation"]`` holds the generation of each batch.

With several ranks, one process per folder publishes, and the others wait for it before they iterate.

A refresh may mine a part of the queries (``chunk``), and [`negmine.torch.BackgroundRefresh`][] mines while training
continues.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Unpack

import numpy.typing as npt

from negmine._core.calls import Progress
from negmine._core.options import refuse_unknown_options
from negmine.data.positives import Positives
from negmine.mining.miner import HardNegativeMiner
from negmine.mining.negatives import HardNegatives
from negmine.mining.options import CandidateOptions
from negmine.search.results import Metric
from negmine.store.negatives_table import NegativesTable
from negmine.torch.data.embedded import Encode, embed, refuse_other_types
from negmine.torch.data.refreshed import Refreshed

__all__ = ["redraw", "refresh"]


def redraw(
    table: NegativesTable,
    negatives: HardNegatives,
    *,
    epoch: int,
    step: int | npt.ArrayLike | None = None,
    num_threads: int | None = None,
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
    step : int or int64 (n_rows,), optional
        Training step at which the pool was mined, or that of each row. Default: the steps that the table has, since a
        draw mines nothing.
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
    refuse_other_types(table, negatives=(negatives, HardNegatives))
    fresh = negatives.redraw(epoch, num_threads=num_threads)
    table.publish(fresh, step=table.current().mined_at_step if step is None else step)
    return fresh


@refuse_unknown_options("refresh", tuple(CandidateOptions.__annotations__))
def refresh(
    table: NegativesTable,
    miner: HardNegativeMiner,
    encode: Encode,
    queries: object,
    documents: object,
    positives: Positives | Iterable[Iterable[int]] | Iterable[int],
    *,
    encode_documents: Encode | None = None,
    batch_size: int = 1024,
    metric: Metric = "cosine",
    epoch: int = 0,
    step: int = -1,
    chunk: tuple[int, int] | None = None,
    previous_embeddings: object = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
    **rules: Unpack[CandidateOptions],
) -> Refreshed:
    """Embed queries and documents with the current model, mine again, and publish: ANCE without its second machine.

    After Xiong et al., "Approximate Nearest Neighbor Negative Contrastive Learning for Dense Text Retrieval" (ANCE,
    2020), section 4, which mines on other machines while training continues. Here training waits, and the negatives are
    those of the current model; [`BackgroundRefresh`][] mines while training continues.

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
    positives : Positives, one list of document rows per query, or int64 (n_queries,)
        As in [`negmine.HardNegativeMiner.candidates`][].
    encode_documents : callable, optional
        Function that embeds the documents. Default: ``encode``.
    batch_size : int, default 1024
        Entries per call of ``encode``.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity of embeddings.
    epoch : int, default 0
        Epoch of the draws, in [0, 2**64).
    step : int, default -1
        Training step of the model, which the table stores per mined row as ``mined_at_step``; -1 if it is not known.
    chunk : (round, n_chunks), optional
        Mine only the queries of one of ``n_chunks`` equal ranges of rows, that of number ``round % n_chunks``: with
        ``(round, 5)`` five consecutive rounds mine all queries, as ANCE does it. Only these queries are embedded; all
        documents are. The rows of the other queries keep their negatives and steps. Mined rows equal those of a
        refresh of all queries, if ``encode`` embeds a query alike in any batch. Default: all queries.
    previous_embeddings : array (n_queries, width), optional
        Embeddings of all queries under an earlier model, to report how far they turned. ``previous[i : i + n] =
        fresh.query_embeddings`` keeps such an array up to date.
    num_threads : int, optional
        Number of threads that mine. Default: all cores that this process may use.
    progress : callable, optional
        Called as ``progress(done, total)`` while mining.
    **rules : Any
        Any other option of [`negmine.HardNegativeMiner.candidates`][]. Pass the result of the last refresh as
        ``warm_start`` to save time; it does not change the result.

    Returns
    -------
    Refreshed
        The published negatives as ``negatives``, with their pool, so that [`redraw`][] can draw for the epochs until
        the next refresh; and which rows changed, how far the queries turned, and what each stage cost.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If an argument is invalid, ``encode`` returns another number of rows than entries, another dtype than before, or
        NaN or infinity, or a [`BackgroundRefresh`][] of the table is not done.

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
    >>> generation, fresh.negatives.indices.shape, fresh.result_rows.tolist()
    (1, (2, 2), [0, 1])
    """
    started = time.perf_counter()
    embedded = embed(
        table,
        miner,
        encode,
        queries,
        documents,
        positives,
        encode_documents=encode_documents,
        batch_size=batch_size,
        metric=metric,
        epoch=epoch,
        step=step,
        chunk=chunk,
        previous_embeddings=previous_embeddings,
        num_threads=num_threads,
        progress=progress,
        **rules,
    )
    return embedded.publish(time.perf_counter() - started)
