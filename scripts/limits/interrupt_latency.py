"""Ctrl-C ends every long call within half a second; needs a release build and an idle machine.

Each call runs in a child. Some receive SIGINT while they are under way, and the figure is the time from the signal to
the KeyboardInterrupt. The others run to their end under a timer whose signals count as answered when their handler
runs; the figure is the longest time without an answer, over all phases of the call.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import negmine
from negmine import _native
from negmine._core.labels import Strings

#: Seconds from the signal to the exception.
LIMIT = 0.5

#: Seconds that a call has been running when the signal is sent.
HEAD_START = 0.4

#: Seconds between two signals of the timer.
EVERY = 0.01


def random_rows(n: int, width: int) -> np.ndarray:
    """Return rows of standard normal numbers."""
    return np.random.default_rng(0).standard_normal((n, width), dtype=np.float32)


def one_row(n: int, width: int) -> np.ndarray:
    """Return one row over and over, which takes no memory."""
    return np.broadcast_to(random_rows(1, width), (n, width))


def stream() -> Callable[[], object]:
    """Search a corpus that is packed tile by tile."""
    corpus = random_rows(200_000, 128)
    index = negmine.ExactIndex(corpus, memory_limit=40_000_000)
    queries = np.tile(corpus[:1000], (500, 1))
    return lambda: index.search(queries, 1)


def build() -> Callable[[], object]:
    """Build an index."""
    rows = one_row(1_000_000_000, 128)
    return lambda: negmine.ExactIndex(rows, memory_limit=8_000_000)


def rules() -> Callable[[], object]:
    """Mine many queries whose positives share large groups."""
    corpus = random_rows(200_000, 8)
    queries = np.tile(corpus[:1000], (1000, 1))
    positives = negmine.Positives.from_csr(np.arange(len(queries) + 1), np.arange(len(queries)) % len(corpus))
    groups = np.arange(len(corpus)) % 10
    index = negmine.ExactIndex(corpus)
    return lambda: negmine.HardNegativeMiner(1).candidates(index, queries, positives, groups=groups)


def pairs() -> Callable[[], object]:
    """Score all pairs of one query."""
    documents = one_row(30_000_000, 1024)
    every = negmine.Positives.from_csr(np.array([0, len(documents)]), np.arange(len(documents)))
    return lambda: negmine.score_pairs(documents[:1], documents, every, num_threads=1)


def sdim() -> Callable[[], object]:
    """Attend to one history from many candidates."""
    import torch

    import negmine.torch

    module = negmine.torch.SDIM(dim=64)
    candidates, behaviors = torch.randn(1, 4_000_000, 64), torch.randn(1, 1000, 64)
    return lambda: [module(candidates, behaviors) for _ in range(100)]


def near_embeddings() -> Callable[[], object]:
    """Compare embeddings whose similarities all lie just below the threshold."""
    rows = (random_rows(1, 32) + np.float32(1e-3) * random_rows(50_000, 32)).astype(np.float32)
    return lambda: negmine.near_duplicates(embeddings=rows, threshold=1.0, num_threads=1)


def near_bucket() -> Callable[[], object]:
    """Compare sets that share a band but too few tokens."""
    rows = np.arange(50_000, dtype=np.uint32)
    signatures = np.zeros((len(rows), 128), dtype=np.uint32)
    signatures[:, 64:] = rows[:, None] * np.uint32(64) + np.arange(64, dtype=np.uint32)
    return lambda: negmine.near_duplicates(signatures=signatures, threshold=0.9, num_threads=1)


def near_set() -> Callable[[], object]:
    """Sort the tokens of one set."""
    tokens = np.random.default_rng(0).integers(0, 2**63, 100_000_000)
    sets = (np.array([0, len(tokens)]), tokens)
    return lambda: negmine.near_duplicates(sets=sets, num_threads=1)


def near_lists() -> Callable[[], object]:
    """Read a list of many tokens."""
    sets = [list(range(30_000_000))]
    return lambda: negmine.near_duplicates(sets=sets, num_threads=1)


def near_text() -> Callable[[], object]:
    """Normalize one text, then cut it into shingles."""
    text = "un caf\u00e9 au bord de l'eau " * 2_000_000
    return lambda: negmine.near_duplicates([text], num_threads=1)


def shingles() -> Callable[[], object]:
    """Cut one text into shingles."""
    text, options = Strings.of(["words and words " * 10_000_000], "texts"), (False, 5, 1, None)
    return lambda: _native.shingle_sets(text, *options)


def bands() -> Callable[[], object]:
    """Choose the bands of long signatures."""
    signatures = np.zeros((2, 8192), dtype=np.uint32)
    return lambda: negmine.near_duplicates(signatures=signatures, num_threads=1)


def minhash() -> Callable[[], object]:
    """Hash a few large sets into long signatures."""
    tokens = np.random.default_rng(0).integers(0, 2**63, 50_000_000)
    sets = (np.linspace(0, len(tokens), 9).astype(np.int64), tokens)
    return lambda: [negmine.MinHash(4096).signatures(sets, num_threads=1) for _ in range(10)]


def hasher() -> Callable[[], object]:
    """Draw many projections."""
    return lambda: negmine.SimHash(65_536, 1, dim=2048)


def simhash() -> Callable[[], object]:
    """Hash many rows."""
    rows = one_row(100_000_000, 64)
    simhash = negmine.SimHash(dim=64)
    return lambda: simhash.signatures(rows, num_threads=1)


NEAR_DUPLICATES = (near_embeddings, near_bucket, near_set, near_lists, near_text, shingles, bands)
HASHERS = (minhash, hasher, simhash)

CALLS = {call.__name__: call for call in (stream, build, rules, pairs, sdim, *NEAR_DUPLICATES, *HASHERS)}


def mask() -> Callable[[], object]:
    """Mask the documents of a large batch, some outside the range of their query."""
    documents = np.arange(1_000_000) % 100_000
    queries = np.arange(1000) - 1
    positives = negmine.Positives.from_lists([[row] for row in range(999)])
    ranges = negmine.Eligibility.equal(np.arange(100_000) % 7, np.arange(999) % 7)
    return lambda: negmine.batches.false_negative_mask(queries, documents, positives, eligible=ranges)


def mask_lists() -> Callable[[], object]:
    """List the masked documents of one query that has many positives."""
    rows = np.arange(20_000_000)
    positives = negmine.Positives.from_csr([0, len(rows)], rows)
    return lambda: negmine.batches.false_negative_pairs([0, 0, -1], rows[::-1], positives)


def margins() -> Callable[[], object]:
    """Draw pairs of many queries with many bins."""
    values = np.random.default_rng(0).standard_normal(60_000)
    offsets = np.arange(0, len(values) + 1, 2)
    return lambda: negmine.batches.sample_balanced_margins(values, offsets, bins=1 << 16)


def margins_of_one() -> Callable[[], object]:
    """Draw one pair of very many."""
    values = np.random.default_rng(0).standard_normal(8_000_000)
    draw = negmine.batches.sample_balanced_margins
    return lambda: draw(values, [0, len(values)], binning="quantile")


def classes() -> Callable[[], object]:
    """Plan and read batches of millions of classes."""
    labels = np.arange(6_000_000)
    plan = negmine.batches.class_balanced_plan(labels, batch_size=2_500_000, per_class=1)
    return lambda: plan.batch(3, 1)


def topics() -> Callable[[], object]:
    """Read large batches of topics, drawn by size, and random rows."""
    sizes = np.concatenate([np.full(8_000_000, 0), np.arange(1, 500_000)])
    plan = negmine.batches.topic_plan(
        sizes, batch_size=4_000_000, clusters_per_batch=400_000, weights="size", random_fraction=0.5
    )
    return lambda: plan.batch(0, 1)


def small_topics() -> Callable[[], object]:
    """Read many batches of topics."""
    plan = negmine.batches.topic_plan(np.arange(300_000) // 10, batch_size=30_000, clusters_per_batch=3000)
    return lambda: [plan.batch(0, i) for i in range(3)] + [plan.epoch(i) for i in range(30)]


def mixture() -> Callable[[], object]:
    """Plan a mixture of many sources."""
    steps = np.random.default_rng(0).random(20_000).tolist()
    make = negmine.batches.mixture_plan
    return lambda: make([1] * 20_000, batch_size=1, weights=steps, batches_per_epoch=50_000).batch(1500, 0)


def whole_clusters() -> Callable[[], object]:
    """Plan batches of whole clusters, and read an epoch."""
    labels = np.random.default_rng(0).permutation(np.arange(30_000_000) // 10)

    def call() -> None:
        plan = negmine.batches.cluster_plan(labels, batch_size=1000, order="tree", random_fraction=0.1)
        plan.epoch(1)

    return call


def wide_pool() -> negmine.CandidatePool:
    """Return a pool of 600 rows and 30,000 ranks."""
    index = negmine.ExactIndex(random_rows(30_000, 8), metric="ip")
    return negmine.HardNegativeMiner(1, range_max=30_000).candidates(index, random_rows(600, 8), [[]] * 600)


def select() -> Callable[[], object]:
    """Choose from a wide pool by weights."""
    pool = wide_pool()
    return lambda: pool.select(10_000, sampling=negmine.Softmax(0.1), num_threads=1)


def limit() -> Callable[[], object]:
    """Choose from a wide pool with a limit per document."""
    pool = wide_pool()
    return lambda: pool.select(15_000, limit_per_document=400, num_threads=1)


def clusters(n: int, width: int, k: int, **options: Any) -> Callable[[], object]:
    """Cluster random rows by k-means, with one thread."""
    rows = random_rows(n, width)
    return lambda: negmine.kmeans(rows, n_clusters=k, num_threads=1, **options)


def kmeans() -> Callable[[], object]:
    """Cluster many narrow rows."""
    return clusters(8_000_000, 4, 50, max_iterations=2)


def kmeans_of_copies() -> Callable[[], object]:
    """Cluster rows of which most are equal, so that most clusters lose all their rows."""
    rows = np.repeat(random_rows(1000, 4), 6000, axis=0)
    return lambda: negmine.kmeans(rows, n_clusters=2000, num_threads=1, max_iterations=2, metric="l2")


def kmeans_wide() -> Callable[[], object]:
    """Cluster wide rows for so many rounds that an estimate of pruning is worth its time."""
    return clusters(80_000, 1024, 1000, max_iterations=20)


def balanced(rows: np.ndarray, k: int) -> Callable[[], object]:
    """Cluster rows into clusters of equal size, with one thread."""
    return lambda: negmine.balanced_clusters(rows, n_clusters=k, num_threads=1)


def balanced_large() -> Callable[[], object]:
    """Make a few clusters of many rows."""
    return balanced(random_rows(6_000_000, 8), 3)


def balanced_many() -> Callable[[], object]:
    """Make many clusters of rows of which many find no place in the auction."""
    rows = random_rows(150_000, 16)
    rows[:125_000] = rows[0] + 1e-2 * rows[:125_000]
    return balanced(rows, 15_000)


def balanced_copies() -> Callable[[], object]:
    """Make clusters of rows of which many are equal."""
    rows = random_rows(400_000, 8)
    rows[np.random.default_rng(0).random(len(rows)) < 0.6] = 1.0
    return balanced(rows, 4)


def select_items() -> Callable[[], object]:
    """Select half of many items by systematic sampling."""
    from negmine import selection

    scores = np.random.default_rng(0).random(10_000_000)
    return lambda: selection.select(5_000_000, scores=scores, within="systematic", num_threads=1)


def select_diverse() -> Callable[[], object]:
    """Select diverse items from one group."""
    from negmine import selection

    rows = random_rows(200_000, 64)
    return lambda: selection.select(2_000, embeddings=rows, diversity=0.1, num_threads=1)


WHOLE = {
    call.__name__: call
    for call in (
        mask,
        mask_lists,
        margins,
        margins_of_one,
        classes,
        topics,
        small_topics,
        mixture,
        whole_clusters,
        select,
        limit,
        select_items,
        select_diverse,
        kmeans,
        kmeans_of_copies,
        kmeans_wide,
        balanced_large,
        balanced_many,
        balanced_copies,
    )
}


def child(name: str) -> None:
    """Make a call and say when it ended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    call = CALLS[name]()
    print("ready", flush=True)
    try:
        call()
    except KeyboardInterrupt:
        print(time.time(), flush=True)


def timed_child(name: str) -> None:
    """Make a call under a timer, and print the longest time without an answer and that of the call."""
    call = WHOLE[name]()
    answers = []
    signal.signal(signal.SIGALRM, lambda *_: answers.append(time.monotonic()))
    signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)
    begun = time.monotonic()
    call()
    ended = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(np.diff([begun, *answers, ended]).max(), ended - begun)


def longest_pause(name: str) -> tuple[float, float]:
    """Return the longest time without an answer to a signal, and the time of the call."""
    command = [sys.executable, __file__, name]
    pause, whole = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout.split()
    return float(pause), float(whole)


def latency(name: str) -> float:
    """Return the seconds from the signal to the exception."""
    running = subprocess.Popen([sys.executable, __file__, name], stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(300, running.kill)
    watchdog.start()
    try:
        if running.stdout is None or running.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{name} did not begin")
        time.sleep(HEAD_START)
        sent = time.time()
        running.send_signal(signal.SIGINT)
        ended = running.communicate()[0].strip()
    finally:
        watchdog.cancel()
        running.kill()
    if not ended:
        raise RuntimeError(f"{name} was over before the signal, or did not end")
    return float(ended) - sent


def main() -> None:
    """Measure every call."""
    beyond = False
    for name in CALLS:
        seconds = latency(name)
        beyond |= seconds > LIMIT
        print(f"{name}: interrupted after {seconds:.3f} s, limit {LIMIT} s")
    for name in WHOLE:
        pause, whole = longest_pause(name)
        beyond |= pause > LIMIT
        print(f"{name}: at most {pause:.3f} s without an answer in {whole:.1f} s, limit {LIMIT} s", flush=True)
    sys.exit(int(beyond))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        (timed_child if sys.argv[1] in WHOLE else child)(sys.argv[1])
    else:
        main()
