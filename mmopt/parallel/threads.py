"""One thread at a time in objects that hold the state of a solver: HiGHS and Ipopt end Python where two threads use one."""

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar

_LOCK: Final = "_one_thread"


class ObjectLock:
    """A lock that the thread which holds it may take again; a copy, and what pickle restores, is a new one.

    Attributes
    ----------
    held
        The lock.

    Examples
    --------
    >>> from mmopt.parallel.threads import ObjectLock
    >>> with ObjectLock().held:
    ...     print("alone")
    alone
    """

    def __init__(self) -> None:
        self.held = threading.RLock()

    def __reduce__(self) -> tuple[type["ObjectLock"], tuple[()]]:
        return ObjectLock, ()


F = TypeVar("F", bound=Callable[..., Any])


def one_thread_at_a_time(method: F) -> F:
    """Let one thread at a time run the decorated methods of an object; others wait.

    Parameters
    ----------
    method
        A method of a class whose objects have a ``__dict__``.

    Returns
    -------
    callable
        The method.

    Examples
    --------
    >>> class Counter:
    ...     count = 0
    ...
    ...     @one_thread_at_a_time
    ...     def add(self, number):
    ...         self.count += number
    ...         return self.count
    >>> Counter().add(2)
    2
    """

    @wraps(method)
    def alone(self: Any, *args: Any, **kwargs: Any) -> Any:
        with self.__dict__.setdefault(_LOCK, ObjectLock()).held:
            return method(self, *args, **kwargs)

    return alone  # type: ignore[return-value]
