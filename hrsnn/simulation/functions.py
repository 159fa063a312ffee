"""Functions that the networks call inside a simulation, each with a NumPy, a Cython, a C++ and a CUDA twin."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np
from brian2.core.functions import Function

from hrsnn.simulation.brian2_hooks import stop

__all__ = ["CPP", "FUNCTIONS", "fast_exp", "fast_math", "fast_pow", "poisson_gap", "stop_if", "uniform"]

GOLDEN = 0x9E3779B97F4A7C15
NEVER = 1 << 30  # a step that no run reaches

_GAP_CPP = """
static inline uint64_t _hrsnn_mix(uint64_t z)
{
    z ^= z >> 30; z *= 0xBF58476D1CE4E5B9ull;
    z ^= z >> 27; z *= 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}
static inline int _poisson_gap(double p, int seed, int i, int n)
{
    if (!(p > 0)) return 1 << 30;
    if (p >= 1) return 1;
    const uint64_t key = _hrsnn_mix(uint64_t(int64_t(seed)) * 0x9E3779B97F4A7C15ull + uint64_t(i) + 1);
    const uint64_t z = _hrsnn_mix(key + (uint64_t(n) + 1) * 0x9E3779B97F4A7C15ull);
    const double u = (double(z >> 11) + 0.5) * (1.0 / 9007199254740992.0);
    const double gap = std::floor(std::log(u) / std::log1p(-p));
    return gap < 1e8 ? 1 + int(gap) : 1 << 30;
}
"""

# On a GPU the same integers; logarithms to the last digit or the one before.
_GAP_CUDA = _GAP_CPP.replace("static inline", "static inline __device__").replace("std::", "")

_GAP_CYTHON = """
from libc.math cimport log, log1p, floor
cdef unsigned long long _hrsnn_mix(unsigned long long z) noexcept nogil:
    z ^= z >> 30
    z *= <unsigned long long>0xBF58476D1CE4E5B9
    z ^= z >> 27
    z *= <unsigned long long>0x94D049BB133111EB
    return z ^ (z >> 31)

cdef int _poisson_gap(double p, int seed, int i, int n) noexcept nogil:
    cdef unsigned long long golden = <unsigned long long>0x9E3779B97F4A7C15
    cdef unsigned long long key, z
    cdef double gap
    if not p > 0:
        return 1 << 30
    if p >= 1:
        return 1
    key = _hrsnn_mix(<unsigned long long>(<long long>seed) * golden + <unsigned long long>i + 1)
    z = _hrsnn_mix(key + (<unsigned long long>n + 1) * golden)
    gap = floor(log((<double>(z >> 11) + 0.5) * (1.0 / 9007199254740992.0)) / log1p(-p))
    return 1 + <int>gap if gap < 1e8 else 1 << 30
"""

_EXP_CPP = """
static inline double _fast_exp(double x)
{   // 2^k times a polynomial on [-ln2/2, ln2/2]; relative error below 1e-12; a loop over it vectorises
    double y = x * 1.4426950408889634;
    y = y < -1022.0 ? -1022.0 : (y > 1023.0 ? 1023.0 : y);  // the normal numbers
    const double k = __builtin_floor(y + 0.5);
    const double f = (y - k) * 0.6931471805599453;
    const double r = 1 + f*(1 + f*(1./2 + f*(1./6 + f*(1./24 + f*(1./120 + f*(1./720 + f*(1./5040
                     + f*(1./40320 + f*(1./362880 + f*(1./3628800))))))))));
    const int64_t bits = (int64_t(k) + 1023) << 52;
    double scale;
    __builtin_memcpy(&scale, &bits, 8);
    return r * scale;
}
"""

_EXP_CYTHON = """
from libc.math cimport exp
cdef double _fast_exp(double x) noexcept nogil:
    return exp(x)
"""

# On a GPU exp and pow are fast as they are.
_EXP_CUDA = "template <typename T> static inline __device__ auto _fast_exp(T x) { return exp(x); }"

_POW_CUDA = """
template <typename T, typename U> static inline __device__ T _fast_pow(T x, U y)
{   // 0 for x <= 0, which is where a weight has passed its bound
    return x > 0 ? pow(x, T(y)) : T(y == 0);
}
"""

_POW_CPP = """
static inline double _fast_log(double x)
{   // x = m 2^e with m in [sqrt(1/2), sqrt(2)); log(m) = 2 atanh((m - 1)/(m + 1))
    int64_t bits;
    __builtin_memcpy(&bits, &x, 8);
    const int64_t offset = bits - 0x3fe6a09e667f3bcdll;
    const int64_t e = offset >> 52;
    bits -= int64_t(uint64_t(e) << 52);
    double m;
    __builtin_memcpy(&m, &bits, 8);
    const double s = (m - 1) / (m + 1), q = s * s;
    const double series = 1 + q*(1./3 + q*(1./5 + q*(1./7 + q*(1./9 + q*(1./11 + q*(1./13 + q*(1./15
                            + q*(1./17))))))));
    return double(e) * 0.6931471805599453 + 2 * s * series;
}
static inline double _fast_pow(double x, double y)
{   // 0 for x <= 0, which is where a weight has passed its bound
    const double power = _fast_exp(y * _fast_log(x > 1e-300 ? x : 1e-300));
    return x > 1e-300 ? power : (y == 0 ? 1.0 : 0.0);
}
"""

_POW_CYTHON = """
from libc.math cimport pow
cdef double _fast_pow(double x, double y) noexcept nogil:
    return pow(x, y) if x > 0 else (1.0 if y == 0 else 0.0)
"""

_SIDE_BY_SIDE_CPP = """
static inline double _int(bool x) { return x ? 1.0 : 0.0; }
static inline int _int(double x) { return int(x); }
static inline int _int(int x) { return x; }
static inline double _clip(double x, double low, double high) { return x < low ? low : (x > high ? high : x); }

// Neurons side by side in a register; a step is written once for all of them.
#if defined(__AVX512F__)
#define LANES 8
#elif defined(__AVX__)
#define LANES 4
#else
#define LANES 2
#endif
typedef double Reals __attribute__((vector_size(8 * LANES)));
typedef double Stored __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
typedef int64_t Flags __attribute__((vector_size(8 * LANES)));
typedef int32_t Halves __attribute__((vector_size(4 * LANES)));
static inline Reals _int(Flags x) { return x ? Reals{} + 1.0 : Reals{}; }
static inline bool any(Flags x)
{
#if defined(__AVX512DQ__)
    typedef long long Bits __attribute__((vector_size(64)));
    return __builtin_ia32_cvtq2mask512((Bits)x);
#else
    int64_t found = 0;
    for (int k = 0; k < LANES; k++) found |= x[k];
    return found;
#endif
}
static inline Reals exp_near_0(Reals f)
{
    return 1 + f*(1 + f*(1./2 + f*(1./6 + f*(1./24 + f*(1./120 + f*(1./720 + f*(1./5040
             + f*(1./40320 + f*(1./362880 + f*(1./3628800))))))))));
}
static inline Reals _fast_exp(Reals x)
{   // as the function of one number; most arguments are those of a small step, and need no power of 2
    if (__builtin_expect(!any((x < -0.34) | (x > 0.34)), 1)) return exp_near_0(x);
    Reals y = x * 1.4426950408889634;
    y = y < -1022.0 ? Reals{} - 1022.0 : (y > 1023.0 ? Reals{} + 1023.0 : y);
    const Halves k = __builtin_convertvector(y + 1536.5, Halves) - 1536;
    const Flags bits = (__builtin_convertvector(k, Flags) + 1023) << 52;
    return exp_near_0((y - __builtin_convertvector(k, Reals)) * 0.6931471805599453) * (Reals)bits;
}
static inline Reals _fast_pow(Reals x, Reals y)
{
    for (int k = 0; k < LANES; k++) x[k] = _fast_pow(double(x[k]), double(y[k]));
    return x;
}
static inline Reals _fast_pow(Reals x, double y) { return _fast_pow(x, Reals{} + y); }
static inline Reals _fast_pow(double x, Reals y) { return _fast_pow(Reals{} + x, y); }
static inline Reals _clip(Reals x, Reals low, Reals high) { return x < low ? low : (x > high ? high : x); }
static inline Reals _clip(Reals x, double low, double high) { return _clip(x, Reals{} + low, Reals{} + high); }
static inline void add(double* __restrict to, const double* __restrict from, int n)
{
    int j = 0;
    for (; j + LANES <= n; j += LANES) *(Stored*)(to + j) += *(const Stored*)(from + j);
    for (; j < n; j++) to[j] += from[j];
}
"""

_STOP_CPP = """
static inline int _stop_if(int condition)
{
    if (condition) Network::_globally_stopped = true;
    return condition;
}
"""


# The program on the host looks at the flag after each call (see hrsnn.simulation.cuda).
_STOP_CUDA = """
static __device__ int _hrsnn_stop = 0;
static inline __device__ int _stop_if(int condition)
{
    if (condition) _hrsnn_stop = 1;
    return condition;
}
"""

_STOP_CYTHON = """
from brian2.core.network import Network as _HrsnnNetwork
cdef int _stop_if(int condition):
    if condition:
        _HrsnnNetwork._globally_stopped = True
    return condition
"""


def _function(
    numpy_twin: Callable[..., Any],
    name: str,
    cpp: str,
    cuda: str,
    cython: str,
    n_arguments: int,
    return_type: str = "float",
    stateless: bool = True,
    dependencies: dict[str, Function] | None = None,
) -> Function:
    function = Function(
        numpy_twin, arg_units=[1] * n_arguments, return_unit=1, return_type=return_type, stateless=stateless
    )
    function.implementations.add_implementation("cpp", cpp, name=name, dependencies=dependencies)
    function.implementations.add_implementation("cuda", cuda, name=name)
    function.implementations.add_implementation("cython", cython, name=name)
    return function


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(seed: Any, i: Any, n: Any) -> np.ndarray:
    """Return draw ``n`` of random stream ``i`` of ``seed``: a number in (0, 1) that depends on nothing else.

    The streams are splitmix64 sequences. Every back end draws the same numbers, and a run split into blocks
    draws those of the run in one piece.

    Parameters
    ----------
    seed, i, n : int or array of int
        Seed, number of the stream (0, 1, ...) and of the draw (0, 1, ...).

    Returns
    -------
    array of float
    """
    golden = np.uint64(GOLDEN)
    with np.errstate(over="ignore"):
        seed, i, n = (np.asarray(value, dtype=np.int64).astype(np.uint64) for value in (seed, i, n))
        key = _mix(seed * golden + i + np.uint64(1))
        z = _mix(key + (n + np.uint64(1)) * golden)
    return ((z >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53


def _gap(p: Any, seed: Any, i: Any, n: Any) -> np.ndarray:
    p = np.asarray(p, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.floor(np.log(uniform(seed, i, n)) / np.log1p(-np.clip(p, 0, 1)))
    gap = np.where(p >= 1, 0, gap)
    reached = (p > 0) & (gap < 1e8)
    return np.where(reached, 1 + np.where(reached, gap, 0), NEVER).astype(np.int32)


def _stop(condition: Any) -> Any:
    if np.any(condition):
        stop()
    return condition


def _pow(x: Any, y: Any) -> Any:
    return np.where(np.asarray(x) > 0, np.power(np.maximum(x, 0), y), np.equal(y, 0).astype(float))


#: Steps until the next spike of a Bernoulli process with probability ``p`` a step (geometric, at least 1).
poisson_gap = _function(_gap, "_poisson_gap", _GAP_CPP, _GAP_CUDA, _GAP_CYTHON, 4, return_type="integer")

#: ``exp`` that a C++ compiler can vectorise (relative error below 1e-12); plain ``exp`` on a GPU and in runtime mode.
fast_exp = _function(np.exp, "_fast_exp", _EXP_CPP, _EXP_CUDA, _EXP_CYTHON, 1)

#: ``x**y`` for x >= 0, likewise; 0 for x < 0.
fast_pow = _function(_pow, "_fast_pow", _POW_CPP, _POW_CUDA, _POW_CYTHON, 2, dependencies={"fast_exp": fast_exp})

#: End the run after the present step if the condition holds; returns the condition.
stop_if = _function(_stop, "_stop_if", _STOP_CPP, _STOP_CUDA, _STOP_CYTHON, 1, return_type="integer", stateless=False)

#: The functions without a state in C++, of numbers and of as many neurons as a register holds (``Reals``).
CPP = "".join([_GAP_CPP, _EXP_CPP, _POW_CPP, _SIDE_BY_SIDE_CPP])

#: What equations of this package may call; Brian2 looks them up in the namespace of a group.
FUNCTIONS = {"fast_exp": fast_exp, "fast_pow": fast_pow, "poisson_gap": poisson_gap, "stop_if": stop_if}


class _FastMath(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "exp":
            node.func.id = "fast_exp"
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        varies = any(isinstance(part, ast.Name) for part in ast.walk(node.right))
        if isinstance(node.op, ast.Pow) and varies:
            return ast.Call(ast.Name("fast_pow", ast.Load()), [node.left, node.right], [])
        return node


def fast_math(statements: str) -> str:
    """Replace ``exp`` and powers with a variable exponent in Brian2 statements by their vectorisable twins."""
    return ast.unparse(_FastMath().visit(ast.parse(statements)))
