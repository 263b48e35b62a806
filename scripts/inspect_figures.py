"""Take the pictures of docs/inspect.md: the page of the demo set, light and dark. Needs Chromium and playwright."""

from __future__ import annotations

import io as buffers
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import negmine
from negmine import demo, inspect, io

FIGURES = Path(__file__).parents[1] / "docs" / "figures"

#: A query with false negatives, and a margin that is tried.
HASH = "#sort=order&chips=judged&margin=0.12"


def main() -> None:
    """Write the page, open it in both color schemes, and keep small pictures."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        write(path)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or "chromium-browser", args=["--no-sandbox"]
        )
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme=scheme)
            page.goto(f"{path.as_uri()}{HASH}")
            page.wait_for_selector("html[data-ready]")
            judge(page)
            picture = Image.open(buffers.BytesIO(page.screenshot())).convert("RGB")
            picture.quantize(96, dither=Image.Dither.NONE).save(FIGURES / f"inspect-{scheme}.png", optimize=True)
            page.close()
        browser.close()


def write(path: Path) -> None:
    """Mine the demo set with one known meaning per noun; the other meanings are the judgments."""
    data = demo.load()
    query_ids = [f"query-{row}" for row in range(len(data.queries))]
    index = negmine.ExactIndex(data.document_embeddings, ids=data.names)
    miner = negmine.HardNegativeMiner(5, relative_margin=0.05, range_max=40)
    negatives = miner.mine(index, data.query_embeddings, data.labeled, query_ids=query_ids, keep_rejected=10)
    queries = data.positives.queries()
    qrels = io.Qrels(
        [query_ids[row] for row in queries],
        [data.names[row] for row in data.positives.items],
        np.ones(len(queries), dtype=np.int64),
    )
    texts = {"queries": data.queries, "documents": data.documents}
    inspect.to_html(negatives, path, **texts, qrels=qrels, title="Nouns and their meanings")


def judge(page: Page) -> None:
    """Walk to a query by keyboard, and give two verdicts."""
    for key in ["ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown", "p", "ArrowDown", "k", "ArrowDown"]:
        page.keyboard.press(key)
    page.wait_for_timeout(300)


if __name__ == "__main__":
    main()
