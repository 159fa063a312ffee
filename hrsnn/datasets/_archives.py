"""Read the files of a folder, a tar, a zip, or a tar inside a zip, in one way."""

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO


def members(path: Path, wanted: Callable[[str], bool], inner: str | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield name (relative, with slashes) and content of each wanted file, in the order of the archive.

    Parameters
    ----------
    path : pathlib.Path
        A folder, ``.zip``, or tar with any compression.
    wanted : callable
        Decides by the name.
    inner : str, optional
        If `path` is a zip, the name of the tar in it that is meant. Without that tar nothing is yielded.

    Raises
    ------
    ValueError
        If the archive is damaged or truncated.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            name = file.relative_to(path).as_posix()
            if wanted(name) and file.is_file():
                yield name, file.read_bytes()
        return
    try:
        with ExitStack() as stack:
            if path.suffix != ".zip":
                yield from _tar_members(stack.enter_context(path.open("rb")), wanted)
                return
            archive = stack.enter_context(zipfile.ZipFile(path))
            if inner is None:
                names = [name for name in archive.namelist() if not name.endswith("/") and wanted(name)]
                yield from ((name, archive.read(name)) for name in names)
                return
            for name in archive.namelist():
                if PurePosixPath(name).name == inner:
                    yield from _tar_members(stack.enter_context(archive.open(name)), wanted)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, OSError, EOFError) as error:
        raise ValueError(f"{path} is damaged or truncated ({error}). Get the archive again.") from error


def _tar_members(stream: IO[bytes], wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=stream, mode="r|*") as tar:
        for entry in tar:
            content = tar.extractfile(entry) if entry.isfile() else None
            name = entry.name.removeprefix("./")
            if content is not None and wanted(name):
                yield name, content.read()
