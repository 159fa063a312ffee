"""The compiled form of interval-modulated synapses: only spikes cost anything, in the forward and the backward pass."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
from functools import cache
from typing import Any

import jax

from hrsnn.simulation.backends import (
    BackendUnavailable,
    build_environment,
    cache_folder,
    compile_flags,
    compiler,
    make_cache,
)

__all__ = ["is_compiled", "kernel"]

SOURCE = r"""
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

static inline double exponential(double x) { return std::exp(x); }

static inline float exponential(float x)
{   // 2^k times a polynomial on [-ln2/2, ln2/2]: a loop over it vectorises
    float y = x * 1.44269504f;
    y = y < -126.0f ? -126.0f : y;
    const float k = __builtin_floorf(y + 0.5f);
    const float f = (y - k) * 0.69314718f;
    const float r = 1 + f*(1 + f*(1.f/2 + f*(1.f/6 + f*(1.f/24 + f*(1.f/120 + f*(1.f/720))))));
    const int32_t bits = (int32_t(k) + 127) << 23;
    float scale;
    __builtin_memcpy(&scale, &bits, 4);
    return r * scale;
}

struct Size { int64_t steps, samples, pre, post; };

// The spikes, sorted by neuron and interval. A row is step*samples + sample; those from first[i*steps + phi - 1] to the
// next entry are spikes of neuron i at interval phi, which meet the same weights.
struct Sorted {
    std::vector<int32_t> first, rows;
    template <typename real> Sorted(Size n, const real* spikes) : first(n.pre*n.steps + 1, 0)
    {
        std::vector<int32_t> last(n.samples*n.pre, -1), keys, places;
        for (int64_t row = 0; row < n.steps*n.samples; row++) {
            const int32_t step = row / n.samples;
            int32_t* before = last.data() + (row % n.samples)*n.pre;
            for (int64_t i = 0; i < n.pre; i++)
                if (spikes[row*n.pre + i] != 0) {
                    keys.push_back(i*n.steps + step - before[i] - 1);
                    places.push_back(row);
                    before[i] = step;
                }
        }
        for (int32_t key : keys) first[key + 1]++;
        for (size_t k = 1; k < first.size(); k++) first[k] += first[k - 1];
        std::vector<int32_t> next(first.begin(), first.end() - 1);
        rows.resize(keys.size());
        for (size_t k = 0; k < keys.size(); k++) rows[next[keys[k]]++] = places[k];
    }
};

template <typename real> struct Synapses {
    Size n;
    const real *h, *mu, *sigma;

    void weights(real* __restrict to, int64_t i, real phi) const  // of neuron i's synapses, over their heights
    {
        const real* __restrict centre = mu + i*n.post;
        const real* __restrict width = sigma + i*n.post;
        for (int64_t j = 0; j < n.post; j++) {
            const real z = (phi - centre[j]) / width[j];
            to[j] = exponential(real(-0.5)*z*z);
        }
    }

    void scale(real* __restrict to, int64_t i) const  // by the heights
    {
        for (int64_t j = 0; j < n.post; j++) to[j] *= h[i*n.post + j];
    }
};

// What arrives: eq. 5 and the sum of eq. 2.
template <typename real> void arriving(const Synapses<real>& all, const real* spikes, real* out)
{
    const Size n = all.n;
    const Sorted sorted(n, spikes);
    std::memset(out, 0, n.steps*n.samples*n.post*sizeof(real));
    std::vector<real> kept(n.post);
    for (int64_t key = 0; key < n.pre*n.steps; key++) {
        if (sorted.first[key] == sorted.first[key + 1]) continue;
        const real* __restrict w = kept.data();
        all.weights(kept.data(), key / n.steps, key % n.steps + 1);
        all.scale(kept.data(), key / n.steps);
        for (int32_t e = sorted.first[key]; e < sorted.first[key + 1]; e++) {
            real* __restrict to = out + sorted.rows[e]*n.post;
            for (int64_t j = 0; j < n.post; j++) to[j] += w[j];
        }
    }
}

// The derivative by the heights, from that by what arrives (delta): eq. 7.
template <typename real> void by_heights(const Synapses<real>& all, const real* spikes, const real* delta, real* out)
{
    const Size n = all.n;
    const Sorted sorted(n, spikes);
    std::memset(out, 0, n.pre*n.post*sizeof(real));
    std::vector<real> kept(n.post), summed(n.post);
    for (int64_t key = 0; key < n.pre*n.steps; key++) {
        if (sorted.first[key] == sorted.first[key + 1]) continue;
        real* __restrict total = summed.data();
        std::fill(summed.begin(), summed.end(), real(0));
        for (int32_t e = sorted.first[key]; e < sorted.first[key + 1]; e++) {
            const real* __restrict from = delta + sorted.rows[e]*n.post;
            for (int64_t j = 0; j < n.post; j++) total[j] += from[j];
        }
        const real* __restrict w = kept.data();
        real* __restrict to = out + key / n.steps*n.post;
        all.weights(kept.data(), key / n.steps, key % n.steps + 1);
        for (int64_t j = 0; j < n.post; j++) to[j] += w[j]*total[j];
    }
}

// The derivative by the spikes: what one would add (first term of eq. 9), and what it would do to the interval before
// the next spike (second term), left out where it is not below (sign 1) or not above zero (sign -1): eq. 10.
template <typename real>
void by_spikes(const Synapses<real>& all, int64_t sign, const real* spikes, const real* delta, real* out)
{
    const Size n = all.n;
    std::vector<real> kept(n.post), turned(n.post*n.pre), table(n.steps*n.post);
    std::vector<std::vector<int32_t>> fired(n.pre*n.samples);
    for (int32_t step = 0; step < n.steps; step++) {  // as if none had fired: one interval, a matrix product
        for (int64_t i = 0; i < n.pre; i++) {
            all.weights(kept.data(), i, step + 1);
            all.scale(kept.data(), i);
            for (int64_t j = 0; j < n.post; j++) turned[j*n.pre + i] = kept[j];
        }
        for (int64_t sample = 0; sample < n.samples; sample++) {
            const int64_t row = step*n.samples + sample;
            real* __restrict to = out + row*n.pre;
            std::fill(to, to + n.pre, real(0));
            for (int64_t j = 0; j < n.post; j++) {
                const real* __restrict w = turned.data() + j*n.pre;
                const real from = delta[row*n.post + j];
                for (int64_t i = 0; i < n.pre; i++) to[i] += w[i]*from;
            }
            for (int64_t i = 0; i < n.pre; i++)
                if (spikes[row*n.pre + i] != 0) fired[i*n.samples + sample].push_back(step);
        }
    }
    for (int64_t i = 0; i < n.pre; i++) {  // those that have, from spike to spike
        bool is_filled = false;
        for (int64_t sample = 0; sample < n.samples; sample++) {
            const std::vector<int32_t>& times = fired[i*n.samples + sample];
            for (int32_t phi = 1; phi <= n.steps && !times.empty() && !is_filled; phi++) {
                all.weights(table.data() + (phi - 1)*n.post, i, phi);
                all.scale(table.data() + (phi - 1)*n.post, i);
            }
            is_filled |= !times.empty();
            int32_t before = -1, interval = 0;
            for (size_t k = 0; k < times.size(); k++) {
                const int32_t now = times[k], next = k + 1 < times.size() ? times[k + 1] : n.steps - 1;
                const real* w = table.data() + (now - before - 1)*n.post;
                const real* from = delta + (now*n.samples + sample)*n.post;
                real slope = 0;
                for (int64_t j = 0; j < n.post; j++) {
                    const real width = all.sigma[i*n.post + j];
                    slope -= w[j]*from[j]*(now - before - all.mu[i*n.post + j]) / (width*width);
                }
                if (!sign || slope*sign < 0)
                    for (int32_t step = std::max(before, 0); step < now; step++)
                        out[(step*n.samples + sample)*n.pre + i] -= slope*(step > before ? step - before : interval);
                for (int32_t step = now + 1; step <= next; step++) {
                    const real* __restrict own = table.data() + (step - now - 1)*n.post;
                    const real* __restrict given = delta + (step*n.samples + sample)*n.post;
                    real direct = 0;
                    for (int64_t j = 0; j < n.post; j++) direct += own[j]*given[j];
                    out[(step*n.samples + sample)*n.pre + i] = direct;
                }
                interval = now - before;
                before = now;
            }
        }
    }
}

template <ffi::DataType type> using Array = ffi::Buffer<type>;
template <ffi::DataType type> using Made = ffi::Result<Array<type>>;

template <ffi::DataType T> auto synapses(Array<T>& spikes, Array<T>& h, Array<T>& mu, Array<T>& sigma)
{
    const auto shape = spikes.dimensions();
    const Size n = {shape[0], shape[1], shape[2], int64_t(h.dimensions()[1])};
    return Synapses<ffi::NativeType<T>>{n, h.typed_data(), mu.typed_data(), sigma.typed_data()};
}

template <ffi::DataType T>
ffi::Error Forward(Array<T> spikes, Array<T> h, Array<T> mu, Array<T> sigma, Made<T> out)
{
    arriving(synapses<T>(spikes, h, mu, sigma), spikes.typed_data(), out->typed_data());
    return ffi::Error::Success();
}

template <ffi::DataType T>
ffi::Error Backward(int64_t sign, Array<T> spikes, Array<T> h, Array<T> mu, Array<T> sigma, Array<T> delta,
                    Made<T> heights, Made<T> before)
{
    const auto all = synapses<T>(spikes, h, mu, sigma);
    by_heights(all, spikes.typed_data(), delta.typed_data(), heights->typed_data());
    if (before->element_count())
        by_spikes(all, sign, spikes.typed_data(), delta.typed_data(), before->typed_data());
    return ffi::Error::Success();
}

#define EXPORT(name, T) \
    XLA_FFI_DEFINE_HANDLER_SYMBOL(forward_##name, Forward<T>, ffi::Ffi::Bind() \
        .Arg<Array<T>>().Arg<Array<T>>().Arg<Array<T>>().Arg<Array<T>>().Ret<Array<T>>()); \
    XLA_FFI_DEFINE_HANDLER_SYMBOL(backward_##name, Backward<T>, ffi::Ffi::Bind().Attr<int64_t>("sign") \
        .Arg<Array<T>>().Arg<Array<T>>().Arg<Array<T>>().Arg<Array<T>>().Arg<Array<T>>() \
        .Ret<Array<T>>().Ret<Array<T>>())
EXPORT(float32, ffi::F32);
EXPORT(float64, ffi::F64);
"""


@cache
def is_compiled() -> bool:
    """Tell whether the kernel can run: JAX computes on the processor, and there is a C++ compiler."""
    if jax.default_backend() != "cpu":
        return False
    try:
        compiler()
    except BackendUnavailable:
        return False
    return True


def kernel(name: str, shapes: Any, *arrays: Any, **attributes: Any) -> Any:
    """Return what the kernel's function ``name`` makes of some arrays, in their precision.

    Parameters
    ----------
    name : {"forward", "backward"}
    shapes : shape or tuple of shapes
        Of the results.
    *arrays : array
    **attributes : int
    """
    _register()
    dtype = arrays[0].dtype
    many = bool(shapes) and isinstance(shapes[0], tuple)
    wanted = [jax.ShapeDtypeStruct(shape, dtype) for shape in (shapes if many else [shapes])]
    call = jax.ffi.ffi_call(f"hrsnn_interval_{name}_{dtype.name}", wanted if many else wanted[0])
    return call(*arrays, **attributes)


@cache
def _register() -> None:
    """Compile the kernel, or take it from the cache, and name its functions to JAX."""
    library = ctypes.cdll.LoadLibrary(str(_library()))
    for name in ("forward", "backward"):
        for dtype in ("float32", "float64"):
            handler = jax.ffi.pycapsule(getattr(library, f"{name}_{dtype}"))
            jax.ffi.register_ffi_target(f"hrsnn_interval_{name}_{dtype}", handler, platform="cpu")


def _library() -> Any:
    key = hashlib.sha256("\n".join([SOURCE, build_environment(), jax.__version__]).encode()).hexdigest()[:16]
    folder = cache_folder() / "intervals" / key
    library = folder / "kernel.so"
    if not library.exists():
        make_cache(folder)
        source, made, partial = (folder / f"{os.getpid()}.{end}" for end in ("cpp", "o", "so"))
        source.write_text(SOURCE)
        compile_ = ["-fPIC", f"-I{jax.ffi.include_dir()}", *compile_flags(), "-c", str(source), "-o", str(made)]
        # Linked with -ffast-math, a library would take subnormal numbers from the whole process when it is loaded.
        for flags in (compile_, ["-shared", str(made), "-o", str(partial)]):
            command = [compiler()[0], *flags]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                break
        for path in (source, made):
            path.unlink(missing_ok=True)
        if done.returncode:
            partial.unlink(missing_ok=True)
            raise RuntimeError(
                f"{command[0]} does not compile the kernel of interval-modulated synapses: "
                f"{done.stderr.strip()[-500:]}. Check the compiler and the free disk space in {cache_folder()}."
            )
        os.replace(partial, library)
    return library
