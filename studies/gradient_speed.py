"""Seconds of a gradient through a declared recurrent network, against the same network written by hand."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from brian2 import ms

from hrsnn import plots
from hrsnn.lab import main, study
from hrsnn.laws import Gamma
from hrsnn.models import LIF

REFERENCE = Path(__file__).parent.parent / "tests" / "reference" / "lif_jax.py"


@study(quick=dict(n_neurons=64, n_samples=32, repeats=3, long_neurons=200, long_steps=200))
def gradient_speed(
    run,
    n_neurons=256,
    n_inputs=64,
    n_steps=100,
    n_samples=128,
    repeats=7,
    one_core=True,
    long_neurons=1000,
    long_steps=1000,
    long_samples=64,
    seed=0,
):
    """Measure how long a forward and backward pass takes, and what memory a long one needs.

    A recurrent layer of declared LIF neurons whose time constants are trained, a value a time step for each input,
    in single precision: declared, as `hrsnn.gradient` translates it; by hand, the same equations written directly in
    JAX (tests/reference/lif_jax.py, only in a checkout); torch, a loop over time steps in PyTorch, where it is
    installed. They take turns; ratios are medians of ratios within a turn. Both in JAX give equal losses, which the
    run checks.

    memory_gb is what XLA sets aside for the states of the long pass (``long_steps`` of ``long_neurons``), by its own
    account; nothing is run for it.
    """
    if one_core and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before JAX counts the cores; for good
    import jax
    import jax.numpy as jnp

    from hrsnn.gradient import Layer, SpikingNetwork

    neuron = LIF(tau_m=Gamma(20 * ms, 3, low=2 * ms), t_ref=0 * ms)
    network = SpikingNetwork([Layer(n_neurons, neuron, recurrent=True, train="tau_m")], n_inputs, 1 * ms, seed=seed)
    rng = np.random.default_rng(seed)
    X = rng.random((n_samples, n_steps, n_inputs), dtype=np.float32)
    weights = network.calibrated(network.weights(), X, 0.05)

    def loss(traces: Any) -> Any:
        return jnp.mean(jnp.square(traces.mean(axis=(0, 2)) - 1.0))

    forms: dict[str, Callable[[], Any]] = {}
    declared = jax.jit(jax.value_and_grad(lambda weights, X: loss(network.run(weights, X).traces)))
    forms["declared"] = lambda: jax.block_until_ready(declared(weights, X))
    if REFERENCE.is_file():
        own = _load(REFERENCE)

        def by_hand(weights: Any, X: Any) -> Any:
            synapses, tau_m = network.synapses(weights)[0], network.parameters(weights)[0]["tau_m"]
            return loss(own.traces(synapses["w"], synapses["recurrent"], tau_m, X))

        hand = jax.jit(jax.value_and_grad(by_hand))
        forms["by hand"] = lambda: jax.block_until_ready(hand(weights, X))
    if importlib.util.find_spec("torch") is not None:
        forms["torch"] = _torch(network, weights, X, one_core)
    compile_s = {name: _timed(form) for name, form in forms.items()}
    values = [float(forms[name]()[0]) for name in ("declared", "by hand") if name in forms]
    if not np.allclose(values, values[0], rtol=1e-5):
        raise RuntimeError(f"The declared network and that by hand differ: losses {values}.")
    turns = [{name: _timed(form) for name, form in forms.items()} for _ in run.progress(range(repeats), label="turns")]
    rows: list[dict[str, Any]] = []
    for name in forms:
        seconds = [turn[name] for turn in turns]
        ratios = [turn[name] / turn["by hand"] for turn in turns] if "by hand" in forms else [float("nan")]
        rows.append({"form": name, "seconds": median(seconds), "ratio": median(ratios), "first_s": compile_s[name]})
    run.table("passes", rows)
    run.save(
        device=jax.devices()[0].device_kind,
        **{f"seconds_{row['form'].replace(' ', '_')}": row["seconds"] for row in rows},
    )
    run.save(**{f"ratio_{row['form'].replace(' ', '_')}": row["ratio"] for row in rows if row["form"] != "by hand"})
    long = SpikingNetwork([Layer(long_neurons, LIF(t_ref=0 * ms), recurrent=True)], n_inputs, 1 * ms, seed=seed)
    slopes = jax.jit(jax.grad(lambda weights, X: loss(long.run(weights, X).traces)))
    shape = jax.ShapeDtypeStruct((long_samples, long_steps, n_inputs), jnp.float32)
    used = slopes.lower(long.weights(), shape).compile().memory_analysis()
    if used is not None:
        run.save(memory_gb=used.temp_size_in_bytes / 1e9)
    figure, axes = plots.figure()
    axes.barh([row["form"] for row in rows], [row["seconds"] for row in rows], color=plots.COLOURS[0])
    axes.set_xlabel("seconds forward and backward")
    run.figure("seconds", figure)


def _timed(function: Callable[[], Any]) -> float:
    start = perf_counter()
    function()
    return perf_counter() - start


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{path} cannot be read.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _torch(network: Any, weights: Any, X: np.ndarray, one_core: bool) -> Callable[[], Any]:
    """Return a pass of the same network as a loop over time steps in PyTorch."""
    import torch  # type: ignore[import-not-found]

    if one_core:
        torch.set_num_threads(1)

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, v: Any) -> Any:
            ctx.save_for_backward(v)
            return (v > 1).to(v.dtype)

        @staticmethod
        def backward(ctx: Any, slope: Any) -> Any:
            (v,) = ctx.saved_tensors
            return slope / (1 + 10 * (v - 1).abs()) ** 2

    synapses, tau_m = network.synapses(weights)[0], network.parameters(weights)[0]["tau_m"]
    w, recurrent, tau = (
        torch.tensor(np.array(value), requires_grad=True) for value in (synapses["w"], synapses["recurrent"], tau_m)
    )
    samples = torch.tensor(X)
    leak_e, leak_out = np.exp(-1 / 3), np.exp(-1 / 20)

    def run() -> float:
        for leaf in (w, recurrent, tau):
            leaf.grad = None
        keep = 1 - torch.exp(-1e-3 / tau)
        drive = samples @ w
        v = current = trace = torch.zeros(X.shape[0], w.shape[1])
        total = torch.zeros(X.shape[0])
        for k in range(X.shape[1]):
            v = v + (current - v) * keep
            s = Spike.apply(v)
            current = current * leak_e + drive[:, k] + s @ recurrent
            v = torch.where(s > 0, 0.0, v)
            trace = trace * leak_out + s
            total = total + trace.mean(1)
        value = ((total / X.shape[1] - 1.0) ** 2).mean()
        value.backward()
        return value.item()

    return run


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
