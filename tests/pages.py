"""What the README and the pages show, as text."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {"README.md": (ROOT / "README.md").read_text()} | {
    path.relative_to(DOCS).as_posix(): path.read_text() for path in sorted(DOCS.rglob("*.md"))
}
"""By name below docs/."""


def examples(page: str) -> list[str]:
    """Returns the Python of a page that runs as it stands."""
    return re.findall(r"```python\n(.*?)```", PAGES[page], flags=re.DOTALL)


def fragments(page: str) -> list[str]:
    """Returns the Python of a page that needs something that is not there."""
    return re.findall(r"```py\n(.*?)```", PAGES[page], flags=re.DOTALL)


def the_one_with(what: str, found: list[str]) -> str:
    """Returns the one example that holds some text."""
    (example,) = (each for each in found if what in each)
    return example
