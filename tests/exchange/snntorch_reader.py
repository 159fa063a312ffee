"""What snnTorch makes of a file of NIR, and a file that it writes: a script for a Python with snntorch and nirtorch.

``python snntorch_reader.py run net.nir X.npy spikes.npy`` shows samples of shape (n_steps, n_samples, n_inputs) and
keeps the spikes of the last layer. ``python snntorch_reader.py write net.nir X.npy spikes.npy`` makes a network of
snnTorch's own, keeps its spikes, and exports it.
"""

import sys

import nir
import numpy as np
import snntorch
import torch
from snntorch.export_nir import export_to_nir
from snntorch.import_nir import import_from_nir


def read(path):
    """A network of snnTorch. Its own wrapping of a neuron and its recurrent weights (1.0) connects the input to those
    weights; a second matrix in the loop, the identity, keeps it from wrapping, and changes nothing."""
    graph = nir.read(path)
    for name in [name for name in graph.nodes if name.startswith("recurrent_")]:
        (target,) = (b for a, b in graph.edges if a == name)
        graph.nodes[f"again_{name}"] = nir.Linear(weight=np.eye(len(graph.nodes[name].weight)))
        graph.edges.remove((name, target))
        graph.edges += [(name, f"again_{name}"), (f"again_{name}", target)]
    return import_from_nir(graph)


def run(net, X):
    """Spikes, of shape (n_steps, n_samples, n_neurons)."""
    spikes, state = [], None
    with torch.no_grad():
        for values in torch.tensor(X):
            out, state = net(values) if state is None else net(values, state)
            spikes.append(out.numpy() > 0)
    return np.array(spikes)


def made():
    """Two layers, the first with biases, the second without a synaptic current."""
    torch.manual_seed(0)
    neuron = dict(init_hidden=True, reset_mechanism="zero", reset_delay=False)
    return torch.nn.Sequential(
        torch.nn.Linear(5, 12),
        snntorch.Synaptic(
            alpha=torch.full((12,), 0.7), beta=torch.linspace(0.8, 0.95, 12), threshold=torch.ones(12), **neuron
        ),
        torch.nn.Linear(12, 6, bias=False),
        snntorch.Leaky(beta=torch.full((6,), 0.9), threshold=torch.full((6,), 0.5), **neuron),
    )


if __name__ == "__main__":
    what, path, samples, spikes = sys.argv[1:]
    X = np.load(samples).astype(np.float32)
    if what == "run":
        np.save(spikes, run(read(path), X))
    else:
        net = made()
        nir.write(path, export_to_nir(made(), torch.tensor(X[0, 0])))
        with torch.no_grad():
            np.save(spikes, np.array([net(values).numpy() > 0 for values in torch.tensor(X)]))
