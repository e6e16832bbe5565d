"""The rules of the house: which way imports may point, and that none goes in a circle.

Imports inside functions and for types alone count as well.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("oatrpo_jax", "envs", "experiments")

CORE_PACKAGES = {"jax", "flax", "optax", "chex", "distrax", "orbax", "numpy"}
"""What the core may import beside the standard library."""

FLOORS = (
    ("oatrpo_jax",),
    ("envs",),
    ("experiments.training",),
    ("experiments.analysis",),
    ("experiments",),
)
"""From the ground up: a module may import what lies on its own floor or below, never above."""

CORE_FLOORS = (
    ("installation", "hints"),
    ("types", "keys", "ranges"),
    ("env_check",),
    ("config", "hyperparams", "env_spec"),
    ("checks", "advantages", "optimiser", "clustering"),
    ("input_norm",),
    ("policies",),
    ("reuse",),
    ("steps",),
    ("critics",),
    ("algorithms",),
    ("sequential_update",),
    ("update",),
    ("learner",),
    ("rollout", "identity"),
    ("grouping",),
    ("train", "export", "checkpoint"),
    ("run_folder", "devices"),
    ("runs",),
    ("oatrpo_jax",),
    ("__main__",),
)
"""The same inside the core, by rooms."""

DOOR = "oatrpo_jax.__main__"
"""The installed command.  It starts a program of `experiments` that is named on the command line,
which is the one way up; it imports it by that name while it runs.  Scripts start by it, too."""


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def sources() -> dict[str, Path]:
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {module_name(path): path for path in paths}


MODULES = sources()


def imported_names(path: Path) -> Iterator[str]:
    """Yields what a file imports, wherever in it: a module, or a module and a name in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def as_module(name: str) -> str | None:
    """Returns the module of ours that an imported name is, or lies in."""
    return name if name in MODULES else next(iter({name.rpartition(".")[0]} & MODULES.keys()), None)


ARROWS = {
    name: {module for each in imported_names(path) if (module := as_module(each)) is not None}
    for name, path in MODULES.items()
}
"""By module: those of ours that it imports."""


def floor_of(module: str, floors: tuple[tuple[str, ...], ...]) -> int:
    """Returns the number of the floor that a module is on, that of its most special room."""
    rooms = {room: number for number, floor in enumerate(floors) for room in floor}
    parts = module.split(".")
    for count in range(len(parts), 0, -1):
        if (room := ".".join(parts[:count])) in rooms:
            return rooms[room]
    raise AssertionError(f"{module} is in no room that this test knows")


def upward(arrows: Mapping[str, set[str]], floors: tuple[tuple[str, ...], ...]) -> list[str]:
    return [
        f"{source} -> {target}"
        for source, targets in arrows.items()
        for target in sorted(targets)
        if floor_of(target, floors) > floor_of(source, floors)
    ]


def test_no_import_points_up():
    assert upward(ARROWS, FLOORS) == []


def test_no_import_points_up_inside_the_core():
    prefix = "oatrpo_jax."
    inside = {
        source.removeprefix(prefix): {target.removeprefix(prefix) for target in targets}
        for source, targets in ARROWS.items()
        if source.startswith(prefix)
    }
    assert upward(inside, CORE_FLOORS) == []


def test_scripts_alone_take_the_door_and_no_other_module_imports_by_name_what_lies_above():
    scripts = {f"experiments.{path.stem}" for path in (ROOT / "experiments").glob("[!_]*.py")}
    assert {name for name, targets in ARROWS.items() if DOOR in targets} == scripts
    core = [path for name, path in MODULES.items() if name.startswith("oatrpo_jax.")]
    importing = {module_name(path) for path in core if "import_module" in path.read_text()}
    assert importing == {DOOR}


def test_no_imports_go_in_a_circle():
    done: set[str] = set()
    path: list[str] = []

    def visit(module: str) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        path.append(module)
        for target in sorted(ARROWS[module] - {module}):
            visit(target)
        done.add(path.pop())

    for module in MODULES:
        visit(module)


def test_no_script_imports_a_script():
    scripts = {f"experiments.{path.stem}" for path in (ROOT / "experiments").glob("[!_]*.py")}
    assert {name for name in scripts if ARROWS[name] & scripts} == set()


def test_experiments_hold_eight_scripts_and_two_rooms():
    found = {path.name for path in (ROOT / "experiments").iterdir() if path.name[0] not in "._"}
    scripts = ("run", "sweep", "join", "evaluate", "export", "compare", "reproduce", "bench")
    expected = {f"{name}.py" for name in scripts} | {"training", "analysis", "README.md"}
    assert found - {"__pycache__", "__init__.py"} == expected


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("oatrpo_jax")])
def test_the_core_stands_on_few_packages(module):
    import sys

    roots = {name.partition(".")[0] for name in imported_names(MODULES[module])}
    assert roots - {"oatrpo_jax", *sys.stdlib_module_names} <= CORE_PACKAGES


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


@pytest.mark.parametrize("module", MODULES)
def test_modules_and_functions_are_short(module):
    path = MODULES[module]
    assert len(path.read_text().splitlines()) <= 250
    for function in functions(path):
        length = function.end_lineno - function.lineno + 1
        assert length <= 60, f"{function.name} has {length} lines"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("experiments")])
def test_functions_of_experiments_take_at_most_six_parameters(module):
    for function in functions(MODULES[module]):
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        count = len([each for each in every if each.arg not in ("self", "cls")])
        assert count <= 6, f"{function.name} takes {count}"
