"""Curves of runs that nobody trained."""

from pathlib import Path

from experiments.analysis.paper.figures import FIGURE_3B
from experiments.analysis.paper.outcome import Series, measure
from experiments.analysis.reading import read_result
from experiments.training.folder.files import write_json
from tests.experiments.made_up_runs import SIZES, write_run


def make_series(
    directory: Path, algorithm: str, grouping_steps: int = 0, options: tuple[str, ...] = ()
) -> Series:
    """Returns the curve of a run of ten updates, 32 steps each, that is at 0.9 after nine.

    Args:
        directory: where to write the run.
        algorithm: as on the command line.
        grouping_steps: environment steps that were taken before training.
        options: further ones on the command line; of a grid the first point is taken.
    """
    argv = ["--env", "maze", *SIZES, "--algorithm", algorithm, *options]
    write_run(argv, directory, lambda *_: 10.0, episode__count=400.0)
    if grouping_steps:
        labels = [{"seed": seed, "labels": [0, 0, 1, 1]} for seed in (0, 1)]
        write_json(directory / "clusters.json", {"env_steps": grouping_steps, "seeds": labels})
    point = read_result(directory).points[0]
    return Series(algorithm, point, measure(point, FIGURE_3B))
