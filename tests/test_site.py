"""The site: complete, without a request to elsewhere, and usable by everybody."""

import functools
import http.server
import re
import shutil
import threading
from html.parser import HTMLParser

import pytest

from cnnlab.runtime import repository_root
from tools import site

pytest.importorskip("sphinx")
PAGES = ("index", "summary", "Task-1/Task-1", "Task-2/Task-2", "Task-3/Task-3", "visualizer", "api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}


class Loads(HTMLParser):
    """Collects what a page loads, and the images without an alternative text."""

    def __init__(self):
        super().__init__()
        self.urls, self.silent = [], []

    def handle_starttag(self, tag, attributes):
        """Note what an element loads."""
        found = dict(attributes)
        if tag in LOADED and found.get(LOADED[tag]):
            self.urls.append(found[LOADED[tag]])
        if tag == "img" and not found.get("alt"):
            self.silent.append(found.get("src"))


@pytest.fixture(scope="module")
def built():
    root = repository_root()
    assert site.build(root) == 0
    return root / "run" / "site"


def test_every_page_is_there_and_loads_nothing_from_elsewhere(built):
    assert all((built / f"{page}.html").is_file() for page in PAGES)
    for file in built.rglob("*.html"):
        loads = Loads()
        loads.feed(file.read_text(encoding="utf-8"))
        assert not [url for url in loads.urls if re.match(r"(https?:)?//", url)], file
        assert not loads.silent, file
        for url in loads.urls:
            path = url.partition("?")[0].partition("#")[0]
            assert url.startswith("data:") or (file.parent / path).exists(), (file, url)
    assert (built / "explorer" / "models" / "task2.js").is_file()


def test_figures_have_their_captions(built):
    text = (built / "Task-3" / "Task-3.html").read_text(encoding="utf-8")
    texts = re.findall(r'<img alt="([^"]*)"', text)
    told = [words for words in texts if words.startswith("Figure")]
    assert len(told) > 0.9 * len(texts) > 10


def test_tables_that_cells_wrote_are_tables(built):
    for number in (1, 2, 3):
        text = (built / f"Task-{number}" / f"Task-{number}.html").read_text(encoding="utf-8")
        assert "<table" in text and "<p>|" not in text


def test_links_to_what_the_site_does_not_have_are_only_words():
    root = repository_root()
    text = "[a](Makefile) [b](Task-1/README.md#x) [c](Task-1) [d](https://e.org) ![e](no.png)"
    made = site._without_dead_links(text, root / "README.md", root)
    assert made == (
        "a [b](Task-1/README.md#x) [c](Task-1/README.md) [d](https://e.org) ![e](no.png)"
    )


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_in_a_browser(built, scheme):
    playwright = pytest.importorskip("playwright.sync_api")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    said, grave = [], []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
        silent = browser.new_page(color_scheme=scheme)
        silent.on("console", lambda message: said.append(message.text))
        for name in PAGES:
            silent.goto(f"file://{built}/{name}.html")
            page.goto(f"file://{built}/{name}.html")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
            found = axe.Axe().run(page, options={"preload": False}).response["violations"]
            grave += [
                (name, one["id"], node["html"][:200])
                for one in found
                if one["impact"] in ("serious", "critical")
                for node in one["nodes"][:1]
            ]
        browser.close()
    assert grave == []
    assert said == []


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_the_search_finds(built):
    playwright = pytest.importorskip("playwright.sync_api")
    folder = functools.partial(http.server.SimpleHTTPRequestHandler, directory=built)
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), folder) as server,
        playwright.sync_playwright() as started,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = started.chromium.launch(executable_path=CHROMIUM).new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/search.html?q=Grad-CAM")
        page.wait_for_selector("#search-results li a")
        server.shutdown()
