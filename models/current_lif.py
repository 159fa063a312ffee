"""A competing neuron that is driven by currents: what hardware and other programs can run."""

from brian2.units import ms, mV

from hrsnn.models.conductance_lif import ConductanceLIF
from hrsnn.simulation.model import NeuronModel


class AdaptiveCurrentLIF(NeuronModel):
    """Neuron like AdaptiveConductanceLIF whose synapses drive it alike at every potential: currents, not conductances.

    ``g_e`` and ``g_i`` are what synapses add to, times the driving forces ``J_e`` and ``J_i``, which are those of the
    conductances at rest. ``STDPClassifier(neuron=AdaptiveCurrentLIF())`` learns with it, and what it has learnt can be
    said in NIR without a loss but the refractory period, since excitation and inhibition decay alike.

    References
    ----------
    .. [1] Diehl & Cook (2015), Unsupervised learning of digit recognition using STDP (the neuron with conductances).
    .. [2] Pedersen et al. (2024), Neuromorphic intermediate representation (CubaLIF).
    """

    equations = """
    dv/dt = (v_rest - v + J_e*g_e - J_i*g_i)/tau_m : volt (unless refractory)
    dg_e/dt = -g_e/tau_ge : 1
    dg_i/dt = -g_i/tau_gi : 1
    dtheta/dt = -theta/tau_theta : volt
    """
    threshold = "v > v_thresh + theta"
    reset = """
    v = v_reset
    theta += theta_plus
    """
    refractory = "t_ref"
    rest = ConductanceLIF.rest
    start = {"theta": "theta_init"}
    frozen = {"theta_plus": 0 * mV, "tau_theta": 1e30 * ms}
    ranges = {"theta_plus": (0, None)}
    defaults = {
        "tau_m": 100 * ms,  # membrane time constant
        "v_rest": -65 * mV,  # resting potential
        "v_reset": -65 * mV,  # potential after a spike
        "v_thresh": -72 * mV,  # threshold without theta
        "t_ref": 5 * ms,  # refractory period
        "J_e": 65 * mV,  # driving force of excitation
        "J_i": 70 * mV,  # driving force of inhibition, twice that at rest since it decays twice as fast
        "tau_ge": 1 * ms,  # excitatory synaptic time constant
        "tau_gi": 1 * ms,  # inhibitory synaptic time constant
        "theta_init": 20 * mV,  # theta at the start
        "theta_plus": 0.05 * mV,  # rise of theta at a spike
        "tau_theta": 1e7 * ms,  # time constant of its decay
    }
