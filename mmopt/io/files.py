"""Files that are written completely or not at all, and read only if they are files."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_whole(path: str | Path, write: Callable[[Path], object]) -> Path:
    """Write a file completely or not at all: a temporary file beside it is filled and then renamed.

    Parameters
    ----------
    path
        The file; its folder is created.
    write
        Function that fills the file at the path it gets.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "new" / "a.txt", lambda path: path.write_text("x")).read_text()
    'x'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read_whole(path: str | Path, most: int) -> bytes:
    """Read a file; a pipe or a device, which may never end, is none.

    Parameters
    ----------
    path
        The file.
    most
        Most bytes that it may have.

    Returns
    -------
    bytes
        Its content.

    Raises
    ------
    OSError
        If it is missing, no regular file, or larger.

    Examples
    --------
    >>> read_whole("/dev/null", most=100)
    Traceback (most recent call last):
    OSError: [Errno 22] it is no regular file: '/dev/null'
    """
    path = Path(path)
    size = path.stat().st_size
    if not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    if size > most:
        raise OSError(errno.EFBIG, f"it has {size / 2**20:.0f} MB, more than {most / 2**20:.0f}", str(path))
    return path.read_bytes()
