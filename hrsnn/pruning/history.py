"""What an iteration of the pruning leaves behind: its record, and a file to go on from."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrsnn.files import atomic
from hrsnn.pruning.graphs import Edges
from hrsnn.pruning.lyapunov import LyapunovSpectrum

__all__ = ["load_state", "record", "save_state"]


def record(iteration: int, edges: Edges, tau_m: NDArray, spectrum: LyapunovSpectrum) -> dict[str, Any]:
    """Summarise a network: sizes, synaptic operations, exponents and laws.

    Parameters
    ----------
    iteration : int
        Iteration that made the network.
    edges : Edges
        The network.
    tau_m : array of shape (n,)
        Membrane time constants in seconds.
    spectrum : LyapunovSpectrum
        Its exponents and mean rates.

    Returns
    -------
    dict
        JSON values; sops is ``sum_i rate_i c_i`` in 1/s with the out-degree c.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, section VI-F.
    """
    inhibitory = edges.inhibitory()
    laws: dict[str, Any] = {}
    for kind, members in (("excitatory", ~inhibitory), ("inhibitory", inhibitory)):
        laws[f"tau_m_{kind}"] = _gamma_law(tau_m[members])
        laws[f"weight_{kind}"] = _gamma_law(np.abs(edges.weight[members[edges.pre]]))
    out_degree = np.bincount(edges.pre, minlength=edges.n)
    return {
        "iteration": iteration,
        "n_neurons": edges.n,
        "n_synapses": len(edges),
        "sops": float(spectrum.rates @ out_degree),
        "exponents": spectrum.exponents.tolist(),
        **laws,
    }


def save_state(path: str | Path, key: dict[str, Any], history: list[dict[str, Any]], **arrays: Any) -> None:
    """Write a checkpoint in one piece: a reader sees the old file or the new one.

    Parameters
    ----------
    path : path
        File to write (NumPy's npz).
    key : dict
        What the run is; JSON values.
    history : list of dict
        Records so far; JSON values.
    **arrays
        Arrays and numbers of the state.
    """
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, key=json.dumps(key), history=json.dumps(history), **arrays)


def load_state(path: str | Path, key: dict[str, Any]) -> tuple[dict[str, NDArray], list[dict[str, Any]]] | None:
    """Read a checkpoint of the same run.

    Parameters
    ----------
    path : path
        File of `save_state`.
    key : dict
        What the run is.

    Returns
    -------
    tuple of dict and list, or None
        Arrays and history; None if there is no file.

    Raises
    ------
    ValueError
        If the file is damaged, or was written with other arguments or for another graph.
    """
    if not Path(path).exists():
        return None
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        saved = json.loads(str(arrays.pop("key")))
        history = json.loads(str(arrays.pop("history")))
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} is not a readable pruning checkpoint ({error}). Delete it to start anew.") from error
    differing = [name for name in key if saved.get(name) != json.loads(json.dumps(key[name]))]
    if differing:
        raise ValueError(
            f"{path} belongs to another pruning: {', '.join(differing)} differ. Delete it or choose another file."
        )
    return arrays, history


def _gamma_law(values: NDArray) -> dict[str, float] | None:
    """Mean and shape of the gamma law with the same two moments; None without values, no shape without spread."""
    if not len(values):
        return None
    mean, variance = float(values.mean()), float(values.var())
    return {"mean": mean} | ({"shape": mean**2 / variance} if variance > 1e-20 * mean**2 else {})
