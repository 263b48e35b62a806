"""Bad input in every place that takes it, and odd input that is right: neither may end in a stranger's exception."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import (
    CandidatePool,
    Eligibility,
    ExactIndex,
    HardNegativeMiner,
    HardNegatives,
    NegmineError,
    Positives,
    SimANS,
    Softmax,
    Stride,
)
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.job import merge
from negmine.mining import Sweep

CORPUS = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
QUERIES = CORPUS[:2].copy()
POSITIVES = [[0], [1]]
INDEX = ExactIndex(CORPUS)
MINER = HardNegativeMiner(2)
POOL = MINER.candidates(INDEX, QUERIES, POSITIVES)
NEGATIVES = POOL.select(2)
NAN, INF = math.nan, math.inf


def refused(call: Callable[[], Any], expected: type[Exception], *words: str) -> None:
    """The call must end in an error of negmine of the expected kind whose message has all words."""
    with pytest.raises(expected) as caught:
        call()
    assert isinstance(caught.value, NegmineError)
    for word in words:
        assert word in str(caught.value), f"{word!r} is missing in: {caught.value}"


# ---- embeddings, wherever they are taken


def outside(vectors: Any) -> Positives:
    return Positives.from_lists([[-1], [1]], positive_embeddings=vectors)


#: Argument, how many rows it has, and the call.
PLACES: dict[str, tuple[str, int, Callable[[Any], Any]]] = {
    "index": ("corpus", 6, ExactIndex),
    "search": ("queries", 2, lambda rows: INDEX.search(rows, 1)),
    "candidates": ("queries", 2, lambda rows: MINER.candidates(INDEX, rows, POSITIVES)),
    "miner": ("queries", 2, lambda rows: MINER.mine(INDEX, rows, POSITIVES)),
    "mine": ("queries", 2, lambda rows: negmine.mine(rows, CORPUS, POSITIVES)),
    "mine corpus": ("corpus", 6, lambda rows: negmine.mine(QUERIES, rows, POSITIVES)),
    "sweep": ("queries", 2, lambda rows: MINER.sweep(INDEX, rows, POSITIVES, [0.1])),
    "verify": ("queries", 2, lambda rows: negmine.verify(rows, CORPUS, [[0], [1]], 1)),
    "verify corpus": ("corpus", 6, lambda rows: negmine.verify(QUERIES, rows, [[0], [1]], 1)),
    "pairs": ("queries", 2, lambda rows: negmine.score_pairs(rows, CORPUS, [[1, 0], [0, 0]])),
    "pairs documents": ("documents", 6, lambda rows: negmine.score_pairs(QUERIES, rows, [[0, 0], [0, 1]])),
    "attach": ("queries", 2, lambda rows: POOL.attach(INDEX, rows)),
    "outside": ("positive_embeddings", 1, lambda rows: MINER.candidates(INDEX, QUERIES, outside(rows))),
    "job": ("queries", 2, lambda rows: mine_nowhere(rows, CORPUS)),
    "job corpus": ("corpus", 6, lambda rows: mine_nowhere(QUERIES, rows)),
}


def mine_nowhere(queries: Any, corpus: Any) -> None:
    """Begin a job whose folder must not be there afterwards."""
    pytest.importorskip("pyarrow")
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        try:
            negmine.mine_to(Path(folder) / "deep" / "job", queries, corpus, POSITIVES)
        finally:
            assert list(Path(folder).iterdir()) == []


def rows_of(n: int, width: int = 3) -> np.ndarray:
    return np.ones((n, width), dtype=np.float32)


BAD_VALUES = [NAN, INF, -INF, 1e39]


@pytest.mark.parametrize("value", BAD_VALUES)
@pytest.mark.parametrize("place", PLACES)
def test_values_that_are_no_float32_are_refused_with_their_row(place: str, value: float) -> None:
    argument, n, call = PLACES[place]
    rows = rows_of(n).astype(np.float64)
    rows[n // 4, 1] = value
    refused(lambda: call(rows), NegmineValueError, f"`{argument}` must ", f"row {n // 4} ")


@pytest.mark.parametrize("dtype", [bool, np.int64, np.complex64, object, "U3", "M8[s]", "V4", np.longdouble])
@pytest.mark.parametrize("place", PLACES)
def test_other_dtypes_are_refused_by_name(place: str, dtype: Any) -> None:
    argument, n, call = PLACES[place]
    rows = rows_of(n).astype(np.int64).astype(dtype)
    refused(lambda: call(rows), NegmineTypeError, f"`{argument}` must hold one of float32", "got dtype ")


@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_matrix_is_refused(place: str) -> None:
    argument, n, call = PLACES[place]
    for rows in (rows_of(n)[0], rows_of(n)[None], np.array(1.0)):
        refused(lambda rows=rows: call(rows), NegmineValueError, f"`{argument}` must have shape", str(rows.shape))
    for rows in (rows_of(n).tolist(), "abc", 5, {"a": 1}):
        refused(lambda rows=rows: call(rows), NegmineTypeError, f"`{argument}` must be a NumPy array", "got ")
    refused(lambda: call(np.ma.array(rows_of(n))), NegmineTypeError, f"`{argument}`", "masked")


@pytest.mark.parametrize("width", [0, 2])
@pytest.mark.parametrize("place", [place for place in PLACES if place != "index"])
def test_other_widths_are_refused(place: str, width: int) -> None:
    _, n, call = PLACES[place]
    refused(lambda: call(rows_of(n, width)), NegmineValueError, "wid", f"{width}")


@pytest.mark.parametrize("place", PLACES)
def test_tensors_on_another_device_are_refused_everywhere(place: str) -> None:
    torch = pytest.importorskip("torch")
    argument, n, call = PLACES[place]
    refused(
        lambda: call(torch.ones((n, 3), device="meta")), NegmineValueError, f"`{argument}`", "device meta", ".cpu()"
    )


# ---- options, wherever they are taken

TAKERS: dict[str, Any] = {
    "ExactIndex": ExactIndex,
    "search": ExactIndex.search,
    "plan": ExactIndex.plan,
    "score_pairs": negmine.score_pairs,
    "verify": negmine.verify,
    "HardNegativeMiner": HardNegativeMiner,
    "candidates": HardNegativeMiner.candidates,
    "miner.mine": HardNegativeMiner.mine,
    "sweep": HardNegativeMiner.sweep,
    "miner select": HardNegativeMiner.select,
    "mine": negmine.mine,
    "mine_to": negmine.mine_to,
    "merge": merge,
    "select": CandidatePool.select,
    "redraw": HardNegatives.redraw,
    "label_issues": HardNegatives.label_issues,
    "save": HardNegatives.save,
    "from_csr": Positives.from_csr,
    "from_pairs": Positives.from_pairs,
    "from_lists": Positives.from_lists,
    "from_dict": Positives.from_dict,
    "from_qrels": Positives.from_qrels,
    "Eligibility": Eligibility,
    "equal": Eligibility.equal,
    "Softmax": Softmax,
    "SimANS": SimANS,
    "Stride": Stride,
}


@pytest.mark.parametrize("taker", TAKERS)
def test_unknown_options_are_named_everywhere(taker: str) -> None:
    refused(lambda: TAKERS[taker](no_such_option=1), NegmineTypeError, "has no option 'no_such_option'. It has")


#: What is an integer everywhere: the call with it in its place.
INTEGERS: dict[str, Callable[[Any], Any]] = {
    "search k": lambda n: INDEX.search(QUERIES, n),
    "search num_threads": lambda n: INDEX.search(QUERIES, 1, num_threads=n),
    "plan n_queries": lambda n: INDEX.plan(n, 1),
    "plan k": lambda n: INDEX.plan(1, n),
    "index memory_limit": lambda n: ExactIndex(CORPUS, memory_limit=n),
    "verify k": lambda n: negmine.verify(QUERIES, CORPUS, [[0], [1]], n),
    "verify sample": lambda n: negmine.verify(QUERIES, CORPUS, [[0], [1]], 1, sample=n),
    "verify seed": lambda n: negmine.verify(QUERIES, CORPUS, [[0], [1]], 1, seed=n),
    "miner num_negatives": lambda n: HardNegativeMiner(n),
    "miner range_min": lambda n: HardNegativeMiner(range_min=n),
    "miner range_max": lambda n: HardNegativeMiner(range_max=n),
    "miner num_random": lambda n: HardNegativeMiner(num_random=n),
    "miner limit_per_document": lambda n: HardNegativeMiner(limit_per_document=n),
    "miner seed": lambda n: HardNegativeMiner(seed=n),
    "candidates query_offset": lambda n: MINER.candidates(INDEX, QUERIES, POSITIVES, query_offset=n),
    "mine epoch": lambda n: negmine.mine(QUERIES, CORPUS, POSITIVES, epoch=n),
    "sweep depth": lambda n: MINER.sweep(INDEX, QUERIES, POSITIVES, [0.1], depth=n),
    "select num_negatives": lambda n: POOL.select(n),
    "select num_random": lambda n: POOL.select(1, num_random=n),
    "select seed": lambda n: POOL.select(1, seed=n),
    "select epoch": lambda n: POOL.select(1, epoch=n),
    "limit limit_per_document": lambda n: POOL.select(1, limit_per_document=n),
    "limit num_negatives": lambda n: POOL.select(n, limit_per_document=1),
    "redraw epoch": lambda n: NEGATIVES.redraw(n),
    "choose epoch": lambda n: MINER.select(POOL, epoch=n),
    "suspects rank": lambda n: NEGATIVES.label_issues(rank=n),
    "pairs n_queries": lambda n: Positives.from_pairs([0], [1], n_queries=n),
    "slice begin": lambda n: Positives.from_lists(POSITIVES).slice(n, 2),
    "slice end": lambda n: Positives.from_lists(POSITIVES).slice(0, n),
    "qrels min_grade": lambda n: Positives.from_qrels({}, query_ids=["a"], document_ids=["b"], min_grade=n),
}


@pytest.mark.parametrize("place", INTEGERS)
def test_what_is_no_integer_is_refused(place: str) -> None:
    name = place.split()[1]
    for value in (True, np.True_, 1.0, np.float64(2), "3", [1], np.array(1), np.array([1, 2])):
        refused(lambda value=value: INTEGERS[place](value), NegmineTypeError, f"`{name}` must be an integer; got ")
    refused(lambda: INTEGERS[place](2**70), NegmineValueError, f"`{name}` must be at most ", f"got {2**70}.")
    refused(lambda: INTEGERS[place](-(2**70)), NegmineValueError, f"`{name}` must be at least ", f"got -{2**70}.")


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.uint64])
def test_integers_of_numpy_are_integers(kind: Any) -> None:
    one, two = kind(1), kind(2)
    assert (INDEX.search(QUERIES, two, num_threads=one).indices == INDEX.search(QUERIES, 2).indices).all()
    options = {"range_min": one, "range_max": kind(4), "num_random": one, "seed": two}
    found = HardNegativeMiner(two, sampling="random", **options).mine(INDEX, QUERIES, POSITIVES, epoch=two)
    wanted = HardNegativeMiner(2, sampling="random", range_min=1, range_max=4, num_random=1, seed=2)
    assert (found.indices == wanted.mine(INDEX, QUERIES, POSITIVES, epoch=2).indices).all()
    assert (found.redraw(one).indices == found.redraw(1).indices).all()


def test_the_largest_seed_and_epoch_draw() -> None:
    last = 2**64 - 1
    negatives = POOL.select(1, sampling="random", seed=last, epoch=last, num_random=1)
    assert (negatives.redraw(np.uint64(last)).indices == negatives.indices).all()


# ---- sweeps


def sweep(margins: Any = (0.1,), positives: Any = POSITIVES, **options: Any) -> Sweep:
    return MINER.sweep(INDEX, QUERIES, positives, margins, **options)


@pytest.mark.parametrize("margins", [0.1, None, "0.1", np.array(0.1), np.array([[0.1]]), {"a": 0.1}, [True], ["0.1"]])
def test_margins_of_a_sweep_are_a_list_of_numbers(margins: Any) -> None:
    refused(lambda: sweep(margins), NegmineTypeError, "`margins` must be a ")


@pytest.mark.parametrize("margin", [NAN, INF, -INF, -0.01])
def test_margins_of_a_sweep_keep_their_rule(margin: float) -> None:
    refused(lambda: sweep([0.1, margin]), NegmineValueError, "`margins` must be ", f"got {margin}")


def test_margins_of_a_sweep_come_from_anything_flat() -> None:
    for margins in ((0.2, 0.1), np.array([0.2, 0.1], np.float32), (m / 10 for m in (2, 1)), {0.1, 0.2}):
        np.testing.assert_allclose(sweep(margins).margins, [0.1, 0.2], rtol=1e-7)


def test_hidden_positives_are_lists_of_every_query() -> None:
    refused(lambda: sweep(hidden=[[1]]), NegmineValueError, "`hidden` must have length 2; got 1")
    refused(lambda: sweep(hidden=[[1], [6]]), NegmineValueError, "`hidden` must hold row numbers below 6; got 6")
    refused(lambda: sweep(hidden=[1, 2]), NegmineTypeError, "`hidden` must hold a list for every query; got 1")
    refused(lambda: sweep(hidden=3), NegmineTypeError, "`hidden` must be Positives or a list of rows per query")
    one, two = sweep(hidden=[[3], [0]]), sweep(hidden=Positives.from_lists([[3], [0]]))
    assert one.false_negatives is not None
    assert two.false_negatives is not None
    assert one.false_negatives.share.tolist() == two.false_negatives.share.tolist()


def test_a_hidden_positive_outside_the_corpus_is_nobodys_negative() -> None:
    # As a number, -1 of query 1 would be the last document of query 0.
    rows = np.array([[1.0], [0.5], [0.25]])
    miner = HardNegativeMiner(2)
    hidden = Positives.from_lists([[], [-1]], positive_scores=[0.5])
    swept = miner.sweep(ExactIndex(rows, metric="ip"), np.ones((2, 1)), [[0], [0]], [0.0], hidden=hidden)
    assert swept.false_negatives is not None
    assert swept.false_negatives.share.tolist() == [0.0]


def test_a_sweep_takes_threads_and_tells_its_progress() -> None:
    steps: list[tuple[int, int]] = []
    assert sweep(num_threads=1, progress=lambda *step: steps.append(step)).margins.tolist() == [0.1]
    assert steps[-1][0] == steps[-1][1] > 0
    refused(lambda: sweep(num_threads=0), NegmineValueError, "`num_threads` must be at least 1; got 0")
    refused(lambda: sweep(progress=3), NegmineTypeError, "`progress` must be callable")


# ---- lists


@pytest.mark.parametrize("wrong", [None, 3, 2.5])
def test_what_is_no_list_of_lists_is_refused(wrong: Any) -> None:
    refused(lambda: Positives.from_lists(wrong), NegmineTypeError, "`lists` must be a list for every query; got ")


@pytest.mark.parametrize(
    ("items", "got"),
    [([[2**63], [0]], 2**63), ([[2**70], [0]], 2**70), ([[-1, 2**63], [0]], 2**63), ([[-(2**64)], []], -(2**64))],
)
def test_rows_beyond_int64_are_named(items: Any, got: int) -> None:
    refused(lambda: Positives.from_lists(items), NegmineValueError, "`lists` must fit int64", f"got {got}.")


def test_truth_values_are_no_rows_and_no_labels() -> None:
    refused(lambda: MINER.candidates(INDEX, QUERIES, [[True, 3], [0]]), NegmineTypeError, "`positives`", "True")
    refused(lambda: MINER.candidates(INDEX, QUERIES, [[True], [False]]), NegmineTypeError, "`positives`", "bool")
    refused(lambda: ExactIndex(CORPUS, ids=[True, 2, 3, 4, 5, 6]), NegmineTypeError, "`ids`", "True")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (([], []), "`offsets` must start at 0"),
        (([0, 2], [3, 1]), "`items` must be strictly ascending within a query; got query 0"),
        (([0, 1], [-2]), "`items` must hold rows, or -1 for outside the corpus; got -2"),
        (([0, 1], [-1]), "`positive_scores` or `positive_embeddings` must be given"),
        (([0, 1], [1], [1, 2]), "`grades` must have shape (1,)"),
        (([0, 1], [-1], None, [0.5, 0.5]), "`scores` must have shape (1,)"),
        (([0, 1], [-1], None, None, np.ones((2, 3))), "`embeddings` must have 1 rows; got 2"),
    ],
)
def test_positives_are_sorted_lists_whoever_makes_them(given: tuple[Any, ...], words: str) -> None:
    refused(lambda: Positives(*given), NegmineValueError, words)


@pytest.mark.parametrize(("begin", "end"), [(-1, 2), (0, 3), (2, 1)])
def test_slices_lie_within_the_queries(begin: int, end: int) -> None:
    refused(lambda: Positives.from_lists(POSITIVES).slice(begin, end), NegmineValueError, "must be at ")


def test_columns_of_other_libraries_are_lists_too() -> None:
    wanted = MINER.candidates(INDEX, QUERIES, POSITIVES).indices.tolist()
    columns: list[Any] = [np.array(POSITIVES, dtype=object), (iter(entries) for entries in POSITIVES)]
    pandas, pa, torch = (pytest.importorskip(name) for name in ("pandas", "pyarrow", "torch"))
    columns += [
        pandas.Series(POSITIVES),
        pa.array(POSITIVES),
        pa.chunked_array([[[0]], [[1]]]),
        torch.tensor(POSITIVES),
    ]
    for column in columns:
        assert MINER.candidates(INDEX, QUERIES, column).indices.tolist() == wanted
    refused(lambda: MINER.candidates(INDEX, QUERIES, pa.array([[0], None])), NegmineTypeError, "got None for query 1")
    assert Positives.from_pairs(pa.array([0]), torch.tensor([1]), n_queries=1).items.tolist() == [1]
    for ids in (pa.array(list("abcdef")), pandas.Categorical(list("abcdef")), pa.chunked_array([list("abcdef")])):
        assert ExactIndex(CORPUS, ids=ids).search(QUERIES, 1).ids.tolist() == [["a"], ["b"]]
    missing = pandas.array([*"abcde", None], dtype="string")
    refused(lambda: ExactIndex(CORPUS, ids=missing), NegmineTypeError, "`ids`", "mixture")


@pytest.mark.parametrize("warm", [[[], []], np.empty((2, 0)), np.full((2, 2), 2**64 - 1, np.uint64), [[-9, 2**40]] * 2])
def test_warm_starts_of_no_use_are_taken(warm: Any) -> None:
    assert (MINER.candidates(INDEX, QUERIES, POSITIVES, warm_start=warm).indices == POOL.indices).all()


def test_a_warm_start_of_other_queries_is_taken() -> None:
    for offset in (0, 1, 7):
        other = MINER.candidates(INDEX, CORPUS, [[0]] * 6, query_offset=3)
        found = MINER.candidates(INDEX, QUERIES, POSITIVES, warm_start=other, query_offset=offset)
        assert (found.indices == POOL.indices).all()
        assert (found.query_indices == np.arange(2) + offset).all()


def test_row_numbers_beyond_int64_do_not_wrap_round() -> None:
    last = np.array([[0, 2**64 - 1]], np.uint64)
    refused(
        lambda: negmine.verify(QUERIES[:1], CORPUS, last, 2), NegmineValueError, "`indices` must fit int64; got 1844"
    )
    refused(lambda: negmine.score_pairs(QUERIES, CORPUS, last), NegmineValueError, "`pairs` must fit int64; got 1844")


def test_a_column_of_the_corpus_is_not_its_first_row() -> None:
    # A transposed view begins at the same byte.
    square = np.ascontiguousarray(CORPUS[:3])
    index = ExactIndex(square)
    refused(lambda: MINER.candidates(index, square.T[:1], [[]], exclude_self=True), NegmineValueError, "`exclude_self`")
    assert MINER.candidates(index, square[:1], [[]], exclude_self=True).report.totals()["self"] == 1
    narrow = np.ones((4, 1), dtype=np.float32)
    pool = MINER.candidates(ExactIndex(narrow), narrow[2:3], [[]], exclude_self=True, query_offset=2)
    assert pool.indices.tolist() == [[0, 1]]


def test_queries_that_begin_as_the_corpus_does_are_not_always_its_rows() -> None:
    whole = np.ones((9, 3), dtype=np.int8)
    miner = HardNegativeMiner(1)
    for queries in (whole, whole[:6].view(np.uint8), whole[:6:2], whole[:6, ::-1], whole[:6].T[:3, :3]):
        refused(
            lambda queries=queries: miner.candidates(
                ExactIndex(whole[:6]), queries, [[]] * len(queries), exclude_self=True
            ),
            NegmineValueError,
            "`exclude_self` must have",
        )


def test_a_row_of_a_packed_record_is_a_row_of_the_corpus() -> None:
    # Every fourth row happens to be aligned and is read otherwise than the whole.
    table = np.zeros(9, dtype=[("flag", "u1"), ("vector", "f4", (3,))])
    table["vector"] = np.random.default_rng(5).standard_normal((9, 3))
    corpus = table["vector"]
    index = ExactIndex(corpus)
    for row in range(9):
        pool = MINER.candidates(index, corpus[row : row + 1], [[]], exclude_self=True, query_offset=row)
        assert pool.report.totals()["self"] == 1


def test_mistakes_are_told_before_the_scan() -> None:
    def never(done: int, total: int) -> None:
        raise AssertionError("scanned")

    index = ExactIndex(np.ones((200_000, 8), np.float32))
    queries, nobody = np.ones((200, 8), np.float32), [[]] * 200
    for call in (
        lambda: MINER.mine(index, queries, nobody, epoch=-1, progress=never),
        lambda: MINER.sweep(index, queries, nobody, [0.1], hidden=[[]], progress=never),
        lambda: MINER.sweep(index, queries, nobody, [-0.1], progress=never),
    ):
        refused(call, NegmineValueError, "must ")


def test_a_miner_chooses_from_pools_alone() -> None:
    refused(lambda: MINER.select(NEGATIVES), NegmineTypeError, "`pool` must be a CandidatePool; got HardNegatives")  # type: ignore[arg-type]


# ---- audits


def test_an_audit_checks_its_seed_though_nothing_is_drawn() -> None:
    refused(lambda: negmine.verify(QUERIES, CORPUS, [[0], [1]], 1, seed=-1), NegmineValueError, "`seed`", "got -1")


def test_wide_answers_are_audited_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = INDEX.search(CORPUS, 4).indices[:, ::-1].copy()
    answer[4, 0] = 99
    whole = negmine.verify(CORPUS, CORPUS, answer, 4)
    monkeypatch.setattr("negmine.search.verification.COMPARED_AT_ONCE", 40)
    pieces = negmine.verify(CORPUS, CORPUS, answer, 4)
    assert pieces.missing.tolist() == whole.missing.tolist() != []
    assert pieces.spurious.tolist() == whole.spurious.tolist() == [[4, 99]]


# ---- files


def test_nothing_is_left_where_negatives_cannot_be_saved(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    refused(lambda: NEGATIVES.save(tmp_path / "folder", pool=True), NegmineValueError, "`path` must be a file")
    refused(lambda: NEGATIVES.save(tmp_path / "a.npz", pool="no"), NegmineTypeError, "`pool` must be True or False")  # type: ignore[arg-type]
    refused(lambda: NEGATIVES.save(f"{tmp_path}/a\0.npz"), NegmineValueError, "`path` must be a path without NUL")
    refused(lambda: NEGATIVES.save(3), NegmineTypeError, "`path` must be a path; got int")  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("kind", [HardNegatives, CandidatePool])
def test_files_that_lack_something_are_refused(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "a.npz"
    (NEGATIVES if kind is HardNegatives else POOL).save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays["header"]))
    for changed in ({**header, "kind": 3}, {**header, "version": 99}, {"kind": header["kind"], "version": 1}, [], 5):
        np.savez(path, **arrays | {"header": np.array(json.dumps(changed))})
        refused(lambda: kind.load(path), NegmineValueError, "`path` must be a ")
    np.savez(path, **{name: array for name, array in arrays.items() if name != "indices"})
    refused(lambda: kind.load(path), NegmineValueError, "`path` must be a whole ", "has no 'indices'")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(lambda: kind.load(path), NegmineValueError, "corrupt: checksum mismatch in ", "a.npz")


def test_pictures_of_nobody_are_drawn() -> None:
    pytest.importorskip("matplotlib").use("agg")
    for negatives in (MINER.mine(INDEX, QUERIES[:0], []), MINER.mine(INDEX, QUERIES, [[], []])):
        axes = negatives.plot()
        assert axes[0].figure.get_suptitle().endswith(f"negatives of {len(negatives)} rows")
        __import__("matplotlib.pyplot").pyplot.close(axes[0].figure)


# ---- tensors


def test_nested_tensors_are_refused() -> None:
    torch = pytest.importorskip("torch")
    with pytest.warns(UserWarning, match="nested tensors"):
        nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    refused(lambda: ExactIndex(nested), NegmineTypeError, "`corpus` must be a dense tensor; got a nested tensor")
