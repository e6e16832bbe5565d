"""How long one waits for the first update, and for the help."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from experiments.analysis.speed.section import Effort, Section

ROOT = Path(__file__).resolve().parents[3]

FIRST_UPDATE = """
import json, sys, time
import envs
from experiments.training.settings.command_line import parse
from experiments.training import console as progress
from experiments.training import program as runner
from experiments.training import loop as training
from experiments.training.settings.experiment import build
envs.make(sys.argv[3])
imported = time.time()
experiment = build(parse(sys.argv[2:]))
runner.use_compilation_cache()
program = runner.compile_program(runner.trace(experiment))
next(runner.train(program, program.init(), 1, 1))
start = float(sys.argv[1])
print(json.dumps([imported - start, time.time() - start]))
"""
"""A process of its own: what experiments/run.py computes until the first update is back."""


def measure(effort: Effort) -> Section:
    """Returns seconds from the start of a process, without and with a cache of programs."""
    rows = []
    for name in ("maze", "smax:3m"):
        with tempfile.TemporaryDirectory() as cache:
            _, cold = first_update(name, cache)
            warm = [first_update(name, cache) for _ in range(effort.repeats)]
        made, seconds = (statistics.median(column) for column in zip(*warm, strict=True))
        rows.append(
            {"what": f"{name}, first update, cold", "seconds": cold, "imports, environment": ""}
        )
        rows.append(
            {
                "what": f"{name}, first update, warm",
                "seconds": seconds,
                "imports, environment": made,
            }
        )
    helps = [run_seconds("experiments/run.py", "--help") for _ in range(effort.repeats)]
    rows.append(
        {"what": "run.py --help", "seconds": statistics.median(helps), "imports, environment": ""}
    )
    title = "Start: OAPPO, five seeds, settings of the preset"
    return Section("start", title, tuple(rows), "what", ("seconds",))


def first_update(env: str, cache: str) -> tuple[float, float]:
    """Returns seconds until an environment has been made, and until the first update is done."""
    environment = {**clean_environment(), "XDG_CACHE_HOME": cache, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", FIRST_UPDATE, str(time.time()), "--env", env]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    made, seconds = json.loads(done.stdout.splitlines()[-1])
    return made, seconds


def run_seconds(script: str, *arguments: str) -> float:
    """Returns how long a command takes."""
    start = time.perf_counter()
    command = [sys.executable, ROOT / script, *arguments]
    subprocess.run(command, env=clean_environment(), capture_output=True, check=True)
    return time.perf_counter() - start


def clean_environment() -> dict[str, str]:
    """Returns the environment without what says where compiled code is to be kept, if at all."""
    kept = ("JAX_COMPILATION_CACHE_DIR", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in kept}
