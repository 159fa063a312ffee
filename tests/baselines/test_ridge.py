"""RidgePath against scikit-learn's Ridge."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import Ridge

from hrsnn.baselines import RidgePath


def test_each_penalty_gives_scikit_learns_regression():
    rng = np.random.default_rng(0)
    F = rng.normal(3, [1, 2, 0.5, 4], size=(200, 4))
    goals = F @ rng.normal(size=(4, 2)) + rng.normal(size=(200, 2)) + 5
    path = RidgePath(F, goals)
    unit = len(F) * np.median(F.var(axis=0))
    for alpha in (1e-6, 1e-2, 1.0):
        peer = Ridge(alpha * unit).fit(F, goals)
        found = path.solve(alpha)
        assert_allclose(found.coef_, peer.coef_, rtol=1e-8, atol=1e-10)
        assert_allclose(found.predict(F), peer.predict(F), rtol=1e-8, atol=1e-8)


def test_what_cannot_be_regressed_is_refused():
    with pytest.raises(ValueError, match="one row a sample, got 3 and 4 rows"):
        RidgePath(np.ones((3, 2)), np.ones((4, 1)))
    with pytest.raises(ValueError, match=r"goals must be a matrix of finite numbers, a row a sample, got shape \(3,\)"):
        RidgePath(np.ones((3, 2)), np.ones(3))
