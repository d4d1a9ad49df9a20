"""Components that a study file can name, so that it contains the same objects as a script."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Union

from pydantic import Discriminator, PlainValidator, Tag

from mmopt.arguments import shown
from mmopt.errors import StudyError, nearest
from mmopt.reactor.components.component import Component
from mmopt.reactor.components.factors import Acidity, Lag, Temperature
from mmopt.reactor.components.flows import Base, Evaporation, Harvest, Overflow, Samples
from mmopt.reactor.components.gas import StirredTank, Stripping
from mmopt.reactor.components.off_gas import OffGas
from mmopt.reactor.components.products import Clock, LuedekingPiret, ShareOfGrowth

COMPONENTS: Final = (
    Acidity,
    Base,
    Clock,
    Evaporation,
    Harvest,
    Lag,
    LuedekingPiret,
    OffGas,
    Overflow,
    Samples,
    ShareOfGrowth,
    StirredTank,
    Stripping,
    Temperature,
)
"""Components that a study file can have, in alphabetical order."""

KINDS: Final = {one.__dataclass_fields__["kind"].default: one for one in COMPONENTS}
"""The same by ``kind``, their name in a study file."""


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
    if not isinstance(kind, str) or kind not in KINDS:
        raise StudyError(f"the kind of a component is {shown(kind)}; {nearest(str(kind)[:60], KINDS)}")
    return kind


if TYPE_CHECKING:
    ComponentField = Component
else:
    _given = Annotated[Any, PlainValidator(checked_component, json_schema_input_type=str), Tag("component")]
    _described = [Annotated[one, Tag(kind)] for kind, one in KINDS.items()]
    ComponentField = Annotated[Union[_given, *_described], Discriminator(_kind)]
"""A field for a component: an object, or its fields with its ``kind``."""
