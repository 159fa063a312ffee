"""Integration of a neuron's equations, in a form that a compiler can vectorise."""

from __future__ import annotations

from typing import Any

import sympy as sp
from brian2.equations.equations import Equations
from brian2.parsing.sympytools import sympy_to_str
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException
from brian2.stateupdaters.exponential_euler import get_conditionally_linear_system

__all__ = ["ExponentialEuler"]


class ExponentialEuler(StateUpdateMethod):
    """Integrate conditionally linear equations by exponential Euler, without branches.

    dx/dt = -r (x - x_inf), with r and x_inf frozen over a step, gives x + (x_inf - x)(1 - exp(-r dt)).
    Variables in ``held`` keep their value while ``refractory_left`` > 0. The loop has no branch and calls an
    exponential that the compiler can vectorise, which is why it replaces Brian2's method of the same scheme.

    Parameters
    ----------
    held : tuple of str
        Variables that the refractory period holds; empty if the model has no refractory period.
    """

    def __init__(self, held: tuple[str, ...] = ()):
        self.held = held

    def __call__(self, equations: Equations, variables: Any = None, method_options: Any = None) -> str:
        """Return the update of one step, as Brian2 statements."""
        if equations.is_stochastic:
            raise UnsupportedEquationsException("Exponential Euler cannot integrate stochastic equations.")
        code = []
        if self.held:
            code += ["refractory_left = refractory_left - dt", "_active = int(refractory_left < 0.5*dt)"]
        try:
            system = get_conditionally_linear_system(equations, variables)
        except ValueError as error:
            raise UnsupportedEquationsException(
                f"Exponential Euler needs equations that are linear in their own variable: {error}"
            ) from error
        dt = sp.Symbol("dt", real=True, positive=True)
        for name, (A, B) in system.items():
            x = sp.Symbol(name, real=True)
            decay = f"fast_exp({sympy_to_str(sp.factor(A) * dt)})"
            if B == 0 and name not in self.held:
                code += [f"_{name} = {name}*{decay}"]
                continue
            change = f"({sympy_to_str(sp.cancel(-B / A) - x)})*(1 - {decay})" if A != 0 else sympy_to_str(dt * B)
            hold = "_active*" if name in self.held else ""
            code += [f"_{name} = {name} + {hold}({change})"]
        code += [f"{name} = _{name}" for name in system]
        return "\n".join(code)
