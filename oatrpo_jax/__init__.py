"""Off-Agent Trust Region Policy Optimization and its family, end to end in JAX."""

from oatrpo_jax.algorithms import ALGORITHMS, Algorithm, fixed_algorithm, get_algorithm
from oatrpo_jax.config import Config, EnvSpec, Hyperparams
from oatrpo_jax.env_check import check_env
from oatrpo_jax.export import actor_parameters, export_actors
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
