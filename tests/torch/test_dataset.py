"""Datasets give what was mined, whatever the payloads are and however the batch is put together."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from torch.utils.data import ConcatDataset, DataLoader, Subset, default_collate

import negmine
from negmine.errors import NegmineTypeError, NegmineValueError, NegmineWarning
from negmine.torch import NegativesDataset, NegativesTable, Samples, collate
from refreshed import N_DOCUMENTS, N_QUERIES, mined

FORKING = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
NEGATIVES = mined()
EACH = mined(reference="each")
FIRST = np.arange(N_QUERIES)
VECTORS = np.arange(N_DOCUMENTS * 3, dtype=np.float32).reshape(-1, 3) + 1
TEXTS = [f"d{row}" for row in range(N_DOCUMENTS)]
QUERIES = [f"q{row}" for row in range(N_QUERIES)]


class Together(list):  # type: ignore[type-arg]
    """A list that is read many entries at a time, as the datasets of Hugging Face are."""

    calls = 0

    def __getitem__(self, row: Any) -> Any:
        raise AssertionError("one by one")

    def __getitems__(self, rows: list[int]) -> list[Any]:
        self.calls += 1
        return [list.__getitem__(self, row) for row in rows]


indices_of = st.lists(st.integers(0, N_QUERIES - 1), min_size=1, max_size=12)


@given(indices=indices_of, kind=st.sampled_from(["memory", "table"]), each=st.booleans())
def test_a_batch_holds_what_was_mined(
    tmp_path_factory: pytest.TempPathFactory, indices: list[int], kind: str, each: bool
) -> None:
    negatives = EACH if each else NEGATIVES
    source: Any = negatives
    if kind == "table":
        source = NegativesTable.create(tmp_path_factory.mktemp("tables") / "table", negatives)
    dataset = NegativesDataset(None, None, source, positives=None if each else FIRST)
    assert len(dataset) == len(negatives)
    batch = collate(dataset.__getitems__(indices))
    expected = {
        "query_index": negatives.query_indices,
        "positive_index": negatives.positive_indices if each else FIRST,
        "negative_indices": negatives.indices,
        "scores": negatives.scores,
        "count": negatives.counts,
        "mask": np.arange(negatives.indices.shape[1]) < negatives.counts[:, None],
        "generation": np.zeros(len(negatives), dtype=np.int64),
    }
    assert batch.keys() == expected.keys()
    for name, column in expected.items():
        assert isinstance(batch[name], torch.Tensor)
        assert batch[name].numpy().dtype == column.dtype
        np.testing.assert_array_equal(batch[name].numpy(), column[indices])


def payload(kind: str, folder: Path) -> Any:
    if kind == "memmap":
        np.save(folder / "vectors.npy", VECTORS)
        return np.load(folder / "vectors.npy", mmap_mode="r")
    return {"array": VECTORS, "fortran": np.asfortranarray(VECTORS), "tensor": torch.from_numpy(VECTORS)}[kind]


@pytest.mark.parametrize("kind", ["array", "fortran", "tensor", "memmap"])
def test_numbers_come_as_tensors_with_zeros_for_padding(kind: str, tmp_path: Path) -> None:
    positives = FIRST.copy()
    positives[5] = -1
    dataset = NegativesDataset(payload(kind, tmp_path), payload(kind, tmp_path), NEGATIVES, positives=positives)
    indices = [1, 5, 0, 59]
    batch = collate(dataset.__getitems__(indices))
    rows = NEGATIVES.indices[indices]
    assert (rows < 0).any()
    expected = np.where(rows[..., None] >= 0, VECTORS[rows], 0)
    np.testing.assert_array_equal(batch["negatives"], expected)
    np.testing.assert_array_equal(batch["query"], VECTORS[indices])
    np.testing.assert_array_equal(batch["positive"], np.where(positives[indices][:, None] >= 0, VECTORS[indices], 0))
    assert {batch[name].dtype for name in ("query", "positive", "negatives")} == {torch.float32}
    assert batch["negatives"].is_contiguous()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.bool, torch.complex64, torch.int8])
def test_tensors_keep_their_type(dtype: Any) -> None:
    values = (torch.arange(N_DOCUMENTS) % 7).to(dtype)
    batch = collate(NegativesDataset(None, values, NEGATIVES, positives=FIRST).__getitems__([1, 0]))
    rows = batch["negative_indices"]
    assert batch["negatives"].dtype == batch["positive"].dtype == dtype
    expected = torch.where(batch["mask"], values.to(torch.complex64)[rows], 0)
    assert torch.equal(batch["negatives"].to(torch.complex64), expected)


@pytest.mark.parametrize("values", [np.zeros((0, 3), dtype=np.float32), torch.zeros((0, 3), dtype=torch.bfloat16), []])
def test_a_corpus_may_be_empty(values: Any) -> None:
    corpus = np.zeros((0, 2), dtype=np.float32)
    negatives = negmine.mine(np.ones((2, 2), dtype=np.float32), corpus, [[], []], num_negatives=2)
    batch = collate(NegativesDataset(None, values, negatives).__getitems__([0, 1]))
    assert not batch["mask"].any()
    if isinstance(values, list):
        assert (batch["positive"], batch["negatives"]) == ([None, None], [[], []])
    else:
        assert batch["negatives"].shape == (2, 2, 3)
        assert not batch["negatives"].any()


@pytest.mark.parametrize("form", [list, tuple, np.array, Together])
def test_texts_come_as_lists_without_padding(form: Any) -> None:
    dataset = NegativesDataset(form(QUERIES), form(TEXTS), NEGATIVES)
    batch = collate(dataset.__getitems__([1, 0]))
    assert batch["query"] == ["q1", "q0"]
    assert batch["positive"] == [None, None]
    assert batch["negatives"] == [[TEXTS[row] for row in NEGATIVES.indices[i] if row >= 0] for i in (1, 0)]
    assert [len(texts) for texts in batch["negatives"]] == batch["count"].tolist()
    # What an encoder makes of the flat list goes where the mask says.
    flat = [text for texts in batch["negatives"] for text in texts]
    assert [TEXTS[row] for row in batch["negative_indices"][batch["mask"]]] == flat


def test_sequences_that_can_are_read_in_one_call() -> None:
    documents = Together(TEXTS)
    NegativesDataset(None, documents, NEGATIVES, positives=FIRST).__getitems__(list(range(20)))
    assert documents.calls == 2


def test_documents_may_be_a_dataset_of_hugging_face() -> None:
    documents = pytest.importorskip("datasets").Dataset.from_dict({"title": TEXTS, "row": range(N_DOCUMENTS)})
    batch = collate(NegativesDataset(None, documents, NEGATIVES, positives=FIRST).__getitems__([1, 0]))
    expected = [[{"title": TEXTS[row], "row": row} for row in NEGATIVES.indices[i] if row >= 0] for i in (1, 0)]
    assert batch["negatives"] == expected
    assert batch["positive"] == [{"title": "d1", "row": 1}, {"title": "d0", "row": 0}]


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_samples_one_by_one_are_those_of_the_batch(kind: str, tmp_path: Path) -> None:
    dataset = NegativesDataset(QUERIES, payload(kind, tmp_path), NEGATIVES, positives=FIRST)
    indices = [3, 1, 1, 58]
    samples = dataset.__getitems__(indices)
    one_by_one = [dataset[index] for index in indices]
    batch = collate(samples)
    for other in (collate(one_by_one), collate(list(samples)), default_collate(one_by_one), default_collate(samples)):
        assert other.keys() == batch.keys()
        for name, column in batch.items():
            if isinstance(column, torch.Tensor):
                assert other[name].dtype == column.dtype, name
                assert torch.equal(other[name], column), name
            else:
                assert list(other[name]) == column
    assert dataset[-1]["query"] == dataset[59]["query"] == "q59"
    assert [sample["query"] for sample in samples[1:3]] == ["q1", "q1"]


def test_slices_of_negatives_give_their_rows() -> None:
    rows = np.array([4, 0, 2])
    whole, part = (NegativesDataset(None, None, negatives) for negatives in (EACH, EACH[rows]))
    batch, expected = part.__getitems__([0, 1, 2]), whole.__getitems__(rows.tolist())
    assert torch.equal(collate(batch)["negative_indices"], collate(expected)["negative_indices"])
    assert torch.equal(collate(batch)["query_index"], collate(expected)["query_index"])


def test_it_ends_where_its_rows_end() -> None:
    dataset = NegativesDataset(None, None, NEGATIVES)
    assert sum(1 for _ in dataset) == len(dataset)
    for index in (60, -61):
        with pytest.raises(IndexError):
            dataset[index]


@pytest.mark.parametrize("wrap", [lambda dataset: Subset(dataset, range(40)), lambda dataset: ConcatDataset([dataset])])
def test_wrapped_and_loaded_it_gives_the_same(wrap: Any) -> None:
    dataset = NegativesDataset(QUERIES, TEXTS, NEGATIVES, positives=FIRST)
    for start, batch in enumerate(DataLoader(wrap(dataset), batch_size=20, collate_fn=collate)):
        expected = collate(dataset.__getitems__(range(20 * start, 20 * start + 20)))
        assert batch["negatives"] == expected["negatives"]
        assert torch.equal(batch["negative_indices"], expected["negative_indices"])


def with_lengths(samples: Any) -> dict[str, Any]:
    """Collate, and do in the worker what users do there."""
    batch = collate(samples)
    batch["lengths"] = torch.tensor([len(text) for text in batch["query"]])
    batch["trained"] = torch.zeros(2, requires_grad=True)
    return batch


@FORKING
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batches_leave_workers_as_plain_dictionaries_of_few_files(dtype: Any) -> None:
    wide = torch.arange(N_DOCUMENTS * 4096).reshape(N_DOCUMENTS, -1).to(dtype)
    dataset = NegativesDataset(QUERIES, wide, NEGATIVES, positives=FIRST)
    loader = DataLoader(
        dataset,
        batch_size=30,
        collate_fn=with_lengths,
        num_workers=2,
        multiprocessing_context="fork",
        timeout=60,
    )
    for start, batch in enumerate(loader):
        expected = with_lengths(dataset.__getitems__(range(30 * start, 30 * start + 30)))
        assert type(batch) is dict
        assert list(batch) == list(expected)
        for name, column in expected.items():
            if isinstance(column, torch.Tensor):
                assert torch.equal(batch[name], column), name
                assert batch[name].dtype == column.dtype
                batch[name].detach().zero_()  # the batch is the trainer's to change
            else:
                assert batch[name] == column
        in_files = {name for name, column in batch.items() if isinstance(column, torch.Tensor) and column.is_shared()}
        assert in_files >= {"negatives", "trained"}
        assert not in_files & {
            "query_index",
            "positive_index",
            "negative_indices",
            "scores",
            "count",
            "mask",
            "lengths",
        }


LABELS = [[3 * query, 3 * query + 1, 3 * query + 2][: query % 4] for query in range(30)] + [[]] * 30
PAIRS = [(query, row) for query, rows in enumerate(LABELS) for row in rows or [-1]]


@pytest.mark.parametrize("kind", ["memory", "table"])
@pytest.mark.parametrize("drop", [False, True])
def test_every_positive_of_a_query_makes_a_sample(kind: str, drop: bool, tmp_path: Path) -> None:
    source: Any = NEGATIVES if kind == "memory" else NegativesTable.create(tmp_path / "table", NEGATIVES)
    labels = negmine.Positives.from_lists(LABELS)
    dataset = NegativesDataset(QUERIES, TEXTS, source, positives=labels, drop_unpositive=drop)
    pairs = [pair for pair in PAIRS if pair[1] >= 0] if drop else PAIRS
    assert len(dataset) == len(pairs)
    assert list(zip(dataset.result_rows, dataset.positive_indices, strict=True)) == pairs
    np.testing.assert_array_equal(dataset.query_indices, dataset.result_rows)
    order = np.random.default_rng(0).permutation(len(pairs))
    batch = collate(dataset.__getitems__(order.tolist()))
    for place, sample in enumerate(order):
        query, positive = pairs[sample]
        assert batch["query"][place] == QUERIES[query]
        assert batch["positive"][place] == (None if positive < 0 else TEXTS[positive])
        np.testing.assert_array_equal(batch["negative_indices"][place], NEGATIVES.indices[query])
    assert dataset[-1]["query_index"] == pairs[-1][0]
    for index in (len(pairs), -1):
        with pytest.raises(IndexError):
            dataset.__getitems__([0, index])


def test_lists_of_one_positive_each_are_an_array_of_them() -> None:
    lists, array = (
        NegativesDataset(None, TEXTS, NEGATIVES, positives=positives)
        for positives in (negmine.Positives.from_lists(FIRST[:, None]), FIRST)
    )
    assert len(lists) == len(array) == N_QUERIES
    assert lists.__getitems__(range(N_QUERIES)).columns["positive"] == TEXTS[:N_QUERIES]
    np.testing.assert_array_equal(lists.positive_indices, array.positive_indices)


def test_positives_outside_the_corpus_are_left_out_with_a_warning() -> None:
    lists = [[-1, 7, 3], [-1, -1], [5]] + [[]] * 57
    labels = negmine.Positives.from_lists(lists, positive_scores=[0.5] * 6)
    with pytest.warns(NegmineWarning, match="3 of 6 positive pairs are outside the corpus") as caught:
        dataset = NegativesDataset(None, None, NEGATIVES, positives=labels)
    assert caught[0].filename == __file__
    assert dataset.result_rows[:4].tolist() == [0, 0, 1, 2]
    assert dataset.positive_indices[:4].tolist() == [3, 7, -1, 5]


def test_result_rows_without_a_positive_are_left_out_when_asked() -> None:
    corpus = np.eye(6, dtype=np.float32)
    negatives = negmine.mine(corpus[:4], corpus, [[0, 5], [], [2], []], num_negatives=2, reference="each")
    assert negatives.positive_indices.tolist() == [0, 5, -1, 2, -1]
    every = NegativesDataset(None, corpus, negatives)
    assert every.positive_indices.tolist() == [0, 5, -1, 2, -1]
    dataset = NegativesDataset(None, corpus, negatives, drop_unpositive=True)
    assert (len(dataset), dataset.result_rows.tolist()) == (3, [0, 1, 3])
    batch = collate(dataset.__getitems__(range(3)))
    assert batch["positive_index"].tolist() == [0, 5, 2]
    torch.nn.Embedding(6, 2)(batch["positive_index"])
    np.testing.assert_array_equal(batch["negative_indices"], negatives.indices[[0, 1, 3]])
    array = NegativesDataset(None, None, NEGATIVES, positives=np.where(FIRST % 2, FIRST, -1), drop_unpositive=True)
    assert array.positive_indices.tolist() == list(range(1, N_QUERIES, 2))
    with pytest.raises(
        NegmineValueError, match="`drop_unpositive` must be False where no sample has a positive; got 60"
    ):
        NegativesDataset(None, None, NEGATIVES, drop_unpositive=True)
    with pytest.raises(NegmineTypeError, match="`drop_unpositive` must be True or False"):
        NegativesDataset(None, None, NEGATIVES, drop_unpositive=1)  # type: ignore[arg-type]


def test_queries_are_counted_from_the_first_of_the_whole_set() -> None:
    corpus = np.eye(6, dtype=np.float32)
    negatives = negmine.mine(corpus[2:4], corpus, [[2], [3]], num_negatives=2, query_offset=2)
    assert [sample["query"] for sample in NegativesDataset(list("abcd"), None, negatives)] == ["c", "d"]


def test_with_a_table_and_mapped_documents_it_pickles_small(tmp_path: Path) -> None:
    table = NegativesTable.create(tmp_path / "table", NEGATIVES)
    documents = payload("memmap", tmp_path)
    dataset = NegativesDataset(documents[10:70], documents, table)
    text = pickle.dumps(dataset)
    assert len(text) < 2000
    again = pickle.loads(text)
    for name, column in dataset.__getitems__([5, 1]).columns.items():
        np.testing.assert_array_equal(again.__getitems__([5, 1]).columns[name], column)


def test_negatives_in_memory_travel_without_their_pool() -> None:
    assert NEGATIVES.pool is not None
    text = pickle.dumps(NegativesDataset(None, None, NEGATIVES))
    arrays = ("query_indices", "positive_indices", "indices", "scores", "counts")
    assert len(text) < sum(getattr(NEGATIVES, name).nbytes for name in arrays) + 2000
    assert pickle.loads(text)[3].keys() == NegativesDataset(None, None, NEGATIVES)[3].keys()


def test_samples_are_a_sequence() -> None:
    samples = Samples({"number": np.arange(3), "word": ["a", "b", "c"]})
    assert len(samples) == 3
    assert [sample["word"] for sample in samples] == ["a", "b", "c"]
    with pytest.raises(IndexError):
        samples[3]


# ---- refused


@pytest.mark.parametrize(
    ("arguments", "positives", "words"),
    [
        ((QUERIES[:59], None, NEGATIVES), None, ["queries", "60 entries or more", "59"]),
        ((None, TEXTS[:96], NEGATIVES), None, ["documents", "97 entries", "96"]),
        ((None, [*TEXTS, "d97"], NEGATIVES), None, ["documents", "97 entries", "98"]),
        (("q" * 97, None, NEGATIVES), None, ["queries", "a sequence", "str"]),
        ((None, dict.fromkeys(TEXTS), NEGATIVES), None, ["documents", "a sequence", "dict"]),
        ((None, iter(TEXTS), NEGATIVES), None, ["documents", "a sequence", "iterator"]),
        ((None, np.float32(1), NEGATIVES), None, ["documents"]),
        ((None, np.zeros((), dtype=np.float32), NEGATIVES), None, ["documents", "one entry per row"]),
        ((None, torch.zeros(()), NEGATIVES), None, ["documents", "one entry per row"]),
        ((None, torch.zeros(97, device="meta"), NEGATIVES), None, ["documents", "CPU memory", "meta"]),
        ((None, torch.zeros(97, 2).to_sparse(), NEGATIVES), None, ["documents", "a dense tensor", "sparse"]),
        ((None, np.zeros(97, dtype=">f4"), NEGATIVES), None, ["documents", "torch has a type", ">f4"]),
        ((None, np.zeros(97, dtype="M8[s]"), NEGATIVES), None, ["documents", "torch has a type", "datetime64"]),
        ((None, np.ma.masked_array(VECTORS), NEGATIVES), None, ["documents", "every value", "masked"]),
        ((None, None, NEGATIVES.pool), None, ["negatives", "NegativesTable", "CandidatePool"]),
        ((None, None, NEGATIVES), FIRST[:59], ["positives", "(60,)", "(59,)"]),
        ((None, None, NEGATIVES), FIRST + 40, ["positives", "97 documents", "got 97 at result row 57"]),
        ((None, None, NEGATIVES), FIRST - 2, ["positives", "97 documents", "got -2 at result row 0"]),
        ((None, None, NEGATIVES), FIRST * 0.5, ["positives", "integers"]),
        ((None, None, NEGATIVES), negmine.Positives.from_lists([[0]]), ["positives", "60 queries", "got 1"]),
        ((None, None, EACH), np.arange(120) % 97, ["positives", "None", "each"]),
    ],
)
def test_what_does_not_fit_is_refused(arguments: tuple[Any, ...], positives: Any, words: list[str]) -> None:
    with pytest.raises(negmine.NegmineError) as caught:
        NegativesDataset(*arguments, positives=positives)
    assert str(caught.value).startswith(f"`{words[0]}` must")
    assert all(word in str(caught.value) for word in words)


def test_lists_that_are_asked_in_another_way_are_refused() -> None:
    series = pytest.importorskip("pandas").Series(TEXTS, index=range(N_DOCUMENTS, 0, -1))
    with pytest.raises(NegmineTypeError, match=r"`documents` must be .* Series: pass its `.tolist\(\)`"):
        NegativesDataset(None, series, NEGATIVES)
    array = pytest.importorskip("pyarrow").array(TEXTS)
    with pytest.raises(NegmineTypeError, match=r"`documents` must .* StringArray: pass its `.to_pylist\(\)`"):
        NegativesDataset(None, array, NEGATIVES)


def test_samples_that_do_not_fit_each_other_are_refused() -> None:
    wide, narrow = NegativesDataset(None, None, NEGATIVES), NegativesDataset(None, None, mined(num_negatives=2))
    texts = NegativesDataset(QUERIES, None, NEGATIVES)
    with pytest.raises(NegmineValueError, match="`samples` must have `negative_indices` of one shape"):
        collate([wide[0], narrow[0]])
    with pytest.raises(NegmineValueError, match="`samples` must have the same names"):
        collate([wide[0], texts[0]])


@pytest.mark.parametrize("index", ["a", None, slice(0, 2), 1.0])
def test_an_index_that_is_no_integer_is_named(index: Any) -> None:
    with pytest.raises(NegmineTypeError, match="`index` must be an integer; got") as caught:
        NegativesDataset(None, None, NEGATIVES)[index]
    assert repr(index) in str(caught.value)


@pytest.mark.parametrize("index", [N_QUERIES, -N_QUERIES - 1])
def test_an_index_out_of_range_is_named_as_it_was_given(index: int) -> None:
    with pytest.raises(IndexError, match=rf"`index` must lie in \[-{N_QUERIES}, {N_QUERIES}\); got {index}\."):
        NegativesDataset(None, None, NEGATIVES)[index]


def test_indices_are_any_integers() -> None:
    dataset = NegativesDataset(None, None, NEGATIVES)
    for index in (-1, np.int64(N_QUERIES - 1), torch.tensor(N_QUERIES - 1)):
        assert dataset[index]["query_index"] == N_QUERIES - 1  # type: ignore[index]


@pytest.mark.parametrize(("samples", "got"), [(5, "int"), ({"a": 1}, "dict"), ([5], "int"), ("ab", "str")])
def test_what_are_no_samples_is_named(samples: Any, got: str) -> None:
    with pytest.raises(NegmineTypeError, match=f"`samples` must .*; got {got}"):
        collate(samples)


def test_no_columns_are_no_samples() -> None:
    assert len(Samples({})) == 0
    assert collate(Samples({})) == {}
