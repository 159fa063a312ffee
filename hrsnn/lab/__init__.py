"""A study's workbench: settings, runs that resume, provenance, reports, and the command line."""

from hrsnn.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {"studies": ["study"], "runs": ["Run", "find_run", "list_runs"], "cli": ["main"]},
)
