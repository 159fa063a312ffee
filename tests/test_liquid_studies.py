"""The studies of reservoirs: the hand-written program against the package, then each study at small size."""

import numpy as np
import pytest
from brian2 import Hz, ms
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn import PopulationCode, Reservoir, topology
from hrsnn.studies.lorenz import INHIBITORY, NEURON, SYNAPSE
from hrsnn.studies.reservoir_speed import REFERENCE, compile_reference, run_reference

cpp = pytest.mark.cpp


@cpp
def test_reference_program_makes_the_spikes_and_weights_of_the_package(tmp_path):
    if not REFERENCE.is_file():
        pytest.skip("the reference program is in a checkout only")
    graph = topology.random(60, 0.2, w_scale=1, seed=0)
    code = PopulationCode(10, rate_max=300 * Hz, step=20 * ms)
    synapse = SYNAPSE.replace(A_plus=0.2, A_minus=0.21)
    settings = dict(
        input_weight=1.0, input_fraction=1.0, input_probability=0.3, membrane=True, filters=(20 * ms, 60 * ms)
    )
    reservoir = Reservoir(graph, NEURON, INHIBITORY, synapse, code, **settings, seed=0)
    X = np.random.default_rng(0).random((40, 2))
    liquid, u = reservoir.fit(X[:2]).liquid_, reservoir.scaled(X)
    expected = liquid.run(u, liquid.start(), learn=True)
    results = {}
    said = run_reference(compile_reference(tmp_path, "double"), liquid, u, results)
    steps = np.round(expected.t / float(reservoir.dt)).astype(int)
    order = np.lexsort((expected.i, steps))
    assert said["spikes"] == len(steps) > 300
    assert_array_equal(results["spikes"], np.stack([steps, expected.i], axis=1)[order])
    assert_allclose(results["states"], expected.features, atol=1e-9)  # rounding
    for name, w in liquid.weights(expected.state).items():
        assert np.abs(w - liquid.initial[name]).max() > 0.05
        assert_allclose(results[name], w, atol=1e-9)
