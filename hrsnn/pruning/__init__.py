"""Pruning of synapses and neurons: graphs and arrays in, graphs and arrays out."""

from hrsnn.pruning.activity import activity_pruning, prune_inactive
from hrsnn.pruning.baselines import prune_uniform, prune_weakest, random_graph
from hrsnn.pruning.betweenness import betweenness, prune_nodes
from hrsnn.pruning.delocalize import delocalize, inverse_participation_ratios
from hrsnn.pruning.lnp import LyapunovNoisePruning, lyapunov_noise_pruning
from hrsnn.pruning.lyapunov import LyapunovSpectrum, lyapunov_spectrum, node_exponents, qr_spectrum, twin_exponent
from hrsnn.pruning.noise import lyapunov_noise
from hrsnn.pruning.quantize import codebook, quantize, storage_bits
from hrsnn.pruning.rates import RateNetwork
from hrsnn.pruning.schedule import STDPPruning
from hrsnn.pruning.threshold import connectivity, critical, prune, prune_to, random_mask, thin
from hrsnn.pruning.timescales import Timescales, optimize_timescales

__all__ = [
    "LyapunovNoisePruning",
    "LyapunovSpectrum",
    "RateNetwork",
    "STDPPruning",
    "Timescales",
    "activity_pruning",
    "betweenness",
    "codebook",
    "connectivity",
    "critical",
    "delocalize",
    "inverse_participation_ratios",
    "lyapunov_noise",
    "lyapunov_noise_pruning",
    "lyapunov_spectrum",
    "node_exponents",
    "optimize_timescales",
    "prune",
    "prune_inactive",
    "prune_nodes",
    "prune_to",
    "prune_uniform",
    "prune_weakest",
    "qr_spectrum",
    "quantize",
    "random_graph",
    "random_mask",
    "storage_bits",
    "thin",
    "twin_exponent",
]
