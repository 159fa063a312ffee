"""Ensembles made from an estimator's settings, the synapses between them, and the programs that run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import networkx as nx
import numpy as np

from hrsnn import pruning
from hrsnn.inputs.encoders import Encoder, check_samples
from hrsnn.simulation import statefile
from hrsnn.simulation.model import NeuronModel, SynapseModel
from hrsnn.stdp.coupling import CoupledNetwork, Coupling, wire
from hrsnn.stdp.layer import CompetitiveLayer
from hrsnn.stdp.presentation import PresentationNetwork
from hrsnn.stdp.presenter import Presenter, Response, has_input
from hrsnn.stdp.vote import check_labels
from hrsnn.streams import Learning, stream

__all__ = ["Ensemble", "Ensembles", "check_modalities"]

#: Settings of an estimator that all its ensembles share.
COMMON = ("max_retries", "batch_size", "dt", "dense_kernel", "backend", "seed")
END = ".connections"  # of the name of an array of synapses
BLOCK = 1000  # samples that are encoded at a time
W_INITIAL = 0.1  # largest initial weight between ensembles: little beside what is learnt


@dataclass(frozen=True)
class Ensemble:
    """Settings of one ensemble; they mean what they mean in ``STDPClassifier``.

    None stands for constants here, not for what follows from the samples: ``AdaptiveConductanceLIF()``,
    ``PowerLawSTDP(eta=0.02, offset=0.1)``, ``PoissonEncoder()`` and a ``w_total`` of 0.1 for each input.

    Parameters
    ----------
    n_neurons : int
    neuron : NeuronModel, optional
    synapse : SynapseModel, optional
    encoder : PoissonEncoder, FrameEncoder, LatencyEncoder or PopulationEncoder, optional
        The encoders of all ensembles must show a sample for the same time.
    w_total : float, optional
    inhibition : bool or "layer"
    g_inh : float
    homeostasis : bool
    min_spikes : int
    normalise : {"sum", "squares"}
    thresholds : {"own", "mean"}
        Own ones if None.
    """

    n_neurons: int = 50
    neuron: NeuronModel | None = None
    synapse: SynapseModel | None = None
    encoder: Encoder | None = None
    w_total: float | None = None
    inhibition: bool | str = True
    g_inh: float = 17.0
    homeostasis: bool = True
    min_spikes: int = 5
    normalise: str = "sum"
    thresholds: str | None = "own"


class Ensembles:
    """One or several ensembles and the synapses between them; ``connect`` compiles them.

    Ensembles with synapses between them run as one network, others each alone. A single ensemble may have the name "",
    and then has the seed itself.

    Parameters
    ----------
    settings : mapping of str to Ensemble
    n_features : mapping of str to int
        Columns of the samples of each modality.
    synapse : SynapseModel, optional
        Synapse between ensembles.
    seed : int
    **common
        The settings of ``CompetitiveLayer`` that all ensembles share.

    Attributes
    ----------
    layers : dict of str to CompetitiveLayer
    inputs : dict of str to (array of int, array of int) or None
        Input and neuron of each input synapse; None for all to all. Set, then ``connect``.
    connections : dict of str to (array of int, array of int)
        Source and target neuron of the synapses between ensembles ("image_to_audio").
    presenters : list of (tuple of str, Presenter)
        The names of the ensembles in each program.
    answers : dict of str to array of shape (n_samples, n_neurons)
        Spike counts of each ensemble in the batch that it learnt last.
    """

    presenters: list[tuple[tuple[str, ...], Presenter]]

    def __init__(
        self,
        settings: Mapping[str, Ensemble],
        n_features: Mapping[str, int],
        synapse: SynapseModel | None,
        *,
        seed: int,
        **common: Any,
    ):
        for own in settings.values():
            for setting, known in (("normalise", ("sum", "squares")), ("thresholds", ("own", "mean", None))):
                if getattr(own, setting) not in known:
                    got = getattr(own, setting)
                    raise ValueError(f"{setting} must be {known[0]!r} or {known[1]!r}, got {got!r}.")
        self.settings, self.synapse, self.seed, self.backend = dict(settings), synapse, seed, common["backend"]
        self.layers = {
            name: CompetitiveLayer(
                n_features[name],
                **{key: value for key, value in vars(own).items() if key not in ("normalise", "thresholds")},
                **common,
                prefix=prefix_of(name),
                seed=_own_seed(seed, k) if name else seed,
            )
            for k, (name, own) in enumerate(settings.items())
        }
        self.inputs: dict[str, tuple[np.ndarray, np.ndarray] | None] = dict.fromkeys(self.layers)
        self.connections: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.answers: dict[str, np.ndarray] = {}

    @property
    def networks(self) -> dict[str, PresentationNetwork]:
        """The network of each ensemble."""
        return {part.name: part for _, presenter in self.presenters for part in presenter.network.parts}

    @property
    def n_neurons(self) -> int:
        """Number of neurons of all ensembles."""
        return sum(layer.n_neurons for layer in self.layers.values())

    @property
    def n_inputs(self) -> int:
        """Number of possible input synapses."""
        return sum(layer.n_inputs * layer.n_neurons for layer in self.layers.values())

    @property
    def homeostasis(self) -> bool:
        """Whether thresholds adapt, in one ensemble at least."""
        return any(own.homeostasis for own in self.settings.values())

    def weight_of(self, name: str) -> str:
        """Return the name of an ensemble's input weights among the arrays of the state."""
        return f"{prefix_of(name)}input_to_exc.w"

    # Wiring

    def thin(self, schedule: pruning.STDPPruning) -> None:
        """Draw the input synapses that a schedule "before" leaves."""
        for k, (name, layer) in enumerate(self.layers.items()):
            rng = stream(self.seed, Learning.THINNING, k)
            i, j = np.nonzero(schedule.random_mask((layer.n_inputs, layer.n_neurons), None, rng))
            self.inputs[name] = i, j

    def initial_weights(self) -> dict[str, np.ndarray]:
        """Return the input weights that learning starts from."""
        return {self.weight_of(name): own.initial_weights(self.inputs[name]) for name, own in self.layers.items()}

    def couple(self, fraction: float, labels: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Draw the synapses between ensembles, and return initial weights for them.

        One half of each ensemble, drawn at random, may send, the other half may receive.

        Parameters
        ----------
        fraction : float
            Share of the pairs of neurons that are joined.
        labels : mapping of str to array of int, optional
            Labels of the neurons; only neurons of the same label (not -1) are pairs.
        """
        rng = stream(self.seed, Learning.COUPLING)
        mixed = {name: rng.permutation(layer.n_neurons) for name, layer in self.layers.items()}
        weights = {}
        for a, b in ((a, b) for a in mixed for b in mixed if a != b):
            tags = None if labels is None else (labels[a], labels[b])
            n_pairs = len(mixed[a]) * len(mixed[b])
            if tags is not None:
                n_pairs = int(((tags[0][:, None] == tags[1]) & (tags[1] >= 0)).sum())
            senders, receivers = mixed[a][: len(mixed[a]) // 2], mixed[b][len(mixed[b]) // 2 :]
            source, target = wire(senders, receivers, n_pairs, fraction, rng, tags)
            if len(source):
                self.connections[f"{a}_to_{b}"] = source, target
                weights[f"{a}_to_{b}.w"] = W_INITIAL * rng.random(len(source))
        if not weights:
            raise _no_synapses(fraction, "" if labels is None else ", or n_alone, so that the neurons find labels")
        return weights

    def check_fraction(self, fraction: float) -> None:
        """Refuse a fraction of the pairs of neurons that is not one synapse, before the training."""
        sizes = [layer.n_neurons for layer in self.layers.values()]
        if not any(round(fraction / 2 * a * b) * (a // 2) for a, b in permutations(sizes, 2)):
            raise _no_synapses(fraction)

    def wiring(self) -> dict[str, np.ndarray]:
        """Return which synapses there are, where not all are: for files."""
        pairs = {**self.connections, **self.inputs}
        return {f"{name}{END if name else END[1:]}": np.stack(pair) for name, pair in pairs.items() if pair is not None}

    def rewire(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Take over the ``wiring`` among arrays, for ``connect``, and return the others: the state."""
        pairs = {key: (array[0], array[1]) for key, array in arrays.items() if key.endswith(END[1:])}
        named = {key.removesuffix(END[1:]).removesuffix("."): pair for key, pair in pairs.items()}
        self.inputs = {name: named.get(name) for name in self.layers}
        self.connections = {name: pair for name, pair in named.items() if name not in self.layers}
        return {key: array for key, array in arrays.items() if key not in pairs}

    def connect(self) -> None:
        """Compile the network with the present synapses."""
        made = {name: layer.part(self.inputs[name]) for name, layer in self.layers.items()}
        values = {key: value for _, own in made.values() for key, value in own.items()}
        couplings = []
        for k, (name, connections) in enumerate(self.connections.items()):
            assert self.synapse is not None
            source, target = name.split("_to_")
            couplings.append(Coupling(source, target, self.synapse, connections))
            drawn = self.synapse.draw(len(connections[0]), stream(self.seed, Learning.CROSS_MODAL, k))
            values |= {f"{name}.{key}": value for key, value in drawn.items()}
        if couplings:
            together = CoupledNetwork(tuple(network for network, _ in made.values()), tuple(couplings))
            self.presenters = [(tuple(made), Presenter(together, values, backend=self.backend))]
        else:
            self.presenters = [((name,), Presenter(*own, backend=self.backend)) for name, own in made.items()]

    # Running

    def learn(
        self, X: Mapping[str, np.ndarray], state: dict[str, np.ndarray], rate: float = 1.0
    ) -> dict[str, np.ndarray]:
        """Show a batch of samples, and return the new state; ``rate`` scales all learning rates."""
        new = dict(state)
        for names, presenter in self.presenters:
            own = {key: value for key, value in state.items() if key in presenter.carried}
            rates = {key: value * rate for key, value in presenter.values.items() if key.endswith(".eta")}
            for name in names:
                if self.settings[name].normalise == "squares":
                    prefix = prefix_of(name)
                    sums = equal_norms(self.networks[name].matrix(own[self.weight_of(name)]))
                    rates[f"{prefix}exc.w_total"] = sums * presenter.values[f"{prefix}exc.w_total"]
                    own[f"{prefix}exc.changed"] = np.ones(len(sums))
            learnt, counts = presenter.learn([self.layers[name].encoder.encode(X[name]) for name in names], own, rates)
            new |= learnt
            ends = np.cumsum([self.layers[name].n_neurons for name in names])
            self.answers |= dict(zip(names, np.split(counts, ends[:-1], axis=1), strict=True))
        return new

    def settle(self, X: Mapping[str, np.ndarray], state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Show a batch with fixed weights, so that thresholds adapt to them; they stay where homeostasis is off."""
        new = dict(state)
        for names, presenter in self.presenters:
            own = {key: value for key, value in state.items() if key in presenter.carried}
            new |= presenter.settle([self.layers[name].encoder.encode(X[name]) for name in names], own)[0]
        return new

    def respond(
        self,
        X: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
        n_jobs: int = 1,
        min_spikes: int | None = None,
    ) -> Response:
        """Return the response to samples; a modality that is not in X is silence."""
        n, networks = len(next(iter(X.values()))), self.networks
        for name, own in self.settings.items():
            theta = f"{prefix_of(name)}exc.theta"
            if own.thresholds == "mean" and theta in state:
                state = {**state, theta: np.full_like(state[theta], np.mean(state[theta]))}
        blocks = {
            name: self.layers[name].encoder.encode(X[name])
            if name in X
            else np.full((n, network.n_frames * network.n_input), network.encoding.silent)
            for name, network in networks.items()
        }
        return Response.beside(
            [p.respond([blocks[name] for name in names], state, n_jobs, min_spikes) for names, p in self.presenters]
        )

    # Views

    def split(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Return values of all neurons, along the last axis, by ensemble."""
        ends = np.cumsum([layer.n_neurons for layer in self.layers.values()])
        return dict(zip(self.layers, np.split(values, ends[:-1], axis=-1), strict=True))

    def balance(self, counts: np.ndarray, X: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return each neuron's share of the spikes of its ensemble, sample by sample.

        It is zero where none fired, and where the ensemble perceived nothing and only echoed the others.

        Parameters
        ----------
        counts : array of shape (n_samples, n_neurons of all ensembles)
        X : mapping of str to array of shape (n_samples, n_features)
            The samples that drew these counts.
        """
        shares = {name: own / np.maximum(own.sum(axis=1, keepdims=True), 1) for name, own in self.split(counts).items()}
        return np.hstack([own * self._perceived(name, X)[:, None] for name, own in shares.items()])

    def _perceived(self, name: str, X: Mapping[str, np.ndarray]) -> np.ndarray:
        n = len(next(iter(X.values())))
        if name not in X:
            return np.zeros(n, dtype=bool)
        encode, network = self.layers[name].encoder.encode, self.networks[name]
        return np.concatenate([has_input(network, encode(X[name][k : k + BLOCK])) for k in range(0, n, BLOCK)])

    def fingerprint(self, settings: Any, arrays: Mapping[str, np.ndarray]) -> str:
        """Return a hash of what decides what ensembles learn alone: ``settings``, their own, and the samples."""
        models = [model for layer in self.layers.values() for model in (layer.neuron, layer.synapse)]
        described = [(model.code(), model.values()) for model in models]
        encoders = [(type(layer.encoder).__name__, layer.encoder.values()) for layer in self.layers.values()]
        others = [replace(own, neuron=None, synapse=None, encoder=None) for own in self.settings.values()]
        key = repr([settings, list(self.settings), described, encoders, others])
        for name, array in arrays.items():
            key = statefile.fingerprint([name, key], array)
        return key

    def weights(self, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return all weights as matrices, zero where there is no synapse."""
        found = {name: network.matrix(state[self.weight_of(name)]) for name, network in self.networks.items()}
        for name, connections in self.connections.items():
            source, target = name.split("_to_")
            found[name] = np.zeros((self.layers[source].n_neurons, self.layers[target].n_neurons))
            found[name][connections] = state[f"{name}.w"]
        return found

    def graph(self, state: Mapping[str, np.ndarray]) -> nx.DiGraph:
        """Return positive weights as a graph; nodes are (ensemble, "input" or "exc", index)."""
        graph = nx.DiGraph()
        for name, network in self.networks.items():
            graph.add_nodes_from((name, "input", i) for i in range(network.n_input))
            graph.add_nodes_from((name, "exc", j) for j in range(network.n_neurons))
            w = state[self.weight_of(name)]
            i, j = (index[w > 0].tolist() for index in network.indices())
            _add(graph, (name, "input"), i, (name, "exc"), j, w[w > 0])
        for name, (source, target) in self.connections.items():
            w = state[f"{name}.w"]
            a, b = name.split("_to_")
            _add(graph, (a, "exc"), source[w > 0].tolist(), (b, "exc"), target[w > 0].tolist(), w[w > 0])
        return graph


def check_modalities(X: Any, y: Any, ensembles: Any, learning: bool) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Return the modalities that are there, in the order of the ensembles, and the labels, all checked.

    Parameters
    ----------
    X : mapping of str to array of shape (n_samples, n_features) or None
    y : array of shape (n_samples,) or None
    ensembles : mapping of str to Ensemble
    learning : bool
        Whether all modalities are needed.
    """
    _check_ensembles(ensembles)
    names = ", ".join(ensembles)
    if not isinstance(X, Mapping):
        raise TypeError(f"X must be a mapping of modality to samples ({names}), got {type(X).__name__}.")
    if unknown := [name for name in X if name not in ensembles]:
        raise ValueError(f"X has a modality {unknown[0]!r}, but the ensembles are: {names}.")
    given = {name: check_samples(X[name]) for name in ensembles if X.get(name) is not None}
    if not given or (learning and len(given) < len(ensembles)):
        missing = ", ".join(name for name in ensembles if name not in given)
        raise ValueError(f"X lacks {missing}. Learning needs all of {names}, a response at least one.")
    sizes = {name: len(samples) for name, samples in given.items()}
    n = next(iter(sizes.values()))
    if any(size != n for size in sizes.values()):
        raise ValueError(f"Each row of X is one thing in all modalities, but their numbers of rows differ: {sizes}.")
    return given, None if y is None else check_labels(y, n)


def _check_ensembles(ensembles: Any) -> None:
    if not isinstance(ensembles, Mapping) or not ensembles:
        raise TypeError(f"ensembles must be a mapping of modality to Ensemble, got {ensembles!r}.")
    for name, ensemble in ensembles.items():
        if not (isinstance(name, str) and name.isidentifier() and name.islower() and "_" not in name):
            raise ValueError(f"The name of an ensemble must be a word in lower case, such as 'image', got {name!r}.")
        if not isinstance(ensemble, Ensemble):
            raise TypeError(f"ensembles[{name!r}] must be an Ensemble, got {type(ensemble).__name__}.")


def equal_norms(weights: np.ndarray) -> np.ndarray:
    """Return sums, one on average, at which columns of weights would all have the same sum of squares.

    Parameters
    ----------
    weights : array of shape (n_inputs, n_neurons)
    """
    norms = np.sqrt((weights**2).sum(axis=0))
    spread = np.divide(weights.sum(axis=0), norms, out=np.ones(len(norms)), where=norms > 0)
    return spread / spread.mean()


def prefix_of(name: str) -> str:
    """Return what the names of an ensemble's objects begin with."""
    return f"{name}_" if name else ""


def _no_synapses(fraction: float, advice: str = "") -> ValueError:
    return ValueError(
        f"fraction={fraction} of the pairs of neurons is no synapse. Raise fraction or n_neurons{advice}."
    )


def _own_seed(seed: int, k: int) -> int:
    """Return the seed of ensemble k: the ensembles draw different weights and spikes."""
    return int(np.random.SeedSequence([seed, k]).generate_state(1)[0]) >> 1


def _add(graph: nx.DiGraph, pre: tuple, i: list[int], post: tuple, j: list[int], weights: np.ndarray) -> None:
    edges = zip(i, j, weights.tolist(), strict=True)
    graph.add_weighted_edges_from(((*pre, a), (*post, b), w) for a, b, w in edges)
