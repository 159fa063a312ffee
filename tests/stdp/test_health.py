"""The health of a network: shares by value, one warning of each ensemble, and what it advises."""

import warnings

import numpy as np
import pytest
from brian2 import mV
from numpy.testing import assert_allclose

from hrsnn import STDPClassifier
from hrsnn.models import AdaptiveConductanceLIF
from hrsnn.stdp.health import Health, HealthWarning, Watch, examine

RNG = np.random.default_rng(0)
DIFFERENT = RNG.random((20, 4))


def test_shares_are_counted():
    counts = np.array([[2, 0, 0, 1], [0, 0, 0, 3]])
    weights = DIFFERENT.copy()
    weights[:, 2] = 0.5 * weights[:, 0]
    health = examine(counts, weights)
    assert_allclose(health, (3, 3 / 8, 0.5, 0.5))
    assert str(health) == "3.0 spikes, 50% silent, 50% alike"


def test_neurons_without_weights_are_not_alike():
    assert examine(np.ones((2, 4)), np.zeros((20, 4))).alike == 0


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (Health(5, 0.1, 0.6, 0), ["60% of the neurons were silent", "5.0 spikes", "theta_plus", "n_epochs"]),
        (Health(80, 0.7, 0, 0), ["70% of the neurons fired for each sample", "w_total", "g_inh"]),
        (Health(8, 0.1, 0, 0.9), ["90% of the neurons have learnt the same", "OnOffView", "eta"]),
        (Health(8, 0.1, 0.2, 0.2), []),
    ],
)
def test_advice_names_what_to_change(health, words):
    assert all(word in health.advice() for word in words)
    assert bool(health.advice()) == bool(words)


def test_a_watch_warns_once_and_only_when_there_is_enough_to_judge():
    watch, silent = Watch(total=200), np.zeros((40, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch.see("image", silent, DIFFERENT, 40)  # 10 samples for each neuron
        watch.see("image", silent, DIFFERENT, 80)  # in the first half
    with pytest.warns(HealthWarning, match="ensemble 'image' after 120 of 200 presentations: 100% of the neurons were"):
        watch.see("image", silent, DIFFERENT, 120)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch.see("image", silent, DIFFERENT, 160)
    assert watch.health["image"].silent == 1


def test_a_watch_judges_the_last_samples():
    watch = Watch(total=400)
    watch.see("", np.zeros((80, 4)), DIFFERENT, 80)
    watch.see("", np.eye(4)[RNG.integers(0, 4, 80)], DIFFERENT, 160)
    assert watch.health[""].silent == 0


@pytest.mark.cpp
def test_a_network_whose_neurons_never_get_their_turn_says_so():
    X = np.zeros((100, 36))
    X[:, :12] = 1  # one sample, a hundred times: the first neurons to fire win it for ever
    network = STDPClassifier(
        4, AdaptiveConductanceLIF(theta_plus=0 * mV), batch_size=20, max_retries=1, n_epochs=2, seed=0
    )
    with pytest.warns(HealthWarning, match="have learnt the same|were silent"):
        network.fit(X)
    assert network.health_[""].spikes > 1
