"""What a batch costs before the model sees it: sampler, fetch and collate, a batch at once against a row at a time.

    python benches/python/dataloader.py [--rows N] [--batch-size B] [--negatives N] [--rounds N] [--workers] [--refresh]

In one process and on one thread, as in a worker; datasets.Dataset takes part where it is installed. Every form gives
the same tensors, which is checked. Rounds visit the forms in turn; a figure is the median over rounds of the thread's
CPU time for a batch, a ratio the median of the rounds' ratios. The bar is 0.4 ms, 2 % of a training step of 20 ms.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, default_collate

import negmine
from negmine.batches import epoch_permutation
from negmine.torch import BackgroundRefresh, NegativesDataset, NegativesTable, Refreshed, collate, refresh

BAR = 0.4e-3


def synthetic(n_rows: int, n_documents: int, n: int) -> negmine.HardNegatives:
    """Negatives of any size, without mining: documents at random, one row in ten a little short."""
    rng = np.random.default_rng(0)
    corpus = np.eye(4, dtype=np.float32)
    small = negmine.mine(corpus[:1], corpus, [[0]], num_negatives=1)
    counts = np.where(rng.random(n_rows) < 0.1, n - 1, n).astype(np.int32)
    real = np.arange(n) < counts[:, None]
    rows = np.where(real, rng.integers(0, n_documents, (n_rows, n)), -1)
    return replace(
        small,
        indices=rows,
        scores=np.where(real, rng.random((n_rows, n)), -np.inf).astype(np.float32),
        source=np.zeros(rows.shape, dtype=np.uint8),
        above_reference=np.zeros(rows.shape, dtype=np.bool_),
        log_prob=np.zeros(rows.shape),
        counts=counts,
        reasons=np.zeros(n_rows, dtype=np.uint8),
        reference_scores=np.ones(n_rows),
        query_indices=np.arange(n_rows),
        positive_indices=np.full(n_rows, -1, dtype=np.int64),
        report=replace(small.report, n_documents=n_documents),
        pool=None,
    )


class RowAtATime(Dataset[dict[str, Any]]):
    """The plain form: a dictionary per row, put together by torch."""

    def __init__(self, negatives: negmine.HardNegatives, positives: np.ndarray, documents: Any) -> None:
        self.negatives, self.positives, self.documents = negatives, positives, documents

    def __len__(self) -> int:
        return len(self.negatives)

    def __getitem__(self, index: int) -> dict[str, Any]:
        rows = self.negatives.indices[index]
        sample = {
            "query_index": self.negatives.query_indices[index],
            "positive_index": self.positives[index],
            "negative_indices": rows,
            "scores": self.negatives.scores[index],
            "count": self.negatives.counts[index],
            "mask": rows >= 0,
            "generation": 0,
        }
        if isinstance(self.documents, np.ndarray):
            sample["positive"] = self.documents[self.positives[index]]
            sample["negatives"] = np.where((rows >= 0)[:, None], self.documents[rows], 0)
        elif self.documents is not None:
            sample["positive"] = self.documents[self.positives[index]]
            sample["negatives"] = [self.documents[row] for row in rows if row >= 0]
        return sample


def together(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Torch's default, but for texts, of which there are not equally many."""
    texts = isinstance(samples[0].get("negatives"), list)
    ragged = [sample.pop("negatives") for sample in samples] if texts else None
    batch: dict[str, Any] = default_collate(samples)
    return batch if ragged is None else batch | {"negatives": ragged}


class Shuffled:
    """Batches of an epoch in negmine's order, as lists, the cost of the order included."""

    def __init__(self, n_rows: int, batch_size: int) -> None:
        self.n_rows, self.batch_size = n_rows, batch_size

    def __len__(self) -> int:
        return self.n_rows // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        for begin in range(0, len(self) * self.batch_size, self.batch_size):
            places = {"start": begin, "stop": begin + self.batch_size}
            yield epoch_permutation(self.n_rows, seed=0, epoch=0, **places).tolist()


def hugging_face(negatives: negmine.HardNegatives, positives: np.ndarray) -> Any:
    """The same columns in a datasets.Dataset; None where that is not installed."""
    try:
        import datasets
    except ImportError:
        return None
    columns = {"query_index": negatives.query_indices, "positive_index": positives, "count": negatives.counts}
    columns |= {"negative_indices": negatives.indices, "scores": negatives.scores, "mask": negatives.indices >= 0}
    return datasets.Dataset.from_dict(columns | {"generation": np.zeros(len(positives), dtype=np.int64)})


def per_batch(loader: Any, n_batches: int) -> tuple[float, float]:
    """CPU seconds of this thread and wall seconds for a batch, the sampler's start included in proportion."""
    cpu, wall, done = time.thread_time(), time.perf_counter(), 0
    for _ in loader:
        done += 1
        if done == n_batches:
            break
    return (time.thread_time() - cpu) / done, (time.perf_counter() - wall) / done


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two batches hold the same."""
    return a.keys() == b.keys() and all(
        torch.equal(a[name], b[name]) if isinstance(a[name], torch.Tensor) else list(a[name]) == list(b[name])
        for name in a
    )


def compare(
    case: str, forms: dict[str, Callable[[], Any]], rounds: int, n_batches: dict[str, int], *, bar: bool = True
) -> None:
    """Print a table of one case; the first form is ours, and may be held to the bar."""
    ours, *_ = forms
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, form in forms.items():
            times[name].append(per_batch(form(), n_batches.get(name, n_batches[""])))
    print(f"**{case}**; median of {rounds} rounds\n")
    print("| form | CPU ms a batch | wall ms a batch | x ours | of a 20 ms step |\n| --- | ---: | ---: | ---: | ---: |")
    for name, taken in times.items():
        cpu = median(seconds for seconds, _ in taken)
        wall = median(seconds for _, seconds in taken)
        ratio = median(a / b for (a, _), (b, _) in zip(taken, times[ours], strict=True))
        print(f"| {name} | {1e3 * cpu:.3f} | {1e3 * wall:.3f} | {ratio:.1f} | {100 * cpu / 20e-3:.1f} % |")
    within = median(seconds for seconds, _ in times[ours]) < BAR
    print(f"\n{'within' if within else 'ABOVE'} the bar of {1e3 * BAR} ms\n" if bar else "", flush=True)


def batches(arguments: argparse.Namespace, negatives: negmine.HardNegatives, table: NegativesTable) -> None:
    """Print the tables of batches."""
    n_rows, batch_size = len(negatives), arguments.batch_size
    positives = np.random.default_rng(1).integers(0, n_rows, n_rows)
    texts = [f"document {row}" for row in range(n_rows)]
    tokens = np.random.default_rng(2).integers(0, 30_000, (n_rows, 32))
    hugging = hugging_face(negatives, positives)
    for case, documents in {"row numbers": None, "texts": texts, "32 token ids": tokens}.items():
        ours = NegativesDataset(None, documents, table, positives=positives)
        plain = RowAtATime(negatives, positives, documents)
        sampler = Shuffled(n_rows, batch_size)
        loaders = {
            "NegativesDataset, `collate`": DataLoader(ours, batch_sampler=sampler, collate_fn=collate),
            "a row at a time, `default_collate`": DataLoader(plain, batch_sampler=sampler, collate_fn=together),
        }
        if documents is None:
            shuffle = BatchSampler(RandomSampler(ours), batch_size, drop_last=True)
            loaders["NegativesDataset, torch's shuffle"] = DataLoader(ours, batch_sampler=shuffle, collate_fn=collate)
            if hugging is not None:
                loaders["datasets.Dataset, `torch` format, `default_collate`"] = DataLoader(
                    hugging.with_format("torch"), batch_sampler=sampler, collate_fn=default_collate
                )
        firsts = {name: next(iter(loader)) for name, loader in loaders.items() if "shuffle" not in name}
        expected, *others = [first for name, first in firsts.items() if not name.startswith("datasets")]
        assert all(same(expected, other) for other in others), case
        forms = {name: (lambda loader=loader: loader) for name, loader in loaders.items()}
        title = f"{case}: {batch_size} rows x {arguments.negatives} negatives, {n_rows:,} result rows"
        full = n_rows // batch_size
        slow = [name for name in forms if "default_collate" in name]
        compare(title, forms, arguments.rounds, {"": full} | dict.fromkeys(slow, max(2, full // 20)))


def plainly(samples: Any) -> dict[str, Any]:
    """Collate, and leave the way out of the worker to torch."""
    return dict(collate(samples))


def workers(arguments: argparse.Namespace, table: NegativesTable) -> None:
    """Print what the process that trains pays for batches of two workers."""
    n_rows = len(table)
    for case, documents in {"row numbers": None, "32 token ids": np.ones((n_rows, 32), dtype=np.int64)}.items():
        dataset = NegativesDataset(None, documents, table, positives=np.arange(n_rows))
        sampler = Shuffled(n_rows, arguments.batch_size)
        options: dict[str, Any] = {"batch_sampler": sampler, "num_workers": 2}
        forms = {
            "`collate`": partial(DataLoader, dataset, collate_fn=collate, **options),
            "tensors as torch sends them": partial(DataLoader, dataset, collate_fn=plainly, **options),
        }
        compare(f"{case}, two workers, main process", forms, arguments.rounds, {"": len(sampler)}, bar=False)


def refreshes(negatives: negmine.HardNegatives, table: NegativesTable, rounds: int) -> None:
    """Print what publishing and noticing cost."""
    rows, other = np.arange(512), NegativesTable(table.folder)
    published, noticed, unchanged = [], [], []
    for _ in range(rounds):
        begin = time.perf_counter()
        table.publish(negatives)
        published.append(time.perf_counter() - begin)
        for times in (noticed, unchanged):
            begin = time.perf_counter()
            other.read(rows)
            times.append(time.perf_counter() - begin)
    print("| step | wall ms |\n| --- | ---: |")
    steps = {
        "publish, flushed to the disk": published,
        "first batch after": noticed,
        "any other batch": unchanged,
    }
    for name, seconds in steps.items():
        print(f"| {name} | {1e3 * median(seconds):.3f} |")


class Training:
    """A linear layer that learns from negatives of a table, which are refreshed every 20 steps of 100 in some way."""

    STEPS, EVERY, CHUNKS = 100, 20, 5

    def __init__(self, folder: str, n_documents: int) -> None:
        rng = np.random.default_rng(0)
        self.documents, self.queries = (
            rng.standard_normal((n, 384), dtype=np.float32) for n in (n_documents, max(n_documents // 10, 1))
        )
        self.labels = np.arange(len(self.queries))
        self.miner = negmine.HardNegativeMiner(5, range_max=100, sampling="random")
        index = negmine.ExactIndex(self.documents, num_threads=1)
        self.table = NegativesTable.create(folder, self.miner.mine(index, self.queries, self.labels, num_threads=1))
        dataset = NegativesDataset(self.queries, self.documents, self.table, positives=self.labels)
        self.batch = partial(self._batch, dataset, rng)
        self.model = torch.nn.Linear(384, 384, bias=False)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3)

    @staticmethod
    def _batch(dataset: NegativesDataset, rng: np.random.Generator) -> dict[str, Any]:
        return collate(dataset.__getitems__(rng.integers(0, len(dataset), 256).tolist()))

    def step(self) -> None:
        """Take a step of InfoNCE over the positive and the negatives of each query."""
        batch = self.batch()
        query, positive, negatives = (self.model(batch[name]) for name in ("query", "positive", "negatives"))
        scores = torch.einsum("bd,bnd->bn", query, torch.cat([positive[:, None], negatives], dim=1))
        loss = torch.nn.functional.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.int64))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def encode(self, rows: np.ndarray) -> torch.Tensor:
        """Embed."""
        found: torch.Tensor = self.model(torch.from_numpy(rows))
        return found

    def run(self, how: str) -> tuple[float, list[Refreshed]]:
        """Return wall seconds per step, and what the refreshes did."""
        arguments = (self.table, self.miner, self.encode, self.queries, self.documents, self.labels)
        done: list[Refreshed] = []
        running: BackgroundRefresh | None = None
        begin = time.perf_counter()
        for step in range(self.STEPS):
            if how and step % self.EVERY == 0:
                options: dict[str, Any] = {"step": step, "num_threads": 1}
                if "fifth" in how:
                    options["chunk"] = (step // self.EVERY, self.CHUNKS)
                if running is not None:
                    done.append(running.result())
                if "background" in how:
                    running = BackgroundRefresh(*arguments, **options)
                else:
                    done.append(refresh(*arguments, **options))
            self.step()
        if running is not None:
            done.append(running.result())
        return (time.perf_counter() - begin) / self.STEPS, done


def cost_per_step(n_documents: int, rounds: int) -> None:
    """Print what refreshes cost a training step."""
    forms = ("", "all queries", "a fifth", "all queries, background", "a fifth, background")
    seconds: dict[str, list[float]] = {how: [] for how in forms}
    stages: dict[str, list[Refreshed]] = {how: [] for how in forms}
    with tempfile.TemporaryDirectory() as scratch:
        training = Training(f"{scratch}/table", n_documents)
        for _ in range(rounds):
            for how in forms:
                taken, done = training.run(how)
                seconds[how].append(taken)
                stages[how] += done
    n_queries, load = len(training.queries), os.getloadavg()[0]
    print(f"\nrefreshes every {Training.EVERY} steps, {n_queries:,} queries, {n_documents:,} documents x 384, mined by")
    print(f"one thread; {os.cpu_count()} cores, load {load:.1f}; least of {rounds} rounds\n")
    print("| refresh | ms a step | more, ms | embed, ms | mine, ms | publish, ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    plain = min(seconds[""])
    for how in forms:
        parts = ["-"] * 3
        if stages[how]:
            names = ("encode_seconds", "mine_seconds", "publish_seconds")
            parts = [f"{1e3 * min(getattr(one, name) for one in stages[how]):.1f}" for name in names]
        least = min(seconds[how])
        more = f"{1e3 * (least - plain):.2f}" if how else "-"
        print(f"| {how or 'none'} | {1e3 * least:.2f} | {more} | {' | '.join(parts)} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--negatives", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", action="store_true", help="also what batches of two workers cost")
    parser.add_argument("--refresh", action="store_true", help="also what publishing and refreshes cost")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    negatives = synthetic(arguments.rows, arguments.rows, arguments.negatives)
    with tempfile.TemporaryDirectory() as scratch:
        table = NegativesTable.create(f"{scratch}/table", negatives)
        batches(arguments, negatives, table)
        if arguments.workers:
            workers(arguments, table)
        if arguments.refresh:
            refreshes(negatives, table, arguments.rounds)
            cost_per_step(max(arguments.rows // 10, 10), arguments.rounds)


if __name__ == "__main__":
    main()
