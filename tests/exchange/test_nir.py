"""Networks to NIR and back: equal spikes, parameters by hand, another reader, and what cannot be said or read."""

import os
import subprocess
import sys
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import jax
import nir
import numpy as np
import pytest
from brian2 import Hz, ms, mV, prefs
from sklearn.exceptions import NotFittedError

from hrsnn import Gamma, LatencyEncoder, STDPClassifier
from hrsnn.exchange import LossyExport, PerNeuron, from_nir, read, to_nir, write
from hrsnn.gradient import Layer, SpikingClassifier, SpikingNetwork, SpikingRegressor
from hrsnn.models import IF, LIF, AdaptiveCurrentLIF, AdaptiveLIF, BiasedLIF, CompetingLIF, DeltaLIF
from hrsnn.stdp.health import HealthWarning

WIDE = Gamma(20 * ms, 3, low=2 * ms)
NETWORKS = {
    "feed-forward": [Layer(12), Layer(8, LIF(t_ref=0 * ms, v_thresh=0.7, v_reset=-0.1))],
    "recurrent": [Layer(12, LIF(tau_m=WIDE, t_ref=0 * ms), recurrent=True, train=("tau_m", "v_thresh"))],
    "delayed": [
        Layer(12, LIF(t_ref=2 * ms, drive=0.2), recurrent=True, delay=3 * ms),
        Layer(8, BiasedLIF(bias=0.3, t_ref=0 * ms), delay=2 * ms),
    ],
    "delta": [
        Layer(12, DeltaLIF(tau_m=WIDE, drive=0.1), recurrent=True),
        Layer(8, IF(drive=2 * Hz), recurrent=True, delay=1 * ms),
    ],
}


@pytest.fixture(autouse=True)
def numpy_target(monkeypatch):
    monkeypatch.setitem(prefs, "codegen.target", "numpy")


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    X = rng.random((30, 8, 5), dtype=np.float32)
    return X, np.where(X[:, :, 0].mean(1) > X[:, :, 1].mean(1), "first", "second")


def trained(layers, samples, **settings):
    return SpikingClassifier(layers, step=4 * ms, n_epochs=2, batch_size=10, validation=0, **settings).fit(*samples)


@pytest.fixture(scope="module")
def networks(samples):
    """Each of the networks, trained once."""
    return cache(lambda name: trained(NETWORKS[name], samples))


def different(first, second):
    return [int((a != b).sum()) for a, b in zip(first, second, strict=True)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hrsnn.exchange.LossyExport")
@pytest.mark.parametrize("euler", [None, 0.1 * ms])
@pytest.mark.parametrize("name", NETWORKS)
def test_round_trip_gives_equal_spikes(name, euler, networks, samples, tmp_path):
    classifier = networks(name)
    write(tmp_path / "net.nir", classifier, euler=euler)
    back = read(tmp_path / "net.nir")
    expected = classifier.spikes(samples[0], double=True)
    assert all(spikes.sum() > 100 for spikes in expected)
    assert different(expected, back.spikes(samples[0], double=True)) == [0] * len(expected)
    assert np.array_equal(back.predict(samples[0]), classifier.predict(samples[0]))
    np.testing.assert_allclose(back.predict_proba(samples[0]), classifier.predict_proba(samples[0]), atol=1e-6)


def test_what_was_read_is_simulated_saved_and_trained_on(networks, samples, tmp_path):
    classifier = networks("recurrent")
    back = from_nir(to_nir(classifier))
    expected = classifier.spikes(samples[0][:3], double=True)
    assert different(expected, back.simulate(samples[0][:3], backend="runtime")) == [0]
    back.save(tmp_path / "net.h5")
    assert different(expected, SpikingClassifier.load(tmp_path / "net.h5").spikes(samples[0][:3], double=True)) == [0]
    back.set_params(n_epochs=1, learning_rate=0.01).partial_fit(*samples)
    assert not np.array_equal(back.weights_["readout"]["w"], classifier.weights_["readout"]["w"])


def test_regressor_comes_back_in_the_units_of_its_targets(samples, tmp_path):
    X, _ = samples
    y = 30 + 10 * X[:, :, :2].cumsum(1)
    regressor = SpikingRegressor([Layer(20)], step=4 * ms, n_epochs=2, validation=0).fit(X, y)
    write(tmp_path / "net.nir", regressor)
    back = read(tmp_path / "net.nir")
    assert isinstance(back, SpikingRegressor)
    np.testing.assert_allclose(back.predict(X), regressor.predict(X), rtol=1e-5)


def test_nodes_have_the_values_of_the_equations():
    layer = Layer(2, LIF(tau_m=10 * ms, tau_e=4 * ms, v_rest=0.1, v_reset=-0.2, v_thresh=0.8, t_ref=0 * ms))
    network = SpikingNetwork([layer], 3, tau_out=20 * ms)
    weights = [{"w": np.arange(6.0).reshape(3, 2), "free": {}}]
    w = weights[0]["w"] * network.units[0]
    graph = to_nir(network, weights)
    node = graph.nodes["layer_0"]
    # I jumps by w_in W/tau_syn = W, and r I moves v as i_e does.
    expected = dict(tau_mem=0.01, tau_syn=0.004, r=1, w_in=0.004, v_leak=0.1, v_reset=-0.2, v_threshold=0.8)
    for key, value in expected.items():
        np.testing.assert_allclose(getattr(node, key), [value] * 2, rtol=1e-12, err_msg=key)
    np.testing.assert_allclose(graph.nodes["w_0"].weight, w.T)
    # An Euler step of 0.1 ms loses what an exact step of 1 ms does: V' = beta V + I, I' = alpha I + W S.
    graph = to_nir(network, weights, euler=0.1 * ms)
    node, alpha, beta = graph.nodes["layer_0"], np.exp(-1 / 4), np.exp(-1 / 10)
    np.testing.assert_allclose(1 - 1e-4 / node.tau_mem, [beta] * 2)
    np.testing.assert_allclose(1 - 1e-4 / node.tau_syn, [alpha] * 2)
    np.testing.assert_allclose(node.r * 1e-4 / node.tau_mem, [1, 1])
    np.testing.assert_allclose(node.w_in * 1e-4 / node.tau_syn, [1, 1])
    np.testing.assert_allclose(graph.nodes["w_0"].weight, w.T * (1 - beta))


def test_readout_is_a_filter_and_an_affine_map(samples):
    classifier = trained([Layer(6)], samples, tau_out=30 * ms)
    nodes = to_nir(classifier).nodes
    np.testing.assert_allclose(nodes["filter"].tau, [0.03] * 6)
    np.testing.assert_allclose(nodes["filter"].r / nodes["filter"].tau, [1] * 6)  # a spike moves it by one
    np.testing.assert_allclose(nodes["readout"].weight, classifier.weights_["readout"]["w"].T)
    assert "readout" not in to_nir(classifier, readout=False).nodes


def euler_steps(graph, X, step):
    """Spikes of a chain of CubaLIF nodes by the Euler steps of their equations, a spike a pulse of height one."""
    spikes = []
    for k in range(sum(name.startswith("layer_") for name in graph.nodes)):
        node, weight = graph.nodes[f"layer_{k}"], graph.nodes[f"w_{k}"].weight
        current, v, found = np.zeros(len(weight)), np.zeros(len(weight)), []
        for values in X if k == 0 else spikes[-1]:
            current = current + step / node.tau_syn * (-current + node.w_in * (weight @ values))
            v = v + step / node.tau_mem * (node.v_leak - v + node.r * current)
            found.append(v > node.v_threshold)
            v = np.where(found[-1], node.v_reset, v)
        spikes.append(np.array(found))
    return spikes


def test_euler_steps_of_the_graph_are_our_steps_one_later_a_layer(networks, samples):
    classifier = networks("feed-forward")
    graph = to_nir(classifier, euler=0.5 * ms)
    X = np.repeat(samples[0][0], 4, axis=0)
    for k, (ours, theirs) in enumerate(
        zip(classifier.spikes(samples[0][:1], double=True), euler_steps(graph, X, 5e-4), strict=True)
    ):
        late = k + 1  # here what arrives in a step moves the potential in the next one
        assert ours.sum() > 10
        assert np.array_equal(ours[0, late:], theirs[:-late])


def test_small_steps_of_the_differential_equation_are_ours():
    """The graph without ``euler``: impulses of area one, and steps of the equations as small as you like."""
    step = 0.02 * ms
    network = SpikingNetwork([Layer(1, LIF(t_ref=0 * ms, tau_m=15 * ms))], 1, step=step, dt=step)
    jump = 0.6  # of i_e at each spike, one in 1 ms
    weights = [{"w": np.array([[jump / network.units[0]]]), "free": {}}]
    spikes = np.zeros((20000, 1))
    spikes[::50] = 1
    with jax.enable_x64(True):
        ours = np.flatnonzero(network.run(weights, spikes[None], record=True).spikes[0])
    theirs = np.flatnonzero(euler_steps(to_nir(network, weights), spikes / 2e-5, 2e-5)[0])
    assert len(ours) > 20
    # A step to the time constant of 3 ms, 0.7 %, is how far exact and Euler steps may be from each other.
    np.testing.assert_allclose(np.diff(ours).mean(), np.diff(theirs).mean(), rtol=0.007)


@pytest.mark.parametrize("nested", [False, True])
def test_graphs_of_other_programs_are_read(nested):
    """A recurrent layer as a cycle, or as a graph within the graph; biases; one value for all neurons; no readout."""
    rng = np.random.default_rng(0)
    own, first, last = rng.normal(size=(3, 3)), rng.normal(size=(3, 2)), rng.normal(size=(4, 3))
    one = np.array([1.0])
    cuba = nir.CubaLIF(tau_syn=4e-3 * one, tau_mem=9e-3 * one, r=2 * one, v_leak=0 * one, v_threshold=one, w_in=5.0)
    lif = nir.LIF(tau=np.full(4, 8e-3), r=3 * np.ones(4), v_leak=np.full(4, 0.2), v_threshold=np.ones(4))
    nodes = {"in": nir.Input({"input": np.array([2])}), "out": nir.Output({"output": np.array([4])})}
    nodes |= {"fc": nir.Affine(first, np.array([0.1, 0, -0.1])), "fc2": nir.Linear(last), "lif": lif}
    inside = {"cuba": cuba, "own": nir.Linear(own)}
    edges = [("fc2", "lif"), ("lif", "out"), ("in", "fc")]
    if nested:
        doors = {"input": nir.Input({"input": np.array([3])}), "output": nir.Output({"output": np.array([3])})}
        loop = [("input", "cuba"), ("cuba", "own"), ("own", "cuba"), ("cuba", "output")]
        nodes["layer"] = nir.NIRGraph({**inside, **doors}, loop, type_check=False)
        edges += [("fc", "layer"), ("layer", "fc2")]
    else:
        nodes |= inside
        edges += [("fc", "cuba"), ("cuba", "own"), ("own", "cuba"), ("cuba", "fc2")]
    found = from_nir(nir.NIRGraph(nodes, edges, type_check=False), dt=0.5 * ms)
    network = found.network_
    hidden, outer = (layer.neuron for layer in network.layers)
    assert isinstance(hidden, BiasedLIF)
    assert isinstance(outer, DeltaLIF)
    assert (hidden.parameters["tau_e"] / ms, hidden.parameters["tau_m"] / ms) == pytest.approx((4, 9))
    assert outer.parameters["v_rest"] == 0.2  # what does not say where it starts does so at its leak
    np.testing.assert_allclose(hidden.parameters["bias"].values, [1, 0, -1])  # r w_in b
    synapses = network.synapses(found.weights_["layers"])
    jump = 2 * 5 / 4e-3  # r w_in/tau_syn
    np.testing.assert_allclose(synapses[0]["w"], first.T * jump)
    np.testing.assert_allclose(synapses[0]["recurrent"], own.T * jump)
    np.testing.assert_allclose(synapses[1]["w"], last.T * 3 / 8e-3)
    assert found.classes_.tolist() == [0, 1, 2, 3]
    assert found.predict(np.zeros((1, 5, 2))).shape == (1,)


SNNTORCH = sys.executable if find_spec("snntorch") and find_spec("nirtorch") else os.environ.get("HRSNN_SNNTORCH")


def snntorch(what, folder, X):
    script = Path(__file__).with_name("snntorch_reader.py")
    np.save(folder / "X.npy", X)
    command = [SNNTORCH, script, what, "net.nir", "X.npy", "spikes.npy"]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=clean)
    assert done.returncode == 0, done.stderr
    return np.swapaxes(np.load(folder / "spikes.npy"), 0, 1)


needs_snntorch = pytest.mark.skipif(not SNNTORCH, reason="needs snntorch and nirtorch, or HRSNN_SNNTORCH=python")


@pytest.mark.slow
@needs_snntorch
@pytest.mark.parametrize(
    "layers",
    [
        [Layer(12, LIF(tau_m=WIDE, t_ref=0 * ms)), Layer(8, LIF(t_ref=0 * ms, v_thresh=0.7))],
        [Layer(12, LIF(tau_m=WIDE, t_ref=0 * ms), recurrent=True, train=("tau_m",)), Layer(7, recurrent=True)],
        [Layer(12, DeltaLIF()), Layer(8, DeltaLIF(tau_m=WIDE), recurrent=True)],
    ],
    ids=["feed-forward", "recurrent", "delta"],
)
def test_snntorch_fires_the_same_spikes(layers, samples, tmp_path):
    X, _ = samples
    classifier = trained(layers, samples)
    write(tmp_path / "net.nir", classifier, euler=0.1 * ms, readout=False)
    theirs = snntorch("run", tmp_path, np.repeat(np.swapaxes(X, 0, 1), 4, axis=0))
    ours = classifier.spikes(X, double=True)[-1]
    late = len(layers)  # here what arrives in a step moves the potential in the next one, there in the same
    assert ours.sum() > 100
    assert (ours[:, late:] != theirs[:, :-late]).sum() == 0


@pytest.mark.slow
@needs_snntorch
def test_what_snntorch_writes_fires_the_same_spikes(samples, tmp_path):
    X, _ = samples
    theirs = snntorch("write", tmp_path, 3 * np.swapaxes(X, 0, 1))
    ours = read(tmp_path / "net.nir", euler=0.1 * ms).spikes(3 * X, double=True)[-1]
    assert ours.sum() > 100
    assert (ours[:, 2:] != theirs[:, :-2]).sum() == 0


# What STDP has trained


@pytest.fixture(scope="module")
def competing():
    """Return a trained classifier with currents, the input spikes of its samples, and what it answers."""
    target, prefs["codegen.target"] = prefs["codegen.target"], "numpy"
    rng = np.random.default_rng(0)
    X = rng.random((60, 12)) * (np.arange(12) // 4 == np.arange(60)[:, None] % 3)
    classifier = STDPClassifier(
        n_neurons=6,
        neuron=AdaptiveCurrentLIF(t_ref=2 * ms, theta_init=4 * mV, tau_m=20 * ms, v_thresh=-60 * mV),
        encoder=LatencyEncoder(20 * ms, 10 * ms),
        thresholds="own",
        g_inh=0.5,
        w_total=12.0,
        n_epochs=2,
        min_spikes=0,
        dt=0.5 * ms,
        backend="runtime",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # six neurons, of which some samples hear nothing
        classifier.fit(X, np.arange(60) % 3)
        counts, answers = classifier.transform(X), classifier.predict(X)
    prefs["codegen.target"] = target
    spikes = np.zeros((60, 60, 12))  # 60 steps of 0.5 ms, 40 of them with input
    sample, source = np.nonzero(X)
    spikes[sample, ((1 - X[sample, source]) * 40 + 0.5).astype(int), source] = 1
    spikes[:, 40:] = 0
    return classifier, spikes, counts, answers


@pytest.mark.filterwarnings("ignore:STDPClassifier. NIR has no refractory period")
@pytest.mark.parametrize("euler", [None, 0.1 * ms])
def test_what_stdp_has_trained_fires_as_often_when_it_is_read_back(euler, competing, tmp_path):
    classifier, spikes, expected, answers = competing
    write(tmp_path / "net.nir", classifier, euler=euler)
    back = read(tmp_path / "net.nir")
    counts = back.spikes(spikes, double=True)[0].sum(1)
    assert expected.sum() > 100
    assert (expected > 0).sum(1).max() > 1  # the inhibition does not silence all
    assert np.array_equal(counts, expected)
    assert np.mean(back.predict(spikes) == answers) > 0.95  # two may have equally many votes


def test_nodes_of_what_stdp_has_trained_have_its_values(competing, tmp_path):
    classifier, *_ = competing
    with pytest.warns(LossyExport, match="NIR has no refractory period"):
        write(tmp_path / "net.nir", classifier)
    nodes = nir.read(tmp_path / "net.nir").nodes
    np.testing.assert_allclose(nodes["w_0"].weight, 0.065 * classifier.weights_.T)  # J_e
    np.testing.assert_allclose(nodes["recurrent_0"].weight, -0.5 * 0.07 * (1 - np.eye(6)), atol=1e-15)  # g_inh J_i
    np.testing.assert_allclose(nodes["delay_recurrent_0"].delay, [5e-4] * 6)
    np.testing.assert_allclose(nodes["layer_0"].v_threshold, -0.06 + classifier.theta_)
    assert np.ptp(classifier.theta_) > 0
    for key, value in {"tau_mem": 0.02, "tau_syn": 1e-3, "v_leak": -0.065, "v_reset": -0.065}.items():
        np.testing.assert_allclose(getattr(nodes["layer_0"], key), [value] * 6, err_msg=key)
    votes = nodes["readout"].weight
    for label in range(3):
        named = classifier.labels_ == label
        np.testing.assert_allclose(votes[label], named / max(named.sum(), 1))


def test_conductances_are_refused_or_linearised():
    X = np.random.default_rng(0).random((20, 5))
    small = dict(neuron=CompetingLIF(), n_epochs=1, thresholds="mean", w_total=60.0, backend="runtime")
    small["encoder"] = LatencyEncoder(10 * ms, 5 * ms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HealthWarning)
        classifier = STDPClassifier(3, **small).fit(X)
    with pytest.raises(ValueError, match=r"NIR has no conductances, and CompetingLIF has.*linearise=-60\*mV"):
        to_nir(classifier)
    with (
        pytest.warns(LossyExport, match="no refractory period"),
        pytest.warns(LossyExport, match=r"driving forces at -60\. mV stand for them"),
    ):
        nodes = to_nir(classifier, linearise=-60 * mV).nodes
    np.testing.assert_allclose(nodes["w_0"].weight, 0.06 * classifier.weights_.T)  # E_e - v
    charge = 17 * 0.04 * 2  # g_inh (v - E_i) tau_gi/tau_ge
    np.testing.assert_allclose(nodes["recurrent_0"].weight, -charge * (1 - np.eye(3)), atol=1e-15)
    np.testing.assert_allclose(nodes["layer_0"].v_threshold, [-0.072 + classifier.theta_.mean()] * 3)
    assert "readout" not in nodes  # it has no labels
    with pytest.raises(ValueError, match="linearise is for the conductances"):
        to_nir(SpikingNetwork([Layer(2)], 1), [], linearise=-60 * mV)


# What cannot be said


@pytest.mark.parametrize(
    ("neuron", "said"),
    [
        (LIF(t_ref=2 * ms), "no refractory period"),
        (LIF(t_ref=0 * ms, drive=0.3), "no potential at the start"),
    ],
)
def test_what_nir_cannot_say_is_a_warning(neuron, said):
    network = SpikingNetwork([Layer(2, neuron)], 1)
    with pytest.warns(LossyExport, match=f"Layer 0: NIR has {said}"):
        to_nir(network, network.weights())


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Layer(2, AdaptiveLIF(t_ref=0 * ms)), "Layer 0: NIR has no node for AdaptiveLIF. It has those of LIF"),
        (Layer(2, target="i_i"), "one input a neuron, i_e; its synapses add to i_i"),
    ],
)
def test_neurons_that_nir_has_not_are_an_error(layer, said):
    network = SpikingNetwork([layer], 1)
    with pytest.raises(ValueError, match=said):
        to_nir(network, network.weights())


def test_bad_settings_are_an_error():
    network = SpikingNetwork([Layer(2)], 1)
    with pytest.raises(ValueError, match="needs the weights"):
        to_nir(network)
    with pytest.raises(TypeError, match=r"to_nir takes a SpikingClassifier.* got list"):
        to_nir([Layer(2)])
    with pytest.raises(NotFittedError, match="not fitted"):
        to_nir(SpikingClassifier([Layer(2)]))
    with pytest.raises(ValueError, match="euler must be positive"):
        to_nir(network, network.weights(), euler=0 * ms)
    with pytest.raises(ValueError, match="is not above the Euler step"):
        from_nir(to_nir(network, network.weights()), euler=50 * ms)


# What cannot be read


def graph_of(changes=None, edges=()):
    """Input, weights, a layer, output; with changes."""
    nodes = {
        "input": nir.Input({"input": np.array([2])}),
        "w": nir.Linear(np.ones((2, 2))),
        "lif": nir.LIF(*np.ones((4, 2))),
        "output": nir.Output({"output": np.array([2])}),
        **(changes or {}),
    }
    base = [("input", "w"), ("w", "lif"), ("lif", "output")]
    edges = edges or base
    return nir.NIRGraph(nodes, list(edges), type_check=False)


OTHER = {"lif2": nir.LIF(*np.ones((4, 2))), "w2": nir.Linear(np.ones((2, 2)))}
THROUGH_W2 = [("input", "w"), ("w", "lif"), ("lif", "w2"), ("w2", "output")]


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (graph_of({"conv": nir.SumPool2d(np.ones(2), np.ones(2), np.zeros(2))}), "Node 'conv' is a SumPool2d, which"),
        (graph_of({"lif": nir.LIF(*np.ones((4, 3)))}), "'lif': tau|r has 3 values, but 2 neurons"),
        (graph_of(OTHER, [("input", "w"), ("w", "lif"), ("w", "lif2"), ("lif", "output")]), "only a chain"),
        (graph_of(OTHER, THROUGH_W2), "'lif' drives no spiking layer"),
        (graph_of({"w2": OTHER["w2"]}, THROUGH_W2), "without a filter"),
        (graph_of({"w": nir.Linear(np.ones((2, 2, 2)))}), r"'w' has weights of shape \(2, 2, 2\)"),
        (graph_of({"lif": nir.LIF(np.zeros(2), *np.ones((3, 2)))}), "Node 'lif'"),
        (graph_of({"w": nir.Linear(np.full((2, 2), np.nan))}), "'lif' gets weights that are NaN"),
        (graph_of({"output": nir.Linear(np.ones((2, 2)))}), "1 spiking layers, 1 inputs and 0 outputs"),
        (
            graph_of(
                {"d": nir.Delay(np.array([1e-3, 2e-3])), "w2": OTHER["w2"]},
                [("input", "w"), ("w", "lif"), ("lif", "d"), ("d", "w2"), ("w2", "lif"), ("lif", "output")],
            ),
            "'d' has delays of 0.001 to 0.002 s",
        ),
        (
            graph_of(
                {"d": nir.Delay(np.array([1.5e-3])), "w2": OTHER["w2"]},
                [("input", "w"), ("w", "lif"), ("lif", "d"), ("d", "w2"), ("w2", "lif"), ("lif", "output")],
            ),
            "no whole steps of dt",
        ),
    ],
)
def test_graphs_that_cannot_be_read_are_an_error(graph, said):
    with pytest.raises(ValueError, match=said):
        from_nir(graph)


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"net\.nir"):
        read(tmp_path / "net.nir")


# Values of single neurons


def test_values_of_single_neurons_are_a_law():
    law = PerNeuron([10, 20, 15] * ms)
    assert np.array_equal(law.sample(3, np.random.default_rng(0)) / ms, [10, 20, 15])
    assert eval(repr(law), {"PerNeuron": PerNeuron, "ms": ms}) == law
    assert law != PerNeuron([10, 20, 16] * ms)
    assert LIF(tau_m=law).heterogeneous == ("tau_m",)
    with pytest.raises(ValueError, match="values of 3 neurons, but 4 are wanted"):
        law.sample(4, np.random.default_rng(0))
    with pytest.raises(ValueError, match="a row of values that differ"):
        PerNeuron([1 * mV, 1 * mV])
