"""Leaky integrate-and-fire neuron with synaptic conductances."""

from brian2.units import ms, mV

from hrsnn.simulation.model import NeuronModel


class ConductanceLIF(NeuronModel):
    """Leaky integrate-and-fire neuron driven by conductances with reversal potentials.

    Conductances are in units of the leak conductance. The defaults are the inhibitory neuron of Diehl & Cook.

    References
    ----------
    .. [1] Diehl & Cook (2015), Unsupervised learning of digit recognition using STDP.
    .. [2] Rathi (2021), eq. 3.1-3.2.
    """

    equations = """
    dv/dt = (v_rest - v + g_e*(E_e - v) + g_i*(E_i - v))/tau_m : volt (unless refractory)
    dg_e/dt = -g_e/tau_ge : 1
    dg_i/dt = -g_i/tau_gi : 1
    """
    threshold = "v > v_thresh"
    reset = "v = v_reset"
    refractory = "t_ref"
    rest = {"v": "v_rest", "g_e": "0", "g_i": "0"}
    ordered = (("v_reset", "v_thresh"),)
    defaults = {
        "tau_m": 10 * ms,  # membrane time constant
        "v_rest": -60 * mV,  # resting potential
        "v_reset": -45 * mV,  # potential after a spike
        "v_thresh": -40 * mV,  # threshold
        "t_ref": 2 * ms,  # refractory period
        "E_e": 0 * mV,  # excitatory reversal potential
        "E_i": -85 * mV,  # inhibitory reversal potential
        "tau_ge": 1 * ms,  # excitatory synaptic time constant
        "tau_gi": 2 * ms,  # inhibitory synaptic time constant
    }
