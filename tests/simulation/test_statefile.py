"""Checkpoints: bit-exact, written in full or not at all, every damage found."""

import os
import resource
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hrsnn.simulation import statefile

SETTINGS = {"key": "abc", "done": 3000, "levels": [2, 3], "note": "θ"}
ARRAYS = {
    "input_to_exc.w": np.random.default_rng(0).random(5000),
    "exc.theta": np.array([0.1, -0.0, 5e-324, 1e308, np.inf, np.nan]),
    "input.last_step": np.array([-(2**30), 7], dtype=np.int32),
    "mask": np.array([[True, False], [False, False]]),
    "counts": np.array([0, 65535], dtype=np.uint16),
    "empty": np.empty(0),
    "scalar": np.array(0.3),
    "classes": np.array(["zero", "eins", "", "θ"]),
    "parameters": np.asarray(np.void(b"\x00bytes\x00with zeros\x00")),
}
FOREVER = """
import sys, numpy as np
from hrsnn.simulation import statefile
k = 0
while True:
    k += 1
    statefile.write(sys.argv[1], {"w": np.full(20_000, float(k)), "k": np.array(k)}, {"done": k})
    print(k, flush=True)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.h5"


def test_arrays_and_settings_come_back_bit_by_bit(path):
    statefile.write(path, ARRAYS, SETTINGS)
    arrays, settings = statefile.read(path)
    assert settings == SETTINGS
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype, name
        assert arrays[name].shape == array.shape, name
        assert arrays[name].tobytes() == array.tobytes(), name


def test_any_hdf5_program_can_read_it(path):
    statefile.write(path, ARRAYS, SETTINGS)
    with h5py.File(path) as file:
        assert_array_equal(file["input_to_exc.w"], ARRAYS["input_to_exc.w"])


def test_a_new_state_replaces_the_old_and_folders_are_made(tmp_path):
    path = tmp_path / "runs" / "one" / "state.h5"
    statefile.write(path, {"a": np.arange(3), "b": np.zeros(1)}, {"done": 1})
    statefile.write(path, {"a": np.arange(9)}, {"done": 2})
    arrays, settings = statefile.read(path)
    assert list(arrays) == ["a"]
    assert_array_equal(arrays["a"], np.arange(9))
    assert settings == {"done": 2}
    assert [file.name for file in path.parent.iterdir()] == ["state.h5"]


@pytest.mark.parametrize("pause", [0.0, 0.003, 0.01, 0.017])
def test_a_kill_in_the_middle_of_many_writes_leaves_a_whole_state(path, pause):
    child = subprocess.Popen([sys.executable, "-c", FOREVER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(30):
            assert child.stdout.readline()
        time.sleep(pause)
    finally:
        child.send_signal(signal.SIGKILL)
        printed = child.communicate()[0].split()
    assert child.returncode == -signal.SIGKILL
    arrays, settings = statefile.read(path)
    done = settings["done"]
    assert done >= max([30, *map(int, printed[-2:-1])])
    assert arrays["k"] == done
    assert_array_equal(arrays["w"], np.full(20_000, float(done)))
    statefile.write(path, {}, {"done": "again"})
    assert statefile.read(path) == ({}, {"done": "again"})


def test_every_truncation_and_every_flipped_byte_is_found(path):
    statefile.write(path, {"w": np.arange(10.0)}, SETTINGS)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for length in (0, 1, 31, 32, 33, *rng.integers(0, len(whole), 30), len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"state\.h5 is damaged.*Delete it"):
            statefile.read(path)
    for position in rng.integers(0, len(whole), 100):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"state\.h5 is damaged.*Delete it"):
            statefile.read(path)
    path.write_bytes(whole)
    assert_array_equal(statefile.read(path)[0]["w"], np.arange(10.0))


def test_foreign_files_missing_files_and_other_versions_are_refused(path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*state\.h5"):
        statefile.read(path)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        statefile.read(path.parent)
    with h5py.File(path, "w") as file:
        file["w"] = np.arange(3)
    with pytest.raises(ValueError, match="hrsnn did not write it"):
        statefile.read(path)
    path.write_text("weights")
    with pytest.raises(ValueError, match="hrsnn did not write it"):
        statefile.read(path)
    with monkeypatch.context() as patch:
        patch.setattr(statefile, "FORMAT", 1)
        statefile.write(path, {}, {})
    with pytest.raises(ValueError, match="written by another version of hrsnn"):
        statefile.read(path)


def test_what_json_cannot_hold_leaves_the_old_state(path):
    statefile.write(path, {"w": np.arange(3)}, {"done": 1})
    with pytest.raises(TypeError, match="not JSON serializable"):
        statefile.write(path, {"w": np.arange(4)}, {"done": object()})
    assert statefile.read(path)[1] == {"done": 1}
    assert os.listdir(path.parent) == ["state.h5"]


def test_a_full_disk_is_one_error_and_leaves_the_old_state(path):
    statefile.write(path, {"w": np.arange(3)}, {"done": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (10, 5000, 20_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))  # the kernel refuses longer files
        try:
            with pytest.raises(OSError, match=r"could not be written .*Free space on the disk.*still there"):
                statefile.write(path, {"w": np.random.default_rng(0).random(3000)}, {"done": 2})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert statefile.read(path)[1] == {"done": 1}
        assert os.listdir(path.parent) == ["state.h5"]


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"state\.h5 could not be written"):
        statefile.write(tmp_path / "file" / "state.h5", {}, {})


def test_a_fingerprint_changes_with_settings_and_samples():
    X = np.arange(12.0).reshape(3, 4)
    variants = [
        statefile.fingerprint([1, "a"], X),
        statefile.fingerprint([2, "a"], X),
        statefile.fingerprint([1, "a"], X + 1e-12),
        statefile.fingerprint([1, "a"], X.reshape(4, 3)),
        statefile.fingerprint([1, "a"], X.view(np.int64)),
    ]
    assert len(set(variants)) == len(variants)
    assert statefile.fingerprint([1, "a"], np.asfortranarray(X)) == variants[0]


def test_resume_takes_only_the_training_it_belongs_to(path):
    assert statefile.resume(None, "abc") is None
    assert statefile.resume(path, "abc") is None
    statefile.write(path, {"w": np.arange(3)}, SETTINGS)
    arrays, settings = statefile.resume(path, "abc")
    assert_array_equal(arrays["w"], np.arange(3))
    assert settings["done"] == 3000
    with pytest.raises(ValueError, match=r"with other settings, samples, neurons or back end.*Delete it"):
        statefile.resume(path, "abd")
