"""What is measured for a plan, and that no sound learner learns from a broken policy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax import Config, Hyperparams, get_algorithm
from oatrpo_jax.algorithms import fixed_algorithm
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.experience import Experience, Slots
from oatrpo_jax.reuse.planning import make_plan

NUM_AGENTS, NUM_ACTIONS, NUM_STEPS, NUM_ENVS = 3, 3, 4, 8
CONFIG = Config(hidden_sizes=(4,))
POLICY = Policy.of(CONFIG, NUM_ACTIONS)
HPARAMS = Hyperparams.create(reuse_sigma=10.0)


def policies():
    """Three policies that differ a little."""
    keys = jax.random.split(jax.random.key(0), NUM_AGENTS)
    return jax.vmap(lambda key: POLICY.init(key, view_size=2))(keys)


def recorded(actors) -> Slots:
    """What each agent did in one rollout, ``[N, T, E]``."""
    keys = jax.random.split(jax.random.key(1), 3)
    shape = NUM_AGENTS, NUM_STEPS, NUM_ENVS
    slots = Slots(
        agents_view=jax.random.normal(keys[0], (*shape, 2)),
        action_mask=jnp.ones((*shape, NUM_ACTIONS), bool),
        action=jax.random.randint(keys[1], shape, 0, NUM_ACTIONS),
        log_prob=jnp.zeros(shape),
        advantage=jax.random.normal(keys[2], shape),
        active=jnp.ones(shape, bool),
    )
    logits = jax.vmap(POLICY.outputs)(actors, slots)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), slots.action[..., None], axis=-1)
    return slots._replace(log_prob=chosen[..., 0])


def plan(algorithm, actors, slots, config=CONFIG):
    """The reuse matrix, and the metrics."""
    experience = Experience(slots, jnp.eye(NUM_AGENTS, dtype=bool))
    reuse = get_algorithm(algorithm).reuse
    coefficients = {"config": config, "hparams": HPARAMS, "key": jax.random.key(2)}
    made, metrics = make_plan(POLICY, reuse, actors, experience, **coefficients)
    return made.weights, metrics


@pytest.mark.parametrize(
    ("algorithm", "measured"),
    [
        ("oappo", {"divergence"}),
        ("oappo-ess", {"effective_sample_size"}),
        ("oappo-auto", {"effective_sample_size"}),
        ("happo", set()),
        ("seac", set()),
        (fixed_algorithm(np.eye(NUM_AGENTS)), set()),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_a_rule_looks_at_is_logged_and_the_rest_if_it_is_to_be(algorithm, measured):
    def names(config):
        actors = jax.eval_shape(policies)
        slots = jax.eval_shape(recorded, actors)
        made = jax.eval_shape(lambda *given: plan(algorithm, *given, config)[1], actors, slots)
        return {name.removeprefix("reuse/") for name in made} - {"weight", "num_admitted"}

    assert names(CONFIG) == measured
    everything = {"divergence", "effective_sample_size"}
    assert names(dataclasses.replace(CONFIG, log_affinity=True)) == everything


@pytest.mark.parametrize("algorithm", ["happo", "oappo", "oappo-ess"])
def test_policies_are_compared_once_for_the_rule_and_the_log_together(algorithm):
    config = dataclasses.replace(CONFIG, log_affinity=True)
    actors = jax.eval_shape(policies)
    slots = jax.eval_shape(recorded, actors)
    program = jax.make_jaxpr(lambda *given: plan(algorithm, *given, config))(actors, slots)
    loops = [equation for equation in program.eqns if equation.primitive.name == "scan"]
    assert len(loops) == 2  # One for divergences, one for effective sample sizes.


@pytest.mark.parametrize("divergence", ["mean", "max", "quantile"])
@pytest.mark.parametrize("algorithm", ["oappo", "oappo-ess", "oappo-auto"])
def test_a_policy_that_is_not_a_number_is_admitted_nowhere_and_changes_no_other(
    algorithm, divergence
):
    config = dataclasses.replace(CONFIG, divergence=divergence)
    run = jax.jit(lambda actors: plan(algorithm, actors, recorded(actors), config)[0])
    sound = run(policies())
    broken = np.asarray(run(jax.tree.map(lambda x: x.at[2].set(jnp.nan), policies())))
    assert (sound > 0).all()
    np.testing.assert_array_equal(broken[:2, 2], 0.0)
    np.testing.assert_array_equal(broken[2], [0.0, 0.0, 1.0])
    # Of each other, the sound ones think as they did before.
    pair = np.asarray(sound)[:2, :2]
    own = pair[[0, 1], [0, 1]]
    ratio = HPARAMS.reuse_lambda / (1 - HPARAMS.reuse_lambda) if algorithm == "oappo" else None
    for learner in range(2):
        expected = ratio or own[learner] / pair[learner, 1 - learner]
        found = broken[learner, learner] / broken[learner, 1 - learner]
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(broken.sum(axis=1), 1.0, rtol=1e-6)
