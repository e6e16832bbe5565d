"""What the function of an exported team takes and returns, as specs.json says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oatrpo_jax.learner import Learner

SHORTEST_FORMAT, LISTED_FORMAT = 1, 2
"""What readers go by: discrete actions without memory, or whatever specs.json lists."""

WITH_MEMORY = {
    "memory": "zeros where an episode starts, else what the last call returned",
    "agents_view": "zeros of an agent that is not active",
}
"""What who calls a function with memory has to see to, by input."""

CONTINUOUS_INPUTS = {"action_mask": "true where the agent has the dimension"}
CONTINUOUS_OUTPUTS = {
    "log_std": "natural logarithms of the deviations, -1e9 where there is no dimension",
    "action": "means, 0 where there is no dimension; action + exp(log_std) * normal draws instead; "
    "raw: environments clip to [-1, 1] and map that into their boxes",
}
"""What the numbers of continuous actions mean, by name."""


def format_of(learner: Learner) -> int:
    """Returns which of the two formats a learner's export has."""
    is_shortest = not (learner.policy.remembers or learner.spec.is_continuous)
    return SHORTEST_FORMAT if is_shortest else LISTED_FORMAT


def describe_call(learner: Learner) -> dict[str, Any]:
    """Returns names, shapes and dtypes of what the function takes and returns, in their order."""
    spec, size = learner.spec, learner.config.memory_size
    agents = ["batch", spec.num_agents]
    each_action = [*agents, spec.num_actions]
    memory = {"memory": {"shape": [*agents, size], "dtype": "float32"}} if size else {}
    inputs = {
        **memory,
        "agents_view": {"shape": [*agents, spec.view_size], "dtype": "float32"},
        "action_mask": {"shape": each_action, "dtype": "bool"},
    }
    outputs = {
        "logits": {"shape": each_action, "dtype": "float32"},
        "action": {"shape": agents, "dtype": "int32"},
    }
    taken, given = WITH_MEMORY if size else {}, {}
    if spec.is_continuous:
        taken, given = taken | CONTINUOUS_INPUTS, CONTINUOUS_OUTPUTS
        outputs = {name: {"shape": each_action, "dtype": "float32"} for name in given}
    return {
        "inputs": _with_notes(inputs, taken),
        "outputs": {**memory, **_with_notes(outputs, given)},
    }


def _with_notes(described: Mapping[str, Any], notes: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {**each, "note": notes[name]} if name in notes else each
        for name, each in described.items()
    }
