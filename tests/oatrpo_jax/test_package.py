"""What the core imports: little from outside, and inside always from the floor below."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import oatrpo_jax

ROOT = Path(oatrpo_jax.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
LIBRARIES = {"jax", "flax", "optax", "chex", "distrax", "numpy", "orbax"}
FLOORS = (
    {"types", "keys", "ranges"},
    {"config"},
    {"checks", "advantages", "optimiser", "clustering"},
    {"policies"},
    {"reuse"},
    {"steps"},
    {"critics"},
    {"algorithms"},
    {"sequential_update"},
    {"learner"},
    {"rollout", "identity"},
    {"grouping"},
    {"train", "export", "checkpoint"},
)
"""Rooms and modules on top; each may import from its own room and from the floors before it."""

PROGRAM = """
import sys
import oatrpo_jax
print([name for name in ("jaxmarl", "jumanji", "envs", "experiments") if name in sys.modules])
"""


def imported(path):
    """Names of all modules that a file imports, inside functions and for types too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def floor_of(room):
    return next(index for index, rooms in enumerate(FLOORS) if room in rooms)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_from_its_room_and_the_floors_below(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in imported(path):
        package, _, inside = name.partition(".")
        if package != "oatrpo_jax":
            assert package in LIBRARIES | sys.stdlib_module_names, name
            continue
        other = inside.partition(".")[0]
        assert other == room or floor_of(other) < floor_of(room), f"{room} imports {name}"


def test_no_two_modules_of_a_room_import_each_other():
    within = {}
    for path in MODULES:
        name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        within[name] = set(imported(path))
    visited = {}

    def visit(name):
        assert visited.get(name) != "open", f"a circle through {name}"
        if name in within and name not in visited:
            visited[name] = "open"
            for other in within[name]:
                visit(other)
            visited[name] = "done"

    for name in within:
        visit(name)


def test_the_core_imports_no_environment_library():
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_every_exported_name_exists_and_is_documented():
    assert sorted(oatrpo_jax.__all__) == oatrpo_jax.__all__
    for name in oatrpo_jax.__all__:
        assert getattr(oatrpo_jax, name).__doc__, name
