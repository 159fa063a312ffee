"""Coupled ensembles as a plain NumPy loop, written from the equations: the reference of the back ends.

Inputs are Poisson spikes. Equations of Rathi (2021), chapter 3: each ensemble is the network of ``loop.py``; a spike
of neuron i of one ensemble adds gain * w[i, j] to the conductance of neuron j of the other, and w changes when j fires.
"""

import numpy as np
from loop import DT, poisson_gap


def power_law(w, since, eta, offset, tau, mu=0.9):
    return np.clip(w + eta * (np.exp(-since / tau) - offset) * np.maximum(1 - w, 0) ** mu, 0, 1)


def present_coupled(X, W, couplings, *, n_on, n_rest, seeds, eta, offset, w_total, theta_plus, theta=20.0, tau=20.0,
                    cross, learning=True, max_retries=3, min_spikes=5, g_inh=17.0):  # fmt: skip
    """Show samples to ensembles; return spikes (step, neuron) of each, W, couplings, all presentations, those read.

    X : (n_samples, n_frames, n_inputs) for each ensemble, spikes a step.  W : (n_inputs, n_neurons) for each.
    couplings : {(source, target): (w, mask)}, both (n_source, n_target).  cross : eta, offset, tau and gain of these.
    """
    n_each = [w.shape[1] for w in W]
    W, couplings = [w.copy() for w in W], {k: (w.copy(), mask) for k, (w, mask) in couplings.items()}
    E = range(len(W))
    v, g_e, g_i = [np.full(n, -65.0) for n in n_each], [np.zeros(n) for n in n_each], [np.zeros(n) for n in n_each]
    theta = [np.full(n, float(theta)) for n in n_each]
    refractory = [np.zeros(n, dtype=int) for n in n_each]
    inhibited = [np.zeros(n, dtype=bool) for n in n_each]  # neurons that fired in the step before
    t_in, draw = [np.full(len(w), -np.inf) for w in W], [np.zeros(len(w), dtype=int) for w in W]
    t_exc = [np.full(n, -np.inf) for n in n_each]
    spikes, step, n_presentations, sample, retries = [[] for _ in E], 0, 0, 0, 0
    intensity = np.ones(len(W))
    read = np.zeros((len(X[0]), len(W)), dtype=int)
    while sample < len(X[0]):
        start, fired = step, np.zeros(len(W), dtype=int)
        for e in E:
            if learning:
                W[e] = W[e] * (w_total[e] / W[e].sum(axis=0))
            else:
                v[e][:], g_e[e][:], g_i[e][:], refractory[e][:], inhibited[e][:], draw[e][:] = -65.0, 0, 0, 0, False, 0
        for step in range(start, start + n_on + n_rest):
            spiking, inputs, next_v = [], [], []
            for e in E:
                refractory[e] = np.maximum(refractory[e] - 1, 0)
                total = 1 + g_e[e] + g_i[e]
                v_inf = (-65 + g_i[e] * -100) / total
                v[e] = np.where(refractory[e] == 0, v_inf + (v[e] - v_inf) * np.exp(-DT * total / 100), v[e])
                g_e[e], g_i[e] = g_e[e] * np.exp(-DT / 1), g_i[e] * np.exp(-DT / 2)
                if learning:
                    theta[e] = theta[e] * np.exp(-DT / 1e7)
                spiking.append((v[e] > -72 + theta[e]) & (refractory[e] == 0))
                n_frame = n_on // X[e].shape[1]
                frame, into = divmod(step - start, n_frame)
                if into == 0:  # a frame begins: its rates hold for its steps
                    p = X[e][sample, frame] * intensity[e] if frame < X[e].shape[1] else np.zeros(len(W[e]))
                    gaps = [poisson_gap(p[i], seeds[e], i, draw[e][i]) for i in range(len(p))]
                    next_v.append((p, np.array(gaps) - 1 + step, step + n_frame * (frame < X[e].shape[1])))
                    draw[e] += X[e].shape[1] > 1 or frame == 0
                else:
                    next_v.append(shown[e])  # noqa: F821
            shown = next_v
            for e in E:
                p, next_step, end = shown[e]
                inputs.append(np.flatnonzero((next_step == step) & (step < end)))
                for j in np.flatnonzero(spiking[e]):
                    spikes[e].append((step, j))
                    if learning:
                        W[e][:, j] = power_law(W[e][:, j], step * DT - t_in[e], eta, offset, tau)
                        for (a, b), (w, mask) in couplings.items():
                            if b == e:
                                new = power_law(
                                    w[:, j], step * DT - t_exc[a], *(cross[k] for k in ("eta", "offset", "tau"))
                                )
                                w[:, j] = np.where(mask[:, j], new, 0)
            for e in E:
                p, next_step, end = shown[e]
                g_e[e] = g_e[e] + W[e][inputs[e]].sum(axis=0)
                for (a, b), (w, _) in couplings.items():
                    if b == e:
                        g_e[e] = g_e[e] + cross["gain"] * w[spiking[a]].sum(axis=0)
                g_i[e] = g_i[e] + g_inh * (inhibited[e].sum() - inhibited[e])
            for e in E:
                p, next_step, end = shown[e]
                inhibited[e] = spiking[e]
                v[e] = np.where(spiking[e], -65.0, v[e])
                refractory[e] = np.where(spiking[e], 10, refractory[e])
                if learning:
                    theta[e] = theta[e] + theta_plus * spiking[e]
                t_in[e][inputs[e]] = step * DT
                t_exc[e][spiking[e]] = step * DT
                for i in inputs[e]:
                    next_step[i] = step + poisson_gap(p[i], seeds[e], i, draw[e][i])
                    draw[e][i] += 1
                fired[e] += int(spiking[e].sum())
        step = start + n_on + n_rest
        n_presentations += 1
        read[sample, intensity > 0] = n_presentations - 1
        has_input = np.array([X[e][sample].any() for e in E]) & (intensity > 0)
        quiet = (fired < min_spikes) & has_input & (retries < max_retries)
        retries = retries + 1 if quiet.any() else 0
        intensity = (intensity + 0.5) * quiet if quiet.any() else np.ones(len(W))
        sample += not quiet.any()
    return spikes, W, {key: w for key, (w, _) in couplings.items()}, n_presentations, read
