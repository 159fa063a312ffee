"""The usual Brian2 script of an STDP digit network, the yardstick of the study ``speed``: two runs an image."""

from time import perf_counter

import numpy as np
from brian2 import Hz, Network, NeuronGroup, PoissonGroup, SpikeMonitor, Synapses, ms, mV

EXC = """
dv/dt = ((-65*mV - v) - ge*v + gi*(-100*mV - v)) / (100*ms) : volt (unless refractory)
dge/dt = -ge/(1*ms) : 1
dgi/dt = -gi/(2*ms) : 1
dtheta/dt = -theta/(1e7*ms) : volt
"""
INH = """
dv/dt = ((-60*mV - v) - ge*v + gi*(-85*mV - v)) / (10*ms) : volt (unless refractory)
dge/dt = -ge/(1*ms) : 1
dgi/dt = -gi/(2*ms) : 1
"""
STDP = """
w : 1
dx/dt = -x/(20*ms) : 1 (event-driven)
"""


def script(images: np.ndarray, n_neurons: int, seed: int = 0) -> tuple[float, str]:
    """Train on images as published scripts do, each in two runs, and time it without the first image.

    Parameters
    ----------
    images : uint8 array of shape (n_images, n_pixels)
        At least two.
    n_neurons : int
        Excitatory neurons, and as many inhibitory ones.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    float
        Seconds an image; the first, in which code is compiled, is left out.
    str
        Brian2's code generation target.
    """
    n_pixels = images.shape[1]
    common = dict(method="exponential_euler", dt=0.5 * ms)
    pixels = PoissonGroup(n_pixels, rates=np.zeros(n_pixels) * Hz, dt=0.5 * ms)
    exc = NeuronGroup(
        n_neurons,
        EXC,
        threshold="v > -72*mV + theta",
        reset="v = -65*mV; theta += 0.05*mV",
        refractory=5 * ms,
        **common,
    )
    inh = NeuronGroup(n_neurons, INH, threshold="v > -40*mV", reset="v = -45*mV", refractory=2 * ms, **common)
    exc.v, inh.v, exc.theta = -105 * mV, -100 * mV, 20 * mV
    plastic = Synapses(
        pixels,
        exc,
        STDP,
        on_pre="ge_post += w; x = 1",
        on_post="w = clip(w + 0.01*(x - 0.1)*(1 - w)**0.9, 0, 1)",
        dt=0.5 * ms,
    )
    plastic.connect()
    plastic.w = 0.3 * (np.random.default_rng(seed).random(n_pixels * n_neurons) + 0.01)
    excite = Synapses(exc, inh, on_pre="ge_post += 10.4", dt=0.5 * ms)
    excite.connect(j="i")
    inhibit = Synapses(inh, exc, on_pre="gi_post += 17", dt=0.5 * ms)
    inhibit.connect(condition="i != j")
    spikes = SpikeMonitor(exc, record=False)
    network = Network(pixels, exc, inh, plastic, excite, inhibit, spikes)
    start = perf_counter()
    for k, image in enumerate(images):
        if k == 1:
            start = perf_counter()
        _show(network, pixels, plastic, spikes, image)
    return (perf_counter() - start) / (len(images) - 1), exc.state_updater.codeobj.class_name


def _show(network: Network, pixels: PoissonGroup, plastic: Synapses, spikes: SpikeMonitor, image: np.ndarray) -> None:
    """Show one image until it draws five spikes, at most four times."""
    for intensity in (2, 3, 4, 5):
        before = spikes.num_spikes
        weights = np.asarray(plastic.w).reshape(len(image), -1)
        plastic.w = (weights * (0.1 * len(image) / weights.sum(axis=0))).ravel()
        pixels.rates = image / 8 * intensity * Hz
        network.run(350 * ms, namespace={})
        pixels.rates = 0 * Hz
        network.run(150 * ms, namespace={})
        if spikes.num_spikes - before >= 5:
            break
