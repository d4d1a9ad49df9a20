"""Arrays from an HDF5 file of unknown origin.

A damaged or forged file can keep the HDF5 library busy for ever or end the process. So a process of its own reads it, with
a limit on time and memory, and sends plain arrays back, which are checked like any other file.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

from mmopt.errors import SurrogateError, first_line

_SECONDS: Final = 0.5
"""Processor time for a file once the library is loaded; 16 MB take a fifth of it."""

_PATIENCE: Final = 60.0
"""Time for the whole process on a busy machine [s]."""

_MEMORY: Final = 4 * 2**30
"""Most address space [bytes]; libraries and a file of the largest size that is read need a third of it."""

_READ, _REFUSED = b"arrays\n", b"refused\n"
_LONGEST_REASON: Final = 300


def datasets(data: bytes, paths: Sequence[str]) -> bytes:
    """Read datasets of an HDF5 file.

    Parameters
    ----------
    data
        The file.
    paths
        Paths of the datasets inside the file; nothing else in it is read.

    Returns
    -------
    bytes
        A zip archive of arrays as `numpy.savez` writes it, with members ``0.npy``, ``1.npy`` and on, in the order of ``paths``.

    Raises
    ------
    SurrogateError
        With the reason alone: no file of that kind, a dataset missing, stored in another file or packed, or the library
        failed.
    """
    inherited = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", __name__, json.dumps(list(paths))]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, and this file
            command, input=data, capture_output=True, timeout=_PATIENCE, env=inherited, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SurrogateError(f"its HDF5 part was not read in {_PATIENCE:.0f} s") from error
    if done.stdout.startswith(_READ):
        return done.stdout.removeprefix(_READ)
    if done.stdout.startswith(_REFUSED):
        raise SurrogateError(done.stdout.removeprefix(_REFUSED)[:_LONGEST_REASON].decode("ascii", "replace"))
    raise SurrogateError("its HDF5 part keeps the library busy or ends it, as a damaged or forged file does")


def _main() -> None:
    """Work of the other process: the file comes on standard input, the arrays go to standard output."""
    import h5py

    paths, data = json.loads(sys.argv[1]), sys.stdin.buffer.read()
    _limit()
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            reply = _READ + _packed([_dataset(file, path, len(data)) for path in paths])
    except Exception as error:  # the library fails in many ways; all mean that the file cannot be used
        reply = _REFUSED + first_line(error).encode("ascii", "replace")
    sys.stdout.buffer.write(reply)


def _limit() -> None:
    """Let the system end this process at its limits; memory is limited after the libraries are loaded."""
    import resource
    import signal

    signal.setitimer(signal.ITIMER_PROF, _SECONDS)  # its signal has no handler, so it ends the process
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _dataset(file: Any, path: str, size: int) -> Any:
    """One dataset; its numbers must be stored in this file, of ``size`` bytes, and not packed."""
    import h5py

    item = file
    for name in path.split("/"):
        if not isinstance(item, h5py.Group) or name not in item:
            raise ValueError(f"it has no '{path}'")
        if not isinstance(item.get(name, getlink=True), h5py.HardLink):  # other links lead to other files
            raise ValueError(f"'{path}' is a link to somewhere else")
        item = item[name]
    if not isinstance(item, h5py.Dataset) or item.dtype.kind != "f" or item.dtype.itemsize not in (4, 8):
        raise ValueError(f"'{path}' is no array of float32 or float64")
    if item.external or item.is_virtual or item.chunks or item.id.get_create_plist().get_nfilters():
        raise ValueError(f"'{path}' is packed, or kept in another file")
    if item.size * item.dtype.itemsize > size:
        raise ValueError(f"'{path}' claims more numbers than the file holds")
    return item[()].astype("<f8")


def _packed(arrays: Sequence[Any]) -> bytes:
    import numpy as np

    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, **{str(position): array for position, array in enumerate(arrays)})
    return archive.getvalue()


if __name__ == "__main__":
    _main()
