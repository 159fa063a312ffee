"""STDP pruning and weight sharing on photographs of ten kinds of objects."""

import sys

from brian2 import Quantity
from sklearn.neighbors import KNeighborsClassifier

from hrsnn import datasets
from hrsnn.lab import main, study
from hrsnn.studies import _stdp


@study(quick=dict(n_train=2000, n_label_samples=1000))
def caltech_stdp(
    run,
    folder: str | None = None,
    view="orientations",
    n_neurons=100,
    n_train=10_000,
    n_epochs=1,
    threshold=0.1,
    levels=2,
    connectivity: float | None = 0.2,
    n_batches=20,
    warm_up=10,
    recipe="photographs",
    eta: float | None = None,
    offset: float | None = None,
    theta_plus: Quantity | None = None,
    anneal: bool | None = None,
    max_retries=3,
    n_label_samples=2000,
    backend="auto",
    n_jobs=1,
    seed=0,
):
    """Measure how far an STDP network for photographs can be pruned, and its weights shared, before it errs.

    As mnist_stdp, for ten categories of Caltech-101 with 1,000 training images each, made by copying (Rathi 2021,
    chapter 2: 84.2 % with all synapses and 100 neurons, 82.8 % pruned to 2.6 times fewer synapses; with 6,400
    neurons 94.2 % and 92.8 %). The source's threshold is 0.1, and 0.2 in its figure of weights.

    Copies are made after the split, so that no copy of a test image is learnt; the source does not say so of its
    own. accuracy_nearest_neighbour, that of the most similar training image by the cosine of its pixels, tells how
    far the pixels themselves go with this split. Categories differ in their number of test images:
    accuracy_balanced weighs them alike. The set of a run may be smaller than the original: in the one that the
    results of this package come from, airplanes and motorbikes are cut to 100 images each (of 800 and 798).

    connectivity: the pruned networks are the full one with every neuron thinned to that share of its inputs; two
    levels tell a picture best by inputs as many as its strong ones. connectivity=none prunes at a threshold between
    batches, as the source does it. Neurons get their labels from n_label_samples training images: most are copies.

    view: orientations (edges in 16 directions), object (distance from the grey of the background) or grey, the
    source's, which an STDP network can hardly learn because objects are darker or brighter than their background.
    """
    constants = _stdp.recipe(recipe, n_neurons, eta=eta, offset=offset, theta_plus=theta_plus, anneal=anneal)
    quantised = _stdp.schedule(threshold, levels, n_batches, warm_up, connectivity, n_settle=2)
    settings = dict(n_neurons=n_neurons, n_epochs=n_epochs, max_retries=max_retries, n_label_samples=n_label_samples)
    settings |= dict(backend=backend, n_jobs=n_jobs, seed=seed)
    _stdp.check(constants, quantised, **settings)
    split = datasets.caltech101(folder, view=view, seed=seed)
    images = _stdp.drawn(f"Caltech-101, {view}", split, n_train, len(split[1]), seed, datasets.CALTECH_CATEGORIES)
    nearest = KNeighborsClassifier(1, metric="cosine").fit(images.X_train / 255, images.y_train)
    run.save(accuracy_nearest_neighbour=nearest.score(images.X_test / 255, images.y_test))
    _stdp.compare(run, images, constants, quantised, **settings)


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
