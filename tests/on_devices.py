"""Programs of several devices, which a process has from its start or not at all."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEVICES = 4
LIMIT_SECONDS = 600
"""To compile a few programs, and none to hang."""


def run_on_devices(*command: str, quickly: bool = True) -> None:
    """Runs Python with these arguments where a CPU is `DEVICES` devices; fails if it does.

    Args:
        command: of the program.
        quickly: compile as other tests do, and not as users' programs are compiled.
    """
    flags = f"--xla_force_host_platform_device_count={DEVICES}"
    flags = f"{os.environ['XLA_FLAGS']} {flags}" if quickly else flags
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
