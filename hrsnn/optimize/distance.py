"""Wasserstein distances between laws: quantile embedding (exact for product laws), sliced, Sinkhorn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from brian2.units.fundamentalunits import DIMENSIONLESS, DimensionMismatchError, Quantity
from scipy.spatial.distance import cdist

from hrsnn.laws import Gamma, Law, LogNormal
from hrsnn.optimize.space import Interval, Space

N_NODES = 64  # Gauss-Legendre nodes on (0, 1); relative error of W_2 between gamma laws about 1e-4
N_SAMPLES = 32  # draws a law in the sliced and Sinkhorn modes
N_DIRECTIONS = 128
PRODUCT_METRICS = ("quantile", "log_quantile")  # W_2 of each variable
METRICS = (*PRODUCT_METRICS, "sliced", "sinkhorn", "parameters")


@lru_cache(maxsize=4)
def quantile_nodes(n_nodes: int = N_NODES) -> tuple[np.ndarray, np.ndarray]:
    """Return Gauss-Legendre probabilities and weights on (0, 1), arrays of shape (n_nodes,)."""
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    return (nodes + 1) / 2, weights / 2


def quantile_embedding(laws: Sequence[Law], n_nodes: int = N_NODES) -> np.ndarray:
    """Embed laws so that Euclidean distance is the 2-Wasserstein distance.

    In one dimension W_2(P, Q) is the L2 distance of the quantile functions. The row of a law is its quantile
    function at Gauss-Legendre nodes u_m times the square root of the weights.

    Parameters
    ----------
    laws : sequence of Law
        Laws without intervals, of one unit.
    n_nodes : int
        Number of nodes.

    Returns
    -------
    array of shape (n_laws, n_nodes)
        SI units.

    References
    ----------
    .. [1] Bachoc, Gamboa, Loubes & Venet (2018), A Gaussian process regression model for distribution inputs,
       IEEE Trans. Inf. Theory 64 (positive definiteness in one dimension).
    """
    for law in laws:
        if law.intervals:
            raise ValueError(f"{law} is a search space: only laws without intervals have a distance.")
        if law.dimensions is not laws[0].dimensions:
            raise DimensionMismatchError("Laws of different units have no distance", laws[0].dimensions, law.dimensions)
    u, weights = quantile_nodes(n_nodes)
    features = np.empty((len(laws), n_nodes))
    kinds = [(type(law), tuple(law.arguments)) for law in laws]
    for kind, names in set(kinds):
        rows = [i for i, other in enumerate(kinds) if other == (kind, names)]
        columns = {name: np.array([[float(np.asarray(laws[i].arguments[name]))] for i in rows]) for name in names}
        features[rows] = kind.si_quantile(u, **columns) * np.sqrt(weights)
    return features


def wasserstein(p: Law | Sequence[Law], q: Law | Sequence[Law]) -> Any:
    """Return the 2-Wasserstein distance between laws, pair by pair.

    Parameters
    ----------
    p, q : Law or sequence of Law
        Two laws, or two sequences of equal length, all of one unit.

    Returns
    -------
    Quantity or array
        One distance, or one a pair, in the unit of the laws.

    Raises
    ------
    ValueError
        If the lengths differ or a law has intervals.
    DimensionMismatchError
        If the units differ.
    """
    first, second = ([laws] if isinstance(laws, Law) else list(laws) for laws in (p, q))
    if len(first) != len(second):
        raise ValueError(f"wasserstein compares pair by pair: got {len(first)} and {len(second)} laws.")
    features = quantile_embedding([*first, *second])
    distance = np.linalg.norm(features[: len(first)] - features[len(first) :], axis=1)
    value = distance if not isinstance(p, Law) else float(distance[0])
    unit = first[0].dimensions
    return value if unit is DIMENSIONLESS else Quantity(value, dim=unit)


def squared_distances(space: Space, metric: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return squared distances between points of a space, in units of their mean over random points.

    Parameters
    ----------
    space : Space
        What the coordinates mean.
    metric : {"quantile", "log_quantile", "sliced", "sinkhorn", "parameters"}
        "quantile" gives W_2^2 of each variable, that of a law of two searched arguments or more in two parts, the
        squared difference of the means and W_2^2 of the centred laws. Their sum, in the units of the variables, is
        W_2^2 of the product law, and any weighted sum is the square of a Hilbertian distance. "log_quantile" does
        so for the logarithms of the variables whose mean is searched on a log scale. "sliced" and "sinkhorn"
        compare the joint laws, by the mean W_2^2 of their projections on fixed directions, or by the Sinkhorn
        divergence. "parameters" does not see laws: it is the squared difference of each searched number, on its
        scale, for comparison.
    a, b : array of shape (n_a, n_coordinates), (n_b, n_coordinates)
        Points as rows of the unit cube.

    Returns
    -------
    array of shape (n_groups, n_a, n_b)
        One group for each name of ``group_names``. A cached array: not to be written to.
    """
    keys = [np.ascontiguousarray(rows, dtype=float).tobytes() for rows in (a, b)]
    return _squared_distances(space, metric, *keys)


@lru_cache(maxsize=16)
def _squared_distances(space: Space, metric: str, a: bytes, b: bytes) -> np.ndarray:
    return _raw_squared_distances(space, metric, a, b) / typical(space, metric)[:, None, None]


def _raw_squared_distances(space: Space, metric: str, a: bytes, b: bytes) -> np.ndarray:
    first, second = _features(space, metric, a), _features(space, metric, b)
    if metric == "sinkhorn":
        return _sinkhorn_divergence(first[0], second[0], _regularisation(space))[None]
    return np.stack([cdist(x, y, "sqeuclidean") for x, y in zip(first, second, strict=True)])


@lru_cache(maxsize=16)
def typical(space: Space, metric: str) -> np.ndarray:
    """Return the mean squared distance of random points, one a group."""
    return _raw_squared_distances(space, metric, _reference(space), _reference(space)).mean(axis=(1, 2))


def _reference(space: Space) -> bytes:
    return space.latin_hypercube(32, np.random.default_rng(0)).tobytes()


@lru_cache(maxsize=16)
def _features(space: Space, metric: str, rows: bytes) -> list[np.ndarray]:
    """Return arrays of shape (n, width) whose Euclidean distances are wanted; samples (n, draws, k) for Sinkhorn."""
    vectors = space.from_unit(np.frombuffer(rows).reshape(-1, len(space.coordinates)))
    n, k = len(vectors), len(space.variables)
    if metric == "parameters":
        columns = zip(space.coordinates, vectors.T[:, :, None], space.to_unit(vectors).T[:, :, None], strict=True)
        return [_one_hot(x, space.variables[c.variable]) if c.argument == "choice" else u for c, x, u in columns]
    if metric in PRODUCT_METRICS:
        u, weights = quantile_nodes()
        values = _quantiles(space, vectors, np.tile(u, (k, 1)), logs=metric == "log_quantile")
        return [part for v, split in zip(values, _splits(space), strict=True) for part in _parts(v, weights, split)]
    rng = np.random.default_rng(0)  # common random numbers: the same uniform draws and directions for every law
    u = (rng.permuted(np.tile(np.arange(N_SAMPLES), (k, 1)), axis=1) + 0.5) / N_SAMPLES
    parts = iter(typical(space, "quantile"))
    scales = [np.sqrt(next(parts) + (next(parts) if split else 0.0)) for split in _splits(space)]
    joint = np.concatenate([v / s for v, s in zip(_quantiles(space, vectors, u), scales, strict=True)], axis=1)
    if metric == "sinkhorn":
        return [joint.swapaxes(1, 2)]
    directions = rng.standard_normal((N_DIRECTIONS, joint.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    slices = np.sort(directions @ joint, axis=2) / np.sqrt(N_DIRECTIONS * N_SAMPLES)
    return [slices.reshape(n, -1)]


def _splits(space: Space) -> list[bool]:
    """Return for each variable whether its W_2^2 is split in two: so are laws with two searched arguments or more."""
    return [isinstance(v, Law) and len(v.intervals) > 1 for v in space.variables.values()]


def group_names(space: Space, metric: str) -> list[str]:
    """Return the names of the parts of the distance, each of which has a length in the kernel: "tau_m mean"."""
    if metric == "parameters":
        return [c.name for c in space.coordinates]
    if metric not in PRODUCT_METRICS:
        return ["joint"]
    pairs = zip(space.variables, _splits(space), strict=True)
    return [text for name, split in pairs for text in ([f"{name} mean", f"{name} form"] if split else [name])]


def _parts(values: np.ndarray, weights: np.ndarray, split: bool) -> list[np.ndarray]:
    """Return quantiles (n, width, M) as rows of features: the mean and the rest, or all in one."""
    n = len(values)
    if not split:
        return [(values * np.sqrt(weights)).reshape(n, -1)]
    mean = values @ weights
    return [mean, ((values - mean[:, :, None]) * np.sqrt(weights)).reshape(n, -1)]


def _quantiles(space: Space, vectors: np.ndarray, probabilities: np.ndarray, logs: bool = False) -> list[np.ndarray]:
    """Return for each variable the values of shape (n, width, M) at its row of the probabilities.

    A plain number on a log scale is compared by its logarithm, and so is such a law if asked; a choice is one-hot.
    """
    columns = {(c.variable, c.argument): vectors[:, [i]] for i, c in enumerate(space.coordinates)}
    values = []
    for (name, variable), u in zip(space.variables.items(), probabilities, strict=True):
        if isinstance(variable, list):
            hot = _one_hot(columns[name, "choice"], variable)
            values.append(np.repeat(hot[:, :, None], len(u), axis=2))
            continue
        fixed = {a: float(np.asarray(x)) for a, x in variable.arguments.items() if a not in variable.intervals}
        value = variable.si_quantile(u, **fixed, **{a: columns[name, a] for a in variable.intervals})
        logarithmic = on_log_scale(variable) and (logs or isinstance(variable, Interval))
        values.append((np.log(value) if logarithmic else value)[:, None, :])
    return values


def _one_hot(index: np.ndarray, choices: Any) -> np.ndarray:
    """Return rows of distance 1 from each other for different choices; index has one column."""
    return np.equal(index, np.arange(len(choices))) / np.sqrt(2)


def on_log_scale(law: Law) -> bool:
    """Return whether a variable is positive and its mean, or value, is searched on a log scale."""
    argument = "value" if isinstance(law, Interval) else "mean"
    positive = isinstance(law, (Gamma, LogNormal, Interval))
    return positive and law.intervals.get(argument, (0, 0, ""))[2] == "log"


@lru_cache(maxsize=16)
def _regularisation(space: Space) -> float:
    """Return 5 % of the median cost, or more if exp(-cost / regularisation) would underflow."""
    samples = np.concatenate(_features(space, "sinkhorn", _reference(space))[0])
    cost = cdist(samples, samples[::7], "sqeuclidean")
    return max(0.05 * float(np.median(cost)), float(cost.max()) / 400)


def _sinkhorn_divergence(first: np.ndarray, second: np.ndarray, regularisation: float) -> np.ndarray:
    """Return OT(P, Q) - OT(P, P) / 2 - OT(Q, Q) / 2 between samples of shape (n, draws, k), at least 0."""
    from ot.batch import solve_sample_batch  # slow to import, and needed here only

    def cost(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        blocks = [slice(i, i + 500) for i in range(0, len(x), 500)]  # bounds the memory
        options = {"reg": regularisation, "method": "sinkhorn", "max_iter": 1000, "tol": 1e-4}
        return np.concatenate([solve_sample_batch(x[b], y[b], **options).value for b in blocks])

    same = first is second
    i, j = np.triu_indices(len(first), 1) if same else np.indices((len(first), len(second))).reshape(2, -1)
    own = cost(first, first)
    other = own if same else cost(second, second)
    divergence = np.zeros((len(first), len(second)))
    divergence[i, j] = np.maximum(cost(first[i], second[j]) - own[i] / 2 - other[j] / 2, 0)
    return divergence + divergence.T if same else divergence
