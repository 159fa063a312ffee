"""What spiking networks are measured against: forecasters and classifiers without spikes, scikit-learn estimators.

Nearest neighbours are scikit-learn's own: ``sklearn.neighbors.KNeighborsClassifier``.
"""

from hrsnn.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "forecasters": ["EchoState", "NextGeneration", "Persistence", "echo_states"],
        "ridge": ["RidgePath"],
        "kmeans": ["LabelledKMeans"],
    },
)
