"""Training on several devices: each number of them in a process of its own, in turns."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
from pathlib import Path

import jax

from experiments.analysis.speed.timing import Effort, Row, Section, run_command
from experiments.training.folder.files import read_json

NUM_LANES = 4
"""Seeds that are spread, or of which each is trained by all devices."""

WHAT = {
    f"{NUM_LANES} lanes apart": ("--seeds", str(NUM_LANES), "--devices"),
    "environments of 1 lane apart": ("--seeds", "1", "--env-devices"),
}


def devices(effort: Effort) -> Section:
    """Returns run.py's environment steps per second on 1, 2 and 4 devices, over those on one.

    A CPU seems to be as many; more than it has cores gain nothing.
    """
    there_are = 4 if jax.default_backend() == "cpu" else jax.device_count()
    numbers = effort.series(*(number for number in (1, 2, 4) if number <= there_are))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for what, options in WHAT.items():
            rounds = [
                {number: _rate(effort, (*options, str(number)), folder) for number in numbers}
                for _ in range(min(3, effort.repeats))
            ]
            for number in numbers:
                ratios = [rates[number] / rates[1] for rates in rounds]
                rows.append(
                    {
                        "what": what,
                        "devices": number,
                        "steps/s": statistics.median(rates[number] for rates in rounds),
                        "over 1 device": statistics.median(ratios),
                        "least": min(ratios),
                        "most": max(ratios),
                    }
                )
    return Section("Devices: OAPPO on the maze, steps per second of all lanes together", rows)


def _rate(effort: Effort, options: tuple[str, ...], folder: str) -> float:
    """Returns the environment steps per second of a run; programs are kept in the folder."""
    config = effort.config
    total_steps = max(2, round(5 * effort.largest)) * config.steps_per_update
    sizes = ("--num-envs", config.num_envs, "--rollout-length", config.rollout_length)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        arguments = ("--env", "maze", *sizes, "--total-steps", total_steps, "--log", "csv")
        command, environment = run_command([*map(str, arguments), *options, "--out", out], folder)
        flags = f"--xla_force_host_platform_device_count={options[-1]}"
        environment |= {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}"}
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        return float(read_json(Path(out) / "summary.json")["env_steps_per_second"])
