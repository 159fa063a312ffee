"""The dense kernel: a plastic projection as one C++ function a step, written from the model's own statements."""

from __future__ import annotations

import re

from brian2.core.functions import Function
from brian2.parsing.rendering import CPPNodeRenderer

from hrsnn.simulation.functions import FUNCTIONS, NEVER, fast_math
from hrsnn.simulation.model import SynapseModel

__all__ = ["projection_kernel", "supports"]

SINCE_LAST = "t_last_pre - t"  # how a model writes the time since the last presynaptic spike
OWN_NAMES = frozenset({"W", "g", "dt", "row", "column", "never", "step", "fired", "i", "j", "k"})
_UPDATE = re.compile(r"w\s*=\s*(.+)")

_SOURCE = """
static int _projection_step(int step)
{{
    using namespace brian;
    const int n_pre = {n_pre}, n_post = {n_post};
    double* __restrict W = &_dynamic_array_{prefix}input_to_exc_w[0];
    double* __restrict g = _array_{prefix}exc_{variable};
    const double dt = {dt!r};
    const int never = {never};
    {parameters}

    // Plasticity: the incoming weights of each neuron that has just fired, from the spikes before this step.
    static std::vector<double> column(n_pre);
    const int32_t* fired = _array_{prefix}exc__spikespace;
    const int n_fired = fired[n_post];
    for (int k = 0; k < n_fired; k++) {{
        const int j = fired[k];
        for (int i = 0; i < n_pre; i++) column[i] = W[size_t(i) * n_post + j];
        for (int i = 0; i < n_pre; i++) {{
            const double w = column[i];
            const double t_minus_t_last = dt * (step - _array_{prefix}input_last_step[i]);
            column[i] = {update};
        }}
        for (int i = 0; i < n_pre; i++) W[size_t(i) * n_post + j] = column[i];
    }}

    // Transmission: the row of each input that fires now, and the step at which it fires next.
    int n_input = 0;
    for (int start = 0; start < n_pre; start += 16) {{
        const int stop = start + 16 < n_pre ? start + 16 : n_pre;
        int any = 0;
        for (int i = start; i < stop; i++) any |= _array_{prefix}input_next_step[i] == step;
        if (!any) continue;
        for (int i = start; i < stop; i++) {{
            if (_array_{prefix}input_next_step[i] != step) continue;
            const double* __restrict row = W + size_t(i) * n_post;
            for (int j = 0; j < n_post; j++) g[j] += row[j];
            const double drive = _array_{prefix}input_drive[i];
            const int draw = _array_{prefix}input_draw[i];
            const int seed_ = _array_{prefix}input_seed_[0], end_step = _array_{prefix}input_end_step[0];
            const int next = {next_step};
            _array_{prefix}input_next_step[i] = next < end_step ? next : never;
            _array_{prefix}input_draw[i] += 1;
            _array_{prefix}input_last_step[i] = step;
            n_input++;
        }}
    }}
    return n_input;
}}

static int _normalise_weights(int learning)
{{   // Only the columns that changed since the last time: the others have their total already.
    using namespace brian;
    if (!learning) return 0;
    const int n_pre = {n_pre}, n_post = {n_post};
    double* __restrict W = &_dynamic_array_{prefix}input_to_exc_w[0];
    int n_changed = 0;
    for (int j = 0; j < n_post; j++) {{
        if (!(_array_{prefix}exc_renormalise[j] > 0.5)) continue;
        double total = 0;
        for (int i = 0; i < n_pre; i++) total += W[size_t(i) * n_post + j];
        const double scale = total > 0 ? _array_{prefix}exc_w_total[j] / total : 1.0;
        for (int i = 0; i < n_pre; i++) W[size_t(i) * n_post + j] *= scale;
        n_changed++;
    }}
    return n_changed;
}}
"""


def supports(synapse: SynapseModel) -> bool:
    """Tell whether the kernel can run a synapse model: ``w`` alone, all else shared, one assignment to ``w``."""
    match = _UPDATE.fullmatch(synapse.on_post.strip())
    if match is None or synapse.heterogeneous:
        return False
    names = set(re.findall(r"[A-Za-z_]\w*", match[1].replace(SINCE_LAST, "0")))
    return (
        synapse.equations.strip() == "w : 1"
        and synapse.on_pre.strip() == "{target}_post += w"
        and names <= {"w", "exp", "clip", *synapse.parameters}
        and not OWN_NAMES & set(synapse.parameters)
    )


def projection_kernel(
    synapse: SynapseModel, n_pre: int, n_post: int, *, variable: str, next_step: str, dt: float, prefix: str = ""
) -> tuple[Function, Function]:
    """Return the C++ functions of the projection ``input_to_exc`` with all weights present.

    The first does, once a step, what the declared synapses and the input's reset do: plasticity, transmission,
    the next spike of the inputs that fire. The second normalises the columns marked ``renormalise``.

    Parameters
    ----------
    synapse : SynapseModel
        A model that ``supports`` accepts.
    n_pre, n_post : int
        Sizes; weight k belongs to input k // n_post and neuron k % n_post.
    variable : str
        Variable of the neurons that the weights drive.
    next_step : str
        Brian2 expression of an input's next spike, in time steps.
    dt : float
        Time step in seconds.
    prefix : str
        What the names of the groups and synapses begin with.
    """
    render = CPPNodeRenderer(auto_vectorise=set())
    match = _UPDATE.fullmatch(synapse.on_post.strip())
    if match is None:
        raise ValueError(f"{type(synapse).__name__} changes more than w at a postsynaptic spike.")
    update = match[1].replace(SINCE_LAST, "-t_minus_t_last").replace("clip(", "_clip_weight(")
    parameters = [f"const double {key} = _array_{prefix}input_to_exc_{key}[0];" for key in synapse.parameters]
    parameters.append("auto _clip_weight = [](double x, double a, double b) { return x < a ? a : (x > b ? b : x); };")
    source = _SOURCE.format(
        n_pre=n_pre,
        n_post=n_post,
        variable=variable,
        prefix=prefix,
        dt=dt,
        parameters="\n    ".join(parameters),
        update=render.render_expr(fast_math(update)).replace("fast_", "_fast_"),
        never=NEVER,
        next_step=render.render_expr(next_step).replace("poisson_gap", "_poisson_gap"),
    )
    functions = []
    for name, stateless in (("_projection_step", False), ("_normalise_weights", False)):
        function = Function(
            _no_python, arg_units=[1], return_unit=1, return_type="integer", arg_types=["integer"], stateless=stateless
        )
        function.implementations.add_implementation("cpp", source, name=name, dependencies=FUNCTIONS)
        functions.append(function)
    return functions[0], functions[1]


def _no_python(*_: int) -> int:
    raise RuntimeError("The dense kernel exists in C++ only.")
