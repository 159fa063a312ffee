"""Data sets: each function returns plain NumPy arrays."""

from hrsnn.datasets.caltech import CALTECH_CATEGORIES, caltech101
from hrsnn.datasets.chaotic import lorenz63, lorenz96, mackey_glass, roessler
from hrsnn.datasets.images import add_noise, digits, fashion_mnist, mnist, read_idx
from hrsnn.datasets.series import google_stock, read_csv_column, synthetic_stock, synthetic_wind, wind_speed

__all__ = [
    "CALTECH_CATEGORIES",
    "add_noise",
    "caltech101",
    "digits",
    "fashion_mnist",
    "google_stock",
    "lorenz63",
    "lorenz96",
    "mackey_glass",
    "mnist",
    "read_csv_column",
    "read_idx",
    "roessler",
    "synthetic_stock",
    "synthetic_wind",
    "wind_speed",
]
