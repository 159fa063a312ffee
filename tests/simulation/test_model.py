"""Models as values, the text that runs, and the integrator against analytic and high-order solutions."""

import copy
import pickle
from typing import ClassVar

import numpy as np
import pytest
from brian2 import Hz, Network, NeuronGroup, SpikeMonitor, StateMonitor, Synapses, ms, mV, prefs
from brian2.equations.equations import Equations
from brian2.stateupdaters.base import UnsupportedEquationsException
from brian2.units.fundamentalunits import DimensionMismatchError
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import solve_ivp

from hrsnn import Gamma, Normal, Uniform
from hrsnn.models import (
    LIF,
    STDP,
    AdaptiveConductanceLIF,
    AdaptiveLIF,
    BalancedSTDP,
    ConductanceLIF,
    CrossModalSTDP,
    PowerLawSTDP,
    ShortTerm,
    Static,
)
from hrsnn.simulation.functions import FUNCTIONS
from hrsnn.simulation.integration import ExponentialEuler
from hrsnn.simulation.model import NeuronModel, SynapseModel

N_DRAWS = 20_000


@pytest.fixture(autouse=True)
def _numpy_target():
    before = prefs.codegen.target
    prefs.codegen.target = "numpy"
    yield
    prefs.codegen.target = before


# Models as values


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LIF(tau=20 * ms), TypeError, r"LIF has no parameter 'tau'. Its parameters are: tau_m, .*, drive\."),
        (lambda: Static(w=1), TypeError, r"Static has no parameter 'w'. Its parameters are: none\."),
        (lambda: LIF(tau_m=20 * mV), DimensionMismatchError, "LIF parameter tau_m has the wrong unit"),
        (lambda: LIF(tau_m=20), DimensionMismatchError, "LIF parameter tau_m has the wrong unit"),
        (lambda: LIF(v_thresh=1 * mV), DimensionMismatchError, "LIF parameter v_thresh has the wrong unit"),
        (lambda: LIF(tau_m=Gamma(20, 3)), DimensionMismatchError, "LIF parameter tau_m has the wrong unit"),
        (lambda: LIF(v_thresh=np.nan), ValueError, "LIF parameter v_thresh must be finite, got nan"),
        (lambda: LIF(tau_m=np.inf * ms), ValueError, "LIF parameter tau_m must be finite"),
        (lambda: LIF(tau_m=0 * ms), ValueError, "LIF parameter tau_m must be positive, got 0 s"),
        (lambda: PowerLawSTDP(tau=-1 * ms), ValueError, "PowerLawSTDP parameter tau must be positive, got -0.001 s"),
        (lambda: LIF(t_ref=-1 * ms), ValueError, "LIF parameter t_ref must not be negative"),
        (lambda: PowerLawSTDP(eta=-1), ValueError, "PowerLawSTDP parameter eta must not be negative, got -1\\."),
        (lambda: PowerLawSTDP(offset=1.5), ValueError, r"PowerLawSTDP parameter offset must be in \[0, 1\], got 1.5"),
        (lambda: PowerLawSTDP(mu=-0.5), ValueError, "PowerLawSTDP parameter mu must not be negative, got -0.5"),
        (lambda: PowerLawSTDP(w_max=-1.0), ValueError, "PowerLawSTDP parameter w_max must not be negative, got -1"),
        (lambda: CrossModalSTDP(gain=-3.0), ValueError, "CrossModalSTDP parameter gain must not be negative"),
        (lambda: CrossModalSTDP(eta=-3.0), ValueError, "CrossModalSTDP parameter eta must not be negative"),
        (lambda: STDP(A_plus=-0.1), ValueError, "STDP parameter A_plus must not be negative, got -0.1"),
        (lambda: STDP(A_minus=-0.1), ValueError, "STDP parameter A_minus must not be negative, got -0.1"),
        (lambda: STDP(w_min=2.0), ValueError, "STDP parameter w_min must not exceed w_max, got 2.0 and 1.0"),
        (lambda: BalancedSTDP(ratio=-1.0), ValueError, "BalancedSTDP parameter ratio must not be negative"),
        (lambda: BalancedSTDP(w_max=-1.0), ValueError, "BalancedSTDP parameter w_min must not exceed w_max"),
        (lambda: ShortTerm(U=1.1), ValueError, r"ShortTerm parameter U must be in \[0, 1\], got 1.1"),
        (lambda: LIF(v_reset=2.0), ValueError, "LIF parameter v_reset must not exceed v_thresh, got 2.0 and 1.0"),
        (lambda: ConductanceLIF(v_reset=0 * mV), ValueError, "v_reset must not exceed v_thresh, got 0. V and -40. mV"),
        (lambda: AdaptiveLIF(theta_plus=-1.0), ValueError, "AdaptiveLIF parameter theta_plus must not be negative"),
        (
            lambda: AdaptiveConductanceLIF(theta_plus=-1 * mV),
            ValueError,
            "parameter theta_plus must not be negative, got -0.001 V",
        ),
        (lambda: LIF(v_thresh="1"), TypeError, "LIF parameter v_thresh must be a number, a Quantity or a law, got '1'"),
        (lambda: LIF(v_thresh=None), TypeError, "LIF parameter v_thresh must be a number.*, got None"),
        (lambda: LIF(v_thresh=True), TypeError, "LIF parameter v_thresh must be a number.*, got True"),
        (lambda: LIF(v_thresh=1j), TypeError, "LIF parameter v_thresh must be a number"),
        (lambda: LIF(v_thresh=[1.0]), TypeError, r"LIF parameter v_thresh must be a number.*, got \[1.0\]"),
        (lambda: LIF(tau_m=[10, 20] * ms), TypeError, "LIF parameter tau_m must be a number"),
    ],
)
def test_wrong_parameters_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_replace_changes_a_copy_alone():
    one = LIF(tau_m=10 * ms)
    two = one.replace(v_thresh=0.5)
    assert (one.parameters["tau_m"], one.parameters["v_thresh"]) == (10 * ms, 1.0)
    assert (two.parameters["tau_m"], two.parameters["v_thresh"]) == (10 * ms, 0.5)
    with pytest.raises(TypeError, match="does not support item assignment"):
        one.parameters["tau_m"] = 3 * ms
    with pytest.raises(TypeError, match="LIF has no parameter 'tau'"):
        one.replace(tau=3 * ms)


@pytest.mark.parametrize("model", [LIF(), LIF(tau_m=Gamma(mean=20 * ms, shape=3), drive=2), STDP(A_plus=0.3)])
def test_models_are_values(model):
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model.replace()):
        assert other == model
        assert hash(other) == hash(model)
        assert repr(other) == repr(model)
    assert model != type(model)(w_max=3) if isinstance(model, STDP) else model != model.replace(drive=0.1)
    assert model != Static()
    assert LIF(tau_m=0.02 * 1000 * ms) == LIF()
    assert LIF() != LIF(tau_m=20.000000001 * ms)


def test_repr_names_what_differs_from_the_defaults():
    assert repr(LIF()) == repr(LIF(tau_m=20 * ms)) == repr(copy.deepcopy(LIF())) == "LIF()"
    assert repr(LIF(tau_m=10 * ms, drive=2.5)) == "LIF(tau_m=10. * msecond, drive=2.5)"
    assert repr(LIF(drive=Uniform(0, 1))) == "LIF(drive=Uniform(low=0, high=1))"


def test_a_model_prints_the_text_that_runs():
    printed = str(AdaptiveConductanceLIF(tau_m=Gamma(mean=100 * ms, shape=3)))
    for line in (
        "    dv/dt = (v_rest - v + g_e*(E_e - v) + g_i*(E_i - v))/tau_m : volt",
        "    dtheta/dt = -theta/tau_theta : volt",
        "    (v > v_thresh + theta) and refractory_left < 0.5*dt",
        "    theta += theta_plus",
        "    refractory_left = t_ref",
        "    v while refractory_left > 0",
        "    tau_m = Gamma(mean=100*ms, shape=3)",
        "    E_i = -100. mV",
    ):
        assert line in printed.splitlines()
    assert "unless refractory" not in printed
    stdp = str(PowerLawSTDP())
    assert PowerLawSTDP.on_post in stdp
    assert "    {target}_post += w" in stdp.splitlines()


def test_the_printed_text_runs_in_a_script_of_its_own():
    model = LIF(drive=1.7)
    text = model.text()
    pasted = NeuronGroup(
        1,
        text["equations"],
        threshold=text["threshold"],
        reset=text["reset"],
        method=ExponentialEuler(model.held),
        namespace={**FUNCTIONS, **model.parameters},
        dt=0.5 * ms,
        name="pasted",
    )
    built = model.build(1, name="built", dt=0.5 * ms)
    monitors = [SpikeMonitor(group, name=f"of_{group.name}") for group in (pasted, built)]
    Network(pasted, built, *monitors).run(200 * ms, namespace={})
    assert len(monitors[0].t) > 5
    assert_array_equal(monitors[0].t / ms, monitors[1].t / ms)


def test_laws_are_declared_for_each_element_and_numbers_once():
    model = STDP(tau_plus=Gamma(mean=20 * ms, shape=3))
    assert model.heterogeneous == ("tau_plus",)
    lines = model.declarations().splitlines()
    assert lines[:3] == [
        "A_plus : 1 (shared, constant)",
        "A_minus : 1 (shared, constant)",
        "tau_plus : second (constant)",
    ]
    assert "v_rest : volt (shared, constant)" in ConductanceLIF().declarations().splitlines()


def test_draws_repeat_with_the_generator_and_follow_the_law():
    model = LIF(tau_m=Gamma(mean=20 * ms, shape=3), v_thresh=Uniform(0.5, 1.5))
    one, two = (model.draw(N_DRAWS, np.random.default_rng(5)) for _ in range(2))
    assert list(one) == list(LIF.defaults)
    for key in ("tau_m", "v_thresh"):
        assert_array_equal(np.asarray(one[key]), np.asarray(two[key]))
    other = model.draw(N_DRAWS, np.random.default_rng(6))
    assert (np.asarray(other["tau_m"]) != np.asarray(one["tau_m"])).all()
    for key, mean, std in (("tau_m", 0.02, 0.02 / np.sqrt(3)), ("v_thresh", 1, 1 / np.sqrt(12))):
        assert abs(np.mean(np.asarray(one[key])) - mean) < 4 * std / np.sqrt(N_DRAWS)
        assert_allclose(np.std(np.asarray(one[key])), std, rtol=0.05)
    assert one["tau_e"] == 3 * ms


def test_draws_that_cannot_be_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"LIF parameter tau_m must be positive, got .* A law takes bounds: low="):
        LIF(tau_m=Normal(10 * ms, 10 * ms)).draw(1000, rng)
    assert (LIF(tau_m=Normal(10 * ms, 10 * ms, low=1 * ms)).draw(1000, rng)["tau_m"] >= 1 * ms).all()
    with pytest.raises(ValueError, match="STDP parameter A_plus must not be negative, got -"):
        STDP(A_plus=Normal(0.01, 0.1)).draw(1000, rng)
    with pytest.raises(ValueError, match="STDP parameter w_min must not exceed w_max, got"):
        STDP(w_max=Uniform(-0.1, 1.0)).draw(1000, rng)
    with pytest.raises(ValueError, match="is a search space"):
        LIF(tau_m=Gamma(mean=(5 * ms, 50 * ms), shape=3)).draw(10, rng)
    with pytest.raises(ValueError, match=r"LIF has laws \(tau_m\): pass rng"):
        LIF(tau_m=Gamma(mean=20 * ms, shape=3)).build(3, name="exc", dt=0.5 * ms)


def test_code_changes_with_all_that_is_generated_and_with_nothing_else():
    class Other(LIF):
        rest: ClassVar = {**LIF.rest, "v": "v_reset"}

    class Third(LIF):
        threshold = "v >= v_thresh"

    Other.__name__ = Third.__name__ = "LIF"
    codes = {m.code() for m in (LIF(), Other(), Third(), LIF(tau_m=Gamma(mean=20 * ms, shape=3)), STDP(), Static())}
    assert len(codes) == 6
    assert LIF(tau_m=3 * ms).code() == LIF().code()
    assert LIF(tau_m=Gamma(3 * ms, 1)).code() == LIF(tau_m=Uniform(1 * ms, 2 * ms)).code()


# The integrator


@pytest.mark.parametrize("dt", [0.1, 0.5, 5.0])
def test_linear_equations_with_constant_coefficients_are_exact_at_any_step(dt):
    group = NeuronGroup(
        2,
        """
        dx/dt = (a - x)/(7*ms) : 1
        dy/dt = -y/(3*ms) : 1
        dz/dt = 2*Hz : 1
        dk/dt = 0*Hz : 1
        a : 1""",
        method=ExponentialEuler(),
        namespace=FUNCTIONS,
        dt=dt * ms,
        name="linear",
    )
    group.a, group.x, group.y, group.z, group.k = [3, -1], [0, 2], [1, -5], 1, 4
    Network(group).run(20 * ms, namespace={"Hz": Hz, "ms": ms})
    a, x = np.array([3, -1]), np.array([0, 2])
    assert_allclose(group.x, a + (x - a) * np.exp(-20 / 7), rtol=1e-12)
    assert_allclose(group.y, np.array([1, -5]) * np.exp(-20 / 3), rtol=1e-12)
    assert_allclose(group.z, 1.04, rtol=1e-12)
    assert_allclose(group.k, 4, rtol=0)


def test_the_error_of_the_conductance_neuron_halves_with_the_step():
    p = {key: float(value) for key, value in AdaptiveConductanceLIF().parameters.items()}

    def slope(t, y):
        v, g_e, g_i = y
        dv = (p["v_rest"] - v + g_e * (p["E_e"] - v) + g_i * (p["E_i"] - v)) / p["tau_m"]
        return [dv, -g_e / p["tau_ge"], -g_i / p["tau_gi"]]

    start = [-0.07, 6.0, 9.0]
    exact = solve_ivp(slope, (0, 0.004), start, method="DOP853", rtol=1e-12, atol=1e-15).y[:, -1]
    errors = []
    for dt in (0.4, 0.2, 0.1, 0.05):
        group = AdaptiveConductanceLIF(v_thresh=1000 * mV).build(1, name="exc", dt=dt * ms)
        group.set_states(dict(zip(("v", "g_e", "g_i"), start, strict=True)), units=False)
        Network(group).run(4 * ms, namespace={})
        assert_allclose([group.g_e[0], group.g_i[0]], exact[1:], rtol=1e-9)
        errors.append(abs(float(group.v[0]) - exact[0]))
    assert 1e-7 < errors[-1] < 5e-4  # volt: there is an error to halve
    assert (np.divide(errors[:-1], errors[1:]) > 1.9).all()


@pytest.mark.parametrize("t_ref", [0.0, 0.5, 1.0, 3.0, 5.0])
def test_the_countdown_holds_the_same_steps_as_the_refractory_argument_of_brian2(t_ref):
    model = LIF(t_ref=t_ref * ms, drive=Uniform(1.05, 40))
    ours = model.build(50, name="ours", dt=0.5 * ms, rng=np.random.default_rng(2))
    plain = NeuronGroup(
        50,
        f"{model.equations}\n{model.declarations()}",
        threshold=model.threshold,
        reset=model.reset,
        refractory="t_ref",
        method="exponential_euler",
        dt=0.5 * ms,
        name="plain",
    )
    for key in model.parameters:
        setattr(plain, key, getattr(ours, key))
    groups = ours, plain
    spikes = [SpikeMonitor(group, name=f"spikes_{group.name}") for group in groups]
    traces = [StateMonitor(group, "v", record=True, dt=0.5 * ms, name=f"v_{group.name}") for group in groups]
    Network(*groups, *spikes, *traces).run(60 * ms, namespace={})
    assert len(spikes[0].i) > 100
    assert_array_equal(spikes[0].i, spikes[1].i)
    assert_array_equal(spikes[0].t / ms, spikes[1].t / ms)
    assert_allclose(traces[0].v, traces[1].v, rtol=1e-11, atol=1e-13)


def test_a_period_between_two_steps_goes_to_the_nearer_one():
    model = LIF(t_ref=Uniform(0.1 * ms, 5 * ms), drive=1e6)  # fires at every step that is not held
    group = model.build(30, name="exc", dt=0.5 * ms, rng=np.random.default_rng(0))
    spikes = SpikeMonitor(group, name="spikes")
    Network(group, spikes).run(50 * ms, namespace={})
    steps = [np.unique(np.rint(np.diff(train / ms) / 0.5)) for train in spikes.spike_trains().values()]
    expected = np.maximum(1, np.ceil(np.asarray(group.t_ref) / 0.0005 - 0.5))
    assert_array_equal(np.concatenate(steps), expected)
    assert len(set(expected)) > 5


def test_what_it_cannot_integrate_is_refused():
    integrate = ExponentialEuler()
    with pytest.raises(UnsupportedEquationsException, match="stochastic"):
        integrate(Equations("dx/dt = -x/(5*ms) + xi/sqrt(ms) : 1"), {})
    cubic = NeuronGroup(1, "dx/dt = x**3/ms : 1", method=integrate, namespace=FUNCTIONS, dt=1 * ms, name="cubic")
    with pytest.raises(UnsupportedEquationsException, match=r"linear in their own variable: .*x\*\*3/ms"):
        integrate(cubic.equations, cubic.variables)


# Models of users


def test_a_model_without_refractory_period_takes_the_hold_out():
    class Plain(LIF):
        refractory = ""

    assert Plain().held == ()
    assert "refractory_left" not in str(Plain())
    group = Plain(drive=1e6).build(1, name="exc", dt=0.5 * ms)
    spikes = SpikeMonitor(group, name="spikes")
    Network(group, spikes).run(5 * ms, namespace={})
    assert_allclose(spikes.t / ms, np.arange(10) * 0.5, atol=1e-9)


def test_a_subclass_is_a_variant_with_its_own_start_and_extra_statements():
    class Counting(NeuronModel):
        equations = "dv/dt = -v/tau_m : 1"
        threshold = "v > 1"
        reset = "v = 0"
        rest: ClassVar = {"v": "v_0"}
        defaults: ClassVar = {"tau_m": 10 * ms, "v_0": 1.5}

    group = Counting().build(
        2, name="exc", dt=1 * ms, extra="n : 1\nm : 1", extra_reset="n += 1", events={"low": "v < 0.5"}
    )
    group.run_on_event("low", "m += 1")
    assert_array_equal(group.v, 1.5)
    Network(group).run(3 * ms, namespace={})
    assert_array_equal(group.n, 1)
    assert_array_equal(group.m, 2)  # after the reset the potential is low


def test_a_synapse_model_takes_further_pathways_and_parameters():
    class Scaled(SynapseModel):
        equations = "w : 1"
        on_pre = "{target}_post += gain*w"
        defaults: ClassVar = {"gain": 2.0}

    source = LIF(drive=1e6, t_ref=100 * ms).build(1, name="source", dt=0.5 * ms)
    target = LIF(t_ref=0 * ms).build(2, name="target", dt=0.5 * ms, events={"always": "v > -1"})
    synapses = Scaled(gain=3).build(
        source, target, variable="i_i", name="scaled", dt=0.5 * ms, on_event={"grow": ("always", "w += 1")}
    )
    assert isinstance(synapses, Synapses)
    synapses.connect()
    Scaled(gain=3).initialise(synapses, 2, np.random.default_rng(0))
    synapses.w = [0.1, 0.2]
    Network(source, target, synapses).run(0.5 * ms, namespace={})
    assert_allclose(target.i_i, [0.3, 0.6])
    assert_allclose(synapses.w, [1.1, 1.2])


def test_a_law_draws_for_no_synapses():
    assert STDP(tau_plus=Gamma(mean=20 * ms, shape=3)).draw(0, np.random.default_rng(0))["tau_plus"].shape == (0,)
