"""Off-Agent Trust Region Policy Optimization and its family, end to end in JAX."""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oatrpo_jax.algorithms import ALGORITHMS, Algorithm, fixed_algorithm, get_algorithm
    from oatrpo_jax.config import Config
    from oatrpo_jax.env_check import check_env
    from oatrpo_jax.env_spec import EnvSpec
    from oatrpo_jax.export import actor_parameters, export_actors
    from oatrpo_jax.hyperparams import Hyperparams
    from oatrpo_jax.learner import Learner, LearnerState, make_learner
    from oatrpo_jax.runs import TrainedRun, load_run
    from oatrpo_jax.train import Trainer, TrainState, make_train, make_trainer
    from oatrpo_jax.types import MultiAgentEnv, Observation, TimeStep, Transition

__version__ = "0.1.0"

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Config",
    "EnvSpec",
    "Hyperparams",
    "Learner",
    "LearnerState",
    "MultiAgentEnv",
    "Observation",
    "TimeStep",
    "TrainState",
    "TrainedRun",
    "Trainer",
    "Transition",
    "__version__",
    "actor_parameters",
    "check_env",
    "export_actors",
    "fixed_algorithm",
    "get_algorithm",
    "load_run",
    "make_learner",
    "make_train",
    "make_trainer",
]

_MODULE_OF = {
    **dict.fromkeys(("ALGORITHMS", "Algorithm", "fixed_algorithm", "get_algorithm"), "algorithms"),
    "Config": "config",
    "check_env": "env_check",
    "EnvSpec": "env_spec",
    "Hyperparams": "hyperparams",
    **dict.fromkeys(("actor_parameters", "export_actors"), "export"),
    **dict.fromkeys(("Learner", "LearnerState", "make_learner"), "learner"),
    **dict.fromkeys(("TrainedRun", "load_run"), "runs"),
    **dict.fromkeys(("Trainer", "TrainState", "make_train", "make_trainer"), "train"),
    **dict.fromkeys(("MultiAgentEnv", "Observation", "TimeStep", "Transition"), "types"),
}
"""Where each name is.  Its module imports JAX, most of a second: not before it is asked for."""


if not TYPE_CHECKING:  # A type checker would take whatever name stands there.

    def __getattr__(name: str) -> Any:
        """Returns a name of `__all__`, or a module of this package."""
        if name not in _MODULE_OF:
            if name.startswith("_") or find_spec(f"{__name__}.{name}") is None:
                raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
            return import_module(f"{__name__}.{name}")
        globals()[name] = found = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        return found


def __dir__() -> list[str]:
    """Returns the names that a user may complete."""
    modules = (each.name for each in iter_modules(__path__) if not each.name.startswith("_"))
    return sorted({*globals(), *__all__, *modules})
