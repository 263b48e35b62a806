"""The built site in headless Chromium: it asks for nothing from elsewhere, every link leads somewhere, search finds."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

TARGET = Path(__file__).parents[2] / "target"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")]

#: What a page has: the targets of its links, what they may lead to, and pictures that are shown but did not load.
CONTENTS = """() => ({
    links: Array.from(new Set(Array.from(document.querySelectorAll("a[href]"), link => link.href))),
    anchors: Array.from(document.querySelectorAll("[id], a[name]"), entry => entry.id || entry.name),
    broken: Array.from(document.images).filter(image => image.checkVisibility() && !image.naturalWidth).map(i => i.src),
})"""


#: Where the site lies on its server; the page of missing addresses names its files from there.
PREFIX = "/negmine/"


class Pages(http.server.SimpleHTTPRequestHandler):
    """A server of the files of a folder under the prefix, which logs nothing."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.removeprefix(PREFIX) if path.startswith(PREFIX) else "nothing")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module", params=["site", "site-zensical"])
def site(request: pytest.FixtureRequest) -> Iterator[tuple[Path, str]]:
    """Serve the pages of a builder; the folder, and the address."""
    folder = TARGET / request.param
    if not folder.exists():
        pytest.skip("`make site` builds the site")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Pages, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}{PREFIX}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(site: tuple[Path, str], request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page of a browser; afterwards, every request went to the server and succeeded, and nothing was wrong."""
    faults: list[str] = []
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        scheme = getattr(request, "param", "light")
        context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.on("request", lambda asked: asked.url.startswith((site[1], "blob:")) or faults.append(asked.url))
        page.on("response", lambda given: given.ok or given.status == 304 or faults.append(given.url))
        # A request that the next page cuts short is no fault.
        page.on("requestfailed", lambda failed: "ABORTED" in failed.failure or faults.append(failed.url))
        page.on("pageerror", lambda error: faults.append(f"an error: {error}"))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        yield page
        browser.close()
    assert faults == []


@pytest.mark.timeout(1800)
def test_every_page_is_read_without_a_request_elsewhere_and_its_links_lead_somewhere(
    site: tuple[Path, str], page: Any
) -> None:
    folder, address = site
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.html"))
    assert len(names) > 60
    contents = {}
    for name in names:
        page.goto(address + name.removesuffix("index.html"))
        contents[page.url] = page.evaluate(CONTENTS)
    dead = set()
    for name, content in contents.items():
        assert content["broken"] == [], name
        for link in content["links"]:
            target, anchor = urldefrag(link)
            if target.startswith(address):
                there = contents.get(
                    target, {"anchors": []} if (folder / target.removeprefix(address)).is_file() else None
                )
                if there is None or (anchor and unquote(anchor) not in there["anchors"]):
                    dead.add((name, link))
    assert dead == set()


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_the_search_finds_a_name_of_the_reference(site: tuple[Path, str], page: Any) -> None:
    page.goto(site[1], wait_until="networkidle")
    for _ in range(100):  # the scripts of the page listen to keys some time after it has loaded
        if page.evaluate("document.activeElement !== document.body"):
            break
        page.keyboard.press("/")
        page.wait_for_timeout(100)
    page.keyboard.type("HardNegativeMiner", delay=20)
    found = page.locator('a[href*="h=HardNegativeMiner" i][href$="#negmine.HardNegativeMiner"]').first
    found.wait_for(state="attached")  # one of the builders folds further results on a page
    page.goto(found.evaluate("link => link.href"))
    assert "negmine.HardNegativeMiner" in page.locator('[id="negmine.HardNegativeMiner"]').first.inner_text()
