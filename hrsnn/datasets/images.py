"""Images as rows of grey values 0..255: digits, MNIST and every set of its format, noise for them."""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from hrsnn.datasets._files import cache_folder, locate

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_MNIST_URLS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_MNIST_SHA256 = (
    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
)
_FASHION_URLS = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
_FASHION_SHA256 = (
    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
)


def digits(size: int = 8, test_size: float = 0.25, seed: int = 0) -> Split:
    """Load the 1,797 handwritten digits that come with scikit-learn; nothing is downloaded.

    Parameters
    ----------
    size : {8, 28}
        8: the original 8x8 pixels. 28: laid out as MNIST, the digit enlarged (bilinear) to 20x20 pixels
        in the middle of 28x28.
    test_size : float
        Fraction of test images of each digit, 0 < test_size < 1.
    seed : int
        Seed of the split. The set names no writers, so both parts share them.

    Returns
    -------
    X_train, X_test : uint8 array of shape (n_samples, size * size)
        Grey values 0 (background) to 255.
    y_train, y_test : int array of shape (n_samples,)
        The digits.

    Raises
    ------
    ValueError
        If `size` or `test_size` is out of range.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    if size not in (8, 28):
        raise ValueError(f"size must be 8 or 28, got {size!r}.")
    if not 0 < test_size < 1:
        raise ValueError(f"test_size must be in (0, 1), got {test_size!r}.")
    images, y = load_digits(return_X_y=True)
    X = np.rint(images * (255 / 16)).astype(np.uint8)
    if size == 28:
        X = np.stack([_as_mnist(row.reshape(8, 8)) for row in X])
    return tuple(train_test_split(X, y.astype(np.int64), test_size=test_size, random_state=seed, stratify=y))


def _as_mnist(image: np.ndarray) -> np.ndarray:
    from PIL import Image

    large = Image.fromarray(image).resize((20, 20), Image.Resampling.BILINEAR)
    return np.pad(np.asarray(large), 4).ravel()


def mnist(folder: str | os.PathLike | None = None) -> Split:
    """Load MNIST, or any set of four IDX files with its names.

    Parameters
    ----------
    folder : path, optional
        Folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
        ``t10k-labels-idx1-ubyte``, each plain or with ``.gz``. Other images of that format are welcome: any
        number, any size. By default the files are sought in ``HRSNN_DATA`` (also in its subfolder
        ``mnist``) and in the cache, and else downloaded (12 MB, sha256 checked).

    Returns
    -------
    X_train, X_test : uint8 array of shape (n_samples, height * width)
        Grey values 0 (background) to 255.
    y_train, y_test : int array of shape (n_samples,)
        The labels.

    Raises
    ------
    FileNotFoundError
        If a file is missing and cannot be downloaded.
    ValueError
        If a file is not IDX, is damaged, or images and labels do not belong together.

    References
    ----------
    .. [1] LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition,
       Proc. IEEE 86:2278.
    """
    return _idx_set("MNIST", "mnist", folder, _MNIST_URLS, _MNIST_SHA256)


def fashion_mnist(folder: str | os.PathLike | None = None) -> Split:
    """Load Fashion-MNIST (28x28 pictures of ten kinds of clothing).

    Parameters
    ----------
    folder : path, optional
        Folder with the four IDX files, named as those of `mnist`. By default ``HRSNN_DATA/fashion_mnist``,
        the cache, or a download (30 MB, sha256 checked). ``HRSNN_DATA`` itself is not searched, because
        files of the same name there are MNIST.

    Returns
    -------
    X_train, X_test : uint8 array of shape (n_samples, 784)
        Grey values 0 (background) to 255.
    y_train, y_test : int array of shape (n_samples,)
        0 T-shirt, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 boot.

    Raises
    ------
    FileNotFoundError, ValueError
        As in `mnist`.

    References
    ----------
    .. [1] Xiao, Rasul, Vollgraf (2017), Fashion-MNIST, arXiv 1708.07747.
    """
    return _idx_set("Fashion-MNIST", "fashion_mnist", folder, _FASHION_URLS, _FASHION_SHA256, flat=False)


def add_noise(
    X: np.ndarray, snr: float = 9.5, contrast: float = 1.0, reference: str = "unit", seed: int | None = None
) -> np.ndarray:
    """Lower the contrast of images and add white Gaussian noise.

    On grey values scaled to 0..1 the result is ``clip(contrast * x + sigma * n, 0, 1)``, with n standard
    normal and ``sigma = sqrt(power) 10^(-snr / 20)``. The noisy digits of the source are
    ``add_noise(X, 9.5)`` (white noise) and ``add_noise(X, 12, contrast=0.5)`` (reduced contrast and noise).

    Parameters
    ----------
    X : uint8 array of shape (n_samples, n_features)
        Grey values 0..255. Not changed.
    snr : float
        Signal-to-noise ratio in dB.
    contrast : float
        Factor about black, 0 < contrast <= 1.
    reference : {"unit", "measured"}
        Signal power: 1 (0 dBW, so sigma is 0.335 at 9.5 dB and 0.251 at 12 dB), or the mean square of
        the images after the contrast is lowered. The source does not say which; 1 is our choice.
    seed : int, optional
        Seed of the noise; fresh entropy if None.

    Returns
    -------
    uint8 array of shape (n_samples, n_features)
        Grey values 0..255.

    Raises
    ------
    ValueError
        If `X` is not uint8 or an argument is out of range.

    References
    ----------
    .. [1] Basu et al. (2017), Learning sparse feature representations using probabilistic quadtrees and deep
       belief nets, Neural Processing Letters 45:855 (n-MNIST).
    .. [2] Rathi (2021), section 3.6.3, trains and tests on noisy images.
    """
    X = np.asarray(X)
    if X.dtype != np.uint8:
        raise ValueError(f"X must be uint8 grey values 0..255, got {X.dtype}.")
    if not 0 < contrast <= 1:
        raise ValueError(f"contrast must be in (0, 1], got {contrast!r}.")
    if not math.isfinite(snr):
        raise ValueError(f"snr must be a finite number of dB, got {snr!r}.")
    if reference not in ("unit", "measured"):
        raise ValueError(f"reference must be 'unit' or 'measured', got {reference!r}.")
    clean = X * np.float32(contrast / 255)
    power = 1.0 if reference == "unit" else float(np.mean(np.square(clean), dtype=float))
    noise = np.random.default_rng(seed).standard_normal(X.shape, dtype=np.float32)
    noisy = clean + np.float32(math.sqrt(power) * 10 ** (-snr / 20)) * noise
    return np.rint(255 * np.clip(noisy, 0, 1)).astype(np.uint8)


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Read one IDX file, the format of MNIST, plain or gzipped.

    Parameters
    ----------
    path : path
        The file. Gzip is recognised by its content, not by its name.

    Returns
    -------
    array
        Shape and type as the header says, in the machine's byte order.

    Raises
    ------
    ValueError
        If the file is not IDX, is truncated or too long, or its gzip stream is damaged.

    References
    ----------
    .. [1] LeCun, Cortes, Burges, The MNIST database: bytes 0, 0, type code, number of dimensions; the
       dimensions as big-endian 32-bit integers; the data, last dimension fastest.
    """
    path = Path(path)
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is a damaged or truncated gzip file ({error}). Get it again.") from error
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _IDX_TYPES:
        raise ValueError(
            f"{path} is not an IDX file: it starts with bytes {raw[:4].hex(' ') or '(none)'}, "
            "expected 00 00, a type code 08..0e and the number of dimensions."
        )
    dtype, n_dim = np.dtype(_IDX_TYPES[raw[2]]), raw[3]
    start = 4 + 4 * n_dim
    if len(raw) < start:
        raise ValueError(f"{path} is truncated: its header needs {start} bytes, the file has {len(raw)}.")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", n_dim, 4))
    expected = math.prod(shape) * dtype.itemsize
    if len(raw) - start != expected:
        kind = "is truncated" if len(raw) - start < expected else "is too long"
        raise ValueError(
            f"{path} {kind}: its header announces shape {shape}, {expected} bytes of data, "
            f"but {len(raw) - start} follow. Get the file again."
        )
    return np.frombuffer(raw, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _idx_set(
    title: str,
    subset: str,
    folder: str | os.PathLike | None,
    urls: tuple[str, ...],
    hashes: tuple[str, ...],
    flat: bool = True,
) -> Split:
    parts = []
    for name, sha256 in zip(_MNIST_FILES, hashes, strict=True):
        path = locate(
            (name + ".gz", name, name.replace("-idx", ".idx")),
            folder,
            title=title,
            subset=subset,
            flat=flat,
            urls=[url + name + ".gz" for url in urls],
            known_hash=f"sha256:{sha256}",
        )
        if path.parent != cache_folder() / subset:
            folder = path.parent  # the four files of one set lie together: never mix own data with a download
        parts.append(_idx_part(title, path, images="images" in name))
    X_train, y_train, X_test, y_test = parts
    for part, X, y in (("train", X_train, y_train), ("t10k", X_test, y_test)):
        if len(X) != len(y):
            raise ValueError(f"{title}: the {part} files hold {len(X)} images but {len(y)} labels. Check the files.")
        if X.size == 0:
            raise ValueError(f"{title}: the {part} files hold no images. Check the files.")
    if X_train.shape[1:] != X_test.shape[1:]:
        raise ValueError(
            f"{title}: training images are {X_train.shape[1:]} and test images {X_test.shape[1:]} pixels. "
            "Put files of one set together."
        )
    return X_train.reshape(len(X_train), -1), X_test.reshape(len(X_test), -1), y_train, y_test


def _idx_part(title: str, path: Path, images: bool) -> np.ndarray:
    array = read_idx(path)
    if array.ndim != (3 if images else 1) or array.dtype != np.uint8:
        raise ValueError(
            f"{path} holds {array.dtype} of shape {array.shape}, but {title} needs "
            f"{'images: uint8 of shape (n, height, width)' if images else 'labels: uint8 of shape (n,)'}."
        )
    return array if images else array.astype(np.int64)
