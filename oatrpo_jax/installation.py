"""What is installed beside the core: our other packages, and those that come with an extra.

Light: nothing else is imported.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "oatrpo-jax"

ROOT = Path(__file__).parents[1]
"""The folder that holds the packages: a clone, or where a wheel was installed."""

STARTED_BY = "OATRPO_COMMAND"
"""Environment variable with the command that started a program; its processes inherit it."""

TRAIN = (
    *("PIL", "jinja2", "jumanji", "matplotlib", "rich", "scipy", "sklearn", "tensorboardX"),
    *("typeguard", "tyro"),
)
"""What the extra ``train`` installs, by the names under which it is imported."""


class NotInstalled(ImportError):
    """A package is not there, or another one hides it; the message says what to do."""


def missing(package: str, extra: str, who: str) -> NotInstalled:
    """Returns the error to raise where a package is not there.

    >>> str(missing("wandb", "wandb", "--wandb")).replace(str(ROOT), "oatrpo-jax")
    '--wandb: expected the package wandb, which is not installed; pip install "oatrpo-jax[wandb]"'

    Args:
        package: its name.
        extra: that of ours which brings it.
        who: needs it; begins the message.
    """
    absent = f"{who}: expected the package {package}, which is not installed"
    return NotInstalled(f"{absent}; {install_line(extra)}", name=package)


def install_line(extra: str) -> str:
    """Returns the command that installs what an extra brings; a clone need not be installed."""
    from importlib import metadata  # Slow to import; help does not wait for it.

    try:
        metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return f'pip install "{ROOT}[{extra}]"'
    return f'pip install "{DISTRIBUTION}[{extra}]"'


def check_packages(packages: tuple[str, ...], extra: str, who: str) -> None:
    """Raises a `NotInstalled` that names the first of the packages that is not there."""
    for package in packages:
        if find_spec(package) is None:
            raise missing(package, extra, who)


def check_ours(name: str) -> None:
    """Raises a `NotInstalled` unless Python finds our package of that name, beside the core.

    ``envs`` and ``experiments`` are common names: a folder where Python was started, or one of
    PYTHONPATH, may have them too.
    """
    expected, found = ROOT.resolve() / name, _place_of(name)
    if found is None:
        raise NotInstalled(
            f"{name}: expected the package in {expected}, found none; install {DISTRIBUTION} anew"
        )
    if found != expected:
        raise NotInstalled(
            f"{name}: expected our package in {expected}, but Python finds {found} first; rename "
            f"that one, start Python elsewhere and without it in PYTHONPATH, or, if it was "
            f"installed, give {DISTRIBUTION} a virtual environment of its own"
        )


def _place_of(name: str) -> Path | None:
    """Returns the folder or file that Python takes for a package, which is not imported."""
    spec = find_spec(name)
    if spec is None:
        return None
    places = [*(spec.submodule_search_locations or ()), spec.origin or ""]
    place = Path(places[0])
    return place.parent.resolve() / place.name
