import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad

from hrsnn.datasets import chaotic
from hrsnn.datasets.chaotic import lorenz63, lorenz96, mackey_glass, roessler


def lorenz_jacobian(x, sigma=10.0, rho=28.0, beta=8 / 3):
    J = np.zeros((len(x), 3, 3))
    J[:, 0, 0], J[:, 0, 1] = -sigma, sigma
    J[:, 1, 0], J[:, 1, 1], J[:, 1, 2] = rho - x[:, 2], -1, -x[:, 0]
    J[:, 2, 0], J[:, 2, 1], J[:, 2, 2] = x[:, 1], x[:, 0], -beta
    return J


def lorenz_flow(x, sigma=10.0, rho=28.0, beta=8 / 3):
    a, b, c = x.T
    return np.stack([sigma * (b - a), a * (rho - c) - b, a * b - beta * c], axis=1)


def roessler_jacobian(x, a=0.2, c=5.7):
    J = np.zeros((len(x), 3, 3))
    J[:, 0, 1] = J[:, 0, 2] = -1
    J[:, 1, 0], J[:, 1, 1] = 1, a
    J[:, 2, 0], J[:, 2, 2] = x[:, 2], x[:, 0] - c
    return J


def roessler_flow(x, a=0.2, b=0.2, c=5.7):
    return np.stack([-x[:, 1] - x[:, 2], x[:, 0] + a * x[:, 1], b + x[:, 2] * (x[:, 0] - c)], axis=1)


def lyapunov_exponents(X, dt, flow, jacobian, n_sub):
    """Exponents of a sampled trajectory: propagate the tangent from each sample to the next, then QR along it."""
    h, x, M = dt / n_sub, X.copy(), np.broadcast_to(np.eye(3), (len(X), 3, 3)).copy()
    for _ in range(n_sub):  # Runge-Kutta of state and tangent, all samples at once
        k1, K1 = flow(x), jacobian(x) @ M
        k2, K2 = flow(x + h / 2 * k1), jacobian(x + h / 2 * k1) @ (M + h / 2 * K1)
        k3, K3 = flow(x + h / 2 * k2), jacobian(x + h / 2 * k2) @ (M + h / 2 * K2)
        k4, K4 = flow(x + h * k3), jacobian(x + h * k3) @ (M + h * K3)
        x, M = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), M + h / 6 * (K1 + 2 * K2 + 2 * K3 + K4)
    Q, total = np.eye(3), np.zeros(3)
    for step in M:
        Q, R = np.linalg.qr(step @ Q)
        total += np.log(np.abs(np.diag(R)))
    return total / (len(X) * dt), x


def test_lorenz63_has_the_known_exponents():
    X, Y = lorenz63(n_steps=8_000, dt=0.05, rtol=1e-7)
    exponents, ends = lyapunov_exponents(X, 0.05, lorenz_flow, lorenz_jacobian, n_sub=10)
    assert_allclose(ends, Y, atol=1e-4)  # the samples are those of the equations (Runge-Kutta of 0.005 here)
    # oracle O5; over 400 units of time the largest varies by 0.02 with the start
    assert_allclose(exponents, [0.906, 0, -14.57], atol=0.05)
    assert_allclose(exponents.sum(), -(10 + 1 + 8 / 3), atol=1e-3)


def test_roessler_has_the_known_exponent():
    X, Y = roessler(n_steps=10_000, rtol=1e-7)
    exponents, ends = lyapunov_exponents(X, 0.1, roessler_flow, roessler_jacobian, n_sub=16)
    assert_allclose(ends, Y, atol=1e-5)  # needs steps no longer than dt: interpolation alone errs by 1e-4
    assert_allclose(exponents[:2], [0.071, 0], atol=0.015)  # 1,000 units of time


def test_lorenz63_on_the_z_axis_decays_exactly():
    X, Y = lorenz63(100, start=[0, 0, 7], transient=0)
    times = 0.02 * np.arange(101)
    assert_allclose(X, np.c_[0 * times, 0 * times, 7 * np.exp(-8 / 3 * times)][:-1], atol=1e-8)
    assert_allclose(Y[-1, 2], 7 * np.exp(-8 / 3 * times[-1]), atol=1e-8)


def test_lorenz63_stays_at_its_fixed_point():
    root = np.sqrt(8 / 3 * 27)
    X, _ = lorenz63(50, start=[root, root, 27], transient=0)
    assert_allclose(X, np.tile([root, root, 27], (50, 1)), rtol=1e-9)


def test_roessler_without_z_is_a_linear_spiral():
    X, _ = roessler(200, b=0, start=[1, 0, 0], transient=0)
    t, w = 0.1 * np.arange(200), np.sqrt(1 - 0.01)
    x = np.exp(0.1 * t) * (np.cos(w * t) - 0.1 / w * np.sin(w * t))
    y = np.exp(0.1 * t) * np.sin(w * t) / w
    assert_allclose(X, np.c_[x, y, 0 * t], atol=1e-7)


@pytest.mark.parametrize(("system", "dt"), [(lorenz63, 0.25), (roessler, 2.0)])
def test_error_follows_the_tolerance(system, dt):
    """Samples far apart, so that the tolerance and not the sampling decides the steps."""
    loose, tight, reference = (system(6, dt=dt, transient=0, rtol=r)[0] for r in (1e-4, 1e-8, 1e-12))
    error = [np.abs(x - reference).max() for x in (loose, tight)]
    assert error[1] < 1e-2 * error[0]
    assert error[1] < 1e-5


@pytest.mark.parametrize("system", [lorenz63, roessler])
def test_default_samples_are_accurate(system):
    X, reference = (system(60, transient=0, rtol=r)[0] for r in (1e-9, 1e-12))
    assert_allclose(X, reference, atol=1e-6)  # 1.2 Lyapunov times at most


@pytest.mark.parametrize("system", [lorenz63, roessler, mackey_glass, lorenz96])
def test_samples_successors_transient_and_seed(system):
    X, Y = system(30, transient=10)
    assert_array_equal(X[1:], Y[:-1])
    longer, _ = system(40, transient=0)
    assert_allclose(longer[10:], X, rtol=1e-6)  # dense output of different steps
    assert_array_equal(system(30, transient=10)[0], X)
    assert (system(30, transient=10, seed=1)[0] != X).any()


# --- Lorenz 96


def brute_force_lorenz96(X, Y, Z, F, h, b, c, d, e, g, decay, sector):
    """The equations, index by index."""
    K, J, I = Z.shape  # noqa: E741

    def y(k, j):
        flat = (k * J + j) % (K * J) if sector else k * J + j % J
        return Y.ravel()[flat]

    def z(k, j, i):
        flat = ((k * J + j) * I + i) % (K * J * I) if sector else (k * J + j) * I + i % I
        return Z.ravel()[flat]

    dX, dY, dZ = np.zeros_like(X), np.zeros_like(Y), np.zeros_like(Z)
    for k in range(K):
        dX[k] = X[k - 1] * (X[(k + 1) % K] - X[k - 2]) - decay * X[k] + F - h * c / b * Y[k].sum()
        for j in range(J):
            dY[k, j] = -c * b * y(k, j + 1) * (y(k, j + 2) - y(k, j - 1)) - c * Y[k, j] + h * c / b * X[k]
            dY[k, j] -= h * e / d * Z[k, j].sum()
            for i in range(I):
                dZ[k, j, i] = e * d * z(k, j, i - 1) * (z(k, j, i + 1) - z(k, j, i - 2)) - g * e * Z[k, j, i]
                dZ[k, j, i] += h * e / d * Y[k, j]
    return np.concatenate([dX, dY.ravel(), dZ.ravel()])


@pytest.mark.parametrize("sector", [False, True])
def test_lorenz96_equations_against_loops(sector):
    rng = np.random.default_rng(0)
    X, Y, Z = rng.standard_normal(5), rng.standard_normal((5, 4)), rng.standard_normal((5, 4, 6))
    constants = (20.0, 0.9, 8.0, 11.0, 7.0, 9.0, 1.5, 0.3)
    rhs = chaotic._lorenz96_rhs((5, 4, 6), *constants, sector)
    expected = brute_force_lorenz96(X, Y, Z, *constants, sector)
    assert_allclose(rhs(0, np.concatenate([X, Y.ravel(), Z.ravel()])), expected, rtol=1e-12)


@pytest.mark.parametrize("sector", [False, True])
def test_lorenz96_advection_and_coupling_keep_the_energy(sector):
    """Energy changes by forcing and decay alone: dE/dt = F sum X - decay sum X^2 - c sum Y^2 - g e sum Z^2."""
    rng = np.random.default_rng(1)
    state = rng.standard_normal(8 + 64 + 512)
    X, Y, Z = state[:8], state[8:72], state[72:]
    rhs = chaotic._lorenz96_rhs((8, 8, 8), 20.0, 1.0, 10.0, 10.0, 10.0, 10.0, 1.0, 1.0, sector)
    expected = 20 * X.sum() - X @ X - 10 * Y @ Y - 10 * Z @ Z
    assert_allclose(state @ rhs(0, state), expected, rtol=1e-10)


def test_lorenz96_one_tier_keeps_its_uniform_state_and_leaves_it_as_theory_says():
    """X = F is a fixed point; the wave of number m grows at the rate F (cos(2 pi m/n) - cos(4 pi m/n)) - 1."""
    n, F, m = 40, 8.0, 8
    rhs = chaotic._lorenz96_rhs((n, 0, 0), F, 1, 1, 1, 1, 1, 1, 1.0, False)
    assert_array_equal(rhs(0, np.full(n, F)), 0)
    wave, eps = np.exp(2j * np.pi * m * np.arange(n) / n), 1e-6
    growth = sum(part * rhs(0, F + eps * v) for part, v in ((1, wave.real), (1j, wave.imag))) / eps / wave
    phase = 2 * np.pi * m / n
    assert_allclose(growth.real, F * (np.cos(phase) - np.cos(2 * phase)) - 1, atol=1e-4)


def test_lorenz96_one_tier_has_the_known_statistics():
    X, _ = lorenz96(2000, dt=0.05, n_x=40, n_y=0, forcing=8, rtol=1e-5)
    assert_allclose(X.mean(), 2.35, atol=0.1)  # published climate of F = 8: mean 2.3 to 2.4, deviation 3.6
    assert_allclose(X.std(), 3.64, atol=0.1)
    assert_allclose((X**2).mean(), 8 * X.mean(), rtol=0.03)  # energy balance in the long run


def test_lorenz96_tiers_are_the_right_size():
    assert lorenz96(5, transient=0)[0].shape == (5, 8)
    assert lorenz96(5, n_x=6, n_y=4, n_z=0, transient=0)[0].shape == (5, 6)


# --- Mackey-Glass


def exact_first_two_delays(t, tau, start, beta=0.2, gamma=0.1, n=10):
    """Method of steps: constant drive in the first delay, quadrature in the second."""

    def f(x):
        return beta * x / (1 + x**n)

    def first(t):
        return f(start) / gamma + (start - f(start) / gamma) * np.exp(-gamma * t)

    if t <= tau:
        return first(t)
    driven = quad(lambda s: np.exp(-gamma * (t - s)) * f(first(s - tau)), tau, t, epsabs=1e-13, epsrel=1e-13)[0]
    return first(tau) * np.exp(-gamma * (t - tau)) + driven


@pytest.mark.parametrize("tau", [17, 3.3])
def test_mackey_glass_against_the_method_of_steps(tau):
    X, _ = mackey_glass(50, dt=tau / 25.5, tau=tau, start=0.7, transient=0)
    times = tau / 25.5 * np.arange(50)
    assert times[-1] > 1.9 * tau
    assert_allclose(X[:, 0], [exact_first_two_delays(t, tau, 0.7) for t in times], atol=1e-9)


def test_mackey_glass_is_of_fourth_order():
    def run(max_step):
        return mackey_glass(200, dt=0.5, tau=17, start=0.7, transient=0, max_step=max_step)[0][:, 0]

    reference = run(17 / 1360)
    errors = np.array([np.abs(run(17 / k) - reference).max() for k in (34, 68, 136)])
    assert_allclose(np.log2(errors[:-1] / errors[1:]), 4, atol=0.35)
    assert errors[-1] < 1e-6


def test_mackey_glass_fixed_point():
    fixed = (0.2 / 0.1 - 1) ** (1 / 10)  # beta / (1 + x^n) = gamma
    X, _ = mackey_glass(100, start=fixed, transient=0)
    assert_allclose(X, fixed, rtol=1e-12)


# --- errors


def test_errors():
    for system in (lorenz63, roessler, lorenz96, mackey_glass):
        with pytest.raises(ValueError, match="n_steps must be at least 1, got 0"):
            system(0)
        with pytest.raises(ValueError, match="dt must be positive, got nan"):
            system(10, dt=float("nan"))
        with pytest.raises(ValueError, match="transient must be at least 0, got -1"):
            system(10, transient=-1)
    with pytest.raises(ValueError, match=r"start must be 3 finite numbers, got \[1, 2\]"):
        lorenz63(10, start=[1, 2])
    with pytest.raises(ValueError, match=r"rtol must be in \(1e-13, 1\), got 0"):
        lorenz63(10, rtol=0)
    with pytest.raises(ValueError, match="The trajectory diverges"):
        roessler(10, start=[100, 100, 100])
    with pytest.raises(ValueError, match="n_x must be at least 4, n_y and n_z 0 or at least 4, got 8, 3, 8"):
        lorenz96(10, n_y=3)
    with pytest.raises(ValueError, match="wrap must be 'parent' or 'sector', got 'no'"):
        lorenz96(10, wrap="no")
    with pytest.raises(ValueError, match="tau must be positive, got 0"):
        mackey_glass(10, tau=0)
    with pytest.raises(ValueError, match="start must be a number of at least 0, got -1"):
        mackey_glass(10, start=-1)
    with pytest.raises(ValueError, match="The trajectory diverges"):
        mackey_glass(10, beta=1e300, n=0.5)
