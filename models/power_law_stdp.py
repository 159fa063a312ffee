"""Power-law weight-dependent STDP."""

from brian2.units import ms

from hrsnn.simulation.model import SynapseModel


class PowerLawSTDP(SynapseModel):
    """Power-law STDP: all changes happen at postsynaptic spikes, from the last presynaptic spike.

    dw = eta (exp((t_pre - t_post)/tau) - offset) (w_max - w)^mu, then w is clipped to [0, w_max]. "Power law" is
    the dependence on the weight, as in Rathi (2021) and in Diehl & Cook's weight-dependent rule; the dependence on
    time is exponential. An input that has not fired counts as infinitely long ago: it is depressed. The change
    vanishes at t_post - t_pre = tau ln(1/offset).

    The source must have a variable ``t_last``, the time of each neuron's last spike before the present step.

    References
    ----------
    .. [1] Rathi (2021), section 2.3.1 and eq. 3.3, table 3.1.
    .. [2] Diehl & Cook (2015), Unsupervised learning of digit recognition using STDP.
    """

    equations = "w : 1"
    on_pre = "{target}_post += w"
    on_post = "w = clip(w + eta*(exp((t_last_pre - t)/tau) - offset)*(w_max - w)**mu, 0, w_max)"
    frozen = {"eta": 0.0}
    ranges = {"eta": (0, None), "offset": (0, 1), "mu": (0, None), "w_max": (0, None)}
    defaults = {
        "eta": 0.0005,  # learning rate
        "tau": 20 * ms,  # time constant of the exponential
        "offset": 0.4,  # value of the exponential at which the change is zero
        "mu": 0.9,  # exponent of the weight dependence
        "w_max": 1.0,  # upper bound of the weight
    }


class CrossModalSTDP(PowerLawSTDP):
    """Power-law STDP between the neurons of two ensembles: ``PowerLawSTDP`` with a conductance a weight.

    There are far fewer such synapses than inputs, so each counts ``gain`` times. The source gives a neuron a longer
    time constant here, since neurons fire less often than inputs; its offset is that of ``PowerLawSTDP``.

    References
    ----------
    .. [1] Rathi (2021), section 3.4.2 and table 3.1.
    """

    on_pre = "{target}_post += gain*w"
    ranges = {**PowerLawSTDP.ranges, "gain": (0, None)}
    defaults = {
        **PowerLawSTDP.defaults,
        "eta": 0.001,  # learning rate
        "tau": 30 * ms,  # time constant of the exponential
        "gain": 3.0,  # conductance of a weight of one, in units of the leak
    }
