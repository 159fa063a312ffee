"""The studies of networks trained by gradients, at small size."""

import csv
import json

import numpy as np
import pytest

from hrsnn.gradient import ARCHITECTURES, Convolution, Dense
from hrsnn.lab.cli import main
from hrsnn.lab.runs import list_runs
from hrsnn.studies import _classify, _images, surrogate


def study(folder, name, *arguments):
    assert main(["run", name, "--quick", *arguments, "--folder", str(folder)]) == 0
    return list_runs(folder / name)[-1]


def rows(run, name):
    with (run.folder / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def sounds(n_train, n_test):
    """Two classes that differ in which half of the channels is active."""
    rng = np.random.default_rng(0)
    y = np.arange(n_train + n_test) % 2
    X = rng.random((len(y), 6, 6)) * np.where(np.arange(6) < 3, y[:, None], 1 - y[:, None])[:, None]
    return _classify.Task("made up", X[:n_train], X[n_train:], y[:n_train], y[n_train:])


@pytest.mark.cpp
def test_surrogate_compares_networks_and_their_spikes_with_brian2(tmp_path, monkeypatch):
    monkeypatch.setitem(surrogate.TASKS, "fsdd", sounds)
    small = ["sizes=[16]", "n_train=80", "n_test=20", "n_epochs=8", "seeds=[0]", "n_compared=4"]
    run = study(tmp_path, "surrogate", *small, "networks=[HoNB, HeNB, HeNB searched]", "n_calls=2")
    assert run.metrics["spikes_different"] == 0
    assert run.metrics["nir_spikes_different"] == 0
    assert run.metrics["accuracy_HoNB"] > 0.8
    assert run.metrics["accuracy_HeNB"] > 0.8
    table = rows(run, "networks")
    assert len(table) == 3
    assert run.metrics["searched_law"].startswith("Gamma(mean=")
    trained = [row for row in table if row["variant"] == "HeNB"]
    for row in trained:  # one synapse from each neuron to each, so 16 operations a spike
        assert float(row["sops"]) == pytest.approx(16 * 16 * float(row["spikes"]))


def test_gradient_speed_measures_both_forms_of_one_network(tmp_path):
    small = ["n_neurons=12", "n_steps=20", "n_samples=4", "repeats=1", "long_neurons=20", "long_steps=30"]
    run = study(tmp_path, "gradient_speed", *small, "one_core=no")
    metrics = json.loads((run.folder / "metrics.json").read_text())
    ratio = metrics["seconds_declared"] / metrics["seconds_by_hand"]  # of one turn
    assert metrics["ratio_declared"] == pytest.approx(ratio)
    assert {"declared", "by hand"} <= {row["form"] for row in rows(run, "passes")}
    assert 0 < metrics["memory_gb"] < 1


@pytest.mark.cpp
@pytest.mark.usefixtures("interpreted")
def test_imsnn_compares_networks_and_their_spikes_with_brian2(tmp_path):
    small = ["hidden=[12]", "n_train=400", "n_test=50", "n_epochs=4", "batch_size=20", "n_compared=1"]
    run = study(tmp_path, "imsnn", "data=digits", *small, "backend=runtime")
    assert run.metrics["spikes_different"] == 0
    assert run.metrics["accuracy_imsnn"] > 0.4
    assert run.metrics["spikes_imsnn"] < run.metrics["spikes_snn"]
    table = rows(run, "networks")
    assert [row["variant"] for row in table] == ["IMSNN", "SNN"]
    for row in table:
        assert float(row["spikes_0"]) == pytest.approx(float(row["spikes"]))
        assert float(row["seconds"]) > 0


@pytest.mark.cpp
def test_interval_speed_measures_both_forms(tmp_path):
    run = study(tmp_path, "interval_speed", "n_hidden=8", "n_samples=3", "one_core=no")
    assert run.metrics["ratio"] == pytest.approx(run.metrics["seconds_dense"] / run.metrics["seconds_sparse"])
    assert 0 < run.metrics["memory_gb"] < 1


def bars():
    """Images of 28 x 28 with a bright half, left or upper."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 60, (120, 28, 28), np.uint8)
    y = np.arange(120) % 2
    X[y == 0, :14] += 150
    X[y == 1, :, :14] += 150
    X = X.reshape(120, -1)
    return X[:90], X[90:], y[:90], y[90:]


def test_diet_snn_compares_networks_with_and_without_spikes(tmp_path, monkeypatch):
    monkeypatch.setitem(_images.SETS, "bars", (bars, _images.GREY, False))
    monkeypatch.setitem(ARCHITECTURES, "tiny", (Convolution(2, stride=4), Dense(6)))
    small = ["data=bars", "layers=tiny", "n_train=90", "n_test=30", "ann_epochs=20", "curve=[5]", "n_curve=30"]
    run = study(tmp_path, "diet_snn", *small, "variants=[converted, diet]", "n_compared=2", "backend=runtime")
    metrics = run.metrics
    assert metrics["spikes_different"] == 0
    assert metrics["accuracy_ann"] > 0.8
    assert metrics["accuracy_diet"] > 0.8
    assert metrics["energy_ratio_diet"] > 0
    table = rows(run, "networks")
    assert [row["variant"] for row in table] == ["converted", "diet"]
    assert not {"before", "after", "layers"} & set(table[0])
    layers = rows(run, "parameters")
    assert [float(row["leak_before"]) for row in layers] == [1, 1]
    assert {path.stem for path in run.folder.glob("figures/*.png")} == {"accuracy", "spikes", "parameters"}
