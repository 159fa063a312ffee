"""Numbers that judge reservoirs and forecasts: arrays in, numbers out."""

from hrsnn.metrics import paired
from hrsnn.metrics.forecast import forecast_error, nrmse, valid_prediction_time
from hrsnn.metrics.spikes import average_activation, energy, energy_ratio, sops, spike_efficiency, spike_statistics
from hrsnn.metrics.states import (
    effective_rank,
    generalisation_rank,
    heterogeneity,
    inverse_participation_ratio,
    mean_correlation,
    memory_capacity,
    quadratic_capacity,
)

__all__ = [
    "average_activation",
    "effective_rank",
    "energy",
    "energy_ratio",
    "forecast_error",
    "generalisation_rank",
    "heterogeneity",
    "inverse_participation_ratio",
    "mean_correlation",
    "memory_capacity",
    "nrmse",
    "paired",
    "quadratic_capacity",
    "sops",
    "spike_efficiency",
    "spike_statistics",
    "valid_prediction_time",
]
