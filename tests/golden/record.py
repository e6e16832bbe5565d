"""Golden metrics: what algorithms compute on three tiny problems, number for number.

``python -m tests.golden.record`` records them anew, and ``--check`` says which numbers are no
longer the same to the bit.  They are kept so that a refactoring, or a new version of jax, that
changes a result is noticed.
"""

import functools
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

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
    Trainer,
    TrainState,
    fixed_algorithm,
    make_trainer,
)
from tests.probe_envs import Messy, Steering

FOLDER = Path(__file__).parent
VERSIONS = FOLDER / "versions.json"
NUM_UPDATES, KEY = 3, 9
"""With this key no ratio comes so near to a clip that rounding decides: with 7 one does."""
PACKAGES = ("jax", "jaxlib", "flax", "optax", "distrax")

ENVS = {
    "maze": lambda: envs.make("maze", num_per_colour=2, time_limit=10),
    "messy": Messy,
    "steering": lambda: Steering(dimensions=(2, 1, 2), time_limit=5, field=0.6),
}
"""A game that may be won, one with action masks, deaths, terminations and truncations, and one with
all of these and continuous actions, of which agents have different numbers of dimensions."""

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
    "oappo, weighted": {"estimator": "weighted"},
    "oappo, sampled": {"estimator": "sampled"},
    "oappo, mapping": {"estimator": "mapping"},
    "oappo, max": {"divergence": "max", "divergence_rows": 10},
    "oatrpo, weighted": {"estimator": "weighted"},
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
    "oappo, own centre": {"clip_center": "own"},
    "oappo, memory": {},
    "oappo, memory, weighted": {"estimator": "weighted"},
    "oappo, memory, mapping": {"estimator": "mapping"},
    "oappo-auto, memory": {},
    "oatrpo, memory": {},
    "oatrpo, memory, sampled": {"estimator": "sampled"},
    "happo, memory": {},
    "mappo, memory": {},
    "seac, memory": {},
    "seps, memory": {},
    "oappo, normalised": {},
    "ippo, normalised": {},
    "seac, normalised": {},
    "oatrpo, memory, normalised": {},
}
"""Rows under other settings than the defaults, which they name first."""
CONTINUOUS = ("happo", "oappo", "hatrpo", "oatrpo", "oappo-auto", "oappo-ess")
CONTINUOUS += ("oappo, own centre", "oappo, memory", "oatrpo, memory", "oappo, normalised")
"""Cases that are recorded where actions are continuous."""
KINDS = {"memory": {"memory_size": 8}, "normalised": {"normalise_inputs": True}}
"""Settings of any case, recorded or not, that has the word in its name."""

# Coefficients at which gates, clips and line searches go either way.
COEFFICIENTS = {"actor_lr": 0.02, "critic_lr": 0.02, "clip_eps": 0.05, "kl_threshold": 0.05}
COEFFICIENTS |= {"reuse_sigma": 0.05, "max_grad_norm": 0.5, "huber_delta": 0.3}


def cases(env_name: str) -> tuple[str, ...]:
    """Returns the names of a problem's cases: rows of the table, `fixed`, and the variants.

    Of the problem with continuous actions they are some of these.
    """
    return CONTINUOUS if env_name == "steering" else (*ALGORITHMS, "fixed", *VARIANTS)


def settings_of(case: str) -> dict[str, Any]:
    """Returns the settings by which a case differs from the first one of its row."""
    settings = dict(VARIANTS.get(case, {}))
    for kind in case.split(", "):
        settings |= KINDS.get(kind, {})
    return settings


class Program(NamedTuple):
    """A trainer, and its two functions compiled.

    Attributes:
        trainer: joins a problem and a row.
        init: key -> state.
        step: (state, coefficients) -> state and metrics.
    """

    trainer: Trainer
    init: Callable[[jax.Array], TrainState]
    step: Any

    def begin(self, key: jax.Array) -> TrainState:
        """Returns the first state; agents are in two clusters where the row finds some."""
        state, learner = self.init(key), self.trainer.learner
        if not learner.algorithm.finds_clusters:
            return state
        labels = [agent % 2 for agent in range(self.trainer.env.num_agents)]
        return state._replace(learner=learner.regroup(state.learner, labels))


def make(env_name: str, case: str, compiler_options: dict[str, bool] | None = None) -> Program:
    """Returns the programs of a case on a problem, not compiled yet."""
    env = ENVS[env_name]()
    config = Config(**SIZES | settings_of(case))
    trainer = make_trainer(env, row_of(case.partition(",")[0], env), config)
    compiled = functools.partial(jax.jit, compiler_options=compiler_options)
    return Program(trainer, compiled(trainer.init), compiled(trainer.step))


def compute(program: Program) -> dict[str, np.ndarray]:
    """Returns metrics by name, ``[NUM_UPDATES, ...]``, and the norms of the final parameters."""
    state, hparams = program.begin(jax.random.key(KEY)), Hyperparams.create(**COEFFICIENTS)
    history = []
    for _ in range(NUM_UPDATES):
        state, metrics = program.step(state, hparams)
        history.append(jax.device_get(metrics))
    found = {name: np.stack([each[name] for each in history]) for name in sorted(history[0])}
    for name in ("policies", "critics"):
        leaves = jax.tree.leaves(jax.device_get(getattr(state.learner, name).params))
        found[f"norm/{name}"] = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in leaves))
    return found


def assert_as_recorded(env_name: str, case: str, program: Program) -> None:
    """Fails unless the numbers are the recorded ones: to the bit where all that made them is.

    Another jax or another processor adds up in another order: then to within 1e-3, where
    compiling in another way makes 6e-5.
    """
    now, recorded = as_data(compute(program)), load(env_name)[case]
    assert now.keys() == recorded.keys()
    if made_by() == json.loads(VERSIONS.read_text()):
        assert now == recorded
    for name, values in recorded.items():
        found, expected = (np.array(each, float) for each in (now[name], values))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=5e-6, err_msg=name)


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
    for case in cases(env_name):
        now, before = as_data(compute(make(env_name, case))), recorded.get(case, {})
        different = [
            name for name in now.keys() | before.keys() if now.get(name) != before.get(name)
        ]
        yield from (f"{env_name}, {case}: {name}" for name in sorted(different))


def record() -> None:
    """Writes a file per problem, one case a line, and the versions that made them."""
    for env_name in ENVS:
        lines = (
            f"{json.dumps(case)}: {json.dumps(as_data(compute(make(env_name, case))))}"
            for case in cases(env_name)
        )
        (FOLDER / f"{env_name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    VERSIONS.write_text(json.dumps(made_by(), indent=2) + "\n")


def made_by() -> dict[str, str]:
    """Returns all that the bits depend on beside the code: packages and the processor."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    return {"processor": processor(), "xla_flags": os.environ["XLA_FLAGS"], **versions}


def processor() -> str:
    """Returns what is known of the processor: its model and the vectors that it adds up."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.machine()
    known = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
    model = [known.get(name, "") for name in ("vendor_id", "cpu family", "model", "stepping")]
    vectors = [flag for flag in known.get("flags", "").split() if flag.startswith(("avx", "fma"))]
    return " ".join([platform.machine(), *model, *vectors])


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
