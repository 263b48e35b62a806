"""Refresh that mines and publishes in a thread of its own, while training continues."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import CancelledError
from copy import copy
from dataclasses import replace
from typing import Unpack

from negmine._core.calls import Progress
from negmine._core.options import refuse_unknown_options
from negmine.data.positives import Positives
from negmine.mining.miner import HardNegativeMiner
from negmine.store.negatives_table import NegativesTable
from negmine.torch.data.embedded import Embedded, Encode, RefreshOptions, embed
from negmine.torch.data.outcome import Outcome, begin
from negmine.torch.data.refreshed import Refreshed

__all__ = ["BackgroundRefresh"]


class BackgroundRefresh:
    """Embed now, then mine and publish in a thread while training continues, as ANCE does it on a second machine.

    The constructor validates all arguments and embeds with the current model, in the caller's thread. When it returns,
    the embeddings are copies in memory of this process, so the model may be trained: the refresh no longer needs
    ``encode``, ``queries`` and ``documents``. Arrays among the positives and rules are not copied and must stay as they
    are until the refresh is done. The thread then mines and publishes. The core does not hold the
    global interpreter lock, but takes ``num_threads`` cores from the training.

    The published table is the same, byte for byte, as that of [`negmine.torch.refresh`][] with the same arguments, and
    other threads have no influence on it. Readers see the new generation from their next batch on, which
    ``mined_at_step`` of the table shows: its rows lag behind the model by the steps that were taken since.

    Parameters
    ----------
    table : NegativesTable
        Table to publish to; it has one refresh at a time.
    miner : HardNegativeMiner
        Miner of the negatives.
    encode : callable
        As of [`negmine.torch.refresh`][]; called before the constructor returns.
    queries, documents : sequence, array or tensor
        Input of ``encode``.
    positives : Positives, one list of document rows per query, or int64 (n_queries,)
        As in [`negmine.HardNegativeMiner.candidates`][].
    **options : Any
        Any other option of [`negmine.torch.refresh`][]; ``progress`` is called in the thread.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        As of [`negmine.torch.refresh`][]; also if another background refresh of the table is not done.

    Notes
    -----
    An error in the thread is raised by [`result`][]; an error that is never read becomes a warning when the object is
    deleted. When the main thread ends, by an error or Ctrl-C too, mining stops within a fraction of a second and
    publishes nothing; a publication that has begun is completed.

    Workers may be forked meanwhile: they only read the table.

    Examples
    --------
    >>> import numpy as np, negmine, tempfile, torch
    >>> from negmine.torch import BackgroundRefresh, NegativesTable
    >>> features = torch.eye(6)
    >>> labels = [[0], [1]]
    >>> model = torch.nn.Linear(6, 4)
    >>> miner = negmine.HardNegativeMiner(2)
    >>> first = miner.mine(negmine.ExactIndex(features), features[:2], labels)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = NegativesTable.create(folder, first, step=0)
    ...     refresh = BackgroundRefresh(table, miner, model, features[:2], features, labels, step=100, chunk=(1, 2))
    ...     # ... training steps ...
    ...     fresh = refresh.result()
    ...     steps = table.current().mined_at_step.tolist()
    >>> fresh.generation, fresh.result_rows.tolist(), steps
    (1, [1], [0, 100])
    """

    @refuse_unknown_options("BackgroundRefresh", tuple(RefreshOptions.__annotations__))
    def __init__(
        self,
        table: NegativesTable,
        miner: HardNegativeMiner,
        encode: Encode,
        queries: object,
        documents: object,
        positives: Positives | Iterable[Iterable[int]] | Iterable[int],
        **options: Unpack[RefreshOptions],
    ) -> None:
        started = time.perf_counter()
        embedded = embed(table, miner, encode, queries, documents, positives, **options)
        self._outcome, self._cancelled = Outcome(), threading.Event()
        # Readers of the caller's table and the thread must not map new generations into the same object.
        work = replace(embedded, table=copy(table), progress=_stopping(embedded.progress, self._cancelled))
        thread = threading.Thread(
            target=_run, args=(work, time.perf_counter() - started, self._outcome), name="negmine-refresh"
        )
        begin(table, self._outcome, thread)

    @property
    def done(self) -> bool:
        """Whether the refresh has published, failed or was cancelled."""
        return self._outcome.done()

    def result(self, timeout: float | None = None) -> Refreshed:
        """Wait until the refresh is done, and return its result.

        Parameters
        ----------
        timeout : float, optional
            Maximum number of seconds to wait. Default: no limit.

        Returns
        -------
        Refreshed

        Raises
        ------
        concurrent.futures.CancelledError
            The refresh was cancelled.
        TimeoutError
            The refresh is not done after ``timeout`` seconds; it goes on.
        Exception
            Any error of mining and publishing, as [`negmine.torch.refresh`][] raises it.
        """
        try:
            return self._outcome.result(timeout)
        finally:
            self._outcome.was_read = self._outcome.done()

    def cancel(self) -> None:
        """Stop mining within a fraction of a second and publish nothing; a publication that has begun is completed."""
        self._cancelled.set()

    def __repr__(self) -> str:
        return f"BackgroundRefresh({'done' if self.done else 'running'})"


def _stopping(progress: Progress | None, cancelled: threading.Event) -> Progress:
    """Return a progress function that ends the call if the refresh is cancelled or the main thread has ended."""

    def report(done: int, total: int) -> None:
        if cancelled.is_set() or not threading.main_thread().is_alive():
            raise CancelledError
        if progress is not None:
            progress(done, total)

    return report


def _run(work: Embedded, encode_seconds: float, outcome: Outcome) -> None:
    """Mine and publish, and leave the result or the error."""
    try:
        outcome.set_result(work.publish(encode_seconds))
    except BaseException as error:
        outcome.set_exception(error)
    finally:
        # The error's traceback refers to this frame, which would keep the outcome alive.
        del outcome, work
