"""The report as a reader opens it: one file, in a real browser."""

import base64
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from experiments import reproduce
from experiments.analysis.paper import cache
from experiments.analysis.paper.figures import FIGURE_3B, FIGURE_AGENTS
from experiments.analysis.paper.outcome import Outcome
from experiments.analysis.paper.report import describe_matrices, save_report, summary_table
from experiments.analysis.paper.workflow import find_outcomes
from experiments.analysis.reading import read_result
from tests.browser import PROGRAM, Page
from tests.experiments.analysis.paper.made_up_series import make_series
from tests.experiments.made_up_runs import SIZES, write_run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of two figures, with a replay each."""
    root = tmp_path_factory.mktemp("results")

    def launch(*arguments: str) -> int:
        *options, _, directory = arguments
        write_run(options, Path(directory), lambda *_: 5.0)
        Image.new("RGB", (20, 20), "red").save(Path(directory) / "replay.gif")
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "_launch", launch)
        for figure in ("figure-3d", "figure-5b"):
            reproduce.main([figure, "--seeds", "2", "--budget", "0.1", "--out", str(root)])
    return root


def test_the_report_is_one_file_that_asks_for_nothing_else(root: Path):
    html = (root / "report.html").read_text()
    references = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)""", html)
    assert references and all(one.startswith(("data:image/", "#")) for one in references)
    assert "url(" not in html and "@import" not in html
    assert "default-src 'none'" in html  # A browser then refuses whatever is not in the page.


def test_the_report_holds_every_figure_table_claim_and_replay(root: Path):
    html = (root / "report.html").read_text()
    for name in ("figure-3d", "figure-5b"):
        picture = base64.b64encode((root / name / "figure.png").read_bytes()).decode()
        assert picture in html
    assert html.count("data:image/gif") == 5  # One run of the grid, four matrices.
    assert "Lambda = 0.7 and 0.4 beat 0.2 and 1." in html
    assert "lambda = 0.4 is faster than lambda = 0.2" in html
    assert "--reuse-matrix rr" in html


def test_what_a_page_says_is_text_and_never_markup(root: Path, tmp_path: Path):
    found, _ = find_outcomes(root, {}, Console(quiet=True))
    named = [replace(series, label=f"</script><b>{series.label}") for series in found.series]
    (tmp_path / "figure-3d").mkdir()
    picture = Path("figure-3d", "figure.png")
    (tmp_path / picture).write_bytes((root / picture).read_bytes())
    html = save_report(tmp_path, [replace(found, series=tuple(named))]).read_text()
    assert "lambda = 0.4" in html and "<b>" not in html
    assert html.count("</script>") == 2


def test_earlier_figures_of_other_runs_are_not_in_the_report(root: Path):
    def names() -> list[str]:
        return [outcome.figure.name for outcome in find_outcomes(root, {}, Console(quiet=True))]

    assert names() == ["figure-3d", "figure-5b"]
    made_of = root / "figure-5b" / "figure.json"
    (run,) = (root / "cache").glob("*-oappo-*/config.json")
    for path, old, new in (
        (made_of, '"RR"', '"QR"'),  # By another version, which called it otherwise.
        (run, '"seeds": [', '"seeds": [7, '),  # Went on with other settings.
    ):
        whole = path.read_text()
        assert old in whole
        path.write_text(whole.replace(old, new))
        assert names() == (["figure-3d"] if path == made_of else ["figure-5b"])
        path.write_text(whole)
    run.rename(root / "elsewhere")
    assert names() == ["figure-5b"]
    (root / "elsewhere").rename(run)


def test_a_table_has_seconds_to_the_threshold_over_sizes_and_nowhere_else(tmp_path: Path):
    series = make_series(tmp_path / "run", "oappo")
    header, row = summary_table(Outcome(FIGURE_AGENTS, (series,), (), 2))
    assert header[-3:] == [
        "steps to 0.9 of the optimum",
        "seconds to 0.9 of the optimum",
        "reached",
    ]
    # Nine of ten updates of 32 steps; 2 seconds for both seeds.
    assert row[-3:] == ["288 [288, 288]", "0.9 [0.9, 0.9]", "2 of 2"]
    header, row = summary_table(Outcome(FIGURE_3B, (series,), (), 2))
    assert header[-2:] == ["steps to 0.9 of the optimum", "reached"]
    assert row[-2:] == ["288 [288, 288]", "2 of 2"]
    assert "seconds" not in " ".join(header)


def test_the_matrices_of_a_report_are_at_the_updates_that_they_were_logged_in(tmp_path: Path):
    argv = [*SIZES, "--env", "maze", "--total-steps", "640", "--matrix-every", "6"]
    write_run(argv, tmp_path / "run", lambda *_: 20.0)
    (point,) = read_result(tmp_path / "run").points
    series: Any = SimpleNamespace(result=point.result, point=point, label="OAPPO")
    found = describe_matrices("figure", series)
    # Of 20 updates those after 1, 7, 13 and 19 are known, of 32 steps each.
    assert found["steps"] == [32, 224, 416, 608]
    assert [matrix[0][0] for matrix in found["weight"]] == [0.05, 0.35, 0.65, 0.95]


@pytest.mark.skipif(PROGRAM is None, reason="no chromium: apt-get install chromium")
def test_in_a_browser_the_slider_moves_through_training_and_nothing_complains(
    root: Path, tmp_path: Path
):
    with Page(root / "report.html", tmp_path / "profile") as page:

        def cells(name: str) -> list[float]:
            read = f"""[...document.querySelectorAll("#{name} rect")].map(
                (cell) => Number(cell.dataset.value))"""
            return page.evaluate(read)

        def move(name: str, value: str, event: str) -> str:
            return page.evaluate(
                f"""(() => {{ const input = document.getElementById("{name}");
                input.value = {value};
                input.dispatchEvent(new Event("{event}"));
                return document.getElementById("steps").textContent; }})()"""
            )

        assert page.evaluate("document.getElementById('series').length") == 8
        # After one of five updates learner 0 gives itself 0.2 and its neighbour 0.8.
        assert cells("weight")[:4] == [0.2, 0.8, 0, 0]
        assert cells("divergence") == [0.2] * 16
        assert move("moment", "2", "input") == "after 3,072 steps per seed"
        assert cells("weight")[:4] == [0.6, 0.4, 0, 0]
        assert move("moment", "input.max", "input") == "after 14,336 steps per seed"
        assert cells("weight")[:4] == [1, 0, 0, 0]
        # Black, Blue and Red has three agents and goes on for longer.
        assert move("series", "'4'", "change") == "after 14,336 steps per seed"
        assert len(cells("weight")) == 9
        # Its matrices are set by hand: nobody measured how far policies are apart.
        hidden = "document.getElementById('distances').hidden"
        assert page.evaluate(hidden)
        assert move("moment", "input.max", "input") == "after 23,552 steps per seed"
        assert move("series", "'0'", "change") == "after 14,336 steps per seed"
        assert not page.evaluate(hidden)
        loaded = "[...document.images].every((image) => image.complete && image.naturalWidth > 0)"
        assert page.evaluate(loaded)
        wide = "document.documentElement.scrollWidth <= innerWidth"
        assert page.evaluate(wide)
        assert len(base64.b64decode(page.screenshot())) > 50_000
        assert page.complaints == []


@pytest.mark.skipif(PROGRAM is None, reason="no chromium: apt-get install chromium")
def test_the_browser_would_tell_of_a_complaint(tmp_path: Path):
    page = tmp_path / "bad.html"
    page.write_text("<script>console.error('oh'); setTimeout(() => nothing())</script>")
    with Page(page, tmp_path / "profile") as opened:
        opened.evaluate("new Promise((resolve) => setTimeout(resolve, 100))")
        assert len(opened.complaints) >= 1
