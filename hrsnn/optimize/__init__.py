"""Search parameter distributions: Bayesian optimisation with a Wasserstein kernel, on one machine or many."""

from hrsnn.optimize.distance import quantile_embedding, wasserstein
from hrsnn.optimize.kernel import IndefiniteKernelWarning, WassersteinMatern
from hrsnn.optimize.run import minimize, resume
from hrsnn.optimize.search import Evaluation, Search
from hrsnn.optimize.space import Integer, Space

__all__ = [
    "Evaluation",
    "IndefiniteKernelWarning",
    "Integer",
    "Search",
    "Space",
    "WassersteinMatern",
    "minimize",
    "quantile_embedding",
    "resume",
    "wasserstein",
]
