"""The Python that the README and the pages show, run: all but what is marked as a fragment."""

import os
import subprocess
import sys

import pytest

from tests.pages import PAGES, ROOT, examples, fragments

TESTED_APART = "recipes.md"
"""See `tests.test_recipes`."""
SHORT = {"num_updates=60": "num_updates=2"}
"""What the README trains takes a minute; here it is a start."""

EXAMPLES = [
    pytest.param(example, id=f"{page}-{number}")
    for page in PAGES
    if page != TESTED_APART
    for number, example in enumerate(examples(page))
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs_as_it_stands(example, tmp_path):
    for long, short in SHORT.items():
        example = example.replace(long, short)
    result = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not list(tmp_path.iterdir())


def test_there_are_examples():
    assert len(EXAMPLES) == 9
    assert all(long in "".join(examples("README.md")) for long in SHORT)


@pytest.mark.parametrize("page", [page for page in PAGES if fragments(page)])
def test_a_fragment_is_python(page):
    for fragment in fragments(page):
        compile(fragment, page, "exec")
