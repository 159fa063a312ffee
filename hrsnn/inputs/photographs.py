"""Photographs of any size become rows of 784 grey values, as networks learn them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin

from hrsnn.datasets.views import VIEWS, decode_photograph, shrink

__all__ = ["PhotographView"]


class PhotographView(TransformerMixin, BaseEstimator):
    """Make photographs grey, blur and resize them, and show what a network can learn from.

    A network of this kind learns where the input is strong, while photographs have bright and dark backgrounds alike.
    Nothing is fitted: each image is seen by itself, as `hrsnn.datasets.caltech101` sees its own.

    Parameters
    ----------
    view : {"object", "grey", "orientations"}
        "grey": the grey values, stretched to 28x28. "object": their distance from the background (the median of the
        image's border), bright on dark whatever the polarity. "orientations": strength of edges in 16 directions
        around 7x7 places. For the last two the image is first made square by background on two sides.

    See Also
    --------
    hrsnn.datasets.views : the single steps.
    """

    def __init__(self, view: str = "object"):
        self.view = view

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any = None, y: Any = None) -> PhotographView:
        """Do nothing."""
        return self

    def transform(self, X: Sequence[Any]) -> np.ndarray:
        """See photographs.

        Parameters
        ----------
        X : sequence of uint8 array or path
            Each of shape (height, width), grey, or (height, width, 3), red, green and blue; or a file that Pillow
            reads. Sizes may differ.

        Returns
        -------
        uint8 array of shape (n_images, 784)

        Raises
        ------
        ValueError
            If the view is unknown, there are no images, or one is not as above.
        FileNotFoundError
            If a file is missing.
        """
        if self.view not in VIEWS:
            raise ValueError(f"view must be one of {', '.join(map(repr, VIEWS))}, got {self.view!r}.")
        if isinstance(X, (str, os.PathLike)) or not len(X):
            raise ValueError(f"X must be a list of images, got {X!r}. One image is [image].")
        view = VIEWS[self.view]
        return np.stack(
            [view.see(shrink(_grey(image, f"X[{k}]"), view.size, view.square)).ravel() for k, image in enumerate(X)]
        )


def _grey(image: Any, who: str) -> np.ndarray:
    if isinstance(image, (str, os.PathLike)):
        return decode_photograph(Path(image).read_bytes(), str(image))
    array = np.asarray(image)
    colour = array.ndim == 3 and array.shape[2] == 3
    if array.dtype != np.uint8 or not (array.ndim == 2 or colour) or min(array.shape) < 3:
        raise ValueError(
            f"{who} must be uint8 of shape (height, width) or (height, width, 3), at least 3 pixels either way, "
            f"got {array.dtype} of shape {array.shape}."
        )
    return np.asarray(Image.fromarray(array).convert("L")) if colour else array
