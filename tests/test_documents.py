"""What documents say of the house: files that they name exist, and links lead somewhere."""

import re
from pathlib import Path

import pytest
from markdown.extensions.toc import slugify

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "experiments" / "README.md"}
    - {ROOT / "CHANGELOG.md"}  # It speaks of files that have gone.
)
FILE = re.compile(r"\b(?:oatrpo_jax|envs|experiments|tests|docs)/[\w./-]+\.(?:py|md|json|csv)\b")
"""A file of the repository; what a command leaves is named without such a folder."""
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
OF_NOBODY = re.compile(r"/(NAME|LIB)\b|/x\.py")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_it_names_exist(path: Path):
    named = {name for name in FILE.findall(path.read_text()) if not OF_NOBODY.search(name)}
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def headings(path: Path) -> set[str]:
    """The anchors of a page."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    return {slugify(title, "-") for title in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)}


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_its_links_lead_somewhere(path: Path):
    broken = []
    for link in LINK.findall(CODE.sub("", path.read_text())):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in headings(target)):
            broken.append(link)
    assert broken == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= 1000


def test_the_map_of_experiments_names_every_module():
    text = (ROOT / "experiments" / "README.md").read_text()
    modules = (path.stem for path in (ROOT / "experiments").rglob("*.py"))
    named = {*re.findall(r"\w+", text)}
    assert sorted(each for each in modules if each[0] != "_" and each not in named) == []


def test_each_answer_of_where_to_add_something_is_one_file():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text.partition("## Where would I add ...")[2].partition("\n## ")[0]
    answers = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(answers) >= 10
    for answer in answers:
        (name,) = re.findall(r"`([\w/]+\.py)`", answer)
        assert (ROOT / name).exists()
