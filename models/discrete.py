"""Integrate-and-fire neurons of discrete time, whose threshold is subtracted after a spike."""

from hrsnn.simulation.model import NeuronModel


class DiscreteLIF(NeuronModel):
    """Leaky integrate-and-fire neuron that is a map from one time step to the next.

    u[t] = leak u[t-1] + sum_j w_j o_j[t] - v_thresh o[t-1], and o[t] = 1 where u[t] > v_thresh: the reset is soft, it
    takes away what the threshold was and leaves the rest. ``i_e`` is what arrived since the last time step, ``fired``
    is o[t-1]. A spike acts on the next neuron in its next time step, so that layer k of a chain is k steps behind.

    References
    ----------
    .. [1] Rathi (2021), eqs. 4.2-4.3 and 5.9-5.10.
    """

    equations = """
    v : 1
    i_e : 1
    fired : 1
    """
    update = """
    v = leak*v + i_e - v_thresh*fired
    i_e = 0
    fired = 0
    """
    threshold = "v > v_thresh"
    reset = "fired = 1"
    rest = {"v": "0", "i_e": "0", "fired": "0"}
    ranges = {"leak": (0, 1), "v_thresh": (0, None)}
    defaults = {
        "leak": 1.0,  # share of the potential that is left after a time step
        "v_thresh": 1.0,  # threshold, and what a spike takes away
    }


class DiscreteIF(DiscreteLIF):
    """The same neuron without a leak.

    References
    ----------
    .. [1] Rathi (2021), eqs. 4.2-4.3 with a leak of one; the neuron of a converted network.
    """

    update = DiscreteLIF.update.replace("leak*v", "v")
    ranges = {"v_thresh": (0, None)}
    defaults = {
        "v_thresh": 1.0,  # threshold, and what a spike takes away
    }
