"""An event loop of asyncio in a thread, so that connections stay alive between two cycles of a program without one."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, Final

_GRACE: Final = 2.0
"""Seconds for which the end of the thread, or of a call that was given up, is awaited."""


class EventLoop:
    """An event loop that runs in a thread until it is closed.

    Examples
    --------
    >>> from mmopt.operation.event_loop import EventLoop
    >>> import asyncio
    >>> with EventLoop() as loop:
    ...     loop.run(asyncio.sleep(0.0, "done"), seconds=5.0)
    'done'
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mmopt OPC UA", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any], seconds: float) -> Any:
        """Run a coroutine, and return its result.

        Parameters
        ----------
        work
            The coroutine.
        seconds
            Seconds after which it is given up.

        Returns
        -------
        object

        Raises
        ------
        TimeoutError
            If it has not ended in time; what it raises is raised here.
        RuntimeError
            If the loop is closed.
        """
        if self._loop.is_closed():
            work.close()
            raise RuntimeError("the connection is closed")
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, seconds), self._loop)
        try:
            return future.result(seconds + _GRACE)
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End what still runs, and the thread."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(_GRACE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_GRACE)
        if not self._thread.is_alive():
            self._loop.close()

    def __enter__(self) -> "EventLoop":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
