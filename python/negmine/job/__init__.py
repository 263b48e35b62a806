"""Mining that survives being killed: ``mine_to`` writes tile by tile into a folder and goes on where it stopped.

A tile is a range of queries. Draws depend on a query's row in the whole set, so tiles, shards and interruptions change
no bit of the result. The folder holds

- ``manifest.json``: what the job is; digests of its inputs, its options, the size of a tile;
- ``parts/``: what finished tiles found; removed when the job is finished;
- ``result.parquet``: all of it, as :func:`negmine.io.read_negatives` reads it;
- ``report.json``: what became of the documents, in sum; written last;
- ``lock``: who is writing.

Every file but the lock has a checksum, which is compared when it is read. None but the lock holds a time, a host or a
process, so that folders of equal jobs are equal.
"""

from __future__ import annotations

from negmine.job.merging import merge
from negmine.job.result import JobResult
from negmine.job.run import mine_to

__all__ = ["JobResult", "merge", "mine_to"]
