"""The command line: ``hrsnn list | run | show | resume | doctor``."""

import argparse
import os
import sys
import warnings
import webbrowser
from collections.abc import Callable, Iterable, Sequence
from inspect import getdoc
from pathlib import Path
from typing import TextIO

from hrsnn import __version__
from hrsnn.lab import provenance, settings
from hrsnn.lab.runs import DONE, Run, find_run, list_runs
from hrsnn.lab.studies import Study, find_study, list_studies
from hrsnn.simulation import backends, nvidia

_EXAMPLES = """examples:
  hrsnn list                          studies, and the runs so far
  hrsnn run mnist_stdp --help         question and settings of a study
  hrsnn run mnist_stdp --quick        its quick variant
  hrsnn run mnist_stdp n_neurons=400 "theta_plus=0.1 mV" seed=3
  hrsnn run mnist_stdp --backend cuda --build-only    compile for a GPU, here or elsewhere
  hrsnn run stdp_size --workers 2      two networks at a time
  hrsnn run my_study.py               a study in a file of your own
  hrsnn show mnist_stdp               its last run
  hrsnn show mnist_stdp --open        its report, in the browser
  hrsnn resume mnist_stdp             continue it after a kill
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; an error is one line on standard error.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process if None.

    Returns
    -------
    int
        0 after success, 1 after an error, 130 if interrupted. A wrong command line exits with 2.
    """
    arguments, rest = _parser().parse_known_args(argv)
    try:
        if arguments.command is not _run and rest:
            raise ValueError(f"unknown argument {rest[0]!r}; see hrsnn --help")
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            arguments.command(arguments, rest)
            sys.stdout.flush()
    except BrokenPipeError:  # who reads has read enough, as head does; nothing is left to tell him
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 Python flushes it when it ends
        return 0
    except KeyboardInterrupt:
        print("hrsnn: interrupted; hrsnn list shows the run, hrsnn resume continues it", file=sys.stderr)
        return 130
    except Exception as error:
        print(f"hrsnn: {_one_line(error)}", file=sys.stderr)
        return 1
    return 0


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as one line."""
    print(f"hrsnn: warning: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hrsnn",
        description="Run the studies of hrsnn and look at their runs.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hrsnn {__version__}")
    runs = argparse.ArgumentParser(add_help=False)
    runs.add_argument("--folder", type=Path, default=Path("runs"), help="root of all runs (default: runs)")
    cluster = argparse.ArgumentParser(add_help=False)
    cluster.add_argument("--workers", type=int, metavar="N", help="do N independent jobs of the study at once")
    cluster.add_argument("--scheduler", metavar="ADDRESS", help="do them on the workers of this Dask scheduler")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", parents=[runs], help="show the studies and the runs so far")
    listing.set_defaults(command=_list)

    running = commands.add_parser(
        "run", parents=[runs, cluster], add_help=False, help="run a study: hrsnn run STUDY name=value ..."
    )
    running.add_argument("study", nargs="?", help="name of a study, or a Python file that holds one")
    running.add_argument("--quick", action="store_true", help="small settings: under a minute")
    running.add_argument("--backend", help="short for backend=NAME")
    running.add_argument("--build-only", action="store_true", help="compile the network, do not run it (no GPU needed)")
    running.add_argument("--help", "-h", action="store_true", help="show question and settings of the study")
    running.set_defaults(command=_run, usage=running)

    for name, command, text in (("show", _show, "print the results of a run"), ("resume", _resume, "continue a run")):
        sub = commands.add_parser(name, parents=[runs, cluster] if name == "resume" else [runs], help=text)
        sub.add_argument("run", help="folder of the run, STUDY/TIME, or STUDY for its last run")
        sub.set_defaults(command=command)
        if name == "show":
            sub.add_argument("--open", action="store_true", help="open the report in the browser")

    doctor = commands.add_parser("doctor", help="show versions, compilers and the backends that work here")
    doctor.set_defaults(command=_doctor)
    return parser


def _list(arguments: argparse.Namespace, rest: Sequence[str]) -> None:
    print("Studies (hrsnn run NAME):")
    _print_rows([(name, study.question) for name, study in list_studies().items()] or [("none", "")])
    print(f"\nRuns in {arguments.folder} (hrsnn show NAME):")
    rows = [(run.name, run.status, f"{run.seconds:.1f} s", _brief(run)) for run in list_runs(arguments.folder)]
    _print_rows(rows or [("none", "")])


def _run(arguments: argparse.Namespace, rest: Sequence[str]) -> None:
    if arguments.study is None:
        arguments.usage.print_help()
        print("\nstudies:")
        _print_rows([(name, study.question) for name, study in list_studies().items()])
        return
    study = find_study(arguments.study)
    if arguments.help:
        _print_help(study, arguments.study)
        return
    changes = dict(_assignment(text) for text in rest)
    if arguments.backend:
        changes["backend"] = arguments.backend
    chosen = study.configure(changes, arguments.quick).get("backend") or "auto"
    backends.use_backend(chosen, arguments.build_only)  # before there is a run, if it cannot be
    try:
        run = study.prepare(changes, arguments.folder, arguments.quick)
        print(f"{run.folder}", flush=True)
        study.execute(run, arguments.workers, arguments.scheduler)
        _print_run(run)
    except backends.BuildOnly as built:
        print(built)
    finally:
        backends.use_backend("auto")


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name.startswith("-"):
        raise ValueError(f"a setting is name=value, got {text!r}; hrsnn run STUDY --help lists them")
    return name.strip(), value


def _show(arguments: argparse.Namespace, rest: Sequence[str]) -> None:
    run = _find(arguments)
    _print_run(run)
    if arguments.open:
        page = (run.folder / "report.html").absolute()
        if not page.is_file():
            raise FileNotFoundError(f"{run.name} has no report: one is written when a run ends. It is {run.status}.")
        if not webbrowser.open(page.as_uri()):
            raise RuntimeError(f"There is no browser here. Copy {page} to where there is one: it needs no other file.")


def _resume(arguments: argparse.Namespace, rest: Sequence[str]) -> None:
    run = _find(arguments)
    if run.status == DONE:
        print(f"{run.name} is done already.")
    else:
        find_study(run.config["source"]).execute(run, arguments.workers, arguments.scheduler)
    _print_run(run)


def _find(arguments: argparse.Namespace) -> Run:
    """Return a run; an error says how to start one."""
    try:
        return find_run(arguments.run, arguments.folder)
    except FileNotFoundError as error:
        names = [part for part in Path(arguments.run).parts if part in list_studies()]
        start = f"Start it with: hrsnn run {names[0]}" if names else "hrsnn list shows the studies that can be run"
        raise FileNotFoundError(f"{error} {start}.") from None


def _doctor(arguments: argparse.Namespace, rest: Sequence[str]) -> None:
    machine = {name: str(value) for name, value in provenance.machine().items() if value}
    gpus = ", ".join(f"{name} (compute capability {capability / 10})" for name, capability in nvidia.gpus())
    found = [("nvcc", _say(lambda: " ".join(nvidia.nvcc()))), ("gpu", gpus or "none that nvidia-smi finds")]
    works = [(f"backend {name}", _say(lambda: backends.resolve(name) and "works")) for name in backends.BACKENDS]  # noqa: B023
    builds = ("build cuda", _say(lambda: f"for compute capability {nvidia.tools(gpu=False).architecture / 10}"))
    _print_rows([*provenance.versions().items(), *machine.items(), *found, *works, builds])


def _say(ask: Callable[[], str]) -> str:
    """Return an answer, or what is missing for one."""
    try:
        return ask()
    except backends.BackendUnavailable as error:
        return " ".join(str(error).split())


def _print_help(study: Study, name: str) -> None:
    print(f"hrsnn run {name} [--quick] [--folder RUNS] [name=value ...]\n\n{getdoc(study.function)}\n")
    rows = [("setting", "default", "--quick")]
    for setting, default in study.defaults.items():
        quick = settings.write(study.quick[setting]) if setting in study.quick else ""
        rows.append((setting, settings.write(default), quick))
    _print_rows(rows)


def _print_run(run: Run) -> None:
    print(f"{run.name}: {run.status}, {run.seconds:.1f} s")
    _print_rows([(name, str(value)) for name, value in run.metrics.items()])
    shown = [*sorted(run.folder.glob("figures/*.png")), *sorted(run.folder.glob("tables/*.csv"))]
    for path in [*shown, run.folder / "error.txt", run.folder / "report.html"]:
        if path.is_file():
            print(path)


def _print_rows(rows: Iterable[Sequence[str]]) -> None:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _brief(run: Run) -> str:
    """Return the first numbers of a run in one short text."""
    numbers = [(name, value) for name, value in run.metrics.items() if isinstance(value, int | float)]
    return ", ".join(f"{name}={value:.4g}" for name, value in numbers[:4])


def _one_line(error: Exception) -> str:
    """Return type, message and notes of an error in one line; a plain message if the user can act on it at once."""
    message = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
    notes = getattr(error, "__notes__", [])
    head = f"{type(error).__name__}: " if notes or not message else ""
    return " ".join([head + message, *notes])


if __name__ == "__main__":
    sys.exit(main())
