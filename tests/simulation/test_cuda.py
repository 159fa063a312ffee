"""CUDA programs: generated for every network; run in an emulator against C++; compiled by nvcc; compared on a GPU.

The emulator (``cuda_emulator.h``) compiles brian2cuda's whole program, kernels and host, for the processor, so all
but the races between threads is tested without a GPU.
"""

import re
import subprocess
import time
import warnings
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeMonitor, Synapses, ms, network_operation, second
from brian2.devices.device import get_device, runtime_device
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn import CurrentCode, Forecaster, Gamma, PopulationCode, Reservoir, STDPClassifier, topology
from hrsnn.lab.cli import main
from hrsnn.lab.runs import list_runs
from hrsnn.laws import Uniform
from hrsnn.models import LIF, STDP, ShortTerm
from hrsnn.simulation import backends, functions, nvidia
from hrsnn.simulation.backends import BuildOnly
from hrsnn.simulation.engine import Blueprint, CppEngine, engine
from hrsnn.simulation.functions import FUNCTIONS
from hrsnn.simulation.program import ProgramEngine
from hrsnn.stdp.layer import CompetitiveLayer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own, about its dependencies
    pytest.importorskip("brian2cuda", reason="the extra 'cuda' is not installed (Python 3.12 only)")

import test_coupling
from cuda_emulator import TOOLS, EmulatedEngine

from hrsnn.simulation.cuda import HEAP_MB, CudaEngine

N = 5
HETEROGENEOUS = STDP(A_plus=Gamma(mean=0.01, shape=4), tau_plus=Gamma(mean=20 * ms, shape=3, low=2 * ms, high=100 * ms))
MIXED = LIF(tau_m=Gamma(mean=20 * ms, shape=3, low=3 * ms, high=100 * ms))
GPU = pytest.mark.skipif(not nvidia.gpus(), reason="no GPU")


@pytest.fixture
def emulated(monkeypatch):
    """Backend "cuda" runs in the emulator."""
    monkeypatch.setattr(nvidia, "tools", lambda gpu=True: TOOLS)
    monkeypatch.setattr("hrsnn.simulation.engine.CudaEngine", EmulatedEngine)


def volley(delay=0 * second, on_pre="x_post += w", operation=False):
    """Five neurons fire at every second step, onto one target until they are rewired; the run stops itself."""

    def build():
        common = dict(dt=1 * ms, namespace=FUNCTIONS)
        source = NeuronGroup(N, "n : integer\ny : 1", threshold="n > 1", reset="n = 0", name="source", **common)
        source.run_regularly("n += 1", when="start", dt=1 * ms)
        target = NeuronGroup(N, "x : 1", name="target", **common)
        synapses = Synapses(source, target, "w : 1", on_pre=on_pre, delay=delay, dt=1 * ms, name="synapses")
        synapses.connect(i=np.arange(N), j=np.zeros(N, dtype=int))
        if delay is None:
            synapses.delay = np.arange(N) * ms
        control = NeuronGroup(1, "step : integer\nlast : integer\nresult : integer", name="control", **common)
        control.run_regularly("step += 1\nresult = stop_if(int(step >= last))", when="end", dt=1 * ms)
        objects = [source, target, synapses, control, SpikeMonitor(source, name="spikes")]
        if operation:
            objects.append(network_operation(dt=1 * ms, name="operation")(lambda: None))
        return Network(*objects)

    # Two million synapses in name only: for the size of the queues.
    return Blueprint(build, 1 * second, f"volley {delay} {on_pre}", {"synapses.w": N if delay is not None else 2**21})


# The engine


@pytest.mark.cpp
def test_state_wiring_and_stop_reach_the_program_and_records_come_in_order(emulated):
    machine = engine(volley(), "cuda")
    state = {
        "synapses._synaptic_post": [0, 1, 2, 3, 3],
        "synapses.w": np.arange(1, N + 1),
        "control.last": 6,
        "target.x": np.full(N, 0.5),
    }
    outputs = ["target.x", "spikes.i", "spikes.t", "control.step", "synapses._synaptic_post"]
    result = machine.run(state, outputs)
    assert_array_equal(result["target.x"], 0.5 + 3 * np.array([1, 2, 3, 9, 0]))  # at steps 2, 4 and 6
    assert result["control.step"] == 6
    assert_array_equal(result["spikes.i"], np.tile(np.arange(N), 3))
    assert_allclose(result["spikes.t"], np.repeat([0.001, 0.003, 0.005], N))
    assert_array_equal(result["synapses._synaptic_post"], [0, 1, 2, 3, 3])
    assert list(result) == outputs
    raw = ProgramEngine.run(machine, state, ["spikes.i"])["spikes.i"]
    assert (np.diff(raw) < 0).any()  # the emulator's last thread comes first
    again = machine.run({"control.last": 2, "synapses.w": np.ones(N)}, ["target.x", "control.step"])
    assert_array_equal(again["target.x"], [N, 0, 0, 0, 0])
    assert again["control.step"] == 2
    assert get_device() is runtime_device


@pytest.mark.cpp
def test_folders_with_capitals_and_side_by_side_runs_work(emulated, monkeypatch, tmp_path):
    (tmp_path / "Big Letters").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "Big Letters"))
    states = [{"control.last": 2, "synapses.w": np.full(N, k)} for k in range(1, 4)]
    results = engine(volley(), "cuda").run_many(states, ["target.x"], n_jobs=2)
    assert [result["target.x"][0] for result in results] == [N, 2 * N, 3 * N]


@pytest.mark.cpp
def test_single_precision_is_a_program_of_its_own(emulated, monkeypatch):
    state = {"control.last": 2, "synapses.w": np.full(N, np.pi)}
    double = engine(volley(), "cuda").run(state, ["target.x"])["target.x"]
    monkeypatch.setenv("HRSNN_FLOAT32", "1")
    single = engine(volley(), "cuda").run(state, ["target.x", "spikes.t"])
    assert (double.dtype, single["target.x"].dtype, single["spikes.t"].dtype) == (np.float64, np.float32, np.float64)
    assert_allclose(single["target.x"], double, rtol=1e-6)
    assert single["target.x"][0] != double[0]


def test_delays_cannot_change(emulated):
    machine = object.__new__(EmulatedEngine)
    machine._variables = {}
    with pytest.raises(ValueError, match=r"synapses\.delay: a CUDA program has its delays built in"):
        machine.run({"synapses.delay": np.zeros(N)}, [])


def test_python_inside_the_simulation_is_refused(emulated, tmp_path):
    with pytest.raises(NotImplementedError, match=r"operation is Python code .* Use run_regularly"):
        generated(volley(operation=True), tmp_path)
    assert get_device() is runtime_device


def test_updates_of_the_source_that_cannot_be_shared_are_reported(emulated, tmp_path):
    with pytest.warns(RuntimeWarning, match=r"synapses_pre_codeobject\w* changes its source .* a single thread"):
        generated(volley(on_pre="y_pre = y_pre*w + 1"), tmp_path)


def test_large_networks_with_delays_get_blocks_and_memory(emulated, tmp_path):
    program, _ = generated(volley(), tmp_path / "one")
    assert "num_parallel_blocks = 1;" in program
    assert f"size_t limit = {HEAP_MB} * 1024 * 1024;" in program
    program, _ = generated(volley(delay=None), tmp_path / "many")
    assert "num_parallel_blocks = props.multiProcessorCount * 1;" in program
    assert f"size_t limit = {HEAP_MB + 32} * 1024 * 1024;" in program  # 16 bytes for each of 2**21


def test_only_building_builds_and_says_where(emulated, monkeypatch, tmp_path):
    monkeypatch.setenv("HRSNN_CACHE", str(tmp_path))
    monkeypatch.setattr(EmulatedEngine, "compile", lambda self, work: (work / "main").touch())
    monkeypatch.setattr(backends, "_build_only", True)
    machine = engine(volley(), "cuda")
    assert (machine.folder / "main").is_file()
    with pytest.raises(BuildOnly, match=f"is built, and not run: {machine.folder}"):
        machine.run({}, [])


def test_the_command_line_builds_a_study(emulated, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HRSNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(EmulatedEngine, "compile", lambda self, work: (work / "main").touch())
    build = ["run", "mnist_stdp", "--quick", "--backend", "cuda", "--build-only", "data=digits", "n_neurons=5"]
    assert main([*build, "--folder", str(tmp_path / "runs")]) == 0
    (program,) = (tmp_path / "cache" / "programs").iterdir()
    assert capsys.readouterr().out.splitlines()[-1] == f"The program is built, and not run: {program}"
    (run,) = list_runs(tmp_path / "runs")
    assert run.status == "interrupted"  # hrsnn resume runs it where there is a GPU
    assert not (run.folder / "error.txt").exists()
    assert not backends.is_build_only()


# Every network


def generated(blueprint, folder):
    folder.mkdir(exist_ok=True)
    object.__new__(CudaEngine).generate(blueprint, folder)
    return (folder / "program.cu").read_text(), (folder / "code_objects.cu").read_text()


def classifier(n_inputs=30, n_neurons=20, connections=None, **settings):
    layer = CompetitiveLayer(
        n_inputs,
        **{
            **dict(n_neurons=n_neurons, neuron=None, synapse=None, encoder=None, w_total=None, inhibition=True),
            **dict(g_inh=17.0, homeostasis=True, min_spikes=5, max_retries=3, batch_size=10, dt=0.5 * ms),
            **dict(dense_kernel=None, backend="runtime", seed=0),
            **settings,
        },
    )
    layer.connect(connections)
    return layer.network.blueprint()


def reservoir(**settings):
    X = np.random.default_rng(0).random((4, 2))
    model = Reservoir(topology.distance_dependent(30, seed=0), input_probability=0.4, backend="runtime", **settings)
    model.n_features_in_ = 2
    return model._liquid(X.shape[1])


NETWORKS = {
    "classifier": classifier,
    "classifier with a layer of inhibition": lambda: classifier(inhibition="layer"),
    "pruned classifier": lambda: classifier(connections=(np.array([0, 5, 29]), np.array([1, 1, 19]))),
    "coupled ensembles": lambda: test_coupling.presenter("runtime", False).network.blueprint(),
    "reservoir": lambda: reservoir().frozen.blueprint(),
    "reservoir with hidden units in the loop": lambda: replace(reservoir().frozen, hidden=4).blueprint(),
    "reservoir driven by currents": lambda: reservoir(code=CurrentCode()).frozen.blueprint(),
    "reservoir with short-term dynamics": lambda: reservoir(synapse=ShortTerm()).plastic.blueprint(),
    "reservoir with delays": lambda: reservoir(
        synapse=STDP(), delay=Uniform(0 * ms, 50 * ms), features=["spikes", "current"]
    ).plastic.blueprint(),
    "reservoir with heterogeneous STDP": lambda: reservoir(neuron=MIXED, synapse=HETEROGENEOUS).plastic.blueprint(),
    "reservoir with squares and Poisson inputs": lambda: reservoir(
        code=PopulationCode(spikes="poisson"), membrane=True, squares=True
    ).frozen.blueprint(),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_generates_in_parallel_form_and_in_time(emulated, tmp_path, name):
    blueprint = NETWORKS[name]()
    start = time.process_time()
    with warnings.catch_warnings(record=True) as said:
        program, kernels = generated(blueprint, tmp_path)
    assert time.process_time() - start < 10  # about 1 s
    assert not [warning for warning in said if "a single thread" in str(warning.message)]
    assert kernels.count("Network::_globally_stopped = true;") == (2 if name == "coupled ensembles" else 1)
    assert "defaultclock.timestep" not in kernels
    # Double synapses are searched for only where an update that is not a sum asks for them: lateral inhibition.
    asked = set(re.findall(r"!(\w+)_multiple_pre_post", kernels))
    assert all(group.endswith("lateral") for group in asked)
    assert kernels.count("_i<newsize") == len(asked)
    assert "num_parallel_blocks = 1;" in program


@pytest.mark.slow
@pytest.mark.cpp
def test_classifier_learns_as_in_cpp(emulated):
    rng = np.random.default_rng(0)
    X, y = rng.random((8, 36)) * (rng.random((8, 36)) > 0.5), np.arange(8) % 2
    fitted = {}
    for backend in ("cpp", "cuda"):
        settings = dict(batch_size=5, n_epochs=1, w_total=14.0, max_retries=2, seed=1)
        fitted[backend] = STDPClassifier(7, dense_kernel=False, backend=backend, **settings).fit(X, y)
    cpp, cuda = fitted["cpp"], fitted["cuda"]
    assert cpp.state_["input_to_exc.w"].std() > 0.1
    for name in cpp.state_:
        # The exponentials differ by 1e-12; a sum of weights, in another order, by 1e-16.
        assert_allclose(cuda.state_[name], cpp.state_[name], rtol=1e-9, atol=1e-30, err_msg=name)
    expected, response = cpp.respond(X), cuda.respond(X)
    assert expected.spikes.sum() > 50
    assert len(set(expected.presentations)) > 1
    for one, other in zip(response, expected, strict=True):
        assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.cpp
def test_coupled_ensembles_learn_as_in_cpp(emulated):
    rng = np.random.default_rng(0)
    shapes = zip((1, test_coupling.N_FRAMES), test_coupling.N_IN, strict=True)
    samples = [150 * rng.random((4, frames * n)) * (rng.random((4, frames * n)) < 0.6) for frames, n in shapes]
    weights = [0.3 * rng.random(size) + 0.1 for size in zip(test_coupling.N_IN, test_coupling.N, strict=True)]
    found = []
    for backend in ("cpp", "cuda"):
        state, responses = test_coupling.presenter(backend, False).learn(samples, test_coupling.start(weights))
        found.append((state, responses))
    (expected, counts), (state, own) = found
    for name in expected:
        assert_allclose(state[name], expected[name], rtol=1e-9, atol=1e-30, err_msg=name)
    assert sum(int(np.sum(part)) for part in counts) > 20
    for one, other in zip(own, counts, strict=True):
        assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.cpp
def test_reservoir_learns_and_forecasts_as_in_cpp(emulated):
    t = np.arange(30)
    X = np.stack([np.sin(t / 3), np.cos(t / 5)], axis=1)
    graph = topology.distance_dependent(40, seed=0)
    found = []
    for backend in ("cpp", "cuda"):
        settings = dict(neuron=MIXED, inhibitory=LIF(tau_m=10 * ms), synapse=HETEROGENEOUS, input_probability=0.4)
        forecaster = Forecaster(Reservoir(graph, block=16, seed=1, backend=backend, **settings), n_wash_out=5).fit(X)
        found.append((forecaster, forecaster.forecast(6)))
    (cpp, expected), (cuda, forecast) = found
    for name, weights in cpp.reservoir_.weights_.items():
        assert_allclose(cuda.reservoir_.weights_[name], weights, rtol=1e-9)
    assert np.abs(cpp.reservoir_.weights_["excitation"] - cpp.reservoir_.liquid_.initial["excitation"]).max() > 1e-3
    assert len(cpp.response_.i) > 30
    assert_array_equal(cuda.response_.i, cpp.response_.i)
    assert_array_equal(cuda.response_.t, cpp.response_.t)
    assert_allclose(cuda.response_.features, cpp.response_.features, rtol=1e-9, atol=1e-12)
    assert_allclose(forecast, expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.cpp
def test_reservoir_with_delays_responds_as_in_cpp(emulated):
    X = np.random.default_rng(0).random((24, 1))
    graph = topology.random(40, 0.25, w_scale=1, seed=0)
    delays = dict(delay=Uniform(0 * ms, 60 * ms), input_delay=Uniform(0 * ms, 9 * ms), features=["membrane", "current"])
    found = []
    for backend in ("cpp", "cuda"):
        settings = dict(neuron=MIXED, inhibitory=MIXED, input_probability=0.4, input_weight=2.0, dt=1 * ms, **delays)
        reservoir = Reservoir(graph, block=16, seed=1, backend=backend, **settings).fit(X)
        found.append([reservoir.respond(X), reservoir.respond(np.stack([X[:8], X[8:16], X[16:]]))])
    for expected, response in zip(*found, strict=True):
        assert len(expected.i) > 50
        assert_array_equal(response.i, expected.i)
        assert_array_equal(response.t, expected.t)
        assert_allclose(response.features, expected.features, rtol=1e-9, atol=1e-12)


# The functions inside a simulation


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """A program that prints what the CUDA and the C++ forms of a function give for many arguments, bit for bit."""
    folder = tmp_path_factory.mktemp("twins")
    cuda = "\n".join([functions._GAP_CUDA, functions._EXP_CUDA, functions._POW_CUDA, functions._STOP_CUDA])
    (folder / "twins.cpp").write_text(f"""
    #include <cmath>
    #include <cstdint>
    #include <cstdio>
    #include <initializer_list>
    #define __device__
    namespace cuda {{ using std::exp; using std::pow; {cuda} }}
    namespace cpp {{ {functions._GAP_CPP} }}
    int main()
    {{
        long wrong = 0, some = 0;
        const double rates[] = {{-1, 0, 1e-12, 1e-7, 0.005, 0.03, 0.5, 0.99, 1, 2, NAN}};
        const int seeds[] = {{0, 7, -3, 2147483647, -2147483647 - 1}};
        for (double p : rates) for (int seed : seeds) for (int i = 0; i < 50; i++) for (int n = 0; n < 200; n++)
        {{
            const int gap = cuda::_poisson_gap(p, seed, i, n);
            wrong += gap != cpp::_poisson_gap(p, seed, i, n);
            some += gap > 1 && gap < 1000;
        }}
        for (double x = -700; x < 700; x += 0.37) wrong += cuda::_fast_exp(x) != std::exp(x);
        for (float x = -80; x < 80; x += 0.37f) wrong += cuda::_fast_exp(x) != std::exp(x);
        for (double x = 1e-12; x < 2; x *= 1.01) for (double y : {{0.0, 0.2, 0.9, 2.0}})
            wrong += cuda::_fast_pow(x, y) != std::pow(x, y);
        for (double x : {{0.0, -0.3}}) wrong += cuda::_fast_pow(x, 0.9) != 0 || cuda::_fast_pow(x, 0) != 1;
        wrong += cuda::_stop_if(0) != 0 || cuda::_hrsnn_stop != 0;
        wrong += cuda::_stop_if(1) != 1 || cuda::_hrsnn_stop != 1;
        std::printf("%ld %ld", wrong, some);
    }}
    """)
    path, _ = backends.compiler()
    subprocess.run([path, "-std=c++17", "-O1", "twins.cpp", "-o", "twins"], cwd=folder, check=True)
    return folder / "twins"


@pytest.mark.cpp
def test_cuda_functions_equal_those_of_cpp_and_of_the_library(twins):
    wrong, some = subprocess.run([twins], capture_output=True, text=True, check=True).stdout.split()
    assert wrong == "0"
    assert int(some) > 50_000


# With nvcc, and with a GPU


@pytest.mark.cuda
@pytest.mark.slow
def test_nvcc_compiles_and_links_a_network(monkeypatch, tmp_path):
    try:
        nvidia.tools(gpu=False)
    except backends.BackendUnavailable as error:
        pytest.skip(str(error))
    monkeypatch.setenv("HRSNN_CACHE", str(tmp_path))
    monkeypatch.setattr(backends, "_build_only", True)
    machine = engine(volley(), "cuda")
    linked = subprocess.run(["ldd", str(machine.folder / "main")], capture_output=True, text=True, check=True).stdout
    assert "libcurand.so" in linked
    assert "not found" not in linked
    assert not list(machine.folder.glob("*.o"))


@GPU
@pytest.mark.cuda
@pytest.mark.slow
def test_on_a_gpu_the_engine_does_what_it_does_in_the_emulator():
    result = engine(volley(), "cuda").run({"control.last": 6, "synapses.w": np.ones(N)}, ["target.x", "spikes.i"])
    assert_array_equal(result["target.x"], [3 * N, 0, 0, 0, 0])
    assert_array_equal(result["spikes.i"], np.tile(np.arange(N), 3))


@GPU
@pytest.mark.cuda
@pytest.mark.cpp
@pytest.mark.slow
def test_on_a_gpu_a_classifier_has_the_statistics_of_cpp():
    rng = np.random.default_rng(0)
    X = rng.random((200, 196)) * (rng.random((200, 196)) > 0.7)
    counts, weights = [], []
    for backend in ("cpp", "cuda"):
        model = STDPClassifier(50, n_epochs=1, backend=backend, seed=0).fit(X)
        counts.append(model.transform(X).sum(axis=1))
        weights.append(np.sort(model.weights_.ravel()))
    # Sums in another order change single spikes; over 200 samples that averages out.
    assert counts[0].mean() > 5
    assert_allclose(counts[1].mean(), counts[0].mean(), rtol=0.1)
    assert np.abs(weights[1] - weights[0]).mean() < 0.01


@GPU
@pytest.mark.cuda
@pytest.mark.cpp
@pytest.mark.slow
def test_on_a_gpu_a_reservoir_has_the_statistics_of_cpp():
    X = np.sin(np.arange(200) / 5)[:, None]
    graph = nx.DiGraph(topology.distance_dependent(200, seed=0))
    means = []
    for backend in ("cpp", "cuda"):
        model = Reservoir(graph, neuron=MIXED, synapse=HETEROGENEOUS, input_probability=0.2, backend=backend).fit(X)
        model.transform(X)
        means.append((model.spike_counts_.mean(), model.weights_["excitation"].mean()))
    assert means[0][0] > 1
    assert_allclose(means[1], means[0], rtol=0.1)


@pytest.mark.cpp
def test_cpp_is_not_touched_by_the_extra():
    assert engine(volley(), "cpp").__class__ is CppEngine
