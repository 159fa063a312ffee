"""Photographs of any size as rows of grey values."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.base import clone

from hrsnn.datasets.views import orientations, shrink
from hrsnn.inputs import PhotographView


def test_objects_are_bright_on_dark_whatever_polarity_size_and_colour():
    images = []
    for height, width in ((60, 60), (90, 120)):
        for background, object_ in ((10, 200), (200, 10)):
            image = np.full((height, width), background, np.uint8)
            image[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = object_
            images += [image, np.stack([image] * 3, axis=2)]
    seen = PhotographView().transform(images).reshape(-1, 28, 28)
    assert (seen[:, 12:16, 12:16] == 255).all()
    assert (seen[:, :4] == 0).all()
    assert_array_equal(seen[0], seen[1])  # grey as three equal colours
    assert_array_equal(seen[0], seen[2])  # polarity


def test_files_and_arrays_are_seen_alike(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (70, 50, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    grey = np.asarray(Image.fromarray(image).convert("L"))
    for view in ("grey", "object", "orientations"):
        see = clone(PhotographView(view))
        a, b, c = see.fit_transform([image, tmp_path / "a.png", grey])
        assert_array_equal(a, b)
        assert_array_equal(a, c)
    assert_array_equal(a, orientations(shrink(grey, 56, square=True)).ravel())


def test_bad_input_is_named(tmp_path):
    image = np.zeros((9, 9), np.uint8)
    with pytest.raises(ValueError, match="view must be one of 'object', 'grey', 'orientations', got 'red'"):
        PhotographView("red").transform([image])
    with pytest.raises(ValueError, match=r"X\[1\] must be uint8 of shape .*, got float64 of shape \(9, 9\)"):
        PhotographView().transform([image, image / 255])
    with pytest.raises(ValueError, match=r"X must be a list of images, got \[\]. One image is \[image\]"):
        PhotographView().transform([])
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        PhotographView().transform([tmp_path / "none.png"])
