"""CIFAR-10 from picture files: classes by their folders, grey values, and what is refused."""

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
