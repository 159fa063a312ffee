"""Time and memory of Lyapunov noise pruning."""

from __future__ import annotations

import resource
import sys
from time import perf_counter, process_time

from hrsnn import pruning, topology
from hrsnn.lab import main, study
from hrsnn.studies import _pruning


@study(quick=dict(n_neurons=200, n_iterations=3))
def pruning_time(
    run,
    n_neurons=1000,
    density=0.1,
    n_iterations=100,
    n_total=100,
    keep_neurons=0.07,
    keep_synapses=0.05,
    finish=True,
    seed=0,
):
    """Time the iterations of a pruning, and the steps after them.

    Of the n_total iterations of a pruning the first n_iterations are run on a random network, then steps III and IV
    with finish. Seconds are of the wall clock and of the processor (all threads); memory is the peak of the process.
    """
    graph = topology.random(n_neurons, density, seed=seed)
    _pruning.draw_time_constants(graph, seed)
    share = n_iterations / n_total
    pruner = pruning.LyapunovNoisePruning(
        keep_synapses**share, keep_neurons**share, n_iterations, add_edges=finish, tune_timescales=finish, seed=seed
    )
    start, used = perf_counter(), process_time()
    rows = []
    for sparse in run.progress(pruner.iterate(graph), total=n_iterations, label="iterations"):
        times = {"wall_s": perf_counter() - start, "processor_s": process_time() - used}
        step = "finish" if "step" in pruner.history_[-1] else f"iteration {pruner.history_[-1]['iteration']}"
        rows.append({"step": step, "n_neurons": len(sparse), "n_synapses": sparse.number_of_edges(), **times})
        run.table("steps", rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    run.save(
        n_synapses=graph.number_of_edges(),
        n_neurons_left=rows[-1]["n_neurons"],
        n_synapses_left=rows[-1]["n_synapses"],
        first_s=rows[0]["wall_s"],
        wall_s=rows[-1]["wall_s"],
        processor_s=rows[-1]["processor_s"],
        memory_gib=peak,
    )


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
