"""Chaotic systems: integrated to stated tolerances, transient dropped, each sample with its successor."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

Pairs = tuple[np.ndarray, np.ndarray]


def lorenz63(
    n_steps: int = 2000,
    dt: float = 0.02,
    sigma: float = 10.0,
    rho: float = 28.0,
    beta: float = 8 / 3,
    start: ArrayLike | None = None,
    transient: int = 1000,
    rtol: float = 1e-9,
    seed: int = 0,
) -> Pairs:
    """Integrate the Lorenz equations of 1963.

    x' = sigma (y - x),  y' = x (rho - z) - y,  z' = x y - beta z. The largest Lyapunov exponent of the
    standard parameters is 0.906 per unit of time, so one Lyapunov time is 55 steps of 0.02.

    Parameters
    ----------
    n_steps : int
        Number of samples.
    dt : float
        Time between samples, in the system's own unit.
    sigma, rho, beta : float
        Parameters.
    start : array of shape (3,), optional
        State at the beginning of the transient; (1, 1, 1) plus standard normal numbers if None.
    transient : int
        Samples dropped at the beginning.
    rtol : float
        Relative error tolerance of each integration step (SciPy's DOP853, steps of at most `dt`); the
        absolute one is the same.
    seed : int
        Seed of the start.

    Returns
    -------
    X : array of shape (n_steps, 3)
        The samples x, y, z.
    Y : array of shape (n_steps, 3)
        The sample after each, ``Y[t] = X[t + 1]``.

    Raises
    ------
    ValueError
        If an argument is out of range or the trajectory diverges.

    References
    ----------
    .. [1] Lorenz (1963), Deterministic nonperiodic flow, J. Atmos. Sci. 20:130.
    """

    def rhs(_, state):
        x, y, z = state
        return sigma * (y - x), x * (rho - z) - y, x * y - beta * z

    return _pairs(rhs, _start(start, np.ones(3), seed), n_steps, dt, transient, rtol)


def roessler(
    n_steps: int = 2000,
    dt: float = 0.1,
    a: float = 0.2,
    b: float = 0.2,
    c: float = 5.7,
    start: ArrayLike | None = None,
    transient: int = 1000,
    rtol: float = 1e-9,
    seed: int = 0,
) -> Pairs:
    """Integrate the Roessler equations.

    x' = -y - z,  y' = x + a y,  z' = b + z (x - c); largest Lyapunov exponent 0.071.

    Parameters
    ----------
    n_steps, dt, start, transient, rtol, seed
        As in `lorenz63`; the start is (1, 1, 0) plus 0.1 times standard normal numbers if None.
    a, b, c : float
        Parameters.

    Returns
    -------
    X, Y : array of shape (n_steps, 3)
        As in `lorenz63`.

    Raises
    ------
    ValueError
        If an argument is out of range or the trajectory diverges.

    References
    ----------
    .. [1] Roessler (1976), An equation for continuous chaos, Phys. Lett. A 57:397.
    """
    limit = 100 * (1 + abs(a) + abs(b) + abs(c))  # beyond the attractor orbits escape, ever stiffer

    def rhs(_, state):
        x, y, z = state
        if abs(x) + abs(y) > limit:
            raise ValueError("The trajectory diverges. Choose other parameters or another start.")
        return -y - z, x + a * y, b + z * (x - c)

    return _pairs(rhs, _start(start, np.array([1.0, 1.0, 0.0]), seed, 0.1), n_steps, dt, transient, rtol)


def lorenz96(
    n_steps: int = 2000,
    dt: float = 0.005,
    n_x: int = 8,
    n_y: int = 8,
    n_z: int = 8,
    forcing: float = 20.0,
    h: float = 1.0,
    b: float = 10.0,
    c: float = 10.0,
    d: float = 10.0,
    e: float = 10.0,
    g: float = 1.0,
    decay: float | None = None,
    wrap: str = "parent",
    transient: int = 1000,
    rtol: float = 1e-7,
    seed: int = 0,
) -> Pairs:
    """Integrate the Lorenz equations of 1996 with up to three tiers; the slow tier is returned.

    X_k'   = X_(k-1) (X_(k+1) - X_(k-2)) - decay X_k + F - (h c / b) sum_j Y_jk

    Y_jk'  = -c b Y_(j+1)k (Y_(j+2)k - Y_(j-1)k) - c Y_jk + (h c / b) X_k - (h e / d) sum_i Z_ijk

    Z_ijk' = e d Z_(i-1)jk (Z_(i+1)jk - Z_(i-2)jk) - g e Z_ijk + (h e / d) Y_jk

    Parameters
    ----------
    n_steps, dt, transient, rtol, seed
        As in `lorenz63`.
    n_x, n_y, n_z : int
        Slow variables, middle ones of each slow one, fast ones of each middle one. ``n_y=0`` gives the
        one-tier system (usually ``n_x=40, forcing=8``), ``n_z=0`` the two-tier system.
    forcing, h, b, c, d, e, g : float
        Parameters. The published list has g = 10, the published script works with g = 1.
    decay : float, optional
        Linear decay of the slow tier. If None, 0 with three tiers, as published, and 1 with fewer.
    wrap : {"parent", "sector"}
        Whether the neighbours of the last Y (Z) are the first ones of the same parent, as in the published
        script, or those of the next parent, as in the published equations.

    Returns
    -------
    X, Y : array of shape (n_steps, n_x)
        The slow variables, not normalised, and the same one step later.

    Raises
    ------
    ValueError
        If an argument is out of range or the trajectory diverges.

    References
    ----------
    .. [1] Lorenz (1996), Predictability: a problem partly solved.
    .. [2] Thornes, Dueben, Palmer (2017), On the use of scale-dependent precision in Earth System modelling,
       Q. J. R. Meteorol. Soc. 143:897.
    """
    if n_x < 4 or n_y < 0 or n_z < 0 or 0 < n_y < 4 or 0 < n_z < 4:
        raise ValueError(f"n_x must be at least 4, n_y and n_z 0 or at least 4, got {n_x}, {n_y}, {n_z}.")
    if wrap not in ("parent", "sector"):
        raise ValueError(f"wrap must be 'parent' or 'sector', got {wrap!r}.")
    n_z = n_z if n_y else 0
    rng = np.random.default_rng(seed)
    start = np.concatenate(
        [
            rng.integers(-5, 6, n_x).astype(float),
            rng.standard_normal(n_x * n_y),
            0.05 * rng.standard_normal(n_x * n_y * n_z),
        ]
    )
    decay = float(n_z == 0) if decay is None else decay
    rhs = _lorenz96_rhs((n_x, n_y, n_z), forcing, h, b, c, d, e, g, decay, wrap == "sector")
    return _pairs(rhs, start, n_steps, dt, transient, rtol, keep=n_x)


def _lorenz96_rhs(shape, forcing, h, b, c, d, e, g, decay, sector) -> Callable:
    n_x, n_y, n_z = shape
    end_y = n_x + n_x * n_y

    def neighbours(offsets, shape):  # flat indices of the elements k + offset of the last axis
        index = np.arange(np.prod(shape, dtype=int)).reshape(shape)
        rolled = (np.roll(index.ravel() if sector else index, -k, axis=-1) for k in offsets)
        return [r.reshape(shape) for r in rolled]

    x_b1, x_f1, x_b2 = neighbours((-1, 1, -2), (n_x,))
    y_f1, y_f2, y_b1 = neighbours((1, 2, -1), (n_x, n_y))
    z_b1, z_f1, z_b2 = neighbours((-1, 1, -2), (n_x, n_y, n_z))

    def rhs(_, state):
        X, Y, Z = state[:n_x], state[n_x:end_y], state[end_y:]
        dX = X[x_b1] * (X[x_f1] - X[x_b2]) - decay * X + forcing
        if not n_y:
            return dX
        Y2 = Y.reshape(n_x, n_y)
        dX -= h * c / b * Y2.sum(axis=1)
        dY = -c * b * Y[y_f1] * (Y[y_f2] - Y[y_b1]) - c * Y2 + h * c / b * X[:, None]
        if not n_z:
            return np.concatenate([dX, dY.ravel()])
        Z3 = Z.reshape(n_x, n_y, n_z)
        dY -= h * e / d * Z3.sum(axis=2)
        dZ = e * d * Z[z_b1] * (Z[z_f1] - Z[z_b2]) - g * e * Z3 + h * e / d * Y2[:, :, None]
        return np.concatenate([dX, dY.ravel(), dZ.ravel()])

    return rhs


def mackey_glass(
    n_steps: int = 2000,
    dt: float = 1.0,
    tau: float = 17.0,
    beta: float = 0.2,
    gamma: float = 0.1,
    n: float = 10.0,
    start: float | None = None,
    transient: int = 1000,
    max_step: float = 0.1,
    seed: int = 0,
) -> Pairs:
    """Integrate the Mackey-Glass delay equation.

    x' = beta x(t - tau) / (1 + x(t - tau)^n) - gamma x, by the classical Runge-Kutta method with a step of
    at most `max_step` that divides `tau`, and cubic Hermite interpolation between steps: fourth order. With
    the default step the error per unit of time is below 1e-8.

    Parameters
    ----------
    n_steps, dt, transient, seed
        As in `lorenz63`.
    tau : float
        Delay; chaotic above 16.8 for the standard parameters.
    beta, gamma, n : float
        Parameters.
    start : float, optional
        The constant history before time 0, at least 0; uniform in 0.5..1.5 if None.
    max_step : float
        Longest integration step.

    Returns
    -------
    X, Y : array of shape (n_steps, 1)
        The samples, and the same one step later.

    Raises
    ------
    ValueError
        If an argument is out of range or the trajectory diverges.

    References
    ----------
    .. [1] Mackey, Glass (1977), Oscillation and chaos in physiological control systems, Science 197:287.
    """
    _check(n_steps, dt, transient)
    for name, value in (("tau", tau), ("beta", beta), ("gamma", gamma), ("n", n), ("max_step", max_step)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive, got {value!r}.")
    history = np.random.default_rng(seed).uniform(0.5, 1.5) if start is None else float(start)
    if not (np.isfinite(history) and history >= 0):
        raise ValueError(f"start must be a number of at least 0, got {start!r}.")
    times = dt * np.arange(transient, transient + n_steps + 1)
    delay = int(np.ceil(tau / max_step))
    try:
        series = _sample_delay_equation(history, delay, tau / delay, times, beta, gamma, n)
    except (OverflowError, TypeError):  # a power of a huge value; a power of a negative one is complex
        series = np.array(np.nan)
    if not np.isfinite(series).all():
        raise ValueError("The trajectory diverges. Choose other parameters or a smaller max_step.")
    return series[:-1, None], series[1:, None]


def _sample_delay_equation(
    history: float, delay: int, step: float, times: np.ndarray, beta: float, gamma: float, n: float
) -> np.ndarray:
    """Runge-Kutta on the grid of `step`, where index 0 is time 0 and lower indices are the history."""
    n_grid = int(np.ceil(times[-1] / step)) + 1
    x = [history] * (delay + 1)  # x[delay + i] is the value at time i * step
    slope = [0.0] * (delay + 1)  # right derivatives, for the interpolation

    def drive(value: float) -> float:
        return beta * value / (1 + value**n)

    slope[delay] = drive(history) - gamma * history
    before = slope.copy()  # left derivatives: they differ at time 0 only
    before[delay] = 0.0
    for i in range(delay, delay + n_grid):
        late, later = x[i - delay], x[i - delay + 1]
        middle = (late + later) / 2 + step / 8 * (slope[i - delay] - before[i - delay + 1])
        d0, d1, d2 = drive(late), drive(middle), drive(later)
        now = x[i]
        k1 = d0 - gamma * now
        k2 = d1 - gamma * (now + step / 2 * k1)
        k3 = d1 - gamma * (now + step / 2 * k2)
        k4 = d2 - gamma * (now + step * k3)
        x.append(now + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
        slope.append(d2 - gamma * x[-1])
        before.append(slope[-1])
    index = np.minimum((times / step).astype(int), n_grid - 1)
    s = times / step - index
    left, right = np.array(x)[delay + index], np.array(x)[delay + index + 1]
    m_left, m_right = step * np.array(slope)[delay + index], step * np.array(before)[delay + index + 1]
    return (
        (1 + 2 * s) * (1 - s) ** 2 * left
        + s * (1 - s) ** 2 * m_left
        + s**2 * (3 - 2 * s) * right
        + s**2 * (s - 1) * m_right
    )


def _check(n_steps: int, dt: float, transient: int) -> None:
    if n_steps < 1:
        raise ValueError(f"n_steps must be at least 1, got {n_steps!r}.")
    if not (np.isfinite(dt) and dt > 0):
        raise ValueError(f"dt must be positive, got {dt!r}.")
    if transient < 0:
        raise ValueError(f"transient must be at least 0, got {transient!r}.")


def _start(start: ArrayLike | None, centre: np.ndarray, seed: int, spread: float = 1.0) -> np.ndarray:
    if start is None:
        return centre + spread * np.random.default_rng(seed).standard_normal(len(centre))
    state = np.asarray(start, dtype=float)
    if state.shape != centre.shape or not np.isfinite(state).all():
        raise ValueError(f"start must be {len(centre)} finite numbers, got {start!r}.")
    return state


def _pairs(
    rhs: Callable, start: np.ndarray, n_steps: int, dt: float, transient: int, rtol: float, keep: int | None = None
) -> Pairs:
    from scipy.integrate import solve_ivp

    _check(n_steps, dt, transient)
    if not 1e-13 < rtol < 1:
        raise ValueError(f"rtol must be in (1e-13, 1), got {rtol!r}.")
    times = dt * np.arange(transient + n_steps + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        # Steps no longer than dt: inside a step the interpolation has no error control.
        solution = solve_ivp(rhs, (0, times[-1]), start, "DOP853", times[transient:], rtol=rtol, atol=rtol, max_step=dt)
    if not solution.success or not np.isfinite(solution.y).all():
        raise ValueError(f"The trajectory diverges ({solution.message}) Choose other parameters or another start.")
    series = solution.y[:keep].T.copy()
    return series[:-1], series[1:]
