"""Independent jobs of a run, here and on workers: the same bits, stored as they come, done again if a worker dies."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hrsnn.lab.cli import main
from hrsnn.lab.runs import list_runs
from hrsnn.lab.studies import study
from hrsnn.simulation import backends

N = 6


def powers(compute):
    """A study of jobs, each of which calls ``compute`` with its number."""

    @study(quick={})
    def powers_of_matrices(run, n=N):
        """What are the powers of a matrix?"""
        jobs = {f"power_{k}": partial(compute, k) for k in range(n)}
        found = list(run.results(jobs, "powers"))
        run.save(order=[int(result["k"]) for result in found])
        run.table("powers", [{"k": int(result["k"]), "sum": float(result["power"].sum())} for result in found])

    return powers_of_matrices


def power(k):
    X = np.random.default_rng(k).standard_normal((150, 150)) / 12
    return {"k": k, "power": np.linalg.matrix_power(X @ X.T, k + 2), "process": os.getpid()}


def arrays(run):
    found = {}
    for path in sorted(run.folder.glob("cached/*.npz")):
        with np.load(path) as file:
            found[path.stem] = file["array_0"]
    return found


def compute():
    """Return ``power`` as a function that workers get whole: they do not know this module."""
    whole = _whole(power)
    return lambda k: whole(k)


def _whole(function):
    """Return a copy of a function that is nobody's attribute, so that it is sent and not its name."""
    import types

    return types.FunctionType(function.__code__, {"np": np, "os": os}, "copy")


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    return powers(compute())(folder=tmp_path_factory.mktemp("serial"))


def test_jobs_run_here_in_their_order(serial):
    assert serial.metrics["order"] == list(range(N))
    assert len(arrays(serial)) == N


@pytest.mark.slow
def test_workers_give_the_same_bits(serial, tmp_path):
    pytest.importorskip("distributed")
    run = powers(compute())(folder=tmp_path, workers=2)
    assert run.metrics["order"] == list(range(N))
    for name, array in arrays(serial).items():
        assert_array_equal(arrays(run)[name], array)
    assert (run.folder / "tables/powers.csv").read_text() == (serial.folder / "tables/powers.csv").read_text()


@pytest.mark.slow
def test_a_scheduler_of_ones_own_gives_the_same_bits(serial, tmp_path):
    distributed = pytest.importorskip("distributed")
    options = dict(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
    with distributed.LocalCluster(**options) as cluster:
        run = powers(compute())(folder=tmp_path, scheduler=cluster.scheduler_address)
    for name, array in arrays(serial).items():
        assert_array_equal(arrays(run)[name], array)


@pytest.mark.slow
def test_the_job_of_a_killed_worker_is_done_again(serial, tmp_path):
    pytest.importorskip("distributed")
    inner = compute()

    def dies_once(k):
        if k == 2:
            try:
                (tmp_path / "killed").touch(exist_ok=False)
            except FileExistsError:
                return inner(k)
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(k)

    run = powers(dies_once)(folder=tmp_path / "runs", workers=2)
    assert (tmp_path / "killed").exists()
    for name, array in arrays(serial).items():
        assert_array_equal(arrays(run)[name], array)


@pytest.mark.slow
def test_what_a_job_raises_is_raised_and_the_run_resumes(serial, tmp_path, capsys):
    pytest.importorskip("distributed")
    inner = compute()

    def fails(k):
        if k == 4 and not (tmp_path / "mended").exists():
            time.sleep(0.5)
            raise FloatingPointError("no power of 4")
        return inner(k)

    questions = powers(fails)
    with pytest.raises(FloatingPointError, match="no power of 4"):
        questions(folder=tmp_path / "runs", workers=2)
    (run,) = list_runs(tmp_path / "runs")
    assert run.status == "failed"
    said = (run.folder / "error.txt").read_text()
    assert "in fails" in said  # where, on the worker
    done = arrays(run)
    assert set(done) >= {f"power_{k}" for k in range(4)}
    (tmp_path / "mended").touch()
    before = {path: path.stat().st_mtime_ns for path in run.folder.glob("cached/*.npz")}
    questions.execute(run, workers=2)
    assert run.status == "done"
    assert all(path.stat().st_mtime_ns == time_of for path, time_of in before.items())
    for name, array in arrays(serial).items():
        assert_array_equal(arrays(run)[name], array)


def test_linear_algebra_takes_one_thread_and_the_backend_goes_along():
    from threadpoolctl import threadpool_info

    from hrsnn.lab.jobs import attempt

    before = backends._default
    try:
        threads, error, _ = attempt(lambda: [pool["num_threads"] for pool in threadpool_info()], "runtime")
        assert error is None
        assert set(threads) == {1}
        assert backends.resolve() == "runtime"
    finally:
        backends._default = before


def test_workers_of_a_study_without_jobs_are_told_to_be_idle(tmp_path):
    @study(quick={})
    def alone(run, n=1):
        """What is one?"""
        run.save(value=n)

    with pytest.warns(UserWarning, match="alone has no jobs for workers: it ran in one process"):
        alone(folder=tmp_path, workers=2)
    with pytest.raises(ValueError, match="workers must be an integer of at least 1, got 0"):
        alone(folder=tmp_path, workers=0)


@pytest.mark.slow
def test_the_command_line_takes_workers(tmp_path, monkeypatch, capsys):
    pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squares.py").write_text(
        "from functools import partial\n"
        "from hrsnn.lab import study\n"
        "def square(k):\n"
        "    return {'square': k * k}\n"
        "@study(quick={})\n"
        "def squares(run, n=3):\n"
        "    'What are squares?'\n"
        "    jobs = {str(k): partial(square, k) for k in range(n)}\n"
        "    run.save(squares=[one['square'] for one in run.results(jobs)])\n"
    )
    assert main(["run", "squares.py", "--workers", "2"]) == 0
    (run,) = list_runs(tmp_path / "runs")
    assert run.metrics["squares"] == [0, 1, 4]
    assert main(["run", "squares.py", "--scheduler", "nonsense://1"]) == 1
    assert "No Dask scheduler answers at 'nonsense://1'" in capsys.readouterr().err
    assert main(["resume", "squares", "--workers", "2"]) == 0


@pytest.mark.slow
def test_the_recipe_for_slurm_runs_with_a_local_cluster(serial, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    import hrsnn.studies.stdp_sweeps as studies

    page = (Path(__file__).resolve().parents[2] / "docs" / "cluster.md").read_text()
    recipe = page.partition("## SLURM")[2].partition("```python\n")[2].partition("```")[0]

    class SLURMCluster(distributed.LocalCluster):
        def __init__(self, cores, processes, memory, walltime, job_script_prologue):
            assert (cores, processes) == (1, 1)
            super().__init__(n_workers=0, threads_per_worker=cores, dashboard_address=None, silence_logs=50)

        def scale(self, jobs):
            super().scale(min(jobs, 2))

    runs = []

    def stdp_size(seeds, scheduler, folder):
        runs.append(powers(compute())(folder=tmp_path / folder, scheduler=scheduler))

    monkeypatch.setitem(sys.modules, "dask_jobqueue", SimpleNamespace(SLURMCluster=SLURMCluster))
    monkeypatch.setattr(studies, "stdp_size", stdp_size)
    names = {"__name__": "__main__"}
    exec(recipe, names)
    names["cluster"].close()
    (run,) = runs
    for name, array in arrays(serial).items():
        assert_array_equal(arrays(run)[name], array)
