import os

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from hrsnn.datasets.series import google_stock, narma10, read_csv_column, synthetic_stock, synthetic_wind, wind_speed

needs_data = pytest.mark.skipif("HRSNN_DATA" not in os.environ, reason="the real files are found through HRSNN_DATA")


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        (tmp_path / "a.csv").write_bytes(text.encode(encoding))
        return tmp_path / "a.csv"

    return write


def test_csv_with_all_traps(write):
    path = write('\ufeffDate,"Close price", Volume\r\n1/3/2012,"1,008.64","7,380,500"\r\n\r\n1/4/2012,-3.5e-1,12\r\n')
    assert_array_equal(read_csv_column(path, "Close price"), [1008.64, -0.35])
    assert_array_equal(read_csv_column(path, "Volume"), [7380500, 12])
    assert_array_equal(read_csv_column(path, -1), [7380500, 12])
    assert_array_equal(read_csv_column(path, 1), [1008.64, -0.35])


def test_csv_without_header_and_other_delimiters(write):
    assert_array_equal(read_csv_column(write("1;2\n3;4\n"), 1, delimiter=";"), [2, 4])
    assert_array_equal(read_csv_column(write("1\n2\n3"), 0), [1, 2, 3])
    assert_array_equal(read_csv_column(write("t\tx\n0\t5\n"), "x", delimiter="\t"), [5])


def test_csv_errors(write, tmp_path):
    cases = [
        ("", "a", r"a\.csv is empty"),
        ("a,b\n", "a", "has a header but no rows"),
        ("a,b\n1,2\n", "c", r"has no column 'c'\. Its columns are: a, b\."),
        ("a,b\n1,2\n", 2, "has 2 columns, got column=2"),
        ("a,b\n1,2\n3,\n", "b", "line 3, column 'b': expected a finite number, got ''"),
        ("a,b\n1,2\n3\n", "b", "line 3, column 'b': expected a finite number, got ''"),
        ("a,b\n1,2\n3\n", -2, "line 3, column -2: expected a finite number, got ''"),
        ("a,b\n1,nan\n", "b", "line 2, column 'b': expected a finite number, got 'nan'"),
        ("a,b\n1,inf\n", "b", "got 'inf'"),
        ("a,b\n1,n/a\n", "b", "got 'n/a'"),
        ('a,b\n1,"3,14"\n', "b", "got '3,14'"),  # a decimal comma is not a thousands comma
        ('a,b\n1,"1,0000"\n', "b", "got '1,0000'"),
    ]
    for text, column, message in cases:
        with pytest.raises(ValueError, match=message):
            read_csv_column(write(text), column)
    with pytest.raises(ValueError, match=r"a\.csv is not a UTF-8 text file"):
        read_csv_column(write("a\n1\n", "utf-16"), "a")
    with pytest.raises(FileNotFoundError, match="nothing"):
        read_csv_column(tmp_path / "nothing.csv", "a")


def test_google_files_are_joined(tmp_path):
    (tmp_path / "google_stock_price_train.csv").write_text('Date,Open,Close\na,1,"1,001"\nb,2,6\n')
    (tmp_path / "google_stock_price_test.csv").write_text("Date,Open,Close\nc,3,7\n")
    X, Y = google_stock(tmp_path)
    assert_array_equal(X, [[1], [2]])
    assert_array_equal(Y, [[2], [3]])
    assert_array_equal(google_stock(tmp_path, "Close")[0], [[1001], [6]])
    with pytest.raises(ValueError, match=r"no column 'open'. Its columns are: Date, Open, Close"):
        google_stock(tmp_path, "open")
    (tmp_path / "google_stock_price_test.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"Google stock is not in .*Put google_stock_price_test.csv there"):
        google_stock(tmp_path)


def test_missing_wind_says_where_to_put_it(no_environment):
    with pytest.raises(FileNotFoundError, match=r"Wind speed: wind_speed_hourly_chilbolton.csv was not found"):
        wind_speed()


@needs_data
def test_real_series():
    X, Y = wind_speed()
    assert X.shape == Y.shape == (18287, 1)
    assert_allclose([X.min(), X.max(), X.mean()], [0.0006, 17.37, 3.79], atol=0.005)
    X, Y = google_stock()
    assert X.shape == (1277, 1)
    assert_array_equal(X[:3, 0], [325.25, 331.27, 329.83])
    assert_array_equal(Y[1257], 778.81)  # the first day of 2017
    close = google_stock(column="Close")[0]
    assert np.abs(np.diff(np.log(close[:, 0]))).max() > 0.6  # the split is there: Close jumps to half


# --- synthetic stand-ins


def test_stock_of_one_regime_has_normal_returns():
    X, Y = synthetic_stock(5000, drift=(0.001, 0.001), volatility=(0.02, 0.02), seed=1)
    returns = np.log(Y / X)[:, 0]
    assert X[0] == 325
    assert_array_equal(X[1:], Y[:-1])
    assert stats.kstest(returns, "norm", args=(0.001, 0.02)).pvalue > 0.01


def test_stock_switches_regimes_at_the_stated_rate():
    """Without noise the drift shows the regime: runs are geometric, the wild share is 0.01 / (0.01 + 0.03)."""
    X, Y = synthetic_stock(200_000, drift=(1e-6, -1e-6), volatility=(0, 0), seed=2)
    wild = (Y < X)[:, 0]
    assert_allclose(wild.mean(), 0.25, atol=0.02)  # about 1,500 switches
    switches = np.flatnonzero(np.diff(wild)) + 1
    assert not wild[0]
    lengths = np.diff(switches)
    assert_allclose(lengths[::2].mean(), 1 / 0.03, rtol=0.1)  # 1,500 runs: 3 %
    assert_allclose(lengths[1::2].mean(), 1 / 0.01, rtol=0.1)


def test_default_stock_has_the_marks_of_switching_volatility():
    X, Y = synthetic_stock(20_000, seed=3)
    returns = np.log(Y / X)[:, 0]
    variance = 0.75 * 0.010**2 + 0.25 * 0.025**2  # mixture of the two regimes
    assert_allclose(returns.var(), variance, rtol=0.15)
    assert stats.kurtosis(returns) > 1  # mixture: 3 (0.75 s1^4 + 0.25 s2^4) / var^2 - 3 = 1.94
    assert np.corrcoef(returns[:-1] ** 2, returns[1:] ** 2)[0, 1] > 0.1  # volatility comes in clusters


def test_wind_has_the_stated_autocovariance_and_cycle():
    X, _ = synthetic_wind(100_000, seed=1)
    root = np.sqrt(X[:, 0])
    hours = np.arange(len(root)) % 24
    daily = np.array([root[hours == h].mean() for h in range(24)])
    assert_allclose(daily, 1.858 + 0.233 * np.cos(2 * np.pi * (np.arange(24) - 13.3) / 24), atol=0.03)
    rest = root - daily[hours]
    a1, a2 = 0.943, -0.006
    rho1 = a1 / (1 - a2)  # Yule-Walker
    rho2 = a1 * rho1 + a2
    variance = 0.194**2 / (1 - a1 * rho1 - a2 * rho2)
    assert_allclose(rest.var(), variance, rtol=0.06)  # 6,000 independent values: 2 %
    assert_allclose(np.corrcoef(rest[:-1], rest[1:])[0, 1], rho1, atol=0.005)
    assert_allclose(np.corrcoef(rest[:-2], rest[2:])[0, 1], rho2, atol=0.01)


@needs_data
def test_synthetic_wind_resembles_the_real_one():
    real, made = wind_speed()[0][:, 0], synthetic_wind(18_000, seed=0)[0][:, 0]
    assert_allclose([made.mean(), made.std()], [real.mean(), real.std()], rtol=0.1)


def test_seeds_repeat():
    for make in (synthetic_stock, synthetic_wind):
        assert_array_equal(make(50, seed=4)[0], make(50, seed=4)[0])
        assert (make(50, seed=4)[0] != make(50, seed=5)[0]).any()


def test_synthetic_errors():
    for make in (synthetic_stock, synthetic_wind):
        with pytest.raises(ValueError, match="n_steps must be at least 1, got 0"):
            make(0)
    with pytest.raises(ValueError, match="start must be positive, got -1"):
        synthetic_stock(start=-1)
    with pytest.raises(ValueError, match=r"stay must be two probabilities in \[0, 1\), got \(1, 0.5\)"):
        synthetic_stock(stay=(1, 0.5))
    with pytest.raises(ValueError, match="volatility must be two numbers of at least 0"):
        synthetic_stock(volatility=(0.1, -0.1))
    with pytest.raises(ValueError, match=r"coefficients \(1.0, 0.1\) do not give a stationary"):
        synthetic_wind(coefficients=(1.0, 0.1))
    with pytest.raises(ValueError, match="noise must be at least 0, got -1"):
        synthetic_wind(noise=-1)


def test_narma10_follows_its_equation_and_stays_bounded():
    u, y = narma10(500, seed=3)
    assert u.shape == y.shape == (500, 1)
    assert 0 <= u.min() < 0.01 < 0.49 < u.max() <= 0.5
    u, y = u[:, 0], y[:, 0]  # y[t] is what the input u[t] makes
    t = np.arange(10, 500)
    sums = np.array([y[k - 10 : k].sum() for k in t])
    assert_allclose(y[t], 0.3 * y[t - 1] + 0.05 * y[t - 1] * sums + 1.5 * u[t - 9] * u[t] + 0.1, rtol=1e-12)
    assert all(narma10(2000, seed=seed)[1].max() <= 1 for seed in range(5))
    assert_array_equal(narma10(50, seed=3)[0], narma10(50, seed=3)[0])
    with pytest.raises(ValueError, match="n_steps must be an integer of at least 1, got 0"):
        narma10(0)
