"""How jumanji is imported inside IPython, where it would choose how matplotlib draws."""

from __future__ import annotations

import builtins
import warnings
from importlib import import_module
from importlib.util import find_spec

SIGN = "__IPYTHON__"
"""The name among Python's builtins by which a module sees that it is inside IPython."""


def import_inside_ipython() -> None:
    """Imports jumanji, where this is IPython and jumanji is there, without its seeing so.

    It would run ``%matplotlib ipympl``: an error where ipympl is not installed, and no pictures in
    the page of a notebook where it is.  tqdm, which it imports, would ask for widgets.
    """
    if not hasattr(builtins, SIGN) or find_spec("jumanji") is None:
        return
    was = getattr(builtins, SIGN)
    delattr(builtins, SIGN)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="IProgress not found")
            import_module("jumanji")
    finally:
        setattr(builtins, SIGN, was)
