"""Mined negatives are verified by exact search: what a miner found holds up, and every fault is found and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine import ExactIndex, HardNegativeMiner, Positives, SimANS, Softmax, Stride, errors, io, mine_to
from negmine.io.verification import CHECKS
from negmine.job import merge
from negmine.mining import Source
from negmine.mining.records import Lists, Records

pytest.importorskip("pyarrow")

N_QUERIES, N_DOCUMENTS = 9, 40


def embeddings(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Small integers, so that scores tie."""
    draw = np.random.default_rng(seed)
    return tuple(draw.integers(-3, 4, (n, 3)).astype(np.float32) for n in (N_QUERIES, N_DOCUMENTS))  # type: ignore[return-value]


def positives_of(seed: int, *, outside: bool = False) -> Positives:
    draw = np.random.default_rng(seed)
    lists = [sorted(set(draw.integers(0, N_DOCUMENTS, row % 3).tolist())) for row in range(N_QUERIES)]
    if outside:
        lists = [[-1, *rows] if row % 2 else rows for row, rows in enumerate(lists)]
        return Positives.from_lists(lists, positive_scores=np.full(sum(map(len, lists)), 0.25))
    return Positives.from_lists(lists)


def mined(
    miner: HardNegativeMiner, *, seed: int = 0, metric: Any = "cosine", outside: bool = False, **rules: Any
) -> io.MinedRows:
    queries, corpus = embeddings(seed)
    positives = positives_of(seed, outside=outside)
    negatives = miner.mine(ExactIndex(corpus, metric=metric), queries, positives, epoch=2, **rules)
    return io.MinedRows.from_negatives(negatives, miner=miner)


def verified(answer: Any, *, seed: int = 0, **options: Any) -> io.NegativesVerification:
    return io.verify_negatives(answer, *embeddings(seed), **options)


# ---- what holds up


@given(
    st.integers(0, 2**16),
    st.sampled_from(["cosine", "ip", "l2"]),
    st.sampled_from(["min", "max", "mean", "each"]),
    st.booleans(),
    st.sampled_from(
        [
            {},
            {"range_min": 2},
            {"range_min": 1, "range_max": 9, "sampling": "random"},
            {"sampling": Softmax(0.5)},
            {"sampling": SimANS(0.5)},
            {"sampling": Stride()},
            {"limit_per_document": 2},
            {"num_random": 3},
            {"absolute_margin": 0.1},
            {"relative_margin": 0.1, "num_random": 1},
            {"max_score": 0.5, "min_score": -0.5},
            {"min_score": 1e6},
        ]
    ),
)
def test_what_a_miner_found_holds_up(
    seed: int, metric: Any, reference: Any, outside: bool, options: dict[str, Any]
) -> None:
    miner = HardNegativeMiner(4, reference=reference, **options)
    found = verified(mined(miner, seed=seed, metric=metric, outside=outside), seed=seed)
    assert found.failed == dict.fromkeys(CHECKS, 0)
    assert (found.first, found.unchecked) == ({}, {})
    assert found.n_sound == found.n_checked == found.n_rows >= N_QUERIES


@pytest.mark.parametrize("step", [1, 2, 4096])
def test_the_number_of_queries_searched_at_a_time_does_not_matter(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr("negmine.io.verification.STEP", step)
    monkeypatch.setattr("negmine.io.negatives.BATCH_ROWS", 2)
    answer = mined(HardNegativeMiner(4, reference="each", num_random=1))
    calls: list[tuple[int, int]] = []
    found = verified(answer, progress=lambda done, total: calls.append((done, total)))
    assert found.n_sound == found.n_checked == found.n_rows
    assert calls[-1] == (N_QUERIES, N_QUERIES)


def test_progress_ends_with_all_queries_where_none_is_searched() -> None:
    answer = mined(HardNegativeMiner(4))
    answer = replace(answer, provenance={"metric": answer.provenance["metric"]})
    calls: list[tuple[int, int]] = []
    verified(answer, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(N_QUERIES, N_QUERIES)]


def test_rules_that_a_file_does_not_hold_leave_ranks_open() -> None:
    miner = HardNegativeMiner(4)
    groups = np.arange(N_DOCUMENTS) // 4
    answer = mined(miner, groups=groups, exclude=[[0, 1, 2]] * N_QUERIES)
    assert answer.provenance["rules"] == ["exclude", "groups"]
    found = verified(answer)
    assert found.failed == dict.fromkeys(CHECKS, 0)
    assert "further rules took part: exclude, groups" in found.unchecked["rank"]
    # A negative that ranks before the window is found all the same.
    deeper = replace(
        answer, provenance={**answer.provenance, "options": {**answer.provenance["options"], "range_min": 9}}
    )
    assert verified(deeper).failed["rank"] > 0
    # Rules that took out nothing leave nothing open.
    assert verified(mined(miner, groups=np.full(N_DOCUMENTS, -1))).unchecked == {}


def test_without_the_miners_options_ranks_and_caps_stay_unchecked() -> None:
    queries, corpus = embeddings()
    negatives = HardNegativeMiner(4).mine(ExactIndex(corpus), queries, positives_of(0))
    found = io.verify_negatives(negatives, queries, corpus)
    assert found.unchecked == dict.fromkeys(("rows", "cap", "rank"), "the file does not have the options of the miner")
    assert found.failed == dict.fromkeys(("score", "positive", "repeated", "order", "reference"), 0)


def test_a_sample_is_that_of_verify() -> None:
    answer = mined(HardNegativeMiner(4, reference="each"))
    wrong = changed(answer, scores=lambda lists: lists.scores + np.float32(1))
    assert verified(wrong).n_sound == 0
    seen = set()
    for seed in range(20):
        found = io.verify_negatives(wrong, *embeddings(), sample=2, seed=seed)
        assert found.n_checked < found.n_rows
        assert found.failed["score"] == found.n_checked - found.n_sound
        seen.add(found.first.get("score"))
    assert len(seen) > 2
    assert io.verify_negatives(answer, *embeddings(), sample=1000).n_checked == len(answer)


# ---- what does not


def changed(
    answer: io.MinedRows,
    *,
    rows: Callable[[Lists], np.ndarray] | None = None,
    scores: Callable[[Lists], np.ndarray] | None = None,
    **fields: Any,
) -> io.MinedRows:
    """The same rows with other negatives, scores of negatives, or fields."""
    records = next(answer.batches())
    negatives = records.negatives
    if rows is not None:
        negatives = replace(negatives, indices=rows(negatives))
    if scores is not None:
        negatives = replace(negatives, scores=scores(negatives))
    other: Records = replace(records, **({"negatives": negatives} | fields))
    return io.MinedRows(len(other), answer.provenance, lambda: iter([other]))


def entry(values: np.ndarray, place: int, value: Any) -> np.ndarray:
    copy = values.copy()
    copy[place] = value
    return copy


def rescored(answer: io.MinedRows, rows: Callable[[Lists], np.ndarray]) -> io.MinedRows:
    """Other negatives with their own right scores, so that only their choice is wrong."""
    from negmine import score_pairs

    queries, corpus = embeddings()
    records = next(answer.batches())
    indices = rows(records.negatives)
    row = np.repeat(records.query_indices, records.negatives.counts)
    right = score_pairs(queries, corpus, np.stack([row, indices], axis=1)).astype(np.float32)
    return changed(answer, rows=lambda _: indices, scores=lambda _: right)


def test_a_wrong_score_is_found() -> None:
    answer = mined(HardNegativeMiner(4))
    place = int(next(answer.batches()).negatives.offsets[5])
    for wrong in (np.nextafter(np.float32(0.5), np.float32(1)), np.float32(np.nan), np.float32(np.inf)):
        found = verified(changed(answer, scores=lambda lists, wrong=wrong: entry(lists.scores, place, wrong)))
        assert (found.failed["score"], found.first["score"], found.n_sound) == (1, 5, N_QUERIES - 1)


def test_a_positive_among_the_negatives_is_found() -> None:
    answer = mined(HardNegativeMiner(4))
    records = next(answer.batches())
    positive, place = records.positives.indices[records.positives.offsets[5]], int(records.negatives.offsets[5])
    found = verified(rescored(answer, lambda lists: entry(lists.indices, place, positive)))
    assert (found.failed["positive"], found.first["positive"]) == (1, 5)
    # Under "each" a positive of another row of the query is one as well.
    answer = mined(HardNegativeMiner(4, reference="each"))
    records = next(answer.batches())
    row = int(np.flatnonzero(records.query_indices[1:] == records.query_indices[:-1])[0])
    other, place = records.positives.indices[records.positives.offsets[row + 1]], int(records.negatives.offsets[row])
    found = verified(rescored(answer, lambda lists: entry(lists.indices, place, other)))
    assert (found.failed["positive"], found.first["positive"]) == (1, int(records.query_indices[row]))


def test_a_repeated_negative_and_a_wrong_order_are_found() -> None:
    answer = mined(HardNegativeMiner(4))
    place = int(next(answer.batches()).negatives.offsets[5])
    found = verified(rescored(answer, lambda lists: entry(lists.indices, place + 1, lists.indices[place])))
    assert (found.failed["repeated"], found.first["repeated"]) == (1, 5)

    def swapped(lists: Lists) -> np.ndarray:
        return entry(entry(lists.indices, place, lists.indices[place + 3]), place + 3, lists.indices[place])

    found = verified(rescored(answer, swapped))
    assert (found.failed["order"], found.first["order"], found.failed["repeated"]) == (1, 5, 0)
    # Random ones come last.
    random = mined(HardNegativeMiner(4, num_random=2))
    sources = next(random.batches()).sources
    place = int(next(random.batches()).negatives.offsets[5])
    assert verified(changed(random, sources=entry(sources, place, Source.RANDOM))).failed["order"] == 1


def test_a_wrong_reference_is_found() -> None:
    answer = mined(HardNegativeMiner(4, relative_margin=0.1))
    records = next(answer.batches())
    row = int(np.flatnonzero(~np.isnan(records.reference_scores))[1])
    wrong = entry(records.reference_scores, row, records.reference_scores[row] + 1e-9)
    assert verified(changed(answer, reference_scores=wrong)).failed["reference"] == 1
    lists = records.positives
    wrong = entry(lists.scores, 0, lists.scores[0] - 1e-9)
    assert verified(changed(answer, positives=replace(lists, scores=wrong))).failed["reference"] == 1


@pytest.mark.parametrize(
    ("options", "other"),
    [
        ({"max_score": 0.5}, {"max_score": 0.25}),
        ({"min_score": 0.0}, {"min_score": 0.99}),
        ({"absolute_margin": 0.0}, {"absolute_margin": 0.5}),
        ({"num_random": 5}, {"max_score": 0.0}),
    ],
)
def test_negatives_beyond_caps_and_floor_are_found(options: dict[str, Any], other: dict[str, Any]) -> None:
    answer = mined(HardNegativeMiner(4, **options))
    assert verified(answer).failed["cap"] == 0
    stricter = {**answer.provenance, "options": {**answer.provenance["options"], **other}}
    assert verified(replace(answer, provenance=stricter)).failed["cap"] > 0


@pytest.mark.parametrize("sampling", ["top", Softmax(0.5)])
def test_negatives_of_other_ranks_are_found(sampling: Any) -> None:
    miner = HardNegativeMiner(2, range_min=2, range_max=6, sampling=sampling)
    answer = mined(miner)
    queries, corpus = embeddings()
    wide = HardNegativeMiner(8).mine(ExactIndex(corpus), queries, positives_of(0)).indices
    # Ranks 2 to 5 are in the window, and "top" takes 2 and 3; the others are outside it.
    for ranks in ((2, 3), (4, 5), (0, 2), (5, 6)):
        moved = rescored(answer, lambda _, ranks=ranks: wide[:, ranks].ravel())
        fits = ranks == (2, 3) or (sampling != "top" and ranks == (4, 5))
        assert verified(moved).failed["rank"] == (0 if fits else N_QUERIES), ranks


def test_missing_and_further_rows_are_found() -> None:
    answer = mined(HardNegativeMiner(4))
    records = next(answer.batches())
    twice = replace(records, query_indices=entry(records.query_indices, 5, 6))
    found = verified(io.MinedRows(len(twice), answer.provenance, lambda: iter([twice])))
    assert found.failed["rows"] == 2
    assert found.first["rows"] == 6
    shorter = HardNegativeMiner(3)
    few = mined(shorter)
    found = verified(replace(few, provenance={**few.provenance, "options": answer.provenance["options"]}))
    assert found.failed["rank"] == N_QUERIES


# ---- files


def test_every_form_of_file_is_verified(tmp_path: Path) -> None:
    queries, corpus = embeddings()
    positives, miner = positives_of(0), HardNegativeMiner(4, relative_margin=0.05, num_random=1)
    answer = mined(miner)
    io.write_negatives(answer, tmp_path / "a.parquet")
    job = mine_to(tmp_path / "job", queries, corpus, positives, miner=miner, tile_queries=2)
    for shard in range(2):
        mine_to(tmp_path / f"{shard}", queries, corpus, positives, miner=miner, tile_queries=2, shard=(shard, 2))
    merge([tmp_path / "0", tmp_path / "1"], tmp_path / "all")
    for path in (tmp_path / "a.parquet", tmp_path / "job", str(job.path), tmp_path / "all"):
        found = verified(path)
        assert found.unchecked == {}
        assert found.n_sound == found.n_rows == N_QUERIES
    found = verified(tmp_path / "1")
    assert 0 < found.n_rows == found.n_sound < N_QUERIES
    negatives = miner.mine(ExactIndex(corpus), queries, positives)
    negatives.save(tmp_path / "a.npz")
    with pytest.raises(errors.NegmineValueError, match="`metric` must be given"):
        verified(tmp_path / "a.npz")
    found = verified(tmp_path / "a.npz", metric="cosine")
    assert found.unchecked["positive"] == "the archive has no positives without its pool"
    assert found.failed == {"score": 0, "repeated": 0, "order": 0}
    negatives.save(tmp_path / "b.npz", pool=True)
    found = verified(tmp_path / "b.npz", metric="cosine")
    assert found.failed == dict.fromkeys(("score", "positive", "repeated", "order", "reference"), 0)
    assert verified(tmp_path / "b.npz", metric="ip").failed["score"] > 0


def test_labels_do_not_matter(tmp_path: Path) -> None:
    queries, corpus = embeddings()
    ids = [f"d{row}" for row in range(N_DOCUMENTS)]
    negatives = HardNegativeMiner(4).mine(ExactIndex(corpus, ids=ids), queries, positives_of(0))
    negatives.save(tmp_path / "a.npz")
    io.write_negatives(negatives, tmp_path / "a.parquet")
    assert verified(tmp_path / "a.npz", metric="cosine").n_sound == N_QUERIES
    assert verified(tmp_path / "a.parquet").n_sound == N_QUERIES


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"metric": "ip"}, "`metric` must be that of the negatives, 'cosine'; got 'ip'"),
        ({"metric": "dot"}, "`metric` must be one of"),
        ({"sample": 0}, "`sample` must be at least 1; got 0"),
        ({"seed": -1}, "`seed` must be at least 0; got -1"),
        ({"corpus": embeddings()[1][:-1]}, "`corpus` must be what was mined, 40 rows; got 39"),
        ({"queries": embeddings()[0][:-1]}, "`queries` must have every row of the negatives; got 8 rows, not row 8"),
        ({"negatives": "none"}, "`negatives` must be a file"),
        ({"negatives": "{tmp}"}, "`negatives` must be the folder of a finished job"),
        ({"negatives": "{tmp}/a.txt"}, "`negatives` must end in .parquet or .npz"),
    ],
)
def test_what_cannot_be_verified_is_refused(tmp_path: Path, options: dict[str, Any], part: str) -> None:
    (tmp_path / "a.txt").touch()
    queries, corpus = embeddings()
    arguments = {"negatives": mined(HardNegativeMiner(4)), "queries": queries, "corpus": corpus} | options
    if isinstance(arguments["negatives"], str):
        arguments["negatives"] = arguments["negatives"].format(tmp=tmp_path)
    with pytest.raises(errors.NegmineError) as caught:
        io.verify_negatives(**arguments)
    assert part in str(caught.value)


def test_options_that_no_miner_takes_are_refused() -> None:
    answer = mined(HardNegativeMiner(4))
    bad = {**answer.provenance, "options": {**answer.provenance["options"], "num_negatives": 0}}
    with pytest.raises(errors.NegmineValueError, match="`negatives` must have options that a miner takes"):
        verified(replace(answer, provenance=bad))
