"""Prune a graph by its own noise.

Lyapunov noise pruning looks at no task. It drives the linearised network by noise, keeps the synapses that carry the
covariance, and removes the neurons through which the fewest shortest paths run.
"""

from hrsnn import plots, pruning, topology

dense = topology.distance_dependent(80, w_scale=0.3, seed=0)
pruner = pruning.LyapunovNoisePruning(keep_synapses=0.15, keep_neurons=0.6, n_iterations=12, seed=0)
sparse = pruner.prune(dense)
for name, graph in {"dense": dense, "sparse": sparse}.items():
    print(f"{name}: {len(graph)} neurons, {graph.number_of_edges()} synapses")

figure, panels = plots.figure(1, 3, width=3.7, height=3.5)
for axes, graph in zip(panels, (dense, sparse), strict=False):
    plots.connectivity(axes, graph)
    axes.set_title(f"{len(graph)} neurons, {graph.number_of_edges()} synapses", fontsize=10)
records = [record for record in pruner.history_ if "step" not in record or record["step"] is None]
iterations = [record["iteration"] for record in records]
shares = {
    name: (iterations, [record[key] / records[0][key] for record in records])
    for name, key in {"neurons": "n_neurons", "synapses": "n_synapses"}.items()
}
plots.curves(panels[2], shares, "iteration", "share that is left")
figure.savefig("graph_pruning.png", dpi=150)
