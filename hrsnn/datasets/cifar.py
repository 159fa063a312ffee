"""CIFAR-10 and CIFAR-100: colour images from the sets' own binary files, and from picture files."""

import os
from pathlib import Path, PurePosixPath

import numpy as np

from hrsnn.datasets._archives import members
from hrsnn.datasets._files import locate
from hrsnn.datasets.images import Split
from hrsnn.datasets.views import decode_photograph

__all__ = ["CIFAR10_CLASSES", "cifar10", "cifar10_files", "cifar100"]

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_NAMES = ("cifar10-test1000-jpeg.tar.xz", "cifar10.tar.gz", "cifar10.zip", "cifar10")
_SIDE = 32
_URL = "https://www.cs.toronto.edu/~kriz/"
_MD5 = {10: "c32a1d4ab5d03f1284b67883e8d87530", 100: "03b5dce01913d631647c71ecec9e9cb8"}


def cifar10(folder: str | os.PathLike | None = None) -> Split:
    """Load CIFAR-10 in colour: 50,000 images to train with and 10,000 to test.

    Parameters
    ----------
    folder : path, optional
        Folder with ``cifar-10-binary.tar.gz``, or with its content ``cifar-10-batches-bin``. By default ``HRSNN_DATA``
        (also its subfolder ``cifar10``), the cache, or a download (170 MB, md5 checked).

    Returns
    -------
    X_train, X_test : uint8 array of shape (n_samples, 32, 32, 3)
        Red, green and blue, 0 to 255.
    y_train, y_test : int array of shape (n_samples,)
        Position of the class in ``CIFAR10_CLASSES``.

    Raises
    ------
    FileNotFoundError
        If the files are missing and cannot be downloaded.
    ValueError
        If a file is damaged, or not of the format.

    References
    ----------
    .. [1] Krizhevsky (2009), Learning multiple layers of features from tiny images.
    """
    names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    parts = _binary("CIFAR-10", 10, names, 1, folder)
    train = [parts[name] for name in names[:-1]]
    (X_train, y_train), (X_test, y_test) = (tuple(map(np.concatenate, zip(*train, strict=True))), parts[names[-1]])
    return X_train, X_test, y_train[:, 0], y_test[:, 0]


def cifar100(folder: str | os.PathLike | None = None) -> Split:
    """Load CIFAR-100 in colour: 50,000 images of a hundred classes to train with and 10,000 to test.

    Parameters
    ----------
    folder : path, optional
        As in `cifar10`: ``cifar-100-binary.tar.gz``, or its content ``cifar-100-binary``.

    Returns
    -------
    X_train, X_test : uint8 array of shape (n_samples, 32, 32, 3)
    y_train, y_test : int array of shape (n_samples,)
        The fine label, 0 to 99.

    Raises
    ------
    FileNotFoundError, ValueError
        As in `cifar10`.
    """
    parts = _binary("CIFAR-100", 100, ["train.bin", "test.bin"], 2, folder)
    (X_train, y_train), (X_test, y_test) = parts["train.bin"], parts["test.bin"]
    return X_train, X_test, y_train[:, 1], y_test[:, 1]


def _binary(
    title: str, n_classes: int, names: list[str], n_labels: int, folder: str | os.PathLike | None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return images and labels of each file: records of label bytes, then the red, green and blue plane."""
    archive = f"cifar-{n_classes}-binary.tar.gz"
    inside = "cifar-10-batches-bin" if n_classes == 10 else "cifar-100-binary"
    path = locate(
        (archive, inside),
        folder,
        title=title,
        subset=f"cifar{n_classes}",
        urls=[_URL + archive],
        known_hash=f"md5:{_MD5[n_classes]}",
    )
    raws = {PurePosixPath(name).name: raw for name, raw in members(path, lambda n: PurePosixPath(n).name in names)}
    if missing := [name for name in names if name not in raws]:
        raise ValueError(f"{path} has no {', '.join(missing)}. Get the archive again.")
    return {name: _records(path, name, raws[name], n_labels, n_classes) for name in names}


def _records(path: Path, name: str, raw: bytes, n_labels: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    size = n_labels + 3 * _SIDE**2
    if not raw or len(raw) % size:
        raise ValueError(f"{path}: {name} has {len(raw)} bytes, no whole records of {size}. Get the archive again.")
    records = np.frombuffer(raw, np.uint8).reshape(-1, size)
    labels = records[:, :n_labels].astype(np.int64)
    if labels[:, -1].max() >= n_classes:
        raise ValueError(f"{path}: {name} has the label {labels[:, -1].max()}; it must be below {n_classes}.")
    images = records[:, n_labels:].reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels


def cifar10_files(
    folder: str | os.PathLike | None = None, test_size: float = 0.25, seed: int = 0, colour: bool = False
) -> Split:
    """Load pictures of CIFAR-10 from picture files, grey or in colour, and split them at random.

    Parameters
    ----------
    folder : path, optional
        Folder with ``cifar10-test1000-jpeg.tar.xz`` (100 pictures of each class), or any archive or folder of the name
        ``cifar10`` in which pictures lie in folders with the names of the classes. By default ``HRSNN_DATA`` (also its
        subfolder ``cifar10``) and the cache; nothing is downloaded.
    test_size : float
        Fraction of test pictures of each class, 0 < test_size < 1.
    seed : int
        Seed of the split.
    colour : bool

    Returns
    -------
    X_train, X_test : uint8 array of shape (n_samples, 1024), or (n_samples, 32, 32, 3) in colour
        Grey values 0 to 255 (luminance, ITU-R 601), or red, green and blue.
    y_train, y_test : int array of shape (n_samples,)
        Position of the class in ``CIFAR10_CLASSES``.

    Raises
    ------
    FileNotFoundError
        If there are no files.
    ValueError
        If a picture is damaged or not of 32x32 pixels, there are none, or `test_size` is out of range.

    References
    ----------
    .. [1] Krizhevsky (2009), Learning multiple layers of features from tiny images.
    """
    from sklearn.model_selection import train_test_split

    if not 0 < test_size < 1:
        raise ValueError(f"test_size must be in (0, 1), got {test_size!r}.")
    path = locate(_NAMES, folder, title="CIFAR-10", subset="cifar10")
    X, y = [], []
    for name, raw in sorted(members(path, lambda name: PurePosixPath(name).parent.name in CIFAR10_CLASSES)):
        image = decode_photograph(raw, f"{path}: {name}", colour)
        if image.shape[:2] != (_SIDE, _SIDE):
            raise ValueError(f"{path}: {name} has {image.shape[:2]} pixels. CIFAR-10 has pictures of 32 x 32.")
        X.append(image if colour else image.ravel())
        y.append(CIFAR10_CLASSES.index(PurePosixPath(name).parent.name))
    if not X:
        raise ValueError(f"{path} has no pictures in folders named {', '.join(CIFAR10_CLASSES[:2])} and so on.")
    split = train_test_split(np.stack(X), np.array(y), test_size=test_size, random_state=seed, stratify=y)
    return split[0], split[1], split[2], split[3]
