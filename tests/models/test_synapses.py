"""Synapse models: STDP windows, bounds and simultaneous spikes, spike by spike against the equations."""

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, TimedArray, ms, second
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn import Gamma
from hrsnn.models import STDP, BalancedSTDP, PowerLawSTDP, ShortTerm, Static

DT = 0.1 * ms


def run_synapse(model, pre, post, w, duration=320 * ms, rng=0):
    """Weights and drive after given spikes (times in ms, one list a synapse) of one-to-one synapses."""
    n = len(pre)
    neurons = []
    for name, spikes in (("source", pre), ("target", post)):
        fires = np.zeros((round(float(duration / DT)), n))
        for i, times in enumerate(spikes):
            fires[np.rint(np.asarray(times, float) * ms / DT).astype(int), i] = 1
        group = NeuronGroup(
            n,
            "t_last : second\ng_e : 1",
            threshold="fires(t, i) > 0.5",
            reset="t_last = t",
            namespace={"fires": TimedArray(fires, dt=DT)},
            dt=DT,
            name=name,
        )
        group.t_last = -1e6 * second
        neurons.append(group)
    synapses = model.build(*neurons, variable="g_e", name="plastic", dt=DT)
    synapses.connect(j="i")
    synapses.w = w
    model.initialise(synapses, n, np.random.default_rng(rng))
    Network(*neurons, synapses).run(duration, namespace={})
    return np.array(synapses.w), np.array(neurons[1].g_e), synapses


def pair_stdp(pre, post, w, A_plus, A_minus, tau_plus, tau_minus, w_min, w_max):
    """Equations 3-5 with traces before the present time: the sum over all earlier partners, then clip."""
    for t in sorted({*pre, *post}):
        x_plus = sum(np.exp(-(t - s) / tau_plus) for s in pre if s < t)
        x_minus = sum(np.exp(-(t - s) / tau_minus) for s in post if s < t)
        if t in pre:
            w = np.clip(w - A_minus * x_minus, w_min, w_max)
        if t in post:
            w = np.clip(w + A_plus * x_plus, w_min, w_max)
    return w


DELAYS = np.array([-80.0, -20, -5, -0.1, 0.1, 3, 20, 55])


def test_pair_stdp_window():
    """O12: one pair changes w by A_plus exp(-d/tau_plus), reversed by -A_minus exp(-d/tau_minus)."""
    model = STDP(A_plus=0.02, A_minus=0.03, tau_plus=15 * ms, tau_minus=30 * ms)
    w, _, _ = run_synapse(model, [[100.0]] * len(DELAYS), [[100.0 + d] for d in DELAYS], 0.5)
    window = np.where(DELAYS > 0, 0.02 * np.exp(-DELAYS / 15), -0.03 * np.exp(DELAYS / 30))
    assert_allclose(w - 0.5, window, rtol=1e-9)


def test_simultaneous_spikes_use_the_traces_before_the_step():
    model = STDP(A_plus=0.02, A_minus=0.03, tau_plus=15 * ms, tau_minus=30 * ms)
    alone, after_pre, after_post = [20.0], [10.0, 20.0], [20.0]
    w, _, synapses = run_synapse(model, [alone, after_pre, after_post], [[20.0], [20.0], [10.0, 20.0]], 0.5)
    assert_allclose(w - 0.5, [0, 0.02 * np.exp(-10 / 15), -0.03 * np.exp(-10 / 30)], rtol=1e-9, atol=1e-15)
    assert_allclose(synapses.x_plus, [1, 1 + np.exp(-10 / 15), 1], rtol=1e-9)
    assert_allclose(synapses.x_minus, [1, 1, 1 + np.exp(-10 / 30)], rtol=1e-9)


def test_simultaneous_spikes_at_the_first_step_change_nothing():
    w, drive, synapses = run_synapse(STDP(), [[0.0]], [[0.0]], 0.5, duration=DT)
    assert_array_equal(w, 0.5)
    assert_array_equal(drive, 0.5)
    assert_array_equal([synapses.x_plus[0], synapses.x_minus[0]], [1, 1])


def test_pair_stdp_of_trains_equals_the_sum_over_all_pairs():
    rng = np.random.default_rng(4)
    parameters = dict(A_plus=0.05, A_minus=0.06, tau_plus=12.0, tau_minus=25.0, w_min=0.1, w_max=0.7)
    trains = [[np.sort(rng.choice(80, rng.integers(1, 25), replace=False)) * 1.0 for _ in range(20)] for _ in "ab"]
    assert sum(len(set(a) & set(b)) for a, b in zip(*trains, strict=True)) > 5  # simultaneous spikes
    units = {**parameters, "tau_plus": 12 * ms, "tau_minus": 25 * ms}
    w, _, _ = run_synapse(STDP(**units), *trains, 0.4)
    expected = [pair_stdp(list(a), list(b), 0.4, **parameters) for a, b in zip(*trains, strict=True)]
    assert_allclose(w, expected, rtol=1e-9)
    assert (w == 0.1).any()
    assert (w > 0.1).any()


def test_pair_stdp_stops_at_its_bounds():
    model = STDP(A_plus=0.4, A_minus=0.4, w_min=0.2, w_max=0.9)
    w, _, _ = run_synapse(model, [[10.0], [11.0], [10.0]], [[11.0], [10.0], []], [0.8, 0.3, 0.5])
    assert_array_equal(w, [0.9, 0.2, 0.5])


def test_heterogeneous_stdp_draws_every_parameter_for_every_synapse():
    model = STDP(A_plus=Gamma(mean=0.02, shape=4), tau_plus=Gamma(mean=20 * ms, shape=3))
    n = 40
    w, _, _ = run_synapse(model, [[100.0]] * n, [[110.0]] * n, 0.5, rng=8)
    drawn = model.draw(n, np.random.default_rng(8))
    expected = np.asarray(drawn["A_plus"]) * np.exp(-0.01 / np.asarray(drawn["tau_plus"]))
    assert_allclose(w - 0.5, expected, rtol=1e-9)
    assert np.ptp(expected) > 0.005


def test_balanced_stdp_is_pair_stdp_with_an_amplitude_for_each_synapse():
    laws = dict(
        A_plus=Gamma(mean=0.05, shape=4), tau_plus=Gamma(mean=20 * ms, shape=3), tau_minus=Gamma(mean=20 * ms, shape=3)
    )
    model, rng, n = BalancedSTDP(**laws, ratio=1.2), np.random.default_rng(5), 12
    trains = [[np.sort(rng.choice(80, 12, replace=False)) * 1.0 for _ in range(n)] for _ in "ab"]
    w, _, _ = run_synapse(model, *trains, 0.5, rng=8)
    drawn = model.draw(n, np.random.default_rng(8))
    A, plus, minus = drawn["A_plus"], *(np.asarray(drawn[key]) * 1e3 for key in ("tau_plus", "tau_minus"))
    expected = [
        pair_stdp(
            list(trains[0][k]),
            list(trains[1][k]),
            0.5,
            A[k],
            1.2 * A[k] * plus[k] / minus[k],
            plus[k],
            minus[k],
            0.0,
            1.0,
        )
        for k in range(n)
    ]
    assert_allclose(w, expected, rtol=1e-9)
    assert np.ptp(w) > 0.2


def power_law(d, w, eta=0.01, tau=20.0, offset=0.4, mu=0.9, w_max=1.0):
    return np.clip(w + eta * (np.exp(-d / tau) - offset) * (w_max - w) ** mu, 0, w_max)


@pytest.mark.parametrize("w", [0.0, 0.3, 0.99, 1.0])
def test_power_law_window(w):
    delays = np.array([0.1, 1, 5, 18, 19, 40, 100])
    model = PowerLawSTDP(eta=0.01)
    learnt, _, _ = run_synapse(model, [[50.0]] * len(delays), [[50.0 + d] for d in delays], w)
    assert_allclose(learnt, power_law(delays, w), rtol=1e-10)
    if w == 0.3:
        assert (learnt[:4] > w).all()
        assert (learnt[4:] < w).all()


@pytest.mark.parametrize(("tau", "offset"), [(20, 0.4), (15, 0.4), (30, 0.1)])
def test_power_law_window_crosses_zero_at_tau_ln_offset(tau, offset):
    """O10: 18.33 ms for tau 20 ms and offset 0.4."""
    zero = tau * np.log(1 / offset)
    assert (tau, offset) != (20, 0.4) or abs(zero - 18.33) < 0.005
    delays = np.round(np.arange(5, zero + 20, 0.1), 1)
    model = PowerLawSTDP(eta=0.01, tau=tau * ms, offset=offset)
    w, _, _ = run_synapse(model, [[20.0]] * len(delays), [[20.0 + d] for d in delays], 0.5, duration=200 * ms)
    sign = np.sign(w - 0.5)
    crossing = np.flatnonzero(np.diff(sign))
    assert len(crossing) == 1
    assert delays[crossing[0]] <= zero <= delays[crossing[0] + 1]


def test_an_input_that_never_fired_is_depressed_by_the_offset():
    w, _, _ = run_synapse(PowerLawSTDP(eta=0.01), [[], [300.0]], [[100.0], [100.0]], 0.5)
    assert_allclose(w, 0.5 - 0.01 * 0.4 * 0.5**0.9, rtol=1e-12)


def test_power_law_counts_the_last_input_before_the_present_step():
    pre, post = [[10.0, 30.0, 40.0], [10.0]], [[40.0], [10.0, 12.0]]
    w, _, _ = run_synapse(PowerLawSTDP(eta=0.01), pre, post, 0.5)
    first = power_law(np.inf, 0.5)
    assert_allclose(w, [power_law(10.0, 0.5), power_law(2.0, first)], rtol=1e-10)


def test_power_law_stops_at_its_bounds():
    pre = [[10.0], [], [10.0]]
    w, _, _ = run_synapse(PowerLawSTDP(eta=5.0, w_max=0.8), pre, [[11.0], [11.0], []], [0.7, 0.3, 0.5])
    assert_array_equal(w, [0.8, 0, 0.5])


def test_weights_beyond_the_bound_come_back_to_it():
    w, _, _ = run_synapse(PowerLawSTDP(eta=0.01), [[10.0]], [[11.0]], [1.2])
    assert_array_equal(w, 1)


@pytest.mark.parametrize("model", [STDP(A_plus=0.3), PowerLawSTDP(eta=0.3)])
def test_frozen_synapses_transmit_and_do_not_learn(model):
    frozen = model.replace(**model.frozen)
    spikes = [[10.0, 20.0, 30.0]], [[12.0, 18.0, 31.0]]
    changed, _, _ = run_synapse(model, *spikes, 0.5)
    assert abs(changed[0] - 0.5) > 0.05
    w, drive, _ = run_synapse(frozen, *spikes, 0.5)
    assert_array_equal(w, 0.5)
    assert_allclose(drive, 1.5)


def test_static_synapses_add_their_weight_at_each_spike():
    w, drive, _ = run_synapse(Static(), [[10.0, 20.0], [15.0], []], [[11.0], [], [5.0]], [0.25, -2, 7])
    assert_array_equal(w, [0.25, -2, 7])
    assert_allclose(drive, [0.5, -2, 0])


def test_a_spike_transmits_the_weight_before_it_learns():
    _, drive, _ = run_synapse(STDP(A_minus=0.1, tau_minus=20 * ms), [[20.0]], [[10.0]], 0.5)
    assert_allclose(drive, 0.5)


@pytest.mark.parametrize("interval", [10, 40])
def test_short_term_dynamics_reach_their_steady_state(interval):
    U, rec, facil, w = np.array([0.05, 0.5]), 60.0, 30.0, 3.0
    times = np.arange(0, 320, interval)
    g, states = [], []
    for share in U:
        _, drive, synapses = run_synapse(
            ShortTerm(U=share, tau_rec=rec * ms, tau_facil=facil * ms), [times], [[]], w, times[-1] * ms + DT
        )
        g.append(drive[0])
        states.append((synapses.x_facil[0], 1 - synapses.x_spent[0]))
    u, R, total = U, np.ones(2), 0.0
    for _ in times:
        total = total + w * u * R
        used = R - u * R
        last = u
        u, R = U + u * (1 - U) * np.exp(-interval / facil), 1 + (used - 1) * np.exp(-interval / rec)
    assert_allclose(g, total, rtol=1e-9)
    steady_u = U / (1 - (1 - U) * np.exp(-interval / facil))
    decay = np.exp(-interval / rec)
    steady_R = (1 - decay) / (1 - (1 - steady_u) * decay)
    assert_allclose([s[0] for s in states], steady_u, rtol=1e-3)  # after 8 intervals of 40 ms, or 32 of 10 ms
    assert_allclose([s[1] for s in states], steady_R * (1 - steady_u), rtol=1e-2)
    assert_allclose(last, steady_u, rtol=1e-3)
