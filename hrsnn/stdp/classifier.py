"""STDPClassifier: unsupervised STDP learning with a vote of labelled neurons, as a scikit-learn estimator."""

from __future__ import annotations

import logging
import os
from dataclasses import fields
from typing import Any

import networkx as nx
import numpy as np
from brian2 import Quantity
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, validate_data

from hrsnn import pruning
from hrsnn.checks import check_integer
from hrsnn.inputs.encoders import Encoder, check_samples
from hrsnn.simulation import statefile
from hrsnn.simulation.model import NeuronModel, SynapseModel
from hrsnn.stdp.ensembles import COMMON, Ensemble, Ensembles
from hrsnn.stdp.estimator import STDPEstimator
from hrsnn.stdp.presenter import Response
from hrsnn.stdp.rules import choose
from hrsnn.stdp.vote import check_labels

__all__ = ["STDPClassifier"]

_LOG = logging.getLogger(__name__)

#: Settings that describe the one ensemble.
OWN = tuple(field.name for field in fields(Ensemble))


class STDPClassifier(STDPEstimator):
    """A layer of competing neurons that learns its inputs by STDP; labels only name the neurons afterwards.

    Inputs are all-to-all connected to ``n_neurons`` excitatory neurons by plastic synapses. Each neuron's weights
    are normalised before a presentation, each spike inhibits all other neurons one step later
    and raises the neuron's own threshold. A sample that draws fewer than ``min_spikes`` spikes is shown again,
    brighter. After training, weights and thresholds are frozen; each neuron takes the label it responds to most on
    training samples, and a sample gets the label whose neurons fire most. A response is a function of the sample
    and the seed alone: neither the order nor the company of samples matters.

    Settings that are None are chosen by ``fit`` from the samples, their number and the size of the network, by the
    rules of ``hrsnn.stdp.rules``; ``settings()`` tells them, and the log (level INFO). A network that stays silent,
    fires for everything or learns the same in most neurons says so in a ``HealthWarning``, with what to change.

    Parameters
    ----------
    n_neurons : int
        Number of excitatory neurons.
    neuron : NeuronModel, optional
        Excitatory neuron; if None ``AdaptiveConductanceLIF`` with a theta_plus that follows from ``n_neurons`` and the
        number of presentations.
    synapse : SynapseModel, optional
        Plastic synapse; if None ``PowerLawSTDP`` with an eta that follows from ``n_neurons`` and the number of
        presentations, and a tau that follows from the rate of the inputs.
    encoder : PoissonEncoder, LatencyEncoder or PopulationEncoder, optional
        If None a ``PoissonEncoder`` by which a sample sends 2,290 spikes on average, as an image of MNIST does at
        63.75 Hz: each sample as many where samples differ in brightness, else one scale for all.
    pruning : hrsnn.pruning.STDPPruning, optional
        Prune, and share weights, between batches of the training.
    n_epochs : int, optional
        Passes through the training samples, in a new random order each; if None as many as make 10,000 presentations,
        or 50 for each neuron, at most 30.
    anneal : bool
        Whether the learning rate falls linearly to zero over the training.
    w_total : float, optional
        Sum of a neuron's weights after normalisation; three eighths of the number of active inputs if None, or
        of the others where these are fewer.
    inhibition : bool or "layer"
        Lateral inhibition; "layer" simulates the inhibitory neurons one by one, with the same result.
    g_inh : float
        Conductance that a spike adds to all other neurons, in units of the leak.
    homeostasis : bool
        Whether thresholds adapt.
    min_spikes, max_retries : int
        Show a sample again if it draws fewer spikes, at most so many times.
    normalise : {"squares", "sum"}
        What neurons' weights have in common: the sum of their squares, with ``w_total`` as their mean sum, or the sum
        itself. With equal squares the neuron whose weights have the smallest angle to a sample is driven most; with
        equal sums one whose weights are concentrated. Squares are made equal at the start of a batch.
    thresholds : {"mean", "own"}, optional
        Thresholds of the frozen network: all neurons have the mean of theirs, so that the drive alone decides, or each
        its own. In learning each has its own, so that all get their turn. "mean" if None, but "own" where more than
        half of the inputs are active in a sample.
    min_votes : int, optional
        ``min_spikes`` of the frozen network, whose spikes are votes; as in learning if None. 1 saves spikes.
    n_label_samples : int
        Training samples, drawn at random, from whose responses neurons take their labels.
    vote : {"mean", "weighted"}
        See ``hrsnn.stdp.vote.NeuronVote``.
    batch_size : int
        Samples of one run of the compiled network; a kill loses at most one batch.
    dt : Quantity (second), optional
        Time step; 0.5 ms if None.
    dense_kernel : bool, optional
        Run the plastic synapses in the dense C++ kernel rather than as declared Synapses: same result, faster.
        Where it can if None.
    backend : {"auto", "runtime", "cpp", "cuda"}, optional
        The choice of ``hrsnn.use_backend`` if None.
    n_jobs : int
        Processes that respond to samples side by side; -1 for one a core. Learning is sequential.
    checkpoint : path, optional
        HDF5 file that keeps the state after every batch. ``fit`` with the same settings and samples goes on from
        it, to the same result as if never interrupted.
    seed : int
        Seed of the initial weights, parameter draws, sample order and input spikes.

    Attributes
    ----------
    weights_ : array of shape (n_inputs, n_neurons)
        Learnt weights, zero where there is no synapse.
    theta_ : array of shape (n_neurons,)
        Adapted thresholds in volt.
    labels_ : array of shape (n_neurons,)
        Label of each neuron as an index into ``classes_``; -1 if it never fired.
    classes_ : array of shape (n_classes,)
    connectivity_ : float
        Share of the possible synapses that are left.
    n_features_in_ : int
    chosen_ : dict
        The settings that ``fit`` has chosen.
    health_ : dict of str to Health
        Under "": spikes a sample, and shares of active, silent and identical neurons at the end of the training.

    References
    ----------
    .. [1] Rathi (2021), chapter 2.
    .. [2] Diehl & Cook (2015), Unsupervised learning of digit recognition using STDP.

    Examples
    --------
    >>> from hrsnn import STDPClassifier, datasets
    >>> X_train, X_test, y_train, y_test = datasets.digits(size=28)
    >>> classifier = STDPClassifier(n_neurons=50, seed=0).fit(X_train, y_train)  # doctest: +SKIP
    >>> classifier.score(X_test, y_test)  # doctest: +SKIP
    """

    def __init__(
        self,
        n_neurons: int = 100,
        neuron: NeuronModel | None = None,
        synapse: SynapseModel | None = None,
        encoder: Encoder | None = None,
        pruning: pruning.STDPPruning | None = None,
        n_epochs: int | None = None,
        anneal: bool = True,
        w_total: float | None = None,
        inhibition: bool | str = True,
        g_inh: float = 17.0,
        homeostasis: bool = True,
        min_spikes: int = 5,
        normalise: str = "squares",
        thresholds: str | None = None,
        max_retries: int = 3,
        min_votes: int | None = None,
        n_label_samples: int = 10_000,
        vote: str = "mean",
        batch_size: int = 1000,
        dt: Quantity | None = None,
        dense_kernel: bool | None = None,
        backend: str | None = None,
        n_jobs: int = 1,
        checkpoint: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ):
        self.n_neurons = n_neurons
        self.neuron = neuron
        self.synapse = synapse
        self.encoder = encoder
        self.pruning = pruning
        self.n_epochs = n_epochs
        self.anneal = anneal
        self.w_total = w_total
        self.inhibition = inhibition
        self.g_inh = g_inh
        self.homeostasis = homeostasis
        self.min_spikes = min_spikes
        self.normalise = normalise
        self.thresholds = thresholds
        self.max_retries = max_retries
        self.min_votes = min_votes
        self.n_label_samples = n_label_samples
        self.vote = vote
        self.batch_size = batch_size
        self.dt = dt
        self.dense_kernel = dense_kernel
        self.backend = backend
        self.n_jobs = n_jobs
        self.checkpoint = checkpoint
        self.seed = seed

    def check(self) -> None:
        """Refuse what ``fit`` would refuse of the settings; it needs no samples and compiles nothing.

        Raises
        ------
        ValueError
            If a setting is out of range.
        DimensionMismatchError
            If one has another unit.
        """
        probe = clone(self)
        probe.n_features_in_ = 100  # of any width
        probe._start()
        probe.ensembles_.layers[""].part()

    # Learning

    def fit(self, X: Any, y: Any = None) -> STDPClassifier:
        """Learn from samples, from the beginning; with ``checkpoint``, go on where the last call was stopped.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Integers in 0..255 or floats in [0, 1].
        y : array of shape (n_samples,), optional
            Labels; without them the network can ``transform`` but not ``predict``.

        Raises
        ------
        ValueError
            If the samples or a setting is out of range, or the checkpoint belongs to another training.
        RuntimeError
            If the network falls silent, fires without end, or its weights become NaN.
        """
        X, y = self._validated(X, y, reset=True)
        self._choose(X[""], endless=False)
        self._start()
        key, done = self._key(OWN, X), 0
        if stopped := statefile.resume(self.checkpoint, key):
            self.state_, done = self.ensembles_.rewire(stopped[0]), stopped[1]["done"]
        self.ensembles_.connect()
        self._train(X, done, lambda stop: self._write(self.checkpoint, key, stop))
        self._remove_pruned(X)
        self._assign(X, y)
        return self

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None) -> STDPClassifier:
        """Learn on from the present state: one pass through the samples in the given order, without pruning.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,), optional
            Labels; the neurons take their labels anew from these samples.
        classes : array of shape (n_classes,), optional
            All labels there are, if these samples may lack some; ``classes_`` keeps what earlier calls knew.

        Raises
        ------
        ValueError
            If ``y`` has a label that ``classes`` lacks.
        """
        first = not hasattr(self, "state_")
        X, y = self._validated(X, y, reset=first)
        known = self._known(y, classes)
        if first:
            self._choose(X[""], endless=True)
            self._start()
            self.ensembles_.connect()
        self._show(X, self.ensembles_.learn, "training")
        self._assign(X, y, known)
        return self

    # Responding

    def transform(self, X: Any) -> np.ndarray:
        """Return the spike counts of the frozen network, array of shape (n_samples, n_neurons).

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        """
        return self.respond(X).counts

    def respond(self, X: Any) -> Response:
        """Return the response of the frozen network: counts, and what they cost in spikes and presentations.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        """
        check_is_fitted(self, "state_")
        return self._respond(self._validated(X, None, reset=False)[0], "responding")

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted labels, array of shape (n_samples,).

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        """
        check_is_fitted(self, "readout_", msg="This STDPClassifier has no labels: call fit(X, y) with y.")
        return self.readout_.predict(self.transform(X))

    # What was learnt

    @property
    def weights_(self) -> np.ndarray:  # noqa: D102
        check_is_fitted(self, "state_")
        return self.ensembles_.networks[""].matrix(self.state_["input_to_exc.w"])

    @property
    def theta_(self) -> np.ndarray:  # noqa: D102
        check_is_fitted(self, "state_")
        if "exc.theta" not in self.state_:
            raise AttributeError(f"{self.ensembles_.layers[''].neuron!r} has no adaptive threshold.")
        return self.state_["exc.theta"]

    @property
    def labels_(self) -> np.ndarray:  # noqa: D102
        check_is_fitted(self, "readout_")
        return self.readout_.labels_

    @property
    def graph_(self) -> nx.DiGraph:
        """The learnt network: inputs are nodes 0 .. n_inputs - 1, neurons follow; edges carry ``weight``."""
        check_is_fitted(self, "state_")
        return self.ensembles_.networks[""].graph(self.state_["input_to_exc.w"])

    # Settings and samples

    def _choose(self, X: np.ndarray, endless: bool) -> None:
        """Choose the settings that are not given, by the samples."""
        check_integer("n_neurons", self.n_neurons, 1)
        self._check_settings()
        self.chosen_ = choose(self.get_params(deep=False), X, endless)
        for name, value in self.chosen_.items():
            _LOG.info("%s=%r follows from the samples", name, value)

    def _start(self) -> None:
        self._check_settings()
        values = self.settings()
        own = Ensemble(**{name: values[name] for name in OWN})
        settings = {name: values[name] for name in COMMON}
        self.ensembles_ = Ensembles({"": own}, {"": self.n_features_in_}, None, **settings)
        if self.pruning is not None and self.pruning.regime == "before":
            self.ensembles_.thin(self.pruning)
        self.state_ = self.ensembles_.initial_weights()

    def _validated(self, X: Any, y: Any, reset: bool) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        X = check_samples(validate_data(self, X, reset=reset, ensure_all_finite=False))
        return {"": X}, None if y is None else check_labels(y, len(X))
