"""Pruning of synapses and neurons: graphs and arrays in, graphs and arrays out."""

from hrsnn.pruning.quantize import codebook, quantize, storage_bits
from hrsnn.pruning.schedule import STDPPruning
from hrsnn.pruning.threshold import connectivity, critical, prune, prune_to, random_mask

__all__ = [
    "STDPPruning",
    "codebook",
    "connectivity",
    "critical",
    "prune",
    "prune_to",
    "quantize",
    "random_mask",
    "storage_bits",
]
