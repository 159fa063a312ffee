"""The studies of reservoirs: the hand-written program against the package, then each study at small size."""

import csv

import numpy as np
import pytest
from brian2 import Hz, ms
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from hrsnn import PopulationCode, RateCode, Reservoir, Uniform, datasets, topology
from hrsnn.lab.cli import main
from hrsnn.lab.runs import list_runs
from hrsnn.studies import _classify, _liquid, liquid_tasks
from hrsnn.studies._networks import INHIBITORY, NEURON, SYNAPSE
from hrsnn.studies.reservoir_speed import REFERENCE, compile_reference, run_reference

cpp = pytest.mark.cpp


def study(folder, name, *arguments):
    assert main(["run", name, "--quick", *arguments, "--folder", str(folder)]) == 0
    run = list_runs(folder / name)[-1]
    for path in run.folder.glob("figures/*.png"):
        assert np.asarray(Image.open(path).convert("L")).std() > 5, path
    return run


def table(run, name):
    with (run.folder / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_variants_share_graph_weights_means_and_the_compiled_program():
    code = RateCode(1, step=20 * ms)
    made = {v: _liquid.reservoir(v, 50, 3, 1.0, code=code)._liquid(2) for v in (*_liquid.VARIANTS, "HoN", "HeN")}
    programs = {liquid.plastic.blueprint().signature for name, liquid in made.items() if "S" in name}
    assert len(programs) == 1
    assert len({liquid.frozen.blueprint().signature for liquid in made.values()}) == 1
    for liquid in made.values():
        for name, w in liquid.initial.items():
            assert_array_equal(w, made["HoN"].initial[name])
    tau = {name: liquid.values["neurons.tau_m"] for name, liquid in made.items()}
    assert_array_equal(tau["HeN"], tau["HeNHeS"])
    assert np.unique(tau["HoNHeS"]).size == 2  # excitatory and inhibitory
    assert np.unique(tau["HeNHoS"]).size > 45
    plus = {name: liquid.learning["excitation.tau_plus"] for name, liquid in made.items() if "S" in name}
    n = len(made["HoN"].initial["excitation"])
    mean = float(SYNAPSE.parameters["tau_plus"].mean)
    assert_allclose(plus["HeNHoS"][:n], mean, rtol=1e-5)
    assert_allclose(plus["HeNHeS"][:n].mean(), mean, rtol=5 / 3**0.5 / n**0.5)  # five standard errors, shape 3
    assert plus["HeNHeS"][:n].std() > 0.4 * mean
    with pytest.raises(ValueError, match=r"variant must be one of HoNHoS, .*got 'HeS'"):
        _liquid.reservoir("HeS", 50, 0, 1.0)


def test_accuracy_chooses_its_penalty_and_bears_a_neuron_that_first_fires_in_the_test():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    X = np.eye(3)[y] + 0.1 * rng.normal(size=(120, 3))
    late = 1e-12 * rng.random((120, 1))
    test = np.column_stack([X[60:], 1e3 * rng.normal(size=60)])
    assert _classify.accuracy(np.column_stack([X, late])[:60], y[:60], test, y[60:]) > 0.95
    noise = rng.normal(size=(400, 5))
    assert (
        abs(_classify.accuracy(noise[:200], y[rng.integers(0, 120, 200)], noise[200:], rng.integers(0, 3, 200)) - 1 / 3)
        < 0.15
    )


def test_spoken_digits_are_heard_in_steps_of_20_ms(monkeypatch):
    t = np.arange(0, 0.2, 1 / 8000)
    tones = [(0.3 * np.sin(2 * np.pi * f * t)).astype(np.float32) for f in (300, 700, 1500)]

    def fsdd(test_speakers=None):
        assert test_speakers == ["ann"]
        return tones * 5, tones * 2, np.arange(15) % 3, np.arange(6) % 3

    monkeypatch.setattr(datasets, "fsdd", fsdd)
    task = _classify.spoken_digits(9, 6, "ann", n_steps=15)
    assert task.X_train.shape == (9, 15, 64)
    assert_array_equal(np.bincount(task.y_train), [3, 3, 3])
    assert 0.5 < task.X_train.max() <= 1
    loud = task.X_test[:, :10].sum(axis=(1, 2))
    assert (task.X_test[:, 13:].sum(axis=(1, 2)) < 0.05 * loud).all()  # 200 ms, and the ear rings out
    best = task.X_test.mean(axis=1).argmax(axis=1)
    assert (np.diff(best[np.argsort(task.y_test, kind="stable")][::2]) < 0).all()  # high frequencies come first
    assert _classify.baselines(task, 20, [0], 2)[0]["accuracy"] == 1


def test_camera_events_become_counts_of_squares(monkeypatch):
    events = datasets.make_events(
        [0.001, 0.002, 0.041, 0.5], np.ravel_multi_index(([1, 1, 0, 0], [2, 3, 33, 0], [5, 4, 33, 0]), (2, 34, 34))
    )
    monkeypatch.setattr(datasets, "nmnist", lambda: ([events] * 3, [events], np.arange(3), np.array([1])))
    task = _classify.camera(3, 1, n_steps=4)
    assert task.name == "N-MNIST"
    X = task.X_test[0].reshape(4, 2, 17, 17)
    assert X[0, 1, 1, 2] == 0.5  # two of four events
    assert X[2, 0, 16, 16] == 0.25
    assert X.sum() == 0.75  # the last event comes too late


def ramps(n_train, n_test, *_):
    """Bumps that move up, move down, or stay, over eight channels."""
    rng = np.random.default_rng(0)
    n = n_train + n_test
    y = np.arange(n) % 3
    place = 3.5 + (y - 1)[:, None] * np.linspace(-3, 3, 12) + rng.normal(size=(n, 1)) * 0.3
    X = np.exp(-((np.arange(8) - place[:, :, None]) ** 2) / 2)
    return _classify.Task("ramps", X[:n_train], X[n_train:], y[:n_train], y[n_train:])


SIZE = ["n_train=45", "n_test=21", "seeds=0", "w_scale=1", "input_weight=2"]


@cpp
def test_studies_of_classification_on_ramps(tmp_path, monkeypatch):
    """All on networks of one size and seed, which share two compiled programs."""
    monkeypatch.setattr(_classify, "spoken_digits", ramps)
    monkeypatch.setattr(_classify, "camera", ramps)
    monkeypatch.setattr(liquid_tasks, "PIXELS", liquid_tasks.EARS)
    digits = study(tmp_path, "spoken_digits", *SIZE, "n_neurons=60")
    rows = {row["variant"]: row for row in table(digits, "networks")}
    assert set(rows) == {*_liquid.VARIANTS, "HoN", "HeN", "inputs alone", "echo state"}
    assert float(rows["inputs alone"]["accuracy"]) == 1
    for variant in (*_liquid.VARIANTS, "HoN", "HeN"):
        assert float(rows[variant]["accuracy"]) > 0.6  # chance is 1/3
        assert float(rows[variant]["spikes"]) > 0.5
    events = study(tmp_path, "nmnist", *SIZE, "n_neurons=60", "n_windows=4")
    assert table(events, "networks") == table(digits, "networks")
    size = study(tmp_path, "network_size", *SIZE, "sizes=60")
    assert {row["accuracy"] for row in table(size, "networks") if row["variant"] == "HeNHeS"} == {
        rows["HeNHeS"]["accuracy"]
    }
    limited = study(tmp_path, "limited_data", *SIZE, "n_neurons=60", "fractions=0.2,1.0")
    own = {(row["variant"], row["n_samples"]): row["accuracy"] for row in table(limited, "networks")}
    assert own["HeNHoS", "45"] == rows["HeNHoS"]["accuracy"]
    assert {n for _, n in own} == {"9", "45"}
    grid = study(
        tmp_path, "sparse_connections", *SIZE[:3], "input_weight=2", "n_neurons=60", "lambdas=3.0", "w_scales=0.01,1.0"
    )
    points = {(row["variant"], row["w_scale"]): row for row in table(grid, "networks")}
    assert points["HoNHoS", "1.0"]["accuracy"] == rows["HoNHoS"]["accuracy"]
    assert float(points["HoNHoS", "0.01"]["active"]) < float(points["HoNHoS", "1.0"]["active"]) <= 1
    assert {path.stem for path in grid.folder.glob("figures/*")} == {"active_and_accuracy"}


@cpp
def test_studies_of_memory_and_separation(tmp_path):
    settings = ["seeds=0", "n_learn=30", "input_weight=0.6"]
    memory = study(tmp_path, "variants_memory", *settings, "sizes=60", "n_steps=300", "n_wash_out=20", "tau_max=5")
    rows = {row["variant"]: row for row in table(memory, "reservoirs")}
    assert float(rows["echo state"]["capacity"]) > 4.5  # of 5 delays, without spikes
    for variant in (*_liquid.VARIANTS, "HoN", "HeN"):
        row = {key: float(value) for key, value in rows[variant].items() if key != "variant"}
        assert 0 < row["capacity"] < 5
        assert_allclose(row["efficiency"], row["capacity"] / row["spikes"])
    assert float(rows["HoNHoS"]["w_excitation"]) != float(rows["HoN"]["w_excitation"])
    assert {path.stem for path in memory.folder.glob("figures/*")} == {"capacity_spikes_efficiency", "delays"}
    apart = study(tmp_path, "separation", *settings, "n_neurons=60", "w_scales=1.0", "n_stimuli=30", "noise=0.0")
    for row in table(apart, "reservoirs"):
        assert int(row["generalisation"]) == 1  # without noise all versions are one stimulus
        assert 15 < int(row["separation"]) <= 30
        assert int(row["computation"]) == int(row["separation"]) - 1


@cpp
@pytest.mark.parametrize("delay", [None, Uniform(0 * ms, 50 * ms)])
def test_reference_program_makes_the_spikes_and_weights_of_the_package(tmp_path, delay):
    if not REFERENCE.is_file():
        pytest.skip("the reference program is in a checkout only")
    graph = topology.random(60, 0.2, w_scale=1, seed=0)
    code = PopulationCode(10, rate_max=300 * Hz, step=20 * ms)
    synapse = SYNAPSE.replace(A_plus=0.2, A_minus=0.21)
    settings = dict(
        input_weight=1.0, input_fraction=1.0, input_probability=0.3, membrane=True, filters=(20 * ms, 60 * ms),
        delay=delay, input_delay=None if delay is None else Uniform(0 * ms, 5 * ms),
    )  # fmt: skip
    reservoir = Reservoir(graph, NEURON, INHIBITORY, synapse, code, **settings, seed=0)
    X = np.random.default_rng(0).random((40, 2))
    liquid, u = reservoir.fit(X[:2]).liquid_, reservoir.scaled(X)
    expected = liquid.run(u, liquid.start(), learn=True)
    results = {}
    said = run_reference(compile_reference(tmp_path, "double"), liquid, u, results)
    steps = np.round(expected.t / float(reservoir.liquid_.frozen.dt)).astype(int)
    order = np.lexsort((expected.i, steps))
    assert said["spikes"] == len(steps) > 300
    assert_array_equal(results["spikes"], np.stack([steps, expected.i], axis=1)[order])
    assert_allclose(results["states"], expected.features, atol=1e-9)  # rounding
    for name, w in liquid.weights(expected.state).items():
        assert np.abs(w - liquid.initial[name]).max() > 0.05
        assert_allclose(results[name], w, atol=1e-9)
