"""Trained networks and what they did, out of and into other programs: NIR and Neo."""

from hrsnn.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "neo": ["from_neo", "to_neo"],
        "neurons": ["LossyExport"],
        "nir": ["from_nir", "read", "to_nir", "write"],
        "values": ["PerNeuron"],
    },
)
