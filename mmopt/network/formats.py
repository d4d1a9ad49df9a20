"""Files of metabolic networks, by their suffix: a file is checked, then read by cobra, and failures are explained.

cobra stops at the first bound it refuses and does not name its reaction. So where it stops, the bounds are read once more
on their own, to name the reaction.
"""

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mmopt.checking import shown
from mmopt.errors import NetworkError, nearest
from mmopt.io.guard import check_json, check_sbml
from mmopt.network.matlab import check_mat
from mmopt.network.readers import (
    Bound,
    bounds_in_json,
    bounds_in_mat,
    check_all,
    read_json,
    read_mat,
)
from mmopt.network.sbml import bounds_in_sbml, read_sbml

if TYPE_CHECKING:
    import cobra

PACKAGED = ("textbook", "iJO1366", "salmonella")
"""Networks that ship inside the cobra wheel."""


def find_file(source: str | Path) -> Path:
    """Return the path of a network's file, or of one that ships with cobra.

    Parameters
    ----------
    source
        A path, or a name in `PACKAGED`.

    Returns
    -------
    Path
        An existing file.

    Raises
    ------
    NetworkError
        If there is no such file; the nearest packaged names are given.
    """
    path = Path(source)
    if str(source) in PACKAGED:
        import cobra.data

        path = Path(cobra.data.__file__).parent / f"{source}.xml.gz"
    if not _is_file(path):
        raise NetworkError(
            f"there is no file {shown(str(path))}, and no packaged network of that name; {nearest(str(path), PACKAGED)}"
        )
    return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def load(path: Path) -> "cobra.Model":
    """Read a file with cobra, after a check that this is safe.

    Parameters
    ----------
    path
        An existing file.

    Returns
    -------
    cobra.Model
        The network as cobra reads it.

    Raises
    ------
    NetworkError
        If the suffix is unknown, or the file is refused or cannot be read; where a bound is the cause, its reaction is named.
    """
    kinds = [kind for kind in _FORMATS if path.name.endswith(kind.suffixes)]
    if not kinds:
        known = ", ".join(suffix for kind in _FORMATS for suffix in kind.suffixes)
        raise NetworkError(f"{path} has no suffix of a network's file; it must end in one of {known}")
    kind = kinds[0]
    kind.check(path)
    import cobra.io  # noqa: F401  # its first import sets up the loggers that are silenced below

    with quiet():
        try:
            return kind.read(path)
        except Exception as error:  # libSBML, SciPy and cobra raise many kinds; each means the same to a user
            root = _root(error)
            if isinstance(root, NetworkError):
                raise root from None
            _name_bad_bound(kind, path)
            raise NetworkError(f"{path} cannot be read as {kind.name}: {_first_line(root)}; {kind.cure}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings and log messages of a reader; errors are still raised."""
    logger = logging.getLogger("cobra")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _name_bad_bound(kind: "_Format", path: Path) -> None:
    try:
        bounds = list(kind.bounds(path))
    except Exception:  # whatever is wrong with the file, it is not a bound
        return
    check_all(bounds)


def _root(error: BaseException) -> BaseException:
    """First exception in a chain of causes."""
    return error if error.__cause__ is None else _root(error.__cause__)


def _first_line(error: BaseException) -> str:
    """First line of an error, with its type where the line alone is not clear."""
    first = str(error).strip().partition("\n")[0]
    return first if first and not isinstance(error, KeyError) else f"{type(error).__name__} {first}".strip()


@dataclass(frozen=True)
class _Format:
    """Suffixes of a format, functions that check and read it, and advice for files that cannot be read."""

    name: str
    suffixes: tuple[str, ...]
    check: Callable[[Path], None]
    read: Callable[[Path], Any]
    bounds: Callable[[Path], Iterable[Bound]]
    cure: str


_FORMATS: Final = (
    _Format(
        "SBML",
        (".xml", ".xml.gz", ".sbml", ".sbml.gz"),
        check_sbml,
        read_sbml,
        bounds_in_sbml,
        "check the file with an SBML validator",
    ),
    _Format("JSON", (".json", ".json.gz"), check_json, read_json, bounds_in_json, "write it again with cobra"),
    _Format("MATLAB", (".mat",), check_mat, read_mat, bounds_in_mat, "save it again with the COBRA toolbox or cobra"),
)
