"""Ctrl-C on the command line: it always ends the program, also where a library loses the exception."""

import os
import select
import signal
import threading
from types import FrameType
from typing import Final, NoReturn

PATIENCE: Final = 5.0
"""Time for a program to end in good order after Ctrl-C [s]; imports, destructors and compiled code of libraries lose the
exception now and then, and the program would go on."""

EXIT_CODE: Final = 130


class CtrlCError(KeyboardInterrupt):
    """Raised in place of `KeyboardInterrupt`, with which Python may end by the signal even where it was caught."""


class Watch:
    """End this process some time after Ctrl-C, or at the second one, if it has not ended by then.

    Attributes
    ----------
    message
        What is printed then.

    Examples
    --------
    >>> watch = Watch()
    >>> watch.message
    'interrupted'
    """

    def __init__(self) -> None:
        self.message = "interrupted"

    def start(self) -> None:
        """Begin to watch, if Ctrl-C raises `KeyboardInterrupt`; under `nohup`, for one, it does not."""
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, _raise)
        threading.Thread(target=self._wait, args=(reader,), daemon=True).start()

    def _wait(self, reader: int) -> NoReturn:
        while os.read(reader, 1)[0] != signal.SIGINT:
            pass
        select.select([reader], [], [], PATIENCE)
        os.write(2, f"mmopt: {self.message}\n".encode())
        os._exit(EXIT_CODE)


def _raise(_: int, __: FrameType | None) -> NoReturn:
    raise CtrlCError
