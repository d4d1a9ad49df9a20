"""The loop of a worker process: solve the tasks that come through a pipe, and never outlive the parent process.

Nothing heavy is imported before the watch on the parent stands, so that an orphan ends at once wherever it is.
"""

import os
import pickle
import signal
import threading
from contextlib import suppress
from multiprocessing import parent_process, set_start_method
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for


def work(pipe: Connection, pickled: bytes) -> None:
    """Unpickle a solver and solve every task with it; leave Ctrl-C to the parent process, and end with it.

    Parameters
    ----------
    pipe
        Source of the tasks and sink of the results; an exception is a result, too.
    pickled
        The solver, an object with a method ``solve(task)``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Pyomo creates a lock when it is imported; one of this kind leaves nothing behind when this process is killed
    with suppress(ValueError):
        set_start_method("fork", force=True)
    solver = pickle.loads(pickled)  # noqa: S301 - pickled by our parent process
    with suppress(EOFError, OSError):  # the parent has closed its end
        while True:
            task = pipe.recv()
            try:
                pickled_result = pickle.dumps(solver.solve(task))
            except Exception as error:
                pickled_result = _pickled_error(error)
            pipe.send_bytes(pickled_result)


def _pickled_error(error: Exception) -> bytes:
    """The exception, or its text where it cannot be pickled and back."""
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)  # noqa: S301 - pickled in the line above
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return pickled


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)
