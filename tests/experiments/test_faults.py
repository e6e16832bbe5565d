"""Faults that a run survives: kills at any moment, damage, a full disk, two processes."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import run
from experiments.training.errors import UsageError
from experiments.training.folder.checkpoints import find_checkpoints
from experiments.training.folder.files import LOCK
from experiments.training.team import load_team
from oatrpo_jax import Trainer
from oatrpo_jax.checkpoint import to_host
from tests.experiments.trained_run import read_checkpoint

ROOT = Path(__file__).parents[2]
SMALL = "--env maze --env-option num_per_colour=1 time_limit=8 --num-envs 4 --hidden-sizes 8"
SMALL = [*SMALL.split(), "--rollout-length", "8", "--seeds", "2"]
EVALUATED = [*SMALL, "--checkpoint-every", "10", "--eval-every", "25", "--eval-episodes", "4"]
STEPS = 32
"""Of one update: 4 environments x 8 steps."""
TOTAL = 1500
"""Updates of a whole run: seconds of training beside the time that starting takes."""
NUM_KILLS = 20
TIMINGS = {"compile_seconds", "run_seconds", "env_steps_per_second"}

pytestmark = pytest.mark.slow


def start(
    directory: Path, num_updates: int = TOTAL, max_file_size: int | None = None
) -> subprocess.Popen:
    """Starts the run, or goes on with it where there is one; larger files may fail."""
    steps = ["--total-steps", str(num_updates * STEPS)]
    if (directory / "config.json").exists():
        argv = ["--resume", str(directory), *steps]
    else:
        argv = [*EVALUATED, *steps, "--out", str(directory)]
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), *argv]
    if max_file_size is not None:
        blocks = str(max_file_size // 512)  # The unit of POSIX.
        command = ["sh", "-c", 'ulimit -f "$0"; exec "$@"', blocks, *command]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def finish(process: subprocess.Popen) -> str:
    """Returns what a process says on stderr, once it has ended well."""
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors, errors
    return errors


def wait_for(process: subprocess.Popen, is_so: Any) -> bool:
    """Waits until something is so; returns False if the process ends before."""
    while process.poll() is None:
        if is_so():
            return True
        time.sleep(0.001)  # Another process: there is nothing to wait on but its files.
    return False


def is_saving(directory: Path) -> bool:
    return any((directory / "checkpoints").glob("*-tmp"))


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that nothing interrupted."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    finish(start(directory))
    return directory


def assert_same(directory: Path, whole: Path) -> None:
    for name in ("metrics.csv", "matrices.csv", "evaluation.csv"):
        assert (directory / name).read_bytes() == (whole / name).read_bytes(), name
    ours, theirs = read_checkpoint(directory), read_checkpoint(whole)
    assert ours.num_updates == theirs.num_updates == TOTAL
    left, right = to_host(ours.state), to_host(theirs.state)
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].tobytes() == right[name].tobytes(), name
    summaries = (json.loads((d / "summary.json").read_text()) for d in (directory, whole))
    one, other = ({k: v for k, v in s.items() if k not in TIMINGS} for s in summaries)
    assert one == other


def kill(directory: Path, phase: str, rng: random.Random) -> str | None:
    """Starts the run and kills it; returns where it was, or None if it had ended."""
    metrics, before = directory / "metrics.csv", size(directory / "metrics.csv")
    process = start(directory)
    if phase == "starting":  # Importing, tracing, compiling: some seconds.
        deadline = time.monotonic() + rng.uniform(0, 10)
        wait_for(process, lambda: time.monotonic() > deadline or size(metrics) != before)
    else:
        wait_for(process, lambda: size(metrics) != before)
        deadline = time.monotonic() + rng.uniform(0, 1)
        wait_for(process, lambda: time.monotonic() > deadline)
    if phase != "starting":  # It saves most of the time: by chance, training may never be met.
        wait_for(process, lambda: is_saving(directory) == (phase == "saving"))
    process.kill()
    process.communicate(timeout=60)
    if process.returncode != -signal.SIGKILL:
        return None
    is_caught = phase != "starting" and is_saving(directory)
    return "saving" if is_caught else phase


def test_a_run_killed_twenty_times_ends_as_if_it_never_was(whole: Path, tmp_path: Path):
    rng, directory, killed = random.Random(0), tmp_path / "run", Counter[str]()
    phases = ["starting", "training", "saving"] * NUM_KILLS
    for phase in phases:
        where = kill(directory, phase, rng)
        if where is None:  # It was faster than the signal: kill a fresh one.
            finish(start(directory))
            assert_same(directory, whole)
            directory = directory.with_name(directory.name + "-more")
            continue
        killed[where] += 1
        if killed.total() == NUM_KILLS:
            break
    finish(start(directory))
    assert_same(directory, whole)
    assert killed.total() == NUM_KILLS
    assert {"starting", "training", "saving"} == set(killed)
    print(f"killed {NUM_KILLS} times: {dict(killed)}; lost: 0")


def damage(path: Path, kind: str, rng: random.Random) -> None:
    """Damages a file of a checkpoint, chosen at random."""
    file = rng.choice(sorted(p for p in path.rglob("*") if p.is_file() and p.stat().st_size))
    content = bytearray(file.read_bytes())
    if kind == "deleted":
        file.unlink()
    elif kind == "truncated":
        file.write_bytes(content[: rng.randrange(len(content))])
    else:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        file.write_bytes(content)


@pytest.mark.parametrize("kind", ["truncated", "flipped", "deleted"])
def test_damaged_files_never_pass_for_sound(kind: str, whole: Path, tmp_path: Path, capfd):
    sound = {}
    for number, path in find_checkpoints(whole).items():
        alone = tmp_path / f"sound-{number}"
        shutil.copytree(path, alone / "checkpoints" / path.name)
        shutil.copy(whole / "config.json", alone)
        sound[number] = to_host(read_checkpoint(alone).state)
    newest = max(sound)
    rng, used = random.Random(1), Counter[int]()
    for trial in range(30):
        directory = tmp_path / str(trial)
        shutil.copytree(whole / "checkpoints", directory / "checkpoints")
        shutil.copy(whole / "config.json", directory)
        damage(find_checkpoints(directory)[newest], kind, rng)
        loaded = read_checkpoint(directory)
        used[loaded.num_updates] += 1
        state = to_host(loaded.state)
        expected = sound[loaded.num_updates]
        assert all(state[name].tobytes() == expected[name].tobytes() for name in expected)
    assert used[newest] < 30
    assert "Traceback" not in capfd.readouterr().err
    with capfd.disabled():
        print(f"{kind}: 30 tried, {30 - used[newest]} noticed, {used[newest]} without effect")


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """Makes a directory a file system of 4 MiB, where the system lets us."""
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(directory)]
    is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield
    finally:
        if is_mounted:
            subprocess.run(["umount", str(directory)], check=True)


def fill(path: Path, keep: int) -> None:
    """Writes a file until only ``keep`` bytes are free."""
    with path.open("wb") as file, contextlib.suppress(OSError):
        while os.statvfs(path).f_bavail * os.statvfs(path).f_frsize > keep:
            file.write(bytes(4096))
            file.flush()


def test_a_full_disk_costs_nothing_but_time(whole: Path, tmp_path: Path):
    with small_disk(tmp_path / "disk"):
        directory, filler = tmp_path / "disk" / "run", tmp_path / "disk" / "filler"
        finish(start(directory, 100))
        if os.path.ismount(tmp_path / "disk"):
            fill(filler, keep=64 * 1024)
            process = start(directory)
        else:
            process = start(directory, max_file_size=size(directory / "metrics.csv") + 1024)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 1, errors
        assert "Traceback" not in errors, errors
        assert "--resume" in errors
        print(errors)
        assert read_checkpoint(directory).num_updates >= 100
        filler.unlink(missing_ok=True)
        finish(start(directory))
        assert_same(directory, whole)


def test_a_second_process_is_refused_and_a_dead_one_taken_over(whole: Path, tmp_path: Path):
    directory = tmp_path / "run"
    first = start(directory)
    assert wait_for(first, lambda: size(directory / "metrics.csv"))
    second = start(directory)
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"in use by process {first.pid}" in " ".join(errors.replace("│", " ").split())
    assert first.poll() is None
    first.kill()
    first.communicate()
    assert (directory / LOCK).read_text() == str(first.pid)
    assert f"process {first.pid}" in finish(start(directory))
    assert_same(directory, whole)


def test_a_state_that_is_not_finite_is_never_gone_on_from(tmp_path: Path, monkeypatch, capfd):
    step = Trainer.step

    def poisoned(trainer: Trainer, state: Any, hparams: Any) -> Any:
        is_due = state.num_updates == 24  # Counted before: this is update 25.
        state, metrics = step(trainer, state, hparams)

        def spoil(x: jax.Array) -> jax.Array:
            return jnp.where(is_due, jnp.full_like(x, jnp.nan), x)

        critics = state.learner.critics
        critics = critics._replace(params=jax.tree.map(spoil, critics.params))
        return state._replace(learner=state.learner._replace(critics=critics)), metrics

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", poisoned)
        steps = ["--total-steps", str(40 * STEPS)]
        # Checkpoints after 5, 10, ... 25: the last one is spoilt, though no metric tells yet.
        argv = [*SMALL, *steps, "--checkpoint-every", "5", "--out", str(out)]
        assert run.main(argv) == 1
    errors = capfd.readouterr().err
    assert "checkpoint of update 25 could not be saved" in errors
    assert "is not finite in update 26" in errors
    assert "newest checkpoint is of update 20" in errors
    assert all(
        np.isfinite(a).all() for a in to_host(read_checkpoint(out).state.train.learner).values()
    )
    assert run.main(["--resume", str(out)]) == 0
    assert json.loads((out / "summary.json").read_text())["completed"]


def test_a_first_checkpoint_that_cannot_be_saved_stops_the_run_at_once(tmp_path: Path):
    process = start(tmp_path / "run", max_file_size=20_000)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "nothing can be saved there" in errors
    assert not size(tmp_path / "run" / "metrics.csv")
    with pytest.raises(UsageError, match="holds no checkpoint"):
        load_team(tmp_path / "run")
