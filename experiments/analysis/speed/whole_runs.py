"""What bench.py measures of whole runs, each in a process of its own: a section each."""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import jax

from experiments.analysis.speed.timing import Effort, Row, Section
from experiments.training.folder.files import read_json
from experiments.training.settings.defaults import get_preset
from oatrpo_jax import Config

NUM_LANES = 4
"""Seeds that are spread, or of which each is trained by all devices."""

WHAT = {
    f"{NUM_LANES} lanes apart": ("--seeds", str(NUM_LANES), "--devices"),
    "environments of 1 lane apart": ("--seeds", "1", "--env-devices"),
}

WAITED_FOR = ("tracing", "update 1/1")
"""What run.py says as soon as it has an environment, and after the first update."""


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
        command, environment = _run_command([*map(str, arguments), *options, "--out", out], folder)
        flags = f"--xla_force_host_platform_device_count={options[-1]}"
        environment |= {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}"}
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        return float(read_json(Path(out) / "summary.json")["env_steps_per_second"])


def start(effort: Effort) -> Section:
    """Returns how long one waits for run.py's first update, and for its help."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("maze", "smax:3m"):
            steps = Config(**get_preset(name, "oappo").config).steps_per_update
            arguments = ["--env", name, "--total-steps", str(steps), "--out"]
            waits = [
                seconds_of_run([*arguments, f"{folder}/{name}-{number}"], folder, *WAITED_FOR)
                for number in range(1 + effort.repeats)
            ]
            traced, updated = (statistics.median(each) for each in zip(*waits[1:], strict=True))
            rows += [
                {"what": f"{name}, first update, cold", "seconds": waits[0][1]},
                {"what": f"{name}, first update, warm", "seconds": updated},
                {"what": f"{name}, of that until there is an environment", "seconds": traced},
            ]
        helps = [seconds_of_run(["--help"], folder, "usage")[0] for _ in range(effort.repeats)]
        rows.append({"what": "run.py --help", "seconds": statistics.median(helps)})
    return Section("Start: OAPPO, five seeds, warm with compiled programs in the cache", rows)


def seconds_of_run(arguments: Sequence[str], folder: str, *words: str) -> list[float]:
    """Returns seconds from the start of run.py until it says each of the words; then ends it.

    Compiled programs are kept in the folder.

    Raises:
        RuntimeError: if it ends before.
    """
    command, environment = _run_command(arguments, folder)
    seconds, start = [], time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for word in words:
            if not any(word in line for line in process.stdout or ()):
                raise RuntimeError(f"{shlex.join(command)}: ended before it said {word!r}")
            seconds.append(time.perf_counter() - start)
        process.kill()
    return seconds


def _run_command(arguments: Sequence[str], folder: str) -> tuple[list[str], dict[str, str]]:
    """Returns what starts run.py, and in which environment: compiled programs stay in a folder."""
    left_out = ("JAX_COMPILATION_CACHE_DIR", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    command = [sys.executable, str(Path(__file__).parents[2] / "run.py"), *arguments]
    return command, environment | {"XDG_CACHE_HOME": folder}
