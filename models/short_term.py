"""Short-term synaptic dynamics: depression and facilitation."""

from brian2.units import ms

from hrsnn.simulation.model import SynapseModel


class ShortTerm(SynapseModel):
    """Short-term depression and facilitation of a fixed weight; every parameter may differ from synapse to synapse.

    The n-th presynaptic spike adds w u_n R_n to the target: u_n is the share of its resources that the synapse
    uses, R_n the share that is at hand. With the interval d to the next spike,
    u_(n+1) = U + u_n (1 - U) exp(-d/tau_facil) and R_(n+1) = 1 + (R_n - u_n R_n - 1) exp(-d/tau_rec); u_1 = U and
    R_1 = 1. Here ``x_facil`` is the facilitation that is left and ``x_spent`` = 1 - R;
    both are 0 at rest.

    Spikes at regular intervals d lead to u = U / (1 - (1 - U) exp(-d/tau_facil)) and
    R = (1 - exp(-d/tau_rec)) / (1 - (1 - u) exp(-d/tau_rec)).

    References
    ----------
    .. [1] Markram, Wang & Tsodyks (1998), Differential signaling via the same axon of neocortical pyramidal neurons.
    .. [2] Maass, Natschlaeger & Markram (2002), Real-time computing without stable states (values for E to E).
    """

    equations = """
    w : 1
    dx_facil/dt = -x_facil/tau_facil : 1 (event-driven)
    dx_spent/dt = -x_spent/tau_rec : 1 (event-driven)
    """
    on_pre = """
    x_facil += U*(1 - x_facil)
    {target}_post += w*x_facil*(1 - x_spent)
    x_spent += x_facil*(1 - x_spent)
    """
    rest = {"x_facil": "0", "x_spent": "0"}
    ranges = {"U": (0, 1)}
    defaults = {
        "U": 0.5,  # share of the resources used by a first spike
        "tau_rec": 1100 * ms,  # time constant of recovery from depression
        "tau_facil": 50 * ms,  # time constant of facilitation
    }
