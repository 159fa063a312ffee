"""Search parameter distributions: Bayesian optimisation with a Wasserstein kernel, on one machine or many."""

from hrsnn.optimize.baselines import parameter_search, random_search
from hrsnn.optimize.distance import quantile_embedding, wasserstein
from hrsnn.optimize.importance import sage, sampled_sage
from hrsnn.optimize.kernel import IndefiniteKernelWarning, WassersteinMatern
from hrsnn.optimize.reports import (
    convergence,
    laws_before_and_after,
    length_scales,
    partial_dependence,
    paste,
    write_csv,
)
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
    "convergence",
    "laws_before_and_after",
    "length_scales",
    "minimize",
    "parameter_search",
    "partial_dependence",
    "paste",
    "quantile_embedding",
    "random_search",
    "resume",
    "sage",
    "sampled_sage",
    "wasserstein",
    "write_csv",
]
