"""A study's signature is its configuration; its runs leave folders that tell all, also after a kill."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from brian2 import Hz, ms
from matplotlib.figure import Figure
from numpy.testing import assert_array_equal

from hrsnn.lab import studies as study_module
from hrsnn.lab.runs import Run, find_run, list_runs
from hrsnn.lab.studies import Study, find_study, study


@study(quick=dict(n_points=10, duration="50 ms"))
def circle(run, n_points=1000, duration=350 * ms, rates=(10 * Hz, 20 * Hz), levels: int | None = 2, fail=False, seed=0):
    """How near does a random estimate come to pi?

    Points are drawn in a square.
    """
    points = run.cached("points", lambda: np.random.default_rng(seed).uniform(-1, 1, (n_points, 2)))
    run.save(pi=4 * np.mean((points**2).sum(axis=1) < 1), n=n_points, duration=duration, levels=levels)
    if fail:
        raise RuntimeError("the circle is square")


def read_json(path):
    return json.loads(path.read_text())


def test_defaults_then_quick_then_changes_make_the_configuration():
    assert circle.configure({}) == circle.defaults
    quick = circle.configure({"seed": "3", "n_points": "20"}, quick=True)
    assert quick == circle.defaults | {"duration": 50 * ms, "n_points": 20, "seed": 3}


def test_unknown_setting_lists_the_known():
    with pytest.raises(TypeError, match=r"no setting 'n_neurons'. Its settings are: n_points, duration, .*, seed\."):
        circle.configure({"n_neurons": 3})


def test_wrong_value_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="duration must be a quantity like '350 ms'"):
        circle(folder=tmp_path / "runs", duration=3)
    assert not (tmp_path / "runs").exists()


def no_run(n=1):
    """Ask."""


def no_default(run, n):
    """Ask."""


def no_question(run, n=1):
    pass


def no_text(run, weights=np.zeros(3)):  # noqa: B008
    """Ask."""


@pytest.mark.parametrize(
    ("function", "quick", "message"),
    [
        (no_run, {}, "first parameter of a study is 'run'"),
        (no_default, {}, "every setting needs a default, these have none: n"),
        (no_question, {}, "docstring that says its question"),
        (no_text, {}, "no_text, setting weights: a ndarray cannot be a setting"),
        (circle.function, {"points": 3}, "circle has no setting 'points'"),
    ],
)
def test_function_that_is_no_study_is_refused(function, quick, message):
    with pytest.raises(TypeError, match=message):
        study(quick=quick)(function)


def test_run_folder_tells_all(tmp_path):
    run = circle(folder=tmp_path, n_points=200, levels=None)
    assert run.folder.parent == tmp_path / "circle"
    assert run.status == "done"
    defaults = {"n_points": 1000, "duration": "350 ms", "rates": ["10 Hz", "20 Hz"], "levels": 2}
    assert read_json(run.folder / "config.json") == {
        "defaults": {**defaults, "fail": False, "seed": 0},
        "study": "circle",
        "source": str(Path(__file__).resolve()),
        "question": "How near does a random estimate come to pi?\n\nPoints are drawn in a square.",
        "quick": False,
        "settings": {
            "n_points": 200,
            "duration": "350 ms",
            "rates": ["10 Hz", "20 Hz"],
            "levels": None,
            "fail": False,
            "seed": 0,
        },
    }
    points = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    pi = 4 * np.mean(np.hypot(*points.T) < 1)
    assert read_json(run.folder / "metrics.json") == {"pi": pi, "n": 200, "duration": "350 ms", "levels": None}
    record = read_json(run.folder / "provenance.json")
    assert [attempt["status"] for attempt in record["attempts"]] == ["done"]
    assert 0 <= record["attempts"][0]["seconds"] < 60
    assert record["seeds"] == {"seed": 0}
    assert record["versions"]["numpy"] == np.__version__
    assert record["machine"]["cores"] == os.cpu_count()


def test_git_commit_of_a_checkout_is_recorded(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", *who, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    from hrsnn.lab.provenance import git_commit

    assert git_commit(tmp_path) == {"commit": None, "changed": False}
    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "First")
    assert git_commit(tmp_path) == {"commit": git("rev-parse", "HEAD"), "changed": False}
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path)["changed"]


def test_runs_of_one_second_get_folders_of_their_own(tmp_path):
    runs = [circle(folder=tmp_path, seed=seed, quick=True) for seed in range(3)]
    assert len({run.folder for run in runs}) == 3
    assert [run.config["settings"]["seed"] for run in list_runs(tmp_path)] == [0, 1, 2]


def test_failure_is_recorded_and_raised(tmp_path):
    with pytest.raises(RuntimeError, match="the circle is square") as caught:
        circle(folder=tmp_path, fail=True)
    (run,) = list_runs(tmp_path)
    assert run.status == "failed"
    assert "pi" in run.metrics
    assert "raise RuntimeError" in (run.folder / "error.txt").read_text()
    assert "the circle is square" in (run.folder / "report.html").read_text()
    assert caught.value.__notes__ == [f"(traceback in {run.folder / 'error.txt'})"]


@pytest.fixture
def run(tmp_path):
    return circle.prepare({}, tmp_path)


def test_metrics_add_up(run):
    run.save(a=1, b=2)
    run.save(b=3)
    assert read_json(run.folder / "metrics.json") == {"a": 1, "b": 3}


def test_metric_that_is_no_number_is_refused(run):
    with pytest.raises(TypeError, match="a object cannot be written as JSON"):
        run.save(a=object())


def test_table_is_written_as_csv(run):
    path = run.table("scores", [{"n": 100, "accuracy": 0.5}, {"n": np.int64(400), "accuracy": np.nan}])
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [["n", "accuracy"], ["100", "0.5"], ["400", ""]]


@pytest.mark.parametrize("rows", [[], [{"a": 1}, {"b": 1}]])
def test_table_with_unequal_rows_is_refused(run, rows):
    with pytest.raises(ValueError, match="table 'scores' needs rows, each with the same columns"):
        run.table("scores", rows)


def test_cached_result_is_computed_once(run):
    calls = []

    def compute():
        calls.append(1)
        return {"x": np.arange(3), "score": 0.5}

    for _ in range(3):
        result = run.cached("x", compute)
        assert_array_equal(result["x"], np.arange(3))
        assert result["score"] == 0.5
    assert len(calls) == 1


def test_progress_gives_every_item_and_is_quiet_off_a_terminal(run, capsys):
    assert list(run.progress(iter(range(4)), total=4, label="blocks")) == [0, 1, 2, 3]
    assert capsys.readouterr() == ("", "")


def test_checkpoint_path_is_in_the_run_folder(run):
    path = run.checkpoint("seed_3")
    path.write_bytes(b"state")
    assert path == run.folder / "checkpoints" / "seed_3.h5"


def test_report_holds_everything_in_one_file(run):
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([1, 2])
    with run:
        path = run.figure("receptive_fields", figure)
        run.save(accuracy=0.8125, third=1 / 3)
        run.table("scores", [{"n": 1600, "kind": "<b>"}])
        run.table("many", [{"n": k} for k in range(21)])
        run.declare(neuron="dv/dt = -v/tau_m : volt")
    assert path.read_bytes().startswith(b"\x89PNG")
    page = (run.folder / "report.html").read_text()
    for text in (
        "How near does a random estimate come to pi?",
        "0.8125",
        "<td>0.33333</td>",
        "<details><summary>21 rows</summary>",
        "receptive fields",
        "<td>1600</td><td>&lt;b&gt;</td>",
        "dv/dt = -v/tau_m : volt",
        "350 ms",
        np.__version__,
    ):
        assert text in page
    assert page.count("data:image/png;base64,") == 1
    assert "http" not in page
    assert read_json(run.folder / "provenance.json")["equations"] == {"neuron": "dv/dt = -v/tau_m : volt"}


def test_command_of_a_report_gives_the_same_configuration(run):
    import shlex

    from hrsnn.lab.report import command

    program, verb, source, *texts = shlex.split(command(run.config, all_settings=True))
    assert (program, verb, source) == ("hrsnn", "run", str(Path(__file__).resolve()))
    assert circle.configure(dict(text.split("=", 1) for text in texts)) == circle.defaults
    assert command(run.config) == f"hrsnn run {source}"


def test_command_of_a_report_names_what_was_changed(tmp_path):
    from hrsnn.lab.report import command

    run = circle(folder=tmp_path, quick=True, seed=3, n_points=10)  # n_points is as in quick runs
    assert command(run.config) == f"hrsnn run {circle.source} --quick seed=3"
    page = (run.folder / "report.html").read_text()
    assert f">{command(run.config)}</pre>" in page
    assert page.count("<tr class=changed>") == 1
    assert "<tr class=changed><td>seed</td><td>3</td><td>0</td></tr>" in page
    older = {name: value for name, value in run.config.items() if name != "defaults"}
    assert command(older) == command(run.config, all_settings=True)


def test_run_is_found_by_folder_name_and_study(tmp_path):
    first, last = (circle(folder=tmp_path, quick=True) for _ in range(2))
    assert find_run(str(first.folder), tmp_path).folder == first.folder
    assert find_run(first.name, tmp_path).folder == first.folder
    assert find_run("circle", tmp_path).folder == last.folder
    with pytest.raises(FileNotFoundError, match=rf"no run 'square' in .*last runs there: {first.name}, {last.name}"):
        find_run("square", tmp_path)


def test_broken_run_folder_is_left_out_of_the_list_and_named_when_asked_for(tmp_path, run):
    (run.folder / "config.json").write_text("{")
    assert list_runs(tmp_path) == []
    with pytest.raises(ValueError, match=r"config.json is not valid JSON .*Repair or remove"):
        find_run(str(run.folder), tmp_path)


def test_running_run_cannot_be_entered_twice(run):
    with run:
        other = Run(run.folder)
        assert other.status == "running"
        with pytest.raises(RuntimeError, match=r"is still running; wait, or end that process first\."):
            circle.execute(other)
    assert Run(run.folder).status == "done"


def test_studies_of_the_package_are_found_by_name(monkeypatch):
    monkeypatch.setattr(study_module, "list_studies", lambda: {"circle": circle})
    assert find_study("circle") is circle
    with pytest.raises(LookupError, match=r"no study 'square'. The studies are: circle\."):
        find_study("square")


def test_studies_of_the_package_are_studies():
    for name, item in study_module.list_studies().items():
        assert isinstance(item, Study)
        assert item.source == item.name == name


def test_file_must_hold_one_study(tmp_path):
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(LookupError, match=r"empty.py must hold one study, it holds: none\."):
        find_study(str(tmp_path / "empty.py"))
    with pytest.raises(FileNotFoundError, match=r"There is no file nowhere\.py"):
        find_study("nowhere.py")


SLOW_STUDY = '''
import time
from pathlib import Path
import numpy as np
from hrsnn.lab.studies import study

@study(quick={})
def steps(run, n_steps=4, pause=0.0, log="log.txt", seed=0):
    """Does a killed run go on where it was?"""
    total = np.zeros(3)
    for k in run.progress(range(n_steps)):
        def step():
            with Path(log).open("a") as file:
                print(k, file=file)
            return np.random.default_rng((seed, k)).random(3)
        total = total + run.cached(f"step_{k}", step)
        time.sleep(pause if k == 1 and not run.resumed else 0)
    run.save(total=total, resumed=run.resumed)
'''


def test_killed_run_goes_on_where_it_was(tmp_path):
    (tmp_path / "steps.py").write_text(SLOW_STUDY)
    log = tmp_path / "log.txt"
    command = [sys.executable, "-W", "ignore", "-m", "hrsnn.lab.cli"]
    process = subprocess.Popen([*command, "run", "steps.py", "pause=60"], cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(list(tmp_path.glob("runs/steps/*/cached/step_1.npz"))) == 1)
        (going,) = list_runs(tmp_path / "runs")
        assert going.status == "running"
        refused = subprocess.run([*command, "resume", "steps"], cwd=tmp_path, capture_output=True, text=True)
        assert refused.returncode == 1
        assert "is still running" in refused.stderr
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (killed,) = list_runs(tmp_path / "runs")
    assert killed.status == "interrupted"
    assert killed.metrics == {}

    done = subprocess.run([*command, "resume", "steps"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (resumed,) = list_runs(tmp_path / "runs")
    assert resumed.folder == killed.folder
    assert resumed.status == "done"
    assert [attempt["status"] for attempt in resumed.provenance["attempts"]] == ["running", "done"]
    assert log.read_text().split() == ["0", "1", "2", "3"]  # no step twice
    total = sum(np.random.default_rng((0, k)).random(3) for k in range(4))
    assert resumed.metrics == {"total": total.tolist(), "resumed": True}


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
