"""Text to typed values and back."""

import math

import numpy as np
import pytest
from brian2 import Hz, Quantity, kHz, metre, ms, mV, nS, second, usecond
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from hrsnn.lab import settings


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("400", 100, 400),
        ("60_000", 1, 60000),
        ("6e4", 1, 60000),
        (" 12 ", 1, 12),
        ("9007199254740993", 1, 9007199254740993),  # not a float
        ("3", 1.0, 3.0),
        ("-.5e-3", 1.0, -0.0005),
        ("inf", 1.0, math.inf),
        ("no", True, False),
        ("Yes", False, True),
        ("0", True, False),
        ("cpp", "runtime", "cpp"),
        ("none", "runtime", "none"),
        ("150 ms", 1 * second, 0.15 * second),
        ("63.75*Hz", 1 * Hz, 63.75 * Hz),
        ("1e3 us", 1 * ms, 1 * ms),
        ("2 mV/ms", 1 * mV / ms, 2 * mV / ms),
        ("3 1/s", 1 * Hz, 3 * Hz),
        ("1, 2,3", [0], [1, 2, 3]),
        ("[1,2]", (0,), (1, 2)),
        ("[]", [0], []),
        ("10 ms, 20 ms", [1 * ms], [10 * ms, 20 * ms]),
        ("5", None, 5),
        ("2.5", None, 2.5),
        ("true", None, True),
        ("20 ms", None, 20 * ms),
        ("[1, 2.5]", None, [1, 2.5]),
        ("baseline", None, "baseline"),
        ("None", None, None),
    ],
)
def test_text_becomes_a_value_of_the_defaults_type(text, default, value):
    got = settings.read("x", text, default)
    assert got == value
    assert type(got) is type(value)
    if isinstance(value, Quantity):
        assert got.dim is value.dim


@pytest.mark.parametrize(
    ("value", "default", "message"),
    [
        ("2.5", 1, r"x must be a whole number, got '2.5'\."),
        ("many", 1, r"x must be a whole number, got 'many'\."),
        ("nan", 1, "x must be a whole number, got 'nan'"),
        ("inf", 1, "x must be a whole number, got 'inf'"),
        (True, 1, "x must be a whole number, got 'True'"),
        ("none", 1, "x must be a whole number, got 'none'"),
        (None, 1, "x must be a whole number, got 'None'"),
        (3 * ms, 1.0, "x must be a number, got '3 ms'"),
        ("maybe", True, "x must be yes or no, got 'maybe'"),
        (1, True, "x must be yes or no, got '1'"),
        (3, "cpp", "x must be text, got '3'"),
        ("150", 350 * ms, r"x must be a quantity like '350 ms', got '150' \(not a number with a unit\)"),
        (150, 350 * ms, r"x must be a quantity like '350 ms', got '150' \(no unit, or another one\)"),
        ("3 mV", 350 * ms, r"x must be a quantity like '350 ms', got '3 mV' \(no unit, or another one\)"),
        ("3 parsec", 350 * ms, r"unknown unit parsec"),
        ("3 __import__('os')", 350 * ms, "not a number with a unit"),
        ("3 ms.real", 350 * ms, "not a number with a unit"),
        ("1, x", [1], "x must be a list, each a whole number, got '1, x'"),
        (7, [1], "x must be a list, each a whole number, got '7'"),
    ],
)
def test_value_of_another_type_is_refused(value, default, message):
    with pytest.raises(ValueError, match=message):
        settings.read("x", value, default)


def test_none_is_a_value_where_it_is_allowed():
    assert settings.read("levels", "None", 2, optional=True) is None
    assert settings.read("levels", "3", 2, optional=True) == 3


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (350 * ms, "350 ms"),
        (0.35 * second, "0.35 s"),
        (2 * second, "2 s"),
        (0.1 * second, "100 ms"),
        (0 * mV, "0 mV"),
        (63.75 * Hz, "63.75 Hz"),
        (10 * kHz, "10 kHz"),
        (20 * usecond, "20 us"),
        (-65 * mV, "-65 mV"),
        (100 * nS, "100 nS"),
        ([1 * ms, 2 * ms], "[1 ms, 2 ms]"),
    ],
)
def test_quantity_is_written_as_a_paper_writes_it(quantity, text):
    assert settings.write(quantity) == text


UNITS = [ms, second, Hz, mV, nS, mV / ms, metre / second, mV**2]


@settings_of_hypothesis(max_examples=60)
@given(number=st.floats(min_value=-1e12, max_value=1e12, allow_subnormal=False), unit=st.sampled_from(UNITS))
def test_written_quantity_reads_back_exactly(number, unit):
    quantity = number * unit
    again = settings.read("x", settings.write(quantity), quantity)
    assert again == quantity
    assert again.dim is quantity.dim


@given(st.lists(st.one_of(st.integers(-(10**18), 10**18)), min_size=1))
def test_written_list_reads_back(numbers):
    assert settings.read("x", settings.write(numbers), [0]) == numbers


def test_plain_setting_is_made_of_json_types():
    assert settings.plain((1 * ms, [2, None], "a")) == ["1 ms", [2, None], "a"]


@pytest.mark.parametrize("default", [np.zeros(3), {"a": 1}, object(), [1, 2] * ms])
def test_type_that_text_cannot_give_is_refused(default):
    with pytest.raises(TypeError, match="cannot be a setting"):
        settings.kind(default)


@pytest.mark.parametrize(
    ("name", "value", "default", "said"),
    [
        ("n_neurons", 0, 100, "n_neurons must be an integer of at least 1, got 0"),
        ("sizes", [10, 0], [100], "sizes must be an integer of at least 1, got 0"),
        ("n_script", -1, 0, "n_script must be an integer of at least 0, got -1"),
        ("max_retries", -1, 3, "max_retries must be an integer of at least 0, got -1"),
        ("fractions", (0.5, 1.5), (0.1,), r"fractions must be in \(0, 1\], got 1.5"),
        ("keep_neurons", 0.0, 0.1, r"keep_neurons must be in \(0, 1\], got 0"),
        ("rate_max", -1 * Hz, 200 * Hz, "rate_max must be finite and not negative, got -1 Hz"),
        ("gain", np.nan, 0.7, "gain must be finite and not negative, got nan"),
        ("seeds", [0, -1], [0], "seed must be an integer in 0"),
    ],
)
def test_numbers_that_cannot_be_are_refused(name, value, default, said):
    with pytest.raises(ValueError, match=said):
        settings.check(name, value, default)
    settings.check(name, default, default)


def test_a_study_may_lower_a_bound_and_no_default_sets_none():
    settings.check("bias", -1.0, 0.7, least=-np.inf)
    settings.check("n_settle", 0, 1, least=0)
    settings.check("offset", -1.0, -0.5)
    settings.check("eta", -1.0, None)
    settings.check("levels", None, 2)
    with pytest.raises(ValueError, match="n_settle must be an integer of at least 0, got -1"):
        settings.check("n_settle", -1, 1, least=0)
