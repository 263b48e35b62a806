"""The page: what it holds, against the arrays of the negatives; how it treats markup; and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")

import negmine  # noqa: E402
from negmine import inspect, io  # noqa: E402
from negmine.errors import NegmineTypeError, NegmineValueError  # noqa: E402
from negmine.inspect import page as pages  # noqa: E402
from pages import N_DOCUMENTS, N_QUERIES, data_of, document_texts, list_of, mined, query_texts  # noqa: E402


def write(path: Path, negatives: Any, **options: Any) -> dict[str, Any]:
    texts = {"queries": query_texts(), "documents": document_texts()} | options
    written = inspect.to_html(negatives, path / "page.html", **texts)
    assert written.path == path / "page.html"
    return data_of(path / "page.html")


@pytest.mark.parametrize("reference", ["min", "each"])
@pytest.mark.parametrize("num_random", [0, 2])
def test_the_page_holds_what_was_mined(tmp_path: Path, reference: str, num_random: int) -> None:
    negatives = mined(keep_rejected=6, reference=reference, num_random=num_random)
    data = write(tmp_path, negatives)
    pool = negatives.pool
    assert pool is not None
    assert pool.rejected is not None
    for row in range(len(negatives)):
        n = negatives.counts[row]
        assert data["queryIds"][data["query"][row]] == negatives.query_labels[row]
        assert list_of(data, "negative", row) == negatives.ids[row, :n].tolist()
        begin = data["negativeOffsets"][row]
        np.testing.assert_array_equal(data["negativeScore"][begin : begin + n], negatives.scores[row, :n])
        np.testing.assert_array_equal(data["negativeSource"][begin : begin + n], negatives.source[row, :n])
        rejected = pool.rejected.ids[row, : pool.rejected.counts[row]]
        assert list_of(data, "rejected", row) == rejected.tolist()
        kept = pool.scores[row, : pool.counts[row]]
        above = pool.rejected.scores[row][pool.rejected.rules[row] >= negmine.mining.Rejection.ABOVE_ABSOLUTE_MARGIN]
        stored = data["candidateScore"][slice(*data["candidateOffsets"][row : row + 2])]
        np.testing.assert_array_equal(stored, np.concatenate([above, kept]).astype(np.float32))
    np.testing.assert_array_equal(data["reason"], negatives.reasons)
    np.testing.assert_array_equal(data["reference"], negatives.reference_scores)
    np.testing.assert_array_equal(data["cap"], pool.cap_scores.astype(np.float32))
    if reference == "min":
        assert list_of(data, "positive", 1) == ["d1", "d21"]
        assert list_of(data, "positive", 2) == []


def test_texts_are_those_of_the_labels(tmp_path: Path) -> None:
    data = write(tmp_path, mined())
    assert data["documentTexts"] == [document_texts()[int(label[1:])] for label in data["documentIds"]]
    assert data["queryTexts"] == [query_texts()[int(label[1:])] for label in data["queryIds"]]
    occurring = {
        name for row in range(N_QUERIES) for side in ("positive", "negative") for name in list_of(data, side, row)
    }
    assert set(data["documentIds"]) == occurring


def test_every_form_of_texts_gives_the_same_page(tmp_path: Path) -> None:
    first = write(tmp_path, mined())
    ids = [f"d{row}" for row in reversed(range(N_DOCUMENTS))]
    texts = io.Texts.from_lists(document_texts()[::-1], ids=ids)
    by_label = dict(zip(ids, document_texts()[::-1], strict=True))
    for documents in (texts, by_label):
        assert write(tmp_path, mined(), documents=documents)["documentTexts"] == first["documentTexts"]


def test_a_file_of_negatives_gives_a_page_without_a_pool(tmp_path: Path) -> None:
    negatives = mined(keep_rejected=3)
    io.write_negatives(negatives, tmp_path / "mined.parquet")
    data = write(tmp_path, tmp_path / "mined.parquet")
    whole = write(tmp_path, negatives)
    assert (data["hasPool"], whole["hasPool"]) == (False, True)
    for name in ("negativeDocument", "negativeScore", "positiveScore", "rejectedRule", "reason"):
        np.testing.assert_array_equal(data[name], whole[name])
    assert (data["candidateFlags"] & 1)[data["reason"] == 0].all()


def test_a_file_with_the_options_of_the_miner_has_caps(tmp_path: Path) -> None:
    negatives = mined(0.05)
    miner = negmine.HardNegativeMiner(4, relative_margin=0.05, range_max=10)
    io.write_negatives(io.MinedRows.from_negatives(negatives, miner=miner), tmp_path / "mined.parquet")
    data = write(tmp_path, tmp_path / "mined.parquet")
    assert negatives.pool is not None
    np.testing.assert_array_equal(data["cap"], negatives.pool.cap_scores.astype(np.float32))
    assert data["options"]["relative_margin"] == 0.05


def test_an_archive_brings_its_pool(tmp_path: Path) -> None:
    negatives = mined(keep_rejected=3)
    negatives.save(tmp_path / "mined.npz", pool=True)
    data, whole = write(tmp_path, str(tmp_path / "mined.npz")), write(tmp_path, negatives)
    assert data["hasPool"]
    for name in whole["arrays"]:
        np.testing.assert_array_equal(data[name], whole[name])


def test_labels_of_64_bits_stay_what_they_are(tmp_path: Path) -> None:
    corpus = np.eye(4, dtype=np.float32)
    ids = np.array([2**62 + 1, 2**62 + 3, 5, -7])
    index = negmine.ExactIndex(corpus, ids=ids)
    negatives = negmine.HardNegativeMiner(3).mine(index, corpus[:1], [[0]], query_ids=[2**53 + 1])
    data = write(tmp_path, negatives, queries=["q"], documents=["a", "b", "c", "d"])
    assert data["queryIds"] == [str(2**53 + 1)]
    assert data["documentIds"] == ["-7", "5", str(2**62 + 1), str(2**62 + 3)]
    assert data["documentTexts"] == ["d", "c", "a", "b"]
    assert data["documentIdsAreNumbers"]


def test_judgments_mark_pairs(tmp_path: Path) -> None:
    negatives = mined()
    judged = negatives.ids[3, 0]
    qrels = io.Qrels(["q3", "q3", "q3", "q4"], [judged, judged, "elsewhere", judged], np.array([0, 2, 1, 1]))
    data = write(tmp_path, negatives, qrels=qrels)
    begin = data["negativeOffsets"][3]
    assert data["negativeGrade"][begin] == 2
    assert (data["negativeGrade"][begin + 1 : data["negativeOffsets"][4]] == data["notJudged"]).all()


def test_another_run_is_compared_by_labels(tmp_path: Path) -> None:
    negatives, other = mined(0.05), mined(0.3)
    data = write(tmp_path, negatives, against=other[::-1])
    for row in range(N_QUERIES):
        assert list_of(data, "against", row) == other.ids[row, : other.counts[row]].tolist()
    data = write(tmp_path, negatives, against=other[3:])
    assert data["againstMissing"].tolist() == [1, 1, 1] + [0] * 9
    assert list_of(data, "against", 0) == []


def test_pairs_of_a_query_and_a_positive_are_compared_by_both(tmp_path: Path) -> None:
    negatives, other = mined(0.05, reference="each"), mined(0.3, reference="each")
    data = write(tmp_path, negatives, against=other[::-1])
    for row in range(len(negatives)):
        assert list_of(data, "against", row) == other.ids[row, : other.counts[row]].tolist()


def test_planted_markup_is_data(tmp_path: Path) -> None:
    planted = "</script><script>window.broken = true</script><img src=x onerror=alert(1)>{{script}}\u2028"
    queries, documents = [planted] * N_QUERIES, [planted] * N_DOCUMENTS
    data = write(tmp_path, mined(), queries=queries, documents=documents, title=planted)
    assert set(data["queryTexts"]) == {planted}
    text = (tmp_path / "page.html").read_text()
    assert "onerror" not in text.replace("&lt;img src=x onerror=alert(1)&gt;", "")
    assert len(re.findall("<script", text)) == 2


def test_no_address_is_on_the_page(tmp_path: Path) -> None:
    write(tmp_path, mined())
    text = (tmp_path / "page.html").read_text().replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"https?://|//cdn|@import|url\(|src=", text) == []
    assert "default-src 'none'" in text


def test_the_same_negatives_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path, mined())
    first = (tmp_path / "page.html").read_bytes()
    write(tmp_path, mined())
    assert (tmp_path / "page.html").read_bytes() == first


def test_long_texts_are_cut_at_one_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_TEXT", 20_000)
    documents = ["é" * 3000] * N_DOCUMENTS
    data = write(tmp_path, mined(), documents=documents)
    assert data["cutAt"] in pages.LENGTHS
    assert {len(text) for text in data["documentTexts"]} == {data["cutAt"]}
    assert sum(len(text.encode()) for text in data["documentTexts"] + data["queryTexts"]) <= 20_000
    assert write(tmp_path, mined())["cutAt"] is None


def test_deep_pools_are_cut_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("negmine.inspect.candidates.MOST_SCORES", 60)
    data = write(tmp_path, mined())
    counts = np.diff(data["candidateOffsets"])
    assert counts.max() == 8  # twice the negatives
    assert ((data["candidateFlags"] & 1) == 1)[counts == 8].all()


def test_no_rows_give_a_page(tmp_path: Path) -> None:
    data = write(tmp_path, mined()[:0])
    assert len(data["query"]) == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"queries": ["one"]}, NegmineValueError, "`queries` must hold a text for every row"),
        (
            {"documents": None},
            NegmineTypeError,
            "`documents` must be a list of strings, Texts or a dictionary; got None",
        ),
        ({"documents": {"d1": "x"}}, NegmineValueError, "`documents` must hold a text for every label"),
        ({"documents": [1] * N_DOCUMENTS}, NegmineTypeError, "`documents` must hold strings"),
        ({"qrels": "qrels.tsv"}, NegmineTypeError, "`qrels` must be Qrels; got str"),
        ({"qrels": io.Qrels(["other"], ["d1"], np.array([1]))}, NegmineValueError, "`qrels` must judge queries"),
        ({"against": mined(labeled=False)}, NegmineValueError, "`against` must have labels of the type"),
        ({"title": 3}, NegmineTypeError, "`title` must be a string; got 3"),
        ({"titel": "x"}, NegmineTypeError, "title"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        write(tmp_path, mined(), **options)
    assert list(tmp_path.iterdir()) == []


def test_another_run_of_other_queries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NegmineValueError, match="`against` must be of the same queries"):
        write(tmp_path, mined()[:4], against=mined()[6:])


def test_wrong_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: Any = {"queries": query_texts(), "documents": document_texts()}
    with pytest.raises(NegmineValueError, match=r"`path` must end in \.html or \.htm"):
        inspect.to_html(mined(), tmp_path / "page.pdf", **texts)
    with pytest.raises(NegmineValueError, match="`negatives`"):
        inspect.to_html(tmp_path / "no.parquet", tmp_path / "page.html", **texts)
    mined().save(tmp_path / "mined.npz")
    with pytest.raises(NegmineValueError, match="`negatives` must have its pool"):
        inspect.to_html(tmp_path / "mined.npz", tmp_path / "page.html", **texts)
    monkeypatch.setattr("negmine.inspect.contents.MOST_ROWS", 5)
    with pytest.raises(NegmineValueError, match="`negatives` must have at most 5 rows; got 12"):
        inspect.to_html(mined(), tmp_path / "page.html", **texts)
