"""Draws the academy with pillow: pitch, players, ball and its height, owner, what ended it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from envs.football.kicks import GOAL_HALF_WIDTH
from envs.football.observation import Facts
from envs.football.scenarios import GOAL_LINE, LENGTH_SCALE, SIDE_LINE
from envs.football.types import End

GRASS = ((46, 112, 58), (50, 120, 63))
LINE = (214, 230, 214)
TEXT = (240, 244, 240)
DARK = (14, 24, 18)
TEAM_COLOURS = ((66, 135, 245), (232, 82, 74))
KEEPER_COLOURS = ((30, 60, 150), (140, 30, 30))
CONTROLLED = (255, 235, 120)
BALL = (255, 255, 255)
RESULTS = {
    End.GOAL: ("GOAL", CONTROLLED),
    End.CONCEDED: ("CONCEDED", TEAM_COLOURS[1]),
    End.OUT: ("OUT OF PLAY", TEXT),
    End.LOST: ("BALL LOST", TEAM_COLOURS[1]),
    End.TIME: ("TIME", TEXT),
}

SCALE = 9
"""Pixels of a metre."""
OVERSAMPLING = 2
HEADER = 34
BORDER = 3.0
"""Metres drawn around the pitch."""


class FootballViewer:
    """Renders states of one scenario, whoever plays them.

    A state needs ``end``; all else is drawn from its facts.

    Args:
        title: shown above the pitch.
        facts: state -> what can be seen of it.
    """

    def __init__(self, title: str, facts: Callable[[Any], Facts]) -> None:
        self._title, self._facts = title, jax.jit(facts)
        self._unit = SCALE * OVERSAMPLING
        self._font = ImageFont.load_default(size=15 * OVERSAMPLING)
        self._small_font = ImageFont.load_default(size=10 * OVERSAMPLING)

    def render(self, state: Any, camera: float | None = None) -> np.ndarray:
        """Returns ``[H, W, 3]`` uint8: the pitch seen from above.

        Args:
            state: of the game.
            camera: x in metres where the picture begins; by default our goal line.
        """
        moment = jax.device_get(self._facts(state))
        left = -GOAL_LINE if camera is None else camera
        width = int((GOAL_LINE - left + 2 * BORDER) * self._unit)
        height = int((2 * (SIDE_LINE + BORDER)) * self._unit) + HEADER * OVERSAMPLING
        image = Image.new("RGB", (width, height), GRASS[0])
        canvas = ImageDraw.Draw(image)
        self._draw_pitch(canvas, left)
        for team, places in enumerate((moment.left, moment.right)):
            for player in range(len(places)):
                self._draw_player(canvas, moment, team, player, left)
        self._draw_ball(canvas, moment, left)
        self._draw_header(canvas, state, width)
        return np.asarray(image.reduce(OVERSAMPLING))

    def follow(self, states: Sequence[Any]) -> float:
        """Returns the x in metres that lies 20 m behind the rearmost place of the ball."""
        rear = min(float(self._facts(state).ball[0]) for state in states) * LENGTH_SCALE[0]
        return float(np.clip(rear - 20.0, -GOAL_LINE, 0.0))

    def _pixel(self, place: Any, left: float) -> tuple[float, float]:
        x = (float(place[0]) - left + BORDER) * self._unit
        y = (float(place[1]) + SIDE_LINE + BORDER) * self._unit + HEADER * OVERSAMPLING
        return x, y

    def _disc(self, place: Any, radius: float, left: float) -> list[float]:
        x, y = self._pixel(place, left)
        half = radius * self._unit
        return [x - half, y - half, x + half, y + half]

    def _draw_pitch(self, canvas: ImageDraw.ImageDraw, left: float) -> None:
        for stripe, x in enumerate(np.arange(-GOAL_LINE, GOAL_LINE, 5.5)):
            box = [self._pixel((x, -SIDE_LINE), left), self._pixel((x + 5.5, SIDE_LINE), left)]
            canvas.rectangle(box, GRASS[stripe % 2])
        wide = OVERSAMPLING
        boxes = [(-GOAL_LINE, GOAL_LINE, SIDE_LINE)]
        for side in (-1, 1):
            for depth, half in ((16.5, 20.16), (5.5, 9.16)):
                line = side * GOAL_LINE
                ends = sorted((line, line - side * depth))
                boxes.append((ends[0], ends[1], half))
            goal = sorted((side * GOAL_LINE, side * (GOAL_LINE + 2.0)))
            box = [
                self._pixel((goal[0], -GOAL_HALF_WIDTH), left),
                self._pixel((goal[1], GOAL_HALF_WIDTH), left),
            ]
            canvas.rectangle(box, (120, 150, 125), LINE, 2 * wide)
        for first, last, half in boxes:
            box = [self._pixel((first, -half), left), self._pixel((last, half), left)]
            canvas.rectangle(box, None, LINE, wide)
        middle = [self._pixel((0, -SIDE_LINE), left), self._pixel((0, SIDE_LINE), left)]
        canvas.line(middle, LINE, wide)
        canvas.ellipse(self._disc(np.zeros(2), 9.15, left), None, LINE, wide)

    def _draw_player(
        self, canvas: ImageDraw.ImageDraw, moment: Facts, team: int, player: int, left: float
    ) -> None:
        """Draws a player as a disc, and where he runs to as a stroke; who stands has none."""
        place = (moment.left, moment.right)[team][player] * LENGTH_SCALE
        step = (moment.left_direction, moment.right_direction)[team][player] * LENGTH_SCALE
        heading = step / max(float(np.linalg.norm(step)), 0.01)
        colour = (KEEPER_COLOURS if player == 0 else TEAM_COLOURS)[team]
        agents = np.flatnonzero(moment.active == player) if team == 0 else np.array([], int)
        if len(agents):
            canvas.ellipse(self._disc(place, 1.25, left), None, CONTROLLED, 2 * OVERSAMPLING)
        canvas.ellipse(self._disc(place, 0.9, left), colour)
        ends = [self._pixel(place, left), self._pixel(place + 1.4 * heading, left)]
        canvas.line(ends, colour, 3 * OVERSAMPLING)
        label = str(agents[0]) if len(agents) else ""
        canvas.text(self._pixel(place, left), label, TEXT, self._small_font, anchor="mm")
        if (moment.owned_team, moment.owned_player) == (team, player):
            canvas.ellipse(self._disc(place, 1.6, left), None, BALL, OVERSAMPLING)

    def _draw_ball(self, canvas: ImageDraw.ImageDraw, moment: Facts, left: float) -> None:
        """Draws the ball above its shadow: as high on the picture as it is over the ground."""
        x, y, z = (float(value) for value in moment.ball * np.append(LENGTH_SCALE, 1.0))
        canvas.ellipse(self._disc(np.array([x, y]), 0.4, left), DARK)
        raised = np.array([x, y - z])
        canvas.line([self._pixel((x, y), left), self._pixel(raised, left)], DARK, OVERSAMPLING)
        canvas.ellipse(self._disc(raised, 0.4 + 0.04 * z, left), BALL, DARK, OVERSAMPLING)
        if z > 0.6:
            corner = self._pixel(raised + np.array([0.8, -0.8]), left)
            canvas.text(corner, f"{z:.1f} m", TEXT, self._small_font, anchor="ls")

    def _draw_header(self, canvas: ImageDraw.ImageDraw, state: Any, width: int) -> None:
        middle = HEADER * OVERSAMPLING // 2
        canvas.rectangle([0, 0, width, HEADER * OVERSAMPLING], fill=DARK)
        margin = 10 * OVERSAMPLING
        canvas.text((margin, middle), self._title, TEXT, self._font, anchor="lm")
        end = End(int(state.end))
        score = f"{int(end == End.GOAL)} : {int(end == End.CONCEDED)}"
        canvas.text((width - margin, middle), score, TEXT, self._font, anchor="rm")
        if end in RESULTS:
            word, colour = RESULTS[end]
            place = (width // 2, (HEADER + 24) * OVERSAMPLING)
            canvas.text(place, word, fill=colour, font=self._font, anchor="mm")
