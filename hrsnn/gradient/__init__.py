"""Networks of declared neurons trained by surrogate gradients: the Brian2 text itself, differentiated by JAX."""

import warnings

import numpy as np

from hrsnn.lazy import lazy

with warnings.catch_warnings():
    # Code that Brian2 compiled may have told the processor to flush subnormal numbers: NumPy notices once a type.
    warnings.filterwarnings("ignore", "The value of the smallest subnormal", UserWarning)
    np.finfo(np.float32)
    np.finfo(np.float64)

try:
    import jax as _jax  # noqa: F401
    import optax as _optax  # noqa: F401
except ImportError as error:
    raise ImportError(f"hrsnn.gradient needs JAX and Optax ({error}). Run: pip install 'hrsnn[gradient]'") from error

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "estimators": ["SpikingClassifier", "SpikingRegressor"],
        "forecaster": ["SpikingForecaster"],
        "network": ["Activity", "Layer", "SpikingNetwork"],
        "surrogates": ["FastSigmoid", "MultiGaussian", "SpikeTime", "Surrogate", "Triangle"],
        "training": ["Diverged", "Training"],
        "translation": ["Translation", "Untranslatable"],
    },
)
