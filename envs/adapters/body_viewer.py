"""Pictures of a brax body from its side, drawn with Pillow; the camera goes with its torso."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from envs.adapters.jaxmarl_env import State

SIZE, SCALE, GROUND = (480, 320), 110, 280
"""Pixels: width and height, of a metre, and from the top to the ground."""
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#17becf")
"""By agent, of the parts whose joints are its."""
PASSIVE = "#8c8c8c"


class Part(NamedTuple):
    """A capsule of a link; a sphere is one whose ends are the same.

    Attributes:
        link: index of what it belongs to.
        ends: ``[2, 3]`` its ends as the link sees them, in metres.
        radius: in metres.
        colour: its agent's.
    """

    link: int
    ends: np.ndarray
    radius: float
    colour: str


class BodyViewer:
    """Draws states of one body.

    Args:
        game: JaxMARL's environment.
    """

    def __init__(self, game: Any) -> None:
        model = game.sys.mj_model
        links = model.jnt_bodyid[model.actuator_trnid[:, 0]] - 1  # Body 0 is the world.
        colours = {
            int(links[joint]): COLOURS[agent % len(COLOURS)]
            for agent, joints in enumerate(game.agent_action_mapping.values())
            for joint in np.asarray(joints)
        }
        self._parts = []
        for geom in np.flatnonzero(model.geom_bodyid > 0):
            link = int(model.geom_bodyid[geom]) - 1
            radius, half, _ = model.geom_size[geom]  # Half the length, 0 of a sphere.
            along = rotate(np.array([0.0, 0.0, half]), model.geom_quat[geom])
            ends = model.geom_pos[geom] + np.stack([-along, along])
            self._parts.append(Part(link, ends, float(radius), colours.get(link, PASSIVE)))

    def render(self, state: State, camera: None = None) -> np.ndarray:
        """Returns ``[H, W, 3]`` uint8: the body, and a mark on the ground at every metre."""
        place = state.game.pipeline_state.x
        links, turns = np.asarray(place.pos), np.asarray(place.rot)
        middle, width = float(links[0, 0]), SIZE[0] / SCALE
        picture = Image.new("RGB", SIZE, "white")
        draw = ImageDraw.Draw(picture)

        def pixels(points: np.ndarray) -> list[tuple[float, float]]:
            across = (points[..., 0] - middle) * SCALE + SIZE[0] / 2
            return list(zip(across, GROUND - points[..., 2] * SCALE, strict=True))

        draw.line([(0, GROUND), (SIZE[0], GROUND)], fill="black", width=2)
        for metre in range(int(np.ceil(middle - width / 2)), int(middle + width / 2) + 1):
            ((across, _),) = pixels(np.array([[metre, 0, 0]]))
            draw.line([(across, GROUND), (across, GROUND + 8)], fill="black", width=2)
            draw.text((across + 4, GROUND + 6), f"{metre} m", fill="black")
        # What is further away is covered by what is nearer.
        for part in sorted(self._parts, key=lambda part: -links[part.link, 1]):
            ends = pixels(links[part.link] + rotate(part.ends, turns[part.link]))
            radius = part.radius * SCALE
            draw.line(ends, fill=part.colour, width=round(2 * radius))
            for x, z in ends:
                draw.ellipse([x - radius, z - radius, x + radius, z + radius], fill=part.colour)
        return np.array(picture)

    def follow(self, states: Any) -> None:
        """Returns None: each picture shows the surroundings of the torso."""


def rotate(points: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """Returns ``[..., 3]`` points turned by a ``[4]`` unit quaternion, its real part first."""
    real, axis = quaternion[0], quaternion[1:]
    across = np.cross(axis, points)
    return points + 2 * (real * across + np.cross(axis, across))
