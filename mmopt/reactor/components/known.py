"""Components that a study file can name, so that it contains the same objects as a script."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Discriminator, PlainValidator, Tag

from mmopt.arguments import shown
from mmopt.errors import StudyError, nearest
from mmopt.reactor.components.component import Component
from mmopt.reactor.components.factors import Acidity, Lag, Temperature
from mmopt.reactor.components.flows import Base, Evaporation, Harvest, Overflow, Samples
from mmopt.reactor.components.gas import StirredTank, Stripping
from mmopt.reactor.components.products import Clock, LuedekingPiret, ShareOfGrowth

KINDS: Final = (
    "acidity",
    "base",
    "clock",
    "evaporation",
    "harvest",
    "lag",
    "luedeking_piret",
    "overflow",
    "samples",
    "share_of_growth",
    "stirred_tank",
    "stripping",
    "temperature",
)
"""Components by their name in a study file, ``kind``."""


def checked_component(value: Any) -> Component:
    """Return a component after a check of its type.

    Parameters
    ----------
    value
        A component.

    Returns
    -------
    Component
        The same object.

    Raises
    ------
    StudyError
        If it is no `Component`.

    Examples
    --------
    >>> checked_component("harvest")
    Traceback (most recent call last):
    mmopt.errors.StudyError: a component is 'harvest'; give a Component, such as Harvest(), or derive from Component
    """
    if not isinstance(value, Component):
        raise StudyError(
            f"a component is {shown(value)}; give a Component, such as Harvest(), or derive from Component"
        )
    return value


def _kind(value: Any) -> str:
    if not isinstance(value, Mapping):
        return "component"
    kind = value.get("kind")
    if kind not in KINDS:
        raise StudyError(f"the kind of a component is {shown(kind)}; {nearest(str(kind)[:60], KINDS)}")
    return str(kind)


if TYPE_CHECKING:
    ComponentField = Component
else:
    ComponentField = Annotated[
        Annotated[Any, PlainValidator(checked_component, json_schema_input_type=str), Tag("component")]
        | Annotated[Acidity, Tag("acidity")]
        | Annotated[Base, Tag("base")]
        | Annotated[Clock, Tag("clock")]
        | Annotated[Evaporation, Tag("evaporation")]
        | Annotated[Harvest, Tag("harvest")]
        | Annotated[Lag, Tag("lag")]
        | Annotated[LuedekingPiret, Tag("luedeking_piret")]
        | Annotated[Overflow, Tag("overflow")]
        | Annotated[Samples, Tag("samples")]
        | Annotated[ShareOfGrowth, Tag("share_of_growth")]
        | Annotated[StirredTank, Tag("stirred_tank")]
        | Annotated[Stripping, Tag("stripping")]
        | Annotated[Temperature, Tag("temperature")],
        Discriminator(_kind),
    ]
"""A field for a component: an object, or its fields with its ``kind``."""
