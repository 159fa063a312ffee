"""Pair-based spike-timing-dependent plasticity."""

from brian2.units import ms

from hrsnn.simulation.model import SynapseModel


class STDP(SynapseModel):
    """Additive pair STDP, all-to-all pairing, hard bounds; every parameter may differ from synapse to synapse.

    A presynaptic spike depresses by A_minus times the postsynaptic trace, a postsynaptic spike potentiates by
    A_plus times the presynaptic trace. Both changes use the traces before this time step: presynaptic spikes come
    first, so a postsynaptic one leaves out the increment of a presynaptic one in the same step, at which the
    synapse was updated last. The traces belong to the synapse, because tau_plus and tau_minus may.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, eqs 3-5.
    .. [2] Song, Miller & Abbott (2000), Competitive Hebbian learning (ratio of the amplitudes).
    """

    equations = """
    w : 1
    dx_plus/dt = -x_plus/tau_plus : 1 (event-driven)
    dx_minus/dt = -x_minus/tau_minus : 1 (event-driven)
    """
    on_pre = """
    {target}_post += w
    w = clip(w - A_minus*x_minus, w_min, w_max)
    x_plus += 1
    """
    on_post = """
    w = clip(w + A_plus*clip(x_plus - int(lastupdate == t), 0, inf), w_min, w_max)
    x_minus += 1
    """
    frozen = {"A_plus": 0.0, "A_minus": 0.0}
    ranges = {"A_plus": (0, None), "A_minus": (0, None)}
    ordered = (("w_min", "w_max"),)
    defaults = {
        "A_plus": 0.01,  # potentiation at a postsynaptic spike
        "A_minus": 0.0105,  # depression at a presynaptic spike
        "tau_plus": 20 * ms,  # time constant of the presynaptic trace
        "tau_minus": 20 * ms,  # time constant of the postsynaptic trace
        "w_min": 0.0,  # lower bound of the weight
        "w_max": 1.0,  # upper bound of the weight
    }
