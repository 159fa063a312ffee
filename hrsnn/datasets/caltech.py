"""Ten categories of Caltech-101 as 28x28 images."""

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from hrsnn.datasets._archives import members
from hrsnn.datasets._files import locate
from hrsnn.datasets.views import SIZE, VIEWS, Box, crop, decode_photograph, move, shrink

CALTECH_CATEGORIES = (
    "yin_yang",
    "saxophone",
    "stop_sign",
    "wrench",
    "revolver",
    "buddha",
    "airplanes",
    "pigeon",
    "Motorbikes",
    "umbrella",
)
_TITLE = "Caltech-101"
_URL = "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip"
_HASH = "md5:3138e1922a9193bfa496528edbbc45d0"
_ZIP, _IMAGES_TAR, _BOXES_TAR = "caltech-101.zip", "101_ObjectCategories.tar.gz", "Annotations.tar"
_NAMES = (_ZIP, _IMAGES_TAR, "101_ObjectCategories", "caltech101-10.tar", CALTECH_CATEGORIES[0])
_ANNOTATIONS = {"airplanes": "Airplanes_Side_2", "Motorbikes": "Motorbikes_16"}


def caltech101(
    folder: str | os.PathLike | None = None,
    view: str = "object",
    oversample: int | None = 1000,
    oversample_test: int | None = None,
    shift: int = 0,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Load ten categories of Caltech-101 as 28x28 images.

    Each photograph is cropped to its annotated box (where there is one), made grey, blurred with a 3x3
    Gaussian kernel and resized to 28x28. Of each category 80 % of the images are for training, the rest for
    the test; only then is each category brought to `oversample` training images by copies, so no copy of a
    test image is ever trained on.

    Parameters
    ----------
    folder : path, optional
        Folder with ``101_ObjectCategories`` (unpacked or ``.tar.gz``), with the folders of the categories,
        or with ``caltech101-10.tar``. Boxes come from ``index.csv`` (columns file, x0, y0, x1, y1) or the
        folder ``Annotations`` beside it. By default ``HRSNN_DATA`` (also its subfolder ``caltech101``), the
        cache, or a download (137 MB, checked).
    view : {"object", "grey", "orientations"}
        "grey": the source's grey values. "object": each pixel's distance from the grey of the background
        (the median of the image's border), stretched to 0..255, so that objects are bright on a dark
        background as in MNIST, whatever their polarity. "orientations": strength of edges in 16 directions
        around 7x7 places, as 4x4 tiles of the 28x28 values. "object" and "orientations" are our choice, not
        the source's; for them the image is first made square by background on two sides, while the source
        stretches it.
    oversample : int, optional
        Training images of each category after copying (each image the same number of times, up to one);
        a category with more is cut to that number. None: no copies.
    oversample_test : int, optional
        The same for the test images, as in the source. None: each test image once; categories then
        differ in size, so look at balanced accuracy too.
    shift : int
        Move each training copy by up to that many pixels (of 28) at random, at least once unmoved; 0: exact copies,
        as in the source.
    seed : int
        Seed of the split, the copies, the shifts and the order.

    Returns
    -------
    X_train, X_test : uint8 array of shape (n_samples, 784)
        Values 0 to 255.
    y_train, y_test : int array of shape (n_samples,)
        Position of the category in ``CALTECH_CATEGORIES``.

    Raises
    ------
    FileNotFoundError
        If the images are missing and cannot be downloaded, or a category is missing.
    ValueError
        If an image or the archive is damaged, or an argument is out of range.

    References
    ----------
    .. [1] Rathi (2021), section 2.4.2.
    .. [2] Li, Andreeto, Ranzato, Perona (2022), Caltech 101, doi 10.22002/D1.20086 (CC BY 4.0).
    """
    if view not in VIEWS:
        raise ValueError(f"view must be one of {', '.join(map(repr, VIEWS))}, got {view!r}.")
    for name, count in (("oversample", oversample), ("oversample_test", oversample_test)):
        if count is not None and count < 1:
            raise ValueError(f"{name} must be at least 1 or None, got {count!r}.")
    if not 0 <= shift < SIZE // 2:
        raise ValueError(f"shift must be 0 to {SIZE // 2 - 1} pixels, got {shift!r}.")
    path = locate(_NAMES, folder, title=_TITLE, subset="caltech101", urls=[_URL], known_hash=_HASH)
    seen = VIEWS[view]
    images, y = _distinct(*_load(path, seen.size, seen.square))
    rng_split, rng_train, rng_test, rng_shift = np.random.default_rng(seed).spawn(4)
    train, test = _split(y, rng_split)
    train, test = _copies(train, y, oversample, rng_train), _copies(test, y, oversample_test, rng_test)
    X = np.stack([seen.see(image).ravel() for image in images])
    X_train = X[train]
    if shift:
        first = np.unique(train, return_index=True)[1]
        for k in np.setdiff1d(np.arange(len(train)), first):
            dx, dy = rng_shift.integers(-shift, shift + 1, 2) * (seen.size // SIZE)
            X_train[k] = seen.see(move(images[train[k]], dx, dy)).ravel()
    return X_train, X[test], y[train], y[test]


def _load(path: Path, size: int, square: bool) -> tuple[np.ndarray, np.ndarray]:
    boxes = _boxes(path)
    images, y = [], []
    for category, name, raw in sorted(_files(path, _IMAGES_TAR)):
        if not (name.startswith("image_") and name.endswith(".jpg")):
            continue
        who = f"{path}: {category}/{name}"
        image, box = decode_photograph(raw, who), boxes.get((category, name))
        images.append(shrink(image if box is None else crop(image, box, who), size, square))
        y.append(CALTECH_CATEGORIES.index(category))
    missing = [c for k, c in enumerate(CALTECH_CATEGORIES) if y.count(k) < 2]
    if missing:
        raise FileNotFoundError(
            f"{_TITLE}: {path} has fewer than two images (image_NNNN.jpg) of: {', '.join(missing)}. "
            "Get the full set or the ten categories."
        )
    return np.stack(images), np.array(y)


def _files(path: Path, inner: str) -> Iterator[tuple[str, str, bytes]]:
    """Yield folder, file name and content of each file of the ten categories."""
    folders = {*CALTECH_CATEGORIES, *_ANNOTATIONS.values()}
    root = path.parent if path.name in CALTECH_CATEGORIES else path
    for name, raw in members(root, lambda name: PurePosixPath(name).parent.name in folders, inner):
        yield PurePosixPath(name).parent.name, PurePosixPath(name).name, raw


def _boxes(path: Path) -> dict[tuple[str, str], Box]:
    """Return the annotated boxes (x0, y0, x1, y1) by category and file name; empty if there are none."""
    homes = [path.parent, path] if path.name == "101_ObjectCategories" else [path.parent]
    tables = [home / "index.csv" for home in homes if (home / "index.csv").is_file()]
    if tables:
        return _table_boxes(tables[0])
    if path.suffix == ".zip":
        return _mat_boxes(path)
    places = (home / name for home in homes for name in ("Annotations", _BOXES_TAR))
    return next((_mat_boxes(place) for place in places if place.exists()), {})


def _table_boxes(path: Path) -> dict[tuple[str, str], Box]:
    boxes = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            try:
                if row["x0"]:
                    category, name = row["file"].split("/")
                    x0, y0, x1, y1 = (int(row[k]) for k in ("x0", "y0", "x1", "y1"))
                    boxes[category, name] = (x0, y0, x1, y1)
            except (KeyError, ValueError, TypeError) as error:
                raise ValueError(
                    f"{path}: no box can be read from {dict(row)} ({error!r}). "
                    "Columns must be file (category/image_NNNN.jpg), x0, y0, x1, y1; empty boxes are allowed."
                ) from error
    return boxes


def _mat_boxes(path: Path) -> dict[tuple[str, str], Box]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    category_of = {folder: category for category, folder in _ANNOTATIONS.items()}
    boxes = {}
    for folder, name, raw in _files(path, _BOXES_TAR):
        if not (name.startswith("annotation_") and name.endswith(".mat")):
            continue
        try:
            y0, y1, x0, x1 = (int(v) for v in loadmat(io.BytesIO(raw))["box_coord"].ravel())
        except (KeyError, ValueError, TypeError, OSError, MatReadError) as error:
            raise ValueError(f"{path}: {folder}/{name} holds no box_coord ({error}). Get it again.") from error
        image = name.replace("annotation", "image").replace(".mat", ".jpg")
        boxes[category_of.get(folder, folder), image] = (x0, y0, x1, y1)
    return boxes


def _distinct(images: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep one of equal images, so that the two parts of a split can share none."""
    first = np.sort(np.unique(images.reshape(len(images), -1), axis=0, return_index=True)[1])
    return images[first], y[first]


def _split(y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    train, test = [], []
    for k in range(len(CALTECH_CATEGORIES)):
        rows = rng.permutation(np.flatnonzero(y == k))
        n_test = max(1, round(0.2 * len(rows)))
        test.append(rows[:n_test])
        train.append(rows[n_test:])
    return np.concatenate(train), np.concatenate(test)


def _copies(rows: np.ndarray, y: np.ndarray, count: int | None, rng: np.random.Generator) -> np.ndarray:
    if count is None:
        return rng.permutation(rows)
    parts = []
    for k in np.unique(y[rows]):
        own = rows[y[rows] == k]
        whole, rest = divmod(count, len(own))
        parts += [np.tile(own, whole), rng.permutation(own)[:rest]]
    return rng.permutation(np.concatenate(parts))
