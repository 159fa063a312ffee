"""Coupled ensembles: the same spikes and weights as a NumPy loop, on every back end and in every form."""

from functools import cache

import numpy as np
import pytest
from brian2 import Hz, ms, mV, prefs
from multimodal_loop import present_coupled
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn.inputs.encoders import FrameEncoder, PoissonEncoder
from hrsnn.models import AdaptiveConductanceLIF, CrossModalSTDP, PowerLawSTDP
from hrsnn.stdp.coupling import CoupledNetwork, Coupling, cross_modal, wire
from hrsnn.stdp.presentation import PresentationNetwork
from hrsnn.stdp.presenter import Presenter

N_ON, N_REST, N_SAMPLES, N_FRAMES = 120, 30, 7, 4
N_IN, N, SEEDS, W_TOTAL = (40, 24), (6, 8), (3, 11), (12.0, 9.0)
CROSS = {"eta": 0.05, "offset": 0.2, "tau": 30.0, "gain": 4.0}
EXPECTED = dict(
    n_on=N_ON, n_rest=N_REST, seeds=SEEDS, eta=0.05, offset=0.2, w_total=W_TOTAL, theta_plus=0.5, cross=CROSS
)
FORMS = [
    pytest.param("runtime", False, id="runtime"),
    pytest.param("cpp", False, id="cpp", marks=pytest.mark.cpp),
    pytest.param("cpp", True, id="cpp-dense", marks=pytest.mark.cpp),
]


@pytest.fixture(autouse=True)
def numpy_target():
    previous, prefs.codegen.target = prefs.codegen.target, "numpy"
    yield
    prefs.codegen.target = previous


@pytest.fixture(scope="module")
def samples():
    """Rates in hertz: one frame of 40 inputs, four of 24; the second ensemble lacks sample 4."""
    rng = np.random.default_rng(0)
    left = np.where(rng.random((N_SAMPLES, 1, 40)) < 0.6, rng.random((N_SAMPLES, 1, 40)), 0) * 150
    right = np.where(rng.random((N_SAMPLES, N_FRAMES, 24)) < 0.5, rng.random((N_SAMPLES, N_FRAMES, 24)), 0) * 150
    right[4] = 0
    return left, right


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(1)
    return [0.3 * rng.random((n_in, n)) + 0.1 for n_in, n in zip(N_IN, N, strict=True)]


@cache
def masks():
    rng = np.random.default_rng(2)
    forward, back = np.zeros((6, 8), dtype=bool), np.zeros((8, 6), dtype=bool)
    forward[:3, 4:] = rng.random((3, 4)) < 0.7
    back[:4, 3:] = rng.random((4, 3)) < 0.7
    return {(0, 1): forward, (1, 0): back}


def couplings():
    rng = np.random.default_rng(4)
    return {key: (np.where(mask, 0.5 * rng.random(mask.shape), 0), mask) for key, mask in masks().items()}


@cache
def presenter(backend, dense):
    neuron, synapse = AdaptiveConductanceLIF(theta_plus=0.5 * mV), PowerLawSTDP(eta=0.05, offset=0.2)
    encoders = PoissonEncoder(), FrameEncoder(N_FRAMES, duration=60 * ms, rest=15 * ms)
    parts, values = [], {}
    for name, n_in, n, encoder, total, seed in zip("ab", N_IN, N, encoders, W_TOTAL, SEEDS, strict=True):
        parts.append(
            PresentationNetwork(
                n_input=n_in, n_neurons=n, neuron=neuron, synapse=synapse, encoding=encoder.encoding, n_on=N_ON,
                n_rest=N_REST, dt=0.5 * ms, batch_size=N_SAMPLES, max_retries=3, dense=dense, prefix=f"{name}_",
            )
        )  # fmt: skip
        values |= {f"{name}_exc.{key}": value for key, value in neuron.parameters.items()}
        values |= {f"{name}_input_to_exc.{key}": value for key, value in synapse.parameters.items()}
        values |= {f"{name}_exc.w_total": np.full(n, total), f"{name}_control.g_inh": 17.0, f"{name}_input.seed_": seed}
    cross = CrossModalSTDP(eta=CROSS["eta"], offset=CROSS["offset"], tau=CROSS["tau"] * ms, gain=CROSS["gain"])
    pairs = [Coupling("ab"[i], "ab"[j], cross, np.nonzero(mask)) for (i, j), mask in masks().items()]
    for pair in pairs:
        values |= {f"{pair.name}.{key}": value for key, value in cross.parameters.items()}
    return Presenter(CoupledNetwork(tuple(parts), tuple(pairs)), values, backend=backend)


def start(weights):
    state = {f"{name}_input_to_exc.w": w.ravel() for name, w in zip("ab", weights, strict=True)}
    cross = {f"{'ab'[i]}_to_{'ab'[j]}.w": w[mask] for (i, j), (w, mask) in couplings().items()}
    return state | cross


def flat(samples):
    return [each.reshape(N_SAMPLES, -1) for each in samples]


@pytest.mark.parametrize(("backend", "dense"), FORMS)
def test_training_equals_the_numpy_loop(backend, dense, samples, weights):
    spikes, W, cross, n_presentations, _ = present_coupled(
        [each * 0.5e-3 for each in samples], weights, couplings(), **EXPECTED
    )
    alone, *_ = present_coupled([each * 0.5e-3 for each in samples], weights, {}, **EXPECTED)
    assert min(map(len, spikes)) > 40
    assert spikes != alone  # the coupling matters
    assert n_presentations > N_SAMPLES  # some samples were shown again
    coupled = presenter(backend, dense)
    state = {**coupled._inputs(flat(samples), 1), **coupled.initial(), **start(weights)}
    result = coupled.engine.run(state, (*coupled.carried, *coupled.network.recorded))
    for e, name in enumerate("ab"):
        assert result[f"{name}_control.n_presentations"] == n_presentations
        steps = np.round(result[f"{name}_spikes.t"] / 0.5e-3).astype(int)
        assert list(zip(steps, result[f"{name}_spikes.i"], strict=True)) == spikes[e]
        learnt = result[f"{name}_input_to_exc.w"].reshape(N_IN[e], N[e])
        assert_allclose(learnt, W[e], atol=1e-10)  # some 100 updates of rounding
    for (i, j), mask in masks().items():
        learnt = result[f"{'ab'[i]}_to_{'ab'[j]}.w"]
        assert_allclose(learnt, cross[i, j][mask], atol=1e-10)
        assert np.abs(learnt - couplings()[i, j][0][mask]).max() > 0.05


@pytest.mark.cpp
def test_two_blocks_equal_one(samples, weights):
    coupled = presenter("cpp", True)
    whole, counts = coupled.learn(flat(samples), start(weights))
    first, counts_first = coupled.learn([each[:3] for each in flat(samples)], start(weights))
    second, counts_second = coupled.learn([each[3:] for each in flat(samples)], first)
    assert_array_equal(np.concatenate([counts_first, counts_second]), counts)
    for name in coupled.carried:
        assert_allclose(second[name], whole[name], rtol=1e-12, err_msg=name)  # time is counted from the block's start


@pytest.mark.parametrize(("backend", "dense"), [FORMS[2]])
def test_response_equals_the_numpy_loop_and_depends_on_the_sample_alone(backend, dense, samples, weights):
    scaled = [w * (total / w.sum(axis=0)) for w, total in zip(weights, W_TOTAL, strict=True)]
    coupled, state = presenter(backend, dense), start(scaled)
    frozen = EXPECTED | {"learning": False}
    spikes, _, _, n_presentations, read = present_coupled(
        [each * 0.5e-3 for each in samples], scaled, couplings(), **frozen
    )
    response = coupled.respond(flat(samples), state)
    assert response.presentations.sum() == n_presentations
    assert response.spikes.sum() == sum(map(len, spikes))
    assert (read[:, 0] != read[:, 1]).any()  # one waited for the other
    for e, columns in enumerate((slice(0, 6), slice(6, 14))):
        counts = np.zeros((n_presentations, N[e]), dtype=int)
        for step, j in spikes[e]:
            counts[step // (N_ON + N_REST), j] += 1
        assert counts.sum() > 20
        assert_array_equal(response.counts[:, columns], counts[read[:, e]])
    order = np.random.default_rng(5).permutation(N_SAMPLES)
    again = coupled.respond([each[order] for each in flat(samples)], state)
    assert_array_equal(again.counts, response.counts[order])


def test_wiring_joins_a_fraction_of_the_pairs_half_each_way():
    rng = np.random.default_rng(0)
    source, target = wire(np.arange(0, 25), np.arange(25, 50), 2500, 0.18, rng)
    assert len(source) == 225  # half of 18 % of 2500
    assert len(set(zip(source, target, strict=True))) == 225
    assert source.max() < 25 <= target.min()
    assert len(wire(np.arange(25), np.arange(25, 50), 2500, 0.5, rng)[0]) == 625  # all that may be


def test_manual_wiring_joins_equal_labels_only():
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 5, 40), rng.integers(-1, 5, 30)
    source, target = wire(np.arange(20), np.arange(15, 30), 100, 0.5, rng, labels)
    possible = [(i, j) for i in range(20) for j in range(15, 30) if labels[0][i] == labels[1][j] != -1]
    assert len(source) == min(25, len(possible))
    assert set(zip(source.tolist(), target.tolist(), strict=True)) <= set(possible)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_rest": 40}, r"must have the same n_rest, got \{'a': 30, 'b': 40\}"),
        ({"batch_size": 3}, "the same batch_size"),
    ],
)
def test_ensembles_share_their_times(change, message):
    form = dict(
        neuron=AdaptiveConductanceLIF(), synapse=PowerLawSTDP(), encoding=PoissonEncoder(rate_max=9 * Hz).encoding
    )
    form |= dict(n_on=N_ON, n_rest=N_REST, dt=0.5 * ms, batch_size=2)
    with pytest.raises(ValueError, match=message):
        CoupledNetwork(
            (PresentationNetwork(3, 2, prefix="a_", **form), PresentationNetwork(3, 2, prefix="b_", **(form | change)))
        )


def test_frames_must_fill_the_presentation():
    with pytest.raises(ValueError, match="A sample of 4 frames takes 122 steps and 30 of rest"):
        PresentationNetwork(
            3, 2, AdaptiveConductanceLIF(), PowerLawSTDP(), FrameEncoder(4).encoding, 122, 30, 0.5 * ms, 2
        )


def test_gain_falls_with_the_size_of_the_ensembles():
    assert [cross_modal(n).parameters["gain"] for n in (20, 50, 200, 800, 3200)] == [15, 15, 7.5, 3.75, 1.875]
