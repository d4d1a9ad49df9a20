"""How much of a species a cell can take up: a law of its concentration, and what inhibits it."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np
from pydantic import PlainValidator

from mmopt.arguments import shown
from mmopt.checking import NotNegative, Positive, checked
from mmopt.errors import StudyError, nearest
from mmopt.reactor import kinetics
from mmopt.reactor.quantities import ABOVE_ZERO, Parameter
from mmopt.reactor.system import Values
from mmopt.units import RATE

UPTAKE_LAWS: Final = ("monod", "haldane", "contois", "moser", "tessier")
"""Laws by name."""

BIOMASS: Final = "biomass"

OwnLaw = Callable[[Values], Any]
"""From states and parameters by name to an uptake limit [mmol/gDW/h]."""


def _law(value: Any) -> str | OwnLaw:
    if callable(value) and not isinstance(value, type):
        return value  # type: ignore[no-any-return]
    if not isinstance(value, str):
        raise StudyError(
            f"law is {shown(value)}; give one of {', '.join(UPTAKE_LAWS)}, or a function of states and parameters"
        )
    if value not in UPTAKE_LAWS:
        raise StudyError(f"there is no law '{value:.60}'; {nearest(value[:60], UPTAKE_LAWS)}")
    return value


if TYPE_CHECKING:
    Law = str | OwnLaw
else:
    Law = Annotated[Any, PlainValidator(_law, json_schema_input_type=str)]


@checked
class Uptake:
    """Uptake by a law of the concentration, with what inhibits it.

    Parameters
    ----------
    vmax
        Largest uptake rate [mmol/gDW/h].
    half
        Concentration at half of it, in the unit of the species; with ``contois`` per g/L of biomass.
    inhibitors
        Constants of non-competitive inhibition by species name, in the unit of that species: rate / (1 + i / constant). A sugar
        that represses the uptake of another is one with a small constant.
    law
        ``monod``, ``haldane``, ``contois``, ``moser``, ``tessier`` (`mmopt.reactor.kinetics`), or a function of states and
        parameters by name that returns a rate from 0 to ``vmax``.
    inhibition
        Constant of ``haldane``, in the unit of the species.
    exponent
        Exponent of ``moser``, at least 1.
    competitors
        Constants of competitive inhibition by species name, in the unit of that species: half (1 + i / constant).
    needs
        Species without which there is no uptake, with the concentrations at half of it, in their units: rate c / (c + half).

    Raises
    ------
    StudyError
        If a number is not finite, ``vmax`` is negative, a constant is not above 0, the law is unknown, or a constant of a law
        is missing or belongs to another law.

    Examples
    --------
    >>> Uptake(10.5, half=0.05, inhibitors={"acetate": 9.0}).vmax
    10.5
    >>> Uptake(10.5, half=0.0)
    Traceback (most recent call last):
    mmopt.errors.StudyError: Uptake: half is 0.0; it should be greater than 0
    >>> Uptake(10.5, half=0.5, law="haldane", inhibition=20.0).inhibition
    20.0
    """

    vmax: NotNegative
    half: Positive
    inhibitors: dict[str, Positive] = field(default_factory=dict)
    law: Law = "monod"
    inhibition: Positive | None = None
    exponent: Positive | None = None
    competitors: dict[str, Positive] = field(default_factory=dict)
    needs: dict[str, Positive] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, law, value in (("inhibition", "haldane", self.inhibition), ("exponent", "moser", self.exponent)):
            if self.law == law and value is None:
                raise StudyError(f"the law {law} needs {name}; give it")
            if self.law != law and value is not None:
                raise StudyError(f"{name} belongs to the law {law}; leave it out, or give law='{law}'")
        if self.exponent is not None and self.exponent < 1.0:
            raise StudyError(f"exponent is {self.exponent:g}; give a number from 1 up")

    @property
    def others(self) -> tuple[str, ...]:
        """Names of the other species that it depends on."""
        return tuple(dict.fromkeys((*self.inhibitors, *self.competitors, *self.needs)))

    def parameters(self, name: str, units: Mapping[str, str]) -> list[Parameter]:
        """Return its numbers as parameters of a reactor.

        Parameters
        ----------
        name
            Name of the species.
        units
            Unit by species.

        Returns
        -------
        list of Parameter
        """
        unit = units[name]
        rows = [
            Parameter(f"{name}_vmax", self.vmax, RATE, "", 0.0),
            Parameter(f"{name}_half", self.half, unit, "", ABOVE_ZERO),
        ]
        if self.inhibition is not None:
            rows.append(Parameter(f"{name}_inhibition", self.inhibition, unit, "", ABOVE_ZERO))
        if self.exponent is not None:
            rows.append(Parameter(f"{name}_exponent", self.exponent, "1", "", 1.0))
        kinds = (("inhibition_by", self.inhibitors), ("competition_by", self.competitors), ("need_of", self.needs))
        for kind, constants in kinds:
            rows += [
                Parameter(f"{name}_{kind}_{other}", value, units[other], "", ABOVE_ZERO)
                for other, value in constants.items()
            ]
        return rows

    def limit(self, name: str, states: Values, parameters: Values) -> Any:
        """Compute the uptake limit.

        Parameters
        ----------
        name
            Name of the species.
        states, parameters
            Values by name.

        Returns
        -------
        Any
            The limit [mmol/gDW/h].
        """
        half = parameters[f"{name}_half"]
        for other in self.competitors:
            half = kinetics.competed(half, states[other], parameters[f"{name}_competition_by_{other}"])
        rate = self._by_law(name, half, states, parameters)
        for other in self.inhibitors:
            rate = kinetics.inhibited(rate, states[other], parameters[f"{name}_inhibition_by_{other}"])
        for other in self.needs:
            rate = kinetics.monod(states[other], rate, parameters[f"{name}_need_of_{other}"])
        return rate

    def _by_law(self, name: str, half: Any, states: Values, parameters: Values) -> Any:
        concentration, vmax = states[name], parameters[f"{name}_vmax"]
        if not isinstance(self.law, str):
            return self.law({**parameters, **states})
        constants = {
            "monod": (),
            "haldane": (parameters.get(f"{name}_inhibition"),),
            "contois": (states.get(BIOMASS),),
            "moser": (parameters.get(f"{name}_exponent"),),
            "tessier": (),
        }
        law: Callable[..., Any] = getattr(kinetics, self.law)
        return law(concentration, vmax, half, *constants[self.law])

    def most(self, name: str, parameters: Mapping[str, float]) -> float:
        """Return a bound of the limit, whatever the concentrations are.

        Parameters
        ----------
        name
            Name of the species.
        parameters
            Value of every parameter.

        Returns
        -------
        float
            The bound [mmol/gDW/h]: the largest rate, with ``haldane`` the highest.
        """
        vmax = parameters[f"{name}_vmax"]
        if self.inhibition is None:
            return vmax
        ratio = parameters[f"{name}_half"] / parameters[f"{name}_inhibition"]
        return float(vmax / (1.0 + 2.0 * np.sqrt(ratio)))
