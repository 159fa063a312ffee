// Reference program of the STDP digit network: Poisson input -> N excitatory neurons with lateral inhibition.
//
// Written from the equations alone (no Brian2): it is the speed limit and an independent oracle of the package.
// Single precision, vectorised state update, event-driven synapses, one core.
//
// Build:  g++ -std=c++17 -O3 -march=native -ffast-math stdp_network.cpp -o stdp_network
//         (-ffast-math at the link step also flushes denormals; -mprefer-vector-width=512 helps where there is AVX-512)
// Run:    ./stdp_network mode=train images=train.bin N=400 w=w0.bin out=run_ seed=1 eta=0.01 offset=0.1
//         ./stdp_network mode=test  images=test.bin  N=400 w=run_w.bin theta=run_theta.bin out=test_
//         ./stdp_network mode=fixed spikes=pairs.bin steps=2000 N=400 w=w0.bin out=fixed_
//
// Files are raw and little-endian: images uint8 (n_images, n_in); w float32 (n_in, N); theta float32 (N,) in mV;
// spikes int32 (n, 2) rows of (step, index). Written: OUTw.bin and OUTtheta.bin (train, fixed), OUTcounts.bin int32
// (n_images, N), the spikes of the last presentation of each image (train, test), OUTspikes.bin (fixed). One line of
// JSON on stdout gives the time and the number of presentations. Times are in ms, potentials in mV, rates in Hz.
//
// Step k, time t = k dt:
//   0. boundary of a presentation: repeat a weakly answered image with more intensity, or go on to the next one;
//      normalise the columns of w (training); draw the first spike of each active pixel
//   1. state update from the old values (exponential Euler; theta and conductances decay exactly)
//   2. thresholds
//   3. synapses: STDP at excitatory spikes, then input spikes, then inhibition from the previous step's spikes
//   4. resets
// In test mode w and theta are frozen, and state and random draws restart at each presentation, so that the response
// to an image is a function of that image alone.
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

template <class T>
std::vector<T> read_file(const std::string &path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::vector<T> data(size_t(file.tellg()) / sizeof(T));
    file.seekg(0);
    file.read(reinterpret_cast<char *>(data.data()), std::streamsize(data.size() * sizeof(T)));
    return data;
}

template <class T>
void write_file(const std::string &path, const std::vector<T> &data) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char *>(data.data()), std::streamsize(data.size() * sizeof(T)));
    if (!file) throw std::runtime_error("cannot write " + path);
}

// ---------------------------------------------------------------------------------------------------- parameters
struct Arguments {
    std::map<std::string, std::string> given;

    Arguments(int argc, char **argv) {
        for (int i = 1; i < argc; ++i) {
            const std::string text = argv[i];
            const size_t at = text.find('=');
            if (at == std::string::npos) throw std::runtime_error("expected key=value, got " + text);
            given[text.substr(0, at)] = text.substr(at + 1);
        }
    }
    std::string text(const std::string &key, const std::string &otherwise = "") {
        const auto it = given.find(key);
        const std::string value = it == given.end() ? otherwise : it->second;
        if (it != given.end()) given.erase(it);
        return value;
    }
    double number(const std::string &key, double otherwise) {
        const std::string value = text(key);
        return value.empty() ? otherwise : std::stod(value);
    }
    void done() const {
        if (!given.empty()) throw std::runtime_error("unknown argument " + given.begin()->first);
    }
};

struct Parameters {
    std::string mode, images, spikes, w, theta, out;
    int n_in, n_exc, n_on, n_rest, t_ref, min_spikes, max_tries, steps;
    int64_t first, last;
    uint64_t seed;
    double dt, intensity, rate_per_grey, tau_m, v_rest, v_reset, v_thresh, e_exc, e_inh, tau_ge, tau_gi, g_inh, theta0,
        theta_plus, tau_theta, norm, eta, eta_end, tau, offset, mu, w_max;

    explicit Parameters(Arguments a)
        : mode(a.text("mode", "train")), images(a.text("images")), spikes(a.text("spikes")), w(a.text("w")),
          theta(a.text("theta")), out(a.text("out")), n_in(int(a.number("n_in", 784))), n_exc(int(a.number("N", 400))),
          n_on(int(a.number("n_on", 700))), n_rest(int(a.number("n_rest", 300))), t_ref(int(a.number("t_ref", 10))),
          min_spikes(int(a.number("min_spikes", 5))), max_tries(int(a.number("max_tries", 10))),
          steps(int(a.number("steps", 1000))), first(int64_t(a.number("first", 0))),
          last(int64_t(a.number("last", -1))), seed(uint64_t(a.number("seed", 0))), dt(a.number("dt", 0.5)),
          intensity(a.number("intensity", 2)), rate_per_grey(a.number("rate_per_grey", 0.125)),
          tau_m(a.number("tau_m", 100)), v_rest(a.number("v_rest", -65)), v_reset(a.number("v_reset", -65)),
          v_thresh(a.number("v_thresh", -72)), e_exc(a.number("E_e", 0)), e_inh(a.number("E_i", -100)),
          tau_ge(a.number("tau_ge", 1)), tau_gi(a.number("tau_gi", 2)), g_inh(a.number("g_inh", 17)),
          theta0(a.number("theta0", 20)), theta_plus(a.number("theta_plus", 0.05)),
          tau_theta(a.number("tau_theta", 1e7)), norm(a.number("norm", 78.4 * n_in / 784)), eta(a.number("eta", 0.01)),
          eta_end(a.number("eta_end", eta)), tau(a.number("tau", 20)), offset(a.number("offset", 0.1)),
          mu(a.number("mu", 0.9)), w_max(a.number("w_max", 1)) {
        a.done();
        if (mode != "train" && mode != "test" && mode != "fixed") throw std::runtime_error("unknown mode " + mode);
    }
    bool learns() const { return mode != "test"; }
};

// ----------------------------------------------------------------------------------------------------- input layer
// Poisson (geometric) spike trains by skipping: each input owns a splitmix64 sequence and jumps from spike to spike.
class Input {
  public:
    std::vector<int64_t> last_spike;
    std::vector<int> now;

    explicit Input(const Parameters &p)
        : last_spike(p.n_in, never), p_(p), key_(p.n_in), draws_(p.n_in, 0), rate_(p.n_in, 0), next_(p.n_in, -1),
          head_(p.n_on, -1), inverse_log_(256) {
        for (int i = 0; i < p.n_in; ++i) key_[i] = mix(p.seed * golden + uint64_t(i) + 1);
    }

    void start(const uint8_t *image, double intensity) {
        for (int grey = 1; grey < 256; ++grey)
            inverse_log_[grey] = 1 / std::log1p(-grey * p_.rate_per_grey * intensity * p_.dt / 1000);
        if (!p_.learns()) std::fill(draws_.begin(), draws_.end(), 0);
        for (int i = 0; i < p_.n_in; ++i) {
            if (!image[i]) continue;
            rate_[i] = inverse_log_[image[i]];
            schedule(i, gap(i) - 1);
        }
    }

    // Spikes of step s of the presentation (s < n_on), left in now; each input draws its next one.
    void step(int s) {
        now.clear();
        for (int i = head_[s]; i >= 0; i = next_[i]) now.push_back(i);
        head_[s] = -1;
        for (int i : now) schedule(i, s + gap(i));
    }

    // exp((t_last - t)/tau) of each input, 0 for one that has never fired.
    void trace(int64_t k, std::vector<float> &x) const {
        const float rate = float(p_.dt / p_.tau);
        for (int i = 0; i < p_.n_in; ++i) x[i] = std::exp(-rate * float(k - last_spike[i]));
    }

  private:
    static constexpr uint64_t golden = 0x9E3779B97F4A7C15u;
    static constexpr int64_t never = -(int64_t(1) << 40);
    const Parameters &p_;
    std::vector<uint64_t> key_;
    std::vector<int32_t> draws_;
    std::vector<double> rate_;
    std::vector<int> next_, head_;  // linked list of the inputs that fire at each step of this presentation
    std::vector<double> inverse_log_;

    static uint64_t mix(uint64_t z) {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    int64_t gap(int i) {
        const uint64_t z = mix(key_[i] + (uint64_t(draws_[i]++) + 1) * golden);
        const double u = (double(z >> 11) + 0.5) * 0x1p-53;
        return 1 + int64_t(std::floor(std::log(u) * rate_[i]));
    }
    void schedule(int i, int64_t s) {
        if (s >= p_.n_on) return;
        next_[i] = head_[s];
        head_[s] = i;
    }
};

// ------------------------------------------------------------------------------------------------- excitatory layer
class Network {
  public:
    std::vector<float> w;       // (n_in, n_exc), row i = synapses of input i
    std::vector<int> spiking;   // excitatory neurons that fired in this step
    std::vector<int32_t> count; // their spikes in this presentation

    explicit Network(const Parameters &p)
        : w(read_file<float>(p.w)), count(p.n_exc, 0), p_(p), n_(p.n_exc), v_(n_, float(p.v_rest)), ge_(n_, 0),
          gi_(n_, 0), theta_(n_, float(p.theta0)), refractory_(n_, 0), changed_(n_, 1), column_(p.n_in),
          trace_(p.n_in) {
        if (w.size() != size_t(p.n_in) * n_) throw std::runtime_error("w has not n_in * N values");
        if (!p.theta.empty()) theta_ = read_file<float>(p.theta);
        if (int(theta_.size()) != n_) throw std::runtime_error("theta has not N values");
    }

    std::vector<float> theta() const {
        std::vector<float> now = theta_;
        for (float &x : now) x *= float(decay_);
        return now;
    }

    void rest() {
        std::fill(v_.begin(), v_.end(), float(p_.v_rest));
        std::fill(ge_.begin(), ge_.end(), 0.f);
        std::fill(gi_.begin(), gi_.end(), 0.f);
        std::fill(refractory_.begin(), refractory_.end(), 0);
        spiking.clear();
    }

    // Scale each column of w to the total norm; a column untouched since the last call is there already.
    void normalise() {
        for (int j = 0; j < n_; ++j) {
            if (!changed_[j]) continue;
            changed_[j] = 0;
            float sum = 0;
            for (int i = 0; i < p_.n_in; ++i) sum += column_[i] = w[size_t(i) * n_ + j];
            const float factor = sum > 0 ? float(p_.norm) / sum : 0.f;
            for (int i = 0; i < p_.n_in; ++i) w[size_t(i) * n_ + j] = column_[i] * factor;
        }
    }

    // One step; input.now holds the input spikes of step k, which run() finds before the call.
    void step(int64_t k, Input &input, float eta) {
        previous_.swap(spiking);
        spiking.clear();
        if (update_state())
            for (int j = 0; j < n_; ++j)
                if (refractory_[j] == 0 && v_[j] > float(p_.v_thresh) + theta_[j] * float(decay_)) spiking.push_back(j);
        if (!spiking.empty() && p_.learns()) {
            input.trace(k, trace_);
            for (int j : spiking) learn(j, eta);
        }
        float *__restrict ge = ge_.data(), *__restrict gi = gi_.data();
        for (int i : input.now) {
            const float *__restrict row = &w[size_t(i) * n_];
            for (int j = 0; j < n_; ++j) ge[j] += row[j];
            input.last_spike[i] = k;
        }
        if (!previous_.empty()) {
            const float g = float(p_.g_inh), all = g * float(previous_.size());
            for (int j = 0; j < n_; ++j) gi[j] += all;
            for (int j : previous_) gi[j] -= g;
        }
        for (int j : spiking) {
            v_[j] = float(p_.v_reset);
            refractory_[j] = p_.t_ref;
            if (p_.learns()) theta_[j] += float(p_.theta_plus / decay_);
            ++count[j];
        }
    }

  private:
    const Parameters &p_;
    int n_;
    std::vector<float> v_, ge_, gi_, theta_;  // the threshold's adaptation is theta_ * decay_
    std::vector<int> refractory_, previous_;
    std::vector<char> changed_;
    std::vector<float> column_, trace_;
    double decay_ = 1;  // one common factor: 1 - 5e-8 a step would be lost in the rounding of each theta

    // Exponential Euler with the conductances of the old step; true if any neuron is above its threshold.
    bool update_state() {
        if (p_.learns()) {
            decay_ *= std::exp(-p_.dt / p_.tau_theta);
            if (decay_ < 0.5) {
                for (float &x : theta_) x *= float(decay_);
                decay_ = 1;
            }
        }
        const float h = float(p_.dt / p_.tau_m), rest = float(p_.v_rest), e_exc = float(p_.e_exc),
                    e_inh = float(p_.e_inh), keep_e = float(std::exp(-p_.dt / p_.tau_ge)),
                    keep_i = float(std::exp(-p_.dt / p_.tau_gi)), thresh = float(p_.v_thresh), decay = float(decay_);
        float *__restrict v = v_.data(), *__restrict ge = ge_.data(), *__restrict gi = gi_.data();
        const float *__restrict theta = theta_.data();
        int *__restrict refractory = refractory_.data();
        const int n = n_;
        int above = 0;
        for (int j = 0; j < n; ++j) {
            const int wait = std::max(refractory[j] - 1, 0);
            const float g = 1 + ge[j] + gi[j];
            const float target = (rest + ge[j] * e_exc + gi[j] * e_inh) / g;
            const float moved = target + (v[j] - target) * std::exp(-h * g);
            v[j] = wait == 0 ? moved : v[j];
            refractory[j] = wait;
            ge[j] *= keep_e;
            gi[j] *= keep_i;
            above |= int(wait == 0) & int(v[j] > thresh + theta[j] * decay);
        }
        return above;
    }

    // dw = eta (exp((t_pre - t_post)/tau) - offset) (w_max - w)^mu for all synapses of neuron j.
    void learn(int j, float eta) {
        const float offset = float(p_.offset), mu = float(p_.mu), w_max = float(p_.w_max);
        float *__restrict column = column_.data();
        const float *__restrict x = trace_.data();
        for (int i = 0; i < p_.n_in; ++i) column[i] = w[size_t(i) * n_ + j];
        for (int i = 0; i < p_.n_in; ++i) {
            const float room = std::exp(mu * std::log(std::max(w_max - column[i], 1e-30f)));
            column[i] = std::min(std::max(column[i] + eta * (x[i] - offset) * room, 0.f), w_max);
        }
        for (int i = 0; i < p_.n_in; ++i) w[size_t(i) * n_ + j] = column[i];
        changed_[j] = 1;
    }
};

// ------------------------------------------------------------------------------------------------------------ runs
double now_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void run_images(const Parameters &p) {
    const std::vector<uint8_t> images = read_file<uint8_t>(p.images);
    const int64_t last = p.last < 0 ? int64_t(images.size()) / p.n_in : p.last, n_images = last - p.first;
    Network network(p);
    Input input(p);
    std::vector<int32_t> counts(size_t(n_images) * p.n_exc);
    int64_t k = 0, presentations = 0, total_spikes = 0;
    const double start = now_ms();
    for (int64_t image = 0; image < n_images; ++image) {
        const float eta = float(p.eta + (p.eta_end - p.eta) * double(image) / double(n_images));
        double intensity = p.intensity;
        for (int tries = 1;; ++tries, ++intensity) {
            ++presentations;
            std::fill(network.count.begin(), network.count.end(), 0);
            if (p.learns())
                network.normalise();
            else
                network.rest();
            input.start(&images[size_t(p.first + image) * p.n_in], intensity);
            int spikes = 0;
            for (int s = 0; s < p.n_on + p.n_rest; ++s, ++k) {
                if (s < p.n_on)
                    input.step(s);
                else
                    input.now.clear();
                network.step(k, input, eta);
                spikes += int(network.spiking.size());
            }
            total_spikes += spikes;
            if (spikes >= p.min_spikes || tries >= p.max_tries) break;
        }
        std::copy(network.count.begin(), network.count.end(), counts.begin() + image * p.n_exc);
    }
    const double elapsed = now_ms() - start;
    write_file(p.out + "counts.bin", counts);
    if (p.learns()) {
        write_file(p.out + "w.bin", network.w);
        write_file(p.out + "theta.bin", network.theta());
    }
    std::printf("{\"ms_per_image\": %.4f, \"ms_per_presentation\": %.4f, \"images\": %lld, \"presentations\": %lld, "
                "\"spikes\": %lld}\n",
                elapsed / double(n_images), elapsed / double(presentations), (long long)n_images,
                (long long)presentations, (long long)total_spikes);
}

// Given input spikes, no presentations and no normalisation: for tests of equality.
void run_fixed(const Parameters &p) {
    const std::vector<int32_t> pairs = read_file<int32_t>(p.spikes);
    std::vector<std::vector<int>> at(p.steps);
    for (size_t i = 0; i + 1 < pairs.size(); i += 2)
        if (pairs[i] < p.steps) at[pairs[i]].push_back(pairs[i + 1]);
    Network network(p);
    Input input(p);
    std::vector<int32_t> spikes;
    const double start = now_ms();
    for (int64_t k = 0; k < p.steps; ++k) {
        input.now = at[k];
        network.step(k, input, float(p.eta));
        for (int j : network.spiking) spikes.insert(spikes.end(), {int32_t(k), j});
    }
    const double elapsed = now_ms() - start;
    write_file(p.out + "spikes.bin", spikes);
    write_file(p.out + "w.bin", network.w);
    write_file(p.out + "theta.bin", network.theta());
    std::printf("{\"ms\": %.4f, \"spikes\": %zu}\n", elapsed, spikes.size() / 2);
}

int main(int argc, char **argv) {
    try {
        const Parameters p{Arguments(argc, argv)};
        p.mode == "fixed" ? run_fixed(p) : run_images(p);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "stdp_network: %s\n", error.what());
        return 1;
    }
    return 0;
}
