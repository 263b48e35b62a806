"""Labels of queries stay with pools and negatives, through every step and every file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import CandidatePool, HardNegativeMiner, HardNegatives, ScoredLists, errors, io
from negmine._core.labels import PartialLabels, Strings

DRAW = np.random.default_rng(0)
CORPUS = DRAW.standard_normal((30, 8)).astype(np.float32)
QUERIES = DRAW.standard_normal((4, 8)).astype(np.float32)
POSITIVES = [[0, 1], [2], [], [3, 4, 5]]
WORDS = ["b", "a", "ü", "b"]
INDEX = negmine.ExactIndex(CORPUS, ids=[f"d{row}" for row in range(30)])
#: Labels of the result rows under "each", where a query has a row per positive.
EACH = ["b", "b", "a", "ü", "b", "b", "b"]


def pool_of(query_ids: Any = WORDS, **options: Any) -> CandidatePool:
    miner = HardNegativeMiner(2, **{"range_max": 9, "reference": "each"} | options)
    return miner.candidates(INDEX, QUERIES, POSITIVES, query_ids=query_ids, query_offset=7)


STEPS: dict[str, Callable[[CandidatePool], CandidatePool | HardNegatives]] = {
    "pool": lambda pool: pool,
    "restrict": lambda pool: pool.restrict(max_score=0.5, range_min=1),
    "rescore": lambda pool: pool.rescore(lambda queries, documents: documents / 10),
    "guide": lambda pool: pool.rescore(lambda queries, documents: documents / 10, as_guide=True),
    "fuse": lambda pool: negmine.fuse([pool, pool.rescore(lambda queries, documents: documents / 10)]),
    "select": lambda pool: pool.select(2),
    "redraw": lambda pool: pool.select(2, sampling="random", num_random=1).redraw(3),
    "mine": lambda _: HardNegativeMiner(2, reference="each").mine(
        INDEX, QUERIES, POSITIVES, query_ids=WORDS, query_offset=7
    ),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("saved", [False, True])
def test_every_step_keeps_the_labels(step: str, tmp_path: Path, *, saved: bool) -> None:
    found = STEPS[step](pool_of())
    if saved:
        found.save(tmp_path / "a.npz")
        found = type(found).load(tmp_path / "a.npz")
    assert found.query_labels.tolist() == EACH
    assert found.query_labels.dtype == object
    assert found.query_labels is found.query_labels


def test_integers_stay_integers_and_rows_stand_in_for_labels() -> None:
    numbers = pool_of([40, -1, 7, 7])
    assert numbers.query_labels.tolist() == numbers.select(1).query_labels.tolist() == [40, 40, -1, 7, 7, 7, 7]
    assert numbers.query_labels.dtype == np.int64
    for unlabeled in (pool_of(None), pool_of(None).select(1)):
        assert unlabeled.query_ids is None
        assert unlabeled.query_labels.tolist() == [7, 7, 8, 9, 10, 10, 10]


def test_mine_takes_labels_without_excluding_anything() -> None:
    found = negmine.mine(QUERIES, CORPUS, POSITIVES, query_ids=WORDS, num_negatives=2)
    assert found.query_labels.tolist() == WORDS
    assert found.indices.tolist() == negmine.mine(QUERIES, CORPUS, POSITIVES, num_negatives=2).indices.tolist()


def test_tables_have_a_column_of_labels() -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    negatives = pool_of().select(2)
    assert negatives.to_arrow()["query_id"].to_pylist() == EACH
    assert negatives.to_pandas()["query_id"].tolist() == [label for label in EACH for _ in range(2)]
    assert pool_of(None).select(2).to_arrow()["query_id"].to_pylist() == [7, 7, 8, 9, 10, 10, 10]


@pytest.mark.parametrize("query_ids", [WORDS, None])
def test_a_file_of_negatives_has_their_labels(tmp_path: Path, query_ids: Any) -> None:
    pytest.importorskip("pyarrow")
    negatives = pool_of(query_ids).select(2)
    io.write_negatives(negatives, tmp_path / "a.parquet")
    rows = next(io.read_negatives(tmp_path / "a.parquet").batches())
    assert list(rows.query_ids) == negatives.query_labels.tolist()
    assert list(rows.negatives.ids) == negatives.ids.ravel().tolist()
    assert io.read_negatives(tmp_path / "a.parquet").provenance["unlabeled"] == ([] if query_ids else ["queries"])


def test_lists_of_a_run_know_the_labels() -> None:
    run = io.Run(["q1", "q0"], ["d3", "d1"], np.array([1, 1]), np.array([0.5, 0.25]), "x")
    lists = ScoredLists.from_run(run, query_ids=["q0", "q1", "d2"], document_ids=[f"d{row}" for row in range(4)])
    miner = HardNegativeMiner(1)
    assert miner.mine(lists, None, [[0]] * 3).query_labels.tolist() == ["q0", "q1", "d2"]
    assert miner.mine(lists, None, [[0]] * 2, query_offset=1).query_labels.tolist() == ["q1", "d2"]
    assert miner.mine(lists, np.array([2, 0]), [[0]] * 2).query_labels.tolist() == ["d2", "q0"]
    assert miner.mine(lists, None, [[0]] * 3, query_ids=[1, 2, 3]).query_labels.tolist() == [1, 2, 3]
    assert negmine.mine(None, lists, [[0]] * 3, num_negatives=1).query_labels.tolist() == ["q0", "q1", "d2"]
    # The query that is a document is found by these labels as well.
    assert miner.candidates(lists, None, [[0]] * 3, exclude_self=True).rules.self_rows.tolist() == [-1, -1, 2]
    with pytest.raises(errors.NegmineValueError, match="`queries` must hold numbers of lists below 3"):
        miner.mine(lists, np.array([3]), [[0]])


def test_a_job_keeps_the_labels_of_a_run(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    run = io.Run(["q1", "q0"], ["d3", "d1"], np.array([1, 1]), np.array([0.5, 0.25]), "x")
    lists = ScoredLists.from_run(run, query_ids=["q0", "q1", "q2"], document_ids=[f"d{row}" for row in range(4)])
    done = negmine.mine_to(tmp_path / "job", None, lists, [[0]] * 3, num_negatives=1, tile_queries=2)
    assert [label for batch in done.rows().batches() for label in batch.query_ids] == ["q0", "q1", "q2"]
    assert done.rows().provenance["unlabeled"] == []


def test_a_cache_of_scores_finds_the_labels_of_the_pool(tmp_path: Path) -> None:
    asked: list[int] = []

    def scorer(queries: Any, documents: Any) -> Any:
        asked.append(len(queries))
        return documents / 10

    pool = pool_of(["p", "q", "r", "s"])
    pool.rescore(scorer, cache=tmp_path / "scores", name="x")
    before = len(asked)
    pool_of(None).rescore(scorer, cache=tmp_path / "scores", name="x", query_ids=["p", "q", "r", "s"])
    assert len(asked) == before > 0
    with pytest.raises(errors.NegmineValueError, match="got nan for query 'p' and document 'd0'"):
        pool.rescore(lambda queries, documents: np.where(documents == 0, np.nan, 0.0))


def test_fused_pools_have_the_labels_of_those_that_know_them() -> None:
    for known, others in ((WORDS, None), (None, WORDS), (WORDS, WORDS)):
        assert negmine.fuse([pool_of(known), pool_of(others)]).query_labels.tolist() == EACH
    assert negmine.fuse([pool_of(None), pool_of(None)]).query_ids is None
    with pytest.raises(errors.NegmineValueError, match="`pools` must have equal `query_ids`"):
        negmine.fuse([pool_of(None), pool_of(), pool_of([1, 2, 3, 4])])


@pytest.mark.parametrize(
    ("query_ids", "message"),
    [
        (["b", "a", "u", "b"], "`pools` must have equal `query_ids`; got 'ü' and 'u' at row 2"),
        ([1, 2, 3, 4], "`pools` must have equal `query_ids`; got 'b' and 1 at row 0"),
    ],
)
def test_pools_of_other_labels_are_not_fused(query_ids: Any, message: str) -> None:
    with pytest.raises(errors.NegmineValueError, match=message):
        negmine.fuse([pool_of(), pool_of(query_ids)])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pool_of(WORDS[:3]), errors.NegmineValueError, r"`query_ids` must have shape \(4,\); got shape \(3,\)"),
        (lambda: pool_of([0.5] * 4), errors.NegmineTypeError, "`query_ids` must hold integers or strings"),
        (
            lambda: replace(pool_of(), query_ids=Strings.of(["a"], "x")),
            errors.NegmineValueError,
            r"`query_ids` must have shape \(4,\); got shape \(1,\)",
        ),
        (
            lambda: replace(pool_of(), skipped=-1),
            errors.NegmineValueError,
            "`skipped` must be at least 0; got -1",
        ),
        (
            lambda: replace(pool_of().select(1), query_ids=["a"]),
            errors.NegmineTypeError,
            "`query_ids` must be PartialLabels; got list",
        ),
        (
            lambda: replace(pool_of().select(1), query_ids=PartialLabels(np.array([7, 8]), np.array([1, 2]))),
            errors.NegmineValueError,
            "`query_ids` must label the query of every result row; got none for query row 9",
        ),
    ],
)
def test_labels_that_do_not_fit(call: Callable[[], Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call()
