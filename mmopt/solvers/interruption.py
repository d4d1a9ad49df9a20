"""Ctrl-C during compiled code: held until the code returns, since CasADi loses an exception raised inside it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether the user pressed Ctrl-C during a block of compiled code."""

    def __init__(self) -> None:
        self.came = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal.

        Parameters
        ----------
        number
            Number of the signal.
        frame
            Where Python was.
        """
        self.came = True


@contextmanager
def held_interruption() -> Iterator[Interruption]:
    """Hold Ctrl-C until the end of a block, then hand it to the handler that was there before.

    Only the main thread of Python receives signals; elsewhere, and where signals are ignored, nothing changes.

    Yields
    ------
    Interruption
        Whether it came, for code that can stop early.

    Raises
    ------
    KeyboardInterrupt
        At the end of the block, if it came.

    Examples
    --------
    >>> with held_interruption() as interruption:
    ...     interruption.came
    False
    """
    interruption = Interruption()
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    signal.signal(signal.SIGINT, interruption.note)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)
    if interruption.came:
        before(signal.SIGINT, None)
