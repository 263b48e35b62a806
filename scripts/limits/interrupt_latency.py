"""Ctrl-C ends every long call within half a second; needs a release build and an idle machine.

Each call runs in a child that receives SIGINT while it is under way. The figure is the time from the signal to the
KeyboardInterrupt.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np

import negmine
from negmine import _native
from negmine.sketches.minhash import text_bytes

#: Seconds from the signal to the exception.
LIMIT = 0.5

#: Seconds that a call has been running when the signal is sent.
HEAD_START = 0.4


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
    (offsets, text), options = text_bytes(["words and words " * 10_000_000], "texts"), (False, 5, 1, None)
    return lambda: _native.shingle_sets(offsets, text, *options)


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


def child(name: str) -> None:
    """Make a call and say when it ended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    call = CALLS[name]()
    print("ready", flush=True)
    try:
        call()
    except KeyboardInterrupt:
        print(time.time(), flush=True)


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
    sys.exit(int(beyond))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1])
    else:
        main()
