"""Gradients through the same equations.

Surrogate gradients train the weights and the membrane time constants of a declared network in JAX. Then Brian2 runs
what was trained. Both give the same spikes, all of them.
"""

import numpy as np
from brian2 import ms

from hrsnn import Gamma, datasets, plots
from hrsnn.gradient import Layer, SpikingClassifier
from hrsnn.models import LIF

X_train, X_test, y_train, y_test = datasets.digits()
hidden = Layer(40, LIF(tau_m=Gamma(20 * ms, 3, low=2 * ms), t_ref=0 * ms), recurrent=True, train="tau_m")
classifier = SpikingClassifier([hidden], step=25 * ms, n_epochs=15, learning_rate=0.03, seed=0)
classifier.fit(X_train / 255, y_train)
print(f"accuracy {classifier.score(X_test / 255, y_test):.3f}")

trained = classifier.spikes(X_test[:20] / 255, double=True)[0]
simulated = classifier.simulate(X_test[:20] / 255)[0]
print(f"{trained.sum()} spikes in JAX, {simulated.sum()} in Brian2, {(trained != simulated).sum()} differ")

figure, (left, right) = plots.figure(1, 2, width=4.4)
epochs = [line["epoch"] + 1 for line in classifier.history_]
lines = {name: (epochs, [line[key] for line in classifier.history_]) for name, key in
         {"training": "accuracy", "held out": "held_out_accuracy"}.items()}  # fmt: skip
plots.curves(left, lines, "epoch", "accuracy")
step, neuron = np.nonzero(simulated[0])
plots.raster(right, step * ms, neuron, 40)
right.set_title(f"Brian2, one sample of a {y_test[0]}", fontsize=10)
figure.savefig("gradients.png", dpi=150)
