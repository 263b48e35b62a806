"""Print digests of clusters: run once per instruction set, all lines must be alike.

`python tests/support/digests_clusters.py THREADS` prints two lines per clustering.
"""

from __future__ import annotations

import sys

import numpy as np

from negmine import balanced_clusters, kmeans

QUALITIES = ("fast", "default", "high")


def lines(threads: int) -> list[str]:
    """Digests of clusters that use every kernel, its tails, several panels, blocks and large nodes."""
    found = []
    for n, width, k in ((700, 33, 70), (900, 128, 130), (17_000, 20, 9)):
        centers = np.random.default_rng(width).standard_normal((30, width))
        draw = np.random.default_rng(n)
        rows = (centers[draw.integers(30, size=n)] + draw.standard_normal((n, width))).astype(np.float32)
        for metric in ("cosine", "l2"):
            some = kmeans(rows, n_clusters=k, metric=metric, max_iterations=3, num_threads=threads)  # type: ignore[arg-type]
            found += [some.digest, repr(some.inertia), repr(float(some.centroids.sum()))]
        for quality in QUALITIES:
            some = balanced_clusters(rows, n_clusters=k, quality=quality, num_threads=threads)  # type: ignore[arg-type]
            found += [some.digest, repr(some.inertia)]
    return found


if __name__ == "__main__":
    print("\n".join(lines(int(sys.argv[1]))))
