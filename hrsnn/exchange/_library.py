"""The library of NIR, or one line that says how to get it."""

try:
    import nir
except ImportError as error:
    raise ImportError(f"This needs NIR ({error}). Run: pip install 'hrsnn[gradient]'") from error

__all__ = ["nir"]
