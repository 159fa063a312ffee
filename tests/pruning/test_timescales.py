"""Time constants from the Lyapunov spectrum."""

from types import SimpleNamespace

import numpy as np
import pytest
from brian2 import ms, second
from numpy.testing import assert_allclose
from scipy import stats

from hrsnn.pruning import lyapunov_spectrum, optimize_timescales
from hrsnn.pruning.timescales import SPACE, scipy_search, set_tau_m, spectrum_distance

OPTIONS = {"n_steps": 50, "gain": 0.3}


def test_distance_of_full_spectra_is_wasserstein_2():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=40), rng.normal(2, 3, size=40)
    expected = np.sqrt(np.mean((np.sort(a) - np.sort(b)) ** 2))
    assert spectrum_distance(a, 40, b, 40) == pytest.approx(expected)
    # Atoms repeated as often as the other has them: the same laws.
    assert spectrum_distance(np.repeat(a, 3), 120, b, 40) == pytest.approx(expected)
    assert spectrum_distance(a, 40, a + 2.5, 40) == pytest.approx(2.5)


def test_distance_of_leading_parts_compares_the_upper_quantiles():
    a = np.arange(10.0)[::-1]
    b = np.repeat(a, 2)  # the same law in twice the dimension
    assert spectrum_distance(a, 10, b[:6], 20) == pytest.approx(0, abs=1e-12)
    assert spectrum_distance(a[:3], 10, b + 1, 20) == pytest.approx(1)


def test_search_finds_the_minimum_of_a_known_function():
    def objective(laws):
        mean, shape = laws["excitatory"]["mean"], laws["excitatory"]["shape"]
        return np.log(mean / 0.03) ** 2 + np.log(shape / 5) ** 2

    result = scipy_search(objective, {"excitatory": SPACE["excitatory"]}, 120, 0)
    assert result.fun == objective(result.x) < 1e-3
    assert result.x["excitatory"]["mean"] == pytest.approx(0.03, rel=0.05)


def test_search_stays_in_the_space_and_in_its_budget():
    seen = []

    def objective(laws):
        seen.append(laws)
        return -laws["inhibitory"]["mean"] - laws["excitatory"]["shape"]

    scipy_search(objective, SPACE, 30, 3)
    assert 25 <= len(seen) <= 30
    for laws in seen:
        for kind, bounds in SPACE.items():
            for name, (low, high) in bounds.items():
                assert low * (1 - 1e-9) <= laws[kind][name] <= high * (1 + 1e-9)


def test_the_best_laws_are_used_and_improve_the_objective(network):
    slow = set_tau_m(network, dict.fromkeys(network, 0.1))
    reference = lyapunov_spectrum(network, n_steps=50, gain=0.3, seed=0)
    result = optimize_timescales(slow, reference, n_calls=12, seed=0, **OPTIONS)
    assert result.fun < result.before
    for kind, members, low, high in (("excitatory", range(12, 60), 0.003, 0.1), ("inhibitory", range(12), 0.002, 0.06)):
        law = result.laws[kind]
        middle = (np.arange(len(members)) + 0.5) / len(members)
        expected = stats.gamma(law["shape"], scale=law["mean"] / law["shape"]).ppf(middle).clip(low, high)
        assert_allclose(sorted(result.graph.nodes[v]["tau_m"] for v in members), expected)
    assert set(result.graph.edges) == set(network.edges)
    assert slow.nodes[0]["tau_m"] == 0.1


def test_neurons_keep_their_order(network):
    reference = lyapunov_spectrum(network, n_steps=50, gain=0.3, seed=0)

    def optimizer(objective, space, n_calls, seed):
        return SimpleNamespace(x={kind: {"mean": 0.02, "shape": 2.0} for kind in space}, fun=-np.inf)

    tuned = optimize_timescales(network, reference, optimizer=optimizer, **OPTIONS).graph
    for members in (range(12), range(12, 60)):
        old, new = ([g.nodes[v]["tau_m"] for v in members] for g in (network, tuned))
        rank = stats.spearmanr(old, new).statistic
        assert rank > 0.99  # ties only where values are clipped
        assert old != new


def test_objective_against_its_formula(network):
    """One call at known laws: the value is the formula evaluated apart."""
    reference = lyapunov_spectrum(network, n_steps=50, gain=0.3, seed=0)
    seen = {}

    def optimizer(objective, space, n_calls, seed):
        laws = {kind: {"mean": 0.015, "shape": 4.0} for kind in space}
        seen.update(space=space, n_calls=n_calls, seed=seed, value=objective(laws))
        return SimpleNamespace(x=laws, fun=-np.inf)  # accepted whatever the value

    result = optimize_timescales(network, reference, n_calls=7, optimizer=optimizer, target=-5.0, seed=3, **OPTIONS)
    spectrum = lyapunov_spectrum(result.graph, n_steps=50, gain=0.3, seed=3)
    largest = spectrum.exponents.max()
    distance = np.sqrt(np.mean((np.sort(spectrum.exponents) - np.sort(reference.exponents)) ** 2))
    assert seen["value"] == pytest.approx((distance + 10 * max(0, largest) + abs(largest + 5)) / 1000)
    assert (seen["space"], seen["n_calls"], seen["seed"]) == (SPACE, 7, 3)


def test_no_better_laws_keep_the_old_time_constants(network):
    reference = lyapunov_spectrum(network, n_steps=50, gain=0.3, seed=0)

    def optimizer(objective, space, n_calls, seed):
        return SimpleNamespace(x={}, fun=np.inf)

    result = optimize_timescales(network, reference, optimizer=optimizer, **OPTIONS)
    assert result.laws == {}
    assert result.fun == result.before
    assert dict(result.graph.nodes(data=True)) == dict(network.nodes(data=True))


def test_one_type_has_one_law(make_network):
    graph = make_network(n=20, density=0.3, inhibitory=0)
    reference = lyapunov_spectrum(graph, n_steps=50, seed=0)
    result = optimize_timescales(graph, reference, n_calls=3, n_steps=50, seed=0)
    assert set(result.laws) <= {"excitatory"}
    with pytest.raises(ValueError, match="n_calls must be at least 1, got 0"):
        optimize_timescales(graph, reference, n_calls=0)


def test_units_are_kept():
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_node(0, tau_m=20 * ms)
    graph.add_node(1, tau_m=0.02)
    graph.add_node(2)
    new = set_tau_m(graph, {0: 0.05, 1: 0.06, 2: 0.07})
    assert new.nodes[0]["tau_m"].dim is second.dim
    assert float(new.nodes[0]["tau_m"] / ms) == pytest.approx(50)
    assert (new.nodes[1]["tau_m"], new.nodes[2]["tau_m"]) == (0.06, 0.07)
    assert graph.nodes[1]["tau_m"] == 0.02
