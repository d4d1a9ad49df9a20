"""Tasks that run one after the other in one process of their own, while this process does something else."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

from mmopt.checking import shown
from mmopt.errors import SolverError, StudyError
from mmopt.parallel.pool import ProcessPool, WorkerDiedError

_DIED: Final = (
    "the process of a background task ended without a result (was it killed, or short of memory?); run it again"
)


class Background:
    """Run tasks in another process, in their order, from the construction to the end of the ``with`` block.

    The process ends with the block, however that ends, and with this process.

    Parameters
    ----------
    *tasks
        Callables without arguments. They and their results must be picklable: functions of a module, or
        `functools.partial` of them.

    Raises
    ------
    StudyError
        If there is no task, or one is not callable or cannot be pickled.

    Examples
    --------
    >>> from functools import partial
    >>> with Background(partial(divmod, 7, 2), partial(sum, [1, 2])) as background:
    ...     background.result(), background.result()
    ((3, 1), 3)
    """

    def __init__(self, *tasks: Callable[[], Any]) -> None:
        if not tasks:
            raise StudyError("there are no tasks; give at least one callable")
        for task in tasks:
            if not callable(task):
                raise StudyError(f"a task is {shown(task)}; give a callable without arguments")
        self._pool = ProcessPool(_Tasks(tasks), 1)
        self._futures = deque(self._pool.submit(number) for number in range(len(tasks)))

    def result(self) -> Any:
        """Wait for the next task and return its result.

        Returns
        -------
        Any
            What the task returned.

        Raises
        ------
        Exception
            Whatever the task raised.
        SolverError
            If the process ended before it had a result.
        StudyError
            If the result of every task was returned before.
        """
        if not self._futures:
            raise StudyError("the results of all tasks were returned; call result() once for every task")
        try:
            return self._futures.popleft().result()
        except WorkerDiedError as error:
            raise SolverError(_DIED) from error

    def close(self) -> None:
        """End the process now, whatever it does."""
        self._pool.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()

    def __repr__(self) -> str:
        return f"Background({len(self._futures)} tasks without a returned result)"


class _Tasks:
    """Callables, each run by its number."""

    def __init__(self, tasks: Sequence[Callable[[], Any]]) -> None:
        self._tasks = tuple(tasks)

    def solve(self, number: int) -> Any:
        return self._tasks[number]()
