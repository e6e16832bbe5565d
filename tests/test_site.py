"""The site: built without a warning, complete, and whole without a network."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import envs
import oatrpo_jax
from oatrpo_jax import Config, Hyperparams
from tests.browser import PROGRAM, Page

ROOT = Path(__file__).parents[1]
LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}
"""By tag, the attribute that names what a browser loads with a page."""
WIDE, NARROW = 1300, 390
"""Pixels of a window: of a desk, of a telephone."""


class References(HTMLParser):
    """Collects what a page loads, and where it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes a reference."""
        found = dict(attrs)
        if tag in LOADED and (name := found.get(LOADED[tag])):
            self.loaded.append(name)
        if tag == "a" and (name := found.get("href")):
            self.links.append(name)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``make docs`` builds."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    silent = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=silent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def pages(site: Path) -> Iterator[tuple[Path, References]]:
    """The pages, and what they refer to."""
    for path in sorted(site.rglob("*.html")):
        if path.name != "404.html":
            yield path, References(path.read_text())


def test_every_page_loads_what_is_there_and_nothing_from_elsewhere(site: Path):
    missing = {
        (path.name, name)
        for path, found in pages(site)
        for name in found.loaded
        if not name.startswith("data:")
        and not (path.parent / unquote(urlsplit(name).path)).exists()
    }
    assert not missing
    for path, _ in pages(site):
        text = path.read_text()
        assert not re.search(r"import\(?\s*[\"']https?:", text), path
        assert 'class="mermaid"' not in text, path  # The theme would load what draws a diagram.
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", path.read_text()), path


def test_every_link_leads_somewhere(site: Path):
    identifiers = {
        path: {*re.findall(r'\b(?:id|name)="([^"]+)"', path.read_text())}
        for path in site.rglob("*.html")
    }
    broken = []
    for path, found in pages(site):
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            is_there = target.is_file() or (target / "index.html").is_file()
            if not is_there or (
                parts.fragment and unquote(parts.fragment) not in identifiers.get(target, ())
            ):
                broken.append((path.name, link))
    assert not broken


def test_lists_and_tables_are_not_left_as_text(site: Path):
    left = re.compile(r"<p>(?:(?!</p>).)*\n\s*(?:\d+\. |- |\|)", flags=re.DOTALL)
    found = {path.name: left.search(path.read_text()) for path, _ in pages(site)}
    assert {name: each[0][-200:] for name, each in found.items() if each} == {}


def test_formulas_are_drawn_and_none_is_left_as_tex(site: Path):
    texts = {path.stem: path.read_text() for path, _ in pages(site)}
    assert texts["algorithm"].count("<math") >= 20
    for name, text in texts.items():
        assert "merror" not in text and 'class="arithmatex"' not in text, name


def test_the_reference_names_all_that_is_public(site: Path):
    text = "".join(path.read_text() for path in sorted((site / "reference").glob("*.html")))
    public = {*oatrpo_jax.__all__} - {"__version__", "ALGORITHMS"}
    for name in (*public, *envs.__all__):
        assert re.search(rf'id="[\w.]+\.{name}"', text), name
    for kind in (Config, Hyperparams):
        for each in dataclasses.fields(kind):
            assert f"<td><code>{each.name}</code></td>" in text


SHOWN = ("index.html", "tutorials/train.html", "algorithm.html", "reference/settings.html")


@pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("name", SHOWN)
def test_a_browser_shows_a_page(name: str, width: int, site: Path, tmp_path: Path):
    with Page(site / name, tmp_path, width=width) as page:
        assert page.evaluate("[...document.images].filter(x => !x.naturalWidth).length") == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.complaints == []
