"""Views of images: what a step, an even grey and a turned edge look like, and which settings are refused."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from hrsnn.inputs import ContrastNormalisation, OnOffView, OrientationView

STEP = np.full((12, 12), 50, dtype=np.uint8)
STEP[:, 6:] = 200  # bright on the right


def halves(image):
    return OnOffView().transform(image.reshape(1, -1)).reshape(2, *image.shape).astype(int)


def test_on_and_off_lie_on_the_two_sides_of_an_edge():
    on, off = halves(STEP)
    assert on[:, 6:].max() == off[:, :6].max() == 255
    assert on[:, 6].min() > 100
    assert_array_equal(on[:, :6], 0)
    assert_array_equal(off[:, 6:], 0)


def test_a_negative_exchanges_on_and_off():
    on, off = halves(STEP)
    assert_array_equal(halves(255 - STEP), [off, on])


@pytest.mark.parametrize("view", [OnOffView(), OrientationView()])
def test_an_even_grey_shows_nothing(view):
    assert not view.transform(np.full((1, 64), 130, dtype=np.uint8)).any()


def test_brightness_and_contrast_leave_the_views_as_they_are():
    image = np.random.default_rng(0).random((1, 100))
    for view in (OnOffView(), OrientationView(pool=2), ContrastNormalisation(), ContrastNormalisation(sigma=2)):
        seen = view.transform(image).astype(int)
        assert np.ptp(seen) > 100
        assert abs(view.transform(0.3 + 0.5 * image) - seen).max() <= 1  # of rounding


@pytest.mark.parametrize(
    ("image", "strongest"),
    [(STEP, 0), (STEP.T, 2), (np.tri(12) * 0.8, 3), (np.tri(12)[:, ::-1] * 0.8, 1)],
    ids=["to the right", "downwards", "down to the left", "down to the right"],
)
def test_directions_of_the_gradient_are_told_apart(image, strongest):
    seen = OrientationView(n_directions=4, pool=12).transform(image.reshape(1, -1))[0]
    assert seen.argmax() == strongest


def test_places_are_squares_of_the_image():
    seen = OrientationView(n_directions=2, pool=4, shape=(12, 12)).transform(STEP.reshape(1, -1)).reshape(2, 3, 3)
    assert (seen[0, :, 1] > 3 * seen[0, :, 0]).all()
    assert_array_equal(seen[1], 0)


def test_contrast_normalisation_gives_mean_and_deviation():
    image = np.random.default_rng(1).normal(0.3, 0.05, (1, 400)).clip(0, 1)
    seen = ContrastNormalisation(full=4).transform(image) / 255
    assert abs(seen.mean() - 0.5) < 0.002  # values are rounded to 1/255
    assert abs(seen.std() - 1 / 8) < 0.005  # one deviation is an eighth of the range
    even = ContrastNormalisation(floor=0.1).transform(np.array([[0.5, 0.501, 0.499, 0.5]])) / 255
    assert abs(even - 0.5).max() < 0.01  # noise stays small


def test_local_contrast_ignores_a_slope_of_light():
    rng = np.random.default_rng(2)
    texture, slope = 0.1 * rng.random((20, 20)), np.linspace(0, 0.8, 20)[None, :]
    flat, lit = (ContrastNormalisation(sigma=2).transform((texture + s).reshape(1, -1)) for s in (0, slope))
    assert np.corrcoef(flat.ravel(), lit.ravel())[0, 1] > 0.9
    flat, lit = (ContrastNormalisation().transform((texture + s).reshape(1, -1)) for s in (0, slope))
    assert np.corrcoef(flat.ravel(), lit.ravel())[0, 1] < 0.5


def test_views_stand_in_a_pipeline():
    X = np.stack([STEP.ravel(), STEP.T.ravel()])
    pipeline = make_pipeline(OnOffView(), OrientationView(shape=(24, 12)), KNeighborsClassifier(1)).fit(X, [0, 1])
    assert_array_equal(clone(pipeline).fit(X, [0, 1]).predict(X), [0, 1])


@pytest.mark.parametrize(
    ("view", "n_pixels", "message"),
    [
        (OnOffView(), 12, r"Images of 12 pixels are not square. Pass shape="),
        (OnOffView(shape=(3, 5)), 12, r"X has 12 columns, but shape=\(3, 5\) has 15 pixels"),
        (OnOffView(centre=0), 16, "OnOffView: centre must be positive and finite, got 0"),
        (OnOffView(centre=2, surround=2), 16, "surround must be larger than centre=2, got 2"),
        (OrientationView(n_directions=1), 16, "n_directions must be an integer of at least 2, got 1"),
        (OrientationView(pool=5), 16, r"pool=5 is larger than the images of \(4, 4\) pixels"),
        (ContrastNormalisation(full=np.inf), 16, "ContrastNormalisation: full must be positive and finite, got inf"),
        (ContrastNormalisation(sigma=-1), 16, "ContrastNormalisation: sigma must be positive and finite, got -1"),
    ],
)
def test_settings_that_cannot_be_are_refused(view, n_pixels, message):
    with pytest.raises(ValueError, match=message):
        view.transform(np.zeros((2, n_pixels)))
