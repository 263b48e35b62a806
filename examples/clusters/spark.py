"""Mine hard negatives on a Spark cluster, by `mapInArrow` over the numbers of tiles.

    spark-submit examples/clusters/spark.py QUERIES.npy CORPUS.npy POSITIVES.npy OUT

The files lie on storage that all executors share, and POSITIVES has one document row per query. Only numbers of tiles
go through Spark: each task maps the corpus, packs it once, and mines its ranges of queries. Draws depend on the row of
a query alone, so the rows that Spark writes, in any order, are those of one process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

import negmine

TILE_QUERIES = 8_192
SCHEMA = "query_index long, negative_indices array<long>, scores array<float>"


def mine(spark: SparkSession, paths: tuple[str, str, str], out: str, n_partitions: int) -> None:
    """Write the negatives of all queries as Parquet."""
    n_queries = len(np.load(paths[0], mmap_mode="r"))
    tiles = spark.range(0, -(-n_queries // TILE_QUERIES), numPartitions=n_partitions)

    def mine_tiles(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        queries, corpus, positives = (np.load(path, mmap_mode="r") for path in paths)
        index = negmine.ExactIndex(corpus, num_threads=1)
        miner = negmine.HardNegativeMiner(5, relative_margin=0.05)
        for batch in batches:
            for tile in batch.column("id").to_pylist():
                own = slice(tile * TILE_QUERIES, (tile + 1) * TILE_QUERIES)
                found = miner.mine(index, queries[own], positives[own], query_offset=own.start)
                yield from found.to_arrow().select(["query_index", "negative_indices", "scores"]).to_batches()

    tiles.mapInArrow(mine_tiles, SCHEMA).write.mode("overwrite").parquet(out)


if __name__ == "__main__":
    session = SparkSession.builder.appName("negmine").getOrCreate()
    mine(session, tuple(sys.argv[1:4]), sys.argv[4], session.sparkContext.defaultParallelism)
