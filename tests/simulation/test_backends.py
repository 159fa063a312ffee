"""Back ends: the choice, what is missing when there is none, the flags and folders of compiled programs."""

import subprocess
from pathlib import Path

import pytest
from brian2 import prefs

from hrsnn.simulation import backends
from hrsnn.simulation.backends import BackendUnavailable, cache_folder, compile_flags, compiler, resolve, use_backend


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    monkeypatch.setattr(backends, "_default", "auto")
    for name in ("CXX", "HRSNN_STRICT", "HRSNN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    backends._version.cache_clear()
    yield
    backends._version.cache_clear()


def script(folder, name, text):
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A PATH with a g++ of our own, and nothing else."""
    script(tmp_path, "g++", "#!/bin/sh\necho 'g++ (Test) 1.2.3'\necho more\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_auto_takes_cpp_where_there_is_a_compiler(tools):
    assert resolve("auto") == resolve() == resolve("cpp") == "cpp"
    assert compiler() == (str(tools / "g++"), "g++ (Test) 1.2.3")


def test_without_a_compiler_auto_is_runtime_and_cpp_says_what_to_do(tools):
    (tools / "g++").unlink()
    advice = r"'g\+\+' is not on the PATH. Install g\+\+ .*backend='runtime'"
    assert resolve("auto") == "runtime"
    with pytest.raises(BackendUnavailable, match=advice):
        resolve("cpp")
    with pytest.raises(BackendUnavailable, match=advice):
        use_backend("cpp")
    assert resolve() == "runtime"


@pytest.fixture
def target():
    """Set Brian2's target, for a test."""
    before = prefs.codegen.target
    yield lambda name: setattr(prefs.codegen, "target", name)
    prefs.codegen.target = before


def test_without_a_compiler_brian2_is_kept_to_numpy_and_a_warning_says_so_once(tools, target):
    target("auto")
    backends._warn_of_numpy.cache_clear()
    assert backends.runtime_target() == "auto"
    (tools / "g++").unlink()
    advice = r"Install g\+\+ .* or set CXX\. Without one networks run in NumPy, .* slower"
    with pytest.warns(UserWarning, match=advice):
        assert backends.runtime_target() == "numpy"
    assert backends.runtime_target() == "numpy"  # without a second warning, which would be an error here
    target("cython")
    assert backends.runtime_target() == "cython"  # who asks for it by name gets it


@pytest.mark.parametrize("make", [backends.precompiled_header, lambda: backends.make_cache(backends.cache_folder())])
def test_a_cache_that_cannot_be_written_is_named_with_its_variable(tools, monkeypatch, make):
    monkeypatch.setenv("HRSNN_CACHE", "/proc/nope")
    with pytest.raises(
        OSError, match=r"cache of compiled programs, /proc/nope, .* HRSNN_CACHE is set to it\)\. Set HRSNN"
    ):
        make()
    monkeypatch.delenv("HRSNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/other")
    with pytest.raises(OSError, match=r"/proc/other/hrsnn, .*; HRSNN_CACHE is not set\)\. Set HRSNN_CACHE to a folder"):
        make()


def test_the_environment_names_the_compiler(tools, monkeypatch):
    script(tools, "other", "#!/bin/sh\necho other 4\n")
    monkeypatch.setenv("CXX", "other")
    assert compiler() == (str(tools / "other"), "other 4")
    monkeypatch.setenv("CXX", "absent")
    with pytest.raises(BackendUnavailable, match="'absent' is not on the PATH"):
        compiler()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("#!/bin/sh\necho no licence >&2\nexit 3\n", "no licence"), ("not a program", "Exec format error")],
)
def test_a_compiler_that_does_not_run_is_as_good_as_none(tools, text, reason):
    script(tools, "g++", text)
    assert resolve("auto") == "runtime"
    with pytest.raises(BackendUnavailable, match=f"does not run: .*{reason}.*backend='runtime'"):
        resolve("cpp")


def test_a_silent_compiler_has_an_empty_version(tools):
    script(tools, "g++", "#!/bin/sh\n")
    assert compiler() == (str(tools / "g++"), "")


def test_use_backend_is_the_choice_of_those_who_make_none(tools):
    use_backend("runtime")
    assert resolve() == "runtime"
    assert resolve("cpp") == "cpp"
    assert resolve("auto") == "cpp"
    use_backend("auto")
    assert resolve() == "cpp"


@pytest.mark.parametrize("name", ["numpy", "", None, "CPP"])
def test_unknown_names_are_refused_and_leave_the_choice(tools, name):
    use_backend("runtime")
    with pytest.raises(ValueError, match=f"'auto' or one of 'runtime', 'cpp', 'cuda', got {name!r}"):
        use_backend(name)
    assert resolve() == "runtime"
    with pytest.raises(ValueError, match="got 'numpy'"):
        resolve("numpy")


def test_strict_keeps_to_ieee_arithmetic(monkeypatch):
    for fast in (None, "", "0"):
        if fast is not None:
            monkeypatch.setenv("HRSNN_STRICT", fast)
        assert "-ffast-math" in compile_flags()
        assert "-fno-finite-math-only" in compile_flags()
    monkeypatch.setenv("HRSNN_STRICT", "1")
    assert not [flag for flag in compile_flags() if "fast-math" in flag]
    assert {"-O3", "-ffp-contract=off"} <= set(compile_flags())


@pytest.mark.cpp
def test_strict_arithmetic_rounds_every_product(monkeypatch, tmp_path):
    # (1 + e)^2 - 1 - 2 e is e^2 if the product is fused with the difference, and 0 if it is rounded first.
    source = tmp_path / "fused.cpp"
    source.write_text("""
    #include <cstdio>
    double __attribute__((noinline)) f(double a, double b, double c) { return a*b - c; }
    double __attribute__((noinline)) sum(const double* x) { return (x[0] + x[1]) + x[2]; }
    int main() { volatile double e = 1e-9; double a = 1 + e; const double x[] = {1, 1e-17, -1};
                 std::printf("%.17g %.17g", f(a, a, a*a), sum(x)); }
    """)
    monkeypatch.setenv("HRSNN_STRICT", "1")
    path, _ = compiler()
    subprocess.run([path, *compile_flags(), str(source), "-o", str(tmp_path / "fused")], check=True)
    said = subprocess.run([tmp_path / "fused"], capture_output=True, text=True, check=True).stdout
    assert said == "0 0"


def test_the_cache_is_named_by_hrsnn_then_by_xdg_then_by_home(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert cache_folder() == tmp_path / "home/.cache/hrsnn"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == tmp_path / "home/.cache/hrsnn"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg/hrsnn"
    monkeypatch.setenv("HRSNN_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_the_environment_of_a_build_changes_with_compiler_and_flags(tools, monkeypatch):
    seen = {backends.build_environment()}
    assert backends.build_environment() in seen
    monkeypatch.setenv("HRSNN_STRICT", "1")
    seen.add(backends.build_environment())
    monkeypatch.delenv("HRSNN_STRICT")
    script(tools, "g++", "#!/bin/sh\necho 'g++ (Test) 1.2.4'\n")
    backends._version.cache_clear()
    seen.add(backends.build_environment())
    script(tools, "other", "#!/bin/sh\necho 'g++ (Test) 1.2.3'\n")
    monkeypatch.setenv("CXX", "other")
    seen.add(backends.build_environment())
    assert len(seen) == 4


def test_the_precompiled_header_is_made_once_for_each_compiler_and_flags(tools, monkeypatch, tmp_path):
    monkeypatch.setenv("HRSNN_CACHE", str(tmp_path / "cache"))
    calls = tmp_path / "calls"
    script(
        tools,
        "g++",
        f'#!/bin/sh\n[ "$1" = --version ] && echo 1 && exit 0\necho "$@" >> {calls}\n'
        'for last; do :; done\necho binary > "$last"\n',
    )
    header = backends.precompiled_header()
    assert "#include <vector>" in header.read_text().splitlines()
    assert header.with_suffix(".h.gch").read_text() == "binary\n"
    assert backends.precompiled_header() == header
    assert len(calls.read_text().splitlines()) == 1
    assert "-ffast-math" in calls.read_text()
    monkeypatch.setenv("HRSNN_STRICT", "1")
    assert backends.precompiled_header() != header
    assert len(calls.read_text().splitlines()) == 2


def test_a_header_that_does_not_compile_names_the_reason_and_leaves_nothing(tools, monkeypatch, tmp_path):
    monkeypatch.setenv("HRSNN_CACHE", str(tmp_path / "cache"))
    fails = '#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "fatal error: No space left on device" >&2\nexit 1\n'
    script(tools, "g++", fails)
    with pytest.raises(RuntimeError, match=r"No space left on device.*free disk space"):
        backends.precompiled_header()
    assert not list((tmp_path / "cache").rglob("*.gch"))
