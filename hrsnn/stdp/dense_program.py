"""The C++ text of the dense kernel: what ``dense_kernel`` fills in with the models' statements.

A presentation goes from spike to spike. Until the next one, each tile of neurons goes through the time steps by itself,
so that its state stays in the nearest cache; the first neuron that fires ends this for all of them, and those who are
past its step go back to the last spike and come as far as it.
"""

__all__ = ["COUPLING", "MAIN", "PART", "PROLOGUE"]

PROLOGUE = """// Written from the models' statements: a network of presentations (see hrsnn/stdp/dense_kernel.py).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <vector>
{functions}
static const int TILE = {tile}, n_total = {n_total}, never = {never};
static const double dt = {dt!r}, second = 1, step_width = dt;

// Numbers from the start of a cache line.
template <class T> struct Lines {{
    typedef T value_type;
    Lines() {{}}
    template <class U> Lines(const Lines<U>&) {{}}
    T* allocate(size_t n) {{ return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(64))); }}
    void deallocate(T* p, size_t) {{ ::operator delete(p, std::align_val_t(64)); }}
    template <class U> bool operator==(const Lines<U>&) const {{ return true; }}
    template <class U> bool operator!=(const Lines<U>&) const {{ return false; }}
}};
typedef std::vector<double, Lines<double>> Vector;

// State and parameters come as name=number or name=file; results go to files of their names.
static std::map<std::string, std::string> given;
static std::string results;

template <class T, class A> static bool read(const char* name, std::vector<T, A>& values)
{{
    const auto found = given.find(name);
    if (found == given.end()) return false;
    if (values.size() == 1) {{
        values[0] = T(std::strtod(found->second.c_str(), nullptr));
        return true;
    }}
    FILE* file = std::fopen(found->second.c_str(), "rb");
    const size_t n = file ? std::fread(values.data(), sizeof(T), values.size(), file) : 0;
    if (file) std::fclose(file);
    if (n == values.size()) return true;
    std::fprintf(stderr, "%s: %zu of %zu values were read from %s.\\n", name, n, values.size(), found->second.c_str());
    std::exit(1);
}}
template <class T> static void read(const char* name, T& value)
{{
    std::vector<T> one(1, value);
    read(name, one);
    value = one[0];
}}
template <class T, class A> static void write(const char* name, const std::vector<T, A>& values)
{{
    FILE* file = std::fopen((results + name).c_str(), "wb");
    const size_t n = file ? std::fwrite(values.data(), sizeof(T), values.size(), file) : 0;
    if (file && std::fclose(file) == 0 && n == values.size()) return;
    std::fprintf(stderr, "%s: %zu of %zu values were written to %s.\\n", name, n, values.size(), results.c_str());
    std::exit(1);
}}

// A network of presentations: what the main program asks of it.
struct Ensemble {{
    int learning = 1, n_spikes = 0, n_recent = 0, min_spikes = 0, n_presentations = 0;
    double intensity = 1;
    Vector shown;
    std::vector<int> fired;
    bool quiet(int sample) const {{ return n_spikes < min_spikes * shown[sample] && intensity > 0; }}
    virtual void load() = 0;
    virtual void save() = 0;
    virtual void present(int sample, int start) = 0;
    virtual int advance(int s, int stop, int halt) = 0;  // the first step at which a neuron fires, else `halt`
    virtual void settle(int s, int stop, int halt) = 0;  // to before step `stop`, or to the threshold in step `halt`
    virtual void learn(int step) = 0;
    virtual void transmit(int step, bool inhibited) = 0;
    virtual void reset(int step) = 0;
    virtual void finish() = 0;
}};
struct Synapses {{
    virtual void load() = 0;
    virtual void save() = 0;
    virtual void learn(int step) = 0;
    virtual void transmit() = 0;
}};
"""

PART = """
struct Part_{prefix} final : Ensemble {{
    static const int n_in = {n_in}, n = {n}, n_on = {n_on}, n_frames = {n_frames}, n_frame = {n_frame};
    static const int rest_frames = {rest_frames}, n_tiles = (n + TILE - 1) / TILE, n_kept = 64;
    static const int n_padded = (n + LANES - 1) / LANES * LANES;
    struct State {{
{state}    }} now, next;
{parameters}
    Vector W = Vector(size_t(n_in) * n), table, w_total = Vector(n);
    Vector changed = Vector(n, 1.0), spiked = Vector(n);
    std::vector<int> last_step = std::vector<int>(n_in, -never), draws = std::vector<int>(n_in), seen;
    std::vector<int> last_spike = std::vector<int>(n, -never);
    double g_inh = 0;
    int seed_ = 0, n_samples = 0, start = 0;
    std::vector<int> spike_i, shown_sample;
    Vector spike_t, shown_intensity;

    void load() override
    {{
{read}        for (int j = 0; j < n_padded; j++) {{
{start}        }}
{read_state}        read("{prefix}exc.changed", changed);
        read("{prefix}exc.spiked", spiked);
        if ({sends}) read("{prefix}exc.last_step", last_spike);
        read("{prefix}exc.w_total", w_total);
        read("{prefix}exc.learning", learning);
        read("{prefix}input_to_exc.w", W);
        read("{prefix}input.seed_", seed_);
        read("{prefix}input.last_step", last_step);
        read("{prefix}input.draw", draws);
        read("{prefix}control.g_inh", g_inh);
        min_spikes = {min_spikes};
        read("{prefix}control.min_spikes", min_spikes);
        read("{prefix}control.n_recent", n_recent);
        read("{prefix}control.n_samples", n_samples);
        table.resize(size_t({batch}) * n_frames * n_in);
        shown.resize({batch} + 1);
        read("{prefix}samples.values", table);
        read("{prefix}shown.values", shown);
    }}
    static void read_padded(const char* name, Vector& values)
    {{
        values.resize(n);
        read(name, values);
        values.resize(n_padded, values.back());
    }}
    void save() override
    {{
        release();
{write_state}        write("{prefix}exc.changed", changed);
        write("{prefix}exc.spiked", spiked);
        if ({sends}) write("{prefix}exc.last_step", last_spike);
        write("{prefix}input_to_exc.w", W);
        write("{prefix}input.last_step", last_step);
        write("{prefix}input.draw", draws);
        write("{prefix}control.n_recent", std::vector<int>(1, n_recent));
        write("{prefix}control.n_presentations", std::vector<int>(1, n_presentations));
        write("{prefix}spikes.i", spike_i);
        write("{prefix}spikes.t", spike_t);
        write("{prefix}presentations.sample", shown_sample);
        write("{prefix}presentations.intensity", shown_intensity);
    }}

    // The start of a presentation: weights normalised, or the network at rest; the input spikes drawn.
    void present(int sample, int first) override
    {{
        start = first;
        n_spikes = 0;
        n_presentations++;
        shown_sample.push_back(sample);
        shown_intensity.push_back(intensity);
        if (learning)
            normalise();
        else {{
            for (int j = 0; j < n; j++) {{
{at_rest}                spiked[j] = 0;
            }}
            n_recent = 0;
            std::fill(draws.begin(), draws.end(), 0);
        }}
        draw(sample);
    }}
    void finish() override
    {{
        note(start + n_total);
        if (learning) return;
        release();
        n_recent = 0;
    }}

    // Input spikes of a presentation, by step and input.
    std::vector<int> begin = std::vector<int>(n_total + 2), who, drawn_step, drawn_input, active;
    size_t n_done = 0;

    void draw(int sample)
    {{
        drawn_step.clear();
        drawn_input.clear();
        active.clear();
        const auto samples = [&](double row, int i) {{ return table[size_t(row) * n_in + i]; }};
        for (int i = 0; i < n_in; i++) {{
            int draw = draws[i];
            const size_t before = drawn_step.size();
            for (int frame = 0; frame < n_frames; frame++) {{
                const int start_step = start + frame * n_frame, end_step = start_step + n_frame;
                const double drive = {drive};
                int step = {first_step};
                draw++;
                for (int from = start_step; step >= from && step < end_step;) {{
                    drawn_step.push_back(step - start);
                    drawn_input.push_back(i);
                    from = step + 1;
                    step = {next_step};
                    draw++;
                }}
            }}
            draws[i] = draw + rest_frames;
            if (drawn_step.size() > before) active.push_back(i);
        }}
        std::fill(begin.begin(), begin.end(), 0);
        for (const int s : drawn_step) begin[s + 2]++;
        for (int s = 0; s < n_total; s++) begin[s + 2] += begin[s + 1];
        who.resize(drawn_step.size());
        for (size_t k = 0; k < drawn_step.size(); k++) who[begin[drawn_step[k] + 1]++] = drawn_input[k];
        n_done = 0;
    }}
    // Take note of the input spikes before a step.
    void note(int step)
    {{
        for (int s = int(n_done); s < step - start; s++)
            for (int e = begin[s]; e < begin[s + 1]; e++) last_step[who[e]] = start + s;
        n_done = step - start;
    }}

    // Neurons `first` to `first + size` go on from step s: to the end of `stop - 1`, or to the threshold of step `halt`
    // or of the first step in which one of them fires. Returns twice the step, and one if it ends at a threshold.
    template <int size> int run(int first, int s, int stop, int halt)
    {{
        static const int padded = (size + LANES - 1) / LANES * LANES;
{pointers}{own_pointers}{constants}        const auto advanced = [&](int j) __attribute__((always_inline)) -> Flags {{
{load}{update}{store}            return {threshold};
        }};
        Flags real;  // of the last ones
        for (int k = 0; k < LANES; k++) real[k] = k < size % LANES ? -1 : 0;
        for (int step = s; step < stop; step++) {{
            Flags above = {{}};
            for (int j = 0; j + LANES <= size; j += LANES) above |= advanced(j);
            if (size % LANES) above |= advanced(padded - LANES) & real;
            if (step == halt || any(above)) return 2 * step + 1;
            for (int e = begin[step - start]; e < begin[step - start + 1]; e++)
                add(at_g_e, &W[size_t(who[e]) * n + first], size);
            if (n_recent && {inhibition} && step == s)
                for (int j = 0; j < size; j++) at_g_i[j] += g_inh * (n_recent - spiked[first + j]);
        }}
        return 2 * stop;
    }}
    int reached[n_tiles], favourite = 0;

    void go(int k, int s, int stop, int halt)
    {{
        if ((k + 1) * TILE <= n) reached[k] = run<TILE>(k * TILE, s, stop, halt);
        {tail_tile}
    }}
    int advance(int s, int stop, int halt) override
    {{
        for (int m = 0; m < n_tiles; m++) {{  // where one fired last, one fires next, often
            const int k = (favourite + m) % n_tiles;
            go(k, s, stop, halt);
            if (reached[k] & 1) halt = reached[k] / 2;
        }}
        return halt;
    }}
    void settle(int s, int stop, int halt) override
    {{
        const int end = halt < stop ? 2 * halt + 1 : 2 * stop;
        for (int k = 0; k < n_tiles; k++)
            if (reached[k] != end) go(k, s, stop, halt);
        std::swap(now, next);
        if (halt > s) clear_recent();
        fired.clear();
        if (halt == stop) return;
        for (int k = 0; k < n_tiles; k++)
            for (int j = k * TILE; j < std::min(n, (k + 1) * TILE); j++)
                if (is_above(j)) fired.push_back(j);
        if (!fired.empty()) favourite = fired[0] / TILE;
    }}
    bool is_above(int j)
    {{
{now_load}        return {threshold};
    }}
    void clear_recent()
    {{
        if (n_recent) std::fill(spiked.begin(), spiked.end(), 0.0);
        n_recent = 0;
    }}

    // At a spike: the weights of its neuron change; they are kept together until the end of the presentation.
    Vector kept;
    std::vector<int> kept_of = std::vector<int>(n, -1), owner;

    double* column(int j)
    {{
        if (kept_of[j] < 0) {{
            if (owner.size() == n_kept) release();
            kept_of[j] = int(owner.size());
            owner.push_back(j);
            kept.resize(owner.size() * n_in);
            double* w = &kept[size_t(kept_of[j]) * n_in];
            for (int i = 0; i < n_in; i++) w[i] = W[size_t(i) * n + j];
        }}
        return &kept[size_t(kept_of[j]) * n_in];
    }}
    void release()
    {{
        for (size_t k = 0; k < owner.size(); k++) {{
            const int j = owner[k];
            for (int i = 0; i < n_in; i++) W[size_t(i) * n + j] = kept[k * n_in + i];
            kept_of[j] = -1;
        }}
        owner.clear();
    }}
    void learn(int step) override
    {{
        note(step);
        if (seen.empty()) seen.resize(n);
{stdp_constants}
        for (const int j : fired) {{
            if (!learning && seen[j]) continue;  // frozen weights are those of the first spike
            seen[j] = 1;
            double* __restrict column_w = column(j);
            const int* __restrict last = last_step.data();
            #pragma GCC ivdep
            for (int i = 0; i < n_in; i++) {{
                const double w = column_w[i], t_minus_t_last = dt * (step - last[i]);
                column_w[i] = {stdp};
            }}
            for (const int i : active) W[size_t(i) * n + j] = column_w[i];
        }}
    }}
    void normalise()
    {{
        Vector scratch(n_in);
        for (int j = 0; j < n; j++) {{
            if (!(changed[j] > 0.5)) continue;
            changed[j] = 0;
            const bool here = kept_of[j] >= 0;
            const double* column_w = here ? &kept[size_t(kept_of[j]) * n_in] : scratch.data();
            if (!here)
                for (int i = 0; i < n_in; i++) scratch[i] = W[size_t(i) * n + j];
            double total = 0;
            for (int i = 0; i < n_in; i++) total += column_w[i];
            const double scale = total > 0 ? w_total[j] / total : 1.0;
            for (int i = 0; i < n_in; i++) W[size_t(i) * n + j] = column_w[i] * scale;
            kept_of[j] = -1;
        }}
        owner.clear();
    }}
    void transmit(int step, bool inhibited) override
    {{
        for (int e = begin[step - start]; e < begin[step - start + 1]; e++) {{
            add(now.g_e.data(), &W[size_t(who[e]) * n], n);
        }}
        if (inhibited && n_recent && {inhibition})
            for (int j = 0; j < n; j++) now.g_i[j] += g_inh * (n_recent - spiked[j]);
        clear_recent();
    }}
    void reset(int step) override
    {{
        for (const int j : fired) reset_one(j, step);
        n_spikes += int(fired.size());
        n_recent = int(fired.size());
    }}
    void reset_one(int j, int step)
    {{
{now_load}{reset}        changed[j] = spiked[j] = 1;
        last_spike[j] = step;
        spike_i.push_back(j);
        spike_t.push_back(step * dt);
    }}
}};
static Part_{prefix} part_{prefix};
"""

COUPLING = """
struct Coupling_{name} final : Synapses {{
    static const int n = {n};
    std::vector<int> pre = std::vector<int>(n), post = std::vector<int>(n);
    std::vector<int> out_begin, out, in_begin, in;  // synapses from each neuron, and to each
    Vector w_of = Vector(n);
{members}
    static void sort(const std::vector<int>& ends, int size, std::vector<int>& begin, std::vector<int>& order)
    {{
        begin.assign(size + 2, 0);
        order.resize(n);
        for (const int end : ends) begin[end + 2]++;
        for (int end = 0; end < size; end++) begin[end + 2] += begin[end + 1];
        for (int k = 0; k < n; k++) order[begin[ends[k] + 1]++] = k;
    }}
    void load() override
    {{
        given["pre"] = "{name}_pre.dat";  // beside the program
        given["post"] = "{name}_post.dat";
        ::read("pre", pre);
        ::read("post", post);
        sort(pre, Part_{source}::n, out_begin, out);
        sort(post, Part_{target}::n, in_begin, in);
        ::read("{name}.w", w_of);
{read}    }}
    void save() override {{ write("{name}.w", w_of); }}
    void learn(int step) override
    {{
        for (const int j : part_{target}.fired) {{
            for (int e = in_begin[j]; e < in_begin[j + 1]; e++) {{
                const int k = in[e];
{constants}                const double w = w_of[k], t_minus_t_last = dt * (step - part_{source}.last_spike[pre[k]]);
                w_of[k] = {update};
            }}
        }}
    }}
    void transmit() override
    {{
        for (const int i : part_{source}.fired) {{
            for (int e = out_begin[i]; e < out_begin[i + 1]; e++) {{
                const int k = out[e];
{constants}                const double w = w_of[k];
                part_{target}.now.g_e[post[k]] += {send};
            }}
        }}
    }}
}};
static Coupling_{name} coupling_{name};
"""
MAIN = """
int main(int argc, char** argv)
{{
    for (int k = 1; k < argc; k++) {{
        const std::string text = argv[k];
        const size_t at = text.find('=');
        if (text == "--results_dir")
            results = argv[++k];
        else
            given[text.substr(0, at)] = text.substr(at + 1);
    }}
    const std::vector<Ensemble*> ensembles = {{{part_list}}};
    const std::vector<Synapses*> couplings = {{{coupling_list}}};
    for (auto* each : ensembles) each->load();
    for (auto* each : couplings) each->load();
    int n_samples = 0, start = 0, retries = 0;
    read("{prefix}control.n_samples", n_samples);
    for (int sample = 0; sample < n_samples; start += n_total) {{
        for (auto* each : ensembles) each->present(sample, start);
        int ahead = 8;
        for (int s = start; s < start + n_total;) {{
            // All ensembles go on to the first step in which a neuron fires.
            const int stop = std::min(s + ahead, start + n_total);
            int halt = stop;
            for (auto* each : ensembles) halt = each->advance(s, stop, halt);
            for (auto* each : ensembles) each->settle(s, stop, halt);
            if (halt == stop) {{
                s = stop;
                ahead = std::min(2 * ahead, 64);
                continue;
            }}
            for (auto* each : ensembles) each->learn(halt);
            for (auto* each : couplings) each->learn(halt);
            for (auto* each : ensembles) each->transmit(halt, halt == s);
            for (auto* each : couplings) each->transmit();
            for (auto* each : ensembles) each->reset(halt);
            s = halt + 1;
            ahead = 8;
        }}
        // A sample that drew too few spikes is shown again, to those ensembles alone.
        bool again = false;
        std::vector<bool> quiet;
        for (auto* each : ensembles) {{
            quiet.push_back(each->quiet(sample) && retries < {max_retries});
            again = again || quiet.back();
            each->finish();
        }}
        for (size_t k = 0; k < ensembles.size(); k++)
            ensembles[k]->intensity = again ? (quiet[k] ? ensembles[k]->intensity + 0.5 : 0) : 1;
        retries = again ? retries + 1 : 0;
        sample += !again;
    }}
    for (auto* each : ensembles) each->save();
    for (auto* each : couplings) each->save();
    return 0;
}}
"""
