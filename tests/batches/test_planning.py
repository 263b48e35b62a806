"""Plans of batches and masks, held to independent code."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import negmine
from negmine.batches import (
    class_balanced_plan,
    cluster_plan,
    false_negative_mask,
    false_negative_pairs,
    mixture_plan,
    sample_balanced_margins,
    topic_plan,
)
from oracle_batches import chosen_pair, class_batches, cluster_epoch, hands, masked, topic_batch

NUMBERS = st.integers(0, 2**64 - 1)


@st.composite
def clusterings(draw: st.DrawFn, most: int = 90) -> np.ndarray:
    """Draw the cluster of every row, none empty."""
    sizes = draw(st.lists(st.integers(1, draw(st.sampled_from([1, 4, 40]))), min_size=1, max_size=most // 4))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return labels[np.random.default_rng(draw(st.integers(0, 9))).permutation(len(labels))]


@given(clusterings(), st.data(), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 1.0]), NUMBERS, NUMBERS)
def test_cluster_batches_are_those_of_the_definition(
    labels: np.ndarray, data: st.DataObject, tree: bool, pad: bool, share: float, seed: int, epoch: int
) -> None:
    n = len(labels)
    size = data.draw(st.integers(1, n), label="batch_size")
    per_step = data.draw(st.integers(1, max(1, n // size)), label="batches_per_step")
    plan = cluster_plan(
        labels,
        batch_size=size,
        batches_per_step=per_step,
        random_fraction=share,
        order="tree" if tree else "shuffled",
        remainder="pad" if pad else "drop",
        seed=seed,
    )
    got = plan.epoch(epoch)
    assert isinstance(got, np.ndarray)
    times = np.bincount(got.ravel(), minlength=n)
    assert times.sum() == plan.report["rows_per_epoch"] == len(plan) * size
    assert (times >= 1).all() if pad else (times <= 1).all()
    assert (times == 1).sum() == n - plan.report["repeated"] - plan.report["left_out"]
    for begin in range(0, len(plan), per_step):
        step = got[begin : begin + per_step].ravel()
        assert len(set(step.tolist())) == len(step)
    options = {"n": n, "batch_size": size, "batches_per_step": per_step, "random": round(share * size)}
    wanted = cluster_epoch(labels.tolist(), {**options, "tree": tree, "pad": pad}, seed, epoch)
    assert got.tolist() == wanted


@given(st.integers(1, 12), st.integers(1, 8), st.integers(1, 6), NUMBERS, NUMBERS)
def test_whole_clusters_stay_whole(clusters: int, cluster: int, per_batch: int, seed: int, epoch: int) -> None:
    labels = np.repeat(np.arange(clusters * per_batch), cluster)
    plan = cluster_plan(labels, batch_size=cluster * per_batch, seed=seed)
    for batch in plan.epoch(epoch):
        assert (np.unique(labels[batch], return_counts=True)[1] == cluster).all()


@given(st.integers(2, 6), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), NUMBERS, NUMBERS)
def test_the_tree_keeps_neighbors_together(
    steps: int, per_batch: int, per_step: int, cluster: int, seed: int, epoch: int
) -> None:
    labels = np.repeat(np.arange(steps * per_batch * per_step), cluster)
    plan = cluster_plan(labels, batch_size=cluster * per_batch, batches_per_step=per_step, order="tree", seed=seed)
    leaves = steps * per_batch * per_step
    for begin in range(0, len(plan), per_step):
        step = np.concatenate([plan.batch(epoch, begin + i) for i in range(per_step)])
        held = set(labels[step].tolist())
        assert len(held) == per_batch * per_step
        # An arc of the circle of leaves: one of them has no predecessor in it, unless all are there.
        assert sum((leaf - 1) % leaves not in held for leaf in held) == (1 if len(held) < leaves else 0)


@given(clusterings(), st.data(), st.booleans(), NUMBERS, NUMBERS)
def test_topic_batches_are_those_of_the_definition(
    labels: np.ndarray, data: st.DataObject, by_size: bool, seed: int, epoch: int
) -> None:
    size = data.draw(st.integers(1, len(labels)), label="batch_size")
    mixed = data.draw(st.integers(1, size), label="clusters_per_batch")
    random = data.draw(st.integers(0, size), label="random rows")
    plan = topic_plan(
        labels,
        batch_size=size,
        clusters_per_batch=mixed,
        random_fraction=random / size,
        weights="size" if by_size else "uniform",
        batches_per_epoch=3,
        seed=seed,
    )
    clusters = [np.flatnonzero(labels == cluster).tolist() for cluster in range(labels.max() + 1)]
    for index, batch in enumerate(plan.epoch(epoch)):
        rows = batch.tolist()
        assert len(set(rows)) == size
        assert rows == topic_batch(clusters, size, mixed, random, by_size, (seed, epoch, index))
        assert rows == plan.batch(epoch, index).tolist()
        if mixed == 1 and random < size and min(map(len, clusters)) >= size - random:
            assert len(set(labels[batch[: size - random]])) == 1


@given(st.integers(1, 30), st.data(), NUMBERS)
def test_hands_are_even(n: int, data: st.DataObject, seed: int) -> None:
    p = data.draw(st.integers(1, n))
    times = np.zeros(n, dtype=int)
    for hand in hands(n, p, seed, 0, 3 * n):
        assert len(set(hand)) == p
        times[hand] += 1
        assert times.max() - times.min() <= 1


@given(clusterings(60), st.data(), NUMBERS)
def test_class_batches_are_dealt(labels: np.ndarray, data: st.DataObject, seed: int) -> None:
    classes = int(labels.max()) + 1
    per_batch = data.draw(st.integers(1, classes), label="classes a batch")
    per_class = data.draw(st.integers(1, 6), label="per_class")
    plan = class_balanced_plan(
        labels, batch_size=per_batch * per_class, per_class=per_class, batches_per_epoch=5, seed=seed
    )
    groups = [np.flatnonzero(labels == label).tolist() for label in range(classes)]
    wanted = class_batches(groups, per_batch, per_class, seed, 15)
    used = np.zeros(len(labels), dtype=int)
    for number, rows in enumerate(wanted):
        batch = plan.batch(number // 5, number % 5)
        assert batch.tolist() == rows
        found, counts = np.unique(labels[batch], return_counts=True)
        assert len(found) == per_batch
        assert (counts == per_class).all()
        np.add.at(used, batch, 1)
        visits = [used[group].sum() // per_class for group in groups]
        assert max(visits) - min(visits) <= 1
        for group in groups:
            assert used[group].max() - used[group].min() <= 1
            own = batch[np.isin(batch, group)]
            assert len(own) == 0 or len(set(own.tolist())) == min(per_class, len(group))


@given(st.integers(1, 40), st.data(), NUMBERS, NUMBERS)
def test_far_epochs_of_classes_keep_the_promises_of_a_batch(
    classes: int, data: st.DataObject, seed: int, epoch: int
) -> None:
    per_batch = data.draw(st.integers(1, classes))
    labels = np.arange(4 * classes) % classes
    plan = class_balanced_plan(labels, batch_size=3 * per_batch, per_class=3, seed=seed)
    batch = plan.batch(epoch, len(plan) - 1)
    assert len(set(batch.tolist())) == 3 * per_batch
    assert (np.unique(labels[batch], return_counts=True)[1] == 3).all()


MARGINS = st.lists(st.one_of(st.floats(-50, 50), st.sampled_from([0.0, 1.0, -1.0, 1e-300])), max_size=12)


@given(st.lists(MARGINS, max_size=6), st.sampled_from(["width", "quantile", "tempered"]), NUMBERS, NUMBERS)
def test_pairs_are_those_of_the_definition(queries: list[list[float]], binning: str, seed: int, epoch: int) -> None:
    starts = np.cumsum([0, *map(len, queries)])
    got = sample_balanced_margins(
        np.array([m for query in queries for m in query]),
        starts,
        bins=7,
        binning=binning,  # type: ignore[arg-type]
        seed=seed,
        epoch=epoch,
    )
    wanted = [
        int(starts[i]) + chosen_pair(query, 7, binning, seed, epoch, i) if query else -1
        for i, query in enumerate(queries)
    ]
    assert got.tolist() == wanted


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.data(), NUMBERS)
def test_mixtures_use_every_source_in_its_own_order(sizes: list[int], data: st.DataObject, seed: int) -> None:
    size = data.draw(st.integers(1, min(sizes)), label="batch_size")
    per_step = data.draw(st.integers(1, max(1, min(sizes) // size)), label="batches_per_step")
    plans = [cluster_plan(np.arange(n), batch_size=size, batches_per_step=per_step, seed=n) for n in sizes]
    weights = data.draw(
        st.sampled_from(["proportional", "round_robin", [float(1 + i) for i in range(len(sizes))]]), label="weights"
    )
    plan = mixture_plan(plans, weights=weights, seed=seed)
    streams = [iter([b.tolist() for e in range(400) for b in own.epoch(e)]) for own in plans]
    steps = [len(own) // per_step for own in plans]
    used = [0] * len(sizes)
    for epoch in range(3):
        counts = [0] * len(sizes)
        for index, batch in enumerate(plan.epoch(epoch)):
            source = plan.source(epoch, index)
            counts[source] += 1
            assert (batch - plan.offsets[source]).tolist() == next(streams[source])
            assert source == plan.source(epoch, index - index % per_step)
        used = [a + b for a, b in zip(used, counts, strict=True)]
        if weights == "proportional":
            assert plan.report["steps"] == steps
        elif weights == "round_robin":
            assert plan.report["steps"] == [min(steps)] * len(sizes)
        else:
            assert sum(counts) == sum(steps) * per_step
            exact = [sum(steps) * weight / sum(weights) for weight in weights]
            assert all(abs(a - b) < 1e-9 for a, b in zip(plan.report["steps"], exact, strict=True))
        for own, mean in zip(used, plan.report["steps"], strict=True):
            assert abs(own / per_step - (epoch + 1) * mean) < (1e-9 if isinstance(weights, str) else 1)


@given(st.data(), st.integers(1, 8), st.integers(1, 12), st.booleans(), st.booleans(), st.booleans())
def test_masks_are_those_of_the_definition(
    data: st.DataObject, queries: int, documents: int, grouped: bool, dated: bool, excluding: bool
) -> None:
    rows = st.lists(st.lists(st.integers(0, documents - 1), max_size=6), min_size=queries, max_size=queries)
    positives, excluded = data.draw(rows), data.draw(rows) if excluding else [[]] * queries
    numbers = st.integers(-1, 3)
    groups = data.draw(st.lists(numbers, min_size=documents, max_size=documents)) if grouped else None
    eligible = None
    if dated:
        keys = data.draw(st.lists(numbers, min_size=documents, max_size=documents))
        bounds = st.lists(numbers, min_size=queries, max_size=queries)
        eligible = (keys, data.draw(bounds), data.draw(bounds))
    asked = data.draw(st.lists(st.integers(-1, queries - 1), max_size=10))
    held = data.draw(st.lists(st.integers(-1, documents - 1), max_size=14))
    rules = {"positives": positives, "exclude": excluded, "groups": groups, "eligible": eligible}
    wanted = [[masked(query, document, rules) for document in held] for query in asked]
    options = {
        "exclude": negmine.Positives.from_lists(excluded) if excluding else None,
        "groups": groups,
        "eligible": negmine.Eligibility(*eligible) if eligible is not None else None,  # type: ignore[arg-type]
    }
    lists = negmine.Positives.from_lists(positives)
    got = false_negative_mask(asked, held, lists, **options)
    assert got.shape == (len(asked), len(held))
    assert got.tolist() == wanted
    offsets, columns = false_negative_pairs(asked, held, lists, **options)
    assert [columns[a:b].tolist() for a, b in pairwise(offsets)] == [np.flatnonzero(row).tolist() for row in wanted]
