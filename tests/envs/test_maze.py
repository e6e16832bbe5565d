"""The maze: its maps, rules, rewards, observations, optimum, bad input and pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs.maze import Action, Cell, Maze, parse_layout, shortest_path_lengths
from envs.maze.layouts import GAMES, Layout
from envs.maze.paths import PASSABLE, UNREACHABLE, expected_longest, next_locations

COLOURS = tuple(PASSABLE)


def lengths_from_starts(game, colour):
    layout = parse_layout(GAMES[game].text)
    return shortest_path_lengths(layout, colour)[tuple(layout.starts.T)].tolist()


def best_actions_at_starts(game, colour):
    layout = parse_layout(GAMES[game].text)
    lengths = shortest_path_lengths(layout, colour).ravel()
    table = next_locations(layout, colour)
    starts = layout.starts @ [layout.cells.shape[1], 1]
    return [{Action(a) for a in Action if lengths[table[s, a]] < lengths[s]} for s in starts]


def place(env, row_columns):
    """Returns a state with the agents in the given cells."""
    state, _ = env.reset(jax.random.key(0))
    width = env.layout.cells.shape[1]
    location = jnp.array([row * width + column for row, column in row_columns], jnp.int32)
    return state._replace(location=location, arrived=env._is_target[location])


def greedy_action(env, state):
    """Returns for each agent an action that brings it nearer to the target."""
    actions = []
    for agent, colour in enumerate(env.agent_types):
        lengths = shortest_path_lengths(env.layout, colour).ravel()
        reached = next_locations(env.layout, colour)[state.location[agent]]
        actions.append(int(np.argmin(lengths[reached])))
    return jnp.array(actions, jnp.int32)


def play(env, key, choose_action):
    state, timestep = env.reset(key)
    step, rewards = jax.jit(env.step), []
    while not timestep.last():
        state, timestep = step(state, choose_action(env, state))
        rewards.append(float(timestep.reward))
    return state, timestep, rewards


def test_shipped_maps_have_9_by_9_cells():
    for game in GAMES.values():
        assert parse_layout(game.text).cells.shape == (9, 9)


def test_black_and_red_has_short_conflicting_ways_and_a_long_common_one():
    # Start row 4, columns 3, 4, 5; target row 1, column 4.
    # Red: c - 2 left, 3 up, 2 right.  Black: 6 - c right, 3 up, 2 left.
    assert lengths_from_starts("black-red", "red") == [1 + 5, 2 + 5, 3 + 5]
    assert lengths_from_starts("black-red", "black") == [3 + 5, 2 + 5, 1 + 5]
    # Open to all, as blue's ways are: 1 down, 3 or 4 to the nearer edge, 4 up, 4 along the top.
    assert lengths_from_starts("black-red", "blue") == [12, 13, 12]
    assert best_actions_at_starts("black-red", "red") == [{Action.LEFT}] * 3
    assert best_actions_at_starts("black-red", "black") == [{Action.RIGHT}] * 3
    assert Action.LEFT not in best_actions_at_starts("black-red", "blue")[2]
    assert all(Action.DOWN in best for best in best_actions_at_starts("black-red", "blue"))


def test_black_and_blue_nearly_agree_and_red_goes_the_other_way():
    # Red: c - 2 left, 3 up, 2 right.
    assert lengths_from_starts("black-blue-red", "red") == [6, 7, 8]
    # Black: 8 - c right through the black cell, 3 up, 4 left; blue: 2 more, round that cell.
    assert lengths_from_starts("black-blue-red", "black") == [5 + 7, 4 + 7, 3 + 7]
    assert lengths_from_starts("black-blue-red", "blue") == [5 + 9, 4 + 9, 3 + 9]
    assert best_actions_at_starts("black-blue-red", "red") == [{Action.LEFT}] * 3
    assert best_actions_at_starts("black-blue-red", "black") == [{Action.RIGHT}] * 3
    assert best_actions_at_starts("black-blue-red", "blue") == [{Action.RIGHT}] * 3


def test_the_trap_closes_the_way_behind_red_to_blue_alone():
    text = GAMES["black-blue-red"].text
    right_closed = parse_layout(text.replace("sss.b.", "sss###"))
    lengths = {colour: shortest_path_lengths(right_closed, colour)[4, 4] for colour in COLOURS}
    # Round the left: 2 left, 2 down, 2 left, 5 up, 4 right.
    assert lengths == {"red": 7, "black": 15, "blue": UNREACHABLE}
    without_trap = parse_layout(text.replace("sss.b.", "sss###").replace("x", "."))
    assert shortest_path_lengths(without_trap, "blue")[4, 4] == 15


@pytest.mark.parametrize(
    ("colour", "open_to_it"),
    [
        ("red", {Action.UP, Action.DOWN}),  # red and the blue trap, not black
        ("black", {Action.LEFT, Action.DOWN}),
        ("blue", set()),
    ],
)
def test_each_colour_enters_its_own_cells(colour, open_to_it):
    layout = parse_layout("#r###\nbs#T.\n.x...\n.....")
    start = 1 * 5 + 1
    table = next_locations(layout, colour)
    assert {action for action in Action if table[start, action] != start} == open_to_it


@pytest.mark.parametrize("game", GAMES)
def test_moves_lead_only_into_cells_of_the_right_kind(game):
    allowed = {
        "red": {Cell.OPEN, Cell.TARGET, Cell.RED, Cell.BLUE_TRAP},
        "black": {Cell.OPEN, Cell.TARGET, Cell.BLACK, Cell.BLUE_TRAP},
        "blue": {Cell.OPEN, Cell.TARGET},
    }
    env = Maze(game)
    cells, table = env.layout.cells, np.asarray(env._next_location)
    for agent, colour in enumerate(env.agent_types):
        for row, column in np.argwhere(np.isin(cells, list(allowed[colour]))):
            if cells[row, column] == Cell.TARGET:
                continue
            for action, (down, right) in enumerate([(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)]):
                y, x = row + down, column + right
                inside = 0 <= y < 9 and 0 <= x < 9
                moves = inside and cells[y, x] in allowed[colour]
                expected = y * 9 + x if moves else row * 9 + column
                assert table[agent, row * 9 + column, action] == expected


def test_agents_do_not_block_each_other():
    env = Maze("black-red")
    state, _ = env.step(place(env, [(4, 4)] * 4), jnp.full(4, Action.LEFT))
    assert state.location.tolist() == [4 * 9 + 3] * 4


def test_an_arrived_agent_stays_whatever_it_does():
    env = Maze("black-red", num_per_colour=1)
    state = place(env, [(1, 4), (4, 4)])
    for action in Action:
        state, timestep = env.step(state, jnp.array([action, Action.NOP]))
        assert state.location[0] == 1 * 9 + 4
        assert timestep.observation.active.tolist() == [False, True]


def test_reward_pays_arrivals_once_and_charges_those_on_their_way():
    env = Maze("black-red", num_per_colour=1, step_cost=0.1)
    state = place(env, [(1, 3), (1, 2)])
    state, timestep = env.step(state, jnp.array([Action.RIGHT, Action.RIGHT]))
    assert timestep.reward == pytest.approx((1 - 0.1 * 2) / 2)  # one arrives, two walked
    assert timestep.extras["arrived"] == 0.5
    assert timestep.extras["success"] == 0.0
    state, timestep = env.step(state, jnp.array([Action.NOP, Action.NOP]))
    assert timestep.reward == pytest.approx((0 - 0.1 * 1) / 2)  # one waits
    state, timestep = env.step(state, jnp.array([Action.NOP, Action.RIGHT]))
    assert timestep.reward == pytest.approx((1 - 0.1 * 1) / 2)
    assert timestep.extras["success"] == 1.0


def test_arrival_of_all_terminates_and_the_limit_truncates():
    env = Maze("black-red", num_per_colour=1, time_limit=8)
    right = jnp.full(2, Action.RIGHT)
    _, timestep = env.step(place(env, [(1, 3), (1, 3)]), right)
    assert timestep.last() and timestep.discount == 0.0
    state, timestep = env.reset(jax.random.key(0))
    for step_count in range(1, 9):
        assert not timestep.last()
        state, timestep = env.step(state, jnp.full(2, Action.NOP))
        assert state.step_count == step_count
    assert timestep.last() and timestep.discount == 1.0


def test_arrival_on_the_last_step_is_a_termination():
    env = Maze("black-red", num_per_colour=1, time_limit=8)
    state = place(env, [(1, 3), (1, 3)])._replace(step_count=jnp.array(7, jnp.int32))
    _, timestep = env.step(state, jnp.full(2, Action.RIGHT))
    assert timestep.last() and timestep.discount == 0.0


@pytest.mark.parametrize("game", GAMES)
def test_agents_in_one_cell_see_the_same_whatever_their_colour(game):
    env = Maze(game)
    for row, column in np.argwhere(env.layout.cells == Cell.OPEN):
        state = place(env, [(row, column)] * env.num_agents)
        observation = env._observe(state)
        view = np.asarray(observation.agents_view)
        assert (view == view[0]).all()
        assert observation.action_mask.all()


def test_view_is_the_3_by_3_cells_and_the_location():
    env = Maze("black-red", num_per_colour=1)
    view = np.asarray(env._observe(place(env, [(1, 0), (4, 2)])).agents_view)
    assert view.shape == (2, 9 * 6 + 81)
    kinds = view[:, :54].reshape(2, 3, 3, 6).argmax(-1)
    # Row 1, column 0: outside the map on the left looks like a wall.
    assert kinds[0].tolist() == [[1, 1, 1], [1, 0, 0], [1, 0, 1]]
    # Row 4, column 2: red above, wall to the left, start cells (open) to the right.
    assert kinds[1].tolist() == [[1, 2, 1], [1, 0, 0], [0, 0, 0]]
    assert view[:, 54:].argmax(-1).tolist() == [9, 38]
    assert (view.sum(-1) == 10).all()


def test_agent_id_is_appended_on_request():
    env = Maze("black-red", observe_agent_id=True)
    _, timestep = env.reset(jax.random.key(0))
    assert timestep.observation.agents_view.shape == (4, 135 + 4)
    assert (timestep.observation.agents_view[:, 135:] == jnp.eye(4)).all()


def test_global_state_holds_map_locations_and_arrivals():
    env = Maze("black-red", num_per_colour=1)
    state = np.asarray(env._observe(place(env, [(1, 4), (4, 4)])).global_state)
    cells, locations, arrived = np.split(state, [81, 81 * 3])
    # Six kinds of cell, 0 to 5, as fractions of 5.
    np.testing.assert_allclose(5 * cells.reshape(9, 9), env.layout.cells, atol=1e-6)
    assert locations.reshape(2, 81).argmax(-1).tolist() == [13, 40]
    assert arrived.tolist() == [1.0, 0.0]


def test_starts_are_even_and_the_same_for_all_colours():
    env = Maze("black-blue-red")
    keys = jax.random.split(jax.random.key(0), 3000)
    location = np.asarray(jax.jit(jax.vmap(lambda key: env.reset(key)[0].location))(keys))
    for agent in range(env.num_agents):
        cells, counts = np.unique(location[:, agent], return_counts=True)
        assert cells.tolist() == [39, 40, 41]
        # 3000 draws, 3 cells: sd sqrt(3000 * 1/3 * 2/3) = 26; five of them.
        assert np.abs(counts - 1000).max() < 130
    pairs = np.unique(location[:, :2], axis=0, return_counts=True)[1]
    assert len(pairs) == 9 and pairs.min() > 220  # independent: 333 each, sd 17


def test_optimal_episode_length_is_the_expected_maximum():
    # Two red and two black agents, each 6, 7 or 8 steps away:
    # P(max <= 6) = 1/81, P(max <= 7) = 16/81, so E = 8 - 16/81 - 1/81.
    assert Maze("black-red").optimal_episode_length == pytest.approx(8 - 17 / 81)
    # Red and black never take longer than 12, the least for blue: E = mean(12, 13, 14).
    assert Maze("black-blue-red").optimal_episode_length == pytest.approx(13)
    assert expected_longest([np.array([2, 4]), np.array([3])]) == pytest.approx(3.5)


@pytest.mark.parametrize("game", GAMES)
def test_shortest_ways_reach_the_optimum(game):
    env = Maze(game)
    for seed in range(3):
        state, timestep, rewards = play(env, jax.random.key(seed), greedy_action)
        assert len(rewards) == int(state.shortest_length.max())
        assert timestep.extras["success"] == 1.0
        assert timestep.extras["optimality"] == 1.0
        assert timestep.extras["path_optimality"] == 1.0
        mean_length = float(state.shortest_length.mean())
        assert sum(rewards) == pytest.approx(1 - env.step_cost * mean_length, abs=1e-5)


def test_detours_show_in_both_optimalities():
    env = Maze("black-red", num_per_colour=1)
    state = place(env, [(1, 3), (1, 3)])._replace(shortest_length=jnp.array([6, 8], jnp.int32))
    state = state._replace(steps_taken=jnp.array([7, 15], jnp.int32))
    _, timestep = env.step(state, jnp.full(2, Action.RIGHT))
    assert timestep.extras["optimality"] == pytest.approx(8 / 16)
    assert timestep.extras["path_optimality"] == pytest.approx(14 / 24)


def test_any_number_of_agents_and_any_map():
    env = Maze("black-blue-red", num_per_colour=3, layout="s.T\n###\n###")
    assert env.agent_types == ("red",) * 3 + ("black",) * 3 + ("blue",) * 3
    assert env.optimal_episode_length == 2
    _, timestep, _ = play(env, jax.random.key(0), greedy_action)
    assert timestep.extras["success"] == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s..\n...\n...", "target"),
        ("T..\n...\n...", "start cell"),
        ("sT.\n...\n..", "rectangular"),
        ("sT.\n...", "3 x 3"),
        ("", "3 x 3"),
        ("sT.\n.?.\n...", r"'\?'"),
        ("s#T\n.#.\n.#.", "got none for red"),
        ("srT\n.#.\n.#.", "got none for black"),
        ("s.T\n###\ns..", "row 2, column 0"),
    ],
)
def test_bad_layouts_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Maze("black-red", layout=text)


def test_a_trap_that_cuts_blue_off_is_refused():
    with pytest.raises(ValueError, match="got none for blue"):
        Maze("black-blue-red", layout="sxT\n.#.\n.#.")


def test_a_layout_made_by_hand_without_target_is_refused():
    layout = Layout(np.zeros((3, 3), np.int32), np.array([[0, 0]], np.int32))
    with pytest.raises(ValueError, match="got none for red"):
        Maze("black-red", layout=layout)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"game": "green"}, "black-red, black-blue-red"),
        ({"num_per_colour": 0}, "num_per_colour"),
        ({"time_limit": 7}, "time_limit >= 8"),
        ({"step_cost": -0.1}, "step_cost"),
        ({"step_cost": float("nan")}, "step_cost"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Maze(**options)


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.filterwarnings("error::UserWarning")
def test_render_and_animate_write_pictures(game, tmp_path):
    env = Maze(game)
    state, _ = env.reset(jax.random.key(0))
    states = [state]
    for action in (Action.LEFT, Action.RIGHT, Action.DOWN):
        states.append(env.step(states[-1], jnp.full(env.num_agents, action))[0])
    pixels = env.render(states[0], save_path=str(tmp_path / "maze.png"))
    assert pixels.ndim == 3 and pixels.std() > 0
    assert (env.render(states[1]) != pixels).any()
    env.animate(states, interval=100, save_path=str(tmp_path / "maze.gif"))
    assert env.animate(states, interval=100).shape == (4, *pixels.shape)
    assert (tmp_path / "maze.png").stat().st_size > 1000
    from PIL import Image

    with Image.open(tmp_path / "maze.gif") as animation:
        assert animation.n_frames == len(states)
        assert animation.info["duration"] == 100
