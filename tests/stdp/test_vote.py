"""NeuronVote against loops that follow its definition word for word."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn.stdp.vote import NeuronVote


def mean_counts(counts, y):
    """Mean spike count of each neuron for each label."""
    return [
        [np.mean([counts[s][n] for s in range(len(y)) if y[s] == label]) for n in range(len(counts[0]))]
        for label in sorted(set(y))
    ]


def named(responses, frequency):
    labels = []
    for n in range(len(responses[0])):
        best = max(response[n] for response in responses)
        tied = [c for c, response in enumerate(responses) if response[n] == best]
        labels.append(-1 if best == 0 else min(tied, key=lambda c: (sum(responses[c]), -frequency[c])))
    return labels


def scores_by_mean(labels, n_classes, sample):
    scores = []
    for c in range(n_classes):
        own = [sample[n] for n in range(len(sample)) if labels[n] == c]
        scores.append(sum(own) / len(own) if own else 0)
    return scores


def scores_by_weight(responses, sample):
    n_classes, n_neurons = len(responses), len(sample)
    share = [
        [responses[c][n] / total if (total := sum(r[n] for r in responses)) else 0 for n in range(n_neurons)]
        for c in range(n_classes)
    ]
    return [
        sum(share[c][n] * sample[n] for n in range(n_neurons)) / sum(share[c]) if sum(share[c]) else 0
        for c in range(n_classes)
    ]


@st.composite
def experiments(draw):
    """Few spikes, few labels: ties, silent neurons and labels without neurons are common."""
    n, neurons = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    count = st.integers(0, draw(st.sampled_from([1, 3, 60_000])))
    counts, test = (draw(arrays(np.uint16, (size, neurons), elements=count)) for size in (n, 4))
    return counts, draw(arrays(np.int64, n, elements=st.integers(-1, 2))) * 3, test


@given(experiments(), st.sampled_from(["mean", "weighted"]))
@settings(max_examples=200)
def test_votes_equal_brute_force(experiment, vote):
    counts, y, test = experiment
    fitted = NeuronVote(vote).fit(counts, y)
    plain, y = counts.astype(int).tolist(), y.tolist()
    responses = mean_counts(plain, y)
    assert_array_equal(fitted.classes_, sorted(set(y)))
    assert_allclose(fitted.responses_, responses, rtol=1e-12)
    labels = named(fitted.responses_.tolist(), [y.count(label) for label in sorted(set(y))])
    assert_array_equal(fitted.labels_, labels)
    for sample, scores in zip(test.astype(int).tolist(), fitted.scores(test), strict=True):
        if vote == "mean":
            right = scores_by_mean(labels, len(responses), sample)
        else:
            right = scores_by_weight(responses, sample)
        assert_allclose(scores, right, rtol=1e-12)
    scores, answers = fitted.scores(test), predict(fitted, test)
    assert_array_equal(scores[np.arange(4), np.searchsorted(fitted.classes_, answers)], scores.max(axis=1))
    assert fitted.n_silent_ == (scores.max(axis=1) == 0).sum()


def predict(vote, counts):
    """Predict, and let the guesses for silent samples pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return vote.predict(counts)


@given(experiments(), st.sampled_from(["mean", "weighted"]))
@settings(max_examples=200)
def test_answers_do_not_depend_on_the_order_of_the_labels(experiment, vote):
    """Reversed names give reversed answers, where no two labels draw responses of one strength."""
    counts, y, test = experiment
    one, two = NeuronVote(vote).fit(counts, y), NeuronVote(vote).fit(counts, -y)
    strengths = np.round((one.responses_**2).sum(axis=1), 9)
    assume(len(set(strengths.tolist())) == len(strengths))
    assert_array_equal(predict(one, np.zeros_like(test)), -predict(two, np.zeros_like(test)))


def test_a_silent_sample_gets_the_label_of_the_weakest_response_and_is_told():
    counts = np.array([[9, 0], [9, 0], [0, 3], [0, 3], [5, 5]])
    for labels in (["a", "a", "b", "b", "c"], ["z", "z", "b", "b", "c"]):
        vote = NeuronVote().fit(counts, labels)
        with pytest.warns(UserWarning, match="2 of 3 samples drew no spike of a neuron with a label"):
            answers = vote.predict(np.array([[0, 0], [2, 0], [0, 0]]))
        assert answers.tolist() == ["b", labels[0], "b"]
        assert vote.n_silent_ == 2
    assert vote.predict(np.array([[2, 0]])) == "z"
    assert vote.n_silent_ == 0


def test_where_no_response_is_weaker_the_most_frequent_label_is_the_guess():
    for labels, right in (([0, 0, 1, 1, 1], 1), ([1, 1, 0, 0, 0], 0)):
        vote = NeuronVote().fit(np.zeros((5, 2)), labels)
        assert_array_equal(predict(vote, np.zeros((1, 2))), [right])


def test_ties_go_to_the_label_whose_neurons_fire_most_in_total():
    counts = np.array([[4, 4, 0], [0, 0, 4]])  # two neurons of one label, one of the other
    for labels, right in (([0, 1], 0), ([1, 0], 1)):
        vote = NeuronVote().fit(counts, labels)
        assert_array_equal(vote.scores(np.array([[1, 3, 2]])), [[2, 2]])
        assert_array_equal(vote.predict(np.array([[1, 3, 2]])), [right])


def test_then_to_the_label_whose_response_is_nearest():
    counts = np.array([[4, 0], [0, 9]])
    for labels, right in (([0, 1], 0), ([1, 0], 1)):
        vote = NeuronVote().fit(counts, labels)
        assert_array_equal(vote.predict(np.array([[3, 3]])), [right])


def test_neurons_are_named_after_the_label_they_tell_most_about_and_silent_ones_after_none():
    vote = NeuronVote().fit(np.array([[2, 0, 1], [2, 0, 4]]), ["b", "a"])
    assert_array_equal(vote.classes_, ["a", "b"])
    assert_array_equal(vote.responses_, [[2, 0, 4], [2, 0, 1]])
    assert_array_equal(vote.labels_, [1, -1, 0])
    assert_array_equal(vote.scores(np.array([[3, 9, 1]])), [[1, 3]])  # the silent neuron has no vote
    assert_array_equal(vote.predict(np.array([[3, 9, 1]])), ["b"])


def test_weighted_votes_use_every_response():
    vote = NeuronVote("weighted").fit(np.array([[3, 0], [1, 4]]), [0, 1])
    # shares: neuron 0 votes 3/4 and 1/4, neuron 1 votes 0 and 1
    assert_allclose(vote.scores(np.array([[8, 5]])), [[6 / 0.75, 7 / 1.25]])
    assert_array_equal(vote.predict(np.array([[8, 5], [0, 1]])), [0, 1])


def test_labels_depend_on_the_labels_order_nowhere():
    rng = np.random.default_rng(0)
    counts, y = rng.poisson(2, (50, 12)), rng.integers(0, 5, 50)
    shuffled = rng.permutation(50)
    one, two = NeuronVote().fit(counts, y), NeuronVote().fit(counts[shuffled], y[shuffled])
    assert_array_equal(one.labels_, two.labels_)
    assert_allclose(one.responses_, two.responses_, rtol=1e-12)
    assert len(set(one.labels_)) > 1


def test_a_vote_comes_back_from_its_responses():
    rng = np.random.default_rng(1)
    counts, y = rng.poisson(2, (40, 9)), rng.integers(0, 4, 40)
    for vote in ("mean", "weighted"):
        one = NeuronVote(vote).fit(counts, y)
        two = NeuronVote.from_responses(one.classes_, one.responses_, vote)
        assert_array_equal(one.labels_, two.labels_)
        assert_array_equal(one.scores(counts), two.scores(counts))


def test_counts_of_sixteen_bits_do_not_overflow():
    counts = np.full((3, 2), 65535, dtype=np.uint16)
    vote = NeuronVote().fit(counts, [0, 0, 1])
    assert_array_equal(vote.responses_, np.full((2, 2), 65535.0))
    assert_array_equal(vote.scores(counts)[0], [65535, 0])


def test_wrong_settings_and_labels_are_refused():
    counts = np.ones((3, 2))
    with pytest.raises(ValueError, match="vote must be one of 'mean', 'weighted', got 'max'"):
        NeuronVote("max")
    with pytest.raises(ValueError, match=r"y must have shape \(3,\), one label a sample, got \(2,\)"):
        NeuronVote().fit(counts, [0, 1])
    with pytest.raises(ValueError, match=r"y must have shape \(3,\), one label a sample, got \(3, 1\)"):
        NeuronVote().fit(counts, [[0], [1], [0]])
    with pytest.raises(ValueError, match="y has NaN"):
        NeuronVote().fit(counts, [0, np.nan, 1])
    for wrong in (np.ones(3), np.ones((0, 2))):
        with pytest.raises(ValueError, match="counts must have shape"):
            NeuronVote().fit(wrong, [0, 1, 0])
    with pytest.raises(ValueError, match=r"counts must have shape \(n_samples, 2\), one column a neuron, got \(1, 3\)"):
        NeuronVote().fit(counts, [0, 1, 0]).predict(np.ones((1, 3)))
