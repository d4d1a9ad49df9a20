"""Ctrl-C and SIGTERM on the command line: they always end the program, also where a library loses the exception."""

import os
import select
import signal
import sys
import threading
from types import FrameType
from typing import Final, NoReturn

PATIENCE: Final = 5.0
"""Time for a program to end in good order after Ctrl-C [s]; imports, destructors and compiled code of libraries lose the
exception now and then, and the program would go on."""

EXIT_CODE: Final = 128 + signal.SIGINT

_DEFAULTS: Final = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class CtrlCError(KeyboardInterrupt):
    """Raised in place of `KeyboardInterrupt`, with which Python may end by the signal even where it was caught."""


class Watch:
    """End this process some time after Ctrl-C or SIGTERM, or at the second one, if it has not ended by then.

    Attributes
    ----------
    message
        What is printed then.
    code
        Exit code: 128 and the number of the signal, that of Ctrl-C before any.

    Examples
    --------
    >>> watch = Watch()
    >>> watch.message
    'interrupted'
    """

    def __init__(self) -> None:
        self.message = "interrupted"
        self.code = EXIT_CODE
        self._writer = -1

    def start(self) -> None:
        """Begin to watch for signals with Python's own handlers; under `nohup`, for one, Ctrl-C has another."""
        watched = [number for number, default in _DEFAULTS.items() if signal.getsignal(number) is default]
        if not watched:
            return
        reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in watched:
            signal.signal(number, self._raise)
        sys.unraisablehook = self._end_if_lost
        threading.Thread(target=self._wait, args=(reader, watched), daemon=True).start()

    def _wait(self, reader: int, watched: list[signal.Signals]) -> NoReturn:
        while os.read(reader, 1)[0] not in watched:
            pass
        select.select([reader], [], [], PATIENCE)
        os.write(2, f"mmopt: {self.message}\n".encode())
        os._exit(self.code)

    def _end_if_lost(self, lost: "sys.UnraisableHookArgs") -> None:
        """End the process where Python has to ignore the exception, as in destructors; report others as Python does."""
        if isinstance(lost.exc_value, CtrlCError):
            os.write(self._writer, bytes([signal.SIGINT]))  # as a second Ctrl-C
        else:
            sys.__unraisablehook__(lost)

    def _raise(self, number: int, _: FrameType | None) -> NoReturn:
        self.code = 128 + number
        raise CtrlCError
