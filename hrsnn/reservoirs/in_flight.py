"""Spikes on their way: what a spike adds to a current after a delay waits in a ring of time steps.

The rings are arrays of the neurons, ``arriving_e`` and ``arriving_i`` of shape (n_slots, n_neurons): a spike is added
to the slot of its arrival, and each neuron takes what its slot of the present step holds. So delays are data of a run
as weights are, and currents on their way go from block to block with the state.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from brian2 import NeuronGroup
from brian2.core.functions import Function

__all__ = ["Ring", "n_slots", "send_later"]

SIGNS = ("e", "i")
_SEND = re.compile(r"^\{target\}_post \+= (.+)$", re.MULTILINE)

_CPP = {
    "send": """
static inline double _send_{sign}(int step, int lag, int j, double amount)
{{   // hrsnn: turns may meet
    brian::_array_{group}_arriving_{sign}[((step + lag) % {slots}) * {n} + j] += amount;
    return amount;
}}
""",
    "take": """
static inline double _taken_{sign}(int step, int j)
{{
    double* const slot = brian::_array_{group}_arriving_{sign} + (step % {slots}) * {n} + j;
    const double found = *slot;
    *slot = 0;
    return found;
}}
// The number of a neuron is the loop's own index: told so, the compiler reads the slot as a piece of memory.
#define _take_{sign}(step, j) _taken_{sign}(step, _idx)
""",
    "drop": """
static inline int _drop_{sign}(int fresh, int j)
{{
    if (fresh) for (int slot = 0; slot < {slots}; slot++) brian::_array_{group}_arriving_{sign}[slot * {n} + j] = 0;
    return fresh;
}}
""",
}

_CUDA = {
    "send": """
static inline __device__ double _send_{sign}(int step, int lag, int j, double amount)
{{
    auto* const slot = brian::d_array_{group}_arriving_{sign} + ((step + lag) % {slots}) * {n} + j;
    atomicAdd(slot, static_cast<decltype(*slot + *slot)>(amount));
    return amount;
}}
""",
    "take": """
static inline __device__ double _take_{sign}(int step, int j)
{{
    auto* const slot = brian::d_array_{group}_arriving_{sign} + (step % {slots}) * {n} + j;
    const double found = *slot;
    *slot = 0;
    return found;
}}
""",
    "drop": """
static inline __device__ int _drop_{sign}(int fresh, int j)
{{
    if (fresh) for (int slot = 0; slot < {slots}; slot++) brian::d_array_{group}_arriving_{sign}[slot * {n} + j] = 0;
    return fresh;
}}
""",
}

_CYTHON = {
    "send": """
cdef double _send_{sign}(int step, int lag, int j, double amount):
    global _namespacearriving_{sign}
    _namespacearriving_{sign}[((step + lag) % {slots}) * {n} + j] += amount
    return amount
""",
    "take": """
cdef double _take_{sign}(int step, int j):
    global _namespacearriving_{sign}
    cdef double found = _namespacearriving_{sign}[(step % {slots}) * {n} + j]
    _namespacearriving_{sign}[(step % {slots}) * {n} + j] = 0
    return found
""",
    "drop": """
cdef int _drop_{sign}(int fresh, int j):
    global _namespacearriving_{sign}
    cdef int slot
    if fresh:
        for slot in range({slots}):
            _namespacearriving_{sign}[slot * {n} + j] = 0
    return fresh
""",
}


def n_slots(longest: int) -> int:
    """Return the slots of a ring for delays up to ``longest`` time steps: some more, so that programs serve many laws.

    Parameters
    ----------
    longest : int
    """
    needed = longest + 1
    quantum = 1 << max(4, needed.bit_length() - 3)  # four sizes an octave
    return -(-needed // quantum) * quantum


def send_later(on_pre: str, sign: str) -> str:
    """Return statements at a presynaptic spike that send to the ring, ``lag`` steps ahead, what they added at once.

    Parameters
    ----------
    on_pre : str
        With lines ``{target}_post += ...``.
    sign : {"e", "i"}

    Raises
    ------
    ValueError
        If no line has that form, or another one names the target: it cannot be delayed.
    """
    lines = "\n".join(line.strip() for line in on_pre.splitlines() if line.strip())
    found, count = _SEND.subn(rf"sent = send_{sign}(t_in_timesteps, lag, i_post, \1)", lines)
    if not count or "{target}" in found:
        raise ValueError(f"A delayed synapse drives its target by lines '{{target}}_post += ...' alone, got:\n{lines}")
    return found


class Ring:
    """The currents on their way to a group of neurons, and the functions that send, take and drop them.

    Parameters
    ----------
    neurons : brian2.NeuronGroup
        Gets the arrays ``arriving_e`` and ``arriving_i``.
    slots : int
        Time steps that the ring holds (see `n_slots`).
    """

    def __init__(self, neurons: NeuronGroup, slots: int):
        self.slots, self.n, self.group = slots, neurons.N, neurons.name
        for sign in SIGNS:
            neurons.variables.add_array(f"arriving_{sign}", size=slots * self.n, read_only=False)
        self.arrays = {sign: neurons.variables[f"arriving_{sign}"] for sign in SIGNS}

    def functions(self) -> dict[str, Function]:
        """Return the functions by name: ``send_e(step, lag, j, amount)``, ``take_e(step, j)``, ``drop_e(fresh, j)``."""
        twins = {"send": (self._send, 4, "float"), "take": (self._take, 2, "float"), "drop": (self._drop, 2, "integer")}
        return {
            f"{verb}_{sign}": self._function(verb, sign, twin(sign), n_arguments, return_type)
            for sign in SIGNS
            for verb, (twin, n_arguments, return_type) in twins.items()
        }

    def _function(self, verb: str, sign: str, twin: Callable[..., Any], n_arguments: int, return_type: str) -> Function:
        # Stateless to Brian2, which would refuse the sum of several arrivals as dependent on its order.
        function = Function(twin, arg_units=[1] * n_arguments, return_unit=1, return_type=return_type)
        settings = dict(sign=sign, slots=self.slots, n=self.n, group=self.group)
        name = f"_{verb}_{sign}"
        function.implementations.add_implementation("cpp", _CPP[verb].format(**settings), name=name)
        function.implementations.add_implementation("cuda", _CUDA[verb].format(**settings), name=name)
        function.implementations.add_dynamic_implementation(
            "cython",
            code=lambda owner: _CYTHON[verb].format(**settings),
            namespace=lambda owner: {f"arriving_{sign}": self.arrays[sign].get_value()},
            name=name,
        )
        return function

    def _send(self, sign: str) -> Callable[..., Any]:
        def send(step: Any, lag: Any, j: Any, amount: Any) -> Any:
            place = (np.asarray(step + lag) % self.slots) * self.n + j
            np.add.at(self.arrays[sign].get_value(), place, amount)
            return amount

        return send

    def _take(self, sign: str) -> Callable[..., Any]:
        def take(step: Any, j: Any) -> Any:
            values, place = self.arrays[sign].get_value(), (step % self.slots) * self.n + np.asarray(j)
            found = values[place].copy()
            values[place] = 0
            return found

        return take

    def _drop(self, sign: str) -> Callable[..., Any]:
        def drop(fresh: Any, j: Any) -> Any:
            if np.any(fresh):
                self.arrays[sign].get_value()[...] = 0
            return fresh

        return drop
