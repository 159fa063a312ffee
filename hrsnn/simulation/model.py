"""Models as data: a class body of equations and defaults becomes NeuronGroups and Synapses."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from brian2 import NeuronGroup, Quantity, Synapses, second
from brian2.units.fundamentalunits import DIMENSIONLESS, DimensionMismatchError, Unit, get_dimensions, get_unit

from hrsnn.laws import Law
from hrsnn.simulation.brian2_hooks import pathways, rewrite_pathway
from hrsnn.simulation.functions import FUNCTIONS, fast_math
from hrsnn.simulation.integration import ExponentialEuler

__all__ = ["Model", "NeuronModel", "SynapseModel"]


class Model:
    """Equations with named parameters, each a number, a law (one draw an element), or later a search interval.

    A subclass states ``equations``, ``defaults`` and what its kind needs, as class attributes; it has no
    behaviour of its own. ``frozen`` gives the parameter values at which it no longer learns. Models are values:
    compare, copy and print them.

    ``ranges`` gives the lowest and the highest value in SI units, None for no bound, of parameters whose sign or size
    has a meaning. Time constants ``tau...`` are positive and ``t_ref`` is not negative without it. ``ordered`` gives
    pairs of parameters of which the first must not exceed the second.
    """

    equations: ClassVar[str] = ""
    defaults: ClassVar[Mapping[str, Any]] = {}
    frozen: ClassVar[Mapping[str, Any]] = {}
    ranges: ClassVar[Mapping[str, tuple[float | None, float | None]]] = {}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init__(self, **parameters: Any):
        name = type(self).__name__
        for key in parameters:
            if key not in self.defaults:
                known = ", ".join(self.defaults) or "none"
                raise TypeError(f"{name} has no parameter {key!r}. Its parameters are: {known}.")
        self._parameters = {**self.defaults, **parameters}
        for key, value in parameters.items():
            _check(f"{name} parameter {key}", value, self.defaults[key])
        self._check_ranges({key: value for key, value in self._parameters.items() if not isinstance(value, Law)})

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Parameters by name: a Quantity, a number or a law each (read only)."""
        return MappingProxyType(self._parameters)

    @property
    def heterogeneous(self) -> tuple[str, ...]:
        """Names of the parameters that are laws."""
        return tuple(key for key, value in self._parameters.items() if isinstance(value, Law))

    def replace(self, **parameters: Any) -> Model:
        """Return a copy with some parameters changed."""
        return type(self)(**{**self._parameters, **parameters})

    def declarations(self, varying: Collection[str] = ()) -> str:
        """Return the Brian2 declarations of the parameters, one a line; those ``varying`` may change during a run."""
        lines = []
        for key, value in self._parameters.items():
            unit = _unit_name(self.defaults[key])
            flags = "constant" if isinstance(value, Law) else "shared, constant"
            lines.append(f"{key} : {unit}" + ("" if key in varying else f" ({flags})"))
        return "\n".join(lines)

    def code(self) -> str:
        """Return all of the model that decides the generated code; values of parameters do not."""
        return "\n".join([type(self).__name__, *(text for _, text in self._lines()), self.declarations()])

    def draw(self, n: int, rng: np.random.Generator) -> dict[str, Any]:
        """Return every parameter's value: a number, or an array of shape (n,) drawn from its law.

        Parameters
        ----------
        n : int
            Number of neurons or synapses.
        rng : numpy.random.Generator
            Source of the draws; parameters draw in the order of ``parameters``.

        Returns
        -------
        dict
            Quantities or numbers.

        Raises
        ------
        ValueError
            If a law gives values that are out of range, such as a time constant that is not positive, or is a search
            space.
        """
        values = {
            key: value.sample(n, rng) if isinstance(value, Law) else value for key, value in self._parameters.items()
        }
        self._check_ranges(values)
        return values

    def _check_ranges(self, values: Mapping[str, Any]) -> None:
        """Refuse values of parameters, numbers or arrays, that have no meaning."""
        name = type(self).__name__
        plain = {key: np.asarray(value, dtype=float) for key, value in values.items()}
        for key, value in plain.items():
            ends = self.ranges.get(key, (0 if key == "t_ref" else None, None))
            low, high = (bound if end is None else end for end, bound in zip(ends, (-np.inf, np.inf), strict=True))
            wrong = value[(value <= 0) if key.startswith("tau") else (value < low) | (value > high)]
            if wrong.size:
                dims = get_dimensions(self.defaults[key])
                got = f"{wrong.flat[0]:g}" + ("" if dims is DIMENSIONLESS else f" {get_unit(dims)}")
                right = _in_words(low, high, key)
                raise ValueError(f"{name} parameter {key} must {right}, got {got}. A law takes bounds: low=, high=.")
        for low_key, high_key in self.ordered:
            if low_key in plain and high_key in plain and (plain[low_key] > plain[high_key]).any():
                got = f"{values[low_key]} and {values[high_key]}"
                raise ValueError(f"{name} parameter {low_key} must not exceed {high_key}, got {got}.")

    def _lines(self) -> list[tuple[str, str]]:
        return [("equations", _dedent(self.equations))]

    def __str__(self) -> str:
        parts = [f"{type(self).__name__}"]
        for title, text in self._lines():
            parts.append(f"{title}:\n" + "\n".join(f"    {line}" for line in text.splitlines()))
        values = "\n".join(f"    {key} = {value!s}" for key, value in self._parameters.items())
        return "\n".join([*parts, "parameters:", values])

    def __repr__(self) -> str:
        standard = dict(type(self)().values())
        changed = [f"{k}={self._parameters[k]!r}" for k, v in self.values() if v != standard[k]]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return repr(self.values()) == repr(other.values())

    def __hash__(self) -> int:
        return hash((type(self).__name__, repr(self.values())))

    def values(self) -> list[tuple[str, Any]]:
        """Return the parameters by name: laws, and numbers in SI units."""
        return [(k, v if isinstance(v, Law) else float(np.asarray(v))) for k, v in self._parameters.items()]


class NeuronModel(Model):
    """A neuron: equations, threshold, reset and refractory period.

    In ``equations`` the flag ``(unless refractory)`` holds a variable for ``refractory`` (the name of a
    parameter) after each spike. The hold is a countdown ``refractory_left`` rather than Brian2's
    ``refractory`` argument, with the same result step by step: a loop without branches is several times faster.
    A period between two time steps goes to the nearer one (Brian2 takes the lower).
    ``rest`` gives the resting value of each fast variable, ``start`` the first value of each slow one.
    ``update`` gives the statements of a time step of a neuron that is a map rather than a differential equation; they
    run after what the equations say, before the threshold.
    """

    update: ClassVar[str] = ""
    threshold: ClassVar[str] = ""
    reset: ClassVar[str] = ""
    refractory: ClassVar[str] = ""
    rest: ClassVar[Mapping[str, str]] = {}
    start: ClassVar[Mapping[str, str]] = {}

    def text(self) -> dict[str, str]:
        """Return the Brian2 text that runs: equations, update (if the model has one), threshold, reset."""
        equations = _dedent(self.equations).replace("(unless refractory)", "").rstrip()
        threshold, reset = self.threshold, _dedent(self.reset)
        if self.refractory:
            equations += "\nrefractory_left : second"
            threshold = f"({threshold}) and refractory_left < 0.5*dt"
            reset += f"\nrefractory_left = {self.refractory}"
        equations = "\n".join(line.rstrip() for line in equations.splitlines())
        update = {"update": _dedent(self.update)} if self.update else {}
        return {"equations": equations, **update, "threshold": threshold, "reset": reset}

    @property
    def held(self) -> tuple[str, ...]:
        """Variables that the refractory period holds."""
        return tuple(re.findall(r"d(\w+)/dt.*\(unless refractory\)", self.equations)) if self.refractory else ()

    def at_rest_unless(self, flag: str) -> list[str]:
        """Return the statements that put the fast variables to rest where the variable ``flag`` is 0."""
        lines = [f"{variable} = {variable}*{flag} + ({value})*(1 - {flag})" for variable, value in self.rest.items()]
        return [*lines, *([f"refractory_left = refractory_left*{flag}"] if self.refractory else [])]

    def build(
        self,
        n: int,
        *,
        name: str,
        dt: Quantity,
        rng: np.random.Generator | None = None,
        extra: str = "",
        extra_reset: str = "",
        events: Mapping[str, str] | None = None,
        varying: Collection[str] = (),
    ) -> NeuronGroup:
        """Return the NeuronGroup.

        Parameters
        ----------
        n : int
            Number of neurons.
        name : str
            Name of the group, lower case.
        dt : Quantity (second)
            Time step.
        rng : numpy.random.Generator, optional
            Needed if a parameter is a law.
        extra, extra_reset : str
            Declarations and reset statements that the network adds to those of the model.
        events : mapping of str to str, optional
            Further events and their conditions.
        varying : collection of str
            Parameters that the network changes during a run, a value for each neuron.

        Returns
        -------
        brian2.NeuronGroup
            With parameters and initial values set.
        """
        text = self.text()
        group = NeuronGroup(
            n,
            "\n".join([text["equations"], extra, self.declarations(varying)]),
            threshold=text["threshold"],
            reset="\n".join([text["reset"], extra_reset]),
            method=ExponentialEuler(self.held),
            events=dict(events or {}),
            namespace=FUNCTIONS,
            dt=dt,
            name=name,
        )
        if self.update:
            group.run_regularly(text["update"], dt=dt, when="after_groups")
        _set(group, self._draw_checked(n, rng))
        for variable, value in {**self.rest, **self.start}.items():
            setattr(group, variable, value)
        return group

    def code(self) -> str:
        """Return all of the model that decides the generated code; values of parameters do not."""
        return "\n".join([super().code(), repr(dict(self.rest)), repr(dict(self.start))])

    def _draw_checked(self, n: int, rng: np.random.Generator | None) -> dict[str, Any]:
        if rng is None and self.heterogeneous:
            raise ValueError(f"{type(self).__name__} has laws ({', '.join(self.heterogeneous)}): pass rng.")
        return self.draw(n, rng if rng is not None else np.random.default_rng(0))

    def _lines(self) -> list[tuple[str, str]]:
        held = f"{', '.join(self.held)} while refractory_left > 0" if self.refractory else ""
        return [(key, value) for key, value in {**self.text(), "held": held}.items() if value]


class SynapseModel(Model):
    """A synapse: variables and what happens to them at pre- and postsynaptic spikes.

    ``{target}`` in ``on_pre`` stands for the postsynaptic variable that the synapse drives. ``rest`` gives the resting
    value of each variable that a new series starts afresh.
    """

    on_pre: ClassVar[str] = ""
    on_post: ClassVar[str] = ""
    rest: ClassVar[Mapping[str, str]] = {}

    @property
    def learns(self) -> bool:
        """Whether the weights change: only such a model has values at which it is frozen."""
        return bool(self.frozen)

    def text(self, target: str = "g_e") -> dict[str, str]:
        """Return the Brian2 text that runs: equations, on_pre, on_post."""
        on_pre = _dedent(self.on_pre).format(target=target)
        return {"equations": _dedent(self.equations), "on_pre": on_pre, "on_post": _dedent(self.on_post)}

    def build(
        self,
        source: NeuronGroup,
        target: NeuronGroup,
        *,
        variable: str,
        name: str,
        dt: Quantity,
        on_event: Mapping[str, tuple[str, str]] | None = None,
        extra: str = "",
        on_pre: str | None = None,
    ) -> Synapses:
        """Return unconnected Synapses; connect them, then call ``initialise``.

        Parameters
        ----------
        source, target : brian2.NeuronGroup
        variable : str
            Variable of the target that presynaptic spikes drive.
        name : str
            Name of the synapses, lower case.
        dt : Quantity (second)
            Time step.
        on_event : mapping of str to (str, str), optional
            Further pathways: the event of the target, and the statements, by name.
        extra : str
            Declarations that the network adds to those of the model.
        on_pre : str, optional
            Statements that take the place of the model's own at presynaptic spikes.
        """
        text = self.text(variable)
        if on_pre is not None:
            text["on_pre"] = on_pre
        on_event = dict(on_event or {})
        on_post = {"post": fast_math(text["on_post"]), **{key: code for key, (_, code) in on_event.items()}}
        on_post = {key: code for key, code in on_post.items() if code}
        synapses = Synapses(
            source,
            target,
            "\n".join([text["equations"], extra, self.declarations()]),
            on_pre=fast_math(text["on_pre"]) or None,
            on_post=on_post or None,
            on_event={key: event for key, (event, _) in on_event.items()},
            delay={key: 0 * second for key in ("pre", *on_post)},
            namespace=FUNCTIONS,
            dt=dt,
            name=name,
        )
        for pathway in pathways(synapses):
            rewrite_pathway(pathway, fast_math)  # the decay between two events, which Brian2 writes, is fast too
        return synapses

    def initialise(self, synapses: Synapses, n: int, rng: np.random.Generator) -> None:
        """Set the parameters of ``n`` connected synapses."""
        _set(synapses, self.draw(n, rng))

    def _lines(self) -> list[tuple[str, str]]:
        return [(key, value) for key, value in self.text("{target}").items() if value]


def _set(group: Any, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        setattr(group, key, value)


def _check(what: str, value: Any, default: Any) -> None:
    if isinstance(value, Law):
        dims = value.dimensions
    else:
        if np.asarray(value).dtype.kind not in "uif" or np.ndim(value):
            raise TypeError(f"{what} must be a number, a Quantity or a law, got {value!r}.")
        dims = get_dimensions(value)
        if not np.isfinite(float(value)):
            raise ValueError(f"{what} must be finite, got {value!r}.")
    if dims is not get_dimensions(default):
        raise DimensionMismatchError(f"{what} has the wrong unit", dims, get_dimensions(default))


def _in_words(low: float, high: float, key: str) -> str:
    if key.startswith("tau"):
        return "be positive"
    return (
        f"be in [{low:g}, {high:g}]" if np.isfinite(high) else "not be negative" if low == 0 else f"be at least {low:g}"
    )


def _unit_name(default: Any) -> str:
    dims = get_dimensions(default)
    if dims is DIMENSIONLESS:
        return "1"
    best = repr(Quantity(1.0, dim=dims).get_best_unit())
    return best if best.isidentifier() else repr(Unit(1, dim=dims))


def _dedent(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())
