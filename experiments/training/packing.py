"""A trained team as one file that runs without this library, and what specs.json says of it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors.numpy import save

from envs.importing import without_folder
from experiments.training.errors import UsageError
from experiments.training.folder.files import json_bytes, read_json
from experiments.training.settings.provenance import git_commit, versions
from experiments.training.team import Team
from oatrpo_jax.export import PLATFORMS, actor_parameters, export_actors
from oatrpo_jax.learner import Learner

EPOCH = (1980, 1, 1, 0, 0, 0)
"""A zip's earliest date: the same team makes the same file, whenever it is exported."""

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


def pack(team: Team, point: int, seed: int) -> tuple[bytes, dict[str, Any]]:
    """Returns the zip of one team, the same bytes for the same team, and what its specs.json says.

    Args:
        team: what the run has learnt.
        point: the grid point's number.
        seed: the seed's place.
    """
    learner = team.experiment.trainer.learner
    state = jax.tree.map(lambda x: x[point, seed], team.learner)
    params = {name: np.asarray(value) for name, value in actor_parameters(state).items()}
    is_listed = learner.policy.remembers or learner.spec.is_continuous
    specs = {
        "format": LISTED_FORMAT if is_listed else SHORTEST_FORMAT,
        **describe_team(team, point, seed),
        **describe_call(learner),
        "parameters": {
            name: {"shape": list(value.shape), "dtype": str(value.dtype)}
            for name, value in params.items()
        },
        "platforms": list(PLATFORMS),
    }
    members = {
        "specs.json": json_bytes(specs),
        "policy.jax": bytes(export_actors(learner, state).serialize()),
        "params.safetensors": save(params),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name, EPOCH)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)
    return buffer.getvalue(), specs


def describe_team(team: Team, point: int, seed: int) -> dict[str, Any]:
    """Returns where a team comes from, and how well it plays if that has been measured."""
    experiment = team.experiment
    update = int(team.updates[point, seed])
    labels = team.learner.labels[point, seed]
    return {
        "environment": without_folder(experiment.options.run.env),
        "env_options": experiment.env_options,
        "agents": [
            {"type": kind, "policy": int(policy)}
            for kind, policy in zip(experiment.trainer.env.agent_types, labels, strict=True)
        ],
        "algorithm": experiment.algorithm.name,
        "point": point,
        "hyperparameters": experiment.points[point],
        "seed": experiment.seeds[seed],
        "update": update,
        "env_steps": update * experiment.config.steps_per_update,
        "evaluation": read_scores(team.directory / "evaluation.json", point, seed, update),
        "versions": versions(),
        "git_commit": git_commit(),
    }


def read_scores(path: Path, point: int, seed: int, update: int) -> dict[str, Any] | None:
    """Returns how well a team did in evaluation.json; None if there is none, or of another team.

    Raises:
        UsageError: if the file does not hold what experiments/evaluate.py writes.
    """
    try:
        if not path.exists():
            return None
        evaluation = read_json(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); evaluate again") from error
    try:
        if (evaluation["point"], evaluation["updates"][seed]) != (point, update):
            return None
        scores = {name: each["per_seed"][seed] for name, each in evaluation["metrics"].items()}
        return {"episodes": evaluation["episodes"], "policy": evaluation["policy"], **scores}
    except (LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"evaluation.json is damaged ({error!r}); evaluate again") from error


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
