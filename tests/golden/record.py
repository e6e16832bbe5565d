"""Golden metrics: what every algorithm computes on two tiny problems, number for number.

``python -m tests.golden.record`` records them anew, and ``--check`` says which numbers are no
longer the same to the bit.  They are kept so that a refactoring, or a new version of jax, that
changes a result is noticed.
"""

import json
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import jax
import numpy as np

import envs
import tests.conftest  # noqa: F401 - how XLA compiles here
from oatrpo_jax import (
    ALGORITHMS,
    Algorithm,
    Config,
    Hyperparams,
    MultiAgentEnv,
    fixed_algorithm,
    make_trainer,
)
from tests.probe_envs import Messy

FOLDER = Path(__file__).parent
NUM_UPDATES = 3
PACKAGES = ("jax", "jaxlib", "flax", "optax", "distrax")

ENVS = {
    "maze": lambda: envs.make("maze", num_per_colour=2, time_limit=10),
    "messy": Messy,
}
"""A game that may be won, and one with action masks, deaths, terminations and truncations."""

SIZES = {
    "num_envs": 4,
    "rollout_length": 6,
    "num_epochs": 2,
    "critic_epochs": 2,
    "num_minibatches": 2,
    "hidden_sizes": (8,),
    "cg_iterations": 3,
    "line_search_steps": 4,
    "grouping_steps": 4,
    "grouping_epochs": 1,
}
VARIANTS = {
    "oappo, sampled": {"estimator": "sampled"},
    "oappo, mapping": {"estimator": "mapping"},
    "oappo, max": {"divergence": "max", "divergence_rows": 10},
    "oatrpo, sampled": {"estimator": "sampled"},
    "oatrpo, quantile": {"divergence": "quantile", "fisher_rows": 10},
    "mappo, other choices": {
        "truncation": "neutralise",
        "value_loss": "clipped",
        "activation": "relu",
        "layer_norm": True,
        "normalise_values": False,
        "reset_interval": 2,
        "num_minibatches": 1,
    },
}
"""Rows under other settings than the defaults, which they name first."""

# Coefficients at which gates, clips and line searches go either way.
COEFFICIENTS = {"actor_lr": 0.02, "critic_lr": 0.02, "clip_eps": 0.05, "kl_threshold": 0.05}
COEFFICIENTS |= {"reuse_sigma": 0.05, "max_grad_norm": 0.5, "huber_delta": 0.3}


def cases() -> tuple[str, ...]:
    """Returns the names of all cases: rows of the table, `fixed`, and the variants."""
    return (*ALGORITHMS, "fixed", *VARIANTS)


def compute(env_name: str, case: str) -> dict[str, np.ndarray]:
    """Returns metrics by name, ``[NUM_UPDATES, ...]``, and the norms of the final parameters."""
    env = ENVS[env_name]()
    config = Config(**{**SIZES, **VARIANTS.get(case, {})})
    trainer = make_trainer(env, row_of(case.partition(",")[0], env), config)
    state = trainer.init(jax.random.key(7))
    if trainer.learner.algorithm.finds_clusters:
        labels = [agent % 2 for agent in range(env.num_agents)]
        state = state._replace(learner=trainer.learner.regroup(state.learner, labels))
    step = jax.jit(trainer.step)
    hparams = Hyperparams.create(**COEFFICIENTS)
    history = []
    for _ in range(NUM_UPDATES):
        state, metrics = step(state, hparams)
        history.append(jax.device_get(metrics))
    found = {name: np.stack([each[name] for each in history]) for name in sorted(history[0])}
    for name in ("policies", "critics"):
        leaves = jax.tree.leaves(jax.device_get(getattr(state.learner, name).params))
        found[f"norm/{name}"] = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in leaves))
    return found


def row_of(name: str, env: MultiAgentEnv) -> Algorithm:
    """Returns a row of the table, or `fixed` with each agent and the next one sharing."""
    if name != "fixed":
        return ALGORITHMS[name]
    own = np.eye(env.num_agents)
    return fixed_algorithm((0.75 * own + 0.25 * np.roll(own, 1, axis=1)).tolist())


def as_data(found: dict[str, np.ndarray]) -> dict[str, list]:
    """Returns the same as JSON can say it: float32 as the shortest text, None for NaN."""
    return {
        name: [None if np.isnan(x) else float(str(x)) for x in np.ravel(value)]
        for name, value in found.items()
    }


def load(env_name: str) -> dict[str, dict[str, list]]:
    """Returns the recorded numbers of a problem, by case and name."""
    return json.loads((FOLDER / f"{env_name}.json").read_text())


def changes(env_name: str) -> Iterator[str]:
    """Yields what is not as it was recorded, to the bit."""
    recorded = load(env_name)
    for case in cases():
        now, before = as_data(compute(env_name, case)), recorded.get(case, {})
        different = [
            name for name in now.keys() | before.keys() if now.get(name) != before.get(name)
        ]
        yield from (f"{env_name}, {case}: {name}" for name in sorted(different))


def record() -> None:
    """Writes a file per problem, one case a line, and the versions that made them."""
    for env_name in ENVS:
        lines = (
            f"{json.dumps(case)}: {json.dumps(as_data(compute(env_name, case)))}"
            for case in cases()
        )
        (FOLDER / f"{env_name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    versions = {name: metadata.version(name) for name in PACKAGES}
    made_by = {"python": platform.python_version(), "machine": platform.machine(), **versions}
    (FOLDER / "versions.json").write_text(json.dumps(made_by, indent=2) + "\n")


def main() -> int:
    """Records, or checks and returns 1 if a number differs."""
    if sys.argv[1:] != ["--check"]:
        record()
        return 0
    found = [change for env_name in ENVS for change in changes(env_name)]
    print("\n".join(found) or "All numbers are the same to the bit.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
