"""Every program reads whole numbers alike."""

import pytest

from experiments import evaluate, reproduce, sweep


@pytest.mark.parametrize(
    "number",
    [
        lambda text: sweep.read(["--search", "gamma=0.9,1", "--points", text]).sweep["points"],
        lambda text: sweep.read(["--search", "gamma=0.9,1", "--seeds", text]).run.seeds,
        lambda text: evaluate.read(["runs/a", "--episodes", text]).episodes,
        lambda text: evaluate.read(["runs/a", "--max-steps", text]).max_steps,
        lambda text: reproduce.read(["figure-3b", "--seeds", text]).seeds,
    ],
    ids=["points", "seeds", "episodes", "max_steps", "seeds of a figure"],
)
def test_a_hundred_is_a_hundred_however_it_is_written(number, capsys):
    assert [number(text) for text in ("100", "1e2", "1_00")] == [100, 100, 100]
    with pytest.raises(SystemExit):
        number("1e-2")
    assert "whole number" in " ".join(capsys.readouterr().err.replace("│", " ").split())
