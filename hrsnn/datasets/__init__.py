"""Data sets: each function returns plain NumPy arrays, or lists of them where samples differ in length."""

from hrsnn.datasets._sound import read_sound
from hrsnn.datasets.audio import fsdd, speech_commands, ti46
from hrsnn.datasets.caltech import CALTECH_CATEGORIES, caltech101
from hrsnn.datasets.chaotic import lorenz63, lorenz96, mackey_glass, roessler
from hrsnn.datasets.cifar import CIFAR10_CLASSES, cifar10, cifar10_files, cifar100
from hrsnn.datasets.dvs import DVS_SHAPE, dvs_gesture, read_aedat
from hrsnn.datasets.events import (
    NMNIST_SHAPE,
    SHD_UNITS,
    bin_events,
    make_events,
    nmnist,
    pool_events,
    read_nmnist,
    read_shd,
    shd,
    write_shd,
)
from hrsnn.datasets.images import add_noise, digits, fashion_mnist, mnist, read_idx
from hrsnn.datasets.pairs import match_labels
from hrsnn.datasets.series import google_stock, narma10, read_csv_column, synthetic_stock, synthetic_wind, wind_speed
from hrsnn.datasets.synthetic_events import SYNTHETIC_GESTURES, synthetic_gestures, synthetic_shd
from hrsnn.datasets.synthetic_speech import SYNTHETIC_SPEAKERS, synthetic_spoken_digits

__all__ = [
    "CALTECH_CATEGORIES",
    "CIFAR10_CLASSES",
    "DVS_SHAPE",
    "NMNIST_SHAPE",
    "SHD_UNITS",
    "SYNTHETIC_GESTURES",
    "SYNTHETIC_SPEAKERS",
    "add_noise",
    "bin_events",
    "caltech101",
    "cifar10",
    "cifar10_files",
    "cifar100",
    "digits",
    "dvs_gesture",
    "fashion_mnist",
    "fsdd",
    "google_stock",
    "lorenz63",
    "lorenz96",
    "mackey_glass",
    "make_events",
    "match_labels",
    "mnist",
    "narma10",
    "nmnist",
    "pool_events",
    "read_aedat",
    "read_csv_column",
    "read_idx",
    "read_nmnist",
    "read_shd",
    "read_sound",
    "roessler",
    "shd",
    "speech_commands",
    "synthetic_gestures",
    "synthetic_shd",
    "synthetic_spoken_digits",
    "synthetic_stock",
    "synthetic_wind",
    "ti46",
    "wind_speed",
    "write_shd",
]
