import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.training.playing import Purpose
from oatrpo_jax.keys import GROUPING, branch

KEY = jax.random.key(3)
PURPOSES = (*Purpose, GROUPING)


def as_bytes(keys):
    return [data.tobytes() for data in np.asarray(jax.random.key_data(keys)).reshape(-1, 2)]


@jax.jit
def split_twice(key):
    """The key itself and what training may split off, two levels down."""
    below = jnp.concatenate([jax.random.split(key, count) for count in range(2, 9)])
    deeper = [jax.vmap(lambda k, n=n: jax.random.split(k, n))(below) for n in range(2, 9)]
    return jnp.concatenate([key[None], below, *map(jnp.ravel, deeper)])


def splits_of(key):
    return set(as_bytes(split_twice(key)))


def test_no_two_purposes_of_a_run_share_a_key():
    keys = [branch(KEY, purpose, number) for purpose in PURPOSES for number in range(20)]
    assert len({data for key in keys for data in as_bytes(key)}) == len(keys)


def test_no_purpose_has_a_key_that_training_splits_off():
    taken = splits_of(KEY)
    for purpose in PURPOSES:
        for key in (jax.random.fold_in(KEY, purpose), branch(KEY, purpose)):
            assert not taken.intersection(as_bytes(key)), purpose


def test_a_small_number_folded_in_would_be_such_a_key():
    # Why numbers are large: the third key of training's first split is this one.
    assert set(as_bytes(jax.random.fold_in(KEY, 2))) <= splits_of(KEY)


@pytest.mark.parametrize("seed", [0, 7])
def test_a_branch_depends_on_the_run_the_purpose_and_the_number_alone(seed):
    key = jax.random.key(seed)
    assert as_bytes(branch(key, GROUPING, 5)) == as_bytes(branch(key, GROUPING, 5))
    assert as_bytes(branch(key, GROUPING, 5)) != as_bytes(branch(KEY, GROUPING, 5))
