"""The studies of images and speech: what they show to the networks, and two of them end to end on made-up sounds."""

import csv

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from hrsnn.lab.cli import main
from hrsnn.lab.runs import Run, list_runs
from hrsnn.stdp.presenter import UnhealthyNetwork
from hrsnn.studies import _multimodal

SMALL = ["images=digits", "sounds=fsdd", "n_train=150", "n_test=60", "n_label_samples=100"]
cpp = pytest.mark.cpp


def tones(rate=None):
    """Ten digits as pairs of tones, of different lengths: stands in for recordings."""
    rng = np.random.default_rng(0)

    def clip(digit):
        t = np.arange(rng.integers(1200, 2400)) / 8000
        early, late = 300 + 150 * digit, 2500 - 150 * digit
        return (0.3 * np.sin(2 * np.pi * np.where(t < t[-1] / 2, early, late) * t)).astype(np.float32)

    parts = [np.tile(np.arange(10), n) for n in (6, 2)]
    return *([clip(digit) for digit in part] for part in parts), *parts


@pytest.fixture
def made_up(monkeypatch):
    monkeypatch.setitem(_multimodal.SOUNDS, "fsdd", tones)


def study(folder, name, *arguments):
    assert main(["run", name, "--quick", *SMALL, *arguments, "--folder", str(folder)]) == 0
    run = list_runs(folder / name)[-1]
    for path in run.folder.glob("figures/*.png"):
        assert np.asarray(Image.open(path).convert("L")).std() > 5, path
    return run


def rows(run, table="networks"):
    with open(run.folder / "tables" / f"{table}.csv") as file:
        return list(csv.DictReader(file))


def test_pairs_of_a_seed_do_not_depend_on_the_seeds_before(made_up, tmp_path):
    def pairs(run, seed):
        return _multimodal.digit_pairs(run, "digits", "fsdd", 100, 30, 40, seed)

    config = {"study": "multimodal", "quick": True, "settings": {}}
    run = Run.create(tmp_path, config)
    pairs(run, 0)
    after, alone = pairs(run, 1), pairs(Run.create(tmp_path, config), 1)
    for name in ("image", "audio"):
        assert_array_equal(after.X_train[name], alone.X_train[name])
        assert_array_equal(after.X_test[name], alone.X_test[name])


@cpp
def test_multimodal_cuts_the_synapses_of_coupled_networks_at_the_test(made_up, tmp_path):
    run = study(tmp_path, "multimodal", "sizes=20", "networks=silent,coupled,manual,audio")
    found = {row["network"]: row for row in rows(run)}
    joined = ["coupled, cut at the test", "coupled", "manual, cut at the test", "manual"]
    assert list(found) == ["silent", *joined, "audio"]
    spikes = [float(row["spikes"]) for row in found.values()]
    assert len(set(spikes)) == 6  # the synapses do something
    assert found["audio"]["by_audio"] == ""  # one ensemble has one vote
    assert float(found["coupled"]["by_audio"]) > 0.3  # the tones are easy
    tests = {(row["comparison"], row["value"]): row for row in rows(run, "tests") if row["group"] == "all"}
    expected = float(found["coupled"]["accuracy"]) - float(found["silent"]["accuracy"])
    assert_allclose(float(tests["synapses: coupled - silent", "accuracy"]["difference"]), expected, atol=1e-12)
    assert tests["synapses: coupled - silent", "accuracy"]["p"] == ""  # one seed
    assert_allclose(run.metrics["accuracy_coupled_minus_silent"], expected, atol=1e-12)


def test_noise_is_in_the_images_of_training_and_test(made_up, monkeypatch, tmp_path):
    """The networks are made up: their accuracy is what their seed and kind say."""
    worth, shown, starts = {"image": 0.1, "none": 0.2, "silent": 0.3, "learned": 0.5}, {}, {}

    def train(run, name, pairs, *arguments, seed, **settings):
        kind = next(word for word in arguments if word in worth)
        shown[name] = pairs
        starts[name] = settings.get("start"), settings.get("n_alone")
        result = {"accuracy": worth[kind] + (kind == "learned") * 0.1 * seed, "accuracy_weighted": 0.5, "spikes": 7.0}
        return lambda: result

    monkeypatch.setattr(_multimodal, "one", train)
    monkeypatch.setattr(_multimodal, "pair", train)
    run = study(tmp_path, "multimodal_noise", "noises=white noise, low contrast and noise", "seeds=1, 2, 3")
    found = rows(run)
    assert [row["network"] for row in found[:4]] == ["image", "uncoupled", "silent", "coupled"]
    assert len(found) == len(shown) == 3 * 2 * 4
    for name, pairs in shown.items():
        _, k, seed = name.split("_")
        assert starts[name] == ((None, None) if name.startswith("image") else (f"alone_{k}_{seed}", 112))
        for X in (pairs.X_train, pairs.X_test):
            assert X["image"][:, 0].std() > 5  # nothing is drawn in the corner
            assert_array_equal(X["audio"].shape, (len(X["image"]), 2 * 12 * 32))
        assert pairs.X_train is shown[f"image_{k}_{seed}"].X_train
    assert_array_equal(shown["image_0_seed1"].X_test["audio"], shown["image_1_seed1"].X_test["audio"])
    assert (shown["image_0_seed1"].X_test["image"] != shown["image_1_seed1"].X_test["image"]).mean() > 0.3
    tests = {(row["comparison"], row["group"]): row for row in rows(run, "tests") if row["value"] == "accuracy"}
    synapses = tests["synapses: coupled - silent", "white noise"]
    assert_allclose(
        [float(synapses["difference"]), float(synapses["p"])], [0.4, 1 - 48**0.5 / 50**0.5]
    )  # t = 4 sqrt(3)


@cpp
def test_without_inhibition_neurons_fire_together(tmp_path):
    arguments = [word for word in SMALL if not word.startswith("sounds")]
    assert main(["run", "inhibition_homeostasis", "--quick", *arguments, "--folder", str(tmp_path)]) == 0
    run = list_runs(tmp_path / "inhibition_homeostasis")[-1]
    spikes = {row["network"]: float(row["spikes"]) for row in rows(run)}
    cut = ["inhibition cut at the test", "thresholds cut at the test"]
    assert list(spikes) == ["both", *cut, "homeostasis only", "neither"]
    assert min(spikes[name] for name in (*cut, "neither")) > 2 * spikes["both"]
    assert (run.folder / "figures" / "accuracy_by_network.png").is_file()


@cpp
def test_ablation_goes_on_when_a_network_fires_without_end(monkeypatch, tmp_path):
    def job(run, name, *arguments, **settings):
        def train():
            if not settings["homeostasis"]:
                raise UnhealthyNetwork("The network fires without end.")
            return {"accuracy": 0.5, "accuracy_weighted": 0.5, "spikes": 7.0}

        return train

    monkeypatch.setattr(_multimodal, "one", job)
    arguments = [word for word in SMALL if not word.startswith("sounds")]
    assert main(["run", "inhibition_homeostasis", "--quick", *arguments, "--folder", str(tmp_path)]) == 0
    run = list_runs(tmp_path / "inhibition_homeostasis")[-1]
    assert [row["failed"] for row in rows(run)] == ["", "", "", "", "The network fires without end."]
    assert run.metrics["accuracy_both_20"] == run.metrics["accuracy_homeostasis_only_20"] == 0.5
    assert "accuracy_neither_20" not in run.metrics


@cpp
def test_missing_modality_tests_one_network_in_three_ways(made_up, tmp_path):
    run = study(tmp_path, "missing_modality", "sizes=20")
    found = rows(run)
    assert [row["network"] for row in found] == ["coupled", "image alone", "image", "audio alone", "audio"]
    assert all(0 <= float(row[key]) <= 1 for row in found for key in ("accuracy", "accuracy_weighted"))
    assert float(found[-1]["accuracy"]) > 0.3  # the tones are easy
    assert run.metrics["accuracy_coupled_20"] == float(found[0]["accuracy"])
    assert run.metrics["n_clips"] == 60


@cpp
def test_crossmodal_fraction_counts_the_synapses(made_up, tmp_path):
    settings = ["n_neurons=40", "fractions=0.5", "n_alone=200", "n_train=300"]
    run = study(tmp_path, "crossmodal_fraction", *settings)
    found = {(row["network"], row["fraction"]): row for row in rows(run)}
    learned = found["learned", "0.5"]
    assert int(learned["n_correct"]) + int(learned["n_wrong"]) == 200  # half of 400 pairs
    assert found["manual", "0.5"]["n_correct"] != "0"
    assert found["learned", "0.0"]["accuracy"] == found["manual", "0.0"]["accuracy"]
    assert (found["learned", "0.0"]["n_correct"], found["learned", "0.0"]["n_wrong"]) == ("0", "0")
    assert {path.stem for path in run.folder.glob("figures/*.png")} == {"accuracy_against_fraction", "connections"}


@cpp
def test_wrong_names_are_refused(made_up, tmp_path, capsys):
    assert main(["run", "multimodal", "--quick", "sounds=birds", "--folder", str(tmp_path)]) != 0
    assert "sounds must be one of fsdd" in capsys.readouterr().err
    assert main(["run", "multimodal", "--quick", "networks=coupeld", "--folder", str(tmp_path)]) != 0
    assert (
        "networks must be among image, audio, uncoupled, silent, coupled, manual, got 'coupeld'"
        in capsys.readouterr().err
    )
    assert main(["run", "multimodal_noise", "--quick", "noises=rain", "--folder", str(tmp_path)]) != 0
    assert "noises must be among" in capsys.readouterr().err
