"""What a program finds around it: environment variables, a device to compute on, room for files."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from experiments.training.errors import UsageError


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


def start_jax() -> None:
    """Starts JAX on its device.

    Raises:
        UsageError: if it cannot compute there, or is not to compile.
    """
    import jax

    settings: Any = jax.config
    if settings.jax_disable_jit:
        raise UsageError(
            "JAX_DISABLE_JIT: expected not to be set, as what computes here are compiled programs; "
            "unset it"
        )
    try:
        jax.numpy.zeros(()).block_until_ready()
    except (RuntimeError, AssertionError) as error:
        raise UsageError(_describe_failure(error)) from error


def start_jax_elsewhere() -> None:
    """Starts JAX as `start_jax` does, in a process of its own, which then leaves the device."""
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return start_jax()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        other.submit(start_jax).result()


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
