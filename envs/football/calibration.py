"""The constants of the academy as one traced pytree, each with what it was measured or fitted on.

What is called measured was read off recordings of the original engine.  What is called fitted, and
every constant of duels, traps and reaches, was found by a short random search and then by hand on
the gates of :mod:`envs.football.validation`: on the same recordings, and on no learning result.
"""

from __future__ import annotations

from typing import NamedTuple


class Calibration(NamedTuple):
    """Metres, seconds and metres per second, unless said otherwise.  Leaves may be traced."""

    # Running: measured on the speed recordings (walk, sprint, dribble; with and without the ball).
    dribble_speed: float = 3.5
    walk_speed: float = 5.0
    sprint_speed: float = 7.83
    carry_dribble_speed: float = 3.84
    carry_sprint_speed: float = 7.4
    """7.2 to 7.65 from touch to touch."""
    first_stride: float = 1.95
    """Speed after the first 0.1 s from rest."""
    stride_gain: float = 0.83
    """Gain of speed per 0.1 s between the first stride and walking speed."""
    sprint_gain: float = 0.23
    """Share of what lacks to full speed that a sprinter gains in 0.1 s."""
    turn_gain: float = 0.35
    """What a runner who is turning gains besides."""
    braking: float = 3.1
    braking_slope: float = 0.06
    """Loss per 0.1 s of the velocity that is not wanted: 3.1 - 0.06 v."""
    early_braking: float = 3.0
    early_braking_slope: float = 0.23
    """The same in the step in which the wish changes."""
    carry_braking: float = 1.7
    """The same with the ball, which has to be stopped too."""
    carry_turn_walk: float = 16.0
    """Degrees in 0.1 s with the ball at walking speed: 90 in five or six steps."""
    carry_turn_sprint: float = 2.8
    """Degrees in 0.1 s with the ball at full speed: 20 per touch, a touch in 0.7 s."""

    # Ball: the engine's law, measured again on the free flight of 264 passes.
    air_drag: float = 0.015
    ground_drag: float = 0.04
    ground_friction: float = 1.6
    gravity: float = 9.81
    bounce: float = 0.62
    touch_reach: float = 0.9
    """Of an outfield player; 1.0 in the engine's source, fitted here."""
    keeper_reach: float = 1.1
    touch_height: float = 1.6
    trap_steps: float = 5.0
    """Steps in which a player hardly runs after he has got a free ball: measured at kick-off."""
    trap_failure: float = 0.045
    """Probability that a ball faster than 10 m/s bounces off the man it was meant for."""
    intercept_failure: float = 0.75
    """The same for anybody else: fitted on random play."""

    # Kicks.
    pass_power: float = 36.0
    pass_distance: float = 60.0
    pass_curve: float = 1.8
    pass_base: float = 0.3
    pass_max_speed: float = 24.8
    """Ground pass: v = power (curve (d / distance)^1.4 + base); the engine's law and cap."""
    pass_lift: float = 0.115
    """Climb per metre of distance of a ground pass: measured, with the spin's lift in it."""
    high_speed: float = 9.0
    high_speed_gain: float = 0.53
    high_lift: float = 4.2
    high_lift_gain: float = 0.16
    """High pass: speed 9.9 to 26 m/s, climb 4.2 to 9.4 m/s for 4 to 35 m: measured."""
    pass_range: float = 50.0
    """Beyond it a pass has the power of one of 12 to 30 m: measured on passes to our keeper."""
    long_max_speed: float = 29.0
    volley_share: float = 0.75
    """Share of kicks asked for in advance that leave before the ball is owned: random play."""
    pass_noise: float = 0.067
    """Standard deviation of a pass's direction in radians."""
    shot_speed: float = 32.0
    shot_speed_noise: float = 1.8
    shot_lift: float = 2.6
    shot_lift_noise: float = 1.5
    """881 shots: 30.8 +- 1.9 m/s and 2.45 +- 1.5 m/s in the first 0.1 s."""
    shot_noise: float = 0.065
    """Standard deviation of a shot's direction in radians: fitted on the share on target."""

    # Keeper: 881 shots without a defender.
    keeper_time: float = 0.32
    """A shot that reaches the keeper's line sooner than this may pass him, a later one hardly."""
    keeper_near: float = 0.64
    keeper_near_gain: float = 7.0
    """Goals from quick shots close to the keeper: 7 per second from 0.045 s on, up to 0.64."""
    keeper_slope: float = 0.5
    """What each metre of offset beyond 0.95 adds to that."""
    keeper_late_gain: float = 7.0
    """What each second beyond `keeper_time` takes from 0.64."""
    keeper_late: float = 0.02
    """Goals from shots that give him time."""
    keeper_holds: float = 0.5
    """Share of saves that he holds."""
    keeper_rush: float = 16.0
    """Distance from goal of a carrier that nobody faces at which the keeper comes out."""

    # Duels: fitted on the duel table, the scripted policy and random play.
    duel_reach: float = 1.3
    duel_rate: float = 0.8
    """Probability of contact in 0.1 s within reach."""
    duel_steal: float = 0.2
    """Probability that a contact is a clean steal; otherwise the ball comes loose."""
    duel_side: float = 0.7
    """What the sine of the angle between the carrier's way and the defender adds to that."""
    duel_through: float = 0.73
    """Probability that a loose ball rolls on past the defender."""
    duel_stumble: float = 8.4
    """Steps of 0.1 s in which both hardly run after a contact that is no clean steal."""
    stumble_slope: float = 0.2
    """Speed that each step of stumbling to come takes from 3.2 m/s: measured after one duel."""
    loose_speed: float = 5.6
    hunt_delay: float = 0.4
    """Seconds in which a hunter closes in on his place, so that he waits for the carrier."""
    hunt_range: float = 13.0
    """Distance within which a defender hunts the carrier: measured."""
    follow_along: float = 0.45
    follow_across: float = 0.2
    """Share of the ball's way, from the middle, that the opponents' formation follows: measured
    on random play."""
    cover_distance: float = 7.0
    """How far goalward of the ball the second defender covers: measured on the harder scenario."""
