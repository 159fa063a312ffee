"""Integrate-and-fire neurons without synaptic time constants: a spike moves the potential itself."""

from brian2.units import Hz, ms

from hrsnn.simulation.model import NeuronModel


class DeltaLIF(NeuronModel):
    """Leaky integrate-and-fire neuron whose potential every spike moves by its weight.

    ``i_e`` is what arrived in the last time step; it enters the potential evenly over the next one, and is then gone.
    What arrives together with a spike of the neuron is not lost with its reset.

    References
    ----------
    .. [1] Pedersen et al. (2024), Neuromorphic intermediate representation (LIF).
    """

    equations = """
    dv/dt = (v_rest - v + drive)/tau_m + i_e/dt : 1
    di_e/dt = -600*i_e/dt : 1
    """
    threshold = "v > v_thresh"
    reset = "v = v_reset"
    rest = {"v": "v_rest", "i_e": "0"}
    defaults = {
        "tau_m": 20 * ms,  # membrane time constant
        "v_rest": 0.0,  # resting potential
        "v_reset": 0.0,  # potential after a spike
        "v_thresh": 1.0,  # threshold
        "drive": 0.0,  # constant input
    }


class IF(NeuronModel):
    """Integrate-and-fire neuron without a leak, whose potential every spike moves by its weight.

    ``i_e`` is what arrived in the last time step, as in ``DeltaLIF``.

    References
    ----------
    .. [1] Pedersen et al. (2024), Neuromorphic intermediate representation (IF).
    """

    equations = """
    dv/dt = drive + i_e/dt : 1
    di_e/dt = -600*i_e/dt : 1
    """
    threshold = "v > v_thresh"
    reset = "v = v_reset"
    rest = {"v": "v_rest", "i_e": "0"}
    defaults = {
        "v_rest": 0.0,  # potential at the start
        "v_reset": 0.0,  # potential after a spike
        "v_thresh": 1.0,  # threshold
        "drive": 0 * Hz,  # constant input, a second
    }
