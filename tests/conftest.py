"""What every test shares: the CPU, settings under which XLA compiles quickly, and its cache."""

import os
import resource
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oatrpo_jax" / "tests"
CACHE_BYTES = 2**30
"""Size to which the cache of compiled programs is cut before the tests begin."""
SHORT_OF_MEMORY = 1.5
"""GiB from which on a process forgets the programs of each module when it is done with it."""

# Tests compile much and compute little: without these flags they would take four times as long.
# XLA ends on a flag that it does not know, as later versions do not know the second one.
QUICK_COMPILATION = "--xla_backend_optimization_level=0"
TO_THE_BIT = {}
"""Options of `jax.jit` for programs that are to agree to the bit with other programs."""
if metadata.version("jaxlib").startswith("0.10."):
    QUICK_COMPILATION += " --xla_cpu_use_fusion_emitters=false"
    TO_THE_BIT["xla_cpu_use_fusion_emitters"] = True

SETTINGS = {
    "JAX_PLATFORMS": "cpu",
    "JAX_COMPILATION_CACHE_DIR": str(CACHE),
    # Everything is kept, and under keys that are the same in every clone of the repository.
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",
    "XLA_FLAGS": QUICK_COMPILATION,
    "MPLBACKEND": "Agg",
}
for name, value in SETTINGS.items():
    os.environ.setdefault(name, value)


def pytest_configure(config: pytest.Config) -> None:
    """Cuts the cache to its size, the oldest programs first."""
    if hasattr(config, "workerinput"):
        return  # The process that started this one has done it.
    found = [(path.stat(), path) for path in CACHE.glob("*")]
    kept = 0
    for stat, path in sorted(found, key=lambda each: each[0].st_mtime, reverse=True):
        kept += stat.st_size
        if kept > CACHE_BYTES:
            path.unlink(missing_ok=True)


@pytest.fixture(scope="module", autouse=True)
def forget_programs() -> Iterator[None]:
    """Frees what a module has compiled once memory runs short: one could fill 5 GB alone."""
    yield
    unit = 1 if sys.platform == "darwin" else 2**10  # Of the peak memory, in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if "jax" in sys.modules and peak > SHORT_OF_MEMORY * 2**30:
        sys.modules["jax"].clear_caches()
