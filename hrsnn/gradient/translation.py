"""A group of declared neurons as pure functions: Brian2's own statements of a step, evaluated on JAX arrays.

The text is that of the model; nothing is written a second time. What depends on parameters alone is computed once
before the first step.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Set
from typing import Any

import jax.numpy as jnp
import numpy as np
from brian2 import NeuronGroup
from brian2.core.functions import Function
from brian2.core.variables import ArrayVariable, Constant, Subexpression

from hrsnn.gradient.surrogates import Surrogate, spike
from hrsnn.simulation.brian2_hooks import statements

__all__ = ["Translation", "Untranslatable"]

State = dict[str, Any]
Values = Mapping[str, Any]

#: Functions that a model may call, as JAX has them.
FUNCTIONS = {
    "abs": jnp.abs, "arccos": jnp.arccos, "arcsin": jnp.arcsin, "arctan": jnp.arctan, "ceil": jnp.ceil,
    "clip": jnp.clip, "cos": jnp.cos, "cosh": jnp.cosh, "exp": jnp.exp,
    "exprel": lambda x: jnp.where(x == 0, 1.0, jnp.expm1(x) / jnp.where(x == 0, 1.0, x)),
    "fast_exp": jnp.exp, "fast_pow": lambda x, y: jnp.where(x > 0, jnp.power(jnp.where(x > 0, x, 1.0), y), y == 0),
    "floor": jnp.floor, "int": lambda x: jnp.trunc(x).astype(int), "log": jnp.log, "log10": jnp.log10,
    "sign": jnp.sign, "sin": jnp.sin, "sinh": jnp.sinh, "sqrt": jnp.sqrt, "tan": jnp.tan, "tanh": jnp.tanh,
    "timestep": lambda t, dt: jnp.trunc((t + 1e-3 * dt) / dt).astype(int),
}  # fmt: skip
RANDOM = {"rand", "randn", "xi", "poisson", "poisson_gap"}
#: Names by which a condition tells the refractory period: they gate a spike and have no derivative.
GATES = {"refractory_left", "not_refractory", "lastspike"}
BEFORE = ("before_start", "start", "after_start", "before_groups")
BETWEEN = ("after_groups", "before_thresholds")
AFTER = ("after_resets", "before_end", "end", "after_end")
COMPARISONS = (ast.Gt, ast.GtE, ast.Lt, ast.LtE)


class Untranslatable(ValueError):
    """A model has something that cannot be differentiated; the message names its line."""


class Translation:
    """One time step of a group of neurons, as pure functions of arrays whose last axis is the neurons'.

    Brian2's order within a step is ``advance``, ``spikes``, what synapses add, ``reset``.

    Parameters
    ----------
    group : brian2.NeuronGroup
        Any integration method whose step Brian2 can write as statements; conditions and resets of events named
        ``spike``; ``refractory``; ``run_regularly``.
    title : str, optional
        What error messages call it; its name if not given.
    own : mapping of str to array, optional
        Parameters in SI units that replace those of the group.

    Attributes
    ----------
    state : tuple of str
        Variables that change.
    parameters : mapping of str to array
        Constants and their values in SI units: of shape (n,), or () where all neurons share one.
    dt : float
        Time step in seconds.

    Raises
    ------
    Untranslatable
        If a function, a random number or a condition has no derivative, with the line of the model.
    """

    def __init__(self, group: NeuronGroup, title: str | None = None, own: Values | None = None):
        self.title = title or group.name
        self.dt = float(group.clock.dt)
        self.n = len(group)
        found = statements(group)
        self._names = found["names"]
        known = {key: value for key, value in group.variables.items() if not key.startswith("_")}
        self._inlined = {key: v.expr for key, v in known.items() if isinstance(v, Subexpression)}
        arrays = {key: v for key, v in known.items() if isinstance(v, ArrayVariable)}
        self.parameters = {
            key: np.array(v.get_value()).reshape(() if v.scalar else (self.n,))
            for key, v in arrays.items()
            if v.constant and key not in ("dt", "N", "i")
        } | dict(own or {})
        self.state = tuple(
            key for key, v in arrays.items() if not v.constant and key not in ("t", "t_in_timesteps", "i", "N", "dt")
        )
        self._initial = {key: np.array(arrays[key].get_value()).reshape(-1) for key in self.state}
        self._held = {key: v.conditional_write.name for key, v in arrays.items() if v.conditional_write is not None}
        self._constant = {*self.parameters, "dt", "i", "N"} | {
            key for key, value in self._names.items() if isinstance(value, Constant)
        }
        self._hoisted: dict[str, Any] = {}
        regular = {slot: [op for op in found["regular"] if op[0] in slot] for slot in (BEFORE, BETWEEN, AFTER)}
        if odd := [op for op in found["regular"] if op[0] not in BEFORE + BETWEEN + AFTER]:
            raise Untranslatable(f"{self.title}: run_regularly at {odd[0][0]!r} is not supported: {odd[0][2]}")
        self._advance = [
            *self._regular(regular[BEFORE]), (1, self._block(found["update"])), *self._regular(regular[BETWEEN])
        ]  # fmt: skip
        self._left, self._right, self._gate, self._inclusive = self._condition(found["threshold"])
        self._reset = self._block(found["reset"])
        self._after = self._regular(regular[AFTER])
        rising = ast.BinOp(self._right[0], ast.Sub(), self._left[0])
        self._distance = _compiled(ast.Expression(ast.fix_missing_locations(rising)))

    # The step

    def initial(self) -> State:
        """Return the state before the first step, as the group has it: arrays of shape (n,)."""
        return {key: jnp.asarray(_floats(value)) for key, value in self._initial.items()}

    def constants(self, parameters: Values) -> State:
        """Return all that depends on parameters alone: computed once, read in every step.

        Parameters
        ----------
        parameters : mapping of str to array
            Values that replace those of the group.
        """
        values: State = {key: jnp.asarray(_floats(value)) for key, value in self.parameters.items()}
        for key, value in self._names.items():
            if isinstance(value, Constant):
                values[key] = float(value.get_value())
        values |= {"dt": self.dt, "i": jnp.arange(self.n), "N": self.n, **parameters}
        environment = {**HELPERS, **values}
        return {**values, **{key: eval(code, environment) for key, code in self._hoisted.items()}}

    def values(self, expressions: Mapping[str, str], constants: Values) -> State:
        """Return the values of expressions of constants, such as a model's ``rest``."""
        environment = {**HELPERS, **constants}
        return {
            key: jnp.asarray(
                eval(_compiled(ast.parse(text, mode="eval")), environment), jnp.result_type(float)
            )
            for key, text in expressions.items()
        }  # fmt: skip

    def advance(self, state: State, constants: Values, k: Any) -> State:
        """Return the state after the update of step ``k``, before the threshold."""
        return self._run(self._advance, state, constants, k)

    def spikes(self, state: State, constants: Values, k: Any, surrogate: Surrogate, scale: Any, age: Any) -> Any:
        """Return 1 where a neuron fires in step ``k``, else 0; ``scale`` and ``age`` as in ``surrogates.spike``."""
        environment = self._environment(state, constants, k)
        left, right = eval(self._left[1], environment), eval(self._right[1], environment)
        fired = spike(surrogate, self._inclusive, left, right, scale, age)
        return fired * eval(self._gate, environment) if self._gate is not None else fired

    def distance(self, state: State, constants: Values) -> Any:
        """Return how far below its threshold each neuron is."""
        return eval(self._distance, self._environment(state, constants, 0))

    def reset(self, state: State, constants: Values, k: Any, spikes: Any, differentiable: bool = False) -> State:
        """Return the state after the reset of what fired; ``differentiable`` lets the gradient pass through it."""
        new = self._run([(1, self._reset)], state, constants, k, held=False)
        for key in self.state:
            if new[key] is not state[key]:
                choose = _mixed if differentiable else _chosen
                state = {**state, key: choose(spikes, new[key], state[key])}
        return self._run(self._after, state, constants, k)

    def fired(self, state: State, k: Any, spikes: Any) -> State:
        """Return the state with what Brian2 notes of a spike at the threshold: its time, and that it is refractory."""
        if "lastspike" in state:
            state = {**state, "lastspike": _chosen(spikes, k * self.dt, state["lastspike"])}
        if "not_refractory" in state:
            state = {**state, "not_refractory": _chosen(spikes, False, state["not_refractory"])}
        return state

    def receive(self, state: State, target: str, arriving: Any) -> State:
        """Return the state after synapses have added to a variable, unless the refractory period holds it."""
        value = state[target] + arriving
        if target in self._held:
            value = jnp.where(state[self._held[target]] > 0, value, state[target])
        return {**state, target: value}

    def _environment(self, state: State, constants: Values, k: Any) -> dict[str, Any]:
        return {**HELPERS, **constants, **state, "t": k * self.dt, "t_in_timesteps": k}

    def _run(self, blocks: Any, state: State, constants: Values, k: Any, held: bool = True) -> State:
        environment = self._environment(state, constants, k)
        for period, block in blocks:
            before = {key: environment[key] for key in self.state}
            for name, code in block:
                value = eval(code, environment)
                if held and name in self._held:
                    value = jnp.where(environment[self._held[name]] > 0, value, environment[name])
                environment[name] = value
            if period > 1:
                for key, value in before.items():
                    if environment[key] is not value:
                        environment[key] = jnp.where(k % period == 0, environment[key], value)
        return {key: _like(environment[key], state[key]) for key in self.state}

    # The text

    def _regular(self, operations: Any) -> list[Any]:
        return [(period, self._block(text)) for _, period, text in operations]

    def _block(self, text: str) -> list[tuple[str, Any]]:
        """Return the statements of a text as (variable, code), in their order."""
        block = []
        local: set[str] = set()
        for statement in ast.parse(text).body:
            line = ast.unparse(statement)
            if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
                value: ast.expr = ast.BinOp(ast.Name(statement.target.id, ast.Load()), statement.op, statement.value)
                name = statement.target.id
            elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                value, name = statement.value, statement.targets[0].id
            else:
                raise Untranslatable(f"{self.title}: only assignments can be translated, got: {line}")
            block.append((name, _compiled(ast.Expression(self._expression(value, line, local)))))
            local.add(name)
        return block

    def _expression(self, node: ast.expr, line: str, local: Set[str] = frozenset()) -> ast.expr:
        node = _Rewritten(self._inlined).visit(node)
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                self._check_function(getattr(part.func, "id", "?"), line)
            elif isinstance(part, ast.Name) and part.id not in HELPERS:
                self._check_name(part.id, line, local)
        hoisted: ast.expr = _Hoisted(self._constant - local, self._hoisted).visit(node)
        return ast.fix_missing_locations(hoisted)

    def _check_function(self, name: str, line: str) -> None:
        if name in RANDOM:
            raise Untranslatable(f"{self.title}: {name}() draws at random, which has no derivative: {line}")
        if name not in HELPERS:
            raise Untranslatable(
                f"{self.title}: the function {name}() is not known to hrsnn.gradient: {line}. "
                f"It knows: {', '.join(sorted(FUNCTIONS))}."
            )

    def _check_name(self, name: str, line: str, local: Set[str]) -> None:
        value = self._names.get(name)
        known = {*self.state, *self._constant, *local, "t", "t_in_timesteps"}
        if name in RANDOM or isinstance(value, Function):
            raise Untranslatable(f"{self.title}: {name} has no derivative: {line}")
        if name not in known:
            raise Untranslatable(f"{self.title}: the variable {name} is not one of the group's own: {line}")

    def _condition(self, text: str) -> Any:
        """Return the two sides of the one comparison of a threshold, the rest as a gate, and whether equality fires."""
        node = ast.parse(text, mode="eval").body
        parts = node.values if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And) else [node]
        gates = [part for part in parts if {n.id for n in ast.walk(part) if isinstance(n, ast.Name)} & GATES]
        rest = [part for part in parts if part not in gates]
        if (
            len(rest) != 1
            or not isinstance(rest[0], ast.Compare)
            or len(rest[0].ops) != 1
            or not isinstance(rest[0].ops[0], COMPARISONS)
        ):
            raise Untranslatable(
                f"{self.title}: a threshold must be one comparison, a > b, to have a surrogate derivative; got: {text}"
            )
        comparison = rest[0]
        sides = [comparison.left, comparison.comparators[0]]
        if isinstance(comparison.ops[0], (ast.Lt, ast.LtE)):
            sides.reverse()
        left, right = (self._expression(side, text) for side in sides)
        gate = None
        if gates:
            both = gates[0] if len(gates) == 1 else ast.BoolOp(ast.And(), gates)
            gate = _compiled(ast.Expression(self._expression(both, text)))
        inclusive = isinstance(comparison.ops[0], (ast.GtE, ast.LtE))
        return (left, _compiled(ast.Expression(left))), (right, _compiled(ast.Expression(right))), gate, inclusive


class _Rewritten(ast.NodeTransformer):
    """Puts subexpressions where they are named, and writes ``and``, ``or`` and ``not`` as functions of arrays."""

    def __init__(self, inlined: Mapping[str, str]):
        self.inlined = inlined

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.inlined:
            return self.visit(ast.parse(self.inlined[node.id], mode="eval").body)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        name = "_and" if isinstance(node.op, ast.And) else "_or"
        both = node.values[0]
        for other in node.values[1:]:
            both = ast.Call(ast.Name(name, ast.Load()), [both, other], [])
        return both

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            return ast.Call(ast.Name("_not", ast.Load()), [node.operand], [])
        return node


class _Hoisted(ast.NodeTransformer):
    """Names the largest parts of an expression that read constants only, and keeps their code by that name."""

    def __init__(self, constant: Any, hoisted: dict[str, Any]):
        self.constant, self.hoisted = constant, hoisted

    def visit(self, node: ast.AST) -> Any:
        if not isinstance(node, (ast.Call, ast.BinOp)):
            return node if isinstance(node, ast.Name) else self.generic_visit(node)
        functions = {id(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and id(part) not in functions}
        if not names <= self.constant:
            return self.generic_visit(node)
        name = f"_constant_{ast.unparse(node)}"
        self.hoisted[name] = _compiled(ast.fix_missing_locations(ast.Expression(node)))
        return ast.Name(name, ast.Load())


def _compiled(tree: ast.Expression) -> Any:
    return compile(ast.fix_missing_locations(tree), "<model>", "eval")


def _chosen(spikes: Any, new: Any, old: Any) -> Any:
    return jnp.where(spikes > 0, new, old)


def _mixed(spikes: Any, new: Any, old: Any) -> Any:
    """Return the same values, with a derivative by the spikes."""
    return spikes * new + (1 - spikes) * old


def _floats(value: np.ndarray) -> np.ndarray:
    """Return integers and flags as they are, numbers in JAX's present precision."""
    return value.astype(jnp.result_type(float)) if value.dtype.kind == "f" else value


def _like(value: Any, old: Any) -> Any:
    """Return a new value of a variable in the type of the old one; one number for all where the text has a number."""
    if value is old:
        return old
    new = jnp.asarray(value, old.dtype)
    return jnp.broadcast_to(new, old.shape) if new.ndim < old.ndim else new


HELPERS: dict[str, Any] = {
    **FUNCTIONS,
    "_and": jnp.logical_and,
    "_or": jnp.logical_or,
    "_not": jnp.logical_not,
    "__builtins__": {},
}
