import gzip
import hashlib
import os
import struct

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from hrsnn import datasets
from hrsnn.datasets import images

TRAIN_X, TRAIN_Y, TEST_X, TEST_Y = images._MNIST_FILES


def idx_bytes(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_set(folder, rng, n_train=12, n_test=5, shape=(4, 3), compress=True):
    """Write a small set in the layout of MNIST; returns its four arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        TRAIN_X: rng.integers(0, 256, (n_train, *shape), dtype=np.uint8),
        TRAIN_Y: rng.integers(0, 10, n_train, dtype=np.uint8),
        TEST_X: rng.integers(0, 256, (n_test, *shape), dtype=np.uint8),
        TEST_Y: rng.integers(0, 10, n_test, dtype=np.uint8),
    }
    for name, array in parts.items():
        raw = idx_bytes(array)
        (folder / (name + ".gz" * compress)).write_bytes(gzip.compress(raw) if compress else raw)
    return parts


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- IDX files


@pytest.mark.parametrize(
    ("code", "dtype"), [(0x08, ">u1"), (0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
def test_read_idx_reads_every_type_and_byte_order(tmp_path, code, dtype):
    array = np.arange(-12, 12).reshape(2, 3, 4).astype(dtype)
    (tmp_path / "a").write_bytes(idx_bytes(array, code))
    read = datasets.read_idx(tmp_path / "a")
    assert_array_equal(read, array)
    assert read.dtype.isnative


def test_read_idx_knows_gzip_by_content(tmp_path):
    array = np.arange(6, dtype=np.uint8)
    (tmp_path / "a").write_bytes(gzip.compress(idx_bytes(array)))
    (tmp_path / "b.gz").write_bytes(idx_bytes(array))
    assert_array_equal(datasets.read_idx(tmp_path / "a"), array)
    assert_array_equal(datasets.read_idx(tmp_path / "b.gz"), array)


def test_read_idx_errors(tmp_path):
    good = idx_bytes(np.arange(20, dtype=np.uint8).reshape(4, 5))
    zipped = gzip.compress(good)
    flipped = bytearray(zipped)
    flipped[-12] ^= 0xFF
    cases = {
        b"": r"not an IDX file: it starts with bytes \(none\)",
        b"\x89PNG....": "not an IDX file: it starts with bytes 89 50 4e 47",
        b"\0\0\x07\x01": "not an IDX file: it starts with bytes 00 00 07 01",
        good[:7]: "is truncated: its header needs 12 bytes, the file has 7",
        good[:-1]: r"is truncated: its header announces shape \(4, 5\), 20 bytes of data, but 19 follow",
        good + b"x": "is too long: .* but 21 follow",
        zipped[:-9]: "damaged or truncated gzip",
        bytes(flipped): "damaged or truncated gzip",
        b"\0\0\x08\x03" + b"\xff" * 12: "is truncated: its header announces",
    }
    for raw, message in cases.items():
        (tmp_path / "a").write_bytes(raw)
        with pytest.raises(ValueError, match=message):
            datasets.read_idx(tmp_path / "a")


# --- MNIST and sets of its format


@pytest.mark.parametrize("compress", [True, False])
def test_mnist_reads_own_data_of_any_size(tmp_path, rng, compress):
    parts = write_set(tmp_path, rng, compress=compress)
    X_train, X_test, y_train, y_test = datasets.mnist(tmp_path)
    assert_array_equal(X_train, parts[TRAIN_X].reshape(12, 12))
    assert_array_equal(X_test, parts[TEST_X].reshape(5, 12))
    assert_array_equal(y_train, parts[TRAIN_Y])
    assert_array_equal(y_test, parts[TEST_Y])
    assert X_train.dtype == np.uint8
    assert y_train.dtype == np.int64


def test_mnist_reads_names_with_a_dot(tmp_path, rng):
    parts = write_set(tmp_path, rng, compress=False)
    for name in parts:
        (tmp_path / name).rename(tmp_path / name.replace("-idx", ".idx"))
    assert_array_equal(datasets.mnist(tmp_path)[2], parts[TRAIN_Y])


def test_mnist_never_mixes_own_files_with_downloads(tmp_path, rng, monkeypatch):
    write_set(tmp_path, rng)
    (tmp_path / (TEST_Y + ".gz")).unlink()
    monkeypatch.setenv("HRSNN_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"MNIST is not in .*Put {TEST_Y}.gz there"):
        datasets.mnist()


def test_fashion_mnist_does_not_take_mnist_files(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(images, "_FASHION_URLS", ("http://127.0.0.1:9/",))
    monkeypatch.setenv("HRSNN_DATA", str(tmp_path))
    write_set(tmp_path, rng)
    write_set(tmp_path / "mnist", rng)
    with pytest.raises(FileNotFoundError, match="Fashion-MNIST: train-images"):
        datasets.fashion_mnist()
    parts = write_set(tmp_path / "fashion_mnist", rng, n_train=7)
    assert_array_equal(datasets.fashion_mnist()[2], parts[TRAIN_Y])
    assert_array_equal(datasets.fashion_mnist(tmp_path / "fashion_mnist")[2], parts[TRAIN_Y])


def test_mnist_downloads_and_checks(tmp_path, rng, web, monkeypatch, no_environment, own_cache):
    folder, url = web
    parts = write_set(folder, rng)
    files = [folder / (name + ".gz") for name in images._MNIST_FILES]
    monkeypatch.setattr(images, "_MNIST_URLS", (url,))
    with pytest.raises(FileNotFoundError, match="hash of downloaded file"):
        datasets.mnist()
    monkeypatch.setattr(images, "_MNIST_SHA256", [hashlib.sha256(f.read_bytes()).hexdigest() for f in files])
    assert_array_equal(datasets.mnist()[3], parts[TEST_Y])
    assert sorted(p.name for p in (own_cache / "mnist").iterdir()) == sorted(f.name for f in files)


def test_mnist_errors(tmp_path, rng):
    def broken(name, array):
        write_set(tmp_path, rng)
        (tmp_path / (name + ".gz")).write_bytes(gzip.compress(idx_bytes(array)))
        return datasets.mnist(tmp_path)

    with pytest.raises(ValueError, match="the train files hold 12 images but 11 labels"):
        broken(TRAIN_Y, np.zeros(11, np.uint8))
    with pytest.raises(ValueError, match="the t10k files hold 6 images but 5 labels"):
        broken(TEST_X, np.zeros((6, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r"needs images: uint8 of shape \(n, height, width\)"):
        broken(TRAIN_X, np.zeros(12, np.uint8))
    with pytest.raises(ValueError, match=r"needs labels: uint8 of shape \(n,\)"):
        broken(TEST_Y, np.zeros((5, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r"training images are \(4, 3\) and test images \(3, 4\)"):
        broken(TEST_X, np.zeros((5, 3, 4), np.uint8))
    with pytest.raises(ValueError, match="hold no images"):
        broken(TRAIN_X, np.zeros((12, 0, 3), np.uint8))


@pytest.mark.skipif("HRSNN_DATA" not in os.environ, reason="the real files are found through HRSNN_DATA")
def test_real_mnist_has_the_published_label_counts():
    X_train, X_test, y_train, y_test = datasets.mnist()
    assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert_allclose(X_train.mean() / 255, 0.1307, atol=5e-5)  # the published mean, four digits
    assert X_test.shape == (10000, 784)


# --- digits


def test_digits_are_those_of_scikit_learn():
    X_train, X_test, y_train, y_test = datasets.digits()
    original, labels = load_digits(return_X_y=True)
    merged = np.concatenate([X_train, X_test]) * (16 / 255)
    order, expected = np.lexsort(np.rint(merged).T), np.lexsort(original.T)
    assert_allclose(merged[order], original[expected], atol=0.05)  # half of 1/255, in sixteenths
    assert_array_equal(np.concatenate([y_train, y_test])[order], labels[expected])
    assert X_train.max() == 255
    assert_allclose(np.bincount(y_test) / np.bincount(labels), 0.25, atol=0.01)  # stratified: one image of 45


def test_digits_28_are_the_same_digits_in_a_frame():
    small, large = datasets.digits(8)[0].reshape(-1, 8, 8), datasets.digits(28)[0].reshape(-1, 28, 28)
    place = np.clip((np.arange(20) + 0.5) * 8 / 20 - 0.5, 0, 7)  # pixel centres of the 20x20 in the 8x8
    linear = np.stack([np.interp(place, np.arange(8), unit) for unit in np.eye(8)], axis=1)
    expected = np.pad(linear @ small @ linear.T, ((0, 0), (4, 4), (4, 4)))
    assert_allclose(large, expected, atol=1.5)  # Pillow rounds after each of its two passes


def test_digits_seed_decides_the_split():
    a, b, c = (datasets.digits(seed=s)[0] for s in (0, 0, 1))
    assert_array_equal(a, b)
    assert (a != c).any()


def test_digits_errors():
    with pytest.raises(ValueError, match="size must be 8 or 28, got 16"):
        datasets.digits(16)
    with pytest.raises(ValueError, match=r"test_size must be in \(0, 1\), got 1"):
        datasets.digits(test_size=1)


# --- noise


def test_noise_has_the_stated_strength(rng):
    middle = np.full((200, 784), 128, dtype=np.uint8)  # +-3 sigma of 20 dB stays inside 0..1
    noisy = datasets.add_noise(middle, snr=20, seed=1) / 255
    assert_allclose(noisy.std(), 0.1, rtol=0.01)  # 157,000 draws: 0.2 %
    assert_allclose(noisy.mean(), 128 / 255, atol=0.001)
    measured = datasets.add_noise(middle, snr=20, reference="measured", seed=1) / 255
    assert_allclose(measured.std(), 0.1 * 128 / 255, rtol=0.01)


@pytest.mark.parametrize(("snr", "sigma"), [(9.5, 0.335), (12, 0.251)])
def test_noise_of_the_source(snr, sigma):
    black = np.zeros((200, 784), dtype=np.uint8)
    noisy = datasets.add_noise(black, snr=snr, contrast=0.5, seed=2) / 255
    assert_allclose(np.mean(noisy > sigma), 0.1587, atol=0.005)  # one-sigma tail of the normal law
    assert_allclose(np.mean(noisy == 0), 0.5, atol=0.01)


def test_contrast_without_noise():
    X = np.arange(256, dtype=np.uint8)[None]
    assert_allclose(datasets.add_noise(X, snr=200, contrast=0.5, seed=0), X / 2, atol=0.5)
    assert_array_equal(datasets.add_noise(X, snr=200, seed=0), X)


def test_noise_repeats_with_its_seed():
    X = np.full((2, 50), 100, dtype=np.uint8)
    assert_array_equal(datasets.add_noise(X, seed=3), datasets.add_noise(X, seed=3))
    assert (datasets.add_noise(X, seed=3) != datasets.add_noise(X, seed=4)).any()


def test_noise_errors():
    X = np.zeros((1, 4), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"X must be uint8 grey values 0\.\.255, got float64"):
        datasets.add_noise(X / 255)
    with pytest.raises(ValueError, match=r"contrast must be in \(0, 1\], got 0"):
        datasets.add_noise(X, contrast=0)
    with pytest.raises(ValueError, match="snr must be a finite number of dB, got nan"):
        datasets.add_noise(X, snr=float("nan"))
    with pytest.raises(ValueError, match="reference must be 'unit' or 'measured', got 'peak'"):
        datasets.add_noise(X, reference="peak")
