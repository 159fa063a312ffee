"""Running a search: storage, noise, failures, workers; processes are really killed and the search resumed."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from types import ModuleType

import numpy as np
import pytest

from hrsnn.laws import Gamma
from hrsnn.optimize import Space, minimize, resume
from hrsnn.optimize.run import _modules
from hrsnn.optimize.storage import Storage
from hrsnn.optimize.workers import Workers, _of_main_script

SPACE = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
PATIENCE = 60  # seconds, for processes to start or end on a busy machine

OBJECTIVES = """
    import os, signal, time
    from pathlib import Path

    HERE = Path(__file__).parent

    def bowl(x, y):
        return (x - 0.3) ** 2 + (y - 0.6) ** 2

    def slow_bowl(x, y):
        (HERE / f"pid_{os.getpid()}").touch()
        time.sleep(0.2)
        return bowl(x, y)

    def kills_its_worker_once(x, y):
        try:
            (HERE / "killed").touch(exist_ok=False)
        except FileExistsError:
            return bowl(x, y)
        os.kill(os.getpid(), signal.SIGKILL)

    def kills_once_and_hangs(x, y):
        time.sleep(0 if x < 0.5 else 600)
        return kills_its_worker_once(x, y)

    def kills_the_scheduler(x, y):
        done = HERE / "done"
        with done.open("a") as file:
            file.write(".")
        if len(done.read_text()) == 3:
            os.kill(int((HERE / "scheduler").read_text()), signal.SIGKILL)
        return bowl(x, y)
"""


@pytest.fixture
def objectives(tmp_path, monkeypatch):
    """A module of objectives that other processes can import, new for each test."""
    name = f"objectives_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(OBJECTIVES))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    return __import__(name)


def bowl(x, y):
    return (x - 0.3) ** 2 + (y - 0.6) ** 2


def vectors(search):
    return [e.vector for e in search.evaluations]


def wait_until(condition, process=None):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process is None or process.poll() is None, "the process ended"
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def stored(folder):
    try:
        with sqlite3.connect(f"file:{folder / 'search.sqlite'}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT count(*) FROM evaluations").fetchone()[0]
    except sqlite3.OperationalError:  # not there yet
        return 0


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def start(objectives, objective, options, folder):
    code = f"""
import {objectives.__name__} as objectives
from hrsnn.optimize import minimize
if __name__ == "__main__":
    minimize(objectives.{objective}, {SPACE!r}, {options}, folder={str(folder)!r}, seed=5, n_initial=5)
"""
    script = folder.parent / "script.py"
    script.write_text(code)
    return subprocess.Popen([sys.executable, "-W", "ignore", script], cwd=folder.parent)


def test_every_evaluation_is_stored_at_once(tmp_path):
    seen = []

    def objective(x, y):
        seen.append(stored(tmp_path))
        return bowl(x, y)

    search = minimize(objective, SPACE, 8, n_initial=5, folder=tmp_path)
    assert seen == list(range(8))
    with Storage(tmp_path) as store:
        assert [e.vector for e in store.evaluations()] == vectors(search)
        assert [e.value for e in store.evaluations()] == [bowl(*v) for v in vectors(search)]


def test_finished_search_is_read_back_and_extended(tmp_path):
    first = minimize(bowl, SPACE, 6, n_initial=5, folder=tmp_path)
    assert vectors(minimize(bowl, SPACE, 6, n_initial=5, folder=tmp_path)) == vectors(first)
    longer = resume(tmp_path, 8)
    assert vectors(longer) == vectors(minimize(bowl, SPACE, 8, n_initial=5))
    with pytest.raises(ValueError, match=r"holds a search with seed=0, not 1\. Choose another folder"):
        minimize(bowl, SPACE, 6, seed=1, n_initial=5, folder=tmp_path)
    with pytest.raises(ValueError, match="holds a search with space=Space"):
        minimize(bowl, SPACE | {"z": (0, 1)}, 6, n_initial=5, folder=tmp_path)


def test_draws_share_their_seeds_and_give_a_variance():
    seeds = []

    def noisy(x, y, seed):
        seeds.append(seed)
        return bowl(x, y) + np.random.default_rng(seed).normal()

    search = minimize(noisy, SPACE, 3, n_initial=3, n_draws=4, seed=7)
    assert seeds == [7, 8, 9, 10] * 3
    noise = np.array([np.random.default_rng(s).normal() for s in (7, 8, 9, 10)])
    for e in search.evaluations:
        assert e.value == pytest.approx(bowl(*e.vector) + noise.mean())
        assert e.variance == pytest.approx(noise.var(ddof=1) / 4)


def test_failures_carry_their_message_and_the_search_goes_on(tmp_path):
    outcomes = iter([1.0, RuntimeError("runaway firing"), float("nan"), SystemExit("gone"), "text", 0.5])

    def objective(x, y):
        outcome = next(outcomes)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    search = minimize(objective, SPACE, 6, n_initial=6, folder=tmp_path)
    messages = [e.message for e in search.evaluations]
    assert messages[:4] == ["", "RuntimeError: runaway firing", "the objective returned nan", "SystemExit: gone"]
    assert messages[4].startswith("ValueError: could not convert string to float")
    assert search.fun == 0.5
    assert [e.message for e in resume(tmp_path).evaluations] == messages


def of_another_signature(x):
    return x


@pytest.mark.parametrize("options", [{}, pytest.param({"n_workers": 2}, marks=pytest.mark.slow)])
def test_an_objective_that_fails_everywhere_stops_after_the_first_design(tmp_path, options):
    if options:
        pytest.importorskip("distributed")
    message = r"failed at all of the first 4 points, at 4 with .*unexpected keyword argument 'y'"
    with pytest.raises(RuntimeError, match=message):
        minimize(of_another_signature, SPACE, 50, n_initial=4, folder=tmp_path, **options)
    assert stored(tmp_path) == 4
    search = resume(tmp_path, 7, objective=bowl)  # mended, it goes on
    assert len(search.successes) == 3


def test_fewer_calls_than_the_first_design_may_fail_no_less():
    with pytest.raises(RuntimeError, match="failed at all of the first 2 points"):
        minimize(of_another_signature, SPACE, 2, n_initial=4)


def test_ctrl_c_stops_the_search_and_frees_the_folder(tmp_path):
    calls = iter([1.0, KeyboardInterrupt("by the user")])

    def objective(x, y):
        outcome = next(calls)
        if isinstance(outcome, KeyboardInterrupt):
            raise outcome
        return outcome

    with pytest.raises(KeyboardInterrupt, match="by the user"):
        minimize(objective, SPACE, 4, n_initial=4, folder=tmp_path)
    assert stored(tmp_path) == 1
    assert len(resume(tmp_path, objective=bowl).evaluations) == 4


def test_killed_serial_search_resumes_with_the_same_points(objectives, tmp_path):
    folder = tmp_path / "search"
    process = start(objectives, "slow_bowl", "n_calls=9", folder)
    wait_until(lambda: stored(folder) >= 6, process)
    process.kill()
    process.wait()
    n_before = stored(folder)
    assert 6 <= n_before < 9
    resumed = resume(folder)
    assert len(resumed.evaluations) == 9
    assert vectors(resumed) == vectors(minimize(bowl, SPACE, 9, seed=5, n_initial=5))


def test_second_writer_is_kept_out(tmp_path):
    with Storage(tmp_path), pytest.raises(RuntimeError, match="A search is running in"):
        minimize(bowl, SPACE, 3, folder=tmp_path)


@pytest.mark.slow
def test_workers_survive_a_kill_and_a_time_limit(objectives, tmp_path):
    pytest.importorskip("distributed")
    points = [{"x": x, "y": 0.5} for x in (0.1, 0.2, 0.9, 0.3)]  # x = 0.9 hangs, and the first to run kills its worker
    search = minimize(objectives.kills_once_and_hangs, SPACE, 4, n_initial=4, first=points, n_workers=2, timeout=2.0)
    assert (tmp_path / "killed").exists()
    assert [e.message for e in search.evaluations] == ["", "", "stopped after the time limit of 2 s", ""]
    assert [e.value for e in search.successes] == [bowl(e.vector[0], 0.5) for e in search.successes]


@pytest.mark.slow
def test_two_workers_halve_the_time_of_what_waits():
    """Evaluations that sleep show the cost of scheduling alone: 0.5 of one worker's time at best, start left out."""
    pytest.importorskip("distributed")
    workers, n, nap = Workers(2, None, None, preload=["time"]), 12, 0.5
    try:
        start, submitted = time.perf_counter(), 0
        for _ in range(n):
            while workers.idle and submitted < n:
                workers.submit(submitted, time.sleep, nap)
                submitted += 1
            assert workers.next()[2] == ""
        assert time.perf_counter() - start < 0.6 * n * nap
    finally:
        workers.close()


def test_workers_import_little_before_their_first_evaluation():
    code = "import hrsnn.optimize.workers, hrsnn.optimize.evaluate, sys; print({'brian2', 'skopt'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "set()"


def test_workers_are_forked_with_what_objective_points_and_script_need(monkeypatch):
    script = ModuleType("__main__")
    script.json, script.minimize, script.number = json, minimize, 3
    monkeypatch.setitem(sys.modules, "__main__", script)
    assert _of_main_script() == ["hrsnn.optimize.run", "json"]
    space = Space({"tau": Gamma(mean=(1.0, 2.0), shape=3), "k": (0, 1)})
    assert _modules(bowl, space) == ["hrsnn.laws", "hrsnn.optimize.evaluate", bowl.__module__]


@pytest.mark.slow
def test_killed_parallel_search_leaves_no_process_and_resumes(objectives, tmp_path):
    pytest.importorskip("distributed")
    folder = tmp_path / "search"
    process = start(objectives, "slow_bowl", "n_calls=12, n_workers=2", folder)
    wait_until(lambda: stored(folder) >= 3, process)
    process.kill()
    process.wait()
    pids = [int(path.name.removeprefix("pid_")) for path in tmp_path.glob("pid_*")]
    assert len(pids) == 2
    wait_until(lambda: not any(map(alive, pids)))
    n_before = stored(folder)
    search = resume(folder)
    assert [e.number for e in search.evaluations] == list(range(12))
    assert 3 <= n_before < 12


@pytest.mark.slow
def test_lost_scheduler_is_told_and_the_search_resumes(objectives, tmp_path):
    pytest.importorskip("distributed")
    address, folder = tmp_path / "address", tmp_path / "search"
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    dask = [sys.executable, "-W", "ignore", "-m"]
    file = ["--scheduler-file", str(address)]
    scheduler = subprocess.Popen(
        [*dask, "distributed.cli.dask_scheduler", *file, "--port", "0", "--no-dashboard"], **options
    )
    (tmp_path / "scheduler").write_text(str(scheduler.pid))
    worker = subprocess.Popen(
        [*dask, "distributed.cli.dask_worker", *file, "--nthreads", "1", "--no-dashboard"], **options
    )
    try:
        wait_until(lambda: address.exists() and address.read_text().strip().endswith("}"))
        url = json.loads(address.read_text())["address"]
        with pytest.raises(ConnectionError, match=r"is gone. \d evaluations are stored in .*: resume that folder"):
            minimize(objectives.kills_the_scheduler, SPACE, 6, folder=folder, scheduler=url, n_workers=1)
        assert stored(folder) in (2, 3)  # at most the one in flight is lost
        search = resume(folder, objective=bowl)
        assert vectors(search) == vectors(minimize(bowl, SPACE, 6))
    finally:
        for process in (worker, scheduler):
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def test_missing_dask_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"need Dask: pip install 'hrsnn\[search\]'"):
        minimize(bowl, SPACE, 3, n_workers=2)


def test_missing_scheduler_is_one_clear_error():
    pytest.importorskip("distributed")
    with pytest.raises(ConnectionError, match=r"No Dask scheduler answers at 'nonsense://1'"):
        minimize(bowl, SPACE, 3, scheduler="nonsense://1")


def test_bad_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no search in"):
        resume(tmp_path)
    (tmp_path / "search.sqlite").write_bytes(b"no database at all, but long enough to be read as one" * 30)
    with pytest.raises(ValueError, match="is not a search"):
        resume(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"objective": 3}, TypeError, "objective must be callable, got 3"),
        ({"n_calls": 0}, ValueError, "n_calls must be an integer of at least 1, got 0"),
        ({"n_calls": 2.5}, ValueError, "n_calls must be an integer of at least 1, got 2.5"),
        ({"n_workers": 1.5}, ValueError, "n_workers must be an integer of at least 1, got 1.5"),
        ({"seed": -1}, ValueError, "seed must be an integer in"),
        ({"xi": -1}, ValueError, "xi must not be negative, got -1"),
        ({"n_draws": 0}, ValueError, "n_draws must be an integer of at least 1, got 0"),
        ({"timeout": -1}, ValueError, "timeout must be positive, got -1"),
        ({"space": {"x": (1, 0)}}, ValueError, "needs low < high"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(arguments, error, match):
    def objective(x, y):
        raise AssertionError("it ran")

    with pytest.raises(error, match=match):
        minimize(**({"objective": objective, "space": SPACE, "n_calls": 3} | arguments))
