"""Processes that train together, as SLURM would start them, all on this machine."""

import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT_SECONDS = 300
"""To compile a program, and none to hang."""


class Started:
    """Processes, what they print, and where they may leave what is thrown away."""

    def __init__(self, processes: Sequence[subprocess.Popen], folder: Path) -> None:
        self.processes, self._folder = processes, folder

    def wait(self) -> list[int]:
        """Returns their exit codes."""
        return [process.wait(LIMIT_SECONDS) for process in self.processes]

    def said(self, number: int) -> str:
        """Returns what a process has printed, in one line."""
        text = (self._folder / f"{number}.txt").read_text().replace("│", " ")
        return " ".join(text.split())

    def left_over(self) -> list[str]:
        """Returns the temporary directories that are still there."""
        return [path.name for path in (self._folder / "tmp").glob("oatrpo_jax-*")]


@contextmanager
def started(
    folder: Path, *of_each: Sequence[str], quickly: bool = True, **variables: str
) -> Iterator[Started]:
    """Runs Python with these arguments, a process for each; those that still run at the end die.

    Args:
        folder: a new one, for what they print and for temporary files.
        of_each: the arguments of each process.
        quickly: compile as other tests do, and not as users' programs are compiled.
        variables: further ones of their environment.
    """
    (folder / "tmp").mkdir(parents=True)
    job = _free_job()
    processes: list[subprocess.Popen] = []
    with ExitStack() as stack:
        for number, arguments in enumerate(of_each):
            env = {
                **os.environ,
                "TMPDIR": str(folder / "tmp"),
                "JAX_COORDINATOR_BIND_ADDRESS": f"127.0.0.1:{_port(job)}",
                "SLURM_JOB_ID": str(job),
                "SLURM_STEP_NODELIST": "127.0.0.1",
                "SLURM_NTASKS": str(len(of_each)),
                "SLURM_PROCID": str(number),
                "SLURM_LOCALID": str(number),
                **variables,
            }
            if not quickly:
                del env["XLA_FLAGS"]
            file = stack.enter_context((folder / f"{number}.txt").open("w"))
            command = [sys.executable, *arguments]
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=file, stderr=file)
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        yield Started(processes, folder)


def _free_job() -> int:
    """Returns the number of a job whose port nobody uses."""
    while True:
        job = random.randrange(2**30)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", _port(job)))
            except OSError:
                continue
            return job


def _port(job: int) -> int:
    """Returns the port that JAX takes for the coordinator of a job."""
    return job % 2**12 + 2**16 - 2**12
