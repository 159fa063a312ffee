"""The window of power-law STDP.

When the neuron fires, a synapse grows if its source has fired shortly before, and shrinks if not. How much depends on
the weight: strong synapses change little. Dots are measured, pair by pair, in Brian2; lines are the equation.
"""

import numpy as np
from brian2 import Network, NeuronGroup, ms, prefs

from hrsnn import plots
from hrsnn.models import PowerLawSTDP

prefs.codegen.target = "numpy"  # sixty pairs are not worth compiling for
model = PowerLawSTDP(eta=0.01, tau=20 * ms, offset=0.4, mu=0.9)
delays = np.arange(0.5, 60, 3)  # of the neuron's spike behind the source's, in ms
n = len(delays)
firing = dict(reset="t_last = t; at = 1e9*second", dt=0.1 * ms)
source = NeuronGroup(n, "t_last : second\nat : second", threshold="t >= at", **firing)
neuron = NeuronGroup(n, "t_last : second\nat : second\ng_e : 1", threshold="t >= at", **firing)
synapses = model.build(source, neuron, variable="g_e", name="synapses", dt=0.1 * ms)
synapses.connect(j="i")
network = Network(source, neuron, synapses)
network.store()

figure, axes = plots.figure(width=5.2)
for colour, w in zip(plots.COLOURS, (0.1, 0.5, 0.9), strict=False):
    network.restore()
    synapses.w, source.at, neuron.at = w, 10 * ms, (10 + delays) * ms
    for name, value in model.parameters.items():
        setattr(synapses, name, value)
    network.run(80 * ms, namespace={})
    exact = 0.01 * (np.exp(-delays / 20) - 0.4) * (1 - w) ** 0.9
    axes.plot(delays, 1000 * exact, color=colour)
    axes.plot(delays, 1000 * (synapses.w - w), "o", markersize=4, color=colour, label=f"w = {w}")
axes.axhline(0, color=plots.GREY, linewidth=0.8)
axes.set(xlabel="spike of the neuron after that of the input (ms)", ylabel="change of the weight (10⁻³)")
axes.legend(frameon=False)
figure.savefig("stdp_window.png", dpi=150)
