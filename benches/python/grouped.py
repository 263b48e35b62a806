"""Search where every query admits the documents of one key: by groups, as a whole, and by an index per group.

    python benches/python/grouped.py [--queries N] [--documents N] [--keys N ...] [--rounds N] [--quick]

One thread, width 384, k = 10; a figure is the least of the rounds, of the process's own processor time. "As a whole" is
the same search without an eligibility, which finds other documents but has to look at all pairs, as one with ranges of
several keys does. "By hand" builds and searches an `ExactIndex` for every key.
"""

from __future__ import annotations

import argparse

import numpy as np
from growth import WIDTH, K, least, rows

import negmine


def by_hand(queries: np.ndarray, own: np.ndarray, corpus: np.ndarray, keys: np.ndarray) -> None:
    """Search an index per key."""
    of_query, of_document = np.argsort(own, kind="stable"), np.argsort(keys, kind="stable")
    for key in range(own.max() + 1):
        mine = of_query[slice(*np.searchsorted(own[of_query], [key, key + 1]))]
        documents = of_document[slice(*np.searchsorted(keys[of_document], [key, key + 1]))]
        index = negmine.ExactIndex(corpus[documents], num_threads=1)
        index.search(queries[mine], min(K, len(documents)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--keys", type=int, nargs="*", default=[10, 100, 1_000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few rows, one round")
    arguments = parser.parse_args()
    n_queries, n_documents, rounds = arguments.queries, arguments.documents, arguments.rounds
    if arguments.quick:
        n_queries, n_documents, rounds = 5_000, 1_000, 1
    corpus, queries = rows(n_documents, 0), rows(n_queries, 1)
    index = negmine.ExactIndex(corpus, num_threads=1)
    whole = least(lambda: index.search(queries, K), rounds)
    print(f"{n_queries:,} queries x {n_documents:,} documents x {WIDTH}; as a whole {whole:.2f} s\n")
    print("| keys | by groups, s | as a whole / by groups | by hand / by groups |\n| ---: | ---: | ---: | ---: |")
    draw = np.random.default_rng(2)
    for n_keys in arguments.keys:
        own, keys = draw.integers(n_keys, size=n_queries), draw.integers(n_keys, size=n_documents)
        eligible = negmine.Eligibility(keys, own, own)
        grouped = least(lambda eligible=eligible: index.search(queries, K, eligible=eligible), rounds)
        hand = least(lambda own=own, keys=keys: by_hand(queries, own, corpus, keys), rounds)
        print(f"| {n_keys:,} | {grouped:.3f} | {whole / grouped:.1f} | {hand / grouped:.2f} |")


if __name__ == "__main__":
    main()
