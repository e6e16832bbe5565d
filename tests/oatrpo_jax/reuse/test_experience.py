from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from oatrpo_jax.reuse.experience import Experience
from oatrpo_jax.reuse.rows import SpacedEnvs, spaced_envs, take_spaced
from tests.oatrpo_jax.reuse.made_up_slots import remembered, some_slots


def test_a_learner_reads_each_slot_with_the_memory_that_it_would_have_had():
    slots = remembered(some_slots())
    memories = jnp.arange(3.0)[:, None, None, None, None] + slots.recall.memory / 10
    experience = Experience(slots, jnp.eye(3, dtype=bool), memories=memories)
    seen = jax.jit(experience.seen_by)(1)
    np.testing.assert_allclose(seen.recall.memory[:, 0, 0, 0], [1.0, 1.1, 1.2])
    # Some rows of it, with the memories before just these.
    some = experience.arranged(jax.vmap(partial(take_spaced, envs=SpacedEnvs(2, 1))))
    assert some.memories.shape == (3, 3, 1, 2, 2)
    assert some.seen_by(2).recall.ended.shape == (3, 3, 2)


def test_slots_are_judged_alike_unless_each_learner_has_its_own_view():
    slots, own = some_slots(), jnp.eye(3, dtype=bool)
    assert Experience(slots, own).seen_by(jnp.int32(1)) is slots
    judged = Experience(slots, own, lambda learner: slots.advantage + learner).seen_by(2)
    np.testing.assert_array_equal(judged.advantage, slots.advantage + 2)
    assert judged.log_prob is slots.log_prob


def test_a_subsample_is_whole_sequences_of_evenly_spaced_environments():
    rows = np.arange(12.0).reshape(2, 6)

    def some(num_rows):
        return take_spaced(rows, spaced_envs((2, 6), num_rows))

    np.testing.assert_array_equal(some(4), [[0, 3], [6, 9]])  # Two, one of each three.
    np.testing.assert_array_equal(some(11), [[0, 1, 3, 4], [6, 7, 9, 10]])  # Two of each three.
    np.testing.assert_array_equal(some(99), rows)  # Never more than there are,
    assert some(1).shape == (2, 1)  # and one sequence at the least.
