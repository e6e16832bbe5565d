"""The one door through which SMAX gets what it uses of jaxmarl."""

from __future__ import annotations

from envs.jaxmarl_import import quiet_stdout, require_jaxmarl

require_jaxmarl("the SMAX environments")
with quiet_stdout():
    from jaxmarl.environments.smax.heuristic_enemy import create_heuristic_policy
    from jaxmarl.environments.smax.heuristic_enemy_smax_env import HeuristicEnemySMAX
    from jaxmarl.environments.smax.heuristic_enemy_smax_env import State as GameState
    from jaxmarl.environments.smax.smax_env import (
        MAP_NAME_TO_SCENARIO,
        SMAX,
        Scenario,
    )
    from jaxmarl.environments.smax.smax_env import State as BattleState

__all__ = [
    "MAP_NAME_TO_SCENARIO",
    "SMAX",
    "BattleState",
    "GameState",
    "HeuristicEnemySMAX",
    "Scenario",
    "create_heuristic_policy",
]
