"""The tutorials: what is stored of them ran from top to bottom, and they still run."""

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))
MAX_BYTES = 500_000
OF_A_MACHINE = re.compile(r"/(tmp|work|home|root|Users)/")
DRAWS = re.compile(r"^(plt\.show\(|Image\(|Picture\.)", flags=re.MULTILINE)
"""How a cell shows a picture."""
WHERE_FROM = """
import sys, oatrpo_jax
print(sys.executable, oatrpo_jax.__file__, sep="\\n")
"""

each_tutorial = pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[Any]:
    """Returns the stored cells that hold code."""
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(cells: list[Any]) -> list[int]:
    """Returns how many pictures each cell shows."""
    return [sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in cells]


def test_there_are_tutorials():
    assert len(TUTORIALS) >= 6


@each_tutorial
def test_a_stored_tutorial_ran_from_top_to_bottom(path: Path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr", output


@each_tutorial
def test_a_stored_tutorial_shows_what_its_cells_display(path: Path):
    cells = code_cells(path)
    assert sum(pictures(cells)) >= 1
    for cell, count in zip(cells, pictures(cells), strict=True):
        assert count == len(DRAWS.findall(cell.source)), cell.source
        is_captured = cell.source.startswith(("%%capture", "%%writefile"))
        if not is_captured and re.search(r"^print\(", cell.source, flags=re.MULTILINE):
            assert any(output.output_type == "stream" for output in cell.outputs), cell.source


@each_tutorial
def test_a_stored_tutorial_is_small_and_tells_nothing_of_who_ran_it(path: Path):
    assert path.stat().st_size < MAX_BYTES
    for cell in code_cells(path):
        assert "execution" not in cell.metadata  # Times of day.
        for output in cell.outputs:
            shown = output.get("text", "") + output.get("data", {}).get("text/plain", "")
            assert not OF_A_MACHINE.search(shown), shown


@each_tutorial
def test_a_tutorial_begins_with_its_title_and_has_no_formulas(path: Path):
    first, *others = nbformat.read(path, as_version=4).cells
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    # The site would leave them as TeX.
    assert not [each for each in others if each.cell_type == "markdown" and "$" in each.source]


@pytest.mark.slow
@each_tutorial
def test_a_tutorial_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its own assertions hold, and it shows as many pictures as are stored."""
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # tests/conftest.py sets a backend that shows nothing, and flags that make learning slow.
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("XLA_FLAGS", "")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(WHERE_FROM))
    NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    *cells, last = (cell for cell in notebook.cells if cell.cell_type == "code")
    assert pictures(cells) == pictures(code_cells(path))
    interpreter, library = last.outputs[0].text.split()
    assert Path(interpreter) == Path(sys.executable)
    assert Path(library).is_relative_to(ROOT)
