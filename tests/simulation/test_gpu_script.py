"""The script of ``make gpu``: what it says where there is no GPU, and that it keeps to its time."""

import importlib.util
import json
from pathlib import Path

import pytest

from hrsnn.simulation import nvidia


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("gpu", Path(__file__).resolve().parents[1] / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_a_gpu_it_says_that_all_ran_in_the_emulator(script, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(nvidia, "gpus", list)
    monkeypatch.setattr(script, "timed", lambda name, emulated, seconds: {"status": int(not emulated), "seconds": 1.0})
    assert script.measure(tmp_path / "gpu.json", 100) == 0
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert (found["gpu"], found["emulated"]) == (None, True)
    assert list(found["steps"]) == ["tests", "mnist_stdp", "speed", "gradient_speed"]
    assert found["steps"]["gradient_speed"] == {"left_out": "there is no GPU"}
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "No GPU is found: all runs in the emulator."
    assert "4 of 4 steps without an error, in the emulator: no figure here says anything of a GPU." in said[-1]


def test_with_a_gpu_its_name_is_in_the_file_and_failed_steps_count(script, monkeypatch, tmp_path):
    monkeypatch.setattr(nvidia, "gpus", lambda: [("NVIDIA H200", 90)])
    monkeypatch.setattr(script, "skipped", lambda name, emulated: "")
    monkeypatch.setattr(script, "timed", lambda name, emulated, seconds: {"status": int(name == "speed")})
    assert script.measure(tmp_path / "gpu.json", 100) == 1
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert (found["gpu"], found["emulated"]) == ("NVIDIA H200", False)


def test_a_step_is_stopped_when_the_time_is_over(script):
    result = script.timed("tests", True, 0.0)
    assert result["status"] == -1
    assert result["error"].startswith("stopped after 0 s")
    assert result["seconds"] < 30
