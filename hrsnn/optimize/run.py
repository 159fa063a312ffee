"""Run a search: evaluate its points here or on workers, store each at once, and resume."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from hrsnn.checks import check_integer
from hrsnn.optimize.evaluate import Evaluation, evaluate
from hrsnn.optimize.storage import FILE, Storage
from hrsnn.optimize.workers import Workers

if TYPE_CHECKING:
    from hrsnn.optimize.search import Search
    from hrsnn.optimize.space import Space

__all__ = ["minimize", "resume"]


def minimize(
    objective: Callable[..., float],
    space: Space | Mapping[str, Any],
    n_calls: int = 60,
    *,
    seed: int = 0,
    n_initial: int = 10,
    first: Sequence[Mapping[str, Any]] = (),
    metric: str = "auto",
    nu: float = 2.5,
    batch: str = "believer",
    xi: float = 0.01,
    n_draws: int | None = None,
    n_workers: int | None = None,
    scheduler: str | None = None,
    timeout: float | None = None,
    folder: str | Path | None = None,
) -> Search:
    """Find the laws that minimise a function.

    Parameters
    ----------
    objective : callable
        Called with a keyword argument for each variable of the space, returns a number. What it raises, NaN or
        infinity is recorded as a failure with its message, and the search goes on, unless all of the first
        ``n_initial`` points fail.
    space : Space or dict
        What to search.
    n_calls : int
        Number of points, failures included.
    seed, n_initial, first, metric, nu, batch, xi
        See Search.
    n_draws : int, optional
        For noisy objectives: each point is evaluated with ``seed=seed``, ``seed + 1``, ... (common random
        numbers), its value is the mean, and the variance of the mean is given to the Gaussian process.
    n_workers : int, optional
        Evaluations at once, each in a process of its own. By default one, in this process; with a scheduler, as
        many as its workers have threads.
    scheduler : str, optional
        Address of a running Dask scheduler, such as "tcp://10.0.0.1:8786".
    timeout : float, optional
        Seconds after which an evaluation is stopped and recorded as failed.
    folder : str or Path, optional
        Where evaluations are stored, each as soon as it is finished. If it holds this search already, the search
        goes on from there.

    Returns
    -------
    Search
        ``x`` and ``fun`` are the best point and its value; ``hrsnn.optimize`` has reports of it.

    Raises
    ------
    TypeError, ValueError, DimensionMismatchError
        If the space or an argument is wrong, before anything runs.
    RuntimeError
        If the objective fails at all of the first points, with what it said.
    ConnectionError
        If the scheduler is lost; what was finished is stored.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting heterogeneity in timescales for sparse recurrent spiking
       neural networks, section III-C and eq 7.
    """
    from hrsnn.optimize.search import Search  # here, for workers run the main script's imports again

    if not callable(objective):
        raise TypeError(f"objective must be callable, got {objective!r}.")
    for name, number in (("n_calls", n_calls), ("n_draws", n_draws), ("n_workers", n_workers)):
        if number is not None:
            check_integer(name, number, 1)
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout must be positive, got {timeout!r}.")
    options: dict[str, Any] = {"seed": seed, "n_initial": n_initial, "first": list(first), "metric": metric}
    options |= {"nu": nu, "batch": batch, "xi": xi}
    search = Search(space, **options)
    described = {"space": repr(search.space), "n_draws": n_draws} | {k: repr(v) for k, v in options.items()}
    with ExitStack() as stack:
        store = stack.enter_context(Storage(folder)) if folder is not None else None
        if store is not None and (settings := store.settings):
            for name, value in settings["described"].items():
                if value != described[name]:
                    raise ValueError(
                        f"{folder} holds a search with {name}={value}, not {described[name]}. "
                        "Choose another folder, or continue that search with resume."
                    )
            for evaluation in store.evaluations():
                search.record(evaluation)
        elif store is not None:
            arguments = {"objective": objective, "space": search.space.variables, "n_calls": n_calls}
            arguments |= options | {"n_draws": n_draws, "timeout": timeout}
            store.settings = {"described": described, "arguments": arguments}
        workers = None
        if n_workers not in (None, 1) or scheduler is not None or timeout is not None:
            workers = Workers(n_workers, scheduler, timeout, preload=_modules(objective, search.space))
            stack.callback(workers.close)
        done = len(search.evaluations)
        bar = stack.enter_context(tqdm(total=n_calls, initial=done, unit="point", disable=None))
        try:
            while len(search.evaluations) < n_calls:
                evaluation = _evaluate_next(search, workers, n_calls, objective, n_draws)
                search.record(evaluation)
                if store is not None:
                    store.add(evaluation, _text(search.space.decode(evaluation.vector)))
                bar.update()
                _stop_if_all_failed(search, n_calls)
        except ConnectionError as error:
            kept = f"{len(search.evaluations)} evaluations are stored in {folder}: resume that folder."
            raise ConnectionError(f"{error} {kept if folder is not None else ''}".strip()) from None
    return search


def resume(
    folder: str | Path,
    n_calls: int | None = None,
    *,
    objective: Callable[..., float] | None = None,
    n_workers: int | None = None,
    scheduler: str | None = None,
) -> Search:
    """Go on with a search that was stopped or killed.

    A serial search continues with the very points it would have had. Evaluations that were under way are done
    again.

    Parameters
    ----------
    folder : str or Path
        Folder of the search.
    n_calls : int, optional
        Number of points in all; as many as it was started with if None.
    objective : callable, optional
        The objective, if the stored one cannot be loaded.
    n_workers, scheduler
        See minimize.

    Returns
    -------
    Search
        The finished search.

    Raises
    ------
    FileNotFoundError
        If there is no search in the folder.
    ValueError
        If the file is damaged or its objective cannot be loaded.
    """
    if not (Path(folder) / FILE).is_file():
        raise FileNotFoundError(f"There is no search in {folder} (no {FILE}). minimize(..., folder=...) makes one.")
    with Storage(folder) as store:
        try:
            arguments = dict(store.settings["arguments"])
        except KeyError:
            raise ValueError(
                f"{folder} holds no settings: the search was killed before it began. Start it anew."
            ) from None
        except (ImportError, AttributeError) as error:
            raise ValueError(f"The search in {folder} cannot be loaded ({error}). Is its module on the path?") from None
    arguments["n_calls"] = n_calls or arguments["n_calls"]
    arguments["objective"] = objective or arguments["objective"]
    return minimize(**arguments, folder=folder, n_workers=n_workers, scheduler=scheduler)


def _evaluate_next(
    search: Search, workers: Workers | None, n_calls: int, objective: Callable[..., float], n_draws: int | None
) -> Evaluation:
    """Evaluate the next point here, or fill the workers and wait for one of them."""
    if workers is None:
        number, vector = search.ask_vector()
        return _evaluation(number, vector, *evaluate(objective, search.space.decode(vector), n_draws, search.seed))
    while workers.idle and len(search.evaluations) + search.n_pending < n_calls:
        number, vector = search.ask_vector()
        point = search.space.decode(vector)
        workers.submit((number, tuple(vector)), evaluate, objective, point, n_draws, search.seed)
    (number, vector), outcome, message = workers.next()
    return _evaluation(number, vector, *(outcome or (math.nan, 0.0, message, math.nan)))


def _stop_if_all_failed(search: Search, n_calls: int) -> None:
    """Give up an objective that fails everywhere: nothing is learnt from a first design without a value."""
    done = search.evaluations
    if len(done) < min(search.n_design, n_calls) or search.successes:
        return
    messages = Counter(evaluation.message for evaluation in done)
    message, n = messages.most_common(1)[0]
    others = f" ({len(messages)} messages in all)" if len(messages) > 1 else ""
    raise RuntimeError(
        f"The objective failed at all of the first {len(done)} points, at {n} with {message!r}{others}. "
        "Call it by hand with one point, Search(space).ask()."
    )


def _evaluation(number: int, vector: Any, value: float, variance: float, message: str, seconds: float) -> Evaluation:
    return Evaluation(number, tuple(float(x) for x in vector), value, variance, message, seconds)


def _modules(objective: Callable[..., float], space: Space) -> list[str]:
    """Return the modules that a worker needs for the objective and the points."""
    point = space.decode(space.from_unit([[0.5] * len(space.coordinates)])[0])
    found = {getattr(item, "__module__", None) for item in (evaluate, objective, *map(type, point.values()))}
    return sorted(module for module in found if module not in (None, "__main__", "builtins"))


def _text(point: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in point.items())
