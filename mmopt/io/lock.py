"""A folder that one process uses at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmopt.errors import StudyError


@contextmanager
def one_process_in(folder: Path) -> Iterator[None]:
    """Hold a folder, so that no other process can do the same; the hold ends with the process, however it ends.

    Parameters
    ----------
    folder
        The folder; it is created, and removed at the end where it is empty.

    Yields
    ------
    None

    Raises
    ------
    StudyError
        If another process holds it.
    OSError
        If it cannot be created or read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as at, one_process_in(Path(at) / "run"):
    ...     print((Path(at) / "run").is_dir())
    True
    """
    existed = folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StudyError(
                f"{folder} is used by another mmopt; wait until it has ended, or give another folder with -o"
            ) from error
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)
        if not existed:
            with suppress(OSError):  # it holds results
                folder.rmdir()
