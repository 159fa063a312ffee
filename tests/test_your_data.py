"""The examples of docs/your_data.md run as they stand, and their results are what the page says."""

import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

PAGE = Path(__file__).resolve().parent.parent / "docs" / "your_data.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS = {s.partition("\n")[0]: BLOCK.findall(s) for s in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Execute the blocks of a section one after another, and return their names."""

    def run(section):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        names = {"__name__": "page"}
        for block in SECTIONS[section]:
            exec(compile(block, f"{PAGE.name}, {section}", "exec"), names)
        return names

    return run


def test_every_section_has_its_example():
    assert {name: len(blocks) for name, blocks in SECTIONS.items()} == dict.fromkeys(
        ["Images", "Sounds", "Event recordings", "Series", "Compare, and with what"], 1
    )


@pytest.mark.cpp
@pytest.mark.slow
def test_images_are_recognised(run):
    found = run("Images")
    assert found["X"].shape == (240, 784)
    assert found["classifier"].score(found["X_test"], found["y_test"]) > 0.7  # chance is 1/4
    assert set(found["classifier"].predict(found["X_test"])) <= {"disc", "bar", "post", "cross"}


@pytest.mark.cpp
@pytest.mark.slow
def test_sounds_of_any_rate_are_recognised(run):
    found = run("Sounds")
    assert len({found["wavfile"].read(path)[0] for path in found["paths"]}) == 3  # rates
    durations = np.array([len(sound) for sound in found["sounds"]]) / 8000
    assert 0.19 < durations.min() < durations.max() < 0.41
    assert found["classifier"].score(found["X_test"], found["y_test"]) > 0.7  # chance is 1/4
    assert found["yardstick"].score(found["X_test"], found["y_test"]) > 0.9


@pytest.mark.cpp
@pytest.mark.slow
def test_event_recordings_are_recognised(run):
    found = run("Event recordings")
    assert found["X"].shape == (80, 10, 2 * 4 * 4)
    assert 0 <= found["X"].min() < 0.2 < found["X"].max() <= 1
    assert found["classifier"].score(found["X_test"], found["y_test"]) > 0.9  # chance is 1/4
    assert found["reservoir"].spike_counts_.mean() / len(found["X_test"]) > 0.3


@pytest.mark.cpp
@pytest.mark.slow
def test_series_are_forecast_better_than_by_their_last_value(run):
    found = run("Series")
    reservoir, persistence, echo_state = found["errors"]
    assert found["future"].shape == (50, 2)
    assert reservoir < 0.5 * persistence
    assert echo_state < 0.5 * persistence


def test_seeds_make_a_table_and_a_test(run):
    found = run("Compare, and with what")
    assert_allclose([row["accuracy"] for row in found["table"]], [0.925, 0.88])
    (test,) = found["tests"]
    assert_allclose([test["difference"], test["p"]], [0.045, 2 / 2**6])
