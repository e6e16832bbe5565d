"""No number changes unnoticed: every algorithm against the metrics that were recorded."""

import numpy as np
import pytest

from tests.golden.record import ENVS, as_data, cases, compute, load


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("env_name", ENVS)
def test_metrics_are_those_recorded(env_name: str, case: str):
    # Processors add up in different orders, so to within rounding; ``--check`` compares bits.
    now, recorded = as_data(compute(env_name, case)), load(env_name)[case]
    assert now.keys() == recorded.keys()
    for name, values in recorded.items():
        found, expected = (np.array(each, float) for each in (now[name], values))
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-5, err_msg=name)
