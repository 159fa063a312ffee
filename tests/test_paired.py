"""Comparisons over seeds: which rows are a pair, and p against exact values."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hrsnn.metrics import paired

PAIRS = {"neurons": ("HeNHoS", "HoNHoS"), "absent": ("HeNHeS", "HoNHoS")}


def test_methods_are_compared_over_seeds_and_groups():
    rng = np.random.default_rng(0)
    rows = [
        {"variant": v, "seed": seed, "n": n, "x": rng.normal() + (10 if v == "HeNHoS" else 0)}
        for n in (1, 2)
        for seed in range(6)
        for v in ("HoNHoS", "HeNHoS")
    ]
    rng.shuffle(rows)
    tests = {row["group"]: row for row in paired.compare(rows, ["x"], PAIRS, "n")}
    value = {(row["variant"], row["seed"], row["n"]): row["x"] for row in rows}
    expected = np.mean([value["HeNHoS", seed, 2] - value["HoNHoS", seed, 2] for seed in range(6)])
    assert_allclose(tests[2]["difference"], expected)
    assert_allclose(tests[2]["p"], 2 / 2**6)  # all six higher, exact
    assert_allclose(tests["all"]["p"], 2 / 2**12)
    assert (tests["all"]["n_pairs"], tests["all"]["n_higher"]) == (12, 12)
    (pooled,) = paired.compare([row for row in rows if row["n"] == 1], ["x"], PAIRS)
    assert (pooled["group"], pooled["n_pairs"]) == ("all", 6)


def test_a_pair_lacks_neither_seed_nor_value():
    rows = [{"network": "a", "seed": seed, "x": float(seed)} for seed in (0, 1, 2, 3)]
    rows += [{"network": "b", "seed": seed, "x": x} for seed, x in ((3, 1.0), (1, np.nan), (0, 1.0))]
    (test,) = paired.compare(rows, ["x"], {"kind": ("a", "b")}, of="network")
    assert (test["n_pairs"], test["n_higher"], test["difference"]) == (2, 1, 0.5)


def test_p_of_few_pairs():
    zero = np.zeros(3)
    # t = 2 sqrt(3) with two degrees of freedom, whose distribution is F(t) = 1/2 + t / (2 sqrt(2 + t^2))
    assert_allclose(paired.t_test([1, 2, 3], zero), 1 - (12 / 14) ** 0.5)
    assert np.isnan(paired.t_test([2, 2, 2], zero))
    assert np.isnan(paired.t_test([2], [1]))
    assert_allclose(paired.wilcoxon([1, 2, 3], zero), 2 / 2**3)
    assert paired.wilcoxon(zero, zero) == 1


def test_metrics_hold_what_is_tested_over_all_groups():
    rows = [
        {"network": name, "seed": seed, "x": x + seed**2} for name, x in (("a", 1), ("a, cut", 0)) for seed in (0, 1)
    ]
    tests = paired.compare(rows, ["x"], {"what": ("a", "a, cut")}, "seed", of="network")
    found = paired.headline(tests)
    assert found == {"x_a_minus_a_cut": 1.0, "x_a_minus_a_cut_p": 0.5}


def test_means_are_over_the_rows_of_a_group():
    rows = [
        {"variant": v, "seed": k, "x": x} for v, values in (("a", (1, 3)), ("b", (5,))) for k, x in enumerate(values)
    ]
    assert paired.means(rows, ["variant"], ["x"]) == [
        {"variant": "a", "n_seeds": 2, "x": 2.0, "x_std": 1.0},
        {"variant": "b", "n_seeds": 1, "x": 5.0, "x_std": 0.0},
    ]


@pytest.mark.parametrize("test", [paired.t_test, paired.wilcoxon])
def test_values_that_are_no_pairs_are_refused(test):
    with pytest.raises(ValueError, match=r"pair by pair, got shapes \(2,\) and \(3,\)"):
        test([1, 2], [1, 2, 3])
