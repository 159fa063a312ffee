"""The laws: exact quantiles and moments, truncation, common random numbers, units, printing, errors."""

import copy
import pickle

import numpy as np
import pytest
from brian2 import Hz, Quantity, ms, mV, second
from brian2.units.fundamentalunits import DIMENSIONLESS, DimensionMismatchError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from hrsnn.laws import Gamma, LogNormal, Normal, Uniform

N_SAMPLES = 20_000
LAWS = {
    "gamma": (Gamma(mean=20 * ms, shape=3), stats.gamma(3, scale=0.02 / 3)),
    "lognormal": (LogNormal(mean=2.0, std=1.0), stats.lognorm(np.sqrt(np.log(1.25)), scale=2 / np.sqrt(1.25))),
    "normal": (Normal(mean=-65 * mV, std=5 * mV), stats.norm(-0.065, 0.005)),
    "uniform": (Uniform(low=0.5, high=1.5), stats.uniform(0.5, 1)),
    "gamma, both ends": (Gamma(20 * ms, 3, low=3 * ms, high=30 * ms), None),
    "normal, upper tail": (Normal(0, 1, low=6), stats.truncnorm(6, np.inf)),
    "lognormal, below": (LogNormal(mean=2.0, std=1.0, high=1.5), None),
}


@pytest.mark.parametrize(
    ("law", "reference"), [pair for pair in LAWS.values() if pair[1]], ids=[k for k in LAWS if LAWS[k][1]]
)
def test_quantiles_and_moments_equal_the_reference(law, reference):
    u = np.linspace(0.001, 0.999, 31)
    assert_allclose(np.asarray(law.quantile(u)), reference.ppf(u), rtol=1e-8)  # scipy's truncnorm solves iteratively
    assert_allclose(float(law.mean), reference.mean(), rtol=1e-9)
    assert_allclose(float(law.std), reference.std(), rtol=1e-7)


@pytest.mark.parametrize("law", [law for law, _ in LAWS.values()], ids=LAWS)
def test_samples_follow_the_law(law):
    sample = np.asarray(law.sample(N_SAMPLES, np.random.default_rng(1)))
    u = np.linspace(0, 1, 4001)
    cdf = lambda x: np.interp(x, np.asarray(law.quantile(u)[1:-1]), u[1:-1])  # noqa: E731
    assert stats.kstest(sample, cdf).pvalue > 0.01
    standard_error = sample.std() / np.sqrt(N_SAMPLES)
    assert abs(sample.mean() - float(law.mean)) < 4 * standard_error
    assert_allclose(sample.std(), float(law.std), rtol=0.05)


def test_truncation_is_the_conditional_law():
    law, untruncated = Gamma(20 * ms, 3, low=3 * ms, high=30 * ms), stats.gamma(3, scale=0.02 / 3)
    u = np.linspace(0, 1, 21)
    inside = untruncated.cdf(0.03) - untruncated.cdf(0.003)
    assert_allclose((untruncated.cdf(np.asarray(law.quantile(u))) - untruncated.cdf(0.003)) / inside, u, atol=1e-12)
    sample = np.asarray(law.sample(N_SAMPLES, np.random.default_rng(0)))
    assert sample.min() >= 0.003
    assert sample.max() <= 0.03
    kept = untruncated.rvs(N_SAMPLES, random_state=0)
    kept = kept[(kept > 0.003) & (kept < 0.03)]
    assert len(kept) > 1000
    assert stats.ks_2samp(sample, kept).pvalue > 0.01


def test_truncated_tail_keeps_its_digits():
    law = Normal(0, 1, low=10, high=11)  # cdf(10) is 1 in floating point
    assert_allclose(law.quantile(0.5), stats.norm.isf((stats.norm.sf(10) + stats.norm.sf(11)) / 2), rtol=1e-12)


@pytest.mark.parametrize("shape", [0.5, 1, 3, 20])
def test_w2_of_gammas_is_the_closed_form(shape):
    """Oracle O1: W_2(Gamma(k, a), Gamma(k, b)) = |a - b| sqrt(k (k + 1)), scale parameters a and b."""
    nodes, weights = np.polynomial.legendre.leggauss(512)
    u, weights = (nodes + 1) / 2, weights / 2
    scale_p, scale_q = 7 * ms, 2 * ms
    distance = Gamma(shape * scale_p, shape).quantile(u) - Gamma(shape * scale_q, shape).quantile(u)
    w2 = np.sqrt(np.sum(weights * np.asarray(distance) ** 2))
    assert_allclose(w2, 0.005 * np.sqrt(shape * (shape + 1)), rtol=1e-4)  # log singularity of the quantile at 1


def test_equal_generators_give_common_random_numbers():
    narrow = Gamma(20 * ms, 10).sample((3, 50), np.random.default_rng(7))
    wide = LogNormal(mean=1.0, std=3.0).sample((3, 50), np.random.default_rng(7))
    assert narrow.shape == wide.shape == (3, 50)
    assert np.array_equal(np.argsort(np.asarray(narrow).ravel()), np.argsort(wide.ravel()))
    u = np.random.default_rng(7).random((3, 50))
    assert_allclose(np.asarray(narrow), stats.gamma(10, scale=0.002).ppf(u), rtol=1e-12)


def test_samples_carry_the_unit():
    sample = Gamma(20 * ms, 3).sample(5, np.random.default_rng(0))
    assert isinstance(sample, Quantity)
    assert (sample < 10 * second).all()
    assert Gamma(20 * ms, 3).mean == 20 * ms
    assert Normal(0.1, 0.2).dimensions is DIMENSIONLESS
    assert type(Uniform(0, 1).sample(5, np.random.default_rng(0))) is np.ndarray
    assert isinstance(Uniform(0, 1).sample(None, np.random.default_rng(0)), float)


@settings(max_examples=50)
@given(mean=st.floats(1e-6, 1e3), shape=st.floats(0.1, 100), unit=st.sampled_from([1, ms, mV, Hz, mV / ms, mV**2]))
@example(mean=161.0, shape=1.0, unit=mV / ms)  # 50 * 161 * (mV/ms) is not 8050 to the last digit
def test_printed_law_is_code_for_the_same_law(mean, shape, unit):
    import brian2

    law = Gamma(mean=mean * unit, shape=shape, high=50 * mean * unit)
    names = vars(brian2) | {"Gamma": Gamma}
    assert eval(repr(law), names) == law
    assert_allclose(float(eval(str(law), names).mean), float(law.mean), rtol=1e-3)  # four digits


def test_repr_is_short_where_the_numbers_are():
    space = Gamma(mean=(5 * ms, 100 * ms), shape=(1, 20, "linear"), low=0.1 * ms)
    assert repr(space) == 'Gamma(mean=(5*ms, 100*ms), shape=(1, 20, "linear"), low=0.1*ms)'
    assert repr(Normal(-0.3, 2)) == "Normal(mean=-0.3, std=2)"


def test_laws_are_values():
    law = Gamma(20 * ms, 3, high=100 * ms)
    assert law == Gamma(0.02 * second, 3.0, high=0.1 * second)
    assert hash(law) == hash(Gamma(0.02 * second, 3.0, high=0.1 * second))
    assert law not in (Gamma(20 * ms, 3), Gamma(0.02, 3, high=0.1), 20)
    assert Normal(1, 2) != LogNormal(1, 2)
    assert pickle.loads(pickle.dumps(law)) == law == copy.deepcopy(law)
    assert law.replace(shape=5) == Gamma(20 * ms, 5, high=100 * ms)
    with pytest.raises(AttributeError, match=r"cannot be changed. Use replace\(mean=...\)"):
        law.mean = 10 * ms


def test_intervals_make_a_search_space():
    law = Gamma(mean=(5 * ms, 100 * ms), shape=(1, 20, "linear"), low=1 * ms)
    assert dict(law.intervals) == {"mean": (5 * ms / second, 100 * ms / second, "log"), "shape": (1.0, 20.0, "linear")}
    assert law.arguments["mean"] == (5 * ms, 100 * ms)
    assert not law.replace(mean=20 * ms, shape=3).intervals
    for use in (
        lambda: law.mean,
        lambda: law.std,
        lambda: law.quantile(0.5),
        lambda: law.sample(3, np.random.default_rng()),
    ):
        with pytest.raises(ValueError, match="is a search space, not a law: replace the intervals of mean, shape"):
            use()


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Gamma(-1 * ms, 3), ValueError, r"mean must be positive, got -1\*ms"),
        (lambda: Gamma(20 * ms, 0), ValueError, "shape must be positive, got 0"),
        (lambda: Normal(0, -1), ValueError, "std must be positive, got -1"),
        (
            lambda: Gamma(20 * ms, 3, low=3 * ms, high=2 * ms),
            ValueError,
            r"low must be below high, got 3\*ms and 2\*ms",
        ),
        (lambda: Uniform(2, 2), ValueError, "low must be below high, got 2 and 2"),
        (lambda: Uniform((0, 3), (2, 4)), ValueError, "low must be below high, got 3 and 2"),
        (lambda: Gamma(1 * ms, 3, low=1 * second), ValueError, "no probability is left between low and high"),
        (lambda: Gamma((3, 2), 3), ValueError, r"mean needs low < high in its interval, got \(3, 2\)"),
        (lambda: Normal((-1, 1, "log"), 1), ValueError, "log scale, so low must be positive"),
        (lambda: Gamma((1, 2, "cubic"), 1), ValueError, "must be an interval"),
        (lambda: Gamma([1, 2, 3, 4], 3), ValueError, "must be an interval"),
        (lambda: Gamma(float("nan"), 3), ValueError, "mean must be finite, got nan"),
        (lambda: Uniform(0, np.inf), ValueError, "high must be finite, got inf"),
        (lambda: Gamma("20 ms", 3), TypeError, "must be a number, a Quantity or an interval .*got '20 ms'"),
        (lambda: Gamma(None, 3), TypeError, "mean must be a number.*got None"),
        (lambda: Gamma(np.ones(3), 3), TypeError, "must be a number, a Quantity or an interval"),
        (lambda: Gamma(20 * ms, 3, low=3), DimensionMismatchError, "low must have the unit of mean"),
        (lambda: Uniform(0 * ms, 1 * mV), DimensionMismatchError, "high must have the unit of low"),
        (lambda: Gamma(20 * ms, 3 * ms), DimensionMismatchError, "shape must have no unit"),
        (lambda: Gamma((5 * ms, 100), 3), DimensionMismatchError, "ends of the interval have different units"),
        (lambda: Gamma(1, 1).quantile(1.5), ValueError, r"probabilities must be in \[0, 1\], got 1.5"),
        (lambda: Gamma(1, 1).sample(3, 42), TypeError, "rng must be a numpy.random.Generator.*got 42"),
    ],
)
def test_bad_laws_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()
