"""Environments on four devices compute what they compute on one, and no batch goes round."""

import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from experiments.analysis.speed.collectives import collectives
from oatrpo_jax import ALGORITHMS, Config, Hyperparams, Trainer, devices, make_trainer
from oatrpo_jax.devices import make_mesh, spread_environments, spread_lanes
from tests.golden.record import COEFFICIENTS, ENVS, SIZES, row_of, settings_of
from tests.on_devices import DEVICES, run_on_devices
from tests.tiers import parse_case

NUM_ENVS, LENGTH = 128, 32
DAILY = "oappo, normalised"
THOROUGH = (
    "oappo, memory",
    "oappo, mapping",
    "oatrpo, continuous",
    "oatrpo, quantile",
    "oappo, weighted",
    "oappo, sampled",
    "fixed",
)


def trainer_of(name: str) -> Trainer:
    """The trainer of a case; two minibatches, and no more rows compared than of 4 environments."""
    case = parse_case(name)
    env = ENVS["steering" if case.is_continuous else "messy"]()
    sizes = {"num_envs": NUM_ENVS, "rollout_length": LENGTH}
    sizes |= {"divergence_rows": 4 * LENGTH * env.num_agents, "fisher_rows": 4 * LENGTH}
    config = Config(**SIZES | settings_of(case.recorded) | sizes)
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
    """Fails if devices exchange anything of the size of one agent's views of a minibatch.

    They sum gradients.  They gather nothing, but one number of each row that is compared where
    these are sorted for a quantile.
    """
    config, spec = trainer.config, trainer.learner.spec
    state = jax.eval_shape(trainer.init, jax.random.key(0)).learner
    parameters = jax.tree.leaves((state.policies.params, state.critics.params))
    gradients = 4 * sum(leaf.size for leaf in parameters)
    sorted_rows = 4 * config.divergence_rows if config.divergence == "quantile" else 0
    smallest_batch = 4 * LENGTH * NUM_ENVS // config.num_minibatches * spec.view_size
    assert max(gradients, sorted_rows) < smallest_batch
    found = collectives(text)
    assert any(each.kind == "all-reduce" for each in found)
    for each in found:
        assert each.kind in ("all-reduce", "all-gather"), each
        most = gradients if each.kind == "all-reduce" else sorted_rows
        assert each.num_bytes <= most, each


def check_itself() -> None:
    """Fails unless a minibatch of any environments, which has to be gathered, is noticed."""
    trainer = trainer_of("happo")
    views = jax.ShapeDtypeStruct((LENGTH, NUM_ENVS, trainer.learner.spec.view_size), "float32")
    mesh = make_mesh(env_devices=DEVICES)
    lies = NamedSharding(mesh, PartitionSpec(None, "envs"))
    shuffled = jax.jit(lambda x, order: x[:, order], in_shardings=(lies, None), out_shardings=lies)
    order = jax.ShapeDtypeStruct((NUM_ENVS // 2,), "int32")
    with pytest.raises(AssertionError, match="num_bytes"):
        check_traffic(shuffled.lower(views, order).compile().as_text(), trainer)


@pytest.mark.parametrize(
    ("env_devices", "lane_devices", "expected"),
    [
        (1, 4, [["a0"], ["b0"], ["a1"], ["b1"]]),
        (2, 2, [["a0", "a1"], ["b0", "b1"]]),
        (2, 3, [["a0", "a1"], ["b0", "b1"], ["a2", "a3"]]),
        (8, 1, [["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]]),
    ],
)
def test_processes_give_devices_in_turn_and_environments_stay_in_one(
    monkeypatch, env_devices, lane_devices, expected
):
    """Two processes, a and b, of four devices each."""
    there_are = [
        SimpleNamespace(process_index=p, name=f"{'ab'[p]}{d}") for p in (0, 1) for d in range(4)
    ]
    monkeypatch.setattr(jax, "devices", lambda: there_are)
    monkeypatch.setattr(jax, "device_count", lambda: len(there_are))
    monkeypatch.setattr(devices, "Mesh", lambda array, axes: array)
    found = make_mesh(lane_devices, env_devices)
    assert [[device.name for device in row] for row in found] == expected


def test_a_mesh_has_the_devices_asked_for_and_says_how_many_there_are():
    mesh = make_mesh()
    assert dict(mesh.shape) == {"lanes": 1, "envs": 1}
    assert spread_lanes(mesh).spec == PartitionSpec("lanes")
    for sizes in ((0, 1), (1, 0), (jax.device_count() + 1, 1)):
        with pytest.raises(ValueError, match=rf"{sizes[0]} x {sizes[1]}; choose other numbers"):
            make_mesh(*sizes)


def test_a_state_lies_on_devices_if_it_is_of_one_lane_and_its_environments_divide():
    trainer = trainer_of("happo")
    state = jax.eval_shape(trainer.init, jax.random.key(0))
    lies = spread_environments(state, make_mesh())
    assert {each.spec for each in jax.tree.leaves(lies.rollout)} == {PartitionSpec("envs")}
    assert {each.spec for each in jax.tree.leaves(lies.learner)} == {PartitionSpec()}
    lanes = jax.eval_shape(jax.vmap(trainer.init), jax.random.split(jax.random.key(0), 2))
    with pytest.raises(ValueError, match="expected one lane"):
        spread_environments(lanes, make_mesh())
    three = Mesh(np.array(jax.devices() * 3)[None], ("lanes", "envs"))
    with pytest.raises(ValueError, match="divisor of the 128 environments, got 3"):
        spread_environments(state, three)


def test_an_update_on_four_devices_is_that_on_one():
    run_on_devices("-m", __name__, DAILY, "itself")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ALGORITHMS, *THOROUGH])
def test_every_algorithms_update_on_four_devices_is_that_on_one(name):
    run_on_devices("-m", __name__, name)


if __name__ == "__main__":
    compare(sys.argv[1])
    if sys.argv[2:]:
        check_itself()
