import hashlib
import io
import os
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from brian2 import DimensionMismatchError, kHz, ms
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import wavfile

from hrsnn.datasets import audio
from hrsnn.datasets._sound import read_sound
from hrsnn.datasets.audio import fsdd, speech_commands, ti46


def tone(rate=8000, seconds=0.1, frequency=440.0):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def wav(samples, rate=8000):
    stream = io.BytesIO()
    wavfile.write(stream, rate, samples)
    return stream.getvalue()


def wav24(values, rate=8000):
    """A WAV of 24 bits, written by hand: SciPy reads them but does not write them."""
    data = b"".join(int(v).to_bytes(3, "little", signed=True) for v in values)
    form = struct.pack("<HHIIHH", 1, 1, rate, 3 * rate, 3, 24)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def sphere(data, count, rate=12500, channels=1, width=2, order="01", coding="pcm"):
    head = f"NIST_1A\n   1024\nsample_rate -i {rate}\nsample_count -i {count}\nchannel_count -i {channels}\n"
    head += (
        f"sample_n_bytes -i {width}\nsample_byte_format -s2 {order}\nsample_coding -s{len(coding)} {coding}\nend_head\n"
    )
    return head.encode().ljust(1024) + data


@pytest.fixture
def read(tmp_path):
    def read(raw, rate=None):
        (tmp_path / "a.wav").write_bytes(raw)
        return read_sound(tmp_path / "a.wav", rate)

    return read


# --- sound files


@pytest.mark.parametrize(
    ("raw", "step"),
    [
        (wav(np.rint(tone() * 128 + 128).astype(np.uint8)), 2**-7),
        (wav(np.rint(tone() * 2**15).astype(np.int16)), 2**-15),
        (wav24(np.rint(tone() * 2**23)), 2**-23),
        (wav(np.rint(tone() * 2**31).astype(np.int32)), 2**-24),
        (wav(tone().astype(np.float32)), 2**-24),
        (wav(tone()), 2**-24),
        (sphere(np.rint(tone() * 2**15).astype("<i2").tobytes(), 800, 8000), 2**-15),
        (sphere(np.rint(tone() * 2**15).astype(">i2").tobytes(), 800, 8000, order="10"), 2**-15),
    ],
    ids=["8", "16", "24", "32", "float32", "float64", "sphere little", "sphere big"],
)
def test_every_width_gives_the_same_sound(read, raw, step):
    samples, rate = read(raw)
    assert rate == 8000
    assert samples.dtype == np.float32
    assert_allclose(samples, tone(), atol=0.51 * step + 2**-24)  # half a step, and float32


def test_full_scale_is_one(read):
    assert_array_equal(read(wav(np.array([-(2**15), 2**14], np.int16)))[0], [-1, 0.5])
    assert_array_equal(read(wav(np.array([0, 128, 192], np.uint8)))[0], [-1, 0, 0.5])
    assert_array_equal(read(wav24([-(2**23), 2**22]))[0], [-1, 0.5])
    assert_array_equal(read(wav(np.array([-(2**31), 2**30], np.int32)))[0], [-1, 0.5])


def test_channels_are_averaged(read):
    stereo = np.stack([np.full(50, 8192), np.full(50, -4096)], axis=1).astype(np.int16)
    assert_array_equal(read(wav(stereo))[0], np.full(50, 0.0625, np.float32))
    assert_array_equal(read(sphere(stereo.tobytes(), 50, channels=2))[0], np.full(50, 0.0625, np.float32))


def test_mu_law_follows_g711(read):
    """Published points of the G.711 decoder: 0x80 the largest positive, 0x00 the largest negative, 0xFF zero."""
    samples, _ = read(sphere(bytes([0x80, 0x00, 0xFF, 0x7F, 0xEF, 0xF0]), 6, width=1, coding="ulaw"))
    assert_array_equal(samples * 2**15, [32124, -32124, 0, 0, 132, 120])


def test_other_chunks_are_passed_over(read):
    raw = wav(np.arange(9, dtype=np.int16))
    raw = raw[:12] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + raw[12:] + b"junk" + struct.pack("<I", 2) + b"xy"
    assert_array_equal(read(raw)[0] * 2**15, np.arange(9))


@pytest.mark.parametrize("rate", [11025, 16000, 44100])
def test_resampling_keeps_the_tone(read, rate):
    samples, new = read(wav(tone(rate).astype(np.float32), rate), 8000)
    assert (new, len(samples)) == (8000, 800)
    assert_allclose(samples[50:-50], tone()[50:-50], atol=0.005)  # away from the ends; filter ripple of 1 %


def test_silence_is_allowed(read):
    assert_array_equal(read(wav(np.zeros(100, np.int16)))[0], np.zeros(100))


def test_sound_errors(read):
    good, compressed = wav(np.arange(100, dtype=np.int16)), sphere(bytes(20), 10, coding="pcm,embedded-shorten-v1.09")
    cases = [
        (b"", "it starts with b'', which is neither WAV nor NIST SPHERE"),
        (b"ID3 this is mp3", "neither WAV nor NIST SPHERE"),
        (good[:-1], "its header announces 200 bytes of data, but 199 follow"),
        (good[:20], "it has no data chunk: truncated"),
        (good[:42], "it ends in the header of its data: truncated"),
        (
            good.replace(b"fmt \x10\0\0\0\x01\0", b"fmt \x10\0\0\0\x55\0"),
            "cannot be read: Unknown wave file format: MPEG",
        ),
        (wav(np.zeros(0, np.int16)), "it holds no samples"),
        (wav(np.array([0, np.nan], np.float32)), "it holds NaN or infinite samples"),
        (sphere(bytes(19), 10), "its header announces 20 bytes of data, but 19 follow"),
        (compressed, "its coding is pcm,embedded-shorten-v1.09 of 2 bytes; expand it first"),
        (
            sphere(bytes(20), 10).replace(b"sample_rate", b"simple_rate"),
            "its SPHERE header lacks or garbles 'sample_rate'",
        ),
        (sphere(bytes(20), 10).replace(b"   1024", b"   what"), "its SPHERE header gives no size"),
    ]
    for raw, message in cases:
        with pytest.raises(ValueError, match=r"a\.wav cannot be read: .*" + message.removeprefix("cannot be read: ")):
            read(raw)


# --- FSDD


def clip(digit, who, take):
    """A clip that can be recognised: its length and values tell digit, speaker and take."""
    return np.full(100 + digit, 1000 * who + 10 * take + digit, np.int16)


@pytest.fixture(scope="module")
def fsdd_files():
    names = ["anna", "ben", "eve"]
    return {
        f"recordings/{d}_{name}_{take}.wav": wav(clip(d, who, take))
        for d in range(10)
        for who, name in enumerate(names)
        for take in range(7 if d else 9)  # unequal classes
    }


def write_fsdd(root, files, form):
    root.mkdir(exist_ok=True)
    prefix = "free-spoken-digit-dataset-1.0.10/"
    if form == "zip":
        with zipfile.ZipFile(root / "fsdd-v1.0.10.zip", "w") as archive:
            archive.writestr(prefix, "")
            for name, raw in files.items():
                archive.writestr(prefix + name, raw)
    elif form == "tar":
        with tarfile.open(root / "fsdd-v1.0.10.tar.xz", "w:xz") as tar:
            for name, raw in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(raw)
                tar.addfile(info, io.BytesIO(raw))
    else:
        (root / "recordings").mkdir()
        for name, raw in files.items():
            (root / name).write_bytes(raw)
    return root


def marks(X):
    """Value of each clip (see `clip`)."""
    return [round(float(x[0]) * 2**15) for x in X]


@pytest.mark.parametrize("form", ["zip", "tar", "folder", "files"])
def test_fsdd_own_split_and_layouts(tmp_path, fsdd_files, form):
    root = write_fsdd(tmp_path / "set", fsdd_files, form)
    X_train, X_test, y_train, y_test = fsdd(root / "recordings" if form == "files" else root)
    for X, y, takes in ((X_train, y_train, range(5, 9)), (X_test, y_test, range(5))):
        expected = [1000 * w + 10 * t + d for d in range(10) for w in range(3) for t in takes if t < (7 if d else 9)]
        assert sorted(marks(X)) == sorted(expected)
        assert_array_equal(np.array(marks(X)) % 10, y)
        assert_array_equal([len(x) - 100 for x in X], y)
    assert not set(marks(X_train)) & set(marks(X_test))  # no take in both parts


def test_fsdd_split_by_speaker(tmp_path, fsdd_files):
    X_train, X_test, _, y_test = fsdd(write_fsdd(tmp_path / "set", fsdd_files, "tar"), test_speakers=["ben"])
    assert {m // 1000 for m in marks(X_train)} == {0, 2}
    assert {m // 1000 for m in marks(X_test)} == {1}
    assert_array_equal(np.bincount(y_test), [9] + [7] * 9)


def test_fsdd_rates(tmp_path, fsdd_files):
    """Clips of another rate are brought to the one asked for."""
    files = dict(fsdd_files)
    files["recordings/3_anna_0.wav"] = wav(np.rint(tone(16000, 0.2) * 2**15).astype(np.int16), 16000)
    root = write_fsdd(tmp_path / "set", files, "tar")
    assert [len(x) for x in fsdd(root)[1]].count(1600) == 1
    doubled = fsdd(root, rate=16 * kHz)
    assert [len(x) for x in doubled[1]].count(3200) == 1
    assert_array_equal([len(x) - 200 for x in doubled[0]], 2 * doubled[2])


def test_fsdd_download_is_checked_by_its_content(web, fsdd_files, monkeypatch, no_environment):
    folder, url = web
    write_fsdd(folder, fsdd_files, "zip")
    monkeypatch.setattr(audio, "_FSDD_URL", url + "fsdd-v1.0.10.zip")
    with pytest.raises(ValueError, match=r"are not those of v1\.0\.10\. Delete the file"):
        fsdd()
    lines = [f"{hashlib.sha256(raw).hexdigest()}  {name}\n" for name, raw in sorted(fsdd_files.items())]
    monkeypatch.setattr(audio, "_FSDD_DIGEST", hashlib.sha256("".join(lines).encode()).hexdigest())
    assert len(fsdd()[1]) == 150


def test_fsdd_errors(tmp_path, fsdd_files, monkeypatch, no_environment):
    monkeypatch.setattr(audio, "_FSDD_URL", "http://127.0.0.1:9/")
    with pytest.raises(FileNotFoundError, match=r"FSDD: fsdd-v1\.0\.10\.zip was not found"):
        fsdd()
    (tmp_path / "empty" / "recordings").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"holds no clips named {digit}_{speaker}_{take}\.wav"):
        fsdd(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"FSDD: folder='.*' is not an existing folder"):
        fsdd(tmp_path / "nowhere")
    root = write_fsdd(tmp_path / "set", fsdd_files | {"recordings/0_ben_0.wav": wav(clip(0, 1, 0))[:-3]}, "folder")
    with pytest.raises(ValueError, match=r"FSDD: 0_ben_0\.wav in .* cannot be read: its header announces"):
        fsdd(root)
    few = write_fsdd(tmp_path / "few", {n: r for n, r in fsdd_files.items() if n.endswith("_1.wav")}, "folder")
    with pytest.raises(ValueError, match="is for the training part"):
        fsdd(few)
    with pytest.raises(ValueError, match="is for the training part"):
        fsdd(few, test_speakers=["anna", "ben", "eve"])
    for wrong in (["bob"], "anna"):
        with pytest.raises(ValueError, match="test_speakers must be a list of names among anna, ben, eve, got"):
            fsdd(few, test_speakers=wrong)
    with pytest.raises(DimensionMismatchError, match="rate must be a frequency"):
        fsdd(few, rate=8 * ms)
    with pytest.raises(ValueError, match="rate must be at least 1 Hz"):
        fsdd(few, rate=0 * kHz)


@pytest.mark.skipif("HRSNN_DATA" not in os.environ, reason="the real files are found through HRSNN_DATA")
def test_real_fsdd():
    X_train, X_test, y_train, y_test = fsdd()
    assert_array_equal(np.bincount(y_train), 270)
    assert_array_equal(np.bincount(y_test), 30)
    lengths = [len(x) for x in X_train + X_test]
    assert (min(lengths), max(lengths)) == (1148, 18262)
    assert not {x.tobytes() for x in X_train} & {x.tobytes() for x in X_test}


# --- TI46


def write_ti46(root, make):
    for part, sessions in (("train", ["se"]), ("test", ["s1", "s8"])):
        for speaker in ("f1", "m8"):
            folder = root / "ti20" / part / speaker
            folder.mkdir(parents=True)
            for k, session in enumerate(sessions):
                for word in ("00", "09", "go", "0a"):  # letters and commands are not digits
                    for token in range(2):
                        value = 100 * (speaker == "m8") + 10 * k + token
                        (folder / f"{word}{speaker}{session}t{token}.wav").write_bytes(make(value))
    return root


@pytest.mark.parametrize("kind", ["sphere", "wav"])
def test_ti46_split_by_session_and_by_speaker(tmp_path, kind):
    def make(value):
        data = np.full(50, value, "<i2")
        return sphere(data.tobytes(), 50) if kind == "sphere" else wav(data, 12500)

    root = write_ti46(tmp_path / "ti46", make)
    X_train, X_test, y_train, y_test = ti46(root)
    assert sorted(marks(X_train)) == sorted([0, 1, 100, 101] * 2)
    assert sorted(marks(X_test)) == sorted([0, 1, 10, 11, 100, 101, 110, 111] * 2)
    assert_array_equal(np.bincount(y_train), [4] + [0] * 8 + [4])
    assert_array_equal(np.bincount(y_test), [8] + [0] * 8 + [8])
    X_train, X_test, *_ = ti46(root, rate=25 * kHz, test_speakers=["m8"])
    assert {len(x) for x in X_train + X_test} == {100}
    assert (len(X_train), len(X_test)) == (12, 12)


def test_ti46_finds_capital_names_and_the_environment(tmp_path, monkeypatch):
    (tmp_path / "ti46" / "TRAIN").mkdir(parents=True)
    for name in ("00F1SET0.WAV", "01F1S2T1.WAV"):
        (tmp_path / "ti46" / "TRAIN" / name).write_bytes(sphere(bytes(20), 10))
    monkeypatch.setenv("HRSNN_DATA", str(tmp_path))
    *_, y_train, y_test = ti46()
    assert_array_equal(y_train, [0])
    assert_array_equal(y_test, [1])


def test_ti46_errors(tmp_path, no_environment):
    with pytest.raises(FileNotFoundError, match="TI46: ti46 was not found"):
        ti46()
    with pytest.raises(FileNotFoundError, match=r"TI46: .* holds no clips named 00f1set0\.wav"):
        ti46(tmp_path)


# --- Speech Commands


@pytest.mark.parametrize("form", ["folder", "tar"])
def test_speech_commands(tmp_path, form):
    files = {
        f"{word}/{speaker}_nohash_{n}.wav": wav(np.full(20, 100 * w + 10 * s + n, np.int16), 16000)
        for w, word in enumerate(("zero", "nine", "bed"))
        for s, speaker in enumerate(("0a", "ff"))
        for n in range(3)
    }
    listed = [name for name in files if "/ff_" in name]
    files["testing_list.txt"] = "\n".join(listed).encode()
    if form == "folder":
        for name, raw in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(raw)
    else:
        with tarfile.open(tmp_path / "speech_commands_v0.02.tar.gz", "w:gz") as tar:
            for name, raw in files.items():
                info = tarfile.TarInfo("./" + name)
                info.size = len(raw)
                tar.addfile(info, io.BytesIO(raw))
    X_train, X_test, y_train, y_test = speech_commands(tmp_path)
    assert sorted(marks(X_train)) == [0, 1, 2, 100, 101, 102]
    assert sorted(marks(X_test)) == [10, 11, 12, 110, 111, 112]
    assert_array_equal(y_train, np.where(np.array(marks(X_train)) < 100, 0, 9))
    X_train, X_test, y_train, y_test = speech_commands(tmp_path, rate=8 * kHz, per_digit=2)
    assert [len(x) for x in X_train + X_test] == [10] * 8
    assert_array_equal(np.bincount(y_test)[[0, 9]], [2, 2])


def test_speech_commands_errors(tmp_path):
    (tmp_path / "speech_commands_v0.02" / "one").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"has no testing_list\.txt"):
        speech_commands(tmp_path)
    with pytest.raises(ValueError, match="per_digit must be at least 1, got 0"):
        speech_commands(tmp_path, per_digit=0)
