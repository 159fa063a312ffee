"""Photographs as small images: grey, cropped, blurred, resized, and what a network is shown of them.

``"grey"`` are the grey values. ``"object"`` is each pixel's distance from the grey of the background (the median of the
image's border), stretched to 0..255: bright objects on a dark background whatever their polarity. ``"orientations"`` is
the strength of edges in 16 directions around 7x7 places, as 4x4 tiles.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

__all__ = [
    "VIEWS",
    "View",
    "crop",
    "decode_photograph",
    "move",
    "object_view",
    "orientations",
    "oriented_edges",
    "shrink",
]

Box = tuple[int, int, int, int]

SIZE = 28
_BLUR = np.outer([1, 2, 1], [1, 2, 1]) / 16  # the 3x3 binomial (Gaussian) kernel


@dataclass(frozen=True)
class View:
    """What is seen of a photograph, as 784 grey values.

    Attributes
    ----------
    see : callable
        From a small image to the 28x28 values that are shown.
    size : int
        Height and width in pixels of the small image it looks at.
    square : bool
        Whether the photograph is made square by background on two sides; otherwise it is stretched.
    """

    see: Callable[[np.ndarray], np.ndarray]
    size: int
    square: bool


def decode_photograph(raw: bytes, who: str, colour: bool = False) -> np.ndarray:
    """Return the grey values (luminance, ITU-R 601) of the content of an image file, or its red, green and blue.

    Parameters
    ----------
    raw : bytes
        Any format that Pillow reads.
    who : str
        Where it comes from; errors begin with it.
    colour : bool

    Returns
    -------
    uint8 array of shape (height, width), or (height, width, 3)

    Raises
    ------
    ValueError
        If it is no image, or damaged.
    """
    from PIL import Image

    try:
        return np.asarray(Image.open(io.BytesIO(raw)).convert("RGB" if colour else "L"))
    except (OSError, SyntaxError) as error:  # what Pillow raises for damaged files
        raise ValueError(f"{who} is not a readable image ({error}). Get it again.") from error


def crop(image: np.ndarray, box: Box, who: str) -> np.ndarray:
    """Return the part of an image inside a box, as far as it reaches.

    Parameters
    ----------
    image : array of shape (height, width)
    box : tuple of int
        x0, y0, x1, y1; x1 and y1 are outside.
    who : str
        The error begins with it.

    Raises
    ------
    ValueError
        If the box lies outside the image.
    """
    height, width = image.shape
    x0, y0, x1, y1 = max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"{who}: the box {box} lies outside the image of {width} x {height} pixels.")
    return image[y0:y1, x0:x1]


def shrink(image: np.ndarray, size: int, square: bool) -> np.ndarray:
    """Blur grey values with a 3x3 Gaussian kernel, and resize them.

    Parameters
    ----------
    image : uint8 array of shape (height, width)
    size : int
        Height and width of the result, in pixels.
    square : bool
        Whether the image is made square by background on two sides first; otherwise it is stretched.

    Returns
    -------
    uint8 array of shape (size, size)
        Means over the pixels that become one.
    """
    from PIL import Image

    blurred = ndimage.convolve(np.asarray(image, dtype=np.float32), _BLUR, mode="nearest")
    if square:
        gaps = [max(blurred.shape) - n for n in blurred.shape]
        blurred = np.pad(blurred, [(g // 2, g - g // 2) for g in gaps], constant_values=_background(blurred))
    return _to_uint8(np.asarray(Image.fromarray(blurred).resize((size, size), Image.Resampling.BILINEAR)))


def move(image: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """Return an image whose content is dx pixels further left and dy further up; its edge is repeated."""
    pad = max(abs(dx), abs(dy))
    return np.pad(image, pad, mode="edge")[pad + dy : pad + dy + len(image), pad + dx : pad + dx + len(image)]


def object_view(image: np.ndarray) -> np.ndarray:
    """Return each pixel's distance from the grey of the background, stretched to 0..255.

    Parameters
    ----------
    image : array of shape (height, width)

    Returns
    -------
    uint8 array of shape (height, width)
    """
    return _to_uint8(255 * _stretch(np.abs(image - _background(image))))


def oriented_edges(image: np.ndarray, n_directions: int) -> np.ndarray:
    """Return the strength of the gradient (Sobel) along directions of half a turn; between two neighbours it is shared.

    Parameters
    ----------
    image : array of shape (height, width)
    n_directions : int
        At least 2.

    Returns
    -------
    array of shape (n_directions, height, width)
        Direction k is k pi / n_directions from the rows.
    """
    grey = image.astype(float)
    gy, gx = ndimage.sobel(grey, 0, mode="nearest"), ndimage.sobel(grey, 1, mode="nearest")
    strength, angle = np.hypot(gx, gy), np.arctan2(gy, gx)
    turns = np.pi / n_directions * np.arange(n_directions)[:, None, None]
    next_one = np.cos(np.pi / n_directions)
    closeness = np.abs(np.cos(angle - turns))  # 1 along the direction
    return strength * np.clip((closeness - next_one) / (1 - next_one), 0, 1)


def orientations(image: np.ndarray) -> np.ndarray:
    """Return gradient strength in 16 directions, blurred and averaged over squares of 8x8 pixels, as 4x4 tiles.

    Parameters
    ----------
    image : array of shape (56, 56)

    Returns
    -------
    uint8 array of shape (28, 28)
        Tile k, of 7x7 values, holds direction k pi / 16.
    """
    edges = oriented_edges(image, 16)
    tiles = [ndimage.gaussian_filter(edge, 3).reshape(7, 8, 7, 8).mean(axis=(1, 3)) for edge in edges]
    return _to_uint8(255 * _stretch(np.block([tiles[k : k + 4] for k in range(0, 16, 4)])))


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def _stretch(values: np.ndarray) -> np.ndarray:
    return np.clip(values / max(float(np.percentile(values, 99)), 1.0), 0, 1)


def _background(image: np.ndarray) -> float:
    return float(np.median(np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])))


def _same(image: np.ndarray) -> np.ndarray:
    return image


VIEWS = {
    "object": View(object_view, SIZE, square=True),
    "grey": View(_same, SIZE, square=False),
    "orientations": View(orientations, 2 * SIZE, square=True),
}
