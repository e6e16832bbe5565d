"""JaxMARL's bodies of several agents (MABrax): how they are made, and with which options."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from envs.choices import check_choice
from oatrpo_jax.installation import check_packages

BODIES = ("ant_4x2", "halfcheetah_6x1", "hopper_3x1", "humanoid_9|8", "walker2d_2x3")
"""Their names; the numbers are agents x joints of each, or the joints of each agent."""

BACKENDS = ("spring", "positional", "generalized", "mjx")
"""Brax' simulations, the default first, which is quicker than ``positional``, JaxMARL's own."""

OPTIONS = ("episode_length", "backend")
"""Options of JaxMARL's class.  Others change what an agent sees and does, which masks say.

Under ``action_repeat`` brax adds up the rewards of all repeats, but the rewards for moving forward
of the last ones only.
"""


def check_brax(scenario: str) -> None:
    """Raises a `NotInstalled` that says what to install if a body is asked for and brax missing."""
    if scenario in BODIES:
        check_packages(("brax",), "brax", f"jaxmarl:{scenario}")


def make_body(scenario: str, *, backend: str = BACKENDS[0], **options: Any) -> Any:
    """Returns JaxMARL's environment; jaxmarl and brax are imported already.

    Args:
        scenario: one of ``BODIES``.
        backend: one of ``BACKENDS``.
        **options: see `body_parameters`.

    Raises:
        ValueError: no such backend.
        TypeError: ``auto_reset`` or ``action_repeat`` among the options.
    """
    import jaxmarl

    check_choice("backend", backend, BACKENDS)
    with quiet_mujoco():
        return jaxmarl.make(scenario, auto_reset=False, action_repeat=1, backend=backend, **options)


def body_parameters(game: Any) -> dict[str, inspect.Parameter]:
    """Returns the options of a body: JaxMARL's ``OPTIONS``, and those of brax' environment."""
    from jaxmarl.environments.mabrax import MABraxEnv

    parameters = inspect.signature(MABraxEnv).parameters
    found = {name: parameters[name] for name in OPTIONS}
    found["backend"] = found["backend"].replace(default=BACKENDS[0])
    own = inspect.signature(type(game.env.unwrapped)).parameters.items()
    plain = {name: each for name, each in own if each.kind is not each.VAR_KEYWORD}
    return found | {name: each for name, each in plain.items() if name not in found}


@contextlib.contextmanager
def quiet_mujoco() -> Iterator[None]:
    """Drops warnings of MuJoCo inside: else it prints them, and writes a file where one works."""
    mujoco: Any = import_module("mujoco")
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda _message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)
