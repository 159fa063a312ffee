"""Files that are whole or absent: after a kill or on a full disk a path holds what it held before, or the new file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["atomic"]


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path that replaces ``path`` in one step when the block ends without an error.

    Parameters
    ----------
    path : path
        File to write. Its folder is made if needed. The temporary path has the same suffix.

    Yields
    ------
    Path
        Where to write. After an error, or a kill, ``path`` holds what it held before.

    Raises
    ------
    OSError
        If the file cannot be written, for example because the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(
            f"{path} could not be written ({error}). Free space on the disk or choose another folder; "
            "what was saved before is still there."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
