"""Networks of declared neurons trained by surrogate gradients: the Brian2 text itself, differentiated by JAX."""

import warnings

from hrsnn.lazy import lazy

try:
    import optax as _optax  # noqa: F401
    from jax import numpy as _numpy
except ImportError as error:
    raise ImportError(f"hrsnn.gradient needs JAX and Optax ({error}). Run: pip install 'hrsnn[gradient]'") from error

with warnings.catch_warnings():
    # Code that Brian2 compiled may have told the processor to flush subnormal numbers, of which JAX asks once a type.
    warnings.filterwarnings("ignore", "The value of the smallest subnormal", UserWarning)
    for _type in ("float32", "float64"):
        _numpy.finfo(_numpy.dtype(_type))

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "architectures": ["ARCHITECTURES", "Convolution", "Dense", "Dropout", "Pooling", "Residual"],
        "conversion": ["normalised"],
        "convolution": ["FeedForward"],
        "estimators": ["SpikingClassifier"],
        "forecaster": ["SpikingForecaster"],
        "images": ["ImageClassifier", "SpikingImageClassifier"],
        "imsnn": ["IMSNNClassifier"],
        "interval_network": ["IntervalNetwork"],
        "intervals": ["through_intervals"],
        "network": ["Activity", "Layer", "SpikingNetwork"],
        "regressor": ["SpikingRegressor"],
        "surrogates": ["FastSigmoid", "MultiGaussian", "SpikeTime", "Surrogate", "Triangle"],
        "training": ["Diverged", "Training"],
        "translation": ["Translation", "Untranslatable"],
    },
)
