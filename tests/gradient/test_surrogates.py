"""Surrogate derivatives at points computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hrsnn.gradient import FastSigmoid, MultiGaussian, SpikeTime, Triangle
from hrsnn.gradient.surrogates import spike


def slopes(surrogate, u, theta, scale=1.0, age=None, inclusive=False):
    value = spike(surrogate, inclusive, u, theta, scale, age)
    return float(value), *(
        float(jax.grad(lambda a, b: spike(surrogate, inclusive, a, b, scale, age), argnums=k)(u, theta)) for k in (0, 1)
    )


@pytest.mark.parametrize(
    ("surrogate", "u", "theta", "scale", "age", "expected"),
    [
        (FastSigmoid(10), 1.1, 1.0, 1.0, None, (1, 1 / 4, -1 / 4)),
        (FastSigmoid(10), 0.7, 1.0, 1.0, None, (0, 1 / 16, -1 / 16)),
        (FastSigmoid(10), -0.055, -0.050, 0.010, None, (0, 100 / 36, -100 / 36)),  # in volt: z = -0.5
        (Triangle(0.3), 1.5, 2.0, 1.0, None, (0, 0.3 * 0.75 / 2, -0.3 * 0.75 * 1.5 / 4)),  # z = -1/4
        (Triangle(0.3), 5.0, 2.0, 1.0, None, (1, 0, 0)),
        (SpikeTime(0.3, 0.01), 0.5, 1.0, 1.0, 20.0, (0, 0.3 * np.exp(-0.2), -0.3 * np.exp(-0.2))),
        (SpikeTime(), 0.5, 1.0, 1.0, 1e6, (0, 0, 0)),
    ],
)
def test_slopes(surrogate, u, theta, scale, age, expected):
    np.testing.assert_allclose(slopes(surrogate, u, theta, scale, age), expected, rtol=2e-5, atol=1e-7)


def test_multi_gaussian():
    def normal(x, sd):
        return np.exp(-(x**2) / (2 * sd**2)) / (sd * np.sqrt(2 * np.pi))

    for z in (0.0, 0.4, -1.5):
        expected = 0.5 * (1.15 * normal(z, 0.3) - 0.15 * normal(z - 0.3, 1.8) - 0.15 * normal(z + 0.3, 1.8))
        np.testing.assert_allclose(float(MultiGaussian().slope(jnp.asarray(z))), expected, rtol=1e-5)
    assert MultiGaussian().slope(jnp.asarray(1.5)) < 0


@pytest.mark.parametrize(("inclusive", "expected"), [(False, 0), (True, 1)])
def test_equality_fires_only_where_the_model_says_so(inclusive, expected):
    assert slopes(FastSigmoid(), 1.0, 1.0, inclusive=inclusive)[0] == expected
