"""The journal of judgments: what is exported, read, applied and estimated."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import negmine
import oracle_guard
from negmine._core import formats, headers
from negmine._core.journal import open_journal
from negmine._core.labels import as_labels
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining import Verdicts, verdict_lines
from oracle_guard import Judgment
from pools import line_pool

QUERIES, DOCUMENTS = ["q0", "q1", "q2"], ["d0", "d1", "d2", "d3"]


def write(path: Path, lines: Sequence[Judgment]) -> Path:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def read(path: Path) -> list[Judgment]:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def said(query: Any, document: Any, verdict: str, judge: str = "a", **more: Any) -> Judgment:
    """Make a line of a judge."""
    return {"query_id": query, "document_id": document, "verdict": verdict, "judge": judge, **more}


def labeled_pool(scores: Sequence[Sequence[float]], positives: Any, **options: Any) -> negmine.CandidatePool:
    """Make a pool whose documents have labels."""
    return line_pool(scores, positives, ids=[f"d{row}" for row in range(len(scores[0]))], **options)  # type: ignore[no-any-return]


LINES = st.lists(
    st.builds(
        said,
        st.sampled_from(["q0", "q1", "q2", "q9"]),
        st.sampled_from(["d0", "d1", "d3", "d9"]),
        st.sampled_from(verdict_lines.WORDS),
        st.sampled_from("abc"),
    ),
    max_size=25,
)
ROWS = st.lists(st.lists(st.integers(0, 3), unique=True), min_size=3, max_size=3)


# ---- apply


@given(lines=LINES, cut=st.integers(0, 25), positives=ROWS, exclude=ROWS)
def test_what_is_applied_is_that_of_the_oracle(
    lines: list[Judgment], cut: int, positives: Any, exclude: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("verdicts")
    journal = Verdicts(folder / "journal")
    assert journal.read(write(folder / "first.jsonl", lines[:cut])) == len(lines[:cut])
    assert Verdicts(folder / "journal").read(write(folder / "then.jsonl", lines[cut:])) == len(lines[cut:])
    found = Verdicts(folder / "journal").apply(positives, exclude, query_ids=QUERIES, document_ids=DOCUMENTS)
    relevant, barred, numbers = oracle_guard.applied(lines, positives, exclude, QUERIES, DOCUMENTS)
    assert [found.positives[query].tolist() for query in range(3)] == relevant
    assert [found.exclude[query].tolist() for query in range(3)] == barred
    assert numbers == {
        "positive": found.n_positive,
        "drop": found.n_drop,
        "keep": found.n_keep,
        "unknown": found.n_unknown,
    }


def test_verdicts_outlive_a_change_of_rows(tmp_path: Path) -> None:
    journal = Verdicts(tmp_path / "journal")
    journal.read(write(tmp_path / "lines", [said(7, 30, "positive"), said(8, 10, "drop")]))
    first = journal.apply([[], [0]], query_ids=[7, 8], document_ids=[10, 20, 30])
    assert (first.positives[0].tolist(), first.positives[1].tolist(), first.exclude[1].tolist()) == ([2], [], [0])
    later = journal.apply([[], [2], []], query_ids=[8, 9, 7], document_ids=[30, 20, 40])
    assert [later.positives[query].tolist() for query in range(3)] == [[], [2], [0]]
    assert (later.n_positive, later.n_drop, later.n_unknown) == (1, 0, 1)
    one_each = journal.apply(np.array([1, 0]), query_ids=[7, 8], document_ids=[10, 20, 30])
    assert [one_each.positives[query].tolist() for query in range(2)] == [[1, 2], []]


# ---- export


@given(
    scores=st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=3, max_size=3),
    positives=st.lists(st.lists(st.integers(0, 4), unique=True, max_size=3), min_size=3, max_size=3),
    lines=LINES,
    budget=st.integers(1, 14),
    explore=st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]),
    each=st.booleans(),
)
def test_what_is_exported_is_that_of_the_oracle(
    scores: Any,
    positives: Any,
    lines: list[Judgment],
    budget: int,
    explore: float,
    each: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("verdicts")
    journal = Verdicts(folder / "journal")
    journal.read(write(folder / "lines", lines))
    pool = labeled_pool(scores, positives, reference="each" if each else "min", query_offset=4)
    number = journal.export(pool, budget, folder / "out", query_ids=QUERIES, explore=explore)
    written = read(folder / "out")
    rows = [
        (query - 4, documents[:count], values[:count], reference)
        for query, documents, values, reference, count in zip(
            pool.query_indices.tolist(),
            pool.indices.tolist(),
            pool.scores.tolist(),
            pool.reference_scores.tolist(),
            pool.counts.tolist(),
            strict=True,
        )
    ]
    labels = {(f"q{query}", f"d{document}"): (query, document) for query in range(3) for document in range(5)}
    judged = {labels[pair] for pair in oracle_guard.decided(lines) if pair in labels}
    ranked = oracle_guard.worth_judging(rows, judged)
    n_best = min(len(ranked), budget - int(budget * explore + 1e-9))
    n_drawn = min(len(ranked) - n_best, budget - n_best)
    pairs = [labels[line["query_id"], line["document_id"]] for line in written]
    assert pairs[:n_best] == ranked[:n_best]
    assert set(pairs[n_best:]) <= set(ranked[n_best:])
    assert len(set(pairs)) == len(pairs) == number == n_best + n_drawn
    left = len(ranked) - n_best
    assert [line["log_prob"] for line in written[:n_best]] == [0.0] * n_best
    for line in written[n_best:]:
        assert math.isclose(line["log_prob"], math.log(n_drawn / left), abs_tol=1e-15)
    assert all(line["verdict"] is line["judge"] is None for line in written)


def test_the_draw_is_uniform_and_depends_on_labels_and_seed(tmp_path: Path) -> None:
    pool = labeled_pool([[0.0] * 20] * 2, [[0], [1]])
    counts: Counter[tuple[str, str]] = Counter()
    for seed in range(400):
        journal = Verdicts(tmp_path / "journal")
        journal.export(pool, 10, tmp_path / "out", query_ids=["q0", "q1"], explore=1.0, seed=seed)
        counts.update((line["query_id"], line["document_id"]) for line in read(tmp_path / "out"))
    expected = 400 * 10 / 38
    assert len(counts) == 38
    # Each count is about binomial: a standard deviation is 8.8.
    assert sum((count - expected) ** 2 for count in counts.values()) / 38 < 1.5 * expected * (1 - 10 / 38)
    Verdicts(tmp_path / "other").export(pool, 10, tmp_path / "again", query_ids=["q0", "q1"], explore=1.0, seed=399)
    assert (tmp_path / "again").read_bytes() == (tmp_path / "out").read_bytes()


def test_what_was_judged_is_not_exported_again_and_unsure_is(tmp_path: Path) -> None:
    journal, pool = Verdicts(tmp_path / "journal"), labeled_pool([[0.0, 0.3, 0.2, 0.1]], [[0]])
    for verdict, first in (("unsure", "d1"), ("keep", "d2")):
        journal.export(pool, 1, tmp_path / "out", query_ids=["q"], explore=0.0)
        lines = read(tmp_path / "out")
        assert lines[0]["document_id"] == "d1"
        assert journal.read(write(tmp_path / "judged", [line | said("q", "d1", verdict) for line in lines])) == 1
        journal.export(pool, 1, tmp_path / "out", query_ids=["q"], explore=0.0)
        assert read(tmp_path / "out")[0]["document_id"] == first


def test_lines_that_were_not_judged_are_skipped(tmp_path: Path) -> None:
    journal, pool = Verdicts(tmp_path / "journal"), labeled_pool([[0.0, 0.3, 0.2, 0.1]], [[0]])
    journal.export(pool, 3, tmp_path / "out", query_ids=["q"])
    assert journal.read(tmp_path / "out") == 0
    assert journal.apply([[0]], query_ids=["q"], document_ids=DOCUMENTS).n_keep == 0


# ---- share


def test_the_share_is_unbiased_over_seeds(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    scores = draw.random((6, 30)).round(6)
    pool = labeled_pool(scores.tolist(), [[0]] * 6)
    # Whether a pair is a false negative depends on its score, so that the best ones are no fair sample.
    relevant = {(f"q{q}", f"d{d}") for q in range(6) for d in range(1, 30) if draw.random() < scores[q, d] ** 2}
    estimates, within = [], 0
    for seed in range(200):
        journal = Verdicts(tmp_path / f"journal{seed}")
        journal.export(pool, 60, tmp_path / "out", query_ids=[f"q{q}" for q in range(6)], explore=0.5, seed=seed)
        lines = read(tmp_path / "out")
        verdict = ["drop" if (line["query_id"], line["document_id"]) in relevant else "keep" for line in lines]
        journal.read(write(tmp_path / "in", [line | {"verdict": v, "judge": "a"} for line, v in zip(lines, verdict)]))  # noqa: B905
        found = journal.share()
        estimates.append(found.share)
        within += found.low <= len(relevant) / 174 <= found.high
        assert found.n_judged == 60
    assert abs(np.mean(estimates) - len(relevant) / 174) < 3 * np.std(estimates) / math.sqrt(200)
    assert within >= 185


def test_the_interval_of_equal_weights_is_that_of_wilson(tmp_path: Path) -> None:
    journal = Verdicts(tmp_path / "journal")
    words = ["positive", "drop"] + ["keep"] * 8
    journal.read(write(tmp_path / "in", [said("q", f"d{i}", word, log_prob=-1.5) for i, word in enumerate(words)]))
    journal.read(write(tmp_path / "unweighted", [said("q", "other", "positive"), said("q", "d4", "unsure")]))
    found = journal.share()
    # Wilson (1927) for 2 of 10.
    assert (round(found.share, 12), round(found.effective, 9), found.n_judged) == (0.2, 10.0, 10)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0567, 0.5098)


# ---- the file


def test_a_torn_end_loses_one_file_of_a_judge_and_nothing_else(tmp_path: Path) -> None:
    path, ends = tmp_path / "journal", []
    for i in range(3):
        Verdicts(path).read(write(tmp_path / "lines", [said("q0", f"d{i}", "drop"), said("q1", f"d{i}", "positive")]))
        ends.append(path.stat().st_size)
    content = path.read_bytes()
    for size in range(ends[0], len(content)):
        path.write_bytes(content[:size])
        found = Verdicts(path).apply([[]] * 3, query_ids=QUERIES, document_ids=DOCUMENTS)
        whole = sum(end <= size for end in ends)
        assert (found.n_positive, found.n_drop) == (whole, whole)
        assert path.read_bytes() == content[: ends[whole - 1]]
    path.write_bytes(content)
    for place in range(ends[0], ends[1]):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(NegmineValueError, match=r"corrupt: checksum mismatch in .*journal. Remove it, and read"):
            Verdicts(path).share()


def test_a_bad_line_adds_nothing(tmp_path: Path) -> None:
    journal = Verdicts(tmp_path / "journal")
    journal.read(write(tmp_path / "good", [said("q0", "d0", "drop")]))
    before = (tmp_path / "journal").read_bytes()
    with pytest.raises(NegmineValueError, match=r"`file` must have a verdict of positive, .*; got 'yes' in .*, line 2"):
        journal.read(write(tmp_path / "bad", [said("q0", "d1", "drop"), said("q0", "d2", "yes")]))
    assert (tmp_path / "journal").read_bytes() == before


def test_the_file_has_one_user_at_a_time_and_one_kind(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with (
        open_journal(path, formats.VERDICTS, entry_bytes=1, argument="path", advice=""),
        pytest.raises(NegmineValueError, match="`path` must have one user at a time"),
    ):
        Verdicts(path).share()
    path.write_bytes(headers.pack(formats.SCORE_CACHE, {}))
    with pytest.raises(NegmineValueError, match="`path` must be a verdicts file of negmine"):
        Verdicts(path).share()
    with pytest.raises(NegmineValueError, match="`path` must be a file that can be read and written"):
        Verdicts(tmp_path / "nowhere" / "journal").share()


GOOD = said("q0", "d0", "drop")
BAD_LINES: dict[str, tuple[Any, str]] = {
    "no JSON": ("{", "`file` must hold JSON objects; got .* line 2"),
    "no object": ("[1]", "`file` must hold JSON objects; got list in .* line 2"),
    "no verdict": ({"query_id": "q", "document_id": "d"}, "`file` must have `verdict` in every line"),
    "no query": ({"document_id": "d", "verdict": "drop"}, "`file` must have `query_id` in every line"),
    "word": (GOOD | {"verdict": "yes"}, "verdict of positive, drop, keep, unsure; got 'yes' in .* line 2"),
    "list": (GOOD | {"verdict": ["drop"]}, r"got \['drop'\]"),
    "judge": (GOOD | {"judge": None}, "`file` must name the judge of every verdict; got None"),
    "judge empty": (GOOD | {"judge": ""}, "`file` must name the judge of every verdict; got ''"),
    "label float": (GOOD | {"query_id": 1.5}, "labels of int64 or str, .* got query_id 1.5"),
    "label bool": (GOOD | {"document_id": True}, "got document_id True"),
    "label padding": (GOOD | {"document_id": ""}, "not -1 or ''; got document_id ''"),
    "label type": (GOOD | {"document_id": 5}, "labels of the type of the others, such as 'd0'; got document_id 5"),
    "label surrogate": (GOOD | {"query_id": "\ud800"}, "`file` must hold Unicode text"),
    "log_prob": (GOOD | {"log_prob": 0.5}, "log_prob from -700 to 0, or null; got 0.5"),
    "log_prob NaN": (GOOD | {"log_prob": math.nan}, "log_prob from -700 to 0, or null; got nan"),
    "log_prob word": (GOOD | {"log_prob": "0"}, "log_prob from -700 to 0, or null; got '0'"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_bad_lines_are_refused_by_number(name: str, tmp_path: Path) -> None:
    line, message = BAD_LINES[name]
    text = line if isinstance(line, str) else json.dumps(line)
    (tmp_path / "lines").write_text(json.dumps(GOOD) + "\n" + text + "\n")
    with pytest.raises(NegmineValueError, match=message):
        Verdicts(tmp_path / "journal").read(tmp_path / "lines")


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    journal, pool = Verdicts(tmp_path / "journal"), labeled_pool([[0.0, 0.3, 0.2, 0.1]], [[0]])
    plain = line_pool([[0.0, 0.3]], [[0]])
    out, ids = tmp_path / "out", {"query_ids": ["q"]}
    documents = {"query_ids": ["q"], "document_ids": DOCUMENTS}
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: Verdicts(5), NegmineTypeError, "`path` must be a path; got int"),  # type: ignore[arg-type]
        (lambda: journal.read(tmp_path), NegmineValueError, "`file` must be a file"),
        (lambda: journal.share(), NegmineValueError, "`share` must follow verdicts with a `log_prob`; got none"),
        (lambda: journal.export([], 1, out, **ids), NegmineTypeError, "`pool` must be a CandidatePool; got list"),
        (lambda: journal.export(plain, 1, out, **ids), NegmineValueError, "`pool` must have labels"),
        (lambda: journal.export(pool, 0, out, **ids), NegmineValueError, "`budget` must be at least 1; got 0"),
        (lambda: journal.export(pool, 1.5, out, **ids), NegmineTypeError, "`budget` must be an integer; got 1.5"),
        (lambda: journal.export(pool, 1, 5, **ids), NegmineTypeError, "`file` must be a path; got int"),
        (lambda: journal.export(pool, 1, out, query_ids=[]), NegmineValueError, r"`query_ids` .* \(1,\)"),
        (lambda: journal.export(pool, 1, out, **ids, explore=1.5), NegmineValueError, "`explore` must be at most 1"),
        (lambda: journal.export(pool, 1, out, **ids, explore=-1), NegmineValueError, "`explore` must be at least 0"),
        (lambda: journal.export(pool, 1, out, **ids, seed=-1), NegmineValueError, "`seed` must be at least 0"),
        (lambda: journal.export(pool, 1, out, **ids, share=1), NegmineTypeError, "`export` has no option 'share'"),
        (lambda: journal.apply([[0]], [[0], [1]], **documents), NegmineValueError, "`exclude` must have length 1"),
        (lambda: journal.apply([[0], []], **documents), NegmineValueError, r"`query_ids` .* \(2,\)"),
        (lambda: journal.apply([[4]], **documents), NegmineValueError, "`positives` must hold rows from 0 to 3; got 4"),
        (lambda: journal.apply([[0]], [[-1]], **documents), NegmineValueError, "`exclude`"),
        (lambda: journal.apply([[0]], query_ids=["q"], document_ids=["a", "a"]), NegmineValueError, "unique"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()
    journal.read(write(tmp_path / "lines", [said("q", "d1", "drop")]))
    with pytest.raises(NegmineValueError, match="`query_ids` must have the type of the labels of the journal, strings"):
        journal.apply([[0]], query_ids=[1], document_ids=DOCUMENTS)
    with pytest.raises(NegmineValueError, match="`query_ids` must have the type of the labels of the journal, strings"):
        journal.export(pool, 1, out, query_ids=[1])


def test_the_labels_of_the_pool_are_those_of_its_queries(tmp_path: Path) -> None:
    journal, pool = Verdicts(tmp_path / "journal"), labeled_pool([[0.0, 0.3, 0.2, 0.1]], [[0]])
    with pytest.raises(NegmineValueError, match="`query_ids` must be given for a pool without labels of the queries"):
        journal.export(pool, 1, tmp_path / "out")
    labeled = replace(pool, query_ids=as_labels(["q"], "query_ids"))
    assert journal.export(labeled, 2, tmp_path / "out") == 2
    journal.export(pool, 2, tmp_path / "again", query_ids=["q"])
    assert (tmp_path / "out").read_bytes() == (tmp_path / "again").read_bytes()
