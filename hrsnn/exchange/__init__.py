"""Trained networks and what they did, out of and into other programs: Neo."""

from hrsnn.lazy import lazy

__getattr__, __dir__, __all__ = lazy(__name__, {"neo": ["from_neo", "to_neo"]})
