"""CIFAR-10 as grey images, from picture files in a folder or an archive."""

import os
from pathlib import PurePosixPath

import numpy as np

from hrsnn.datasets._archives import members
from hrsnn.datasets._files import locate
from hrsnn.datasets.images import Split
from hrsnn.datasets.views import decode_photograph

__all__ = ["CIFAR10_CLASSES", "cifar10_files"]

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_NAMES = ("cifar10-test1000-jpeg.tar.xz", "cifar10.tar.gz", "cifar10.zip", "cifar10")
_SIDE = 32


def cifar10_files(folder: str | os.PathLike | None = None, test_size: float = 0.25, seed: int = 0) -> Split:
    """Load pictures of CIFAR-10, grey, and split them at random.

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

    Returns
    -------
    X_train, X_test : uint8 array of shape (n_samples, 1024)
        Grey values 0 to 255 (luminance, ITU-R 601).
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
        image = decode_photograph(raw, f"{path}: {name}")
        if image.shape != (_SIDE, _SIDE):
            raise ValueError(f"{path}: {name} has {image.shape} pixels. CIFAR-10 has pictures of 32 x 32.")
        X.append(image.ravel())
        y.append(CIFAR10_CLASSES.index(PurePosixPath(name).parent.name))
    if not X:
        raise ValueError(f"{path} has no pictures in folders named {', '.join(CIFAR10_CLASSES[:2])} and so on.")
    split = train_test_split(np.stack(X), np.array(y), test_size=test_size, random_state=seed, stratify=y)
    return split[0], split[1], split[2], split[3]
