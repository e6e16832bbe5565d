"""Rows that are taken keep what belongs together: a sequence, and the memory before it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.policies.memory import Recall
from oatrpo_jax.reuse.agreement import NUM_BLOCKS, in_blocks
from oatrpo_jax.reuse.experience import Experience, Slots
from oatrpo_jax.reuse.rows import minibatch_places, spaced_envs, take_minibatch, take_spaced

NUM_SLOTS, NUM_POLICIES, LENGTH, NUM_ENVS, SIZE = 3, 2, 5, 20, 4


def numbered() -> Experience:
    """Experience in which everything says whose it is: ``100 n + e``, and ``10000 g`` besides.

    An episode of environment e ended with step ``e % T``.
    """
    slot, step, env = np.ogrid[:NUM_SLOTS, :LENGTH, :NUM_ENVS]
    whose = 100.0 * slot + env
    rows = np.broadcast_to(whose, (NUM_SLOTS, LENGTH, NUM_ENVS)).astype(np.float32)
    before = np.repeat(whose[..., None], SIZE, axis=-1).astype(np.float32)
    ended = np.broadcast_to(step == env % LENGTH, rows.shape)
    slots = Slots(
        agents_view=rows[..., None],
        action_mask=np.ones((*rows.shape, 2), bool),
        action=rows.astype(np.int32),
        log_prob=rows,
        advantage=rows,
        active=np.ones(rows.shape, bool),
        recall=Recall(before, ended),
    )
    learner = 10000.0 * np.arange(NUM_POLICIES, dtype=np.float32).reshape(-1, 1, 1, 1, 1)
    own = np.eye(NUM_POLICIES, NUM_SLOTS, dtype=bool)
    return Experience(slots, own, memories=learner + before)


def assert_together(experience: Experience) -> None:
    """Fails unless every row has the memory of its own slot and environment, of each learner."""
    slots = experience.slots
    for learner in range(NUM_POLICIES):
        recall = experience.seen_by(learner).recall
        remembered = recall.memory - 10000 * learner
        assert recall.memory.shape[-3] == 1 and recall.memory.shape[-1] == SIZE
        np.testing.assert_array_equal(*np.broadcast_arrays(remembered, slots.advantage[..., None]))
    np.testing.assert_array_equal(*np.broadcast_arrays(slots.recall.memory, slots.agents_view))
    np.testing.assert_array_equal(slots.action, slots.advantage)
    ended = np.argmax(slots.recall.ended, axis=-2)
    np.testing.assert_array_equal(ended, slots.action[..., 0, :] % 100 % LENGTH)


def envs_of(experience: Experience) -> np.ndarray:
    """The environments of the first slot's rows, in order."""
    return np.ravel(experience.slots.advantage[0, ..., 0, :])


def test_a_subsample_keeps_each_sequence_with_its_memory():
    envs = spaced_envs((LENGTH, NUM_ENVS), 7 * LENGTH)
    some = jax.jit(lambda: numbered().arranged(jax.vmap(partial(take_spaced, envs=envs))))()
    assert_together(some)
    # Of at most seven, one of each of four groups of 5.
    np.testing.assert_array_equal(envs_of(some), [0, 5, 10, 15])


@pytest.mark.parametrize(("num_rows", "size"), [(1, 1), (51 * LENGTH, 2), (10**6, 2)])
def test_blocks_keep_each_sequence_with_its_memory(num_rows, size):
    blocks = jax.jit(lambda: in_blocks(numbered(), num_rows))()
    assert blocks.slots.advantage.shape == (NUM_SLOTS, NUM_BLOCKS, LENGTH, size)
    assert blocks.memories.shape == (NUM_POLICIES, NUM_SLOTS, NUM_BLOCKS, 1, size, SIZE)
    assert_together(blocks)
    # Of 8, 2 of each of four groups of 5; of 16, 4 of each of these.
    expected = np.arange(NUM_ENVS).reshape(4, 5)[:, {1: slice(0, 4, 2), 2: slice(0, 4)}[size]]
    np.testing.assert_array_equal(envs_of(blocks), expected.ravel())


def test_minibatches_keep_each_sequence_with_its_memory_and_leave_none_out():
    slots = numbered().slots
    places = minibatch_places(jax.random.key(0), NUM_ENVS, 4)
    assert places is not None
    # One of each four neighbours, and in each group another order.
    envs = 4 * np.arange(NUM_ENVS // 4) + places
    np.testing.assert_array_equal(np.sort(envs, axis=None), np.arange(NUM_ENVS))
    assert len(np.unique(places, axis=1).T) > 1
    for slot, some in np.ndindex(NUM_SLOTS, 4):
        of_slot = jax.tree.map(lambda x, slot=slot: jnp.asarray(x[slot]), slots)
        rows = take_minibatch(of_slot, places[some])
        np.testing.assert_array_equal(rows.advantage[0], 100 * slot + envs[some])
        np.testing.assert_array_equal(*np.broadcast_arrays(rows.recall.memory, rows.agents_view))
        np.testing.assert_array_equal(np.argmax(rows.recall.ended, axis=0), envs[some] % LENGTH)


@pytest.mark.parametrize("num_blocks", [1, 3, 8])
@pytest.mark.parametrize("num_rows", [0, 40, 100, 10**6])
@pytest.mark.parametrize("num_envs", [16, 19, 50])
def test_environments_make_up_equal_blocks_and_none_comes_twice(num_rows, num_blocks, num_envs):
    envs = spaced_envs((2, 4, num_envs), 2 * num_rows, num_blocks)  # Of two slots, twice as many.
    taken = take_spaced(np.arange(num_envs)[None], envs)[0]
    most = min(num_rows // 4, num_envs)
    most = max(most - most % num_blocks, num_blocks)
    assert most / 2 < len(taken) <= most and len(taken) % num_blocks == 0
    assert taken[0] == 0 and (np.diff(taken) > 0).all()


@pytest.mark.parametrize(
    ("num_envs", "at_most", "groups", "of_each"),
    # As many factors of two as there can be, then as many environments, then as many groups.
    [
        (64, 20, 16, 1),
        (50, 20, 10, 2),
        (50, 6, 2, 3),
        (12, 7, 4, 1),
        (25, 8, 1, 8),
        (19, 19, 19, 1),
    ],
)
def test_halves_of_all_environments_have_rows_each(num_envs, at_most, groups, of_each):
    assert spaced_envs((num_envs,), at_most) == (groups, of_each)
