"""How declared models become a program and run: models, back ends, the engine, C++ and CUDA, state on disk."""

from hrsnn.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "model": ["Model", "NeuronModel", "SynapseModel"],
        "backends": ["BackendUnavailable", "BuildOnly", "use_backend"],
    },
)
