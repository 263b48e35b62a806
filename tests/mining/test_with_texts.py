"""Training rows in memory are those of the files, from texts in any container, and train sentence-transformers."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine import ExactIndex, HardNegativeMiner, HardNegatives, Positives, errors, io
from negmine.mining import formats
from negmine.mining.formats import FORMATS, IDS_ONLY, NESTED
from training import Problem, plain_rows, problem

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def sides(made: Problem, form: str) -> dict[str, Any]:
    return {} if form in IDS_ONLY else {"queries": made.queries, "documents": made.documents}


@given(
    st.integers(0, 2**32),
    st.integers(0, 6),
    st.sampled_from(FORMATS),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["min", "each"]),
    st.sampled_from([{}, {"num_random": 2}, {"absolute_margin": 1.0}, {"max_score": -2.0}]),
)
def test_rows_in_memory_are_those_of_the_file(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    n: int,
    form: Any,
    scores: bool,
    labels: bool,
    reference: Any,
    options: dict[str, Any],
) -> None:
    made = problem(n_queries=n, labels=labels, seed=seed, reference=reference, **options)
    path = tmp_path_factory.mktemp("rows") / ("a.jsonl" if form in NESTED else "a.parquet")
    io.write_training_rows(made.negatives, path, format=form, scores=scores, **sides(made, form))
    table = made.negatives.to_training_table(format=form, scores=scores, **sides(made, form))
    if form in NESTED:
        assert table.to_pylist() == [json.loads(line) for line in path.read_text().splitlines()]
    else:
        written = pq.read_table(path)
        assert table.to_pylist() == written.to_pylist()
        types = [str(kind) for kind in table.schema.types]
        assert types == [str(kind) for kind in written.schema.types]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("scores", [True, False])
def test_a_data_set_has_the_rows_of_the_table(form: Any, *, scores: bool) -> None:
    pytest.importorskip("datasets")
    made = problem(n_queries=6)
    options = {"format": form, "scores": scores, **sides(made, form)}
    assert made.negatives.to_dataset(**options).to_list() == made.negatives.to_training_table(**options).to_pylist()


@pytest.mark.parametrize("n_queries", [0, 5])
def test_columns_have_the_types_of_sentence_transformers(n_queries: int) -> None:
    datasets = pytest.importorskip("datasets")
    made = problem(n_queries=n_queries)
    text, ints, reals = datasets.Value("string"), datasets.List(datasets.Value("int64")), datasets.Value("float64")
    texts = {"queries": made.queries, "documents": made.documents}
    assert made.negatives.to_dataset(**texts, scores=True).features == {
        "anchor": text,
        "positive": text,
        "negative": text,
        "scores": datasets.List(reals),
    }
    assert made.negatives.to_dataset(**texts, format="labeled-list").features == {
        "anchor": text,
        "positive": datasets.List(text),
        "labels": ints,
    }
    pairs = made.negatives.to_dataset(**texts, format="labeled-pair")
    assert pairs.features == {"anchor": text, "positive": text, "label": datasets.Value("int64")}


def test_steps_do_not_change_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    made = problem(n_queries=6)
    whole = [made.negatives.to_training_table(format=form, **sides(made, form)) for form in FORMATS]
    monkeypatch.setattr(formats, "STEP", 2)
    for form, table in zip(FORMATS, whole, strict=True):
        cut = made.negatives.to_training_table(format=form, **sides(made, form))
        assert cut.to_pylist() == table.to_pylist()


def test_texts_come_in_any_container() -> None:
    datasets, pandas = pytest.importorskip("datasets"), pytest.importorskip("pandas")
    made = problem(labels=False)
    queries, documents = made.queries.texts.to_pylist(), made.documents.joined().to_pylist()
    wanted = made.negatives.to_training_table(made.queries, made.documents).to_pylist()
    assert wanted
    half = len(documents) // 2
    for container in (
        list,
        tuple,
        pa.array,
        lambda texts: pa.array(texts, pa.large_string()),
        lambda texts: pa.array(texts).dictionary_encode(),
        lambda texts: pa.chunked_array([texts[:half], texts[half:]], pa.string()),
        pandas.Series,
        lambda texts: pandas.Series(texts, index=range(5, 5 + len(texts)), dtype="string"),
        lambda texts: datasets.Dataset.from_dict({"text": texts})["text"],
        lambda texts: np.array(texts, dtype=object),
        np.array,
        iter,
        lambda texts: dict(enumerate(texts)),
        lambda texts: dict(reversed(list(enumerate(texts)))),
    ):
        found = made.negatives.to_training_table(container(queries), container(documents))
        assert found.to_pylist() == wanted


def test_dictionaries_have_the_texts_of_labels() -> None:
    made = problem()
    texts = dict(zip(made.documents.ids.tolist(), made.documents.joined().to_pylist(), strict=True))
    shuffled = dict(sorted(texts.items(), reverse=True))
    found = made.negatives.to_training_table(dict(enumerate(made.queries.texts.to_pylist())), shuffled)
    assert found.to_pylist() == plain_rows(made, "triplet", scores=False, texts=True)
    with pytest.raises(errors.NegmineValueError, match="`documents` must hold a text for every label; got none for"):
        made.negatives.to_training_table(None, {"d0": "text"})
    with pytest.raises(errors.NegmineValueError, match="`queries` must hold a text for every label; got none for 0"):
        made.negatives.to_training_table({"q0": "text"})


def test_negatives_without_their_pool_take_what_it_knew(tmp_path: Path) -> None:
    made = problem()
    made.negatives.save(tmp_path / "a.npz")
    loaded = HardNegatives.load(tmp_path / "a.npz")
    with pytest.raises(errors.NegmineValueError, match="`positives` must be given"):
        loaded.to_training_table()
    positives = Positives.from_lists(made.lists)
    with pytest.raises(errors.NegmineValueError, match="`document_ids` must be given"):
        loaded.to_training_table(positives=positives)
    found = loaded.to_training_table(positives=positives, document_ids=made.documents.ids)
    assert found.equals(made.negatives.to_training_table())


@pytest.mark.parametrize(
    ("change", "error", "part"),
    [
        ({"queries": "abc"}, errors.NegmineTypeError, "`queries` must be a list of strings; got the string 'abc'"),
        ({"queries": 3}, errors.NegmineTypeError, "`queries` must be a list of strings; got int"),
        ({"queries": ["a", None]}, errors.NegmineTypeError, "`queries` must hold strings; got None at row 1"),
        ({"documents": {"a", "b"}}, errors.NegmineTypeError, "`documents` must be a list or an array; got set"),
        ({"documents": pa.array([1])}, errors.NegmineTypeError, "`documents` must hold strings; got an Arrow array of"),
        ({"documents": pa.array(["a", None])}, errors.NegmineTypeError, "`documents` must hold strings; got None at"),
        ({"documents": ["a"]}, errors.NegmineValueError, "`documents` must hold a text for every row; got 1 texts"),
        ({"documents": {0: "a", 1: 2}}, errors.NegmineTypeError, "`documents` must hold strings; got 2 at row 1"),
        ({"documents": ["\ud800"]}, errors.NegmineValueError, "`documents` must"),
        ({"format": "pairs"}, errors.NegmineValueError, "`format` must be one of 'triplet'"),
        ({"format": "tevatron"}, errors.NegmineValueError, "`queries` must hold texts for 'tevatron'; got None"),
        ({"format": "ids", "documents": ["a"]}, errors.NegmineValueError, "`documents` must be None for 'ids'"),
        ({"scores": 1}, errors.NegmineTypeError, "`scores` must be"),
        ({"anchor_name": "negative"}, errors.NegmineValueError, "`anchor_name` must differ"),
        ({"positive_name": 3}, errors.NegmineTypeError, "`positive_name` must be a string; got 3"),
        ({"positives": Positives.from_lists([[0]])}, errors.NegmineValueError, "`positives` must be those"),
        ({"document_ids": ["a"]}, errors.NegmineValueError, "`document_ids` must have shape (9,)"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], error: type, part: str) -> None:
    with pytest.raises(error) as caught:
        problem().negatives.to_training_table(**change)
    assert part in str(caught.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("form", "loss_name", "columns"),
    [
        ("ids", "MultipleNegativesRankingLoss", ["query", "positive", "negative_id_1", "negative_id_2"]),
        ("id-list", "DistillKLDivLoss", ["query", "document_1", "document_2", "document_3", "scores"]),
    ],
)
def test_ids_that_sentence_transformers_resolves_train_a_model(
    tmp_path: Path, form: Any, loss_name: str, columns: list[str]
) -> None:
    datasets = pytest.importorskip("datasets")
    package = pytest.importorskip("sentence_transformers")
    util = pytest.importorskip("sentence_transformers.util")
    if not hasattr(util, "resolve_ids"):
        pytest.skip("this sentence-transformers has no resolve_ids")
    from trainers import word_model

    corpus = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    query_ids, document_ids = [f"q{row}" for row in range(8)], [f"d{row}" for row in range(12)]
    negatives = HardNegativeMiner(2).mine(
        ExactIndex(corpus, ids=document_ids), corpus[:8] + 0.1, list(range(8)), query_ids=query_ids
    )
    rows = negatives.to_dataset(format=form, scores=form == "id-list")
    lookups = {
        "query_id": datasets.Dataset.from_dict({"id": query_ids, "text": [f"query-{label}" for label in query_ids]})
    } | dict.fromkeys(
        [name for name in rows.column_names if name not in ("query_id", "scores")],
        datasets.Dataset.from_dict({"id": document_ids, "text": [f"text-{label}" for label in document_ids]}),
    )
    rows.set_transform(util.resolve_ids(lookups))
    assert list(rows[0]) == columns
    assert [value for value in rows[0].values() if isinstance(value, str)] == [
        "query-q0",
        "text-d0",
        *(f"text-{label}" for label in negatives.ids[0]),
    ]

    words = [f"query-{label}" for label in query_ids] + [f"text-{label}" for label in document_ids]
    model = word_model(words)
    before = model.encode(words)
    trainer = package.SentenceTransformerTrainer(
        model,
        package.SentenceTransformerTrainingArguments(
            output_dir=str(tmp_path),
            max_steps=1,
            per_device_train_batch_size=4,
            learning_rate=0.1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            logging_strategy="no",
        ),
        train_dataset=rows,
        loss=getattr(importlib.import_module("sentence_transformers.losses"), loss_name)(model),
    )
    trainer.train()
    assert trainer.state.global_step == 1
    assert not np.array_equal(model.encode(words), before)
