"""Synapse with a fixed weight."""

from hrsnn.simulation.model import SynapseModel


class Static(SynapseModel):
    """Fixed weight: each presynaptic spike adds ``w`` to the target variable."""

    equations = "w : 1"
    on_pre = "{target}_post += w"
