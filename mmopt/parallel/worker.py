"""What runs in a worker process: solve what comes through a pipe, and never outlive who sent it.

Nothing heavy is imported before the watch on the parent stands, so that an orphan ends at once wherever it is.
"""

import os
import pickle
import signal
import threading
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for


def work(pipe: Connection, pickled: bytes) -> None:
    """Unpack a parcel and have it solve what comes; leave Ctrl-C to the parent, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    payload = pickle.loads(pickled)  # noqa: S301 - our parent's own words
    with suppress(EOFError, OSError):  # the parent has let go
        while True:
            points = pipe.recv()
            try:
                answer = payload.solve(points)
            except Exception as error:
                answer = error
            pipe.send(answer)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)
