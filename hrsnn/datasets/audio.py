"""Spoken digits: Free Spoken Digit Dataset, TI46, Speech Commands. Clips are float32 arrays, full scale -1 to 1."""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from hrsnn.datasets._archives import members
from hrsnn.datasets._clips import WORDS, Clip, SoundSplit, split_clips
from hrsnn.datasets._files import cache_folder, existing_folder, locate
from hrsnn.datasets._sound import hertz

_FSDD_URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.10.zip"
_FSDD_DIGEST = "04e1baae96c6a26e39c623f2b01d0182ddae627ba0ac02a3cdc17ba2af99fd9b"
_FSDD_NAMES = ("fsdd-v1.0.10.zip", "fsdd-v1.0.10.tar.xz", "free-spoken-digit-dataset-1.0.10", "recordings")
_COMMANDS_URL = "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
_COMMANDS_HASH = "sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"


def fsdd(
    folder: str | os.PathLike | None = None, rate: Any = None, test_speakers: Sequence[str] | None = None
) -> SoundSplit:
    """Load the Free Spoken Digit Dataset: 3,000 clips of ten digits by six speakers.

    Parameters
    ----------
    folder : path, optional
        Folder with ``recordings`` (files ``{digit}_{speaker}_{take}.wav``), or with its archive
        ``fsdd-v1.0.10.tar.xz`` or ``.zip``, or the folder of the files itself. By default ``HRSNN_DATA``
        (also its subfolder ``fsdd``), the cache, or a download (16 MB, checked).
    rate : Quantity (hertz), optional
        Resample to this rate; 8 kHz, the set's own, if None. Clips of another rate are resampled.
    test_speakers : sequence of str, optional
        Test on all clips of these speakers and train on the others. If None, the set's own split: takes 0
        to 4 of each speaker test. No take is ever in both parts.

    Returns
    -------
    X_train, X_test : list of float32 array of shape (n_samples,)
        The clips, of different lengths.
    y_train, y_test : int array
        The digits.

    Raises
    ------
    FileNotFoundError
        If there are no clips and none can be downloaded.
    ValueError
        If a clip is damaged, a speaker is unknown, or a part of the split is empty.

    References
    ----------
    .. [1] Jackson et al., Free Spoken Digit Dataset v1.0.10, CC BY-SA 4.0.
    """
    pattern = re.compile(r"(?:.*/)?(\d)_([^/_]+)_(\d+)\.wav")
    if folder is not None and any(existing_folder(folder, "FSDD: folder=").glob("*_*_*.wav")):
        path = Path(folder)
    else:
        path = locate(_FSDD_NAMES, folder, title="FSDD", subset="fsdd", urls=[_FSDD_URL])
    clips = []
    for name, raw in members(path, lambda name: pattern.fullmatch(name) is not None):
        digit, speaker, take = pattern.fullmatch(name).groups()  # type: ignore[union-attr]
        clips.append(Clip(name, raw, int(digit), speaker, int(take) < 5))
    if path.parent == cache_folder() / "fsdd" and _digest(clips) != _FSDD_DIGEST:
        raise ValueError(f"FSDD: the recordings in the downloaded {path} are not those of v1.0.10. Delete the file.")
    return split_clips("FSDD", path, "{digit}_{speaker}_{take}.wav", clips, hertz(rate, 8000), test_speakers)


def _digest(clips: Iterable[Clip]) -> str:
    """Checksum of the recordings themselves: the host packs the archive anew now and then."""
    lines = sorted(
        (f"recordings/{PurePosixPath(clip.name).name}", hashlib.sha256(clip.raw).hexdigest()) for clip in clips
    )
    return hashlib.sha256("".join(f"{sha}  {name}\n" for name, sha in lines).encode()).hexdigest()


def ti46(
    folder: str | os.PathLike | None = None, rate: Any = None, test_speakers: Sequence[str] | None = None
) -> SoundSplit:
    """Load the spoken digits of TI46, for those who own the corpus (LDC93S9).

    Parameters
    ----------
    folder : path, optional
        Folder of the corpus or a part of it; files are found by their names, such as ``00f1set0.wav``, at
        any depth. NIST SPHERE (not compressed) or WAV. By default ``HRSNN_DATA/ti46``.
    rate : Quantity (hertz), optional
        Resample to this rate; 12.5 kHz, the corpus's own, if None.
    test_speakers : sequence of str, optional
        Test on these speakers (f1 to f8, m1 to m8), train on the others. If None, the corpus's own split:
        the enrolment session trains, the other eight test.

    Returns
    -------
    X_train, X_test, y_train, y_test
        As in `fsdd`.

    Raises
    ------
    FileNotFoundError, ValueError
        As in `fsdd`.

    References
    ----------
    .. [1] Liberman et al. (1993), TI 46-Word, Linguistic Data Consortium, LDC93S9.
    """
    root = locate("ti46", title="TI46") if folder is None else existing_folder(folder, "TI46: folder=")
    pattern = re.compile(r"(?:.*/)?0(\d)([fm]\d)(s[e\d])t(\w)\.wav", re.IGNORECASE)
    clips = []
    for name, raw in members(root, lambda name: pattern.fullmatch(name) is not None):
        digit, speaker, session, _ = pattern.fullmatch(name.lower()).groups()  # type: ignore[union-attr]
        clips.append(Clip(name, raw, int(digit), speaker, session != "se"))
    return split_clips("TI46", root, "00f1set0.wav", clips, hertz(rate, 12500), test_speakers)


def speech_commands(
    folder: str | os.PathLike | None = None, rate: Any = None, per_digit: int | None = None
) -> SoundSplit:
    """Load the ten digits of Speech Commands v0.02 (about 39,000 clips of up to a second).

    Parameters
    ----------
    folder : path, optional
        Folder with the words' folders and ``testing_list.txt``, or with ``speech_commands_v0.02.tar.gz``. By
        default ``HRSNN_DATA`` (also its subfolder ``speech_commands``), the cache, or a download (2.4 GB).
    rate : Quantity (hertz), optional
        Resample to this rate; 16 kHz, the set's own, if None.
    per_digit : int, optional
        Take only the first so many clips of each digit in either part (all are 2.5 GB in memory).

    Returns
    -------
    X_train, X_test, y_train, y_test
        As in `fsdd`. The clips in ``testing_list.txt`` test, all others (its validation part too) train; that
        list keeps speakers apart.

    Raises
    ------
    FileNotFoundError, ValueError
        As in `fsdd`.

    References
    ----------
    .. [1] Warden (2018), Speech Commands, arXiv 1804.03209 (CC BY 4.0).
    """
    if per_digit is not None and per_digit < 1:
        raise ValueError(f"per_digit must be at least 1, got {per_digit!r}.")
    names = ("speech_commands_v0.02.tar.gz", "speech_commands_v0.02", "testing_list.txt")
    path = locate(
        names,
        folder,
        title="Speech Commands",
        subset="speech_commands",
        urls=[_COMMANDS_URL],
        known_hash=_COMMANDS_HASH,
    )
    path = path.parent if path.name == "testing_list.txt" else path
    pattern = re.compile(rf"(?:.*/)?({'|'.join(WORDS)})/([^/]+)_nohash_\d+\.wav")
    found, listed = [], None
    for name, raw in members(path, lambda name: bool(pattern.fullmatch(name)) or name.endswith("testing_list.txt")):
        if name.endswith("testing_list.txt"):
            listed = set(raw.decode().split())
        else:
            found.append((name, raw))
    if listed is None:
        raise FileNotFoundError(f"Speech Commands: {path} has no testing_list.txt, which says what is for the test.")
    clips, count = [], dict.fromkeys(((digit, in_test) for digit in range(10) for in_test in (False, True)), 0)
    for name, raw in sorted(found):
        word, speaker = pattern.fullmatch(name).groups()  # type: ignore[union-attr]
        key = WORDS.index(word), "/".join(PurePosixPath(name).parts[-2:]) in listed
        count[key] += 1
        if per_digit is None or count[key] <= per_digit:
            clips.append(Clip(name, raw, key[0], speaker, key[1]))
    return split_clips("Speech Commands", path, "{word}/{speaker}_nohash_{n}.wav", clips, hertz(rate, 16000), None)
