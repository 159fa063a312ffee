"""What is drawn is what was given: positions, colours and labels of the artists."""

import networkx
import numpy as np
import pytest
from brian2 import ms, mV, second
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn import plots


@pytest.fixture
def axes():
    return plots.figure()[1]


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_figure_grid_has_the_shape_asked_for():
    figure, grid = plots.figure(2, 3, width=4, height=3)
    assert grid.shape == (2, 3)
    assert figure.get_size_inches().tolist() == [12, 6]
    assert plots.figure(1, 4)[1].shape == (4,)


def test_raster_puts_each_spike_at_its_time_and_neuron(axes):
    assert plots.raster(axes, [10, 20, 30.5] * ms, [3, 0, 7], n_neurons=20, label="input") is axes
    (dots,) = axes.collections
    assert_allclose(dots.get_offsets(), [[10, 3], [20, 0], [30.5, 7]])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (ms)", "input neuron")
    assert axes.get_ylim() == (-0.5, 19.5)


def test_long_raster_is_in_seconds(axes):
    plots.raster(axes, [0.5, 3] * second, [0, 1])
    assert_allclose(axes.collections[0].get_offsets(), [[0.5, 0], [3, 1]])
    assert axes.get_xlabel() == "time (s)"


def test_silent_raster_is_drawn_empty(axes):
    plots.raster(axes, [] * ms, [], n_neurons=5)
    assert len(axes.collections[0].get_offsets()) == 0


@pytest.mark.parametrize(
    ("times", "neurons", "message"),
    [
        ([1, 2] * mV, [0, 1], "times must be in seconds or milliseconds"),
        ([1, 2], [0, 1], "times must be in seconds or milliseconds"),
        ([1, 2] * ms, [0], r"one length, got shapes \(2,\) and \(1,\)"),
    ],
)
def test_raster_refuses_what_are_no_spikes(axes, times, neurons, message):
    with pytest.raises(ValueError, match=message):
        plots.raster(axes, times, neurons)


def test_receptive_field_of_each_neuron_is_a_tile(axes):
    rng = np.random.default_rng(0)
    weights = rng.random((15, 7))
    plots.receptive_fields(axes, weights, shape=(3, 5), n_cols=4, labels="abcdefg")
    tiles = axes.images[0].get_array().filled(np.nan)
    assert tiles.shape == (3 + 1 + 3, 4 * 5 + 3)
    for j in range(7):
        row, col = divmod(j, 4)
        tile = tiles[row * 4 : row * 4 + 3, col * 6 : col * 6 + 5]
        assert_array_equal(tile, weights[:, j].reshape(3, 5))
    assert np.isnan(tiles).sum() == tiles.size - weights.size
    assert axes.images[0].get_clim() == (0, weights.max())
    assert [text.get_text() for text in axes.texts] == list("abcdefg")


def test_receptive_fields_refuse_another_image_size(axes):
    with pytest.raises(ValueError, match=r"shape \(784, n_neurons\) for images \(28, 28\), got \(100, 784\)"):
        plots.receptive_fields(axes, np.ones((100, 784)))


def test_graph_and_its_matrix_are_drawn_alike(axes):
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(3))
    graph.add_edge(0, 2, weight=0.5)
    graph.add_edge(1, 0, weight=-2)
    plots.connectivity(axes, graph)
    drawn = axes.images[0].get_array().filled(np.nan)
    assert_array_equal(drawn, [[np.nan, np.nan, 0.5], [-2, np.nan, np.nan], [np.nan] * 3])
    assert axes.images[0].get_clim() == (-2, 2)
    assert axes.get_title() == "2 synapses, 22.2% of all pairs"


def test_connectivity_refuses_a_vector(axes):
    with pytest.raises(ValueError, match=r"matrix of shape \(n_pre, n_post\), got shape \(3,\)"):
        plots.connectivity(axes, np.ones(3))


def test_histogram_counts_every_weight(axes):
    plots.weight_histogram(axes, {"all": np.linspace(0, 1, 101), "two": [[0, 1]]}, n_bins=4, levels=[0.5])
    heights = [np.diff(patch.get_xy()[:, 1]) for patch in axes.patches]
    assert len(heights) == 2
    counts = axes.patches[0].get_xy()[1:-1:2, 1]
    assert_array_equal(counts, [25, 25, 25, 26])
    assert legend(axes) == ["all", "two"]
    assert axes.get_yscale() == "log"


def test_accuracy_is_mean_and_spread_in_percent(axes):
    scores = {"three seeds": [[0.7, 0.8], [0.8, 0.9], [0.9, 0.85]], "one": [0.5, 0.6]}
    plots.accuracy(axes, [100, 400], scores, "neurons", chance=0.1, log=True)
    first, second_line = axes.lines[:2]
    assert_allclose(first.get_xydata(), [[100, 80], [400, 85]])
    assert_allclose(second_line.get_xydata(), [[100, 50], [400, 60]])
    (band,) = axes.collections
    assert_allclose(band.get_datalim(axes.transData).get_points(), [[100, 70], [400, 90]])
    assert_allclose(axes.lines[2].get_ydata(), [10, 10])
    assert legend(axes) == ["three seeds", "one"]
    assert axes.get_ylabel() == "accuracy (%)"


def test_accuracy_refuses_unequal_lengths(axes):
    with pytest.raises(ValueError, match="scores of 'a' have 3 points, but x has 2"):
        plots.accuracy(axes, [1, 2], {"a": [0.1, 0.2, 0.3]}, "n")


def test_each_curve_has_its_own_points_from_left_to_right(axes):
    plots.curves(axes, {"two": ([3, 1], [30, 10]), "gap": ([1, 2, 3], [1, np.nan, 2])}, "size", "ms", log="xy")
    first, second_line = axes.lines
    assert_array_equal(first.get_xydata(), [[1, 10], [3, 30]])
    assert_array_equal(second_line.get_xydata(), [[1, 1], [2, np.nan], [3, 2]])
    assert legend(axes) == ["two", "gap"]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale(), axes.get_yscale()) == ("size", "ms", "log", "log")


def test_curves_refuse_unequal_lengths(axes):
    with pytest.raises(ValueError, match=r"line 'a' must have as many x as y, got shapes \(2,\) and \(3,\)"):
        plots.curves(axes, {"a": ([1, 2], [1, 2, 3])}, "x", "y")


def test_confusion_rows_are_shares_of_the_true_class(axes):
    plots.confusion(axes, ["a", "a", "a", "a", "b"], ["a", "a", "a", "c", "b"])
    assert_allclose(axes.images[0].get_array(), [[75, 0, 25], [0, 100, 0], [0, 0, 0]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert sorted(text.get_text() for text in axes.texts) == ["100", "25", "75"]


@pytest.mark.parametrize(("truth", "guess"), [([1, 2], [1]), ([], []), ([[1]], [[1]])])
def test_confusion_refuses_labels_that_do_not_pair(axes, truth, guess):
    with pytest.raises(ValueError, match="y_true and y_predicted must be of one length"):
        plots.confusion(axes, truth, guess)


def test_convergence_is_the_lowest_value_so_far(axes):
    plots.convergence(axes, {"one": [3, 5, np.nan, 1, 2]}, "NRMSE")
    assert_array_equal(axes.lines[0].get_xydata(), [[1, 3], [2, 3], [3, 3], [4, 1], [5, 1]])
    assert axes.get_ylabel() == "lowest NRMSE so far"


def test_convergence_of_several_seeds_is_their_median(axes):
    plots.convergence(axes, {"three": [[3, 1], [5, 6], [4, 2]]})
    assert_array_equal(axes.lines[0].get_ydata(), [4, 2])
    assert len(axes.collections) == 1


def test_forecast_stands_beside_the_truth(axes):
    truth = np.array([0.0, 1, 2])
    plots.forecast(axes, truth, {"HRSNN": [0, 1, 90]}, time=[0, 0.5, 1], valid=0.5, x_label="time (s)")
    assert_array_equal(axes.lines[0].get_xydata(), [[0, 0], [0.5, 1], [1, 2]])
    assert_array_equal(axes.lines[1].get_ydata(), [0, 1, 90])
    assert_array_equal(axes.lines[2].get_xdata(), [0.5, 0.5])
    assert axes.get_ylim() == (-0.5, 2.5)  # a forecast that runs away does not flatten the truth
    assert legend(axes) == ["truth", "HRSNN"]


def test_forecast_refuses_another_length(axes):
    with pytest.raises(ValueError, match=r"forecast 'a' has shape \(2,\), but truth has \(3,\)"):
        plots.forecast(axes, [1, 2, 3], {"a": [1, 2]})
