"""Draws SMAX battles with pillow, some hundred times faster than jaxmarl's matplotlib viewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jax import Array
from PIL import Image, ImageDraw, ImageFont

from envs.smax import units
from envs.smax.battle import State
from envs.smax.healing import FIRST_TARGET, target_table

BACKGROUND = (24, 27, 34)
GRID = (34, 38, 47)
TEXT = (225, 228, 235)
TEAM_COLOURS = ((66, 135, 245), (232, 82, 74))
SHOT_COLOURS = ((150, 195, 255), (255, 170, 150))
HEAL_COLOUR = (90, 220, 120)
DEAD_COLOUR = (70, 74, 84)
ENERGY_COLOUR = (190, 120, 240)
LETTERS = ("m", "M", "s", "Z", "z", "h", "+")
RESULTS = {
    (True, False): ("WIN", HEAL_COLOUR),
    (False, True): ("LOSS", TEAM_COLOURS[1]),
    (False, False): ("DRAW", TEXT),
    (True, True): ("TIME OUT", TEXT),
}
"""What an ended battle is called, by (allies standing, enemies standing)."""

PIXELS = 560
HEADER = 40
OVERSAMPLING = 2
MARGIN = 2.0
"""Pixels of the picture, and units of length kept free around the battle."""


class Camera(NamedTuple):
    """The square of the map that a picture shows.

    Attributes:
        left: smallest x.
        bottom: smallest y.
        side: width and height.
    """

    left: float
    bottom: float
    side: float

    @property
    def scale(self) -> float:
        """Returns the pixels of a unit of length."""
        return PIXELS * OVERSAMPLING / self.side

    def pixel(self, position: np.ndarray) -> tuple[float, float]:
        """Returns the pixel of a place on the map, whose y axis points up."""
        x, y = position
        top = self.bottom + self.side
        down = float((top - y) * self.scale) + HEADER * OVERSAMPLING
        return float((x - self.left) * self.scale), down


class UnitTables(NamedTuple):
    """What is drawn of a unit by its type: ``[types]`` each.

    Attributes:
        radius: of its disc.
        health: of a whole one.
        attack_range: how far it shoots or heals.
    """

    radius: np.ndarray
    health: np.ndarray
    attack_range: np.ndarray


@dataclass
class SmaxViewer:
    """Renders states of one scenario.

    Attributes:
        num_allies: units of the learning team, which come first.
        max_steps: steps until truncation.
        map_size: side of the square map.
        tables: of all unit types.
        standing: state -> whether the allies, and the enemies, have a fighter left.
    """

    num_allies: int
    max_steps: int
    map_size: float
    tables: UnitTables
    standing: Callable[[State], tuple[Array, Array]]

    def __post_init__(self) -> None:
        self._whole_map = Camera(0.0, 0.0, self.map_size)
        self._font = ImageFont.load_default(size=18 * OVERSAMPLING)
        self._small_font = ImageFont.load_default(size=13 * OVERSAMPLING)

    def render(self, state: State, camera: Camera | None = None) -> np.ndarray:
        """Returns ``[H, W, 3]`` uint8: the battle, last actions as beams, and the result.

        Args:
            state: battle to draw.
            camera: part of the map to show; by default all of it.
        """
        state = jax.device_get(state)
        camera = camera or self._whole_map
        size = (PIXELS * OVERSAMPLING, (PIXELS + HEADER) * OVERSAMPLING)
        image = Image.new("RGB", size, BACKGROUND)
        canvas = ImageDraw.Draw(image)
        self._draw_grid(canvas, camera)
        battle = state.game.state
        self._draw_dead(canvas, camera, battle)
        self._draw_beams(canvas, camera, battle)
        for unit in np.flatnonzero(battle.unit_alive):
            self._draw_unit(canvas, camera, battle, int(unit))
        self._draw_header(canvas, state)
        return np.asarray(image.reduce(OVERSAMPLING))

    def follow(self, states: Sequence[State]) -> Camera:
        """Returns the smallest square in which all units stay over these states."""
        places = np.concatenate([state.game.state.unit_positions for state in states])
        low, high = places.min(axis=0) - MARGIN, places.max(axis=0) + MARGIN
        side = float(min((high - low).max(), self.map_size))
        left, bottom = np.clip((low + high - side) / 2, 0, self.map_size - side)
        return Camera(float(left), float(bottom), side)

    def _draw_grid(self, canvas: ImageDraw.ImageDraw, camera: Camera) -> None:
        for metres in range(0, int(self.map_size) + 1, 4):
            x, y = camera.pixel(np.array([metres, metres]))
            canvas.line([(x, 0), (x, 2 * PIXELS * OVERSAMPLING)], GRID, OVERSAMPLING)
            canvas.line([(0, y), (PIXELS * OVERSAMPLING, y)], GRID, OVERSAMPLING)

    def _draw_dead(self, canvas: ImageDraw.ImageDraw, camera: Camera, battle) -> None:
        for unit in np.flatnonzero(~battle.unit_alive):
            x, y = camera.pixel(battle.unit_positions[unit])
            arm = 4 * OVERSAMPLING
            for slope in (-1, 1):
                ends = [(x - arm, y - slope * arm), (x + arm, y + slope * arm)]
                canvas.line(ends, DEAD_COLOUR, 2 * OVERSAMPLING)

    def _draw_beams(self, canvas: ImageDraw.ImageDraw, camera: Camera, battle) -> None:
        """Draws a line from each living unit that shot or healed in the last step."""
        is_healer = units.IS_HEALER[battle.unit_types]
        targets = target_table(is_healer, self.num_allies)
        for unit in np.flatnonzero(battle.unit_alive & (battle.prev_attack_actions > 0)):
            target = targets[unit, battle.prev_attack_actions[unit] - FIRST_TARGET]
            ends = battle.unit_positions[[unit, target]]
            # The target may have moved since: a unit's width of grace, but no beams across the map.
            reach = self.tables.attack_range[battle.unit_types[unit]] + 1
            if np.linalg.norm(ends[1] - ends[0]) > reach:
                continue
            colour = HEAL_COLOUR if is_healer[unit] else SHOT_COLOURS[int(unit >= self.num_allies)]
            width = (4 if is_healer[unit] else 2) * OVERSAMPLING
            start, end = camera.pixel(ends[0]), camera.pixel(ends[1])
            canvas.line([start, end], colour, width)
            x, y = end
            spark = 4 * OVERSAMPLING
            canvas.ellipse([x - spark, y - spark, x + spark, y + spark], fill=colour)

    def _draw_unit(self, canvas: ImageDraw.ImageDraw, camera: Camera, battle, unit: int) -> None:
        kind = battle.unit_types[unit]
        x, y = camera.pixel(battle.unit_positions[unit])
        radius = float(max(self.tables.radius[kind] * camera.scale, 7 * OVERSAMPLING))
        outline = TEXT if units.IS_FLYING[kind] else None
        colour = TEAM_COLOURS[int(unit >= self.num_allies)]
        disc = [x - radius, y - radius, x + radius, y + radius]
        canvas.ellipse(disc, fill=colour, outline=outline, width=OVERSAMPLING)
        canvas.text((x, y), LETTERS[kind], fill="white", font=self._small_font, anchor="mm")
        health = battle.unit_health[unit] / self.tables.health[kind]
        green = (int(220 * (1 - health)) + 30, int(190 * health) + 30, 60)
        self._draw_bar(canvas, x, y - radius - 6 * OVERSAMPLING, radius, health, green)
        if units.IS_HEALER[kind]:
            energy = battle.unit_weapon_cooldowns[unit] / units.MAX_ENERGY
            self._draw_bar(canvas, x, y - radius - 2 * OVERSAMPLING, radius, energy, ENERGY_COLOUR)

    def _draw_bar(
        self, canvas: ImageDraw.ImageDraw, x: float, y: float, half: float, share: float, colour
    ) -> None:
        thick = 3 * OVERSAMPLING
        canvas.rectangle([x - half, y, x + half, y + thick], fill=(10, 10, 12))
        canvas.rectangle([x - half, y, x - half + 2 * half * share, y + thick], fill=colour)

    def _draw_header(self, canvas: ImageDraw.ImageDraw, state: State) -> None:
        num_allies = self.num_allies
        alive = state.game.state.unit_alive
        width = PIXELS * OVERSAMPLING
        middle = HEADER * OVERSAMPLING // 2
        canvas.rectangle([0, 0, width, HEADER * OVERSAMPLING], fill=(12, 14, 18))
        margin = 12 * OVERSAMPLING
        allies = f"allies {alive[:num_allies].sum()}/{num_allies}"
        canvas.text((margin, middle), allies, TEAM_COLOURS[0], self._font, anchor="lm")
        enemies = f"enemies {alive[num_allies:].sum()}/{len(alive) - num_allies}"
        canvas.text((width - margin, middle), enemies, TEAM_COLOURS[1], self._font, anchor="rm")

        allies_stand, enemies_stand = (bool(team) for team in self.standing(state))
        is_decided = not (allies_stand and enemies_stand)
        if is_decided or state.step_count >= self.max_steps:
            word, colour = RESULTS[allies_stand, enemies_stand]
            canvas.text((width // 2, middle), word, fill=colour, font=self._font, anchor="mm")
