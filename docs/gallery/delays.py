"""Delays are memory.

How well can a readout say the input of k steps ago? Without delays a spiking reservoir forgets within a few steps. With
synapses that deliver after up to half a second, the network itself carries the past.
"""

import numpy as np
from brian2 import ms

from hrsnn import Reservoir, Uniform, metrics, plots

X = np.random.default_rng(0).random((1800, 1))
lags = np.arange(1, 41)
lines = {}
for name, delay in {"delays up to 500 ms": Uniform(0 * ms, 500 * ms), "no delays": 0 * ms}.items():
    reservoir = Reservoir.memory(200, delay=delay, limits=(0.0, 1.0), margin=0.0, seed=0).fit(X)
    states = reservoir.transform(X)
    capacity, profile = metrics.memory_capacity(states[200:], X[200:, 0], len(lags), alpha=1e-2)
    print(f"{name}: {capacity:.1f} past values")
    lines[f"{name}: {capacity:.1f} values"] = lags, profile

figure, axes = plots.figure(width=5.5)
plots.curves(axes, lines, "steps of 20 ms ago", "squared correlation of readout and input")
axes.set_ylim(0, 1.02)
figure.savefig("delays.png", dpi=150)
