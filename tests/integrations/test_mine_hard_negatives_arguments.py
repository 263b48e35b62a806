"""Arguments, data sets, formats, statistics and errors of ``mine_hard_negatives``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sentence_transformers")
pytest.importorskip("datasets")

import datasets
import pyarrow as pa
import torch

from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError, NegmineWarning
from negmine.integrations.sentence_transformers import mine_hard_negatives
from negmine.integrations.sentence_transformers.arguments import Arguments
from negmine.integrations.sentence_transformers.candidates import Found
from negmine.integrations.sentence_transformers.pairs import read_pairs
from negmine.integrations.sentence_transformers.statistics import describe_mined
from st_mining import Judge, Table, make_case

#: Six documents around the circle; the query is the first axis.
VECTORS = {f"d{i}": [np.cos(0.2 * (i + 1)), np.sin(0.2 * (i + 1))] for i in range(6)} | {"q": [1.0, 0.0]}
DOCUMENTS = [f"d{i}" for i in range(6)]
PAIRS = datasets.Dataset.from_dict({"query": ["q", "q"], "answer": ["d2", "d4"], "other": [1, 2]})


def mine(dataset: Any = PAIRS, model: Any = None, **options: Any) -> Any:
    return mine_hard_negatives(
        dataset,
        Table(VECTORS) if model is None else model,
        **{"corpus": DOCUMENTS, "num_negatives": 2, "verbose": False, **options},
    )


# ---- data sets


def test_formats_have_the_columns_and_the_types_of_the_original() -> None:
    text, texts = datasets.Value("string"), datasets.List(datasets.Value("string"))
    numbers, integers = datasets.List(datasets.Value("float64")), datasets.List(datasets.Value("int64"))
    pair = {"query": text, "answer": text}
    expected = {
        ("triplet", False): {**pair, "negative": text},
        ("triplet", True): {**pair, "negative": text, "scores": numbers},
        ("n-tuple", False): {**pair, "negative_1": text, "negative_2": text},
        ("n-tuple", True): {**pair, "negative_1": text, "negative_2": text, "scores": numbers},
        ("labeled-pair", False): {**pair, "label": datasets.Value("int64")},
        ("labeled-pair", True): {**pair, "score": datasets.Value("float64")},
        ("labeled-list", False): {"query": text, "answer": texts, "labels": integers},
        ("labeled-list", True): {"query": text, "answer": texts, "scores": numbers},
    }
    for (output_format, output_scores), features in expected.items():
        options: dict[str, Any] = {"output_format": output_format, "output_scores": output_scores}
        rows = mine(**options)
        assert dict(rows.features) == features
        assert len(rows) > 0
        # Types stay where nothing is found.
        nothing = mine(min_score=2.0, **options)
        assert dict(nothing.features) == features
        assert len(nothing) == (2 if output_format == "labeled-pair" else 0)


def test_rows_are_grouped_by_anchor_and_the_negatives_are_given_to_each_positive() -> None:
    rows = mine()
    assert rows["query"] == ["q"] * 4
    assert rows["answer"] == ["d2", "d2", "d4", "d4"]
    assert rows["negative"] == ["d0", "d1", "d0", "d1"]
    assert mine(output_format="labeled-pair").to_dict() == {
        "query": ["q"] * 4,
        "answer": ["d2", "d4", "d0", "d1"],
        "label": [1, 1, 0, 0],
    }
    assert mine(output_format="labeled-list")["answer"] == [["d2", "d0", "d1"], ["d4", "d0", "d1"]]


@pytest.mark.parametrize(
    "corpus",
    [tuple(DOCUMENTS), np.array(DOCUMENTS), pa.array(DOCUMENTS), pa.chunked_array([DOCUMENTS[:3], DOCUMENTS[3:]])],
)
def test_the_corpus_may_be_any_sequence_of_texts(corpus: Any) -> None:
    assert mine(corpus=corpus).to_list() == mine().to_list()


def test_a_column_of_a_data_set_is_a_corpus() -> None:
    assert mine(corpus=datasets.Dataset.from_dict({"text": DOCUMENTS})["text"]).to_list() == mine().to_list()


def test_selected_rows_and_formats_of_the_data_set_do_not_matter() -> None:
    more = datasets.concatenate_datasets([PAIRS, datasets.Dataset.from_dict({"query": ["x"], "answer": ["y"]})])
    selected = more.select([1, 0]).with_format("torch", columns=["other"])
    assert mine(selected)["answer"] == ["d4", "d4", "d2", "d2"]
    large = PAIRS.cast_column("query", datasets.Value("large_string"))
    assert mine(large).to_list() == mine().to_list()


def test_many_queries_are_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case(4)
    whole = [case.run(mine_hard_negatives, output_format=f).to_list() for f in ("triplet", "n-tuple", "labeled-list")]
    monkeypatch.setattr("negmine.integrations.sentence_transformers.training_rows.STEP", 2)
    parts = [case.run(mine_hard_negatives, output_format=f).to_list() for f in ("triplet", "n-tuple", "labeled-list")]
    assert len(dict.fromkeys(anchor for anchor, _ in case.pairs)) > 2
    assert whole == parts


# ---- statistics


def test_statistics_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    mine(verbose=True, absolute_margin=0.05, num_negatives=3)
    assert capsys.readouterr().out == (
        "Setting range_max to 32 based on the provided parameters.\n"
        "Found 1 unique queries out of 2 total queries.\n"
        "Found an average of 2.000 positives per query.\n"
        "Negative candidates mined, preparing dataset...\n"
        "Metric       Positive       Negative     Difference\n"
        "Count               2              2               \n"
        "Mean           0.6828         0.3624         0.3205\n"
        "Median         0.6828         0.3624         0.3205\n"
        "Std            0.2015         0.0000         0.2015\n"
        "Min            0.5403         0.3624         0.1779\n"
        "25%            0.6116         0.3624         0.2492\n"
        "50%            0.6828         0.3624         0.3205\n"
        "75%            0.7541         0.3624         0.3917\n"
        "Max            0.8253         0.3624         0.4630\n"
        "Skipped 3 potential negatives (75.00%) due to the absolute_margin of 0.05.\n"
        "Could not find enough negatives for 4 samples (66.67%). Consider adjusting the range_max and absolute_margin "
        "parameters if you'd like to find more valid negatives.\n"
    )
    mine(verbose=False)
    assert capsys.readouterr().out == ""


def test_statistics_without_negatives_say_nan(capsys: pytest.CaptureFixture[str]) -> None:
    mine(verbose=True, min_score=2.0)
    printed = capsys.readouterr().out
    assert "Mean           0.6828            nan            nan\n" in printed
    assert "Skipped 4 potential negatives (100.00%) due to the min_score of 2.0.\n" in printed


@pytest.mark.parametrize("compat", ["strict", "better"])
@pytest.mark.parametrize("judged", [False, True])
def test_documents_that_filters_remove_are_counted_once(
    judged: bool, compat: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # The cap of `max_score` is the lowest; the margin removes nothing more.
    options: dict[str, Any] = {"max_score": 0.9, "absolute_margin": -0.5, "min_score": 0.6, "num_negatives": 3}
    judge = None
    if judged:
        judge = Judge(0)
        judge.score = lambda query, document: float(np.dot(VECTORS[query], VECTORS[document]))  # type: ignore[method-assign]
    mine(verbose=True, cross_encoder=judge, compat=compat, **options)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Skipped")]
    # Cosines 0.98, 0.92, (0.83), 0.70, (0.54), 0.36.
    assert printed == [
        "Skipped 2 potential negatives (50.00%) due to the max_score of 0.9.",
        "Skipped 1 potential negatives (25.00%) due to the min_score of 0.6.",
    ]


@pytest.mark.slow
def test_statistics_have_no_limit_of_scores() -> None:
    n, width = 1_050_000, 16
    texts = [f"{i}" for i in range(n)]
    pairs = read_pairs(datasets.Dataset.from_dict({"q": texts, "p": ["d"] * n}), "q", "p", None)
    found = Found(
        np.zeros((n, width), dtype=np.int64),
        np.full((n, width), 0.25, dtype=np.float32),
        np.full(n, width),
        np.full(n, 0.75, dtype=np.float32),
        {},
        n,
    )
    given = dict.fromkeys(("margin", "as_triplets", "cross_encoder", "cache_folder", "range_max", "max_score"))
    given |= dict.fromkeys(("min_score", "relative_margin", "absolute_margin", "anchor_column_name"))
    given |= {"positive_column_name": None, "dataset": datasets.Dataset.from_dict({"q": ["a"], "p": ["b"]})}
    given |= {"compat": "strict", "output_format": "triplet", "output_scores": False, "include_positives": False}
    given |= {"num_negatives": width, "faiss_batch_size": 1, "use_faiss": False, "range_min": 0, "seed": 0}
    given |= dict.fromkeys(("num_threads", "memory_limit"))
    given |= dict.fromkeys(("query_prompt", "query_prompt_name", "corpus_prompt", "corpus_prompt_name"))
    given |= {"sampling_strategy": "top", "batch_size": 1, "use_multi_process": False, "verbose": True}
    printed = describe_mined(pairs, found, Arguments.read(given))
    assert "Count       1,050,000     16,800,000" in printed
    assert "50%            0.7500         0.2500         0.5000" in printed


# ---- errors and warnings

REFUSED: list[tuple[dict[str, Any], type[NegmineError], str]] = [
    ({"dataset": [("q", "d2")]}, NegmineTypeError, "`dataset` must be a datasets.Dataset; got list"),
    ({"dataset": datasets.DatasetDict()}, NegmineTypeError, "`dataset` must be a datasets.Dataset; got DatasetDict"),
    ({"dataset": PAIRS.select([])}, NegmineValueError, "`dataset` must not be empty; got 0 rows"),
    ({"dataset": PAIRS.select_columns(["query"])}, NegmineValueError, "`dataset` must have columns of anchor and"),
    ({"positive_column_name": "other"}, NegmineTypeError, r"`dataset\['other'\]` must hold texts; got int64"),
    (
        {"dataset": datasets.Dataset.from_dict({"query": ["q", None], "answer": ["d2", "d2"]})},
        NegmineTypeError,
        r"`dataset\['query'\]` must hold a text in every row; got None at row 1",
    ),
    ({"model": "name"}, NegmineTypeError, "`model` must have `encode_document`, as a SentenceTransformer has; got str"),
    ({"model": Table(VECTORS, "manhattan")}, NegmineValueError, "`model` must have a similarity function among"),
    ({"anchor_column_name": 3}, NegmineTypeError, "`anchor_column_name` must be the name of a column; got 3"),
    (
        {"anchor_column_name": "qeury", "compat": "better"},
        NegmineValueError,
        r"`anchor_column_name` must be one of the columns \['query', 'answer', 'other'\]; got 'qeury'",
    ),
    ({"positive_column_name": "query"}, NegmineValueError, "`positive_column_name` must differ from"),
    ({"corpus": "d1"}, NegmineTypeError, "`corpus` must be a list of texts; got the string 'd1'"),
    ({"corpus": ["d1", 3]}, NegmineTypeError, "`corpus` must hold texts; got 3 at row 1"),
    ({"corpus": {"d1"}}, NegmineTypeError, "`corpus` must be a list or an array; got set"),
    ({"corpus": ["d1", "\ud800"]}, NegmineValueError, "`corpus` must hold Unicode text; got .* at row 1"),
    ({"cross_encoder": "name"}, NegmineTypeError, "`cross_encoder` must have `predict`, as a CrossEncoder has"),
    ({"range_min": -1}, NegmineValueError, "`range_min` must be at least 0; got -1"),
    (
        {"range_min": 5, "range_max": 5},
        NegmineValueError,
        "`range_max` must be greater than `range_min`; got range_min",
    ),
    ({"range_max": 1}, NegmineValueError, "`range_max` must leave `num_negatives`=2 ranks from `range_min` on"),
    ({"range_max": 2.5}, NegmineTypeError, "`range_max` must be an integer; got 2.5"),
    ({"max_score": "high"}, NegmineTypeError, "`max_score` must be a number; got 'high'"),
    ({"min_score": float("nan")}, NegmineValueError, "`min_score` must be finite; got nan"),
    ({"min_score": 0.5, "max_score": 0.4, "compat": "better"}, NegmineValueError, "`min_score` must be at most `max_"),
    ({"absolute_margin": float("inf")}, NegmineValueError, "`absolute_margin` must be finite; got inf"),
    ({"relative_margin": True}, NegmineTypeError, "`relative_margin` must be a number; got True"),
    ({"num_negatives": 0}, NegmineValueError, "`num_negatives` must be at least 1; got 0"),
    (
        {"sampling_strategy": "best"},
        NegmineValueError,
        "`sampling_strategy` must be one of 'top', 'random'; got 'best'",
    ),
    ({"query_prompt": 3}, NegmineTypeError, "`query_prompt` must be a string; got 3"),
    ({"query_prompt_name": 3}, NegmineTypeError, "`query_prompt_name` must be a string; got 3"),
    ({"corpus_prompt": 3}, NegmineTypeError, "`corpus_prompt` must be a string; got 3"),
    ({"corpus_prompt_name": 3}, NegmineTypeError, "`corpus_prompt_name` must be a string; got 3"),
    ({"include_positives": "yes"}, NegmineTypeError, "`include_positives` must be True or False; got 'yes'"),
    ({"output_format": "pairs"}, NegmineValueError, "`output_format` must be one of 'triplet', 'n-tuple'"),
    ({"output_scores": 1}, NegmineTypeError, "`output_scores` must be True or False; got 1"),
    ({"batch_size": 0}, NegmineValueError, "`batch_size` must be at least 1; got 0"),
    ({"faiss_batch_size": 0}, NegmineValueError, "`faiss_batch_size` must be at least 1; got 0"),
    ({"use_faiss": None}, NegmineTypeError, "`use_faiss` must be True or False; got None"),
    ({"use_multi_process": 2}, NegmineTypeError, "`use_multi_process` must be True or False; got 2"),
    ({"verbose": 2}, NegmineTypeError, "`verbose` must be True or False; got 2"),
    ({"cache_folder": 3}, NegmineTypeError, "`cache_folder` must be a path; got int"),
    ({"cache_folder": "/dev/null/x"}, NegmineValueError, "`cache_folder` must be a folder that can be made; got /dev"),
    ({"as_triplets": 1}, NegmineTypeError, "`as_triplets` must be True or False; got 1"),
    ({"margin": "wide"}, NegmineTypeError, "`margin` must be a number; got 'wide'"),
    ({"compat": "loose"}, NegmineValueError, "`compat` must be one of 'strict', 'better'; got 'loose'"),
    ({"seed": -1}, NegmineValueError, "`seed` must be at least 0; got -1"),
    ({"num_threads": 0}, NegmineValueError, "`num_threads` must be at least 1; got 0"),
    ({"memory_limit": -1}, NegmineValueError, "`memory_limit` must be at least 0; got -1"),
    ({"num_negative": 2}, NegmineTypeError, "`mine_hard_negatives` has no option 'num_negative'. Did you mean"),
]


@pytest.mark.parametrize(("options", "kind", "message"), REFUSED, ids=[", ".join(options) for options, *_ in REFUSED])
def test_bad_input_is_refused(options: dict[str, Any], kind: type[NegmineError], message: str) -> None:
    with pytest.raises(kind, match=message):
        mine(**options)


def test_bad_arguments_are_refused_before_anything_is_encoded() -> None:
    for options, _, _ in REFUSED:
        if "model" in options:
            continue
        model = Table(VECTORS)
        with pytest.raises(NegmineError):
            mine(model=model, **options)
        assert model.calls == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("negative", {}),
        ("scores", {"output_scores": True}),
        ("negative_2", {"output_format": "n-tuple"}),
        ("label", {"output_format": "labeled-pair"}),
        ("score", {"output_format": "labeled-pair", "output_scores": True}),
        ("labels", {"output_format": "labeled-list"}),
        ("scores", {"output_format": "labeled-list", "output_scores": True}),
    ],
)
def test_columns_of_the_result_must_not_have_the_name_of_an_input(name: str, options: dict[str, Any]) -> None:
    for argument, old in (("anchor_column_name", "query"), ("positive_column_name", "answer")):
        with pytest.raises(NegmineValueError, match=f"`{argument}` must differ from the other columns of .*; got"):
            mine(PAIRS.rename_column(old, name), **options)
    # The name is free in the other format.
    freed = {**options, "output_scores": not options.get("output_scores", False)}
    if name not in ("negative", "negative_2"):
        assert len(mine(PAIRS.rename_column("query", name), **freed))


def test_other_vectors_than_one_dense_vector_per_text_are_refused() -> None:
    from sentence_transformers import MultiVectorEncoder, SparseEncoder

    for kind, output in ((SparseEncoder, "sparse vectors"), (MultiVectorEncoder, "several vectors per text")):
        with pytest.raises(NegmineTypeError, match=f"{kind.__name__}, which gives {output}.*ScoredLists.*--run"):
            mine(model=object.__new__(kind))


def test_a_model_that_gives_no_dense_vectors_is_refused() -> None:
    class Flat(Table):
        def encode_document(self, texts: list[str], **options: Any) -> Any:
            return super().encode_document(texts, **options)[:, 0]

    with pytest.raises(
        NegmineTypeError, match=r"`model` must give one dense vector per text; got float32 of shape \(6,"
    ):
        mine(model=Flat(VECTORS))


@pytest.mark.parametrize(
    ("options", "same", "message"),
    [
        ({"as_triplets": False}, {"output_format": "n-tuple"}, "`as_triplets` is deprecated"),
        ({"as_triplets": True, "output_format": "n-tuple"}, {}, "`as_triplets` is deprecated"),
        (
            {"output_format": "n-tuple-scores"},
            {"output_format": "n-tuple", "output_scores": True},
            '"n-tuple-scores" is deprecated',
        ),
        ({"margin": 0.1, "absolute_margin": 0.9}, {"absolute_margin": 0.1}, "`margin` is deprecated"),
        ({"anchor_column_name": "qeury"}, {}, "`anchor_column_name` is not among the columns .* 'query' is used"),
        (
            {"include_positives": True},
            {"include_positives": True, "output_format": "n-tuple"},
            '`include_positives=True` needs the format "n-tuple"',
        ),
    ],
)
def test_deprecated_and_replaced_arguments_warn(options: dict[str, Any], same: dict[str, Any], message: str) -> None:
    with pytest.warns(NegmineWarning, match=message):
        rows = mine(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rows.to_list() == mine(**same).to_list()


def test_arguments_reach_the_model(tmp_path: Path) -> None:
    class Parallel(Table):
        events: list[Any]

        def start_multi_process_pool(self, target_devices: Any) -> str:
            self.events = [("start", target_devices)]
            return "pool"

        def stop_multi_process_pool(self, pool: Any) -> None:
            self.events.append(("stop", pool))

    model = Parallel(VECTORS)
    mine(
        model=model,
        query_prompt="query: ",
        query_prompt_name="query",
        corpus_prompt="passage: ",
        corpus_prompt_name="document",
        batch_size=7,
        use_multi_process=["cpu", "cpu"],
    )
    shared = {"batch_size": 7, "normalize_embeddings": True, "convert_to_numpy": True, "show_progress_bar": False}
    shared["pool"] = "pool"
    assert model.calls == [
        ("document", 6, {"prompt": "passage: ", "prompt_name": "document", **shared}),
        ("query", 1, {"prompt": "query: ", "prompt_name": "query", **shared}),
    ]
    assert model.events == [("start", ["cpu", "cpu"]), ("stop", "pool")]
    # Processes are started only if there are texts to encode.
    for _ in range(2):
        mine(model=model, use_multi_process=True, cache_folder=tmp_path)
    assert model.events == [("start", None), ("stop", "pool")]


def test_embeddings_are_kept_in_the_cache_folder(tmp_path: Path) -> None:
    model = Table(VECTORS)
    first = mine(model=model, cache_folder=tmp_path / "cache")
    assert len(model.calls) == 2
    assert mine(model=model, cache_folder=tmp_path / "cache", range_min=0).to_list() == first.to_list()
    assert len(model.calls) == 2
    # Other weights are another model, whatever its name.
    turned = Table({text: torch.flip(torch.tensor(vector), [0]).numpy() for text, vector in VECTORS.items()})
    assert mine(model=turned, cache_folder=tmp_path / "cache").to_list() == mine(model=turned).to_list()
