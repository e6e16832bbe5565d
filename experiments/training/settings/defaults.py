"""Defaults of the command line per environment and algorithm: data, and how its layers add up."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import envs
from envs.adapters.bodies import BODIES
from oatrpo_jax.algorithms import ALGORITHMS

if TYPE_CHECKING:
    AlgorithmName = str
else:
    AlgorithmName = Literal[(*ALGORITHMS, "fixed")]


@dataclass(frozen=True)
class Preset:
    """What an environment's defaults change against those of the library.

    Attributes:
        total_steps: environment steps per seed; None leaves it as it is.
        config: fields of `Config`.
        hyperparams: fields of `Hyperparams`; None for an end that there is not.
        algorithms: what changes further under one algorithm.
    """

    total_steps: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    hyperparams: Mapping[str, float | None] = field(default_factory=dict)
    algorithms: Mapping[str, Preset] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        """The fields of both, by name."""
        return {**self.config, **self.hyperparams}


# As published (short rollouts, one step on each, returns without lambda), but for 8 environments
# where it has 4.  Many of them would leave few steps: one for every 5 of theirs.
_SEAC = Preset(
    config={
        "num_envs": 8,
        "rollout_length": 5,
        "num_epochs": 1,
        "critic_epochs": 1,
        "num_minibatches": 1,
    },
    hyperparams={
        "gae_lambda": 1.0,
        "actor_lr": 3e-4,
        "critic_lr": 3e-4,
        "max_grad_norm": 0.5,
    },
)

DEFAULT = Preset(total_steps=1_000_000, algorithms={"seac": _SEAC})


_SEAC_ON_SMAX = Preset(
    config={"num_envs": 32, "reset_interval": 5, "normalise_inputs": False},
    hyperparams={
        "ent_coef": 0.01,
        **dict.fromkeys(("actor_lr_end", "critic_lr_end", "ent_coef_end")),
    },
)
"""As published there, too: what is chosen for longer rollouts of more passes is not for it."""


CONTINUOUS = Preset(config={"clip_center": "own"}, hyperparams={"ent_coef": 0.0})
"""What changes wherever actions are continuous: their entropy grows without bound, and a few noisy
advantages are enough for a clip around another's behaviour to draw policies after it
(docs/algorithm.md)."""


def _magpo(epochs: int, clip_eps: float, ent_coef: float, lr: float) -> Preset:
    """Returns the HAPPO settings that MAGPO (2025) published for a map, theirs being recurrent.

    Starting points, not measured here; trust-region steps read the critic's alone.  Theirs are
    constant, and go to 0 here as on all maps.
    """
    return Preset(
        config={"num_epochs": epochs, "critic_epochs": epochs},
        hyperparams={
            "clip_eps": clip_eps,
            "ent_coef": ent_coef,
            "actor_lr": lr,
            "critic_lr": lr,
        },
    )


def _football(family: str, num_envs: int, rollout_length: int) -> dict[str, Preset]:
    """Returns the academy's presets under a family's name, one per backend.

    Budgets, environments, widths and discount as HARL has them for the original; its 15 passes
    over rollouts of 200 steps and more are 5 over 100 here.  The actors' rate and the entropy
    were chosen with MAPPO and HAPPO alone, lambda among 0.4, 0.7 and 0.9 (docs/football.md).
    """
    return {
        family: Preset(
            total_steps=5_000_000,
            config={"num_envs": num_envs, "rollout_length": rollout_length},
            hyperparams={"actor_lr": 2e-3, "ent_coef": 0.003, "reuse_lambda": 0.9},
        ),
        f"{family}:academy_counterattack_easy": Preset(total_steps=10_000_000),
        f"{family}:academy_counterattack_hard": Preset(total_steps=15_000_000),
    }


_MABRAX = Preset(
    total_steps=10_000_000,
    config={
        "truncation": "bootstrap",
        "num_envs": 64,
        "rollout_length": 64,
        "num_epochs": 5,
        "critic_epochs": 5,
        "num_minibatches": 1,
        "hidden_sizes": (128, 128),
    },
    hyperparams={"actor_lr": 5e-4, "critic_lr": 5e-4, "clip_eps": 0.1},
)
"""Starting points, not tuned: as HARL publishes for HAPPO on Ant-v2-4x2 (rates, passes over about
4,000 steps, clip, widths, budget), but for tanh and two layers in place of three.  Its settings for
other bodies differ."""

PRESETS: dict[str, Preset] = {
    "maze": Preset(
        total_steps=150_000,
        config={"num_envs": 32, "rollout_length": 32},
        hyperparams={"reuse_sigma": 0.1, "reuse_lambda": 0.7},
    ),
    # As JaxMARL publishes for its IPPO on MPE (ippo_ff_mpe.yaml), but for constant rates, the
    # gradient's norm, and the truncation: both ways end alike on simple_spread, this one sooner
    # (3 seeds; docs/environments.md).
    "jaxmarl": Preset(
        config={
            "truncation": "neutralise",
            "num_envs": 16,
            "num_epochs": 4,
            "critic_epochs": 4,
            "num_minibatches": 4,
        },
        hyperparams={"actor_lr": 2.5e-4, "critic_lr": 2.5e-4},
    ),
    **{f"jaxmarl:{body}": _MABRAX for body in BODIES},
    # Starting points, not tuned.
    "jumanji": Preset(
        config={"num_envs": 32, "rollout_length": 64},
    ),
    # Chosen by the mean success of MAPPO and OAPPO on 3m (docs/smax.md).
    "smax": Preset(
        total_steps=10_000_000,
        config={
            "num_envs": 64,
            "rollout_length": 32,
            "reset_interval": 8,
            "num_minibatches": 2,
            "hidden_sizes": (128, 128),
            "normalise_inputs": True,
        },
        hyperparams={
            "actor_lr": 2e-3,
            "actor_lr_end": 0.0,
            "critic_lr": 1e-3,
            "critic_lr_end": 0.0,
            "ent_coef": 0.03,
            "ent_coef_end": 0.0,
            "gae_lambda": 0.8,
        },
        algorithms={"seac": _SEAC_ON_SMAX},
    ),
    **_football("football", num_envs=50, rollout_length=100),
    # As much experience from half the environments: five seeds find engines enough, of 60 MB each.
    **_football("grf", num_envs=25, rollout_length=200),
    "smax:3m": Preset(total_steps=1_000_000),
    "smax:2s3z": Preset(total_steps=1_000_000),
    "smax:3s5z": _magpo(4, 0.1, 0.0, 1e-4),
    "smax:5m_vs_6m": _magpo(2, 0.1, 0.01, 2.5e-4),
    "smax:3s_vs_5z": _magpo(4, 0.2, 0.0, 2.5e-4),
    "smax:10m_vs_11m": _magpo(8, 0.05, 0.0, 5e-4),
    "smax:27m_vs_30m": _magpo(8, 0.05, 1e-5, 5e-4),
    "smax:3s5z_vs_3s6z": _magpo(8, 0.05, 0.0, 2.5e-4),
    "smax:6h_vs_8z": _magpo(8, 0.05, 0.01, 5e-4),
    "smax:smacv2_5_units": _magpo(8, 0.1, 1e-5, 2.5e-4),
    "smax:smacv2_10_units": _magpo(4, 0.05, 0.0, 2.5e-4),
}
"""By environment: ``family`` holds for all its scenarios, ``family:scenario`` adds to it."""


def get_preset(env: str, algorithm: str, is_continuous: bool = False) -> Preset:
    """Returns the defaults of an environment and algorithm, all layers added up.

    What a layer says of the algorithm counts more than what any says of the environment, and what
    goes with continuous actions counts more than both.

    Args:
        env: family or family:scenario.
        algorithm: a name in the table, or ``fixed``.
        is_continuous: whether the environment's actions are continuous, which an option may decide.

    >>> get_preset("maze:black-blue-red", "oappo").config["num_envs"]
    32
    """
    found = [DEFAULT, PRESETS.get(envs.family_of(env) or ""), PRESETS.get(env)]
    layers = [layer for layer in found if layer is not None]
    ours = [layer.algorithms[algorithm] for layer in layers if algorithm in layer.algorithms]
    of_actions = [CONTINUOUS] if is_continuous else []
    return functools.reduce(_add, [*layers, *ours, *of_actions], Preset())


def _add(below: Preset, above: Preset) -> Preset:
    return Preset(
        total_steps=above.total_steps or below.total_steps,
        config={**below.config, **above.config},
        hyperparams={**below.hyperparams, **above.hyperparams},
    )
