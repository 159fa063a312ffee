"""What this package needs of Brian2 beyond its public interface, in one place: look here first when Brian2 changes."""

from __future__ import annotations

import re
from typing import Any

from brian2 import Clock, NeuronGroup, Synapses
from brian2.core.network import Network
from brian2.core.variables import Subexpression
from brian2.groups.group import CodeRunner
from brian2.utils.stringtools import get_identifiers

__all__ = ["at", "never_run", "pathways", "rewrite_pathway", "statements", "stop"]


def at(runner: Any, clock: Clock, order: int) -> Any:
    """Let an object of Brian2 run on a clock, before the groups advance; returns it."""
    runner._clock, runner.when, runner.order = clock, "before_groups", order
    return runner


def never_run(group: NeuronGroup) -> NeuronGroup:
    """Tell Brian2 that a group is built to be read: it would warn that it never ran; returns it."""
    group._network = "read, not run"
    return group


def pathways(synapses: Synapses) -> list[Any]:
    """Return the pathways of synapses: what happens at presynaptic spikes, at postsynaptic ones, at other events."""
    return list(synapses._pathways)


def rewrite_pathway(pathway: Any, rewrite: Any) -> None:
    """Apply a function to the statements of a pathway, those that Brian2 adds for event-driven variables among them."""
    update = pathway.update_abstract_code

    def rewritten(run_namespace: Any) -> None:
        update(run_namespace)
        pathway.abstract_code = rewrite(pathway.abstract_code)

    pathway.update_abstract_code = rewritten


def stop() -> None:
    """End the run of the present process after this time step."""
    Network._globally_stopped = True


def statements(group: NeuronGroup) -> dict[str, Any]:
    """Return what a step of a group does, as Brian2 statements, and what its names stand for.

    Returns
    -------
    dict
        ``update``, ``threshold``, ``reset``: text; ``regular``: slot, period in steps and text of each operation of
        ``run_regularly``; ``names``: what Brian2 resolves the other names to.

    Raises
    ------
    ValueError
        If the group emits no spikes.
    """
    if "spike" not in group.events:
        raise ValueError(f"The neurons {group.name} have no threshold: they never spike.")
    group.before_run({})
    updater, dt = group.state_updater, float(group.clock.dt)
    updater.update_abstract_code(run_namespace={})
    found = {
        "update": updater.abstract_code,
        "threshold": group.events["spike"],
        "reset": group.event_codes.get("spike", ""),
        "regular": [
            (runner.when, round(float(runner.clock.dt) / dt), runner.abstract_code)
            for runner in sorted(group.contained_objects, key=lambda runner: (runner.order, runner.name))
            if type(runner) is CodeRunner
        ],
    }
    texts = [found["update"], found["threshold"], found["reset"], *(text for *_, text in found["regular"])]
    texts += [variable.expr for variable in group.variables.values() if isinstance(variable, Subexpression)]
    names = {name for text in texts for name in get_identifiers(text)}
    assigned = {name for text in texts for name in re.findall(r"^\s*(\w+)\s*[-+*/]?=(?!=)", text, flags=re.MULTILINE)}
    wanted = names - assigned.difference(group.variables) - {"and", "or", "not", "True", "False"}
    return {**found, "names": group.resolve_all(wanted, {}, user_identifiers=set())}
