"""What the ranks do in a test of distributed search; processes that are spawned import it."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch

import negmine
from negmine.integrations.torch_distributed import DistributedSearcher


def start(folder: Path, rank: int, n_ranks: int) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=n_ranks)


def message_of(call: Any) -> str:
    """Return type and message of the error that a call raises."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def search_on_a_rank(rank: int, folder: Path, shards: list[Any], queries: list[Any], ks: list[int]) -> None:
    """Search with every metric, then with bad arguments of one rank, then again."""
    start(folder, rank, len(shards))
    results: dict[str, Any] = {}
    for metric in ("cosine", "ip", "l2"):
        searcher = DistributedSearcher(negmine.ExactIndex(shards[rank], metric=metric, num_threads=1))  # type: ignore[arg-type]
        for k in ks:
            found = searcher.search(queries[rank], k, dtype="float64")
            results |= {f"{metric} {k} {name}": getattr(found, name) for name in ("indices", "scores", "counts")}
    results["facts"] = [repr(searcher), searcher.first, searcher.exact]
    last = len(shards) - 1
    broken = np.full_like(queries[rank], np.nan) if rank == last else queries[rank]
    results["NaN"] = message_of(lambda: searcher.search(broken, 2))
    results["k"] = message_of(lambda: searcher.search(queries[rank], 2 + (rank == last)))
    other = negmine.ExactIndex(shards[rank], metric="ip" if rank == last else "l2", num_threads=1)
    results["metric"] = message_of(lambda: DistributedSearcher(other))
    changed = shards[rank].copy()
    index = negmine.ExactIndex(changed, metric="l2", num_threads=1)
    if rank == last:
        changed *= -1
    results["changed"] = message_of(lambda: DistributedSearcher(index).search(queries[rank], 5))
    results["after"] = searcher.search(queries[rank], 3).indices
    torch.save(results, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def lose_a_rank(rank: int, folder: Path, shards: list[Any], how: str) -> None:
    """Search, kill or stop the last rank, and search again."""
    start(folder, rank, len(shards))
    searcher = DistributedSearcher(negmine.ExactIndex(shards[rank], num_threads=1), timeout=timedelta(seconds=5))
    searcher.search(shards[rank][:3], 2)
    if rank == len(shards) - 1:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(15)
        return
    begin = time.monotonic()
    message = message_of(lambda: searcher.search(shards[rank][:3], 2))
    torch.save((message, time.monotonic() - begin), folder / f"{rank}.pt")
    # The group cannot be destroyed together with a rank that is gone.
    os._exit(0)
