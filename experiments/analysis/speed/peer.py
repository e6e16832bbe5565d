"""Our IPPO on MPE beside a stock copy of JaxMARL's ``ippo_ff_mpe.py``, wherever that lies."""

from __future__ import annotations

import runpy
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import jax

import envs
from envs.jaxmarl_import import quiet_stdout
from experiments.analysis.speed.sides import MPE, mpe_problem
from experiments.analysis.speed.timing import Effort, Section, Side, compare_rates
from experiments.training.errors import UsageError
from oatrpo_jax import Config, Hyperparams, make_train

NUM_UPDATES = 50
"""Updates of a program at the whole effort."""

NUM_COMPILED = 3
"""How often both are compiled, in turns."""

LEFT_OUT = ("wandb", "hydra", "omegaconf")
"""What the script imports to log and to read options, and does not need to train."""

Train = Callable[[jax.Array], Any]
"""key -> whatever a whole run leaves."""
MakeTrain = Callable[[dict[str, Any]], Train]
"""settings, named as the script names them -> the run."""


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Puts mocks in the place of `LEFT_OUT`, and what was there back afterwards."""
    before = {name: sys.modules.pop(name) for name in LEFT_OUT if name in sys.modules}
    sys.modules.update((name, MagicMock()) for name in LEFT_OUT)
    try:
        yield
    finally:
        for name in LEFT_OUT:
            del sys.modules[name]
        sys.modules.update(before)


def load_peer(path: Path) -> MakeTrain:
    """Returns ``make_train`` of a script, which is run; what it logs goes nowhere.

    Raises:
        UsageError: if there is no such file, if it fails, or if it has no ``make_train``.
    """
    wanted = "peer: expected a copy of JaxMARL's baselines/IPPO/ippo_ff_mpe.py"
    if not path.is_file():
        raise UsageError(f"{wanted}, got {path}, which is no file; give the path of one")
    try:
        with _stand_ins(), quiet_stdout():
            names = runpy.run_path(str(path), run_name="peer")
    except Exception as error:
        raise UsageError(
            f"{wanted}, got {path}, which fails when imported ({error!r}); give another copy, or "
            "install what it imports"
        ) from error
    if not callable(names.get("make_train")):
        raise UsageError(f"{wanted}, got {path}, which has no make_train; give another file")
    return names["make_train"]


def beside_peer(make_peer: MakeTrain, effort: Effort) -> Section:
    """Returns the rate and the time to compile of whole runs, ours beside a peer's.

    Both are one program of as many updates from the first parameters on, with the network, the
    batch and the passes of our preset.  The peer still calls the host once an update, to log.
    Seconds to compile are those from nothing in JAX's caches to a compiled program: what makes
    the environment and the run, tracing, compiling.
    """
    config, coefficients = mpe_problem(effort)
    config = replace(config, num_updates=max(1, round(NUM_UPDATES * effort.largest)))
    hparams = Hyperparams.create(**coefficients)

    def ours() -> Train:
        train = make_train(envs.make(MPE), "ippo", config)
        return lambda key: train(key, hparams)

    makers = {"stock": lambda: make_peer(peer_settings(config, hparams)), "ours": ours}
    rounds = [
        {what: whole_run(make, config) for what, make in makers.items()}
        for _ in range(min(NUM_COMPILED, effort.repeats))
    ]
    rows = compare_rates(MPE, rounds[-1], effort.repeats)
    for row in rows:
        row["compile, s"] = statistics.median(
            sides[row["what"]].compile_seconds for sides in rounds
        )
    return Section(f"MPE: IPPO beside a stock copy, {config.num_updates} updates a run", rows)


def peer_settings(config: Config, hparams: Hyperparams) -> dict[str, Any]:
    """Returns our settings under the names of JaxMARL's scripts."""
    return {
        "ENV_NAME": MPE.removeprefix("jaxmarl:"),
        "ENV_KWARGS": {},
        "NUM_ENVS": config.num_envs,
        "NUM_STEPS": config.rollout_length,
        "TOTAL_TIMESTEPS": config.num_updates * config.steps_per_update,
        "UPDATE_EPOCHS": config.num_epochs,
        "NUM_MINIBATCHES": config.num_minibatches,
        "ACTIVATION": config.activation,
        "ANNEAL_LR": False,
        "LR": float(hparams.actor_lr),
        "MAX_GRAD_NORM": float(hparams.max_grad_norm),
        "GAMMA": float(hparams.gamma),
        "GAE_LAMBDA": float(hparams.gae_lambda),
        "CLIP_EPS": float(hparams.clip_eps),
        "ENT_COEF": float(hparams.ent_coef),
        "VF_COEF": 0.5,
    }


def whole_run(make: Callable[[], Train], config: Config) -> Side:
    """Returns whole runs as a side: each from a key of its own.

    Its seconds to compile include those of ``make``, which may trace an environment, too, and find
    nothing that the side before has left in JAX's caches.
    """
    jax.clear_caches()
    start = time.perf_counter()
    train = make()
    making = time.perf_counter() - start

    def advance(key: jax.Array) -> tuple[jax.Array, Any]:
        key, run_key = jax.random.split(key)
        return key, train(run_key)

    side = Side(lambda key: key, advance, config.num_updates * config.steps_per_update)
    side.compile_seconds += making
    return side
