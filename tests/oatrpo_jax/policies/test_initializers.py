import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.policies.initializers import orthogonal


@pytest.mark.parametrize("shape", [(64, 64), (135, 64), (64, 5), (5, 64), (1, 1), (300, 128)])
def test_the_shorter_side_is_orthonormal_times_the_scale(shape):
    matrix = orthogonal(2.0)(jax.random.key(0), shape)
    gram = matrix.T @ matrix if shape[0] >= shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(gram, 4.0 * np.eye(min(shape)), atol=1e-4)


def test_many_square_matrices_all_converge():
    # A square Gaussian matrix is the worst case: its least singular value is close to 0.
    keys = jax.random.split(jax.random.key(1), 200)
    matrices = jax.vmap(lambda key: orthogonal(1.0)(key, (16, 16)))(keys)
    gram = jnp.einsum("kij,kil->kjl", matrices, matrices)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(16), gram.shape), atol=1e-3)


def test_it_differs_by_key_and_has_no_preferred_direction():
    keys = jax.random.split(jax.random.key(2), 2000)
    matrices = jax.vmap(lambda key: orthogonal(1.0)(key, (3, 3)))(keys)
    # Uniform over orthogonal matrices: entries have mean 0 and variance 1/3.
    np.testing.assert_allclose(matrices.mean(axis=0), 0.0, atol=0.06)
    np.testing.assert_allclose(matrices.var(axis=0), 1 / 3, atol=0.04)


PROGRAM = """
import jax, sys
from oatrpo_jax import Config, Hyperparams, make_train
sys.path.insert(0, "tests")
from probe_envs import RoleGame
config = Config(num_envs=4, rollout_length=4, num_updates=1, num_epochs=1, critic_epochs=1)
train = jax.jit(jax.vmap(make_train(RoleGame((0, 1)), "oappo", config), (0, None)))
jax.block_until_ready(train(jax.random.split(jax.random.key(0), 8), Hyperparams.create()))
print("done")
"""


def test_eight_vmapped_seeds_initialise_and_update_without_a_deadlock():
    # With a QR inside, XLA's CPU runtime waits for itself for ever: hence a time limit.
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=180, check=False
    )
    assert result.stdout.strip() == "done", result.stderr
