"""What a program finds around it: environment variables, a device to compute on, room for files."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Literal

from experiments.training.errors import UsageError

Devices = int | Literal["all"]
"""How many devices."""


def prepare() -> None:
    """Lets nothing depend on who started the program; to be called before matplotlib is imported.

    A notebook's ``MPLBACKEND`` names a module that need not be here, and nothing is shown anyway.

    Raises:
        UsageError: if Python was told to leave docstrings out.
    """
    if sys.flags.optimize > 1:
        raise UsageError(
            "PYTHONOPTIMIZE: expected at most 1, got 2, without the docstrings that help and some "
            "libraries are made of; unset it, or leave out -OO"
        )
    os.environ["MPLBACKEND"] = "agg"
    # Where warnings are errors, a library of a library would not import.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="tensorflow_probability")


def start_jax(devices: Devices = 1, option: str = "devices") -> None:
    """Starts JAX on its devices; a CPU is made to seem several if need be, one for each core.

    Args:
        devices: how many there have to be; any number will do for all.

    Raises:
        UsageError: if it cannot compute there, is not to compile, or finds fewer.
    """
    import jax

    settings: Any = jax.config
    if settings.jax_disable_jit:
        raise UsageError(
            "JAX_DISABLE_JIT: expected not to be set, as what computes here are compiled programs; "
            "unset it"
        )
    reason = _split_cpu(devices) if devices != "all" and devices > 1 else None
    try:
        jax.numpy.zeros(()).block_until_ready()
    except (RuntimeError, AssertionError) as error:
        raise UsageError(_describe_failure(error)) from error
    there_are = jax.device_count()
    if devices == "all" or 1 <= devices <= there_are:
        return
    kind = jax.default_backend()
    which = f"{kind}: {reason}" if reason and kind == "cpu" else kind
    raise UsageError(
        f"{option}: expected from 1 to the {there_are} devices that are here ({which}), got "
        f"{devices}; give another number"
    )


def _split_cpu(devices: int) -> str:
    """Lets a CPU be so many devices, one for each core at most; returns why it is not more."""
    import jax

    settings: Any = jax.config
    flag = "xla_force_host_platform_device_count"
    if jax.distributed.is_initialized():
        return "JAX_NUM_CPU_DEVICES gives each process more"
    if flag in os.environ.get("XLA_FLAGS", "") or settings.jax_num_cpu_devices > 0:
        return "XLA_FLAGS or JAX_NUM_CPU_DEVICES says so"
    try:
        jax.config.update("jax_num_cpu_devices", min(devices, os.cpu_count() or 1))
    except RuntimeError:
        return "JAX had started with so many"
    return "one for each core"


def start_jax_elsewhere(devices: Devices = 1) -> None:
    """Starts JAX as `start_jax` does, in a process of its own, which then leaves the device."""
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return start_jax(devices)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        other.submit(start_jax, devices).result()


def _describe_failure(error: Exception) -> str:
    """Returns why JAX cannot compute, what it was asked for, and what there is."""
    import jax
    from jax.extend.backend import backends, clear_backends

    settings: Any = jax.config
    asked = settings.jax_platforms
    jax.config.update("jax_platforms", None)
    here = ", ".join(sorted(backends()))
    jax.config.update("jax_platforms", asked)
    clear_backends()
    given = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("JAX_")]
    reason = f" ({text.splitlines()[0]})" if (text := str(error)) else ""
    return (
        f"JAX cannot compute with {' '.join(sorted(given)) or 'the device it found'}{reason}. "
        f"There is: {here}. Unset what stands in the way, choose JAX_PLATFORMS=cpu, or, where JAX "
        "was not installed for the device: pip install 'jax[cuda12]', 'jax[cuda13]' or 'jax[tpu]'"
    )


def check_file(option: str, path: Path) -> None:
    """Raises a UsageError unless a file can be written there; leaves nothing behind.

    Args:
        option: the option that names it.
        path: the file, which may exist.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{option}: expected a file, got the directory {path}; name a file")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UsageError(
            f"{option}: expected a file in a directory that exists and can be written, got {path} "
            f"({error.strerror}); choose another place with --{option}"
        ) from error
