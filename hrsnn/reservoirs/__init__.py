"""Recurrent networks of spiking neurons that respond to series: their graphs, the reservoir and the forecaster."""

from hrsnn.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {"reservoir": ["FarFromRange", "Reservoir", "homogeneous"], "forecaster": ["Forecaster"]},
    {"topology": "topology"},
)
