"""What the page on the algorithm says of the code: functions, options and formulas."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "algorithm.md").read_text()
REFERENCES = re.compile(r"^ *Code: (.*(?:\n *`.*)*)", flags=re.MULTILINE)
"""Lines like "Code: `file`, `name`, `name`; `file`, `name`"; further ones begin with a name."""
REFERENCE = re.compile(r"`(?P<file>[\w/]+\.py)`(?P<names>(?:,\s+`[\w.]+`)+)")
DISPLAY = re.compile(r"^\$\$\n(.+?)\n\$\$$", flags=re.DOTALL | re.MULTILINE)
CODE = re.compile(r"^```.*?^```|`[^`]*`", flags=re.DOTALL | re.MULTILINE)
FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
DEPARTURES = ("The gate is strict", "The estimator", "Dual clip", "The centre of the clip")
"""Some of the sections that have to be there."""


@cache
def defined_in(path: Path) -> frozenset[str]:
    """Returns the functions and classes of a module, and methods as ``Class.method``."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    names: set[str] = set()
    for each in ast.parse(path.read_text()).body:
        if isinstance(each, kinds):
            names.add(each.name)
        if isinstance(each, ast.ClassDef):
            names |= {f"{each.name}.{it.name}" for it in each.body if isinstance(it, kinds)}
    return frozenset(names)


def references(text: str) -> Iterator[tuple[str, str]]:
    """Returns each file that a text refers to, and the name in it; a ValueError for other forms."""
    for paragraph in REFERENCES.findall(text):
        for part in re.split(r";\s+", paragraph):
            found = REFERENCE.fullmatch(part)
            if found is None:
                raise ValueError(f"expected `file`, `name`, got {part!r}")
            for name in re.findall(r"`([\w.]+)`", found["names"]):
                yield found["file"], name


def sections(text: str, level: int) -> dict[str, str]:
    """Returns what stands under each heading of a level, up to the next one of it or above."""
    mark = "#" * level
    parts = re.split(rf"^{mark} (.+)\n", text, flags=re.MULTILINE)
    bodies = (re.split(rf"^#{{1,{level}}} ", body, flags=re.MULTILINE)[0] for body in parts[2::2])
    return dict(zip(parts[1::2], bodies, strict=True))


def formulas(text: str) -> list[str]:
    """Returns every formula, displays first."""
    inline = CODE.sub("", DISPLAY.sub("", text))
    return DISPLAY.findall(text) + re.findall(r"\$([^$]+)\$", inline)


@pytest.mark.parametrize(("file", "name"), sorted(set(references(PAGE))))
def test_the_code_that_it_names_exists(file, name):
    assert name in defined_in(ROOT / file)


def test_every_mention_of_code_is_in_the_form_that_is_checked():
    assert PAGE.count("Code:") == len(REFERENCES.findall(PAGE)) >= 10


@pytest.mark.parametrize("heading", ["Eq. 6", "Eq. 7", "Eq. 8", "Eq. 9", "Algorithm 1"])
def test_each_equation_has_a_formula_and_the_code_that_computes_it(heading):
    (body,) = (
        text for name, text in sections(PAGE, 2).items() if name.partition(":")[0] == heading
    )
    assert any(references(body))
    assert re.search(r"^1\. ", body, re.MULTILINE) if "Alg" in heading else DISPLAY.search(body)


def test_every_display_is_followed_by_the_code_that_computes_it():
    between = DISPLAY.sub("$$", PAGE).split("$$")[1:]
    assert len(between) >= 8
    for text in between:
        assert any(references(re.split(r"^#", text, flags=re.MULTILINE)[0])), text


def test_each_departure_says_what_the_paper_has_what_is_done_and_why():
    found = sections(PAGE, 3)
    assert found.keys() >= {*DEPARTURES}
    for name, body in found.items():
        bullets = re.findall(r"^- \*\*([^*]+):\*\*", body, flags=re.MULTILINE)
        assert bullets == ["Paper", "Here", "Why, effect"], name


def test_every_formula_can_be_shown_as_mathml_and_on_github():
    from latex2mathml.converter import convert

    found = formulas(PAGE)
    assert len(found) > 50
    for formula in found:
        # The package puts up with what is not closed.
        for left, right in (("{", "}"), ("\\left", "\\right"), ("\\begin", "\\end")):
            assert formula.count(left) == formula.count(right), formula
        # An unknown command is left as text, with its backslash.
        assert "\\" not in re.sub(r"<math[^>]*>", "", convert(formula)), formula
        # GitHub takes backslashes before punctuation for its own, and forbids this command.
        assert not re.search(r"\\[^a-zA-Z]|\\operatorname", formula), formula


def test_no_dollar_is_left_outside_of_formulas():
    text = re.sub(r"\$[^$]+\$", "", CODE.sub("", DISPLAY.sub("", PAGE)))
    assert "$" not in text


def test_each_flag_is_an_option_of_a_run():
    from experiments.training.settings.options import COEFFICIENTS, SETTINGS, Run

    values = {**vars(Run()), **{name: each.default for name, each in SETTINGS.items()}}
    options = {*values, *COEFFICIENTS}
    options |= {f"no_{name}" for name, value in values.items() if isinstance(value, bool)}
    named = {flag.replace("-", "_") for flag in FLAG.findall(PAGE)}
    assert len(named) > 10
    assert sorted(named - options) == []


def test_what_is_checked_can_fail():
    page = "## Eq. 6: a\n\nCode: `oatrpo_jax/update.py`, `no_such`\n\n$\\nosuch$ and `$x$`\n"
    (reference,) = references(page)
    assert reference[1] not in defined_in(ROOT / reference[0])
    assert formulas(page) == ["\\nosuch"]
    assert FLAG.findall("`--no-such-flag` a--b |---|") == ["no-such-flag"]
    with pytest.raises(ValueError, match="expected"):
        list(references("Code: `oatrpo_jax/update.py`: `update_learner`\n"))
