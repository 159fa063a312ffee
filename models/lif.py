"""Leaky integrate-and-fire neuron."""

from brian2.units import ms

from hrsnn.simulation.model import NeuronModel


class LIF(NeuronModel):
    """Leaky integrate-and-fire neuron with exponential synaptic currents, in units of its threshold.

    The resting potential is 0 and the threshold 1; ``drive`` is a constant input and ``i_e``, ``i_i`` are the
    excitatory and inhibitory currents times the membrane resistance.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, eq. 1.
    .. [2] Maass, Natschlaeger & Markram (2002), Real-time computing without stable states (time constants).
    """

    equations = """
    dv/dt = (v_rest - v + drive + i_e - i_i)/tau_m : 1 (unless refractory)
    di_e/dt = -i_e/tau_e : 1
    di_i/dt = -i_i/tau_i : 1
    """
    threshold = "v > v_thresh"
    reset = "v = v_reset"
    refractory = "t_ref"
    rest = {"v": "v_rest", "i_e": "0", "i_i": "0"}
    ordered = (("v_reset", "v_thresh"),)
    defaults = {
        "tau_m": 20 * ms,  # membrane time constant
        "v_rest": 0.0,  # resting potential
        "v_reset": 0.0,  # potential after a spike
        "v_thresh": 1.0,  # threshold
        "t_ref": 3 * ms,  # refractory period
        "tau_e": 3 * ms,  # excitatory synaptic time constant
        "tau_i": 6 * ms,  # inhibitory synaptic time constant
        "drive": 0.0,  # constant input
    }


class BiasedLIF(LIF):
    """LIF neuron whose excitatory current goes to ``bias`` rather than to zero, as behind an affine layer.

    References
    ----------
    .. [1] Pedersen et al. (2024), Neuromorphic intermediate representation (Affine before CubaLIF).
    """

    equations = LIF.equations.replace("-i_e/tau_e", "(bias - i_e)/tau_e")
    defaults = {
        **LIF.defaults,
        "bias": 0.0,  # excitatory current without spikes
    }
