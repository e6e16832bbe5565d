"""The Python that the README and the pages show, run: all but what is marked as a fragment."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {
    path.name: path.read_text() for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
}
TESTED_APART = "recipes.md"
"""See `tests.test_recipes`."""


def examples(page: str) -> list[str]:
    """Returns the examples of a page, which run as they stand."""
    return re.findall(r"```python\n(.*?)```", PAGES[page], flags=re.DOTALL)


def fragments(page: str) -> list[str]:
    """Returns the examples of a page that need something that is not there."""
    return re.findall(r"```py\n(.*?)```", PAGES[page], flags=re.DOTALL)


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(example, id=f"{page}-{number}")
        for page in PAGES
        if page != TESTED_APART
        for number, example in enumerate(examples(page))
    ],
)
def test_an_example_runs_as_it_stands(example):
    result = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr


def test_there_are_examples():
    assert sum(len(examples(page)) for page in PAGES) == 11
