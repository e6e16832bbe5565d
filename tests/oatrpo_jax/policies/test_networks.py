import jax
import numpy as np

from oatrpo_jax.policies.layers import Layers
from oatrpo_jax.policies.networks import MLP


def test_a_normalised_layer_does_not_lose_a_deviation_beside_a_large_mean():
    network = MLP(Layers((8,), "tanh", is_normalised=True), 1, 1.0)
    x = jax.random.normal(jax.random.key(0), (4, 3))
    params = network.init(jax.random.key(1), x)["params"]
    first = params["Dense_0"]
    shifted = params | {"Dense_0": first | {"bias": first["bias"] + 1e4}}
    plain, far = (network.apply({"params": each}, x) for each in (params, shifted))
    # Products of order 1 about 10,000 are known to 0.001.
    np.testing.assert_allclose(far, plain, atol=5e-3)
