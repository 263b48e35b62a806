"""``negmine cluster``: cluster the rows of a file of embeddings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from negmine._core import files
from negmine._core.calls import Progress, resolve_num_threads
from negmine._core.extras import require
from negmine._core.labels import Ids
from negmine._core.options import check_choice, check_seed
from negmine.cli.errors import ArgumentError, arguments, check_out
from negmine.cli.output import Force, Json, Threads, counted, put
from negmine.cli.progress import shown
from negmine.clustering.clusters import METRICS, QUALITIES, Clusters, balanced_clusters, kmeans
from negmine.io import row_groups, tables
from negmine.io.embeddings import load_embeddings

__all__ = ["command"]

METHODS = ("balanced", "kmeans")

#: Suffixes of the result.
SUFFIXES = (".npy", ".npz", ".parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """Options of the clustering; options that only the other method has are refused."""

    method: str
    cluster_size: int | None
    n_clusters: int | None
    quality: Literal["fast", "default", "high"] | None
    metric: Literal["cosine", "l2"] | None
    max_iterations: int | None

    def __post_init__(self) -> None:
        check_choice(self.method, "method", METHODS)
        others = ("metric", "max_iterations") if self.method == "balanced" else ("cluster_size", "quality")
        for name in others:
            if getattr(self, name) is not None:
                flag = name.replace("_", "-")
                raise ArgumentError(
                    f"`--{flag}` must not be given with `--method {self.method}`, which does not have it."
                )
        if (self.cluster_size is None) == (self.n_clusters is None):
            sizes = "`--n-clusters`" if self.method == "kmeans" else "`--cluster-size` or `--n-clusters`, and only one,"
            raise ArgumentError(f"{sizes} must be given; got {'neither' if self.n_clusters is None else 'both'}.")
        check_choice(self.quality or "default", "quality", QUALITIES)
        check_choice(self.metric or "cosine", "metric", METRICS)

    def find(self, rows: object, seed: int, threads: int, progress: Progress) -> Clusters:
        """Cluster rows."""
        how: dict[str, Any] = {"seed": seed, "num_threads": threads, "progress": progress}
        if self.method == "balanced":
            how |= {"cluster_size": self.cluster_size, "n_clusters": self.n_clusters}
            return balanced_clusters(rows, quality=self.quality or "default", **how)
        assert self.n_clusters is not None  # checked above
        if self.max_iterations is not None:
            how["max_iterations"] = self.max_iterations
        return kmeans(rows, n_clusters=self.n_clusters, metric=self.metric or "cosine", **how)


def command(
    embeddings: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="Embeddings: .npy, .safetensors, .parquet, .arrow.", show_default=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Result: .npy (labels), .parquet (id and cluster), .npz (all, for Clusters.load).", show_default=False
        ),
    ],
    cluster_size: Annotated[int | None, typer.Option(help="Rows of a cluster at most.")] = None,
    n_clusters: Annotated[int | None, typer.Option(help="Number of clusters.")] = None,
    method: Annotated[str, typer.Option(help="balanced (sizes differ by at most one) or kmeans.")] = "balanced",
    quality: Annotated[str | None, typer.Option(help="Of balanced clusters: fast, default or high.")] = None,
    metric: Annotated[str | None, typer.Option(help="Of kmeans: cosine (default) or l2.")] = None,
    max_iterations: Annotated[int | None, typer.Option(help="Rounds of kmeans at most. Default: 10.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 0,
    embedding_name: Annotated[str | None, typer.Option(help="Column or tensor of the embeddings.")] = None,
    id_name: Annotated[str | None, typer.Option(help="Column of labels in tables of embeddings.")] = None,
    num_threads: Threads = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Put rows that are alike into clusters.

    negmine cluster corpus.npy --cluster-size 32 --out clusters.parquet
    """
    with arguments():
        check_out(out, SUFFIXES, force=force)
        options = _Options(
            method=method,
            cluster_size=cluster_size,
            n_clusters=n_clusters,
            quality=quality,  # type: ignore[arg-type]
            metric=metric,  # type: ignore[arg-type]
            max_iterations=max_iterations,
        )
        start, threads = check_seed(seed), resolve_num_threads(num_threads)
    read = load_embeddings(embeddings, "embeddings", name=embedding_name, id_name=id_name)
    started = time.perf_counter()
    with shown("clustering", len(read), "rows") as progress:
        found = options.find(read.rows, start, threads, progress)
    seconds = time.perf_counter() - started
    _write(found, read.ids, out)
    sizes = found.sizes
    result = {
        "out": out,
        "n_rows": len(found.labels),
        "n_clusters": len(found),
        "smallest": int(sizes.min()),
        "largest": int(sizes.max()),
        # Ratio of the largest cluster to the mean: 1 is perfect balance.
        "balance": float(sizes.max() / sizes.mean()),
        "inertia": found.inertia,
        "iterations": found.iterations,
        "digest": found.digest,
        "seconds": seconds,
        "num_threads": threads,
    }
    rounds = f", {counted(found.iterations, 'round')}" if method == "kmeans" else ""
    lines = [
        f"{out}: {counted(len(found.labels), 'row')} in {counted(len(found), 'cluster')}",
        f"  sizes {sizes.min():,} to {sizes.max():,}, the largest {result['balance']:.2f} times the mean",
        f"  inertia {found.inertia:.6g}: mean squared distance to the own centroid{rounds}",
        f"  {seconds:.2f} s on {counted(threads, 'thread')}",
    ]
    put(result, "\n".join(lines), as_json=json)


def _write(found: Clusters, ids: Ids | None, out: Path) -> None:
    if files.suffix_of(out) == ".npz":
        found.save(out)
    elif files.suffix_of(out) == ".npy":
        with files.atomic_file(out) as temporary, temporary.open("wb") as file:
            np.save(file, found.labels)
    else:
        arrow = require("pyarrow", "io", "writing Parquet")
        names = np.arange(len(found.labels)) if ids is None else ids
        columns = {"id": tables.to_array(names), "cluster": tables.to_array(found.labels)}
        row_groups.write_tables(out, [arrow.table(columns)])
