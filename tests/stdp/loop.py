"""The presentation network as a plain NumPy loop, written from the equations: the reference of the back ends."""

import numpy as np

from hrsnn.simulation.functions import uniform

DT = 0.5  # ms


def poisson_gap(p, seed, i, n):
    return 1 + int(np.floor(np.log(uniform(seed, i, n)) / np.log1p(-p))) if p > 0 else 1 << 30


def present(X, w, *, rates, n_on, n_rest, seed, eta, offset, tau=20.0, mu=0.9, w_total, theta_plus, learning=True,
            theta=20.0, max_retries=3, min_spikes=5, g_inh=17.0):  # fmt: skip
    """Show samples; return spikes as (step, neuron) pairs, final w and theta (mV), and presentations in all.

    ``rates`` is True for Poisson inputs (X in spikes a step) and False for one spike each (X in steps).
    """
    n_in, n = w.shape
    w = w.copy()
    v, g_e, g_i = np.full(n, -65.0), np.zeros(n), np.zeros(n)
    theta = np.full(n, float(theta))
    refractory = np.zeros(n, dtype=int)
    inhibited_next = np.zeros(n, dtype=bool)  # neurons that fired in the step before
    t_last = np.full(n_in, -np.inf)
    draw = np.zeros(n_in, dtype=int)
    spikes, step, n_presentations, sample, retries = [], 0, 0, 0, 0
    while sample < len(X):
        start, fired = step, 0
        if learning:
            w = w * (w_total / w.sum(axis=0))
        else:
            v, g_e, g_i, refractory[:], inhibited_next[:], draw[:] = -65.0 + 0 * v, 0 * g_e, 0 * g_i, 0, False, 0
        intensity = 1 + 0.5 * retries
        if rates:
            p = X[sample] * intensity
            next_step = np.array([start + poisson_gap(p[i], seed, i, draw[i]) - 1 for i in range(n_in)])
        else:
            next_step = start + X[sample]
        draw += 1
        for step in range(start, start + n_on + n_rest):
            refractory = np.maximum(refractory - 1, 0)
            total = 1 + g_e + g_i
            v_inf = (-65 + g_e * 0 + g_i * -100) / total
            v = np.where(refractory == 0, v_inf + (v - v_inf) * np.exp(-DT * total / 100), v)
            g_e, g_i = g_e * np.exp(-DT / 1), g_i * np.exp(-DT / 2)
            if learning:
                theta = theta * np.exp(-DT / 1e7)
            spiking = (v > -72 + theta) & (refractory == 0)
            inputs = np.flatnonzero((next_step == step) & (step < start + n_on))
            for j in np.flatnonzero(spiking):
                spikes.append((step, j))
                if learning:
                    change = eta * (np.exp((t_last - step * DT) / tau) - offset) * np.maximum(1 - w[:, j], 0) ** mu
                    w[:, j] = np.clip(w[:, j] + change, 0, 1)
            g_e = g_e + w[inputs].sum(axis=0)
            g_i = g_i + g_inh * (inhibited_next.sum() - inhibited_next)
            inhibited_next = spiking
            v = np.where(spiking, -65.0, v)
            refractory = np.where(spiking, 10, refractory)
            if learning:
                theta = theta + theta_plus * spiking
            t_last[inputs] = step * DT
            for i in inputs:
                next_step[i] = step + poisson_gap(p[i], seed, i, draw[i]) if rates else 1 << 30
                draw[i] += 1
            fired += int(spiking.sum())
        step = start + n_on + n_rest
        n_presentations += 1
        again = fired < min_spikes and retries < max_retries
        retries = retries + 1 if again else 0
        sample += not again
    return spikes, w, theta, n_presentations
