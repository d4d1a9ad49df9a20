"""Systems that a problem can name or describe, so that a study file contains the same objects as a script."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BeforeValidator, Discriminator, PlainValidator, Tag

from mmopt.errors import StudyError, nearest
from mmopt.reactor.bioreactor import Bioreactor
from mmopt.reactor.system import System, checked_system
from mmopt.reactor.vessels.ecoli import ecoli_fed_batch

KNOWN: Final[Mapping[str, Callable[[], System]]] = {"ecoli_fed_batch": ecoli_fed_batch}
"""Systems by their name in a study file."""


def known_system(value: Any) -> Any:
    """Return the system of a name; return anything else unchanged.

    Parameters
    ----------
    value
        Name of a known system, or anything else.

    Returns
    -------
    Any
        The system, or ``value`` itself.

    Raises
    ------
    StudyError
        If the name is unknown; the nearest known ones are in the message.

    Examples
    --------
    >>> known_system("ecoli_fed_batch").controls[0].name
    'feed'
    """
    if not isinstance(value, str):
        return value
    if value not in KNOWN:
        raise StudyError(f"there is no system '{value:.60}'; {nearest(value[:60], KNOWN)}")
    return KNOWN[value]()


def _kind(value: Any) -> str:
    return "bioreactor" if isinstance(value, Mapping) else "system"


if TYPE_CHECKING:
    SystemField = System
else:
    SystemField = Annotated[
        Annotated[Any, PlainValidator(checked_system, json_schema_input_type=str), Tag("system")]
        | Annotated[Bioreactor, Tag("bioreactor")],
        Discriminator(_kind),
        BeforeValidator(known_system),
    ]
"""A field for a system: an object, the name of a known one, or the fields of a `Bioreactor`."""
