"""Learning on the Black and Red maze with the command line's own presets; minutes each."""

import jax
import numpy as np
import pytest

import envs
from experiments.training.settings.defaults import get_preset
from experiments.training.settings.experiment import make_config
from oatrpo_jax import Hyperparams, make_train

pytestmark = pytest.mark.slow
NUM_SEEDS = 5


def train(algorithm):
    """Returns the environment and, per seed, success and length over the last tenth of a run."""
    env = envs.make("maze")
    preset = get_preset("maze", algorithm)
    config = make_config(preset.config, preset.total_steps)
    run = jax.jit(jax.vmap(make_train(env, algorithm, config), (0, None)))
    keys = jax.random.split(jax.random.key(0), NUM_SEEDS)
    _, metrics = jax.device_get(run(keys, Hyperparams.create(**preset.hyperparams)))
    tail = config.num_updates // 10
    return env, *(
        np.nanmean(metrics[f"episode/{name}"][:, -tail:], axis=1) for name in ("success", "length")
    )


@pytest.mark.parametrize("algorithm", ["oappo", "oatrpo"])
def test_off_agent_algorithms_reach_the_optimum_on_every_seed(algorithm):
    env, success, length = train(algorithm)
    assert (success >= 0.95).all()
    assert (length <= 1.1 * env.optimal_episode_length).all()


def test_one_policy_for_all_colours_does_not():
    env, _, length = train("mappo")
    # Best known policy without colours: 11.3 steps per agent, where own ways average 7.
    assert (length > 1.5 * env.optimal_episode_length).all()
