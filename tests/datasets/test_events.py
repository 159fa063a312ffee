import hashlib
import io
import os
import struct
import tarfile
import zipfile

import h5py
import numpy as np
import pytest
from brian2 import DimensionMismatchError, ms, mV, second
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn.datasets import dvs, events
from hrsnn.datasets.dvs import DVS_SHAPE, dvs_gesture, read_aedat
from hrsnn.datasets.events import (
    NMNIST_SHAPE,
    bin_events,
    make_events,
    nmnist,
    pool_events,
    read_nmnist,
    read_shd,
    shd,
    write_shd,
)
from hrsnn.datasets.synthetic_events import SYNTHETIC_GESTURES, synthetic_gestures, synthetic_shd

# --- recordings


def test_make_events_sorts_and_keeps_ties_in_order():
    made = make_events([0.3, 0.1, 0.3, 0.2], [1, 2, 3, 4])
    assert made["t"].tolist() == [0.1, 0.2, 0.3, 0.3]
    assert made["unit"].tolist() == [2, 4, 1, 3]


def test_make_events_errors():
    with pytest.raises(ValueError, match=r"one length, got shapes \(2,\) and \(1,\)"):
        make_events([0, 1], [0])
    for bad in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="t must be finite and at least 0"):
            make_events([bad], [0])
    with pytest.raises(ValueError, match="unit must be at least 0, got -2"):
        make_events([0, 1], [0, -2])


def test_bin_events_against_a_loop():
    rng = np.random.default_rng(0)
    recording = make_events(rng.uniform(0, 1.5, 500), rng.integers(0, 6, 500))
    counts = np.zeros((7, 6), int)
    for t, unit in recording:
        if t < 1.2:
            counts[int(t / 1.2 * 7), unit] += 1
    assert counts.sum() > 300
    assert_array_equal(bin_events(recording, 6, 7, 1200 * ms), counts)
    assert not bin_events(recording[:0], 6, 7, 1 * second).any()


def test_bin_events_errors():
    recording = make_events([0.1], [5])
    with pytest.raises(ValueError, match="unit 5 does not exist among n_units=5"):
        bin_events(recording, 5, 2, 1 * second)
    with pytest.raises(ValueError, match="must be positive, got 6, 0"):
        bin_events(recording, 6, 0, 1 * second)
    for wrong in (1, 1 * mV):
        with pytest.raises(DimensionMismatchError, match="duration must be a time"):
            bin_events(recording, 6, 2, wrong)


def test_pool_events_merges_squares():
    shape = (2, 5, 7)
    p, y, x = np.indices(shape).reshape(3, -1)
    recording = make_events(np.zeros(70), np.arange(70))
    pooled = pool_events(recording, shape, 2)
    assert_array_equal(np.array(np.unravel_index(pooled["unit"], (2, 3, 4))), [p, y // 2, x // 2])
    assert_array_equal(pool_events(recording, shape, 1), recording)
    with pytest.raises(ValueError, match="factor must be at least 1, got 0"):
        pool_events(recording, shape, 0)


# --- N-MNIST


def nmnist_bytes(x, y, p, t):
    rows = zip(x, y, p, t, strict=True)
    return b"".join(struct.pack(">BB", a, b) + struct.pack(">I", c << 23 | d)[1:] for a, b, c, d in rows)


def test_nmnist_bytes_are_decoded():
    raw = nmnist_bytes([3, 33, 0], [0, 33, 5], [1, 0, 1], [7, 70_000, 8_388_607])
    recording = read_nmnist(raw)
    assert_allclose(recording["t"], [7e-6, 0.07, 8.388607])
    assert_array_equal(
        np.transpose(np.unravel_index(recording["unit"], NMNIST_SHAPE)), [[1, 0, 3], [0, 33, 33], [1, 5, 0]]
    )


def test_nmnist_clock_overflow_is_no_event():
    recording = read_nmnist(nmnist_bytes([1, 0, 2], [1, 240, 2], [0, 0, 0], [5, 0, 6]))
    assert_allclose(recording["t"], [5e-6, (6 + 8192) * 1e-6])


@pytest.fixture
def nmnist_files():
    rng = np.random.default_rng(0)
    files = {}
    for part, count in (("Train", 6), ("Test", 3)):
        for number in range(1, count + 1):
            t = np.sort(rng.integers(0, 300_000, 20))
            raw = nmnist_bytes(rng.integers(0, 34, 20), rng.integers(0, 34, 20), rng.integers(0, 2, 20), t)
            files[f"{part}/{number * 3 % 10}/{number:05d}.bin"] = raw
    return files


def write_nmnist(root, files, form):
    for part in ("Train", "Test"):
        own = {name: raw for name, raw in files.items() if name.startswith(part)}
        if form == "zip":
            with zipfile.ZipFile(root / f"{part}.zip", "w") as archive:
                for name, raw in own.items():
                    archive.writestr(name, raw)
        elif form == "folder":
            for name, raw in own.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(raw)
    if form == "tar":
        with tarfile.open(root / "nmnist-sample.tar.xz", "w:xz") as tar:
            for name, raw in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(raw)
                tar.addfile(info, io.BytesIO(raw))


@pytest.mark.parametrize("form", ["zip", "folder", "tar"])
def test_nmnist_layouts(tmp_path, nmnist_files, form):
    write_nmnist(tmp_path, nmnist_files, form)
    X_train, X_test, y_train, y_test = nmnist(tmp_path, n_train=4)
    assert_array_equal(y_train, [3, 6, 9, 2])  # the order of MNIST, not of the folders
    assert_array_equal(y_test, [3, 6, 9])
    assert_array_equal(X_train[1], read_nmnist(nmnist_files["Train/6/00002.bin"]))
    assert len(X_test) == 3


def test_nmnist_errors(tmp_path, nmnist_files):
    for raw, message in (
        (b"1234", "it has 4 bytes, not a multiple of 5"),
        (nmnist_bytes([34], [0], [0], [0]), r"it has an event at pixel \(34, 0\), outside 34 x 34"),
    ):
        write_nmnist(tmp_path, nmnist_files | {"Train/0/00009.bin": raw}, "tar")
        with pytest.raises(ValueError, match=r"N-MNIST: Train/0/00009\.bin in .* is damaged: " + message):
            nmnist(tmp_path)
    write_nmnist(tmp_path, nmnist_files, "tar")
    archive = (tmp_path / "nmnist-sample.tar.xz").read_bytes()
    (tmp_path / "nmnist-sample.tar.xz").write_bytes(archive[: len(archive) // 2])
    with pytest.raises(ValueError, match=r"nmnist-sample\.tar\.xz is damaged or truncated"):
        nmnist(tmp_path)
    (tmp_path / "empty" / "Train").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"holds no recordings Train/<digit>/<number>\.bin"):
        nmnist(tmp_path / "empty")


@pytest.mark.skipif("HRSNN_DATA" not in os.environ, reason="the real files are found through HRSNN_DATA")
def test_real_nmnist():
    X_train, X_test, y_train, _ = nmnist()
    if len(X_train) == 500:  # the sample of 600 recordings
        assert sum(map(len, X_train)) + sum(map(len, X_test)) == 2_425_623
    assert [len(X_train[0]), len(X_train[1])] == [4681, 5028]
    assert_array_equal(y_train[:10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])  # as MNIST itself


# --- SHD


@pytest.fixture
def recordings():
    rng = np.random.default_rng(1)
    return [make_events(np.float32(rng.uniform(0, 1, n)), rng.integers(0, 700, n)) for n in (5, 0, 80)]


@pytest.mark.parametrize("form", ["plain", "zip"])
def test_shd_is_read_as_written(tmp_path, recordings, form):
    for part in ("train", "test"):
        write_shd(
            tmp_path / f"shd_{part}.h5", recordings[::-1] if part == "test" else recordings, [3, 19, 0], [1, 2, 3]
        )
        if form == "zip":
            with zipfile.ZipFile(tmp_path / f"shd_{part}.h5.zip", "w") as archive:
                archive.write(tmp_path / f"shd_{part}.h5", f"shd_{part}.h5")
            (tmp_path / f"shd_{part}.h5").unlink()
    X_train, X_test, y_train, y_test = shd(tmp_path)
    for a, b, c in zip(X_train, X_test[::-1], recordings, strict=True):
        assert_array_equal(a, c)
        assert_array_equal(b, c)
    assert_array_equal(y_train, [3, 19, 0])
    assert_array_equal(y_test, [3, 19, 0])


def test_shd_speakers(tmp_path, recordings):
    write_shd(tmp_path / "a.h5", recordings, [0, 1, 2], [7, 8, 9])
    write_shd(tmp_path / "b.h5", recordings, [0, 1, 2])
    assert_array_equal(read_shd(tmp_path / "a.h5")[2], [7, 8, 9])
    assert_array_equal(read_shd(tmp_path / "b.h5")[2], -1)


def test_shd_download(web, recordings, monkeypatch, no_environment):
    folder, url = web
    hashes = {}
    for part in ("train", "test"):
        write_shd(folder / "a.h5", recordings, [1, 2, 3])
        with zipfile.ZipFile(folder / f"shd_{part}.h5.zip", "w") as archive:
            archive.write(folder / "a.h5", f"shd_{part}.h5")
        hashes[part] = "md5:" + hashlib.md5((folder / f"shd_{part}.h5.zip").read_bytes()).hexdigest()
    monkeypatch.setattr(events, "_SHD_URLS", (url,))
    monkeypatch.setattr(events, "_SHD_HASH", hashes)
    assert_array_equal(shd()[2], [1, 2, 3])


def test_shd_errors(tmp_path, recordings):
    path = tmp_path / "a.h5"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"a\.h5 is not a readable HDF5 file"):
        read_shd(path)
    with h5py.File(path, "w") as file:
        file["labels"] = [1]
    with pytest.raises(ValueError, match="lacks a field of SHD"):
        read_shd(path)
    write_shd(path, recordings, [1, 2])
    with pytest.raises(ValueError, match="3 times, 3 units, 2 labels and 2 speakers do not belong together"):
        read_shd(path)
    write_shd(path, recordings, [1, 2, 3])
    with h5py.File(path, "a") as file:
        file["spikes/units"][2] = np.zeros(3, np.uint16)
    with pytest.raises(ValueError, match="recording 2 is damaged: t and unit must be of one length"):
        read_shd(path)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("readme", "")
    with pytest.raises(ValueError, match=r"b\.zip must hold one \.h5 file, it holds 0"):
        read_shd(tmp_path / "b.zip")


# --- DVS gesture

AEDAT_HEADER = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 0: DVS128\r\n#Start-Time: 2016\r\n#!END-HEADER\r\n"


def packet(x, y, p, t, valid=None, overflow=0, kind=1, spare=0):
    """One AEDAT 3.1 packet; `spare` empty places follow the events."""
    valid = np.ones(len(x), int) if valid is None else np.asarray(valid)
    word = np.asarray(x) << 17 | np.asarray(y) << 2 | np.asarray(p) << 1 | valid
    body = np.stack([word, np.asarray(t)], axis=1).astype("<u4").tobytes() + bytes(8 * spare)
    return struct.pack("<hhiiiiii", kind, 1, 8, 4, overflow, len(x) + spare, len(x), int(valid.sum())) + body


def test_aedat_events_are_decoded(tmp_path):
    raw = AEDAT_HEADER + packet([5, 127, 9], [0, 127, 9], [1, 0, 1], [10, 20, 30], valid=[1, 1, 0], spare=2)
    raw += packet([0], [0], [0], [99], kind=0)  # a special event: skipped
    raw += packet([64], [32], [1], [7], overflow=1)
    (tmp_path / "a.aedat").write_bytes(raw)
    recording = read_aedat(tmp_path / "a.aedat")
    assert_allclose(recording["t"], [10e-6, 20e-6, (2**31 + 7) * 1e-6], rtol=1e-12)
    assert_array_equal(
        np.transpose(np.unravel_index(recording["unit"], DVS_SHAPE)), [[1, 0, 5], [0, 127, 127], [1, 32, 64]]
    )


def test_aedat_errors(tmp_path):
    good = AEDAT_HEADER + packet([1, 2], [3, 4], [0, 1], [5, 6])
    cases = [
        (b"", r"not an AEDAT 3\.1 file: it starts with b''"),
        (good.replace(b"3.1", b"2.0"), r"not an AEDAT 3\.1 file: it starts with b'#!AER-DAT2\.0"),
        (good.replace(b"RAW", b"PNG"), "in format PNG; only RAW can be read"),
        (good[:-1], "truncated or damaged: the packet at byte"),
        (good + b"12345", "truncated or damaged: the packet at byte"),
        (AEDAT_HEADER + packet([128], [0], [0], [0]), r"an event at pixel \(128, 0\), outside 128 x 128"),
    ]
    for raw, message in cases:
        (tmp_path / "a.aedat").write_bytes(raw)
        with pytest.raises(ValueError, match=message):
            read_aedat(tmp_path / "a.aedat")


def write_gestures(root, users):
    root.mkdir(parents=True)
    for user in users:
        t = 1000 * np.arange(100) + 50_000
        raw = AEDAT_HEADER + packet(np.full(100, user), np.arange(100), np.arange(100) % 2, t)
        (root / f"user{user:02d}_led.aedat").write_bytes(raw)
        table = "class,startTime_usec,endTime_usec\n2,60000,80000\n11,100000,140000\n"
        (root / f"user{user:02d}_led_labels.csv").write_text(table)


def test_gestures_are_cut_by_the_table_and_split_by_user(tmp_path):
    write_gestures(tmp_path / "DvsGesture", [1, 23, 24])
    X_train, X_test, y_train, y_test = dvs_gesture(tmp_path)
    assert_array_equal(y_train, [1, 10, 1, 10])
    assert_array_equal(y_test, [1, 10])
    assert [len(e) for e in X_test] == [20, 40]
    assert_allclose(X_test[1]["t"], 1e-3 * np.arange(40), atol=1e-9)
    assert_array_equal(np.unravel_index(X_test[1]["unit"], DVS_SHAPE)[1], np.arange(50, 90))
    assert set(np.unravel_index(X_train[3]["unit"], DVS_SHAPE)[2]) == {23}


def test_gesture_options(tmp_path, monkeypatch):
    root = tmp_path / "dvs_gesture" / "DvsGesture"
    write_gestures(root, [1, 2, 25])
    (root / "trials_to_train.txt").write_text("user25_led.aedat\n")
    (root / "trials_to_test.txt").write_text("user02_led.aedat\n")
    monkeypatch.setenv("HRSNN_DATA", str(tmp_path))
    X_train, X_test, *_ = dvs_gesture(duration=10 * ms, pool=4)
    assert [len(e) for e in X_train + X_test] == [10, 10, 10, 10]
    assert_array_equal(np.unravel_index(X_train[0]["unit"], (2, 32, 32))[1], np.arange(10, 20) // 4)
    assert set(np.unravel_index(X_train[0]["unit"], (2, 32, 32))[2]) == {25 // 4}
    assert len(dvs_gesture(root)[0]) == 2


def test_gesture_errors(tmp_path, no_environment):
    with pytest.raises(FileNotFoundError, match="DVS128 Gesture: DvsGesture was not found"):
        dvs_gesture()
    root = tmp_path / "DvsGesture"
    write_gestures(root, [1])
    with pytest.raises(ValueError, match="duration must be positive, got 0"):
        dvs_gesture(root, duration=0 * second)
    (root / "user01_led_labels.csv").write_text("class,start\n1,2\n")
    with pytest.raises(ValueError, match="is not a line of class, startTime_usec, endTime_usec"):
        dvs_gesture(root)
    (root / "user01_led_labels.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"user01_led_labels\.csv is not beside"):
        dvs_gesture(root)
    (root / "user01_led.aedat").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no userNN_LIGHT\.aedat"):
        dvs_gesture(tmp_path)


# --- synthetic recordings


def centre_of_mass(recording, size, polarity, n_bins=20):
    """Mean x and y of the events in each bin of time (the leading edge, for polarity 1)."""
    p, y, x = np.unravel_index(recording["unit"], (2, size, size))
    bins = (recording["t"] / 0.5 * n_bins).astype(int)
    keep = p == polarity
    n = np.bincount(bins[keep], minlength=n_bins)
    return [np.bincount(bins[keep], weights=v[keep], minlength=n_bins)[n > 3] / n[n > 3] for v in (x, y)]


def test_gestures_move_as_named():
    X, _, y, _ = synthetic_gestures(70, 7, noise=0)
    assert_array_equal(np.bincount(y), 10)
    spread = np.array([[v.std() for v in centre_of_mass(e, 32, 1)] for e in X])
    for k in range(10):
        horizontal, vertical = spread[np.flatnonzero(y == 0)[k]], spread[np.flatnonzero(y == 1)[k]]
        assert horizontal[0] > 3 * horizontal[1]
        assert vertical[1] > 3 * vertical[0]
    turn, slope = {}, {}
    for kind in range(2, 6):
        for k in np.flatnonzero(y == kind):
            x, z = centre_of_mass(X[k], 32, 1)
            x, z = x - x.mean(), z - z.mean()
            turn.setdefault(kind, []).append(np.sum(x[:-1] * z[1:] - x[1:] * z[:-1]))
            slope.setdefault(kind, []).append(np.corrcoef(x, z)[0, 1])
    assert min(turn[2]) > 0 > max(turn[3])  # y points down: clockwise is positive
    assert min(slope[4]) > 0.8
    assert max(slope[5]) < -0.8
    assert "clockwise" in SYNTHETIC_GESTURES[2]


def test_gestures_are_those_of_an_ideal_camera():
    """At each pixel the ON minus OFF events are the net change of its level, at most that of full contrast."""
    X, *_ = synthetic_gestures(7, 1, size=24, noise=0)
    for recording in X:
        p, y, x = np.unravel_index(recording["unit"], (2, 24, 24))
        net = np.zeros((24, 24), int)
        np.add.at(net, (y, x), 2 * p - 1)
        assert len(recording) > 300
        assert np.abs(net).max() <= np.ceil(np.log(5) / 0.3)


def test_gesture_noise_has_its_rate():
    quiet, noisy = (synthetic_gestures(7, 1, noise=rate, duration=1 * second)[0] for rate in (0, 5))
    extra = len(noisy[0]) - len(quiet[0])
    assert abs(extra - 5 * 32**2) < 5 * np.sqrt(5 * 32**2)


def test_synthetic_words_can_be_told_apart_but_are_not_equal():
    X_train, X_test, y_train, y_test = synthetic_shd(100, 40, n_classes=10)
    assert_array_equal(np.bincount(y_train), 10)
    assert max(e["t"].max() for e in X_train) < 1.4
    assert max(e["unit"].max() for e in X_train) < 700
    A, B = (
        np.array([bin_events(e, 700, 5, 1.2 * second).reshape(5, 35, 20).sum(2).ravel() for e in X])
        for X in (X_train, X_test)
    )
    means = np.array([A[y_train == k].mean(0) for k in range(10)])
    nearest = np.argmin(((B[:, None] - means) ** 2).sum(2), axis=1)
    assert np.mean(nearest == y_test) > 0.7  # chance is 0.1


def test_synthetic_words_keep_their_class_over_seeds():
    first, second_ = (synthetic_shd(20, 1, n_classes=2, seed=s) for s in (0, 1))
    assert not np.array_equal(first[0][0], second_[0][0])
    profile = [
        np.mean([bin_events(e, 700, 1, 1.4 * second)[0] for e, k in zip(s[0], s[2], strict=True) if k == kind], axis=0)
        for kind in (0, 1)
        for s in (first, second_)
    ]
    smooth = [np.convolve(p, np.ones(35), "valid") for p in profile]
    same, other = np.corrcoef(smooth)[0, 1], np.corrcoef(smooth)[0, 2]
    assert same > 0.9
    assert same > other + 0.2


@pytest.mark.parametrize("make", [synthetic_gestures, synthetic_shd])
def test_synthetic_sets_repeat_with_their_seed(make):
    first, again, other = (make(7, 3, seed=s) for s in (0, 0, 1))
    for a, b in zip(first[0] + first[1], again[0] + again[1], strict=True):
        assert_array_equal(a, b)
    assert any(len(a) != len(b) for a, b in zip(first[0], other[0], strict=True))


def test_synthetic_errors():
    with pytest.raises(ValueError, match="n_train and n_test must be at least 1, got 0 and 5"):
        synthetic_shd(0, 5)
    with pytest.raises(ValueError, match="n_classes must be at least 1, got 0"):
        synthetic_shd(n_classes=0)
    with pytest.raises(ValueError, match="size must be at least 8, duration 2 ms and noise 0, got 7"):
        synthetic_gestures(size=7)
    with pytest.raises(DimensionMismatchError, match="duration must be a time"):
        synthetic_gestures(duration=0.5)


def test_dvs_header_is_28_bytes():
    assert dvs._HEADER.itemsize == 28
