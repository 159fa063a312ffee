"""The engine: one network, compiled once, run many times; what goes wrong is said."""

import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeMonitor, TimedArray, get_device, ms, prefs
from brian2.devices.device import runtime_device
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn.simulation import backends
from hrsnn.simulation.engine import Blueprint, CppEngine, RuntimeEngine, _by_blocks, _independent, engine

N = 5
DT = 0.1 * ms


def decay(equations="dv/dt = (drive(t) - v)/tau : 1\ntau : second (shared, constant)"):
    """Exponential decay towards a driven value; a neuron that passes 1 fires."""

    def build():
        drive = TimedArray(np.zeros(4), dt=5 * ms, name="drive")
        group = NeuronGroup(N, equations, threshold="v > 1", reset="v = 0", method="exponential_euler", dt=DT,
                            namespace={"drive": drive}, name="group")  # fmt: skip
        group.tau = 10 * ms
        return Network(group, SpikeMonitor(group, name="spikes"))

    return Blueprint(build, 10 * ms, equations + repr(DT), sizes={})


@pytest.fixture(scope="module", autouse=True)
def numpy_target():
    previous, prefs.codegen.target = prefs.codegen.target, "numpy"
    yield
    prefs.codegen.target = previous


@pytest.fixture(scope="module", params=["runtime", pytest.param("cpp", marks=pytest.mark.cpp)])
def machine(request):
    return engine(decay(), request.param)


START = np.linspace(-0.8, 0.8, N)


def test_state_in_and_out(machine):
    result = machine.run({"group.v": START, "group.tau": 5e-3}, ["group.v", "spikes.i"])
    assert_allclose(result["group.v"], START * np.exp(-2), rtol=1e-9)
    assert len(result["spikes.i"]) == 0


def test_runs_do_not_touch_each_other(machine):
    first = machine.run({"group.v": START, "drive.values": [5, 5, 5, 5]}, ["group.v", "spikes.t"])
    machine.run({"group.v": START * 0}, ["group.v"])
    again = machine.run({"group.v": START, "drive.values": [5, 5, 5, 5]}, ["group.v", "spikes.t"])
    assert len(first["spikes.t"]) > N
    assert_array_equal(again["group.v"], first["group.v"])
    assert_array_equal(again["spikes.t"], first["spikes.t"])


def test_side_by_side_equals_one_by_one(machine):
    states = [{"group.v": START * k, "drive.values": np.full(4, k)} for k in range(4)]
    together = machine.run_many(states, ["group.v"], n_jobs=2)
    for state, result in zip(states, together, strict=True):
        assert_array_equal(result["group.v"], machine.run(state, ["group.v"])["group.v"])


def test_unknown_names_and_wrong_lengths_are_refused(machine):
    with pytest.raises(KeyError, match=r"no variable 'group\.w'"):
        machine.run({"group.w": 1}, [])
    with pytest.raises(KeyError, match=r"no variable 'group\.w'"):
        machine.run({}, ["group.w"])
    with pytest.raises(ValueError, match=r"group\.v has 5 values, got 4"):
        machine.run({"group.v": np.zeros(4)}, [])


@pytest.mark.cpp
def test_compiled_program_is_found_again_quickly():
    built = engine(decay(), "cpp")
    start = time.perf_counter()
    found = engine(decay(), "cpp")
    assert found.folder == built.folder
    assert time.perf_counter() - start < 0.5  # building takes seconds
    assert engine(decay("dv/dt = -v/tau : 1\ntau : second (shared, constant)"), "cpp").folder != built.folder


@pytest.mark.cpp
def test_building_leaves_the_runtime_device_in_place():
    engine(decay(), "cpp")
    assert get_device() is runtime_device
    group = NeuronGroup(1, "v : 1", name="after")
    group.v = 3
    assert group.v[0] == 3


@pytest.mark.cpp
def test_two_builds_at_once_both_work(tmp_path, monkeypatch):
    monkeypatch.setenv("HRSNN_CACHE", str(tmp_path))
    script = "from test_engine import *; print(engine(decay(), 'cpp').run({'group.v': START}, ['group.v'])['group.v'])"
    with ThreadPoolExecutor(2) as pool:
        call = [sys.executable, "-c", script]
        done = list(
            pool.map(
                lambda _: subprocess.run(call, cwd=Path(__file__).parent, capture_output=True, text=True), range(2)
            )
        )
    assert [result.returncode for result in done] == [0, 0], done[0].stderr + done[1].stderr
    assert done[0].stdout == done[1].stdout
    assert len(list((tmp_path / "programs").iterdir())) == 1  # and no half-built folder is left


@pytest.mark.cpp
def test_failing_build_shows_the_compilers_error_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("HRSNN_CACHE", str(tmp_path))
    monkeypatch.setattr(backends, "compile_flags", lambda: ("-std=c++98",))
    monkeypatch.setattr(backends, "precompiled_header", lambda: "stdlib.h")
    with pytest.raises(RuntimeError, match=r"does not compile with .*error.*use backend='runtime'"):
        engine(decay(), "cpp")
    assert list((tmp_path / "programs").iterdir()) == []


@pytest.mark.cpp
def test_missing_results_are_reported(monkeypatch):
    machine = CppEngine(decay())
    monkeypatch.setitem(machine._variables["group.v"], "file", "nowhere")
    with pytest.raises(RuntimeError, match=r"wrote 0 of 5 values of group\.v .* If the disk is full"):
        machine.run({}, ["group.v"])


@pytest.mark.cpp
def test_file_limit_is_reported():
    machine = CppEngine(decay())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        with pytest.raises(OSError, match=r"state could not be written .* If the disk is full"):
            machine.run({"group.v": START}, ["group.v"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.cpp
@pytest.mark.parametrize(
    ("signal", "reason"), [(9, "It was killed, by hand or for too little memory"), (15, "The signal SIGTERM ended it")]
)
def test_killed_program_is_reported(monkeypatch, signal, reason):
    machine = CppEngine(decay())
    (stub := machine.folder.parent / "killed").mkdir(exist_ok=True)
    (stub / "main").write_text(f"#!/bin/sh\nkill -{signal} $$\n")
    (stub / "main").chmod(0o755)
    monkeypatch.setattr(machine, "folder", stub)
    with pytest.raises(RuntimeError, match=rf"status -{signal}\. {reason}"):
        machine.run({}, ["group.v"])


def test_runtime_engine_refuses_another_device(monkeypatch):
    monkeypatch.setattr("hrsnn.simulation.engine.get_device", lambda: object())
    with pytest.raises(RuntimeError, match=r"needs Brian2's runtime device: call brian2\.set_device"):
        RuntimeEngine(decay())


LOOP = """
    for(int _idx=0; _idx<_N; _idx++)
    {{
        double v = _ptr_v[_idx];
        v += _ptr_I[{read}];
        _ptr_v[{write}] = v;
    }}
"""


@pytest.mark.parametrize(
    ("read", "write", "independent"),
    [("_idx", "_idx", True), ("_other", "_idx", True), ("_idx", "_post", False)],
)
def test_compiler_is_told_of_independent_loops_only(read, write, independent):
    code = LOOP.format(read=read, write=write)
    told = _independent(code)
    assert told.replace("#pragma GCC ivdep\n", "") == code
    assert ("ivdep" in told) is independent


def test_loop_that_reads_what_other_turns_write_is_not_independent():
    code = LOOP.format(read="_idx", write="_idx").replace("_ptr_I[_idx]", "_ptr_v[_other]")
    assert _independent(code) == code


def search(condition):
    return f"""
    long _count = 0;
    for(size_t _idx=0; _idx<N; _idx++)
    {{
        const double v = _ptr_v[_idx];
        const char _cond = {condition};

        if(_cond) {{
            _ptr_spikespace[_count++] = _idx;
        }}
    }}
    _ptr_spikespace[N] = _count;
"""


@pytest.mark.cpp
def test_search_by_blocks_finds_the_same_neurons(tmp_path):
    text = _by_blocks(search("v > 1 && v < 3"))
    assert "_any |= v > 1 & v < 3" in text
    assert _by_blocks(search("v > _rand(_idx)")) == search("v > _rand(_idx)")  # each draw counts
    values = np.random.default_rng(0).normal(size=1000)
    program = tmp_path / "search.cpp"
    main = """
#include <cstdio>
int main()
{
    const size_t N = 1000;
    static double _ptr_v[1000];
    static int _ptr_spikespace[1001];
    for (double& x : _ptr_v) if (std::scanf("%lf", &x) != 1) return 1;
""" + "".join([text, 'for (long k = 0; k < _count; k++) std::printf("%d ", _ptr_spikespace[k]);\n}\n'])
    program.write_text(main)
    compiler, _ = backends.compiler()
    subprocess.run([compiler, "-O1", str(program), "-o", str(tmp_path / "search")], check=True)
    given = " ".join(map(repr, values.tolist()))
    done = subprocess.run([tmp_path / "search"], input=given, capture_output=True, text=True, check=True)
    assert_array_equal(np.array(done.stdout.split(), dtype=int), np.flatnonzero((values > 1) & (values < 3)))
