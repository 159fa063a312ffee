"""Search parameter distributions: Bayesian optimisation with a Wasserstein kernel, on one machine or many.

The names load on first use: a worker process imports what its evaluations need, not the search.
"""

from importlib import import_module
from typing import Any

# Public names and the modules that define them.
_HOME = {
    **dict.fromkeys(["parameter_search", "random_search"], "baselines"),
    **dict.fromkeys(["quantile_embedding", "wasserstein"], "distance"),
    **dict.fromkeys(["sage", "sampled_sage"], "importance"),
    **dict.fromkeys(["IndefiniteKernelWarning", "WassersteinMatern"], "kernel"),
    **dict.fromkeys(["convergence", "laws_before_and_after", "length_scales"], "reports"),
    **dict.fromkeys(["partial_dependence", "paste", "write_csv"], "reports"),
    **dict.fromkeys(["minimize", "resume"], "run"),
    "Evaluation": "evaluate",
    "Search": "search",
    **dict.fromkeys(["Integer", "Space"], "space"),
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}. Its public names are: {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
