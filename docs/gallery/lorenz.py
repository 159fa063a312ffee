"""A reservoir forecasts the Lorenz system.

Five hundred spiking neurons of very different time constants hear the series; a linear readout says the next value.
Then the network is left alone and fed by its own answers. From this start it follows the true orbit for a few
Lyapunov times.
"""

import numpy as np
from brian2 import ms
from sklearn.linear_model import Ridge

from hrsnn import CurrentCode, Forecaster, Gamma, Normal, Reservoir, datasets, metrics, plots, topology
from hrsnn.models import LIF

X, _ = datasets.lorenz63(n_steps=5400)
neuron = LIF(tau_m=Gamma(mean=10 * ms, shape=1, low=2 * ms, high=100 * ms), t_ref=2 * ms)
reservoir = Reservoir(
    topology.distance_dependent(500, w_scale=1e-6, seed=0), neuron, neuron,
    code=CurrentCode(gain=Normal(0, 0.7), bias=Normal(0.7, 0.5), step=20 * ms),
    filters=(), membrane=True, squares=True, margin=0.05, dt=1 * ms,
)  # fmt: skip
forecaster = Forecaster(reservoir, Ridge(1e-6), increments=True).fit(X[:5000])
future, truth = forecaster.forecast(300, X[4900:5000]), X[5000:5300]
valid = metrics.valid_prediction_time(truth, future, dt=0.02, lyapunov_exponent=0.906)
print(f"valid for {valid:.1f} Lyapunov times")

figure, axes = plots.figure(width=7, height=3)
time = 0.02 * 0.906 * np.arange(300)
plots.forecast(axes, truth[:, 0], {"reservoir": future[:, 0]}, time, "time (Lyapunov times)", "x", valid)
figure.savefig("lorenz.png", dpi=150)
