"""What neurons have learnt to see.

The weights into a neuron are a picture. At the start they are noise; each sample that a neuron wins draws its picture
nearer to the sample, until neurons have shared out the digits and their styles among them.
"""

from hrsnn import STDPClassifier, datasets, plots

X_train, _, y_train, _ = datasets.digits(size=28)
figure, panels = plots.figure(1, 2, width=4.2, height=3.9)
for axes, n_samples in zip(panels, (10, len(X_train)), strict=True):
    classifier = STDPClassifier(n_neurons=25, n_epochs=2, seed=0)
    classifier.fit(X_train[:n_samples], y_train[:n_samples])
    plots.receptive_fields(axes, classifier.weights_)
    axes.set_title(f"after {2 * n_samples:,} presentations", fontsize=10)
figure.savefig("receptive_fields.png", dpi=150)
