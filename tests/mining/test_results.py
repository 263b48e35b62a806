"""What results turn into: Arrow, pandas, torch and a picture; and audits of anybody's answer."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import CandidatePool, Clusters, HardNegativeMiner, HardNegatives, MinHash
from negmine.errors import NegmineValueError
from negmine.mining import Source

DRAW = np.random.default_rng(0)
CORPUS = DRAW.standard_normal((60, 8)).astype(np.float32)
QUERIES = DRAW.standard_normal((9, 8)).astype(np.float32)
IDS = [f"d{i}" for i in range(60)]


@pytest.fixture(scope="module")
def negatives() -> HardNegatives:
    """Some rows are short, and every row has a random negative."""
    index = negmine.ExactIndex(CORPUS, ids=IDS)
    miner = HardNegativeMiner(4, absolute_margin=0.9, num_random=1)
    found = miner.mine(index, QUERIES, [[i] for i in range(9)])
    assert len(set(found.counts.tolist())) > 1
    return found


def real(negatives: HardNegatives, row: int) -> list[tuple[int, str, float, int]]:
    columns = (negatives.indices[row], negatives.ids[row], negatives.scores[row], negatives.source[row])
    return [entry for entry in zip(*(c.tolist() for c in columns), strict=True) if entry[3] != Source.PADDING]


def test_arrow_has_a_row_per_result_row(negatives: HardNegatives) -> None:
    pytest.importorskip("pyarrow")
    table = negatives.to_arrow().to_pylist()
    assert [row["query_index"] for row in table] == negatives.query_indices.tolist()
    for i, row in enumerate(table):
        lists = (row["negative_indices"], row["negative_ids"], row["scores"], row["source"])
        assert list(zip(*lists, strict=True)) == real(negatives, i)
        assert row["reference_score"] == negatives.reference_scores[i]
        assert row["reason"] == negatives.reasons[i]


def test_pandas_has_a_line_per_negative(negatives: HardNegatives) -> None:
    pytest.importorskip("pandas")
    frame = negatives.to_pandas()
    assert len(frame) == negatives.counts.sum()
    for i in range(len(negatives)):
        lines = frame[frame.query_index == i]
        assert lines["rank"].tolist() == list(range(negatives.counts[i]))
        columns = (lines["document_index"], lines["document_id"], lines["score"], lines["source"])
        assert list(zip(*(c.tolist() for c in columns), strict=True)) == real(negatives, i)


def test_torch_shares_the_memory(negatives: HardNegatives) -> None:
    pytest.importorskip("torch")
    tensors = negatives.to_torch()
    for name, tensor in tensors.items():
        array = getattr(negatives, name)
        assert tensor.data_ptr() == array.__array_interface__["data"][0]
        assert tensor.numpy().dtype == array.dtype


def test_a_missing_package_names_its_extra(negatives: HardNegatives, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(negmine.NegmineError, match=r"negmine\[arrow\]"):
        negatives.to_arrow()


def test_the_picture_shows_both_sides(negatives: HardNegatives) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    scores, ranks, hubs, reasons = negatives.plot()
    labels = [text.get_text() for text in scores.get_legend().get_texts()]
    assert labels == ["positives", "negatives"]
    assert str(negatives.counts.sum()) in scores.figure.get_suptitle()
    mined = negatives.source == Source.MINED
    medians = [np.median(column[kept]) for column, kept in zip(negatives.scores.T, mined.T, strict=True) if kept.any()]
    np.testing.assert_allclose(ranks.lines[0].get_ydata(), medians, rtol=1e-6)
    uses = np.sort(np.bincount(negatives.indices[negatives.indices >= 0]))[::-1]
    assert hubs.lines[0].get_ydata().tolist() == uses[uses > 0].tolist()
    shown = [bar.get_width() for bar in reasons.patches]
    assert shown == [count for count in np.bincount(negatives.reasons).tolist() if count]
    __import__("matplotlib.pyplot").pyplot.close(scores.figure)


def test_the_exact_answer_passes_its_audit() -> None:
    exact = negmine.ExactIndex(CORPUS, metric="l2").search(QUERIES, 7).indices
    audit = negmine.verify(QUERIES, CORPUS, exact, 5, metric="l2")
    assert (audit.equal_share, audit.recall, audit.first_difference) == (1.0, 1.0, None)
    assert len(audit.missing) == len(audit.spurious) == 0
    assert audit.queries.tolist() == list(range(9))


def test_an_audit_names_what_differs() -> None:
    answer = negmine.ExactIndex(CORPUS).search(QUERIES, 4).indices.copy()
    lost = answer[3, 2]
    strange = next(j for j in range(60) if j not in answer[3])
    answer[3, 2] = strange
    answer[5, [0, 1]] = answer[5, [1, 0]]
    audit = negmine.verify(QUERIES, CORPUS, answer, 4)
    assert audit.equal_share == pytest.approx(7 / 9)
    assert audit.recall == pytest.approx(1 - 1 / 36)
    assert audit.first_difference == (3, 2)
    assert audit.missing.tolist() == [[3, lost]]
    assert audit.spurious.tolist() == [[3, strange]]


def test_an_audit_of_a_sample_depends_on_the_seed_alone() -> None:
    exact = negmine.ExactIndex(CORPUS).search(QUERIES, 3).indices
    picked = [negmine.verify(QUERIES, CORPUS, exact, 3, sample=4, seed=seed).queries.tolist() for seed in (1, 1, 2)]
    assert picked[0] == picked[1] != picked[2]
    assert all(queries == sorted(set(queries)) and len(queries) == 4 for queries in picked)


def test_an_audit_of_a_sample_names_queries_as_the_whole_does() -> None:
    answer = negmine.ExactIndex(CORPUS).search(QUERIES, 3).indices.copy()
    lost, answer[6, 1] = answer[6, 1], 59 if 59 not in answer[6] else 58
    seed = next(
        seed for seed in range(99) if 6 in negmine.verify(QUERIES, CORPUS, answer, 3, sample=2, seed=seed).queries
    )
    audit = negmine.verify(QUERIES, CORPUS, answer, 3, sample=2, seed=seed)
    assert audit.first_difference == (6, 1)
    assert audit.missing.tolist() == [[6, lost]]
    assert audit.spurious.tolist() == [[6, answer[6, 1]]]
    assert (audit.equal_share, audit.recall) == (0.5, 1 - 1 / 6)


def test_an_audit_expects_no_more_than_the_corpus_holds() -> None:
    exact = negmine.ExactIndex(CORPUS[:4]).search(QUERIES, 6).indices
    audit = negmine.verify(QUERIES, CORPUS[:4], exact, 6)
    assert (audit.equal_share, audit.recall) == (1.0, 1.0)
    exact = exact.copy()
    exact[2, 3] = -1
    assert negmine.verify(QUERIES, CORPUS[:4], exact, 6).recall == 1 - 1 / 36


# ---- candidates for relabeling


def line(scores: list[float], positives: Any, **options: Any) -> HardNegatives:
    """Mine documents that score their own values."""
    column = np.array(scores, dtype=np.float32).reshape(-1, 1)
    index = negmine.ExactIndex(column, metric="ip")
    return HardNegativeMiner(2, **options).mine(index, np.ones((len(positives), 1), np.float32), positives)


def test_suspects_score_above_their_reference_largest_excess_first() -> None:
    # Result rows 0 and 2 have the positives 0.5 and 0.25; equality is no excess, and without a positive there is none.
    found = line([0.5, 1.0, 0.25, 0.5], [[0], [], [2]]).label_issues()
    assert list(zip(found.result_rows.tolist(), found.columns.tolist(), found.excess.tolist(), strict=True)) == [
        (2, 0, 0.75),
        (0, 0, 0.5),
        (2, 1, 0.25),
    ]


def test_random_negatives_are_suspects_too() -> None:
    negatives = line([0.5, 1.0, 0.9, 0.8, 0.7], [[0]], num_random=2, range_max=2)
    assert negatives.label_issues().columns.tolist() == [0, 1, *(2 + np.argsort(-negatives.scores[0, 2:])).tolist()]


def test_positives_that_rank_absurdly_low_are_named_most_first() -> None:
    # 102, 101 and 100 documents above the positives of three queries; the third is at the limit.
    scores = [float(score) for score in range(110, 0, -1)]
    positives = [[101], [102], [100]]
    found = line(scores, positives, range_max=110).label_issues()
    assert (found.low_positives.tolist(), found.above.tolist()) == ([1, 0], [102, 101])
    assert line(scores, positives, range_max=110).label_issues(rank=101).low_positives.tolist() == [1]
    # What caps took counts as well as what the pool holds.
    for cap in ({"absolute_margin": -3.0}, {"relative_margin": 0.01}, {"max_score": 9.0}):
        capped = line(scores, positives, **cap).label_issues()
        assert capped.low_positives.tolist()[:1] == [1], cap
        assert capped.above[0] >= 101


def test_a_positive_is_undecided_where_too_few_candidates_are_known() -> None:
    scores = [float(score) for score in range(110, 0, -1)]
    positives = [[101], [102], [0]]
    short = line(scores, positives)
    found = short.label_issues()
    assert (found.low_positives.tolist(), found.undecided.tolist()) == ([], [0, 1])
    assert short.label_issues(rank=1).low_positives.tolist() == [0, 1]
    # One rank more than asked for decides every row; ranks that `range_min` leaves out count where they are known.
    deep = line(scores, positives, range_max=101).label_issues()
    assert (deep.low_positives.tolist(), deep.undecided.tolist()) == ([0, 1], [])
    late = line(scores, positives, range_min=50, range_max=110).label_issues()
    assert (late.low_positives.tolist(), late.above.tolist(), late.undecided.tolist()) == ([1, 0], [102, 101], [])
    assert line(scores, [[30]], range_min=50).label_issues(rank=20).undecided.tolist() == [0]
    # Without a pool, and with scores of another scale, nothing is known of the candidates that were not chosen.
    assert dataclasses.replace(short, pool=None).label_issues().undecided.tolist() == [0, 1, 2]
    pool = line(scores, positives, range_max=101).pool
    assert pool is not None
    found = pool.rescore(lambda queries, documents: documents / 10).select(2).label_issues()
    assert (found.low_positives.tolist(), found.undecided.tolist()) == ([2], [0, 1])


def test_candidates_that_a_list_does_not_hold_may_be_above() -> None:
    lists = negmine.ScoredLists.from_lists([[1, 2], [3, 4]], n_documents=9, positive_scores=[-9.0, -0.5])
    found = HardNegativeMiner(2, range_max=9).mine(lists, None, [[0], [5]]).label_issues(rank=2)
    assert (found.low_positives.tolist(), found.undecided.tolist()) == ([], [0])


def test_a_positive_at_the_top_is_no_suspect() -> None:
    found = line([3.0, 2.0, 1.0], [[0]]).label_issues(rank=0)
    assert len(found.result_rows) == len(found.low_positives) == 0


# ---- audits


@pytest.mark.parametrize(
    ("indices", "k", "words"),
    [
        (np.zeros((9, 2), dtype=np.int64), 3, ["indices", "(9, at least 3)", "(9, 2)"]),
        (np.zeros((8, 3), dtype=np.int64), 3, ["indices", "(8, 3)"]),
        (np.zeros((9, 3)), 3, ["indices", "float64"]),
        (np.zeros((9, 3), dtype=np.int64), 0, ["k", "at least 1"]),
    ],
)
def test_an_audit_refuses_what_is_no_answer(indices: Any, k: int, words: list[str]) -> None:
    with pytest.raises(NegmineValueError) as caught:
        negmine.verify(QUERIES, CORPUS, indices, k)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("kind", [HardNegatives, CandidatePool, Clusters, MinHash])
def test_a_file_of_another_kind_is_named(kind: Any, tmp_path: Path) -> None:
    table, array, text = (tmp_path / f"x{suffix}" for suffix in (".parquet", ".npy", ".npz"))
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pytest.importorskip("pyarrow").table({"a": [1]}), table)
    np.save(array, np.eye(2))
    text.write_text("no archive")
    for path, what in (
        (table, "it is a Parquet file, of which `negmine.io.read_negatives` reads those of mined negatives"),
        (array, "it is a single array, which `numpy.load` reads"),
        (text, r"it is no .npz archive"),
    ):
        with pytest.raises(NegmineValueError, match=f"`path` must be a .* file of negmine; got .*{path.name}.*{what}"):
            kind.load(path)
