"""Unsupervised STDP learning and heterogeneous spiking reservoirs on Brian2.

``hrsnn.models`` holds the equations, ``hrsnn`` runs them, ``hrsnn.studies`` asks the questions.
The public names load on first use, so ``import hrsnn`` and the command line stay quick.
"""

import warnings
from pathlib import Path

from hrsnn.lazy import lazy

__version__ = "0.2.0"

# Brian2 calls pyparsing 3 by its old names: that is no news for a user of this package, and nothing he can mend.
warnings.filterwarnings("ignore", r"'\w+' (argument is )?deprecated", DeprecationWarning, r"(brian2|pyparsing)\.")

# In a checkout models/ and studies/ stand beside this folder; an installed package holds them inside it.
_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "setup.cfg").is_file() and (_checkout / "models").is_dir():
    __path__.append(str(_checkout))

__getattr__, __dir__, _public = lazy(
    __name__,
    {
        "laws": ["Gamma", "LogNormal", "Normal", "Uniform"],
        "inputs.encoders": ["FrameEncoder", "LatencyEncoder", "PoissonEncoder", "PopulationEncoder"],
        "inputs.codes": ["CurrentCode", "PopulationCode", "RateCode"],
        "simulation.backends": ["BackendUnavailable", "BuildOnly", "use_backend"],
        "stdp.classifier": ["STDPClassifier"],
        "stdp.multimodal": ["Ensemble", "MultimodalClassifier"],
        "reservoirs.reservoir": ["Reservoir"],
        "reservoirs.forecaster": ["Forecaster"],
        "pruning": ["STDPPruning"],
    },
    {
        **{
            name: name
            for name in ("baselines", "datasets", "gradient", "inputs", "lab", "metrics", "models", "optimize")
        },
        **{name: name for name in ("plots", "pruning", "reservoirs", "simulation", "stdp")},
        "search_plots": "optimize.plots",
        "topology": "reservoirs.topology",
    },
)
__all__ = ["__version__", *_public]
