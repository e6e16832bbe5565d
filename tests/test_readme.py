"""What the README and the pages on memory, continuous actions and several devices show, run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
EXPORTED, LOADED = re.findall(r"```py\n(.*?)```", README.read_text(), flags=re.DOTALL)
"""What is shown of an exported team, and of a run that is loaded; `tests.newcomer` runs both."""
PAGES = (
    README,
    *(README.parent / "docs" / name for name in ("memory.md", "continuous.md", "scaling.md")),
)
EXAMPLES = [
    example
    for page in PAGES
    for example in re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[0])
def test_an_example_runs_as_it_stands(example):
    result = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr


def test_there_are_examples():
    assert len(EXAMPLES) == 6


def test_the_lines_on_exported_teams_are_those_that_are_tested():
    assert EXPORTED in (README.parent / "docs" / "evaluation.md").read_text()
