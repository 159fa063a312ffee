"""Integrate-and-fire neurons whose threshold rises with each spike (homeostasis)."""

from brian2.units import ms, mV

from hrsnn.models.conductance_lif import ConductanceLIF
from hrsnn.models.lif import LIF


class AdaptiveLIF(LIF):
    """LIF neuron whose threshold rises by ``theta_plus`` at each spike and decays with ``tau_theta``.

    References
    ----------
    .. [1] Rathi (2021), eq. 3.4.
    """

    equations = (
        LIF.equations
        + """
    dtheta/dt = -theta/tau_theta : 1
    """
    )
    threshold = "v > v_thresh + theta"
    reset = """
    v = v_reset
    theta += theta_plus
    """
    start = {"theta": "0"}
    frozen = {"theta_plus": 0.0, "tau_theta": 1e30 * ms}
    ranges = {"theta_plus": (0, None)}
    defaults = {
        **LIF.defaults,
        "theta_plus": 0.05,  # rise of the threshold at a spike
        "tau_theta": 1000 * ms,  # time constant of its decay
    }


class AdaptiveConductanceLIF(ConductanceLIF):
    """Conductance-based neuron with an adaptive threshold v_thresh + theta: the excitatory neuron of Diehl & Cook.

    ``theta`` starts at ``theta_init``, rises by ``theta_plus`` at each spike and decays with ``tau_theta``.

    References
    ----------
    .. [1] Diehl & Cook (2015), Unsupervised learning of digit recognition using STDP.
    .. [2] Rathi (2021), eq. 3.1-3.4.
    """

    equations = (
        ConductanceLIF.equations
        + """
    dtheta/dt = -theta/tau_theta : volt
    """
    )
    threshold = "v > v_thresh + theta"
    reset = """
    v = v_reset
    theta += theta_plus
    """
    start = {"theta": "theta_init"}
    frozen = {"theta_plus": 0 * mV, "tau_theta": 1e30 * ms}
    ranges = {"theta_plus": (0, None)}
    ordered = ()  # theta lifts the threshold above the reset
    defaults = {
        "tau_m": 100 * ms,  # membrane time constant
        "v_rest": -65 * mV,  # resting potential
        "v_reset": -65 * mV,  # potential after a spike
        "v_thresh": -72 * mV,  # threshold without theta
        "t_ref": 5 * ms,  # refractory period
        "E_e": 0 * mV,  # excitatory reversal potential
        "E_i": -100 * mV,  # inhibitory reversal potential
        "tau_ge": 1 * ms,  # excitatory synaptic time constant
        "tau_gi": 2 * ms,  # inhibitory synaptic time constant
        "theta_init": 20 * mV,  # theta at the start
        "theta_plus": 0.05 * mV,  # rise of theta at a spike
        "tau_theta": 1e7 * ms,  # time constant of its decay
    }


class CompetingLIF(AdaptiveConductanceLIF):
    """``AdaptiveConductanceLIF`` whose inhibition lasts longer while it learns, so that fewer neurons learn a sample.

    With 10 ms one or two neurons of a layer fire for a sample, with the 2 ms of the source three or four, which then
    become alike. Once frozen it is the neuron of the source: all that know a sample may say so.
    """

    frozen = {**AdaptiveConductanceLIF.frozen, "tau_gi": 2 * ms}
    defaults = {
        **AdaptiveConductanceLIF.defaults,
        "tau_gi": 10 * ms,  # inhibitory synaptic time constant, in learning
    }
