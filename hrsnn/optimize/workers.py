"""Evaluations on Dask: a local cluster of processes, or any scheduler by its address."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack
from multiprocessing import forkserver
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["Workers"]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Workers:
    """Processes that evaluate points, and stop those that take too long.

    Parameters
    ----------
    n_workers : int or None
        Evaluations at once. None means one, or as many as the scheduler's workers have threads.
    scheduler : str or None
        Address of a running Dask scheduler. None starts a local cluster: one process and one thread a worker,
        kept from point to point, so what is compiled or imported once stays.
    timeout : float or None
        Seconds after which an evaluation is given up and its worker process restarted (which needs Dask's
        nanny, as workers have by default). A worker measures from the start of the evaluation.
    preload : sequence of str
        Modules that local workers will need: imported once, by the process from which workers are forked.

    Raises
    ------
    ImportError
        If Dask is not installed.
    ConnectionError
        If no scheduler answers at the address.
    """

    def __init__(
        self, n_workers: int | None, scheduler: str | None, timeout: float | None, preload: Sequence[str] = ()
    ):
        if scheduler is None:
            _start_fork_server(
                ["distributed", __name__, "hrsnn.optimize.evaluate", *preload]
            )  # imports while this process does
        try:
            import dask
            from distributed import Client, LocalCluster
        except ImportError:
            raise ImportError(
                "Several workers, a scheduler or a time limit need Dask: pip install 'hrsnn[search]'. "
                "n_workers=1 without a time limit runs without it."
            ) from None
        self._n_workers, self._timeout, self._address = n_workers, timeout, scheduler or "this machine"
        self._cluster: Any = None
        self._open = ExitStack()
        if scheduler is None:
            self._n_workers = n_workers or 1
            # Until closed, as a worker that dies is started anew.
            self._open.enter_context(dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}))
            self._cluster = LocalCluster(
                n_workers=self._n_workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=None,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
        try:
            self._client = Client(self._cluster or scheduler, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ConnectionError(f"No Dask scheduler answers at {scheduler!r} ({error}). Is it running?") from None
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is lost is told by our own errors
        self._client.run(_warm_up)
        self._running: dict[Any, Any] = {}

    @property
    def idle(self) -> bool:
        """Whether another evaluation can start."""
        slots = self._n_workers or max(1, sum(self._client.nthreads().values()))
        return len(self._running) < slots

    def submit(self, key: Any, function: Callable[..., Any], *arguments: Any) -> None:
        """Start ``function(*arguments)``; ``next`` will give its outcome with the key."""
        with warnings.catch_warnings():  # a job may hold its samples: it must, to be done again if its worker dies
            warnings.filterwarnings("ignore", "Sending large graph")
            self._running[key] = self._client.submit(_watched, self._timeout, function, *arguments, pure=False)

    def next(self) -> tuple[Any, Any, str]:
        """Wait for an evaluation to end.

        Returns
        -------
        key, outcome, message
            The outcome is None and the message says why if the evaluation took too long or its worker died.

        Raises
        ------
        ConnectionError
            If the scheduler is gone.
        """
        from distributed import wait

        try:
            with self._client.as_current():
                wait(list(self._running.values()), return_when="FIRST_COMPLETED")
        except CancelledError:
            raise self._lost() from None
        key, future = next((key, future) for key, future in self._running.items() if future.status != "pending")
        if future.status in ("cancelled", "lost"):
            raise self._lost()
        del self._running[key]
        if future.status == "error":  # the function catches its own errors: what is left is a worker that died
            return key, None, f"{type(future.exception()).__name__}: {future.exception()}"
        outcome, late_worker = future.result()
        if late_worker:
            self._client.restart_workers([late_worker], raise_for_error=False)
            self._client.run(_warm_up)
            return key, None, f"stopped after the time limit of {self._timeout:g} s"
        return key, outcome, ""

    def _lost(self) -> ConnectionError:
        return ConnectionError(f"The Dask scheduler at {self._address} is gone.")

    def close(self) -> None:
        """Stop what is running and the local cluster."""
        self._client.close(timeout=1)
        if self._cluster is not None:
            self._cluster.close(timeout=10)
        self._open.close()


def _watched(timeout: float | None, function: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    """Return the outcome and "", or None and the address of this worker, to be restarted, if it takes too long."""
    np.random.seed()  # noqa: NPY002 forked workers start with one state, which an objective may read
    if timeout is None:
        return function(*arguments), ""
    from distributed import get_worker

    outcome: list[Any] = []
    thread = threading.Thread(target=lambda: outcome.append(function(*arguments)), daemon=True)
    thread.start()
    thread.join(timeout)
    if not outcome and not thread.is_alive():
        raise RuntimeError("the evaluation ended without a result")
    return (outcome[0], "") if outcome else (None, get_worker().address)


def _warm_up() -> None:
    """Do nothing: unpickling this function imports the package, so that no time limit counts the import."""


def _of_main_script() -> list[str]:
    """Return the modules that the main script has imported, since multiprocessing runs it again in each worker."""
    items = vars(sys.modules["__main__"]).values()
    names = {item.__name__ if isinstance(item, ModuleType) else getattr(item, "__module__", None) for item in items}
    return sorted(name for name in names if name in sys.modules and not name.startswith("_"))


def _start_fork_server(preload: list[str]) -> None:
    """Start the process from which local workers are forked: it imports once what all of them need.

    It lives as long as this process, and serves later searches too. Linear algebra takes one thread in it.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(preload)
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
