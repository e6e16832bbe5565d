"""Learning on problems so small that the answer is known."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax import ALGORITHMS, Config, Hyperparams, make_train, make_trainer
from oatrpo_jax.rollout import MAX_EPISODE_STEPS
from tests.golden.record import SIZES, make
from tests.probe_envs import Messy, Recollection, RoleGame, SlowWin, Steering, tree_equal

CONFIG = Config(
    num_envs=32,
    rollout_length=4,
    num_updates=60,
    hidden_sizes=(16,),
    divergence_rows=128,
    grouping_steps=256,
    grouping_epochs=2,
)
HPARAMS = Hyperparams.create(
    actor_lr=0.01, critic_lr=0.01, reuse_sigma=1.0, reuse_lambda=0.5, kl_threshold=0.05
)

MARKS = pytest.mark.slow, pytest.mark.thorough
"""Of a learning test: whether it is one of those that are run before an issue is resolved."""


@functools.cache
def trained(roles, algorithm):
    env = RoleGame(roles)
    train = jax.jit(jax.vmap(make_train(env, algorithm, CONFIG), (0, None)))
    return env, *jax.device_get(train(jax.random.split(jax.random.key(0), 2), HPARAMS))


@pytest.mark.parametrize(
    "algorithm",
    [pytest.param(name, marks=MARKS[name in ("oappo", "mappo")]) for name in ALGORITHMS],
)
def test_two_agents_of_one_role_learn_their_answer(algorithm):
    *_, metrics = trained((0, 0), algorithm)
    assert metrics["episode/success"][:, -5:].mean() > 0.95


@pytest.mark.parametrize(
    "algorithm", [pytest.param(name, marks=MARKS[name == "oappo"]) for name in ("oappo", "oatrpo")]
)
def test_opposed_agents_learn_to_reuse_only_their_own_kind(algorithm):
    *_, metrics = trained((0, 0, 1, 1), algorithm)
    assert metrics["episode/success"][:, -5:].mean() > 0.9
    # At first all policies are alike and everybody reuses everybody; then the roles part.
    np.testing.assert_allclose(metrics["reuse/weight"][:, 0], first_weights(), atol=1e-6)
    block = np.kron(np.eye(2), np.full((2, 2), 0.5))
    np.testing.assert_allclose(metrics["reuse/weight"][:, -1], np.stack([block, block]), atol=1e-6)


def first_weights():
    # lambda = 0.5 on oneself, 0.5 / 3 on each of three others
    weights = np.full((4, 4), 0.5 / 3)
    np.fill_diagonal(weights, 0.5)
    return np.stack([weights, weights])


@pytest.mark.slow
def test_a_policy_for_each_role_serves_opposed_agents():
    env = RoleGame((0, 1, 0, 1))
    trainer = make_trainer(env, "seps", CONFIG)
    state = trainer.init(jax.random.key(0))
    state = state._replace(learner=trainer.learner.regroup(state.learner, [0, 1, 0, 1]))
    step = jax.jit(trainer.step)
    for _ in range(CONFIG.num_updates):
        state, metrics = step(state, HPARAMS)
    assert metrics["episode/success"] > 0.95


@pytest.mark.thorough
def test_one_shared_policy_cannot_serve_opposed_agents():
    *_, metrics = trained((0, 0, 1, 1), "mappo")
    # Each answer is right for exactly half of the agents: never for all four.
    assert metrics["episode/success"][:, -5:].mean() < 0.1
    np.testing.assert_allclose(metrics["episode/return"][:, -5:].mean(), 0.5, atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["oappo", "oatrpo"])
@pytest.mark.parametrize("memory_size", [0, 16])
def test_what_was_seen_once_is_known_later_to_policies_with_a_memory_alone(algorithm, memory_size):
    """Episodes of 6 steps, which rollouts of 16 cut."""
    sizes = {"rollout_length": 16, "memory_size": memory_size}
    trainer = make_trainer(Recollection(), algorithm, dataclasses.replace(CONFIG, **sizes))

    @jax.jit
    def train_and_play(key):
        step = lambda state, _: trainer.step(state, HPARAMS)  # noqa: E731
        state, metrics = jax.lax.scan(step, trainer.init(key), length=40)
        played = trainer.evaluate(state.learner, key, 320)
        return metrics["episode/success"][-5:].mean(), played["evaluation/success"]

    for success in train_and_play(jax.random.key(0)):
        # Without a memory every answer is right with 1/2: 3 answers in each of at least 320
        # episodes have a deviation of 0.5 / sqrt(960) = 0.016.
        assert success > 0.95 if memory_size else abs(success - 0.5) < 0.065


class FarOff(RoleGame):
    """The same where what is seen differs by 1 around 1000."""

    def _observe(self, bit):
        seen = super()._observe(bit)
        view, state = 1000.0 + seen.agents_view, 1000.0 + seen.global_state
        return seen._replace(agents_view=view, global_state=state)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["oappo", "oatrpo", "ippo"])
@pytest.mark.parametrize("normalise_inputs", [False, True])
def test_what_differs_little_is_told_apart_by_standardised_inputs_alone(
    algorithm, normalise_inputs
):
    config = dataclasses.replace(CONFIG, normalise_inputs=normalise_inputs)
    train = jax.jit(jax.vmap(make_train(FarOff((0, 0)), algorithm, config), (0, None)))
    _, metrics = train(jax.random.split(jax.random.key(0), 2), HPARAMS)
    success = metrics["episode/success"][:, -5:].mean()
    # Who sees no difference is right in half of the games at most.
    assert success > 0.95 if normalise_inputs else success < 0.6


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["happo", "oappo", "hatrpo", "oatrpo"])
def test_like_agents_learn_to_steer(algorithm):
    """Eight steps of up to 1/4, from 0.77 away on average: who stays there pays 6.1 an episode."""
    config = dataclasses.replace(CONFIG, rollout_length=32, divergence_rows=1024)
    hparams = HPARAMS.replace(ent_coef=jnp.float32(0))
    train = jax.jit(jax.vmap(make_train(Steering(), algorithm, config), (0, None)))
    metrics = train(jax.random.split(jax.random.key(0), 2), hparams)[1]["episode/return"]
    # The best on a straight way pays about 0.9; found are -1.13 to -0.95.
    assert (metrics[:, 0] < -6).all()
    assert (metrics[:, -5:].mean(axis=1) > -1.5).all()


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["oappo", "oappo-auto"])
def test_agents_that_steer_inversely_part_and_all_learn(algorithm):
    """Without reuse they come to -1.70; with clips around behaviours two of five seeds to -8."""
    env = Steering((1, 1, -1, -1))
    config = Config(num_envs=32, rollout_length=32, num_updates=80, clip_center="own")
    train = jax.jit(jax.vmap(make_train(env, algorithm, config), (0, None)))
    metrics = train(jax.random.split(jax.random.key(0), 3), Hyperparams.create(ent_coef=0.0))[1]
    assert (metrics["episode/return"][:, -5:].mean(axis=1) > -1.8).all()
    is_unlike = env.controls[:, None] != env.controls
    weight = metrics["reuse/weight"]
    assert (weight[:, 0][:, is_unlike] > 0.05).all()  # At first nobody tells them apart.
    assert weight[:, 27:][:, :, is_unlike].max() < 0.01
    is_like = ~is_unlike & ~np.eye(4, dtype=bool)
    assert weight[:, 27:35][:, :, is_like].mean() > 0.1


@pytest.mark.thorough
def test_the_critic_learns_the_value():
    env, state, _ = trained((0, 0), "happo")
    trainer = make_trainer(env, "happo", CONFIG)
    learner = jax.tree.map(lambda x: x[0], state.learner)
    _, timestep = env.reset(jax.random.key(0))
    # One step, and by now both agents nearly always answer correctly: the value is 1.
    np.testing.assert_allclose(trainer.learner.value(learner, timestep.observation), 1.0, atol=0.05)


@functools.cache
def whole_run():
    """A run of three updates as one program, of key and coefficients."""
    return jax.jit(make_train(Messy(), "happo", Config(**SIZES, num_updates=3)))


def test_a_run_is_its_initialisation_and_its_steps():
    whole, metrics = whole_run()(jax.random.key(0), HPARAMS)
    program = make("messy", "happo")
    state = program.init(jax.random.key(0))
    for _ in range(3):
        state, last = program.step(state, HPARAMS)
    assert int(state.num_updates) == int(whole.num_updates) == 3
    np.testing.assert_allclose(metrics["critic/loss"][-1], last["critic/loss"], rtol=1e-4)
    leaves = zip(jax.tree.leaves(whole.learner), jax.tree.leaves(state.learner), strict=True)
    for left, right in leaves:
        np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-4)


def test_the_same_key_gives_the_same_run_to_the_bit_and_another_does_not():
    one, two, other = (whole_run()(jax.random.key(seed), HPARAMS)[0].learner for seed in (0, 0, 1))
    assert tree_equal(one, two)
    assert not tree_equal(one, other)


@functools.cache
def evaluation(env, num_episodes, greedy=True, max_steps=MAX_EPISODE_STEPS):
    trainer = make_trainer(env, "happo", Config(num_envs=4, rollout_length=2, hidden_sizes=(4,)))
    state = jax.jit(trainer.learner.init)(jax.random.key(0))
    return jax.jit(lambda key: trainer.evaluate(state, key, num_episodes, greedy, max_steps))


def test_evaluation_plays_whole_episodes():
    metrics = evaluation(Messy(num_agents=2, death_rate=0.0, time_limit=5), 6)(jax.random.key(1))
    # Nobody dies: every episode lasts to the limit, and all are alive at its end.
    assert float(metrics["evaluation/length"]) == 5
    assert float(metrics["evaluation/success"]) == 1
    assert jnp.isfinite(metrics["evaluation/return"])


@pytest.mark.parametrize("num_episodes", [1, 3, 7, 64])
def test_evaluation_is_a_mean_over_exactly_that_many_episodes(num_episodes):
    metrics = evaluation(SlowWin(), num_episodes)(jax.random.key(2))
    # A sum of zeros and ones over the right number of episodes is whole; over another it is not,
    # unless all are alike.
    wins = float(metrics["evaluation/success"]) * num_episodes
    assert wins == pytest.approx(round(wins), abs=1e-4)
    assert num_episodes < 7 or 0 < round(wins) < num_episodes
    # An episode lasts 1 step, or 9 where it is won.
    length = (9 * wins + (num_episodes - wins)) / num_episodes
    np.testing.assert_allclose(metrics["evaluation/length"], length, rtol=1e-5)


def test_evaluation_does_not_favour_short_episodes():
    metrics = evaluation(SlowWin(), 800)(jax.random.key(3))
    # Half of the episodes are slow wins; the first 800 to end would hold one in ten.
    # Four standard deviations of the mean of 800 coins: 4 * 0.5 / sqrt(800) = 0.07.
    np.testing.assert_allclose(metrics["evaluation/success"], 0.5, atol=0.07)


def test_evaluation_is_the_same_alone_and_beside_others():
    evaluate = evaluation(Messy(), 5, greedy=False)
    keys = jax.random.split(jax.random.key(4), 3)
    side_by_side = jax.vmap(evaluate)(keys)
    for index, key in enumerate(keys):
        for name, value in evaluate(key).items():
            np.testing.assert_allclose(side_by_side[name][index], value, rtol=1e-6)


class Telling(SlowWin):
    """Tells of one thing more."""

    def __init__(self, name):
        self.name = name

    def _timestep(self, is_heads, step):
        timestep = super()._timestep(is_heads, step)
        return timestep._replace(extras=timestep.extras | {self.name: jnp.float32(-99)})


@pytest.mark.parametrize("name", ["return", "length", "count", "cut_off"])
def test_an_environment_cannot_replace_what_the_trainer_measures(name):
    with pytest.raises(ValueError, match=f"got {name}; rename .* to env_{name}"):
        make_trainer(Telling(name), "happo")


def test_what_an_environment_tells_keeps_its_name():
    metrics = evaluation(Telling("episode/return"), 1)(jax.random.key(2))
    assert metrics["evaluation/episode/return"] == -99
    assert metrics["evaluation/return"] == 0  # `SlowWin` rewards nothing.


def test_evaluation_refuses_to_play_nothing():
    with pytest.raises(ValueError, match=r"num_episodes: expected .* at least 1, got 0"):
        evaluation(Messy(), 0)(jax.random.key(0))


@pytest.mark.parametrize("max_steps", [0, -1, 2**31])
def test_evaluation_refuses_episodes_of_no_step_or_of_too_many(max_steps):
    with pytest.raises(ValueError, match=f"max_steps: expected .*, got {max_steps}"):
        evaluation(Messy(), 1, max_steps=max_steps)(jax.random.key(0))


class NeverLost(SlowWin):
    """Goes on for ever where `SlowWin` would be lost; tells how far it has come, and pays that."""

    def _timestep(self, is_heads, step):
        timestep = super()._timestep(is_heads, step)
        is_last = timestep.is_last & is_heads
        extras = timestep.extras | {"steps": step.astype(jnp.float32)}
        return timestep._replace(is_last=is_last, reward=jnp.float32(2), extras=extras)


def test_an_episode_that_never_ends_is_cut_off_and_counts_with_what_it_has():
    metrics = evaluation(NeverLost(), 64, max_steps=20)(jax.random.key(2))
    wins = round(float(metrics["evaluation/success"]) * 64)
    assert 0 < wins < 64
    assert metrics["evaluation/cut_off"] == 64 - wins
    # A win takes 9 steps; the others have had 20, at 2 a step.
    steps = (9 * wins + 20 * (64 - wins)) / 64
    for name, expected in {"length": steps, "steps": steps, "return": 2 * steps}.items():
        np.testing.assert_allclose(metrics[f"evaluation/{name}"], expected, rtol=1e-6)


def test_an_episode_that_ends_in_its_last_step_is_not_cut_off():
    whole = evaluation(SlowWin(), 16)(jax.random.key(2))
    assert tree_equal(evaluation(SlowWin(), 16, max_steps=9)(jax.random.key(2)), whole)
    assert whole["evaluation/cut_off"] == 0
    short = evaluation(SlowWin(), 16, max_steps=8)(jax.random.key(2))
    assert short["evaluation/cut_off"] == 16 * float(whole["evaluation/success"]) > 0
