"""What a network is shown of a photograph: each step against values that can be checked by hand."""

import io

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from hrsnn.datasets.views import VIEWS, crop, decode_photograph, move, object_view, orientations, shrink


def png(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "png")
    return stream.getvalue()


def test_blur_is_the_binomial_kernel():
    image = np.zeros((28, 28), np.uint8)  # already of the final size: no resampling
    image[10, 12] = 160
    expected = np.zeros((28, 28))
    expected[9:12, 11:14] = [[10, 20, 10], [20, 40, 20], [10, 20, 10]]
    assert_array_equal(shrink(image, 28, square=False), expected)


def test_resizing_averages_over_the_pixels_it_merges():
    """A fine chequerboard becomes an even grey instead of a pattern of its own."""
    board = (np.indices((280, 280)).sum(0) % 2 * 255).astype(np.uint8)
    assert_allclose(shrink(board, 28, square=False), 127.5, atol=1)


def test_square_keeps_the_aspect_ratio_on_background():
    image = np.full((56, 112), 40, np.uint8)
    image[16:40, 28:84] = 240
    seen = shrink(image, 28, square=True)
    assert_array_equal(np.flatnonzero((seen > 140).any(1)), np.arange(11, 17))  # rows 44 to 68 of 112
    assert_array_equal(np.flatnonzero((seen > 140).any(0)), np.arange(7, 21))
    assert_array_equal(seen[:9], 40)
    stretched = shrink(image, 28, square=False)
    assert_array_equal(np.flatnonzero((stretched > 140).any(1)), np.arange(8, 20))


def test_colour_is_turned_into_luminance():
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = 200
    assert_array_equal(decode_photograph(png(red), "a"), round(0.299 * 200))  # ITU-R 601


@pytest.mark.parametrize("view", ["object", "orientations"])
def test_views_ignore_polarity(view):
    see, size = VIEWS[view].see, VIEWS[view].size
    image = np.random.default_rng(1).integers(0, 256, (size, size), dtype=np.uint8)
    assert_array_equal(see(image), see(255 - image))


@pytest.mark.parametrize("background", [10, 200])
def test_object_view_is_dark_behind_and_bright_on_the_object(background):
    image = np.full((28, 28), background, np.uint8)
    image[8:20, 8:20] = 100
    seen = object_view(image)
    assert_array_equal(seen[8:20, 8:20], 255)
    assert seen.sum() == 144 * 255


@pytest.mark.parametrize("direction", range(16))
def test_orientation_view_answers_in_its_own_tile(direction):
    y, x = np.indices((56, 56)) - 27.5
    angle = np.pi * direction / 16
    seen = orientations(127 + 2 * (np.cos(angle) * x + np.sin(angle) * y))
    inside = seen.reshape(4, 7, 4, 7).swapaxes(1, 2).reshape(16, 7, 7)[:, 1:-1, 1:-1].astype(float)
    assert inside[direction].min() > 200
    assert_array_equal(np.delete(inside, direction, axis=0), 0)


def test_orientation_view_is_a_blurred_and_pooled_gradient():
    """Against the same sums written out, for one tile of a random image."""
    image = np.random.default_rng(2).integers(0, 256, (56, 56)).astype(float)
    padded = np.pad(image, 1, mode="edge")
    window = lambda dy, dx: padded[1 + dy : 57 + dy, 1 + dx : 57 + dx]  # noqa: E731
    gx = sum(w * (window(dy, 1) - window(dy, -1)) for dy, w in ((-1, 1), (0, 2), (1, 1)))
    gy = sum(w * (window(1, dx) - window(-1, dx)) for dx, w in ((-1, 1), (0, 2), (1, 1)))
    angle, kernel = np.arctan2(gy, gx), np.exp(-(np.arange(-12, 13) ** 2) / 18)
    kernel /= kernel.sum()
    tiles = []
    for k in range(16):
        apart = np.abs((angle - np.pi * k / 16 + np.pi / 2) % np.pi - np.pi / 2)  # between lines
        tuned = np.hypot(gx, gy) * np.maximum(np.cos(apart) - np.cos(np.pi / 16), 0) / (1 - np.cos(np.pi / 16))
        wide = np.pad(tuned, 12, mode="symmetric")
        blurred = np.array([[kernel @ wide[i : i + 25, j : j + 25] @ kernel for j in range(56)] for i in range(56)])
        tiles.append([[blurred[8 * i : 8 * i + 8, 8 * j : 8 * j + 8].mean() for j in range(7)] for i in range(7)])
    expected = np.concatenate([np.concatenate(tiles[k : k + 4], axis=1) for k in range(0, 16, 4)])
    expected = 255 * np.clip(expected / np.percentile(expected, 99), 0, 1)
    assert_allclose(orientations(image), expected, atol=1)


def test_even_image_is_dark_in_both_own_views():
    assert not object_view(np.full((28, 28), 77, np.uint8)).any()
    assert not orientations(np.full((56, 56), 77, np.uint8)).any()


def test_move_shifts_and_repeats_the_edge():
    image = np.arange(28 * 28).reshape(28, 28)
    moved = move(image, 2, -1)
    assert_array_equal(moved[1:, :-2], image[:-1, 2:])
    assert_array_equal(moved[0, :-2], image[0, 2:])
    assert_array_equal(move(image, 0, 0), image)


def test_crop_keeps_what_lies_in_the_image():
    image = np.arange(20).reshape(4, 5)
    assert_array_equal(crop(image, (1, 2, 9, 9), "a"), [[11, 12, 13, 14], [16, 17, 18, 19]])
    with pytest.raises(ValueError, match=r"a: the box \(5, 0, 9, 9\) lies outside the image of 5 x 4 pixels"):
        crop(image, (5, 0, 9, 9), "a")


def test_what_is_no_image_is_named():
    with pytest.raises(ValueError, match=r"cat\.jpg is not a readable image"):
        decode_photograph(b"meow", "cat.jpg")
