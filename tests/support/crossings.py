"""The smallest call of every function and of every method of the bindings, for the tests of leaks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import negmine
from negmine import ExactIndex, HardNegativeMiner, _native, batches, sampling, selection, synthesis
from negmine._core.arrays import Csr, as_rows
from negmine._core.labels import Strings
from negmine.behavior import BehaviorTable
from negmine.context import pack_context
from negmine.errors import NegmineError
from negmine.search import PoolRequest
from negmine.weights import ExampleMemory

Call = Callable[[], Any]

ROWS = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
QUERIES, POSITIVES = ROWS[:2].copy(), [[0], [1]]

#: Two classes, as batches and quotas read them, and a rare one, as oversampling does.
LABELS, RARE = np.array([0, 0, 1, 1, 1, 0]), np.array([1, 1, 0, 0, 0, 0])


@dataclass(frozen=True, slots=True)
class Crossing:
    """A call of a binding: its function, and the arguments of the smallest call."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __call__(self) -> Any:
        return self.function(*self.arguments)

    def wrong(self) -> Iterator[Call]:
        """Yield calls with each argument replaced by one of another type, and by bad values."""
        for place, argument in enumerate(self.arguments):
            others: list[Any] = [object()]
            if isinstance(argument, np.ndarray) and argument.size:
                others += [argument[:0], np.full_like(argument, np.nan if argument.dtype.kind == "f" else 2**30)]
            if isinstance(argument, str):
                others += ["none"]
            if isinstance(argument, int | float) and not isinstance(argument, bool):
                others += [-1]
            for other in others:
                changed = Crossing(self.function, (*self.arguments[:place], other, *self.arguments[place + 1 :]))
                yield lambda changed=changed: failing(changed)


def failing(call: Call) -> None:
    """Make a call that may fail; its error is dropped."""
    with contextlib.suppress(NegmineError, TypeError, ValueError, OverflowError, AttributeError, IndexError):
        call()


def recorded(name: str, call: Call) -> Crossing:
    """Return the last crossing of a function of the bindings within a call of the package."""
    function, seen = getattr(_native, name), []

    def watched(*arguments: Any) -> Any:
        seen.append(arguments)
        return function(*arguments)

    setattr(_native, name, watched)
    try:
        call()
    finally:
        setattr(_native, name, function)
    return Crossing(function, seen[-1])


def bindings(folder: Path) -> dict[str, Call]:
    """Return the calls by name: of a function, of a class, or of a part of a class."""
    return {**of_indexes(folder), **of_plans(), **of_others(), **of_the_package()}


def of_indexes(folder: Path) -> dict[str, Call]:
    """Return the calls of exact indexes and of their files."""
    rows, one = as_rows(ROWS, "rows"), np.zeros(1, dtype=np.int64)
    index = _native.ExactIndex(rows, "cosine", None, None, 2, None)
    pool = HardNegativeMiner(2).candidates(ExactIndex(ROWS), QUERIES, POSITIVES)
    request = PoolRequest(rules=pool.rules, range_max=3)
    pairs = Csr(np.array([0, 1, 2]), np.array([1, 2]))
    shard, panels = folder / "rows.npy", folder / "panels"
    np.save(shard, ROWS)
    panels.touch()
    written = recorded("write_panels", lambda: negmine.ShardedIndex([shard]))
    packed = negmine.ShardedIndex([shard])
    files = recorded("RowFiles", lambda: negmine.ShardedIndex([shard]))

    def offers() -> _native.Offers:
        return _native.Offers(index, as_rows(QUERIES, "queries"), request, 2)

    def offered() -> Any:
        made = offers()
        made.thresholds()
        made.offer(one, one + 1, np.zeros(1), np.ones(1), 2)
        return made.finish(2)

    return {
        "ExactIndex": Crossing(_native.ExactIndex, (rows, "cosine", None, None, 2, None)),
        "ExactIndex.of_packs": Crossing(
            _native.ExactIndex.of_packs,
            (packed._files, [(str(packed.shards[0].pack), 4096)], 0, "cosine", None, None, 2, None),
        ),
        "ExactIndex.work": lambda: index.work,
        "ExactIndex.nbytes": lambda: index.nbytes,
        "ExactIndex.zero_rows": lambda: index.zero_rows,
        "ExactIndex.plan": Crossing(index.plan, (2, 1, 2)),
        "ExactIndex.search": Crossing(index.search, (rows, 2, None, None, None, 2, lambda done, total: None)),
        "ExactIndex.candidates": Crossing(index.candidates, (as_rows(QUERIES, "queries"), request, 2, None)),
        "ExactIndex.score_pairs": Crossing(index.score_pairs, (as_rows(QUERIES, "queries"), pairs, 2)),
        "Offers": offers,
        "Offers.thresholds": Crossing(offers().thresholds, ()),
        "Offers.offer": Crossing(offers().offer, (one, one + 1, np.zeros(1), np.ones(1), 2)),
        "Offers.finish": offered,
        "RowFiles": files,
        "RowFiles.bytes_read": lambda: packed._files.bytes_read,
        "write_panels": Crossing(written.function, (*written.arguments[:5], str(panels), *written.arguments[6:])),
    }


def of_plans() -> dict[str, Call]:
    """Return the calls of plans and of steps."""
    plan = recorded("NoDuplicatePlan", lambda: batches.no_duplicate_plan(np.arange(6), LABELS, batch_size=2))
    conflicts = plan()
    steps = _native.SourceSteps([0.5, 0.5], 4)
    return {
        "NoDuplicatePlan": plan,
        "NoDuplicatePlan.steps": lambda: conflicts.steps,
        "NoDuplicatePlan.needed": lambda: conflicts.needed,
        "NoDuplicatePlan.emitted": lambda: conflicts.emitted,
        "NoDuplicatePlan.bound": lambda: conflicts.bound,
        "NoDuplicatePlan.epoch": Crossing(conflicts.epoch, (1,)),
        "NoDuplicatePlan.together": Crossing(conflicts.together, (np.arange(6), np.array([0, 3, 6]))),
        "NoDuplicatePlan.together_in_base": lambda: conflicts.together_in_base,
        "NoDuplicatePlan.__reduce__": Crossing(conflicts.__reduce__, ()),
        "SourceSteps": Crossing(_native.SourceSteps, ([0.5, 0.5], 4)),
        "SourceSteps.mean": lambda: steps.mean,
        "SourceSteps.epoch": Crossing(steps.epoch, (1, steps.epoch(0, None))),
        "SourceSteps.__reduce__": Crossing(steps.__reduce__, ()),
        "SourceStepsOfEpoch.now": lambda: steps.epoch(0, None).now,
        "SourceStepsOfEpoch.before": lambda: steps.epoch(0, None).before,
        "restore_no_duplicate_plan": Crossing(*conflicts.__reduce__()),
    }


def of_others() -> dict[str, Call]:
    """Return the calls of hashes, labels and small functions, some of which only torch or nothing uses."""
    rows, strings = as_rows(ROWS, "rows"), Strings.of(["a", "b"], "strings")
    hasher, minhash = negmine.SimHash(6, 3, dim=4), negmine.MinHash(8)
    words = hasher.signatures(ROWS)

    def sdim(keep: bool) -> Crossing:
        two = as_rows(QUERIES, "candidates")
        arguments = (hasher._native, rows, None, ROWS, two, 1, (1, 2, 4), "l2", False, keep, 2)
        return Crossing(_native.sdim_forward, arguments)

    return {
        "AliasTable": Crossing(_native.AliasTable, (np.ones(3),)),
        "AliasTable.__reduce__": Crossing(_native.AliasTable(np.ones(3)).__reduce__, ()),
        "SdimPass.backward": lambda: sdim(True)()[1].backward(np.ones((2, 4), dtype=np.float32), 2),
        "SimHash": Crossing(_native.SimHash, (6, 3, 4, 0, None)),
        "SimHash.projections": lambda: hasher._native.projections,
        "SimHash.signatures": Crossing(hasher._native.signatures, (rows, "rows", None, 2)),
        "StringTable": Crossing(_native.StringTable, (strings,)),
        "StringTable.find": Crossing(_native.StringTable(strings).find, (strings, strings)),
        "build_info": Crossing(_native.build_info, ()),
        "minhash_definition": Crossing(_native.minhash_definition, (minhash, np.array([3, 5], dtype=np.uint64), False)),
        "nearest": Crossing(_native.nearest, (words[:2], words, 1, 2, 2)),
        "peaks": Crossing(_native.peaks, ()),
        "quantize_rows": Crossing(_native.quantize_rows, (rows, np.arange(6), "cosine", 2)),
        "sdim_forward": sdim(False),
        "vnni_gops": Crossing(_native.vnni_gops, ()),
    }


def of_the_package() -> dict[str, Call]:
    """Return the calls that the package makes in its own smallest calls."""
    pool = HardNegativeMiner(2).candidates(ExactIndex(ROWS), QUERIES, POSITIVES)
    lists = negmine.ScoredLists.from_lists([[1, 2], [2, 3]], [[0.5, 0.25], [0.5, 0.25]], n_documents=6)
    table = BehaviorTable.build(negmine.SimHash(6, 3, dim=4), ROWS, offsets=[0, 6])
    triples = np.array([[0, 0, 1], [1, 0, 2], [2, 1, 0]])
    corruptor = sampling.TripleCorruptor(triples, n_entities=6)
    sampler = sampling.NegativeSampler(POSITIVES, n_documents=6)
    known = negmine.Positives.from_lists(POSITIVES)
    memory = ExampleMemory(4)
    memory.update([0, 1, 2], [0.5, 0.25, 1.0], epoch=0)
    apart = ROWS + 10 * RARE[:, None].astype(np.float32)
    minhash = negmine.MinHash(8)
    texts = ["a cat sat", "a cat ran", "dogs"]
    calls: dict[str, Call] = {
        "balanced_clusters": lambda: negmine.balanced_clusters(ROWS, n_clusters=2),
        "check_corruptor": lambda: sampling.TripleCorruptor(triples, n_entities=6),
        "check_sampler": lambda: sampling.NegativeSampler(POSITIVES, n_documents=6),
        "class_batches": lambda: batches.class_balanced_plan(LABELS, batch_size=2, per_class=1).batch(0, 0),
        "cluster_batches": lambda: batches.cluster_plan(LABELS, batch_size=2).batch(0, 0),
        "coin": lambda: sampling.coin(np.arange(3), 0.5, seed=0, epoch=0),
        "context_draws": lambda: pack_context([0], [1, 2], 2, order="random"),
        "corrupt_triples": lambda: corruptor.corrupt([0, 1], 2),
        "cosine_duplicates": lambda: negmine.near_duplicates(embeddings=ROWS, threshold=0.9),
        "distinct_sets": lambda: negmine.near_duplicates(sets=[[1, 2], [2, 3]]),
        "epoch_permutation": lambda: batches.epoch_permutation(5, seed=1, epoch=0),
        "exp": lambda: negmine._core.math.exp(np.ones(2)),
        "false_negative_mask": lambda: batches.false_negative_mask([0, 1], [0, 1], known),
        "false_negative_pairs": lambda: batches.false_negative_pairs([0, 1], [0, 1], known),
        "group_rows": lambda: negmine.kmeans(ROWS, n_clusters=2),
        "hash_strings": lambda: negmine.MinHash(8).signatures([["a"], ["b"]]),
        "interpolate": lambda: synthesis.oversample(ROWS, RARE, kind="smote", k=1),
        "interpolated_share": lambda: synthesis.oversample(ROWS, RARE, kind="boundary", k=1),
        "kmeans": lambda: negmine.kmeans(ROWS, n_clusters=2),
        "list_candidates": lambda: HardNegativeMiner(1).candidates(lists, np.arange(2), POSITIVES),
        "ln": lambda: negmine._core.math.ln(np.ones(2)),
        "lsh_bands": lambda: negmine.near_duplicates(texts),
        "lsh_duplicates": lambda: negmine.near_duplicates(texts),
        "mean_distances": lambda: synthesis.oversample(apart, RARE, kind="kmeans", k=1, n_clusters=2),
        "memory_draws": lambda: memory.sample(2, [0, 0, 1, 1], epoch=1),
        "minhash_signatures": lambda: minhash.signatures([["a"], ["b"]]),
        "mixture_rows": lambda: batches.mixture_plan([4, 4], batch_size=4, within_batch=True),
        "move_rows": lambda: synthesis.move(ROWS[:3], ROWS[3:], angle=0.3),
        "oversample_draws": lambda: synthesis.oversample(ROWS, RARE, kind="smote", k=1),
        "random_negatives": lambda: HardNegativeMiner(1, num_random=1).mine(ExactIndex(ROWS), QUERIES, POSITIVES),
        "sample_balanced_margins": lambda: batches.sample_balanced_margins(
            np.array([0.1, 0.2]), np.array([0, 1, 2]), seed=0
        ),
        "sample_negatives": lambda: sampler.sample([0, 1], 2),
        "score_pairs": lambda: negmine.score_pairs(QUERIES, ROWS, [[0, 0], [1, 1]]),
        "select": lambda: pool.select(1),
        "select_items": lambda: selection.select(2, scores=np.arange(6.0), groups=LABELS),
        "share_out": lambda: synthesis.oversample(apart, RARE, kind="kmeans", k=1, n_clusters=2),
        "shell": lambda: synthesis.shell(ROWS, 0.2, 0.8, 2),
        "shingle_sets": lambda: negmine.near_duplicates(texts),
        "table_query": lambda: table.query(ROWS, offsets=[0, 6]),
        "table_update": lambda: table.append(ROWS, offsets=[0, 6]),
        "topic_batches": lambda: batches.topic_plan(LABELS, batch_size=2).batch(0, 0),
    }
    return {name: recorded(name, call) for name, call in calls.items()}
