"""What ``negmine demo`` shows: its figures against the plainest count, and the page that a person reads."""

from __future__ import annotations

import io

import numpy as np
import pytest

from negmine.demo.run import DemoReport, render, run


@pytest.fixture(scope="module")
def report() -> DemoReport:
    return run(num_threads=2)


def test_figures_are_what_a_plain_count_gives(report: DemoReport) -> None:
    demo = report.demo
    queries, documents = demo.query_embeddings.astype(np.float64), demo.document_embeddings.astype(np.float64)
    scores = (queries @ documents.T) / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(documents, axis=1)
    for rule in report.rules:
        n_false_negatives, n_queries_hit, total = 0, 0, 0.0
        for query, labeled in enumerate(demo.labeled.tolist()):
            reference = scores[query, labeled]
            cap = reference - abs(reference) * (rule.miner.relative_margin or 0)
            ranked = [
                row
                for row in np.argsort(-scores[query], kind="stable").tolist()
                if row != labeled and (rule.miner.relative_margin is None or scores[query, row] <= cap)
            ]
            negatives = ranked[rule.miner.range_min : rule.miner.range_min + rule.miner.num_negatives]
            hidden = set(negatives) & set(demo.positives[query].tolist())
            n_false_negatives += len(hidden)
            n_queries_hit += bool(hidden)
            total += scores[query, negatives].sum()
        assert (rule.n_false_negatives, rule.n_queries_hit) == (n_false_negatives, n_queries_hit)
        assert rule.hardness == pytest.approx(total / rule.n_negatives, abs=1e-6)


def test_the_demo_makes_its_point(report: DemoReport) -> None:
    """Every rule is cleaner than none, none is harder, and the comparisons that the list is for hold."""
    none, margin, skip_3, skip_10, together = report.rules
    assert none.false_negative_rate > 0.09
    assert none.n_queries_hit > 0.4 * len(report.demo.queries)
    for rule in (margin, skip_3, skip_10, together):
        assert rule.n_negatives == none.n_negatives
        assert rule.false_negative_rate < none.false_negative_rate / 2
        assert rule.hardness < none.hardness
    assert skip_3.false_negative_rate == pytest.approx(margin.false_negative_rate, abs=0.01)
    assert skip_3.hardness > margin.hardness + 0.03
    assert skip_10.hardness == pytest.approx(margin.hardness, abs=0.01)
    assert skip_10.false_negative_rate < margin.false_negative_rate / 2
    assert together.false_negative_rate < skip_10.false_negative_rate


def test_examples_show_hidden_right_answers_and_that_rules_remove_them(report: DemoReport) -> None:
    for example in report.examples:
        assert example.positive.is_right
        assert any(line.is_right for line in example.nearest)
        assert not any(line.is_right for line in example.mined)
        assert len(example.nearest) == len(example.mined) == 5


def test_threads_change_the_time_only(report: DemoReport) -> None:
    other = run(num_threads=1)
    assert (report.num_threads, other.num_threads) == (2, 1)
    assert other.rules == report.rules
    assert other.examples == report.examples
    assert np.array_equal(other.negatives.indices, report.negatives.indices)


@pytest.mark.parametrize("width", [80, 120])
def test_render_fits_the_page_and_says_what_matters(report: DemoReport, width: int) -> None:
    console = pytest.importorskip("rich.console").Console(file=io.StringIO(), width=width)
    render(report, console)
    page = console.file.getvalue()
    assert max(map(len, page.splitlines())) <= width
    assert "\N{HORIZONTAL ELLIPSIS}" not in page
    for words in ("relative_margin=0.05", "range_min=10", "10.3%", "0.440", "yes, hidden", "define building"):
        assert words in page
    assert f"{report.n_pairs:,} pairs" in page
