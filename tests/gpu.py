"""All that a GPU is wanted for, in under nine minutes and without internet: ``make gpu``. Without a GPU: the emulator.

Each step is a process of its own and has its share of the time; its figures go into the JSON file as soon as they are
there, with the name of the card. In the emulator the networks are tiny, and no figure says anything of a GPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from hrsnn.lab.cli import main
from hrsnn.lab.runs import list_runs
from hrsnn.simulation import nvidia

HERE = Path(__file__).resolve().parent
BUDGET = 530  # seconds in all
TINY = [
    "data=digits",
    "n_train=30",
    "n_test=5",
    "n_neurons=4",
    "n_epochs=1",
    "n_batches=2",
    "warm_up=1",
    "max_retries=0",
]
STEPS = {
    "tests": (["-k", "test_on_a_gpu"], ["-k", "wiring_and_stop"]),
    "mnist_stdp": (["--quick"], ["--quick", "n_label_samples=10", *TINY]),
    "speed": (
        ["sizes=[400,6400]", "reservoirs=[1000,10000,100000,1000000]", "n_images=20", "n_script=0"],
        ["--quick", "sizes=[4]", "reservoirs=[30]", "n_images=2", "repeats=1"],
    ),
    "gradient_speed": (["one_core=no"], None),
}


def emulate() -> None:
    """Let the back end "cuda" of this process run in the emulator."""
    sys.path.insert(0, str(HERE / "simulation"))
    from cuda_emulator import TOOLS, EmulatedEngine  # type: ignore[import-not-found]

    import hrsnn.simulation.engine as engine

    nvidia.tools = lambda gpu=True: TOOLS  # type: ignore[assignment]
    engine.CudaEngine = EmulatedEngine


def step(name: str, folder: Path, emulated: bool) -> int:
    """Do one step; its figures are what it leaves in the folder."""
    arguments = STEPS[name][emulated]
    if name == "tests":
        import pytest

        path = HERE / "simulation" / "test_cuda.py"
        sys.path.insert(0, str(HERE / "stdp"))  # it shares a program with the tests of couplings
        return int(pytest.main(["-q", "-p", "no:cacheprovider", "-rs", str(path), *arguments]))
    if emulated:
        emulate()
    backend = [] if name == "gradient_speed" else ["--backend", "cuda"]
    return main(["run", name, *backend, *arguments, "--folder", str(folder)])


def skipped(name: str, emulated: bool) -> str:
    """Return why a step is left out, or nothing."""
    if STEPS[name][emulated] is None:
        return "there is no GPU"
    if name == "gradient_speed":
        if importlib.util.find_spec("hrsnn.studies.gradient_speed") is None or importlib.util.find_spec("jax") is None:
            return "JAX is not installed"
        code = "import jax; raise SystemExit(jax.default_backend() != 'gpu')"
        if subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode:
            return "JAX does not see the GPU"
    return ""


def measure(out: Path, budget: float) -> int:
    """Do all steps, and return how many failed."""
    gpus, end = nvidia.gpus(), time.monotonic() + budget
    emulated = not gpus
    print("No GPU is found: all runs in the emulator." if emulated else f"On {gpus[0][0]}.", flush=True)
    found: dict = {"gpu": None if emulated else gpus[0][0], "emulated": emulated, "processor": platform.processor()}
    found["steps"] = {}
    for name in STEPS:
        if reason := skipped(name, emulated):
            found["steps"][name] = {"left_out": reason}
        else:
            print(f"--- {name}", flush=True)
            found["steps"][name] = timed(name, emulated, end - time.monotonic())
        out.write_text(json.dumps(found, indent=2) + "\n")
        print(f"{name}: {found['steps'][name]}", flush=True)
    failed = [name for name, result in found["steps"].items() if result.get("status", 0)]
    where = "in the emulator: no figure here says anything of a GPU" if emulated else f"on {gpus[0][0]}"
    print(f"{len(STEPS) - len(failed)} of {len(STEPS)} steps without an error, {where}. {out}")
    return len(failed)


def timed(name: str, emulated: bool, seconds: float) -> dict:
    """Return status, seconds and metrics of a step in a process of its own."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hrsnn-gpu-") as folder:
        command = [sys.executable, __file__, "--step", name, "--folder", folder, *(["--emulated"] if emulated else [])]
        try:
            status = subprocess.run(command, timeout=max(seconds, 1), check=False).returncode
        except subprocess.TimeoutExpired:
            status = -1
        result: dict = {"status": status, "seconds": round(time.monotonic() - start, 1)}
        if status == -1:
            result["error"] = f"stopped after {seconds:.0f} s, when the time of all steps was over"
        for run in list_runs(Path(folder)):
            result["metrics"] = run.metrics
            result["tables"] = {path.stem: path.read_text() for path in run.folder.glob("tables/*.csv")}
    return result


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="file for the figures")
    parser.add_argument("--seconds", type=float, default=BUDGET, help="time for all steps")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--emulated", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    given = arguments()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(step(given.step, given.folder, given.emulated) if given.step else measure(given.out, given.seconds))
