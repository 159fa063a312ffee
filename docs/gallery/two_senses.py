"""Two senses.

One ensemble sees a digit, another hears its melody, of two notes that fall or rise. Synapses between the ensembles
learn as well. Either sense may be missing at the test: the other answers as well as it can.
"""

import numpy as np
from brian2 import kHz

from hrsnn import Ensemble, MultimodalClassifier, datasets, plots
from hrsnn.inputs import Contrast, LyonEar, cochleagrams

rng = np.random.default_rng(0)


def melody(digit):
    """Return two notes in 0.25 s at 8 kHz, out of tune, in noise."""
    first, last = 300 * 1.35 ** np.array([digit, (digit * 3 + 2) % 10])
    pitch = np.repeat([first, last], 1000) * rng.uniform(0.85, 1.15)
    return 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / 8000) + 0.3 * rng.normal(size=2000)


X_train, X_test, y_train, y_test = datasets.digits(size=28)
X_train, X_test, y_train, y_test = X_train[:1000], X_test[:150], y_train[:1000], y_test[:150]
heard, heard_test = (cochleagrams([melody(digit) for digit in y], LyonEar(8 * kHz)) for y in (y_train, y_test))
contrast = Contrast().fit(heard)
train = {"image": X_train, "sound": contrast.transform(heard)}
test = {"image": X_test, "sound": contrast.transform(heard_test)}

classifier = MultimodalClassifier({"image": Ensemble(40), "sound": Ensemble(40)}, n_epochs=3, seed=0)
classifier.fit(train, y_train)
given = {"both": test, "image alone": {"image": test["image"]}, "sound alone": {"sound": test["sound"]}}
scores = {name: classifier.score(samples, y_test) for name, samples in given.items()}
print(", ".join(f"{name} {score:.2f}" for name, score in scores.items()))

figure, axes = plots.figure(width=4.8)
bars = axes.bar(list(scores), list(scores.values()), color=plots.COLOURS[:3], width=0.6)
axes.bar_label(bars, fmt="%.2f", fontsize=9)
axes.set(ylabel="accuracy (150 test samples)", ylim=(0, 1.08))
figure.savefig("two_senses.png", dpi=150)
