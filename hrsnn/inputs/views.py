"""Views of images that go before a classifier in a pipeline: on and off centres, orientations, equal contrast."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
from scipy import ndimage
from sklearn.base import BaseEstimator, TransformerMixin

from hrsnn.checks import check_integer
from hrsnn.datasets.views import oriented_edges
from hrsnn.inputs.encoders import check_samples, unit_range

__all__ = ["ContrastNormalisation", "OnOffView", "OrientationView"]


class _ImageView(TransformerMixin, BaseEstimator):
    """What all views of rows of grey values share: nothing is fitted, each image is seen by itself."""

    shape: tuple[int, int] | None

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any = None, y: Any = None) -> Any:
        """Do nothing."""
        return self

    def transform(self, X: Any) -> np.ndarray:
        """See images.

        Parameters
        ----------
        X : array of shape (n_images, height * width)
            Grey values, integers in 0..255 or floats in [0, 1].

        Returns
        -------
        uint8 array of shape (n_images, n_values)

        Raises
        ------
        ValueError
            If X or a setting is out of range, or the images are not of that shape.
        """
        self._check()
        images = unit_range(X).reshape(-1, *self._size(check_samples(X).shape[1]))
        return np.stack([np.rint(255 * np.clip(self._see(image), 0, 1)).astype(np.uint8).ravel() for image in images])

    def _size(self, n_pixels: int) -> tuple[int, int]:
        if self.shape is None:
            side = isqrt(n_pixels)
            if side * side != n_pixels:
                raise ValueError(f"Images of {n_pixels} pixels are not square. Pass shape=(height, width).")
            return side, side
        height, width = self.shape
        if height * width != n_pixels:
            raise ValueError(f"X has {n_pixels} columns, but shape={self.shape} has {height * width} pixels.")
        return height, width

    def _check(self) -> None:
        raise NotImplementedError

    def _see(self, image: np.ndarray) -> np.ndarray:
        """Return values in [0, 1], of any shape, for an image of shape (height, width) in [0, 1]."""
        raise NotImplementedError

    def _check_positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not 0 < value < np.inf:
                raise ValueError(f"{type(self).__name__}: {name} must be positive and finite, got {value!r}.")


class OnOffView(_ImageView):
    """Show where a pixel is brighter than its surround, and then where it is darker: centres of the retina.

    The image blurred over ``centre`` minus the image blurred over ``surround``: positive values are the first half of
    the result, negative ones the second. An even grey shows nothing, and an object is seen alike on a bright and on a
    dark background, only with its halves exchanged. The largest percent of an image's values becomes 255.

    Parameters
    ----------
    centre, surround : float
        Standard deviations of the two Gaussian kernels in pixels; the surround is the larger.
    shape : tuple of int, optional
        Height and width of the images; square if None.

    References
    ----------
    .. [1] Enroth-Cugell & Robson (1966), The contrast sensitivity of retinal ganglion cells of the cat, J. Physiol.
       187:517 (difference of Gaussians).
    """

    def __init__(self, centre: float = 1.0, surround: float = 3.0, shape: tuple[int, int] | None = None):
        self.centre, self.surround, self.shape = centre, surround, shape

    def _check(self) -> None:
        self._check_positive("centre", "surround")
        if self.surround <= self.centre:
            raise ValueError(f"surround must be larger than centre={self.centre!r}, got {self.surround!r}.")

    def _see(self, image: np.ndarray) -> np.ndarray:
        blurred = [ndimage.gaussian_filter(image, sigma, mode="nearest") for sigma in (self.centre, self.surround)]
        difference = blurred[0] - blurred[1]
        return _stretched(np.stack([difference, -difference]).clip(0))


class OrientationView(_ImageView):
    """Show how strong edges of each direction are around places of an image.

    Of the gradient (Sobel), directions are told as in ``datasets.views.orientations``, which sees photographs of 56x56
    pixels in 16 directions around 7x7 places. The largest percent of an image's values becomes 255.

    Parameters
    ----------
    n_directions : int
        Directions in half a turn, at least 2.
    pool : int
        Side in pixels of the squares over which strength is averaged, after a blur of three eighths of it.
    shape : tuple of int, optional
        Height and width of the images; square if None. What is more than whole squares is left out.
    """

    def __init__(self, n_directions: int = 8, pool: int = 4, shape: tuple[int, int] | None = None):
        self.n_directions, self.pool, self.shape = n_directions, pool, shape

    def _check(self) -> None:
        check_integer("n_directions", self.n_directions, 2)
        check_integer("pool", self.pool, 1)

    def _see(self, image: np.ndarray) -> np.ndarray:
        height, width = (side // self.pool for side in image.shape)
        if not height * width:
            raise ValueError(f"pool={self.pool} is larger than the images of {image.shape} pixels.")
        edges = oriented_edges(image, self.n_directions)
        blurred = ndimage.gaussian_filter(edges, (0, 3 / 8 * self.pool, 3 / 8 * self.pool), mode="reflect")
        cut = blurred[:, : height * self.pool, : width * self.pool]
        return _stretched(cut.reshape(len(edges), height, self.pool, width, self.pool).mean(axis=(2, 4)))


class ContrastNormalisation(_ImageView):
    """Give images, or each part of an image, the same mean and the same contrast.

    From each pixel the mean is taken, and what is left is divided by the standard deviation, of the whole image or of
    its surround. The mean becomes half of the range, and ``full`` standard deviations reach its ends. A network that
    learns where input is strong wants an ``OnOffView`` after it.

    Parameters
    ----------
    sigma : float, optional
        Standard deviation of the Gaussian surround in pixels; the whole image if None.
    full : float
        Standard deviations between grey and black, and between grey and white.
    floor : float
        Smallest standard deviation that is divided by, as a share of the range of grey values, so that noise in even
        parts stays small.
    shape : tuple of int, optional
        Height and width of the images; square if None.

    References
    ----------
    .. [1] Jarrett, Kavukcuoglu, Ranzato & LeCun (2009), What is the best multi-stage architecture for object
       recognition?, ICCV (local contrast normalisation).
    """

    def __init__(
        self,
        sigma: float | None = None,
        full: float = 3.0,
        floor: float = 0.02,
        shape: tuple[int, int] | None = None,
    ):
        self.sigma, self.full, self.floor, self.shape = sigma, full, floor, shape

    def _check(self) -> None:
        self._check_positive("full", "floor", *(["sigma"] if self.sigma is not None else []))

    def _see(self, image: np.ndarray) -> np.ndarray:
        def mean(values: np.ndarray) -> Any:
            return values.mean() if self.sigma is None else ndimage.gaussian_filter(values, self.sigma, mode="nearest")

        left = image - mean(image)
        deviation = np.maximum(np.sqrt(mean(left**2)), self.floor)
        return 0.5 + left / deviation / (2 * self.full)


def _stretched(values: np.ndarray) -> np.ndarray:
    """Divide by the 99th percentile, or by a grey level where that is more: an even image stays black."""
    return values / max(float(np.percentile(values, 99)), 1 / 255)
