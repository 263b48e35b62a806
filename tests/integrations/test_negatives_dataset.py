"""Data sets of mined negatives for sentence-transformers: what a row holds, and which generation a batch is of."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

import finetuning
import negmine
from finetuning import DOCUMENTS, N_DOCUMENTS, N_QUERIES, POSITIVES, QUERIES, mined
from negmine.errors import NegmineTypeError, NegmineValueError, NegmineWarning
from negmine.store import NegativesTable

adapter = pytest.importorskip("negmine.integrations.sentence_transformers")
datasets = pytest.importorskip("datasets")


def short_rows(least: int, seed: int = 0) -> negmine.HardNegatives:
    """Mine eight queries with up to four negatives of which a group rule leaves some rows few: query q has q // 2."""
    corpus = np.eye(N_DOCUMENTS, dtype=np.float32)
    rng = np.random.default_rng(seed)
    queries = rng.standard_normal((8, N_DOCUMENTS), dtype=np.float32)
    left = [max(least, query // 2) for query in range(8)]
    exclude = [np.setdiff1d(np.arange(N_DOCUMENTS), rng.permutation(N_DOCUMENTS)[:n]).tolist() for n in left]
    positives = [[lists[0]] for lists in exclude]
    return negmine.mine(queries, corpus, positives, num_negatives=4, exclude=exclude)


def made(folder: Path, negatives: negmine.HardNegatives, **options: Any) -> tuple[NegativesTable, Any]:
    table = NegativesTable.create(folder / "table", negatives)
    options = {"positives": POSITIVES[: len(negatives)], **options}
    return table, adapter.negatives_dataset(table, QUERIES, DOCUMENTS, **options)


def rows_of(negatives: negmine.HardNegatives, positives: list[int], form: str, n: int, repeats: bool) -> list[Any]:
    """Join the rows one by one."""
    rows = []
    for row, positive in enumerate(positives):
        own = negatives.indices[row][: negatives.counts[row]].tolist()
        if len(own) < (1 if repeats else n):
            continue
        own = [own[place % min(len(own), n)] for place in range(n)]
        query = int(negatives.query_indices[row])
        start = {"query": QUERIES[query], "positive": DOCUMENTS[positive]}
        if form == "n-tuple":
            texts = {f"negative_{place + 1}": DOCUMENTS[document] for place, document in enumerate(own)}
            rows.append({**start, **texts, "label": [query, positive, *own]})
        else:
            rows += [{**start, "negative": DOCUMENTS[of], "label": [query, positive, of]} for of in own]
    return rows


@pytest.mark.filterwarnings("ignore:.*positive pairs are left out")
@given(st.sampled_from(["triplet", "n-tuple"]), st.integers(1, 4), st.booleans(), st.booleans(), st.integers(0, 2**32))
def test_rows_are_the_pairs_with_their_negatives(
    tmp_path_factory: pytest.TempPathFactory, form: str, n: int, repeats: bool, full: bool, seed: int
) -> None:
    negatives = mined(seed=seed, num_negatives=4) if full else short_rows(0, seed)
    options: dict[str, Any] = {"format": form, "num_negatives": n, "short": "repeat" if repeats else "error"}
    if not (full or repeats) and n > 3:
        with pytest.raises(NegmineValueError, match="all 8 positive pairs have fewer"):
            made(tmp_path_factory.mktemp("rows"), negatives, **options)
        return
    _, dataset = made(tmp_path_factory.mktemp("rows"), negatives, **options)
    wanted = rows_of(negatives, POSITIVES[: len(negatives)], form, n, repeats)
    assert list(dataset) == wanted
    assert dataset.column_names == list(wanted[0])
    some = np.random.default_rng(seed).permutation(len(wanted)).tolist()
    assert dataset.__getitems__(some) == [wanted[row] for row in some]
    assert list(dataset.select(some)) == [wanted[row] for row in some]
    assert pickle.loads(pickle.dumps(dataset)).__getitems__(some) == [wanted[row] for row in some]


def test_every_positive_of_a_query_makes_rows(tmp_path: Path) -> None:
    positives = negmine.Positives.from_lists([[row, 40 + row % 3] for row in POSITIVES])
    _, dataset = made(tmp_path, mined(), positives=positives)
    assert [row["label"][:2] for row in dataset] == [
        [query, document] for query in range(N_QUERIES) for document in positives[query].tolist()
    ]


def test_positives_of_the_mining_need_no_argument(tmp_path: Path) -> None:
    corpus = np.eye(6, dtype=np.float32)
    negatives = negmine.mine(corpus[:2], corpus, [[0, 3], [1]], num_negatives=2, reference="each")
    table = NegativesTable.create(tmp_path / "table", negatives)
    dataset = adapter.negatives_dataset(table, QUERIES, DOCUMENTS[:6])
    assert [row["label"][:2] for row in dataset] == [[0, 0], [0, 3], [1, 1]]


def test_left_out_pairs_are_counted_in_a_warning(tmp_path: Path) -> None:
    with pytest.warns(NegmineWarning, match="4 of 8 positive pairs are left out: their rows have fewer than 2 neg"):
        _, dataset = made(tmp_path, short_rows(0), num_negatives=2)
    assert [row["label"][0] for row in dataset] == [4, 5, 6, 7]


def test_a_new_generation_changes_negatives_and_nothing_else(tmp_path: Path) -> None:
    first = mined()
    table, dataset = made(tmp_path, first)
    copies = [
        dataset,
        copy.deepcopy(dataset),
        dataset.with_format(None).with_transform(dataset.format["format_kwargs"]["transform"]),
    ]
    before = [list(of) for of in copies]
    table.publish(first.redraw(1))
    for of, old in zip(copies, before, strict=True):
        assert old == rows_of(first, POSITIVES, "n-tuple", 2, repeats=False)
        assert list(of) == rows_of(first.redraw(1), POSITIVES, "n-tuple", 2, repeats=False)
        assert (of.column_names, len(of)) == (dataset.column_names, N_QUERIES)


def test_a_row_that_becomes_short_is_an_error_that_names_it(tmp_path: Path) -> None:
    full, short = short_rows(3), short_rows(2)
    table = NegativesTable.create(tmp_path / "table", full)
    options: dict[str, Any] = {"positives": POSITIVES[:8], "num_negatives": 3}
    strict = adapter.negatives_dataset(table, QUERIES, DOCUMENTS, **options)
    repeating = adapter.negatives_dataset(table, QUERIES, DOCUMENTS, short="repeat", **options)
    table.publish(short)
    assert strict[6:8]["query"] == ["q6", "q7"]
    with pytest.raises(NegmineValueError, match=r"`table` must have 3 .*; generation 1 has 2 for query 5\. Mine with"):
        strict[5:7]
    assert list(repeating) == rows_of(short, POSITIVES[:8], "n-tuple", 3, repeats=True)


@pytest.mark.parametrize(
    "context", ["fork", *(pytest.param(name, marks=pytest.mark.slow) for name in ("spawn", "forkserver"))]
)
def test_workers_see_a_new_generation_and_a_batch_is_of_one(tmp_path: Path, context: str) -> None:
    first = mined()
    table, dataset = made(tmp_path, first)
    draws = [first.redraw(number).indices.tolist() for number in range(3)]
    loader = DataLoader(
        dataset, batch_size=4, num_workers=2, persistent_workers=True, multiprocessing_context=context, collate_fn=list
    )
    for number in range(3):
        table.publish(first.redraw(number))
        ids = [row["label"] for batch in loader for row in batch]
        assert ids == [[q, POSITIVES[q], *draws[number][q]] for q in range(N_QUERIES)]
    # Published while the loader reads: each batch is of one of the draws.
    seen = []
    for step, batch in enumerate(loader):
        seen.append(
            [number for number in range(3) if all(r["label"][2:] == draws[number][r["label"][0]] for r in batch)]
        )
        if step == 1:
            table.publish(first.redraw(0))
    assert all(seen)
    assert seen[0] == [2]
    assert seen[-1] == [0]


def test_batch_samplers_compare_rows_and_not_negatives(tmp_path: Path) -> None:
    _, dataset = made(tmp_path, mined())
    sampler = adapter.no_duplicate_batch_sampler()(
        dataset, batch_size=8, drop_last=False, valid_label_columns=["label"], seed=3
    )
    plan = negmine.batches.no_duplicate_plan(range(N_QUERIES), POSITIVES, batch_size=8, seed=3)
    assert list(sampler) == plan.epoch(0).tolist()


def test_other_columns_are_kept_and_a_column_alone_is_refused(tmp_path: Path) -> None:
    _, dataset = made(tmp_path, mined())
    transform = dataset.format["format_kwargs"]["transform"]
    wider = dataset.with_format(None).add_column("weight", [0.5] * N_QUERIES).with_transform(transform)
    assert wider[3] == {**dataset[3], "weight": 0.5}
    with pytest.raises(NegmineTypeError, match=r"`dataset` must be read with its column 'label'; got \['query'\]"):
        dataset.select_columns("query")[:2]


def test_texts_may_be_a_column_in_a_file(tmp_path: Path) -> None:
    texts = datasets.Dataset.from_dict({"text": DOCUMENTS}).save_to_disk(str(tmp_path / "texts"))
    texts = datasets.load_from_disk(str(tmp_path / "texts"))["text"]
    table = NegativesTable.create(tmp_path / "table", mined())
    dataset = adapter.negatives_dataset(table, QUERIES, texts, positives=POSITIVES)
    assert list(dataset) == rows_of(mined(), POSITIVES, "n-tuple", 2, repeats=False)


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    table = NegativesTable.create(tmp_path / "table", mined())
    make = adapter.negatives_dataset
    options: dict[str, Any] = {"positives": POSITIVES}
    with pytest.raises(NegmineTypeError, match="`table` must be a NegativesTable; got HardNegatives"):
        make(mined(), QUERIES, DOCUMENTS, **options)
    with pytest.raises(NegmineTypeError, match="`queries` must be a sequence of texts; got None"):
        make(table, None, DOCUMENTS, **options)
    with pytest.raises(NegmineTypeError, match=r"`documents` must be a sequence, .*; got str"):
        make(table, QUERIES, "text", **options)
    with pytest.raises(NegmineValueError, match="`queries` must have 32 entries or more; got 31"):
        make(table, QUERIES[1:], DOCUMENTS, **options)
    with pytest.raises(NegmineValueError, match="`documents` must have 60 entries; got 59"):
        make(table, QUERIES, DOCUMENTS[1:], **options)
    with pytest.raises(NegmineValueError, match=r"`positives` must be given unless .*; got None"):
        make(table, QUERIES, DOCUMENTS)
    with pytest.raises(NegmineValueError, match="`positives` must be rows of the 60 documents"):
        make(table, QUERIES, DOCUMENTS, positives=[60] * N_QUERIES)
    with pytest.raises(NegmineValueError, match="`format` must be"):
        make(table, QUERIES, DOCUMENTS, format="pair", **options)
    with pytest.raises(NegmineValueError, match=r"`num_negatives` must be.* 2; got 3"):
        make(table, QUERIES, DOCUMENTS, num_negatives=3, **options)
    with pytest.raises(NegmineValueError, match="`short` must be"):
        make(table, QUERIES, DOCUMENTS, short="drop", **options)
    with pytest.raises(NegmineTypeError, match="has no option 'negatives'"):
        make(table, QUERIES, DOCUMENTS, negatives=2, **options)


def test_the_collator_of_sentence_transformers_keeps_the_ids(tmp_path: Path) -> None:
    from sentence_transformers.sentence_transformer.data_collator import SentenceTransformerDataCollator

    _, dataset = made(tmp_path, mined())
    collator = SentenceTransformerDataCollator(finetuning.tiny_model().preprocess)
    batch = collator(dataset.__getitems__([5, 3]))
    assert torch.equal(batch["label"], torch.tensor([dataset[5]["label"], dataset[3]["label"]]))
    assert batch["negative_2_input_ids"].tolist() == [N_QUERIES + dataset[row]["label"][3] for row in (5, 3)]
