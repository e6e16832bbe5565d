"""Environments on four devices compute what they compute on one, and no batch goes round."""

import sys

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from experiments.analysis.speed.collectives import collectives
from oatrpo_jax import ALGORITHMS, Config, Hyperparams, Trainer, make_trainer
from oatrpo_jax.devices import make_mesh, spread_environments, spread_lanes
from tests.golden.record import COEFFICIENTS, ENVS, SIZES, row_of, settings_of
from tests.on_devices import DEVICES, run_on_devices
from tests.tiers import parse_case

NUM_ENVS = 16
VIEWS = 4 * NUM_ENVS
"""Bytes of one number of every environment: the least that a step of all of them takes."""

DAILY = "oappo, normalised"
THOROUGH = ("oappo, memory", "oappo, mapping", "oatrpo, continuous", "oatrpo, quantile", "fixed")


def trainer_of(name: str) -> Trainer:
    """The trainer of a case; two minibatches, and few enough rows to compare that some are left."""
    case = parse_case(name)
    env = ENVS["steering" if case.is_continuous else "messy"]()
    sizes = {"num_envs": NUM_ENVS, "divergence_rows": 200, "fisher_rows": 50}
    config = Config(**SIZES | sizes | settings_of(case.recorded))
    return make_trainer(env, row_of(case.row, env), config)


def compare(name: str) -> None:
    """Fails unless an update on four devices is that on one, to rounding."""
    trainer, hparams = trainer_of(name), Hyperparams.create(**COEFFICIENTS)
    state = jax.jit(trainer.init)(jax.random.key(9))
    mesh = make_mesh(env_devices=DEVICES)
    lies = spread_environments(state, mesh)
    apart = jax.device_put(state, lies)
    step = jax.jit(trainer.step, out_shardings=(lies, None)).lower(apart, hparams).compile()
    found, expected = step(apart, hparams), jax.jit(trainer.step)(state, hparams)

    def leaves(made):
        return {**made[1], **dict(enumerate(jax.tree.leaves(made[0].learner)))}

    for key, value in leaves(expected).items():
        np.testing.assert_allclose(leaves(found)[key], value, rtol=1e-3, atol=1e-5, err_msg=key)
    check_traffic(step.as_text(), trainer)
    again = jax.tree.leaves(step(apart, hparams)[0].learner)
    for one, other in zip(jax.tree.leaves(found[0].learner), again, strict=True):
        np.testing.assert_array_equal(one, other)  # The same on as many devices, to the bit.


def check_traffic(text: str, trainer: Trainer) -> None:
    """Fails if more than gradients is summed, or more than a number of each row is gathered."""
    config, learner = trainer.config, trainer.learner
    state = jax.eval_shape(trainer.init, jax.random.key(0)).learner
    parameters = jax.tree.leaves((state.policies.params, state.critics.params))
    most_summed = 4 * sum(leaf.size for leaf in parameters)
    rows = config.rollout_length * config.num_envs * learner.spec.num_agents
    # Quantiles sort numbers of the rows that are compared: one of each, and no view.
    most_gathered = 4 * min(config.divergence_rows, rows)
    found = collectives(text)
    assert found and max(each.num_bytes for each in found) <= max(most_summed, most_gathered)
    for each in found:
        if each.kind != "all-reduce":
            assert each.kind == "all-gather" and each.num_bytes <= most_gathered


def test_a_mesh_has_the_devices_asked_for_and_says_how_many_there_are():
    mesh = make_mesh()
    assert dict(mesh.shape) == {"lanes": 1, "envs": 1}
    assert spread_lanes(mesh).spec == PartitionSpec("lanes")
    for sizes in ((0, 1), (1, 0), (jax.device_count() + 1, 1)):
        with pytest.raises(ValueError, match=rf"{sizes[0]} x {sizes[1]}; choose fewer"):
            make_mesh(*sizes)


def test_an_update_on_four_devices_is_that_on_one():
    run_on_devices("-m", __name__, DAILY)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ALGORITHMS, *THOROUGH])
def test_every_algorithms_update_on_four_devices_is_that_on_one(name):
    run_on_devices("-m", __name__, name)


if __name__ == "__main__":
    compare(sys.argv[1])
