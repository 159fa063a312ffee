"""The dense kernel: networks with all input synapses as one C++ program, written from the models' own statements."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from brian2 import ms
from brian2.core.variables import Subexpression
from brian2.parsing.rendering import CPPNodeRenderer
from brian2.utils.stringtools import get_identifiers

from hrsnn.inputs.encoders import Encoding
from hrsnn.simulation.brian2_hooks import never_run, statements
from hrsnn.simulation.functions import CPP, NEVER, fast_math
from hrsnn.simulation.model import NeuronModel, SynapseModel
from hrsnn.simulation.program import Manifest, Program
from hrsnn.stdp.coupling import CoupledNetwork, Coupling
from hrsnn.stdp.dense_program import COUPLING, MAIN, PART, PROLOGUE
from hrsnn.stdp.presentation import PresentationNetwork

__all__ = ["program", "runs", "supports"]

SINCE_LAST = "t_last_pre - t"  # how a model writes the time since the last presynaptic spike
MATH = frozenset({"exp", "clip", "int", "and", "or", "not", "fast_exp", "fast_pow"})
TIMES = {"step", "start_step", "end_step", "never", "second", "step_width", "n_frames", "frame"}
SHOWN = frozenset(TIMES | {"samples", "sample", "intensity", "i", "seed_", "draw", "drive", "poisson_gap"})
TILE = 64  # neurons that go through several time steps together: their state stays in the nearest cache
TAKEN = frozenset(get_identifiers(PROLOGUE + PART)) - {"g_e", "g_i"}  # names that the program has for itself
_UNKNOWN = re.compile(r"\*\*|//|%")  # operators that Brian2 renders by functions of its own
_STATEMENT = re.compile(r"(\w+)\s*([-+*/]?=)(?!=)\s*(.+)")
_UPDATE = re.compile(r"w\s*=\s*(.+)")
_SEND = re.compile(r"\{target\}_post\s*\+=\s*(.+)")


# What a kernel can run -----------------------------------------------------------------------------------------------


def supports(neuron: NeuronModel, synapse: SynapseModel, encoding: Encoding) -> bool:
    """Tell whether the kernel can run these models.

    Neurons: any statements on their own variables and parameters. Synapses: ``w`` alone, all else shared, one
    assignment to ``w`` at postsynaptic spikes. Inputs: expressions of what a presentation knows.
    """
    return (
        _statements(neuron) is not None
        and not synapse.heterogeneous
        and not TAKEN & set(synapse.parameters)
        and synapse.on_pre.strip() == "{target}_post += w"
        and _plastic(synapse)
        and _names(encoding.drive, encoding.first_step, encoding.next_step) <= SHOWN | MATH
    )


def runs(network: PresentationNetwork | CoupledNetwork) -> bool:
    """Tell whether a network is one for the kernel: all its parts are dense, and it knows the synapses between them."""
    return all(part.dense for part in network.parts) and all(
        _plastic(coupling.synapse) and _SEND.fullmatch(coupling.synapse.on_pre.strip())
        for coupling in network.couplings
    )


def _plastic(synapse: SynapseModel) -> bool:
    update = _UPDATE.fullmatch(synapse.on_post.strip())
    if update is None or synapse.equations.strip() != "w : 1":
        return False
    text = fast_math(update[1].replace(SINCE_LAST, "0"))
    return _names(text) <= {"w", *synapse.parameters} | MATH and not _UNKNOWN.search(text)


def _names(*expressions: str) -> set[str]:
    return {name for text in expressions for name in get_identifiers(text)}


@lru_cache(maxsize=32)
def _statements(neuron: NeuronModel) -> dict[str, str] | None:
    """Return what a neuron does in a step and at a spike; None if that needs more than its own variables."""
    group = neuron.build(1, name="kernel_neurons", dt=1 * ms, rng=np.random.default_rng(0))
    found = statements(never_run(group))
    texts = {key: found[key] for key in ("update", "threshold", "reset")}
    own = {*_variables(neuron), *neuron.parameters}
    made = {match[1] for match in map(_STATEMENT.match, texts["update"].splitlines()) if match}
    able = (
        {"g_e", "g_i"} <= own
        and not own & TAKEN
        and not any(isinstance(variable, Subexpression) for variable in group.variables.values())
        and _names(*texts.values()) <= own | made | {"dt"} | MATH
        and not any(_UNKNOWN.search(fast_math(text)) for text in texts.values())
    )
    return texts if able else None


def _variables(neuron: NeuronModel) -> tuple[str, ...]:
    """Return the names of the variables that change."""
    return (*neuron.rest, *neuron.start, *(["refractory_left"] if neuron.refractory else []))


# The program ---------------------------------------------------------------------------------------------------------


def program(network: PresentationNetwork | CoupledNetwork) -> Program:
    """Return the program of a network.

    It does what the declared network does, with the same spikes (see ``dense_program``).

    Parameters
    ----------
    network : PresentationNetwork or CoupledNetwork
        One that the kernel ``runs``.
    """
    parts, couplings = network.parts, network.couplings
    body = [PROLOGUE.format(functions=CPP, tile=TILE, n_total=network.n_total, dt=float(network.dt), never=NEVER)]
    body += [_part(part) for part in parts]
    body += [_coupling(coupling) for coupling in couplings]
    body.append(
        MAIN.format(
            part_list=", ".join(f"&part_{k.prefix}" for k in parts),
            coupling_list=", ".join(f"&coupling_{k.name}" for k in couplings),
            max_retries=network.max_retries,
            prefix=parts[0].prefix,
        )
    )
    manifest: Manifest = {}
    for part in parts:
        manifest |= _manifest(part)
    for coupling in couplings:
        own = {"w": coupling.n_synapses} | {
            key: coupling.n_synapses if key in coupling.synapse.heterogeneous else 1
            for key in coupling.synapse.parameters
        }
        manifest |= {f"{coupling.name}.{key}": _entry(f"{coupling.name}.{key}", "<f8", n) for key, n in own.items()}
    files = {
        f"{coupling.name}_{end}.dat": np.asarray(index, "<i4")
        for coupling in couplings
        for end, index in zip(("pre", "post"), coupling.connections, strict=True)
    }
    return Program("\n".join(body), manifest, files)


def _entry(name: str, dtype: str, size: int | None) -> dict[str, Any]:
    return {"file": name, "dtype": dtype, "size": size}


def _manifest(part: PresentationNetwork) -> Manifest:
    n, n_in = part.n_neurons, part.n_input
    floats: dict[str, int | None] = {f"exc.{name}": n for name in (*_variables(part.neuron), "changed", "spiked")}
    floats |= {f"exc.{key}": n if key in part.neuron.heterogeneous else 1 for key in part.neuron.parameters}
    floats |= {f"input_to_exc.{key}": 1 for key in part.synapse.parameters}
    floats |= {"exc.w_total": n, "control.g_inh": 1, "input_to_exc.w": n_in * n, "spikes.t": None}
    floats |= {"samples.values": part.batch_size * part.n_frames * n_in, "shown.values": part.batch_size + 1}
    floats |= {"presentations.intensity": None}
    integers: dict[str, int | None] = {f"{group}.learning": 1 for group in ("input", "exc", "control")}
    integers |= {f"control.{name}": 1 for name in ("n_samples", "min_spikes", "n_recent", "n_presentations")}
    integers |= {"input.seed_": 1, "input.last_step": n_in, "input.draw": n_in}
    integers |= {"spikes.i": None, "presentations.sample": None, **({"exc.last_step": n} if part.sends else {})}
    prefix = part.prefix
    return {
        f"{prefix}{name}": _entry(f"{prefix}{name}", dtype, size)
        for names, dtype in ((floats, "<f8"), (integers, "<i4"))
        for name, size in names.items()
    }


def _part(part: PresentationNetwork) -> str:
    """Return the class of an ensemble."""
    texts = _statements(part.neuron)
    assert texts is not None
    names, parameters, n = _variables(part.neuron), part.neuron.parameters, part.n_neurons
    own = [key for key in parameters if key in part.neuron.heterogeneous]
    used = _names(*texts.values())
    each = {key: f"const double {key} = own_{key}[j];" for key in own if key in used}
    shared = [key for key in parameters if key not in own]
    rest = part.neuron.rest
    start = {**rest, **part.neuron.start}
    update = _UPDATE.fullmatch(part.synapse.on_post.strip())
    assert update is not None
    hoist = _Hoist({*shared, "dt"})
    update_text = "\n".join(hoist.apply(line) for line in texts["update"].splitlines())
    constants = [f"{key} = this->{key}" for key in shared if key in used]
    constants += [f"{name} = {_render(text)}" for name, text in hoist.found.items()]
    tail = n % TILE
    step = part.n_on // part.n_frames
    return PART.format(
        prefix=part.prefix,
        n_in=part.n_input,
        n=n,
        n_on=part.n_on,
        n_frames=part.n_frames,
        n_frame=step,
        rest_frames=part.n_rest // step if part.n_frames > 1 else 0,
        inhibition=int(part.inhibition),
        sends=int(part.sends),
        batch=part.batch_size,
        min_spikes=part.min_spikes,
        state="".join(f"        Vector {name} = Vector(n_padded);\n" for name in names),
        parameters="".join(f"    double {key} = 0;\n" for key in shared)
        + "".join(f"    Vector own_{key} = Vector(n_padded);\n" for key in own)
        + "".join(f"    double syn_{key} = 0;\n" for key in part.synapse.parameters),
        read="".join(f'        read("{part.prefix}exc.{key}", {key});\n' for key in shared)
        + "".join(f'        read_padded("{part.prefix}exc.{key}", own_{key});\n' for key in own)
        + "".join(f'        read("{part.prefix}input_to_exc.{key}", syn_{key});\n' for key in part.synapse.parameters),
        start=_assigned({name: start.get(name, "0") for name in names}, own),
        read_state="".join(f'        read_padded("{part.prefix}exc.{name}", now.{name});\n' for name in names),
        write_state="".join(
            f'        write("{part.prefix}exc.{name}", Vector(now.{name}.begin(), now.{name}.begin() + n));\n'
            for name in names
        ),
        at_rest=_assigned(
            {name: part.neuron.rest.get(name, "0") for name in names if name not in part.neuron.start}, own
        ),
        pointers="".join(
            f"        double* __restrict at_{name} = &next.{name}[first];\n"
            f"        std::memcpy(at_{name}, &now.{name}[first], padded * sizeof(double));\n"
            for name in names
        ),
        own_pointers="".join(f"        const double* __restrict own_{key} = &this->own_{key}[first];\n" for key in own),
        constants="".join(f"        const double {text};\n" for text in constants),
        load="".join(f"            Reals {name} = *(const Stored*)(at_{name} + j);\n" for name in names)
        + "".join(f"            const Reals {key} = *(const Stored*)(own_{key} + j);\n" for key in each),
        update=_block(update_text, names, 12, "Reals"),
        store="".join(f"            *(Stored*)(at_{name} + j) = {name};\n" for name in names),
        threshold=_render(texts["threshold"]),
        now_load="".join(f"        double& {name} = now.{name}[j];\n" for name in names)
        + "".join(f"        {text}\n" for text in each.values()),
        reset=_block(texts["reset"], names, 8, "double"),
        tail_tile=f"else reached[k] = run<{tail}>(k * TILE, s, stop, halt);" if tail else "",
        drive=_render(part.encoding.drive),
        first_step=_render(part.encoding.first_step),
        next_step=_render(part.encoding.next_step),
        stdp=_render(fast_math(update[1].replace(SINCE_LAST, "-t_minus_t_last"))),
        stdp_constants="".join(f"        const double {key} = syn_{key};\n" for key in part.synapse.parameters),
    )


def _assigned(values: Mapping[str, str], own: Collection[str]) -> str:
    """Return assignments to variables of neuron j; ``own`` are the parameters of which each neuron has its own."""
    taken = [f"const double {key} = own_{key}[j];" for key in own if key in _names(*values.values())]
    made = [f"now.{name}[j] = {_render(value)};" for name, value in values.items()]
    return "".join(f"            {text}\n" for text in (*taken, *made))


def _coupling(coupling: Coupling) -> str:
    """Return the class of the synapses between two ensembles."""
    synapse = coupling.synapse
    update, send = _UPDATE.fullmatch(synapse.on_post.strip()), _SEND.fullmatch(synapse.on_pre.strip())
    assert update is not None
    assert send is not None
    own = synapse.heterogeneous
    values = {key: f"own_{key}[k]" if key in own else f"shared_{key}" for key in synapse.parameters}
    return COUPLING.format(
        name=coupling.name,
        source=f"{coupling.source}_",
        target=f"{coupling.target}_",
        n=coupling.n_synapses,
        pre=", ".join(map(str, coupling.connections[0])),
        post=", ".join(map(str, coupling.connections[1])),
        members="".join(
            f"    Vector own_{key} = Vector(n);\n" if key in own else f"    double shared_{key} = 0;\n"
            for key in synapse.parameters
        ),
        read="".join(
            f'        read("{coupling.name}.{key}", {value.removesuffix("[k]")});\n' for key, value in values.items()
        ),
        constants="".join(f"                const double {key} = {value};\n" for key, value in values.items()),
        send=_render(fast_math(send[1])),
        update=_render(fast_math(update[1].replace(SINCE_LAST, "-t_minus_t_last"))),
    )


class _Hoist(ast.NodeTransformer):
    """Takes exponentials of constants out of a loop: ``found`` has them by the names that stand for them."""

    def __init__(self, constant: set[str]):
        self.constant, self.found = constant, dict[str, str]()

    def apply(self, statement: str) -> str:
        return ast.unparse(self.visit(ast.parse(statement)))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        text = ast.unparse(node)
        if not _names(text) <= self.constant | MATH or not _names(text) & {"exp", "fast_exp", "fast_pow"}:
            return self.generic_visit(node)
        name = next((name for name, known in self.found.items() if known == text), f"_constant_{len(self.found)}")
        self.found[name] = text
        return ast.Name(name, ast.Load())


def _block(text: str, variables: Collection[str], indent: int, kind: str) -> str:
    """Return statements in C++; names that are no variables are made, of a type, where they are first assigned."""
    lines, known = [], set(variables)
    for match in map(_STATEMENT.fullmatch, filter(None, map(str.strip, text.splitlines()))):
        assert match is not None
        name, sign, expression = match.groups()
        lines.append(f"{'' if name in known else f'{kind} '}{name} {sign} {_render(fast_math(expression))};")
        known.add(name)
    return "".join(" " * indent + line + "\n" for line in lines)


def _render(expression: str) -> str:
    """Return a Brian2 expression in C++; conditions without jumps, so that loops over them vectorise."""
    text = CPPNodeRenderer(auto_vectorise=set()).render_expr(expression)
    text = re.sub(r"\bint\(", "_int(", re.sub(r"\bclip\(", "_clip(", text)).replace("&&", "&").replace("||", "|")
    return re.sub(r"\b(fast_exp|fast_pow|poisson_gap)\b", r"_\1", text)
