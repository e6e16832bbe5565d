"""Settings of jax under which everything is to be as without them."""

from typing import Any

import jax

JAX_SETTINGS = {
    "x64": lambda: jax.enable_x64(True),
    "strict": lambda: jax.numpy_dtype_promotion("strict"),
}
"""By name: makes a context in which jax counts in 64 bits, or promotes no type by itself."""


def type_names(tree: Any) -> dict[str, tuple[str, bool]]:
    """Returns the dtype of each leaf, and whether it is weak, by path."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path): (str(x.dtype), x.weak_type) for path, x in leaves}
