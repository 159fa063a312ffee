"""Find a data file: a folder given by the caller, then ``HRSNN_DATA``, then the cache, then a download."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "HRSNN_DATA"


def cache_folder() -> Path:
    """Return the folder of downloaded files, the user's cache of ``hrsnn`` (it need not exist yet)."""
    import pooch

    return Path(pooch.os_cache("hrsnn"))


def locate(
    name: str | Sequence[str],
    folder: str | os.PathLike | None = None,
    *,
    title: str,
    subset: str = "",
    flat: bool = True,
    urls: Sequence[str] = (),
    known_hash: str | None = None,
) -> Path:
    """Return the path of a data file or data folder.

    The first of these that holds it wins: `folder` (if given, nothing else is tried); the folder named by
    the environment variable ``HRSNN_DATA``; the user's cache; a download into that cache. In the first two
    the file may lie in the subfolder `subset` or directly in the folder.

    Parameters
    ----------
    name : str or sequence of str
        File name, or names that are equally good (the first is the one that errors ask for and that a
        download is stored under).
    folder : path, optional
        Folder given by the user.
    title : str
        Name of the data set, for messages.
    subset : str
        Subfolder of the set.
    flat : bool
        Whether ``HRSNN_DATA`` may hold the file directly; False if another set has files of that name.
    urls : sequence of str
        Addresses of the file, tried in turn.
    known_hash : str, optional
        Checksum of the download, ``"sha256:..."`` or ``"md5:..."``. Files of the user are not checked
        against it, so that other data of the same format can be used.

    Returns
    -------
    pathlib.Path
        An existing path.

    Raises
    ------
    FileNotFoundError
        If the file is nowhere and cannot be downloaded; the message says where to put it.
    """
    names = (name,) if isinstance(name, str) else tuple(name)
    if folder is not None:
        base = existing_folder(folder, f"{title}: folder=")
        found = _find(base, (subset, ""), names)
        if found is None:
            raise FileNotFoundError(f"{title} is not in {base}. Put {names[0]} there, or pass another folder=.")
        return found
    tried = []
    if os.environ.get(VARIABLE):
        base = existing_folder(os.environ[VARIABLE], f"The environment variable {VARIABLE}=")
        found = _find(base, (subset, "") if flat else (subset,), names)
        if found is not None:
            return found
        tried.append(f"it is not in {base}")
    else:
        tried.append(f"{VARIABLE} is not set")
    cache = cache_folder() / subset
    if urls:
        path, reasons = _download(names[0], cache, urls, known_hash)
        if path is not None:
            return path
        tried += reasons
    else:
        found = _find(cache, ("",), names)
        if found is not None:
            return found
        tried.append(f"it is not in the cache {cache}, and there is no address to download it from")
    raise FileNotFoundError(
        f"{title}: {names[0]} was not found ({'; '.join(tried)}). Put the file into a folder and pass folder=, "
        f"or set {VARIABLE} to the folder that holds it or its subfolder {subset!r}."
    )


def existing_folder(folder: str | os.PathLike, who: str) -> Path:
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"{who}{str(folder)!r} is not an existing folder. Name the folder that holds the data.")
    return path


def _find(base: Path, places: Sequence[str], names: Sequence[str]) -> Path | None:
    candidates = (base / place / name for place in places for name in names)
    return next((path for path in candidates if path.exists()), None)


def _download(
    name: str, cache: Path, urls: Sequence[str], known_hash: str | None
) -> tuple[Path, list[str]] | tuple[None, list[str]]:
    """Fetch into the cache; pooch writes to a temporary file, checks it, and only then renames it."""
    import pooch

    reasons: list[str] = []
    for url in urls:
        try:
            path = pooch.retrieve(
                url,
                known_hash,
                fname=name,
                path=cache,
                downloader=pooch.HTTPDownloader(timeout=30, progressbar=sys.stderr.isatty()),
            )
            return Path(path), reasons
        except (OSError, ValueError) as error:  # no network, no disk, wrong checksum
            reasons.append(f"download from {url} failed: {_first_line(error)}")
    return None, reasons


def _first_line(error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0]
    return text if len(text) <= 200 else text[:200] + "..."
