// The part of CUDA, Thrust and cuRAND that brian2cuda's programs use, for a plain C++ compiler: kernels run thread by
// thread, in an order that no program may rely on (the last thread first); device memory is host memory of its own,
// filled with garbage. Races between threads are not seen here, nor is a host pointer used on the device.
#pragma once
#include <algorithm>
#include <cassert>
#include <chrono>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __CUDA_ARCH__ 900
#define CURAND_H_

struct dim3 { unsigned x, y, z; };
inline dim3 threadIdx, blockIdx, blockDim, gridDim;
inline void __syncthreads() {}
inline void __threadfence() {}
template <class F> void emulate_launch(unsigned blocks, unsigned threads, F kernel, size_t = 0)
{
    gridDim = {blocks, 1, 1}; blockDim = {threads, 1, 1};
    for (unsigned b = blocks; b-- > 0;)
        for (unsigned t = threads; t-- > 0;) { blockIdx = {b, 0, 0}; threadIdx = {t, 0, 0}; kernel(); }
}

// Runtime
enum cudaError { cudaSuccess, cudaErrorMemoryAllocation };
typedef cudaError cudaError_t;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaLimit { cudaLimitMallocHeapSize };
struct cudaDeviceProp
{
    int multiProcessorCount = 3, maxThreadsPerBlock = 32, maxThreadsPerMultiProcessor = 64, warpSize = 32;
    size_t sharedMemPerBlock = 49152;
};
struct cudaFuncAttributes
{
    int maxThreadsPerBlock = 32, numRegs = 0;
    size_t sharedSizeBytes = 0, localSizeBytes = 0, constSizeBytes = 0;
};
inline const char* cudaGetErrorString(cudaError) { return "out of memory"; }
inline cudaError cudaGetLastError() { return cudaSuccess; }
inline cudaError cudaSetDevice(int) { return cudaSuccess; }
inline cudaError cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError cudaProfilerStop() { return cudaSuccess; }
inline cudaError cudaDeviceSetLimit(cudaLimit, size_t) { return cudaSuccess; }
inline cudaError cudaGetDeviceProperties(cudaDeviceProp* props, int) { *props = {}; return cudaSuccess; }
inline cudaError cudaMemGetInfo(size_t* free, size_t* total) { *free = *total = size_t(1) << 30; return cudaSuccess; }
inline cudaError cudaMalloc(void** pointer, size_t n)
{
    *pointer = malloc(n + 1);
    if (*pointer) memset(*pointer, 0xCD, n);
    return *pointer ? cudaSuccess : cudaErrorMemoryAllocation;
}
inline cudaError cudaFree(void* pointer) { free(pointer); return cudaSuccess; }
inline cudaError cudaMemset(void* to, int value, size_t n) { memset(to, value, n); return cudaSuccess; }
inline cudaError cudaMemcpy(void* to, const void* from, size_t n, cudaMemcpyKind)
{
    memmove(to, from, n);
    return cudaSuccess;
}
template <class T> cudaError cudaMemcpyToSymbol(T& symbol, const void* from, size_t n)
{
    memcpy(&symbol, from, n);
    return cudaSuccess;
}
template <class T> cudaError cudaMemcpyFromSymbol(void* to, const T& symbol, size_t n)
{
    memcpy(to, &symbol, n);
    return cudaSuccess;
}
template <class F> cudaError cudaFuncGetAttributes(cudaFuncAttributes* found, F) { *found = {}; return cudaSuccess; }
template <class F> cudaError cudaOccupancyMaxPotentialBlockSize(int* grid, int* block, F, size_t, int)
{
    *grid = 3; *block = 32;
    return cudaSuccess;
}
template <class F> cudaError cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, F, int, size_t)
{
    *blocks = 1;
    return cudaSuccess;
}

// Intrinsics
template <class T, class V> T atomicAdd(T* to, V value) { T old = *to; *to += value; return old; }
template <class T, class V> T atomicCAS(T* to, T expected, V value)
{
    T old = *to;
    if (old == expected) *to = value;
    return old;
}
template <class To, class From> To emulate_bits(From x) { To y; memcpy(&y, &x, sizeof y); return y; }
inline int __float_as_int(float x) { return emulate_bits<int>(x); }
inline float __int_as_float(int x) { return emulate_bits<float>(x); }
inline long long __double_as_longlong(double x) { return emulate_bits<long long>(x); }
inline double __longlong_as_double(unsigned long long x) { return emulate_bits<double>(x); }

// Thrust: host and device vectors have memory of their own.
namespace thrust {
template <class T> struct host_vector : std::vector<T> { using std::vector<T>::vector; };
template <class T> struct device_vector : std::vector<T>
{
    using std::vector<T>::vector;
    device_vector& operator=(const host_vector<T>& other) { this->assign(other.begin(), other.end()); return *this; }
    operator host_vector<T>() const { return host_vector<T>(this->begin(), this->end()); }
};
template <class T> T* raw_pointer_cast(T* pointer) { return pointer; }
template <class I, class J> void sequence(I begin, J end) { std::iota(begin, end, 0); }
template <class I, class J> void sort_by_key(I begin, I end, J values)
{
    std::vector<size_t> order(end - begin);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return begin[a] < begin[b]; });
    std::vector<typename std::iterator_traits<I>::value_type> keys(begin, end);
    std::vector<typename std::iterator_traits<J>::value_type> items(values, values + (end - begin));
    for (size_t k = 0; k < order.size(); k++) { begin[k] = keys[order[k]]; values[k] = items[order[k]]; }
}
template <class I, class J> using pair = std::pair<I, J>;
template <class I, class J> std::pair<I, J> unique_by_key(I begin, I end, J values)
{
    if (begin == end) return {begin, values};
    I last = begin; J value = values;
    for (I k = begin; k != end; ++k, ++values) if (!(*k == *last)) { *++last = *k; *++value = *values; }
    return {++last, ++value};
}
}

// cuRAND: no network of this package draws from it.
typedef int curandGenerator_t;
struct curandState {};
enum curandStatus_t {
    CURAND_STATUS_SUCCESS, CURAND_STATUS_VERSION_MISMATCH, CURAND_STATUS_NOT_INITIALIZED,
    CURAND_STATUS_ALLOCATION_FAILED, CURAND_STATUS_TYPE_ERROR, CURAND_STATUS_OUT_OF_RANGE,
    CURAND_STATUS_LENGTH_NOT_MULTIPLE, CURAND_STATUS_DOUBLE_PRECISION_REQUIRED, CURAND_STATUS_LAUNCH_FAILURE,
    CURAND_STATUS_PREEXISTING_FAILURE, CURAND_STATUS_INITIALIZATION_FAILED, CURAND_STATUS_ARCH_MISMATCH,
    CURAND_STATUS_INTERNAL_ERROR
};
enum { CURAND_RNG_PSEUDO_DEFAULT };
inline curandStatus_t curandCreateGenerator(curandGenerator_t*, int) { return CURAND_STATUS_SUCCESS; }
inline curandStatus_t curandDestroyGenerator(curandGenerator_t) { return CURAND_STATUS_SUCCESS; }
inline curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t, unsigned long long)
{
    return CURAND_STATUS_SUCCESS;
}
inline curandStatus_t curandSetGeneratorOffset(curandGenerator_t, unsigned long long) { return CURAND_STATUS_SUCCESS; }
template <class T, class... Rest> curandStatus_t emulate_no_draws(curandGenerator_t, T*, Rest...)
{
    fprintf(stderr, "The emulator draws no random numbers.\n");
    exit(1);
}
#define curandGenerateUniform emulate_no_draws
#define curandGenerateUniformDouble emulate_no_draws
#define curandGenerateNormal emulate_no_draws
#define curandGenerateNormalDouble emulate_no_draws
#define curandGeneratePoisson emulate_no_draws
inline void curand_init(unsigned long long, unsigned long long, unsigned long long, curandState*) {}
