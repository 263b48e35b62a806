"""Approximate search: recall against time, the cost of the wrapper, and the number of queries that pay for the build.

    python benches/python/hnsw.py [--documents N ...] [--rounds 7] [--quick]

Real vectors come from the folder that NEGMINE_DATA names. One process and one thread; the peers take turns in every
round, and times are CPU time, so that the load of others matters less. hnswlib by hand searches the graph of
`HnswIndex` itself, because equal graphs at other addresses differ by up to 5 %: the ratio of the times is the wrapper's
overhead, canonical scores included. In "x hnswlib and scores", `negmine.score_pairs` follows hnswlib by hand. Needs
faiss-cpu and hnswlib. `--quick` takes few vectors and ends with an error where a document of `HnswIndex` is not
proposed by a graph that was built by hand.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import faiss
import hnswlib
import numpy as np
from search import real

import negmine

K, M, EF_CONSTRUCTION = 10, 16, 100

LISTS = (20, 40, 80, 160, 320, 640)


def timed(run: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    begin = time.process_time()
    run()
    return time.process_time() - begin


def build(corpus: np.ndarray) -> tuple[negmine.HnswIndex, hnswlib.Index, faiss.IndexHNSWFlat, negmine.ExactIndex]:
    """Build all indexes and print how long each takes per document."""
    by_hand = hnswlib.Index("ip", corpus.shape[1])
    by_hand.init_index(len(corpus), M=M, ef_construction=EF_CONSTRUCTION, random_seed=0)
    of_faiss = faiss.IndexHNSWFlat(corpus.shape[1], M, faiss.METRIC_INNER_PRODUCT)
    of_faiss.hnsw.efConstruction = EF_CONSTRUCTION
    made: list[negmine.HnswIndex | negmine.ExactIndex] = []
    seconds = {
        "HnswIndex": timed(
            lambda: made.append(negmine.HnswIndex(corpus, M=M, ef_construction=EF_CONSTRUCTION, num_threads=1))
        ),
        "hnswlib": timed(lambda: by_hand.add_items(corpus, num_threads=1)),
        "faiss HNSW": timed(lambda: of_faiss.add(corpus)),
        "ExactIndex": timed(lambda: made.append(negmine.ExactIndex(corpus, num_threads=1))),
    }
    print("build, us per document:", {name: round(1e6 * value / len(corpus), 1) for name, value in seconds.items()})
    index, exact = made
    assert isinstance(index, negmine.HnswIndex)
    assert isinstance(exact, negmine.ExactIndex)

    return index, by_hand, of_faiss, exact


def recall(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the share of the exact documents that were found."""
    return float(np.mean([len(np.intersect1d(one, other)) / K for one, other in zip(found, expected, strict=True)]))


def case(queries: np.ndarray, corpus: np.ndarray, rounds: int, check: bool) -> None:
    """Measure one size and print its table."""
    print(f"\n**{len(queries)} queries x {len(corpus)} documents x {corpus.shape[1]}, top-{K}, M {M}**\n")
    index, by_hand, of_faiss, exact = build(corpus)
    expected = exact.search(queries, K).indices
    seconds = [timed(lambda: exact.search(queries, K)) for _ in range(rounds)]
    print(f"exact: {1e6 * median(seconds) / len(queries):.0f} us per query\n")
    print("| ef | recall | HnswIndex us | hnswlib us | x hnswlib | x hnswlib and scores | faiss recall | faiss us |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    numbers = np.repeat(np.arange(len(queries)), K)
    graph = index._documents.graph._index
    for ef in LISTS:
        index.ef_search = ef
        by_hand.set_ef(ef)
        of_faiss.hnsw.efSearch = ef

        def scored() -> None:
            labels, _ = graph.knn_query(queries, k=K, num_threads=1)
            negmine.score_pairs(queries, corpus, np.column_stack([numbers, labels.ravel().astype(int)]), num_threads=1)

        runs: dict[str, Callable[[], object]] = {
            "own": lambda: index.search(queries, K),
            "hand": lambda: graph.knn_query(queries, k=K, num_threads=1),
            "scored": scored,
            "faiss": lambda: of_faiss.search(queries, K),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        for number in range(rounds):
            names = list(runs) if number % 2 else list(reversed(runs))
            for name in names:
                times[name].append(timed(runs[name]))
        found = index.search(queries, K).indices
        if check:
            proposed, _ = by_hand.knn_query(queries, k=max(ef, K), num_threads=1)
            assert all(set(one) <= set(other) for one, other in zip(found.tolist(), proposed.tolist(), strict=True))
        each = {name: 1e6 * median(values) / len(queries) for name, values in times.items()}
        over, over_scored = (
            median(a / b for a, b in zip(times["own"], times[name], strict=True)) for name in ("hand", "scored")
        )
        print(
            f"| {ef} | {recall(found, expected):.3f} | {each['own']:.0f} | {each['hand']:.0f} | {over:.3f} | "
            f"{over_scored:.3f} | {recall(of_faiss.search(queries, K)[1], expected):.3f} | {each['faiss']:.0f} |",
            flush=True,
        )


def main() -> None:
    """Measure the sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="few vectors, one round, and answers checked")
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(1)
    queries, corpus = real(arguments.quick)
    for n in [len(corpus)] if arguments.quick else arguments.documents:
        case(queries, corpus[:n], 1 if arguments.quick else arguments.rounds, arguments.quick)


if __name__ == "__main__":
    main()
