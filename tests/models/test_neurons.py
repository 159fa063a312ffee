"""Neuron models against closed forms: rate, decay, reversal potentials, adaptive threshold."""

import numpy as np
import pytest
from brian2 import Hz, Network, SpikeGeneratorGroup, SpikeMonitor, StateMonitor, Synapses, ms, mV
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn import Gamma, Uniform
from hrsnn.models import (
    IF,
    LIF,
    AdaptiveConductanceLIF,
    AdaptiveLIF,
    BiasedLIF,
    ConductanceLIF,
    DeltaLIF,
    DiscreteIF,
    DiscreteLIF,
)

DT = 0.1 * ms


def run(duration, *objects):
    network = Network(*objects)
    network.run(duration, namespace={})
    return network


@pytest.mark.parametrize("v_reset", [0.0, -0.4])
def test_lif_rate_matches_theory(v_reset):
    lif = LIF(drive=Uniform(1.05, 3), v_reset=v_reset, tau_m=20 * ms, t_ref=3 * ms)
    group = lif.build(20, name="exc", dt=DT, rng=np.random.default_rng(0))
    spikes = SpikeMonitor(group, name="spikes")
    run(400 * ms, group, spikes)
    drive = np.array(group.drive)
    assert np.ptp(drive) > 1
    periods = 3 + 20 * np.log((drive - v_reset) / (drive - 1))
    for train, period in zip(spikes.spike_trains().values(), periods, strict=True):
        intervals = np.diff(train / ms)
        assert len(intervals) > 3
        # The potential is exact at every step; the spike waits for the next one, and so may the end of the hold.
        assert_allclose(intervals, period, atol=0.2)
        assert_allclose(intervals, intervals[0], atol=1e-6)


def test_membrane_and_current_decay_exactly():
    group = LIF().build(3, name="exc", dt=0.5 * ms)
    group.v = [0.9, -0.5, 0.2]
    group.i_e = [0, 0, 0]
    start = np.array(group.v)
    network = run(37 * ms, group)
    assert_allclose(group.v, start * np.exp(-37 / 20), rtol=1e-12)
    group.i_e, group.i_i = [0.2, 0, 1], [0.1, 3, 0]
    network.run(8 * ms, namespace={})
    assert_allclose(group.i_e, np.array([0.2, 0, 1]) * np.exp(-8 / 3), rtol=1e-12)
    assert_allclose(group.i_i, np.array([0.1, 3, 0]) * np.exp(-8 / 6), rtol=1e-12)


def test_inhibition_lowers_and_excitation_raises_the_potential():
    group = LIF().build(3, name="exc", dt=DT)
    group.i_e, group.i_i = [0.5, 0, 0.5], [0, 0.5, 0]
    run(1 * ms, group)
    # v'' solution for exponential current: I0 tau_s/(tau_m - tau_s) (e^{-t/tau_m} - e^{-t/tau_s})
    excited = 0.5 * 3 / (20 - 3) * (np.exp(-1 / 20) - np.exp(-1 / 3))
    inhibited = 0.5 * 6 / (20 - 6) * (np.exp(-1 / 20) - np.exp(-1 / 6))
    assert_allclose(group.v, [excited, -inhibited, excited], rtol=0.03)  # current frozen over a step: order dt/tau_e


def test_heterogeneous_neurons_each_decay_with_their_own_constant():
    lif = LIF(tau_m=Gamma(mean=20 * ms, shape=3))
    group = lif.build(50, name="exc", dt=0.5 * ms, rng=np.random.default_rng(3))
    tau = np.asarray(lif.draw(50, np.random.default_rng(3))["tau_m"])
    assert_array_equal(np.asarray(group.tau_m), tau)
    assert np.ptp(tau) > 0.02
    group.v = 0.8
    run(10 * ms, group)
    assert_allclose(group.v, 0.8 * np.exp(-0.01 / tau), rtol=1e-12)


def test_constant_conductances_settle_between_the_reversal_potentials():
    model = AdaptiveConductanceLIF(tau_ge=1e30 * ms, tau_gi=1e30 * ms, v_thresh=1000 * mV)
    group = model.build(4, name="exc", dt=0.5 * ms)
    g_e, g_i = np.array([0, 0.3, 0, 0.7]), np.array([0, 0, 5, 1.2])
    group.g_e, group.g_i, group.v = g_e, g_i, -80 * mV
    run(100 * ms, group)
    settled = (-65 + g_e * 0 + g_i * -100) / (1 + g_e + g_i)
    assert_allclose(group.v / mV, settled + (-80 - settled) * np.exp(-(1 + g_e + g_i)), rtol=1e-12)


def test_conductances_push_no_further_than_their_reversal_potential():
    group = ConductanceLIF(v_thresh=1000 * mV).build(2, name="inh", dt=0.5 * ms)
    group.g_e, group.g_i = [1e6, 0], [0, 1e6]
    trace = StateMonitor(group, "v", record=True, dt=0.5 * ms, name="trace")
    run(20 * ms, group, trace)
    assert_allclose(trace.v[:, 5] / mV, [0, -85], atol=0.1)
    assert trace.v[0].max() <= 0
    assert trace.v[1].min() >= -85 * mV - 1e-12 * mV


@pytest.mark.parametrize(
    ("model", "theta_0", "rise", "start_v"),
    [
        (AdaptiveLIF(theta_plus=0.05, tau_theta=40 * ms), 0.0, 0.05, 1.2),
        (
            AdaptiveConductanceLIF(theta_plus=0.4 * mV, tau_theta=40 * ms, theta_init=30 * mV),
            0.03,
            0.0004,
            20 * mV,
        ),
    ],
)
def test_threshold_rises_at_a_spike_and_decays_exactly(model, theta_0, rise, start_v):
    group = model.build(2, name="exc", dt=0.5 * ms)
    assert_allclose(np.asarray(group.theta), theta_0)
    group.set_states({"v": np.array([float(start_v), -0.08])}, units=False)  # the first fires at the first step
    trace = StateMonitor(group, "theta", record=True, dt=0.5 * ms, when="end", name="trace")
    spikes = SpikeMonitor(group, name="spikes")
    run(30 * ms, group, trace, spikes)
    assert_array_equal(spikes.i, [0])
    t = np.arange(60) * 0.5
    decay = np.exp(-t / 40)
    step = np.exp(-0.5 / 40)
    assert_allclose(np.asarray(trace.theta[0]), (theta_0 * step + rise) * decay, rtol=1e-12)
    assert_allclose(np.asarray(trace.theta[1]), theta_0 * step * decay, rtol=1e-12)


@pytest.mark.parametrize("below", [True, False])
def test_a_neuron_fires_above_threshold_plus_theta_alone(below):
    model = AdaptiveConductanceLIF(theta_init=20 * mV, tau_m=1e9 * ms, tau_theta=1e12 * ms)
    group = model.build(1, name="exc", dt=0.5 * ms)
    group.v = (-52.01 if below else -51.99) * mV
    spikes = SpikeMonitor(group, name="spikes")
    run(1 * ms, group, spikes)
    assert spikes.count[0] == (0 if below else 1)
    assert (float(group.v[0]) == -0.065) is not below


@pytest.mark.parametrize("model", [AdaptiveLIF(), AdaptiveConductanceLIF()])
def test_frozen_thresholds_do_not_change(model):
    frozen = model.replace(**model.frozen)
    group = frozen.build(1, name="exc", dt=0.5 * ms)
    theta = 0.01
    group.set_states({"theta": theta, "v": 2}, units=False)
    spikes = SpikeMonitor(group, name="spikes")
    run(100 * ms, group, spikes)
    assert spikes.count[0] >= 1
    assert float(group.theta[0]) == theta


def test_constants_are_those_of_diehl_and_cook():
    exc, inh = AdaptiveConductanceLIF().parameters, ConductanceLIF().parameters
    assert (exc["v_thresh"] + exc["theta_init"]) / mV == pytest.approx(-52)
    for key, value in dict(tau_m=100, t_ref=5, tau_ge=1, tau_gi=2, tau_theta=1e7).items():
        assert exc[key] / ms == pytest.approx(value)
    for key, value in dict(v_rest=-65, v_reset=-65, E_e=0, E_i=-100, theta_plus=0.05).items():
        assert exc[key] / mV == pytest.approx(value)
    for key, value in dict(tau_m=10, t_ref=2, tau_ge=1, tau_gi=2).items():
        assert inh[key] / ms == pytest.approx(value)
    for key, value in dict(v_rest=-60, v_reset=-45, v_thresh=-40, E_e=0, E_i=-85).items():
        assert inh[key] / mV == pytest.approx(value)


def test_input_spikes_sum_in_the_current():
    source = SpikeGeneratorGroup(2, [0, 1, 0], [1, 1, 2] * ms, dt=DT, name="source")
    group = LIF().build(1, name="exc", dt=DT)
    synapses = Synapses(source, group, "w : 1", on_pre="i_e_post += w", dt=DT, name="drive")
    synapses.connect()
    synapses.w = [0.3, 0.1]
    run(4 * ms, source, group, synapses)
    # spikes act after the state update of their step, so 3 - 0.1 and 2 - 0.1 ms of decay
    assert_allclose(group.i_e, 0.4 * np.exp(-2.9 / 3) + 0.3 * np.exp(-1.9 / 3), rtol=1e-12)


def test_what_arrives_moves_the_potential_by_its_weight():
    group = DeltaLIF().build(2, name="exc", dt=DT)
    group.i_e = [0.5, -0.2]
    network = run(DT, group)
    # It comes evenly over the step of 0.1 ms, and decays with 20 ms while it does.
    assert_allclose(group.v, np.array([0.5, -0.2]) * 200 * (1 - np.exp(-1 / 200)), rtol=1e-12)
    assert_allclose(group.i_e, 0, atol=1e-200)
    before = np.array(group.v)
    network.run(10 * ms, namespace={})
    assert_allclose(group.v, before * np.exp(-10 / 20), rtol=1e-12)


def test_integrator_counts_to_its_threshold():
    group = IF(v_thresh=0.99).build(1, name="exc", dt=DT)
    spikes = SpikeMonitor(group, name="spikes")
    source = SpikeGeneratorGroup(1, np.zeros(9, int), np.arange(9) * 2 * ms, dt=DT, name="source")
    synapses = Synapses(source, group, on_pre="i_e += 0.25", dt=DT, name="synapses")
    synapses.connect()
    run(20 * ms, group, spikes, source, synapses)
    assert_allclose(spikes.t / ms, [6.1, 14.1])  # each fourth, a step after it arrived
    assert_allclose(group.v, 0.25)


def test_integrator_fires_at_the_rate_of_its_drive():
    group = IF(drive=52 * Hz).build(1, name="exc", dt=DT)
    spikes = SpikeMonitor(group, name="spikes")
    run(400 * ms, group, spikes)
    assert_allclose(np.diff(spikes.t / ms), 1000 / 52, atol=0.1)  # a step
    assert spikes.num_spikes > 15


def test_biased_current_goes_to_its_bias():
    group = BiasedLIF(bias=0.4).build(1, name="exc", dt=DT)
    run(2 * ms, group)
    assert_allclose(group.i_e, 0.4 * (1 - np.exp(-2 / 3)), rtol=1e-12)


@pytest.mark.parametrize("model", [DiscreteLIF(leak=0.75, v_thresh=0.5), DiscreteIF(v_thresh=0.5)])
def test_discrete_neurons_are_the_map_of_their_equation(model):
    leak, v_thresh = model.parameters.get("leak", 1.0), 0.5
    group = model.build(1, name="exc", dt=DT)
    source = SpikeGeneratorGroup(1, np.zeros(20, int), np.arange(20) * DT, dt=DT, name="source")
    synapses = Synapses(source, group, on_pre="i_e += 0.375", dt=DT, name="synapses")
    synapses.connect()
    state, spikes = StateMonitor(group, "v", record=0, when="thresholds", dt=DT), SpikeMonitor(group)
    run(20 * DT, group, source, synapses, state, spikes)
    u, o, expected = 0.0, 0, []
    for step in range(20):
        u = leak * u + (0.375 if step else 0) - v_thresh * o  # what is emitted in a step acts in the next
        o = int(u > v_thresh)
        expected.append((u, o))
    assert_array_equal(state.v[0], [u for u, _ in expected])  # binary fractions: no rounding
    assert_array_equal(np.round(spikes.t / DT), [step for step, (_, o) in enumerate(expected) if o])
    assert spikes.num_spikes > 5
