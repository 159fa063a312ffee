"""Real-valued series: any column of a CSV file, Google's stock, wind speed, and synthetic stand-ins."""

import csv
import math
import os
import re
from pathlib import Path

import numpy as np

from hrsnn.checks import check_integer
from hrsnn.datasets._files import locate

Pairs = tuple[np.ndarray, np.ndarray]

_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?([eE][+-]?\d+)?")


def read_csv_column(path: str | os.PathLike, column: str | int, delimiter: str = ",") -> np.ndarray:
    """Read one column of numbers from a CSV file.

    Thousands commas inside quotes (``"1,008.64"``) are understood. The first row is the header if its
    field in that column is not a number.

    Parameters
    ----------
    path : path
        The file, UTF-8.
    column : str or int
        Name in the header, or position from 0 (negative: from the end).
    delimiter : str
        What separates the fields.

    Returns
    -------
    array of shape (n_rows,)
        Finite numbers. For forecasting take ``X, Y = series[:-1, None], series[1:, None]``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there is no such column, or a field is empty, not a number or not finite; the line is named.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter)
            rows = [(reader.line_num, [field.strip() for field in row]) for row in reader if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a UTF-8 text file of comma-separated values ({error}).") from error
    if not rows:
        raise ValueError(f"{path} is empty.")
    index = _column_index(rows[0][1], column, path)
    has_header = isinstance(column, str) or _number(rows[0][1][index]) is None
    values = []
    for line, row in rows[has_header:]:
        text = row[index] if -len(row) <= index < len(row) else ""
        value = _number(text)
        if value is None or not math.isfinite(value):
            raise ValueError(
                f"{path}, line {line}, column {column!r}: expected a finite number, got {text!r}. "
                "Fill or drop that row, or check the delimiter."
            )
        values.append(value)
    if not values:
        raise ValueError(f"{path} has a header but no rows.")
    return np.array(values)


def _column_index(header: list[str], column: str | int, path: Path) -> int:
    if isinstance(column, str):
        if column not in header:
            raise ValueError(f"{path} has no column {column!r}. Its columns are: {', '.join(header)}.")
        return header.index(column)
    if not -len(header) <= column < len(header):
        raise ValueError(f"{path} has {len(header)} columns, got column={column}. Check the delimiter.")
    return column


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "") if _GROUPED.fullmatch(text) else text)
    except ValueError:
        return None


def google_stock(folder: str | os.PathLike | None = None, column: str = "Open") -> Pairs:
    """Load Google's daily stock prices, 2012-01-03 to January 2017.

    Parameters
    ----------
    folder : path, optional
        Folder with ``google_stock_price_train.csv`` (1,258 days) and ``google_stock_price_test.csv`` (20
        days); by default ``HRSNN_DATA`` or its subfolder ``timeseries``.
    column : {"Open", "High", "Low", "Close", "Volume"}
        Which series. In this file "Close" is not adjusted for the split of 2014: it jumps to half.

    Returns
    -------
    X, Y : array of shape (1277, 1)
        The series of both files, and the same one day later.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing or damaged.
    """
    parts = [
        read_csv_column(
            locate(f"google_stock_price_{part}.csv", folder, title="Google stock", subset="timeseries"), column
        )
        for part in ("train", "test")
    ]
    return _pairs(np.concatenate(parts))


def wind_speed(folder: str | os.PathLike | None = None) -> Pairs:
    """Load the hourly wind speed at Chilbolton (UK), 10 m above ground, 2016-01-01 to 2018-01-31.

    Parameters
    ----------
    folder : path, optional
        Folder with ``wind_speed_hourly_chilbolton.csv``; by default ``HRSNN_DATA`` or its subfolder
        ``timeseries``.

    Returns
    -------
    X, Y : array of shape (18287, 1)
        The speed in m/s, and the same one hour later.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or damaged.
    """
    path = locate("wind_speed_hourly_chilbolton.csv", folder, title="Wind speed", subset="timeseries")
    return _pairs(read_csv_column(path, "windSpeed"))


def synthetic_stock(
    n_steps: int = 1257,
    start: float = 325.0,
    drift: tuple[float, float] = (0.001, -0.0005),
    volatility: tuple[float, float] = (0.010, 0.025),
    stay: tuple[float, float] = (0.99, 0.97),
    seed: int = 0,
) -> Pairs:
    """Generate a synthetic price: geometric Brownian motion that switches between a calm and a wild regime.

    A stand-in for stock data where none is at hand; not a model of any real price.

    Parameters
    ----------
    n_steps : int
        Number of samples.
    start : float
        First price, above 0.
    drift, volatility : tuple of float
        Mean and standard deviation of a day's log return in either regime.
    stay : tuple of float
        Probability of either regime to last another day, at least 0 and below 1.
    seed : int
        Seed of the series.

    Returns
    -------
    X, Y : array of shape (n_steps, 1)
        The price, and the same one step later.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    _check_steps(n_steps)
    if not (math.isfinite(start) and start > 0):
        raise ValueError(f"start must be positive, got {start!r}.")
    if not all(0 <= p < 1 for p in stay):
        raise ValueError(f"stay must be two probabilities in [0, 1), got {stay!r}.")
    if not all(v >= 0 for v in volatility):
        raise ValueError(f"volatility must be two numbers of at least 0, got {volatility!r}.")
    rng = np.random.default_rng(seed)
    lengths: list[int] = []  # of the alternating regimes; the first is calm
    while sum(lengths) < n_steps:
        lengths.append(int(rng.geometric(1 - stay[len(lengths) % 2])))
    regime = np.repeat(np.arange(len(lengths)) % 2, lengths)[:n_steps]
    returns = rng.normal(np.take(drift, regime), np.take(volatility, regime))
    return _pairs(start * np.exp(np.concatenate([[0.0], np.cumsum(returns)])))


def synthetic_wind(
    n_steps: int = 2000,
    coefficients: tuple[float, float] = (0.943, -0.006),
    noise: float = 0.194,
    mean: float = 1.858,
    diurnal: float = 0.233,
    hour_of_maximum: float = 13.3,
    seed: int = 0,
) -> Pairs:
    """Generate a synthetic hourly wind speed: the square of an AR(2) process with a diurnal cycle.

    A stand-in where no wind data is at hand. The defaults were fitted (Yule-Walker) to the square root of
    the hourly series at Chilbolton, see `wind_speed`.

    Parameters
    ----------
    n_steps : int
        Number of samples.
    coefficients : tuple of float
        AR coefficients of the last and the last but one hour; the process must be stationary.
    noise : float
        Standard deviation of the innovations, in the square root of m/s.
    mean, diurnal, hour_of_maximum : float
        Mean, amplitude and time of the daily cycle, in the square root of m/s and hours.
    seed : int
        Seed of the series.

    Returns
    -------
    X, Y : array of shape (n_steps, 1)
        The speed in m/s, and the same one hour later.

    Raises
    ------
    ValueError
        If an argument is out of range or the process is not stationary.
    """
    from scipy.signal import lfilter

    _check_steps(n_steps)
    a1, a2 = coefficients
    if not (abs(a2) < 1 and a2 + a1 < 1 and a2 - a1 < 1):
        raise ValueError(f"coefficients {coefficients!r} do not give a stationary AR(2) process.")
    if not noise >= 0:
        raise ValueError(f"noise must be at least 0, got {noise!r}.")
    settle = 1000  # hours until the process has forgotten its start
    shocks = np.random.default_rng(seed).normal(0, noise, settle + n_steps + 1)
    hours = np.arange(n_steps + 1)
    cycle = mean + diurnal * np.cos(2 * np.pi * (hours - hour_of_maximum) / 24)
    return _pairs((cycle + lfilter([1], [1, -a1, -a2], shocks)[settle:]) ** 2)


def _check_steps(n_steps: int) -> None:
    if n_steps < 1:
        raise ValueError(f"n_steps must be at least 1, got {n_steps!r}.")


def _pairs(series: np.ndarray) -> Pairs:
    return series[:-1, None], series[1:, None]


def narma10(n_steps: int, transient: int = 200, seed: int = 0) -> Pairs:
    """Return independent uniform input and the NARMA-10 system's answer: ten steps of memory, and products of them.

    y(t + 1) = 0.3 y(t) + 0.05 y(t) (y(t) + ... + y(t - 9)) + 1.5 u(t - 9) u(t) + 0.1 with u uniform in [0, 0.5]. For
    rare inputs the system runs away; these draws are left out, so the result is always bounded by 1.

    Parameters
    ----------
    n_steps : int
    transient : int
        First steps left out.
    seed : int

    Returns
    -------
    u, y : array of shape (n_steps, 1)
        Input u(t), and the target y(t + 1) that it makes.

    Raises
    ------
    ValueError
        If n_steps is below 1 or transient negative.

    References
    ----------
    .. [1] Atiya & Parlos (2000), New results on recurrent network training, IEEE Trans. Neural Networks 11:697.
    """
    check_integer("n_steps", n_steps, 1)
    check_integer("transient", transient, 0)
    rng = np.random.default_rng(seed)
    n = n_steps + transient
    while True:
        u = rng.uniform(0, 0.5, n + 9)  # u[t + 9] is u(t); nine inputs before the first step
        y = [0.0] * (n + 10)  # y[t + 9] is y(t)
        for t in range(n):
            now = y[t + 9]
            y[t + 10] = 0.3 * now + 0.05 * now * sum(y[t : t + 10]) + 1.5 * u[t] * u[t + 9] + 0.1
            if y[t + 10] > 1:
                break
        else:
            return u[9 + transient :, None], np.array(y)[10 + transient :, None]
