"""Synapse whose weight depends on the interval between presynaptic spikes."""

from brian2.units import ms

from hrsnn.simulation.model import SynapseModel


class IntervalModulated(SynapseModel):
    """A presynaptic spike adds h exp(-(phi - mu)^2 / (2 sigma^2)), with phi the time since the one before.

    The synapse passes on spikes that come at intervals near ``mu``; ``h``, the height, may be of either sign. Before
    its first presynaptic spike, phi is the time since the start; at rest, since the rest.

    References
    ----------
    .. [1] Adams, Zajaczkowska, Anjum, Soltoggio & Dora (2024), Synaptic modulation using interspike intervals
       increases energy efficiency of spiking neural networks, eqs 4 and 5 (values of section 4.1).
    """

    equations = """
    h : 1
    t_last : second
    phi = t - t_last : second
    """
    on_pre = """
    {target}_post += h*exp(-(phi - mu)**2/(2*sigma**2))
    t_last = t
    """
    rest = {"t_last": "t"}
    ranges = {"mu": (0, None), "sigma": (1e-6, None)}
    defaults = {
        "mu": 10 * ms,  # interval at which the weight is the height
        "sigma": 5 * ms,  # how far from it the weight has fallen to exp(-1/2) of the height
    }
