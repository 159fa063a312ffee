"""Trained networks out of and into other programs: NIR, the neuromorphic intermediate representation."""

from hrsnn.lazy import lazy

try:
    import nir as _nir  # noqa: F401
except ImportError as error:
    raise ImportError(f"hrsnn.exchange needs NIR ({error}). Run: pip install 'hrsnn[gradient]'") from error

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "neurons": ["LossyExport"],
        "nir": ["from_nir", "read", "to_nir", "write"],
        "values": ["PerNeuron"],
    },
)
