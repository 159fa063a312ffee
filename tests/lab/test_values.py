"""Files are whole or absent, and nested results come back as they were."""

import json

import numpy as np
import pytest
from brian2 import Hz, Quantity, ms, mV
from numpy.testing import assert_array_equal

from hrsnn.lab import values


def test_atomic_file_keeps_its_old_content_after_an_error(tmp_path):
    path = tmp_path / "state.txt"
    path.write_text("old")

    def write_half():
        with values.atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_file_is_replaced_at_the_end(tmp_path):
    path = tmp_path / "new" / "state.txt"
    with values.atomic(path) as temporary:
        temporary.write_text("all")
        assert temporary.suffix == ".txt"
        assert not path.exists()
    assert path.read_text() == "all"
    assert list(path.parent.iterdir()) == [path]


def test_json_takes_numbers_of_every_kind(tmp_path):
    value = {
        "accuracy": np.float64(0.75),
        "n": np.int64(3),
        "counts": np.array([[1, 2], [3, 4]]),
        "bad": float("nan"),
        "duration": 150 * ms,
        "rates": [1, 2] * Hz,
        "good": np.bool_(True),
    }
    values.write_json(tmp_path / "a.json", value)
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "accuracy": 0.75,
        "n": 3,
        "counts": [[1, 2], [3, 4]],
        "bad": None,
        "duration": "150 ms",
        "rates": ["1 Hz", "2 Hz"],
        "good": True,
    }


def test_json_refuses_objects():
    with pytest.raises(TypeError, match="a set cannot be written as JSON"):
        values.to_json({"a": [{1, 2}]})


def test_result_comes_back_with_values_and_types(tmp_path):
    rng = np.random.default_rng(0)
    weights = rng.random((3, 4)).astype("float32")
    value = {
        "weights": weights,
        "score": np.float64(1 / 3),
        "pair": (1, [True, None, "text", 0.1]),
        "empty": {},
        "labels": np.array(["a", "bc"]),
        "v": np.array([1.5, -2]) * mV,
        "nested": [{"x": np.arange(3)}],
        "big": 2**70,
    }
    values.save(tmp_path / "r.npz", value)
    got = values.load(tmp_path / "r.npz")
    assert list(got) == list(value)
    assert_array_equal(got["weights"], weights, strict=True)
    assert got["score"] == 1 / 3
    assert isinstance(got["score"], np.float64)
    assert got["pair"] == (1, [True, None, "text", 0.1])
    assert got["empty"] == {}
    assert got["big"] == 2**70
    assert_array_equal(got["labels"], value["labels"], strict=True)
    assert isinstance(got["v"], Quantity)
    assert got["v"].dim is mV.dim
    assert_array_equal(np.asarray(got["v"]), np.asarray(value["v"]))
    assert_array_equal(got["nested"][0]["x"], np.arange(3), strict=True)


@pytest.mark.parametrize("value", [{1, 2}, np.array([{}, None]), {1: 2}, object()])
def test_result_that_is_not_numbers_is_refused(tmp_path, value):
    with pytest.raises(TypeError, match="cannot be stored"):
        values.save(tmp_path / "r.npz", value)
    assert list(tmp_path.iterdir()) == []
