"""A recurrent layer of LIF neurons written directly in JAX, by hand: what the translated model is measured against.

The equations are those of ``hrsnn.models.LIF`` with signed weights onto ``i_e`` and no refractory period; the surrogate
derivative is 1 / (1 + 10 |v - 1|)^2.
"""

import jax
import jax.numpy as jnp


@jax.custom_jvp
def spike(v):
    return (v > 1).astype(v.dtype)


@spike.defjvp
def _(primals, tangents):
    (v,), (dv,) = primals, tangents
    return spike(v), dv / jnp.square(1 + 10 * jnp.abs(v - 1))


def traces(w_in, w_rec, tau_m, X, dt=1e-3, tau_e=3e-3, tau_out=20e-3):
    """Return the filtered spikes after each step, (n_steps, n_samples, n_neurons), for X (n_samples, n_steps, n)."""
    leak_m, leak_e, leak_out = (jnp.exp(-dt / tau) for tau in (tau_m, tau_e, tau_out))
    drive = jnp.swapaxes(X, 0, 1) @ w_in

    def step(state, inputs):
        v, current, trace = state
        v = v + (current - v) * (1 - leak_m)
        s = spike(v)
        current = current * leak_e + inputs + s @ w_rec
        v = jnp.where(s > 0, 0.0, v)
        trace = trace * leak_out + s
        return (v, current, trace), trace

    start = (jnp.zeros(drive.shape[1:], drive.dtype),) * 3
    return jax.lax.scan(step, start, drive)[1]
