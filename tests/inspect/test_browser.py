"""The page in headless Chromium: what it shows, its keyboard, its figures, and that it asks for nothing."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

import negmine  # noqa: E402
from negmine import inspect, io  # noqa: E402
from negmine.mining import Verdicts  # noqa: E402
from pages import N_DOCUMENTS, N_QUERIES, document_texts, mined, query_texts  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")]

#: Texts that end the element, the attribute, the string or the comment in which they might stand.
PLANTED = (
    "</script><script>window.broken=1</script><img src=x onerror='window.broken=1'><b>bold</b>",
    "<!--<script>window.broken=1//--><svg onload='window.broken=1'>",
    "\" autofocus onfocus='window.broken=1' x=\"' onmouseover=window.broken=1 x='",
    "</title></style></textarea><iframe srcdoc='<script>parent.broken=1</script>'></iframe>",
    "\u2028window.broken=1\u2029`${window.broken=1}`{{script}}\\u003cscript>",
    "javascript:window.broken=1",
)

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Open the page of some negatives; afterwards, nothing was asked for and nothing was wrong."""
    context = chromium.new_context(offline=True, color_scheme="light", viewport={"width": 1280, "height": 800})
    faults: list[str] = []

    def seen(request: Any) -> None:
        if not request.url.startswith(("file:", "blob:")):
            faults.append(f"a request for {request.url}")

    context.on("request", seen)

    def opened(negatives: Any, hash: str = "", **options: Any) -> Any:
        texts = {"queries": query_texts(), "documents": document_texts()} | options
        path = inspect.to_html(negatives, tmp_path / "page.html", **texts).path
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"an error: {error}"))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: faults.append(f"a dialog: {dialog.message}"))
        page.goto(f"{path.as_uri()}{hash}")
        page.wait_for_selector("html[data-ready]")
        return page

    yield opened
    context.close()
    assert faults == []


def press(page: Any, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


def until(page: Any, expression: str) -> None:
    """Wait for what an expression says; the policy of the page forbids playwright's own way, which evaluates text."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{expression} did not become true")


def shown_rows(page: Any) -> list[int]:
    rows: list[int] = page.evaluate("Array.from(app.rows)")
    return rows


def test_a_keyboard_walk_ends_in_verdicts_that_are_read(open_page: Open, tmp_path: Path) -> None:
    negatives = mined(keep_rejected=4)
    page = open_page(negatives, hash="#sort=order")
    # The positive stays; negatives 1 to 4 of query 0 are judged, and the last verdict is taken back.
    press(page, "ArrowRight ArrowDown ArrowDown p ArrowDown d ArrowDown k ArrowDown u x")
    # A rejected document of query 1 is judged too, with the mouse left alone.
    press(page, "ArrowLeft ArrowDown r ArrowRight")
    press(page, " ".join(["ArrowDown"] * 7) + " p")
    assert page.inner_text("#export") == "Export 4 verdicts"
    page.fill("#judge", "ann")
    press(page, "Enter Tab Escape")
    page.locator("#list").focus()
    with page.expect_download() as download:
        press(page, "e")
    download.value.save_as(tmp_path / "verdicts.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "verdicts.jsonl").read_text().splitlines()]
    assert [line["verdict"] for line in lines] == ["positive", "drop", "keep", "positive"]
    assert {line["judge"] for line in lines} == {"ann"}
    assert [line["document_id"] for line in lines[:3]] == negatives.ids[0, :3].tolist()
    pool = negatives.pool
    assert pool is not None
    assert pool.rejected is not None
    assert lines[3]["query_id"] == "q1"
    assert lines[3]["document_id"] in pool.rejected.ids[1]
    verdicts = Verdicts(tmp_path / "journal")
    assert verdicts.read(tmp_path / "verdicts.jsonl") == 4
    applied = verdicts.apply(
        [[row] for row in range(N_QUERIES)],
        query_ids=[f"q{row}" for row in range(N_QUERIES)],
        document_ids=[f"d{row}" for row in range(N_DOCUMENTS)],
    )
    assert (applied.n_positive, applied.n_drop, applied.n_keep, applied.n_unknown) == (2, 1, 1, 0)
    assert int(negatives.indices[0, 0]) in applied.positives[0].tolist()
    assert applied.exclude[0].tolist() == [negatives.indices[0, 1]]
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.inner_text("#export") == "Export 4 verdicts"


def test_labels_of_64_bits_are_exported_as_they_are(open_page: Open, tmp_path: Path) -> None:
    ids = np.array([2**62 + 1, 2**62 + 3, 5])
    index = negmine.ExactIndex(np.eye(3, dtype=np.float32), ids=ids)
    negatives = negmine.HardNegativeMiner(2).mine(index, np.eye(3, dtype=np.float32)[:1], [[2]], query_ids=[2**53 + 1])
    page = open_page(negatives, queries=["q"], documents=["a", "b", "c"])
    press(page, "ArrowRight ArrowDown d ArrowDown k")
    with page.expect_download() as download:
        press(page, "e")
    download.value.save_as(tmp_path / "verdicts.jsonl")
    found = [json.loads(line) for line in (tmp_path / "verdicts.jsonl").read_text().splitlines()]
    assert [line["document_id"] for line in found] == negatives.ids[0].tolist()
    assert found[0]["query_id"] == 2**53 + 1
    assert Verdicts(tmp_path / "journal").read(tmp_path / "verdicts.jsonl") == 2


@pytest.mark.parametrize("planted", PLANTED)
def test_planted_markup_is_text(open_page: Open, planted: str) -> None:
    index = negmine.ExactIndex(np.eye(3, dtype=np.float32), ids=[planted, f"{planted}2", f"{planted}3"])
    negatives = negmine.HardNegativeMiner(2).mine(
        index, np.eye(3, dtype=np.float32)[:1], [[0]], query_ids=[planted], keep_rejected=2
    )
    page = open_page(negatives, queries=[planted], documents=[planted] * 3, title=planted)
    press(page, "r ArrowRight ArrowDown p h h")
    page.fill("#find", "broken")
    page.wait_for_timeout(100)
    assert page.text_content("#detail h2") == planted
    assert page.text_content("h1") == planted
    assert page.title().split() == planted.split()
    assert page.evaluate("window.broken") is None
    assert (
        page.locator("#detail img, #detail b, #detail svg[onload], h1 *, iframe, [onfocus], [onmouseover]").count() == 0
    )


@pytest.mark.parametrize("kind", ["relative", "absolute"])
def test_figures_of_a_margin_are_those_of_a_sweep(open_page: Open, kind: Any) -> None:
    draw = np.random.default_rng(3)
    corpus = draw.normal(size=(200, 5)).astype(np.float32)
    corpus[100:110] = corpus[:10]  # copies of positives: equal scores stand at the cap
    queries = corpus[:40] + 0.7 * draw.normal(size=(40, 5)).astype(np.float32)
    positives = [[row] if row % 9 else [] for row in range(40)]
    miner = negmine.HardNegativeMiner(5)
    index = negmine.ExactIndex(corpus, num_threads=1)
    margins = [0.0, 0.05, 0.2, 0.5]
    sweep = miner.sweep(index, queries, positives, margins, kind, depth=30)
    negatives = dataclasses.replace(miner, range_max=30).mine(index, queries, positives)
    page = open_page(negatives, queries=["q"] * 40, documents=["d"] * 200, hash=f"#kind={kind}")
    found = [page.evaluate(f"app.margins.effect({margin}, '{kind}')") for margin in margins]
    # The page leaves out rows without a reference, as the sweep does.
    np.testing.assert_allclose([effect["perQuery"] for effect in found], sweep.negatives_per_row)
    np.testing.assert_allclose([effect["hardness"] for effect in found], sweep.hardness, atol=1e-6)
    np.testing.assert_allclose([effect["short"] for effect in found], sweep.short_rows)
    np.testing.assert_allclose([effect["unknown"] for effect in found], sweep.censored_rows)


def test_a_margin_below_the_mined_one_needs_rejected_documents(open_page: Open) -> None:
    negatives = mined(0.3, keep_rejected=None)
    page = open_page(negatives)
    assert page.evaluate("app.margins.effect(0.3, 'relative').unknown") == 0
    assert page.evaluate("app.margins.effect(0.1, 'relative').unknown") == 1
    page = open_page(mined(0.3, keep_rejected=40))
    looser = mined(0.1)
    kept = looser.scores[looser.source == negmine.mining.Source.MINED]
    effect = page.evaluate("app.margins.effect(0.1, 'relative')")
    assert effect["hardness"] == pytest.approx(float(kept.mean()), abs=1e-6)


def test_dragging_over_scores_keeps_the_rows_in_the_range(open_page: Open) -> None:
    page = open_page(mined(None))
    everything = page.inner_text("#count")
    box = page.locator("#chart-negative svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.98, box["y"] + 40, steps=4)
    page.mouse.up()
    until(page, f"document.querySelector('#count').innerText !== {everything!r}")
    page.locator("#chart-negative").focus()
    press(page, "Backspace")
    until(page, f"document.querySelector('#count').innerText === {everything!r}")


def test_dragging_the_margin_changes_the_figures_and_the_address(open_page: Open) -> None:
    page = open_page(mined(None))
    before = page.inner_text("#effect")
    box = page.locator("#chart-margin svg").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 40, steps=4)
    page.mouse.up()
    assert page.inner_text("#effect") != before
    until(page, "location.hash.includes('margin=')")
    assert page.locator(".card.out").count() > 0
    page.locator("#chart-margin").focus()
    press(page, "Backspace")
    assert page.inner_text("#effect") == before


def test_the_address_brings_a_view_back(open_page: Open) -> None:
    page = open_page(mined(keep_rejected=3))
    page.fill("#find", "thing 1")
    page.select_option("#sort", "few")
    page.locator("#chips .chip", has_text="has mined").click()
    page.locator("#list").focus()
    press(page, "ArrowDown ArrowDown m ArrowRight ArrowRight")
    until(page, "location.hash.includes('margin=') && location.hash.includes('row=')")
    address = page.url
    view = (
        "[app.state.row, app.state.sort, app.state.find, [...app.state.chips], app.state.margin, Array.from(app.rows)]"
    )
    before = page.evaluate(view)
    other = page.context.new_page()
    other.goto(address)
    other.wait_for_selector("html[data-ready]")
    after = other.evaluate(view)
    assert after[4] == pytest.approx(before[4], abs=1e-6)
    assert after[:4] + after[5:] == before[:4] + before[5:]
    assert other.input_value("#find") == "thing 1"


def test_a_wrong_address_shows_the_page(open_page: Open) -> None:
    page = open_page(mined(), hash="#sort=toString&row=-4&chips=x,y&margin=no&hub=1e9&negative=a_b&kind=__proto__")
    assert len(shown_rows(page)) == N_QUERIES


def test_orders_and_filters_are_those_of_the_arrays(open_page: Open) -> None:
    negatives = mined(None, reference="max")
    page = open_page(negatives)
    excess = np.max(np.where(negatives.source > 0, negatives.scores, -np.inf), axis=1) - negatives.reference_scores
    excess[np.isnan(excess)] = -np.inf
    assert shown_rows(page) == np.argsort(-excess.astype(np.float32), kind="stable").tolist()
    page.select_option("#sort", "few")
    assert shown_rows(page) == np.argsort(negatives.counts, kind="stable").tolist()
    page.select_option("#sort", "hubs")
    uses = np.bincount(negatives.indices[negatives.indices >= 0], minlength=N_DOCUMENTS)
    hub = np.where(negatives.indices >= 0, uses[negatives.indices], 0).max(axis=1)
    assert shown_rows(page) == np.argsort(-hub, kind="stable").tolist()
    page.select_option("#sort", "order")
    page.locator("#chips .chip", has_text="above its positive").click()
    assert shown_rows(page) == np.flatnonzero(excess > 0).tolist()
    press(page, "Escape")
    page.fill("#find", "DOCUMENT 33 says")
    until(page, f"app.rows.length < {N_QUERIES}")
    assert shown_rows(page) == np.flatnonzero((negatives.indices == 33).any(axis=1)).tolist()
    press(page, "Escape h ArrowDown")
    hubs = page.evaluate("app.model.hubs")
    assert uses[[int(page.evaluate("app.data.documentIds")[i][1:]) for i in hubs]].tolist() == sorted(
        uses[uses > 1].tolist(), reverse=True
    )
    press(page, "Enter")
    chosen = int(page.evaluate("app.data.documentIds[app.state.hub]")[1:])
    assert shown_rows(page) == np.flatnonzero((negatives.indices == chosen).any(axis=1)).tolist()


def test_the_most_changed_queries_come_first(open_page: Open) -> None:
    negatives, other = mined(None), mined(0.4)
    page = open_page(negatives, against=other)
    changes = []
    for row in range(N_QUERIES):
        now, before = ({*found.ids[row, : found.counts[row]].tolist()} for found in (negatives, other))
        changes.append(1 - len(now & before) / len(now | before) if now | before else 0.0)
    assert max(changes) > 0
    assert shown_rows(page) == np.argsort(-np.array(changes, dtype=np.float32), kind="stable").tolist()
    assert "Only in the other run" in page.inner_text("#detail")


def test_judged_negatives_are_marked(open_page: Open) -> None:
    negatives = mined()
    qrels = io.Qrels(["q3"], [negatives.ids[3, 1]], np.array([2]))
    page = open_page(negatives, qrels=qrels, hash="#chips=judged")
    assert shown_rows(page) == [3]
    assert "judged relevant, grade 2" in page.locator(".cards.negative .card").nth(1).inner_text()


def test_shared_words_are_marked(open_page: Open) -> None:
    texts = [f"plain filler {row}" for row in range(N_DOCUMENTS)]
    negatives = mined(None)
    first = int(negatives.indices[3, 0])
    texts[3], texts[first] = "the violet harbor", "violet lamps at the orchard"
    queries = query_texts()
    queries[3] = "who planted the orchard?"
    page = open_page(negatives, documents=texts, queries=queries, hash="#row=3")
    card = page.locator(".cards.negative .card").first
    assert card.locator("mark.query").all_inner_texts()[-1] == "orchard"
    assert card.locator("mark.positive").all_inner_texts()[0] == "violet"
    assert card.locator(".text").inner_text() == texts[first]


def test_light_and_dark(open_page: Open) -> None:
    page = open_page(mined())
    color = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(color)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(color)
    assert dark != light
    press(page, "t")
    assert page.evaluate(color) == light
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate(color) == light


def test_the_list_holds_only_rows_in_view_and_names_the_current_one(open_page: Open) -> None:
    negatives = mined()
    many = io.MinedRows.from_negatives(negatives)
    page = open_page(many)
    press(page, "End")
    active = page.get_attribute("#list", "aria-activedescendant")
    assert active == f"item-{N_QUERIES - 1}"
    assert page.get_attribute(f"#{active}", "aria-selected") == "true"
    page.evaluate("app.list.set(Array.from({length: 50000}, (_, i) => i % 12), 0)")
    press(page, "PageDown PageDown")
    assert page.locator(".item").count() < 60
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select, [tabindex]')]"
        ".filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.closest('label'))).length"
    )
    assert unnamed == 0


def test_no_rows(open_page: Open) -> None:
    page = open_page(mined()[:0])
    press(page, "ArrowDown ArrowRight p r m ArrowRight h ArrowDown Enter ? Escape")
    assert page.inner_text("#detail") == "No query is selected."


def test_verdicts_are_given_with_the_mouse_as_well(open_page: Open) -> None:
    page = open_page(mined(), documents=[f"document {row} {'says something ' * 200}" for row in range(N_DOCUMENTS)])
    card = page.locator(".cards.negative .card").nth(1)
    closed = card.bounding_box()["height"]
    card.hover()
    card.locator("[data-word=drop]").click()
    assert card.get_attribute("data-verdict") == "drop"
    assert page.inner_text("#export") == "Export 1 verdict"
    card.locator(".text").click()
    assert card.bounding_box()["height"] > closed
    card.locator("[data-word=drop]").click()
    assert card.get_attribute("data-verdict") is None
