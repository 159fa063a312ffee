"""The estimators under scikit-learn's own checks, with tiny networks; the few checks that cannot hold say why."""

import numpy as np
import pytest
from brian2 import Hz, ms, mV
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from hrsnn import (
    CurrentCode,
    Ensemble,
    Forecaster,
    MultimodalClassifier,
    PoissonEncoder,
    Reservoir,
    STDPClassifier,
    topology,
)
from hrsnn.gradient import Layer, SpikingClassifier, SpikingForecaster, SpikingRegressor
from hrsnn.models import AdaptiveConductanceLIF, DeltaLIF, PowerLawSTDP

pytestmark = [
    pytest.mark.cpp,
    pytest.mark.filterwarnings("ignore:.* samples drew no spike:UserWarning"),
    pytest.mark.filterwarnings("ignore::hrsnn.stdp.health.HealthWarning"),  # four neurons and few samples
]

NETWORK = topology.random(5, 0.5, seed=0)
for view in ("nodes", "edges", "adj", "pred", "succ", "degree", "in_degree", "out_degree", "in_edges", "out_edges"):
    getattr(NETWORK, view)  # kept in the graph on first use, as if it changed
RESERVOIR = Reservoir(NETWORK, code=CurrentCode(step=2 * ms), dt=1 * ms)
SPIKING = Layer(20, DeltaLIF())
for kept in ("own", "adjacency"):
    getattr(SPIKING, kept)  # the same in a layer
BY_GRADIENTS = dict(step=4 * ms, rate=150 * Hz, n_epochs=8, batch_size=40, learning_rate=0.2, validation=0.0, clip=None)
ESTIMATORS = [
    STDPClassifier(
        n_neurons=4,
        neuron=AdaptiveConductanceLIF(theta_init=10 * mV, theta_plus=0.5 * mV, tau_m=20 * ms, t_ref=1 * ms),
        synapse=PowerLawSTDP(eta=0.02, offset=0.1),
        n_epochs=1,
        normalise="sum",
        thresholds="own",
        encoder=PoissonEncoder(rate_max=300 * Hz, duration=20 * ms, rest=4 * ms),
        w_total=20.0,
        max_retries=0,
        n_label_samples=50,
        batch_size=200,
        dt=1 * ms,
    ),
    RESERVOIR,
    Forecaster(RESERVOIR, n_wash_out=0),
    SpikingClassifier([SPIKING], **BY_GRADIENTS),
    SpikingRegressor([SPIKING], **BY_GRADIENTS),
]
SERIES = "rows are the steps of a series: each depends on those before it"
OWN_GOAL = "the goal is the next value of the series, of as many features; it may have one row less"
ORDER = {"check_methods_sample_order_invariance": SERIES, "check_methods_subset_invariance": SERIES}
GOALS = dict.fromkeys(
    ("check_regressors_train", "check_regressor_multioutput", "check_n_features_in_after_fitting"), OWN_GOAL
)
QUANTITIES = {"check_parameters_default_constructible": "a duration has a unit: it is a Quantity, unknown to the check"}
FAILING: dict[str, dict[str, str]] = {
    "STDPClassifier": {
        "check_estimators_dtypes": "integers are grey values of 0 to 255: the 0 and 1 of this check make no spike"
    },
    "Reservoir": ORDER,
    "Forecaster": ORDER | GOALS,
    "SpikingClassifier": QUANTITIES,
    "SpikingRegressor": QUANTITIES,
}


@pytest.fixture(autouse=True)
def samples_in_the_unit_interval(monkeypatch):
    """scikit-learn has no tag for it, but one function through which its checks make X fit the tags."""
    fit_to_tags = estimator_checks._enforce_estimator_tags_X

    def in_unit_interval(estimator, X, **options):
        X = fit_to_tags(estimator, X, **options)
        if isinstance(estimator, Forecaster):  # learns the next value of the series: as many goals as features
            X = X[:, :1]
        if isinstance(estimator, STDPClassifier) and isinstance(X, np.ndarray) and X.dtype.kind == "f":
            X = (X - X.min()) / max(np.ptp(X), 1e-9)
        return X

    monkeypatch.setattr(estimator_checks, "_enforce_estimator_tags_X", in_unit_interval)


def is_wanted(name, check):
    """Networks trained by gradients copy their samples, mapped or single or not; what they share is checked once."""
    if not name.startswith("Spiking"):
        return True
    of_its_own = ("regressor", "supervised")
    copied = "readonly_memmap" in check.keywords or "X_dtype" in check.keywords
    return not copied and (name == "SpikingClassifier" or any(word in check.func.__name__ for word in of_its_own))


def cases():
    """Yield each estimator and check; an id names both, and nothing that differs from process to process."""
    for estimator in ESTIMATORS:
        name = type(estimator).__name__
        for case in estimator_checks_generator(estimator, expected_failed_checks=FAILING[name], mark="xfail"):
            values, marks = getattr(case, "values", case), getattr(case, "marks", ())
            if is_wanted(name, values[1]):
                yield pytest.param(*values, marks=marks, id=f"{name}-{values[1].func.__name__}")


@pytest.mark.parametrize(("estimator", "check"), list(cases()))
def test_scikit_learn_checks(estimator, check):
    check(estimator)


PARAMETER_CHECKS = (
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_get_params_invariance",
    "check_no_attributes_set_in_init",
    "check_set_params",
    "check_valid_tag_types",
)


@pytest.mark.parametrize("name", PARAMETER_CHECKS)
def test_checks_that_need_no_samples_hold_for_other_samples(name):
    """Samples of several modalities are a mapping, those of a forecaster a series; the other checks know neither."""
    classifier = MultimodalClassifier({"image": Ensemble(4), "sound": Ensemble(4)})
    for estimator in (classifier, SpikingForecaster([4])):
        getattr(estimator_checks, name)(type(estimator).__name__, estimator)
    assert get_tags(classifier).input_tags.dict


def samples(n=30):
    rng = np.random.default_rng(0)
    return rng.random((n, 6)), rng.integers(0, 3, n)


def test_sparse_samples_and_continuous_labels_are_refused():
    X, y = samples()
    for estimator in ESTIMATORS:
        with pytest.raises(TypeError, match=r"Sparse data was passed for X, but dense data is required.*toarray"):
            clone(estimator).fit(sparse.csr_array(X), y)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        clone(ESTIMATORS[0]).fit(X, y + 0.5)
    both = MultimodalClassifier({"image": Ensemble(4), "sound": Ensemble(4)})
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        both.fit({"image": sparse.csr_array(X), "sound": X}, y)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        both.fit({"image": X, "sound": X}, y + 0.5)


def test_partial_fit_knows_labels_that_its_samples_lack():
    X, y = samples()
    first = y < 2
    classifier = clone(ESTIMATORS[0]).partial_fit(X[first], y[first], classes=[0, 1, 2])
    assert classifier.classes_.tolist() == [0, 1, 2]
    assert set(classifier.predict(X)) <= {0, 1}  # nothing is known of 2
    classifier.partial_fit(X, y)
    assert classifier.classes_.tolist() == [0, 1, 2]
    classifier.partial_fit(X[first], y[first])
    assert classifier.classes_.tolist() == [0, 1, 2]  # labels that were known stay
    whole = clone(ESTIMATORS[0]).partial_fit(X, y)
    assert_array_equal(clone(ESTIMATORS[0]).partial_fit(X, y, classes=[2, 1, 0]).predict(X), whole.predict(X))
    with pytest.raises(ValueError, match=r"y has the label .*2.*, which is not in classes"):
        clone(ESTIMATORS[0]).partial_fit(X, y, classes=[0, 1])


def test_feature_names_are_kept_and_compared(tmp_path):
    pandas = pytest.importorskip("pandas")
    X, y = samples()
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    classifier = clone(ESTIMATORS[0]).fit(frame, y)
    assert classifier.feature_names_in_.tolist() == list("abcdef")
    classifier.save(tmp_path / "classifier.h5")
    again = STDPClassifier.load(tmp_path / "classifier.h5")
    assert_array_equal(again.predict(frame), classifier.predict(frame))
    with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
        again.predict(frame[list("bacdef")])


def test_networks_trained_by_gradients_know_names_of_features_and_refuse_others():
    pandas = pytest.importorskip("pandas")
    X, y = samples()
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    classifier = clone(ESTIMATORS[3]).set_params(n_epochs=1).fit(frame, y)
    assert classifier.feature_names_in_.tolist() == list("abcdef")
    with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
        classifier.predict(frame[list("bacdef")])
    assert not hasattr(classifier.fit(X[:, None, :], y), "feature_names_in_")  # sequences have none
    with pytest.raises(ValueError, match="X has 5 features, but SpikingClassifier is expecting 6 features"):
        classifier.predict(X[:, None, :5])
