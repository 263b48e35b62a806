"""MinHash signatures and near-duplicates against rensa, FastSketchLSH and datasketch, one thread each, one process.

    pip install rensa fastsketchlsh datasketch scipy
    python benches/python/sketches.py [--rounds N] [--sets N] [--duplicates]

Signatures: k = 128 from tokens that are hashed already, in flat arrays, which is every peer's fastest unbiased path
(datasketch takes one set at a time). Figures are thread CPU time, the median over interleaved rounds; the ratio is the
median of the rounds' ratios. With --duplicates: precision and recall of groups of medquad's texts (the folder that
NEGMINE_DATA names) and of the demo's, with planted copies and edits, against exact Jaccard similarity of all pairs.
datasketch's candidates count as they come, which is how it is used; groups are closed over them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import negmine
from negmine.sketches import duplicates

TOKENS = (5, 10, 20, 50, 100, 200, 400, 600, 1_000, 1_600, 5_000, 20_000)
K = 128
#: The bar: times the speed of rensa's flat path.
BAR = 1.5


def seconds(function: Callable[[], Any]) -> float:
    """CPU time of one call on this thread."""
    begin = time.thread_time()
    function()
    return time.thread_time() - begin


def peers(tokens: Any, offsets: Any) -> dict[str, tuple[Callable[[], Any], int]]:
    """Every library that can be imported: what to call, and how many of the sets it is given."""
    n = len(offsets) - 1
    minhash = negmine.MinHash(K)
    found: dict[str, tuple[Callable[[], Any], int]] = {
        "negmine": (lambda: minhash.signatures((offsets, tokens), prehashed=True, num_threads=1), n),
        "negmine, hashing": (lambda: minhash.signatures((offsets, tokens), num_threads=1), n),
    }
    unsigned = offsets.astype(np.uint64)
    try:
        from rensa import RMinHash

        flat = RMinHash.digest_matrix_from_flat_token_hashes
        found["rensa flat"] = (lambda: flat(tokens, unsigned, K, 42), n)
    except ImportError:
        print("rensa is not installed")
    try:
        from FastSketchLSH import FastSimilaritySketch

        fast = FastSimilaritySketch(K, 42)
        few = max(n // 5, 1)
        part, ends = tokens[: offsets[few]], unsigned[: few + 1]
        found["FastSketchLSH"] = (lambda: fast.batch_csr(part, ends, prehashed=True, num_threads=1), few)
    except ImportError:
        print("FastSketchLSH is not installed")
    try:
        from datasketch import MinHash

        some = max(n // 100, 1)
        sets = [tokens[offsets[i] : offsets[i + 1]].tolist() for i in range(some)]

        def one_by_one() -> None:
            for one in sets:
                MinHash(num_perm=K, hashfunc=lambda token: token & 0xFFFFFFFF).update_batch(one)

        found["datasketch"] = (one_by_one, some)
    except ImportError:
        print("datasketch is not installed")
    return found


def signatures(rounds: int, most: int) -> None:
    """Print the table of speeds."""
    rng = np.random.default_rng(0)
    header = False
    for n in TOKENS:
        n_sets = min(most, max(20, 400_000 // n))
        tokens = rng.integers(0, 2**64, n_sets * n, dtype=np.uint64)
        calls = peers(tokens, np.arange(0, n_sets * n + 1, n, dtype=np.int64))
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, (call, sets) in calls.items():
                times[name].append(seconds(call) / sets)
        if not header:
            print("| tokens | " + " | ".join(f"{name}, ns a set" for name in calls) + " | times rensa | bar |")
            print("| --: |" + " --: |" * (len(calls) + 2))
            header = True
        row = " | ".join(f"{median(times[name]) * 1e9:,.0f}" for name in calls)
        verdict = ""
        if "rensa flat" in times:
            ratio = median([r / o for r, o in zip(times["rensa flat"], times["negmine"], strict=True)])
            verdict = f" {ratio:.2f} | {'reached' if ratio >= BAR else 'missed'} |"
        print(f"| {n:,} | {row} |{verdict or ' | |'}", flush=True)


def corpora() -> dict[str, list[str]]:
    """Texts with planted copies and edits."""
    from negmine import demo, io

    found = {"demo": demo.load().documents}
    medquad = Path(os.environ.get("NEGMINE_DATA", "")) / "medquad" / "corpus.parquet"
    if medquad.is_file():
        found["medquad"] = io.read_texts(medquad).texts.to_pylist()
    return {name: planted(texts[:2_000]) for name, texts in found.items()}


def planted(texts: Sequence[str]) -> list[str]:
    """The texts, then a tenth of them copied, a tenth with one word in twenty gone, a tenth with one in six."""
    rng = np.random.default_rng(1)
    made = list(texts)
    for share in (0.0, 0.05, 0.17):
        for row in rng.choice(len(texts), len(texts) // 10, replace=False):
            words = texts[row].split()
            made.append(" ".join(word for word in words if rng.random() >= share))
    return made


def shingled(texts: Sequence[str]) -> tuple[list[set[int]], Any]:
    """Sets of shingles as negmine cuts them, so that every library judges the same sets."""
    read = duplicates.text_sets(texts, "characters", 5)
    ends = read.offsets
    return [set(read.tokens[ends[i] : ends[i + 1]].tolist()) for i in range(len(texts))], read


def exact_pairs(sets: Sequence[set[int]], threshold: float) -> set[tuple[int, int]]:
    """All pairs of similarity `threshold` or more, by a sparse product."""
    from scipy import sparse

    sizes = np.array([len(one) for one in sets])
    tokens = np.array([token for one in sets for token in one], dtype=np.uint64)
    _, columns = np.unique(tokens, return_inverse=True)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    held = sparse.csr_matrix((np.ones(len(columns), dtype=np.int32), columns, ends))
    shared = (held @ held.T).tocoo()
    similarity = shared.data / (sizes[shared.row] + sizes[shared.col] - shared.data)
    near = (similarity >= threshold) & (shared.row < shared.col)
    return set(zip(shared.row[near].tolist(), shared.col[near].tolist(), strict=True))


def datasketch_pairs(sets: Sequence[set[int]], threshold: float) -> set[tuple[int, int]]:
    """Candidates of datasketch's LSH as it is used: what the query returns counts."""
    from datasketch import MinHash, MinHashLSH

    lsh, found = MinHashLSH(threshold=threshold, num_perm=K), set()
    for row, one in enumerate(sets):
        if one:
            minhash = MinHash(num_perm=K, hashfunc=lambda token: token & 0xFFFFFFFF)
            minhash.update_batch(list(one))
            found.update((int(other), row) for other in lsh.query(minhash))
            lsh.insert(row, minhash)
    return found


def linked(n: int, pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """All pairs of rows that are in one group."""
    from scipy import sparse
    from scipy.sparse import csgraph

    left, right = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2).T
    graph = sparse.coo_array((np.ones(len(left)), (left, right)), shape=(n, n))
    _, keys = csgraph.connected_components(graph, directed=False)
    return in_one_group(keys)


def in_one_group(keys: Any) -> set[tuple[int, int]]:
    """All pairs of rows with the same key."""
    members: dict[int, list[int]] = {}
    for row, key in enumerate(keys.tolist()):
        if key >= 0:
            members.setdefault(key, []).append(row)
    return {(a, b) for rows in members.values() for i, b in enumerate(rows) for a in rows[:i]}


def near() -> None:
    """Print precision and recall."""
    print("| texts | threshold | pairs in groups | negmine: precision, recall, s | datasketch: precision, recall, s |")
    print("| --- | --: | --: | --- | --- |")
    for name, texts in corpora().items():
        sets, _ = shingled(texts)
        for threshold in (0.5, 0.7, 0.9):
            truth = linked(len(sets), exact_pairs(sets, threshold))
            cells = []
            begin = time.thread_time()
            ours = in_one_group(negmine.near_duplicates(texts, threshold=threshold, num_threads=1).groups)
            cells.append(judged(truth, ours, time.thread_time() - begin))
            try:
                begin = time.thread_time()
                theirs = linked(len(sets), datasketch_pairs(sets, threshold))
                cells.append(judged(truth, theirs, time.thread_time() - begin))
            except ImportError:
                cells.append("not installed")
            print(f"| {name}, {len(texts):,} | {threshold} | {len(truth):,} | {' | '.join(cells)} |", flush=True)


def judged(truth: set[tuple[int, int]], found: set[tuple[int, int]], spent: float) -> str:
    """Precision, recall and seconds."""
    right = len(truth & found)
    return f"{right / max(len(found), 1):.4f}, {right / max(len(truth), 1):.4f}, {spent:.2f}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sets", type=int, default=20_000, help="the most sets of a size")
    parser.add_argument("--duplicates", action="store_true")
    arguments = parser.parse_args()
    if arguments.duplicates:
        near()
    else:
        signatures(arguments.rounds, arguments.sets)


if __name__ == "__main__":
    main()
