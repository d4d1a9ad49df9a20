"""The errors mmopt raises on purpose.

Every message says what was asked, what was found, and what to do. The command line prints the message alone and ends
with 2 where the input was bad (the `ValueError` family) or 1 where the work failed (the `RuntimeError` family).
"""

from collections.abc import Iterable
from difflib import get_close_matches


class MmoptError(Exception):
    """Everything mmopt raises on purpose."""


class NetworkError(MmoptError, ValueError):
    """A metabolic network cannot be read, or lacks what was asked of it."""


class DomainError(MmoptError, ValueError):
    """An input lies outside the box a surrogate or a table was made for."""


class StudyError(MmoptError, ValueError):
    """A study file or an argument of a study is wrong."""


class SurrogateError(MmoptError, ValueError):
    """A surrogate cannot be made, saved or loaded."""


class InfeasibleError(MmoptError, RuntimeError):
    """No answer keeps all the limits that were asked for."""


class SolverError(MmoptError, RuntimeError):
    """A solver ended without an answer."""


def first_line(error: BaseException) -> str:
    r"""Cut what an exception of another library says, so that it fits into a message of ours.

    Examples
    --------
    >>> from mmopt.errors import first_line
    >>> first_line(OSError("no space left\nat offset 20"))
    'no space left'
    """
    said = str(error).strip().splitlines()
    return said[0] if said else type(error).__name__


def nearest(asked: str, known: Iterable[str], count: int = 3) -> str:
    """Say which known names come closest to ``asked``, as the tail of an error message.

    Examples
    --------
    >>> nearest("EX_glc_e", ["EX_glc__D_e", "EX_o2_e"])
    'nearest known: EX_glc__D_e, EX_o2_e'
    """
    names = sorted(known)
    lower = asked.lower()
    stem = lower.rsplit("_", 1)[0]  # without the compartment: EX_glc_e means EX_glc__D_e
    begun = [name for name in names if len(stem) > 3 and name.lower().startswith(stem + "_")]
    by_lower = {name.lower(): name for name in names}
    alike = [by_lower[match] for match in get_close_matches(lower, list(by_lower), n=count, cutoff=0.5)]
    close = list(dict.fromkeys([*begun, *alike]))[:count]
    if close:
        return "nearest known: " + ", ".join(close)
    return "known: " + ", ".join(names[:count]) + (", ..." if len(names) > count else "")
