"""Competing neurons that learn by spike-timing-dependent plasticity, as classifiers of one or several modalities."""

from hrsnn.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "classifier": ["STDPClassifier"],
        "multimodal": ["Ensemble", "MultimodalClassifier"],
        "vote": ["NeuronVote"],
        "presenter": ["Response", "UnhealthyNetwork"],
        "coupling": ["cross_modal"],
    },
)
