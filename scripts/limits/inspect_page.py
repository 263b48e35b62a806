"""The page of 20,000 queries is small and quick, in a real browser; so are 50,000. Needs Chromium and playwright.

Texts of 300 characters, five negatives of a pool of 50, and five rejected documents per query. Times are those of one
page on this machine: the first paint, the data read, and the median from an input to the frame that shows it. Two
verdicts are given by keyboard, exported and read.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import negmine
from negmine import demo

#: Bytes of the page of 20,000 queries.
MOST_BYTES = 20_000_000

#: Seconds: the first paint, the data read, and the frame after a letter of a search, a step of the margin, or a scroll.
LIMITS = {"first paint": 1.0, "ready": 5.0, "search": 0.2, "margin": 0.1, "scroll": 0.1, "next query": 0.1}

#: Queries of both pages.
SIZES = (20_000, 50_000)

N_DOCUMENTS, WIDTH, CHARACTERS = 120_000, 48, 300

#: Performs a step in the page and resolves to its seconds until the next frame is painted.
TIMED = """step => new Promise(resolve => {
    const begin = performance.now();
    STEP;
    requestAnimationFrame(() => setTimeout(() => resolve((performance.now() - begin) / 1000)));
})"""

STEPS = {
    "search": """const find = document.getElementById('find');
        find.value = ['wat', 'wate', 'water', 'wa', 'musi'][step % 5];
        find.dispatchEvent(new Event('input', {bubbles: true}))""",
    "margin": "app.margin(0.01 * step)",
    "scroll": "document.getElementById('list').scrollTop = 62 * 997 * (step + 1)",
    "next query": "app.move(1)",
}


def main() -> None:
    """Write both pages and measure them."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        browser = None
    if browser is None:
        print("the page was not measured: it needs Chromium (a command `chromium`) and `pip install playwright`")
        return
    failed = False
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        for n_queries in SIZES:
            path = Path(folder) / f"{n_queries}.html"
            seconds = write(path, n_queries)
            size = path.stat().st_size
            failed |= n_queries == SIZES[0] and size > MOST_BYTES
            print(
                f"{n_queries:,} queries: written in {seconds:.1f} s, {size / 1e6:.1f} MB, limit {MOST_BYTES / 1e6:.0f}"
            )
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            times = measure(chromium, path)
            chromium.close()
            for name, value in times.items():
                failed |= value > LIMITS[name]
                print(f"  {name:<12} {value * 1000:6.0f} ms, limit {LIMITS[name] * 1000:.0f}")
    sys.exit(int(failed))


def write(path: Path, n_queries: int) -> float:
    """Mine random embeddings, and write their page."""
    draw = np.random.default_rng(0)
    corpus = draw.normal(size=(N_DOCUMENTS, WIDTH)).astype(np.float32)
    queries = corpus[:n_queries] + draw.normal(size=(n_queries, WIDTH)).astype(np.float32)
    words = np.array(sorted({word for text in demo.load().documents for word in text.split()}))
    index = negmine.ExactIndex(corpus, ids=[f"doc-{row}" for row in range(N_DOCUMENTS)])
    miner = negmine.HardNegativeMiner(5, relative_margin=0.05, range_max=50)
    negatives = miner.mine(
        index,
        queries,
        np.arange(n_queries),
        query_ids=[f"query-{row}" for row in range(n_queries)],
        keep_rejected=5,
    )
    texts = {
        "queries": sentences(draw, words, n_queries, 40),
        "documents": sentences(draw, words, N_DOCUMENTS, CHARACTERS),
    }
    started = time.perf_counter()
    negmine.inspect.to_html(negatives, path, **texts)
    return time.perf_counter() - started


def sentences(draw: np.random.Generator, words: np.ndarray, n: int, length: int) -> list[str]:
    """Draw texts of words, of which some are frequent."""
    per_text = length // 7
    chosen = (len(words) * draw.random((n, per_text)) ** 2).astype(np.int64)
    return [" ".join(words[row]) for row in chosen]


def measure(chromium: Any, path: Path) -> dict[str, float]:
    """Open a page, and measure what a reader waits for."""
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", timeout=120_000)
    times = {
        "first paint": page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000,
        "ready": page.evaluate("performance.getEntriesByName('negmine-ready')[0].startTime") / 1000,
    }
    for name, step in STEPS.items():
        times[name] = statistics.median(page.evaluate(TIMED.replace("STEP", step), i) for i in range(15))
    judge(page, path.with_suffix(".jsonl"))
    if errors:
        raise RuntimeError(f"the console has errors: {errors}")
    page.close()
    return times


def judge(page: Any, file: Path) -> None:
    """Give two verdicts by keyboard alone, export them, and read them."""
    page.locator("#list").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowDown", "d", "]", "ArrowDown", "p"):
        page.keyboard.press(key)
    with page.expect_download() as download:
        page.keyboard.press("e")
    download.value.save_as(file)
    read = negmine.mining.Verdicts(file.with_suffix(".journal")).read(file)
    if read != 2:
        raise RuntimeError(f"{read} verdicts of 2 were read")
    print("  two verdicts by keyboard, exported and read")


if __name__ == "__main__":
    main()
