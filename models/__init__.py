"""The science: equations, units, defaults and references of the models, without behaviour."""

from hrsnn.models.adaptive_lif import AdaptiveConductanceLIF, AdaptiveLIF, CompetingLIF
from hrsnn.models.balanced_stdp import BalancedSTDP
from hrsnn.models.conductance_lif import ConductanceLIF
from hrsnn.models.current_lif import AdaptiveCurrentLIF
from hrsnn.models.delta import IF, DeltaLIF
from hrsnn.models.discrete import DiscreteIF, DiscreteLIF
from hrsnn.models.interval_modulated import IntervalModulated
from hrsnn.models.lif import LIF, BiasedLIF
from hrsnn.models.power_law_stdp import CrossModalSTDP, PowerLawSTDP
from hrsnn.models.short_term import ShortTerm
from hrsnn.models.static import Static
from hrsnn.models.stdp import STDP

__all__ = [
    "IF",
    "LIF",
    "STDP",
    "AdaptiveConductanceLIF",
    "AdaptiveCurrentLIF",
    "AdaptiveLIF",
    "BalancedSTDP",
    "BiasedLIF",
    "CompetingLIF",
    "ConductanceLIF",
    "CrossModalSTDP",
    "DeltaLIF",
    "DiscreteIF",
    "DiscreteLIF",
    "IntervalModulated",
    "PowerLawSTDP",
    "ShortTerm",
    "Static",
]
