"""Search parameter distributions: Bayesian optimisation with a Wasserstein kernel, on one machine or many.

The names load on first use: a worker process imports what its evaluations need, not the search.
"""

from hrsnn.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "baselines": ["parameter_search", "random_search"],
        "distance": ["quantile_embedding", "wasserstein"],
        "evaluate": ["Evaluation"],
        "importance": ["sage", "sampled_sage"],
        "kernel": ["IndefiniteKernelWarning", "WassersteinMatern"],
        "reports": [
            "convergence",
            "laws_before_and_after",
            "length_scales",
            "partial_dependence",
            "paste",
            "write_csv",
        ],
        "run": ["minimize", "resume"],
        "search": ["Search"],
        "space": ["Integer", "Space"],
    },
    {"plots": "plots"},
)
