"""The recurrent network as a plain NumPy loop, written from the equations: the reference of the back ends."""

import numpy as np

from hrsnn.simulation.functions import uniform


def poisson_gap(p, seed, i, n):
    return 1 + int(np.floor(np.log(uniform(seed, i, n)) / np.log1p(-p))) if p > 0 else 1 << 30


class Loop:
    """State and parameters of a network as a Liquid makes it; weights as matrices [pre, post]."""

    def __init__(self, liquid):
        network = liquid.plastic
        self.n, self.code, self.n_in = network.n_neurons, network.code, network.n_inputs
        self.dt, self.n_total = float(network.dt), network.n_total
        self.names = ("inputs", "excitation", "inhibition")
        get = lambda name: np.broadcast_to(liquid.values[f"neurons.{name}"], self.n + 1)[: self.n]  # noqa: E731
        names = ("tau_m", "v_rest", "v_reset", "v_thresh", "t_ref", "tau_e", "tau_i", "drive")
        self.p = {k: get(k) for k in names if f"neurons.{k}" in liquid.values}
        self.taus = [liquid.values[f"neurons.tau_x_{k}"] for k in range(network.filters)]
        self.seed, self.smooth, self.membrane = liquid.seed, network.smooth, network.membrane
        self.reads_current = network.current
        self.synapses = {}
        for name in self.names:
            i, j = liquid.wiring[name]
            s = {
                "i": i,
                "j": j,
                "w": liquid.initial[name].copy(),
                "x_plus": np.zeros(len(i)),
                "x_minus": np.zeros(len(i)),
            }
            s["lag"] = np.asarray(liquid.values.get(f"{name}.lag", np.zeros(len(i), int)))[: len(i)]
            for key in ("A_plus", "A_minus", "tau_plus", "tau_minus", "w_min", "w_max", "U", "tau_rec", "tau_facil"):
                if f"{name}.{key}" in liquid.learning:
                    value = np.asarray(liquid.learning[f"{name}.{key}"], dtype=float)
                    s[key] = value[: len(i)] if value.ndim else np.full(len(i), value)
            self.synapses[name] = s
        self.constants = self.code.constants(network.n_features)
        self.gain = np.reshape(liquid.values.get("currents.w_0", np.zeros(0)), (-1, self.n))
        self.current = self.bias = liquid.values.get("neurons.bias", np.zeros(self.n + 1))[: self.n]
        self.rest()

    def rest(self):
        n = self.n
        self.v, self.i_e, self.i_i = self.p["v_rest"].copy(), np.zeros(n), np.zeros(n)
        for s in self.synapses.values():
            s["u"], s["R"] = np.zeros(len(s["i"])), np.ones(len(s["i"]))
        self.flying = {}  # what arrives in which time step: excitation and inhibition of each neuron
        self.y = [np.zeros(n) for _ in self.taus]
        self.refractory, self.x = np.zeros(n), [np.zeros(n) for _ in self.taus]
        self.phase, self.draw = self.constants["phase_start"].copy(), np.zeros(self.n_in, dtype=int)
        self.next_step = np.full(self.n_in, 1 << 30)

    def features(self, squares):
        further = [*([self.v] if self.membrane else []), *([self.i_e - self.i_i] if self.reads_current else [])]
        f = np.stack([*(self.y if self.smooth else self.x), *further])
        return np.concatenate([f, f**2] if squares else [f]).ravel()

    def run(self, table, forced, fresh, learn, readout=None, squares=False):
        u, values, states, spikes, step = None, [], [], [], 0
        for k in range(len(table)):
            y = None
            if readout is not None and u is not None:
                sums = lambda part: self.features(squares) @ part.state + u @ part.values + part.bias  # noqa: B023, E731
                y = sums(readout) + (np.tanh(sums(readout.hidden)) @ readout.out if readout.hidden else 0)
                y = np.clip(y, 0, 1)
            u = table[k] if forced[k] else y
            if fresh[k]:
                self.rest()
            rate = self.code.rates(u[None])[0] * self.dt
            self.current = self.bias + ((2 * u - 1) @ self.gain if len(self.gain) else 0)
            if self.code.spikes == "poisson":
                for i in range(self.n_in):
                    self.next_step[i] = step + poisson_gap(rate[i], self.seed, i, self.draw[i]) - 1
                self.draw += 1
            for _ in range(self.n_total):
                spikes += [(step, j) for j in self.advance(rate, step, learn)]
                step += 1
            values.append(u)
            states.append(self.features(squares))
        return np.array(values), np.array(states), spikes

    def advance(self, rate, step, learn):
        dt, p = self.dt, self.p
        self.phase = self.phase + rate
        self.refractory = self.refractory - dt
        active = self.refractory < 0.5 * dt
        goal = p["v_rest"] + p.get("drive", 0) + self.current + self.i_e - self.i_i
        self.v = self.v + active * (goal - self.v) * (1 - np.exp(-dt / p["tau_m"]))
        self.i_e, self.i_i = self.i_e * np.exp(-dt / p["tau_e"]), self.i_i * np.exp(-dt / p["tau_i"])
        self.y = [x + (y - x) * np.exp(-dt / tau) for x, y, tau in zip(self.x, self.y, self.taus, strict=True)]
        self.x = [x * np.exp(-dt / tau) for x, tau in zip(self.x, self.taus, strict=True)]
        fired = (self.v > p["v_thresh"]) & (self.refractory < 0.5 * dt)
        inputs = self.phase >= 1 if self.code.spikes == "regular" else self.next_step == step
        for name, s in self.synapses.items():
            pre, post = (inputs if name == "inputs" else fired)[s["i"]], fired[s["j"]]
            share = np.ones(len(pre))
            if "U" in s:  # short-term dynamics: u decays to 0, R recovers to 1
                u = s["u"] * np.exp(-dt / s["tau_facil"])
                u = np.where(pre, s["U"] + u * (1 - s["U"]), u)
                R = 1 - (1 - s["R"]) * np.exp(-dt / s["tau_rec"])
                share, s["u"], s["R"] = u * R, u, np.where(pre, R - u * R, R)
            for k in np.flatnonzero(pre):
                slot = self.flying.setdefault(step + s["lag"][k], np.zeros((2, self.n)))
                slot[int(name == "inhibition"), s["j"][k]] += s["w"][k] * share[k]
            if learn:
                s["x_plus"] *= np.exp(-dt / s["tau_plus"])
                s["x_minus"] *= np.exp(-dt / s["tau_minus"])
                w = np.where(pre, np.clip(s["w"] - s["A_minus"] * s["x_minus"], s["w_min"], s["w_max"]), s["w"])
                s["w"] = np.where(post, np.clip(w + s["A_plus"] * s["x_plus"], s["w_min"], s["w_max"]), w)
                s["x_plus"] += pre
                s["x_minus"] += post
        arriving = self.flying.pop(step, np.zeros((2, self.n)))
        self.i_e, self.i_i = self.i_e + arriving[0], self.i_i + arriving[1]
        self.v = np.where(fired, p["v_reset"], self.v)
        self.refractory = np.where(fired, p["t_ref"], self.refractory)
        self.x = [x + fired for x in self.x]
        if self.code.spikes == "regular":
            self.phase = self.phase - inputs
        else:
            for i in np.flatnonzero(inputs):
                self.next_step[i] = step + poisson_gap(rate[i], self.seed, i, self.draw[i])
                self.draw[i] += 1
        return np.flatnonzero(fired)
