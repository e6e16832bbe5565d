"""What the site is made of besides its pages: files of the root, tables of options, formulas."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from docstring_parser import parse
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from experiments.training.settings.options import Run
from oatrpo_jax import ALGORITHMS, Config, Hyperparams, fixed_algorithm
from oatrpo_jax.__main__ import PROGRAMS

ROOT = Path(__file__).parents[2]

ROWS = (*ALGORITHMS.values(), fixed_algorithm([[1.0]]))
"""The rows of the table of algorithms.  That of a matrix by hand reads what OAPPO's step reads."""

FROM_THE_ROOT = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "LICENSE.txt",
    "CITATION.cff": "CITATION.cff",
}
"""Files of the repository's root, and what they are called on the site."""

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.S)
"""A formula as Markdown leaves it: TeX, within a line or on lines of its own."""

SCRIPT = re.compile(
    r"<script(?:(?!</script>).)*(?:mermaid|mathjax)(?:(?!</script>).)*</script>", re.S
)
"""What notebooks bring along for diagrams and formulas, from another host; ours have neither."""

LINK = re.compile(r'(href="(?![a-z]+:)[^"#]+)\.(?:md|ipynb)(?=["#])')
"""A link of a notebook to a page, which is left as it is written."""

NAMED_BY_FILE = re.compile(r"\[([\w-]+\.md)\](?=\(\1)")
"""A link whose text is the name of the page's file, as one likes it in a clone."""

TABLE = re.compile(r"^\{\{ (\w+) \}\}$", re.MULTILINE)
"""Where a page wants one of `TABLES`."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that lie in the root of the repository."""
    for name, shown in FROM_THE_ROOT.items():
        text = (ROOT / name).read_text()
        if name.endswith(".md"):
            text = as_on_the_site(text)
        files.append(File.generated(config, shown, content=text))
    return files


def as_on_the_site(text: str) -> str:
    """Returns a page of the root with the links that it has on the site."""
    text = text.replace("](docs/", "](")
    for name, shown in FROM_THE_ROOT.items():
        text = text.replace(f"]({name}", f"]({shown}")
    return text


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Puts the tables in, and mends links: to files of the root, and those called by a file."""
    for name, shown in FROM_THE_ROOT.items():
        markdown = markdown.replace(f"../{name}", shown)
    source = page.file.abs_src_path  # Of a page that lies in the root there is none.
    folder = Path(source).parent if source else ROOT / "docs"
    markdown = NAMED_BY_FILE.sub(lambda found: f"[{_title(folder / found[1])}]", markdown)
    return TABLE.sub(lambda found: TABLES[found[1]](), markdown)


def _title(page: Path) -> str:
    return page.read_text().partition("\n")[0].removeprefix("# ")


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns formulas into MathML, which browsers draw by themselves, and mends notebooks."""
    return FORMULA.sub(_as_mathml, LINK.sub(r"\1.html", SCRIPT.sub("", content)))


def _as_mathml(found: re.Match[str]) -> str:
    display = "block" if found[1] == "div" else "inline"
    return convert(html.unescape(found[2]).strip(), display=display)


def settings_table() -> str:
    """Returns the fields of `Config` as a table."""
    kinds = get_type_hints(Config)
    fields = dataclasses.fields(Config)
    rows = ((each, _choices(kinds[each.name], each.metadata)) for each in fields)
    return _fields_table(rows)


def coefficients_table() -> str:
    """Returns the fields of `Hyperparams` as a table."""
    fields = dataclasses.fields(Hyperparams)
    return _fields_table((each, each.metadata["range"].interval) for each in fields)


def _choices(kind: Any, metadata: Any) -> str:
    """Returns which values a field of `Config` takes."""
    if get_origin(kind) is Literal:
        return ", ".join(f"`{each}`" for each in get_args(kind))
    if kind is int:
        return f"from {metadata['least']}"
    if kind is float:
        return metadata["allowed"].interval
    return {bool: "True, False", tuple[int, ...]: "widths from 1"}[kind]


def _fields_table(rows: Iterable[tuple[dataclasses.Field[Any], str]]) -> str:
    cells = (
        (f"`{each.name}`", f"`{each.default}`", each.metadata["doc"], values, _readers(each.name))
        for each, values in rows
    )
    return _table(("name", "default", "what it is", "values", "read by"), cells)


def _readers(name: str) -> str:
    """Returns which algorithms read a setting or a coefficient, whatever else is set."""
    if name == "schedule_updates":
        return "all"  # By whatever has an end.
    config = Config(divergence="quantile", value_loss="clipped")
    reads = {each.name: name in each.reads(config, True) for each in ROWS}
    readers, others = (
        [f"`{each}`" for each in reads if reads[each] is is_read] for is_read in (True, False)
    )
    if not readers:
        raise ValueError(f"{name}: expected an algorithm that reads it; see Algorithm.reads")
    if not others:
        return "all"
    return f"all but {', '.join(others)}" if len(others) < len(readers) else ", ".join(readers)


def options_table() -> str:
    """Returns the options of a run as a table, as ``--help`` has them."""
    meanings = {each.arg_name: each.description or "" for each in parse(Run.__doc__ or "").params}
    cells = (
        (f"`--{each.name.replace('_', '-')}`", _default(each), meanings[each.name])
        for each in dataclasses.fields(Run)
    )
    return _table(("option", "default", "meaning"), cells)


def _default(option: dataclasses.Field[Any]) -> str:
    """Returns what an option is if nobody says so."""
    if option.name == "total_steps":
        return "the environment's"
    kind = get_type_hints(Run, include_extras=True)[option.name]
    hint = next((each.help_behavior_hint for each in getattr(kind, "__metadata__", ())), None)
    if hint:
        return hint.removeprefix("(default: ").removesuffix(")")
    if option.default is None:
        return "none"
    default = option.default
    return f"`{' '.join(default) if isinstance(default, tuple) else default}`"


def programs_table() -> str:
    """Returns the programs of the command line as a table."""
    return _table(("program", "what it does"), ((f"`{k}`", what) for k, what in PROGRAMS.items()))


def algorithms_table() -> str:
    """Returns the rows of the table of algorithms with the descriptions that they have."""
    cells = ((f"`{each.name}`", each.description) for each in ROWS)
    return _table(("name", "what it is"), cells)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (heads, ("---",) * len(heads), *rows)
    cells = ([" ".join(cell.replace("|", "\\|").split()) for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "coefficients": coefficients_table,
    "options": options_table,
    "programs": programs_table,
    "algorithms": algorithms_table,
}
"""What stands for ``{{ name }}`` on a line of its own."""
