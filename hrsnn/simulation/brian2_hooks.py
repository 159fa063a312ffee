"""What this package needs of Brian2 beyond its public interface, in one place: look here first when Brian2 changes."""

from __future__ import annotations

from typing import Any

from brian2 import Clock, Synapses
from brian2.core.network import Network

__all__ = ["at", "pathways", "rewrite_pathway", "stop"]


def at(runner: Any, clock: Clock, order: int) -> Any:
    """Let an object of Brian2 run on a clock, before the groups advance; returns it."""
    runner._clock, runner.when, runner.order = clock, "before_groups", order
    return runner


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
