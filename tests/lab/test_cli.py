"""The command line: what it prints, and one line with a non-zero exit for every error."""

import os
import subprocess
import sys
import webbrowser

import pytest

from hrsnn import __version__
from hrsnn.lab.cli import main
from hrsnn.lab.runs import list_runs

STUDY = '''
import sys
from brian2 import ms
from hrsnn.lab.cli import main
from hrsnn.lab.studies import study

@study(quick=dict(n=2, duration="5 ms"))
def power(run, n=10, duration=350 * ms, base=2.0, fail="", seed=0):
    """How big is a power?

    It grows fast.
    """
    run.save(value=base**n, duration=duration)
    run.table("powers", [{"k": k, "value": base**k} for k in range(n)])
    if fail:
        raise KeyboardInterrupt if fail == "key" else OSError(f"first {fail}\\nsecond line")

if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
'''


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "power.py").write_text(STUDY)
    return tmp_path


def test_run_prints_metrics_and_paths(folder, capsys):
    assert main(["run", "power.py", "n=3", "duration=150 ms"]) == 0
    (run,) = list_runs(folder / "runs")
    lines = capsys.readouterr().out.splitlines()
    relative = run.folder.relative_to(folder)
    assert lines[0] == str(relative)
    assert lines[1].startswith(f"{run.name}: done, ")
    assert lines[2:] == [
        "  value     8.0",
        "  duration  150 ms",
        f"{relative}/tables/powers.csv",
        f"{relative}/report.html",
    ]


@pytest.mark.parametrize("is_there", [True, False])
def test_show_opens_the_report_in_a_browser(is_there, folder, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or is_there)
    assert main(["run", "power.py"]) == 0
    (run,) = list_runs(folder / "runs")
    assert main(["show", run.name, "--open"]) == int(not is_there)
    assert opened == [(run.folder / "report.html").absolute().as_uri()]
    assert ("hrsnn: There is no browser here. Copy " in capsys.readouterr().err) == (not is_there)
    (run.folder / "report.html").unlink()
    assert main(["show", run.name, "--open"]) == 1
    assert "has no report: one is written when a run ends. It is done." in capsys.readouterr().err


@pytest.mark.parametrize("order", [["--quick", "base=3"], ["base=3", "--quick"]])
def test_options_and_settings_come_in_any_order(folder, order):
    assert main(["run", "power.py", *order, "--folder", "elsewhere"]) == 0
    (run,) = list_runs(folder / "elsewhere")
    assert run.metrics == {"value": 9.0, "duration": "5 ms"}
    assert run.config["quick"]


def test_file_and_command_are_one_entry_point(folder):
    command = [sys.executable, "-W", "ignore", "power.py", "--quick", "seed=3"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert main(["run", "power.py", "--quick", "seed=3"]) == 0
    first, second = list_runs(folder / "runs")
    assert first.config == second.config
    assert first.metrics == second.metrics


def test_help_of_a_study_shows_question_defaults_and_quick_values(capsys):
    assert main(["run", "power.py", "--help"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["How", "big", "is", "a", "power?"] in lines
    assert ["It", "grows", "fast."] in lines
    assert ["setting", "default", "--quick"] in lines
    assert ["n", "10", "2"] in lines
    assert ["duration", "350", "ms", "5", "ms"] in lines
    assert ["base", "2.0"] in lines


def test_help_of_run_shows_how_to_call_it(capsys):
    assert main(["run", "--help"]) == 0
    assert "--quick" in capsys.readouterr().out


def test_list_shows_runs_with_status_and_numbers(capsys):
    main(["run", "power.py", "n=3"])
    main(["run", "power.py", "fail=disk"])
    capsys.readouterr()
    assert main(["list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  power/")]
    assert [(row[1], row[-1]) for row in rows] == [("done", "value=8"), ("failed", "value=1024")]


def test_show_prints_the_last_run(folder, capsys):
    main(["run", "power.py", "n=3"])
    capsys.readouterr()
    assert main(["show", "power"]) == 0
    assert "value     8.0" in capsys.readouterr().out


def test_failed_run_is_resumed_with_its_settings(folder, capsys):
    assert main(["run", "power.py", "n=3", "fail=disk"]) == 1
    (folder / "power.py").write_text(STUDY.replace("if fail:", "if False:"))
    assert main(["resume", "power"]) == 0
    (run,) = list_runs(folder / "runs")
    assert run.status == "done"
    assert run.metrics["value"] == 8.0
    assert not (run.folder / "error.txt").exists()
    capsys.readouterr()
    assert main(["resume", "power"]) == 0
    assert f"{run.name} is done already." in capsys.readouterr().out


def test_interrupt_is_recorded(folder, capsys):
    assert main(["run", "power.py", "fail=key"]) == 130
    assert capsys.readouterr().err.startswith("hrsnn: interrupted")
    (run,) = list_runs(folder / "runs")
    assert run.status == "interrupted"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nothing"], "There is no study 'nothing'. The studies are: "),
        (["run", "nothing.py"], "There is no file nothing.py."),
        (["run", "power.py", "m=3"], "power has no setting 'm'. Its settings are: n, duration, base, fail, seed."),
        (["run", "power.py", "n=many"], "n must be a whole number, got 'many'."),
        (["run", "power.py", "duration=3"], "duration must be a quantity like '350 ms', got '3'"),
        (["run", "power.py", "3"], "a setting is name=value, got '3'"),
        (["run", "power.py", "--fast"], "a setting is name=value, got '--fast'"),
        (["run", "power.py", "--backend", "cpp"], "power has no setting 'backend'"),
        (["run", "power.py", "fail=disk"], "OSError: first disk second line (traceback in runs/power/"),
        (["show", "power"], "There is no run 'power' in runs. The last runs there: none."),
        (["resume", "power"], "There is no run 'power' in runs."),
        (
            ["resume", "mnist_stdp"],
            "There is no run 'mnist_stdp' in runs. The last runs there: none. Start it with: hrsnn run m",
        ),
        (
            ["resume", "runs/lorenz/20260131-120000"],
            "There is no run 'runs/lorenz/20260131-120000' in runs. The last runs there: none. Start it with: ",
        ),
        (["run", "power.py", "--folder", "/proc/nope"], "The folder of runs, /proc/nope, cannot be written ("),
        (["list", "more"], "unknown argument 'more'"),
    ],
)
def test_error_is_one_line_and_a_status(arguments, message, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"hrsnn: {message}")
    assert error.count("\n") == 1


def test_a_reader_that_has_enough_is_no_error():
    command = f"{sys.executable} -W ignore -m hrsnn.lab.cli list"
    script = f"set -o pipefail; {command} | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Studies (hrsnn run NAME):\n", "")


@pytest.mark.slow
def test_without_a_compiler_a_study_runs_in_numpy_and_says_so_once(folder):
    """Two images and two neurons: nothing is learnt, and all is run."""
    small = (
        "data=digits n_train=2 n_test=1 n_neurons=2 max_retries=0 n_epochs=1 n_batches=2 warm_up=1 n_label_samples=1"
    )
    command = [sys.executable, "-m", "hrsnn.lab.cli", "run", "mnist_stdp", "--quick", *small.split()]
    (folder / "empty").mkdir()
    environment = {**os.environ, "PATH": str(folder / "empty"), "HRSNN_CACHE": str(folder / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "y_pred contains classes" not in line]
    assert len(said) == 1, said
    assert "'g++' is not on the PATH. Install g++ (Debian: apt install g++) or set CXX" in said[0]
    assert said[0].endswith("networks run in NumPy, step by step, which is tens to hundreds of times slower.")
    (run,) = list_runs(folder / "runs")
    assert run.metrics["spikes_per_image_quantised"] > 0
    assert not (folder / "cache").exists()


def test_command_is_needed(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "COMMAND" in capsys.readouterr().err


def test_version_is_the_packages(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"hrsnn {__version__}\n"


def test_doctor_shows_versions(capsys):
    import numpy

    assert main(["doctor"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["hrsnn", __version__] in rows
    assert ["numpy", numpy.__version__] in rows


def test_installed_command_works(folder):
    from importlib.metadata import entry_points

    (entry,) = entry_points(group="console_scripts", name="hrsnn")
    assert entry.load() is main
