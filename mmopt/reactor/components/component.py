"""The base class of the components of a vessel, and the streams that go into it and out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mmopt.reactor.quantities import HasQuantities
from mmopt.reactor.system import Values

Now = Mapping[str, Any]
"""States, controls, parameters and rates of the cell by name, at one time: numbers, arrays or expressions."""


@dataclass(frozen=True)
class Inflow:
    """A stream into the vessel.

    Attributes
    ----------
    rate
        Volume per time [L/h].
    content
        Concentration by state, in its unit; what is not named is not in it.

    Examples
    --------
    >>> Inflow(0.1, {"glucose": 500.0}).change("glucose", 4.0)
    49.6
    """

    rate: Any
    content: Mapping[str, Any] = field(default_factory=dict)

    def change(self, name: str, concentration: Any) -> Any:
        """Compute what the stream adds to V dC/dt, dilution included.

        Parameters
        ----------
        name, concentration
            Name of a state, and its concentration C in the vessel.

        Returns
        -------
        Any
            In the unit of the state times L/h.
        """
        if name not in self.content:
            return -self.rate * concentration
        return self.rate * (self.content[name] - concentration)

    @property
    def volume(self) -> Any:
        """What it adds to dV/dt [L/h]."""
        return self.rate

    def by(self, volume: Any) -> "Inflow":
        """Return the stream by volume of the vessel, with which `change` is the component of dC/dt.

        Parameters
        ----------
        volume
            Volume of the vessel [L].

        Returns
        -------
        Inflow
        """
        return Inflow(self.rate / volume, self.content)


@dataclass(frozen=True)
class Outflow:
    """A stream out of the vessel.

    Attributes
    ----------
    rate
        Volume per time [L/h].
    retained
        Fraction of a state that stays in the vessel, by state, such as 0.99 of the biomass; all else leaves at its
        concentration in the vessel.
    everything
        Fraction of every state that is not in ``retained`` and stays: 1 where only water leaves.

    Examples
    --------
    >>> Outflow(0.1).change("biomass", 20.0), Outflow(0.1, {"biomass": 1.0}).change("biomass", 20.0)
    (0.0, 2.0)
    """

    rate: Any
    retained: Mapping[str, Any] = field(default_factory=dict)
    everything: float = 0.0

    def change(self, name: str, concentration: Any) -> Any:
        """Compute what the stream adds to V dC/dt: 0 for what leaves at its concentration in the vessel.

        Parameters
        ----------
        name, concentration
            Name of a state, and its concentration C in the vessel.

        Returns
        -------
        Any
            In the unit of the state times L/h.
        """
        stays = self.retained.get(name, self.everything)
        return 0.0 if isinstance(stays, float) and stays == 0.0 else stays * self.rate * concentration

    @property
    def volume(self) -> Any:
        """What it adds to dV/dt [L/h]."""
        return -self.rate

    def by(self, volume: Any) -> "Outflow":
        """Return the stream by volume of the vessel, with which `change` is the component of dC/dt.

        Parameters
        ----------
        volume
            Volume of the vessel [L].

        Returns
        -------
        Outflow
        """
        return Outflow(self.rate / volume, self.retained, self.everything)


Stream = Inflow | Outflow
"""A stream into the vessel or out of it."""


class Component(HasQuantities):
    """A component of a vessel: what it adds to the states, controls, parameters and balances of a `Bioreactor`.

    Everything has a default, so that a component of one's own is what it adds and little else; streams dilute every state per
    litre. All of it is plain arithmetic of the values in ``now``: states, controls, parameters and rates of the cell by name.

    Examples
    --------
    >>> class Decay(Component):
    ...     parameters = (Parameter("decay", 0.05, "1/h", lower=0.0),)
    ...
    ...     def rates(self, now):
    ...         return {"acetate": -now["decay"] * now["acetate"]}
    >>> acetate = Species("acetate", "EX_ac_e", molar_mass=59.044)
    >>> [one.name for one in Bioreactor((acetate,), components=(Decay(),)).parameters]
    ['death', 'acetate_fed', 'decay']
    """

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """States that the vessel must have for it."""
        return ()

    def streams(self, now: Now) -> Sequence[Stream]:
        """Compute streams into the vessel and out of it.

        Parameters
        ----------
        now
            Values by name.

        Returns
        -------
        sequence of Inflow or Outflow
        """
        return ()

    def rates(self, now: Now) -> dict[str, Any]:
        """Compute what it adds to the derivative of states, besides its streams.

        Parameters
        ----------
        now
            Values by name.

        Returns
        -------
        dict
            By state [its unit/h].
        """
        return {}

    def factors(self, states: Values, parameters: Values) -> dict[str, Any]:
        """Compute factors of the uptake limits.

        Parameters
        ----------
        states, parameters
            Values by name.

        Returns
        -------
        dict
            Factor by species; that of ``*`` counts for every species.
        """
        return {}

    def observe(self, now: Now) -> dict[str, Any]:
        """Compute the derived quantities that it adds.

        Parameters
        ----------
        now
            Values by name.

        Returns
        -------
        dict
            By name.
        """
        return {}
