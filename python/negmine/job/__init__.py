"""Mining jobs that can be resumed: ``mine_to`` writes tile by tile into a folder and continues where it stopped.

A tile is a range of queries. Draws depend on the row of a query in the whole set, so tiles, shards and interruptions
change no bit of the result. The folder holds

- ``manifest.json``: what the job is, as digests of its inputs, its options and the size of a tile;
- ``parts/``: results of finished tiles; removed when the job is finished;
- ``result.parquet``: the whole result, in the format that [`negmine.io.read_negatives`][] reads;
- ``report.json``: counts summed over all tiles; written last;
- ``lock``: the process that writes.

Every file but the lock has a checksum, which is compared when the file is read. Only the lock holds a time, a host or a
process, so the folders of equal jobs are equal.
"""

from __future__ import annotations

from negmine.job.merging import merge
from negmine.job.result import JobResult
from negmine.job.run import mine_to

__all__ = ["JobResult", "merge", "mine_to"]
