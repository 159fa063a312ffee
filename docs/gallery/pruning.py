"""Pruning while learning.

Weights below a threshold are silenced between batches; they may grow again until the training ends, and then go for
good. The thresholds of the neurons settle on what is left. Most of the synapses were never needed.
"""

from hrsnn import STDPClassifier, STDPPruning, datasets, plots

X_train, X_test, y_train, y_test = datasets.digits(size=28)
scores, weights, shares = {}, {}, {}
for name, pruning in {
    "full": None,
    "pruned": STDPPruning(threshold=0.12, n_batches=8, warm_up=3, n_settle=2),
}.items():
    classifier = STDPClassifier(n_neurons=36, n_epochs=2, pruning=pruning, seed=0).fit(X_train, y_train)
    scores[name] = classifier.score(X_test, y_test)
    weights[name], shares[name] = classifier.weights_, classifier.connectivity_
    print(f"{name}: accuracy {scores[name]:.3f} with {shares[name]:.0%} of the synapses")

figure, panels = plots.figure(1, 2, width=4.2, height=3.9)
for axes, (name, W) in zip(panels, weights.items(), strict=True):
    plots.receptive_fields(axes, W)
    axes.set_title(f"{name}: {shares[name]:.0%} of the synapses, accuracy {scores[name]:.2f}", fontsize=10)
figure.savefig("pruning.png", dpi=150)
