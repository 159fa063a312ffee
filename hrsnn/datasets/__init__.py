"""Data sets: each function returns plain NumPy arrays."""

from hrsnn.datasets.caltech import CALTECH_CATEGORIES, caltech101
from hrsnn.datasets.images import add_noise, digits, fashion_mnist, mnist, read_idx

__all__ = ["CALTECH_CATEGORIES", "add_noise", "caltech101", "digits", "fashion_mnist", "mnist", "read_idx"]
