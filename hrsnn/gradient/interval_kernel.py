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

// The derivative by the spikes: what one would add (first term of eq. 9), and what it would do to later intervals
// (second term), left out where it is not below (sign 1) or not above zero (sign -1): eq. 10. A few neurons of a few
// samples at a time, so that what is kept stays in the cache; rows are filled up with zeros to whole vectors.
template <typename real>
void by_spikes(const Synapses<real>& all, int64_t sign, const real* spikes, const real* delta, real* out)
{
    const int64_t WIDTH = 16, SAMPLES = 8, LANES = 16;
    const Size n = all.n;
    const int64_t n_rows = n.steps*n.samples, length = (n.post + LANES - 1) / LANES*LANES;
    std::vector<real> table(WIDTH*n.steps*length), given(n_rows*length), pull(n.steps*SAMPLES*WIDTH);
    std::vector<int32_t> intervals(n.steps*SAMPLES*WIDTH);
    for (int64_t row = 0; row < n_rows; row++)
        std::copy(delta + row*n.post, delta + (row + 1)*n.post, given.begin() + row*length);
    for (int64_t start = 0; start < n.pre; start += WIDTH) {
        const int64_t width = std::min(WIDTH, n.pre - start);
        for (int64_t k = 0; k < width*n.steps; k++) {
            all.weights(table.data() + k*length, start + k / n.steps, k % n.steps + 1);
            all.scale(table.data() + k*length, start + k / n.steps);
        }
        for (int64_t sample = 0; sample < n.samples; sample += SAMPLES) {
            const int64_t n_now = std::min(SAMPLES, n.samples - sample);
            int32_t last[SAMPLES*WIDTH];
            std::fill(last, last + SAMPLES*WIDTH, -1);
            for (int32_t step = 0; step < n.steps; step++)
                for (int64_t b = 0; b < n_now; b++) {
                    const int64_t row = step*n.samples + sample + b, kept = (step*SAMPLES + b)*WIDTH;
                    const real* __restrict from = given.data() + row*length;
                    const real* fired = spikes + row*n.pre + start;
                    for (int64_t i = 0; i < width; i++) {
                        const int32_t phi = step - last[b*WIDTH + i];
                        const real* __restrict w = table.data() + (i*n.steps + phi - 1)*length;
                        real direct = 0, slope = 0, part[LANES] = {};
                        for (int64_t j = 0; j < length; j += LANES)
                            for (int64_t lane = 0; lane < LANES; lane++) part[lane] += w[j + lane]*from[j + lane];
                        for (real value : part) direct += value;
                        if (fired[i] != 0) {
                            const real* centre = all.mu + (start + i)*n.post;
                            const real* spread = all.sigma + (start + i)*n.post;
                            for (int64_t j = 0; j < n.post; j++)
                                slope -= w[j]*from[j]*(phi - centre[j]) / (spread[j]*spread[j]);
                            if (sign && slope*sign >= 0) slope = 0;
                            last[b*WIDTH + i] = step;
                        }
                        out[row*n.pre + start + i] = direct;
                        pull[kept + i] = slope;
                        intervals[kept + i] = phi;
                    }
                }
            real later[SAMPLES*WIDTH] = {};
            for (int32_t step = n.steps - 1; step >= 0; step--)
                for (int64_t b = 0; b < n_now; b++) {
                    const int64_t place = (step*n.samples + sample + b)*n.pre + start, kept = (step*SAMPLES + b)*WIDTH;
                    for (int64_t i = 0; i < width; i++) {
                        real& back = later[b*WIDTH + i];
                        out[place + i] -= intervals[kept + i]*back;
                        back = pull[kept + i] + back*(1 - spikes[place + i]);
                    }
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
    library = folder / "intervals.so"
    if not library.exists():
        make_cache(folder)
        source, partial = folder / f"{os.getpid()}.cpp", folder / f"{os.getpid()}.so"
        source.write_text(SOURCE)
        flags = (*compile_flags(), "-shared", "-fPIC", f"-I{jax.ffi.include_dir()}")
        command = [compiler()[0], *flags, str(source), "-o", str(partial)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        source.unlink()
        if done.returncode:
            partial.unlink(missing_ok=True)
            raise RuntimeError(
                f"{command[0]} does not compile the kernel of interval-modulated synapses: "
                f"{done.stderr.strip()[-500:]}. Check the compiler and the free disk space in {cache_folder()}."
            )
        os.replace(partial, library)
    return library
