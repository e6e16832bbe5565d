"""Slices as jobs: nothing wrong is submitted, and a job that is preempted goes on to the bit."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments import join, run, sweep
from experiments.training import jobs, submission
from experiments.training.folder.checkpoints import find_checkpoints
from experiments.training.folder.files import locked
from oatrpo_jax.installation import ROOT
from tests.experiments.trained_run import STEPS, TINY, contents, shared_programs

submitit = pytest.importorskip("submitit")
cloudpickle = pytest.importorskip("cloudpickle")

LINE = [*TINY, "--seeds", "2", "--total-steps", str(2 * STEPS), "--log", "csv"]
SEARCH = ["--search", "actor_lr=log:1e-4:1e-2", "--points", "3"]

BAD = {
    "settings": (["--gamma", "2"], "gamma"),
    "too many": (["--submit=4"], "expected at most 3 parts, as there are 3 grid points"),
    "none": (["--submit", "0"], "submit: expected at least 1, got 0"),
    "a slice": (["--slice", "0/2"], "slice: expected without --submit"),
    "a run": (["--resume-or-start"], "resume_or_start: expected without --submit"),
    "no such parameter": (["--submit-option", "colour=red"], "need to be prefixed"),
    "no GPUs here": (["--submit-option", "gpus_per_node=1"], "use --devices in one run"),
    "no such one of SLURM": (["--submit-option", "slurm_colour=1"], "Unknown argument 'colour'"),
    "its type": (["--submit-option", "name=1"], 'submit_option: Parameter "name"'),
    "a time in words": (["--submit-option", "slurm_time=4:00:00"], "got 4:00:00; give timeout_min"),
    "half a minute": (["--submit-option", "timeout_min=0.5"], "whole number for timeout_min"),
    "no pair": (["--submit-option", "soon"], "submit_option: expected NAME=VALUE, got 'soon'"),
}


@pytest.fixture(autouse=True)
def no_slurm(request: pytest.FixtureRequest, monkeypatch) -> None:
    """Lets this machine be none of SLURM's, whatever it is."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if "slurm" not in request.fixturenames:
        monkeypatch.setattr(submitit.SlurmExecutor, "affinity", classmethod(lambda _: -1))


@pytest.fixture
def submitted(monkeypatch) -> list[Any]:
    """The command lines of the jobs that would be started."""
    lines: list[Any] = []

    def hand_over(_: Any, each: Any) -> list[str]:
        lines.extend(each)
        return [f"7_{number}" for number in range(len(each))]

    monkeypatch.setattr(submission, "hand_over", hand_over)
    return lines


def refused(capfd, command: Callable[[], Any]) -> str:
    with pytest.raises(SystemExit) as exit_:
        command()
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert exit_.value.code == 2 and "Traceback" not in errors
    return errors


@pytest.mark.parametrize(("more", "expected"), BAD.values(), ids=BAD.keys())
def test_what_makes_no_sense_is_not_submitted(more, expected, submitted, tmp_path, capfd):
    count = [] if more[0].startswith("--submit") and "option" not in more[0] else ["--submit", "2"]
    argv = [*SEARCH, *LINE, "--out", str(tmp_path / "out"), *count, *more]
    assert expected in refused(capfd, lambda: sweep.main(argv))
    assert not submitted and not list(tmp_path.iterdir())


def test_it_has_to_be_said_where_and_what_is_there_stays(submitted, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert "out: expected a directory" in refused(capfd, lambda: run.main([*LINE, "--submit=2"]))
    (tmp_path / "config.json").touch()
    argv = [*LINE, "--submit=2", "--out", str(tmp_path)]
    assert "which holds a run" in refused(capfd, lambda: run.main(argv))
    argv = [*LINE, "--submit-option", "timeout_min=5"]
    assert "only with --submit" in refused(capfd, lambda: run.main(argv))
    assert not submitted and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("package", "extra"), [("submitit", "submit"), ("wandb", "wandb")])
def test_it_is_said_what_to_install(package, extra, submitted, monkeypatch, tmp_path, capfd):
    def find(name: str) -> object:
        return None if name == package else find_spec(name)

    monkeypatch.setattr("oatrpo_jax.installation.find_spec", find)
    argv = [*LINE[:-1], "wandb", "--submit=2", "--out", str(tmp_path / "out")]
    errors = refused(capfd, lambda: run.main(argv))
    assert f"the package {package}, which is not installed" in errors and f"[{extra}]" in errors
    assert not submitted and not list(tmp_path.iterdir())


def test_each_job_has_a_line_of_its_own_and_the_join_is_said(submitted, tmp_path, capfd):
    out = tmp_path / "my runs"
    more = ["--submit", "2", "--submit-option", "timeout_min=5", "mem_gb=2", "--out", str(out)]
    assert sweep.main([*SEARCH, *more, *LINE]) == 0
    for number, line in enumerate(submitted):
        assert line[0] == sys.executable and line[2].endswith("experiments/sweep.py")
        own = ["--slice", f"{number}/2", "--out", str(out / str(number)), "--resume-or-start"]
        assert line[3:] == [*SEARCH, *LINE, *own]
    text = capfd.readouterr().out
    assert "2 jobs for this machine (local): 7_0 7_1" in text and f"logs: {out}/logs" in text
    assert (
        f"join.py {shlex.quote(str(out))}/[0-9]* --out {shlex.quote(str(out / 'joined'))}" in text
    )


def test_what_is_finished_or_being_trained_gets_no_job(submitted, tmp_path, capfd):
    out = tmp_path / "out"
    argv = [*SEARCH, *LINE, "--submit", "3", "--out", str(out)]
    with shared_programs():
        assert sweep.main(submission.slice_line(argv, 0, 3, out)) == 0
    before = contents(out)
    (out / "1").mkdir()
    with locked(out / "1"):
        assert sweep.main(argv) == 0
    (line,) = submitted
    assert line[line.index("--slice") + 1] == "2/3"
    text = capfd.readouterr().out
    assert "slice 0/3 is finished: no job" in text and "slice 1/3 is being trained: no job" in text
    submitted.clear()
    with locked(out / "1"), shared_programs():
        assert sweep.main(submission.slice_line(argv, 2, 3, out)) == 0
        assert sweep.main(argv) == 0
    assert not submitted and "Nothing is left to submit" in capfd.readouterr().out
    assert before.items() <= contents(out).items()


def test_a_job_needs_nothing_of_ours_to_be_imported():
    pickles: list[Any] = []
    executor = SimpleNamespace(
        map_array=lambda job, _: pickles.append(cloudpickle.dumps(job)) or []
    )
    jobs.hand_over(executor, [["true"]])
    code = "import sys, pickle; sys.modules['experiments'] = None\n"
    code += "pickle.loads(bytes.fromhex(sys.argv[1]))(['true'])"
    subprocess.run([sys.executable, "-c", code, pickles[0].hex()], check=True)


def test_a_job_fails_with_its_program():
    with pytest.raises(subprocess.CalledProcessError):
        jobs.Training()(["false"])


@pytest.mark.parametrize(
    ("trap", "ending"), [("", signal.SIGINT), ("trap '' INT; ", signal.SIGKILL)]
)
def test_a_job_that_makes_room_ends_its_program_and_is_the_same_again(trap, ending, monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE", 0.5)
    line, job = ["sh", "-c", f"{trap}exec sleep 60"], jobs.Training()
    with ThreadPoolExecutor(1) as thread:
        end = thread.submit(job, line)
        process = wait_for(lambda: job.process)
        wait_for(lambda: said("ps", "-o", "command=", "-p", str(process.pid)) == ["sleep", "60"])
        again = job.checkpoint(line)
        assert isinstance(end.exception(), subprocess.CalledProcessError)
    assert process.returncode == -ending
    assert again.args == (line,) and again.function.process is None


def test_a_job_of_slurm_that_is_told_to_end_saves_and_waits_for_its_end(tmp_path):
    # What ends by itself in the time between SIGTERM and SIGKILL may not be queued again.
    trap = f"trap 'echo saved > {tmp_path}/saved; exit 130' INT; echo ready; "
    line = ["sh", "-c", f"{trap} while :; do sleep 0.1; done"]
    code = f"from experiments.training.jobs import Training; Training()({line!r})"
    job = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "SLURM_JOB_ID": "1", "PYTHONPATH": str(ROOT)},
    )
    try:
        assert job.stdout is not None and job.stdout.readline() == b"ready\n"
        job.terminate()
        wait_for((tmp_path / "saved").exists)
        job.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            job.wait(0.5)
    finally:
        job.kill()
        job.wait()


def said(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True).stdout.split()


def wait_for(condition: Callable[[], Any], seconds: float = 240) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.2)
    raise AssertionError("it took too long")


@pytest.mark.slow
def test_jobs_of_this_machine_go_on_after_a_preemption_and_join_to_the_bit(
    tmp_path, monkeypatch, capfd
):
    started: list[Any] = []
    hand_over = submission.hand_over

    def watched(executor: Any, lines: Any) -> list[str]:
        map_array = executor.map_array
        executor.map_array = lambda *each: started.extend(map_array(*each)) or started
        return hand_over(executor, lines)

    monkeypatch.setattr(submission, "hand_over", watched)
    long = [*TINY, "--seeds", "2", "--total-steps", str(3000 * STEPS), "--log", "csv"]
    long += ["--search", "actor_lr=1e-3,1e-4", "--method", "grid"]
    out = tmp_path / "out"
    assert sweep.main([*long, "--submit", "2", "--out", str(out)]) == 0
    # submitit's local controller hears no signal for a preemption; its task, a child, does.
    first = out / "0" / "metrics.csv"
    wait_for(lambda: first.exists() and first.stat().st_size)
    (task,) = said("pgrep", "-P", str(started[0]._process.pid))
    os.kill(int(task), signal.SIGUSR2)
    wait_for(lambda: all(job.done() for job in started))
    logs = [job.stdout() or "" for job in started]
    assert "Requeued job" in (started[0].stderr() or "") + logs[0] and "resuming" in logs[0], logs
    assert [job.result() for job in started] == [None, None]
    assert join.main([str(out / "0"), str(out / "1"), "--out", str(out / "joined")]) == 0
    assert sweep.main([*long, "--out", str(tmp_path / "whole")]) == 0
    for name in ("metrics.csv", "matrices.csv", "table.md"):
        one, other = (each / name for each in (out / "joined", tmp_path / "whole"))
        assert one.read_bytes() == other.read_bytes(), name
    assert find_checkpoints(out / "joined").keys() == {3000}
    # The same line once more has nothing left to do.
    assert sweep.main([*long, "--submit", "2", "--out", str(out)]) == 0
    assert len(started) == 2 and "Nothing is left to submit" in capfd.readouterr().out


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch) -> Path:
    """What sbatch is, where SLURM is: it keeps the script of the array that it is given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "srun").write_text("#!/bin/sh\n")
    (folder / "sbatch").write_text(f"#!/bin/sh\ncp $1 {tmp_path}/array.sh\n{SUBMITTED}")
    for path in folder.iterdir():
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder / "sbatch"


SUBMITTED = "echo Submitted batch job 12\n"


def test_slurm_gets_an_array_with_the_parameters_that_were_given(slurm, tmp_path, capfd):
    given = ["--submit-option", "slurm_partition=gpu", "timeout_min=60", "gpus_per_node=1"]
    argv = [*SEARCH, *LINE, "--submit", "2", *given, "--out", str(tmp_path / "out")]
    assert sweep.main(argv) == 0
    assert "2 jobs for SLURM: 12_0 12_1" in capfd.readouterr().out
    script = (tmp_path / "array.sh").read_text()
    asked = ("array=0-1", "partition=gpu", "time=60", "gpus-per-node=1", "signal=USR2@90")
    assert all(f"#SBATCH --{each}" in script for each in asked), script


def test_what_slurm_says_when_it_refuses_is_shown(slurm, tmp_path, capfd):
    slurm.write_text("#!/bin/sh\necho invalid partition >&2\nexit 1\n")
    argv = [*LINE, "--submit", "2", "--out", str(tmp_path / "out")]
    errors = refused(capfd, lambda: run.main(argv))
    assert "submit: the jobs were not taken" in errors and "invalid partition" in errors
