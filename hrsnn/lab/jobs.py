"""Jobs of a run that do not depend on each other: each alone in one thread, here or on the workers of a cluster."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hrsnn.optimize.workers import Workers
from hrsnn.simulation import backends

__all__ = ["Pool", "alone"]


class RemoteTraceback(Exception):
    """What a worker's traceback said, as the cause of the error that it sent."""


class Pool:
    """Workers that do the jobs of a run; one that dies has its job done again, by another or when it is back.

    Parameters
    ----------
    n_workers : int, optional
        Jobs at once; with a scheduler as many as its workers have threads if None.
    scheduler : str, optional
        Address of a running Dask scheduler; a local cluster of processes if None.

    Raises
    ------
    ImportError, ConnectionError
        As of ``hrsnn.optimize.workers.Workers``.
    """

    def __init__(self, n_workers: int | None, scheduler: str | None):
        self._workers = Workers(n_workers, scheduler, None, preload=["hrsnn.lab.jobs", "brian2", "sklearn"])

    def results(self, jobs: Mapping[str, Callable[[], Any]]) -> Iterator[tuple[str, Any]]:
        """Yield name and result of each job as they come.

        Raises
        ------
        Exception
            What a job raised.
        RuntimeError
            If each worker that took a job died at it.
        ConnectionError
            If the scheduler is lost.
        """
        left, backend = list(jobs), backends.resolve()
        n_running = 0
        while left or n_running:
            while left and self._workers.idle:
                name = left.pop(0)
                self._workers.submit(name, attempt, jobs[name], backend)
                n_running += 1
            name, outcome, message = self._workers.next()
            n_running -= 1
            if message:
                raise RuntimeError(f"{name}: the workers that took it died ({message}). Is there enough memory?")
            result, error, trace = outcome
            if error is not None:
                raise error from RemoteTraceback(trace)
            yield name, result

    def close(self) -> None:
        """Stop what is running, and the local cluster."""
        self._workers.close()


def alone(job: Callable[[], Any]) -> Any:
    """Return the result of a job with linear algebra in one thread: the same bits, however many run beside it."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        return job()


def attempt(job: Callable[[], Any], backend: str) -> tuple[Any, Exception | None, str]:
    """Return, on a worker, the result of a job; or the error that it raised, and its traceback."""
    backends.use_backend(backend)
    try:
        return alone(job), None, ""
    except Exception as error:  # whatever a job raises is raised where it was asked for
        trace = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            return None, RuntimeError(f"{type(error).__name__}: {error}"), trace
        return None, error, trace
