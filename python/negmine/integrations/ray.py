"""Mining on a Ray cluster: every task mines one shard of a job, and the shards are merged.

A task is [`negmine.job.mine_to`][] on one shard, in a folder that all nodes can reach. A worker that is killed is
started again by Ray and goes on from its last finished tile. Tasks exchange nothing but files, and their order does not
matter, so the result is that of one process, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ray

from negmine._core import files
from negmine._core.calls import Progress, check_progress
from negmine._core.options import check_integer
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.io.embeddings import load_embeddings
from negmine.job import JobResult, merge, mine_to

__all__ = ["mine"]

#: Options of `mine_to` that the driver sets.
OWN = frozenset({"shard", "resume", "num_threads"})


def mine(
    folder: object,
    queries: object,
    corpus: object,
    positives: Positives | Iterable[Iterable[int]] | Iterable[int],
    *,
    num_shards: int,
    num_cpus: int = 1,
    max_retries: int = 3,
    progress: Progress | None = None,
    **options: Any,  # noqa: ANN401 (those of `mine_to`)
) -> JobResult:
    """Mine hard negatives on the Ray cluster of this process, or on a local one if there is none.

    Parameters
    ----------
    folder : path
        Folder of the result, as for [`negmine.job.mine_to`][]. The shards are written into a folder next to it, with
        ``.shards`` appended to its name, and stay there: a second call goes on where the first stopped. Every node must
        reach both under the same path.
    queries, corpus : path
        Files of embeddings that [`negmine.io.read_embeddings`][] reads; every node must reach them under the same
        path. ``.npy`` and ``.safetensors`` are memory-mapped, so that tasks on one node share the pages.
    positives : Positives, one list of document rows per query, or int64 (n_queries,)
        Known relevant documents; one row number per query if every query has exactly one.
    num_shards : int
        Number of tasks. Each packs the corpus once, so a few per worker are best.
    num_cpus : int, default 1
        Cores that a task reserves, and the number of its threads.
    max_retries : int, default 3
        Number of times that Ray starts a task again whose worker died.
    progress : callable, optional
        Called as ``progress(done, total)``, in shards.
    **options : Any
        Options of [`negmine.job.mine_to`][], but for ``shard``, ``resume`` and ``num_threads``.

    Returns
    -------
    JobResult
        The merged result, equal to that of one process.

    Raises
    ------
    NegmineError
        The error of a task, as [`negmine.job.mine_to`][] raises it.
    ray.exceptions.RayError
        A worker died more than ``max_retries`` times, or the cluster is gone.
    """
    total = check_integer(num_shards, "num_shards", least=1)
    cores = check_integer(num_cpus, "num_cpus", least=1)
    retries = check_integer(max_retries, "max_retries", least=0)
    check_progress(progress)
    if own := sorted(OWN & options.keys()):
        raise NegmineValueError(f"`{own[0]}` is set by the driver and must not be given; got {options[own[0]]!r}.")
    out = files.as_path(folder, "folder").absolute()
    places = {"queries": _path(queries, "queries"), "corpus": _path(corpus, "corpus")}
    shards = [out.with_name(f"{out.name}.shards") / str(i) for i in range(total)]
    task = ray.remote(num_cpus=cores, max_retries=retries)(_mine_shard)
    given: Any = ray.put({"positives": positives, **options})
    waiting = [task.remote(shard, (i, total), places, given, cores) for i, shard in enumerate(shards)]
    try:
        while waiting:
            done, waiting = ray.wait(waiting)
            _finish(done[0])
            if progress is not None:
                progress(total - len(waiting), total)
    finally:
        for reference in waiting:
            ray.cancel(reference)
    return merge(shards, out)


def _path(path: object, argument: str) -> Path:
    """Return a path that means the same file in every process of the cluster."""
    if not isinstance(path, str | Path):
        raise NegmineTypeError(
            f"`{argument}` must be the path of a file that all nodes reach; got {type(path).__name__}."
        )
    return files.as_path(path, argument).absolute()


def _mine_shard(
    folder: Path, shard: tuple[int, int], places: Mapping[str, Path], given: Mapping[str, Any], num_threads: int
) -> None:
    """Mine one shard; a task that was killed goes on where it stopped."""
    queries, corpus = (load_embeddings(places[side], side).rows for side in ("queries", "corpus"))
    mine_to(folder, queries, corpus, **given, shard=shard, resume=True, num_threads=num_threads)


def _finish(reference: Any) -> None:  # noqa: ANN401 (a generic type of a package that may be missing)
    """Wait for a task, and raise its own error if it raised one."""
    try:
        ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, Exception) else error) from error
