"""Declared neurons as functions, against Brian2 itself: states step by step, and clear errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    ms,
    mV,
    prefs,
    second,
)

from hrsnn import Gamma
from hrsnn.gradient import FastSigmoid, Translation, Untranslatable
from hrsnn.models import LIF, AdaptiveConductanceLIF, AdaptiveLIF, ConductanceLIF
from hrsnn.simulation.brian2_hooks import never_run

N, M, T = 20, 30, 200
DT = 0.5 * ms


@pytest.fixture(autouse=True)
def numpy_target():
    before = prefs.codegen.target
    prefs.codegen.target = "numpy"
    yield
    prefs.codegen.target = before


def in_brian2(group, target, X, W):
    """Spikes (T, N) and the final state of a group that T steps of input X drive through weights W."""
    i, t = np.nonzero(X.T)
    source = SpikeGeneratorGroup(M, i, t * DT, dt=DT)
    synapses = Synapses(source, group, "w : 1", on_pre=f"{target}_post += w*unit", dt=DT, namespace={"unit": 1.0})
    if group.variables[target].unit.dim != 1 * second / second:
        synapses.namespace["unit"] = group.variables[target].unit
    synapses.connect()
    synapses.w = W.ravel()
    monitor = SpikeMonitor(group)
    trace = StateMonitor(group, target, record=True, dt=DT, when="end")
    Network(group, source, synapses, monitor, trace).run(T * DT, namespace={})
    spikes = np.zeros((T, N), bool)
    spikes[np.round(monitor.t / DT).astype(int), monitor.i] = True
    return spikes, np.array(getattr(trace, f"{target}_")).T  # a copy: the monitor takes its memory along when it goes


def in_jax(translation, target, X, W):
    with jax.enable_x64(True):
        constants = translation.constants({})
        start = {key: jnp.broadcast_to(value, (N,)) for key, value in translation.initial().items()}

        def step(state, inputs):
            k, x = inputs
            state = translation.advance(state, constants, k)
            spikes = translation.spikes(state, constants, k, FastSigmoid(), 1.0, None)
            state = translation.fired(state, k, spikes)
            state = translation.receive(state, target, x @ W)
            state = translation.reset(state, constants, k, spikes)
            return state, (spikes, state[target])

        _, (spikes, values) = jax.lax.scan(step, start, (jnp.arange(T), jnp.asarray(X, float)))
    return np.asarray(spikes) > 0, np.asarray(values)


def compare(group, target, scale, rng):
    X = rng.random((T, M)) < 0.1
    W = rng.normal(1, 2, (M, N)) * scale
    translation = Translation(group)
    found = in_jax(translation, target, X, W)
    expected = in_brian2(group, target, X, W)
    assert expected[0].sum() > 50
    assert np.array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("neuron", "target", "scale"),
    [
        (LIF(tau_m=Gamma(20 * ms, 3, low=2 * ms), t_ref=2 * ms), "i_e", 0.3),
        (AdaptiveLIF(tau_theta=Gamma(100 * ms, 3, low=5 * ms)), "i_e", 0.3),
        (ConductanceLIF(E_i=-90 * mV), "g_e", 0.4),
        (AdaptiveConductanceLIF(theta_plus=2 * mV, tau_theta=50 * ms), "g_e", 3.0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, LIF | ConductanceLIF) else str(value),
)
def test_models_of_the_package_step_as_in_brian2(neuron, target, scale):
    rng = np.random.default_rng(1)
    compare(neuron.build(N, name="cells", dt=DT, rng=rng), target, scale, rng)


EQUATIONS = """
dv/dt = (-v + I + swing)/tau : volt {held}
dI/dt = -I/(5*ms) : volt
swing = strength*sin(2*pi*10*Hz*t) : volt
strength : volt (shared, constant)
tau : second (constant)
"""


@pytest.mark.parametrize("method", ["exact", "exponential_euler", "euler", "rk4"])
@pytest.mark.parametrize("refractory", [False, 3 * ms])
def test_groups_written_in_brian2_step_as_there(method, refractory):
    equations = EQUATIONS.format(held="(unless refractory)" if refractory else "")
    if method == "exact":  # has no solution with an oscillating input
        equations = equations.replace("strength*sin(2*pi*10*Hz*t)", "strength")
    rng = np.random.default_rng(0)
    group = NeuronGroup(
        N, equations, threshold="v >= 10*mV", reset="v = -2*mV", refractory=refractory, method=method, dt=DT
    )
    group.tau = rng.uniform(5, 20, N) * ms
    group.strength = 2 * mV
    group.run_regularly("I += 1*mV", dt=4 * DT)
    group.run_regularly("v *= 0.9", dt=2 * DT, when="end")
    compare(group, "I", 4e-3, rng)


def test_what_depends_on_parameters_alone_is_computed_once():
    group = never_run(LIF().build(2, name="cells", dt=1 * ms))
    translation = Translation(group)
    constants = translation.constants({"tau_m": 10e-3})
    decay = [value for key, value in constants.items() if "fast_exp(-dt / tau_m)" in key]
    np.testing.assert_allclose(decay, 1 - np.exp(-0.1), rtol=1e-6)


@pytest.mark.parametrize(
    ("equations", "threshold", "reset", "said"),
    [
        ("dv/dt = -v/(5*ms) : 1", "v > 1 + rand()", "v = 0", "draws at random"),
        ("dv/dt = -v/(5*ms) : 1", "v > 1", "v = randn()", "draws at random.*v = randn"),
        ("dv/dt = -v/(5*ms) : 1", "v > 1 or v < -1", "v = 0", "one comparison"),
        ("dv/dt = -v/(5*ms) : 1", "v > 1 and v > 0.5", "v = 0", "one comparison"),
        ("dv/dt = -v/(5*ms) + xi/ms**0.5 : 1", "v > 1", "v = 0", "xi|random"),
    ],
)
def test_what_has_no_derivative_is_refused_with_its_line(equations, threshold, reset, said):
    group = NeuronGroup(2, equations, threshold=threshold, reset=reset, method="euler", dt=1 * ms)
    with pytest.raises(Untranslatable, match=said):
        Translation(never_run(group))


def test_an_unknown_function_is_refused_by_name():
    from brian2.core.functions import Function

    bump = Function(np.tanh, arg_units=[1], return_unit=1)
    group = NeuronGroup(2, "dv/dt = bump(v)/(5*ms) : 1", threshold="v > 1", reset="v = 0", method="euler", dt=1 * ms,
                        namespace={"bump": bump})  # fmt: skip
    with pytest.raises(Untranslatable, match=r"bump\(\) is not known.*bump\(v\)"):
        Translation(never_run(group))


def test_neurons_without_a_threshold_are_refused():
    with pytest.raises(ValueError, match="no threshold"):
        Translation(never_run(NeuronGroup(2, "dv/dt = -v/(5*ms) : 1", method="exact", dt=1 * ms)))
