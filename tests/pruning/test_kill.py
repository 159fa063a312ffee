"""A pruning that is killed goes on from its checkpoint and ends with the same network, bit for bit."""

import os
import signal
import subprocess
import sys
import time

import numpy as np

from hrsnn import topology
from hrsnn.pruning import LyapunovNoisePruning

N_ITERATIONS = 25
SCRIPT = """
import sys
from hrsnn import topology
from hrsnn.pruning import LyapunovNoisePruning
graph = topology.random(80, 0.15, seed=3)
list(LyapunovNoisePruning(**{options!r}).iterate(graph, checkpoint=sys.argv[1]))
"""
OPTIONS = dict(
    keep_neurons=0.3, n_iterations=N_ITERATIONS, n_steps=100, n_exponents=20, tune_timescales=False, diagonal="matched"
)


def contents(graph):
    return dict(graph.nodes(data=True)), {(u, v): d for u, v, d in graph.edges(data=True)}


def iteration_of(file):
    try:
        with np.load(file) as arrays:
            return int(arrays["iteration"])
    except FileNotFoundError:
        return 0


def test_killed_pruning_resumes_bit_for_bit(tmp_path):
    file = tmp_path / "pruning.npz"
    command = [sys.executable, "-c", SCRIPT.format(options=OPTIONS), str(file)]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while iteration_of(file) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.03)  # somewhere within an iteration
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = iteration_of(file)
    assert 3 <= done < N_ITERATIONS
    graph = topology.random(80, 0.15, seed=3)
    resumed, whole = LyapunovNoisePruning(**OPTIONS), LyapunovNoisePruning(**OPTIONS)
    rest, expected = list(resumed.iterate(graph, checkpoint=file)), list(whole.iterate(graph))
    assert len(rest) == N_ITERATIONS - done + 1  # and step III
    assert [contents(g) for g in rest] == [contents(g) for g in expected[done:]]
    assert resumed.history_ == whole.history_
