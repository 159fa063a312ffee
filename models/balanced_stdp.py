"""Pair-based STDP whose windows keep their balance of potentiation and depression from synapse to synapse."""

from brian2.units import ms

from hrsnn.simulation.model import SynapseModel


class BalancedSTDP(SynapseModel):
    """Additive pair STDP as `STDP`, with A_minus = ratio A_plus tau_plus / tau_minus in every synapse.

    Spikes without correlation change a weight at a rate proportional to A_plus tau_plus - A_minus tau_minus. If the
    four parameters differ independently from synapse to synapse, half of the weights drift up and half down, as far
    as the bounds let them, whatever the input. Here amplitudes and time constants differ as well, but the drift of
    all synapses keeps one sign, given by ``ratio``: that of depression over potentiation.

    References
    ----------
    .. [1] Song, Miller & Abbott (2000), Competitive Hebbian learning (ratio 1.05).
    .. [2] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, eqs 3-5.
    """

    equations = """
    w : 1
    dx_plus/dt = -x_plus/tau_plus : 1 (event-driven)
    dx_minus/dt = -x_minus/tau_minus : 1 (event-driven)
    """
    on_pre = """
    {target}_post += w
    w = clip(w - ratio*A_plus*tau_plus/tau_minus*x_minus, w_min, w_max)
    x_plus += 1
    """
    on_post = """
    w = clip(w + A_plus*clip(x_plus - int(lastupdate == t), 0, inf), w_min, w_max)
    x_minus += 1
    """
    frozen = {"A_plus": 0.0}
    ranges = {"A_plus": (0, None), "ratio": (0, None)}
    ordered = (("w_min", "w_max"),)
    defaults = {
        "A_plus": 0.01,  # potentiation at a postsynaptic spike
        "ratio": 1.05,  # depression over potentiation of spikes without correlation
        "tau_plus": 20 * ms,  # time constant of the presynaptic trace
        "tau_minus": 20 * ms,  # time constant of the postsynaptic trace
        "w_min": 0.0,  # lower bound of the weight
        "w_max": 1.0,  # upper bound of the weight
    }
