"""Unsupervised STDP learning and heterogeneous spiking reservoirs on Brian2.

``hrsnn.models`` holds the equations, ``hrsnn`` runs them, ``hrsnn.studies`` asks the questions.
The public names load on first use, so ``import hrsnn`` and the command line stay quick.
"""

from importlib import import_module
from pathlib import Path

__version__ = "0.1.0"

# In a checkout models/ and studies/ stand beside this folder; an installed package holds them inside it.
_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "setup.cfg").is_file() and (_checkout / "models").is_dir():
    __path__.append(str(_checkout))

# Public names and the modules that define them.
_HOME = {
    **dict.fromkeys(["Gamma", "LogNormal", "Normal", "Uniform"], "distributions"),
    **dict.fromkeys(["FrameEncoder", "LatencyEncoder", "PoissonEncoder", "PopulationEncoder"], "encoders"),
    **dict.fromkeys(["BackendUnavailable", "BuildOnly", "use_backend"], "backends"),
    "STDPClassifier": "classifier",
    **dict.fromkeys(["Ensemble", "MultimodalClassifier"], "multimodal"),
    "Reservoir": "reservoir",
    "Forecaster": "forecaster",
    **dict.fromkeys(["CurrentCode", "PopulationCode", "RateCode"], "coding"),
    "STDPPruning": "pruning",
}
_MODULES = ("datasets", "metrics", "models", "optimize", "plots", "pruning", "search_plots", "topology")

__all__ = ["__version__", *_HOME, *_MODULES]


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}. Its public names are: {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
