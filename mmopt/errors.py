"""The errors mmopt raises on purpose.

Every message states what was given, what is wrong with it, and what to do. The command line prints the message alone and
ends with 2 where the input was bad (the `ValueError` family) or 1 where the work failed (the `RuntimeError` family).
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_LONGEST_SHOWN: Final = 80
"""Longest name in a message; known names are shorter, and a text of megabytes would take minutes to compare."""

_LONGEST_LINE: Final = 400
"""Characters of a line of another library in a message."""

_SHORTEST_STEM: Final = 4
"""Letters before the compartment from which on a name is recognised by its beginning."""


class MmoptError(Exception):
    """Base class of everything mmopt raises on purpose."""


class NetworkError(MmoptError, ValueError):
    """A metabolic network cannot be read, or lacks a reaction, gene or metabolite that is needed."""


class DomainError(MmoptError, ValueError):
    """An input lies outside the domain of a surrogate or a table of fluxes."""


class StudyError(MmoptError, ValueError):
    """A study file or an argument is wrong."""


class SurrogateError(MmoptError, ValueError):
    """A surrogate cannot be trained, saved, loaded or exported."""


class InfeasibleError(MmoptError, RuntimeError):
    """No solution keeps all limits."""


class SolverError(MmoptError, RuntimeError):
    """A solver ended without a solution."""


def first_line(error: BaseException) -> str:
    r"""Return the first line of an exception's text, short enough for a message.

    Parameters
    ----------
    error
        An exception, usually of another library.

    Returns
    -------
    str
        Its first line, or its type where it has no text.

    Examples
    --------
    >>> from mmopt.errors import first_line
    >>> first_line(OSError("no space left\nat offset 20"))
    'no space left'
    """
    lines = str(error).strip().splitlines()
    return lines[0][:_LONGEST_LINE] if lines else type(error).__name__


def missing_package(purpose: str, package: str, extra: str, error: type[MmoptError] = StudyError) -> MmoptError:
    """Return the error to raise where an optional package is not installed.

    Parameters
    ----------
    purpose
        What needs the package, as the subject of a sentence in the plural.
    package
        Name of the package.
    extra
        Extra of mmopt that installs it.
    error
        Class of the error.

    Returns
    -------
    MmoptError
        An error of that class, which names the extra.

    Examples
    --------
    >>> from mmopt.errors import missing_package
    >>> print(missing_package("Parquet files", "pyarrow", "parquet"))
    Parquet files need the package pyarrow, which is missing: pip install "mmopt[parquet]"
    """
    return error(f'{purpose} need the package {package}, which is missing: pip install "mmopt[{extra}]"')


def nearest(name: object, known: Iterable[str], count: int = 3) -> str:
    """Return the known names that come closest to an unknown one, as the end of an error message.

    Parameters
    ----------
    name
        The unknown name; what is no text has no near names.
    known
        The known names.
    count
        Number of names to return at most.

    Returns
    -------
    str
        ``nearest known: ...``, or the first of the known names where none is near.

    Examples
    --------
    >>> nearest("EX_glc_e", ["EX_glc__D_e", "EX_o2_e"])
    'nearest known: EX_glc__D_e, EX_o2_e'
    >>> nearest(None, ["EX_glc__D_e", "EX_o2_e"])
    'known: EX_glc__D_e, EX_o2_e'
    """
    names = sorted(map(str, known))
    near = _near(name.lower(), names, count) if isinstance(name, str) and len(name) <= _LONGEST_SHOWN else []
    if near:
        return "nearest known: " + ", ".join(near)
    return "known: " + (", ".join(names[:count]) + (", ..." if len(names) > count else "") or "none")


def _near(name: str, names: list[str], count: int) -> list[str]:
    """Names that begin alike, then names spelt alike."""
    stem = name.rsplit("_", 1)[0]  # without the compartment: EX_glc_e means EX_glc__D_e
    begin_alike = [known for known in names if len(stem) >= _SHORTEST_STEM and known.lower().startswith(stem + "_")]
    by_lower = {known.lower(): known for known in names}
    spelt_alike = [by_lower[match] for match in get_close_matches(name, list(by_lower), n=count, cutoff=0.5)]
    return list(dict.fromkeys([*begin_alike, *spelt_alike]))[:count]
