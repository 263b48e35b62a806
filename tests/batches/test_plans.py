"""Plans of batches and masks: golden values, what they are for, bad input."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import negmine
from negmine.batches import (
    NgameSchedule,
    class_balanced_plan,
    cluster_plan,
    false_negative_mask,
    mixture_plan,
    sample_balanced_margins,
    topic_plan,
)
from negmine.clustering import cluster_guarantee
from negmine.errors import MemoryLimitError, NegmineTypeError, NegmineValueError

LABELS = np.arange(40) // 5


@dataclass
class Clusters:
    """Clusters as another package might have them."""

    labels: Any
    offsets: Any


# ---- golden values: a change here is a change of everybody's batches


GOLDEN = {
    "shuffled": [22, 23, 21, 20, 24, 12, 13, 14, 10, 11],
    "tree": [28, 26, 29, 20, 24, 34, 31, 39, 2, 3],
    "topic": [21, 20, 22, 23],
    "topic by size": [12, 11, 14, 10, 21, 20, 22, 23],
    "class": [35, 37, 39, 0, 1, 2, 11, 12, 13],
    "mixture": [39, 32, 17, 4, 20],
}


def test_golden_batches() -> None:
    assert cluster_plan(LABELS, batch_size=10, seed=42).batch(1, 2).tolist() == GOLDEN["shuffled"]
    mixed = cluster_plan(LABELS, batch_size=10, random_fraction=0.3, order="tree", seed=42)
    assert mixed.batch(1, 2).tolist() == GOLDEN["tree"]
    assert topic_plan(LABELS, batch_size=4, seed=42).batch(1, 2).tolist() == GOLDEN["topic"]
    by_size = topic_plan(LABELS, batch_size=8, weights="size", clusters_per_batch=2, seed=42)
    assert by_size.batch(1, 2).tolist() == GOLDEN["topic by size"]
    classes = class_balanced_plan(LABELS, batch_size=9, per_class=3, seed=42)
    assert classes.batch(1, 2).tolist() == GOLDEN["class"]
    assert mixture_plan([40, 20], batch_size=5, seed=42).batch(1, 2).tolist() == GOLDEN["mixture"]


def test_golden_pairs() -> None:
    margins = [-1.0, 0.0, 0.5, 4.0, 9.0]
    # Bins 0, 1, 1, 5, 9: four of them hold pairs.
    drawn = np.array([sample_balanced_margins(margins, [0, 5], seed=seed)[0] for seed in range(4_000)])
    shares = np.bincount(drawn, minlength=5) / len(drawn)
    assert np.abs(shares - [1 / 4, 1 / 8, 1 / 8, 1 / 4, 1 / 4]).max() < 0.03
    drawn = np.array([sample_balanced_margins(margins, [0, 5], binning="tempered", seed=s)[0] for s in range(4_000)])
    root = 2**0.5
    wanted = np.array([1, root / 2, root / 2, 1, 1]) / (3 + root)
    assert np.abs(np.bincount(drawn, minlength=5) / len(drawn) - wanted).max() < 0.03


# ---- clusters


def test_clusters_are_read_from_labels_and_from_objects() -> None:
    plan = cluster_plan(LABELS, batch_size=10)
    for given in (LABELS.tolist(), LABELS.astype(np.uint8), Clusters(LABELS, np.arange(0, 41, 5))):
        other = cluster_plan(given, batch_size=10)
        assert other.digest == plan.digest
        assert (other.epoch(2) == plan.epoch(2)).all()


def test_a_plan_does_not_follow_changes_of_its_labels() -> None:
    labels = LABELS.copy()
    plan = cluster_plan(labels, batch_size=10)
    before = plan.epoch(0)
    labels[:] = labels[::-1].copy()
    assert (plan.epoch(0) == before).all()


def test_the_report_of_clusters() -> None:
    labels = np.repeat([0, 1, 2], [25, 3, 5])
    plan = cluster_plan(labels, batch_size=10, random_fraction=0.2)
    assert plan.report == {
        "rows": 33,
        "rows_per_epoch": 40,
        "repeated": 7,
        "left_out": 0,
        "clusters": 3,
        "smallest": 3,
        "largest": 25,
        "cut": 1,
        "random_per_batch": 2,
    }


def test_a_random_share_mixes_in_rows_of_other_clusters() -> None:
    labels = np.arange(4_000) // 40
    own = [
        np.mean(
            [
                np.bincount(labels[batch]).max()
                for batch in cluster_plan(labels, batch_size=40, random_fraction=share).epoch(0)
            ]
        )
        for share in (0.0, 0.25, 0.5, 1.0)
    ]
    assert own[0] == 40
    assert own[0] > own[1] > own[2] > own[3]


def test_single_rows_are_a_random_order() -> None:
    plan = cluster_plan(np.arange(1_000), batch_size=100)
    first, second = plan.epoch(0), plan.epoch(1)
    together = sum(len(set(a.tolist()) & set(b.tolist())) ** 2 for a in first for b in second)
    assert 10_000 < together < 13_000  # of 10 x 10 pairs of batches each shares 10 rows, with a variance of 8


def test_a_schedule_is_that_of_the_paper() -> None:
    schedule = NgameSchedule()
    sizes = [schedule.cluster_size(epoch) for epoch in (0, 9, 10, 19, 20, 25, 50, 75, 100, 125, 150, 200, 299)]
    assert sizes == [1, 1, 2, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512]
    assert [epoch for epoch in range(31) if schedule.refresh(epoch)] == [10, 15, 20, 25, 30]
    used = [schedule.clusters_epoch(epoch) for epoch in range(17)]
    assert used == [None] * 10 + [10] * 5 + [15] * 2
    late = NgameSchedule(lag=1)
    assert [late.clusters_epoch(epoch) for epoch in range(17)] == [None, *used[:-1]]
    assert schedule.n_clusters(200, 294_805) == 576
    assert schedule.n_clusters(0, 7) == 7
    assert NgameSchedule(initial_size=8, largest_size=100).cluster_size(10**6) == 100


def test_a_schedule_does_not_cluster_single_rows() -> None:
    schedule = NgameSchedule(first_epoch=0, curriculum=(3,), refresh_every=1)
    assert [schedule.clusters_epoch(epoch) for epoch in range(5)] == [None, None, None, 3, 4]
    assert NgameSchedule(initial_size=4, curriculum=()).clusters_epoch(3) == 0


def test_the_guarantee_holds() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(60, 5)).astype(np.float32)
    targets = random.normal(size=(30, 5)).astype(np.float32)
    lists = [random.choice(30, 2, replace=False).tolist() for _ in range(60)]
    labels = np.arange(60) // 6
    held = cluster_guarantee(labels, points, label_embeddings=targets, positives=negmine.Positives.from_lists(lists))
    far = np.linalg.norm(points[:, None].astype(float) - points[None].astype(float), axis=2)
    for cluster in range(10):
        rows = np.flatnonzero(labels == cluster)
        assert held.delta[cluster] == pytest.approx(far[np.ix_(rows, rows)].max(), rel=1e-12)
    assert held.distance is not None
    for i in range(60):
        for j in np.flatnonzero(labels == labels[i]):
            for label in lists[j]:
                assert np.linalg.norm(points[i] - targets[label]) <= held.distance
    alone = cluster_guarantee(labels, points)
    assert (alone.epsilon, alone.distance) == (None, None)
    plain = cluster_plan(labels, batch_size=12)
    told = cluster_plan(labels, batch_size=12, guarantee=held)
    assert told.digest == plain.digest
    assert told.report == {
        **plain.report,
        "delta": held.delta.max(),
        "epsilon": held.epsilon,
        "distance": held.distance,
    }


# ---- topics, classes, mixtures


def test_uniform_weights_draw_small_clusters_as_often() -> None:
    labels = np.repeat([0, 1], [900, 100])
    shares = {}
    for weights in ("uniform", "size"):
        plan = topic_plan(labels, batch_size=50, weights=weights, batches_per_epoch=2_000)  # type: ignore[arg-type]
        shares[weights] = np.mean([labels[batch[0]] for batch in plan.epoch(0)])
    assert abs(shares["uniform"] - 0.5) < 0.05
    assert abs(shares["size"] - 0.1) < 0.03


def test_a_small_topic_is_filled_up() -> None:
    plan = topic_plan(np.repeat([0, 1, 2], [2, 3, 4]), batch_size=8, clusters_per_batch=4)
    assert plan.report["small"] == 0
    assert plan.report["rows_per_cluster"] == 2
    for batch in plan.epoch(0):
        assert len(set(batch.tolist())) == 8


def test_classes_may_be_strings_and_short() -> None:
    labels = ["a"] * 7 + ["b"] + ["c"] * 3
    plan = class_balanced_plan(labels, batch_size=6, per_class=3)
    assert plan.report["short"] == 1
    for batch in plan.epoch(0):
        kinds = [labels[row] for row in batch]
        assert sorted(kinds.count(kind) for kind in set(kinds)) == [3, 3]


@pytest.mark.parametrize("order", ["shuffled", "tree"])
@pytest.mark.parametrize("random_fraction", [0.0, 0.3])
def test_a_short_last_step_holds_every_row_once(order: Any, random_fraction: float) -> None:
    for n, size, per_step, sizes in ((40, 7, 1, [7] * 5 + [5]), (33, 5, 2, [5] * 6 + [2, 1]), (5, 8, 2, [3, 2])):
        options: Any = {"order": order, "random_fraction": random_fraction, "seed": 3}
        plan = cluster_plan(LABELS[:n], batch_size=size, batches_per_step=per_step, remainder="short", **options)
        assert plan.batch_size is None
        assert (plan.report["rows_per_epoch"], plan.report["repeated"], plan.report["left_out"]) == (n, 0, 0)
        for epoch in range(3):
            batches = plan.epoch(epoch)
            assert [len(batch) for batch in batches] == sizes
            assert sorted(np.concatenate(batches).tolist()) == list(range(n))
            assert plan.batch(epoch, len(plan) - 1).tolist() == batches[-1].tolist()
    with pytest.raises(NegmineValueError, match="got 'short' with 1 rows for 2 batches"):
        cluster_plan(LABELS[:21], batch_size=5, batches_per_step=2, remainder="short")


@pytest.mark.parametrize(("labels", "no_class"), [([0, -1, 1, 0, -1, 1], "-1"), (list("abcabc"), "''")])
def test_rows_of_no_class_are_refused_or_left_out(labels: Any, no_class: str) -> None:
    labels = np.array(labels)
    labels[[1, 4]] = -1 if labels.dtype.kind == "i" else ""
    with pytest.raises(NegmineValueError) as caught:
        class_balanced_plan(labels, batch_size=2, per_class=1)
    assert f"got {no_class}, which is no class, in 2 rows, first in row 1. `unlabeled='drop'`" in str(caught.value)
    plan = class_balanced_plan(labels, batch_size=2, per_class=1, unlabeled="drop")
    assert (plan.n_rows, len(plan), plan.report["unlabeled"], plan.report["classes"]) == (6, 2, 2, 2)
    rows = np.array([0, 2, 3, 5])
    assert sorted(np.ravel(plan.epoch(0)).tolist()) == rows.tolist()
    classes = class_balanced_plan(labels[rows], batch_size=2, per_class=1)
    np.testing.assert_array_equal(plan.epoch(3), rows[classes.epoch(3)])
    assert plan.digest != classes.digest
    labels[rows] = labels[1]
    with pytest.raises(NegmineValueError, match="`labels` must hold a class in at least one row"):
        class_balanced_plan(labels, batch_size=2, per_class=1, unlabeled="drop")


def test_where_every_row_has_a_class_none_is_left_out() -> None:
    plans = [class_balanced_plan(LABELS, batch_size=6, per_class=3, unlabeled=mode) for mode in ("error", "drop")]
    assert plans[0].digest == plans[1].digest
    assert plans[1].report["unlabeled"] == 0


def test_sources_of_one_size_have_orders_of_their_own() -> None:
    plan = mixture_plan([50, 50], batch_size=10, weights="round_robin")
    assert [plan.source(0, batch) for batch in range(4)] == [0, 1, 0, 1]
    assert (plan.batch(0, 0) != plan.batch(0, 1) - 50).any()


def test_a_mixture_of_unlike_batches_is_a_list() -> None:
    plans = [cluster_plan(np.arange(20), batch_size=size) for size in (4, 5)]
    plan = mixture_plan(plans)
    assert plan.batch_size is None
    assert sorted(len(batch) for batch in plan.epoch(0)) == [4] * 5 + [5] * 4


def test_weights_of_a_mixture_are_exact() -> None:
    plan = mixture_plan([1_000, 10], batch_size=10, weights=[0.5, 0.5], batches_per_epoch=8)
    assert plan.report["steps"] == [4, 4]
    assert plan.report["passes"] == [0.04, 4.0]
    seen = np.concatenate([plan.epoch(epoch).ravel() for epoch in range(25)])  # type: ignore[union-attr]
    # The large source goes on where it was: each of its rows once in 25 epochs.
    assert (np.bincount(seen[seen < 1_000]) == 1).all()


@pytest.mark.parametrize(
    ("sizes", "weights"),
    [
        ([600, 30], [1000, 1]),
        ([600, 30], [3, 1]),
        ([70, 40, 50, 30], [0.5, 0.031, 1e-9, 7]),
        ([40] * 5, [10, 10, 10, 1, 1]),
    ],
)
def test_every_source_comes_up_as_its_weight_says_over_epochs(sizes: list[int], weights: list[float]) -> None:
    plan = mixture_plan(sizes, batch_size=10, weights=weights)
    exact = np.array(weights) / np.sum(weights) * len(plan)
    assert plan.report["steps"] == pytest.approx(exact)
    assert plan.report["passes"] == pytest.approx(exact / (np.array(sizes) // 10))
    used = np.zeros(len(sizes))
    times = np.zeros(sum(sizes), dtype=int)
    for epoch in range(100):
        for index in range(len(plan)):
            used[plan.source(epoch, index)] += 1
            times[plan.batch(epoch, index)] += 1
        assert np.abs(used - (epoch + 1) * exact).max() < 1
    # A source that comes up only now and then goes on where it was.
    for begin, end in zip(plan.offsets, plan.offsets[1:], strict=False):
        assert np.ptp(times[begin:end]) <= 1
    # Any epoch can be asked for on its own.
    fresh = mixture_plan(sizes, batch_size=10, weights=weights)
    assert (fresh.epoch(57) == plan.epoch(57)).all()
    assert (pickle.loads(pickle.dumps(plan)).epoch(31) == plan.epoch(31)).all()


def test_a_mixture_takes_the_last_epoch_there_is() -> None:
    plan = mixture_plan([20, 30], batch_size=10, weights=[2, 1])
    assert plan.epoch(2**64 - 1).shape == (5, 10)  # type: ignore[union-attr]


# ---- bad input


@pytest.mark.parametrize(
    ("clusters", "options", "error", "words"),
    [
        (LABELS, {"batch_size": 0}, NegmineValueError, "`batch_size` must be at least 1; got 0"),
        (LABELS, {"batch_size": 41}, NegmineValueError, "at most the number of rows, 40; got 41 x 1"),
        (LABELS, {"batches_per_step": 9}, NegmineValueError, "at most the number of rows, 40; got 5 x 9"),
        (LABELS, {"batches_per_step": 0}, NegmineValueError, "`batches_per_step` must be at least 1; got 0"),
        (LABELS, {"random_fraction": 1.5}, NegmineValueError, "`random_fraction` must be at most 1; got 1.5"),
        (LABELS, {"random_fraction": -0.1}, NegmineValueError, "`random_fraction` must be at least 0"),
        (LABELS, {"random_fraction": float("nan")}, NegmineValueError, "`random_fraction` must be finite"),
        (LABELS, {"order": "sorted"}, NegmineValueError, "`order` must be one of 'shuffled', 'tree'"),
        (LABELS, {"batch_size": 6, "remainder": "error"}, NegmineValueError, "got 'error' with 4 rows left after 6"),
        (LABELS, {"remainder": "keep"}, NegmineValueError, "`remainder` must be one of"),
        (LABELS, {"seed": -1}, NegmineValueError, "`seed` must be at least 0"),
        (LABELS, {"shuffle": True}, NegmineTypeError, "`cluster_plan` has no option 'shuffle'"),
        ([], {}, NegmineValueError, "`clusters` must hold the cluster of every row; got no rows"),
        (LABELS - 1, {}, NegmineValueError, "`clusters` must cover every row with a label from 0; got -1 for row 0"),
        (LABELS * 2, {}, NegmineValueError, "`clusters` must have no empty cluster; got no row of cluster 1"),
        (LABELS + 10**6, {}, NegmineValueError, "`clusters` must have no empty cluster; got labels up to 1000007"),
        (LABELS.astype(float), {}, NegmineTypeError, "`clusters` must hold integers; got dtype float64"),
        (LABELS.astype(str), {}, NegmineTypeError, "`clusters` must hold integers; got strings"),
        (LABELS.reshape(8, 5), {}, NegmineValueError, "`clusters` must have shape (n,); got shape (8, 5)"),
        (Clusters(LABELS, np.arange(0, 36, 5)), {}, NegmineValueError, "clusters that overlap or leave rows out"),
        (Clusters(LABELS, np.arange(0, 46, 5)), {}, NegmineValueError, "got no row of cluster 8"),
        (Clusters(LABELS, [0, 4, *range(10, 41, 5)]), {}, NegmineValueError, "overlap or leave rows out"),
    ],
)
def test_bad_input_of_a_cluster_plan(clusters: Any, options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        cluster_plan(clusters, **{"batch_size": 5, **options})
    assert words in str(caught.value)
    assert isinstance(caught.value, negmine.NegmineError)


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (topic_plan, {"batch_size": 41}, "at most the number of rows, 40; got 41 x 1"),
        (topic_plan, {"clusters_per_batch": 7}, "`clusters_per_batch` must be at most `batch_size`, 6; got 7"),
        (topic_plan, {"clusters_per_batch": 0}, "`clusters_per_batch` must be at least 1; got 0"),
        (topic_plan, {"weights": "rows"}, "`weights` must be one of 'uniform', 'size'; got 'rows'"),
        (topic_plan, {"batches_per_epoch": 0}, "`batches_per_epoch` must be at least 1; got 0"),
        (
            topic_plan,
            {"batches_per_epoch": 3, "batches_per_step": 2},
            "`batches_per_epoch` must be a multiple of `batches_per_step`, 2; got 3",
        ),
        (class_balanced_plan, {"per_class": 4}, "`batch_size` must be a multiple of `per_class`, 4; got 6"),
        (class_balanced_plan, {"per_class": 0}, "`per_class` must be at least 1; got 0"),
        (class_balanced_plan, {"batch_size": 27}, "`batch_size` must be at most 24, `per_class` rows of each"),
        (class_balanced_plan, {"batches_per_step": 0}, "`batches_per_step` must be at least 1; got 0"),
        (class_balanced_plan, {"unlabeled": "keep"}, "`unlabeled` must be one of 'error', 'drop'; got 'keep'"),
    ],
)
def test_bad_input_of_streams(make: Any, options: dict[str, Any], words: str) -> None:
    if make is class_balanced_plan:
        options = {"per_class": 3, **options}
    with pytest.raises(NegmineValueError) as caught:
        make(LABELS, **{"batch_size": 6, **options})
    assert words in str(caught.value)


@pytest.mark.parametrize("labels", [[], np.zeros((2, 2), int), [1.5, 2.5]])
def test_bad_labels(labels: Any) -> None:
    with pytest.raises(negmine.NegmineError, match="`labels` must"):
        class_balanced_plan(labels, batch_size=1, per_class=1)


PLAN = cluster_plan(LABELS, batch_size=5, batches_per_step=2)


@pytest.mark.parametrize(
    ("sources", "options", "error", "words"),
    [
        ([], {}, NegmineTypeError, "`sources` must be a list of sizes or plans, at least one; got []"),
        (7, {}, NegmineTypeError, "`sources` must be a list of sizes or plans"),
        ([7, "x"], {"batch_size": 2}, NegmineTypeError, "`sources` must hold sizes and plans; got str"),
        ([7, True], {"batch_size": 2}, NegmineTypeError, "`sources` must hold sizes and plans; got bool"),
        ([7, 0], {"batch_size": 2}, NegmineValueError, "`sources` must be at least 1; got 0 at place 1"),
        ([7, 1], {"batch_size": 2}, NegmineValueError, "at most the number of rows, 1; got 2 x 1 for source 1."),
        ([7], {}, NegmineTypeError, "`batch_size` must be given if sources are sizes; got None"),
        ([PLAN], {"batch_size": 5}, NegmineValueError, "`batch_size` must be None if all sources are plans"),
        ([PLAN], {"batches_per_step": 1}, NegmineValueError, "must be the same for all sources"),
        ([PLAN], {"weights": [-1.0]}, NegmineValueError, "`weights` must be finite, at least 0, and not all 0"),
        ([PLAN], {"weights": [0]}, NegmineValueError, "`weights` must be finite, at least 0, and not all 0"),
        ([PLAN], {"weights": [1, 2]}, NegmineValueError, "`weights` must have shape (1,); got shape (2,)"),
        ([PLAN], {"weights": "equal"}, NegmineValueError, "`weights` must be one of 'proportional', 'round_robin'"),
        ([PLAN], {"batches_per_epoch": 4}, NegmineValueError, "`batches_per_epoch` must be None if `weights` is"),
        (
            [PLAN],
            {"weights": [1], "batches_per_epoch": 3},
            NegmineValueError,
            "`batches_per_epoch` must be a multiple of `batches_per_step`, 2; got 3",
        ),
    ],
)
def test_bad_input_of_a_mixture(sources: Any, options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        mixture_plan(sources, **options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"curriculum": (3, 3)}, "`curriculum` must hold strictly ascending epochs from 0; got (3, 3)"),
        ({"curriculum": (-1, 3)}, "`curriculum` must hold strictly ascending epochs from 0"),
        ({"initial_size": 0}, "`initial_size` must be at least 1; got 0"),
        ({"refresh_every": 0}, "`refresh_every` must be at least 1; got 0"),
        ({"lag": 2}, "`lag` must be at most 1; got 2"),
        ({"first_epoch": -1}, "`first_epoch` must be at least 0; got -1"),
        ({"largest_size": 0}, "`largest_size` must be at least 1; got 0"),
    ],
)
def test_bad_input_of_a_schedule(options: dict[str, Any], words: str) -> None:
    with pytest.raises(NegmineValueError) as caught:
        NgameSchedule(**options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("margins", "offsets", "options", "words"),
    [
        ([0.0, np.nan], [0, 2], {}, "`margins` must be finite; row 1 holds NaN or infinity"),
        ([0.0, 1.0], [0, 1], {}, "`offsets` must have offsets"),
        ([0.0, 1.0], [0, 2, 1, 2], {}, "`offsets` must have offsets"),
        ([0.0], [], {}, "`offsets` must have at least one entry"),
        ([0.0], [0, 1], {"bins": 0}, "`bins` must be at least 1; got 0"),
        ([0.0], [0, 1], {"binning": "even"}, "`binning` must be one of"),
        ([-1e308, 1e308], [0, 2], {}, "`margins` must be less far apart"),
    ],
)
def test_bad_input_of_pairs(margins: Any, offsets: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(NegmineValueError) as caught:
        sample_balanced_margins(margins, offsets, **options)
    assert words in str(caught.value)


POSITIVES = negmine.Positives.from_lists([[0, 1], [2]])
RANGES = negmine.Eligibility([0, 1, 2], [0, 0], [2, 2])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("queries", "documents", "options", "error", "words"),
    [
        ([2], [0], {}, NegmineValueError, "`query_indices` must hold rows from -1 to 1; got 2"),
        ([-2], [0], {}, NegmineValueError, "`query_indices` must hold rows from -1 to 1; got -2"),
        ([0], [-2], {}, NegmineValueError, "`document_indices` must hold rows at least -1; got -2"),
        ([0], [3], {"groups": [0, 0, 0]}, NegmineValueError, "`document_indices` must hold rows from -1 to 2; got 3"),
        ([1], [0], {"groups": [0, 0]}, NegmineValueError, "`positives` must hold rows below 2; got 2"),
        ([0], [3], {"eligible": RANGES}, NegmineValueError, "`document_indices` must hold rows from -1 to 2; got 3"),
        ([0], [0], {"eligible": [0]}, NegmineTypeError, "`eligible` must be an Eligibility; got list"),
        ([0], [0], {"groups": [0] * 4, "eligible": RANGES}, NegmineValueError, "one key for each of the 4 documents"),
        ([0], [0], {"exclude": [[1]]}, NegmineValueError, "`exclude` must have length 2; got 1"),
        ([0.5], [0], {}, NegmineTypeError, "`query_indices` must hold integers"),
        ([[0]], [0], {}, NegmineValueError, "`query_indices` must have shape (n,)"),
        ([0], [0], {"mask": 1}, NegmineTypeError, "`false_negative_mask` has no option 'mask'"),
    ],
)
def test_bad_input_of_a_mask(
    queries: Any, documents: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        false_negative_mask(queries, documents, POSITIVES, **options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"embeddings": np.zeros((39, 2), np.float32)},
        {"label_embeddings": np.zeros((3, 2), np.float32)},
        {"label_embeddings": np.zeros((3, 3), np.float32), "positives": [[0]] * 40},
        {"label_embeddings": np.zeros((3, 2), np.float32), "positives": [[0]] * 39},
        {"label_embeddings": np.zeros((3, 2), np.float32), "positives": [[3]] * 40},
    ],
)
def test_bad_input_of_the_guarantee(options: dict[str, Any]) -> None:
    with pytest.raises(NegmineValueError, match="must"):
        cluster_guarantee(LABELS, **{"embeddings": np.zeros((40, 2), np.float32), **options})


def test_a_plan_refuses_what_is_no_guarantee_of_its_clusters() -> None:
    with pytest.raises(NegmineTypeError, match="`guarantee` must be a ClusterGuarantee; got float"):
        cluster_plan(LABELS, batch_size=4, guarantee=0.5)  # type: ignore[arg-type]
    other = cluster_guarantee([0], np.zeros((1, 2), np.float32))
    with pytest.raises(NegmineValueError, match="`guarantee` must be that of these clusters"):
        cluster_plan(LABELS, batch_size=4, guarantee=other)


def test_a_guarantee_is_of_its_own_clusters() -> None:
    points = np.array([[0, 0], [3, 4], [9, 9], [9, 9]], np.float32)
    held = cluster_guarantee([0, 0, 1, 1], points)
    with pytest.raises(NegmineValueError, match="`guarantee` must be that of these clusters"):
        cluster_plan([0, 1, 0, 1], batch_size=2, guarantee=held)


def test_a_guarantee_is_not_given_for_what_is_not_finite() -> None:
    with pytest.raises(NegmineValueError, match="`embeddings` must be finite; row 1"):
        cluster_guarantee([0, 0], np.array([[0, 1], [np.nan, 1]], np.float32))


def test_a_plan_stays_when_its_clusters_are_edited() -> None:
    labels = np.array([0, 0, 1, 1])

    class Held:
        offsets = np.array([0, 2, 4])

    held = Held()
    held.labels = labels  # type: ignore[attr-defined]
    plan = cluster_plan(held, batch_size=2)  # type: ignore[arg-type]
    before = plan.epoch(0)
    labels[:] = [0, 1, 0, 1]
    np.testing.assert_array_equal(plan.epoch(0), before)
    plan.report.clear()
    np.testing.assert_array_equal(plan.epoch(1).shape, before.shape)


@pytest.mark.parametrize("offsets", [5, [], ["a", "b"], [5, 7]])
def test_offsets_of_clusters_are_checked(offsets: object) -> None:
    class Held:
        labels = np.array([0, 0])

    held = Held()
    held.offsets = offsets  # type: ignore[attr-defined]
    with pytest.raises((NegmineTypeError, NegmineValueError), match="`clusters`"):
        cluster_plan(held, batch_size=1)  # type: ignore[arg-type]


def test_large_weights_are_shared_out() -> None:
    assert len(mixture_plan([100, 100], batch_size=10, weights=[1e308, 1e308])) == 20


def test_an_epoch_that_fits_no_memory_is_refused() -> None:
    plan = topic_plan(np.zeros(10, dtype=int), batch_size=10, batches_per_epoch=2**31 - 1)
    with pytest.raises(MemoryLimitError, match="`batches_per_epoch`"):
        plan.epoch(0)
    with pytest.raises(MemoryLimitError, match="`batch_size`"):
        class_balanced_plan(np.zeros(10, dtype=int), batch_size=2**31 - 1, per_class=2**31 - 1)


def test_a_schedule_reads_its_epoch() -> None:
    with pytest.raises(NegmineTypeError, match="`epoch`"):
        NgameSchedule().refresh("3")  # type: ignore[arg-type]
    assert NgameSchedule().n_clusters(3, 2**40) == 2**40
