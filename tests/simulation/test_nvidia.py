"""What CUDA programs need: what is found, and the one line that is said where it is not."""

import sys
from importlib.metadata import PackageNotFoundError

import pytest

from hrsnn.lab.cli import main
from hrsnn.lab.runs import list_runs
from hrsnn.simulation import backends, nvidia
from hrsnn.simulation.backends import BackendUnavailable, use_backend

NVCC = """#!/bin/sh
case $1 in
  --version) printf 'nvcc: NVIDIA (R) Cuda compiler driver\\nCuda compilation tools, release 12.6, V12.6.20\\n' ;;
  --list-gpu-arch) printf 'compute_60\\ncompute_52\\ncompute_90\\n' ;;
esac
"""
SMI = '#!/bin/sh\necho "$@" >> {log}\nprintf "NVIDIA A100-SXM4-40GB, 8.0\\nNVIDIA H100 PCIe, 9.0\\n"\n'


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with all that is needed: g++, a CUDA toolkit with curand, two GPUs, brian2cuda."""
    folder = tmp_path / "cuda" / "bin"
    script(folder / "g++", "#!/bin/sh\necho g++ 1\n")
    script(folder / "nvcc", NVCC)
    script(folder / "nvidia-smi", SMI.format(log=tmp_path / "asked"))
    (tmp_path / "cuda" / "include").mkdir()
    (tmp_path / "cuda" / "include" / "curand.h").touch()
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.setattr(nvidia, "distribution", lambda name: None)
    for name in ("CXX", "NVCC", "CUDA_VISIBLE_DEVICES", "HRSNN_CUDA_ARCH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(backends, "_default", "auto")
    monkeypatch.setattr(backends, "_build_only", False)
    for cached in (nvidia.gpus, nvidia._say, backends._version):
        cached.cache_clear()
    yield tmp_path
    for cached in (nvidia.gpus, nvidia._say, backends._version):
        cached.cache_clear()


def uninstalled(*names):
    def distribution(name):
        if name in names:
            raise PackageNotFoundError(name)

    return distribution


def test_a_machine_with_all_compiles_for_its_first_gpu(machine):
    nvcc = str(machine / "cuda/bin/nvcc")
    assert nvidia.tools() == nvidia.Tools(nvcc, "12.6", 80, (), ("-lcurand",))
    assert nvidia.gpus() == (("NVIDIA A100-SXM4-40GB", 80), ("NVIDIA H100 PCIe", 90))
    assert backends.resolve("cuda") == "cuda"
    assert backends.resolve("auto") == "cpp"  # a GPU is used only when asked for
    use_backend("cuda")
    assert backends.resolve() == "cuda"


def test_only_visible_gpus_are_asked_for(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    nvidia.gpus()
    assert (machine / "asked").read_text().split()[-2:] == ["-i", "1"]


@pytest.mark.parametrize(("text", "architecture"), [("9.0", 90), ("86", 86), ("sm_75", 75), ("12.0", 120)])
def test_the_architecture_may_be_named(machine, monkeypatch, text, architecture):
    monkeypatch.setenv("HRSNN_CUDA_ARCH", text)
    assert nvidia.tools().architecture == architecture


def test_a_wrong_architecture_is_refused(machine, monkeypatch):
    monkeypatch.setenv("HRSNN_CUDA_ARCH", "ampere")
    with pytest.raises(BackendUnavailable, match=r"compute capability like 9\.0, got 'ampere'"):
        nvidia.tools()


def test_without_a_gpu_programs_are_built_for_the_oldest_that_nvcc_knows(machine):
    (machine / "cuda/bin/nvidia-smi").write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    assert nvidia.tools(gpu=False).architecture == 52
    with pytest.raises(BackendUnavailable, match=r"nvidia-smi finds none.*--build-only"):
        nvidia.tools()
    use_backend("cuda", build_only=True)
    assert (backends.resolve(), backends.is_build_only()) == ("cuda", True)
    use_backend("auto")
    assert not backends.is_build_only()


def without_nvcc(machine, monkeypatch):
    (machine / "cuda/bin/nvcc").unlink()
    monkeypatch.setenv("NVCC", "no-nvcc")


def without_gpu(machine, monkeypatch):
    (machine / "cuda/bin/nvidia-smi").write_text("#!/bin/sh\nexit 9\n")


def without_curand(machine, monkeypatch):
    (machine / "cuda/include/curand.h").unlink()
    monkeypatch.setattr(nvidia, "distribution", uninstalled(*nvidia.WHEELS))


def without_extra(machine, monkeypatch):
    monkeypatch.setattr(nvidia, "PYTHON", sys.version_info[:2])
    monkeypatch.setattr(nvidia, "distribution", uninstalled("brian2cuda"))


def on_another_python(machine, monkeypatch):
    monkeypatch.setattr(nvidia, "PYTHON", (2, 7))
    monkeypatch.setattr(nvidia, "distribution", uninstalled("brian2cuda"))


def with_a_broken_nvcc(machine, monkeypatch):
    (machine / "cuda/bin/nvcc").write_text("#!/bin/sh\necho 'no licence\nfor you' >&2\nexit 1\n")


def with_a_strange_nvcc(machine, monkeypatch):
    (machine / "cuda/bin/nvcc").write_text("#!/bin/sh\necho hello\n")


HERE = ".".join(map(str, sys.version_info[:2]))
MISSING = [
    (without_nvcc, r"NVIDIA's compiler, and 'no-nvcc' is not on the PATH\. Install the CUDA toolkit"),
    (without_gpu, r"an NVIDIA GPU, and nvidia-smi finds none\. Install the driver"),
    (without_curand, r"curand, which is neither in the CUDA toolkit of .*nvcc nor .*pip install nvidia-curand"),
    (without_extra, r"brian2cuda, which is not installed\. Install it \(pip install 'hrsnn\[cuda\]'\)"),
    (on_another_python, rf"It needs Python 2\.7, and this is {HERE}: make a 2\.7 environment and pip install"),
    (with_a_broken_nvcc, r"compiler .*nvcc does not run: no licence for you\. Install the CUDA toolkit"),
    (with_a_strange_nvcc, r"compiler .*nvcc does not tell its release\. Install it again"),
]


@pytest.mark.parametrize(("spoil", "message"), MISSING, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_missing_is_named_with_what_to_do(machine, monkeypatch, spoil, message):
    spoil(machine, monkeypatch)
    for ask in (nvidia.tools, lambda: backends.resolve("cuda"), lambda: use_backend("cuda")):
        with pytest.raises(BackendUnavailable, match=f"{message}.* or use backend='cpp'"):
            ask()
    assert backends.resolve() == "cpp"


@pytest.mark.parametrize(("spoil", "message"), MISSING, ids=lambda value: getattr(value, "__name__", ""))
def test_the_command_line_says_it_in_one_line_before_there_is_a_run(machine, monkeypatch, capsys, spoil, message):
    spoil(machine, monkeypatch)
    assert main(["run", "mnist_stdp", "--quick", "--backend", "cuda", "--folder", str(machine / "runs")]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("hrsnn: ")
    assert said.err.count("\n") == 1
    assert "backend='cpp'" in said.err
    assert list_runs(machine / "runs") == []


def test_curand_is_found_in_the_wheel(machine, monkeypatch):
    (machine / "cuda/include/curand.h").unlink()

    class File:
        def __init__(self, path):
            self.path = path

        def locate(self):
            return self.path

    class Wheel:
        files = (File(machine / "wheel/include/curand.h"), File(machine / "wheel/lib/libcurand.so.10"))

    monkeypatch.setattr(nvidia, "distribution", lambda name: Wheel)
    tools = nvidia.tools()
    folder = machine / "wheel/lib"
    assert tools.include == (f"-I{machine / 'wheel/include'}",)
    assert tools.link == (f"-L{folder}", "-l:libcurand.so.10", "-Xlinker", f"-rpath={folder}")


def test_doctor_tells_what_is_there_and_what_to_install(machine, monkeypatch, capsys):
    assert main(["doctor"]) == 0
    rows = dict(line.strip().split("  ", 1) for line in capsys.readouterr().out.splitlines())
    rows = {name: value.strip() for name, value in rows.items()}
    assert rows["nvcc"] == f"{machine / 'cuda/bin/nvcc'} 12.6"
    assert rows["gpu"].startswith("NVIDIA A100-SXM4-40GB (compute capability 8.0), NVIDIA H100 PCIe")
    assert rows["backend cuda"] == rows["backend cpp"] == "works"
    assert rows["build cuda"] == "for compute capability 8.0"
    for cached in (nvidia.gpus, nvidia._say):
        cached.cache_clear()
    without_gpu(machine, monkeypatch)
    assert main(["doctor"]) == 0
    rows = dict(line.strip().split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert "Install the driver of your GPU" in rows["backend cuda"]
    assert rows["build cuda"].strip() == "for compute capability 5.2"


def test_runtime_has_nothing_to_build(machine):
    with pytest.raises(ValueError, match=r"'runtime' builds no programs"):
        use_backend("runtime", build_only=True)
    assert not backends.is_build_only()
