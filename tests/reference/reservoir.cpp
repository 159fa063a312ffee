// Reference program of the plastic reservoir: a coded series -> LIF neurons, recurrent synapses with pair STDP.
//
// Written from the equations alone (no Brian2): it is the speed limit and an independent oracle of the package.
// Vectorised state update, event-driven synapses, one core; single precision, or double with -DREAL=double.
//
// Build:  g++ -std=c++17 -O3 -march=native -ffast-math reservoir.cpp -o reservoir
// Run:    ./reservoir folder=run/ n_neurons=1000 n_inputs=60 n_steps=500 n_total=40 dt=0.5
//
// Files in the folder are raw, little-endian float64 and int32. Read: rates.bin (n_steps, n_inputs) in spikes a time
// step and phase.bin (n_inputs,), the rates of the inputs in each step of the series and their first phases;
// neurons.bin (8, n_neurons): tau_m, v_rest, v_reset, v_thresh, t_ref, tau_e, tau_i, drive; filters.bin (n_filters,);
// and for inputs, excitation and inhibition NAME_ends.bin int32 (2, n), NAME.bin (7, n): w, A_plus, A_minus, tau_plus,
// tau_minus, w_min, w_max; and where synapses have delays NAME_lag.bin int32 (n,), in time steps. Written: NAME_w.bin (n,), states.bin (n_steps, n_filters + 1, n_neurons), the filtered
// spikes and the potential at the end of each step, and spikes.bin int32 (n_spikes, 2), rows of (time step, neuron).
// One line of JSON on stdout gives the processor seconds of the simulation. Times are in ms.
//
// Time step, dv/dt = (v_rest - v + drive + i_e - i_i)/tau_m, di/dt = -i/tau, dx/dt = -x/tau_x:
//   1. exponential Euler from the old values; v is held for t_ref after a spike; an input's phase grows by its rate
//   2. thresholds: v > v_thresh, phase >= 1
//   3. spikes travel, w <- clip(w - A_minus x_minus) at presynaptic, then w <- clip(w + A_plus x_plus) at postsynaptic
//      spikes, with the traces as they were before this time step; then the traces grow by 1
//   4. resets; filtered spikes x grow by 1
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#ifndef REAL
#define REAL float
#endif
using real = REAL;
template <class T> using Array = std::vector<T>;

template <class T> Array<T> read_file(const std::string &path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) throw std::runtime_error("cannot read " + path);
    Array<T> data(size_t(file.tellg()) / sizeof(T));
    file.seekg(0);
    file.read(reinterpret_cast<char *>(data.data()), std::streamsize(data.size() * sizeof(T)));
    return data;
}

template <class T> void write_file(const std::string &path, const Array<T> &data) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char *>(data.data()), std::streamsize(data.size() * sizeof(T)));
    if (!file) throw std::runtime_error("cannot write " + path);
}

Array<real> read_reals(const std::string &path) {
    const auto data = read_file<double>(path);
    return Array<real>(data.begin(), data.end());
}

// exp(x) for x <= 0. In single precision 2^k times a polynomial, without branches, so that loops over it vectorise.
static inline double decay(double x) { return std::exp(x); }
static inline float decay(float x) {
    const float y = std::max(x * 1.4426950f, -126.0f), k = std::floor(y + 0.5f), f = (y - k) * 0.6931472f;
    const int32_t bits = (int32_t(k) + 127) << 23;
    float scale;
    __builtin_memcpy(&scale, &bits, 4);
    return scale *
           (1 + f * (1 + f * (1.f / 2 + f * (1.f / 6 + f * (1.f / 24 + f * (1.f / 120 + f * (1.f / 720)))))));
}

// The synapses of one projection, sorted by their presynaptic neuron; the incoming ones of a neuron by index.
struct Projection {
    Array<real> w, x_plus, x_minus, A_plus, A_minus, rate_plus, rate_minus, low, high;
    Array<int32_t> last;  // time step of the last event, to which the traces belong
    Array<int32_t> post, order, incoming, first, first_in, lag;

    Projection(const std::string &name, int n_pre, int n_post, real dt) : first(n_pre + 1), first_in(n_post + 1) {
        const auto ends = read_file<int32_t>(name + "_ends.bin");
        const auto table = read_reals(name + ".bin");
        const size_t n = ends.size() / 2;
        order.resize(n);
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return ends[a] < ends[b]; });
        const auto column = [&](int row) {
            Array<real> sorted;
            for (const int k : order) sorted.push_back(table[row * n + k]);
            return sorted;
        };
        w = column(0), A_plus = column(1), A_minus = column(2), low = column(5), high = column(6);
        for (const real tau : column(3)) rate_plus.push_back(dt / tau);
        for (const real tau : column(4)) rate_minus.push_back(dt / tau);
        x_plus.resize(n), x_minus.resize(n), last.resize(n), incoming.resize(n), lag.resize(n);
        if (std::ifstream(name + "_lag.bin")) {
            const auto lags = read_file<int32_t>(name + "_lag.bin");
            for (size_t k = 0; k < n; ++k) lag[k] = lags[order[k]];
        }
        for (const int k : order) {
            post.push_back(ends[n + k]);
            ++first[ends[k] + 1];
            ++first_in[ends[n + k] + 1];
        }
        std::partial_sum(first.begin(), first.end(), first.begin());
        std::partial_sum(first_in.begin(), first_in.end(), first_in.begin());
        auto next = first_in;
        for (size_t k = 0; k < n; ++k) incoming[next[post[k]]++] = int32_t(k);
    }

    // Bring the traces of a synapse to this time step, and return the potentiating one as it was before it: if its
    // last event was in this time step, that was a presynaptic spike, which has added 1.
    real meet(int k, int32_t step) {
        const real gap = real(last[k] - step);
        const real before = last[k] == step;
        last[k] = step;
        x_plus[k] *= decay(gap * rate_plus[k]);
        x_minus[k] *= decay(gap * rate_minus[k]);
        return x_plus[k] - before;
    }

    // Currents of a later time step are in a row of their own, of n neurons each; there are `slots` rows.
    void before(const Array<int32_t> &fired, int32_t step, real *current, int slots, int n) {
        for (const int i : fired) {
            const int begin = first[i], end = first[i + 1];
            if (slots == 1)
                for (int k = begin; k < end; ++k) current[post[k]] += w[k];
            else
                for (int k = begin; k < end; ++k) current[(step + lag[k]) % slots * n + post[k]] += w[k];
#pragma GCC ivdep
            for (int k = begin; k < end; ++k) {
                meet(k, step);
                w[k] = std::min(std::max(w[k] - A_minus[k] * x_minus[k], low[k]), high[k]);
                x_plus[k] += 1;
            }
        }
    }

    void after(const Array<int32_t> &fired, int32_t step) {
        for (const int j : fired) {
            const int begin = first_in[j], end = first_in[j + 1];
#pragma GCC ivdep
            for (int q = begin; q < end; ++q) {
                const int k = incoming[q];
                const real trace = meet(k, step);
                w[k] = std::min(std::max(w[k] + A_plus[k] * trace, low[k]), high[k]);
                x_minus[k] += 1;
            }
        }
    }

    void write(const std::string &name) const {
        Array<double> sorted(w.size());
        for (size_t k = 0; k < w.size(); ++k) sorted[order[k]] = w[k];
        write_file(name + "_w.bin", sorted);
    }
};

struct Neurons {
    int n;
    Array<real> v, v_reset, v_thresh, goal, pull, keep_e, keep_i, i_e, i_i;
    Array<int32_t> held, hold, spiking;  // time steps for which v is held still yet, and after a spike

    Neurons(const Array<real> &table, int n, real dt) : n(n), i_e(n), i_i(n), held(n), hold(n), spiking(n) {
        const auto row = [&](int k) { return Array<real>(table.begin() + k * n, table.begin() + (k + 1) * n); };
        v = goal = row(1), v_reset = row(2), v_thresh = row(3), pull = row(0), keep_e = row(5), keep_i = row(6);
        for (int j = 0; j < n; ++j) {
            goal[j] += table[7 * n + j];
            pull[j] = 1 - std::exp(-dt / pull[j]);
            keep_e[j] = std::exp(-dt / keep_e[j]);
            keep_i[j] = std::exp(-dt / keep_i[j]);
            hold[j] = int32_t(std::lround(table[4 * n + j] / dt));
        }
    }

    void advance() {
#pragma GCC ivdep
        for (int j = 0; j < n; ++j) {
            held[j] -= 1;
            v[j] += (held[j] > 0 ? real(0) : pull[j]) * (goal[j] + i_e[j] - i_i[j] - v[j]);
            i_e[j] *= keep_e[j];
            i_i[j] *= keep_i[j];
            spiking[j] = (v[j] > v_thresh[j]) & (held[j] <= 0);
        }
    }
};

int main(int argc, char **argv) {
    std::map<std::string, std::string> given;
    for (int k = 1; k < argc; ++k) {
        const std::string text = argv[k];
        given[text.substr(0, text.find('='))] = text.substr(text.find('=') + 1);
    }
    const std::string folder = given.at("folder");
    const auto count = [&](const std::string &name) { return std::stoi(given.at(name)); };
    const int n = count("n_neurons"), n_in = count("n_inputs"), n_steps = count("n_steps"), n_total = count("n_total");
    const real dt = real(std::stod(given.at("dt")));

    const auto rates = read_reals(folder + "rates.bin");
    auto phase = read_reals(folder + "phase.bin");
    Projection inputs(folder + "inputs", n_in, n, dt), excitation(folder + "excitation", n, n, dt),
        inhibition(folder + "inhibition", n, n, dt);
    Neurons neurons(read_reals(folder + "neurons.bin"), n, dt);
    int slots = 1;
    for (const Projection *projection : {&inputs, &excitation, &inhibition})
        for (const int lag : projection->lag) slots = std::max(slots, lag + 1);
    Array<real> later_e(slots > 1 ? slots * n : 0), later_i(later_e.size());
    real *const to_e = slots > 1 ? later_e.data() : neurons.i_e.data();
    real *const to_i = slots > 1 ? later_i.data() : neurons.i_i.data();
    Array<real> keep_x;
    for (const real tau : read_reals(folder + "filters.bin")) keep_x.push_back(std::exp(-dt / tau));
    const int n_filters = int(keep_x.size());
    Array<Array<real>> x(n_filters, Array<real>(n));
    Array<int32_t> fired, fired_in, spikes;
    Array<double> states;

    const std::clock_t start = std::clock();
    int32_t step = 0;
    for (int k = 0; k < n_steps; ++k) {
        for (int q = 0; q < n_total; ++q, ++step) {
            neurons.advance();
            for (int f = 0; f < n_filters; ++f)
                for (int j = 0; j < n; ++j) x[f][j] *= keep_x[f];
            fired.clear();
            fired_in.clear();
            for (int j = 0; j < n; ++j)
                if (neurons.spiking[j]) fired.push_back(j);
            for (int i = 0; i < n_in; ++i)
                if ((phase[i] += rates[size_t(k) * n_in + i]) >= 1) {
                    phase[i] -= 1;
                    fired_in.push_back(i);
                }
            inputs.before(fired_in, step, to_e, slots, n);
            excitation.before(fired, step, to_e, slots, n);
            inhibition.before(fired, step, to_i, slots, n);
            if (slots > 1) {
                real *const now_e = to_e + step % slots * n, *const now_i = to_i + step % slots * n;
                for (int j = 0; j < n; ++j) neurons.i_e[j] += now_e[j], now_e[j] = 0;
                for (int j = 0; j < n; ++j) neurons.i_i[j] += now_i[j], now_i[j] = 0;
            }
            for (Projection *projection : {&inputs, &excitation, &inhibition}) projection->after(fired, step);
            for (const int j : fired) {
                neurons.v[j] = neurons.v_reset[j];
                neurons.held[j] = neurons.hold[j];
                for (auto &trace : x) trace[j] += 1;
                spikes.insert(spikes.end(), {step, j});
            }
        }
        for (const auto &trace : x) states.insert(states.end(), trace.begin(), trace.end());
        states.insert(states.end(), neurons.v.begin(), neurons.v.end());
    }
    const double seconds = double(std::clock() - start) / CLOCKS_PER_SEC;

    inputs.write(folder + "inputs");
    excitation.write(folder + "excitation");
    inhibition.write(folder + "inhibition");
    write_file(folder + "states.bin", states);
    write_file(folder + "spikes.bin", spikes);
    std::printf("{\"seconds\": %.6f, \"spikes\": %zu}\n", seconds, spikes.size() / 2);
}
