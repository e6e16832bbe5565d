"""What an environment may be, and how each departure from that is named."""

import collections
import functools
import re
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs.adapters import jaxmarl, jumanji
from oatrpo_jax import (
    Config,
    EnvSpec,
    Hyperparams,
    Observation,
    check_env,
    make_learner,
    make_trainer,
)
from oatrpo_jax.checks import check_update_input
from oatrpo_jax.rollout import init_rollout, rollout
from oatrpo_jax.train import Trainer
from tests.jax_settings import JAX_SETTINGS
from tests.probe_envs import ProbeTimeStep, RoleGame, SlowWin

CONFIG = Config(num_envs=4, rollout_length=3, num_updates=1, hidden_sizes=(4,))


class Plain:
    """Two agents, three actions, one step; each attribute is a part that may be another."""

    num_agents, num_actions, agent_types = 2, 3, ("a", "b")
    agents_view, action_mask = jnp.ones((2, 4)), jnp.ones((2, 3), bool)
    global_state, active = jnp.ones(5), jnp.ones(2, bool)
    reward, discount, is_last = jnp.float32(1), jnp.float32(0), jnp.bool_(True)
    extras: Any = {"success": jnp.float32(1)}  # noqa: RUF012
    state: Any = jnp.int32(0)

    def reset(self, key) -> Any:
        return self.state, self.show()

    def step(self, state, action) -> Any:
        return state, self.show()

    def show(self) -> Any:
        seen = Observation(self.agents_view, self.action_mask, self.global_state, self.active)
        return ProbeTimeStep(self.is_last, self.reward, self.discount, seen, self.extras)


def with_part(**parts: Any) -> Plain:
    return type("Other", (Plain,), parts)()


def after(change: Any) -> Plain:
    """Returns an environment of which a step gives something else than `Plain`'s."""
    return with_part(step=lambda self, state, action: change(state, self.show()))


def without(name: str) -> Any:
    parts = {each: vars(Plain)[each] for each in vars(Plain) if not each.startswith("__")}
    return type("Less", (), {each: part for each, part in parts.items() if each != name})()


class Opaque:
    """Holds an array, but jax does not know how to look into it."""

    reward, discount, observation, extras = Plain.reward, Plain.discount, None, None

    def last(self):
        return Plain.is_last


SEEN = Plain().show().observation
WRONG = {
    "no environment": (lambda: "maze", "num_agents: .*got str.*envs.make('maze')"),
    "a class": (lambda: Plain, "env: .*the class Plain; call it"),
    "no sizes": (lambda: without("num_actions"), "num_actions: .*got Less, which has not; add it"),
    "no types": (lambda: without("agent_types"), "agent_types: "),
    "no reset": (lambda: without("reset"), "reset: "),
    "no step": (lambda: without("step"), "step: "),
    "no agents": (lambda: with_part(num_agents=0), "num_agents: .*got 0"),
    "a float of agents": (lambda: with_part(num_agents=2.0), "num_agents: .*got 2.0"),
    "an array of actions": (lambda: with_part(num_actions=jnp.int32(3)), "num_actions: .*an int"),
    "too few types": (lambda: with_part(agent_types=("a",)), "agent_types: .*2 agents, got ('a',)"),
    "one text of types": (lambda: with_part(agent_types="ab"), "agent_types: "),
    "types of numbers": (lambda: with_part(agent_types=(0, 1)), "agent_types: "),
    "a state alone": (lambda: with_part(reset=lambda self, key: key), "reset: .*a pair.*got key"),
    "a time step alone": (
        lambda: with_part(reset=lambda self, key: self.show()),
        "reset: .*a pair.*got ProbeTimeStep",
    ),
    "as gymnasium does": (
        lambda: after(lambda state, shown: (state, SEEN, 1.0, True, {})),
        "step: .*a pair.*got a tuple of 5",
    ),
    "as jaxmarl does": (
        lambda: with_part(reset=lambda self, key: ({"a": jnp.ones(4)}, self.state)),
        "reward: expected a time step that has it from reset, got int32[]",
    ),
    "no end": (
        lambda: after(
            lambda state, shown: (state, collections.namedtuple("T", shown._fields)(*shown))
        ),
        "last: expected a time step that has it from step, got T;",
    ),
    "an end that is no method": (
        lambda: with_part(
            show=lambda self: collections.namedtuple(
                "T", "reward discount observation extras last"
            )(self.reward, self.discount, SEEN, self.extras, self.is_last)
        ),
        "last: expected a method, got bool[]",
    ),
    "a reward per agent": (
        lambda: with_part(reward=jnp.ones(2)),
        "reward from reset: expected a floating scalar, got float32[2]; .*sum or average",
    ),
    "a whole reward": (lambda: with_part(reward=jnp.int32(1)), "reward from reset: .*got int32[]"),
    "no reward": (lambda: with_part(reward=None), "reward from reset: .*got None"),
    "extras for a discount": (
        lambda: after(lambda state, shown: (state, shown._replace(discount=shown.extras))),
        "discount from step: .*got dict; .*extras=... by name",
    ),
    "a discount per agent": (lambda: with_part(discount=jnp.ones(2)), "discount from reset: "),
    "an end per agent": (lambda: with_part(is_last=jnp.ones(2, bool)), "last from reset: "),
    "an end in numbers": (
        lambda: with_part(is_last=jnp.float32(1)),
        "last from reset: .*float32[]",
    ),
    "no extras": (lambda: with_part(extras=None), "extras: expected a dict .*got None"),
    "extras in a row": (lambda: with_part(extras=(1.0, 2.0)), "extras: .*got a tuple of 2"),
    "extras without names": (lambda: with_part(extras={0: 1.0}), "extras: "),
    "extras per agent": (
        lambda: with_part(extras={"health": jnp.ones(2)}),
        "extras['health'] from reset: expected a number scalar, got float32[2]",
    ),
    "extras in words": (
        lambda: with_part(extras={"map": "3m"}),
        "extras['map']: expected arrays from reset, got str",
    ),
    "extras of a step alone": (
        lambda: after(
            lambda state, shown: (state, shown._replace(extras={"a": 1.0, **shown.extras}))
        ),
        "extras: .*got a from one of them alone",
    ),
    "a dictionary of views": (
        lambda: with_part(show=lambda self: Plain().show()._replace(observation=SEEN._asdict())),
        "observation: expected an oatrpo_jax.Observation from reset, got dict",
    ),
    "a bare tuple of views": (
        lambda: with_part(show=lambda self: Plain().show()._replace(observation=tuple(SEEN))),
        "observation: .*got a tuple of 4",
    ),
    "images": (
        lambda: with_part(agents_view=jnp.ones((2, 4, 4, 3))),
        "agents_view from reset: expected floating [2, any], got float32[2, 4, 4, 3]; .*flatten",
    ),
    "whole views": (
        lambda: with_part(agents_view=jnp.ones((2, 4), int)),
        "agents_view from reset: .*got int32[2, 4]; .*astype(jnp.float32)",
    ),
    "views of nothing": (lambda: with_part(agents_view=jnp.ones((2, 0))), "agents_view from reset"),
    "one view": (lambda: with_part(agents_view=jnp.ones(4)), "agents_view from reset: .*a row"),
    "other agents": (
        lambda: with_part(num_agents=3, agent_types=("a", "b", "c")),
        "agents_view from reset: expected floating [3, any], got float32[2, 4]; .*num_agents = 3",
    ),
    "a mask of numbers": (
        lambda: with_part(action_mask=jnp.ones((2, 3))),
        "action_mask from reset: expected bool [2, 3], got float32[2, 3]",
    ),
    "other actions": (
        lambda: with_part(action_mask=jnp.ones((2, 5), bool)),
        "action_mask from reset: expected bool [2, 3], got bool[2, 5]",
    ),
    "a list for a mask": (
        lambda: with_part(action_mask=[True]),
        "action_mask from reset: .*got list",
    ),
    "a map for a state": (
        lambda: with_part(global_state=jnp.ones((5, 5))),
        "global_state from reset",
    ),
    "numbers of the living": (lambda: with_part(active=jnp.ones(2)), "active from reset: "),
    "a view that grows": (
        lambda: after(
            lambda state, shown: (
                state,
                shown._replace(observation=SEEN._replace(agents_view=jnp.ones((2, 6)))),
            )
        ),
        "agents_view: expected shape [2, 4] from step, as from reset, got [2, 6]",
    ),
    "a state that grows": (
        lambda: after(lambda state, shown: (jnp.stack([state, state]), shown)),
        "state: expected int32[] from step, as from reset, got int32[2]",
    ),
    "a state of another kind": (
        lambda: after(lambda state, shown: (state + 0.5, shown)),
        "state: expected int32[] from step, as from reset, got float32[]",
    ),
    "a state with more in it": (
        lambda: after(lambda state, shown: ({"a": state}, shown)),
        "state: expected int32[] from step, as from reset, got nothing",
    ),
    "a state of another type": (
        lambda: with_part(
            state=(jnp.int32(0),), step=lambda self, state, action: ([state[0]], self.show())
        ),
        "state: expected the structure from step that reset gives",
    ),
    "a state in words": (
        lambda: with_part(state={"name": "x"}),
        "state['name']: expected arrays from reset, got str; keep Python objects",
    ),
    "a state of an unknown class": (
        lambda: with_part(state=[Opaque()]),
        "state[0]: expected arrays from reset, got Opaque; .*NamedTuple",
    ),
    "a time step of an unknown class": (
        lambda: with_part(show=lambda self: Opaque()),
        "time step: expected arrays from reset, got Opaque",
    ),
    "a reset that fails": (
        lambda: with_part(reset=lambda self, key: 1 / 0),
        "reset: .*ZeroDivisionError: division by zero",
    ),
    "a step that branches": (
        lambda: with_part(step=lambda self, state, action: (state, self.show()) if state else None),
        "step: .*that jax can trace, got TracerBoolConversionError",
    ),
    "continuity in numbers": (
        lambda: with_part(is_continuous=1),
        "is_continuous: expected True or False, got 1; are actions vectors?",
    ),
    "continuity in words": (lambda: with_part(is_continuous="yes"), "is_continuous: .*got 'yes'"),
    "discrete actions for vectors": (
        lambda: with_part(
            step=lambda self, state, action: (
                state + jnp.sum(action[:, :2], dtype=int),
                self.show(),
            )
        ),
        "step: .*that jax can trace, got IndexError",
    ),
    "vectors for discrete actions": (
        lambda: with_part(
            is_continuous=True,
            step=lambda self, state, action: (jnp.take(jnp.arange(3), action)[0], self.show()),
        ),
        "step: .*that jax can trace, got ValueError: indices must have an integer type",
    ),
    "a mask of other dimensions": (
        lambda: with_part(is_continuous=True, action_mask=jnp.ones((2, 4), bool)),
        "action_mask from reset: expected bool [2, 3], got bool[2, 4]",
    ),
    "an end that fails": (
        lambda: with_part(show=lambda self: FailingEnd(*Plain().show())),
        "last: .*KeyError",
    ),
}


class FailingEnd(ProbeTimeStep):
    def last(self):
        return {}["end"]


@pytest.mark.parametrize(("make", "complaint"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_by_the_name_of_the_field(make, complaint):
    pattern = "^" + re.escape(complaint).replace(re.escape(".*"), ".*")
    with pytest.raises(ValueError, match=pattern):
        check_env(make())
    with pytest.raises(ValueError, match=pattern):
        make_trainer(make(), "happo", CONFIG)


def counting(start: Any, step: Any) -> Plain:
    return with_part(
        reset=lambda self, key: (start, self.show()),
        step=lambda self, state, action: (step(state), self.show()),
    )


FINE = {
    "as it is": with_part,
    "types in a list": functools.partial(with_part, agent_types=["a", "b"]),
    "types in numpy": functools.partial(with_part, agent_types=np.array(["a", "b"])),
    "sizes in numpy": functools.partial(with_part, num_agents=np.int64(2)),
    "a Python float of reward": functools.partial(with_part, reward=1.0, discount=0),
    "a truth for a discount": functools.partial(with_part, discount=jnp.bool_(False)),
    "numpy arrays": functools.partial(
        with_part, agents_view=np.ones((2, 4)), active=np.ones(2, bool)
    ),
    "half precision": functools.partial(with_part, agents_view=jnp.ones((2, 4), jnp.float16)),
    "nothing to tell": functools.partial(with_part, extras={}),
    "numbers to tell": functools.partial(with_part, extras={"a": 1, "b": True, "c": jnp.int8(1)}),
    "no state": functools.partial(with_part, state=None),
    "continuous actions": functools.partial(
        with_part,
        is_continuous=True,
        reset=lambda self, key: (jnp.zeros((2, 3)), self.show()),
        step=lambda self, state, action: (state + action, self.show()),
    ),
    "a Python number for a state": lambda: counting(0, lambda state: state + 1),
    "a Python float for a state": lambda: counting({"a": 0.0}, lambda state: {"a": 1.0}),
    "a weak type after a step": lambda: counting(jnp.float32(0), lambda state: jnp.asarray(1.0)),
    "a key in the state": lambda: counting(jax.random.key(0), lambda key: jax.random.split(key)[0]),
}


@pytest.mark.parametrize("make", FINE.values(), ids=FINE)
def test_what_the_trainer_can_work_with_is_accepted_and_traced_once(make):
    env = make()
    check_env(env)
    spec = EnvSpec.from_env(env)

    def act(seen, key):
        shape, kind = seen.active.shape, jnp.float32 if spec.is_continuous else jnp.int32
        each = (*shape, env.num_actions) if spec.is_continuous else shape
        return jnp.zeros(each, kind), jnp.zeros(shape)

    def play(key):
        start = init_rollout(env, 4, key)
        state, trajectory, _ = rollout(env, act, start, 3, key)
        one_learner = SimpleNamespace(labels=jnp.zeros(2, jnp.int32))
        check_update_input(spec, one_learner, trajectory, Hyperparams.create())
        return start, state

    first, after = jax.eval_shape(play, jax.random.key(0))
    for was, now in zip(jax.tree.leaves(first), jax.tree.leaves(after), strict=True):
        assert (was.shape, was.dtype, was.weak_type) == (now.shape, now.dtype, now.weak_type)


@pytest.mark.parametrize("setting", JAX_SETTINGS.values(), ids=JAX_SETTINGS)
@pytest.mark.parametrize(
    "env", [RoleGame((0, 1)), SlowWin(), Plain()], ids=["roles", "coin", "plain"]
)
def test_settings_of_jax_do_not_matter(env, setting):
    with setting():
        check_env(env)


def test_nothing_is_computed():
    computed = []

    def reset(self, key):
        jax.debug.callback(lambda: computed.append(1))
        return self.state, self.show()

    check_env(with_part(reset=reset))
    assert computed == []


def test_the_cause_of_a_failure_is_kept():
    with pytest.raises(ValueError, match=r"^reset: ") as caught:
        check_env(with_part(reset=lambda self, key: 1 / 0))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (jaxmarl, "MPE_simple_spread_v3"),
        (jumanji, "LevelBasedForaging-v0"),
        (jumanji, "RobotWarehouse-v0"),
    ],
)
def test_an_environment_of_another_library_is_sent_to_its_adapter(module, name):
    library = module.__name__.rpartition(".")[2]
    with pytest.raises(ValueError, match=rf'envs\.make\("{library}:NAME"\)'):
        check_env(module.make_game(name))


def test_what_extends_a_class_of_another_library_is_no_environment_of_that_library():
    base = type(jumanji.make_game("LevelBasedForaging-v0"))
    with pytest.raises(ValueError, match=r"^num_actions: .* got Mine, which has not; add it"):
        check_env(type("Mine", (base,), {"__module__": __name__})())


def test_a_trainer_made_by_hand_checks_its_environment_too():
    learner = make_learner(make_trainer(Plain(), "happo", CONFIG).learner.spec, "happo", CONFIG)
    with pytest.raises(ValueError, match=r"^reward from reset: "):
        Trainer(with_part(reward=jnp.ones(2)), learner)
