"""Digits in fifteen lines.

A hundred neurons look at handwritten digits and compete. Nobody tells them what they see: labels only name the neurons
when the training is over. No constant is given either; the rates of learning follow from the samples.
"""

from hrsnn import STDPClassifier, datasets, plots

X_train, X_test, y_train, y_test = datasets.digits()
classifier = STDPClassifier(n_neurons=100, n_epochs=3, seed=0)
classifier.fit(X_train, y_train)
print(f"accuracy {classifier.score(X_test, y_test):.3f}")

figure, axes = plots.figure()
plots.confusion(axes, y_test, classifier.predict(X_test))
figure.savefig("digits.png", dpi=150)
