"""The reservoir: equal to a NumPy loop on every back end, learning and closed loop included; then its contract."""

import gc
import pickle
import warnings
from functools import cache

import networkx as nx
import numpy as np
import pytest
from brian2 import Hz, ms, prefs
from numpy.testing import assert_allclose, assert_array_equal
from recurrent_loop import Loop
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hrsnn import datasets, metrics, topology
from hrsnn.inputs.codes import CurrentCode, PopulationCode, RateCode
from hrsnn.laws import Gamma, Uniform
from hrsnn.models import LIF, STDP, ShortTerm
from hrsnn.reservoirs.forecaster import Forecaster
from hrsnn.reservoirs.liquid import Affine, Liquid, Readout
from hrsnn.reservoirs.network import capacity
from hrsnn.reservoirs.reservoir import FarFromRange, Reservoir, homogeneous

N, N_STEPS, BLOCK = 40, 20, 12
BACKENDS = ["runtime", pytest.param("cpp", marks=pytest.mark.cpp)]
HETEROGENEOUS = dict(
    A_plus=Gamma(mean=0.05, shape=4),
    A_minus=Gamma(mean=0.05, shape=4),
    tau_plus=Gamma(mean=20 * ms, shape=3, low=2 * ms),
    tau_minus=Gamma(mean=20 * ms, shape=3, low=2 * ms),
)
NEURON = LIF(tau_m=Gamma(mean=20 * ms, shape=3, low=3 * ms))
INHIBITORY = LIF(tau_m=Gamma(mean=10 * ms, shape=3, low=2 * ms), t_ref=2 * ms)


@pytest.fixture(autouse=True, scope="module")
def few_objects_to_collect():
    gc.freeze()  # Brian2 collects garbage before every run, which takes as long as these short runs
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def numpy_target():
    previous, prefs.codegen.target = prefs.codegen.target, "numpy"
    yield
    prefs.codegen.target = previous


@cache
def liquid(backend, spikes="regular", graph_seed=0, n_features=2, loops=0.0):
    graph = topology.random(N, 0.25, w_scale=2, seed=graph_seed)
    if loops:
        graph.add_weighted_edges_from((node, node, loops) for node in list(graph))
    return Liquid(
        graph, n_features, neuron=NEURON, inhibitory=INHIBITORY, synapse=STDP(**HETEROGENEOUS),
        code=PopulationCode(n_fields=8, step=10 * ms, spikes=spikes),
        inputs={"weight": 3.0 / n_features, "fraction": 0.5, "probability": 0.5}, filters=[0.03],
        membrane=True, squares=True, plastic_inhibition=True, dt=0.5 * ms, block=BLOCK,
        backend=backend, seed=graph_seed,
    )  # fmt: skip


TABLE = np.random.default_rng(0).random((N_STEPS, 2))
READOUT = Readout(np.random.default_rng(1).normal(size=(4 * N, 2)) * 0.02, np.eye(2) * 0.5, np.full(2, 0.2))
FORCED = np.arange(N_STEPS) < 9
FRESH = np.arange(N_STEPS) % 7 == 0


def compare(response, values, states, spikes, dt=0.5e-3):
    assert len(spikes) > 25
    steps = np.round(response.t / dt).astype(int)
    assert sorted(zip(steps.tolist(), response.i.tolist(), strict=True)) == [(s, int(j)) for s, j in spikes]
    assert_allclose(response.u, values, atol=1e-9)  # rounding
    assert_allclose(response.features, states, atol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
def test_learning_and_closed_loop_equal_the_numpy_loop(backend):
    network = liquid(backend)
    loop = Loop(network)
    expected = loop.run(TABLE, np.ones(N_STEPS, bool), np.zeros(N_STEPS, bool), learn=True, squares=True)
    learnt = network.run(TABLE, network.start(), learn=True)  # two blocks
    compare(learnt, *expected)
    weights = network.weights(learnt.state)
    for name, w in weights.items():
        assert_allclose(w, loop.synapses[name]["w"], atol=1e-9)
        assert np.abs(w - network.initial[name]).max() > 1e-3
    loop.rest()
    expected = loop.run(TABLE, FORCED, FRESH, learn=False, readout=READOUT, squares=True)
    response = network.run(TABLE, network.start(weights), forced=FORCED, fresh=FRESH, readout=READOUT)
    compare(response, *expected)
    assert np.abs(response.u[~FORCED] - TABLE[~FORCED]).max() > 0.1
    assert ((response.u[~FORCED] > 0) & (response.u[~FORCED] < 1)).mean() > 0.6  # few are clipped, so errors would show


def test_poisson_inputs_equal_the_numpy_loop():
    network = liquid("runtime", spikes="poisson")
    loop = Loop(network)
    expected = loop.run(TABLE, FORCED, FRESH, learn=False, readout=READOUT, squares=True)
    compare(network.run(TABLE, network.start(), forced=FORCED, fresh=FRESH, readout=READOUT), *expected)


def test_a_self_loop_is_a_synapse_like_all_others():
    network = liquid("runtime", loops=1.5)
    expected = Loop(network).run(TABLE, np.ones(N_STEPS, bool), np.zeros(N_STEPS, bool), learn=False, squares=True)
    response = network.run(TABLE, network.start())
    compare(response, *expected)
    without = liquid("runtime")
    assert len(response.i) != len(without.run(TABLE, without.start()).i)


def edited(change):
    graph = topology.random(5, 0.5, seed=0)
    u, v = next(iter(graph.edges))
    changed = change(graph, u, v)
    return graph if changed is None else changed


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda g, u, v: np.eye(3), TypeError, r"graph must be a networkx.DiGraph, got ndarray"),
        (lambda g, u, v: nx.DiGraph(), ValueError, "graph has no nodes: a reservoir needs one neuron at least"),
        (lambda g, u, v: nx.MultiDiGraph(g), TypeError, "got a MultiDiGraph. Add the weights of parallel edges up"),
        (lambda g, u, v: g.to_undirected(), TypeError, r"graph must be directed, .* graph.to_directed\(\) has"),
        (lambda g, u, v: g.edges[u, v].pop("weight") and None, ValueError, r"Edge \d -> \d has no attribute 'weight'"),
        (
            lambda g, u, v: g.add_edge(u, v, weight=np.nan),
            ValueError,
            r"Edge \d -> \d has weight nan. Weights must be f",
        ),
        (lambda g, u, v: g.add_node(u, type="X"), ValueError, r"Node \d has type 'X'. It must be 'E' .* or 'I'"),
    ],
)
def test_graphs_that_are_no_networks_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        Reservoir(edited(change)).fit(series(20))


def test_a_single_feature_equals_the_numpy_loop():
    network = liquid("runtime", n_features=1)
    loop, table = Loop(network), TABLE[:, :1]
    readout = Readout(READOUT.state[:, :1], np.full((1, 1), 0.5), np.full(1, 0.2))
    expected = loop.run(table, FORCED, FRESH, learn=False, readout=readout, squares=True)
    compare(network.run(table, network.start(), forced=FORCED, fresh=FRESH, readout=readout), *expected)


HIDDEN = Readout(
    READOUT.state * 0.1, READOUT.values * 0.6, np.full(2, 0.35),
    hidden=Affine(np.random.default_rng(2).normal(size=(4 * N, 5)) * 0.05, np.full((2, 5), 0.3), np.linspace(-1, 1, 5)),
    out=np.random.default_rng(3).normal(size=(5, 2)) * 0.1,
)  # fmt: skip


SHORT = ShortTerm(U=Uniform(0.1, 0.6), tau_rec=Gamma(mean=100 * ms, shape=3, low=9 * ms), tau_facil=60 * ms)


@pytest.mark.parametrize("backend", BACKENDS)
def test_currents_smooth_filters_hidden_units_and_short_term_dynamics_equal_the_numpy_loop(backend):
    graph = topology.random(N, 0.25, w_scale=4, seed=0)
    neuron = LIF(tau_m=NEURON.parameters["tau_m"], drive=0.1)
    network = Liquid(
        graph, 2, neuron=neuron, inhibitory=neuron, synapse=SHORT, code=CurrentCode(step=10 * ms),
        inputs={}, filters=[0.03], smooth=True, membrane=True, squares=True, plastic_inhibition=True, dt=0.5 * ms,
        block=BLOCK, backend=backend, seed=0,
    )  # fmt: skip
    expected = Loop(network).run(TABLE, FORCED, FRESH, learn=False, readout=HIDDEN, squares=True)
    response = network.run(TABLE, network.start(), forced=FORCED, fresh=FRESH, readout=HIDDEN)
    compare(response, *expected)
    free = response.u[~FORCED]
    assert ((free > 0) & (free < 1)).mean() > 0.6  # few are clipped, so errors would show
    if backend == "runtime":
        affine = network.run(TABLE, network.start(), forced=FORCED, fresh=FRESH, readout=READOUT)
        assert np.abs(response.u - affine.u)[~FORCED].max() > 0.1


def test_short_term_dynamics_of_inputs_equal_the_numpy_loop():
    graph = topology.random(N, 0.25, w_scale=6, seed=0)
    network = Liquid(
        graph, 2, neuron=NEURON, inhibitory=INHIBITORY, synapse=SHORT, code=PopulationCode(n_fields=8, step=10 * ms),
        inputs={"weight": 4.0, "fraction": 0.5, "probability": 0.5}, filters=[0.03], membrane=True, squares=False,
        plastic_inhibition=True, dt=0.5 * ms, block=BLOCK, backend="runtime", seed=0,
    )  # fmt: skip
    assert not network.learns
    expected = Loop(network).run(TABLE, np.ones(N_STEPS, bool), FRESH, learn=False)
    response = network.run(TABLE, network.start(), fresh=FRESH, learn=True)  # there is nothing to learn
    compare(response, *expected)
    assert_array_equal(network.weights(response.state)["excitation"], network.initial["excitation"])


@pytest.mark.cpp
def test_one_program_runs_another_graph_of_its_size():
    first = liquid("cpp")
    others = (liquid("cpp", graph_seed=seed) for seed in range(1, 60))
    second = next(other for other in others if other.plastic.sizes == first.plastic.sizes)
    assert not np.array_equal(first.wiring["excitation"][0][:50], second.wiring["excitation"][0][:50])
    assert first.frozen_engine.folder == second.frozen_engine.folder
    expected = Loop(second).run(TABLE, FORCED, FRESH, learn=False, readout=READOUT, squares=True)
    compare(second.run(TABLE, second.start(), forced=FORCED, fresh=FRESH, readout=READOUT), *expected)


def test_capacity_has_room_and_little_waste():
    sizes = np.unique(np.geomspace(1, 1e6, 500).astype(int))
    room = np.array([capacity(n) for n in sizes])
    assert (room >= sizes).all()
    assert (room <= np.maximum(1024, sizes * 1.5)).all()  # small networks share the program of their neurons
    assert capacity(0) == capacity(700) == 1024


def test_codes_give_their_rates():
    u = np.array([[0.0], [0.3], [1.0]])
    code = PopulationCode(n_fields=11, rate_max=80 * Hz, width=2.0, n_copies=3)
    rates = code.rates(u)
    assert rates.shape == (3, 33)
    assert_allclose(rates[1, 3 * 3], 80)  # the field centred at 0.3
    assert_allclose(rates[1, 3 * 5], 80 * np.exp(-0.5))  # one width of 0.2 away
    assert_allclose(RateCode(n_copies=4, rate_max=50 * Hz).rates(u), 50 * np.repeat(u, 4, axis=1))


def series(n=120):
    t = np.arange(n)
    return np.stack([np.sin(t / 5), np.cos(t / 7)], axis=1)


def small(**settings):
    graph = topology.random(N, 0.25, w_scale=1, seed=0)
    common = dict(input_weight=1.0, input_fraction=0.8, input_probability=0.5, membrane=True, block=60, dt=2 * ms)
    code = PopulationCode(n_fields=8, step=10 * ms)
    return Reservoir(graph, NEURON, INHIBITORY, **{**common, "code": code, "backend": "runtime", **settings})


def test_transform_is_a_function_of_the_series_and_the_seed():
    X = series(60)
    reservoir = small().fit(X)
    states = reservoir.transform(X)
    counts = reservoir.spike_counts_
    assert counts.sum() > 50
    assert_array_equal(states, reservoir.transform(X))
    assert_array_equal(states, clone(reservoir).fit(X).transform(X))
    assert_array_equal(states[:25], reservoir.transform(X[:25]))
    other = small(seed=1).fit(X).transform(X)
    assert np.abs(states - other).max() > 0.1
    samples = np.stack([X[:20], X[20:40], X[30:50]])
    alone = [reservoir.transform(sample)[-1] for sample in samples]
    assert_allclose(reservoir.transform(samples), alone, atol=1e-12)
    assert_allclose(clone(reservoir).set_params(n_jobs=3).fit(X).transform(samples), alone, atol=1e-12)


def test_samples_are_averaged_over_windows():
    X = 0.6 * np.random.default_rng(3).random((5, 6, 2))
    X[:, :, 1] = 0.25  # constant, which limits allow
    reservoir = small(limits=(0.0, 0.5), margin=0.0, n_windows=2, backend="runtime").fit(X)
    assert_allclose(reservoir.scaled(X), np.minimum(2 * X, 1))
    states = np.stack([reservoir.transform(sample) for sample in X])
    expected = np.concatenate([states[:, :3].mean(axis=1), states[:, 3:].mean(axis=1)], axis=1)
    assert states.any(axis=(1, 2)).all()
    assert_allclose(reservoir.transform(X), expected, atol=1e-12)  # rounding
    with pytest.raises(ValueError, match="n_windows must be None or an integer from 1 to 6"):
        reservoir.set_params(n_windows=7).transform(X)
    with pytest.raises(ValueError, match=r"limits must be two ascending numbers, got \(1, 1\)"):
        small(limits=(1, 1)).fit(X)


def test_pickle_keeps_what_was_learnt():
    X = series(30)
    reservoir = small(synapse=STDP(A_plus=0.05, A_minus=0.05)).fit(X)
    restored = pickle.loads(pickle.dumps(reservoir))
    assert_array_equal(restored.transform(X[:15]), reservoir.transform(X[:15]))


def test_features_are_the_filtered_spikes():
    X = series(40)
    reservoir = small(filters=(20 * ms, 70 * ms), squares=True).fit(X)
    response = reservoir.respond(X)
    ends = 0.010 * np.arange(1, 41) - 0.002  # the last time step of each step of the series
    for k, tau in enumerate([0.02, 0.07]):
        elapsed = ends[:, None] - response.t
        trace = np.where(elapsed > -1e-9, np.exp(-elapsed / tau), 0)
        expected = trace @ (response.i[:, None] == np.arange(N))
        assert_allclose(response.features[:, k * N : (k + 1) * N], expected, atol=1e-9)
    assert_allclose(response.features[:, 3 * N :], response.features[:, : 3 * N] ** 2, rtol=1e-12)


def test_neurons_may_come_in_any_order():
    graph = topology.random(N, 0.25, w_scale=1, seed=0)
    order = np.random.default_rng(3).permutation(N)
    permuted = nx.DiGraph()
    permuted.add_nodes_from((int(node), graph.nodes[int(node)]) for node in order)
    permuted.add_edges_from(graph.edges(data=True))
    tau = {node: 0.01 + 0.0005 * node for node in graph}  # with a law instead, neurons draw in the graph's order
    responses = []
    for g in (graph, permuted):
        nx.set_node_attributes(g, tau, "tau_m")
        network = Liquid(
            g, 2, neuron=LIF(), inhibitory=LIF(), synapse=None, code=RateCode(4, step=10 * ms),
            inputs={"weight": 3.0, "fraction": 1.0, "probability": 1.0, "cv": 1e-9}, filters=[0.03], membrane=True,
            squares=False, plastic_inhibition=True, dt=1 * ms, block=20, backend="runtime", seed=0,
        )  # fmt: skip
        responses.append(network.run(TABLE, network.start()))
    assert len(responses[0].i) > 100
    a, b = (r.features.reshape(N_STEPS, 2, N) for r in responses)
    assert_allclose(a[:, :, order], b, atol=1e-5)  # input weights differ by 1e-9


def test_the_four_variants_have_equal_means_and_differ_in_dispersion():
    synapse, homogeneous_synapse = STDP(**HETEROGENEOUS), homogeneous(STDP(**HETEROGENEOUS))
    graph = topology.random(400, 0.1, seed=0)
    found = {}
    for name, neuron, inhibitory, rule in [
        ("HoNHoS", homogeneous(NEURON), homogeneous(INHIBITORY), homogeneous_synapse),
        ("HeNHeS", NEURON, INHIBITORY, synapse),
    ]:
        made = Reservoir(graph, neuron, inhibitory, rule, backend="runtime")._liquid(1)
        n_edges = len(made.wiring["excitation"][0])
        drawn = {
            key: np.broadcast_to(made.learning[f"excitation.{key}"], capacity(n_edges))[:n_edges]
            for key in HETEROGENEOUS
        }
        taus = made.values["neurons.tau_m"][:-1]
        found[name] = {**drawn, "tau_e": taus[~made.inhibits], "tau_i": taus[made.inhibits]}
        assert_array_equal(made.initial["excitation"], found.setdefault("w", made.initial["excitation"]))
    for key, values in found["HeNHeS"].items():
        assert np.ptp(found["HoNHoS"][key]) == 0
        assert values.std() > 0.3 * values.mean()
        error = 4 * values.std() / np.sqrt(len(values))
        assert abs(values.mean() - found["HoNHoS"][key][0]) < error


def test_learnt_weights_return_in_the_graph():
    reservoir = small(synapse=STDP(A_plus=0.05, A_minus=0.05)).fit(series(60))
    graph = reservoir.graph_
    before = np.array([w for _, _, w in reservoir.graph.edges(data="weight")])
    after = np.array([w for _, _, w in graph.edges(data="weight")])
    assert_array_equal(np.sign(before[after != 0]), np.sign(after[after != 0]))
    assert np.abs(after - before).max() > 0.01
    again = small()
    again.graph = graph
    relearnt = again.fit(series(60)).weights_
    assert_allclose(relearnt["excitation"], reservoir.weights_["excitation"])
    for name, mean in (("excitation", before[before > 0].mean()), ("inhibition", -before[before < 0].mean())):
        assert reservoir.weights_[name].max() <= 4 * mean * (1 + 1e-12)


@pytest.fixture(scope="module")
def forecaster():
    previous, prefs.codegen.target = prefs.codegen.target, "numpy"
    fitted = Forecaster(small(), n_wash_out=20).fit(series())
    yield fitted
    prefs.codegen.target = previous


def test_forecast_equals_an_explicit_python_loop(forecaster):
    X, n_free = series()[:40], 4
    free = forecaster.forecast(n_free, X)
    reservoir, driven = forecaster.reservoir_, list(X)
    for k in range(n_free):  # one step ahead, then that step is a part of the true series
        ahead = forecaster.predict(np.array(driven))[-1]
        assert_allclose(free[k], ahead, atol=1e-6)
        driven.append(ahead)
    assert_allclose(reservoir.unscaled(reservoir.scaled(X)), X, atol=1e-12)


def test_forecast_goes_on_from_the_training_series_and_from_each_start(forecaster):
    X = series()
    assert_allclose(forecaster.forecast(4), forecaster.forecast(4, X), atol=1e-9)
    starts = np.stack([X[:30], X[50:80]])
    together = forecaster.forecast(5, starts)
    assert_allclose(together, [forecaster.forecast(5, start) for start in starts], atol=1e-9)


@pytest.mark.parametrize(("factor", "shift"), [(1e250, 0.0), (1e-3, 1e6)])
def test_units_and_origin_of_the_series_do_not_matter(forecaster, factor, shift):
    X = series()
    other = clone(forecaster).fit(X * factor + shift)
    expected = forecaster.forecast(3, X[:40])
    free = (other.forecast(3, X[:40] * factor + shift) - shift) / factor
    assert_allclose(free, expected, atol=1e-4)  # 1e6 + 1e-3 keeps seven digits; no spike moves


def test_forecaster_learns_a_torus(forecaster):
    X = series(200)
    ahead = forecaster.predict(X[:180])
    assert metrics.nrmse(X[61:181], ahead[60:]) < 0.1  # persistence has 0.17
    free = forecaster.forecast(8)
    persistence = np.tile(X[119], (8, 1))
    assert metrics.nrmse(X[120:128], free) < 0.3 * metrics.nrmse(X[120:128], persistence)


def test_increments_and_passthrough_are_the_same_readout_in_the_loop():
    X = series(60)
    for settings in (
        dict(increments=True, passthrough=False),
        dict(passthrough=False, noise=0.01),
    ):
        fitted = Forecaster(small(), Ridge(1.0), n_wash_out=20, **settings).fit(X)
        free = fitted.forecast(2, X[:40])
        first = fitted.predict(X[:40])[-1]
        assert_allclose(free[0], first, atol=1e-9)
        assert_allclose(free[1], fitted.predict(np.vstack([X[:40], first]))[-1], atol=1e-6)


@pytest.mark.parametrize("settings", [dict(increments=True), dict(passthrough=False)])
def test_mlp_on_the_central_neurons_closes_the_loop(settings):
    X = series(80)
    mlp = MLPRegressor(
        hidden_layer_sizes=(6,), activation="tanh", solver="lbfgs", max_iter=40, alpha=0.1, random_state=0
    )
    fitted = Forecaster(small(), make_pipeline(StandardScaler(), mlp), share=0.25, n_wash_out=20, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 40 iterations need not converge
        fitted.fit(X)
    ranks = nx.betweenness_centrality(fitted.reservoir.graph)
    assert set(fitted.neurons_) == set(sorted(ranks, key=ranks.get)[-N // 4 :])
    free, driven = fitted.forecast(3, X[:40]), list(X[:40])
    for k in range(3):
        ahead = fitted.predict(np.array(driven))[-1]
        assert_allclose(free[k], ahead, atol=1e-6)
        driven.append(ahead)
    assert np.ptp(free, axis=0).min() > 0.05
    hidden = fitted.feedback_.hidden.state.reshape(2, N, 6)
    assert np.abs(hidden[:, fitted.neurons_]).min() > 0
    assert np.abs(np.delete(hidden, fitted.neurons_, axis=1)).max() == 0


def test_readout_that_is_not_affine_predicts_but_does_not_close_the_loop(forecaster):
    X = series()
    network = make_pipeline(
        StandardScaler(), MLPRegressor(hidden_layer_sizes=(20,), max_iter=30, random_state=0, tol=1.0)
    )
    fitted = clone(forecaster).fit(X[:90]).refit(network, X[:90])
    assert np.isfinite(fitted.predict(X[:40])).all()
    with pytest.raises(TypeError, match="Pipeline is not affine"):
        fitted.forecast(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: small().fit(np.ones((30, 1))), "Column 0 of X runs from 1 to 1: it is constant"),
        (lambda: small().fit([[0.0], [np.nan]]), "X has NaN"),
        (lambda: small().fit(np.arange(5.0)), r"a single series of numbers is X\[:, None\]"),
        (lambda: small().fit(np.array([[-1.7e308], [1.7e308]])), "too wide for floats"),
        (lambda: small().fit([np.ones((5, 2)), np.ones((5, 1))]), r"same number of columns, got \(5, 2\), \(5, 1\)"),
        (lambda: small().fit([np.ones((5, 1)), np.ones((0, 1))]), "All series of X must have steps"),
        (lambda: small(n_windows=9).fit(ragged()).transform([series()[:9], series()[:5]]), "from 1 to 5, the steps of"),
        (lambda: Forecaster(small()).fit(ragged(), ragged()[:2]), "one series for each of the 3 of X, got 2"),
        (
            lambda: Forecaster(small()).fit([series()[:45], series()[:51]]),
            r"X has 45 \+ 51 steps \(n_samples = 96\), too few",
        ),
        (lambda: small(block=0).fit(series(20)), "block must be an integer of at least 1, got 0"),
        (lambda: small(filters=(), membrane=False).fit(series(20)), "at least one time constant"),
        (lambda: small(margin=0.5).fit(series(20)), r"margin must be in \[0, 0.5\), got 0.5"),
        (lambda: small(dt=3 * ms).fit(series(20)), "dt must divide the step of the code"),
        (lambda: Forecaster(small()).fit(series(40)), "X has 40 steps .*, too few"),
        (lambda: Forecaster(small()).fit(np.arange(99.0)), r"Reshape your data: X\[:, None\]"),
        (lambda: Forecaster(small()).fit(series(90), series(50)), "Y must have the shape of X"),
        (lambda: Forecaster(small()).fit(series(90), series(89)[:, :1]), r"Y must .* \(90, 2\), .* got \(89, 1\)"),
        (lambda: small(n_jobs=0).fit(series(30)).transform(series(30)[None]), "n_jobs must be at least 1, or -1"),
        (lambda: PopulationCode(n_fields=1), "n_fields must be an integer of at least 2"),
        (lambda: RateCode(spikes="burst"), "spikes must be one of regular, poisson"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"neuron": "LIF"}, TypeError, "neuron must be a NeuronModel or None, got 'LIF'"),
        ({"inhibitory": STDP()}, TypeError, "inhibitory must be a NeuronModel or None, got STDP"),
        ({"synapse": "STDP"}, TypeError, "synapse must be a SynapseModel or None, got 'STDP'"),
        ({"code": 3}, TypeError, "code must be a SeriesCode or None, got 3"),
        ({"filters": 30 * ms}, TypeError, "filters must be a sequence of times"),
        ({"seed": 1.5}, ValueError, "seed must be an integer in"),
        ({"seed": -1}, ValueError, "seed must be an integer in"),
    ],
)
def test_settings_of_another_kind_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        Reservoir(topology.random(5, 0.5, seed=0), **settings).fit(series(30))


def test_wrong_number_of_columns_or_steps_is_named(forecaster):
    with pytest.raises(ValueError, match="X has 1 features, but Reservoir is expecting 2 features"):
        forecaster.reservoir_.transform(np.zeros((5, 1)))
    with pytest.raises(ValueError, match="n_steps must be an integer of at least 1, got 0"):
        forecaster.forecast(0)


def test_values_beyond_the_margins_are_clipped_and_far_ones_are_told():
    X, _ = datasets.lorenz63(200)
    reservoir = small().fit(X)
    assert_allclose(reservoir.scaled(X).min(axis=0), 0.1)
    assert_allclose(reservoir.scaled(X * 100).max(axis=0), 1)
    low, high = X[:, 1].min(), X[:, 1].max()
    far = X[:50].copy()
    reservoir.transform(far)
    far[:10, 1] += 2 * (high - low)
    with pytest.warns(FarFromRange, match=rf"\(column 1: 0.2 of the values, fitted to {low:g} .. {high:g}\)"):
        reservoir.transform(far)


def test_a_forecast_that_leaves_the_range_says_so(forecaster):
    runaway = clone(forecaster).set_params(readout=Ridge(1.0)).fit(series())
    runaway.readout_.intercept_ = runaway.readout_.intercept_ + np.array([0.0, 5.0])
    with pytest.warns(FarFromRange, match="leaves the range .* held at its ends: column 1 in 1 of the steps"):
        runaway.forecast(4)


def ragged():
    X = series()
    return [X[:40], X[20:41], X[70:98]]


def test_samples_of_different_lengths_answer_as_each_alone():
    samples = ragged()
    reservoir = small(n_windows=2).fit(samples)
    alone = [reservoir.respond(sample) for sample in samples]
    means = [[half.mean(axis=0) for half in np.array_split(one.features, 2)] for one in alone]
    together = reservoir.transform(samples)
    assert_allclose(together, np.reshape(means, together.shape), atol=1e-12)
    assert_array_equal(reservoir.spike_counts_, sum(np.bincount(one.i, minlength=N) for one in alone))
    reservoir.n_windows = None
    assert_allclose(reservoir.transform(samples), [one.features[-1] for one in alone], atol=1e-12)
    equal = [sample[:20] for sample in samples]
    assert_array_equal(reservoir.transform(equal), reservoir.transform(np.stack(equal)))


def test_forecaster_takes_series_of_different_lengths():
    samples = ragged()
    fitted = Forecaster(small(), Ridge(1.0), n_wash_out=10).fit(samples)
    inputs, goals = fitted.training_set(samples)
    assert len(goals) == sum(len(own) - 11 for own in samples)
    expected = np.concatenate([fitted.reservoir_.scaled(own[11:]) for own in samples])
    assert_allclose(goals * fitted.scale_, expected, atol=1e-12)
    # What the readout reads at a step of a series is what it reads when that series is alone.
    response = fitted.reservoir_.respond(samples[1])
    assert_allclose(inputs[29 : 29 + 10, : 2 * N], response.features[10:20], atol=1e-12)
    ahead = fitted.predict(samples)
    assert [len(own) for own in ahead] == [len(own) for own in samples]
    assert_allclose(ahead[1], fitted.predict(samples[1]), atol=1e-9)
    together = fitted.forecast(4, samples)
    assert_allclose(together[0], fitted.forecast(4, samples[0]), atol=1e-9)
    assert_allclose(fitted.forecast(4), together[-1], atol=1e-9)  # after the last series
