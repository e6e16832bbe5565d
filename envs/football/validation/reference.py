"""What was recorded on the original engine, cut down to what the validation gates compare.

``reference.npz`` beside this file holds the result of `distill`, so that nothing else is needed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from envs.football.scenarios import SCENARIO_NAMES
from envs.football.types import End

FILE = Path(__file__).with_name("reference.npz")
PASS_DISTANCES = (8, 12, 18)
POLICIES = ("random", "scripted")
SCRIPTED_OTHER_WORLD = "academy_3_vs_1_with_keeper_scripted_mode2"
_METRES = np.array([54.4, 83.6, 1.0])
_VELOCITY = np.array([544.0, 836.0, 10.0])

Figures = dict[str, np.ndarray]


def load() -> Figures:
    """Returns the figures that come with the package."""
    with np.load(FILE) as stored:
        return dict(stored)


def distill(folder: Path) -> Figures:
    """Returns the figures of a folder of recordings; a ValueError names a file that lacks.

    Keys: ``speed/<run>`` ``[steps]`` or ``[steps, 2]`` m/s; ``pass/<d>`` ``[repeats, 2]`` steps
    of flight and first speed; ``flight`` ``[n, 12]`` state of a free ball and again 0.6 s later;
    ``shots`` ``[n, 12]`` (see `_shots`); ``duel`` ``[4, 3]`` share lost by offset and pace;
    ``<scenario>/<policy>`` ``[episodes, 4]`` length, `End`, steps with the ball, players taken.
    """
    figures: Figures = {}
    with _open(folder, "calib_speed") as runs:
        for name in ("free_walk_0", "free_sprint_0", "free_dribble_0", "free_turn90"):
            run = runs[f"cal_{name}"]
            figures[f"speed/{name}"] = run if "turn" in name else run[:, 0]
    with _open(folder, "calib_pass") as passes:
        tracks = {name: passes[name] for name in passes.files}
    for distance in PASS_DISTANCES:
        repeats = [_flight_time(tracks[f"short_{distance}_{repeat}"]) for repeat in range(4)]
        figures[f"pass/{distance}"] = np.array(repeats)
    figures["flight"] = np.concatenate([_free_flight(track) for track in tracks.values()])
    with _open(folder, "calib_shots_random") as shots:
        figures["shots"] = _shots(shots["rows"], list(shots["cols"]))
    with _open(folder, "calib_duel") as duels:
        figures["duel"] = duels["rows"][:, 3].reshape(4, 3, 16).mean(axis=2)
    for scenario in SCENARIO_NAMES:
        for policy in POLICIES:
            figures[f"{scenario}/{policy}"] = _episodes(folder, f"{scenario}_{policy}")
    other = _episodes(folder, SCRIPTED_OTHER_WORLD)
    figures["academy_3_vs_1_with_keeper/scripted/other"] = other
    return {name: value.astype(np.float32) for name, value in figures.items()}


def _open(folder: Path, name: str):
    path = folder / f"{name}.npz"
    if not path.is_file():
        raise ValueError(f"Expected a recording {path}, found none. Choose another folder.")
    return np.load(path)


def _flight_time(track: np.ndarray) -> tuple[float, float]:
    """Returns the steps from a pass leaving the foot to its reception, and its first speed."""
    speed = np.hypot(track[:, 3] * _VELOCITY[0], track[:, 4] * _VELOCITY[1])
    kick = int(np.argmax(speed > 8.0))
    received = kick + int(np.argmax(track[kick:, 6] > 1))
    return received - kick, float(speed[kick])


def _free_flight(track: np.ndarray) -> np.ndarray:
    """Returns ``[n, 12]``: position and velocity of a flying ball, and both 0.6 s later."""
    place, velocity = track[:, :3] * _METRES, track[:, 3:6] * _VELOCITY
    speed = np.linalg.norm(velocity[:, :2], axis=1)
    start = int(np.argmax(speed > 8.0)) + 1
    later = start + 6
    if speed.max() < 8.0 or later >= len(track) or (track[start - 1 : later + 1, 6] > 0).any():
        return np.zeros((0, 12))
    # Nothing but a man takes half a ball's speed in 0.1 s.
    if (np.diff(speed[start : later + 1]) < -0.5 * speed[start:later]).any():
        return np.zeros((0, 12))
    return np.concatenate([place[start], velocity[start], place[later], velocity[later]])[None]


def _shots(rows: np.ndarray, columns: list[str]) -> np.ndarray:
    """Returns ``[n, 12]``: where, how and at whom shots were struck, and what became of them.

    Ball x, y, z and keeper x, y (m) as it left; run speed; stick; speed and climb; y at the goal
    line; outcome (0 nothing yet, 1 goal, 2 opponents have it, 3 out); steps from button to ball.
    """
    get = {name: rows[:, index] for index, name in enumerate(columns)}
    run = np.hypot(get["pvx"] * _VELOCITY[0], get["pvy"] * _VELOCITY[1])
    ball = np.stack([get["kbx"], get["kby"], get["kbz"]], axis=1) * _METRES
    keeper = np.stack([get["kgkx"], get["kgky"]], axis=1) * _METRES[:2]
    others = [get[name] for name in ("dir", "kspeed", "kvz", "ycross_m", "outcome", "latency")]
    return np.column_stack([ball, keeper, run, *others])


def _episodes(folder: Path, name: str) -> np.ndarray:
    """Returns ``[episodes, 4]``: length, `End`, steps in which we had the ball, players taken."""
    with _open(folder, name) as recording:
        rows = {key: recording[key] for key in recording.files}
    found = []
    for episode in np.unique(rows["ep"]):
        mine = rows["ep"] == episode
        owner, active = rows["own"][mine, 0], rows["active"][mine]
        length = int(rows["t"][mine][-1])
        score = int(rows["score_rew"][mine].sum())
        if score != 0:
            end = End.GOAL if score > 0 else End.CONCEDED
        elif rows["mode"][mine][-1] != 0:
            end = End.OUT
        else:
            end = End.TIME if length >= 400 else End.LOST
        # A player whom no agent had a step before; the choice at kick-off does not count.
        taken = (active[2:, :, None] == active[1:-1, None, :]).any(axis=2)
        switches = int((~taken).sum())
        found.append((length, int(end), int((owner == 0).sum()), switches))
    return np.array(found)
