"""What `show` prints of result rows is what the arrays say."""

from __future__ import annotations

import io as streams
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine import ExactIndex, HardNegativeMiner, HardNegatives, Positives, errors
from negmine.mining import Reason, Source
from training import problem

pytest.importorskip("pyarrow")


def shown(negatives: HardNegatives, *texts: Any, **options: Any) -> str:
    file = streams.StringIO()
    negatives.show(*texts, file=file, **({"width": 200} | options))
    return file.getvalue()


@given(
    st.integers(0, 2**32),
    st.integers(0, 6),
    st.sampled_from(["min", "each"]),
    st.sampled_from([{}, {"num_random": 2}, {"absolute_margin": -1.0}, {"max_score": -2.0}]),
)
def test_every_row_shows_what_the_arrays_hold(seed: int, n: int, reference: Any, options: dict[str, Any]) -> None:
    made = problem(n_queries=n, seed=seed, reference=reference, **options)
    negatives = made.negatives
    text = shown(negatives, made.queries.texts, made.documents, rows=range(len(negatives)))
    blocks = text.rstrip("\n").split("\n\n") if len(negatives) else []
    assert len(blocks) == len(negatives)
    for row, block in enumerate(blocks):
        query, count = negatives.query_indices[row], negatives.counts[row]
        head, *lines, last = block.splitlines()
        assert head == f"row {row}, query {query}: query {query}"
        positives = [negatives.positive_indices[row]] if reference == "each" else made.lists[query]
        wanted = [("positive", document) for document in positives if document >= 0]
        kinds = {Source.MINED: "negative", Source.RANDOM: "random"}
        wanted += [
            (kinds[Source(negatives.source[row, column])], negatives.indices[row, column]) for column in range(count)
        ]
        assert len(lines) == len(wanted)
        for line, (kind, document) in zip(lines, wanted, strict=True):
            assert line.split()[0] == kind
            assert line.endswith(f"d{document}: {'t ' if document < 8 else ''}text {document}")
        marked = ["above reference" in line for line in lines[len(lines) - count :]]
        assert marked == negatives.above_reference[row, :count].tolist()
        for line, score in zip(lines[len(lines) - count :], negatives.scores[row, :count], strict=True):
            assert f" {score:.4f} " in line
        reason = Reason(negatives.reasons[row])
        assert (reason.name.lower().replace("_", " ") in last) == (reason != Reason.NONE)
        assert ("no reference score" in last) == bool(np.isnan(negatives.reference_scores[row]))


@pytest.mark.parametrize(("reference", "words"), [("min", "lowest"), ("max", "highest"), ("mean", "mean")])
def test_the_reference_is_named(reference: Any, words: str) -> None:
    corpus = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], dtype=np.float32)
    negatives = HardNegativeMiner(1, reference=reference).mine(ExactIndex(corpus), corpus[:1], [[1, 2, 3]])
    assert f"{negatives.reference_scores[0]:.4f}  {words} of 3 positives" in shown(negatives)


def test_drawn_rows_depend_on_the_seed_alone() -> None:
    corpus = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    negatives = HardNegativeMiner(2).mine(ExactIndex(corpus), corpus, list(range(200)))

    def rows(**options: Any) -> list[int]:
        lines = shown(negatives, **options).splitlines()
        return [int(line.split()[1].strip(",")) for line in lines if line.startswith("row ")]

    assert len(rows()) == 5
    assert rows() == rows(seed=0) == sorted(rows())
    assert rows(seed=1) != rows()
    assert rows(rows=200) == list(range(200))
    assert rows(rows=[7, 3]) == [7, 3]
    assert rows(rows=slice(2, 4)) == [2, 3]


def test_long_texts_are_cut_and_stay_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    corpus = np.eye(3, dtype=np.float32)
    negatives = HardNegativeMiner(1).mine(ExactIndex(corpus), corpus[:1], [[0]])
    negatives.show(["a\nlong " * 50], ["word " * 100] * 3, width=60)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(len(line) <= 60 for line in lines)
    assert [line.endswith("...") for line in lines] == [True, True, True, False]


def test_a_positive_outside_the_corpus_is_said_to_be_there() -> None:
    corpus = np.eye(4, dtype=np.float32)
    positives = Positives.from_lists([[-1]], positive_scores=[0.5])
    negatives = HardNegativeMiner(2).mine(ExactIndex(corpus), corpus[:1], positives)
    assert "positive    0.5000  (outside the corpus)" in shown(negatives, ["a"], ["b"] * 4)


def test_loaded_negatives_show_the_same(tmp_path: Path) -> None:
    made = problem()
    made.negatives.save(tmp_path / "a.npz")
    loaded = HardNegatives.load(tmp_path / "a.npz")
    known = {"positives": Positives.from_lists(made.lists), "document_ids": made.documents.ids}
    assert shown(loaded, **known) == shown(made.negatives)
    with pytest.raises(errors.NegmineValueError, match="`positives` must be given"):
        loaded.show()


@pytest.mark.parametrize(
    ("change", "error", "part"),
    [
        ({"rows": 0}, errors.NegmineValueError, "`rows` must be"),
        ({"rows": True}, errors.NegmineTypeError, "`rows` must be a number of rows, or a list of rows; got True"),
        ({"rows": [99]}, errors.NegmineValueError, "`rows` must hold result rows below 5; got 99"),
        ({"rows": "first"}, errors.NegmineTypeError, "`rows` must be a slice, a mask or a list of rows"),
        ({"seed": -1}, errors.NegmineValueError, "`seed` must be"),
        ({"width": 39}, errors.NegmineValueError, "`width` must be"),
        ({"queries": "text"}, errors.NegmineTypeError, "`queries` must be a list of strings"),
        ({"documents": ["a"]}, errors.NegmineValueError, "`documents` must hold a text for every row"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], error: type, part: str) -> None:
    with pytest.raises(error) as caught:
        problem().negatives.show(**change)
    assert part in str(caught.value)
