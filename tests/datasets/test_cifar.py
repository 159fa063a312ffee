"""CIFAR from binary files and from picture files: classes, colours, and what is refused."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from hrsnn import datasets


def archive(path, sizes=(32, 32), names=datasets.CIFAR10_CLASSES[:2]):
    with tarfile.open(path, "w:gz") as tar:
        for k, name in enumerate(names):
            for picture in range(4):
                raw = io.BytesIO()
                Image.fromarray(np.full((*sizes, 3), 100 * k + picture, dtype=np.uint8)).save(raw, "png")
                entry = tarfile.TarInfo(f"set/{name}/{picture}.png")
                entry.size = raw.tell()
                raw.seek(0)
                tar.addfile(entry, raw)


def test_pictures_become_rows_with_the_class_of_their_folder(tmp_path):
    archive(tmp_path / "cifar10.tar.gz")
    X_train, X_test, y_train, y_test = datasets.cifar10_files(tmp_path, test_size=0.5)
    assert X_train.shape == X_test.shape == (4, 1024)
    for X, y in ((X_train, y_train), (X_test, y_test)):
        assert sorted(y) == [0, 0, 1, 1]
        assert (y[:, None] == X // 100).all()
    assert len({*X_train[:, 0], *X_test[:, 0]}) == 8


def test_what_is_not_cifar_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="CIFAR-10 is not in"):
        datasets.cifar10_files(tmp_path)
    archive(tmp_path / "cifar10.tar.gz", sizes=(20, 32))
    with pytest.raises(ValueError, match=r"has \(20, 32\) pixels"):
        datasets.cifar10_files(tmp_path)
    archive(tmp_path / "cifar10.tar.gz", names=["cow"])
    with pytest.raises(ValueError, match="has no pictures in folders named airplane, automobile"):
        datasets.cifar10_files(tmp_path)
    with pytest.raises(ValueError, match=r"test_size must be in \(0, 1\), got 1"):
        datasets.cifar10_files(tmp_path, test_size=1)


def records(n, n_labels, seed):
    """Return images, labels, and the bytes of a file: label bytes, then the planes of red, green and blue."""
    rng = np.random.default_rng(seed)
    X, y = rng.integers(0, 256, (n, 32, 32, 3), np.uint8), rng.integers(0, 10, (n, n_labels), np.uint8)
    planes = X.transpose(0, 3, 1, 2).reshape(n, -1)
    return X, y, np.hstack([y, planes]).tobytes()


def packed(path, folder, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, raw in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(raw)
            tar.addfile(entry, io.BytesIO(raw))


def test_binary_files_of_cifar10_are_read_in_colour_and_in_order(tmp_path):
    names = [*(f"data_batch_{k}.bin" for k in (3, 1, 2, 5, 4)), "test_batch.bin"]
    found = {name: records(2 + k, 1, k) for k, name in enumerate(names)}
    packed(tmp_path / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", {key: v[2] for key, v in found.items()})
    X_train, X_test, y_train, y_test = datasets.cifar10(tmp_path)
    train = [found[name] for name in sorted(names[:-1])]
    np.testing.assert_array_equal(X_train, np.concatenate([X for X, _, _ in train]))
    np.testing.assert_array_equal(y_train, np.concatenate([y[:, 0] for _, y, _ in train]))
    np.testing.assert_array_equal(X_test, found["test_batch.bin"][0])
    np.testing.assert_array_equal(y_test, found["test_batch.bin"][1][:, 0])
    folder = tmp_path / "unpacked" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name, (_, _, raw) in found.items():
        (folder / name).write_bytes(raw)
    np.testing.assert_array_equal(datasets.cifar10(tmp_path / "unpacked")[0], X_train)


def test_binary_files_of_cifar100_give_the_fine_label(tmp_path):
    found = {name: records(4, 2, k) for k, name in enumerate(("train.bin", "test.bin"))}
    packed(tmp_path / "cifar-100-binary.tar.gz", "cifar-100-binary", {key: v[2] for key, v in found.items()})
    X_train, X_test, y_train, y_test = datasets.cifar100(tmp_path)
    np.testing.assert_array_equal(X_train, found["train.bin"][0])
    np.testing.assert_array_equal(X_test, found["test.bin"][0])
    np.testing.assert_array_equal(y_train, found["train.bin"][1][:, 1])
    np.testing.assert_array_equal(y_test, found["test.bin"][1][:, 1])


def test_binary_files_that_are_wrong_are_refused(tmp_path):
    path = tmp_path / "cifar-100-binary.tar.gz"
    packed(path, "cifar-100-binary", {"train.bin": records(2, 2, 0)[2]})
    with pytest.raises(ValueError, match=r"has no test\.bin"):
        datasets.cifar100(tmp_path)
    packed(path, "cifar-100-binary", {"train.bin": records(2, 2, 0)[2], "test.bin": bytes(100)})
    with pytest.raises(ValueError, match=r"test\.bin has 100 bytes, no whole records of 3074"):
        datasets.cifar100(tmp_path)
    packed(path, "cifar-100-binary", {name: bytes([1, 100]) + bytes(3072) for name in ("train.bin", "test.bin")})
    with pytest.raises(ValueError, match="has the label 100; it must be below 100"):
        datasets.cifar100(tmp_path)


def test_pictures_keep_their_colours(tmp_path):
    with tarfile.open(tmp_path / "cifar10.tar.gz", "w:gz") as tar:
        for k, name in enumerate(datasets.CIFAR10_CLASSES[:2] * 2):
            raw = io.BytesIO()
            Image.new("RGB", (32, 32), (10 * k, 200, 3)).save(raw, "png")
            entry = tarfile.TarInfo(f"set/{name}/{k}.png")
            entry.size = raw.tell()
            raw.seek(0)
            tar.addfile(entry, raw)
    X_train, X_test, *_ = datasets.cifar10_files(tmp_path, test_size=0.5, colour=True)
    X = np.concatenate([X_train, X_test])
    assert X.shape == (4, 32, 32, 3)
    assert sorted(map(tuple, X[:, 5, 7].tolist())) == [(10 * k, 200, 3) for k in range(4)]
