"""The picture of a validation: the original and the academy (JAX) side by side."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from envs.football.scenarios import SCENARIO_NAMES
from envs.football.types import End
from envs.football.validation.gates import Comparison

REAL, OURS = "#222222", "#2f7ed8"
SHORT = ("pass\n& shoot", "3 vs 1", "counter\neasy", "counter\nhard")


def draw(result: Comparison, path: Path) -> None:
    """Saves the picture of all gates as a PNG."""
    fig, axes = plt.subplots(3, 3, figsize=(13, 10.5), layout="constrained")
    _draw_speeds(axes[0, 0], result)
    _draw_turn(axes[0, 1], result)
    _draw_gates(axes[0, 2], result, "goals from", "goals by distance of the shot")
    _draw_gates(axes[1, 0], result, "past the keeper", "goals by time and offset of the keeper")
    _draw_gates(axes[1, 1], result, "duel lost", "runs at a lone defender that are lost")
    _draw_lengths(axes[1, 2], result)
    _draw_ends(axes[2, 0], result)
    _draw_random(axes[2, 1], result)
    _draw_gates(axes[2, 2], result, "score rate", "score rate of the scripted policy")
    passed = sum(gate.passes for gate in result.gates)
    fig.suptitle(
        f"Academy (JAX), blue, against the original, black: {passed} of {len(result.gates)} gates"
    )
    fig.savefig(path, dpi=110)
    plt.close(fig)


def _draw_speeds(ax: Axes, result: Comparison) -> None:
    for name in ("free_walk_0", "free_sprint_0", "free_dribble_0"):
        seconds = np.arange(len(result.real[f"speed/{name}"])) / 10
        ax.plot(seconds, result.real[f"speed/{name}"], color=REAL)
        ax.plot(seconds, result.ours[f"speed/{name}"], color=OURS, ls="--")
    ax.set(title="walk, sprint, dribble", xlabel="seconds", ylabel="m/s")


def _draw_turn(ax: Axes, result: Comparison) -> None:
    real, ours = result.real["speed/free_turn90"], result.ours["speed/free_turn90"]
    seconds = np.arange(len(real)) / 10
    for axis in (0, 1):
        ax.plot(seconds[8:], real[8:, axis], color=REAL)
        ax.plot(seconds[8:], ours[8:, axis], color=OURS, ls="--")
    ax.set(title="a turn of 90 degrees at a sprint", xlabel="seconds", ylabel="m/s along x, y")


def _draw_gates(ax: Axes, result: Comparison, part: str, title: str) -> None:
    """Draws pairs of bars for the gates whose name has a part, red where they fail."""
    gates = [gate for gate in result.gates if part in gate.name]
    place = np.arange(len(gates))
    colours = [OURS if gate.passes else "#d03b3b" for gate in gates]
    ax.bar(place - 0.2, [gate.real for gate in gates], 0.4, color=REAL)
    ax.bar(place + 0.2, [gate.ours for gate in gates], 0.4, color=colours)
    names = [gate.name.replace(part, "").replace(" shots ", "").strip(" ,:") for gate in gates]
    names = [name.replace(", scripted", "") for name in names]
    ax.set_xticks(place, names, rotation=40, ha="right", fontsize=7)
    ax.set(title=title, ylim=(0, 1.02))


def _draw_lengths(ax: Axes, result: Comparison) -> None:
    for row, scenario in enumerate(SCENARIO_NAMES):
        for lengths, colour, side in (
            (result.real[f"{scenario}/random"][:, 0], REAL, -0.18),
            (result.ours[f"{scenario}/random"][:, 0], OURS, 0.18),
        ):
            box = ax.boxplot(lengths, positions=[row + side], widths=0.3, showfliers=False)
            plt.setp([line for part in box.values() for line in part], color=colour)
    ax.set_xticks(range(len(SHORT)), SHORT, fontsize=8)
    ax.set(title="length of a random episode", ylabel="steps of 0.1 s")


def _draw_ends(ax: Axes, result: Comparison) -> None:
    kinds = (End.GOAL, End.CONCEDED, End.OUT, End.LOST, End.TIME)
    shades = ("#4caf50", "#d03b3b", "#b0bec5", "#607d8b", "#f4d35e")
    for row, scenario in enumerate(SCENARIO_NAMES):
        for source, side in ((result.real, -0.2), (result.ours, 0.2)):
            ends, bottom = source[f"{scenario}/random"][:, 1], 0.0
            for kind, shade in zip(kinds, shades, strict=True):
                share = float((ends == kind).mean())
                label = kind.name.lower() if row == 0 and side < 0 else None
                ax.bar(row + side, share, 0.36, bottom, color=shade, label=label)
                bottom += share
    ax.set_xticks(range(len(SHORT)), SHORT, fontsize=8)
    ax.legend(fontsize=7, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)
    ax.set(title="ends of random episodes: left original, right ours", ylim=(0, 1))


def _draw_random(ax: Axes, result: Comparison) -> None:
    for part, marker in (("share of steps with the ball", "o"), ("players newly taken", "s")):
        gates = [gate for gate in result.gates if part in gate.name]
        scale = 10 if marker == "o" else 1
        label = part + (" x 10" if scale == 10 else "")
        ours, real = [scale * g.ours for g in gates], [scale * g.real for g in gates]
        ax.scatter(real, ours, marker=marker, label=label, color=OURS if scale == 1 else REAL)
    limit = max(ax.get_xlim()[1], ax.get_ylim()[1])
    ax.plot([0, limit], [0, limit], color="grey", lw=0.8)
    ax.legend(fontsize=7)
    ax.set(title="random play", xlabel="original", ylabel="academy (JAX)")
