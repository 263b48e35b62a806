"""Corrupted triples, filtered against unfiltered, and against PyKEEN's samplers and filterers.

    NEGMINE_DATA=... python benches/python/sampling.py [--rounds N] [--quick]

One thread, one process. The triples are those of kg_fb15k237, or random ones of that size without the folder, in
shuffled batches. "unfiltered" is the same call on triples whose relations all differ, so that
nothing but the triple itself is known. Rounds visit the peers in turn; a figure is the least of the rounds, a ratio the
median of the rounds' ratios. Times are the process's own processor time. "known" is the share of known triples among
those that a peer returns as valid, "valid" the share of requested ones. PyKEEN's filterers mask and do not draw again.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from pykeen.sampling import BasicNegativeSampler, BernoulliNegativeSampler

from negmine.integrations.pykeen import ExactNegativeSampler
from negmine.sampling import Popularity, TripleCorruptor, pseudo_typed

N_ENTITIES, N_RELATIONS, N_TRIPLES = 14_541, 237, 272_115

BATCH = 4096

#: A batch of corrupted triples, and which of them are valid, None for all.
Batch = tuple[np.ndarray, np.ndarray | None]


def load(quick: bool) -> tuple[np.ndarray, int]:
    """Load triples as numbers, and the number of entities."""
    path = Path(os.environ.get("NEGMINE_DATA", ".")) / "kg_fb15k237" / "triples.parquet"
    if path.is_file() and not quick:
        import pyarrow.parquet as pq

        table = pq.read_table(path, filters=[("split", "=", "train")])
        columns = [table[name].to_numpy(zero_copy_only=False) for name in ("head", "relation", "tail")]
        entities, numbers = np.unique(np.concatenate([columns[0], columns[2]]), return_inverse=True)
        heads, tails = np.split(numbers, 2)
        relations = np.unique(columns[1], return_inverse=True)[1]
        return np.stack([heads, relations, tails], axis=1).astype(np.int64), len(entities)
    rng = np.random.default_rng(0)
    n = 5_000 if quick else N_TRIPLES
    heads, tails = (np.minimum(rng.zipf(1.3, n), N_ENTITIES) - 1 for _ in range(2))
    relations = np.minimum(rng.zipf(1.5, n), N_RELATIONS) - 1
    return np.unique(np.stack([heads, relations, tails], axis=1), axis=0), N_ENTITIES


def batches(n: int) -> Iterator[np.ndarray]:
    """Yield rows, in the order of a shuffle."""
    order = np.random.default_rng(1).permutation(n)
    yield from (order[begin : begin + BATCH] for begin in range(0, n, BATCH))


def numpy_batch(triples: np.ndarray, n_entities: int, n: int) -> Batch:
    """Replace a random side by a random entity, in NumPy, unfiltered."""
    rng = np.random.default_rng(2)
    found = np.repeat(triples[:, None], n, axis=1)
    heads = rng.random(found.shape[:2]) < 0.5
    entities = rng.integers(0, n_entities, found.shape[:2])
    found[:, :, 0] = np.where(heads, entities, found[:, :, 0])
    found[:, :, 2] = np.where(heads, found[:, :, 2], entities)
    return found, None


def peers(triples: np.ndarray, n_entities: int, n: int) -> dict[str, Callable[[np.ndarray], Batch]]:
    """Prepare every peer; each takes rows."""
    mapped = torch.from_numpy(triples)

    def own(**options: object) -> Callable[[np.ndarray], Batch]:
        rows_of = options.pop("triples", triples)
        corruptor = TripleCorruptor(rows_of, n_entities=n_entities, **options)  # type: ignore[arg-type]

        def draw(rows: np.ndarray) -> Batch:
            drawn = corruptor.corrupt(rows, n, num_threads=1)
            return drawn.triples, None if drawn.counts.min(initial=n) == n else drawn.triples[:, :, 0] >= 0

        return draw

    def pykeen(cls: type, **options: object) -> Callable[[np.ndarray], Batch]:
        sampler = cls(mapped_triples=mapped, num_entities=n_entities, num_negs_per_pos=n, **options)

        def draw(rows: np.ndarray) -> Batch:
            found, mask = sampler.sample(mapped[torch.from_numpy(rows)])
            return found.numpy(), None if mask is None else mask.numpy()

        return draw

    alone = triples.copy()
    alone[:, 1] = np.arange(len(triples))
    return {
        "negmine": own(),
        "negmine, unfiltered": own(triples=alone),
        "negmine, bernoulli": own(side="bernoulli"),
        "negmine, with replacement": own(replace=True),
        "negmine, popularity": own(sources=Popularity()),
        "negmine, pseudo-typed": own(sources=pseudo_typed(triples)),
        "negmine as PyKEEN's sampler": pykeen(ExactNegativeSampler),
        "NumPy, unfiltered": lambda rows: numpy_batch(triples[rows], n_entities, n),
        "PyKEEN basic, unfiltered": pykeen(BasicNegativeSampler),
        "PyKEEN bernoulli, unfiltered": pykeen(BernoulliNegativeSampler),
        "PyKEEN basic, Bloom filter": pykeen(BasicNegativeSampler, filtered=True, filterer="bloom"),
        "PyKEEN basic, Python set": pykeen(BasicNegativeSampler, filtered=True, filterer="pythonset"),
    }


def shares(
    draw: Callable[[np.ndarray], Batch], triples: np.ndarray, n_entities: int, rows: np.ndarray
) -> tuple[float, float]:
    """Return the shares of known triples among valid ones, and of valid ones among the requested."""
    found, mask = draw(rows)

    def keys(of: np.ndarray) -> np.ndarray:
        return (of[..., 0] * (triples[:, 1].max() + 1) + of[..., 1]) * n_entities + of[..., 2]

    valid = np.ones(found.shape[:2], dtype=bool) if mask is None else mask
    # Where relations were replaced by numbers, those of the triples are what counts.
    real = found.copy()
    real[:, :, 1] = triples[rows][:, None, 1]
    return float(np.isin(keys(real), keys(triples))[valid].mean()), float(valid.mean())


def main() -> None:
    """Print one table per number of negatives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    triples, n_entities = load(arguments.quick)
    for n in (1, 10, 64):
        prepared = peers(triples, n_entities, n)
        seconds: dict[str, list[float]] = {name: [] for name in prepared}
        rows = list(batches(len(triples)))[: 400 // n]
        draws = sum(map(len, rows)) * n
        for _ in range(1 if arguments.quick else arguments.rounds):
            for name, draw in prepared.items():
                begin = time.process_time()
                for some in rows:
                    draw(some)
                seconds[name].append(time.process_time() - begin)
        print(f"\n{len(triples)} triples, {n_entities} entities, {n} negatives, load {os.getloadavg()[0]:.1f}\n")
        print("| peer | million/s | times negmine's time | known | valid |\n| --- | --- | --- | --- | --- |")
        for name, draw in prepared.items():
            ratio = median(a / b for a, b in zip(seconds[name], seconds["negmine"], strict=True))
            known, valid = shares(draw, triples, n_entities, rows[0])
            print(f"| {name} | {draws / min(seconds[name]) / 1e6:.1f} | {ratio:.2f} | {known:.2%} | {valid:.2%} |")


if __name__ == "__main__":
    main()
