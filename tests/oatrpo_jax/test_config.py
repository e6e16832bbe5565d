import math

import numpy as np
import pytest

from oatrpo_jax import Config, EnvSpec, make_trainer
from tests.probe_envs import RoleGame, Steering


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"num_envs": 0}, "num_envs: expected a whole number of at least 1, got 0"),
        ({"num_epochs": 1.5}, "num_epochs: expected a whole number"),
        ({"estimator": "best"}, "estimator: expected one of weighted, paired, sampled, mapping"),
        ({"hidden_sizes": ()}, "hidden_sizes: expected positive widths"),
        ({"activation": "gelu"}, "activation: expected one of tanh, relu"),
        ({"memory_size": -1}, "memory_size: expected a whole number of at least 0, got -1"),
        ({"memory_size": True}, "memory_size: expected a whole number"),
        ({"initial_log_std": -21}, r"initial_log_std: expected a number in \[-20, 20\], got -21"),
        ({"initial_log_std": 20.5}, r"initial_log_std: .* got 20.5"),
        ({"initial_log_std": math.nan}, "initial_log_std: .* got nan"),
        ({"initial_log_std": True}, r"initial_log_std: expected a number .* got True"),
        ({"initial_log_std": "-0.5"}, r"initial_log_std: expected a number .* got '-0.5'"),
        ({"initial_log_std": None}, r"initial_log_std: expected a number .* got None"),
        ({"initial_log_std": [0.1, 0.2]}, r"initial_log_std: .* got \[0.1, 0.2\]"),
    ],
)
def test_a_bad_setting_is_refused_with_what_is_legal(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        Config(**changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"num_minibatches": 3}, "3 does not divide num_envs = 64"),
        ({"reset_interval": 3}, "3 does not divide rollout_length = 128"),
        (
            {"memory_size": 8, "rollout_length": 1},
            "memory_size: expected 0 with rollout_length = 1, got 8; .* make it longer",
        ),
    ],
)
def test_rollouts_of_no_use_are_refused_by_the_trainer(changes, complaint):
    # An embedder's rollouts have sizes of their own.
    config = Config(**changes)
    with pytest.raises(ValueError, match=complaint):
        make_trainer(RoleGame((0, 1)), "happo", config)


@pytest.mark.parametrize("sizes", [(0, 2, 2, 2), (3, -1, 2, 2), (3, 2, 2.5, 2), (3, 2, 2, None)])
def test_sizes_that_no_environment_has_are_refused(sizes):
    with pytest.raises(ValueError, match="expected a whole number of at least 1"):
        EnvSpec(*sizes)


@pytest.mark.parametrize("answer", [1, 0.0, "yes", None, np.bool_(True)])
def test_whether_actions_are_continuous_is_true_or_false(answer):
    with pytest.raises(ValueError, match=r"^is_continuous: expected True or False, got .*vectors"):
        EnvSpec(3, 2, 2, 2, is_continuous=answer)


@pytest.mark.parametrize("value", [-20, 20.0, 0, np.float32(0.5), np.int64(-1)])
def test_deviations_may_start_anywhere_in_their_range(value):
    assert Config(initial_log_std=value).initial_log_std == value


def test_sizes_may_be_numpys():
    assert EnvSpec(*np.array([3, 2, 5, 4])).num_agents == Config(num_envs=np.int64(3)).num_envs


def test_the_spec_is_read_off_an_environment():
    assert EnvSpec.from_env(RoleGame((0, 1, 1))) == EnvSpec(
        num_agents=3, num_actions=2, view_size=2, state_size=2
    )
    spec = EnvSpec.from_env(Steering((1, 1)))
    assert spec == EnvSpec(2, 2, 2, 4, is_continuous=True)
    assert spec.action.shape == (2, 2) and EnvSpec(2, 2, 2, 4).action.shape == (2,)
