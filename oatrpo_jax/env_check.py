"""An environment held against the `MultiAgentEnv` protocol, by shapes and types: nothing runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.ranges import is_count
from oatrpo_jax.types import (
    OWN_METRICS,
    MultiAgentEnv,
    Observation,
    PyTree,
    action_struct,
    acts_continuously,
    aval_of,
)

MEMBERS = ("num_agents", "num_actions", "agent_types", "reset", "step")
PARTS = ("reward", "discount", "observation", "extras", "last")
"""What is read of a time step."""

ADAPTED = ("jaxmarl", "jumanji")
"""Libraries whose environments have an adapter in ``envs``."""

FLOAT, BOOL, NUMBER = (jnp.floating,), (jnp.bool_,), (jnp.number, jnp.bool_)


class Shown(NamedTuple):
    """Shapes and dtypes of what a reset or a step returns, as far as training reads it."""

    state: PyTree
    observation: Observation
    extras: dict[str, Any]


def check_env(env: MultiAgentEnv) -> None:
    """Raises a ValueError that names the first field in which an environment is not as it must be.

    A reset and a step are traced, which tells shapes and types and computes nothing; what the
    values are is not looked at.  `make_trainer` does the same.

    Args:
        env: to follow the `MultiAgentEnv` protocol.
    """
    first = trace_reset(env)
    # Weak types are no matter: whoever steps environments removes them.
    state = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), first.state)
    action = action_struct(env.num_agents, env.num_actions, acts_continuously(env))
    after = _trace(env, "step", state, action)
    _check_state(state, after.state)
    for name in Observation._fields:
        was, now = (getattr(shown.observation, name) for shown in (first, after))
        if was.shape != now.shape:
            raise ValueError(
                f"{name}: expected shape {list(was.shape)} from step, as from reset, got "
                f"{list(now.shape)}; give both the same"
            )
    if other := first.extras.keys() ^ after.extras.keys():
        raise ValueError(
            f"extras: expected the same names from step as from reset, got {', '.join(other)} from "
            "one of them alone; reset can give it as 0.0"
        )
    if clashing := [name for name in OWN_METRICS if name in after.extras]:
        theirs, ours = (", ".join(names) for names in (clashing, OWN_METRICS))
        raise ValueError(
            f"extras: expected other names than {ours}, which the trainer measures itself, got "
            f"{theirs}; rename what the environment tells of its episodes, to env_{clashing[0]} say"
        )


def trace_reset(env: MultiAgentEnv) -> Shown:
    """Returns what a reset shows, checked as far as that goes without a step."""
    _check_members(env)
    return _trace(env, "reset", jax.random.key(0))


def _check_members(env: MultiAgentEnv) -> None:
    if isinstance(env, type):
        raise ValueError(f"env: expected an environment, got the class {env.__name__}; call it")
    if missing := [name for name in MEMBERS if not hasattr(env, name)]:
        raise ValueError(
            f"{missing[0]}: expected an environment that has it, got {_kind(env)}, which has not; "
            f"{_advice(env)}"
        )
    for name in ("num_agents", "num_actions"):
        value = getattr(env, name)
        if isinstance(value, jax.Array) or not is_count(value):
            raise ValueError(
                f"{name}: expected a whole number of at least 1, got {value!r}; make it an int"
            )
    if not isinstance(answer := acts_continuously(env), bool):
        raise ValueError(
            f"is_continuous: expected True or False, got {answer!r}; are actions vectors?"
        )
    types: Any = env.agent_types
    names = tuple(types) if isinstance(types, Iterable) and not isinstance(types, str) else ()
    if len(names) != env.num_agents or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"agent_types: expected a name for each of {env.num_agents} agents, got {types!r}; "
            "several agents may have the same"
        )


def _advice(env: Any) -> str:
    """Returns what to do with an object that is no environment of this kind."""
    if isinstance(env, str):
        return f"make it first: envs.make({env!r})"
    library = type(env).__module__.partition(".")[0]  # What extends a library's class is not its.
    if library in ADAPTED:
        return (
            f"take {library}'s own environments through their adapter, envs.make(\"{library}:"
            'NAME"); only those of other libraries need a wrapper'
        )
    return f"add it, or wrap another library's environment: {', '.join(MEMBERS)} is all there is"


def _trace(env: MultiAgentEnv, method: str, *arguments: Any) -> Shown:
    """Returns the shapes that a method gives; what is wrong with them is a ValueError."""

    def shown(*arguments: Any) -> Shown:
        result = _call(method, getattr(env, method), *arguments)
        if not isinstance(result, tuple) or len(result) != 2:
            raise ValueError(
                f"{method}: expected a pair of state and time step, got {_kind(result)}; return two"
            )
        state, timestep = result
        _check_leaves("state", method, state)
        _check_leaves("", method, timestep)
        _check_timestep(env, method, timestep)
        return Shown(state, timestep.observation, timestep.extras)

    return jax.eval_shape(shown, *arguments)


def _call(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Returns what a function of the environment's returns; what goes wrong inside is the cause."""
    try:
        return function(*arguments)
    except Exception as error:
        raise ValueError(
            f"{name}: expected a function of arrays that jax can trace, got "
            f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"
        ) from error


def _check_leaves(name: str, method: str, tree: PyTree) -> None:
    """Raises a ValueError that says where in a tree there is something else than an array."""
    for path, leaf in jax.tree.leaves_with_path(tree):
        if aval_of(leaf) is None:
            where = f"{name}{jax.tree_util.keystr(path)}".lstrip(".") or "time step"
            raise ValueError(
                f"{where}: expected arrays from {method}, got {_kind(leaf)}; keep Python objects "
                "in the environment, and make a class of arrays a NamedTuple or a "
                "flax.struct.dataclass"
            )


def _check_timestep(env: MultiAgentEnv, method: str, timestep: Any) -> None:
    if missing := [name for name in PARTS if not hasattr(timestep, name)]:
        raise ValueError(
            f"{missing[0]}: expected a time step that has it from {method}, got {_kind(timestep)}; "
            "return (state, time step), jumanji.types.restart, transition, termination and "
            "truncation make one"
        )
    seen, extras = timestep.observation, timestep.extras
    if not callable(timestep.last):
        raise ValueError(f"last: expected a method, got {_kind(timestep.last)}; call it in there")
    if not isinstance(seen, Observation):
        raise ValueError(
            f"observation: expected an oatrpo_jax.Observation from {method}, got {_kind(seen)}; "
            f"return Observation({', '.join(Observation._fields)})"
        )
    if not isinstance(extras, dict) or not all(isinstance(name, str) for name in extras):
        raise ValueError(
            f"extras: expected a dict of scalars by name from {method}, got {_kind(extras)}; "
            "{} tells of nothing"
        )
    by_name = "; jumanji's transition and truncation take extras=... by name"
    scalars = {
        "reward": (timestep.reward, FLOAT, "one for the team: sum or average the agents'"),
        "discount": (timestep.discount, NUMBER, f"0.0 where it ends for good, else 1.0{by_name}"),
        "last": (_call("last", timestep.last), BOOL, "whether the episode is over"),
    }
    told = {f"extras[{name!r}]": (value, NUMBER, "one number") for name, value in extras.items()}
    for name, (value, kinds, advice) in (scalars | told).items():
        _check(f"{name} from {method}", value, kinds, (), advice)
    of_agents = f"a row for each of num_agents = {env.num_agents}"
    flat = ": flatten images with reshape, integers become features with astype(jnp.float32)"
    for name, kinds, shape, advice in (
        ("agents_view", FLOAT, (env.num_agents, None), f"{of_agents}{flat}"),
        (
            "action_mask",
            BOOL,
            (env.num_agents, env.num_actions),
            f"{of_agents}, True where legal, or where the agent has the dimension",
        ),
        ("global_state", FLOAT, (None,), f"one row{flat}"),
        ("active", BOOL, (env.num_agents,), "True for an agent that still acts"),
    ):
        _check(f"{name} from {method}", getattr(seen, name), kinds, shape, advice)


def _check(
    name: str, value: Any, kinds: tuple[Any, ...], shape: tuple[int | None, ...], advice: str
) -> None:
    """Raises a ValueError unless a value is of one of the kinds and of the shape, None any size."""
    aval = aval_of(value)
    is_right = (
        aval is not None
        and any(jnp.issubdtype(aval.dtype, kind) for kind in kinds)
        and len(aval.shape) == len(shape)
        and all(a == (b or max(a, 1)) for a, b in zip(aval.shape, shape, strict=True))
    )
    if not is_right:
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        words = f"{kinds[0].__name__} [{sizes}]" if shape else f"a {kinds[0].__name__} scalar"
        raise ValueError(f"{name}: expected {words}, got {_kind(value)}; make it {advice}")


def _check_state(first: PyTree, after: PyTree) -> None:
    """Raises a ValueError unless a step keeps the state's structure, shapes and dtypes."""
    was, now = (
        {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}
        for tree in (first, after)
    )
    for name in sorted(was.keys() | now.keys()):
        old, new = (_kind(each[name]) if name in each else "nothing" for each in (was, now))
        if old != new:
            raise ValueError(
                f"state{name}: expected {old} from step, as from reset, got {new}; give both the "
                "same shape and dtype"
            )
    if jax.tree.structure(first) != jax.tree.structure(after):
        raise ValueError(
            "state: expected the structure from step that reset gives, got other types or other "
            "values of what is no array; keep what changes in arrays"
        )


def _kind(value: Any) -> str:
    """Returns what a value is, in few words."""
    if (aval := aval_of(value)) is not None:
        return f"{aval.dtype}{list(aval.shape)}"
    if isinstance(value, tuple) and type(value) is tuple:
        return f"a tuple of {len(value)}"
    return "None" if value is None else f"{type(value).__name__}"
