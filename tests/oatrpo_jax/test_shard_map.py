"""A whole run inside somebody's `jax.shard_map`, on two of the devices of a process of its own."""

import pytest

from tests.on_devices import run_on_devices

PROGRAM = """
import jax, numpy as np, oatrpo_jax as oa, envs
from jax.sharding import AxisType, PartitionSpec as P
config = oa.Config(
    num_envs=2, rollout_length=2, num_updates=2, hidden_sizes=(4,), num_epochs=1, critic_epochs=1
)
train = oa.make_train(envs.make("maze"), "happo", config)
keys, hparams = jax.random.split(jax.random.key(0), 2), oa.Hyperparams.create()
mesh = jax.make_mesh((2,), ("seed",), axis_types=(AxisType.Auto,))
one_each = lambda keys, hparams: jax.tree.map(lambda x: x[None], train(keys[0], hparams)[1])
sharded = jax.shard_map(
    one_each, mesh=mesh, in_specs=(P("seed"), P()), out_specs=P("seed"), check_vma=False
)
found, alone = jax.jit(sharded)(keys, hparams), jax.jit(train)
assert len(found["critic/loss"].sharding.device_set) == 2
for seed in range(2):
    for name, value in alone(keys[seed], hparams)[1].items():
        np.testing.assert_array_equal(found[name][seed], value, err_msg=name)
"""


@pytest.mark.slow
def test_without_the_check_of_axes_it_equals_jit_to_the_bit():
    run_on_devices("-c", PROGRAM)
