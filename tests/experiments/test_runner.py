import jax
import numpy as np
import pytest

import oatrpo_jax as oa
from envs import make
from experiments.runner import over_lanes


@pytest.mark.parametrize("algorithm", ["oappo", "oatrpo"])
def test_lanes_one_after_another_are_the_lanes_side_by_side(algorithm):
    config = oa.Config(num_envs=4, rollout_length=8, hidden_sizes=(8,), num_epochs=1)
    trainer = oa.make_trainer(make("maze"), algorithm, config)
    keys = jax.random.split(jax.random.key(0), (2, 3))
    states = jax.jit(jax.vmap(jax.vmap(trainer.init)))(keys)
    hparams = oa.Hyperparams.create(reuse_sigma=[0.0, 1.0])

    in_turn = jax.jit(over_lanes(trainer.step, "cpu"))(states, hparams)
    at_once = jax.jit(over_lanes(trainer.step, "gpu"))(states, hparams)
    one = jax.jit(trainer.step)(
        jax.tree.map(lambda x: x[1, 2], states), jax.tree.map(lambda x: x[1], hparams)
    )

    keys = [jax.random.key_data(state.key) for state, _ in (in_turn, at_once)]
    np.testing.assert_array_equal(*keys)
    for lanes in (in_turn, at_once):
        learnt, metrics = lanes[0].learner, lanes[1]
        assert metrics["critic/loss"].shape == (2, 3)
        expected = (one[0].learner, one[1])
        chosen = jax.tree.map(lambda x: x[1, 2], (learnt, metrics))
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4), chosen, expected
        )
